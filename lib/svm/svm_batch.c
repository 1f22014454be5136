/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a batch: legs, lanes, deadlines, and what its operations get. */
#include <errno.h>
#include <sched.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include "svm_alias.h"
#include "svm_batch.h"
#include "svm_copy.h"
#include "svm_engine.h"
#include "svm_op_window.h"

/*
 * How long a hand-over waits for its lane before the engine polls on: enough
 * for work that meets no obstacle, on a slow machine; a wait that ends early
 * takes the core from the lane.
 */
#define GRACE_NS	200000u
#define GRACE_PIECE_NS	2000u
#define GRACE_PAGE_NS	1000u
/* ... and when there is nothing else to do, at the least: each look costs the
 * lane, on the same core, two switches, so looks get rarer as it takes longer. */
#define REST_NS		50000u
#define REST_DIV	4u
/* A lane still busy after this is blocked: no more waiting for it, just looking. */
#define REST_US		2000u
/* What an operation gets by itself after a batch with it timed out. */
#define ALONE_DIV	16u
#define ALONE_MIN_US	10000u
/* Deadlines that a lane may miss because it got no core. */
#define EXTEND_MAX	16u
/* What one queue may start in a turn: the others wait meanwhile. */
#define TURN_BYTES	(1u << 20)
/* ... and how long it may go on starting: each hand-over may take the grace. */
#define TURN_US		500u
/* Parked operations of busy bonds that a turn looks past, for one it can start;
 * then they go to the end, and the next turn looks at others. */
#define SKIP_MAX	64u
/* How long a bond counts as late. */
#define LATE_TIMEOUTS	10u
/* Lanes that may die under an operation before it is given up. */
#define RETRIES_MAX	3u

static void
op_end(struct svm_engine *e, struct svm_eq *q, struct svm_op *op)
{
	q->nb_issued--;
	svm_op_finish(e, q, op);
}

/* ---- the end of a batch ---- */

/* Both sides are in the owner now: compare as far as they were read. */
static void
piece_compare(const struct svm_batch *b, struct svm_piece *p)
{
	const uint32_t src_len = b->src != NULL ? p->done : p->len;
	const uint32_t dst_len = b->dst != NULL ? p->done_dst : p->len;
	const uint32_t len = RTE_MIN(src_len, dst_len);
	struct svm_fault_info fault = { 0 };
	bool equal;
	size_t done;

	if (p->op->d.op == SVM_OP_COMPARE)
		done = svm_compare(p->src_at, p->dst_at, len, &equal, &fault);
	else
		done = svm_compare_pattern(p->src_at, p->op->d.pattern,
				b->src != NULL ? p->done : p->len, &equal, &fault);
	p->done = done;
	if (!equal) {
		p->status = fault.hit ? SVM_ST_PAGE_FAULT : SVM_ST_MISMATCH;
		p->on_dst = fault.hit && b->dst == NULL;
	} else if (src_len > dst_len && b->dst != NULL) {
		p->status = p->status_dst;
		p->on_dst = true;
	} else {
		p->on_dst = false;	/* OK, or what reading src said */
	}
}

/* Give each operation what its pieces did; unfinished ones go on. */
static void
batch_finish(struct svm_engine *e, struct svm_batch *b)
{
	struct svm_eq *q = b->q;
	uint32_t i = 0;

	while (i != b->nb_pieces) {
		struct svm_op *op = b->pieces[i].op;
		bool ended = false;
		uint64_t src, dst;

		for (; i != b->nb_pieces && b->pieces[i].op == op; i++) {
			struct svm_piece *p = &b->pieces[i];

			if (ended)
				continue;
			if (b->compare)
				piece_compare(b, p);
			op->done += p->done;
			svm_count(&e->counters.moves, p->done != 0 && !b->compare);
			if (p->status == SVM_ST_OK)
				continue;
			ended = true;
			op->status = p->status;
			op->on_dst = p->on_dst;
			op->fault_addr = (p->on_dst ? p->dst : p->src) + p->done;
		}
		if (ended || svm_op_cursor(q, op, &src, &dst) == 0) {
			op_end(e, q, op);
			continue;
		}
		op->state = SVM_OP_PARKED;
		q->nb_issued--;
		q->nb_parked++;
		TAILQ_INSERT_HEAD(&q->parked, op, next);
	}
}

static void
batch_free(struct svm_engine *e, struct svm_batch *b)
{
	if (b->lane != NULL)
		svm_lane_put(e->conf.lanes, b->lane);
	b->lane = NULL;
	b->state = SVM_BATCH_FREE;
	e->batches.nb--;
}

/* Nothing was learnt about what the pieces did: all their operations end alike. */
static void
batch_fail(struct svm_engine *e, struct svm_batch *b, uint8_t status)
{
	struct svm_op *last = NULL;
	uint32_t i;

	for (i = 0; i != b->nb_pieces; i++) {
		struct svm_piece *p = &b->pieces[i];

		if (p->op == last)
			continue;
		last = p->op;
		last->status = status;
		last->on_dst = b->leg != SVM_LEG_READ_SRC;
		last->fault_addr = last->on_dst ? p->dst : p->src;
		op_end(e, b->q, last);
	}
	batch_free(e, b);
}

/*
 * A batch ended without results. Its operations go back to where the batch
 * found them, to be tried again.
 */
static void
batch_again(struct svm_engine *e, struct svm_batch *b, bool alone)
{
	struct svm_eq *q = b->q;
	uint32_t i;

	for (i = b->nb_pieces; i-- != 0;) {
		struct svm_piece *p = &b->pieces[i];
		struct svm_op *op = p->op;

		if (i != 0 && p[-1].op == op)
			continue;
		op->seg = p->seg;
		op->seg_off = p->seg_off;
		op->alone = alone;
		op->retries++;
		op->state = SVM_OP_PARKED;
		q->nb_issued--;
		q->nb_parked++;
		TAILQ_INSERT_HEAD(&q->parked, op, next);
	}
	batch_free(e, b);
}

static bool
batch_one_op(const struct svm_batch *b)
{
	return b->pieces[0].op == b->pieces[b->nb_pieces - 1].op;
}

/* ---- running ---- */

static uint64_t
us_cycles(uint64_t us)
{
	return us * rte_get_tsc_hz() / 1000000;
}

/* Past its deadline, and the lane is gone: nothing touches a buffer any more. */
static void
batch_timed_out(struct svm_engine *e, struct svm_batch *b)
{
	if (!b->alone && !batch_one_op(b))
		batch_again(e, b, true);
	else
		batch_fail(e, b, SVM_ST_TIMEOUT);
}

/* Somebody else ended the lane: again with a new one, but not for ever. */
static void
batch_lane_died(struct svm_engine *e, struct svm_batch *b)
{
	if (b->pieces[0].op->retries < RETRIES_MAX)
		batch_again(e, b, b->alone);
	else
		batch_fail(e, b, SVM_ST_ABORTED);
}

/* What a leg may take. */
static uint64_t
leg_cycles(const struct svm_engine *e, const struct svm_batch *b)
{
	const uint64_t us = e->conf.timeout_us;

	return us_cycles(!b->alone ? us :
		RTE_MAX(us / ALONE_DIV, RTE_MIN(us, ALONE_MIN_US)));
}

/* What no lane comes for in this time gets none: all of them may be stuck. */
static bool
leg_may_wait(const struct svm_engine *e, const struct svm_batch *b)
{
	return rte_rdtsc() - b->started <
		us_cycles(SVM_ENGINE_END_US(e->conf.timeout_us));
}

/* Hand the leg to a lane. False: there is none yet, or the batch has ended. */
static bool
leg_start(struct svm_engine *e, struct svm_batch *b)
{
	int err;

	if (e->conf.lanes == NULL) {
		svm_xfer_run(&b->job);
		return true;
	}
	b->lane = svm_lane_tryget(e->conf.lanes, &svm_leg_bond(b)->ident.cred, &err);
	if (b->lane == NULL) {
		if (err != 0 || !leg_may_wait(e, b))
			batch_fail(e, b, err == -EPERM || err == -EACCES ?
				SVM_ST_DENIED : SVM_ST_NO_MEMORY);
		return false;
	}
	b->started = rte_rdtsc();
	b->deadline = b->started + leg_cycles(e, b);
	b->extended = 0;
	b->state = SVM_BATCH_RUNNING;
	svm_lane_run_on(b->lane, sched_getcpu());
	svm_lane_submit(b->lane, &b->job);
	svm_lane_wait(b->lane, GRACE_NS + b->job.nb * GRACE_PIECE_NS +
		b->bytes / 4096 * GRACE_PAGE_NS);
	return true;
}

/* The leg has ended: the next one, or the end. False: the batch has ended. */
static bool
leg_done(struct svm_engine *e, struct svm_batch *b)
{
	svm_leg_collect(e, b);
	if (b->lane != NULL)
		svm_lane_put(e->conf.lanes, b->lane);
	b->lane = NULL;
	b->leg = svm_leg_next(b);
	if (b->leg != SVM_LEG_END && svm_leg_prepare(b)) {
		b->state = SVM_BATCH_WAIT;
		b->started = rte_rdtsc();
		return true;
	}
	batch_finish(e, b);
	batch_free(e, b);
	return false;
}

/* Take a batch as far as it goes without waiting for its lane again. */
static void
batch_advance(struct svm_engine *e, struct svm_batch *b)
{
	for (;;) {
		enum svm_lane_state lane;

		if (b->state == SVM_BATCH_WAIT) {
			if (!leg_start(e, b))
				return;
			if (b->lane == NULL) {
				if (!leg_done(e, b))
					return;
				continue;
			}
		}
		lane = svm_lane_state(b->lane);
		if (lane == SVM_LANE_DEAD) {
			if (b->state == SVM_BATCH_KILLING)
				batch_timed_out(e, b);
			else
				batch_lane_died(e, b);
			return;
		}
		if (b->state == SVM_BATCH_KILLING)
			return;
		if (lane == SVM_LANE_IDLE) {
			if (!leg_done(e, b))
				return;
			continue;
		}
		if (rte_rdtsc() < b->deadline)
			return;
		if (b->extended++ < EXTEND_MAX && !svm_lane_blocked(b->lane)) {
			b->deadline = rte_rdtsc() + leg_cycles(e, b);
			return;
		}
		/* It may have come back meanwhile, and rest because of that. */
		if (svm_lane_state(b->lane) != SVM_LANE_BUSY)
			continue;
		svm_lane_kill(e->conf.lanes, b->lane);
		__atomic_store_n(&svm_leg_bond(b)->late_at, rte_rdtsc(), __ATOMIC_RELAXED);
		b->late = true;
		b->state = SVM_BATCH_KILLING;
		b->started = rte_rdtsc();
	}
}

static bool
bond_late(const struct svm_engine *e, const struct svm_bond *bond)
{
	uint64_t at;

	if (bond == NULL)
		return false;
	/* Relaxed: it may come from another engine and lie ahead of this one's
	 * clock, so the difference has a sign. */
	at = __atomic_load_n(&bond->late_at, __ATOMIC_RELAXED);
	return unlikely(at != 0) && (int64_t)(rte_rdtsc() - at) <
			(int64_t)(LATE_TIMEOUTS * e->timeout_cycles);
}

/* Whether late ones have what they may. */
static bool
late_full(const struct svm_engine *e)
{
	const struct svm_batch_set *set = &e->batches;
	uint32_t i, n = 0;

	for (i = 0; i != set->max; i++)
		n += set->batch[i].state != SVM_BATCH_FREE && set->batch[i].late;
	return n >= e->conf.max_late;
}

static struct svm_batch *
batch_alloc(struct svm_batch_set *set)
{
	uint32_t i;

	for (i = 0; i != set->max; i++)
		if (set->batch[i].state == SVM_BATCH_FREE)
			return &set->batch[i];
	return NULL;
}

/* Parked operations that a turn could not start make room for those behind. */
static void
parked_rotate(struct svm_eq *q, uint32_t n)
{
	while (n-- != 0) {
		struct svm_op *op = TAILQ_FIRST(&q->parked);

		TAILQ_REMOVE(&q->parked, op, next);
		TAILQ_INSERT_TAIL(&q->parked, op, next);
	}
}

void
svm_batch_issue(struct svm_engine *e, struct svm_eq *q)
{
	const uint64_t begin = rte_rdtsc(), turn = us_cycles(TURN_US);
	struct svm_op *op = TAILQ_FIRST(&q->parked);
	uint32_t skipped = 0, bytes = 0;

	while (op != NULL && skipped != SKIP_MAX && bytes < TURN_BYTES &&
			rte_rdtsc() - begin < turn) {
		const bool late = bond_late(e, op->src) || bond_late(e, op->dst);
		struct svm_op *next = TAILQ_NEXT(op, next);
		struct svm_batch *b;

		/* Before it would have to wait for its turn: unbind waits for it. */
		if (svm_op_drop_ended(e, q, op)) {
			op = next;
			continue;
		}
		if (op->src == NULL && op->dst == NULL) {
			bytes += svm_op_window_slice(e, q, op);
			op = TAILQ_FIRST(&q->parked);
			continue;
		}
		if (svm_alias_step(e, q, op, &bytes)) {
			/* The same one again, unless it has ended. */
			op = op->state == SVM_OP_PARKED ? op : next;
			continue;
		}
		if (svm_batch_bond_busy(&e->batches, op->src) ||
				svm_batch_bond_busy(&e->batches, op->dst) ||
				(late && late_full(e))) {
			/* Without windows all operations of a worker's queue have
			 * the same bond. */
			if (svm_eq_is_worker(q) && !q->windows)
				return;
			op = next;
			skipped++;
			continue;
		}
		b = batch_alloc(&e->batches);
		if (b == NULL)
			return;
		b->q = q;
		b->lane = NULL;
		b->late = late;
		svm_batch_gather(e, b, op);
		if (b->nb_pieces != 0) {
			e->batches.nb++;
			bytes += b->bytes;
			b->state = SVM_BATCH_WAIT;
			b->started = rte_rdtsc();
			b->leg = svm_leg_first(b);
			svm_leg_prepare(b);
			batch_advance(e, b);
		}
		op = TAILQ_FIRST(&q->parked);
		skipped = 0;
	}
	if (unlikely(skipped == SKIP_MAX && op != NULL))
		parked_rotate(q, skipped);
}

void
svm_batch_poll(struct svm_engine *e)
{
	uint32_t i, left = e->batches.nb;

	for (i = 0; left != 0; i++) {
		struct svm_batch *b = &e->batches.batch[i];

		if (b->state == SVM_BATCH_FREE)
			continue;
		left--;
		batch_advance(e, b);
	}
}

void
svm_batch_wait(struct svm_engine *e)
{
	const uint64_t rest = us_cycles(REST_US);
	uint32_t i;

	for (i = 0; i != e->batches.max; i++) {
		const struct svm_batch *b = &e->batches.batch[i];
		uint64_t past;

		if (b->state == SVM_BATCH_FREE || b->lane == NULL)
			continue;
		/* One that is killed goes soon, or perhaps never. */
		past = rte_rdtsc() - b->started;
		if (past < rest) {
			past = past * 1000000 / rest * REST_US / 1000;	/* ns */
			svm_lane_wait(b->lane, RTE_MAX(past / REST_DIV, REST_NS));
			return;
		}
	}
}
