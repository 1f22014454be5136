/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers' memory that is mapped in the owner as well: what goes which way, and that
 * it makes no difference to what arrives. Each behaviour of the other suites holds
 * there in the rows "alias"; here is what is only there.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "suites.h"
#include "svm_alias.h"
#include "svm_dev.h"
#include "test_alias.h"

#define LEN	(4 * ALIAS_PAGE)

struct test_alias_mem
test_alias_mem(struct fx_worker *w, size_t len)
{
	struct wk_rep rep;

	if (fx_alias_alloc(w, len, &rep) != 0)
		test_fail("no sealed memory");
	return (struct test_alias_mem){ .w = w, .addr = rep.v[0], .fd = rep.v[1],
		.other = rep.v[2], .len = len };
}

/* What these operations did by the alias tier and by CMA. */
struct ways {
	uint64_t alias, alias_bytes, cma;
};

static struct ways
ways_of(struct fx *f, const struct rte_svm_op *ops, uint32_t n, struct rte_svm_result *r)
{
	struct rte_svm_stats a, b;

	fx_alias_warm(f);
	a = fx_stats(f);
	fx_run(f, ops, n, r);
	b = fx_stats(f);
	return (struct ways){ .alias = b.alias_ops - a.alias_ops,
		.alias_bytes = b.alias_bytes - a.alias_bytes, .cma = b.cma_pieces - a.cma_pieces };
}

/*
 * One that is to go by alias alone. Ranges count while somebody has looked not long
 * ago, and on a busy machine that may be too long: then it goes again.
 */
static void
goes_alias(struct fx *f, const struct rte_svm_op *op, struct rte_svm_result *r)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct ways ways;

	do {
		ways = ways_of(f, op, 1, r);
		if (fx_now_ms() > end)
			test_fail("it goes by CMA");
	} while (ways.alias != 1 || ways.cma != 0);
	TEST_EQUAL(ways.alias_bytes, op->op <= RTE_SVM_OP_FILL ? r->done : 0);
}

static void
copy_alias(struct fx *f, uint64_t src_bond, uint64_t src, uint64_t dst_bond, uint64_t dst,
		uint32_t len)
{
	const struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .src = src, .dst = dst,
		.src_bond = src_bond, .dst_bond = dst_bond, .len = len };
	struct rte_svm_result r;

	goes_alias(f, &op, &r);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
}

static struct ways
ways_copy(struct fx *f, uint64_t src_bond, uint64_t src, uint64_t dst_bond, uint64_t dst,
		uint32_t len)
{
	const struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .src = src, .dst = dst,
		.src_bond = src_bond, .dst_bond = dst_bond, .len = len };
	struct rte_svm_result r;
	const struct ways ways = ways_of(f, &op, 1, &r);

	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(r.done, len);
	return ways;
}

static void
test_alias_copy_goes_that_way(void)
{
	struct fx_worker *w = fx_begin_bound();
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	const uint64_t seed = fx_do(w, WK_FILL, m.addr, LEN);
	struct fx *f = w->f;
	uint64_t own_seed;
	void *own = fx_mem(f, LEN), *src = fx_mem_filled(f, LEN, &own_seed);

	copy_alias(f, w->bond, m.addr + 1, RTE_SVM_OWNER, (uintptr_t)own, LEN - 1);
	TEST_EQUAL(((uint8_t *)own)[0], (uint8_t)(wk_word(seed, 0) >> 8));
	copy_alias(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, m.addr, LEN);
	CU_ASSERT(fx_verify(w, m.addr, LEN, own_seed, 0));
}

static void
test_alias_partly_covered_arrives(void)
{
	struct fx_worker *w = fx_begin_bound();
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	struct fx *f = w->f;
	uint64_t seed;
	void *own = fx_mem_filled(f, LEN, &seed);
	struct ways ways;

	/* The second page is the worker's alone now, as far as the owner knows. */
	TEST_EQUAL(svm_dev_mem_unmap(fx_dev(f), w->bond, m.addr + ALIAS_PAGE, ALIAS_PAGE), 0);
	ways = ways_copy(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, m.addr, LEN);
	CU_ASSERT(ways.cma >= 1);
	CU_ASSERT(fx_verify(w, m.addr, LEN, seed, 0));
	ways = ways_copy(f, RTE_SVM_OWNER, (uintptr_t)own + 5, w->bond, m.addr + ALIAS_PAGE, 8);
	TEST_EQUAL(ways.alias, 0);
	copy_alias(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, m.addr, ALIAS_PAGE);
}

static void
test_alias_mixed_sides_arrive(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *a = fx_bound(f), *b = fx_bound(f);
	const struct test_alias_mem ma = test_alias_mem(a, LEN), mb = test_alias_mem(b, LEN);
	const uint64_t stack_a = fx_do(a, WK_ALLOC, WK_MEM_STACK, LEN);
	const uint64_t stack_b = fx_do(b, WK_ALLOC, WK_MEM_STACK, LEN);
	uint64_t seed = fx_do(a, WK_FILL, ma.addr, LEN);
	struct ways ways;

	copy_alias(f, a->bond, ma.addr, b->bond, mb.addr, LEN);
	CU_ASSERT(fx_verify(b, mb.addr, LEN, seed, 0));
	/* Alias to CMA, and back. */
	ways = ways_copy(f, a->bond, ma.addr, b->bond, stack_b, LEN);
	TEST_EQUAL(ways.alias, 0);
	CU_ASSERT(fx_verify(b, stack_b, LEN, seed, 0));
	seed = fx_do(a, WK_FILL, stack_a, LEN);
	ways = ways_copy(f, a->bond, stack_a, b->bond, mb.addr, LEN);
	TEST_EQUAL(ways.alias, 0);
	CU_ASSERT(fx_verify(b, mb.addr, LEN, seed, 0));
	/* Within one worker. */
	copy_alias(f, b->bond, mb.addr, b->bond, mb.addr + LEN / 2, LEN / 2);
	CU_ASSERT(fx_verify(b, mb.addr + LEN / 2, LEN / 2, seed, 0));
}

static void
test_alias_large_goes_in_slices(void)
{
	enum { BIG = 3 * SVM_ALIAS_SLICE + 12345 };
	struct fx_worker *w = fx_begin_bound();
	const struct test_alias_mem m = test_alias_mem(w, BIG);
	struct fx *f = w->f;
	uint64_t seed;
	void *own = fx_mem_filled(f, BIG, &seed);

	copy_alias(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, m.addr, BIG);
	CU_ASSERT(fx_verify(w, m.addr, BIG, seed, 0));
}

static void
test_alias_other_operations_go_that_way(void)
{
	struct fx_worker *w = fx_begin_bound();
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	const uint64_t word = UINT64_C(0x1122334455667788);
	struct rte_svm_op ops[] = {
		{ .op = RTE_SVM_OP_FILL, .dst = m.addr, .dst_bond = w->bond, .len = LEN,
			.pattern = word },
		{ .op = RTE_SVM_OP_COMPARE_PATTERN, .src = m.addr, .src_bond = w->bond,
			.len = LEN, .pattern = word },
		{ .op = RTE_SVM_OP_COMPARE, .src = m.addr, .src_bond = w->bond,
			.dst = m.addr + LEN / 2, .dst_bond = w->bond, .len = LEN / 2 },
	};
	struct rte_svm_result r[3];
	struct fx *f = w->f;
	uint32_t i;

	for (i = 0; i != 3; i++) {
		goes_alias(f, &ops[i], &r[i]);
		TEST_STATUS(r[i].status, RTE_SVM_ST_OK);
		TEST_EQUAL(r[i].done, ops[i].len);
	}
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, m.addr, LEN, word), LEN);
	ops[1].pattern ^= UINT64_C(1) << 40;
	goes_alias(f, &ops[1], r);
	TEST_STATUS(r[0].status, RTE_SVM_ST_MISMATCH);
	TEST_EQUAL(r[0].done, 5);
	TEST_EQUAL(r[0].fault_addr, m.addr + 5);
}

static void
test_alias_fault_in_owner_stops_there(void)
{
	struct fx_worker *w = fx_begin_bound();
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	struct rte_svm_result r;

	fx_alias_warm(w->f);
	r = fx_copy(w->f, w->bond, m.addr, RTE_SVM_OWNER, 0x1000, 64);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 0);
	TEST_EQUAL(r.fault_addr, 0x1000);
	r = fx_copy(w->f, RTE_SVM_OWNER, 0x1000, w->bond, m.addr, 64);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.fault_addr, 0x1000);
}

static void
test_alias_range_that_ends_faults_there(void)
{
	struct fx_worker *w = fx_begin_bound();
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	void *own = fx_mem(w->f, 2 * LEN);
	struct rte_svm_result r;

	/* Behind it stands a page that nobody may touch. */
	fx_alias_warm(w->f);
	r = fx_copy(w->f, w->bond, m.addr + LEN - 100, RTE_SVM_OWNER, (uintptr_t)own, 200);
	TEST_STATUS(r.status, RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(r.done, 100);
	TEST_EQUAL(r.fault_addr, m.addr + LEN);
}

static void
test_alias_tier_cma_has_none(void)
{
	struct fx *f = fx_begin("tier=cma");
	struct fx_worker *w = fx_bound(f);
	struct rte_svm_info info;
	struct wk_rep rep;
	const struct wk_req req = { .cmd = WK_ALLOC, .a = { WK_MEM_SEALED, LEN } };

	fx_send(w, &req);
	CU_ASSERT_EQUAL_FATAL(fx_answer(w, &rep), 0);
	TEST_EQUAL(fx_alias_map(w, rep.v[0], LEN, rep.v[1], 0), -EOPNOTSUPP);
	TEST_EQUAL(svm_dev_mem_unmap(fx_dev(f), w->bond, rep.v[0], LEN), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(rte_svm_info_get(f->dev, &info), 0);
	TEST_EQUAL(info.tiers, RTE_SVM_TIERS_CMA);
	fx_check_moves(f, w);
	TEST_EQUAL(fx_stats(f).alias_ops, 0);
}

static void
test_alias_no_bond_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	const uint64_t bond = w->bond;

	TEST_EQUAL(svm_dev_mem_unmap(fx_dev(f), bond, m.addr + LEN, ALIAS_PAGE), -ENOENT);
	TEST_EQUAL(fx_unbind(f, bond), 0);
	TEST_EQUAL(fx_alias_map(w, m.addr, LEN, m.fd, 0), -ENOENT);
	TEST_EQUAL(svm_dev_mem_unmap(fx_dev(f), bond, m.addr, LEN), -ENOENT);
	/* Bound again, it begins with nothing, and can have all again. */
	CU_ASSERT_EQUAL_FATAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
	TEST_EQUAL(svm_dev_mem_unmap(fx_dev(f), w->bond, m.addr, LEN), -ENOENT);
	TEST_EQUAL(fx_alias_map(w, m.addr, LEN, m.fd, 0), 0);
	TEST_EQUAL(fx_alias_map(w, m.addr, LEN, m.fd, 0), -EEXIST);
}

static void
test_alias_other_descriptors_are_no_events(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	unsigned int fds;
	int pipefd[2];

	/* Makes the bond's table. */
	test_alias_mem(w, LEN);
	fds = fx_count_fds();
	CU_ASSERT_EQUAL_FATAL(pipe(pipefd), 0);
	TEST_EQUAL(svm_dev_mem_watch(fx_dev(f), w->bond, pipefd[0]), -EINVAL);
	TEST_EQUAL(svm_dev_mem_watch(fx_dev(f), w->bond + 1, pipefd[1]), -ENOENT);
	TEST_EQUAL(fx_count_fds(), fds);
}

int
test_alias_suite(void)
{
	static const struct fx_test tests[] = {
#define T(fn, rows) { #fn, fn, rows }
		T(test_alias_copy_goes_that_way, FX_ALL),
		T(test_alias_partly_covered_arrives, FX_ALL),
		T(test_alias_mixed_sides_arrive, FX_ALL),
		T(test_alias_large_goes_in_slices, FX_ALL),
		T(test_alias_other_operations_go_that_way, FX_ALL),
		T(test_alias_fault_in_owner_stops_there, FX_ALL),
		T(test_alias_range_that_ends_faults_there, FX_ALL),
		T(test_alias_tier_cma_has_none, FX_ONE),
		T(test_alias_no_bond_refused, FX_ONE),
		T(test_alias_other_descriptors_are_no_events, FX_ONE),
#undef T
	};

	return fx_add_tests("alias", tests, sizeof(tests) / sizeof(tests[0]));
}
