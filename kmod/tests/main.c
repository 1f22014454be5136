// SPDX-License-Identifier: GPL-2.0
/* kmod_test [TEXT...]: run the tests whose "suite.name" contains one of the TEXTs. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* A test that waits for ever must end some time. No verdict depends on how long it took. */
#define TEST_TIMEOUT	300

#if defined(__i386__)
#define ABI	"i386_"
#elif defined(__arm__)
#define ABI	"arm_"
#else
#define ABI	""
#endif

static const struct suite *const suites[] = {
	&perm_suite, &bind_suite, &seed_suite, &consent_suite, &life_suite, &event_suite, &dma_suite,
	&fault_suite, &request_suite, &stall_suite, &fuse_suite, &left_suite, &count_suite,
	&churn_suite, &death_suite, &pages_suite, &race_suite, &owner_suite,
	&hostile_suite, &map_suite, &fuzz_suite, &handle_suite,
	&fail_suite, &fail_thread_suite,
};

void test_fail(const char *file, int line, const char *what, long long seen, long long wanted)
{
	const char *base = strrchr(file, '/');

	dprintf(STDERR_FILENO, "%s:%d: %s: saw %lld, not %lld (errno %d)\n",
		base ? base + 1 : file, line, what, seen, wanted, errno);
	_exit(1);
}

/* Run one test in a process group of its own, and end what it leaves running. */
static bool run(const struct test *test, char *why, size_t len)
{
	int pipefd[2], status;
	ssize_t n = 0;
	pid_t pid;

	if (pipe(pipefd))
		exit(2);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		exit(2);
	if (!pid) {
		setpgid(0, 0);
		dup2(pipefd[1], STDERR_FILENO);
		close(pipefd[0]);
		close(pipefd[1]);
		alarm(TEST_TIMEOUT);
		test->run();
		_exit(0);
	}
	close(pipefd[1]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kill(-pid, SIGKILL);
	n = read(pipefd[0], why, len - 1);
	why[n > 0 ? n : 0] = 0;
	why[strcspn(why, "\n")] = 0;
	close(pipefd[0]);
	if (WIFSIGNALED(status))
		snprintf(why, len, "ended by signal %d", WTERMSIG(status));
	/* What the test forked and did not wait for is ours now. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	unsigned int s, t, ran = 0, failed = 0;
	char name[256], why[512];
	const char *lacks;

	if (argc == 4 && !strcmp(argv[1], "--watch"))
		return exec_watch(argv + 2);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (s = 0; s < sizeof(suites) / sizeof(suites[0]); s++) {
		lacks = suites[s]->lacks ? suites[s]->lacks() : NULL;
		if (lacks) {
			if (argc == 1)
				printf("note no suite " ABI "%s: %s\n", suites[s]->name, lacks);
			continue;
		}
		for (t = 0; t < suites[s]->nb; t++) {
			snprintf(name, sizeof(name), ABI "%s.%s", suites[s]->name,
				 suites[s]->tests[t].name);
			if (!wanted(name, argc, argv))
				continue;
			ran++;
			if (run(&suites[s]->tests[t], why, sizeof(why))) {
				printf("ok %s\n", name);
			} else {
				printf("FAIL %s: %s\n", name, why);
				failed++;
			}
			fflush(stdout);
		}
	}
	printf("vm: ran %u tests\n", ran);
	return failed != 0;
}
