/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engines of a device. Each queue belongs to one of them for its life, the
 * one that has the fewest when the queue is made. Engines share bonds, lanes and
 * fault records, and nothing of a turn.
 */
#include <rte_common.h>

#include "svm_dev.h"

/* Batches that an engine may have under way, each with a lane. Memory that they
 * do not use is not there. */
#define ENGINE_BATCHES	32u
/* Of those an engine has, and of the lanes that all of them share, bonds that
 * timed out lately get a quarter. */
#define LATE_DIV	4u
/*
 * A worker's queue is polled for so long after its last work, then it rests.
 * Coming back takes a doorbell through the server's thread: some 35 us.
 * So a worker with less than this between two bursts never rings, and one with
 * more loses three percent of its pause.
 */
#define REST_US		1000u

int
svm_dev_engine_create(struct svm_dev *dev, uint32_t max_queues, uint32_t max_batches,
		struct svm_engine **engine)
{
	const struct svm_engine_conf conf = {
		.bonds = dev->bonds,
		.windows = dev->windows,
		.faults = dev->faults,
		.lanes = dev->lanes,
		.timeout_us = dev->conf.timeout_us,
		.rest_us = REST_US,
		.numa_node = dev->conf.numa_node,
		.max_queues = max_queues,
		.max_batches = max_batches,
		.max_late = RTE_MAX(RTE_MIN(max_batches,
			SVM_LANES_MAX / dev->conf.engines) / LATE_DIV, 1u),
	};

	return svm_engine_create(&conf, engine);
}

int
svm_engines_create(struct svm_dev *dev)
{
	uint32_t i;
	int ret;

	for (i = 0; i != dev->conf.engines; i++) {
		ret = svm_dev_engine_create(dev, dev->conf.queues + SVM_QUEUES_MAX,
				ENGINE_BATCHES, &dev->engines[i]);
		if (ret < 0) {
			svm_engines_destroy(dev);
			return ret;
		}
		dev->nb_engines++;
	}
	return 0;
}

void
svm_engines_destroy(struct svm_dev *dev)
{
	while (dev->nb_engines != 0)
		svm_engine_destroy(dev->engines[--dev->nb_engines]);
}

/* Relaxed: two that choose at once may choose the same; that costs a little balance. */
static uint32_t
engine_load(const struct svm_engine *e)
{
	return __atomic_load_n(&e->nb_attached, __ATOMIC_RELAXED);
}

struct svm_engine *
svm_engines_least(const struct svm_dev *dev)
{
	struct svm_engine *least = dev->engines[0];
	uint32_t i;

	for (i = 1; i != dev->nb_engines; i++)
		if (engine_load(dev->engines[i]) < engine_load(least))
			least = dev->engines[i];
	return least;
}

void
svm_engines_help(struct svm_dev *dev)
{
	uint32_t i;

	for (i = 0; i != dev->nb_engines; i++)
		svm_engine_help(dev->engines[i]);
}

void
svm_dev_for_engines(struct svm_dev *dev, void (*fn)(struct svm_engine *e, void *arg),
		void *arg)
{
	uint32_t i;

	pthread_mutex_lock(&dev->lock);
	for (i = 0; i != dev->nb_engines; i++)
		fn(dev->engines[i], arg);
	for (i = 0; i != SVM_QUEUES_MAX; i++)
		if (dev->oqs[i] != NULL && dev->oqs[i]->inline_engine != NULL)
			fn(dev->oqs[i]->inline_engine, arg);
	pthread_mutex_unlock(&dev->lock);
}

static void
help_engine(struct svm_engine *e, void *arg)
{
	RTE_SET_USED(arg);
	svm_engine_help(e);
}

void
svm_dev_help_engines(struct svm_dev *dev)
{
	svm_dev_for_engines(dev, help_engine, NULL);
}
