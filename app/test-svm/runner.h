/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs CUnit's suites one test at a time: a line for each, a bound on each,
 * and skips, which CUnit does not know.
 */
#ifndef RUNNER_H
#define RUNNER_H

#include <stdbool.h>
#include <stddef.h>

#include <CUnit/CUnit.h>

#include "rte_svm.h"

/** Mark the running test as skipped; return from it afterwards. */
void
test_skip(const char *reason);

/** Give the running test another bound than the runner's. */
void
test_timeout(unsigned int seconds);

/** End the running test as failed, with a line made as by printf(). */
void
test_fail_at(const char *file, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define test_fail(...)	test_fail_at(__FILE__, __LINE__, __VA_ARGS__)

/**
 * Fail, showing both values, unless a == b; the test goes on.
 *
 * @return a == b.
 */
bool
test_equal_at(const char *file, unsigned int line, const char *what, long long a,
		long long b);

#define TEST_EQUAL(a, b) \
	test_equal_at(__FILE__, __LINE__, #a " == " #b, (long long)(a), (long long)(b))

/** As TEST_EQUAL() on a status, by name. */
bool
test_status_at(const char *file, unsigned int line, const char *what,
		enum rte_svm_status is, enum rte_svm_status wanted);

#define TEST_STATUS(is, wanted) \
	test_status_at(__FILE__, __LINE__, #is, is, wanted)

/* ---- for main() ---- */

/** Whether there is a suite of this name. */
bool
runner_has(const char *suite);

/** Print every suite's tests. @return 0, -1. */
int
runner_list(void);

/**
 * Run the named suites; when nb is 0 all but those that want to be named.
 *
 * @return Exit code: 0; 1: something failed; 77: nothing ran.
 */
int
runner_run(char *const *suites, size_t nb);

#endif /* RUNNER_H */
