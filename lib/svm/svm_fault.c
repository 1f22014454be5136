/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>

#include "svm_fault.h"

#define MASK	(SVM_FAULT_SLOTS - 1)

void
svm_fault_queue_init(struct svm_fault_queue *fq)
{
	uint32_t i;

	*fq = (struct svm_fault_queue){ 0 };
	for (i = 0; i != SVM_FAULT_SLOTS; i++)
		fq->cell[i].seq = i;
}

void
svm_fault_post(struct svm_fault_queue *fq, const struct rte_svm_fault *fault)
{
	uint32_t tail = __atomic_load_n(&fq->tail, __ATOMIC_RELAXED);
	struct svm_fault_cell *cell;

	__atomic_fetch_add(&fq->posted, 1, __ATOMIC_RELAXED);
	for (;;) {
		int32_t turn;

		cell = &fq->cell[tail & MASK];
		turn = __atomic_load_n(&cell->seq, __ATOMIC_ACQUIRE) - tail; /* F4 */
		if (turn < 0) {
			__atomic_fetch_add(&fq->lost, 1, __ATOMIC_RELAXED);
			return;
		}
		if (turn > 0) {
			tail = __atomic_load_n(&fq->tail, __ATOMIC_RELAXED);
			continue;
		}
		/* Relaxed: it only divides cells; F1 hands the content over. */
		if (__atomic_compare_exchange_n(&fq->tail, &tail, tail + 1, true,
				__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			break;
	}
	cell->fault = *fault;
	__atomic_store_n(&cell->seq, tail + 1, __ATOMIC_RELEASE); /* F1 */
}

uint32_t
svm_fault_take(struct svm_fault_queue *fq, struct rte_svm_fault *faults, uint32_t n)
{
	uint32_t i;

	for (i = 0; i != n; i++) {
		struct svm_fault_cell *cell = &fq->cell[fq->head & MASK];

		if (__atomic_load_n(&cell->seq, __ATOMIC_ACQUIRE) != fq->head + 1) /* F2 */
			break;
		faults[i] = cell->fault;
		__atomic_store_n(&cell->seq, fq->head + SVM_FAULT_SLOTS,
			__ATOMIC_RELEASE); /* F3 */
		fq->head++;
	}
	return i;
}
