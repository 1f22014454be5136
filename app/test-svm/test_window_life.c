/* SPDX-License-Identifier: BSD-3-Clause */
/* What ends a window, and that nothing goes through it afterwards. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "suites.h"
#include "test_window.h"

#define LEN	8000u
#define BIG	(8u << 20)

static void
expect_none(const struct win *t)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;

	while (rte_svm_window_list(t->f->dev, RTE_SVM_OWNER, NULL, 0) != 0 &&
			fx_now_ms() < end)
		fx_idle(t->f);
	TEST_EQUAL(rte_svm_window_list(t->f->dev, RTE_SVM_OWNER, NULL, 0), 0);
}

static void
test_window_revoked_refused(void)
{
	struct rte_svm_window_info info;
	uint32_t win, other;
	struct win t;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, t.b->bond, t.b_mem, LEN, WIN_RW);
	other = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own, LEN, RTE_SVM_WINDOW_READ);
	TEST_STATUS(win_put(&t, win, 0, 64).status, RTE_SVM_ST_OK);
	t.b_seed = fx_do(t.b, WK_FILL, t.b_mem, WIN_LEN);
	TEST_EQUAL(rte_svm_window_revoke(t.f->dev, win), 0);
	TEST_EQUAL(rte_svm_window_revoke(t.f->dev, win), -ENOENT);
	TEST_EQUAL(rte_svm_window_revoke(t.f->dev, 0), -ENOENT);
	TEST_EQUAL(rte_svm_window_revoke(t.f->dev, UINT32_MAX), -ENOENT);
	TEST_EQUAL(rte_svm_window_info_get(t.f->dev, win, &info), -ENOENT);
	WIN_REFUSED(win_put(&t, win, 0, 64), RTE_SVM_ST_BAD_SPACE);
	WIN_REFUSED(win_get(&t, win, 0, 64), RTE_SVM_ST_BAD_SPACE);
	win_untouched(&t);
	TEST_STATUS(win_get(&t, other, 0, 64).status, RTE_SVM_ST_OK);
}

/* ---- in use ---- */

/* The grantee goes on until it is refused; its answer comes then. */
static void
flood(const struct win *t, const struct win_op *op)
{
	const struct wk_req req = win_req(WK_FLOOD, t->q, op);

	fx_send(t->a, &req);
}

/* How they ended: in order OK, BAD_SPACE, BOND_DEAD, something else. */
static struct wk_rep
flood_end(const struct win *t)
{
	struct wk_rep rep;

	TEST_EQUAL(fx_answer(t->a, &rep), 0);
	return rep;
}

/* Until something has been written into the target. */
static void
await_bytes_in(const struct win *t)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_svm_bond_info info = { 0 };

	while (rte_svm_bond_info_get(t->f->dev, t->b->bond, &info) == 0 &&
			info.bytes_in == 0 && fx_now_ms() < end)
		fx_idle(t->f);
	CU_ASSERT(info.bytes_in != 0);
}

static void
await_word(const struct win *t, const volatile uint64_t *word)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;

	while (*word == 0 && fx_now_ms() < end)
		fx_idle(t->f);
	CU_ASSERT(*word != 0);
}

static void
test_window_revoke_in_use_spares_worker(void)
{
	struct win_op op = { .op = RTE_SVM_OP_COPY, .len = BIG };
	uint64_t mem, seed;
	struct wk_rep rep;
	struct win t;
	uint32_t win;

	if (!win_begin(&t, ""))
		return;
	mem = fx_worker_mem(t.b, BIG, NULL);
	win = win_grant(&t, t.b->bond, mem, BIG, WIN_RW);
	op.src = fx_worker_mem(t.a, BIG, NULL);
	op.dst_window = win;
	flood(&t, &op);
	await_bytes_in(&t);
	TEST_EQUAL(win_revoke(&t, win), 0);
	/* From here on nothing may be written there any more. */
	seed = fx_do(t.b, WK_FILL, mem, BIG);
	rep = flood_end(&t);
	CU_ASSERT(rep.v[1] > 0);
	TEST_EQUAL(rep.v[2] + rep.v[3], 0);
	CU_ASSERT(fx_verify(t.b, mem, BIG, seed, 0));
}

static void
test_window_revoke_in_use_spares_owner(void)
{
	const uint32_t len = 64u << 20;
	struct win_op op = { .op = RTE_SVM_OP_FILL, .len = len, .pattern = 1 };
	struct wk_rep rep;
	uint64_t seed;
	struct win t;
	uint32_t win;
	char *own;

	if (!win_begin(&t, ""))
		return;
	own = fx_mem(t.f, len);
	win = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)own, len, WIN_RW);
	op.dst_window = win;
	flood(&t, &op);
	await_word(&t, (const volatile uint64_t *)own);
	TEST_EQUAL(win_revoke(&t, win), 0);
	(void)fx_mem_filled(t.f, 8, &seed);
	wk_pattern_write(own, len, seed, 0);
	rep = flood_end(&t);
	CU_ASSERT(rep.v[1] > 0);
	TEST_EQUAL(rep.v[2] + rep.v[3], 0);
	TEST_EQUAL(wk_pattern_check(own, len, seed, 0), len);
}

/* Two grantees, each served by another engine, write to the same place. */
static void
test_window_of_two_engines_revoked_one_by_one(void)
{
	struct win_op op = { .op = RTE_SVM_OP_COPY, .len = BIG };
	struct rte_svm_bond_info info = { 0 };
	uint64_t mem, seed, so_far, end;
	struct win t, other;
	struct wk_rep rep;
	uint32_t win;

	if (!win_begin(&t, "engines=2"))
		return;
	other = t;
	other.a = fx_joined(t.f);
	other.q = fx_do(other.a, WK_QUEUE, 128, 0);
	mem = fx_worker_mem(t.b, BIG, NULL);
	op.src = fx_worker_mem(other.a, BIG, NULL);
	op.dst_window = win_grant(&other, t.b->bond, mem, BIG, WIN_RW);
	flood(&other, &op);
	win = op.dst_window;
	op.src = fx_worker_mem(t.a, BIG, NULL);
	op.dst_window = win_grant(&t, t.b->bond, mem, BIG, WIN_RW);
	flood(&t, &op);
	await_bytes_in(&t);
	TEST_EQUAL(win_revoke(&t, op.dst_window), 0);
	rep = flood_end(&t);
	CU_ASSERT(rep.v[1] > 0);
	TEST_EQUAL(rep.v[2] + rep.v[3], 0);
	/* The other one goes on. */
	TEST_EQUAL(rte_svm_bond_info_get(t.f->dev, t.b->bond, &info), 0);
	so_far = info.bytes_in;
	end = fx_now_ms() + FX_BOUND_MS;
	while (info.bytes_in < so_far + 3ull * BIG && fx_now_ms() < end) {
		fx_idle(t.f);
		TEST_EQUAL(rte_svm_bond_info_get(t.f->dev, t.b->bond, &info), 0);
	}
	CU_ASSERT(info.bytes_in >= so_far + 3ull * BIG);
	TEST_EQUAL(win_revoke(&other, win), 0);
	seed = fx_do(t.b, WK_FILL, mem, BIG);
	rep = flood_end(&other);
	CU_ASSERT(rep.v[0] > 0 && rep.v[1] > 0);
	TEST_EQUAL(rep.v[2] + rep.v[3], 0);
	CU_ASSERT(fx_verify(t.b, mem, BIG, seed, 0));
}

/* A lane that does not come back is ended, and the window with it. */
static void
test_window_revoke_of_unanswered_ends(void)
{
	struct win_op op = { .op = RTE_SVM_OP_COPY, .len = 4096 };
	uint64_t mem, seed;
	struct wk_rep rep;
	struct win t;
	uint32_t win;

	if (!win_begin(&t, "timeout_us=100000"))
		return;
	if (!fx_worker_unanswered(t.b, 8192, &mem))
		return;
	win = win_grant(&t, t.b->bond, mem, 8192, WIN_RW);
	op.src = t.a_mem;
	op.dst_window = win;
	flood(&t, &op);
	fx_await_unanswered(t.b);
	TEST_EQUAL(win_revoke(&t, win), 0);
	seed = fx_do(t.b, WK_UFFD_ANSWER, mem, 8192);
	rep = flood_end(&t);
	TEST_EQUAL(rep.v[0], 0);
	CU_ASSERT(fx_verify(t.b, mem, 8192, seed, 0));
}

/* With cma=inline nothing ends an access: -EBUSY, closed, and 0 at last. */
static void
test_window_revoke_that_cannot_end_is_busy(void)
{
	struct win_op op = { .op = RTE_SVM_OP_COPY, .len = 64 };
	struct rte_svm_window_info info;
	struct wk_rep rep;
	struct win t;
	uint64_t mem;
	uint32_t win;

	if (!win_begin(&t, "timeout_us=1000"))
		return;
	if (!fx_worker_unanswered(t.b, 4096, &mem))
		return;
	win = win_grant(&t, t.b->bond, mem, 4096, WIN_RW);
	op.src = t.a_mem;
	op.dst_window = win;
	flood(&t, &op);
	fx_await_unanswered(t.b);
	TEST_EQUAL(rte_svm_window_revoke(t.f->dev, win), -EBUSY);
	TEST_EQUAL(rte_svm_window_info_get(t.f->dev, win, &info), 0);
	TEST_EQUAL(info.closed, 1);
	TEST_EQUAL(rte_svm_window_list(t.f->dev, t.a->bond, NULL, 0), 1);
	fx_do(t.b, WK_UFFD_ANSWER, mem, 4096);
	TEST_EQUAL(win_revoke(&t, win), 0);
	expect_none(&t);
	rep = flood_end(&t);
	CU_ASSERT(rep.v[0] > 0 && rep.v[1] > 0);
}

/* ---- bonds that end ---- */

static void
test_window_target_unbound_is_dead(void)
{
	struct win_op op = { .op = RTE_SVM_OP_COPY, .len = BIG };
	struct rte_svm_window_info info;
	uint64_t mem, seed;
	struct wk_rep rep;
	struct win t;
	uint32_t win;

	if (!win_begin(&t, ""))
		return;
	mem = fx_worker_mem(t.b, BIG, NULL);
	win = win_grant(&t, t.b->bond, mem, BIG, WIN_RW);
	op.src = fx_worker_mem(t.a, BIG, NULL);
	op.dst_window = win;
	flood(&t, &op);
	await_bytes_in(&t);
	TEST_EQUAL(fx_unbind(t.f, t.b->bond), 0);
	seed = fx_do(t.b, WK_FILL, mem, BIG);
	rep = flood_end(&t);
	CU_ASSERT(rep.v[2] > 0);
	TEST_EQUAL(rep.v[1] + rep.v[3], 0);
	CU_ASSERT(fx_verify(t.b, mem, BIG, seed, 0));
	WIN_REFUSED(win_put(&t, win, 0, 64), RTE_SVM_ST_BOND_DEAD);
	TEST_EQUAL(rte_svm_window_info_get(t.f->dev, win, &info), -ENOENT);
	TEST_EQUAL(rte_svm_window_revoke(t.f->dev, win), -ENOENT);
	expect_none(&t);
}

static void
test_window_target_killed_is_dead(void)
{
	struct rte_svm_window_conf conf;
	uint32_t win, again;
	struct win t;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, t.b->bond, t.b_mem, LEN, WIN_RW);
	TEST_STATUS(win_put(&t, win, 0, 64).status, RTE_SVM_ST_OK);
	fx_kill(t.b, SIGKILL);
	WIN_REFUSED(win_put(&t, win, 0, 64), RTE_SVM_ST_BOND_DEAD);
	WIN_REFUSED(win_get(&t, win, 0, 64), RTE_SVM_ST_BOND_DEAD);
	/* It hung up, so its bond goes by itself, and the window with it. */
	expect_none(&t);
	WIN_REFUSED(win_put(&t, win, 0, 64), RTE_SVM_ST_BOND_DEAD);
	conf = (struct rte_svm_window_conf){ .grantee = t.a->bond, .target = t.b->bond,
		.base = t.b_mem, .len = LEN, .rights = WIN_RW };
	TEST_EQUAL(rte_svm_window_grant(t.f->dev, &conf, &again), -ENOENT);
}

static void
test_window_grantee_unbound_is_dead(void)
{
	struct win_op both = { .op = RTE_SVM_OP_COPY, .len = 64 };
	struct win t;
	uint32_t win;

	if (!win_begin(&t, ""))
		return;
	win = win_grant(&t, RTE_SVM_OWNER, (uintptr_t)t.own, LEN, WIN_RW);
	both.src_window = both.dst_window = win;
	both.dst = 100;
	TEST_EQUAL(fx_unbind(t.f, t.a->bond), 0);
	expect_none(&t);
	WIN_REFUSED(win_get(&t, win, 0, 64), RTE_SVM_ST_BOND_DEAD);
	/* Its own memory is no side of this one. */
	WIN_REFUSED(win_run(&t, both), RTE_SVM_ST_BOND_DEAD);
	win_untouched(&t);
}

static void
test_window_grantee_killed_in_use_spares_target(void)
{
	struct win_op op = { .op = RTE_SVM_OP_COPY, .len = BIG };
	struct rte_svm_bond_info info;
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	uint64_t mem, seed;
	struct win t;

	if (!win_begin(&t, ""))
		return;
	mem = fx_worker_mem(t.b, BIG, NULL);
	op.src = fx_worker_mem(t.a, BIG, NULL);
	op.dst_window = win_grant(&t, t.b->bond, mem, BIG, WIN_RW);
	flood(&t, &op);
	await_bytes_in(&t);
	fx_kill(t.a, SIGKILL);
	while (rte_svm_bond_info_get(t.f->dev, t.a->bond, &info) == 0 && fx_now_ms() < end)
		fx_idle(t.f);
	expect_none(&t);
	seed = fx_do(t.b, WK_FILL, mem, BIG);
	usleep(20000);
	CU_ASSERT(fx_verify(t.b, mem, BIG, seed, 0));
	/* The target is as good as before. */
	fx_check_moves(t.f, t.b);
}

/* max_bonds PASIDs and windows on both sides of each: all of them come back. */
static void
test_window_ended_bonds_give_pasids_back(void)
{
	struct fx *f = fx_begin("max_bonds=2");
	struct fx_worker *a = fx_worker(f), *b = fx_worker(f);
	uint32_t win, i;

	for (i = 0; i < 20; i++) {
		struct rte_svm_window_conf conf = { .base = 0x10000, .len = 64,
			.rights = WIN_RW };

		TEST_EQUAL(rte_svm_bind(f->dev, a->pid, &a->bond), 0);
		TEST_EQUAL(rte_svm_bind(f->dev, b->pid, &b->bond), 0);
		conf.grantee = a->bond;
		conf.target = b->bond;
		TEST_EQUAL(rte_svm_window_grant(f->dev, &conf, &win), 0);
		conf.target = a->bond;
		TEST_EQUAL(rte_svm_window_grant(f->dev, &conf, &win), 0);
		conf.grantee = b->bond;
		TEST_EQUAL(rte_svm_window_grant(f->dev, &conf, &win), 0);
		TEST_EQUAL(fx_unbind(f, i % 2 ? a->bond : b->bond), 0);
		TEST_EQUAL(rte_svm_window_list(f->dev, RTE_SVM_OWNER, NULL, 0), i % 2 ? 0 : 1);
		TEST_EQUAL(fx_unbind(f, i % 2 ? b->bond : a->bond), 0);
		TEST_EQUAL(rte_svm_window_list(f->dev, RTE_SVM_OWNER, NULL, 0), 0);
		TEST_EQUAL(rte_svm_window_grant(f->dev, &conf, &win), -ENOENT);
	}
}

static const struct fx_test tests[] = {
	{ "test_window_revoked_refused", test_window_revoked_refused, FX_ALL },
	{ "test_window_revoke_in_use_spares_worker", test_window_revoke_in_use_spares_worker,
		FX_ALL },
	{ "test_window_revoke_in_use_spares_owner", test_window_revoke_in_use_spares_owner,
		FX_ALL },
	{ "test_window_of_two_engines_revoked_one_by_one",
		test_window_of_two_engines_revoked_one_by_one, FX_ALL },
	{ "test_window_revoke_of_unanswered_ends", test_window_revoke_of_unanswered_ends,
		FX_LANE },
	{ "test_window_revoke_that_cannot_end_is_busy",
		test_window_revoke_that_cannot_end_is_busy, FX_THREAD_CMA },
	{ "test_window_target_unbound_is_dead", test_window_target_unbound_is_dead, FX_ALL },
	{ "test_window_target_killed_is_dead", test_window_target_killed_is_dead, FX_ALL },
	{ "test_window_grantee_unbound_is_dead", test_window_grantee_unbound_is_dead, FX_ALL },
	{ "test_window_grantee_killed_in_use_spares_target",
		test_window_grantee_killed_in_use_spares_target, FX_ALL },
	{ "test_window_ended_bonds_give_pasids_back",
		test_window_ended_bonds_give_pasids_back, FX_ONE },
};

int
test_window_life_suite(void)
{
	return fx_add_tests("window_life", tests, sizeof(tests) / sizeof(tests[0]));
}
