/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of ranges: limits, long runs, several threads. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "svm_copy.h"
#include "svm_trap.h"
#include "test_atc.h"

/* n ranges, each with a gap behind it. */
static int
map_apart(struct svm_atc *atc, uint32_t n)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i != n && ret == 0; i++)
		ret = svm_atc_map(atc, VA + UINT64_C(2) * i * PAGE, PAGE, atc_fx.fd, 0, RW);
	return ret;
}

static void
test_atc_too_many_refused(void)
{
	struct svm_atc *other;
	uint32_t turn;

	CU_ASSERT_EQUAL(map_apart(atc_fx.atc, SVM_ATC_RANGES), 0);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA - PAGE, PAGE, atc_fx.fd, 0, RW), -ENOSPC);
	TEST_EQUAL(atc_fx.quota.nb, SVM_ATC_RANGES);
	/* Of the device. */
	atc_fx.quota.max = SVM_ATC_RANGES + 2;
	CU_ASSERT_EQUAL_FATAL(svm_atc_create(&atc_fx.quota, &other), 0);
	CU_ASSERT_EQUAL(map_apart(other, 2), 0);
	TEST_EQUAL(svm_atc_map(other, VA - PAGE, PAGE, atc_fx.fd, 0, RW), -ENOSPC);
	svm_atc_destroy(other);
	/* A reader keeps what left the table. */
	turn = svm_atc_enter(atc_fx.atc);
	CU_ASSERT(svm_atc_unmap(atc_fx.atc, VA, PAGE));
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA - PAGE, PAGE, atc_fx.fd, 0, RW), -ENOSPC);
	svm_atc_leave(atc_fx.atc, turn);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA - PAGE, PAGE, atc_fx.fd, 0, RW), 0);
}

/* No place for a third range: the part behind the hole goes as well, and is not touched. */
static void
test_atc_hole_without_place_takes_the_rest(void)
{
	const uint32_t turn = svm_atc_enter(atc_fx.atc);
	uint8_t *p, byte = 1;

	CU_ASSERT_EQUAL(test_atc_map(0, 8), 0);
	p = svm_atc_find(atc_fx.atc, &atc_fx.hit, VA, 8 * PAGE, SVM_ATC_WRITE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	atc_fx.quota.max = 1;
	CU_ASSERT(test_atc_unmap(2, 1));
	test_atc_expect(0, 2, true);
	test_atc_expect(2, 6, false);
	TEST_EQUAL(svm_copy(p + 5 * PAGE, &byte, 1, NULL), 0);
	TEST_EQUAL(svm_atc_bytes(atc_fx.atc), 2 * PAGE);
	svm_atc_leave(atc_fx.atc, turn);
}

/* At random, against a byte for each page. */
static void
test_atc_random_agrees_with_model(void)
{
	uint8_t there[PAGES] = { 0 };
	uint32_t round, i;

	srand(7);
	for (round = 0; round != 3000; round++) {
		const uint32_t first = rand() % PAGES, nb = 1 + rand() % (PAGES - first);
		uint32_t mapped = 0;

		for (i = first; i != first + nb; i++)
			mapped += there[i];
		if (rand() % 2) {
			TEST_EQUAL(test_atc_map(first, nb), mapped != 0 ? -EEXIST : 0);
			if (mapped == 0)
				memset(there + first, 1, nb);
		} else {
			TEST_EQUAL(test_atc_unmap(first, nb), mapped != 0);
			memset(there + first, 0, nb);
		}
		for (i = 0; i != PAGES; i++)
			if (test_atc_number(i) != (there[i] ? (int64_t)i : -1))
				test_fail("round %u: page %u", round, i);
	}
}

static int readers_stop;	/* atomic, relaxed: ends loops */

/* Finds its page, or does not, or cannot touch it: never another page. */
static void *
reader_main(void *arg)
{
	uint64_t *wrong = arg;
	struct svm_atc_hit hit = { 0 };
	uint32_t i = 0;

	svm_trap_thread_init();
	while (!__atomic_load_n(&readers_stop, __ATOMIC_RELAXED)) {
		const uint32_t turn = svm_atc_enter(atc_fx.atc);
		uint32_t k, n;

		for (k = 0; k != 16; k++) {
			const void *p = svm_atc_find(atc_fx.atc, &hit, VA + i * PAGE, PAGE,
					SVM_ATC_READ);

			if (p != NULL && svm_copy(&n, p, sizeof(n), NULL) == sizeof(n) && n != i)
				++*wrong;
			i = (i + 7) % PAGES;
		}
		svm_atc_leave(atc_fx.atc, turn);
	}
	return NULL;
}

static void
test_atc_readers_find_the_right_page(void)
{
	enum { READERS = 3 };
	uint64_t wrong[READERS] = { 0 };
	pthread_t thread[READERS];
	uint32_t i;

	__atomic_store_n(&readers_stop, 0, __ATOMIC_RELAXED);
	for (i = 0; i != READERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, reader_main, &wrong[i]), 0);
	for (i = 0; i != 5000; i++) {
		const uint32_t first = i * 5 % (PAGES - 8);

		/* -ENOSPC: readers have not left yet. */
		test_atc_map(first, 8);
		test_atc_unmap(first + 2, 3);
		test_atc_unmap(first, 8);
	}
	__atomic_store_n(&readers_stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i != READERS; i++) {
		pthread_join(thread[i], NULL);
		TEST_EQUAL(wrong[i], 0);
	}
}

int
test_atc_many_add(CU_pSuite s)
{
	if (!CU_ADD_TEST(s, test_atc_too_many_refused) ||
	    !CU_ADD_TEST(s, test_atc_hole_without_place_takes_the_rest) ||
	    !CU_ADD_TEST(s, test_atc_random_agrees_with_model) ||
	    !CU_ADD_TEST(s, test_atc_readers_find_the_right_page))
		return -1;
	return 0;
}
