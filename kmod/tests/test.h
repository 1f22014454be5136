/* SPDX-License-Identifier: GPL-2.0 */
/* A small harness: each test is a process of its own, so none can spoil the next. */
#ifndef KMOD_TEST_H
#define KMOD_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test {
	const char *name;
	void (*run)(void);
};

#define TEST(name)	{ #name, name }

struct suite {
	const char *name;
	const struct test *tests;
	unsigned int nb;
	/* NULL, or what this kernel lacks for the suite to run. */
	const char *(*lacks)(void);
};

#define SUITE(name)								\
	const struct suite name##_suite = {					\
		#name, name##_tests, sizeof(name##_tests) / sizeof(name##_tests[0]), NULL \
	}

extern const struct suite perm_suite, bind_suite, seed_suite, consent_suite, life_suite, event_suite,
	dma_suite, fault_suite, request_suite, stall_suite, fuse_suite, left_suite, count_suite;
extern const struct suite churn_suite, death_suite, pages_suite, race_suite,
	owner_suite, hostile_suite, map_suite, fuzz_suite, handle_suite, fail_suite,
	fail_thread_suite;

void test_fail(const char *file, int line, const char *what, long long seen, long long wanted)
	__attribute__((noreturn));

/* The test ends at the first one that does not hold. */
#define CHECK(cond)								\
	do {									\
		if (!(cond))							\
			test_fail(__FILE__, __LINE__, #cond, 0, 1);		\
	} while (0)

#define CHECK_EQ(a, b)								\
	do {									\
		long long check_a = (long long)(a), check_b = (long long)(b);	\
		if (check_a != check_b)						\
			test_fail(__FILE__, __LINE__, #a " == " #b, check_a, check_b); \
	} while (0)

#endif /* KMOD_TEST_H */
