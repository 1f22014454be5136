/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_common.h>

#include "svm_fill.h"
#include "svm_trap.h"

void
svm_fill_init(struct svm_fill *fill)
{
	pthread_mutex_init(&fill->lock, NULL);
	TAILQ_INIT(&fill->queues);
}

void
svm_fill_fini(struct svm_fill *fill)
{
	pthread_mutex_destroy(&fill->lock);
}

void
svm_fill_add(struct svm_fill *fill, struct svm_eq *q)
{
	pthread_mutex_lock(&fill->lock);
	TAILQ_INSERT_TAIL(&fill->queues, q, fill_link);
	pthread_mutex_unlock(&fill->lock);
}

void
svm_fill_del(struct svm_fill *fill, struct svm_eq *q)
{
	pthread_mutex_lock(&fill->lock);
	TAILQ_REMOVE(&fill->queues, q, fill_link);
	pthread_mutex_unlock(&fill->lock);
}

/* Relaxed loads: figures, which order nothing. A hole in the memory counts as empty. */
static uint32_t
queue_waiting(struct svm_eq *q)
{
	const struct svm_queue_hdr *hdr = q->ring.hdr;
	struct svm_guard g;
	uint32_t n;

	if (svm_guard_enter(&g, q->mem, q->mem_len) != 0)
		return 0;
	n = __atomic_load_n(&hdr->sq_tail, __ATOMIC_RELAXED) -
		__atomic_load_n(&hdr->sq_head, __ATOMIC_RELAXED);
	svm_guard_leave(&g);
	return RTE_MIN(n, q->ring.depth);
}

uint32_t
svm_fill_read(struct svm_fill *fill, uint32_t pasid, uint32_t *waiting, uint32_t n)
{
	struct svm_eq *q;
	uint32_t found = 0;

	svm_trap_thread_init();
	pthread_mutex_lock(&fill->lock);
	TAILQ_FOREACH(q, &fill->queues, fill_link) {
		if (q->self_pasid != pasid)
			continue;
		if (found < n)
			waiting[found] = queue_waiting(q);
		found++;
	}
	pthread_mutex_unlock(&fill->lock);
	return found;
}
