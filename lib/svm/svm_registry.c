/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <rte_common.h>

#include "svm_dev.h"

struct slot {
	struct svm_dev *dev;	/* atomic: published, or NULL */
	uint32_t calls;		/* atomic: inside, or just looking */
	struct svm_dev *owner;	/* under lock: whose id it is */
	const char *name;	/* under lock */
} __rte_cache_aligned;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot slots[SVM_DEVS_MAX];

int
svm_registry_reserve(struct svm_dev *dev, const char *name, uint16_t *id)
{
	int ret = -ENOSPC;
	uint16_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i != SVM_DEVS_MAX; i++) {
		if (slots[i].owner != NULL && strcmp(slots[i].name, name) == 0) {
			ret = -EEXIST;
			goto unlock;
		}
	}
	for (i = 0; i != SVM_DEVS_MAX && ret != 0; i++) {
		if (slots[i].owner == NULL) {
			slots[i].owner = dev;
			slots[i].name = name;
			*id = i;
			ret = 0;
		}
	}
unlock:
	pthread_mutex_unlock(&lock);
	return ret;
}

void
svm_registry_publish(uint16_t id)
{
	/* Release: the device is whole; pairs with the load in svm_registry_get(). */
	__atomic_store_n(&slots[id].dev, slots[id].owner, __ATOMIC_RELEASE);
}

int
svm_registry_withdraw(uint16_t id, uint64_t us)
{
	const uint64_t end = svm_now_us() + us;

	/* Store, then look at the count; a call counts itself, then looks at the
	 * store: seq_cst, so one of the two sees the other. */
	__atomic_store_n(&slots[id].dev, NULL, __ATOMIC_SEQ_CST);
	/* What the calls did is visible: pairs with svm_registry_put(). */
	while (__atomic_load_n(&slots[id].calls, __ATOMIC_SEQ_CST) != 0) {
		if (svm_now_us() > end) {
			svm_registry_publish(id);
			return -EBUSY;
		}
		svm_pause_us(20);
	}
	return 0;
}

void
svm_registry_release(uint16_t id)
{
	pthread_mutex_lock(&lock);
	slots[id].owner = NULL;
	slots[id].name = NULL;
	pthread_mutex_unlock(&lock);
}

int
svm_registry_get(uint16_t id, struct svm_dev **dev)
{
	struct slot *s = &slots[id % SVM_DEVS_MAX];

	/* Relaxed: no device, nothing to hold; the answer is as old as any. */
	if (id >= SVM_DEVS_MAX || __atomic_load_n(&s->dev, __ATOMIC_RELAXED) == NULL)
		return -ENODEV;
	/* seq_cst, both: the other half of svm_registry_withdraw(). */
	__atomic_fetch_add(&s->calls, 1, __ATOMIC_SEQ_CST);
	*dev = __atomic_load_n(&s->dev, __ATOMIC_SEQ_CST);
	if (*dev != NULL)
		return 0;
	svm_registry_put(id);
	return -ENODEV;
}

int
svm_registry_get_dev(uint16_t id, const struct svm_dev *dev)
{
	struct svm_dev *found;
	int ret;

	ret = svm_registry_get(id, &found);
	if (ret == 0 && found != dev) {
		/* The id is another device's by now. */
		svm_registry_put(id);
		ret = -ENODEV;
	}
	return ret;
}

void
svm_registry_put(uint16_t id)
{
	/* Release: pairs with the load in svm_registry_withdraw(). */
	__atomic_fetch_sub(&slots[id].calls, 1, __ATOMIC_RELEASE);
}

/* Published and of this name; the name stays while the lock is held. */
static bool
slot_matches(const struct slot *s, const char *name)
{
	return s->owner != NULL && __atomic_load_n(&s->dev, __ATOMIC_RELAXED) != NULL &&
		(name == NULL || strcmp(s->name, name) == 0);
}

int
svm_registry_find(const char *name)
{
	int ret = -ENODEV;
	uint16_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i != SVM_DEVS_MAX && ret < 0; i++)
		if (slot_matches(&slots[i], name))
			ret = i;
	pthread_mutex_unlock(&lock);
	return ret;
}

uint16_t
svm_registry_count(void)
{
	uint16_t i, n = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i != SVM_DEVS_MAX; i++)
		n += slot_matches(&slots[i], NULL);
	pthread_mutex_unlock(&lock);
	return n;
}
