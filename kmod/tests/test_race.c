// SPDX-License-Identifier: GPL-2.0
/* Calls, deaths and owners that meet in the same moment; and PASIDs that run out. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* Four threads, which begin together, and what they share. */
struct race {
	struct device dev;
	pthread_barrier_t barrier;
	pid_t pid;
	uint64_t first;		/* a bond that stands when they begin */
};

static bool one_of(long ret, const long *good, unsigned int nb)
{
	unsigned int i;

	for (i = 0; i < nb && good[i] != ret; i++)
		;
	return i < nb;
}

static void *race_bind(void *arg)
{
	static const long good[] = { 0, -EEXIST, -ESRCH, -EBADF };
	struct race *r = arg;
	unsigned int i;

	pthread_barrier_wait(&r->barrier);
	for (i = 0; i < 4; i++) {
		CHECK(one_of(bind_type(&r->dev, VFIO_SVM_BIND_PID, r->pid, RIGHTS, NULL), good, 4));
		CHECK(one_of(bind_type(&r->dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), good, 4));
	}
	return NULL;
}

static void *race_unbind(void *arg)
{
	static const long good[] = { 0, -ENOENT, -EBADF };
	struct race *r = arg;
	unsigned int i;

	pthread_barrier_wait(&r->barrier);
	for (i = 0; i < 8; i++)
		CHECK(one_of(unbind_id(&r->dev, r->first + i), good, 3));
	return NULL;
}

static void *race_close(void *arg)
{
	struct race *r = arg;

	pthread_barrier_wait(&r->barrier);
	CHECK_EQ(close(r->dev.fd), 0);
	return NULL;
}

static void *race_exit(void *arg)
{
	struct race *r = arg;

	pthread_barrier_wait(&r->barrier);
	CHECK_EQ(kill(r->pid, SIGKILL), 0);
	return NULL;
}

static void bind_unbind_close_and_exit_at_once(void)
{
	static void *(*const fn[4])(void *) = { race_bind, race_unbind, race_close, race_exit };
	unsigned int i, j, n = rounds(300);
	struct race r = { };
	struct worker w;
	pthread_t t[4];

	CHECK_EQ(pthread_barrier_init(&r.barrier, NULL, 4), 0);
	for (i = 0; i < n; i++) {
		/* Before the device is open: the worker must not keep it. */
		worker_start(&w);
		r.pid = w.pid;
		device_open(&r.dev, 0);
		r.first = worker_bind(&r.dev, &w).bond_id;
		/* So that the close of the descriptor is the last. */
		CHECK_EQ(munmap((void *)r.dev.events, r.dev.events_len), 0);
		CHECK_EQ(munmap((void *)r.dev.index, r.dev.index_len), 0);
		for (j = 0; j < 4; j++)
			CHECK_EQ(pthread_create(&t[j], NULL, fn[(i + j) % 4], &r), 0);
		for (j = 0; j < 4; j++)
			CHECK_EQ(pthread_join(t[j], NULL), 0);
		CHECK_EQ(waitpid(w.pid, NULL, 0), w.pid);
		close(w.to);
		close(w.from);
		close(r.dev.group);
		close(r.dev.container);
	}
	device_open(&r.dev, 0);
	CHECK_EQ(bind_type(&r.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
}

/* Pages to give back make an exit take a while. */
static long do_grow(long len)
{
	char *at = (char *)do_map(len);
	long i;

	for (i = 0; i < len; i += 4096)
		at[i] = 1;
	return (long)at;
}

static void unbind_meets_the_exit(void)
{
	unsigned int i, j, n = rounds(300), told;
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct device dev;
	struct svm_cpl cpl;
	struct worker w;
	struct queue q;

	device_open(&dev, 0);
	queue_open(&q, &dev, 0, 32, 0);
	for (i = 0; i < n; i++) {
		worker_start(&w);
		bind = worker_bind(&dev, &w);
		desc = desc_fill(bind.pasid, worker_call(&w, do_grow, 1 << 20), 1 << 16, 1);
		for (j = 0; j < 4; j++)
			queue_send(&q, &desc);
		CHECK_EQ(kill(w.pid, SIGKILL), 0);
		for (j = 0; j < i % 8; j++)
			sched_yield();
		CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
		for (j = 0; j < 4; j++) {
			cpl = queue_wait(&q);
			CHECK(cpl.status == SVM_ST_OK || cpl.status == SVM_ST_BOND_DEAD);
		}
		CHECK_EQ(waitpid(w.pid, NULL, 0), w.pid);
		close(w.to);
		close(w.from);
		/* Told or not, but once, and of nobody else. */
		for (told = 0; device_has_event(&dev); told++)
			CHECK_EQ(device_event(&dev).bond_id, bind.bond_id);
		CHECK(told <= 1);
	}
}

/* With the number of every bond that ended still in the ring, each is used once. */
static void pasids_run_out_and_come_back(void)
{
	struct svm_desc nop = { .op = SVM_OP_NOP };
	struct vfio_svm_bind bind;
	bool used[MAX_PASID + 1];
	unsigned int i, n = rounds(50), nb;
	struct device dev;
	struct queue q;
	long ret;

	device_open(&dev, 0);
	queue_open(&q, &dev, 0, 32, 0);
	for (i = 0; i < n; i++) {
		/* With an empty ring all numbers come back. */
		CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
		/* A marked slot behind one that is claimed and not marked. */
		q.sent++;
		queue_send(&q, &nop);
		CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
		memset(used, 0, sizeof(used));
		used[bind.pasid] = true;
		for (nb = 1; !(ret = bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind)); nb++) {
			CHECK(bind.pasid >= 1 && bind.pasid <= MAX_PASID && !used[bind.pasid]);
			used[bind.pasid] = true;
			CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
		}
		CHECK_EQ(ret, -ENOSPC);
		CHECK_EQ(nb, MAX_PASID);
		q.sent -= 2;
		queue_send(&q, &nop);
		q.sent++;
		CHECK_EQ(queue_wait(&q).status, SVM_ST_OK);
		CHECK_EQ(queue_wait(&q).status, SVM_ST_OK);
	}
}

#define RACE_DEPTH	512u
#define RACE_LEN	4096u

/* How many of RACE_LEN bytes from addr on are 0. */
static long do_zeros(long addr)
{
	const volatile unsigned char *at = (const unsigned char *)addr;
	long i;

	for (i = 0; i < (long)RACE_LEN && !at[i]; i++)
		;
	return i;
}

/*
 * Orders for a bond that has ended stand in the ring, far behind others. Whoever gets
 * its number meanwhile has memory at the same address, and must keep it.
 */
static void recycled_pasid_never_reaches_the_next(void)
{
	unsigned int i, j, n = rounds(60);
	struct vfio_svm_bind old, busy, next;
	struct svm_desc slow, order;
	struct worker a, b, c;
	struct device dev;
	unsigned long at;
	struct queue q;
	long ret;

	/* Mapped before the workers are made: all have it, each its own. */
	at = do_map(RACE_LEN);
	worker_start(&a);
	worker_start(&b);
	worker_start(&c);
	device_open(&dev, 0);
	queue_open(&q, &dev, 0, RACE_DEPTH, 0);
	busy = worker_bind(&dev, &c);
	slow = desc_fill(busy.pasid, worker_call(&c, do_grow, 1 << 20), 1 << 20, 1);
	for (i = 0; i < n; i++) {
		old = worker_bind(&dev, &a);
		order = desc_fill(old.pasid, at, RACE_LEN, ~0ull);
		for (j = 0; j < RACE_DEPTH; j++)
			queue_send(&q, j < 80 ? &slow : &order);
		CHECK_EQ(unbind_id(&dev, old.bond_id), 0);
		/* Round the numbers, which run out now and then, until it is that one's turn. */
		for (next.pasid = 0; next.pasid != old.pasid;) {
			if (next.pasid)
				CHECK_EQ(unbind_id(&dev, next.bond_id), 0);
			while ((ret = bind_type(&dev, VFIO_SVM_BIND_PID, b.pid, RIGHTS, &next)))
				CHECK_EQ(ret, -ENOSPC);
		}
		for (j = 0; j < RACE_DEPTH; j++)
			queue_wait(&q);
		CHECK_EQ(worker_call(&b, do_zeros, at), RACE_LEN);
		CHECK_EQ(unbind_id(&dev, next.bond_id), 0);
	}
}

static const struct test race_tests[] = {
	TEST(bind_unbind_close_and_exit_at_once),
	TEST(unbind_meets_the_exit),
	TEST(pasids_run_out_and_come_back),
	TEST(recycled_pasid_never_reaches_the_next),
};

SUITE(race);
