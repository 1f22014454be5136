/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes through windows, and that no byte beside it does. */
#include "suites.h"
#include "test_window.h"

#define BASE	1000u	/* of a window, in its target's memory */
#define LEN	8000u	/* of a window */

static void
test_window_worker_to_worker_arrives(void)
{
	static const uint32_t offs[] = { 0, 8, 400, LEN - 4096 };
	struct rte_svm_result r;
	struct win t;
	uint32_t win;
	size_t i;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, t.b->bond, t.b_mem + BASE, LEN, WIN_RW);
	for (i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
		const uint64_t at = BASE + offs[i], end = at + 4096;
		const uint64_t was = fx_do(t.b, WK_FILL, t.b_mem, WIN_LEN);

		r = win_put(&t, win, offs[i], 4096);
		TEST_STATUS(r.status, RTE_SVM_ST_OK);
		TEST_EQUAL(r.done, 4096);
		TEST_EQUAL(r.fault_addr, 0);
		CU_ASSERT(fx_verify(t.b, t.b_mem + at, 4096, t.a_seed, 0));
		CU_ASSERT(fx_verify(t.b, t.b_mem, at, was, 0));
		CU_ASSERT(fx_verify(t.b, t.b_mem + end, WIN_LEN - end, was, end));
	}
	t.b_seed = fx_do(t.b, WK_FILL, t.b_mem, WIN_LEN);
	r = win_get(&t, win, 16, LEN - 16);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, LEN - 16);
	CU_ASSERT(fx_verify(t.a, t.a_mem, LEN - 16, t.b_seed, BASE + 16));
	CU_ASSERT(fx_verify(t.a, t.a_mem + LEN, WIN_LEN - LEN, t.a_seed, LEN));
	win_untouched(&t);
}

static void
test_window_owner_arrives(void)
{
	struct rte_svm_result r;
	struct win t;
	uint32_t win;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own + BASE, LEN, WIN_RW);
	r = win_get(&t, win, 0, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, LEN);
	CU_ASSERT(fx_verify(t.a, t.a_mem, LEN, t.own_seed, BASE));
	win_untouched(&t);
	t.a_seed = fx_do(t.a, WK_FILL, t.a_mem, WIN_LEN);
	r = win_put(&t, win, 24, 4096);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, 4096);
	TEST_EQUAL(wk_pattern_check(t.own + BASE + 24, 4096, t.a_seed, 0), 4096);
	TEST_EQUAL(wk_pattern_check(t.own, BASE + 24, t.own_seed, 0), BASE + 24);
	TEST_EQUAL(wk_pattern_check(t.own + BASE + 4120, WIN_LEN - BASE - 4120, t.own_seed,
		BASE + 4120), WIN_LEN - BASE - 4120);
}

/* The grantee's own memory is no side of these. */
static void
test_window_on_both_sides_arrives(void)
{
	struct fx_worker *c;
	struct win_op op = { .op = RTE_SVM_OP_COPY, .src = 40, .dst = 80, .len = 5000 };
	uint32_t of_b, of_c, of_own, of_own2;
	uint64_t c_mem, own_seed;
	struct win t;
	char *own;

	if (!win_begin(&t, ""))
		return;
	c = fx_bound(t.f);
	c_mem = fx_worker_mem(c, WIN_LEN, NULL);
	own = fx_mem_filled(t.f, WIN_LEN, &own_seed);
	of_b = win_grant(&t, t.b->bond, t.b_mem, LEN, RTE_SVM_WINDOW_READ);
	of_c = win_grant(&t, c->bond, c_mem, LEN, RTE_SVM_WINDOW_WRITE);
	of_own = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own, LEN, RTE_SVM_WINDOW_READ);
	of_own2 = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)own, LEN, WIN_RW);
	op.src_window = of_b;
	op.dst_window = of_c;
	TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(c, c_mem + 80, 5000, t.b_seed, 40));
	op.src_window = of_own;
	TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(c, c_mem + 80, 5000, t.own_seed, 40));
	op.dst_window = of_own2;
	TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
	TEST_EQUAL(wk_pattern_check(own + 80, 5000, t.own_seed, 40), 5000);
	op.src_window = of_b;
	TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
	TEST_EQUAL(wk_pattern_check(own + 80, 5000, t.b_seed, 40), 5000);
	TEST_EQUAL(wk_pattern_check(own, 80, own_seed, 0), 80);
	TEST_EQUAL(wk_pattern_check(own + 5080, WIN_LEN - 5080, own_seed, 5080),
		WIN_LEN - 5080);
	win_untouched(&t);
	CU_ASSERT(fx_verify(t.a, t.a_mem, WIN_LEN, t.a_seed, 0));
}

static void
test_window_onto_the_grantee_itself_arrives(void)
{
	struct win t;
	uint32_t win;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, t.a->bond, t.a_mem + 10000, LEN, RTE_SVM_WINDOW_WRITE);
	TEST_STATUS(win_put(&t, win, 0, LEN).status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(t.a, t.a_mem + 10000, LEN, t.a_seed, 0));
}

/* In slices, and in as many turns as it takes. */
static void
test_window_long_within_owner_arrives(void)
{
	const uint32_t len = (4u << 20) + 13;
	struct win_op op = { .op = RTE_SVM_OP_COPY, .len = len };
	struct rte_svm_result r;
	uint64_t seed;
	char *src, *dst;
	struct win t;

	if (!win_begin(&t, ""))
		return;
	src = fx_mem_filled(t.f, len, &seed);
	dst = fx_mem(t.f, len + 8);
	op.src_window = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)src, len, WIN_RW);
	op.dst_window = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)dst, len, WIN_RW);
	r = win_run(&t, op);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
	TEST_EQUAL(wk_pattern_check(dst, len, seed, 0), len);
	TEST_EQUAL(dst[len], 0);
	op.op = RTE_SVM_OP_COMPARE;
	r = win_run(&t, op);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
	dst[len - 1] ^= 1;
	r = win_run(&t, op);
	TEST_STATUS(r.status, RTE_SVM_ST_MISMATCH);
	TEST_EQUAL(r.done, len - 1);
	TEST_EQUAL(r.fault_addr, len - 1);
	op.op = RTE_SVM_OP_FILL;
	op.pattern = UINT64_C(0x1122334455667788);
	TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
	op.op = RTE_SVM_OP_COMPARE_PATTERN;
	op.src_window = op.dst_window;
	r = win_run(&t, op);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
	TEST_EQUAL(dst[len], 0);
}

/* ---- scatter-gather ---- */

static void
sg_through(const struct win *t, uint32_t src_window, uint64_t src, uint32_t dst_window,
		uint64_t dst)
{
	struct wk_req req = { .cmd = WK_SG, .src_window = src_window,
		.dst_window = dst_window, .a = { t->q, src, dst, 504, 13, 96 } };
	struct wk_rep rep;

	TEST_EQUAL(fx_try(t->a, &req, &rep), 0);
	TEST_STATUS((enum rte_svm_status)rep.v[0], RTE_SVM_ST_OK);
	TEST_EQUAL(rep.v[1], 13 * 504);
}

static void
test_window_sg_arrives(void)
{
	uint32_t win, of_own, of_own2, i;
	struct win t;
	char *own;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, t.b->bond, t.b_mem + BASE, LEN, WIN_RW);
	own = fx_mem(t.f, WIN_LEN);
	of_own = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own, LEN, RTE_SVM_WINDOW_READ);
	of_own2 = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)own, LEN, RTE_SVM_WINDOW_WRITE);
	sg_through(&t, 0, t.a_mem, win, 48);
	sg_through(&t, of_own, 8, of_own2, 48);
	for (i = 0; i < 13; i++) {
		const uint64_t at = BASE + 48 + i * 600, gap = at + 504;

		CU_ASSERT(fx_verify(t.b, t.b_mem + at, 504, t.a_seed, i * 600));
		CU_ASSERT(fx_verify(t.b, t.b_mem + gap, 96, t.b_seed, gap));
		TEST_EQUAL(wk_pattern_check(own + 48 + i * 600, 504, t.own_seed, 8 + i * 600),
			504);
		TEST_EQUAL(own[48 + i * 600 + 504], 0);
	}
}

/* ---- fill and compare ---- */

static void
test_window_fill_and_compare_arrive(void)
{
	const uint64_t word = UINT64_C(0x0102030405060708);
	uint32_t wins[2], i;
	struct win t;

	if (!win_begin(&t, ""))
		return;
	wins[0] = win_grant(&t, t.b->bond, t.b_mem + BASE, LEN, WIN_RW);
	wins[1] = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own + BASE, LEN, WIN_RW);
	for (i = 0; i < 2; i++) {
		struct win_op op = { .op = RTE_SVM_OP_FILL, .dst_window = wins[i], .dst = 80,
			.len = 5004, .pattern = ~word };
		struct rte_svm_result r;

		/* So that the byte behind differs from the word in any case. */
		TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
		op.len = 5003;
		op.pattern = word;
		r = win_run(&t, op);
		TEST_STATUS(r.status, RTE_SVM_ST_OK);
		TEST_EQUAL(r.done, 5003);
		op = (struct win_op){ .op = RTE_SVM_OP_COMPARE_PATTERN, .len = 5003,
			.src_window = wins[i], .src = 80, .pattern = word };
		TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
		op.len = 5004;
		r = win_run(&t, op);
		TEST_STATUS(r.status, RTE_SVM_ST_MISMATCH);
		TEST_EQUAL(r.done, 5003);
		TEST_EQUAL(r.fault_addr, 5083);
		TEST_STATUS(win_put(&t, wins[i], 0, LEN).status, RTE_SVM_ST_OK);
		op = (struct win_op){ .op = RTE_SVM_OP_COMPARE, .len = LEN,
			.src_window = wins[i], .dst = t.a_mem };
		TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
		op.src = 1;
		op.len = 100;
		r = win_run(&t, op);
		TEST_STATUS(r.status, RTE_SVM_ST_MISMATCH);
		TEST_EQUAL(r.fault_addr, 1 + r.done);
	}
	/* Nothing but the windows. */
	CU_ASSERT(fx_verify(t.b, t.b_mem, BASE, t.b_seed, 0));
	TEST_EQUAL(wk_pattern_check(t.own, BASE, t.own_seed, 0), BASE);
}

static const struct fx_test tests[] = {
	{ "test_window_worker_to_worker_arrives", test_window_worker_to_worker_arrives, FX_ALL },
	{ "test_window_owner_arrives", test_window_owner_arrives, FX_ALL },
	{ "test_window_on_both_sides_arrives", test_window_on_both_sides_arrives, FX_ALL },
	{ "test_window_onto_the_grantee_itself_arrives",
		test_window_onto_the_grantee_itself_arrives, FX_ALL },
	{ "test_window_long_within_owner_arrives", test_window_long_within_owner_arrives,
		FX_ALL },
	{ "test_window_sg_arrives", test_window_sg_arrives, FX_ALL },
	{ "test_window_fill_and_compare_arrive", test_window_fill_and_compare_arrive, FX_ALL },
};

int
test_window_suite(void)
{
	return fx_add_tests("window", tests, sizeof(tests) / sizeof(tests[0]));
}
