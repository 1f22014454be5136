/* SPDX-License-Identifier: BSD-3-Clause */
/* What windows refuse, and what a fault behind one looks like from both sides. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suites.h"
#include "test_window.h"

#define BASE	4096u
#define LEN	8000u
#define PAGE	4096u

/* Every way to leave a window, for one side of an operation. */
static void
overrun(const struct win *t, uint32_t window)
{
	static const struct { uint64_t off; uint32_t len; } out[] = {
		{ 0, LEN + 1 }, { 1, LEN }, { LEN - 1, 2 }, { LEN, 1 }, { LEN + 1, 1 },
		{ LEN + 64, 64 }, { UINT64_MAX, 1 }, { UINT64_MAX, 2 }, { UINT64_MAX - 63, 64 },
		{ UINT64_MAX - 63, 65 }, { UINT64_MAX - 7, LEN + 7 }, { 1ull << 63, 1 },
		{ (1ull << 32), 64 }, { UINT64_MAX - BASE + 1, 64 }, { 0, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		WIN_REFUSED(win_put(t, window, out[i].off, out[i].len), RTE_SVM_ST_BAD_LEN);
		WIN_REFUSED(win_get(t, window, out[i].off, out[i].len), RTE_SVM_ST_BAD_LEN);
		WIN_REFUSED(win_run(t, (struct win_op){ .op = RTE_SVM_OP_FILL,
			.dst_window = window, .dst = out[i].off, .len = out[i].len }),
			RTE_SVM_ST_BAD_LEN);
		WIN_REFUSED(win_run(t, (struct win_op){ .op = RTE_SVM_OP_COMPARE,
			.src = t->a_mem, .dst_window = window, .dst = out[i].off,
			.len = out[i].len }), RTE_SVM_ST_BAD_LEN);
	}
	win_untouched(t);
	CU_ASSERT(fx_verify(t->a, t->a_mem, WIN_LEN, t->a_seed, 0));
	/* The first and the last byte, and all of it, do pass. */
	TEST_STATUS(win_put(t, window, 0, 1).status, RTE_SVM_ST_OK);
	TEST_STATUS(win_put(t, window, LEN - 1, 1).status, RTE_SVM_ST_OK);
	TEST_STATUS(win_put(t, window, 0, LEN).status, RTE_SVM_ST_OK);
}

static void
test_window_overrun_of_worker_refused(void)
{
	struct win t;

	if (!win_begin(&t, ""))
		return;
	overrun(&t, win_grant(&t, t.b->bond, t.b_mem + BASE, LEN, WIN_RW));
	CU_ASSERT(fx_verify(t.b, t.b_mem, BASE, t.b_seed, 0));
	CU_ASSERT(fx_verify(t.b, t.b_mem + BASE + LEN, WIN_LEN - BASE - LEN, t.b_seed,
		BASE + LEN));
}

static void
test_window_overrun_of_owner_refused(void)
{
	struct win t;

	if (!win_begin(&t, ""))
		return;
	overrun(&t, win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own + BASE, LEN, WIN_RW));
	TEST_EQUAL(wk_pattern_check(t.own, BASE, t.own_seed, 0), BASE);
	TEST_EQUAL(wk_pattern_check(t.own + BASE + LEN, WIN_LEN - BASE - LEN, t.own_seed,
		BASE + LEN), WIN_LEN - BASE - LEN);
}

/* The good segments before a bad one do not run either. */
static void
test_window_sg_with_a_bad_segment_refused(void)
{
	struct wk_req req = { .cmd = WK_SG };
	uint64_t targets[2], bases[2];
	struct wk_rep rep;
	struct win t;
	int i;

	if (!win_begin(&t, ""))
		return;
	targets[0] = t.b->bond;
	bases[0] = t.b_mem;
	targets[1] = RTE_SVM_OWNER;
	bases[1] = (uintptr_t)t.own;
	for (i = 0; i < 2; i++) {
		/* 8 pieces of 100 bytes, 100 apart: the last one ends at 1500. */
		const uint32_t win = win_grant(&t, targets[i], bases[i], 1499, WIN_RW);

		memcpy(req.a, (const uint64_t []){ t.q, t.a_mem, 0, 100, 8, 100 },
			sizeof(req.a));
		req.dst_window = win;
		req.src_window = 0;
		TEST_EQUAL(fx_try(t.a, &req, &rep), 0);
		TEST_STATUS((enum rte_svm_status)rep.v[0], RTE_SVM_ST_BAD_LEN);
		TEST_EQUAL(rep.v[1] | rep.v[2], 0);
		req.a[1] = 0;
		req.a[2] = t.a_mem;
		req.src_window = win;
		req.dst_window = 0;
		TEST_EQUAL(fx_try(t.a, &req, &rep), 0);
		TEST_STATUS((enum rte_svm_status)rep.v[0], RTE_SVM_ST_BAD_LEN);
		TEST_EQUAL(rep.v[1] | rep.v[2], 0);
	}
	win_untouched(&t);
	CU_ASSERT(fx_verify(t.a, t.a_mem, WIN_LEN, t.a_seed, 0));
}

/* ---- the edges of the address space ---- */

static void
test_window_at_the_edges_of_the_address_space(void)
{
	static const uint64_t bases[] = { UINT64_MAX - LEN, UINT64_MAX - LEN - 1,
		1ull << 63, (1ull << 47) - LEN / 2, 0xffff800000000000ull };
	struct win t;
	size_t i;

	if (!win_begin(&t, ""))
		return;
	for (i = 0; i < 2 * sizeof(bases) / sizeof(bases[0]); i++) {
		const uint64_t base = bases[i / 2];
		const uint32_t win = win_grant(&t, i % 2 ? t.b->bond : RTE_SVM_OWNER, base,
			LEN, WIN_RW);
		struct rte_svm_result r;

		r = win_put(&t, win, 0, 64);
		TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
		TEST_EQUAL(r.done, 0);
		TEST_EQUAL(r.fault_addr, 0);
		r = win_get(&t, win, LEN - 64, 64);
		TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
		TEST_EQUAL(r.done, 0);
		TEST_EQUAL(r.fault_addr, LEN - 64);
		WIN_REFUSED(win_put(&t, win, LEN - 64, 65), RTE_SVM_ST_BAD_LEN);
	}
	win_untouched(&t);
}

/* All that an address can say: offsets are addresses then. */
static void
test_window_of_a_whole_address_space(void)
{
	struct rte_svm_result r;
	struct win t;
	uint32_t win;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, t.b->bond, 0, UINT64_MAX, WIN_RW);
	TEST_STATUS(win_put(&t, win, t.b_mem, 4096).status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(t.b, t.b_mem, 4096, t.a_seed, 0));
	r = win_put(&t, win, 0x1000, 64);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.fault_addr, 0x1000);
	r = win_put(&t, win, UINT64_MAX - 64, 64);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.fault_addr, UINT64_MAX - 64);
	WIN_REFUSED(win_put(&t, win, UINT64_MAX - 63, 64), RTE_SVM_ST_BAD_LEN);
	WIN_REFUSED(win_put(&t, win, UINT64_MAX, 64), RTE_SVM_ST_BAD_LEN);
}

/* ---- faults ---- */

/* The owner's record of the last operation: the address itself. */
static void
expect_record(const struct win *t, uint64_t bond, uint64_t addr, bool write)
{
	struct rte_svm_fault f[4];

	TEST_EQUAL(rte_svm_fault_poll(t->f->dev, f, 4), 1);
	TEST_EQUAL(f[0].bond, bond);
	TEST_EQUAL(f[0].addr, addr);
	TEST_EQUAL(f[0].write, write);
	TEST_STATUS((enum rte_svm_status)f[0].status, RTE_SVM_ST_PAGE_FAULT);
}

/* A window of which all but the first 100 bytes are not there. */
static void
faults_at(const struct win *t, uint64_t bond, uint64_t hole)
{
	const uint32_t win = win_grant(t, bond, hole - 100, PAGE, WIN_RW);
	struct win_op op = { .op = RTE_SVM_OP_COMPARE, .src = t->a_mem, .len = 200,
		.dst_window = win };
	struct rte_svm_result r;

	r = win_put(t, win, 20, 200);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 80);
	TEST_EQUAL(r.fault_addr, 100);
	expect_record(t, bond, hole, true);
	/* What lies before the hole is what was just put there. */
	op.dst = 20;
	r = win_run(t, op);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 80);
	TEST_EQUAL(r.fault_addr, 100);
	expect_record(t, bond, hole, false);
	op = (struct win_op){ .op = RTE_SVM_OP_COMPARE, .src_window = win, .src = 20,
		.dst_window = win, .dst = 20, .len = 200 };
	r = win_run(t, op);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.fault_addr, 100);
	expect_record(t, bond, hole, false);
	r = win_get(t, win, 50, 200);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 50);
	TEST_EQUAL(r.fault_addr, 100);
	expect_record(t, bond, hole, false);
	r = win_run(t, (struct win_op){ .op = RTE_SVM_OP_FILL, .dst_window = win, .dst = 99,
		.len = 2 });
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 1);
	TEST_EQUAL(r.fault_addr, 100);
	expect_record(t, bond, hole, true);
	/* A fault in the worker's own memory is an address of its own. */
	op = (struct win_op){ .op = RTE_SVM_OP_COPY, .src = 0x2000, .dst_window = win,
		.len = 64 };
	r = win_run(t, op);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.fault_addr, 0x2000);
	expect_record(t, t->a->bond, 0x2000, false);
}

static void
test_window_fault_in_worker_is_an_offset(void)
{
	struct win t;
	uint64_t mem;

	if (!win_begin(&t, ""))
		return;
	/* A page that nobody may touch stands behind it. */
	mem = fx_worker_mem(t.b, PAGE, NULL);
	faults_at(&t, t.b->bond, mem + PAGE);
}

static void
test_window_fault_in_owner_is_an_offset(void)
{
	struct win t;
	char *mem;

	if (!win_begin(&t, ""))
		return;
	mem = fx_mem(t.f, 2 * PAGE);
	CU_ASSERT_FATAL(mprotect(mem + PAGE, PAGE, PROT_NONE) == 0);
	faults_at(&t, RTE_SVM_OWNER, (uintptr_t)mem + PAGE);
	CU_ASSERT(mprotect(mem + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
}

/* Both in the owner: each fault is an offset of the side where it was. */
static void
test_window_fault_on_either_side_of_owner(void)
{
	struct win_op op = { .len = 200 };
	uint32_t good, bad, i;
	struct win t;
	char *mem;

	if (!win_begin(&t, ""))
		return;
	mem = fx_mem(t.f, 2 * PAGE);
	good = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own, LEN, WIN_RW);
	bad = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)mem + PAGE - 150, 300, WIN_RW);
	memset(t.own, 0, WIN_LEN);
	CU_ASSERT_FATAL(mprotect(mem + PAGE, PAGE, PROT_NONE) == 0);
	for (i = 0; i < 4; i++) {
		struct rte_svm_result r;

		op.op = i < 2 ? RTE_SVM_OP_COPY : RTE_SVM_OP_COMPARE;
		op.src_window = i % 2 ? good : bad;
		op.dst_window = i % 2 ? bad : good;
		op.src = op.dst = 40;
		r = win_run(&t, op);
		TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
		TEST_EQUAL(r.done, 110);
		TEST_EQUAL(r.fault_addr, 150);
	}
	CU_ASSERT(mprotect(mem + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
}

/* ---- rights, and whose it is ---- */

static void
test_window_rights_hold(void)
{
	struct win_op op = { .len = 64 };
	uint32_t rd, wr;
	struct win t;
	int i;

	if (!win_begin(&t, ""))
		return;
	for (i = 0; i < 2; i++) {
		const uint64_t bond = i == 0 ? t.b->bond : RTE_SVM_OWNER;
		const uint64_t base = i == 0 ? t.b_mem : (uintptr_t)t.own;

		rd = win_grant(&t, bond, base, LEN, RTE_SVM_WINDOW_READ);
		wr = win_grant(&t, bond, base, LEN, RTE_SVM_WINDOW_WRITE);
		WIN_REFUSED(win_put(&t, rd, 0, 64), RTE_SVM_ST_BAD_SPACE);
		WIN_REFUSED(win_get(&t, wr, 0, 64), RTE_SVM_ST_BAD_SPACE);
		op = (struct win_op){ .op = RTE_SVM_OP_FILL, .dst_window = rd, .len = 64 };
		WIN_REFUSED(win_run(&t, op), RTE_SVM_ST_BAD_SPACE);
		op = (struct win_op){ .op = RTE_SVM_OP_COMPARE_PATTERN, .src_window = wr,
			.len = 64 };
		WIN_REFUSED(win_run(&t, op), RTE_SVM_ST_BAD_SPACE);
		op = (struct win_op){ .op = RTE_SVM_OP_COMPARE, .src_window = wr,
			.dst = t.a_mem, .len = 64 };
		WIN_REFUSED(win_run(&t, op), RTE_SVM_ST_BAD_SPACE);
		op = (struct win_op){ .op = RTE_SVM_OP_COMPARE, .src = t.a_mem,
			.dst_window = wr, .len = 64 };
		WIN_REFUSED(win_run(&t, op), RTE_SVM_ST_BAD_SPACE);
		win_untouched(&t);
		/* A compare reads both sides, and needs no more. */
		op.src_window = op.dst_window = rd;
		op.src = 0;
		TEST_STATUS(win_run(&t, op).status, RTE_SVM_ST_OK);
		TEST_STATUS(win_get(&t, rd, 0, 64).status, RTE_SVM_ST_OK);
		win_untouched(&t);
		TEST_STATUS(win_put(&t, wr, 0, 64).status, RTE_SVM_ST_OK);
	}
}

static void
test_window_of_another_bond_refused(void)
{
	uint32_t win;
	uint64_t q_b;
	struct win t;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own, LEN, WIN_RW);
	q_b = fx_do(t.b, WK_QUEUE, 32, 0);
	WIN_REFUSED(win_run_by(t.b, q_b, (struct win_op){ .op = RTE_SVM_OP_COPY, .src = t.b_mem,
		.dst_window = win, .len = 64 }), RTE_SVM_ST_BAD_SPACE);
	WIN_REFUSED(win_run_by(t.b, q_b, (struct win_op){ .op = RTE_SVM_OP_COPY,
		.src_window = win, .dst = t.b_mem, .len = 64 }), RTE_SVM_ST_BAD_SPACE);
	/* Not even the target's own memory, through a window of another's. */
	win = win_grant(&t, t.b->bond, t.b_mem, LEN, WIN_RW);
	WIN_REFUSED(win_run_by(t.b, q_b, (struct win_op){ .op = RTE_SVM_OP_FILL,
		.dst_window = win, .len = 64 }), RTE_SVM_ST_BAD_SPACE);
	win_untouched(&t);
}

static void
test_window_forged_id_refused(void)
{
	struct win t;
	uint32_t win, i;
	uint64_t seed;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own, LEN, WIN_RW);
	(void)fx_mem_filled(t.f, 8, &seed);
	for (i = 0; i < 300; i++) {
		uint32_t id = i < 32 ? win ^ (1u << i) : (uint32_t)wk_word(seed, i);

		if (id == 0 || id == win)
			continue;
		WIN_REFUSED(win_put(&t, id, 0, 64), RTE_SVM_ST_BAD_SPACE);
	}
	win_untouched(&t);
	TEST_STATUS(win_put(&t, win, 0, 64).status, RTE_SVM_ST_OK);
}

/* ---- what cannot be granted ---- */

static void
test_window_bad_grants_refused(void)
{
	struct rte_svm_window_conf good, c;
	struct rte_svm_window_info info;
	uint32_t win = 0;
	struct win t;

	if (!win_begin(&t, ""))
		return;
	good = (struct rte_svm_window_conf){ .grantee = t.a->bond, .target = t.b->bond,
		.base = t.b_mem, .len = LEN, .rights = WIN_RW, .user = 77 };
#define BAD(field, value, error) do { \
	c = good; \
	c.field = (value); \
	TEST_EQUAL(rte_svm_window_grant(t.f->dev, &c, &win), error); \
} while (0)
	BAD(len, 0, -EINVAL);
	BAD(len, UINT64_MAX, -EINVAL);
	BAD(len, 0 - t.b_mem, -EINVAL);
	BAD(base, 0 - (uint64_t)LEN, -EINVAL);
	BAD(rights, 0, -EINVAL);
	BAD(rights, 4, -EINVAL);
	BAD(rights, WIN_RW | 0x80000000u, -EINVAL);
	BAD(grantee, RTE_SVM_OWNER, -EINVAL);
	BAD(grantee, t.a->bond + 1, -ENOENT);
	BAD(grantee, UINT64_MAX, -ENOENT);
	BAD(target, t.b->bond ^ (1ull << 40), -ENOENT);
	BAD(target, 0xfffff, -ENOENT);
	TEST_EQUAL(rte_svm_window_grant(t.f->dev, NULL, &win), -EINVAL);
	TEST_EQUAL(rte_svm_window_grant(t.f->dev, &good, NULL), -EINVAL);
	TEST_EQUAL(rte_svm_window_grant(UINT16_MAX, &good, &win), -ENODEV);
	TEST_EQUAL(rte_svm_window_list(t.f->dev, RTE_SVM_OWNER, NULL, 0), 0);
	TEST_EQUAL(rte_svm_window_grant(t.f->dev, &good, &win), 0);
	TEST_EQUAL(rte_svm_window_info_get(t.f->dev, win, &info), 0);
	CU_ASSERT(info.window == win && info.closed == 0 && info.conf.user == 77);
	CU_ASSERT(info.conf.grantee == t.a->bond && info.conf.target == t.b->bond);
	CU_ASSERT(info.conf.base == t.b_mem && info.conf.len == LEN);
	CU_ASSERT(info.conf.rights == WIN_RW);
	TEST_EQUAL(rte_svm_window_info_get(t.f->dev, win, NULL), -EINVAL);
	TEST_EQUAL(rte_svm_window_info_get(t.f->dev, win + 1, &info), -ENOENT);
	TEST_EQUAL(rte_svm_window_info_get(t.f->dev, 0, &info), -ENOENT);
	TEST_EQUAL(rte_svm_window_info_get(UINT16_MAX, win, &info), -ENODEV);
	TEST_EQUAL(rte_svm_window_revoke(UINT16_MAX, win), -ENODEV);
	TEST_EQUAL(rte_svm_window_list(UINT16_MAX, RTE_SVM_OWNER, NULL, 0), -ENODEV);
#undef BAD
}

static const struct fx_test tests[] = {
	{ "test_window_overrun_of_worker_refused", test_window_overrun_of_worker_refused,
		FX_ONE | FX_INLINE_CMA },
	{ "test_window_overrun_of_owner_refused", test_window_overrun_of_owner_refused,
		FX_ONE | FX_INLINE_CMA },
	{ "test_window_sg_with_a_bad_segment_refused",
		test_window_sg_with_a_bad_segment_refused, FX_ONE | FX_INLINE_CMA },
	{ "test_window_at_the_edges_of_the_address_space",
		test_window_at_the_edges_of_the_address_space, FX_ALL },
	{ "test_window_of_a_whole_address_space", test_window_of_a_whole_address_space,
		FX_ALL },
	{ "test_window_fault_in_worker_is_an_offset",
		test_window_fault_in_worker_is_an_offset, FX_ALL },
	{ "test_window_fault_in_owner_is_an_offset", test_window_fault_in_owner_is_an_offset,
		FX_ALL },
	{ "test_window_fault_on_either_side_of_owner",
		test_window_fault_on_either_side_of_owner, FX_ALL },
	{ "test_window_rights_hold", test_window_rights_hold, FX_ONE | FX_INLINE_CMA },
	{ "test_window_of_another_bond_refused", test_window_of_another_bond_refused, FX_ONE },
	{ "test_window_forged_id_refused", test_window_forged_id_refused, FX_ONE },
	{ "test_window_bad_grants_refused", test_window_bad_grants_refused, FX_ONE },
};

int
test_window_range_suite(void)
{
	return fx_add_tests("window_range", tests, sizeof(tests) / sizeof(tests[0]));
}
