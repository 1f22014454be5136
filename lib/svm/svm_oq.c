/* SPDX-License-Identifier: BSD-3-Clause */
/* Owner queues: the owner submits, in its own process. */
#include <errno.h>
#include <stdlib.h>

#include "svm_dev.h"
#include "svm_log.h"
#include "svm_trap.h"

/* Batches at once of an engine that runs inline. */
#define INLINE_BATCHES	2u

static int
oq_register(struct svm_dev *dev, struct svm_oq *oq)
{
	uint32_t i;
	int ret = -ENOSPC;

	pthread_mutex_lock(&dev->lock);
	for (i = 0; i != SVM_QUEUES_MAX && ret != 0; i++) {
		if (dev->oqs[i] == NULL) {
			dev->oqs[i] = oq;
			ret = 0;
		}
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static void
oq_unregister(struct svm_dev *dev, const struct svm_oq *oq)
{
	uint32_t i;

	pthread_mutex_lock(&dev->lock);
	for (i = 0; i != SVM_QUEUES_MAX; i++)
		if (dev->oqs[i] == oq)
			dev->oqs[i] = NULL;
	if (oq->inline_engine != NULL)
		svm_stats_keep_locked(dev, oq->inline_engine);
	pthread_mutex_unlock(&dev->lock);
}

int
svm_oq_create(struct svm_dev *dev, uint32_t depth, struct svm_oq **oq)
{
	const bool inl = dev->conf.engine == RTE_SVM_ENGINE_INLINE;
	struct svm_engine *e = NULL;
	struct svm_oq *q;
	int ret;

	q = aligned_alloc(RTE_CACHE_LINE_SIZE,
			RTE_ALIGN_CEIL(sizeof(*q), RTE_CACHE_LINE_SIZE));
	if (q == NULL)
		return -ENOMEM;
	/* Its user may have set handlers of its own; svm_dev_start() tells of that. */
	svm_trap_renew();
	*q = (struct svm_oq){ .dev = dev };
	ret = svm_eq_create(dev->bonds, depth,
			dev->conf.idle_us != 0 ? SVM_QF_MAY_SLEEP : 0, 0,
			dev->conf.numa_node, NULL, &q->eq);
	if (ret < 0)
		goto free_oq;
	svm_producer_init(&q->prod, &q->eq->ring, false, 0);
	if (inl) {
		ret = svm_dev_engine_create(dev, 1, INLINE_BATCHES, &q->inline_engine);
		if (ret < 0)
			goto destroy_eq;
		e = q->inline_engine;
	} else {
		e = svm_engines_least(dev);
		if (dev->conf.idle_us != 0)
			q->sleepy_engine = e;
	}
	ret = oq_register(dev, q);
	if (ret < 0) {
		SVM_LOG(ERR, "%s: no more than %u owner queues", dev->conf.name,
			SVM_QUEUES_MAX);
		goto destroy_engine;
	}
	svm_engine_attach(e, q->eq);
	SVM_LOG(DEBUG, "%s: an owner's queue of %u", dev->conf.name, depth);
	*oq = q;
	return 0;

destroy_engine:
	svm_engine_destroy(q->inline_engine);
destroy_eq:
	svm_eq_destroy(q->eq);
free_oq:
	free(q);
	return ret;
}

int
svm_oq_close(struct svm_oq *oq)
{
	struct svm_dev *dev = oq->dev;
	const uint64_t end = svm_now_us() + SVM_ENGINE_END_US(dev->conf.timeout_us);

	while (svm_engine_detach(oq->eq) < 0) {
		if (svm_now_us() > end)
			return -EBUSY;
		svm_pause_us(20);
	}
	oq_unregister(dev, oq);
	/* Release: all results are written; pairs with the load in rte_svm_poll(). */
	__atomic_store_n(&oq->closed, 1, __ATOMIC_RELEASE);
	return 0;
}

void
svm_oq_free(struct svm_oq *oq)
{
	svm_engine_destroy(oq->inline_engine);
	svm_eq_destroy(oq->eq);
	free(oq);
}

int
svm_oq_destroy(struct svm_oq *oq)
{
	const int ret = svm_oq_close(oq);

	if (ret == 0)
		svm_oq_free(oq);
	return ret;
}

/* Run an inline engine until what was submitted has ended. */
static void
oq_run_inline(struct svm_oq *oq)
{
	struct svm_engine *e = oq->inline_engine;
	uint64_t end = 0;

	/* Control may hold the token, closing the queue or unbinding: it does
	 * the work then, or the next kick does. */
	if (!svm_engine_try_acquire(e))
		return;
	do {
		/* A turn takes a burst at the most: until there is none. */
		if (svm_engine_turn(e) != 0)
			continue;
		if (likely(oq->eq->nb_parked + oq->eq->nb_issued == 0))
			break;
		if (end == 0)
			end = svm_now_us() + SVM_ENGINE_END_US(oq->dev->conf.timeout_us);
		/* What is not ended by then sits where nothing can interrupt it. */
	} while (end == 0 || svm_now_us() < end);
	svm_engine_release(e);
}

void
svm_oq_kick_slow(struct svm_oq *oq)
{
	if (oq->inline_engine != NULL) {
		/* Relaxed: whoever starts the device and then submits sees it. */
		if (__atomic_load_n(&oq->dev->nb_starts, __ATOMIC_RELAXED) != 0)
			oq_run_inline(oq);
		return;
	}
	/* Full: the mark before the look at need_wakeup; pairs with the fence in
	 * svm_engine_sleep(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&oq->prod.ring.hdr->need_wakeup, __ATOMIC_RELAXED) != 0)
		svm_engine_wake(oq->sleepy_engine);
}
