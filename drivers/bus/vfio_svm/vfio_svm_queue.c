/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of a device: made by the kernel, mapped, checked. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio_svm_dev.h"
#include "vfio_svm_log.h"

/* A ring of `nb` elements of `size` at `off`, behind the header and inside. */
static bool
ring_fits(const struct vfio_svm_map *map, uint64_t off, uint64_t nb, uint64_t size)
{
	return off >= sizeof(struct svm_queue_hdr) && off % 64 == 0 && off <= map->len &&
		nb * size <= map->len - off;
}

/* What the kernel says of its own queue, against what this build of the bus knows. */
static int
view(const struct vfio_svm_map *map, uint32_t depth, struct svm_ring *ring)
{
	struct svm_queue_hdr *hdr = map->addr;
	char *base = map->addr;

	if (hdr->magic != SVM_ABI_MAGIC || hdr->version != SVM_ABI_VERSION ||
			hdr->depth != depth || hdr->desc_size != sizeof(struct svm_desc) ||
			hdr->cpl_size != sizeof(struct svm_cpl) || hdr->sg_max != SVM_SG_MAX ||
			!ring_fits(map, hdr->sq_off, depth, sizeof(struct svm_desc)) ||
			!ring_fits(map, hdr->cq_off, depth, sizeof(struct svm_cpl)) ||
			!ring_fits(map, hdr->sg_off, depth * (uint64_t)SVM_SG_MAX,
				sizeof(struct svm_seg)))
		return -EPROTO;
	ring->hdr = hdr;
	ring->desc = (struct svm_desc *)(base + hdr->sq_off);
	ring->cpl = (struct svm_cpl *)(base + hdr->cq_off);
	ring->seg = (struct svm_seg *)(base + hdr->sg_off);
	ring->depth = depth;
	ring->mask = depth - 1;
	return 0;
}

static void
kernel_queue_destroy(struct vfio_svm_dev *dev, uint32_t number)
{
	struct vfio_svm_queue arg = { .argsz = sizeof(arg), .queue = number };

	vfio_svm_dev_ioctl(dev, VFIO_SVM_QUEUE, &arg);
}

static int
queue_make(struct vfio_svm_dev *dev, const struct rte_vfio_svm_queue_conf *conf,
		struct vfio_svm_queue_map *q)
{
	struct vfio_svm_queue arg = {
		.argsz = sizeof(arg), .flags = conf->flags, .queue = conf->number,
		.depth = conf->depth, .bond_id = conf->self_bond,
	};
	int ret;

	ret = vfio_svm_dev_ioctl(dev, VFIO_SVM_QUEUE, &arg);
	if (ret < 0)
		return ret;
	ret = vfio_svm_region_map(dev->fds.device, VFIO_SVM_REGION_QUEUE + conf->number,
		PROT_READ | PROT_WRITE, sizeof(struct svm_queue_hdr), &q->map);
	if (ret != 0)
		goto destroy_queue;
	ret = view(&q->map, conf->depth, &q->queue.ring);
	if (ret != 0) {
		VFIO_SVM_LOG(ERR, "%s: the rings of queue %u are not those of version %u: use bus "
			"and module of one release", dev->node.name, conf->number,
			SVM_ABI_VERSION);
		goto unmap_queue;
	}
	q->queue.dev = &dev->pub;
	q->queue.number = conf->number;
	q->queue.doorbell_fd = dev->fds.device;
	q->queue.doorbell_off = dev->doorbell_off;
	return 0;

unmap_queue:
	vfio_svm_region_unmap(&q->map);
destroy_queue:
	kernel_queue_destroy(dev, conf->number);
	return ret;
}

int
rte_vfio_svm_queue_create(struct rte_vfio_svm_device *pub,
		const struct rte_vfio_svm_queue_conf *conf, struct rte_vfio_svm_queue **queue)
{
	struct vfio_svm_dev *dev = vfio_svm_dev_of(pub);
	struct vfio_svm_queue_map *q;
	int ret;

	/* To the kernel, depth 0 means the end of a queue. */
	ret = svm_ring_depth_check(conf->depth);
	if (ret != 0)
		return ret;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	/* Under the lock, so that a removal finds the queue on the list, or refuses it. */
	pthread_mutex_lock(&dev->lock);
	ret = queue_make(dev, conf, q);
	if (ret == 0)
		TAILQ_INSERT_TAIL(&dev->queues, q, next);
	pthread_mutex_unlock(&dev->lock);
	if (ret != 0) {
		free(q);
		return ret;
	}
	*queue = &q->queue;
	return 0;
}

void
vfio_svm_queue_stop(struct vfio_svm_dev *dev, struct vfio_svm_queue_map *q)
{
	kernel_queue_destroy(dev, q->queue.number);
	/*
	 * The kernel stored it behind the last completion; where it could not be asked,
	 * nothing will come either. Pairs with rte_vfio_svm_queue_stopped().
	 */
	__atomic_store_n(&q->queue.ring.hdr->state, SVM_QS_STOPPED, __ATOMIC_RELEASE);
}

void
vfio_svm_queue_free(struct vfio_svm_dev *dev, struct vfio_svm_queue_map *q)
{
	TAILQ_REMOVE(&dev->queues, q, next);
	vfio_svm_region_unmap(&q->map);
	free(q);
}

void
rte_vfio_svm_queue_destroy(struct rte_vfio_svm_queue *queue)
{
	struct vfio_svm_queue_map *q = container_of(queue, struct vfio_svm_queue_map, queue);
	struct vfio_svm_dev *dev = vfio_svm_dev_of(queue->dev);

	pthread_mutex_lock(&dev->lock);
	vfio_svm_queue_stop(dev, q);
	vfio_svm_queue_free(dev, q);
	pthread_mutex_unlock(&dev->lock);
}

int
rte_vfio_svm_queue_wake(const struct rte_vfio_svm_queue *queue)
{
	/* After a removal the number leads to /dev/null: see vfio_svm_fds_divert(). */
	if (pwrite(queue->doorbell_fd, &queue->number, sizeof(queue->number),
			(off_t)queue->doorbell_off) < 0)
		return -errno;
	return 0;
}
