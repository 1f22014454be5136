/* SPDX-License-Identifier: BSD-3-Clause */
/* What the suites of windows share: a grantee with a queue, and a target. */
#ifndef TEST_WINDOW_H
#define TEST_WINDOW_H

#include "fixture.h"

#define WIN_LEN		20000u		/* bytes in each process */
#define WIN_RW		(RTE_SVM_WINDOW_READ | RTE_SVM_WINDOW_WRITE)

struct win {
	struct fx *f;
	struct fx_worker *a;		/* the grantee */
	uint64_t q;
	uint64_t a_mem, a_seed;		/* WIN_LEN bytes of a's, filled */
	struct fx_worker *b;		/* whose memory it is */
	uint64_t b_mem, b_seed;
	char *own;			/* the owner's */
	uint64_t own_seed;
};

/** One operation of a worker's; a window of 0 is its own memory. */
struct win_op {
	enum rte_svm_opcode op;
	uint32_t src_window, dst_window;
	uint64_t src, dst;
	uint32_t len;
	uint64_t pattern;
};

/** False when the row cannot run here. */
static inline bool
win_begin(struct win *t, const char *args)
{
	t->f = fx_begin(args);
	if (t->f == NULL)
		return false;
	t->a = fx_joined(t->f);
	t->q = fx_do(t->a, WK_QUEUE, 128, 0);
	t->a_mem = fx_worker_mem(t->a, WIN_LEN, &t->a_seed);
	t->b = fx_joined(t->f);
	t->b_mem = fx_worker_mem(t->b, WIN_LEN, &t->b_seed);
	t->own = fx_mem_filled(t->f, WIN_LEN, &t->own_seed);
	return true;
}

static inline uint32_t
win_grant(const struct win *t, uint64_t target, uint64_t base, uint64_t len, uint32_t rights)
{
	const struct rte_svm_window_conf conf = { .grantee = t->a->bond, .target = target,
		.base = base, .len = len, .rights = rights };
	uint32_t window = 0;
	const int ret = rte_svm_window_grant(t->f->dev, &conf, &window);

	if (ret != 0)
		test_fail("rte_svm_window_grant: %d", ret);
	return window;
}

/** rte_svm_window_revoke(), again while it answers -EBUSY. */
static inline int
win_revoke(const struct win *t, uint32_t window)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	int ret;

	do {
		ret = rte_svm_window_revoke(t->f->dev, window);
		fx_idle(t->f);
	} while (ret == -EBUSY && fx_now_ms() < end);
	return ret;
}

static inline struct wk_req
win_req(enum wk_cmd cmd, uint64_t q, const struct win_op *op)
{
	return (struct wk_req){ .cmd = cmd, .src_window = op->src_window,
		.dst_window = op->dst_window,
		.a = { q, op->op, op->src, op->dst, op->len, op->pattern } };
}

static inline struct rte_svm_result
win_run_by(struct fx_worker *w, uint64_t q, struct win_op op)
{
	const struct wk_req req = win_req(WK_OP, q, &op);
	struct wk_rep rep;
	const int64_t ret = fx_try(w, &req, &rep);

	if (ret != 0)
		test_fail("an operation of the worker's: %d", (int)ret);
	return (struct rte_svm_result){ .status = (enum rte_svm_status)rep.v[0],
		.done = rep.v[1], .fault_addr = rep.v[2], .cookie = rep.v[3] };
}

static inline struct rte_svm_result
win_run(const struct win *t, struct win_op op)
{
	return win_run_by(t->a, t->q, op);
}

/** A copy from the grantee's memory through a window. */
static inline struct rte_svm_result
win_put(const struct win *t, uint32_t window, uint64_t off, uint32_t len)
{
	return win_run(t, (struct win_op){ .op = RTE_SVM_OP_COPY, .src = t->a_mem,
		.dst_window = window, .dst = off, .len = len });
}

/** A copy through a window into the grantee's memory. */
static inline struct rte_svm_result
win_get(const struct win *t, uint32_t window, uint64_t off, uint32_t len)
{
	return win_run(t, (struct win_op){ .op = RTE_SVM_OP_COPY, .src_window = window,
		.src = off, .dst = t->a_mem, .len = len });
}

/** A refusal: this status, and nothing done. */
#define WIN_REFUSED(r, wanted) do { \
	const struct rte_svm_result win_r = (r); \
	TEST_STATUS(win_r.status, wanted); \
	TEST_EQUAL(win_r.done, 0); \
	TEST_EQUAL(win_r.fault_addr, 0); \
} while (0)

/** Nothing has written to the target, nor into the owner. */
static inline void
win_untouched(const struct win *t)
{
	CU_ASSERT(fx_verify(t->b, t->b_mem, WIN_LEN, t->b_seed, 0));
	TEST_EQUAL(wk_pattern_check(t->own, WIN_LEN, t->own_seed, 0), WIN_LEN);
}

#endif /* TEST_WINDOW_H */
