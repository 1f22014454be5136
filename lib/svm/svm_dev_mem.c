/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a worker that is mapped in the owner, too: what the server asks for. */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "svm_dev.h"
#include "svm_log.h"

/* Its table, and somebody who watches over it. */
static int
bond_prepare(struct svm_dev *dev, struct svm_bond *b, struct svm_atc **atc)
{
	int ret;

	pthread_mutex_lock(&dev->mem_lock);
	ret = svm_bond_atc(b, &dev->atc_quota, atc);
	if (ret == 0 && b->watch == NULL)
		ret = svm_watch_add(dev->watches, &b->ident, *atc, &b->watch);
	pthread_mutex_unlock(&dev->mem_lock);
	return ret;
}

static int
bond_take(struct svm_dev *dev, uint64_t bond, struct svm_bond **b)
{
	if (dev->conf.tier == RTE_SVM_TIERS_CMA)
		return -EOPNOTSUPP;
	*b = svm_bond_get_id(dev->bonds, bond);
	return *b == NULL ? -ENOENT : 0;
}

int
svm_dev_mem_map(void *arg, uint64_t bond, uint64_t va, uint64_t len, int fd,
		uint64_t off, uint32_t rights)
{
	struct svm_dev *dev = arg;
	struct svm_atc *atc;
	struct svm_bond *b;
	int ret;

	ret = bond_take(dev, bond, &b);
	if (ret < 0)
		return ret;
	ret = bond_prepare(dev, b, &atc);
	if (ret == 0)
		ret = svm_atc_map(atc, va, len, fd, off, rights);
	if (ret == 0)
		svm_atc_kick(atc);
	svm_bond_put(b);
	SVM_LOG(DEBUG, "%s: bond %" PRIx64 " shares %" PRIu64 " bytes at %#" PRIx64 ": %d",
		dev->conf.name, bond, len, va, ret);
	return ret;
}

int
svm_dev_mem_unmap(void *arg, uint64_t bond, uint64_t va, uint64_t len)
{
	struct svm_dev *dev = arg;
	struct svm_bond *b;
	int ret;

	ret = bond_take(dev, bond, &b);
	if (ret < 0)
		return ret;
	/* Set by this thread: bond_prepare(). */
	if (b->atc == NULL || !svm_atc_unmap(b->atc, va, len))
		ret = -ENOENT;
	svm_bond_put(b);
	return ret;
}

int
svm_dev_mem_watch(void *arg, uint64_t bond, int fd)
{
	struct svm_dev *dev = arg;
	struct svm_atc *atc;
	struct svm_bond *b;
	int ret;

	ret = bond_take(dev, bond, &b);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	ret = bond_prepare(dev, b, &atc);
	if (ret == 0)
		ret = svm_watch_events(b->watch, fd);
	else
		close(fd);
	svm_bond_put(b);
	return ret;
}

void
svm_dev_mem_used(void *arg, uint64_t bond, uint64_t *bytes, uint32_t *ranges)
{
	struct svm_dev *dev = arg;
	struct svm_bond *b;

	*bytes = 0;
	*ranges = 0;
	if (bond_take(dev, bond, &b) < 0)
		return;
	/* Set by this thread: bond_prepare(). */
	if (b->atc != NULL) {
		*bytes = svm_atc_bytes(b->atc);
		/* Relaxed: a count that changes by itself. */
		*ranges = __atomic_load_n(&b->atc->nb, __ATOMIC_RELAXED);
	}
	svm_bond_put(b);
}

int
svm_dev_mem_end(struct svm_dev *dev, uint64_t bond, struct svm_bond *b)
{
	int ret = 0;

	pthread_mutex_lock(&dev->mem_lock);
	/* Another caller may have been faster, and the slot be another bond's: which gets
	 * no watch meanwhile. Relaxed: the lock orders it. */
	if (__atomic_load_n(&b->id, __ATOMIC_RELAXED) == bond && b->watch != NULL) {
		ret = svm_watch_del(b->watch);
		if (ret == 0)
			b->watch = NULL;
	}
	pthread_mutex_unlock(&dev->mem_lock);
	return ret;
}
