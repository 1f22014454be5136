// SPDX-License-Identifier: GPL-2.0
/*
 * Lanes: where page faults are taken. A lane belongs to one bond and is a thread
 * only once the bond had its first fault. It works for one operation at a time,
 * makes one page present, and never touches a byte of anybody's: the DMA thread
 * copies. So a lane that does not come back is simply not waited for.
 *
 * States: IDLE -> BUSY (DMA thread) -> DONE (lane) -> IDLE (DMA thread). What
 * belongs to the DMA thread is guarded by the device's turn_lock.
 */
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "sw.h"

enum {
	LANE_IDLE,
	LANE_BUSY,
	LANE_DONE,
};

struct sw_lane {
	struct kref refs;		/* bond, thread, start work */
	struct mm_struct *mm;
	int state;
	int result;			/* valid in DONE */
	u64 addr;
	bool write;
	struct sw_op *owner;		/* for whom; NULL: it gave up waiting */
	u32 nb_requests;		/* of the bond, open */
	bool refuses;			/* a page request was answered FAILURE */
	bool started;
	bool failed;			/* valid in DONE: there is no thread after all */

	struct work_struct start;
	wait_queue_head_t wait;
	struct completion gone;
	spinlock_t lock;		/* dev, task, left */
	struct sw_dev *dev;		/* NULL once stopped */
	struct task_struct *task;
	struct vfio_svm_left left;	/* owner NULL: nobody went without the thread */
};

static void lane_free(struct kref *refs)
{
	struct sw_lane *lane = container_of(refs, struct sw_lane, refs);

	mmdrop(lane->mm);
	kfree(lane);
}

static bool lane_stopped(struct sw_lane *lane)
{
	return !READ_ONCE(lane->dev);
}

/* Interrupt what the lane waits for, as far as it can be. */
static void lane_kill(struct sw_lane *lane)
{
	spin_lock(&lane->lock);
	if (lane->task)
		send_sig(SIGKILL, lane->task, 1);
	spin_unlock(&lane->lock);
}

/* Make the page present as the CPU itself would, with the mm's own rights. */
static int lane_fault(struct sw_lane *lane)
{
	unsigned int flags = lane->write ? FAULT_FLAG_WRITE : 0;
	bool unlocked = false;
	int err = -EINTR;

	if (!mmget_not_zero(lane->mm))
		return -ESRCH;
	if (!mmap_read_lock_killable(lane->mm)) {
		err = fixup_user_fault(lane->mm, untagged_addr(lane->addr), flags, &unlocked);
		mmap_read_unlock(lane->mm);
	}
	mmput_async(lane->mm);
	return err;
}

static int lane_fn(void *arg)
{
	struct sw_lane *lane = arg;

	allow_kernel_signal(SIGKILL);
	while (!lane_stopped(lane)) {
		wait_event_interruptible(lane->wait, lane_stopped(lane) ||
					 smp_load_acquire(&lane->state) == LANE_BUSY);
		flush_signals(current);
		if (lane_stopped(lane) || smp_load_acquire(&lane->state) != LANE_BUSY)
			continue;
		lane->result = lane_fault(lane);
		/* Pairs with the acquire in sw_lane_poll(): the result is there. */
		smp_store_release(&lane->state, LANE_DONE);
		spin_lock(&lane->lock);
		if (lane->dev)
			sw_dev_wake(lane->dev);
		spin_unlock(&lane->lock);
	}
	spin_lock(&lane->lock);
	lane->task = NULL;
	spin_unlock(&lane->lock);
	/* Written under the lock while there was a task, or never. */
	if (lane->left.owner)
		vfio_svm_left_del(&lane->left);
	complete(&lane->gone);
	kref_put(&lane->refs, lane_free);
	module_put_and_kthread_exit(0);
	return 0;
}

static void lane_start(struct work_struct *work)
{
	struct sw_lane *lane = container_of(work, struct sw_lane, start);
	struct task_struct *task;

	/* The thread keeps the module: rmmod answers EBUSY while one is stuck. */
	__module_get(THIS_MODULE);
	task = kthread_create(lane_fn, lane, "vfio_svm_lane");
	if (IS_ERR(task)) {
		module_put(THIS_MODULE);
		lane->result = -ENOMEM;
		lane->failed = true;
		/* Before the state: from then on the completion may be made ready for the next. */
		complete(&lane->gone);
		smp_store_release(&lane->state, LANE_DONE);
		kref_put(&lane->refs, lane_free);
		return;
	}
	/* The work's reference becomes the thread's. */
	spin_lock(&lane->lock);
	lane->task = task;
	spin_unlock(&lane->lock);
	wake_up_process(task);
}

int sw_lane_create(void *drv, struct vfio_svm_bond *bond)
{
	struct sw_lane *lane = kzalloc(sizeof(*lane), GFP_KERNEL_ACCOUNT);

	if (!lane)
		return -ENOMEM;
	kref_init(&lane->refs);
	mmgrab(bond->mm);
	lane->mm = bond->mm;
	lane->dev = drv;
	spin_lock_init(&lane->lock);
	init_waitqueue_head(&lane->wait);
	init_completion(&lane->gone);
	INIT_WORK(&lane->start, lane_start);
	bond->drv = lane;
	return 0;
}

static void abort_parked(struct sw_dev *dev, struct sw_lane *lane)
{
	u32 q, i;

	for (q = 0; q < dev->nb_queues; q++) {
		struct sw_queue *queue = dev->queues[q];

		for (i = queue ? queue->cpl : 0; queue && i != queue->head; i++) {
			struct sw_op *op = &queue->ops[i % SW_WINDOW];

			if (op->state == SW_OP_PARKED && op->lane == lane)
				sw_op_finish(dev, op, SVM_ST_BOND_DEAD, 0);
		}
	}
}

/*
 * A close ends its bonds one after the other: all stuck lanes together get the time
 * that one has otherwise, so close returns however many they are.
 */
static void lane_wait_gone(struct sw_dev *dev, struct sw_lane *lane)
{
	unsigned long left = READ_ONCE(dev->close_left);

	if (!READ_ONCE(dev->closing))
		wait_for_completion_timeout(&lane->gone, HZ);
	else if (left)
		WRITE_ONCE(dev->close_left, wait_for_completion_timeout(&lane->gone, left));
}

/* A thread that is there yet outlives its bond: somebody is to answer for it. */
static void lane_leave(struct vfio_svm_bond *bond, struct sw_lane *lane)
{
	spin_lock(&lane->lock);
	if (lane->task)
		vfio_svm_left_add(bond, &lane->left);
	spin_unlock(&lane->lock);
}

/*
 * The bond ends: nothing of it stays parked, and its lane goes. One that is stuck
 * where no signal reaches it is left behind; it holds the module and its mm.
 */
void sw_lane_stop(void *drv, struct vfio_svm_bond *bond)
{
	struct sw_dev *dev = drv;
	struct sw_lane *lane = bond->drv;

	mutex_lock(&dev->turn_lock);
	bond->drv = NULL;
	abort_parked(dev, lane);
	mutex_unlock(&dev->turn_lock);
	sw_dev_wake(dev);

	spin_lock(&lane->lock);
	WRITE_ONCE(lane->dev, NULL);
	spin_unlock(&lane->lock);
	wake_up(&lane->wait);
	if (lane->started) {
		/* From here on there is a thread, which holds the module, or none will be. */
		flush_work(&lane->start);
		if (!try_wait_for_completion(&lane->gone)) {
			lane_kill(lane);
			lane_wait_gone(dev, lane);
			lane_leave(bond, lane);
		}
	}
	kref_put(&lane->refs, lane_free);
}

/* The operation no longer waits for its lane. */
void sw_lane_forget(struct sw_op *op)
{
	if (op->lane && op->lane_asked)
		op->lane->owner = NULL;
	op->lane = NULL;
	op->lane_asked = false;
}

/* Page requests of the bond that wait for an answer. */
bool sw_lane_may_request(const struct sw_lane *lane)
{
	return lane->nb_requests < SW_REQUESTS;
}

void sw_lane_request(struct sw_lane *lane, int n)
{
	lane->nb_requests += n;
}

/* From now on no page is brought in for the bond, and none asked for. */
void sw_lane_refuse(struct sw_lane *lane)
{
	lane->refuses = true;
}

bool sw_lane_refuses(const struct sw_lane *lane)
{
	return lane->refuses;
}

static void lane_ask(struct sw_lane *lane, struct sw_op *op)
{
	op->lane_asked = true;
	op->deadline = jiffies + msecs_to_jiffies(sw_timeout_ms);
	lane->owner = op;
	lane->addr = sw_op_missing(op);
	lane->write = sw_op_writes(op);
	smp_store_release(&lane->state, LANE_BUSY);
	if (!lane->started) {
		lane->started = true;
		kref_get(&lane->refs);
		queue_work(system_unbound_wq, &lane->start);
	} else {
		wake_up(&lane->wait);
	}
}

/* DONE -> IDLE; one that got no thread tries again at its next order. */
static void lane_reset(struct sw_lane *lane)
{
	lane->state = LANE_IDLE;
	if (lane->failed) {
		lane->failed = false;
		lane->started = false;
		reinit_completion(&lane->gone);
	}
}

/* Look after an operation that waits for its lane, in the DMA thread. */
void sw_lane_poll(struct sw_dev *dev, struct sw_op *op)
{
	struct sw_lane *lane = op->lane;
	int result;

	/* A lane that nobody waits for any more is free once it is back. */
	if (smp_load_acquire(&lane->state) == LANE_DONE && !lane->owner)
		lane_reset(lane);
	if (op->lane_asked && smp_load_acquire(&lane->state) == LANE_DONE) {
		result = lane->result;
		lane_reset(lane);
		sw_lane_forget(op);
		op->waited += jiffies - op->parked_at;
		if (!result || result == -EINTR || result == -ERESTARTSYS)
			op->state = SW_OP_READY;
		else if (result == -ESRCH)
			sw_op_finish(dev, op, SVM_ST_BOND_DEAD, 0);
		else
			sw_op_fail(dev, op, result == -ENOMEM ? SVM_ST_NO_MEMORY :
				   SVM_ST_PAGE_FAULT);
		return;
	}
	/* Its turn will come: memory that does not answer holds the lane for its time alone. */
	if (!op->lane_asked && lane->owner)
		op->deadline = jiffies + msecs_to_jiffies(sw_timeout_ms);
	if (time_after(jiffies, op->deadline) ||
	    op->waited + (jiffies - op->parked_at) > msecs_to_jiffies(sw_op_timeout_ms)) {
		if (op->lane_asked)
			lane_kill(lane);
		sw_op_fail(dev, op, SVM_ST_TIMEOUT);
		return;
	}
	if (!op->lane_asked && smp_load_acquire(&lane->state) == LANE_IDLE)
		lane_ask(lane, op);
}
