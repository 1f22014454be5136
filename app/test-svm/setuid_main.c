/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program that the tests install setuid root and that a worker execs: it
 * fills the pages where the worker's buffers were with a canary and looks
 * whether anybody writes there. Usage: svm-test-setuid ADDRESS LEN MS.
 *
 * It trusts nobody: no library of ours, no environment, no path.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "setuid_canary.h"

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000u + t.tv_nsec / 1000000u;
}

/* The test has seen what it wanted to see; or there is no test any more. */
static bool
told_to_end(void)
{
	struct wk_req q;

	return recv(WK_FD, &q, sizeof(q), MSG_DONTWAIT) >= 0;
}

/* Looks at the bytes for `ms`, and until it is told to end. @return 0; -EBADMSG somebody wrote there; -errno. */
static int64_t
canary_watch(char *at, size_t len, uint64_t ms)
{
	const uint64_t end = now_ms() + ms;
	bool told = false;
	void *mem;

	mem = mmap(at, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (mem == MAP_FAILED)
		return -errno;
	if (mem != at)
		return -EEXIST;
	wk_pattern_write(mem, len, CANARY_SEED, 0);
	do {
		if (wk_pattern_check(mem, len, CANARY_SEED, 0) != len)
			return -EBADMSG;
		told = told || told_to_end();
	} while (!told || now_ms() < end);
	return 0;
}

int
main(int argc, char **argv)
{
	struct wk_rep rep = { .ret = -EPERM, .v = { getuid(), geteuid() } };

	alarm(20);
	if (argc != 4)
		return 2;
	if (geteuid() == 0 && getuid() != 0)
		rep.ret = canary_watch((char *)strtoull(argv[1], NULL, 16),
			strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	if (send(WK_FD, &rep, sizeof(rep), MSG_NOSIGNAL) != sizeof(rep))
		return 1;
	return 0;
}
