/* SPDX-License-Identifier: BSD-3-Clause */
/* The public calls on a device as a whole. */
#include <errno.h>
#include <string.h>

#include "svm_dev.h"

uint16_t
rte_svm_dev_count(void)
{
	return svm_registry_count();
}

int
rte_svm_get_dev_id(const char *name)
{
	return name == NULL ? -EINVAL : svm_registry_find(name);
}

static void
dev_describe(struct svm_dev *dev, struct rte_svm_info *info)
{
	*info = (struct rte_svm_info){
		.engine = dev->conf.engine,
		.cma = dev->conf.cma,
		.tiers = dev->conf.tier,
		.dma_dev_id = dev->dma_dev_id,
		.numa_node = dev->conf.numa_node,
		.engines = dev->nb_engines,
		.max_bonds = dev->conf.max_bonds,
		.depth = dev->conf.depth,
		.timeout_us = dev->conf.timeout_us,
		.idle_us = dev->conf.idle_us,
	};
	memcpy(info->name, dev->conf.name, sizeof(info->name));
	memcpy(info->socket, dev->conf.socket, sizeof(info->socket));
	pthread_mutex_lock(&dev->bonds->lock);
	info->nb_bonds = dev->bonds->nb;
	pthread_mutex_unlock(&dev->bonds->lock);
	/* Relaxed: as true as it can be when the call returns. */
	info->started = __atomic_load_n(&dev->nb_starts, __ATOMIC_RELAXED) != 0;
}

int
rte_svm_info_get(uint16_t dev_id, struct rte_svm_info *info)
{
	struct svm_dev *dev;
	int ret = -EINVAL;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	if (info != NULL) {
		dev_describe(dev, info);
		ret = 0;
	}
	svm_registry_put(dev_id);
	return ret;
}

int
rte_svm_policy_set(uint16_t dev_id, rte_svm_policy_t fn, void *arg)
{
	struct svm_dev *dev;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	svm_policy_set(&dev->policy, fn, arg);
	svm_registry_put(dev_id);
	return 0;
}

int
rte_svm_start(uint16_t dev_id)
{
	struct svm_dev *dev;
	int ret;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	ret = svm_dev_start(dev);
	svm_registry_put(dev_id);
	return ret;
}

int
rte_svm_stop(uint16_t dev_id)
{
	struct svm_dev *dev;
	int ret;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	ret = svm_dev_stop(dev);
	svm_registry_put(dev_id);
	return ret;
}

static uint32_t
dev_progress(struct svm_dev *dev)
{
	uint32_t i, n = 0;

	if (dev->conf.engine != RTE_SVM_ENGINE_INLINE ||
			__atomic_load_n(&dev->nb_starts, __ATOMIC_RELAXED) == 0)
		return 0;
	/* One that another lcore takes a turn of is left to it. */
	for (i = 0; i != dev->nb_engines; i++) {
		if (!svm_engine_try_acquire(dev->engines[i]))
			continue;
		n += svm_engine_turn(dev->engines[i]);
		svm_engine_release(dev->engines[i]);
	}
	return n;
}

int
rte_svm_progress(uint16_t dev_id)
{
	struct svm_dev *dev;
	uint32_t n;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	n = dev_progress(dev);
	svm_registry_put(dev_id);
	return n;
}

int
rte_svm_fault_poll(uint16_t dev_id, struct rte_svm_fault *faults, uint32_t n)
{
	struct svm_dev *dev;
	uint32_t taken;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	taken = svm_fault_take(dev->faults, faults, n);
	svm_registry_put(dev_id);
	return taken;
}
