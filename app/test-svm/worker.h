/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of svm-test-worker share: its state, and what it does when told. */
#ifndef WORKER_H
#define WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "svm_worker.h"
#include "test_proto.h"

#define WORKER_QUEUES		4
#define WORKER_STACK_LEN	(256 << 10)
#define WORKER_WAIT_US		10000000u

struct worker_thread {
	pthread_t id;
	bool runs;
	int stop;		/* atomic, relaxed: only ends a loop */
	int ready;		/* atomic: it goes to work, or `error` says why not */
	int error;
	uint64_t rounds;	/* atomic, relaxed: looked at for progress */
	uint64_t wrong;
	struct svm_worker_queue *queue;
	uint32_t len;
	uint32_t ops;
	uint64_t modes;
};

struct worker {
	char **argv;
	char *stack;
	long page;
	int uffd;
	int events;		/* userfaultfd that the owner reads; -1 */
	struct svm_worker *conn;
	struct svm_worker_queue *queue[WORKER_QUEUES];
	struct svm_worker_heap *heap;
	struct worker_thread traffic;
	struct worker_thread scribble;
};

/*
 * A request's numbers and its answer's are in test_proto.h. What takes them
 * returns 0 or -errno.
 */

/* ---- worker_memory.c ---- */

/** A fresh random number. */
uint64_t
worker_seed(void);

/**
 * Pages between two that nobody may touch: what runs over is seen.
 *
 * @param where  Their address, 0: anywhere.
 * @return NULL: no memory, or there is something else.
 */
char *
worker_pages(const struct worker *w, size_t len, int flags, uint64_t where);

/** Bytes that equal a word repeated, up to the first that does not. */
size_t
worker_word_check(const char *p, size_t len, uint64_t word);

int64_t
worker_alloc(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_uffd(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_uffd_faults(const struct worker *w, struct wk_rep *r);

int64_t
worker_uffd_answer(struct worker *w, const struct wk_req *q, struct wk_rep *r);

/* ---- worker_move.c ---- */

int64_t
worker_sealed(struct worker *w, size_t len, struct wk_rep *r);

int64_t
worker_events(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_hash(const struct wk_req *q, struct wk_rep *r);

int64_t
worker_move(struct worker *w, const struct wk_req *q, struct wk_rep *r);

/* ---- worker_queue.c ---- */

int64_t
worker_queue(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_queue_end(struct worker *w, const struct wk_req *q);

/** Submit one operation and wait for it. */
int64_t
worker_run(struct svm_worker_queue *queue, const struct svm_worker_op *op,
		struct wk_rep *r);

int64_t
worker_op(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_sg(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_flood(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_window(struct worker *w, const struct wk_req *q, struct wk_rep *r);

/* ---- worker_traffic.c ---- */

int64_t
worker_thread_start(struct worker_thread *t, void *(*run)(void *));

/** Stop and join it. -ESRCH: it does not run. */
int64_t
worker_thread_end(struct worker_thread *t);

void
worker_thread_look(struct worker_thread *t, struct wk_rep *r);

int64_t
worker_traffic(struct worker *w, const struct wk_req *q);

int64_t
worker_producers(struct worker *w, const struct wk_req *q, struct wk_rep *r);

/* ---- worker_scribble.c ---- */

/** Start it. It is at work when this is back, and has done a round when it ends. */
int64_t
worker_scribble(struct worker *w, const struct wk_req *q);

int64_t
worker_queue_memory(const struct worker *w, const struct wk_req *q, struct wk_rep *r);

/* ---- worker_heap.c ---- */

int64_t
worker_heap(struct worker *w, const struct wk_req *q);

int64_t
worker_heap_end(struct worker *w);

int64_t
worker_heap_info(struct worker *w, struct wk_rep *r);

int64_t
worker_heap_alloc(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_heap_churn(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_heap_fork(struct worker *w, const struct wk_req *q, struct wk_rep *r);

int64_t
worker_fork_lacks(const struct wk_req *q, struct wk_rep *r);

#endif /* WORKER_H */
