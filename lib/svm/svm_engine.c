/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include "svm_engine.h"
#include "svm_log.h"
#include "svm_trap.h"

/* Empty polls of a queue between looks for a producer that claimed and died. */
#define STALL_POLLS	1024u
/* What that producer gets, in timeouts: it may only have lost its core. */
#define STALL_TIMEOUTS	16u

int
svm_engine_create(const struct svm_engine_conf *conf, struct svm_engine **engine)
{
	struct svm_engine *e;
	int ret;

	e = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	*e = (struct svm_engine){ .conf = *conf };
	e->timeout_cycles = conf->timeout_us * rte_get_tsc_hz() / 1000000;
	e->queues = calloc(conf->max_queues, sizeof(*e->queues));
	if (e->queues == NULL) {
		ret = -ENOMEM;
		goto free_engine;
	}
	ret = svm_batch_set_create(conf->max_batches, &e->batches);
	if (ret < 0)
		goto free_queues;
	*engine = e;
	return 0;

free_queues:
	free(e->queues);
free_engine:
	free(e);
	return ret;
}

void
svm_engine_destroy(struct svm_engine *e)
{
	if (e == NULL)
		return;
	svm_batch_set_destroy(&e->batches);
	free(e->queues);
	free(e);
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

/*
 * A producer of several that dies between claim and mark stalls its queue. The
 * tail it wrote says that something is claimed; in the end the queue is given up.
 */
static void
eq_check_stall(struct svm_engine *e, struct svm_eq *q)
{
	struct svm_guard g;
	uint32_t tail;

	q->empty_polls = 0;
	if (svm_guard_enter(&g, q->mem, q->mem_len) != 0) {
		svm_eq_break(e, q, -EFAULT);
		return;
	}
	tail = __atomic_load_n(&q->ring.hdr->sq_tail, __ATOMIC_RELAXED);
	svm_guard_leave(&g);
	if (tail == q->head || q->stall_head != q->head || q->stall_since == 0) {
		q->stall_head = q->head;
		q->stall_since = tail == q->head ? 0 : rte_rdtsc();
	} else if (rte_rdtsc() - q->stall_since > STALL_TIMEOUTS * e->timeout_cycles) {
		svm_eq_break(e, q, -ETIMEDOUT);
	}
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
		return 0;
	}
	n = worker ? guarded_intake(e, q) : svm_intake(e, q);
	if (q->nb_parked != 0)
		svm_batch_issue(e, q);
	if (!svm_eq_settled(q))
		n += worker ? guarded_complete(e, q) : svm_eq_complete(q);
	else if (n == 0 && worker && ++q->empty_polls == STALL_POLLS)
		eq_check_stall(e, q);
	return n;
}

/* What control asked for: new queues in, closing ones out. */
static void
engine_attend(struct svm_engine *e)
{
	struct svm_eq *q;
	uint32_t i;

	/* Acquire: pairs with the release push in svm_engine_attach(). */
	q = __atomic_exchange_n(&e->incoming, NULL, __ATOMIC_ACQUIRE);
	while (q != NULL) {
		struct svm_eq *next = q->next_incoming;

		e->queues[e->nb_queues++] = q;
		q = next;
	}
	for (i = 0; i != e->nb_queues; i++) {
		q = e->queues[i];
		/* Acquire: pairs with the store in svm_engine_detach(). */
		if (__atomic_load_n(&q->life, __ATOMIC_ACQUIRE) != SVM_EQ_CLOSING)
			continue;
		q->closing = true;
		eq_abort_parked(e, q);
		if (q->nb_issued != 0) {
			/* Look again next turn. An exchange: what control released
			 * with a 1 that stands there goes on to the next reader. */
			__atomic_exchange_n(&e->attention, 1, __ATOMIC_RELAXED);
			continue;
		}
		if (!q->broken)
			guarded_complete(e, q);
		eq_tell_state(q, SVM_QS_STOPPED, 0);
		e->queues[i--] = e->queues[--e->nb_queues];
		/* Release: the engine touches it no more. */
		__atomic_store_n(&q->life, SVM_EQ_CLOSED, __ATOMIC_RELEASE);
	}
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
	if (++e->first >= e->nb_queues)
		e->first = 0;
	for (i = e->first; i < e->nb_queues; i++)
		n += eq_poll(e, e->queues[i]);
	for (i = 0; i < e->first; i++)
		n += eq_poll(e, e->queues[i]);
	if (unlikely(n == 0 && e->batches.nb != 0))
		svm_batch_wait(e);
	return n;
}

/* A turn that takes nothing. What is left: batches and parked operations. */
static uint32_t
engine_settle_step(struct svm_engine *e)
{
	uint32_t i, left = e->batches.nb;

	svm_batch_poll(e);
	for (i = 0; i != e->nb_queues; i++) {
		struct svm_eq *q = e->queues[i];

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

int
svm_engine_settle(struct svm_engine *e)
{
	const uint64_t end = rte_rdtsc() + SVM_ENGINE_END_US(e->conf.timeout_us) *
			rte_get_tsc_hz() / 1000000;
	uint32_t left;

	do {
		left = engine_settle_step(e);
	} while (left != 0 && rte_rdtsc() < end);
	return left == 0 ? 0 : -EBUSY;
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
svm_engine_attach(struct svm_engine *e, struct svm_eq *q)
{
	q->life = SVM_EQ_RUN;
	q->next_incoming = __atomic_load_n(&e->incoming, __ATOMIC_RELAXED);
	/* Release: pairs with the exchange in engine_attend(). */
	while (!__atomic_compare_exchange_n(&e->incoming, &q->next_incoming, q, true,
			__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	svm_engine_ask(e);
}

int
svm_engine_detach(struct svm_engine *e, struct svm_eq *q)
{
	uint32_t life = SVM_EQ_RUN;

	__atomic_compare_exchange_n(&q->life, &life, SVM_EQ_CLOSING, false,
		__ATOMIC_RELEASE, __ATOMIC_RELAXED);
	svm_engine_ask(e);
	if (svm_engine_try_acquire(e)) {
		if (e->batches.nb != 0)
			svm_batch_poll(e);
		/* Acquire, as in svm_engine_turn(): a request that this takes away
		 * is seen by what follows. */
		__atomic_exchange_n(&e->attention, 0, __ATOMIC_ACQUIRE);
		engine_attend(e);
		svm_engine_release(e);
	}
	/* Acquire: pairs with the store in engine_attend(). */
	return __atomic_load_n(&q->life, __ATOMIC_ACQUIRE) == SVM_EQ_CLOSED ?
		0 : -EBUSY;
}

void
svm_engine_help(struct svm_engine *e)
{
	if (!svm_engine_try_acquire(e))
		return;
	engine_settle_step(e);
	svm_engine_release(e);
}

/* ---- sleeping ---- */

static bool
eq_need_wakeup(struct svm_engine *e, struct svm_eq *q, uint32_t value)
{
	struct svm_guard g;
	bool ready;

	if (q->broken)
		return false;
	if (svm_guard_enter(&g, q->mem, q->mem_len) != 0) {
		svm_eq_break(e, q, -EFAULT);
		return false;
	}
	/* Relaxed: the fence between this store and the look at the ring is in
	 * svm_engine_sleep(). */
	__atomic_store_n(&q->ring.hdr->need_wakeup, value, __ATOMIC_RELAXED);
	ready = svm_ring_ready(&q->ring, q->head);
	svm_guard_leave(&g);
	return ready;
}

/* A long operation goes on in the next turn, without a batch in between. */
static bool
engine_has_parked(const struct svm_engine *e)
{
	uint32_t i;

	for (i = 0; i != e->nb_queues; i++)
		if (e->queues[i]->nb_parked != 0)
			return true;
	return false;
}

static bool
engine_set_wakeup(struct svm_engine *e, uint32_t value)
{
	bool ready = false;
	uint32_t i;

	for (i = 0; i != e->nb_queues; i++)
		ready |= eq_need_wakeup(e, e->queues[i], value);
	return ready;
}

void
svm_engine_sleep(struct svm_engine *e, uint64_t ns)
{
	const struct timespec ts = {
		.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000,
	};

	if (e->batches.nb != 0 || engine_has_parked(e))
		return;
	__atomic_store_n(&e->sleeping, 1, __ATOMIC_RELAXED);
	engine_set_wakeup(e, 1);
	/* Full: need_wakeup and sleeping before the looks at rings and attention;
	 * pairs with the fences in svm_oq_kick_slow(), the worker's submit and
	 * svm_engine_wake(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!engine_set_wakeup(e, 1) &&
			__atomic_load_n(&e->attention, __ATOMIC_RELAXED) == 0)
		syscall(SYS_futex, &e->sleeping, FUTEX_WAIT_PRIVATE, 1, &ts, NULL, 0);
	__atomic_store_n(&e->sleeping, 0, __ATOMIC_RELAXED);
	engine_set_wakeup(e, 0);
}

void
svm_engine_wake(struct svm_engine *e)
{
	/* Full: what the caller published before the look at sleeping. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&e->sleeping, 0, __ATOMIC_RELAXED) != 0)
		syscall(SYS_futex, &e->sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
