/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfer jobs to workers that are gone, are others by now, or are not ours to reach. */
#include <sched.h>

#include "test_xfer.h"

static void
test_xfer_exited_worker_is_dead(void)
{
	worker_open();
	child_say(&xfer_fx.child, 'q');
	TEST_EQUAL(child_exit_code(&xfer_fx.child), 0);
	piece(0, 0, 8);
	piece(PAGE_NONE * xfer_fx.page, 8, 8);
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_BOND_DEAD, 0);
	expect(1, SVM_ST_BOND_DEAD, 0);
	TEST_EQUAL(xfer_fx.job.nb_calls, 0);
	CU_ASSERT(local_untouched(0, 16));
}

static void
test_xfer_vanished_pid_is_dead(void)
{
	worker_open();
	child_end(&xfer_fx.child);
	/* Without the descriptors the call itself finds out. */
	xfer_fx.job.pidfd = -1;
	xfer_fx.job.memfd = -1;
	piece(0, 0, 8);
	piece(8, 8, 8);
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_BOND_DEAD, 0);
	expect(1, SVM_ST_BOND_DEAD, 0);
	TEST_EQUAL(xfer_fx.job.nb_calls, 1);
}

static void
test_xfer_execed_worker_is_dead(void)
{
	worker_open();
	child_say(&xfer_fx.child, 'x');
	child_hear_end(&xfer_fx.child);
	piece(0, 0, 8);
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_BOND_DEAD, 0);
	TEST_EQUAL(xfer_fx.job.nb_calls, 0);
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
	child_start(&xfer_fx.other, body_with_sibling, NULL);
	child_hear(&xfer_fx.other);
	worker_open();
	svm_ident_close(&xfer_fx.id);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&xfer_fx.id, xfer_fx.other.pid), 0);
	kill(xfer_fx.other.pid, SIGKILL);
	CU_ASSERT_EQUAL_FATAL(waitpid(xfer_fx.other.pid, NULL, 0), xfer_fx.other.pid);
	xfer_fx.other.pid = 0;

	/* The descriptors name a process that is gone, the pid another's. */
	xfer_fx.job.pidfd = -1;
	xfer_fx.job.memfd = xfer_fx.id.memfd;
	piece(0, 0, 8);
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_OK, 8);
	xfer_fx.job.pidfd = xfer_fx.id.pidfd;
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_BOND_DEAD, 0);
	close(xfer_fx.other.to);
	close(xfer_fx.other.from);
}

static void
body_read_as_nobody(int in, int out, void *arg)
{
	(void)in;
	(void)out;
	(void)arg;
	if (!child_become_nobody())
		_exit(100);
	svm_xfer_run(&xfer_fx.job);
	_exit(xfer_fx.xfer[0].status == SVM_ST_DENIED && xfer_fx.xfer[1].status == SVM_ST_DENIED &&
		xfer_fx.xfer[0].done == 0 && xfer_fx.job.nb_calls == 1 ? 42 : 1);
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
	child_start(&xfer_fx.other, body_read_as_nobody, NULL);
	TEST_EQUAL(child_exit_code(&xfer_fx.other), 42);
}

int
test_xfer_worker_add(CU_pSuite suite)
{
	static const struct test_xfer_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_xfer_exited_worker_is_dead),
		T(test_xfer_vanished_pid_is_dead),
		T(test_xfer_execed_worker_is_dead),
		T(test_xfer_recycled_pid_with_living_mm_is_dead),
		T(test_xfer_without_permission_is_denied),
#undef T
	};

	return test_xfer_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
