/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfer jobs, run in the caller: contents, merging, faults. */
#include "suites.h"
#include "test_xfer.h"

struct test_xfer_fx xfer_fx;

static void
fx_setup(void)
{
	memset(&xfer_fx, 0, sizeof(xfer_fx));
	xfer_fx.id.pidfd = -1;
	xfer_fx.id.memfd = -1;
	xfer_fx.page = CHILD_PAGE;
	xfer_fx.local = child_map(PAGES * xfer_fx.page, PROT_READ | PROT_WRITE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(xfer_fx.local);
	memset(xfer_fx.local, 0xee, PAGES * xfer_fx.page);
}

static void
fx_teardown(void)
{
	svm_ident_close(&xfer_fx.id);
	child_end(&xfer_fx.child);
	child_end(&xfer_fx.other);
	munmap(xfer_fx.local, PAGES * xfer_fx.page);
}

static bool
local_holds_remote(size_t local_off, size_t remote_off, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (xfer_fx.local[local_off + i] != remote_byte(remote_off + i))
			return false;
	return true;
}

static void
test_xfer_read_gathers(void)
{
	worker_open();
	piece(100, 0, 50);
	piece(xfer_fx.page, 50, 33);
	piece(7, 200, 1);
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_OK, 50);
	expect(1, SVM_ST_OK, 33);
	expect(2, SVM_ST_OK, 1);
	CU_ASSERT(local_holds_remote(0, 100, 50));
	CU_ASSERT(local_holds_remote(50, xfer_fx.page, 33));
	CU_ASSERT(local_holds_remote(200, 7, 1));
	CU_ASSERT(local_untouched(83, 117));
	CU_ASSERT(local_untouched(201, 100));
}

static void
test_xfer_write_scatters(void)
{
	uint64_t before;

	worker_open();
	child_say(&xfer_fx.child, 's');
	before = child_hear(&xfer_fx.child);
	memset(xfer_fx.local, 0, xfer_fx.page);
	xfer_fx.local[0] = 5;
	xfer_fx.local[1] = 6;
	piece(10, 0, 1);
	piece(20, 1, 1);
	xfer_fx.job.write = true;
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_OK, 1);
	expect(1, SVM_ST_OK, 1);
	child_say(&xfer_fx.child, 's');
	TEST_EQUAL(child_hear(&xfer_fx.child), before - remote_byte(10) - remote_byte(20) + 11);
}

static void
test_xfer_neighbours_merge(void)
{
	unsigned int i;

	worker_open();
	for (i = 0; i < SVM_XFER_MAX; i++)
		piece(i * 8, (SVM_XFER_MAX - 1 - i) * 8, 8);
	svm_xfer_run(&xfer_fx.job);
	TEST_EQUAL(xfer_fx.job.nb_iov, 1);
	TEST_EQUAL(xfer_fx.job.nb_calls, 1);
	for (i = 0; i < SVM_XFER_MAX; i++)
		CU_ASSERT(xfer_fx.xfer[i].status == SVM_ST_OK &&
			local_holds_remote((SVM_XFER_MAX - 1 - i) * 8, i * 8, 8));
}

static void
test_xfer_strangers_do_not_merge(void)
{
	unsigned int i;

	worker_open();
	for (i = 0; i < SVM_XFER_MAX; i++)
		piece(i * 9, i * 8, 8);
	svm_xfer_run(&xfer_fx.job);
	TEST_EQUAL(xfer_fx.job.nb_iov, SVM_XFER_MAX);
	TEST_EQUAL(xfer_fx.job.nb_calls, 1);
	CU_ASSERT(local_holds_remote(SVM_XFER_MAX * 8 - 8, SVM_XFER_MAX * 9 - 9, 8));
}

static void
test_xfer_top_of_memory_does_not_merge_with_zero(void)
{
	worker_open();
	piece(0, 0, 8)->remote = UINT64_MAX - 7;
	piece(0, 8, 8)->remote = 0;
	piece(0, 16, 8);
	svm_xfer_run(&xfer_fx.job);
	TEST_EQUAL(xfer_fx.job.nb_iov, 3);
	expect(0, SVM_ST_PAGE_FAULT, 0);
	expect(1, SVM_ST_PAGE_FAULT, 0);
	expect(2, SVM_ST_OK, 8);
}

static void
test_xfer_no_access_faults_at_the_byte(void)
{
	worker_open();
	piece(0, 0, 16);
	piece(PAGE_NONE * xfer_fx.page - 100, 16, 200);
	piece(xfer_fx.page, 300, 16);
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_OK, 16);
	expect(1, SVM_ST_PAGE_FAULT, 100);
	expect(2, SVM_ST_OK, 16);
	CU_ASSERT(local_holds_remote(16, PAGE_NONE * xfer_fx.page - 100, 100));
	CU_ASSERT(local_untouched(116, 184));
	CU_ASSERT(local_holds_remote(300, xfer_fx.page, 16));
}

static void
test_xfer_merged_run_faults_in_the_right_piece(void)
{
	size_t from = PAGE_GONE * xfer_fx.page - 24;
	unsigned int i;

	worker_open();
	for (i = 0; i < 6; i++)
		piece(from + i * 10, i * 10, 10);
	svm_xfer_run(&xfer_fx.job);
	TEST_EQUAL(xfer_fx.job.nb_iov, 1);
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
	piece(PAGE_READ * xfer_fx.page - 3, 0, 8);
	piece(0, 8, 8);
	xfer_fx.job.write = true;
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_PAGE_FAULT, 3);
	expect(1, SVM_ST_OK, 8);
}

static void
test_xfer_bad_local_memory_faults(void)
{
	worker_open();
	CU_ASSERT_EQUAL_FATAL(mprotect(xfer_fx.local + xfer_fx.page, xfer_fx.page, PROT_NONE), 0);
	piece(0, xfer_fx.page - 5, 10);
	piece(0, 0, 10);
	svm_xfer_run(&xfer_fx.job);
	expect(0, SVM_ST_PAGE_FAULT, 5);
	expect(1, SVM_ST_OK, 10);
	CU_ASSERT_EQUAL_FATAL(mprotect(xfer_fx.local + xfer_fx.page, xfer_fx.page,
		PROT_READ | PROT_WRITE), 0);
}

static void
test_xfer_rest_of_a_tag_is_skipped(void)
{
	worker_open();
	piece(0, 0, 8)->tag = 1;
	piece(PAGE_NONE * xfer_fx.page, 8, 8)->tag = 1;
	piece(16, 16, 8)->tag = 1;
	piece(24, 24, 8)->tag = 1;
	piece(32, 32, 8)->tag = 2;
	svm_xfer_run(&xfer_fx.job);
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
		piece(PAGE_NONE * xfer_fx.page - 1, i * 8, 2);
	svm_xfer_run(&xfer_fx.job);
	for (i = 0; i < SVM_XFER_MAX; i++)
		CU_ASSERT(xfer_fx.xfer[i].status == SVM_ST_PAGE_FAULT && xfer_fx.xfer[i].done == 1);
	CU_ASSERT(xfer_fx.job.nb_calls <= 3 * SVM_XFER_MAX);
}

static void
test_xfer_more_than_a_call_moves_completes(void)
{
	const uint32_t len = 8u << 20, nb = 160;
	uint8_t *buf = child_map(len, PROT_READ | PROT_WRITE);
	unsigned int i;

	/* 1.25 GiB, all of it from and to the same 8 MiB of our own. */
	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&xfer_fx.id, getpid()), 0);
	xfer_fx.job.pid = getpid();
	xfer_fx.job.pidfd = xfer_fx.id.pidfd;
	xfer_fx.job.memfd = xfer_fx.id.memfd;
	xfer_fx.job.xfer = xfer_fx.xfer;
	for (i = 0; i < nb; i++) {
		piece(0, 0, len)->remote = (uintptr_t)buf;
		xfer_fx.xfer[i].local = buf;
	}
	svm_xfer_run(&xfer_fx.job);
	TEST_EQUAL(xfer_fx.job.nb_calls, 2);
	for (i = 0; i < nb; i++)
		CU_ASSERT(xfer_fx.xfer[i].status == SVM_ST_OK && xfer_fx.xfer[i].done == len);
	munmap(buf, len);
}

int
test_xfer_suite(void)
{
	static const struct test_xfer_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_xfer_read_gathers),
		T(test_xfer_write_scatters),
		T(test_xfer_neighbours_merge),
		T(test_xfer_strangers_do_not_merge),
		T(test_xfer_top_of_memory_does_not_merge_with_zero),
		T(test_xfer_no_access_faults_at_the_byte),
		T(test_xfer_merged_run_faults_in_the_right_piece),
		T(test_xfer_write_to_read_only_faults),
		T(test_xfer_bad_local_memory_faults),
		T(test_xfer_rest_of_a_tag_is_skipped),
		T(test_xfer_all_bad_takes_bounded_calls),
		T(test_xfer_more_than_a_call_moves_completes),
#undef T
	};
	CU_pSuite suite = CU_add_suite_with_setup_and_teardown("xfer", NULL, NULL,
			fx_setup, fx_teardown);

	if (suite == NULL || test_xfer_add(suite, rows, sizeof(rows) / sizeof(rows[0])) != 0 ||
			test_xfer_worker_add(suite) != 0)
		return -1;
	return 0;
}

int
test_xfer_add(CU_pSuite suite, const struct test_xfer_row *rows, size_t nb)
{
	size_t i;

	for (i = 0; i != nb; i++)
		if (CU_add_test(suite, rows[i].name, rows[i].run) == NULL)
			return -1;
	return 0;
}
