/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fault queue: bounded, several engines post, one thread takes. A full
 * queue drops the record and counts it; faults are reports, nobody waits for
 * an answer.
 *
 * Each cell carries a sequence (Vyukov's bounded queue):
 *   F1  cell.seq release store by the poster  -> F2 acquire load by the taker
 *   F3  cell.seq release store by the taker   -> F4 acquire load by a poster
 */
#ifndef SVM_FAULT_H
#define SVM_FAULT_H

#include <stdint.h>

#include "rte_svm.h"

#define SVM_FAULT_SLOTS	1024u

struct svm_fault_cell {
	uint32_t seq;
	struct rte_svm_fault fault;
};

struct svm_fault_queue {
	uint32_t tail;		/* claimed by posters; atomic */
	uint32_t head;		/* the taker's */
	uint64_t posted, lost;	/* atomic, relaxed */
	struct svm_fault_cell cell[SVM_FAULT_SLOTS];
};

void
svm_fault_queue_init(struct svm_fault_queue *fq);

/** Lock-free, any thread. */
void
svm_fault_post(struct svm_fault_queue *fq, const struct rte_svm_fault *fault);

/** One thread at a time. */
uint32_t
svm_fault_take(struct svm_fault_queue *fq, struct rte_svm_fault *faults, uint32_t n);

#endif /* SVM_FAULT_H */
