/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues: the owner's, with their counters, and those that workers have.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "fixture.h"
#include "suites.h"

#define LEN	20000

static void
test_queue_completions_come_in_order(void)
{
	enum { N = 600 };
	struct fx_worker *a = fx_begin_bound(), *b;
	struct rte_svm_op *ops;
	struct rte_svm_result *r;
	uint64_t mem_a, mem_b;
	char *own;
	int i;

	if (a == NULL)
		return;
	b = fx_bound(a->f);
	mem_a = fx_worker_mem(a, LEN, NULL);
	mem_b = fx_worker_mem(b, LEN, NULL);
	own = fx_mem(a->f, LEN);
	ops = fx_mem(a->f, N * sizeof(*ops));
	r = fx_mem(a->f, N * sizeof(*r));
	/* Slow and quick ones, good and bad ones, of three address spaces. */
	for (i = 0; i < N; i++) {
		ops[i].op = i % 7 == 0 ? RTE_SVM_OP_NOP : RTE_SVM_OP_COPY;
		ops[i].src = (uintptr_t)own;
		ops[i].dst = i % 5 == 0 ? (uintptr_t)own + LEN / 2 : i % 2 ? mem_a : mem_b;
		ops[i].dst_bond = i % 5 == 0 ? RTE_SVM_OWNER : i % 2 ? a->bond : b->bond;
		ops[i].len = i % 11 == 0 ? 0 : i % 13 == 0 ? 8000 : 64;
		ops[i].cookie = 1000 + i;
	}
	fx_run(a->f, ops, N, r);
	for (i = 0; i < N; i++) {
		TEST_EQUAL(r[i].cookie, 1000 + i);
		TEST_STATUS(r[i].status, i % 7 == 0 || i % 11 != 0 ? RTE_SVM_ST_OK :
			RTE_SVM_ST_BAD_LEN);
	}
}

static void
test_queue_bad_depth_refused(void)
{
	static const uint32_t bad[] = { 0, 1, 16, 33, 100, 65536 };
	struct fx *f = fx_begin("");
	struct rte_svm_queue *q;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		TEST_EQUAL(rte_svm_queue_create(f->dev, bad[i], &q), -EINVAL);
	TEST_EQUAL(rte_svm_queue_create(f->dev, 64, NULL), -EINVAL);
	TEST_EQUAL(rte_svm_queue_create(UINT16_MAX, 64, &q), -ENODEV);
	TEST_EQUAL(rte_svm_queue_destroy(NULL), -EINVAL);
}

static void
test_queue_full_takes_no_more(void)
{
	struct fx *f = fx_begin("");
	struct rte_svm_op ops[FX_DEPTH + 8] = { 0 };
	struct rte_svm_result r[FX_DEPTH + 8];

	if (f == NULL)
		return;
	TEST_EQUAL(rte_svm_submit(f->queue, ops, FX_DEPTH + 8), FX_DEPTH);
	TEST_EQUAL(rte_svm_submit(f->queue, ops, 1), 0);
	while (rte_svm_poll(f->queue, r, 1) == 0)
		fx_idle(f);
	TEST_EQUAL(rte_svm_submit(f->queue, ops, 2), 1);
}

static void
test_queue_stopped_work_waits_for_start(void)
{
	struct fx *f = fx_begin("");
	uint64_t seed;
	char *src = fx_mem_filled(f, 64, &seed), *dst = fx_mem(f, 64);
	const struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .src = (uintptr_t)src,
		.dst = (uintptr_t)dst, .len = 64 };
	struct rte_svm_result r;
	int n;

	TEST_EQUAL(rte_svm_stop(f->dev), 0);
	f->started = false;
	TEST_EQUAL(rte_svm_stop(f->dev), -EINVAL);
	TEST_EQUAL(rte_svm_submit(f->queue, &op, 1), 1);
	TEST_EQUAL(rte_svm_poll(f->queue, &r, 1), 0);
	TEST_EQUAL(dst[0] | dst[63], 0);
	TEST_EQUAL(rte_svm_start(f->dev), 0);
	f->started = true;
	for (n = 0; n == 0; n = rte_svm_poll(f->queue, &r, 1))
		fx_idle(f);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(wk_pattern_check(dst, 64, seed, 0), 64);
}

/* It takes hundreds of turns, in which nothing is taken and nothing completes. */
static void
test_queue_long_operation_is_not_slept_over(void)
{
	const uint32_t len = 512u << 20;
	struct fx *f = fx_begin("idle_us=1");
	struct fx_worker *w = f != NULL ? fx_joined(f) : NULL;
	struct rte_svm_result r;
	uint64_t q, mem;

	if (w == NULL)
		return;
	q = fx_do(w, WK_QUEUE, 32, 0);
	/* Never touched, so the pages are all the one of zeros. */
	mem = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, len);
	r = fx_worker_op(w, q, RTE_SVM_OP_COMPARE_PATTERN, mem, 0, len, 0);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
}

/* An lcore that keeps every signal away. */
static void *
fault_with_signals_blocked(void *arg)
{
	struct rte_svm_queue *q = arg;
	static char dst[64];
	static struct rte_svm_result r;
	const struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .src = 0x1000,
		.dst = (uintptr_t)dst, .len = sizeof(dst) };
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	r = (struct rte_svm_result){ 0 };
	return rte_svm_submit(q, &op, 1) == 1 && rte_svm_poll(q, &r, 1) == 1 ? &r : NULL;
}

static void
test_queue_submitter_blocks_signals_faults(void)
{
	struct fx *f = fx_begin("");
	const struct rte_svm_result *r;
	pthread_t t;
	void *ret;

	if (f == NULL)
		return;
	CU_ASSERT_FATAL(pthread_create(&t, NULL, fault_with_signals_blocked, f->queue) == 0);
	pthread_join(t, &ret);
	CU_ASSERT_FATAL(ret != NULL);
	r = ret;
	TEST_STATUS(r->status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r->done, 0);
	TEST_EQUAL(r->fault_addr, 0x1000);
}

static void
test_queue_stats_count(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_seg segs[4];
	uint64_t mem;
	struct rte_svm_stats s;
	uint32_t len;
	char *own;

	if (w == NULL)
		return;
	own = fx_mem(w->f, LEN);
	mem = fx_worker_mem(w, LEN, NULL);
	TEST_EQUAL(rte_svm_stats_reset(w->f->dev), 0);
	fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, 1000);
	fx_copy(w->f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)own, 500);
	fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, 0);
	for (len = 0; len < 4 * 100; len += 100)
		segs[len / 100] = (struct rte_svm_seg){ .src = (uintptr_t)own + len,
			.dst = mem + 2 * len, .len = 100 };
	fx_run_one(w->f, (struct rte_svm_op){ .op = RTE_SVM_OP_COPY_SG, .segs = segs,
		.nb_segs = 4, .dst_bond = w->bond });
	fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, 0x2000, 8);
	s = fx_stats(w->f);
	TEST_EQUAL(s.ops, 5);
	TEST_EQUAL(s.errors, 2);
	TEST_EQUAL(s.bytes, 1500 + len);
	TEST_EQUAL(s.faults, 1);
	TEST_EQUAL(s.timeouts, 0);
	CU_ASSERT(s.moves >= 6 && s.moves <= 7);
	CU_ASSERT(s.cma_calls >= 4);
	TEST_EQUAL(rte_svm_stats_reset(w->f->dev), 0);
	s = fx_stats(w->f);
	TEST_EQUAL(s.ops + s.errors + s.bytes + s.moves + s.faults, 0);
	TEST_EQUAL(rte_svm_stats_get(UINT16_MAX, &s), -ENODEV);
	TEST_EQUAL(rte_svm_stats_get(w->f->dev, NULL), -EINVAL);
}

static void
test_queue_batch_makes_few_calls(void)
{
	enum { N = 64, PIECE = 96 };
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_op ops[N] = { 0 };
	struct rte_svm_result r[N];
	uint64_t mem, seed;
	struct rte_svm_stats s;
	char *own;
	int i;

	if (w == NULL)
		return;
	own = fx_mem_filled(w->f, N * PIECE, &seed);
	mem = fx_worker_mem(w, N * PIECE, NULL);
	for (i = 0; i < N; i++)
		ops[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = PIECE,
			.src = (uintptr_t)own + i * PIECE, .dst = mem + i * PIECE,
			.dst_bond = w->bond };
	TEST_EQUAL(rte_svm_stats_reset(w->f->dev), 0);
	fx_run(w->f, ops, N, r);
	s = fx_stats(w->f);
	CU_ASSERT(fx_verify(w, mem, N * PIECE, seed, 0));
	TEST_EQUAL(s.moves, N);
	/* They touch, so they merge; a burst may have been seen in parts. */
	CU_ASSERT(s.cma_calls >= 1 && s.cma_calls <= 8);
}

/* ---- a worker's own queue ---- */

static struct fx_worker *
begin_joined(uint64_t depth, uint64_t *queue)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;

	*queue = 0;
	if (f == NULL)
		return NULL;
	w = fx_joined(f);
	*queue = fx_do(w, WK_QUEUE, depth, 0);
	return w;
}

static void
test_queue_worker_copies_its_own_memory(void)
{
	uint64_t q, src, dst, seed;
	struct fx_worker *w = begin_joined(64, &q);
	struct rte_svm_result r;
	int i;

	if (w == NULL)
		return;
	src = fx_worker_mem(w, LEN, NULL);
	dst = fx_worker_mem(w, LEN, NULL);
	for (i = 0; i < 200; i++) {
		const uint32_t len = 1 + (i * 997) % LEN;

		seed = fx_do(w, WK_FILL, src, LEN);
		r = fx_worker_op(w, q, RTE_SVM_OP_COPY, src, dst, len, 0);
		TEST_STATUS(r.status, RTE_SVM_ST_OK);
		TEST_EQUAL(r.done, len);
		TEST_EQUAL(r.cookie, src ^ dst);
		CU_ASSERT(fx_verify(w, dst, len, seed, 0));
	}
}

static void
test_queue_worker_sg_arrives(void)
{
	uint64_t q, src, dst, seed;
	struct fx_worker *w = begin_joined(32, &q);
	struct wk_req req = { .cmd = WK_SG };
	struct wk_rep rep;
	int i;

	if (w == NULL)
		return;
	src = fx_worker_mem(w, LEN, &seed);
	dst = fx_worker_mem(w, LEN, NULL);
	memcpy(req.a, (const uint64_t []){ q, src, dst, 504, 16, 96 }, sizeof(req.a));
	TEST_EQUAL(fx_try(w, &req, &rep), 0);
	TEST_STATUS((enum rte_svm_status)rep.v[0], RTE_SVM_ST_OK);
	TEST_EQUAL(rep.v[1], 16 * 504);
	for (i = 0; i < 16; i++) {
		CU_ASSERT(fx_verify(w, dst + i * 600, 504, seed, i * 600));
		TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, dst + i * 600 + 504, 96, 0), 96);
	}
}

static void
test_queue_worker_fills_and_compares(void)
{
	const uint64_t word = UINT64_C(0x0102030405060708);
	uint64_t q, src, dst, seed;
	struct fx_worker *w = begin_joined(32, &q);
	struct rte_svm_result r;

	if (w == NULL)
		return;
	src = fx_worker_mem(w, LEN, &seed);
	dst = fx_worker_mem(w, LEN, NULL);
	TEST_STATUS(fx_worker_op(w, q, RTE_SVM_OP_FILL, 0, dst, LEN, word).status,
		RTE_SVM_ST_OK);
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, dst, LEN, word), LEN);
	TEST_STATUS(fx_worker_op(w, q, RTE_SVM_OP_COMPARE_PATTERN, dst, 0, LEN,
		word).status, RTE_SVM_ST_OK);
	r = fx_worker_op(w, q, RTE_SVM_OP_COMPARE_PATTERN, dst, 0, LEN,
		word ^ (UINT64_C(1) << 40));
	TEST_STATUS(r.status, RTE_SVM_ST_MISMATCH);
	TEST_EQUAL(r.done, 5);
	TEST_EQUAL(r.fault_addr, dst + 5);
	TEST_STATUS(fx_worker_op(w, q, RTE_SVM_OP_COPY, src, dst, LEN, 0).status,
		RTE_SVM_ST_OK);
	TEST_STATUS(fx_worker_op(w, q, RTE_SVM_OP_COMPARE, src, dst, LEN, 0).status,
		RTE_SVM_ST_OK);
	TEST_STATUS(fx_worker_op(w, q, RTE_SVM_OP_NOP, 0, 0, 0, 0).status, RTE_SVM_ST_OK);
}

static void
test_queue_worker_bad_address_faults(void)
{
	uint64_t q, src, seed;
	struct fx_worker *w = begin_joined(32, &q);
	struct rte_svm_result r;

	if (w == NULL)
		return;
	src = fx_worker_mem(w, 4096, &seed);
	r = fx_worker_op(w, q, RTE_SVM_OP_COPY, src, 0x3000, 64, 0);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 0);
	TEST_EQUAL(r.fault_addr, 0x3000);
	r = fx_worker_op(w, q, RTE_SVM_OP_FILL, 0, src + 4000, 200, 0);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 96);
	TEST_EQUAL(r.fault_addr, src + 4096);
	TEST_STATUS(fx_worker_op(w, q, RTE_SVM_OP_COPY, src, src + 2048, 0, 0).status,
		RTE_SVM_ST_BAD_LEN);
	TEST_STATUS(fx_worker_op(w, q, (enum rte_svm_opcode)99, src, src, 8, 0).status,
		RTE_SVM_ST_BAD_OP);
}

/* Free in a fresh image, with a sanitizer as well. */
#define ADDRESS	UINT64_C(0x7ea000000000)

static void
test_queue_worker_cannot_reach_another(void)
{
	uint64_t q, own, there, seed;
	struct fx_worker *w = begin_joined(32, &q), *b;
	struct rte_svm_result r;

	if (w == NULL)
		return;
	b = fx_joined(w->f);
	/* An address is always one of its own: first it has none there, then another page. */
	there = fx_do(b, WK_ALLOC, WK_MEM_PRIVATE, 4096, ADDRESS);
	seed = fx_do(b, WK_FILL, there, 4096);
	r = fx_worker_op(w, q, RTE_SVM_OP_FILL, 0, there, 4096, 0);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 0);
	own = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, 4096, ADDRESS);
	TEST_EQUAL(own, there);
	r = fx_worker_op(w, q, RTE_SVM_OP_FILL, 0, there, 4096, 7);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, own, 4096, 7), 4096);
	CU_ASSERT(fx_verify(b, there, 4096, seed, 0));
}

static void
test_queue_worker_bad_depth_refused(void)
{
	static const uint64_t bad[] = { 0, 16, 33, 65536 };
	uint64_t q;
	struct fx_worker *w = begin_joined(32, &q);
	struct wk_rep rep;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_QUEUE, .a = { bad[i] } },
			&rep), -EINVAL);
	TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_QUEUE, .a = { 32, 0x80 } },
		&rep), -EINVAL);
	/* One that is given back makes room for another. */
	fx_do(w, WK_QUEUE_END, q);
	q = fx_do(w, WK_QUEUE, 128, 0);
	TEST_STATUS(fx_worker_op(w, q, RTE_SVM_OP_NOP, 0, 0, 0, 0).status, RTE_SVM_ST_OK);
}

static void
test_queue_worker_without_bond_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_worker(f);
	struct wk_req req = { .cmd = WK_CONNECT };
	struct wk_rep rep;

	strcpy(req.text, f->socket);
	TEST_EQUAL(fx_try(w, &req, &rep), 0);
	TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_QUEUE, .a = { 32 } }, &rep),
		-ENOENT);
}

static void
test_queue_worker_many_producers_lose_nothing(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = f != NULL ? fx_joined(f) : NULL;
	uint64_t q;

	if (w == NULL)
		return;
	q = fx_do(w, WK_QUEUE, 64, 1);
	TEST_EQUAL(fx_do(w, WK_PRODUCERS, q, 4, 500, 200), 0);
}

static const struct fx_test tests[] = {
	{ "test_queue_completions_come_in_order", test_queue_completions_come_in_order,
		FX_ALL },
	{ "test_queue_bad_depth_refused", test_queue_bad_depth_refused, FX_ONE },
	{ "test_queue_full_takes_no_more", test_queue_full_takes_no_more, FX_ALL },
	{ "test_queue_stopped_work_waits_for_start",
		test_queue_stopped_work_waits_for_start, FX_ONE | FX_INLINE_CMA },
	{ "test_queue_long_operation_is_not_slept_over",
		test_queue_long_operation_is_not_slept_over, FX_THREAD_LANE | FX_THREAD_CMA },
	{ "test_queue_submitter_blocks_signals_faults",
		test_queue_submitter_blocks_signals_faults, FX_INLINE_LANE | FX_INLINE_CMA },
	{ "test_queue_stats_count", test_queue_stats_count, FX_NOT_ALIAS },
	{ "test_queue_batch_makes_few_calls", test_queue_batch_makes_few_calls, FX_NOT_ALIAS },
	{ "test_queue_worker_copies_its_own_memory",
		test_queue_worker_copies_its_own_memory, FX_ALL },
	{ "test_queue_worker_sg_arrives", test_queue_worker_sg_arrives, FX_ALL },
	{ "test_queue_worker_fills_and_compares", test_queue_worker_fills_and_compares,
		FX_ALL },
	{ "test_queue_worker_bad_address_faults", test_queue_worker_bad_address_faults,
		FX_ALL },
	{ "test_queue_worker_cannot_reach_another",
		test_queue_worker_cannot_reach_another, FX_ONE },
	{ "test_queue_worker_bad_depth_refused", test_queue_worker_bad_depth_refused,
		FX_ONE },
	{ "test_queue_worker_without_bond_refused",
		test_queue_worker_without_bond_refused, FX_ONE },
	{ "test_queue_worker_many_producers_lose_nothing",
		test_queue_worker_many_producers_lose_nothing, FX_ALL },
};

int
test_queue_suite(void)
{
	return fx_add_tests("queue", tests, sizeof(tests) / sizeof(tests[0]));
}
