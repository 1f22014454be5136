/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device of the bus, with all that is the bus's alone.
 *
 * It is listed from the scan that finds it; open while a driver has it, or is
 * offered it; and freed when a scan misses it, or when it was removed from its
 * driver. `lock` guards `queues` and the way from open to detached; no ioctl that a
 * worker can delay runs under it.
 */
#ifndef VFIO_SVM_DEV_H
#define VFIO_SVM_DEV_H

#include <pthread.h>
#include <stdbool.h>

#include "bus_vfio_svm_driver.h"
#include "vfio_svm_open.h"
#include "vfio_svm_region.h"

struct vfio_svm_watch;

/** What the bus adds to a driver's queue. */
struct vfio_svm_queue_map {
	struct rte_vfio_svm_queue queue;
	RTE_TAILQ_ENTRY(vfio_svm_queue_map) next;
	struct vfio_svm_map map;
};

RTE_TAILQ_HEAD(vfio_svm_queue_list, vfio_svm_queue_map);

struct vfio_svm_dev {
	struct rte_vfio_svm_device pub;
	RTE_TAILQ_ENTRY(vfio_svm_dev) next;
	struct vfio_svm_node node;
	bool found;			/* by the scan that runs */
	struct rte_vfio_svm_driver *driver;	/* whose it is; NULL: nobody's */
	struct vfio_svm_fds fds;
	struct vfio_svm_map events, index;
	uint64_t doorbell_off;
	struct vfio_svm_watch *watch;
	pthread_mutex_t lock;
	struct vfio_svm_queue_list queues;
};

static inline struct vfio_svm_dev *
vfio_svm_dev_of(struct rte_vfio_svm_device *pub)
{
	return container_of(pub, struct vfio_svm_dev, pub);
}

/** Make a device of what a scan found. @return NULL: no memory. */
struct vfio_svm_dev *
vfio_svm_dev_create(const struct vfio_svm_node *node);

/** Free a device that is closed. */
void
vfio_svm_dev_destroy(struct vfio_svm_dev *dev);

/**
 * Open it, check what it speaks, map its events, and watch it. One exit ladder; a
 * refusal is logged with its reason.
 *
 * @return 0; as vfio_svm_open(); -EPROTO: it speaks another version, or its
 *   regions are not what they should be.
 */
int
vfio_svm_dev_open(struct vfio_svm_dev *dev, const struct vfio_svm_roots *roots);

/** The end of vfio_svm_dev_open(); no thread uses the device any more. */
void
vfio_svm_dev_close(struct vfio_svm_dev *dev);

/**
 * Let the kernel have its device back, while other threads may be using it: what is
 * mapped becomes ordinary memory, descriptors lead nowhere. Once; then gone.
 */
void
vfio_svm_dev_detach(struct vfio_svm_dev *dev);

/**
 * A call of the device descriptor.
 *
 * @return what it returned; -ENODEV for a device that was removed; -errno.
 */
int
vfio_svm_dev_ioctl(struct vfio_svm_dev *dev, unsigned long call, void *arg);

/** VFIO_DEVICE_FEATURE, GET. @return as vfio_svm_dev_ioctl(). */
int
vfio_svm_dev_feature(struct vfio_svm_dev *dev, uint32_t feature, void *data, size_t len);

/** End a queue in the kernel. Under the lock, as what follows. */
void
vfio_svm_queue_stop(struct vfio_svm_dev *dev, struct vfio_svm_queue_map *queue);

/** Take it out of the device, unmap and free it. */
void
vfio_svm_queue_free(struct vfio_svm_dev *dev, struct vfio_svm_queue_map *queue);

#endif /* VFIO_SVM_DEV_H */
