/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a heap's arena lives on: chunks, each a memory of the owner's, mapped here
 * and reached by the owner's device. They double, so that a large heap has few of
 * them; the arena gets pieces of WCHUNK_UNIT.
 */
#ifndef WORKER_CHUNK_H
#define WORKER_CHUNK_H

#include <pthread.h>
#include <stddef.h>

#include "worker_mem.h"

/* A huge page. */
#define WCHUNK_UNIT	((size_t)2 << 20)

struct wchunk;

struct wchunks {
	pthread_mutex_t lock;		/* before the connection's */
	struct svm_worker *worker;
	struct svm_worker_heap_conf conf;
	/* under lock */
	struct wchunk *first;
	uint64_t bytes;
	uint32_t nb;
	enum svm_worker_pages pages;	/* the smallest kind that came */
	bool mapped;			/* all of them, by the owner, too */
	int error;			/* why there was no more, last time */
};

void
wchunks_init(struct wchunks *c, struct svm_worker *w, const struct svm_worker_heap_conf *conf);

/**
 * Give everything back.
 *
 * @param mapped  false in a child after fork: nothing of it came along.
 */
void
wchunks_fini(struct wchunks *c, bool mapped);

/** @param bytes  A multiple of WCHUNK_UNIT. @return NULL: c->error. */
void *
wchunks_get(struct wchunks *c, size_t bytes);

void
wchunks_put(struct wchunks *c, void *mem, size_t bytes);

#endif /* WORKER_CHUNK_H */
