/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_interrupts.h>
#include <rte_pause.h>

#include "vfio_svm_dev.h"
#include "vfio_svm_log.h"
#include "vfio_svm_watch.h"

struct vfio_svm_watch {
	struct vfio_svm_dev *dev;
	struct rte_intr_handle *handle;
	int fd;
	uint32_t seen;			/* events looked at */
	struct rte_vfio_svm_driver *driver;	/* atomic; NULL: not armed yet */
};

/* Take over an eventfd for the device's events; -1: none. */
static int
eventfd_set(struct vfio_svm_dev *dev, int fd)
{
	uint32_t arg[(sizeof(struct vfio_irq_set) + sizeof(fd)) / sizeof(uint32_t)] = { 0 };
	struct vfio_irq_set *set = (struct vfio_irq_set *)arg;

	set->argsz = sizeof(arg);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = VFIO_SVM_EVENT_IRQ;
	set->count = 1;
	memcpy(set->data, &fd, sizeof(fd));
	return vfio_svm_dev_ioctl(dev, VFIO_DEVICE_SET_IRQS, set);
}

/*
 * Look through what was written since the last time. The reader may have taken
 * records meanwhile and the kernel may have written over them: a sequence that is
 * ahead says so, and the oldest record that can still be there comes a ring's
 * length before it. A removal that is missed like that is told again by the kernel,
 * for as long as the device is open.
 */
static bool
removal_told(struct vfio_svm_watch *watch)
{
	const struct rte_vfio_svm_events *ring = &watch->dev->pub.events;
	const uint32_t nb = ring->mask + 1;
	uint32_t i;

	for (i = 0; i != 4 * nb; i++) {
		const struct vfio_svm_event *record = &ring->records[watch->seen & ring->mask];
		/* Pairs with the kernel's release store of seq behind the record. */
		const uint32_t seq = __atomic_load_n(&record->seq, __ATOMIC_ACQUIRE);
		const int32_t ahead = (int32_t)(seq - (watch->seen + 1));

		if (ahead < 0)
			return false;
		if (ahead > 0) {
			watch->seen = seq - nb;
			continue;
		}
		watch->seen = seq;
		if (__atomic_load_n(&record->type, __ATOMIC_RELAXED) == VFIO_SVM_EVENT_REMOVE)
			return true;
	}
	return false;
}

/* Nothing of the device is looked at behind the event: it may be freed in there. */
static void
on_event(void *arg)
{
	struct vfio_svm_watch *watch = arg;
	struct vfio_svm_dev *dev = watch->dev;
	struct rte_vfio_svm_driver *driver;
	char name[VFIO_SVM_NAME_LEN];
	eventfd_t count;

	/* Pairs with vfio_svm_watch_arm(): the driver's probe has ended. */
	driver = __atomic_load_n(&watch->driver, __ATOMIC_ACQUIRE);
	if (eventfd_read(watch->fd, &count) != 0 || driver == NULL ||
			rte_vfio_svm_gone(&dev->pub) || !removal_told(watch))
		return;
	memcpy(name, dev->node.name, sizeof(name));
	VFIO_SVM_LOG(NOTICE, "%s: somebody removes it; it is closed", name);
	vfio_svm_dev_detach(dev);
	if (driver->gone != NULL)
		driver->gone(&dev->pub);
	rte_dev_event_callback_process(name, RTE_DEV_EVENT_REMOVE);
}

static void
watch_free(struct vfio_svm_watch *watch)
{
	rte_intr_instance_free(watch->handle);
	close(watch->fd);
	free(watch);
}

int
vfio_svm_watch_start(struct vfio_svm_dev *dev)
{
	struct vfio_svm_watch *watch = calloc(1, sizeof(*watch));
	int ret;

	if (watch == NULL)
		return -ENOMEM;
	watch->dev = dev;
	watch->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watch->fd < 0) {
		ret = -errno;
		goto free_watch;
	}
	watch->handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (watch->handle == NULL) {
		ret = -ENOMEM;
		goto close_fd;
	}
	rte_intr_fd_set(watch->handle, watch->fd);
	/* EAL reads no descriptor of this type: on_event() does. */
	rte_intr_type_set(watch->handle, RTE_INTR_HANDLE_EXT);
	ret = rte_intr_callback_register(watch->handle, on_event, watch);
	if (ret != 0)
		goto free_handle;
	dev->watch = watch;
	ret = eventfd_set(dev, watch->fd);
	if (ret != 0)
		vfio_svm_watch_stop(dev);
	return ret;

free_handle:
	rte_intr_instance_free(watch->handle);
close_fd:
	close(watch->fd);
free_watch:
	free(watch);
	return ret;
}

void
vfio_svm_watch_arm(struct vfio_svm_dev *dev, struct rte_vfio_svm_driver *driver)
{
	/* Pairs with the load in on_event(), which the write brings about. */
	__atomic_store_n(&dev->watch->driver, driver, __ATOMIC_RELEASE);
	eventfd_write(dev->watch->fd, 1);
}

static void
on_unregistered(struct rte_intr_handle *handle, void *arg)
{
	(void)handle;
	watch_free(arg);
}

void
vfio_svm_watch_stop(struct vfio_svm_dev *dev)
{
	struct vfio_svm_watch *watch = dev->watch;
	int ret;

	if (watch == NULL)
		return;
	dev->watch = NULL;
	eventfd_set(dev, -1);
	for (;;) {
		ret = rte_intr_callback_unregister(watch->handle, on_event, watch);
		if (ret != -EAGAIN)
			break;
		/* It is running: in another thread, or we are called by it. */
		if (rte_thread_is_intr() && rte_intr_callback_unregister_pending(watch->handle,
				on_event, watch, on_unregistered) > 0)
			return;
		rte_pause();
	}
	watch_free(watch);
}
