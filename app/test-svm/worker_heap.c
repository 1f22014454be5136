/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's heap of the library's, and what it shares. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

#define THREADS		8
#define BLOCKS		200

int64_t
worker_heap(struct worker *w, const struct wk_req *q)
{
	const struct svm_worker_heap_conf conf = { .pages = (enum svm_worker_pages)q->a[0],
		.node = (int)q->a[1] - 1, .max_len = q->a[2] };

	return svm_worker_heap_create(w->conn, &conf, &w->heap);
}

int64_t
worker_heap_end(struct worker *w)
{
	svm_worker_heap_destroy(w->heap);
	w->heap = NULL;
	return 0;
}

int64_t
worker_heap_info(struct worker *w, struct wk_rep *r)
{
	struct svm_worker_heap_info info;
	const int rc = svm_worker_heap_info_get(w->heap, &info);

	r->v[0] = info.pages;
	r->v[1] = info.nb_chunks;
	r->v[2] = info.len;
	r->v[3] = info.mapped;
	return rc;
}

int64_t
worker_heap_alloc(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	void *p = NULL;

	errno = 0;
	switch (q->a[0]) {
	case WK_HEAP_MALLOC:
		p = svm_worker_malloc(w->heap, q->a[1]);
		break;
	case WK_HEAP_CALLOC:
		p = svm_worker_calloc(w->heap, q->a[2], q->a[1]);
		break;
	case WK_HEAP_ALIGNED:
		p = svm_worker_aligned_alloc(w->heap, q->a[2], q->a[1]);
		break;
	case WK_HEAP_REALLOC:
		p = svm_worker_realloc(w->heap, (void *)(uintptr_t)q->a[2], q->a[1]);
		break;
	}
	r->v[0] = (uintptr_t)p;
	return p != NULL ? 0 : -errno;
}

/* ---- many threads ---- */

struct churn {
	pthread_t id;
	struct svm_worker_heap *heap;
	uint32_t rounds;
	uint64_t wrong;
};

/* From a few bytes to more than a chunk of the heap's has. */
static size_t
churn_size(uint64_t seed)
{
	const unsigned int bits = seed % 64 == 0 ? 22 : seed % 8 == 0 ? 17 : 11;

	return seed >> 8 & ((1u << bits) - 1);
}

/* Blocks come and go, and each keeps what was written into it. */
static void *
churn_main(void *arg)
{
	struct {
		char *mem;
		size_t len;
		uint64_t seed;
	} block[BLOCKS] = { 0 };
	struct churn *c = arg;
	uint64_t seed = worker_seed();
	uint32_t i;

	for (i = 0; i < c->rounds + BLOCKS; i++) {
		const uint32_t at = i % BLOCKS;

		c->wrong += block[at].mem != NULL && wk_pattern_check(block[at].mem, block[at].len,
			block[at].seed, 0) != block[at].len;
		svm_worker_free(c->heap, block[at].mem);
		block[at].mem = NULL;
		if (i >= c->rounds)
			continue;
		seed = wk_word(seed, i);
		block[at].len = churn_size(seed);
		block[at].seed = seed;
		block[at].mem = svm_worker_malloc(c->heap, block[at].len);
		if (block[at].mem == NULL)
			c->wrong++;
		else
			wk_pattern_write(block[at].mem, block[at].len, seed, 0);
	}
	return NULL;
}

int64_t
worker_heap_churn(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const uint32_t nb = q->a[0] < THREADS ? q->a[0] : THREADS;
	struct churn c[THREADS] = { 0 };
	uint32_t i, started;
	int64_t ret = 0;

	for (started = 0; started < nb && ret == 0; started++) {
		c[started].heap = w->heap;
		c[started].rounds = q->a[1];
		ret = -pthread_create(&c[started].id, NULL, churn_main, &c[started]);
	}
	started -= ret != 0;
	for (i = 0; i < started; i++) {
		pthread_join(c[i].id, NULL);
		r->v[0] += c[i].wrong;
	}
	return ret;
}

/* ---- fork ---- */

/* What a child may do with what it has inherited; the first number that is not as it should be. */
static int
child_main(struct worker *w, void *block)
{
	struct svm_worker_heap_info info;

	svm_worker_free(w->heap, block);
	errno = 0;
	if (svm_worker_malloc(w->heap, 8) != NULL || errno != EPERM)
		return 1;
	if (svm_worker_realloc(w->heap, block, 8) != NULL ||
			svm_worker_aligned_alloc(w->heap, 64, 8) != NULL)
		return 2;
	if (svm_worker_heap_info_get(w->heap, &info) != -EPERM)
		return 3;
	if (svm_worker_share(w->conn, (void *)(w->page * 16), w->page) != -EPERM)
		return 4;
	svm_worker_disconnect(w->conn);
	return 0;
}

int64_t
worker_heap_fork(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(child_main(w, (void *)(uintptr_t)q->a[0]));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	r->v[0] = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

/* Whether a child that touches this dies of it. */
int64_t
worker_fork_lacks(const struct wk_req *q, struct wk_rep *r)
{
	char had[64], seen[sizeof(had)];
	const struct iovec to = { .iov_base = seen, .iov_len = sizeof(seen) };
	const struct iovec from = { .iov_base = (void *)(uintptr_t)q->a[0],
		.iov_len = sizeof(seen) };
	int status = 0;
	pid_t pid;

	memcpy(had, from.iov_base, sizeof(had));
	pid = fork();
	if (pid == 0) {
		/* The kernel looks: something else may stand there in the child. */
		if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != sizeof(seen))
			_exit(1);
		_exit(memcmp(had, seen, sizeof(had)) != 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	r->v[0] = WIFEXITED(status) && WEXITSTATUS(status) == 1;
	return 0;
}
