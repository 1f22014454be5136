// SPDX-License-Identifier: GPL-2.0
/* What userspace calls on the device descriptor. */
#include <linux/eventfd.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "sw.h"

/* Regions, in the order of their index; the index is bits 32 and up of the offset. */
enum {
	REGION_EVENTS,
	REGION_EVENT_INDEX,
	REGION_DOORBELL,
	REGION_QUEUES,			/* + queue */
};

/* A 32-bit program maps with 32 bits of page number: the last queue must be within. */
#define REGION_SHIFT	32

static u64 sw_stamp(void *drv)
{
	struct sw_dev *dev = drv;
	u64 stamp;

	mutex_lock(&dev->turn_lock);
	stamp = ++dev->stamp;
	mutex_unlock(&dev->turn_lock);
	return stamp;
}

static bool sw_passed(void *drv, u64 stamp)
{
	struct sw_dev *dev = drv;
	bool passed = true;
	u32 i;

	mutex_lock(&dev->turn_lock);
	for (i = 0; i < dev->nb_queues; i++)
		if (dev->queues[i])
			passed &= sw_queue_passed(dev->queues[i], stamp, dev->stamp);
	mutex_unlock(&dev->turn_lock);
	return passed;
}

static const struct vfio_svm_dev_ops sw_svm_ops = {
	.bind = sw_lane_create,
	.unbind = sw_lane_stop,
	.stamp = sw_stamp,
	.passed = sw_passed,
	.page_response = sw_fault_response,
};

static int sw_init(struct vfio_device *vdev)
{
	struct sw_dev *dev = sw_dev_of(vdev);

	mutex_init(&dev->turn_lock);
	init_waitqueue_head(&dev->wait);
	dev->nb_queues = sw_queues;
	return 0;
}

static void sw_release(struct vfio_device *vdev)
{
	mutex_destroy(&sw_dev_of(vdev)->turn_lock);
	compat_vfio_free_device(vdev);
}

static int sw_open(struct vfio_device *vdev)
{
	struct sw_dev *dev = sw_dev_of(vdev);
	struct vfio_svm_params params = {
		.ops = &sw_svm_ops,
		.drv = dev,
		.max_bonds = sw_max_bonds,
		.max_pasid = sw_pasids,
		.nb_queues = sw_queues,
		.fault_timeout_us = sw_fault_timeout_ms * USEC_PER_MSEC,
		.node = dev_to_node(vdev->dev),
	};
	struct vfio_svm_ctx *ctx;
	int err;

	memset(&dev->stats, 0, sizeof(dev->stats));
	WRITE_ONCE(dev->closing, false);
	ctx = vfio_svm_open(&params);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	err = sw_thread_start(dev);
	if (err) {
		vfio_svm_close(ctx);
		return err;
	}
	mutex_lock(&dev->turn_lock);
	dev->ctx = ctx;
	mutex_unlock(&dev->turn_lock);
	return 0;
}

static void sw_close(struct vfio_device *vdev)
{
	struct sw_dev *dev = sw_dev_of(vdev);
	struct vfio_svm_ctx *ctx = dev->ctx;
	u32 i;

	for (i = 0; i < dev->nb_queues; i++)
		sw_queue_destroy(dev, i, 0);
	sw_thread_stop(dev);
	mutex_lock(&dev->turn_lock);
	dev->ctx = NULL;
	mutex_unlock(&dev->turn_lock);
	WRITE_ONCE(dev->close_left, HZ);
	WRITE_ONCE(dev->closing, true);
	vfio_svm_close(ctx);
}

/* Somebody removes the device, and waits until it is closed. */
static void sw_request(struct vfio_device *vdev, unsigned int count)
{
	static const struct vfio_svm_event event = { .type = VFIO_SVM_EVENT_REMOVE };
	struct sw_dev *dev = sw_dev_of(vdev);

	mutex_lock(&dev->turn_lock);
	if (dev->ctx)
		vfio_svm_event_post(dev->ctx, &event);
	mutex_unlock(&dev->turn_lock);
}

static int ioctl_info(struct sw_dev *dev, struct vfio_device_info __user *uarg)
{
	size_t min = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info = { };

	if (copy_from_user(&info, uarg, min))
		return -EFAULT;
	if (info.argsz < min)
		return -EINVAL;
	info.flags = 0;
	info.num_regions = REGION_QUEUES + dev->nb_queues;
	info.num_irqs = 1;
	return copy_to_user(uarg, &info, min) ? -EFAULT : 0;
}

/* Size, flags and subtype of a region; the size of a queue that is not made is 0. */
static int region_describe(struct sw_dev *dev, struct vfio_region_info *info, u32 *subtype)
{
	struct sw_queue *queue;
	u32 idx, rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;

	info->offset = (u64)info->index << REGION_SHIFT;
	switch (info->index) {
	case REGION_EVENTS:
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP;
		info->size = (u64)dev->ctx->events.ring.nb_pages << PAGE_SHIFT;
		*subtype = VFIO_SVM_REGION_EVENTS;
		return 0;
	case REGION_EVENT_INDEX:
		info->flags = rw | VFIO_REGION_INFO_FLAG_MMAP;
		info->size = PAGE_SIZE;
		*subtype = VFIO_SVM_REGION_EVENT_INDEX;
		return 0;
	case REGION_DOORBELL:
		info->flags = VFIO_REGION_INFO_FLAG_WRITE;
		info->size = sizeof(u32);
		*subtype = VFIO_SVM_REGION_DOORBELL;
		return 0;
	}
	idx = info->index - REGION_QUEUES;
	if (idx >= dev->nb_queues)
		return -EINVAL;
	idx = array_index_nospec(idx, dev->nb_queues);
	info->flags = rw | VFIO_REGION_INFO_FLAG_MMAP;
	*subtype = VFIO_SVM_REGION_QUEUE + idx;
	mutex_lock(&dev->turn_lock);
	queue = dev->queues[idx];
	info->size = queue ? (u64)queue->mem.nb_pages << PAGE_SHIFT : 0;
	mutex_unlock(&dev->turn_lock);
	return 0;
}

static int sw_region_info(struct vfio_device *vdev, struct vfio_region_info *info,
			  struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_type cap = {
		.header.id = VFIO_REGION_INFO_CAP_TYPE,
		.header.version = 1,
		.type = VFIO_SVM_REGION_TYPE,
	};
	int err;

	err = region_describe(sw_dev_of(vdev), info, &cap.subtype);
	if (err)
		return err;
	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

static int ioctl_irq_info(struct vfio_irq_info __user *uarg)
{
	size_t min = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info = { };

	if (copy_from_user(&info, uarg, min))
		return -EFAULT;
	if (info.argsz < min || info.index != VFIO_SVM_EVENT_IRQ)
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = 1;
	return copy_to_user(uarg, &info, min) ? -EFAULT : 0;
}

static int ioctl_set_irqs(struct sw_dev *dev, struct vfio_irq_set __user *uarg)
{
	size_t min = offsetofend(struct vfio_irq_set, count);
	struct eventfd_ctx *eventfd = NULL;
	struct vfio_irq_set set;
	size_t size = 0;
	s32 fd = -1;
	int err;

	if (copy_from_user(&set, uarg, min))
		return -EFAULT;
	err = vfio_set_irqs_validate_and_prepare(&set, 1, 1, &size);
	if (err)
		return err;
	if ((set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -EINVAL;
	switch (set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		if (set.count)
			return -EINVAL;
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		if (size != sizeof(fd))
			return -EINVAL;
		if (copy_from_user(&fd, uarg->data, sizeof(fd)))
			return -EFAULT;
		break;
	default:
		return -EINVAL;
	}
	if (fd != -1) {
		eventfd = eventfd_ctx_fdget(fd);
		if (IS_ERR(eventfd))
			return PTR_ERR(eventfd);
	}
	vfio_svm_event_set_eventfd(dev->ctx, eventfd);
	return 0;
}

static int queue_make(struct sw_dev *dev, struct vfio_svm_queue *arg, u64 *serial)
{
	struct vfio_svm_bond *bond;
	u32 pasid = 0;

	if (arg->bond_id) {
		bond = vfio_svm_bond_by_id(dev->ctx, arg->bond_id);
		if (!bond)
			return -ENOENT;
		pasid = bond->pasid;
		vfio_svm_bond_put(bond);
	}
	return sw_queue_create(dev, arg, pasid, serial);
}

/* How the queue takes page faults, and for how long. */
static int queue_check_faults(struct sw_dev *dev, struct vfio_svm_queue *arg)
{
	u32 longest = dev->ctx->fault_timeout_us;

	switch (arg->flags) {
	case 0:
	case VFIO_SVM_QUEUE_TERMINATE:
		return arg->fault_timeout_us ? -EINVAL : 0;
	case VFIO_SVM_QUEUE_PAGE_REQUESTS:
		if (!arg->fault_timeout_us)
			arg->fault_timeout_us = longest;
		return arg->fault_timeout_us > longest ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int ioctl_queue(struct sw_dev *dev, void __user *uarg)
{
	size_t min = offsetofend(struct vfio_svm_queue, size);
	struct vfio_svm_queue arg;
	u64 serial;
	int err;

	err = vfio_svm_arg_get(&arg, sizeof(arg), min, uarg);
	if (err)
		return err;
	if (arg.reserved)
		return -EINVAL;
	if (arg.queue >= dev->nb_queues)
		return -ENOENT;
	arg.queue = array_index_nospec(arg.queue, dev->nb_queues);
	if (!arg.depth) {
		if (arg.flags || arg.bond_id || arg.fault_timeout_us)
			return -EINVAL;
		return sw_queue_destroy(dev, arg.queue, 0);
	}
	err = queue_check_faults(dev, &arg);
	if (err)
		return err;
	err = queue_make(dev, &arg, &serial);
	if (err)
		return err;
	if (put_user(arg.size, &((struct vfio_svm_queue __user *)uarg)->size)) {
		/* Another thread may have removed it, and made the next: that one stays. */
		sw_queue_destroy(dev, arg.queue, serial);
		return -EFAULT;
	}
	return 0;
}

static long sw_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct sw_dev *dev = sw_dev_of(vdev);
	void __user *uarg = (void __user *)arg;
	long ret;

	ret = vfio_svm_ioctl(dev->ctx, cmd, uarg);
	if (ret != -ENOTTY)
		return ret;
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return ioctl_info(dev, uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return compat_ioctl_region_info(vdev, uarg, sw_region_info);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return ioctl_irq_info(uarg);
	case VFIO_DEVICE_SET_IRQS:
		return ioctl_set_irqs(dev, uarg);
	case VFIO_SVM_QUEUE:
		return ioctl_queue(dev, uarg);
	default:
		return -ENOTTY;
	}
}

static int feature_stats(struct sw_dev *dev, u32 flags, void __user *uarg, size_t argsz)
{
	struct vfio_svm_stats stats;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(stats));
	if (ret != 1)
		return ret;
	/* Each counter by itself is right; together they are of about the same time. */
	stats = dev->stats;
	stats.left = vfio_svm_left_of(dev->ctx);
	return copy_to_user(uarg, &stats, sizeof(stats)) ? -EFAULT : 0;
}

static int sw_feature(struct vfio_device *vdev, u32 flags, void __user *uarg, size_t argsz)
{
	struct sw_dev *dev = sw_dev_of(vdev);

	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_SVM:
		return vfio_svm_feature_caps(dev->ctx, flags, uarg, argsz);
	case VFIO_DEVICE_FEATURE_SVM_STATS:
		return feature_stats(dev, flags, uarg, argsz);
	default:
		return -ENOTTY;
	}
}

static int queue_map(struct sw_dev *dev, u64 idx, struct vm_area_struct *vma, u64 pgoff)
{
	int err = -EINVAL;

	if (idx >= dev->nb_queues)
		return -EINVAL;
	idx = array_index_nospec(idx, (u64)dev->nb_queues);
	/*
	 * mmap holds the mmap_lock here, and the DMA thread takes none while it holds
	 * the turn_lock.
	 */
	mutex_lock(&dev->turn_lock);
	if (dev->queues[idx])
		err = vfio_svm_mem_map(&dev->queues[idx]->mem, vma, pgoff, true);
	mutex_unlock(&dev->turn_lock);
	return err;
}

static int sw_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct sw_dev *dev = sw_dev_of(vdev);
	u64 index = vma->vm_pgoff >> (REGION_SHIFT - PAGE_SHIFT);
	u64 pgoff = vma->vm_pgoff & ((1ULL << (REGION_SHIFT - PAGE_SHIFT)) - 1);

	switch (index) {
	case REGION_EVENTS:
		return vfio_svm_mem_map(&dev->ctx->events.ring, vma, pgoff, false);
	case REGION_EVENT_INDEX:
		return vfio_svm_mem_map(&dev->ctx->events.index, vma, pgoff, true);
	case REGION_DOORBELL:
		return -EINVAL;
	default:
		return queue_map(dev, index - REGION_QUEUES, vma, pgoff);
	}
}

/* The doorbell alone can be written: everything else is mapped. */
static ssize_t sw_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			loff_t *ppos)
{
	struct sw_dev *dev = sw_dev_of(vdev);
	u32 queue;

	if (*ppos != (loff_t)REGION_DOORBELL << REGION_SHIFT || count != sizeof(queue))
		return -EINVAL;
	if (copy_from_user(&queue, buf, sizeof(queue)))
		return -EFAULT;
	if (queue >= dev->nb_queues)
		return -EINVAL;
	sw_dev_wake(dev);
	return sizeof(queue);
}

const struct vfio_device_ops sw_vfio_ops = {
	.name = "vfio-svm-sw",
	.init = sw_init,
	.release = sw_release,
	COMPAT_VFIO_EMULATED_OPS
	COMPAT_VFIO_REGION_INFO(sw_region_info)
	.open_device = sw_open,
	.close_device = sw_close,
	.ioctl = sw_ioctl,
	.device_feature = sw_feature,
	.mmap = sw_mmap,
	.write = sw_write,
	.request = sw_request,
};
