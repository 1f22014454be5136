/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bad memory and bad operations: each ends with its own status, the exact
 * number of bytes done and the address that failed, and harms nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"
#include "suites.h"

#define UNMAPPED	(-1)
#define PAGE		4096u

/* The second page of three is spoilt; a copy runs from the first into it. */
static uint64_t
spoilt_mem(struct fx_worker *w, int prot, uint64_t *seed)
{
	const uint64_t mem = fx_worker_mem(w, 3 * PAGE, seed);

	if (prot == UNMAPPED)
		fx_do(w, WK_MUNMAP, mem + PAGE, PAGE);
	else
		fx_do(w, WK_MPROTECT, mem + PAGE, PAGE, prot);
	return mem;
}

#define FROM	1000u
#define GOOD	(PAGE - FROM)
#define LEN	5000u

static void
check_write_stops(int prot)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_result r;
	uint64_t mem, was, seed;
	char *own;

	if (w == NULL)
		return;
	mem = spoilt_mem(w, prot, &was);
	own = fx_mem_filled(w->f, LEN, &seed);
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem + FROM, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, GOOD);
	TEST_EQUAL(r.fault_addr, mem + PAGE);
	CU_ASSERT(fx_verify(w, mem + FROM, GOOD, seed, 0));
	/* All of it in the spoilt page: nothing is done. */
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem + PAGE + 8, 64);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 0);
	TEST_EQUAL(r.fault_addr, mem + PAGE + 8);
	CU_ASSERT(fx_verify(w, mem, FROM, was, 0));
	CU_ASSERT(fx_verify(w, mem + 2 * PAGE, PAGE, was, 2 * PAGE));
	if (prot == PROT_READ)
		CU_ASSERT(fx_verify(w, mem + PAGE, PAGE, was, PAGE));
}

static void
check_read_stops(int prot)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_result r;
	uint64_t mem, seed;
	uint32_t i;
	char *own;

	if (w == NULL)
		return;
	mem = spoilt_mem(w, prot, &seed);
	own = fx_mem(w->f, LEN);
	r = fx_copy(w->f, w->bond, mem + FROM, RTE_SVM_OWNER, (uintptr_t)own, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, GOOD);
	TEST_EQUAL(r.fault_addr, mem + PAGE);
	TEST_EQUAL(wk_pattern_check(own, GOOD, seed, FROM), GOOD);
	for (i = GOOD; i < LEN && own[i] == 0; i++)
		;
	TEST_EQUAL(i, LEN);
}

static void
test_fault_write_unmapped_stops_there(void)
{
	check_write_stops(UNMAPPED);
}

static void
test_fault_write_read_only_stops_there(void)
{
	check_write_stops(PROT_READ);
}

static void
test_fault_write_prot_none_stops_there(void)
{
	check_write_stops(PROT_NONE);
}

static void
test_fault_read_unmapped_stops_there(void)
{
	check_read_stops(UNMAPPED);
}

static void
test_fault_read_prot_none_stops_there(void)
{
	check_read_stops(PROT_NONE);
}

static void
test_fault_read_only_can_be_read(void)
{
	struct fx_worker *w = fx_begin_bound();
	uint64_t mem, seed;
	char *own;

	if (w == NULL)
		return;
	mem = spoilt_mem(w, PROT_READ, &seed);
	own = fx_mem(w->f, LEN);
	TEST_STATUS(fx_copy(w->f, w->bond, mem + FROM, RTE_SVM_OWNER, (uintptr_t)own,
		LEN).status, RTE_SVM_ST_OK);
	TEST_EQUAL(wk_pattern_check(own, LEN, seed, FROM), LEN);
}

/* Source or target spoilt, between two workers, the other side whole. */
static void
test_fault_between_workers_stops_there(void)
{
	struct fx_worker *a = fx_begin_bound(), *b;
	uint64_t bad, whole, seed, whole_seed;
	struct rte_svm_result r;

	if (a == NULL)
		return;
	b = fx_bound(a->f);
	bad = spoilt_mem(a, PROT_NONE, &seed);
	whole = fx_worker_mem(b, LEN, &whole_seed);
	r = fx_copy(a->f, a->bond, bad + FROM, b->bond, whole, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, GOOD);
	TEST_EQUAL(r.fault_addr, bad + PAGE);
	CU_ASSERT(fx_verify(b, whole, GOOD, seed, FROM));
	CU_ASSERT(fx_verify(b, whole + GOOD, LEN - GOOD, whole_seed, GOOD));
	whole_seed = fx_do(b, WK_FILL, whole, LEN);
	r = fx_copy(a->f, b->bond, whole, a->bond, bad + FROM, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, GOOD);
	TEST_EQUAL(r.fault_addr, bad + PAGE);
	CU_ASSERT(fx_verify(a, bad + FROM, GOOD, whole_seed, 0));
}

static void
test_fault_fill_and_compare_stop_there(void)
{
	const uint64_t word = UINT64_C(0x6162636465666768);
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_op op = { .op = RTE_SVM_OP_FILL, .pattern = word, .len = LEN };
	struct rte_svm_result r;
	uint64_t mem;

	if (w == NULL)
		return;
	mem = spoilt_mem(w, PROT_NONE, NULL);
	op.dst = op.src = mem + FROM;
	op.dst_bond = op.src_bond = w->bond;
	r = fx_run_one(w->f, op);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, GOOD);
	TEST_EQUAL(r.fault_addr, mem + PAGE);
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, mem + FROM, GOOD, word), GOOD);
	op.op = RTE_SVM_OP_COMPARE_PATTERN;
	r = fx_run_one(w->f, op);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, GOOD);
	TEST_EQUAL(r.fault_addr, mem + PAGE);
}

static void
test_fault_in_owner_stops_there(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_result r;
	uint64_t mem, was;
	char *own;

	if (w == NULL)
		return;
	own = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(own != MAP_FAILED);
	/* Not unmapped: somebody else's mapping would take the place. */
	CU_ASSERT_FATAL(mprotect(own + PAGE, PAGE, PROT_NONE) == 0);
	mem = fx_worker_mem(w, LEN, &was);
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own + FROM, w->bond, mem, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, GOOD);
	TEST_EQUAL(r.fault_addr, (uintptr_t)own + PAGE);
	CU_ASSERT(fx_verify(w, mem + GOOD, LEN - GOOD, was, GOOD));
	r = fx_copy(w->f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)own + FROM, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, GOOD);
	/* Both ends its own: the direct tier. */
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, RTE_SVM_OWNER,
		(uintptr_t)own + PAGE - 100, 300);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 100);
	TEST_EQUAL(r.fault_addr, (uintptr_t)own + PAGE);
	munmap(own, 2 * PAGE);
}

/* One in the middle of a burst, its neighbours touching it on both sides. */
static void
test_fault_in_batch_fails_only_that_one(void)
{
	enum { N = 48, PIECE = 512 };
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_op ops[N] = { 0 };
	struct rte_svm_result r[N];
	uint64_t mem, seed;
	char *own;
	int i;

	if (w == NULL)
		return;
	/* Pieces 8 to 15 of each 24 lie in a page that is gone. */
	mem = fx_worker_mem(w, 6 * PAGE, NULL);
	fx_do(w, WK_MUNMAP, mem + PAGE, PAGE);
	fx_do(w, WK_MUNMAP, mem + 4 * PAGE, PAGE);
	own = fx_mem_filled(w->f, N * PIECE, &seed);
	for (i = 0; i < N; i++)
		ops[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = PIECE,
			.src = (uintptr_t)own + i * PIECE, .dst = mem + i * PIECE,
			.dst_bond = w->bond, .cookie = i };
	fx_run(w->f, ops, N, r);
	for (i = 0; i < N; i++) {
		const bool bad = i % 24 >= 8 && i % 24 < 16;

		TEST_EQUAL(r[i].cookie, i);
		TEST_STATUS(r[i].status, bad ? RTE_SVM_ST_PAGE_FAULT : RTE_SVM_ST_OK);
		TEST_EQUAL(r[i].done, bad ? 0 : PIECE);
		TEST_EQUAL(r[i].fault_addr, bad ? mem + i * PIECE : 0);
		if (!bad)
			CU_ASSERT(fx_verify(w, mem + i * PIECE, PIECE, seed, i * PIECE));
	}
}

/* ---- bad operations ---- */

static void
test_fault_bad_length_refused(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_result r;
	uint64_t mem, was;
	char *own;

	if (w == NULL)
		return;
	mem = fx_worker_mem(w, PAGE, &was);
	own = fx_mem(w->f, PAGE);
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, 0);
	TEST_STATUS(r.status, RTE_SVM_ST_BAD_LEN);
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, RTE_SVM_LEN_MAX + 1);
	TEST_STATUS(r.status, RTE_SVM_ST_BAD_LEN);
	TEST_EQUAL(r.done, 0);
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, UINT32_MAX);
	TEST_STATUS(r.status, RTE_SVM_ST_BAD_LEN);
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, UINT64_MAX - 99, 200);
	TEST_STATUS(r.status, RTE_SVM_ST_BAD_LEN);
	r = fx_copy(w->f, w->bond, UINT64_MAX - 99, RTE_SVM_OWNER, (uintptr_t)own, 200);
	TEST_STATUS(r.status, RTE_SVM_ST_BAD_LEN);
	CU_ASSERT(fx_verify(w, mem, PAGE, was, 0));
}

/* Legal, but far more than there is: everything up to the end, then a fault. */
static void
test_fault_huge_length_stops_at_the_end(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_result r;
	uint64_t mem, seed;
	char *own;

	if (w == NULL)
		return;
	mem = fx_worker_mem(w, PAGE, &seed);
	own = fx_mem(w->f, 2 * PAGE);
	r = fx_copy(w->f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)own, RTE_SVM_LEN_MAX);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, PAGE);
	TEST_EQUAL(r.fault_addr, mem + PAGE);
	TEST_EQUAL(wk_pattern_check(own, PAGE, seed, 0), PAGE);
}

static void
test_fault_bad_operation_refused(void)
{
	struct fx *f = fx_begin("");
	struct rte_svm_op op = { .op = (enum rte_svm_opcode)6, .len = 8 };
	char *own;

	if (f == NULL)
		return;
	own = fx_mem(f, 16);
	op.src = (uintptr_t)own;
	op.dst = (uintptr_t)own + 8;
	TEST_STATUS(fx_run_one(f, op).status, RTE_SVM_ST_BAD_OP);
	op.op = (enum rte_svm_opcode)255;
	TEST_STATUS(fx_run_one(f, op).status, RTE_SVM_ST_BAD_OP);
	op.op = RTE_SVM_OP_COPY;
	op.flags = 0x40;
	TEST_STATUS(fx_run_one(f, op).status, RTE_SVM_ST_BAD_DESC);
	op.flags = 0;
	TEST_STATUS(fx_run_one(f, op).status, RTE_SVM_ST_OK);
}

static void
test_fault_bond_never_given_refused(void)
{
	struct fx *f = fx_begin("");
	struct rte_svm_result r;
	char *own;

	if (f == NULL)
		return;
	own = fx_mem(f, 16);
	r = fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, UINT64_C(0x7777777), 0x10000, 8);
	TEST_STATUS(r.status, RTE_SVM_ST_BAD_SPACE);
	r = fx_copy(f, UINT64_MAX, 0x10000, RTE_SVM_OWNER, (uintptr_t)own, 8);
	TEST_STATUS(r.status, RTE_SVM_ST_BAD_SPACE);
	TEST_EQUAL(r.done, 0);
}

/* ---- fault records ---- */

static void
test_fault_record_names_the_access(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_fault rec[4];
	struct rte_svm_bond_info info;
	struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .len = 64, .cookie = 0xc00c1e };
	uint64_t mem;
	char *own;

	if (w == NULL)
		return;
	own = fx_mem(w->f, 64);
	mem = spoilt_mem(w, PROT_READ, NULL);
	CU_ASSERT_FATAL(rte_svm_bond_info_get(w->f->dev, w->bond, &info) == 0);
	TEST_EQUAL(rte_svm_fault_poll(w->f->dev, rec, 4), 0);
	op.src = (uintptr_t)own;
	op.dst = mem + 2 * PAGE - 32;
	op.dst_bond = w->bond;
	fx_do(w, WK_MPROTECT, mem + PAGE, 2 * PAGE, PROT_READ);
	fx_run_one(w->f, op);
	op.src = 0x5000;
	op.dst = (uintptr_t)own;
	op.src_bond = w->bond;
	op.dst_bond = RTE_SVM_OWNER;
	op.cookie++;
	fx_run_one(w->f, op);
	op.src_bond = RTE_SVM_OWNER;
	op.cookie++;
	fx_run_one(w->f, op);
	TEST_EQUAL(rte_svm_fault_poll(w->f->dev, rec, 4), 3);
	TEST_EQUAL(rec[0].bond, w->bond);
	TEST_EQUAL(rec[0].addr, mem + 2 * PAGE - 32);
	TEST_EQUAL(rec[0].cookie, 0xc00c1e);
	TEST_EQUAL(rec[0].pasid, info.pasid);
	TEST_EQUAL(rec[0].write, 1);
	TEST_STATUS((enum rte_svm_status)rec[0].status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(rec[1].bond, w->bond);
	TEST_EQUAL(rec[1].addr, 0x5000);
	TEST_EQUAL(rec[1].cookie, 0xc00c1f);
	TEST_EQUAL(rec[1].write, 0);
	TEST_EQUAL(rec[2].bond, RTE_SVM_OWNER);
	TEST_EQUAL(rec[2].addr, 0x5000);
	TEST_EQUAL(rec[2].pasid, 0);
	TEST_EQUAL(rte_svm_fault_poll(w->f->dev, rec, 4), 0);
	TEST_EQUAL(rte_svm_fault_poll(UINT16_MAX, rec, 4), -ENODEV);
}

static void
test_fault_record_of_compare_is_no_store(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_fault rec[2];

	if (w == NULL)
		return;
	fx_run_one(w->f, (struct rte_svm_op){ .op = RTE_SVM_OP_COMPARE, .len = 64,
		.src = (uintptr_t)fx_mem(w->f, 64), .dst = 0x5000, .dst_bond = w->bond });
	TEST_EQUAL(rte_svm_fault_poll(w->f->dev, rec, 2), 1);
	TEST_EQUAL(rec[0].bond, w->bond);
	TEST_EQUAL(rec[0].addr, 0x5000);
	TEST_EQUAL(rec[0].write, 0);
}

static void
test_fault_records_nobody_takes_are_counted(void)
{
	enum { N = 1200, ROOM = 1024 };
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_fault *rec;
	struct rte_svm_result *r;
	struct rte_svm_op *ops;
	struct rte_svm_stats s;
	int i, n;

	if (w == NULL)
		return;
	ops = fx_mem(w->f, N * sizeof(*ops));
	r = fx_mem(w->f, N * sizeof(*r));
	rec = fx_mem(w->f, N * sizeof(*rec));
	for (i = 0; i < N; i++)
		ops[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_FILL, .len = 8, .dst = 0x4000,
			.dst_bond = w->bond, .cookie = i };
	fx_run(w->f, ops, N, r);
	s = fx_stats(w->f);
	TEST_EQUAL(s.faults, N);
	TEST_EQUAL(s.faults_lost, N - ROOM);
	n = rte_svm_fault_poll(w->f->dev, rec, N);
	TEST_EQUAL(n, ROOM);
	for (i = 0; i < n; i++)
		TEST_EQUAL(rec[i].cookie, i);
}

static const struct fx_test tests[] = {
	{ "test_fault_write_unmapped_stops_there", test_fault_write_unmapped_stops_there,
		FX_ALL },
	{ "test_fault_write_read_only_stops_there",
		test_fault_write_read_only_stops_there, FX_NOT_ALIAS },
	{ "test_fault_write_prot_none_stops_there",
		test_fault_write_prot_none_stops_there, FX_NOT_ALIAS },
	{ "test_fault_read_unmapped_stops_there", test_fault_read_unmapped_stops_there,
		FX_ALL },
	{ "test_fault_read_prot_none_stops_there", test_fault_read_prot_none_stops_there,
		FX_NOT_ALIAS },
	{ "test_fault_read_only_can_be_read", test_fault_read_only_can_be_read, FX_ALL },
	{ "test_fault_between_workers_stops_there",
		test_fault_between_workers_stops_there, FX_NOT_ALIAS },
	{ "test_fault_fill_and_compare_stop_there",
		test_fault_fill_and_compare_stop_there, FX_NOT_ALIAS },
	{ "test_fault_in_owner_stops_there", test_fault_in_owner_stops_there, FX_ALL },
	{ "test_fault_in_batch_fails_only_that_one",
		test_fault_in_batch_fails_only_that_one, FX_ALL },
	{ "test_fault_bad_length_refused", test_fault_bad_length_refused, FX_ALL },
	{ "test_fault_huge_length_stops_at_the_end",
		test_fault_huge_length_stops_at_the_end, FX_ALL },
	{ "test_fault_bad_operation_refused", test_fault_bad_operation_refused, FX_ALL },
	{ "test_fault_bond_never_given_refused", test_fault_bond_never_given_refused,
		FX_ALL },
	{ "test_fault_record_names_the_access", test_fault_record_names_the_access,
		FX_NOT_ALIAS },
	{ "test_fault_record_of_compare_is_no_store",
		test_fault_record_of_compare_is_no_store, FX_ONE },
	{ "test_fault_records_nobody_takes_are_counted",
		test_fault_records_nobody_takes_are_counted, FX_ALL },
};

int
test_fault_suite(void)
{
	return fx_add_tests("fault", tests, sizeof(tests) / sizeof(tests[0]));
}
