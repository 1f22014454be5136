/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Resting queues and sleeping engines, with a thread for each end. A lost wake-up
 * shows as a test that does not end: nothing here wakes by time.
 */
#include <time.h>

#include <CUnit/CUnit.h>

#include "test_wakeup.h"

#define PRODUCERS	3
#define EACH		4000u
/* A producer may lose its core between claim and mark, for long on a busy machine. */
#define TIMEOUT_US	10000000u

struct producer {
	struct wake *w;
	pthread_t thread;
	uint32_t seed;
};

/* Pauses around the moment in which queue and engine go to rest. */
static void
pause_some(uint32_t *seed)
{
	uint32_t n;

	*seed = *seed * 1664525u + 1013904223u;
	n = *seed >> 24;
	if (n < 8)
		child_sleep_ms(0);
	else if (n < 16)
		sched_yield();
	else
		for (n = n * n; n != 0; n--)
			__asm__ volatile("");
}

static void *
produce(void *arg)
{
	struct producer *p = arg;
	uint32_t sent = 0, counter = 0;

	while (sent != EACH) {
		if (!wake_claim(p->w, &counter)) {
			sched_yield();
			continue;
		}
		if (sent % 3 == 0)
			pause_some(&p->seed);
		wake_mark(p->w, counter);
		wake_ring(p->w);
		sent++;
		/* Alone, it waits: then all that is there to wake is this one. */
		pause_some(&p->seed);
	}
	return NULL;
}

static void
no_wake_up_is_lost(bool sleeps, uint32_t producers)
{
	const uint64_t end = child_now_ms() + CHILD_BOUND_MS;
	struct producer p[PRODUCERS];
	struct wake w;
	uint32_t i, got = 0;

	wake_open_for(&w, producers > 1, TIMEOUT_US);
	wake_run(&w, sleeps);
	/* At rest once, or on a busy machine nobody might ever have to ring. */
	while (!wake_told_to_ring(&w) && child_now_ms() < end)
		sched_yield();
	for (i = 0; i < producers; i++) {
		p[i] = (struct producer){ .w = &w, .seed = i + (uint32_t)time(NULL) };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&p[i].thread, NULL, produce, &p[i]), 0);
	}
	while (got != producers * EACH && wake_completes(&w))
		got++;
	TEST_EQUAL(got, producers * EACH);
	for (i = 0; i < producers; i++)
		pthread_join(p[i].thread, NULL);
	/* Else it tested nothing. */
	CU_ASSERT(w.rings > 0);
	wake_close(&w);
}

static void
test_wakeup_none_lost_one_producer(void)
{
	no_wake_up_is_lost(false, 1);
}

static void
test_wakeup_none_lost_many_producers(void)
{
	no_wake_up_is_lost(false, PRODUCERS);
}

static void
test_wakeup_none_lost_engine_sleeps(void)
{
	no_wake_up_is_lost(true, 1);
}

static void
test_wakeup_none_lost_engine_sleeps_many_producers(void)
{
	no_wake_up_is_lost(true, PRODUCERS);
}

int
test_wakeup_threads_add(CU_pSuite suite)
{
	static const struct {
		const char *name;
		CU_TestFunc fn;
	} tests[] = {
#define T(fn) { #fn, fn }
		T(test_wakeup_none_lost_one_producer),
		T(test_wakeup_none_lost_many_producers),
		T(test_wakeup_none_lost_engine_sleeps),
		T(test_wakeup_none_lost_engine_sleeps_many_producers),
#undef T
	};
	size_t i;

	for (i = 0; i != sizeof(tests) / sizeof(tests[0]); i++)
		if (CU_add_test(suite, tests[i].name, tests[i].fn) == NULL)
			return -1;
	return 0;
}
