/* SPDX-License-Identifier: BSD-3-Clause */
/* A device's counters: the sum over its engines, less what a reset took away. */
#include <errno.h>

#include "svm_dev.h"

static void
add_engine(struct rte_svm_stats *s, const struct svm_counters *c)
{
	/* Relaxed: each counter is whole, together they are a snapshot. */
	s->ops += __atomic_load_n(&c->ops, __ATOMIC_RELAXED);
	s->errors += __atomic_load_n(&c->errors, __ATOMIC_RELAXED);
	s->bytes += __atomic_load_n(&c->bytes, __ATOMIC_RELAXED);
	s->moves += __atomic_load_n(&c->moves, __ATOMIC_RELAXED);
	s->timeouts += __atomic_load_n(&c->timeouts, __ATOMIC_RELAXED);
	s->cma_batches += __atomic_load_n(&c->cma_batches, __ATOMIC_RELAXED);
	s->cma_calls += __atomic_load_n(&c->cma_calls, __ATOMIC_RELAXED);
	s->cma_pieces += __atomic_load_n(&c->cma_pieces, __ATOMIC_RELAXED);
	s->alias_ops += __atomic_load_n(&c->alias_ops, __ATOMIC_RELAXED);
	s->alias_bytes += __atomic_load_n(&c->alias_bytes, __ATOMIC_RELAXED);
	s->atc_hits += __atomic_load_n(&c->atc_hits, __ATOMIC_RELAXED);
	s->atc_misses += __atomic_load_n(&c->atc_misses, __ATOMIC_RELAXED);
}

/* An engine that ends leaves its counts to the device. Caller holds dev->lock. */
void
svm_stats_keep_locked(struct svm_dev *dev, const struct svm_engine *engine)
{
	add_engine(&dev->gone, &engine->counters);
}

static void
sum_locked(struct svm_dev *dev, struct rte_svm_stats *s)
{
	uint32_t i;

	*s = dev->gone;
	for (i = 0; i != dev->nb_engines; i++)
		add_engine(s, &dev->engines[i]->counters);
	for (i = 0; i != SVM_QUEUES_MAX; i++)
		if (dev->oqs[i] != NULL && dev->oqs[i]->inline_engine != NULL)
			add_engine(s, &dev->oqs[i]->inline_engine->counters);
	s->faults = __atomic_load_n(&dev->faults->posted, __ATOMIC_RELAXED);
	s->faults_lost = __atomic_load_n(&dev->faults->lost, __ATOMIC_RELAXED);
	s->binds_refused = __atomic_load_n(&dev->binds_refused, __ATOMIC_RELAXED);
	if (dev->lanes != NULL) {
		struct svm_lane_stats lanes;

		svm_lane_pool_stats(dev->lanes, &lanes);
		s->lanes_made = lanes.made;
		s->lanes_killed = lanes.killed;
	}
}

int
rte_svm_stats_get(uint16_t dev_id, struct rte_svm_stats *stats)
{
	uint64_t *now = (uint64_t *)stats, *base;
	struct svm_dev *dev;
	int ret = -EINVAL;
	uint32_t i;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	if (stats == NULL)
		goto put_dev;
	pthread_mutex_lock(&dev->lock);
	sum_locked(dev, stats);
	base = (uint64_t *)&dev->base;
	for (i = 0; i != sizeof(*stats) / sizeof(*now); i++)
		now[i] -= base[i];
	pthread_mutex_unlock(&dev->lock);
	ret = 0;
put_dev:
	svm_registry_put(dev_id);
	return ret;
}

int
rte_svm_stats_reset(uint16_t dev_id)
{
	struct svm_dev *dev;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	pthread_mutex_lock(&dev->lock);
	sum_locked(dev, &dev->base);
	pthread_mutex_unlock(&dev->lock);
	svm_registry_put(dev_id);
	return 0;
}
