/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a process in a bounded time. /proc/PID/mem cannot be opened while the
 * process is in the middle of exec, and it can stay there: exec closes its
 * close-on-exec files, and one of a FUSE file system closes when its owner
 * likes. So a thread opens, and one that does not come back is left to itself.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "svm_ident.h"

/* Threads left to themselves at a time, of all devices. */
#define LEFT_MAX	16u

struct attempt {
	struct svm_ident ident;
	pid_t pid;
	int ret;
	/* Set by either side when it is through; the second one cleans up. */
	uint32_t through;
};

static uint32_t nb_left;	/* atomic */

static void *
attempt_main(void *arg)
{
	struct attempt *a = arg;

	a->ret = svm_ident_open(&a->ident, a->pid);
	/* Both ways: pairs with the exchange in svm_ident_open_timed(). */
	if (__atomic_exchange_n(&a->through, 1, __ATOMIC_ACQ_REL) == 0)
		return NULL;
	svm_ident_close(&a->ident);
	free(a);
	/* Relaxed: a bound, not an order. */
	__atomic_fetch_sub(&nb_left, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* It takes no signal, as no thread of the library does. */
static int
attempt_start(struct attempt *a, pthread_t *thread)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(thread, NULL, attempt_main, a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

int
svm_ident_open_timed(struct svm_ident *id, pid_t pid, uint32_t us)
{
	struct timespec end;
	struct attempt *a;
	pthread_t thread;
	int ret;

	id->pid = pid;
	id->pidfd = -1;
	id->memfd = -1;
	/* Relaxed: a bound, not an order. */
	if (__atomic_load_n(&nb_left, __ATOMIC_RELAXED) >= LEFT_MAX)
		return -EAGAIN;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->pid = pid;
	ret = attempt_start(a, &thread);
	if (ret < 0)
		goto free_attempt;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += us / 1000000;
	end.tv_nsec += us % 1000000 * 1000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000L;
	}
	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &end) != 0) {
		__atomic_fetch_add(&nb_left, 1, __ATOMIC_RELAXED);
		/* Both ways: pairs with the exchange in attempt_main(). */
		if (__atomic_exchange_n(&a->through, 1, __ATOMIC_ACQ_REL) == 0) {
			pthread_detach(thread);
			return -ETIMEDOUT;
		}
		__atomic_fetch_sub(&nb_left, 1, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	*id = a->ident;
	ret = a->ret;
free_attempt:
	free(a);
	return ret;
}
