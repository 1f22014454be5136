/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's queue and an engine for it, without device, server or process: both
 * ends are on one mapping, so that a thread sanitizer sees every access. A
 * doorbell is svm_engine_post(), which is what the server makes of one.
 */
#ifndef TEST_WAKEUP_H
#define TEST_WAKEUP_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner.h"
#include "svm_engine.h"
#include "svm_trap.h"
#include "test_child.h"

#define WAKE_DEPTH	32u
#define WAKE_TIMEOUT_US	1000u

struct wake {
	struct svm_bond_table *bonds;
	struct svm_fault_queue faults;
	struct svm_engine *engine;
	struct svm_eq *eq;
	struct svm_producer prod;
	int fd;
	bool sleeps;		/* the engine sleeps when a turn finds nothing */
	bool runs;
	pthread_t thread;
	uint32_t stop;		/* atomic */
	uint32_t rings;		/* atomic; doorbells rung */
};

/* timeout_us: the engine's, and with it what a producer gets between claim and mark. */
static inline void
wake_open_for(struct wake *w, bool mp, uint32_t timeout_us)
{
	struct svm_engine_conf conf = { .timeout_us = timeout_us, .max_queues = 1,
		.max_batches = 1 };

	memset(w, 0, sizeof(*w));
	CU_ASSERT_EQUAL_FATAL(svm_trap_install(), 0);
	CU_ASSERT_EQUAL_FATAL(svm_bond_table_create(1, &w->bonds), 0);
	svm_fault_queue_init(&w->faults);
	conf.bonds = w->bonds;
	conf.faults = &w->faults;
	CU_ASSERT_EQUAL_FATAL(svm_engine_create(&conf, &w->engine), 0);
	CU_ASSERT_EQUAL_FATAL(svm_eq_create(w->bonds, WAKE_DEPTH, 0, 1, -1, &w->fd, &w->eq), 0);
	svm_producer_init(&w->prod, &w->eq->ring, mp, 0);
	svm_engine_attach(w->engine, w->eq);
}

static inline void
wake_open(struct wake *w, bool mp)
{
	wake_open_for(w, mp, WAKE_TIMEOUT_US);
}

static inline void *
wake_engine_main(void *arg)
{
	struct wake *w = arg;
	uint32_t turns = 0;

	while (!svm_engine_try_acquire(w->engine))
		;
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		if (svm_engine_turn(w->engine) != 0)
			continue;
		if (w->sleeps)
			svm_engine_sleep(w->engine, &w->stop);
		else if (++turns % 256 == 0)
			sched_yield();
	}
	svm_engine_release(w->engine);
	return NULL;
}

static inline void
wake_run(struct wake *w, bool sleeps)
{
	w->sleeps = sleeps;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&w->thread, NULL, wake_engine_main, w), 0);
	w->runs = true;
}

static inline void
wake_halt(struct wake *w)
{
	if (!w->runs)
		return;
	__atomic_store_n(&w->stop, 1, __ATOMIC_RELEASE);
	svm_engine_ask(w->engine);
	pthread_join(w->thread, NULL);
	w->runs = false;
}

static inline void
wake_close(struct wake *w)
{
	const uint64_t end = child_now_ms() + CHILD_BOUND_MS;
	int ret;

	while ((ret = svm_engine_detach(w->eq)) == -EBUSY &&
			child_now_ms() < end)
		sched_yield();
	TEST_EQUAL(ret, 0);
	svm_eq_destroy(w->eq);
	wake_halt(w);
	svm_engine_destroy(w->engine);
	svm_bond_table_destroy(w->bonds);
	svm_trap_remove();
	close(w->fd);
}

/* ---- a producer, as worker_queue.c does it ---- */

static inline bool
wake_claim(struct wake *w, uint32_t *counter)
{
	return svm_producer_claim(&w->prod, 1, counter);
}

static inline void
wake_mark(struct wake *w, uint32_t counter)
{
	const struct svm_desc d = { .op = SVM_OP_NOP };

	svm_producer_fill(&w->prod, counter, &d);
	svm_producer_mark(&w->prod, counter);
}

static inline bool
wake_told_to_ring(const struct wake *w)
{
	return __atomic_load_n(&w->eq->ring.hdr->need_wakeup, __ATOMIC_RELAXED) != 0;
}

static inline void
wake_ring(struct wake *w)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!wake_told_to_ring(w))
		return;
	__atomic_fetch_add(&w->rings, 1, __ATOMIC_RELAXED);
	svm_engine_post(w->eq);
}

static inline void
wake_submit(struct wake *w)
{
	uint32_t counter = 0;

	CU_ASSERT_FATAL(wake_claim(w, &counter));
	wake_mark(w, counter);
	wake_ring(w);
}

static inline bool
wake_completes(struct wake *w)
{
	const uint64_t end = child_now_ms() + CHILD_BOUND_MS;
	struct svm_cpl c;

	while (!svm_producer_poll(&w->prod, &c)) {
		if (child_now_ms() > end)
			return false;
		sched_yield();
	}
	return c.status == SVM_ST_OK;
}

/* Turns by hand until the queue rests; the engine's thread does not run. */
static inline bool
wake_rests(struct wake *w)
{
	uint32_t i;

	for (i = 0; i < 100000 && (i == 0 || w->eq->active); i++)
		svm_engine_turn(w->engine);
	return !w->eq->active;
}

/* ---- test_wakeup_threads.c ---- */

/** Add its tests to the suite. 0, -1. */
int
test_wakeup_threads_add(CU_pSuite suite);

#endif /* TEST_WAKEUP_H */
