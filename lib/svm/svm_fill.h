/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How full the workers' queues are, for whoever looks at a device from outside: the
 * queues that exist, by the PASID they belong to.
 *
 * The level stands in the queue's header, which the worker can write: it is read once,
 * under a guard, and is never more than the queue's depth.
 */
#ifndef SVM_FILL_H
#define SVM_FILL_H

#include <pthread.h>
#include <stdint.h>
#include <sys/queue.h>

#include "svm_eq.h"

TAILQ_HEAD(svm_fill_list, svm_eq);

struct svm_fill {
	pthread_mutex_t lock;		/* a leaf */
	struct svm_fill_list queues;
};

void
svm_fill_init(struct svm_fill *fill);

/** No queue is left. */
void
svm_fill_fini(struct svm_fill *fill);

void
svm_fill_add(struct svm_fill *fill, struct svm_eq *q);

/** Before the queue is freed. */
void
svm_fill_del(struct svm_fill *fill, struct svm_eq *q);

/**
 * Descriptors that wait in each queue of a PASID, submitted and not yet taken. Any
 * thread that EAL or libc made; it unblocks SIGSEGV and SIGBUS there.
 *
 * @param waiting  Out: of the first n queues.
 * @return How many queues there are, more than n perhaps.
 */
uint32_t
svm_fill_read(struct svm_fill *fill, uint32_t pasid, uint32_t *waiting, uint32_t n);

#endif /* SVM_FILL_H */
