/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that block the signals, and guards: which of them a fault comes back to. */
#include <pthread.h>

#include "test_trap_child.h"

static void *
blocked_run(void *arg)
{
	bool init = *(bool *)arg;

	if (init && svm_trap_thread_init() != 0)
		return NULL;
	return copy_recovers() ? arg : NULL;
}

/* A thread that inherits both signals blocked, as engine threads do. */
static bool
blocked_thread(bool init)
{
	sigset_t all, old;
	pthread_t thread;
	void *ret = NULL;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&thread, NULL, blocked_run, &init) == 0)
		pthread_join(thread, &ret);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret != NULL;
}

static void
test_trap_thread_with_blocked_signals_recovers(void)
{
	test_trap_init();
	CU_ASSERT(blocked_thread(true));
	test_trap_fini();
}

static void
blocked_body(void)
{
	child_install();
	blocked_thread(false);
}

static void
test_trap_thread_without_init_is_killed(void)
{
	test_trap_init();
	CU_ASSERT(died_of(child_status(blocked_body), SIGSEGV));
	test_trap_fini();
}

/* Touch p under a guard of [base, base + len): the fault, or hit == 0. */
static struct svm_fault_info
guarded_touch(uint8_t *p, uint8_t *base, size_t len)
{
	struct svm_guard g;

	memset(&g.fault, 0, sizeof(g.fault));
	if (svm_guard_enter(&g, base, len))
		return g.fault;
	touch(p);
	svm_guard_leave(&g);
	return g.fault;
}

static void
test_guard_fault_inside_comes_back_each_time(void)
{
	struct svm_fault_info f;
	uint8_t good = 0;
	unsigned int i;

	test_trap_init();
	for (i = 0; i < 100; i++) {
		f = guarded_touch(test_bad + i, test_bad, PAGE);
		CU_ASSERT_EQUAL(f.hit, 1);
		CU_ASSERT_EQUAL(f.addr, (uintptr_t)test_bad + i);
		CU_ASSERT_EQUAL(f.bus, 0);
	}
	f = guarded_touch(&good, test_bad, PAGE);
	CU_ASSERT(f.hit == 0 && good == 1);
	test_trap_fini();
}

static void
guard_outside_body(void)
{
	child_handle(SIGSEGV, handler_plain, 0);
	child_install();
	guarded_touch(test_bad + PAGE, test_bad, PAGE);
}

static void
guard_left_body(void)
{
	child_handle(SIGSEGV, handler_plain, 0);
	child_install();
	guarded_touch(test_bad, test_bad, PAGE);
	touch(test_bad);
}

static void
test_guard_fault_outside_is_passed_on(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(guard_outside_body), EXIT_PLAIN));
	CU_ASSERT(left_with(child_status(guard_left_body), EXIT_PLAIN));
	test_trap_fini();
}

/* 0: no fault came out of the inner guard; 1: the outer one caught it. */
static int
guarded_nested(uint8_t *p)
{
	struct svm_guard g;

	if (svm_guard_enter(&g, test_bad, 2 * PAGE))
		return 1;
	guarded_touch(p, test_bad, PAGE);
	svm_guard_leave(&g);
	return 0;
}

static void
test_guard_nested_fault_goes_to_the_right_one(void)
{
	test_trap_init();
	CU_ASSERT_EQUAL(guarded_nested(test_bad), 0);
	CU_ASSERT_EQUAL(guarded_nested(test_bad + PAGE), 1);
	CU_ASSERT_EQUAL(guarded_nested(test_bad + PAGE), 1);
	CU_ASSERT_EQUAL(guarded_nested(test_bad), 0);
	test_trap_fini();
}

int
test_trap_guard_add(CU_pSuite suite)
{
	static const struct test_trap_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_trap_thread_with_blocked_signals_recovers),
		T(test_trap_thread_without_init_is_killed),
		T(test_guard_fault_inside_comes_back_each_time),
		T(test_guard_fault_outside_is_passed_on),
		T(test_guard_nested_fault_goes_to_the_right_one),
#undef T
	};

	return test_trap_rows_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
