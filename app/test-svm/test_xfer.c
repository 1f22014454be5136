/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfer jobs, run in the caller: contents, merging, faults, identity. */
#include <sched.h>

#include "runner.h"
#include "suites.h"
#include "svm_abi.h"
#include "svm_ident.h"
#include "svm_xfer.h"
#include "test_child.h"

#define PAGES	8u

/* The worker's memory: PAGES pages; which of them are not plain memory: */
#define PAGE_NONE	4u	/* PROT_NONE */
#define PAGE_READ	6u	/* read-only */
#define PAGE_GONE	7u	/* not mapped */

static struct {
	struct child child, other;
	struct svm_ident id;
	uint64_t remote;	/* the worker's memory */
	uint8_t *local;		/* as many pages of ours */
	size_t page;
	struct svm_xfer xfer[SVM_XFER_MAX];
	struct svm_job job;
} fx;

static uint8_t
remote_byte(size_t off)
{
	return (uint8_t)(off * 7 + off / 256 + 1);
}

static void
body_memory(int in, int out, void *arg)
{
	size_t page = CHILD_PAGE, i;
	uint8_t *mem = child_map(PAGES * page, PROT_READ | PROT_WRITE);

	(void)arg;
	if (mem == NULL)
		_exit(1);
	for (i = 0; i < PAGES * page; i++)
		mem[i] = remote_byte(i);
	if (mprotect(mem + PAGE_NONE * page, page, PROT_NONE) != 0 ||
			mprotect(mem + PAGE_READ * page, page, PROT_READ) != 0 ||
			munmap(mem + PAGE_GONE * page, page) != 0)
		_exit(1);
	child_tell(out, (uintptr_t)mem);
	for (;;) {
		switch (child_listen(in)) {
		case 's':	/* sum of the first page */
			for (i = 0, page = 0; i < CHILD_PAGE; i++)
				page += mem[i];
			child_tell(out, page);
			break;
		case 'x':
			execl("/bin/sleep", "sleep", "1000", (char *)NULL);
			_exit(1);
		default:
			_exit(0);
		}
	}
}

static void
fx_setup(void)
{
	memset(&fx, 0, sizeof(fx));
	fx.id.pidfd = -1;
	fx.id.memfd = -1;
	fx.page = CHILD_PAGE;
	fx.local = child_map(PAGES * fx.page, PROT_READ | PROT_WRITE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fx.local);
	memset(fx.local, 0xee, PAGES * fx.page);
}

static void
fx_teardown(void)
{
	svm_ident_close(&fx.id);
	child_end(&fx.child);
	child_end(&fx.other);
	munmap(fx.local, PAGES * fx.page);
}

static void
worker_open(void)
{
	child_start(&fx.child, body_memory, NULL);
	fx.remote = child_hear(&fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
	fx.job.pid = fx.id.pid;
	fx.job.pidfd = fx.id.pidfd;
	fx.job.memfd = fx.id.memfd;
	fx.job.xfer = fx.xfer;
}

/** One more piece, by offsets; a tag of its own unless one is given later. */
static struct svm_xfer *
piece(size_t remote_off, size_t local_off, uint32_t len)
{
	struct svm_xfer *x = &fx.xfer[fx.job.nb];

	x->remote = fx.remote + remote_off;
	x->local = fx.local + local_off;
	x->len = len;
	x->tag = fx.job.nb++;
	x->done = 12345;
	x->status = 99;
	return x;
}

static void
expect(unsigned int i, uint8_t status, uint32_t done)
{
	test_equal_at(__FILE__, i, "status", fx.xfer[i].status, status);
	test_equal_at(__FILE__, i, "done", fx.xfer[i].done, done);
}

static bool
local_holds_remote(size_t local_off, size_t remote_off, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (fx.local[local_off + i] != remote_byte(remote_off + i))
			return false;
	return true;
}

static bool
local_untouched(size_t off, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (fx.local[off + i] != 0xee)
			return false;
	return true;
}

static void
test_xfer_read_gathers(void)
{
	worker_open();
	piece(100, 0, 50);
	piece(fx.page, 50, 33);
	piece(7, 200, 1);
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_OK, 50);
	expect(1, SVM_ST_OK, 33);
	expect(2, SVM_ST_OK, 1);
	CU_ASSERT(local_holds_remote(0, 100, 50));
	CU_ASSERT(local_holds_remote(50, fx.page, 33));
	CU_ASSERT(local_holds_remote(200, 7, 1));
	CU_ASSERT(local_untouched(83, 117));
	CU_ASSERT(local_untouched(201, 100));
}

static void
test_xfer_write_scatters(void)
{
	uint64_t before;

	worker_open();
	child_say(&fx.child, 's');
	before = child_hear(&fx.child);
	memset(fx.local, 0, fx.page);
	fx.local[0] = 5;
	fx.local[1] = 6;
	piece(10, 0, 1);
	piece(20, 1, 1);
	fx.job.write = true;
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_OK, 1);
	expect(1, SVM_ST_OK, 1);
	child_say(&fx.child, 's');
	TEST_EQUAL(child_hear(&fx.child), before - remote_byte(10) - remote_byte(20) + 11);
}

static void
test_xfer_neighbours_merge(void)
{
	unsigned int i;

	worker_open();
	for (i = 0; i < SVM_XFER_MAX; i++)
		piece(i * 8, (SVM_XFER_MAX - 1 - i) * 8, 8);
	svm_xfer_run(&fx.job);
	TEST_EQUAL(fx.job.nb_iov, 1);
	TEST_EQUAL(fx.job.nb_calls, 1);
	for (i = 0; i < SVM_XFER_MAX; i++)
		CU_ASSERT(fx.xfer[i].status == SVM_ST_OK &&
			local_holds_remote((SVM_XFER_MAX - 1 - i) * 8, i * 8, 8));
}

static void
test_xfer_strangers_do_not_merge(void)
{
	unsigned int i;

	worker_open();
	for (i = 0; i < SVM_XFER_MAX; i++)
		piece(i * 9, i * 8, 8);
	svm_xfer_run(&fx.job);
	TEST_EQUAL(fx.job.nb_iov, SVM_XFER_MAX);
	TEST_EQUAL(fx.job.nb_calls, 1);
	CU_ASSERT(local_holds_remote(SVM_XFER_MAX * 8 - 8, SVM_XFER_MAX * 9 - 9, 8));
}

static void
test_xfer_top_of_memory_does_not_merge_with_zero(void)
{
	worker_open();
	piece(0, 0, 8)->remote = UINT64_MAX - 7;
	piece(0, 8, 8)->remote = 0;
	piece(0, 16, 8);
	svm_xfer_run(&fx.job);
	TEST_EQUAL(fx.job.nb_iov, 3);
	expect(0, SVM_ST_PAGE_FAULT, 0);
	expect(1, SVM_ST_PAGE_FAULT, 0);
	expect(2, SVM_ST_OK, 8);
}

static void
test_xfer_no_access_faults_at_the_byte(void)
{
	worker_open();
	piece(0, 0, 16);
	piece(PAGE_NONE * fx.page - 100, 16, 200);
	piece(fx.page, 300, 16);
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_OK, 16);
	expect(1, SVM_ST_PAGE_FAULT, 100);
	expect(2, SVM_ST_OK, 16);
	CU_ASSERT(local_holds_remote(16, PAGE_NONE * fx.page - 100, 100));
	CU_ASSERT(local_untouched(116, 184));
	CU_ASSERT(local_holds_remote(300, fx.page, 16));
}

static void
test_xfer_merged_run_faults_in_the_right_piece(void)
{
	size_t from = PAGE_GONE * fx.page - 24;
	unsigned int i;

	worker_open();
	for (i = 0; i < 6; i++)
		piece(from + i * 10, i * 10, 10);
	svm_xfer_run(&fx.job);
	TEST_EQUAL(fx.job.nb_iov, 1);
	expect(0, SVM_ST_OK, 10);
	expect(1, SVM_ST_OK, 10);
	expect(2, SVM_ST_PAGE_FAULT, 4);
	expect(3, SVM_ST_PAGE_FAULT, 0);
	expect(5, SVM_ST_PAGE_FAULT, 0);
	CU_ASSERT(local_holds_remote(0, from, 24));
}

static void
test_xfer_write_to_read_only_faults(void)
{
	worker_open();
	piece(PAGE_READ * fx.page - 3, 0, 8);
	piece(0, 8, 8);
	fx.job.write = true;
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_PAGE_FAULT, 3);
	expect(1, SVM_ST_OK, 8);
}

static void
test_xfer_bad_local_memory_faults(void)
{
	worker_open();
	CU_ASSERT_EQUAL_FATAL(mprotect(fx.local + fx.page, fx.page, PROT_NONE), 0);
	piece(0, fx.page - 5, 10);
	piece(0, 0, 10);
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_PAGE_FAULT, 5);
	expect(1, SVM_ST_OK, 10);
	CU_ASSERT_EQUAL_FATAL(mprotect(fx.local + fx.page, fx.page, PROT_READ | PROT_WRITE), 0);
}

static void
test_xfer_rest_of_a_tag_is_skipped(void)
{
	worker_open();
	piece(0, 0, 8)->tag = 1;
	piece(PAGE_NONE * fx.page, 8, 8)->tag = 1;
	piece(16, 16, 8)->tag = 1;
	piece(24, 24, 8)->tag = 1;
	piece(32, 32, 8)->tag = 2;
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_OK, 8);
	expect(1, SVM_ST_PAGE_FAULT, 0);
	expect(2, SVM_ST_ABORTED, 0);
	expect(3, SVM_ST_ABORTED, 0);
	expect(4, SVM_ST_OK, 8);
	CU_ASSERT(local_untouched(8, 24));
}

static void
test_xfer_all_bad_takes_bounded_calls(void)
{
	unsigned int i;

	worker_open();
	for (i = 0; i < SVM_XFER_MAX; i++)
		piece(PAGE_NONE * fx.page - 1, i * 8, 2);
	svm_xfer_run(&fx.job);
	for (i = 0; i < SVM_XFER_MAX; i++)
		CU_ASSERT(fx.xfer[i].status == SVM_ST_PAGE_FAULT && fx.xfer[i].done == 1);
	CU_ASSERT(fx.job.nb_calls <= 3 * SVM_XFER_MAX);
}

static void
test_xfer_more_than_a_call_moves_completes(void)
{
	const uint32_t len = 8u << 20, nb = 160;
	uint8_t *buf = child_map(len, PROT_READ | PROT_WRITE);
	unsigned int i;

	/* 1.25 GiB, all of it from and to the same 8 MiB of our own. */
	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, getpid()), 0);
	fx.job.pid = getpid();
	fx.job.pidfd = fx.id.pidfd;
	fx.job.memfd = fx.id.memfd;
	fx.job.xfer = fx.xfer;
	for (i = 0; i < nb; i++) {
		piece(0, 0, len)->remote = (uintptr_t)buf;
		fx.xfer[i].local = buf;
	}
	svm_xfer_run(&fx.job);
	TEST_EQUAL(fx.job.nb_calls, 2);
	for (i = 0; i < nb; i++)
		CU_ASSERT(fx.xfer[i].status == SVM_ST_OK && fx.xfer[i].done == len);
	munmap(buf, len);
}

static void
test_xfer_exited_worker_is_dead(void)
{
	worker_open();
	child_say(&fx.child, 'q');
	TEST_EQUAL(child_exit_code(&fx.child), 0);
	piece(0, 0, 8);
	piece(PAGE_NONE * fx.page, 8, 8);
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_BOND_DEAD, 0);
	expect(1, SVM_ST_BOND_DEAD, 0);
	TEST_EQUAL(fx.job.nb_calls, 0);
	CU_ASSERT(local_untouched(0, 16));
}

static void
test_xfer_vanished_pid_is_dead(void)
{
	worker_open();
	child_end(&fx.child);
	/* Without the descriptors the call itself finds out. */
	fx.job.pidfd = -1;
	fx.job.memfd = -1;
	piece(0, 0, 8);
	piece(8, 8, 8);
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_BOND_DEAD, 0);
	expect(1, SVM_ST_BOND_DEAD, 0);
	TEST_EQUAL(fx.job.nb_calls, 1);
}

static void
test_xfer_execed_worker_is_dead(void)
{
	worker_open();
	child_say(&fx.child, 'x');
	child_hear_end(&fx.child);
	piece(0, 0, 8);
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_BOND_DEAD, 0);
	TEST_EQUAL(fx.job.nb_calls, 0);
}

/* Ends when the test closes its end of the pipe. Shares all memory: no libc. */
static int
sibling_main(void *arg)
{
	char c;

	syscall(SYS_read, *(int *)arg, &c, 1);
	syscall(SYS_exit, 0);
	return 0;
}

static void
body_with_sibling(int in, int out, void *arg)
{
	static int fd;
	uint8_t *stack = child_map(65536, PROT_READ | PROT_WRITE);

	(void)arg;
	fd = in;
	/* vfork() without the wait: the mm lives on in the sibling. */
	if (stack == NULL || clone(sibling_main, stack + 65536, CLONE_VM, &fd) < 0)
		_exit(1);
	child_tell(out, 1);
	child_tell(out, 1);
	for (;;)
		pause();
}

static void
test_xfer_recycled_pid_with_living_mm_is_dead(void)
{
	if (CHILD_HAS_TSAN) {
		test_skip("TSAN takes clone() for a fork");
		return;
	}
	child_start(&fx.other, body_with_sibling, NULL);
	child_hear(&fx.other);
	worker_open();
	svm_ident_close(&fx.id);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.other.pid), 0);
	kill(fx.other.pid, SIGKILL);
	CU_ASSERT_EQUAL_FATAL(waitpid(fx.other.pid, NULL, 0), fx.other.pid);
	fx.other.pid = 0;

	/* The descriptors name a process that is gone, the pid another's. */
	fx.job.pidfd = -1;
	fx.job.memfd = fx.id.memfd;
	piece(0, 0, 8);
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_OK, 8);
	fx.job.pidfd = fx.id.pidfd;
	svm_xfer_run(&fx.job);
	expect(0, SVM_ST_BOND_DEAD, 0);
	close(fx.other.to);
	close(fx.other.from);
}

static void
body_read_as_nobody(int in, int out, void *arg)
{
	(void)in;
	(void)out;
	(void)arg;
	if (!child_become_nobody())
		_exit(100);
	svm_xfer_run(&fx.job);
	_exit(fx.xfer[0].status == SVM_ST_DENIED && fx.xfer[1].status == SVM_ST_DENIED &&
		fx.xfer[0].done == 0 && fx.job.nb_calls == 1 ? 42 : 1);
}

static void
test_xfer_without_permission_is_denied(void)
{
	if (geteuid() != 0) {
		test_skip("not root");
		return;
	}
	worker_open();
	piece(0, 0, 8);
	piece(64, 64, 8);
	child_start(&fx.other, body_read_as_nobody, NULL);
	TEST_EQUAL(child_exit_code(&fx.other), 42);
}

int
test_xfer_suite(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "test_xfer_read_gathers", test_xfer_read_gathers },
		{ "test_xfer_write_scatters", test_xfer_write_scatters },
		{ "test_xfer_neighbours_merge", test_xfer_neighbours_merge },
		{ "test_xfer_strangers_do_not_merge", test_xfer_strangers_do_not_merge },
		{ "test_xfer_top_of_memory_does_not_merge_with_zero",
			test_xfer_top_of_memory_does_not_merge_with_zero },
		{ "test_xfer_no_access_faults_at_the_byte", test_xfer_no_access_faults_at_the_byte },
		{ "test_xfer_merged_run_faults_in_the_right_piece",
			test_xfer_merged_run_faults_in_the_right_piece },
		{ "test_xfer_write_to_read_only_faults", test_xfer_write_to_read_only_faults },
		{ "test_xfer_bad_local_memory_faults", test_xfer_bad_local_memory_faults },
		{ "test_xfer_rest_of_a_tag_is_skipped", test_xfer_rest_of_a_tag_is_skipped },
		{ "test_xfer_all_bad_takes_bounded_calls", test_xfer_all_bad_takes_bounded_calls },
		{ "test_xfer_more_than_a_call_moves_completes",
			test_xfer_more_than_a_call_moves_completes },
		{ "test_xfer_exited_worker_is_dead", test_xfer_exited_worker_is_dead },
		{ "test_xfer_vanished_pid_is_dead", test_xfer_vanished_pid_is_dead },
		{ "test_xfer_execed_worker_is_dead", test_xfer_execed_worker_is_dead },
		{ "test_xfer_recycled_pid_with_living_mm_is_dead",
			test_xfer_recycled_pid_with_living_mm_is_dead },
		{ "test_xfer_without_permission_is_denied", test_xfer_without_permission_is_denied },
	};
	CU_pSuite suite = CU_add_suite_with_setup_and_teardown("xfer", NULL, NULL,
			fx_setup, fx_teardown);
	size_t i;

	if (suite == NULL)
		return -1;
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (CU_add_test(suite, tests[i].name, tests[i].run) == NULL)
			return -1;
	return 0;
}
