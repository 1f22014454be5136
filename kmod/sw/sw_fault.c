// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of an operation that met a page which is not there: it ends, the
 * bond's lane brings the page in, or the owner is asked. Its queue says which.
 *
 * A page request is the parked operation itself. Its id says where that stands, and
 * has a number that no request of any device had before: an answer needs no table,
 * and finds its own request or none. Everything here is guarded by the turn_lock.
 */
#include <linux/jiffies.h>
#include <linux/nospec.h>

#include "sw.h"

#define ID_OP_BITS	6
#define ID_QUEUE_BITS	6
#define ID_SHIFT	(ID_OP_BITS + ID_QUEUE_BITS)

static_assert(SW_WINDOW == 1u << ID_OP_BITS && SW_QUEUES_MAX == 1u << ID_QUEUE_BITS);

static atomic64_t last_request = ATOMIC64_INIT(0);

static struct vfio_svm_bond *missing_bond(const struct sw_op *op)
{
	return op->on_dst ? op->dst.bond : op->src.bond;
}

/* The first byte that is not done, in the space that has the fault. */
u64 sw_op_missing(const struct sw_op *op)
{
	const struct svm_seg *seg = &op->segs[op->seg];

	if (op->d.op == SVM_OP_COPY_SG)
		return (op->on_dst ? seg->dst : seg->src) + op->seg_done;
	return (op->on_dst ? op->d.dst : op->d.src) + op->seg_done;
}

static void fault_event(struct vfio_svm_event *event, u32 type, const struct sw_op *op)
{
	vfio_svm_event_of_bond(event, type, missing_bond(op));
	event->perm = sw_op_writes(op) ? VFIO_SVM_WRITE : VFIO_SVM_READ;
	event->addr = sw_op_missing(op);
	event->desc_cookie = op->d.cookie;
}

/**
 * sw_op_fail() - the missing page will not come
 * @dev: the device
 * @op: with what it misses
 * @status: SVM_ST_*
 *
 * The owner of a queue that does not leave faults to the kernel is told.
 */
void sw_op_fail(struct sw_dev *dev, struct sw_op *op, u8 status)
{
	struct vfio_svm_event event;

	if (op->queue->flags) {
		fault_event(&event, VFIO_SVM_EVENT_FAULT, op);
		event.status = status;
		vfio_svm_event_post(dev->ctx, &event);
	}
	sw_op_finish(dev, op, status, sw_op_missing(op));
}

/* Ask, once there is room: a slot in the ring, and in what one bond may ask at a time. */
static void request_post(struct sw_dev *dev, struct sw_op *op)
{
	struct sw_queue *queue = op->queue;
	struct vfio_svm_event event;

	if (!sw_lane_may_request(op->lane) || !vfio_svm_event_reserve(dev->ctx))
		return;
	op->request_id = atomic64_inc_return(&last_request) << ID_SHIFT |
			 (u64)queue->idx << ID_OP_BITS | (op - queue->ops);
	sw_lane_request(op->lane, 1);
	fault_event(&event, VFIO_SVM_EVENT_PAGE_REQUEST, op);
	event.request_id = op->request_id;
	vfio_svm_event_post_reserved(dev->ctx, &event);
	sw_count(&dev->stats.requests, 1);
}

/* The operation waits for nothing any more, neither for an answer nor for its lane. */
void sw_fault_forget(struct sw_op *op)
{
	if (op->request_id)
		sw_lane_request(op->lane, -1);
	op->request_id = 0;
	op->asking = false;
	sw_lane_forget(op);
}

static bool bonds_active(const struct sw_op *op)
{
	return (!op->src.bond || vfio_svm_bond_active(op->src.bond)) &&
	       (!op->dst.bond || vfio_svm_bond_active(op->dst.bond));
}

/* Look after a parked operation, in the DMA thread. */
void sw_fault_poll(struct sw_dev *dev, struct sw_op *op)
{
	if (!bonds_active(op))
		sw_op_finish(dev, op, SVM_ST_BOND_DEAD, 0);
	else if (!op->asking)
		sw_lane_poll(dev, op);
	else if (time_after(jiffies, op->deadline))
		sw_op_fail(dev, op, SVM_ST_TIMEOUT);
	else if (!op->request_id)
		request_post(dev, op);
}

/**
 * sw_op_fault() - the operation met a page that is not there
 * @dev: the device
 * @op: at the byte that is missing
 * @on_dst: in its destination, else in its source
 */
void sw_op_fault(struct sw_dev *dev, struct sw_op *op, bool on_dst)
{
	struct sw_queue *queue = op->queue;
	struct sw_lane *lane;

	sw_count(&dev->stats.faults, 1);
	op->on_dst = on_dst;
	lane = missing_bond(op)->drv;
	if (!lane) {
		sw_op_finish(dev, op, SVM_ST_BOND_DEAD, 0);
		return;
	}
	if (queue->flags & VFIO_SVM_QUEUE_TERMINATE || sw_lane_refuses(lane) ||
	    op->retries++ == SW_RETRIES) {
		sw_op_fail(dev, op, SVM_ST_PAGE_FAULT);
		return;
	}
	op->lane = lane;
	op->lane_asked = false;
	op->parked_at = jiffies;
	/* What userspace let pass the kernel brings in, until a byte was copied. */
	op->asking = queue->flags & VFIO_SVM_QUEUE_PAGE_REQUESTS && !op->granted;
	op->deadline = jiffies + (op->asking ? queue->fault_timeout :
				  msecs_to_jiffies(sw_timeout_ms));
	op->state = SW_OP_PARKED;
	sw_fault_poll(dev, op);
}

/* The operation that waits for the answer to this request, or NULL. */
static struct sw_op *request_find(struct sw_dev *dev, u64 id)
{
	u32 idx = (id >> ID_OP_BITS) % SW_QUEUES_MAX;
	struct sw_queue *queue;
	struct sw_op *op;

	if (!id || idx >= dev->nb_queues)
		return NULL;
	queue = dev->queues[array_index_nospec(idx, dev->nb_queues)];
	if (!queue)
		return NULL;
	op = &queue->ops[id % SW_WINDOW];
	/* Of a bond that has ended the DMA thread is about to answer it. */
	return op->request_id == id && bonds_active(op) ? op : NULL;
}

/* VFIO_SVM_PAGE_RESPONSE. Return: 0, or -ENOENT when there is nothing to answer. */
int sw_fault_response(void *drv, u64 id, u32 code)
{
	struct sw_dev *dev = drv;
	struct sw_op *op;

	mutex_lock(&dev->turn_lock);
	op = request_find(dev, id);
	if (!op) {
		mutex_unlock(&dev->turn_lock);
		return -ENOENT;
	}
	if (code == VFIO_SVM_RESP_SUCCESS) {
		sw_fault_forget(op);
		op->granted = true;
		op->state = SW_OP_READY;
	} else {
		if (code == VFIO_SVM_RESP_FAILURE)
			sw_lane_refuse(op->lane);
		sw_op_fail(dev, op, SVM_ST_PAGE_FAULT);
	}
	mutex_unlock(&dev->turn_lock);
	sw_dev_wake(dev);
	return 0;
}
