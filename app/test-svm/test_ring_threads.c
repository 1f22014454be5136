/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm_ring.h: both ends in threads of their own, on one mapping, so that a
 * thread sanitizer sees every access.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <CUnit/CUnit.h>

#include "test_ring.h"

/* Bound of each test; what they find does not depend on it. */
#define LIMIT_S			60
#define STRESS_PRODUCERS	3
#define STRESS_EACH		20000u

struct stress {
	struct ends e;
	uint32_t total;
	time_t end;
	uint32_t producer_idx;	/* atomic: hands out names */
	uint8_t *seen;		/* by cookie; the consumer's */
	uint32_t wrong;		/* the consumer's */
};

static bool
stress_late(const struct stress *s)
{
	sched_yield();
	return time(NULL) > s->end;
}

/* A word that follows from the cookie, so that a torn descriptor shows. */
static uint64_t
stress_word(uint64_t cookie)
{
	return (cookie + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void *
stress_consume(void *arg)
{
	struct stress *s = arg;
	const uint32_t start = s->e.ring.hdr->sq_head;
	uint32_t n = 0;

	while (n != s->total) {
		struct svm_desc d;

		if (!svm_ring_ready(&s->e.ring, start + n)) {
			if (stress_late(s))
				break;
			continue;
		}
		svm_ring_take(&s->e.ring, start + n, &d);
		if (d.cookie >= s->total || d.src != stress_word(d.cookie) ||
				d.dst != ~d.src || d.pattern != d.src)
			s->wrong++;
		else
			s->seen[d.cookie]++;
		svm_ring_complete(&s->e.ring, start + n, SVM_ST_OK, (uint32_t)d.cookie, d.src);
		n++;
	}
	return NULL;
}

static void *
stress_produce(void *arg)
{
	struct stress *s = arg;
	const uint32_t name = __atomic_fetch_add(&s->producer_idx, 1, __ATOMIC_RELAXED);
	uint32_t sent = 0;

	while (sent != STRESS_EACH) {
		uint32_t n = 1 + sent % 5, first, i;

		if (n > STRESS_EACH - sent)
			n = STRESS_EACH - sent;
		if (!svm_producer_claim(&s->e.prod, n, &first)) {
			if (stress_late(s))
				break;
			continue;
		}
		for (i = 0; i != n; i++) {
			const uint64_t cookie = (uint64_t)name * STRESS_EACH + sent + i;
			const struct svm_desc d = {
				.cookie = cookie, .src = stress_word(cookie),
				.dst = ~stress_word(cookie), .pattern = stress_word(cookie),
			};

			svm_producer_fill(&s->e.prod, first + i, &d);
		}
		for (i = n; i-- != 0;)
			svm_producer_mark(&s->e.prod, first + i);
		sent += n;
	}
	return NULL;
}

/* Poll in the calling thread while others submit and consume: what came back wrong. */
static uint32_t
stress_run(uint32_t producers, uint32_t start)
{
	pthread_t thread[STRESS_PRODUCERS], consumer;
	struct stress s = { .total = producers * STRESS_EACH, .end = time(NULL) + LIMIT_S };
	uint32_t i, got = 0, wrong = 0;

	s.seen = calloc(s.total, 1);
	if (s.seen == NULL || ends_open(&s.e, DEPTH, producers != 1, start) != 0) {
		free(s.seen);
		return UINT32_MAX;
	}
	if (pthread_create(&consumer, NULL, stress_consume, &s) != 0)
		abort();
	for (i = 0; i != producers; i++)
		if (pthread_create(&thread[i], NULL, stress_produce, &s) != 0)
			abort();
	while (got != s.total) {
		struct svm_cpl c;

		if (svm_producer_poll(&s.e.prod, &c)) {
			wrong += c.id != (uint16_t)(start + got) ||
				c.fault_addr != stress_word(c.done);
			got++;
		} else if (stress_late(&s)) {
			break;
		}
	}
	for (i = 0; i != producers; i++)
		pthread_join(thread[i], NULL);
	pthread_join(consumer, NULL);
	for (i = 0; i != s.total; i++)
		wrong += s.seen[i] != 1;
	wrong += s.wrong + (got != s.total);
	ends_close(&s.e);
	free(s.seen);
	return wrong;
}

static void
test_ring_two_threads_pass_every_descriptor_once(void)
{
	CU_ASSERT_EQUAL(stress_run(1, 0), 0);
	CU_ASSERT_EQUAL(stress_run(1, NEAR_WRAP), 0);
}

static void
test_ring_many_producers_pass_every_descriptor_once(void)
{
	CU_ASSERT_EQUAL(stress_run(STRESS_PRODUCERS, 0), 0);
	CU_ASSERT_EQUAL(stress_run(STRESS_PRODUCERS, NEAR_WRAP), 0);
}

int
test_ring_threads_add(CU_pSuite suite)
{
	if (CU_add_test(suite, "test_ring_two_threads_pass_every_descriptor_once",
			test_ring_two_threads_pass_every_descriptor_once) == NULL)
		return -1;
	if (CU_add_test(suite, "test_ring_many_producers_pass_every_descriptor_once",
			test_ring_many_producers_pass_every_descriptor_once) == NULL)
		return -1;
	return 0;
}
