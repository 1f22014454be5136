/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue's memory, which the worker shares: what it can take away from under the engine. */
#include <errno.h>
#include <signal.h>

#include "test_hostile.h"

#define DEPTH	64

/* A worker whose queue has done something. */
static struct fx_worker *
queued(struct fx *f, uint64_t *queue)
{
	struct fx_worker *w = fx_joined(f);

	*queue = fx_do(w, WK_QUEUE, DEPTH, 0);
	TEST_STATUS(fx_worker_op(w, *queue, RTE_SVM_OP_NOP, 0, 0, 0, 0).status,
		RTE_SVM_ST_OK);
	return w;
}

/* One page after the other goes: header, descriptors, completions, segments. */
static void
check_each_page(enum wk_queue_memory what)
{
	struct fx *f = fx_begin("timeout_us=200000");
	struct fx_worker *w, *good;
	uint64_t queue, pages, i;
	struct wk_rep rep;

	if (f == NULL)
		return;
	good = neighbour(f);
	w = queued(f, &queue);
	pages = fx_do(w, WK_QUEUE_MEMORY, WK_QUEUE_MEMORY_PAGES);
	CU_ASSERT(pages >= 4);
	fx_kill(w, SIGKILL);
	for (i = 0; i < pages; i++) {
		w = queued(f, &queue);
		fx_do(w, WK_QUEUE_MEMORY, what, i);
		/* How the worker fares is its own affair. */
		fx_try(w, &(struct wk_req){ .cmd = WK_OP, .a = { queue, RTE_SVM_OP_NOP } },
			&rep);
		neighbour_goes_on(good, 1);
		fx_kill(w, SIGKILL);
	}
	fx_check_moves(f, good);
	w = queued(f, &queue);
	TEST_STATUS(fx_worker_op(w, queue, RTE_SVM_OP_NOP, 0, 0, 0, 0).status, RTE_SVM_ST_OK);
	neighbour_ends(good);
}

void
test_hostile_hole_in_each_page_of_a_queue_harms_nobody(void)
{
	check_each_page(WK_QUEUE_MEMORY_REMOVE);
}

void
test_hostile_each_page_of_a_queue_dropped_harms_nobody(void)
{
	check_each_page(WK_QUEUE_MEMORY_DONTNEED);
}

/* Unmapped in the worker, with work in it: the engine has a mapping of its own. */
void
test_hostile_queue_unmapped_with_work_harms_nobody(void)
{
	struct fx *f = fx_begin("timeout_us=200000");
	struct fx_worker *w, *good;
	uint64_t queue;
	int i;

	if (f == NULL)
		return;
	good = neighbour(f);
	for (i = 0; i < 5; i++) {
		w = queued(f, &queue);
		fx_do(w, WK_SCRIBBLE, WK_SCRIBBLE_DESC);
		/* Its own threads die of it. */
		fx_send(w, &(struct wk_req){ .cmd = WK_QUEUE_MEMORY,
			.a = { WK_QUEUE_MEMORY_UNMAP } });
		fx_await_exit(w);
		fx_reap(w);
		neighbour_goes_on(good, 1);
		fx_check_moves(f, good);
	}
	neighbour_ends(good);
}

/* The file could be shortened under the engine, but for its seals. */
void
test_hostile_queue_cannot_be_truncated(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	struct wk_rep rep;
	uint64_t queue;
	int64_t ret;

	if (f == NULL)
		return;
	w = queued(f, &queue);
	ret = fx_try(w, &(struct wk_req){ .cmd = WK_QUEUE_MEMORY,
		.a = { WK_QUEUE_MEMORY_TRUNCATE } }, &rep);
	if (ret != 0) {
		test_skip("no right to open the file of a mapping");
		return;
	}
	/* Shorter, longer, other seals. */
	TEST_EQUAL((int64_t)rep.v[0], -EPERM);
	TEST_EQUAL((int64_t)rep.v[1], -EPERM);
	TEST_EQUAL((int64_t)rep.v[2], -EPERM);
	TEST_STATUS(fx_worker_op(w, queue, RTE_SVM_OP_NOP, 0, 0, 0, 0).status, RTE_SVM_ST_OK);
}
