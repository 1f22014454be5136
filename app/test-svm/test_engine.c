/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the operations do, in the owner's memory and in workers': every byte
 * that should move does, and none beside it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fixture.h"
#include "suites.h"

#define LEN	20000
#define EDGE	64	/* bytes looked at on both sides of a target */

/* ---- copies ---- */

static void
test_engine_copy_into_worker_arrives(void)
{
	static const uint32_t lens[] = { 1, 7, 8, 63, 64, 65, 4095, 4096, 4097, 16384 };
	struct fx_worker *w = fx_begin_bound();
	uint64_t mem, seed, was;
	size_t i;
	char *src;

	if (w == NULL)
		return;
	src = fx_mem_filled(w->f, LEN, &seed);
	mem = fx_worker_mem(w, LEN, NULL);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		const uint64_t at = 1000 + i * 8, end = at + lens[i];
		const uint64_t next = (end + 7) & ~UINT64_C(7);
		struct rte_svm_result r;

		was = fx_do(w, WK_FILL, mem, LEN);
		r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, mem + at, lens[i]);
		TEST_STATUS(r.status, RTE_SVM_ST_OK);
		TEST_EQUAL(r.done, lens[i]);
		TEST_EQUAL(r.fault_addr, 0);
		CU_ASSERT(fx_verify(w, mem + at, lens[i], seed, 0));
		CU_ASSERT(fx_verify(w, mem, at, was, 0));
		CU_ASSERT(fx_verify(w, mem + next, LEN - next, was, next));
	}
}

static void
test_engine_copy_out_of_worker_arrives(void)
{
	static const uint32_t lens[] = { 1, 7, 8, 63, 64, 65, 4095, 4096, 4097, 16384 };
	struct fx_worker *w = fx_begin_bound();
	uint64_t mem, seed;
	size_t i;
	char *dst;

	if (w == NULL)
		return;
	dst = fx_mem(w->f, LEN);
	mem = fx_worker_mem(w, LEN, &seed);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct rte_svm_result r;
		uint32_t k;

		memset(dst, 0x5a, LEN);
		r = fx_copy(w->f, w->bond, mem + 8 * i, RTE_SVM_OWNER,
			(uintptr_t)dst + EDGE + i, lens[i]);
		TEST_STATUS(r.status, RTE_SVM_ST_OK);
		TEST_EQUAL(r.done, lens[i]);
		TEST_EQUAL(wk_pattern_check(dst + EDGE + i, lens[i], seed, 8 * i), lens[i]);
		for (k = 0; k < EDGE; k++)
			CU_ASSERT(dst[i + k] == 0x5a && dst[EDGE + i + lens[i] + k] == 0x5a);
	}
}

static void
test_engine_copy_between_workers_arrives(void)
{
	struct fx_worker *a = fx_begin_bound(), *b;
	uint64_t from, to, seed;
	struct rte_svm_result r;

	if (a == NULL)
		return;
	b = fx_bound(a->f);
	from = fx_worker_mem(a, LEN, &seed);
	to = fx_worker_mem(b, LEN, NULL);
	r = fx_copy(a->f, a->bond, from, b->bond, to, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, LEN);
	CU_ASSERT(fx_verify(b, to, LEN, seed, 0));
	CU_ASSERT(fx_verify(a, from, LEN, seed, 0));
}

static void
test_engine_copy_within_worker_arrives(void)
{
	struct fx_worker *w = fx_begin_bound();
	uint64_t from, to, seed;

	if (w == NULL)
		return;
	from = fx_worker_mem(w, LEN, &seed);
	to = fx_worker_mem(w, LEN, NULL);
	TEST_STATUS(fx_copy(w->f, w->bond, from, w->bond, to, LEN).status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(w, to, LEN, seed, 0));
}

static void
test_engine_copy_within_owner_arrives(void)
{
	struct fx *f = fx_begin("");
	uint64_t seed;
	char *src, *dst;
	struct rte_svm_result r;

	if (f == NULL)
		return;
	src = fx_mem_filled(f, LEN, &seed);
	dst = fx_mem(f, LEN + 8);
	r = fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, RTE_SVM_OWNER, (uintptr_t)dst, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, LEN);
	TEST_EQUAL(wk_pattern_check(dst, LEN, seed, 0), LEN);
	TEST_EQUAL(dst[LEN], 0);
}

static void
test_engine_copy_any_kind_of_memory_arrives(void)
{
	static const enum wk_mem kinds[] = { WK_MEM_MALLOC, WK_MEM_STACK, WK_MEM_PRIVATE,
		WK_MEM_SHARED };
	struct fx_worker *w = fx_begin_bound();
	uint64_t seed;
	char *src;
	size_t i;

	if (w == NULL)
		return;
	src = fx_mem_filled(w->f, LEN, &seed);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		/* Never touched before: the kernel has to find the pages. */
		const uint64_t mem = fx_do(w, WK_ALLOC, kinds[i], LEN);

		TEST_STATUS(fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, mem,
			LEN).status, RTE_SVM_ST_OK);
		CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	}
}

static void
test_engine_copy_large_arrives(void)
{
	const uint32_t len = 8u << 20;
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_result r;
	uint64_t mem, seed;
	char *own;

	if (w == NULL)
		return;
	own = fx_mem_filled(w->f, len, &seed);
	mem = fx_worker_mem(w, len, NULL);
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, len);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
	CU_ASSERT(fx_verify(w, mem, len, seed, 0));
	seed = fx_do(w, WK_FILL, mem, len);
	r = fx_copy(w->f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)own, len);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
	TEST_EQUAL(wk_pattern_check(own, len, seed, 0), len);
}

/* ---- scatter-gather ---- */

/* Pieces of odd lengths that lie apart in the worker and together in the owner. */
static uint32_t
sg_make(struct rte_svm_seg *segs, uint32_t nb, uint64_t own, uint64_t mem)
{
	uint32_t i, sum = 0;

	for (i = 0; i < nb; i++) {
		segs[i].src = own + sum;
		segs[i].dst = mem + sum + i * 24;
		segs[i].len = 40 + i * 8;
		sum += segs[i].len;
	}
	return sum;
}

static void
test_engine_sg_arrives(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_seg segs[RTE_SVM_SG_MAX];
	uint64_t mem, seed, was;
	struct rte_svm_result r;
	uint32_t len, i, at = 0;
	char *own;

	if (w == NULL)
		return;
	own = fx_mem_filled(w->f, LEN, &seed);
	mem = fx_worker_mem(w, LEN, &was);
	len = sg_make(segs, RTE_SVM_SG_MAX, (uintptr_t)own, mem);
	r = fx_run_one(w->f, (struct rte_svm_op){ .op = RTE_SVM_OP_COPY_SG, .segs = segs,
		.nb_segs = RTE_SVM_SG_MAX, .dst_bond = w->bond, .cookie = 9 });
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
	TEST_EQUAL(r.cookie, 9);
	for (i = 0; i < RTE_SVM_SG_MAX; at += segs[i++].len) {
		const uint64_t gap = segs[i].dst + segs[i].len;

		CU_ASSERT(fx_verify(w, segs[i].dst, segs[i].len, seed, at));
		CU_ASSERT(fx_verify(w, gap, 24, was, gap - mem));
	}
}

static void
test_engine_sg_fault_ends_at_the_byte(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_seg segs[4];
	uint64_t mem, seed;
	struct rte_svm_result r;
	uint32_t i, before;
	char *own;

	if (w == NULL)
		return;
	own = fx_mem_filled(w->f, LEN, &seed);
	mem = fx_worker_mem(w, 4096, NULL);
	sg_make(segs, 4, (uintptr_t)own, mem);
	segs[2].dst = mem + 4096 - 16;
	before = segs[0].len + segs[1].len;
	r = fx_run_one(w->f, (struct rte_svm_op){ .op = RTE_SVM_OP_COPY_SG, .segs = segs,
		.nb_segs = 4, .dst_bond = w->bond });
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, before + 16);
	TEST_EQUAL(r.fault_addr, mem + 4096);
	for (i = 0; i < 2; i++)
		CU_ASSERT(fx_verify(w, segs[i].dst, segs[i].len, seed,
			i == 0 ? 0 : segs[0].len));
	CU_ASSERT(fx_verify(w, segs[2].dst, 16, seed, before));
	/* What comes after the fault does not run. */
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, segs[3].dst, segs[3].len, 0), segs[3].len);
}

static void
test_engine_sg_bad_count_refused(void)
{
	struct fx *f = fx_begin("");
	struct rte_svm_seg segs[RTE_SVM_SG_MAX + 1] = { 0 };
	struct rte_svm_op ops[2] = {
		{ .op = RTE_SVM_OP_NOP },
		{ .op = RTE_SVM_OP_COPY_SG, .segs = segs, .nb_segs = RTE_SVM_SG_MAX + 1 },
	};
	struct rte_svm_result r;

	TEST_EQUAL(rte_svm_submit(f->queue, &ops[1], 1), -EINVAL);
	ops[1].nb_segs = 0;
	TEST_EQUAL(rte_svm_submit(f->queue, &ops[1], 1), -EINVAL);
	TEST_EQUAL(rte_svm_submit(f->queue, ops, 2), 1);
	while (rte_svm_poll(f->queue, &r, 1) == 0)
		fx_idle(f);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	ops[1].nb_segs = 1;
	TEST_STATUS(fx_run_one(f, ops[1]).status, RTE_SVM_ST_BAD_LEN);
}

/* ---- fill, compare, nop, fence ---- */

static void
test_engine_fill_repeats_pattern(void)
{
	const uint64_t word = UINT64_C(0x1122334455667788);
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_op op = { .op = RTE_SVM_OP_FILL, .pattern = word, .len = 5003 };
	struct rte_svm_result r;
	uint64_t mem, was;
	char *own;

	if (w == NULL)
		return;
	mem = fx_worker_mem(w, LEN, &was);
	op.dst = mem + 808;
	op.dst_bond = w->bond;
	r = fx_run_one(w->f, op);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, 5003);
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, op.dst, 5003, word), 5003);
	CU_ASSERT(fx_verify(w, mem, 808, was, 0));
	CU_ASSERT(fx_verify(w, mem + 5816, LEN - 5816, was, 5816));
	own = fx_mem(w->f, 5004);
	op.dst = (uintptr_t)own;
	op.dst_bond = RTE_SVM_OWNER;
	TEST_STATUS(fx_run_one(w->f, op).status, RTE_SVM_ST_OK);
	CU_ASSERT(memcmp(own, &word, 8) == 0 && memcmp(own + 5000, &word, 3) == 0);
	TEST_EQUAL(own[5003], 0);
}

/* One lane call carries both: the copy ends where the call's limit cuts the fill. */
static void
test_engine_fill_cut_by_batch_keeps_pattern(void)
{
	const uint64_t word = UINT64_C(0x1122334455667788);
	const uint32_t len = (4u << 20) - 13;
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_result r[2];
	struct rte_svm_op ops[2];
	uint64_t mem, to;
	char *own;

	if (w == NULL)
		return;
	own = fx_mem(w->f, len);
	mem = fx_worker_mem(w, len, NULL);
	to = fx_worker_mem(w, 104, NULL);
	ops[0] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = len,
		.src = (uintptr_t)own, .dst = mem, .dst_bond = w->bond };
	ops[1] = (struct rte_svm_op){ .op = RTE_SVM_OP_FILL, .len = 101,
		.pattern = word, .dst = to, .dst_bond = w->bond };
	fx_run(w->f, ops, 2, r);
	TEST_STATUS(r[1].status, RTE_SVM_ST_OK);
	TEST_EQUAL(r[1].done, 101);
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, to, 101, word), 101);
}

static void
test_engine_compare_equal_succeeds(void)
{
	struct fx_worker *w = fx_begin_bound(), *b;
	uint64_t mem, mem_b, seed;
	struct rte_svm_op op = { .op = RTE_SVM_OP_COMPARE, .len = LEN };
	struct rte_svm_result r;
	char *own;

	if (w == NULL)
		return;
	b = fx_bound(w->f);
	own = fx_mem_filled(w->f, LEN, &seed);
	mem = fx_worker_mem(w, LEN, NULL);
	mem_b = fx_worker_mem(b, LEN, NULL);
	fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, LEN);
	fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, b->bond, mem_b, LEN);
	op.src = mem;
	op.src_bond = w->bond;
	op.dst = (uintptr_t)own;
	r = fx_run_one(w->f, op);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, LEN);
	op.dst = mem_b;
	op.dst_bond = b->bond;
	TEST_STATUS(fx_run_one(w->f, op).status, RTE_SVM_ST_OK);
}

static void
test_engine_compare_mismatch_names_the_byte(void)
{
	static const uint32_t at[] = { 0, 1, 63, 4096, 12345, LEN - 1 };
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_op op = { .op = RTE_SVM_OP_COMPARE, .len = LEN };
	struct rte_svm_result r;
	uint64_t mem, seed;
	char *own;
	size_t i;

	if (w == NULL)
		return;
	own = fx_mem_filled(w->f, LEN, &seed);
	mem = fx_worker_mem(w, LEN, NULL);
	fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, LEN);
	op.src = mem;
	op.src_bond = w->bond;
	op.dst = (uintptr_t)own;
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		own[at[i]] ^= 1;
		r = fx_run_one(w->f, op);
		own[at[i]] ^= 1;
		TEST_STATUS(r.status, RTE_SVM_ST_MISMATCH);
		TEST_EQUAL(r.done, at[i]);
		TEST_EQUAL(r.fault_addr, mem + at[i]);
	}
}

static void
test_engine_compare_pattern_names_the_byte(void)
{
	const uint64_t word = UINT64_C(0xa1b2c3d4e5f60718);
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_op op = { .op = RTE_SVM_OP_FILL, .pattern = word, .len = 9001 };
	const char wrong = 1;
	struct rte_svm_result r;
	uint64_t mem;

	if (w == NULL)
		return;
	mem = fx_worker_mem(w, LEN, NULL);
	op.dst = mem;
	op.dst_bond = w->bond;
	TEST_STATUS(fx_run_one(w->f, op).status, RTE_SVM_ST_OK);
	op.op = RTE_SVM_OP_COMPARE_PATTERN;
	op.src = mem;
	op.src_bond = w->bond;
	r = fx_run_one(w->f, op);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, 9001);
	fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)&wrong, w->bond, mem + 7777, 1);
	r = fx_run_one(w->f, op);
	TEST_STATUS(r.status, RTE_SVM_ST_MISMATCH);
	TEST_EQUAL(r.done, 7777);
	TEST_EQUAL(r.fault_addr, mem + 7777);
}

static void
test_engine_nop_completes(void)
{
	struct fx *f = fx_begin("");
	struct rte_svm_result r;

	if (f == NULL)
		return;
	r = fx_run_one(f, (struct rte_svm_op){ .op = RTE_SVM_OP_NOP, .cookie = 42 });
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.cookie, 42);
	TEST_EQUAL(r.done, 0);
}

/* A chain of copies, each of which needs the one before it. */
static void
test_engine_fence_orders_copies(void)
{
	enum { HOPS = 24 };
	struct fx_worker *a = fx_begin_bound(), *b;
	struct rte_svm_op ops[HOPS] = { 0 };
	struct rte_svm_result r[HOPS];
	uint64_t at[HOPS + 1], bond[HOPS + 1], seed;
	int i;

	if (a == NULL)
		return;
	b = fx_bound(a->f);
	at[0] = (uintptr_t)fx_mem_filled(a->f, 4096, &seed);
	bond[0] = RTE_SVM_OWNER;
	for (i = 1; i <= HOPS; i++) {
		struct fx_worker *w = i % 3 == 1 ? a : b;

		bond[i] = i % 3 == 0 && i != HOPS ? RTE_SVM_OWNER : w->bond;
		at[i] = bond[i] == RTE_SVM_OWNER ? (uintptr_t)fx_mem(a->f, 4096) :
			fx_worker_mem(w, 4096, NULL);
	}
	for (i = 0; i < HOPS; i++)
		ops[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = 4096,
			.flags = RTE_SVM_OP_F_FENCE, .src = at[i], .src_bond = bond[i],
			.dst = at[i + 1], .dst_bond = bond[i + 1] };
	fx_run(a->f, ops, HOPS, r);
	for (i = 0; i < HOPS; i++)
		TEST_STATUS(r[i].status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(bond[HOPS] == a->bond ? a : b, at[HOPS], 4096, seed, 0));
}

static const struct fx_test tests[] = {
	{ "test_engine_copy_into_worker_arrives", test_engine_copy_into_worker_arrives,
		FX_ALL },
	{ "test_engine_copy_out_of_worker_arrives",
		test_engine_copy_out_of_worker_arrives, FX_ALL },
	{ "test_engine_copy_between_workers_arrives",
		test_engine_copy_between_workers_arrives, FX_ALL },
	{ "test_engine_copy_within_worker_arrives",
		test_engine_copy_within_worker_arrives, FX_ALL },
	{ "test_engine_copy_within_owner_arrives", test_engine_copy_within_owner_arrives,
		FX_ALL },
	{ "test_engine_copy_any_kind_of_memory_arrives",
		test_engine_copy_any_kind_of_memory_arrives, FX_ALL },
	{ "test_engine_copy_large_arrives", test_engine_copy_large_arrives, FX_ALL },
	{ "test_engine_sg_arrives", test_engine_sg_arrives, FX_ALL },
	{ "test_engine_sg_fault_ends_at_the_byte", test_engine_sg_fault_ends_at_the_byte,
		FX_ALL },
	{ "test_engine_sg_bad_count_refused", test_engine_sg_bad_count_refused, FX_ONE },
	{ "test_engine_fill_repeats_pattern", test_engine_fill_repeats_pattern, FX_ALL },
	{ "test_engine_fill_cut_by_batch_keeps_pattern",
		test_engine_fill_cut_by_batch_keeps_pattern, FX_ALL },
	{ "test_engine_compare_equal_succeeds", test_engine_compare_equal_succeeds,
		FX_ALL },
	{ "test_engine_compare_mismatch_names_the_byte",
		test_engine_compare_mismatch_names_the_byte, FX_ALL },
	{ "test_engine_compare_pattern_names_the_byte",
		test_engine_compare_pattern_names_the_byte, FX_ALL },
	{ "test_engine_nop_completes", test_engine_nop_completes, FX_ALL },
	{ "test_engine_fence_orders_copies", test_engine_fence_orders_copies, FX_ALL },
};

int
test_engine_suite(void)
{
	return fx_add_tests("engine", tests, sizeof(tests) / sizeof(tests[0]));
}
