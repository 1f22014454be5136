/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The active list: which queues a turn looks at, and when the engine looks at
 * none and sleeps.
 *
 *           attach                    LOOK_POLLS empty polls, rest_us without work
 *   (new) ----------> active, polled -----------------------------------> resting
 *                        ^                need_wakeup = 1, fence, look        |
 *                        +----------------------------------------------------+
 *                              doorbell: svm_engine_post(), svm_active_wake()
 *
 * A resting queue costs nothing per turn. Its producer finds need_wakeup set and
 * rings; one that does not ring, or clears need_wakeup, waits for itself alone,
 * and one that rings in vain costs a look for each post. Only workers' queues
 * rest by themselves: the owner's have no doorbell while the engine polls, so
 * that a submit is free of system calls.
 *
 * A queue with a slot that is claimed and not handed over does not rest: either
 * it is handed over soon, or its producer died and the queue is given up after
 * STALL_TIMEOUTS. A producer may also claim while its queue rests, and die:
 * then nobody waits, until another producer's doorbell makes the queue active.
 *
 * Everything here but svm_engine_wake() is the runner's.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include "svm_engine.h"
#include "svm_trap.h"

/* What a producer gets that has claimed, in timeouts: it may only have lost its core. */
#define STALL_TIMEOUTS	16u
/* A sleeping engine looks after such a one so often. */
#define STALL_NAP_NS	100000000L

/* What the ring holds that the engine has not taken. */
enum pending {
	PENDING_NONE,
	PENDING_CLAIMED,	/* a slot that is not handed over */
	PENDING_READY,
};

static enum pending
ring_pending(const struct svm_eq *q)
{
	if (svm_ring_ready(&q->ring, q->head))
		return PENDING_READY;
	/* Relaxed: a claim that is not seen yet ends in a mark, and that rings. */
	return __atomic_load_n(&q->ring.hdr->sq_tail, __ATOMIC_RELAXED) == q->head ?
		PENDING_NONE : PENDING_CLAIMED;
}

static enum pending
eq_pending(struct svm_engine *e, struct svm_eq *q)
{
	struct svm_guard g;
	enum pending p;

	if (q->broken)
		return PENDING_NONE;
	if (svm_guard_enter(&g, q->mem, q->mem_len) != 0) {
		svm_eq_break(e, q, -EFAULT);
		return PENDING_NONE;
	}
	p = ring_pending(q);
	svm_guard_leave(&g);
	return p;
}

/* Never read back: it is the worker's to write, too. */
static void
eq_need_wakeup(struct svm_engine *e, struct svm_eq *q, uint32_t value)
{
	struct svm_guard g;

	if (q->broken)
		return;
	if (svm_guard_enter(&g, q->mem, q->mem_len) != 0) {
		svm_eq_break(e, q, -EFAULT);
		return;
	}
	/* Relaxed: the fence between a 1 and the look at the ring is the caller's. */
	__atomic_store_n(&q->ring.hdr->need_wakeup, value, __ATOMIC_RELAXED);
	svm_guard_leave(&g);
}

/* ---- the list ---- */

void
svm_active_add(struct svm_engine *e, struct svm_eq *q)
{
	q->active = true;
	q->leaving = false;
	q->empty_polls = 0;
	q->look_since = 0;
	e->active[e->nb_active++] = q;
}

void
svm_active_leave(struct svm_engine *e, struct svm_eq *q)
{
	if (q->leaving)
		return;
	q->leaving = true;
	e->nb_leaving++;
}

static void
active_remove_at(struct svm_engine *e, uint32_t i)
{
	e->active[i]->active = false;
	e->active[i] = e->active[--e->nb_active];
}

/* Whether queue number i of the list has left it. */
static bool
active_try_remove(struct svm_engine *e, uint32_t i)
{
	struct svm_eq *q = e->active[i];

	q->leaving = false;
	if (q->closing) {
		if (!svm_eq_close(e, q))
			return false;
		active_remove_at(e, i);
		svm_eq_closed(q);
		return true;
	}
	/* Marked before a sleep, it may have taken work in since. A broken one takes
	 * none, and completes nothing: what it has under way is all that counts. */
	if (q->nb_parked + q->nb_issued != 0 || (!q->broken &&
			(!svm_eq_settled(q) || eq_pending(e, q) != PENDING_NONE))) {
		eq_need_wakeup(e, q, 0);
		return false;
	}
	active_remove_at(e, i);
	return true;
}

void
svm_active_sweep(struct svm_engine *e)
{
	uint32_t i;

	if (e->nb_leaving == 0)
		return;
	for (i = 0; i != e->nb_active; i++)
		if (e->active[i]->leaving && !e->active[i]->closing)
			eq_need_wakeup(e, e->active[i], 1);
	/* Full: need_wakeup before the looks at the rings; pairs with the fence in
	 * the worker's submit. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i != e->nb_active;)
		if (!e->active[i]->leaving || !active_try_remove(e, i))
			i++;
	e->nb_leaving = 0;
}

void
svm_active_look(struct svm_engine *e, struct svm_eq *q)
{
	const uint64_t now = rte_rdtsc();
	enum pending pending;

	q->empty_polls = 0;
	if (q->look_head != q->head || q->look_since == 0) {
		q->look_head = q->head;
		q->look_since = now;
		return;
	}
	if (now - q->look_since < e->rest_cycles)
		return;
	pending = eq_pending(e, q);
	if (pending == PENDING_NONE)
		svm_active_leave(e, q);
	else if (pending == PENDING_CLAIMED &&
			now - q->look_since > STALL_TIMEOUTS * e->timeout_cycles)
		svm_eq_break(e, q, -ETIMEDOUT);
}

void
svm_active_wake(struct svm_engine *e, struct svm_eq *q)
{
	/* Who rang has marked before: it is seen here. Else nothing was to be
	 * seen, need_wakeup stands, and whoever marks next rings again. */
	if (eq_pending(e, q) == PENDING_NONE)
		return;
	eq_need_wakeup(e, q, 0);
	svm_active_add(e, q);
}

/* ---- sleeping ---- */

/* Set before, need_wakeup stays with queues that rest, and with all while the engine sleeps. */
static bool
engine_may_sleep(struct svm_engine *e, bool *claimed)
{
	bool may = true;
	uint32_t i = 0;

	while (i != e->nb_active) {
		struct svm_eq *q = e->active[i];
		const enum pending p = eq_pending(e, q);

		if (p == PENDING_READY) {
			may = false;
		} else if (svm_eq_is_worker(q)) {
			if (p == PENDING_NONE) {
				active_remove_at(e, i);
				continue;
			}
			svm_active_look(e, q);
			*claimed = true;
		}
		i++;
	}
	return may;
}

/* A long operation goes on in the next turn, without a batch in between. */
static bool
engine_is_busy(const struct svm_engine *e)
{
	uint32_t i;

	if (e->batches.nb != 0 || e->nb_leaving != 0)
		return true;
	for (i = 0; i != e->nb_active; i++)
		if (!svm_eq_settled(e->active[i]) || e->active[i]->closing)
			return true;
	return false;
}

static void
engine_need_wakeup(struct svm_engine *e, uint32_t value)
{
	uint32_t i;

	for (i = 0; i != e->nb_active; i++)
		eq_need_wakeup(e, e->active[i], value);
}

void
svm_engine_sleep(struct svm_engine *e, const uint32_t *stop)
{
	static const struct timespec nap = { .tv_nsec = STALL_NAP_NS };
	bool claimed = false;

	if (engine_is_busy(e))
		return;
	__atomic_store_n(&e->sleeping, 1, __ATOMIC_RELAXED);
	engine_need_wakeup(e, 1);
	/* Full: need_wakeup and sleeping before the looks at rings, attention and
	 * stop; pairs with the fences in svm_oq_kick_slow(), the worker's submit and
	 * svm_engine_wake(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (engine_may_sleep(e, &claimed) &&
			__atomic_load_n(&e->attention, __ATOMIC_RELAXED) == 0 &&
			__atomic_load_n(stop, __ATOMIC_RELAXED) == 0)
		syscall(SYS_futex, &e->sleeping, FUTEX_WAIT_PRIVATE, 1,
			claimed ? &nap : NULL, NULL, 0);
	__atomic_store_n(&e->sleeping, 0, __ATOMIC_RELAXED);
	engine_need_wakeup(e, 0);
}

void
svm_engine_wake(struct svm_engine *e)
{
	/* Full: what the caller published before the look at sleeping. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&e->sleeping, 0, __ATOMIC_RELAXED) != 0)
		syscall(SYS_futex, &e->sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
