/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges of a worker's own memory that it shares with its owner. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "fixture.h"
#include "suites.h"

#define LEN	(16 * 4096u)

static int64_t
try_share(struct fx_worker *w, enum wk_cmd cmd, uint64_t addr, uint64_t len)
{
	struct wk_rep rep;

	return fx_try(w, &(struct wk_req){ .cmd = cmd, .a = { addr, len } }, &rep);
}

/* Data goes into the range, and comes out of it. */
static void
check_moves(struct fx *f, struct fx_worker *w, uint64_t mem)
{
	uint64_t in_seed, out_seed;
	void *src = fx_mem_filled(f, LEN, &in_seed), *dst = fx_mem(f, LEN);

	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, mem, LEN).status,
		RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(w, mem, LEN, in_seed, 0));
	out_seed = fx_do(w, WK_FILL, mem, LEN);
	TEST_STATUS(fx_copy(f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)dst, LEN).status,
		RTE_SVM_ST_OK);
	TEST_EQUAL(wk_pattern_check(dst, LEN, out_seed, 0), LEN);
}

static void
test_share_keeps_content_and_moves_data(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t mem, seed;

	if (f == NULL)
		return;
	w = fx_joined(f);
	mem = fx_worker_mem(w, LEN, &seed);
	fx_do(w, WK_SHARE, mem, LEN);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	check_moves(f, w, mem);
	seed = fx_do(w, WK_FILL, mem, LEN);
	fx_do(w, WK_UNSHARE, mem, LEN);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	check_moves(f, w, mem);
	/* A second time is like the first. */
	seed = fx_do(w, WK_FILL, mem, LEN);
	fx_do(w, WK_SHARE, mem, LEN);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	check_moves(f, w, mem);
}

static void
test_share_part_of_a_mapping_leaves_the_rest(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t mem, seed;

	if (f == NULL)
		return;
	w = fx_joined(f);
	mem = fx_worker_mem(w, LEN, &seed);
	fx_do(w, WK_SHARE, mem + 4096, 4096);
	fx_do(w, WK_SHARE, mem + 3 * 4096, 2 * 4096);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	check_moves(f, w, mem);
	seed = fx_do(w, WK_FILL, mem, LEN);
	fx_do(w, WK_UNSHARE, mem + 4096, 4096);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
}

static void
test_share_what_cannot_be_is_refused(void)
{
	struct fx *f = fx_begin("max_mem=1");
	struct fx_worker *w;
	uint64_t mem, shared, big, stack, seed;

	if (f == NULL)
		return;
	w = fx_joined(f);
	mem = fx_worker_mem(w, LEN, &seed);
	shared = fx_do(w, WK_ALLOC, WK_MEM_SHARED, LEN);
	stack = (fx_do(w, WK_ALLOC, WK_MEM_STACK, LEN) + 4095) & ~UINT64_C(4095);
	big = fx_worker_mem(w, 2 << 20, NULL);
	TEST_EQUAL(try_share(w, WK_SHARE, 0, LEN), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, mem, 0), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, mem + 1, 4096), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, mem, 4095), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, mem, UINT64_MAX - 4095), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, mem - 4096, LEN), -EINVAL);	/* a page for nobody */
	TEST_EQUAL(try_share(w, WK_SHARE, mem, LEN + 4096), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, shared, LEN), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, stack, 4096), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, UINT64_C(0x10000), 4096), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, big, 2 << 20), -ENOSPC);
	fx_do(w, WK_MPROTECT, mem, 4096, PROT_READ);
	TEST_EQUAL(try_share(w, WK_SHARE, mem, LEN), -EINVAL);
	fx_do(w, WK_MPROTECT, mem, 4096, PROT_READ | PROT_WRITE);
	TEST_EQUAL(try_share(w, WK_UNSHARE, mem, LEN), -ENOENT);
	TEST_EQUAL(try_share(w, WK_SHARE, mem, LEN), 0);
	/* Shared already, all or a part. */
	TEST_EQUAL(try_share(w, WK_SHARE, mem, LEN), -EINVAL);
	TEST_EQUAL(try_share(w, WK_SHARE, mem + 4096, 4096), -EINVAL);
	TEST_EQUAL(try_share(w, WK_UNSHARE, mem, LEN - 4096), -ENOENT);
	TEST_EQUAL(try_share(w, WK_UNBIND, 0, 0), -EBUSY);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
}

static void
test_share_of_an_owner_without_memory_is_refused(void)
{
	struct fx *f = fx_begin("max_mem=0");
	struct fx_worker *w;
	uint64_t mem, seed;

	if (f == NULL)
		return;
	w = fx_joined(f);
	mem = fx_worker_mem(w, LEN, &seed);
	TEST_EQUAL(try_share(w, WK_SHARE, mem, LEN), -EOPNOTSUPP);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
}

static void
test_share_refused_ranges_change_nothing(void)
{
	struct fx *f = fx_begin("max_ranges=1");
	struct fx_worker *w;
	uint64_t a, b, seed;

	if (f == NULL)
		return;
	w = fx_joined(f);
	a = fx_worker_mem(w, LEN, NULL);
	b = fx_worker_mem(w, LEN, &seed);
	TEST_EQUAL(try_share(w, WK_SHARE, a, LEN), 0);
	/* Moved, refused, and moved back. */
	TEST_EQUAL(try_share(w, WK_SHARE, b, LEN), -ENOSPC);
	CU_ASSERT(fx_verify(w, b, LEN, seed, 0));
	TEST_EQUAL(fx_do(w, WK_FORK_LACKS, b), 0);
	check_moves(f, w, b);
	fx_do(w, WK_UNSHARE, a, LEN);
	TEST_EQUAL(try_share(w, WK_SHARE, b, LEN), 0);
}

static void
test_share_is_not_a_childs_and_private_again(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t mem, seed;

	if (f == NULL)
		return;
	w = fx_joined(f);
	mem = fx_worker_mem(w, LEN, NULL);
	fx_do(w, WK_SHARE, mem, LEN);
	seed = fx_do(w, WK_FILL, mem, LEN);
	TEST_EQUAL(fx_do(w, WK_FORK_LACKS, mem), 1);
	/* Leaving is unsharing. */
	fx_do(w, WK_DISCONNECT);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	TEST_EQUAL(fx_do(w, WK_FORK_LACKS, mem), 0);
}

int
test_share_suite(void)
{
	static const struct fx_test tests[] = {
#define T(fn, rows) { #fn, fn, rows }
		T(test_share_keeps_content_and_moves_data, FX_NOT_ALIAS),
		T(test_share_part_of_a_mapping_leaves_the_rest, FX_ONE),
		T(test_share_what_cannot_be_is_refused, FX_ONE),
		T(test_share_of_an_owner_without_memory_is_refused, FX_ONE),
		T(test_share_refused_ranges_change_nothing, FX_ONE),
		T(test_share_is_not_a_childs_and_private_again, FX_ONE),
#undef T
	};

	return fx_add_tests("share", tests, sizeof(tests) / sizeof(tests[0]));
}
