/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's threads: traffic that goes on by itself, and several producers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"

#define THREADS		8

int64_t
worker_thread_start(struct worker_thread *t, void *(*run)(void *))
{
	int ret;

	t->stop = t->ready = t->error = 0;
	t->rounds = t->wrong = 0;
	ret = pthread_create(&t->id, NULL, run, t);
	t->runs = ret == 0;
	return -ret;
}

int64_t
worker_thread_end(struct worker_thread *t)
{
	if (!t->runs)
		return -ESRCH;
	__atomic_store_n(&t->stop, 1, __ATOMIC_RELAXED);
	pthread_join(t->id, NULL);
	t->runs = false;
	return 0;
}

void
worker_thread_look(struct worker_thread *t, struct wk_rep *r)
{
	r->v[0] = __atomic_load_n(&t->rounds, __ATOMIC_RELAXED);
	r->v[1] = __atomic_load_n(&t->wrong, __ATOMIC_RELAXED);
	r->v[2] = (int64_t)__atomic_load_n(&t->error, __ATOMIC_RELAXED);
}

static void *
traffic_main(void *arg)
{
	struct worker_thread *t = arg;
	char *src = malloc(t->len), *dst = malloc(t->len);

	while (src != NULL && dst != NULL && t->error == 0 &&
			!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		const uint64_t seed = worker_seed();
		const struct svm_worker_op op = { .op = SVM_WORKER_COPY, .src = src,
			.dst = dst, .len = t->len, .cookie = seed };
		struct wk_rep r;

		wk_pattern_write(src, t->len, seed, 0);
		memset(dst, 0, t->len);
		t->error = worker_run(t->queue, &op, &r);
		if (t->error != 0)
			break;
		if (r.v[0] != SVM_WORKER_ST_OK || r.v[1] != t->len || r.v[3] != seed ||
				wk_pattern_check(dst, t->len, seed, 0) != t->len)
			__atomic_fetch_add(&t->wrong, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&t->rounds, 1, __ATOMIC_RELAXED);
	}
	free(src);
	free(dst);
	return NULL;
}

int64_t
worker_traffic(struct worker *w, const struct wk_req *q)
{
	w->traffic.queue = w->queue[q->a[0] % WORKER_QUEUES];
	w->traffic.len = q->a[1];
	return worker_thread_start(&w->traffic, traffic_main);
}

/* One of several producers: every operation of its own fills its own bytes. */
static void *
producer_main(void *arg)
{
	struct worker_thread *t = arg;
	uint32_t i;

	for (i = 0; i < t->ops; i++) {
		char *dst = (char *)(uintptr_t)t->modes + (size_t)i * t->len;
		const struct svm_worker_op op = { .op = SVM_WORKER_FILL, .dst = dst,
			.len = t->len, .pattern = (uintptr_t)dst,
			.cookie = (uintptr_t)dst };
		int ret;

		while ((ret = svm_worker_submit(t->queue, &op, 1)) == 0 &&
				!__atomic_load_n(&t->stop, __ATOMIC_RELAXED))
			usleep(50);
		if (ret != 1) {
			t->error = ret < 0 ? ret : -ECANCELED;
			break;
		}
	}
	return NULL;
}

int64_t
worker_producers(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const uint32_t nb = q->a[1] < THREADS ? q->a[1] : THREADS, ops = q->a[2];
	const size_t len = q->a[3], share = ops * len;
	struct worker_thread t[THREADS] = { 0 };
	struct svm_worker_result res[32];
	char *mem = calloc(nb, share);
	uint64_t left = (uint64_t)nb * ops, wrong = 0;
	uint32_t i, started = 0;
	int64_t ret = 0;
	int n;

	if (mem == NULL)
		return -ENOMEM;
	for (i = 0; i < nb && ret == 0; i++) {
		t[i].queue = w->queue[q->a[0] % WORKER_QUEUES];
		t[i].ops = ops;
		t[i].len = len;
		t[i].modes = (uintptr_t)mem + i * share;
		ret = -pthread_create(&t[i].id, NULL, producer_main, &t[i]);
		started += ret == 0;
	}
	while (left > 0 && ret == 0) {
		n = svm_worker_wait(w->queue[q->a[0] % WORKER_QUEUES], res, 32,
			WORKER_WAIT_US);
		if (n < 0)
			ret = n;
		for (; n > 0; n--, left--)
			wrong += res[n - 1].status != SVM_WORKER_ST_OK ||
				worker_word_check((char *)(uintptr_t)res[n - 1].cookie, len,
					res[n - 1].cookie) != len;
	}
	for (i = 0; i < started; i++) {
		__atomic_store_n(&t[i].stop, 1, __ATOMIC_RELAXED);
		pthread_join(t[i].id, NULL);
		ret = ret != 0 ? ret : t[i].error;
	}
	r->v[0] = wrong;
	/* With operations in flight the memory still belongs to the device. */
	if (left == 0)
		free(mem);
	return ret;
}
