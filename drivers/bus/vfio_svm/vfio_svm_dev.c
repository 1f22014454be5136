/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vfio_svm_dev.h"
#include "vfio_svm_log.h"
#include "vfio_svm_watch.h"

#define EVENTS_MAX	65536u

struct vfio_svm_dev *
vfio_svm_dev_create(const struct vfio_svm_node *node)
{
	struct vfio_svm_dev *dev = calloc(1, sizeof(*dev));

	if (dev == NULL)
		return NULL;
	dev->node = *node;
	dev->pub.device.name = dev->node.name;
	dev->pub.device.numa_node = node->numa_node;
	dev->fds = VFIO_SVM_FDS_NONE;
	pthread_mutex_init(&dev->lock, NULL);
	TAILQ_INIT(&dev->queues);
	return dev;
}

void
vfio_svm_dev_destroy(struct vfio_svm_dev *dev)
{
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

int
vfio_svm_dev_ioctl(struct vfio_svm_dev *dev, unsigned long call, void *arg)
{
	int ret;

	if (rte_vfio_svm_gone(&dev->pub))
		return -ENODEV;
	ret = ioctl(dev->fds.device, call, arg);
	if (ret >= 0)
		return ret;
	ret = -errno;
	/* The descriptor may have been taken away under the call. */
	return rte_vfio_svm_gone(&dev->pub) ? -ENODEV : ret;
}

int
vfio_svm_dev_feature(struct vfio_svm_dev *dev, uint32_t feature, void *data, size_t len)
{
	uint64_t arg[18] = { 0 };
	struct vfio_device_feature *head = (struct vfio_device_feature *)arg;
	int ret;

	if (len > sizeof(arg) - sizeof(*head))
		return -EINVAL;
	head->argsz = sizeof(*head) + len;
	head->flags = VFIO_DEVICE_FEATURE_GET | feature;
	ret = vfio_svm_dev_ioctl(dev, VFIO_DEVICE_FEATURE, head);
	if (ret < 0)
		return ret;
	memcpy(data, head->data, len);
	return 0;
}

static int
check_caps(struct vfio_svm_dev *dev)
{
	struct vfio_svm_caps caps;
	const int ret = vfio_svm_dev_feature(dev, VFIO_DEVICE_FEATURE_SVM, &caps, sizeof(caps));

	if (ret != 0) {
		VFIO_SVM_LOG(ERR, "%s: it does not say what it can bind "
			"(VFIO_DEVICE_FEATURE_SVM): %s", dev->node.name, strerror(-ret));
		return ret;
	}
	if (caps.version != VFIO_SVM_VERSION) {
		VFIO_SVM_LOG(ERR, "%s: its kernel module speaks version %u, this bus version %u: "
			"use those of one release", dev->node.name, caps.version,
			VFIO_SVM_VERSION);
		return -EPROTO;
	}
	dev->pub.caps = caps;
	return 0;
}

static int
map_events(struct vfio_svm_dev *dev)
{
	struct rte_vfio_svm_events *ring = &dev->pub.events;
	const struct vfio_svm_event_hdr *hdr;
	int ret;

	ret = vfio_svm_region_map(dev->fds.device, VFIO_SVM_REGION_EVENTS, PROT_READ,
		sizeof(*hdr), &dev->events);
	if (ret != 0)
		return ret;
	hdr = dev->events.addr;
	if (hdr->record_size != sizeof(struct vfio_svm_event) || hdr->nb_records == 0 ||
			hdr->nb_records > EVENTS_MAX ||
			(hdr->nb_records & (hdr->nb_records - 1)) != 0 ||
			hdr->hdr_len < sizeof(*hdr) || hdr->hdr_len % 64 != 0 ||
			hdr->hdr_len + (uint64_t)hdr->nb_records * hdr->record_size >
				dev->events.len) {
		ret = -EPROTO;
		goto unmap_events;
	}
	ret = vfio_svm_region_map(dev->fds.device, VFIO_SVM_REGION_EVENT_INDEX,
		PROT_READ | PROT_WRITE, sizeof(*ring->index), &dev->index);
	if (ret != 0)
		goto unmap_events;
	ring->records = (const void *)((const char *)hdr + hdr->hdr_len);
	ring->mask = hdr->nb_records - 1;
	ring->index = dev->index.addr;
	ring->tail = 0;
	return 0;

unmap_events:
	vfio_svm_region_unmap(&dev->events);
	return ret;
}

int
vfio_svm_dev_open(struct vfio_svm_dev *dev, const struct vfio_svm_roots *roots)
{
	struct vfio_svm_region doorbell;
	int ret;

	ret = vfio_svm_open(roots, &dev->node, &dev->fds);
	if (ret != 0)
		return ret;
	__atomic_store_n(&dev->pub.gone, 0, __ATOMIC_RELAXED);	/* no thread has it yet */
	ret = check_caps(dev);
	if (ret != 0)
		goto close_fds;
	ret = map_events(dev);
	if (ret != 0) {
		VFIO_SVM_LOG(ERR, "%s: its event ring cannot be mapped: %s", dev->node.name,
			strerror(-ret));
		goto close_fds;
	}
	ret = vfio_svm_region_find(dev->fds.device, VFIO_SVM_REGION_DOORBELL, &doorbell);
	if (ret != 0) {
		VFIO_SVM_LOG(ERR, "%s: it has no doorbell: %s", dev->node.name, strerror(-ret));
		goto unmap_events;
	}
	dev->doorbell_off = doorbell.offset;
	ret = vfio_svm_watch_start(dev);
	if (ret != 0) {
		VFIO_SVM_LOG(ERR, "%s: its events cannot be watched: %s", dev->node.name,
			strerror(-ret));
		goto unmap_events;
	}
	VFIO_SVM_LOG(DEBUG, "%s: opened by its %s", dev->node.name,
		dev->fds.group >= 0 ? "group" : "own node");
	return 0;

unmap_events:
	vfio_svm_region_unmap(&dev->index);
	vfio_svm_region_unmap(&dev->events);
close_fds:
	vfio_svm_fds_close(&dev->fds);
	return ret;
}

void
vfio_svm_dev_close(struct vfio_svm_dev *dev)
{
	struct vfio_svm_queue_map *queue;

	vfio_svm_watch_stop(dev);
	pthread_mutex_lock(&dev->lock);
	while ((queue = TAILQ_FIRST(&dev->queues)) != NULL) {
		VFIO_SVM_LOG(WARNING, "%s: queue %u was left to the bus", dev->node.name,
			queue->queue.number);
		vfio_svm_queue_stop(dev, queue);
		vfio_svm_queue_free(dev, queue);
	}
	pthread_mutex_unlock(&dev->lock);
	vfio_svm_region_unmap(&dev->index);
	vfio_svm_region_unmap(&dev->events);
	vfio_svm_fds_close(&dev->fds);
}

void
vfio_svm_dev_detach(struct vfio_svm_dev *dev)
{
	struct vfio_svm_queue_map *queue;
	int ret, err;

	pthread_mutex_lock(&dev->lock);
	ret = vfio_svm_region_replace(&dev->events);
	err = vfio_svm_region_replace(&dev->index);
	ret = ret != 0 ? ret : err;
	TAILQ_FOREACH(queue, &dev->queues, next) {
		/* Its last completions come before the copy of the memory in which they stand. */
		vfio_svm_queue_stop(dev, queue);
		err = vfio_svm_region_replace(&queue->map);
		ret = ret != 0 ? ret : err;
	}
	err = vfio_svm_fds_divert(&dev->fds);
	ret = ret != 0 ? ret : err;
	/* Pairs with the load in rte_vfio_svm_gone(): whoever sees it finds all closed. */
	__atomic_store_n(&dev->pub.gone, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&dev->lock);
	if (ret != 0)
		VFIO_SVM_LOG(ERR, "%s: it could not be given back to the kernel (%s); its "
			"removal waits for the end of this process", dev->node.name,
			strerror(-ret));
}
