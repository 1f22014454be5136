/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's memory goes, in every way that there is, while copies into it run. Each
 * copy writes something new, and the worker has another view of the file: once munmap
 * and its like have returned there, that view must not change any more.
 */
#include <signal.h>
#include <string.h>

#include "suites.h"
#include "svm_dev.h"
#include "test_alias.h"

#define LEN	(16 * ALIAS_PAGE)
#define PIECE	512u
#define BURST	32u

/* An endless stream of copies into the memory, round and round. */
struct stream {
	struct fx *f;
	uint64_t bond, addr;
	uint8_t *own;			/* LEN bytes */
	uint64_t nb;			/* submitted */
	uint64_t left;			/* under way */
	uint64_t ended[16];		/* by status */
};

static void
stream_begin(struct stream *s, const struct test_alias_mem *m)
{
	*s = (struct stream){ .f = m->w->f, .bond = m->w->bond, .addr = m->addr,
		.own = fx_mem(m->w->f, LEN) };
}

static void
stream_take(struct stream *s)
{
	struct rte_svm_result r[BURST];
	const int n = rte_svm_poll(s->f->queue, r, BURST);
	int i;

	if (n < 0)
		test_fail("rte_svm_poll: %d", n);
	for (i = 0; i < n; i++)
		s->ended[r[i].status & 15]++;
	s->left -= n;
}

static void
stream_push(struct stream *s)
{
	struct rte_svm_op ops[BURST];
	uint32_t i;
	int n;

	for (i = 0; i != BURST; i++) {
		const uint64_t at = (s->nb + i) * PIECE % LEN;

		/* Not seen before in this place. */
		memcpy(s->own + at, &(uint64_t){ s->nb + i + 1 }, sizeof(uint64_t));
		ops[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = PIECE,
			.src = (uintptr_t)s->own + at, .src_bond = RTE_SVM_OWNER,
			.dst = s->addr + at, .dst_bond = s->bond };
	}
	n = rte_svm_submit(s->f->queue, ops, BURST);
	if (n < 0)
		test_fail("rte_svm_submit: %d", n);
	s->nb += n;
	s->left += n;
	stream_take(s);
	if (n == 0)
		fx_idle(s->f);
}

static void
stream_drain(struct stream *s)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;

	while (s->left != 0) {
		stream_take(s);
		fx_idle(s->f);
		if (fx_now_ms() > end)
			test_fail("%u copies do not end", (unsigned int)s->left);
	}
}

/* Copies run, and by alias. */
static void
stream_runs(struct stream *s)
{
	const uint64_t before = fx_stats(s->f).alias_ops, end = fx_now_ms() + FX_BOUND_MS;

	do {
		fx_alias_warm(s->f);
		stream_push(s);
		if (fx_now_ms() > end)
			test_fail("no copy goes by alias");
	} while (fx_stats(s->f).alias_ops == before);
}

/* Copies run until the worker has answered. */
static int64_t
stream_until(struct stream *s, struct fx_worker *w, const struct wk_req *req, struct wk_rep *rep)
{
	uint32_t i;

	stream_runs(s);
	fx_send(w, req);
	while (!fx_has_answer(w))
		stream_push(s);
	for (i = 0; i != 4; i++)
		stream_push(s);
	return fx_answer(w, rep);
}

static struct wk_rep
move(struct stream *s, const struct test_alias_mem *m, enum wk_move how)
{
	const struct wk_req req = { .cmd = WK_MOVE,
		.a = { how, m->addr, LEN, m->fd, m->other } };
	struct wk_rep rep;
	const int64_t ret = stream_until(s, m->w, &req, &rep);

	if (ret != 0)
		test_fail("the worker cannot move it (%d): %d", how, (int)ret);
	return rep;
}

static void
move_back(const struct test_alias_mem *m)
{
	uint32_t i;
	int ret;

	fx_do(m->w, WK_MOVE, WK_MOVE_BACK, m->addr, LEN, m->fd, 0);
	/* Of an earlier round nothing is left, and what copies held is let go of. */
	for (i = 0; (ret = fx_alias_map(m->w, m->addr, LEN, m->fd, 0)) != 0; i++)
		if (i == 100)
			test_fail("svm_dev_mem_map: %d", ret);
	fx_alias_warm(m->w->f);
}

/* The pages are out of reach once it has returned. */
static void
goes_for_good(enum wk_move how, uint32_t rounds)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	struct stream s;
	uint32_t i;

	test_timeout(300);
	stream_begin(&s, &m);
	for (i = 0; i != rounds; i++) {
		const struct wk_rep rep = move(&s, &m, how);

		stream_drain(&s);
		if (fx_do(w, WK_HASH, m.other, LEN) != rep.v[1])
			test_fail("round %u: touched after the worker was through", i);
		if (how == WK_MOVE_REMAP)
			fx_do(w, WK_MUNMAP, rep.v[0], LEN);
		move_back(&m);
	}
	CU_ASSERT(s.ended[RTE_SVM_ST_OK] >= rounds);
	TEST_EQUAL(s.ended[RTE_SVM_ST_OK] + s.ended[RTE_SVM_ST_PAGE_FAULT], s.nb);
}

static void
test_alias_unmapped_while_copied_is_not_touched(void)
{
	goes_for_good(WK_MOVE_UNMAP, 1000);
}

static void
test_alias_moved_while_copied_is_not_touched(void)
{
	goes_for_good(WK_MOVE_REMAP, 1000);
}

static void
test_alias_mapped_over_while_copied_is_not_touched(void)
{
	goes_for_good(WK_MOVE_OVER, 1000);
}

/* It stays where it is, so copies go on, and arrive. */
static void
stays(enum wk_move how, uint32_t rounds)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	struct rte_svm_result r;
	struct stream s;
	uint64_t seed;
	void *src = fx_mem_filled(f, LEN, &seed);
	uint32_t i;

	test_timeout(300);
	stream_begin(&s, &m);
	for (i = 0; i != rounds; i++) {
		move(&s, &m, how);
		stream_drain(&s);
		r = fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, m.addr, LEN);
		TEST_STATUS(r.status, RTE_SVM_ST_OK);
		if (!fx_verify(w, m.addr, LEN, seed, 0) || !fx_verify(w, m.other, LEN, seed, 0))
			test_fail("round %u: other contents", i);
		svm_dev_mem_unmap(fx_dev(f), w->bond, m.addr, LEN);
		move_back(&m);
	}
	TEST_EQUAL(s.ended[RTE_SVM_ST_OK], s.nb);
}

static void
test_alias_dontneed_while_copied_loses_nothing(void)
{
	stays(WK_MOVE_DONTNEED, 500);
}

static void
test_alias_removed_while_copied_loses_nothing(void)
{
	stays(WK_MOVE_REMOVE, 500);
}

static void
test_alias_hole_while_copied_loses_nothing(void)
{
	stays(WK_MOVE_PUNCH, 500);
}

static void
test_alias_fork_while_copied_loses_nothing(void)
{
	stays(WK_MOVE_FORK, 300);
}

/* A view of the worker's file that outlives it. */
static const uint64_t *
view_open(const struct test_alias_mem *m)
{
	struct svm_bond *b = svm_bond_get_id(fx_dev(m->w->f)->bonds, m->w->bond);
	struct svm_atc_hit hit = { 0 };
	const uint64_t *p = (void *)svm_atc_find(b->atc, &hit, m->addr, LEN, SVM_ATC_READ);

	svm_bond_put(b);
	return p;
}

/* Push until one says that the bond is dead; then all do, and nothing changes any more. */
static void
ends_dead(struct stream *s, const uint64_t *view)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	uint64_t copy[LEN / sizeof(uint64_t)], ok;

	while (s->ended[RTE_SVM_ST_BOND_DEAD] == 0) {
		stream_push(s);
		if (fx_now_ms() > end)
			test_fail("nobody has seen its end");
	}
	stream_drain(s);
	ok = s->ended[RTE_SVM_ST_OK];
	memcpy(copy, view, LEN);
	stream_push(s);
	stream_drain(s);
	TEST_EQUAL(s->ended[RTE_SVM_ST_OK], ok);
	CU_ASSERT(memcmp(copy, view, LEN) == 0);
}

static void
test_alias_exec_while_copied_is_dead(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	const uint64_t *view = view_open(&m);
	struct wk_rep rep;
	struct stream s;

	stream_begin(&s, &m);
	stream_until(&s, w, &(const struct wk_req){ .cmd = WK_EXEC }, &rep);
	ends_dead(&s, view);
}

static void
test_alias_exit_while_copied_is_dead(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	const struct test_alias_mem m = test_alias_mem(w, LEN);
	const uint64_t *view = view_open(&m);
	struct stream s;

	stream_begin(&s, &m);
	stream_runs(&s);
	fx_send(w, &(const struct wk_req){ .cmd = WK_EXIT });
	ends_dead(&s, view);
	fx_reap(w);
}

/* Nobody is harmed by one that ends in the middle, again and again. */
static void
test_alias_killed_while_copied_harms_nobody(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *other = fx_bound(f);
	uint32_t i;

	test_timeout(300);
	for (i = 0; i != 30; i++) {
		struct fx_worker *w = fx_bound(f);
		const struct test_alias_mem m = test_alias_mem(w, LEN);
		const uint64_t bond = w->bond;
		struct stream s;

		stream_begin(&s, &m);
		stream_runs(&s);
		fx_send(w, &(const struct wk_req){ .cmd = WK_MOVE,
			.a = { WK_MOVE_UNMAP, m.addr, LEN, m.fd, m.other } });
		fx_kill(w, SIGKILL);
		stream_drain(&s);
		TEST_EQUAL(fx_unbind(f, bond), 0);
	}
	fx_check_moves(f, other);
}

int
test_alias_life_suite(void)
{
	static const struct fx_test tests[] = {
#define T(fn, rows) { #fn, fn, rows }
		T(test_alias_unmapped_while_copied_is_not_touched, FX_ALIAS),
		T(test_alias_moved_while_copied_is_not_touched, FX_ALIAS),
		T(test_alias_mapped_over_while_copied_is_not_touched, FX_ALIAS),
		T(test_alias_dontneed_while_copied_loses_nothing, FX_ALIAS),
		T(test_alias_removed_while_copied_loses_nothing, FX_ALIAS),
		T(test_alias_hole_while_copied_loses_nothing, FX_ALIAS),
		T(test_alias_fork_while_copied_loses_nothing, FX_ALIAS),
		T(test_alias_exec_while_copied_is_dead, FX_ALIAS),
		T(test_alias_exit_while_copied_is_dead, FX_ALIAS),
		T(test_alias_killed_while_copied_harms_nobody, FX_ALIAS),
#undef T
	};

	return fx_add_tests("alias_life", tests, sizeof(tests) / sizeof(tests[0]));
}
