/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>

#include "runner.h"
#include "suites.h"

/* Only ends what hangs: a sanitizer on a busy machine may be slow. */
#define BOUND_S		180
/* What processes that have been told to end get for it. */
#define ORPHANS_MS	5000

static const char *const may_skip[] = {
#include "skips.txt"
};

/* Of the run, and of the test that runs; only one can. */
static struct {
	char name[192];
	char skip[256];
	unsigned int passed, failed, skipped;
} run;

/* ---- what tests call ---- */

void
test_skip(const char *reason)
{
	snprintf(run.skip, sizeof(run.skip), "%s", reason);
}

void
test_timeout(unsigned int seconds)
{
	alarm(seconds);
}

void
test_fail_at(const char *file, unsigned int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	CU_assertImplementation(CU_FALSE, line, text, file, "", CU_TRUE);
	/* A fatal assertion jumps out of the test. */
	abort();
}

bool
test_equal_at(const char *file, unsigned int line, const char *what, long long a,
		long long b)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %lld (0x%llx), %lld (0x%llx)", what, a, a, b, b);
	CU_assertImplementation(a == b, line, text, file, "", CU_FALSE);
	return a == b;
}

bool
test_status_at(const char *file, unsigned int line, const char *what,
		enum rte_svm_status is, enum rte_svm_status wanted)
{
	char text[512];

	snprintf(text, sizeof(text), "%s is %s, not %s", what, rte_svm_status_name(is),
		rte_svm_status_name(wanted));
	CU_assertImplementation(is == wanted, line, text, file, "", CU_FALSE);
	return is == wanted;
}

/* ---- running ---- */

static void
on_alarm(int sig)
{
	static const char text[] = ": FAIL (hung: it did not end within its bound)\n";

	(void)sig;
	(void)!write(STDOUT_FILENO, run.name, strlen(run.name));
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

static bool
skip_allowed(const char *name)
{
	const size_t len = strcspn(name, "[");
	size_t i;

	for (i = 0; i < sizeof(may_skip) / sizeof(may_skip[0]); i++)
		if (strcmp(may_skip[i], name) == 0 || (strlen(may_skip[i]) == len &&
				strncmp(may_skip[i], name, len) == 0))
			return true;
	return false;
}

static void
run_test(const char *suite, CU_pSuite s, CU_pTest t)
{
	CU_pFailureRecord fail;

	snprintf(run.name, sizeof(run.name), "%s.%s", suite, t->pName);
	run.skip[0] = '\0';
	alarm(BOUND_S);
	CU_run_test(s, t);
	alarm(0);
	fail = CU_get_failure_list();
	if (fail != NULL || CU_get_number_of_tests_run() == 0) {
		run.failed++;
		printf("%s: FAIL", run.name);
		if (fail == NULL)
			printf(" (its suite could not be set up)");
		for (; fail != NULL; fail = fail->pNext) {
			const char *file = fail->strFileName != NULL ? fail->strFileName : "?";
			const char *base = strrchr(file, '/');

			printf(" (%s:%u: %s)", base != NULL ? base + 1 : file,
				fail->uiLineNumber, fail->strCondition);
		}
		printf("\n");
	} else if (run.skip[0] != '\0' && !skip_allowed(run.name)) {
		run.failed++;
		printf("%s: FAIL (skipped: %s; skips.txt does not allow it)\n", run.name,
			run.skip);
	} else if (run.skip[0] != '\0') {
		run.skipped++;
		printf("%s: SKIP (%s)\n", run.name, run.skip);
	} else {
		run.passed++;
		printf("%s: ok\n", run.name);
	}
	fflush(stdout);
}

/*
 * No test leaves a process behind, not even a grandchild: this process adopts
 * them (PR_SET_CHILD_SUBREAPER), so at the end it has no child at all.
 */
static void
check_orphans(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	unsigned int waited = 0;
	char command[96];
	pid_t pid;

	snprintf(run.name, sizeof(run.name), "runner.test_no_process_is_left");
	while ((pid = waitpid(-1, NULL, WNOHANG | __WALL)) >= 0 || errno == EINTR) {
		if (pid > 0)
			continue;
		if (waited++ == ORPHANS_MS) {
			run.failed++;
			printf("%s: FAIL (these are)\n", run.name);
			fflush(stdout);
			snprintf(command, sizeof(command),
				"ps --ppid %d -o pid,stat,wchan:16,args; pkill -KILL -P %d",
				getpid(), getpid());
			if (system(command) == -1)
				printf("cannot run ps and pkill\n");
			return;
		}
		nanosleep(&ms, NULL);
	}
	run.passed++;
	printf("%s: ok\n", run.name);
}

bool
runner_has(const char *suite)
{
	size_t i;

	for (i = 0; i < TEST_SUITES; i++)
		if (strcmp(test_suites[i].name, suite) == 0)
			return true;
	return false;
}

/* Each entry of the table in a registry of its own: its suites are all there is. */
static CU_pTestRegistry
registry_begin(const struct test_suite *entry)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return NULL;
	if (entry->add() != 0) {
		printf("%s: FAIL (cannot register: %s)\n", entry->name, CU_get_error_msg());
		CU_cleanup_registry();
		return NULL;
	}
	return CU_get_registry();
}

int
runner_list(void)
{
	size_t i;

	for (i = 0; i < TEST_SUITES; i++) {
		CU_pTestRegistry reg = registry_begin(&test_suites[i]);
		CU_pSuite s;
		CU_pTest t;

		if (reg == NULL)
			return -1;
		printf("%s%s\n", test_suites[i].name,
			test_suites[i].asked ? "\t(only when named)" : "");
		for (s = reg->pSuite; s != NULL; s = s->pNext)
			for (t = s->pTest; t != NULL; t = t->pNext)
				printf("\t%s\n", t->pName);
		CU_cleanup_registry();
	}
	return 0;
}

static bool
wanted(const struct test_suite *suite, char *const *suites, size_t nb)
{
	size_t i;

	for (i = 0; i < nb; i++)
		if (strcmp(suites[i], suite->name) == 0)
			return true;
	return nb == 0 && !suite->asked;
}

int
runner_run(char *const *suites, size_t nb)
{
	const struct sigaction on = { .sa_handler = on_alarm };
	size_t i;

	sigaction(SIGALRM, &on, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* A worker that is gone is an answer, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	CU_set_error_action(CUEA_IGNORE);
	for (i = 0; i < TEST_SUITES; i++) {
		CU_pTestRegistry reg;
		CU_pSuite s;
		CU_pTest t;

		if (!wanted(&test_suites[i], suites, nb))
			continue;
		reg = registry_begin(&test_suites[i]);
		if (reg == NULL) {
			run.failed++;
			continue;
		}
		for (s = reg->pSuite; s != NULL; s = s->pNext)
			for (t = s->pTest; t != NULL; t = t->pNext)
				run_test(test_suites[i].name, s, t);
		CU_cleanup_registry();
	}
	check_orphans();
	printf("%u passed, %u failed", run.passed, run.failed);
	if (run.skipped > 0)
		printf(", %u skipped", run.skipped);
	printf("\n");
	fflush(stdout);
	if (run.failed > 0)
		return 1;
	return run.passed > 0 ? 0 : 77;
}
