/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of the signal handler and of guards share: memory that nobody
 * may touch, and children that end by touching it.
 */
#ifndef TEST_TRAP_CHILD_H
#define TEST_TRAP_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "svm_copy.h"
#include "svm_trap.h"

#define PAGE 4096ul
#define EXIT_INFO 41	/* the handler with three arguments was called right */
#define EXIT_PLAIN 42	/* the handler with one was */

/* Two pages that nobody may touch, where the handlers can find them. */
extern uint8_t *test_bad;

struct test_trap_row {
	const char *name;
	CU_TestFunc run;
};

/** Map test_bad and install the handlers. @return What svm_trap_thread_init() did. */
int
test_trap_init(void);

/** Unmap it, remove them. */
void
test_trap_fini(void);

/** Add tests to the suite. @return 0, -1. */
int
test_trap_rows_add(CU_pSuite suite, const struct test_trap_row *rows, size_t nb);

/** Add what is about threads that block signals, and about guards. @return 0, -1. */
int
test_trap_guard_add(CU_pSuite suite);

/** Add what is about EAL's handlers and others'. @return 0, -1. */
int
test_trap_eal_add(CU_pSuite suite);

/* Compilers may not drop or move it; sanitizers have nothing to say to it. */
static inline void
touch(volatile uint8_t *p)
{
	*p = 1;
}

/* The wait status of a child that ran body and then left with 0. */
static inline int
child_status(void (*body)(void))
{
	static const struct rlimit no_core;
	unsigned int i;
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		/* Whoever else installed the handlers: here nobody has. */
		for (i = 0; i < 64; i++)
			svm_trap_remove();
		body();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static inline bool
died_of(int status, int sig)
{
	return status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

static inline bool
left_with(int status, int code)
{
	return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static inline void
child_check(bool ok)
{
	if (!ok)
		_exit(1);
}

static inline void
child_handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	child_check(sigaction(sig, &sa, NULL) == 0);
}

static inline void
child_install(void)
{
	child_check(svm_trap_install() == 0 && svm_trap_thread_init() == 0);
}

/* A copy that runs into the bad page is told so, and we are still there. */
static inline bool
copy_recovers(void)
{
	struct svm_fault_info f = { 0 };
	uint8_t good[100];

	return svm_copy(good, test_bad, sizeof(good), &f) == 0 && f.hit == 1 &&
	       f.addr == (uintptr_t)test_bad;
}

static inline void
handler_plain(int sig)
{
	_exit(sig == SIGSEGV ? EXIT_PLAIN : 1);
}

#endif /* TEST_TRAP_CHILD_H */
