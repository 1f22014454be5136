/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's heap: what is allocated from it, moved by the device, and given back. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rte_bus_vdev.h>

#include "fixture.h"
#include "suites.h"

#define MIB	(UINT64_C(1) << 20)
#define PAGES_BEST	0
#define PAGES_SMALL	1
#define PAGES_HUGE	3
#define NODE_ANY	0	/* node + 1 */

/* A worker with a heap, of pages that others do not take meanwhile. */
static struct fx_worker *
heap_worker(struct fx *f, uint64_t max)
{
	struct fx_worker *w = fx_joined(f);

	fx_do(w, WK_HEAP, PAGES_SMALL, NODE_ANY, max);
	return w;
}

static int64_t
try_alloc(struct fx_worker *w, enum wk_heap_alloc how, uint64_t size, uint64_t arg,
		uint64_t *addr)
{
	const struct wk_req req = { .cmd = WK_HEAP_ALLOC, .a = { how, size, arg } };
	struct wk_rep rep;
	const int64_t ret = fx_try(w, &req, &rep);

	*addr = rep.v[0];
	return ret;
}

static uint64_t
take(struct fx_worker *w, enum wk_heap_alloc how, uint64_t size, uint64_t arg)
{
	uint64_t addr;
	const int64_t ret = try_alloc(w, how, size, arg, &addr);

	if (ret != 0)
		test_fail("%llu bytes of the heap: %s", (unsigned long long)size,
			strerror(-(int)ret));
	return addr;
}

/* Mappings of memory that was made for workers. */
static unsigned int
owner_maps(void)
{
	FILE *in = fopen("/proc/self/maps", "re");
	unsigned int nb = 0;
	char line[512];

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		nb += strstr(line, "svm-memory") != NULL;
	if (in != NULL)
		fclose(in);
	return nb;
}

static void
await_no_maps(struct fx *f)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;

	while (owner_maps() != 0 && fx_now_ms() < end)
		fx_idle(f);
	TEST_EQUAL(owner_maps(), 0);
}

/* ---- what is allocated ---- */

static void
test_heap_blocks_are_reached_by_the_device(void)
{
	static const size_t len[] = { 1, 16, 64, 1000, 4096, 5000, 70000, 3 << 20 };
	enum { N = sizeof(len) / sizeof(len[0]) };
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t in[N], out[N], in_seed[N], out_seed[N];
	unsigned int i;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	for (i = 0; i < N; i++) {
		in[i] = take(w, WK_HEAP_MALLOC, len[i], 0);
		out[i] = take(w, WK_HEAP_MALLOC, len[i], 0);
		CU_ASSERT(in[i] % 16 == 0 || len[i] < 16);
		out_seed[i] = fx_do(w, WK_FILL, out[i], len[i]);
	}
	for (i = 0; i < N; i++) {
		void *src = fx_mem_filled(f, len[i], &in_seed[i]), *dst = fx_mem(f, len[i]);

		TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, in[i],
			len[i]).status, RTE_SVM_ST_OK);
		TEST_STATUS(fx_copy(f, w->bond, out[i], RTE_SVM_OWNER, (uintptr_t)dst,
			len[i]).status, RTE_SVM_ST_OK);
		TEST_EQUAL(wk_pattern_check(dst, len[i], out_seed[i], 0), len[i]);
	}
	/* None has spoilt another. */
	for (i = 0; i < N; i++) {
		CU_ASSERT(fx_verify(w, in[i], len[i], in_seed[i], 0));
		CU_ASSERT(fx_verify(w, out[i], len[i], out_seed[i], 0));
		fx_do(w, WK_HEAP_FREE, in[i]);
		fx_do(w, WK_HEAP_FREE, out[i]);
	}
}

static void
test_heap_calloc_realloc_and_aligned_keep_their_word(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t p, seed, align;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	p = take(w, WK_HEAP_MALLOC, 3000, 0);
	fx_do(w, WK_FILL, p, 3000);
	fx_do(w, WK_HEAP_FREE, p);
	p = take(w, WK_HEAP_CALLOC, 1000, 3);
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, p, 3000, 0), 3000);
	seed = fx_do(w, WK_FILL, p, 3000);
	p = take(w, WK_HEAP_REALLOC, 5 * MIB, p);
	CU_ASSERT(fx_verify(w, p, 3000, seed, 0));
	p = take(w, WK_HEAP_REALLOC, 100, p);
	CU_ASSERT(fx_verify(w, p, 100, seed, 0));
	TEST_EQUAL(try_alloc(w, WK_HEAP_REALLOC, 0, p, &p), 0);
	TEST_EQUAL(p, 0);
	p = take(w, WK_HEAP_REALLOC, 100, 0);
	for (align = 1; align <= MIB; align *= 2)
		TEST_EQUAL(take(w, WK_HEAP_ALIGNED, 10, align) % align, 0);
	TEST_EQUAL(try_alloc(w, WK_HEAP_ALIGNED, 10, 24, &p), -EINVAL);
	TEST_EQUAL(try_alloc(w, WK_HEAP_ALIGNED, 10, 0, &p), -EINVAL);
	TEST_EQUAL(try_alloc(w, WK_HEAP_CALLOC, UINT64_MAX / 2, 3, &p), -ENOMEM);
	CU_ASSERT(take(w, WK_HEAP_MALLOC, 0, 0) != 0);
	fx_do(w, WK_HEAP_FREE, 0);
}

static void
test_heap_threads_allocate_while_copies_run(void)
{
	enum { LEN = 30000 };
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	struct wk_rep rep;
	uint64_t block;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	block = take(w, WK_HEAP_MALLOC, LEN, 0);
	fx_send(w, &(struct wk_req){ .cmd = WK_HEAP_CHURN, .a = { 4, 4000 } });
	do {
		uint64_t seed;
		void *src = fx_mem_filled(f, LEN, &seed), *dst = fx_mem(f, LEN);

		TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, block, LEN).status,
			RTE_SVM_ST_OK);
		TEST_STATUS(fx_copy(f, w->bond, block, RTE_SVM_OWNER, (uintptr_t)dst, LEN).status,
			RTE_SVM_ST_OK);
		TEST_EQUAL(wk_pattern_check(dst, LEN, seed, 0), LEN);
		/* fx_end() frees all of it; there is room for so many. */
	} while (!fx_has_answer(w) && f->nb_mem + 4 < sizeof(f->mem) / sizeof(f->mem[0]));
	TEST_EQUAL(fx_answer(w, &rep), 0);
	TEST_EQUAL(rep.v[0], 0);
}

/* ---- how much ---- */

static void
test_heap_over_the_owners_limit_has_no_more(void)
{
	struct fx *f = fx_begin("max_mem=16");
	struct fx_worker *w;
	uint64_t p[64], last = 0;
	struct wk_rep rep;
	int64_t ret;
	int round, i, nb;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	for (round = 0; round < 3; round++) {
		for (nb = 0; nb < 64; nb++) {
			ret = try_alloc(w, WK_HEAP_MALLOC, MIB, 0, &p[nb]);
			if (ret != 0)
				break;
			CU_ASSERT(p[nb] != 0);
		}
		TEST_EQUAL(ret, -ENOSPC);
		CU_ASSERT(nb >= 4 && nb < 16);
		/* As many as the last time. */
		if (round != 0)
			TEST_EQUAL(nb, last);
		last = nb;
		for (i = 0; i < nb; i++)
			fx_do(w, WK_HEAP_FREE, p[i]);
	}
	TEST_EQUAL(try_alloc(w, WK_HEAP_MALLOC, 17 * MIB, 0, &p[0]), -ENOSPC);
	TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_HEAP_INFO }, &rep), 0);
	TEST_EQUAL(rep.v[0], PAGES_SMALL);
	CU_ASSERT(rep.v[2] <= 16 * MIB);
}

static void
test_heap_over_its_own_limit_has_no_more(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t p;

	if (f == NULL)
		return;
	w = heap_worker(f, 8 * MIB);
	TEST_EQUAL(try_alloc(w, WK_HEAP_MALLOC, 9 * MIB, 0, &p), -ENOSPC);
	TEST_EQUAL(try_alloc(w, WK_HEAP_MALLOC, 2 * MIB, 0, &p), 0);
}

static void
test_heap_uses_what_was_freed_and_ends_whole(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	struct wk_rep rep;
	uint64_t p[8], first = 0;
	unsigned int i, round;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 8; i++)
			p[i] = take(w, WK_HEAP_MALLOC, 3 * MIB, 0);
		for (i = 0; i < 8; i++)
			fx_do(w, WK_HEAP_FREE, p[i]);
		TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_HEAP_INFO }, &rep), 0);
		if (round == 0)
			first = rep.v[2];
		CU_ASSERT(rep.v[2] <= first);
	}
	/* Larger than what the arena keeps for later: it is the owner's again at once. */
	p[0] = take(w, WK_HEAP_MALLOC, 300 * MIB, 0);
	fx_do(w, WK_HEAP_FREE, p[0]);
	TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_HEAP_INFO }, &rep), 0);
	CU_ASSERT(rep.v[2] < 300 * MIB);
	fx_do(w, WK_HEAP_END);
	await_no_maps(f);
	fx_do(w, WK_HEAP, PAGES_SMALL, NODE_ANY, 0);
	take(w, WK_HEAP_MALLOC, 16 * MIB, 0);
}

static void
test_heap_of_any_pages_works(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	struct wk_rep rep;
	uint64_t pages, p, seed;

	if (f == NULL)
		return;
	w = fx_joined(f);
	for (pages = PAGES_BEST; pages <= PAGES_HUGE; pages++) {
		fx_do(w, WK_HEAP, pages, NODE_ANY, 16 * MIB);
		p = take(w, WK_HEAP_MALLOC, 3 * MIB, 0);
		seed = fx_do(w, WK_FILL, p, 3 * MIB);
		CU_ASSERT(fx_verify(w, p, 3 * MIB, seed, 0));
		TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_HEAP_INFO }, &rep), 0);
		CU_ASSERT(rep.v[0] != PAGES_BEST && rep.v[0] <= PAGES_HUGE);
		if (pages != PAGES_BEST)
			CU_ASSERT(rep.v[0] <= pages);
		fx_do(w, WK_HEAP_END);
	}
	/* Node 0 there is everywhere. */
	fx_do(w, WK_HEAP, PAGES_BEST, 1, 16 * MIB);
	fx_do(w, WK_HEAP_END);
}

/* ---- refusals ---- */

static int64_t
try_heap(struct fx_worker *w, uint64_t pages, uint64_t node, uint64_t max)
{
	struct wk_rep rep;

	return fx_try(w, &(struct wk_req){ .cmd = WK_HEAP, .a = { pages, node, max } }, &rep);
}

static void
test_heap_bad_arguments_are_refused(void)
{
	struct fx *f = fx_begin("");
	struct wk_req connect = { .cmd = WK_CONNECT };
	struct fx_worker *w;
	struct wk_rep rep;

	if (f == NULL)
		return;
	w = fx_worker(f);
	TEST_EQUAL(try_heap(w, 0, 0, 0), -EINVAL);
	strcpy(connect.text, f->socket);
	TEST_EQUAL(fx_try(w, &connect, &rep), 0);
	TEST_EQUAL(try_heap(w, 0, 0, 0), -ENOENT);
	fx_do(w, WK_BIND, 0);
	TEST_EQUAL(try_heap(w, 4, 0, 0), -EINVAL);
	TEST_EQUAL(try_heap(w, 0, 100001, 0), -EINVAL);
	TEST_EQUAL(try_heap(w, 0, 0, 1), -ENOSPC);
	TEST_EQUAL(owner_maps(), 0);
	TEST_EQUAL(try_heap(w, PAGES_SMALL, 0, 0), 0);
	TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_UNBIND }, &rep), -EBUSY);
	fx_do(w, WK_HEAP_END);
	fx_do(w, WK_UNBIND);
}

static void
test_heap_of_an_owner_without_memory_is_refused(void)
{
	struct fx *f = fx_begin("max_mem=0");

	if (f != NULL)
		TEST_EQUAL(try_heap(fx_joined(f), 0, 0, 0), -EOPNOTSUPP);
}

static void
test_heap_with_tier_cma_works_and_is_not_mapped(void)
{
	struct fx *f = fx_begin("tier=cma");
	struct fx_worker *w;
	struct wk_rep rep;
	uint64_t p, seed;
	void *src;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	p = take(w, WK_HEAP_MALLOC, 10000, 0);
	src = fx_mem_filled(f, 10000, &seed);
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, p, 10000).status,
		RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(w, p, 10000, seed, 0));
	TEST_EQUAL(fx_try(w, &(struct wk_req){ .cmd = WK_HEAP_INFO }, &rep), 0);
	TEST_EQUAL(rep.v[3], 0);
}

/* ---- ends ---- */

static void
test_heap_is_not_a_childs(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t p, seed;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	p = take(w, WK_HEAP_MALLOC, 5000, 0);
	seed = fx_do(w, WK_FILL, p, 5000);
	TEST_EQUAL(fx_do(w, WK_HEAP_FORK, p), 0);
	TEST_EQUAL(fx_do(w, WK_FORK_LACKS, p), 1);
	/* The parent has what it had. */
	CU_ASSERT(fx_verify(w, p, 5000, seed, 0));
	fx_do(w, WK_HEAP_FREE, p);
	take(w, WK_HEAP_MALLOC, 9 * MIB, 0);
	fx_check_moves(f, w);
}

static void
test_heap_of_one_that_execs_comes_back(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	take(w, WK_HEAP_MALLOC, 20 * MIB, 0);
	CU_ASSERT(owner_maps() != 0);
	fx_exec(w);
	await_no_maps(f);
}

static void
test_heap_of_one_that_is_killed_comes_back(void)
{
	struct fx *f = fx_begin("");
	unsigned int fds;
	int i;

	if (f == NULL)
		return;
	/* A lane that is needed once may stay, with its descriptor. */
	fx_check_moves(f, fx_joined(f));
	fds = fx_count_fds();
	for (i = 0; i < 10; i++) {
		const uint64_t end = fx_now_ms() + FX_BOUND_MS;
		struct fx_worker *w = heap_worker(f, 0);

		/* It allocates, and frees, and allocates as it dies. */
		fx_send(w, &(struct wk_req){ .cmd = WK_HEAP_CHURN, .a = { 4, 1000000 } });
		while (owner_maps() < 6 && fx_now_ms() < end)
			fx_idle(f);
		fx_kill(w, SIGKILL);
		await_no_maps(f);
		while (fx_count_fds() > fds && fx_now_ms() < end)
			fx_idle(f);
		CU_ASSERT(fx_count_fds() <= fds);
	}
}

static void
test_heap_stays_when_the_owner_goes(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t p, q, seed;

	if (f == NULL)
		return;
	w = heap_worker(f, 0);
	p = take(w, WK_HEAP_MALLOC, MIB, 0);
	TEST_EQUAL(rte_vdev_uninit(f->name), 0);
	fx_removed(f);
	TEST_EQUAL(owner_maps(), 0);
	seed = fx_do(w, WK_FILL, p, MIB);
	CU_ASSERT(fx_verify(w, p, MIB, seed, 0));
	TEST_EQUAL(try_alloc(w, WK_HEAP_MALLOC, 100 * MIB, 0, &q), -EPIPE);
	fx_do(w, WK_HEAP_FREE, p);
	fx_do(w, WK_DISCONNECT);
}

int
test_heap_suite(void)
{
	static const struct fx_test tests[] = {
#define T(fn, rows) { #fn, fn, rows }
		T(test_heap_blocks_are_reached_by_the_device, FX_ALL),
		T(test_heap_calloc_realloc_and_aligned_keep_their_word, FX_ONE),
		T(test_heap_threads_allocate_while_copies_run, FX_ALL),
		T(test_heap_over_the_owners_limit_has_no_more, FX_ONE),
		T(test_heap_over_its_own_limit_has_no_more, FX_ONE),
		T(test_heap_uses_what_was_freed_and_ends_whole, FX_ONE),
		T(test_heap_of_any_pages_works, FX_ONE),
		T(test_heap_bad_arguments_are_refused, FX_ONE),
		T(test_heap_of_an_owner_without_memory_is_refused, FX_ONE),
		T(test_heap_with_tier_cma_works_and_is_not_mapped, FX_ONE),
		T(test_heap_is_not_a_childs, FX_ONE),
		T(test_heap_of_one_that_execs_comes_back, FX_ONE),
		T(test_heap_of_one_that_is_killed_comes_back, FX_ONE),
		T(test_heap_stays_when_the_owner_goes, FX_ONE),
#undef T
	};

	return fx_add_tests("heap", tests, sizeof(tests) / sizeof(tests[0]));
}
