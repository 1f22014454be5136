/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's queue, as worker.c sees it. */
#ifndef WORKER_QUEUE_H
#define WORKER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../svm/svm_ring.h"
#include "worker_conn.h"

struct svm_worker_queue {
	struct svm_producer prod;
	bool may_sleep;			/* look at need_wakeup after submitting */
	bool unrung;			/* atomic: a doorbell could not be sent */
	struct svm_worker *worker;
	struct svm_worker_queue *next;	/* the worker's list */
	uint32_t id;			/* the owner's name for it */
	void *mem;
	size_t size;
	/*
	 * One for each slot, private. Written by the producer before the slot's
	 * mark (P1), read by the thread that polls between P2 and P3.
	 */
	uint64_t cookies[];
};

/**
 * Forget a queue: unmap and free it, tell nobody.
 *
 * @param mapped
 *   false in a child after fork: the mapping did not come along, and the
 *   addresses may be something else's by now.
 */
void
svm_wqueue_free(struct svm_worker_queue *q, bool mapped);

#endif /* WORKER_QUEUE_H */
