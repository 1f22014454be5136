/* SPDX-License-Identifier: BSD-3-Clause */
/* Heaps, as worker.c sees them. */
#ifndef WORKER_HEAP_H
#define WORKER_HEAP_H

#include <stdbool.h>

#include "worker_chunk.h"

struct wpool;

struct svm_worker_heap {
	uint32_t process;		/* whose it is, svm_wfork_is_own() */
	struct wpool *pool;
	struct wchunks chunks;
	struct svm_worker *worker;
	struct svm_worker_heap *next;	/* the worker's list */
};

/** Destroy the heaps. `own`: not in a child of the process that made them. */
void
svm_wheap_end_all(struct svm_worker *w, bool own);

#endif /* WORKER_HEAP_H */
