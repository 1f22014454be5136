/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that the low-level suites work on: a fork that runs one function,
 * and a pipe each way. Nothing here outlives child_end().
 */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#define CHILD_BOUND_MS	20000
#define CHILD_PAGE	((size_t)sysconf(_SC_PAGESIZE))
#define NOBODY		65534u

/* TSAN allows no threads after a fork from a process that has some. */
#if defined(__SANITIZE_THREAD__)
#define CHILD_HAS_TSAN	1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_HAS_TSAN	1
#endif
#endif
#ifndef CHILD_HAS_TSAN
#define CHILD_HAS_TSAN	0
#endif

struct child {
	pid_t pid;		/* 0: none */
	int to, from;
};

/** The child's side: say a number, hear a command (EOF ends the process). */
static inline void
child_tell(int fd, uint64_t value)
{
	if (write(fd, &value, sizeof(value)) != sizeof(value))
		_exit(120);
}

static inline char
child_listen(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		_exit(0);
	return c;
}

/** Start a process that runs body(in, out, arg); it ends with 0 if body returns. */
static inline void
child_start(struct child *c, void (*body)(int in, int out, void *arg), void *arg)
{
	int to[2], from[2];

	CU_ASSERT_EQUAL_FATAL(pipe2(to, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(from, O_CLOEXEC), 0);
	fflush(NULL);
	c->pid = fork();
	CU_ASSERT_FATAL(c->pid >= 0);
	if (c->pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(120);
		close(to[1]);
		close(from[0]);
		body(to[0], from[1], arg);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	c->to = to[1];
	c->from = from[0];
}

/** Our side. */
static inline void
child_say(struct child *c, char command)
{
	CU_ASSERT_EQUAL_FATAL(write(c->to, &command, 1), 1);
}

static inline uint64_t
child_hear(struct child *c)
{
	struct pollfd fd = { .fd = c->from, .events = POLLIN };
	uint64_t value = 0;

	CU_ASSERT_EQUAL_FATAL(poll(&fd, 1, CHILD_BOUND_MS), 1);
	CU_ASSERT_EQUAL_FATAL(read(c->from, &value, sizeof(value)), (ssize_t)sizeof(value));
	return value;
}

/** Wait until the child has closed its end: it exec'd or exited. */
static inline void
child_hear_end(struct child *c)
{
	struct pollfd fd = { .fd = c->from, .events = POLLIN };
	char byte;

	CU_ASSERT_EQUAL_FATAL(poll(&fd, 1, CHILD_BOUND_MS), 1);
	CU_ASSERT_EQUAL_FATAL(read(c->from, &byte, 1), 0);
}

/** Kill and reap; safe on one that never started. */
static inline void
child_end(struct child *c)
{
	if (c->pid <= 0)
		return;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->to);
	close(c->from);
	c->pid = 0;
}

/** The exit code of a child that ends by itself; -1 if it was killed. */
static inline int
child_exit_code(struct child *c)
{
	int status = -1;

	child_hear_end(c);
	waitpid(c->pid, &status, 0);
	close(c->to);
	close(c->from);
	c->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/** Become nobody, as a login does it: dumpable, no groups, no capabilities. */
static inline bool
child_become_nobody(void)
{
	return setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
		setresuid(NOBODY, NOBODY, NOBODY) == 0 &&
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static inline void *
child_map(size_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline uint64_t
child_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline void
child_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

/** Descriptors that this process has open. */
static inline unsigned int
child_fds_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nb = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while (readdir(dir) != NULL)
		nb++;
	closedir(dir);
	return nb;
}

#endif /* TEST_CHILD_H */
