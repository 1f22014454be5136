/* SPDX-License-Identifier: BSD-3-Clause */
/* Resting queues and sleeping engines, step by step. */
#include <errno.h>

#include <CUnit/CUnit.h>

#include "suites.h"
#include "test_wakeup.h"

/* As STALL_TIMEOUTS in svm_active.c, and time to spare. */
#define STALLED_MS	(16u * WAKE_TIMEOUT_US / 1000u + 30u)

/* ---- one thread: what each step does ---- */

static void
test_wakeup_idle_queue_leaves_the_turn(void)
{
	struct wake w;

	wake_open(&w, false);
	svm_engine_turn(w.engine);
	TEST_EQUAL(w.engine->nb_active, 1);
	CU_ASSERT(wake_rests(&w));
	TEST_EQUAL(w.engine->nb_active, 0);
	CU_ASSERT(wake_told_to_ring(&w));
	wake_close(&w);
}

static void
test_wakeup_doorbell_brings_it_back(void)
{
	struct wake w;

	wake_open(&w, false);
	CU_ASSERT(wake_rests(&w));
	wake_submit(&w);
	TEST_EQUAL(w.rings, 1);
	svm_engine_turn(w.engine);
	TEST_EQUAL(w.engine->nb_active, 1);
	CU_ASSERT(!wake_told_to_ring(&w));
	CU_ASSERT(wake_completes(&w));
	/* Now it is polled: the next one rings no bell. */
	wake_submit(&w);
	TEST_EQUAL(w.rings, 1);
	svm_engine_turn(w.engine);
	CU_ASSERT(wake_completes(&w));
	wake_close(&w);
}

static void
test_wakeup_busy_queue_stays(void)
{
	struct wake w;
	uint32_t i;

	wake_open(&w, false);
	for (i = 0; i < 3000; i++) {
		wake_submit(&w);
		svm_engine_turn(w.engine);
		CU_ASSERT(wake_completes(&w));
	}
	TEST_EQUAL(w.engine->nb_active, 1);
	TEST_EQUAL(w.rings, 0);
	wake_close(&w);
}

static void
test_wakeup_ring_in_vain_costs_a_look(void)
{
	struct wake w;
	uint32_t i;

	wake_open(&w, false);
	CU_ASSERT(wake_rests(&w));
	for (i = 0; i < 1000; i++)
		svm_engine_post(w.eq);
	/* On the stack once. */
	CU_ASSERT(w.engine->posted == w.eq && w.eq->next_post == NULL);
	svm_engine_turn(w.engine);
	CU_ASSERT_PTR_NULL(w.engine->posted);
	TEST_EQUAL(w.engine->nb_active, 0);
	CU_ASSERT(wake_told_to_ring(&w));
	wake_close(&w);
}

static void
test_wakeup_flag_cleared_by_worker_waits_for_itself(void)
{
	struct wake w;
	uint32_t i;

	wake_open(&w, false);
	CU_ASSERT(wake_rests(&w));
	__atomic_store_n(&w.eq->ring.hdr->need_wakeup, 0, __ATOMIC_RELAXED);
	wake_submit(&w);
	for (i = 0; i < 1000; i++)
		svm_engine_turn(w.engine);
	TEST_EQUAL(w.engine->nb_active, 0);
	CU_ASSERT(!svm_producer_pending(&w.prod));
	/* Its next doorbell, whatever for, finds the work. */
	svm_engine_post(w.eq);
	svm_engine_turn(w.engine);
	CU_ASSERT(wake_completes(&w));
	wake_close(&w);
}

static void
test_wakeup_flag_set_by_worker_changes_nothing(void)
{
	struct wake w;

	wake_open(&w, false);
	svm_engine_turn(w.engine);
	__atomic_store_n(&w.eq->ring.hdr->need_wakeup, 1, __ATOMIC_RELAXED);
	wake_submit(&w);
	TEST_EQUAL(w.rings, 1);
	svm_engine_turn(w.engine);
	TEST_EQUAL(w.engine->nb_active, 1);
	CU_ASSERT(wake_completes(&w));
	CU_ASSERT(wake_rests(&w));
	wake_close(&w);
}

/* Handed over after the last poll, before need_wakeup was to be seen. */
static void
test_wakeup_late_work_keeps_it_awake(void)
{
	struct wake w;

	wake_open(&w, false);
	svm_engine_turn(w.engine);
	svm_active_leave(w.engine, w.eq);
	wake_submit(&w);
	TEST_EQUAL(w.rings, 0);
	svm_active_sweep(w.engine);
	TEST_EQUAL(w.engine->nb_active, 1);
	CU_ASSERT(!wake_told_to_ring(&w));
	svm_engine_turn(w.engine);
	CU_ASSERT(wake_completes(&w));
	wake_close(&w);
}

/* Marked, and then taken in: the ring says nothing of it any more. */
static void
test_wakeup_work_under_way_keeps_it_awake(void)
{
	struct wake w;

	wake_open(&w, false);
	svm_engine_turn(w.engine);
	/* As if a lane were at work for it. */
	w.eq->nb_issued++;
	svm_active_leave(w.engine, w.eq);
	svm_active_sweep(w.engine);
	TEST_EQUAL(w.engine->nb_active, 1);
	CU_ASSERT(!wake_told_to_ring(&w));
	/* A broken one as well: the lane's end may put an operation back. */
	w.eq->broken = true;
	svm_active_leave(w.engine, w.eq);
	svm_active_sweep(w.engine);
	TEST_EQUAL(w.engine->nb_active, 1);
	w.eq->broken = false;
	w.eq->nb_issued--;
	CU_ASSERT(wake_rests(&w));
	wake_close(&w);
}

static void
test_wakeup_late_work_keeps_the_engine_awake(void)
{
	struct wake w;

	wake_open(&w, false);
	svm_engine_turn(w.engine);
	wake_submit(&w);
	TEST_EQUAL(w.rings, 0);
	/* Would not come back. */
	svm_engine_sleep(w.engine, &w.stop);
	TEST_EQUAL(w.engine->nb_active, 1);
	CU_ASSERT(!wake_told_to_ring(&w));
	svm_engine_turn(w.engine);
	CU_ASSERT(wake_completes(&w));
	wake_close(&w);
}

static void *
sleep_main(void *arg)
{
	struct wake *w = arg;

	if (svm_engine_try_acquire(w->engine)) {
		svm_engine_sleep(w->engine, &w->stop);
		svm_engine_release(w->engine);
	}
	__atomic_store_n(&w->runs, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Stopped after its runner looked, and the turn since has answered the call for attention. */
static void
test_wakeup_stop_whose_call_is_answered_keeps_it_awake(void)
{
	const uint64_t end = child_now_ms() + CHILD_BOUND_MS;
	pthread_t thread;
	struct wake w;

	wake_open(&w, false);
	w.stop = 1;
	svm_engine_ask(w.engine);
	svm_engine_turn(w.engine);
	TEST_EQUAL(w.engine->attention, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, sleep_main, &w), 0);
	while (!__atomic_load_n(&w.runs, __ATOMIC_ACQUIRE) && child_now_ms() < end)
		sched_yield();
	CU_ASSERT(__atomic_load_n(&w.runs, __ATOMIC_ACQUIRE));
	svm_engine_ask(w.engine);
	pthread_join(thread, NULL);
	w.runs = false;
	wake_close(&w);
}

static void
test_wakeup_claimed_slot_keeps_it_awake(void)
{
	struct wake w;
	uint32_t first = 0, i;

	wake_open(&w, true);
	svm_engine_turn(w.engine);
	CU_ASSERT_FATAL(wake_claim(&w, &first));
	for (i = 0; i < 2000; i++)
		svm_engine_turn(w.engine);
	TEST_EQUAL(w.engine->nb_active, 1);
	wake_mark(&w, first);
	svm_engine_turn(w.engine);
	CU_ASSERT(wake_completes(&w));
	wake_close(&w);
}

static void
test_wakeup_second_producer_rings_for_both(void)
{
	struct wake w;
	uint32_t first = 0;

	wake_open(&w, true);
	CU_ASSERT(wake_rests(&w));
	CU_ASSERT_FATAL(wake_claim(&w, &first));
	wake_submit(&w);
	svm_engine_turn(w.engine);
	/* The first slot is missing yet: the queue is looked at for it. */
	TEST_EQUAL(w.engine->nb_active, 1);
	wake_mark(&w, first);
	wake_ring(&w);
	svm_engine_turn(w.engine);
	CU_ASSERT(wake_completes(&w));
	CU_ASSERT(wake_completes(&w));
	TEST_EQUAL(w.rings, 1);
	wake_close(&w);
}

/* A producer claims in a resting queue and dies; another one waits behind it. */
static void
dies_at_rest(bool sleeps)
{
	const uint64_t end = child_now_ms() + CHILD_BOUND_MS;
	struct wake w;
	uint32_t dead = 0;

	wake_open(&w, true);
	CU_ASSERT(wake_rests(&w));
	CU_ASSERT_FATAL(wake_claim(&w, &dead));
	wake_run(&w, sleeps);
	child_sleep_ms(STALLED_MS);
	TEST_EQUAL(w.eq->ring.hdr->state, SVM_QS_RUNNING);
	wake_submit(&w);
	while (__atomic_load_n(&w.eq->ring.hdr->state, __ATOMIC_ACQUIRE) ==
			SVM_QS_RUNNING && child_now_ms() < end)
		sched_yield();
	TEST_EQUAL(w.eq->ring.hdr->state, SVM_QS_BROKEN);
	TEST_EQUAL(w.eq->ring.hdr->error, -ETIMEDOUT);
	wake_halt(&w);
	svm_engine_turn(w.engine);
	TEST_EQUAL(w.engine->nb_active, 0);
	wake_close(&w);
}

static void
test_wakeup_producer_dies_at_rest_breaks_its_queue(void)
{
	dies_at_rest(false);
}

static void
test_wakeup_producer_dies_engine_sleeps_breaks_its_queue(void)
{
	dies_at_rest(true);
}

static void
test_wakeup_hole_breaks_it_at_rest(void)
{
	struct wake w;

	wake_open(&w, false);
	CU_ASSERT(wake_rests(&w));
	/* Sealed against it by its size: a hole is what a worker can make. */
	CU_ASSERT_EQUAL(fallocate(w.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		(off_t)w.eq->mem_len), 0);
	svm_engine_post(w.eq);
	svm_engine_turn(w.engine);
	/* The hole reads as zeroes: nothing is ready, and nothing falls over. */
	TEST_EQUAL(w.engine->nb_active, 0);
	wake_close(&w);
}

/* ---- closing ---- */

static void
test_wakeup_closing_at_rest_ends(void)
{
	struct wake w;

	wake_open(&w, false);
	CU_ASSERT(wake_rests(&w));
	TEST_EQUAL(svm_engine_detach(w.eq), 0);
	TEST_EQUAL(w.eq->ring.hdr->state, SVM_QS_STOPPED);
	CU_ASSERT_PTR_NULL(w.engine->posted);
	TEST_EQUAL(w.engine->nb_active, 0);
	wake_close(&w);
}

static void
test_wakeup_closing_wakes_the_engine(void)
{
	struct wake w;

	wake_open(&w, false);
	wake_run(&w, true);
	child_sleep_ms(20);
	wake_close(&w);
}

/* Somebody is between the decision to post it and the stack. */
static void
test_wakeup_closing_waits_for_who_posts(void)
{
	struct wake w;

	wake_open(&w, false);
	/* As if a lane were at work for it, so that it cannot close yet. */
	w.eq->nb_issued++;
	TEST_EQUAL(svm_engine_detach(w.eq), -EBUSY);
	w.eq->post = SVM_POST_SENT;
	w.eq->nb_issued--;
	svm_engine_turn(w.engine);
	TEST_EQUAL(w.eq->life, SVM_EQ_CLOSING);
	w.eq->next_post = NULL;
	w.engine->posted = w.eq;
	TEST_EQUAL(svm_engine_detach(w.eq), 0);
	wake_close(&w);
}

static void *
post_main(void *arg)
{
	struct wake *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE))
		svm_engine_post(w->eq);
	return NULL;
}

/* Who posts while the queue closes: afterwards it is on no list. */
static void
test_wakeup_posted_while_closing_is_let_go(void)
{
	pthread_t poster;
	struct wake w;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		const uint64_t end = child_now_ms() + CHILD_BOUND_MS;
		int ret;

		wake_open(&w, false);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&poster, NULL, post_main, &w), 0);
		while ((ret = svm_engine_detach(w.eq)) == -EBUSY &&
				child_now_ms() < end)
			svm_engine_turn(w.engine);
		TEST_EQUAL(ret, 0);
		CU_ASSERT_PTR_NULL(__atomic_load_n(&w.engine->posted, __ATOMIC_ACQUIRE));
		TEST_EQUAL(w.engine->nb_active, 0);
		__atomic_store_n(&w.stop, 1, __ATOMIC_RELEASE);
		pthread_join(poster, NULL);
		CU_ASSERT_PTR_NULL(w.engine->posted);
		wake_close(&w);
	}
}

/* ---- suite ---- */

int
test_wakeup_suite(void)
{
	static const struct {
		const char *name;
		CU_TestFunc fn;
	} tests[] = {
#define T(fn) { #fn, fn }
		T(test_wakeup_idle_queue_leaves_the_turn),
		T(test_wakeup_doorbell_brings_it_back),
		T(test_wakeup_busy_queue_stays),
		T(test_wakeup_ring_in_vain_costs_a_look),
		T(test_wakeup_flag_cleared_by_worker_waits_for_itself),
		T(test_wakeup_flag_set_by_worker_changes_nothing),
		T(test_wakeup_late_work_keeps_it_awake),
		T(test_wakeup_work_under_way_keeps_it_awake),
		T(test_wakeup_late_work_keeps_the_engine_awake),
		T(test_wakeup_stop_whose_call_is_answered_keeps_it_awake),
		T(test_wakeup_claimed_slot_keeps_it_awake),
		T(test_wakeup_second_producer_rings_for_both),
		T(test_wakeup_producer_dies_at_rest_breaks_its_queue),
		T(test_wakeup_producer_dies_engine_sleeps_breaks_its_queue),
		T(test_wakeup_hole_breaks_it_at_rest),
		T(test_wakeup_closing_at_rest_ends),
		T(test_wakeup_closing_wakes_the_engine),
		T(test_wakeup_closing_waits_for_who_posts),
		T(test_wakeup_posted_while_closing_is_let_go),
#undef T
	};
	CU_pSuite suite = CU_add_suite("wakeup", NULL, NULL);
	size_t i;

	if (suite == NULL)
		return -1;
	for (i = 0; i != sizeof(tests) / sizeof(tests[0]); i++)
		if (CU_add_test(suite, tests[i].name, tests[i].fn) == NULL)
			return -1;
	return test_wakeup_threads_add(suite);
}
