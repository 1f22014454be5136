// SPDX-License-Identifier: GPL-2.0
/* The DMA thread of an open device: turns while there is work, sleep when there is none. */
#include <linux/cgroup.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/vmalloc.h>

#include "sw.h"

void sw_dev_wake(struct sw_dev *dev)
{
	WRITE_ONCE(dev->kicked, true);
	wake_up(&dev->wait);
}

static bool turn(struct sw_dev *dev)
{
	bool moved = false;
	u32 i;

	mutex_lock(&dev->turn_lock);
	for (i = 0; i < dev->nb_queues; i++)
		if (dev->queues[i])
			moved |= sw_queue_turn(dev, dev->queues[i]);
	mutex_unlock(&dev->turn_lock);
	return moved;
}

/* Say that we sleep, or not. Return: whether a queue has a descriptor ready. */
static bool announce(struct sw_dev *dev, bool sleep, bool *parked)
{
	bool ready = false;
	u32 i;

	mutex_lock(&dev->turn_lock);
	for (i = 0; i < dev->nb_queues; i++)
		if (dev->queues[i])
			sw_queue_sleep(dev->queues[i], sleep);
	smp_mb();	/* see sw_queue_sleep() */
	for (i = 0; i < dev->nb_queues; i++) {
		if (!dev->queues[i])
			continue;
		ready |= sw_queue_ready(dev->queues[i]);
		*parked |= dev->queues[i]->cpl != dev->queues[i]->head;
	}
	mutex_unlock(&dev->turn_lock);
	return ready;
}

static bool woken(struct sw_dev *dev)
{
	return READ_ONCE(dev->kicked) || kthread_should_stop();
}

/* With operations parked the sleep is short: they have deadlines to look at. */
static void doze(struct sw_dev *dev)
{
	bool parked = false;

	if (!announce(dev, true, &parked)) {
		sw_count(&dev->stats.sleeps, 1);
		if (parked)
			wait_event_interruptible_timeout(dev->wait, woken(dev), HZ / 50);
		else
			wait_event_interruptible(dev->wait, woken(dev));
	}
	announce(dev, false, &parked);
}

static int thread_fn(void *arg)
{
	struct sw_dev *dev = arg;
	u64 busy = ktime_get_ns();

	while (!kthread_should_stop()) {
		/* Before the look: a kick from here on makes the next sleep end at once. */
		WRITE_ONCE(dev->kicked, false);
		smp_mb();
		if (turn(dev)) {
			busy = ktime_get_ns();
		} else if (ktime_get_ns() - busy > sw_spin_us * (u64)NSEC_PER_USEC) {
			doze(dev);
			busy = ktime_get_ns();
		} else {
			cpu_relax();
		}
		cond_resched();
	}
	return 0;
}

/* From open_device: the thread works in the cgroup of whoever opens the device. */
int sw_thread_start(struct sw_dev *dev)
{
	int err = -ENOMEM;

	dev->bounce[0] = vzalloc_node(2 * SW_SLICE, dev_to_node(dev->vdev.dev));
	if (!dev->bounce[0])
		return -ENOMEM;
	dev->bounce[1] = dev->bounce[0] + SW_SLICE;
	dev->group = sw_dma_group_alloc();
	if (!dev->group)
		goto free_bounce;
	dev->thread = kthread_create(thread_fn, dev, "vfio_svm_dma");
	if (IS_ERR(dev->thread)) {
		err = PTR_ERR(dev->thread);
		goto free_group;
	}
	err = cgroup_attach_task_all(current, dev->thread);
	if (err)
		goto stop_thread;
	wake_up_process(dev->thread);
	return 0;

stop_thread:
	kthread_stop(dev->thread);
free_group:
	kvfree(dev->group);
free_bounce:
	vfree(dev->bounce[0]);
	return err;
}

void sw_thread_stop(struct sw_dev *dev)
{
	kthread_stop(dev->thread);
	kvfree(dev->group);
	vfree(dev->bounce[0]);
}
