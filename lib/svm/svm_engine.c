/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include "svm_engine.h"
#include "svm_log.h"
#include "svm_numa.h"
#include "svm_trap.h"

/* Empty polls of a worker's queue between two looks whether it may rest. */
#define LOOK_POLLS	256u

static size_t
active_len(const struct svm_engine_conf *conf)
{
	return conf->max_queues * sizeof(struct svm_eq *);
}

int
svm_engine_create(const struct svm_engine_conf *conf, struct svm_engine **engine)
{
	struct svm_engine *e;
	int ret;

	e = svm_numa_alloc(sizeof(*e), conf->numa_node);
	if (e == NULL)
		return -ENOMEM;
	*e = (struct svm_engine){ .conf = *conf };
	e->timeout_cycles = conf->timeout_us * rte_get_tsc_hz() / 1000000;
	e->rest_cycles = conf->rest_us * rte_get_tsc_hz() / 1000000;
	e->active = svm_numa_alloc(active_len(conf), conf->numa_node);
	if (e->active == NULL) {
		ret = -ENOMEM;
		goto free_engine;
	}
	ret = svm_batch_set_create(conf->max_batches, conf->numa_node, &e->batches);
	if (ret < 0)
		goto free_active;
	*engine = e;
	return 0;

free_active:
	svm_numa_free(e->active, active_len(conf));
free_engine:
	svm_numa_free(e, sizeof(*e));
	return ret;
}

void
svm_engine_destroy(struct svm_engine *e)
{
	if (e == NULL)
		return;
	svm_batch_set_destroy(&e->batches);
	svm_numa_free(e->active, active_len(&e->conf));
	svm_numa_free(e, sizeof(*e));
}

bool
svm_engine_try_acquire(struct svm_engine *e)
{
	static __thread bool ready;

	/* Any thread may come here, an lcore that blocks every signal as well. */
	if (unlikely(!ready))
		ready = svm_trap_thread_init() == 0;
	return __atomic_exchange_n(&e->runner, 1, __ATOMIC_ACQUIRE) == 0;
}

void
svm_engine_release(struct svm_engine *e)
{
	__atomic_store_n(&e->runner, 0, __ATOMIC_RELEASE);
}

/* ---- a queue's end ---- */

/* Parked operations end as ABORTED; those in a lane end by themselves. */
static void
eq_abort_parked(struct svm_engine *e, struct svm_eq *q)
{
	struct svm_op *op;

	while ((op = TAILQ_FIRST(&q->parked)) != NULL) {
		TAILQ_REMOVE(&q->parked, op, next);
		q->nb_parked--;
		op->status = SVM_ST_ABORTED;
		svm_op_finish(e, q, op);
	}
}

/* The ring may be unusable, so say it under a guard and do not ask. */
static void
eq_tell_state(struct svm_eq *q, uint32_t state, int error)
{
	struct svm_guard g;

	if (svm_guard_enter(&g, q->mem, q->mem_len) != 0)
		return;
	__atomic_store_n(&q->ring.hdr->error, error, __ATOMIC_RELAXED);
	/* Release: pairs with the producer's load when it waits or submits. */
	__atomic_store_n(&q->ring.hdr->state, state, __ATOMIC_RELEASE);
	svm_guard_leave(&g);
}

void
svm_eq_break(struct svm_engine *e, struct svm_eq *q, int error)
{
	q->broken = true;
	eq_abort_parked(e, q);
	eq_tell_state(q, SVM_QS_BROKEN, error);
	SVM_LOG(WARNING, "gave up the queue of PASID %u: %s", q->self_pasid,
		error == -ETIMEDOUT ? "a claimed slot was never handed over" :
		"its memory cannot be accessed");
}

/* ---- guarded access to a worker's ring ---- */

static uint32_t
guarded_intake(struct svm_engine *e, struct svm_eq *q)
{
	struct svm_guard g;
	uint32_t n;

	if (svm_guard_enter(&g, q->mem, q->mem_len) != 0) {
		svm_eq_break(e, q, -EFAULT);
		return 0;
	}
	n = svm_intake(e, q);
	svm_guard_leave(&g);
	return n;
}

static uint32_t
guarded_complete(struct svm_engine *e, struct svm_eq *q)
{
	struct svm_guard g;
	uint32_t n;

	if (svm_guard_enter(&g, q->mem, q->mem_len) != 0) {
		svm_eq_break(e, q, -EFAULT);
		return 0;
	}
	n = svm_eq_complete(q);
	svm_guard_leave(&g);
	return n;
}

/* ---- turns ---- */

static uint32_t
eq_poll(struct svm_engine *e, struct svm_eq *q)
{
	const bool worker = svm_eq_is_worker(q);
	uint32_t n;

	if (unlikely(q->broken || q->closing)) {
		/* A batch that has ended since may have put an operation back. */
		eq_abort_parked(e, q);
		if (q->nb_issued == 0)
			svm_active_leave(e, q);
		return 0;
	}
	n = worker ? guarded_intake(e, q) : svm_intake(e, q);
	if (q->nb_parked != 0)
		svm_batch_issue(e, q);
	if (!svm_eq_settled(q))
		n += worker ? guarded_complete(e, q) : svm_eq_complete(q);
	else if (n == 0 && worker && unlikely(++q->empty_polls == LOOK_POLLS))
		svm_active_look(e, q);
	return n;
}

bool
svm_eq_close(struct svm_engine *e, struct svm_eq *q)
{
	uint32_t none = SVM_POST_NONE;

	eq_abort_parked(e, q);
	if (q->nb_issued != 0)
		return false;
	/* One that is posted comes by once more: it must not be freed before.
	 * Relaxed: nothing but the post itself is divided here. */
	if (!__atomic_compare_exchange_n(&q->post, &none, SVM_POST_OVER, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	if (!q->broken)
		guarded_complete(e, q);
	eq_tell_state(q, SVM_QS_STOPPED, 0);
	return true;
}

void
svm_eq_closed(struct svm_eq *q)
{
	/* Release: pairs with the load in svm_engine_detach(). */
	__atomic_store_n(&q->life, SVM_EQ_CLOSED, __ATOMIC_RELEASE);
}

/* A queue was posted: why, its fields say. */
static void
eq_attend(struct svm_engine *e, struct svm_eq *q)
{
	const bool new = !q->attached;

	/* Release: its link has been read; pairs with svm_engine_post(), which writes it.
	 * Full: what is looked at from here on is what whoever finds the queue
	 * posted still had stored before; pairs with the fence in svm_engine_post(). */
	__atomic_store_n(&q->post, SVM_POST_NONE, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->attached = true;
	/* Acquire: pairs with the exchange in svm_engine_detach(). */
	if (__atomic_load_n(&q->life, __ATOMIC_ACQUIRE) == SVM_EQ_CLOSING) {
		q->closing = true;
		if (!q->active)
			svm_active_add(e, q);
		svm_active_leave(e, q);
	} else if (new) {
		svm_active_add(e, q);
	} else if (!q->active && !q->broken) {
		svm_active_wake(e, q);
	}
}

/* What control asked for: new queues in, rung ones back, closing ones out. */
static void
engine_attend(struct svm_engine *e)
{
	/* Acquire: pairs with the release push in svm_engine_post(). */
	struct svm_eq *q = __atomic_exchange_n(&e->posted, NULL, __ATOMIC_ACQUIRE);

	while (q != NULL) {
		struct svm_eq *next = q->next_post;

		eq_attend(e, q);
		q = next;
	}
	svm_active_sweep(e);
}

uint32_t
svm_engine_turn(struct svm_engine *e)
{
	uint32_t i, n = 0;

	/* Acquire, so that what control wrote before it is seen. */
	if (unlikely(__atomic_load_n(&e->attention, __ATOMIC_RELAXED) != 0) &&
			__atomic_exchange_n(&e->attention, 0, __ATOMIC_ACQUIRE) != 0)
		engine_attend(e);
	if (e->batches.nb != 0)
		svm_batch_poll(e);
	/* Another one is first each time: who is first gets what has come free. */
	if (++e->first >= e->nb_active)
		e->first = 0;
	for (i = e->first; i < e->nb_active; i++)
		n += eq_poll(e, e->active[i]);
	for (i = 0; i < e->first; i++)
		n += eq_poll(e, e->active[i]);
	if (unlikely(e->nb_leaving != 0))
		svm_active_sweep(e);
	if (unlikely(n == 0 && e->batches.nb != 0))
		svm_batch_wait(e);
	return n;
}

uint32_t
svm_engine_settle_step(struct svm_engine *e)
{
	uint32_t i, left = e->batches.nb;

	svm_batch_poll(e);
	/* One that rests has nothing parked or under way. */
	for (i = 0; i != e->nb_active; i++) {
		struct svm_eq *q = e->active[i];

		if (q->broken || q->closing) {
			eq_abort_parked(e, q);
			continue;
		}
		if (q->nb_parked != 0)
			svm_batch_issue(e, q);
		guarded_complete(e, q);
		left += q->nb_parked + q->nb_issued;
	}
	if (e->batches.nb != 0)
		svm_batch_wait(e);
	return left;
}

/* ---- control ---- */

void
svm_engine_ask(struct svm_engine *e)
{
	/* Release: pairs with the exchange in svm_engine_turn(). */
	__atomic_store_n(&e->attention, 1, __ATOMIC_RELEASE);
	svm_engine_wake(e);
}

void
svm_engine_post(struct svm_eq *q)
{
	struct svm_engine *e = q->engine;
	uint32_t none = SVM_POST_NONE;

	/*
	 * Full: why the queue is posted was stored before. Where it is posted
	 * already, the engine has yet to take it off, and looks after that: pairs
	 * with the fence in eq_attend(). Acquire: with its store, for the link below.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_compare_exchange_n(&q->post, &none, SVM_POST_SENT, false,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	/* Relaxed: the exchange below checks it. */
	q->next_post = __atomic_load_n(&e->posted, __ATOMIC_RELAXED);
	/* Release: pairs with the exchange in engine_attend(). */
	while (!__atomic_compare_exchange_n(&e->posted, &q->next_post, q, true,
			__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	svm_engine_ask(e);
}

void
svm_engine_attach(struct svm_engine *e, struct svm_eq *q)
{
	q->engine = e;
	q->life = SVM_EQ_RUN;
	q->post = SVM_POST_NONE;
	/* Relaxed: a figure. */
	__atomic_fetch_add(&e->nb_attached, 1, __ATOMIC_RELAXED);
	svm_engine_post(q);
}

int
svm_engine_detach(struct svm_eq *q)
{
	struct svm_engine *e = q->engine;
	uint32_t life = SVM_EQ_RUN;

	if (__atomic_compare_exchange_n(&q->life, &life, SVM_EQ_CLOSING, false,
			__ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
		__atomic_fetch_sub(&e->nb_attached, 1, __ATOMIC_RELAXED);
		svm_engine_post(q);
	} else {
		svm_engine_ask(e);
	}
	if (svm_engine_try_acquire(e)) {
		if (e->batches.nb != 0)
			svm_batch_poll(e);
		/* Acquire, as in svm_engine_turn(): a request that this takes away
		 * is seen by what follows. */
		__atomic_exchange_n(&e->attention, 0, __ATOMIC_ACQUIRE);
		if (q->closing && q->active)
			svm_active_leave(e, q);
		engine_attend(e);
		svm_engine_release(e);
	}
	/* Acquire: pairs with the store in svm_eq_closed(). */
	return __atomic_load_n(&q->life, __ATOMIC_ACQUIRE) == SVM_EQ_CLOSED ?
		0 : -EBUSY;
}

void
svm_engine_help(struct svm_engine *e)
{
	if (!svm_engine_try_acquire(e))
		return;
	svm_engine_settle_step(e);
	svm_engine_release(e);
}
