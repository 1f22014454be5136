/* SPDX-License-Identifier: BSD-3-Clause */
/* Ids: what is listed, to whom; ids that are stale; and the table's end. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fake_owner.h"
#include "suites.h"
#include "svm_window.h"
#include "svm_worker.h"
#include "test_window.h"

#define LEN	8000u

/* ---- lists ---- */

/* What the worker sees under a number. */
static struct svm_worker_window
seen(const struct win *t, uint32_t number, uint64_t nb)
{
	const struct wk_req req = { .cmd = WK_WINDOW, .a = { number } };
	struct wk_rep rep;

	TEST_EQUAL(fx_try(t->a, &req, &rep), 0);
	TEST_EQUAL(rep.v[0], nb);
	return (struct svm_worker_window){ .id = (uint32_t)rep.v[1], .rights = rep.v[1] >> 32,
		.len = rep.v[2], .user = rep.v[3] };
}

static void
test_window_list_shows_the_grantee_its_own(void)
{
	enum { N = 30 };
	struct rte_svm_window_conf conf = { .rights = WIN_RW };
	uint32_t ids[N], got[N], other, i;
	struct svm_worker_window s;
	struct win t;

	if (!win_begin(&t, ""))
		return;
	seen(&t, 0, 0);
	for (i = 0; i < N; i++) {
		conf.grantee = t.a->bond;
		conf.target = i % 2 ? t.b->bond : RTE_SVM_OWNER;
		conf.base = 0x10000 + i;
		conf.len = 100 + i;
		conf.rights = 1 + i % 3;
		conf.user = wk_word(7, i);
		TEST_EQUAL(rte_svm_window_grant(t.f->dev, &conf, &ids[i]), 0);
		conf.grantee = t.b->bond;
		TEST_EQUAL(rte_svm_window_grant(t.f->dev, &conf, &other), 0);
	}
	TEST_EQUAL(rte_svm_window_list(t.f->dev, t.a->bond, got, N), N);
	for (i = 0; i < N; i++) {
		s = seen(&t, i, N);
		CU_ASSERT(s.id == ids[i] && s.rights == 1 + i % 3 && s.len == 100 + i);
		CU_ASSERT(s.user == wk_word(7, i));
		TEST_EQUAL(got[i], ids[i]);
	}
	/* Every second one goes: the pages close up. */
	for (i = 0; i < N; i += 2)
		TEST_EQUAL(rte_svm_window_revoke(t.f->dev, ids[i]), 0);
	for (i = 0; i < N / 2; i++)
		CU_ASSERT(seen(&t, i, N / 2).id == ids[2 * i + 1]);
	TEST_EQUAL(rte_svm_window_list(t.f->dev, t.a->bond, got, 3), N / 2);
	CU_ASSERT(got[0] == ids[1] && got[2] == ids[5] && got[3] == ids[3]);
	TEST_EQUAL(rte_svm_window_list(t.f->dev, RTE_SVM_OWNER, NULL, 0), N + N / 2);
	TEST_EQUAL(rte_svm_window_list(t.f->dev, t.a->bond + 1, NULL, 0), 0);
	TEST_EQUAL(rte_svm_window_list(t.f->dev, UINT64_MAX, NULL, 0), 0);
}

static void
test_window_list_without_bond_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_worker(f);
	struct wk_req req = { .cmd = WK_CONNECT };
	struct wk_rep rep;

	strcpy(req.text, f->socket);
	TEST_EQUAL(fx_try(w, &req, &rep), 0);
	TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_WINDOW }, &rep), -ENOENT);
}

static void
test_window_list_pages_have_no_seam(void)
{
	static const uint32_t counts[] = { 0, 1, 7, 8, 9, 16, 17, 100 };
	struct fake_owner *fo = fake_owner_serving(0);
	struct svm_worker_window got[100];
	struct svm_worker *w;
	uint32_t i, k;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	CU_ASSERT_EQUAL_FATAL(svm_worker_connect(fo->path, &w), 0);
	TEST_EQUAL(svm_worker_window_list(w, got, 100), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(svm_worker_bind(w, 0, NULL), 0);
	TEST_EQUAL(svm_worker_window_list(NULL, got, 100), -EINVAL);
	TEST_EQUAL(svm_worker_window_list(w, NULL, 1), -EINVAL);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		fo->windows = counts[i];
		TEST_EQUAL(svm_worker_window_list(w, NULL, 0), counts[i]);
		memset(got, 0, sizeof(got));
		TEST_EQUAL(svm_worker_window_list(w, got, 99), counts[i]);
		for (k = 0; k < counts[i] && k < 99; k++)
			CU_ASSERT(got[k].id == (k + 1) << 4 && got[k].len == 1001 + k &&
				got[k].rights == 1 && got[k].user == ~(uint64_t)(k + 1));
		TEST_EQUAL(got[k].id, 0);
	}
	svm_worker_disconnect(w);
	fake_owner_destroy(fo);
}

/* An owner that never comes to an end is given up. */
static void
test_window_list_without_end_refused(void)
{
	struct fake_owner *fo = fake_owner_serving(0);
	struct svm_worker *w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	CU_ASSERT_EQUAL_FATAL(svm_worker_connect(fo->path, &w), 0);
	CU_ASSERT_EQUAL_FATAL(svm_worker_bind(w, 0, NULL), 0);
	fo->windows = SVM_WORKER_WINDOWS_MAX;
	TEST_EQUAL(svm_worker_window_list(w, NULL, 0), SVM_WORKER_WINDOWS_MAX);
	fo->windows = UINT64_MAX;
	TEST_EQUAL(svm_worker_window_list(w, NULL, 0), -EPROTO);
	TEST_EQUAL(svm_worker_window_list(w, NULL, 0), -EPIPE);
	svm_worker_disconnect(w);
	fake_owner_destroy(fo);
}

static void
test_window_list_reserved_field_ends_the_connection(void)
{
	struct fake_owner *fo = fake_owner_serving(0);
	union svm_msg msg;
	int sock;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	sock = raw_ready(fo->path);
	CU_ASSERT_FATAL(sock >= 0);
	svm_msg_init(&msg, SVM_MSG_WINDOW_LIST, 1, 9);
	TEST_EQUAL(raw_ask(sock, &msg), sizeof(msg.window_list_reply));
	TEST_EQUAL(msg.window_list_reply.status, -ENOENT);
	TEST_EQUAL(msg.hdr.seq, 9);
	svm_msg_init(&msg, SVM_MSG_WINDOW_LIST, 1, 10);
	msg.window_list.reserved = 1;
	TEST_EQUAL(raw_send(sock, &msg, msg.hdr.len), 0);
	CU_ASSERT(raw_refused(sock, -EINVAL));
	close(sock);
	fake_owner_destroy(fo);
}

/* ---- ids ---- */

static void
test_window_stale_ids_name_nothing(void)
{
	enum { ROUNDS = 3000, KEPT = 16 };
	uint32_t kept[KEPT] = { 0 }, *stale, nb = 0, i;
	struct win t;
	uint64_t seed;

	if (!win_begin(&t, ""))
		return;
	stale = fx_mem(t.f, ROUNDS * sizeof(*stale));
	(void)fx_mem_filled(t.f, 8, &seed);
	for (i = 0; i < ROUNDS; i++) {
		uint32_t *at = &kept[wk_word(seed, 2 * i) % KEPT];

		if (*at != 0) {
			TEST_EQUAL(rte_svm_window_revoke(t.f->dev, *at), 0);
			stale[nb++] = *at;
		}
		*at = win_grant(&t, i % 2 ? t.b->bond : RTE_SVM_OWNER,
			i % 2 ? t.b_mem : (uintptr_t)t.own, LEN, WIN_RW);
		if (i % 10 == 9 && nb != 0)
			WIN_REFUSED(win_put(&t, stale[wk_word(seed, 2 * i + 1) % nb], 0, 64),
				RTE_SVM_ST_BAD_SPACE);
	}
	win_untouched(&t);
	for (i = 0; i < KEPT; i++)
		TEST_STATUS(win_put(&t, kept[i], 0, 64).status, RTE_SVM_ST_OK);
}

/* Slots of 16 bits, generations of 14: the bound that the header names. */
static void
test_window_full_table_keeps_ids_apart(void)
{
	struct rte_svm_window_conf conf = { .base = 0x10000, .len = 64, .rights = WIN_RW };
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	uint32_t *ids = fx_mem(f, RTE_SVM_WINDOWS_MAX * sizeof(*ids)), i, id, first;
	unsigned char *slots = fx_mem(f, RTE_SVM_WINDOWS_MAX);
	bool again = false;

	conf.grantee = w->bond;
	for (i = 0; i < RTE_SVM_WINDOWS_MAX; i++) {
		if (rte_svm_window_grant(f->dev, &conf, &ids[i]) != 0)
			test_fail("%u windows", i);
		again |= slots[ids[i] & SVM_WINDOW_SLOT_MASK]++ != 0;
	}
	CU_ASSERT(!again);
	TEST_EQUAL(rte_svm_window_grant(f->dev, &conf, &id), -ENOSPC);
	TEST_EQUAL(rte_svm_window_list(f->dev, RTE_SVM_OWNER, NULL, 0), RTE_SVM_WINDOWS_MAX);
	/* Two slots come free: the one that was free for longer is used first. */
	TEST_EQUAL(rte_svm_window_revoke(f->dev, ids[7]), 0);
	TEST_EQUAL(rte_svm_window_revoke(f->dev, ids[3]), 0);
	TEST_EQUAL(rte_svm_window_grant(f->dev, &conf, &id), 0);
	TEST_EQUAL(id & SVM_WINDOW_SLOT_MASK, ids[7] & SVM_WINDOW_SLOT_MASK);
	/* The only free slot now: its ids differ until all generations were used. */
	first = ids[3];
	for (i = 1; i < SVM_WINDOW_GEN_MAX; i++) {
		if (rte_svm_window_grant(f->dev, &conf, &id) != 0 || id == 0 || id == first ||
				rte_svm_window_revoke(f->dev, id) != 0)
			test_fail("id %#x in round %u", id, i);
	}
	TEST_EQUAL(rte_svm_window_grant(f->dev, &conf, &id), 0);
	TEST_EQUAL(id, first);
	/* With the bond all of them go. */
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	TEST_EQUAL(rte_svm_window_list(f->dev, RTE_SVM_OWNER, NULL, 0), 0);
}

/* The clamp behind the checks says what the checks say. */
static void
test_window_clamp_is_right_at_every_edge(void)
{
	static const uint64_t v[] = { 0, 1, 2, 63, 64, 1ull << 31, 1ull << 32, INT64_MAX,
		1ull << 63, (1ull << 63) + 1, UINT64_MAX - 1, UINT64_MAX };
	struct svm_window_view view = { .base = 1000, .len = 100 };
	uint64_t addr = 7;
	size_t i, k;

	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		for (k = 0; k < sizeof(v) / sizeof(v[0]); k++) {
			CU_ASSERT(svm_nospec_mask(v[i], v[k]) == (v[i] < v[k] ? UINT64_MAX : 0));
			CU_ASSERT(svm_nospec_same(v[i], v[k]) == (i == k ? UINT64_MAX : 0));
		}
	CU_ASSERT(svm_window_addr(&view, 0, 100, &addr) && addr == 1000);
	CU_ASSERT(svm_window_addr(&view, 99, 1, &addr) && addr == 1099);
	CU_ASSERT(!svm_window_addr(&view, 99, 2, &addr) && addr == 1099);
	CU_ASSERT(!svm_window_addr(&view, 100, 1, &addr));
}

static const struct fx_test tests[] = {
	{ "test_window_list_shows_the_grantee_its_own",
		test_window_list_shows_the_grantee_its_own, FX_ONE },
	{ "test_window_list_without_bond_refused", test_window_list_without_bond_refused,
		FX_ONE },
	{ "test_window_list_pages_have_no_seam", test_window_list_pages_have_no_seam, FX_ONE },
	{ "test_window_list_without_end_refused", test_window_list_without_end_refused,
		FX_ONE },
	{ "test_window_list_reserved_field_ends_the_connection",
		test_window_list_reserved_field_ends_the_connection, FX_ONE },
	{ "test_window_stale_ids_name_nothing", test_window_stale_ids_name_nothing, FX_ONE },
	{ "test_window_full_table_keeps_ids_apart", test_window_full_table_keeps_ids_apart,
		FX_ONE },
	{ "test_window_clamp_is_right_at_every_edge", test_window_clamp_is_right_at_every_edge,
		FX_ONE },
};

int
test_window_list_suite(void)
{
	return fx_add_tests("window_list", tests, sizeof(tests) / sizeof(tests[0]));
}
