// SPDX-License-Identifier: GPL-2.0
/*
 * Queues: the device's end of the rings of uapi/svm_abi.h. Userspace may write
 * anything there at any time, so a descriptor is copied out once, the copy is
 * checked, and the copy alone is used; sizes come from our own records.
 */
#include <linux/log2.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "sw.h"

#define USES_SRC	1
#define USES_DST	2

static const u8 op_uses[SVM_OP_COUNT] = {
	[SVM_OP_COPY] = USES_SRC | USES_DST,
	[SVM_OP_COPY_SG] = USES_SRC | USES_DST,
	[SVM_OP_FILL] = USES_DST,
	[SVM_OP_COMPARE] = USES_SRC | USES_DST,
	[SVM_OP_COMPARE_PATTERN] = USES_SRC,
};

static void queue_layout(struct sw_queue *queue, u32 depth)
{
	struct svm_queue_hdr *hdr = queue->mem.va;
	u64 off = PAGE_SIZE;

	queue->hdr = hdr;
	hdr->magic = SVM_ABI_MAGIC;
	hdr->version = SVM_ABI_VERSION;
	hdr->hdr_len = sizeof(*hdr);
	hdr->features = SVM_QF_MULTI_PRODUCER | SVM_QF_MAY_SLEEP;
	hdr->depth = depth;
	hdr->desc_size = sizeof(struct svm_desc);
	hdr->cpl_size = sizeof(struct svm_cpl);
	hdr->sg_max = SVM_SG_MAX;
	hdr->sq_off = off;
	queue->sq = queue->mem.va + off;
	off += depth * sizeof(struct svm_desc);
	hdr->cq_off = off;
	queue->cq = queue->mem.va + off;
	off += ALIGN(depth * sizeof(struct svm_cpl), PAGE_SIZE);
	hdr->sg_off = off;
	queue->sg = queue->mem.va + off;
	hdr->size = (u64)queue->mem.nb_pages << PAGE_SHIFT;
}

static u64 queue_size(u32 depth)
{
	return PAGE_SIZE + PAGE_ALIGN((u64)depth * sizeof(struct svm_desc)) +
	       PAGE_ALIGN((u64)depth * sizeof(struct svm_cpl)) +
	       PAGE_ALIGN((u64)depth * SVM_SG_MAX * sizeof(struct svm_seg));
}

static void queue_free(struct sw_queue *queue)
{
	vfio_svm_mem_free(&queue->mem);
	kvfree(queue->segs);
	kvfree(queue->ops);
	kfree(queue);
}

static struct sw_queue *queue_alloc(u32 depth, int node)
{
	struct sw_queue *queue;
	u32 i;

	queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	if (!queue)
		return NULL;
	queue->ops = kvcalloc(SW_WINDOW, sizeof(*queue->ops), GFP_KERNEL_ACCOUNT);
	queue->segs = kvcalloc(SW_WINDOW * SVM_SG_MAX, sizeof(*queue->segs), GFP_KERNEL_ACCOUNT);
	if (!queue->ops || !queue->segs ||
	    vfio_svm_mem_alloc(&queue->mem, queue_size(depth) >> PAGE_SHIFT, node)) {
		queue_free(queue);
		return NULL;
	}
	for (i = 0; i < SW_WINDOW; i++) {
		queue->ops[i].queue = queue;
		queue->ops[i].segs = &queue->segs[i * SVM_SG_MAX];
	}
	queue->mask = depth - 1;
	queue_layout(queue, depth);
	return queue;
}

/**
 * sw_queue_create() - make a queue; the thread sees it in its next turn
 * @dev: the device
 * @arg: checked but for its depth; the size is filled in
 * @self_pasid: of the queue's own bond, 0 for none
 * @serial: to remove this queue and no later one
 */
int sw_queue_create(struct sw_dev *dev, struct vfio_svm_queue *arg, u32 self_pasid, u64 *serial)
{
	u32 depth = arg->depth, idx = arg->queue;
	struct sw_queue *queue;

	if (depth < SVM_DEPTH_MIN || depth > SVM_DEPTH_MAX || !is_power_of_2(depth))
		return -EINVAL;
	queue = queue_alloc(depth, dev_to_node(dev->vdev.dev));
	if (!queue)
		return -ENOMEM;
	queue->idx = idx;
	queue->flags = arg->flags;
	queue->fault_timeout = usecs_to_jiffies(arg->fault_timeout_us);
	queue->self_id = arg->bond_id;
	queue->self_pasid = self_pasid;

	mutex_lock(&dev->turn_lock);
	if (dev->queues[idx]) {
		mutex_unlock(&dev->turn_lock);
		queue_free(queue);
		return -EBUSY;
	}
	arg->size = (u64)queue->mem.nb_pages << PAGE_SHIFT;
	*serial = queue->serial = ++dev->last_serial;
	queue->passed = dev->stamp;
	dev->queues[idx] = queue;
	mutex_unlock(&dev->turn_lock);
	sw_dev_wake(dev);
	return 0;
}

/* The acquire pairs with the producer's release store of the mark. */
bool sw_queue_ready(const struct sw_queue *queue)
{
	return smp_load_acquire(&queue->sq[queue->head & queue->mask].seq) == queue->head + 1;
}

/*
 * Sleeping: the flag, then a full barrier, then a last look at the marks; the
 * producer stores its mark, has a full barrier, and looks at the flag. One of the
 * two sees the other.
 */
void sw_queue_sleep(struct sw_queue *queue, bool sleep)
{
	WRITE_ONCE(queue->hdr->need_wakeup, sleep);
}

/* Also behind a slot that is claimed and not marked yet there may be marked ones. */
static bool queue_empty(const struct sw_queue *queue)
{
	u32 i;

	for (i = 0; i <= queue->mask; i++)
		if (smp_load_acquire(&queue->sq[(queue->head + i) & queue->mask].seq) ==
		    queue->head + i + 1)
			return false;
	return true;
}

/*
 * Has all been taken that stood in the ring when the stamp was given? An empty
 * ring says so at once; a ring that is never seen empty has turned over once when
 * as many as it holds were taken since we first asked.
 */
bool sw_queue_passed(struct sw_queue *queue, u64 stamp, u64 last)
{
	if (queue->passed >= stamp)
		return true;
	if (queue_empty(queue)) {
		queue->passed = last;
		queue->wait_stamp = 0;
	} else if (!queue->wait_stamp) {
		queue->wait_stamp = last;
		queue->wait_head = queue->head;
	} else if (queue->head - queue->wait_head > queue->mask) {
		queue->passed = queue->wait_stamp;
		queue->wait_stamp = 0;
	}
	return queue->passed >= stamp;
}

static bool range_ok(u64 addr, u32 len)
{
	return len && len <= SVM_LEN_MAX && addr + len > addr;
}

static u8 check_segs(const struct svm_seg *segs, u32 n)
{
	u64 total = 0;
	u32 i;

	for (i = 0; i < n; i++) {
		if (!range_ok(segs[i].src, segs[i].len) || !range_ok(segs[i].dst, segs[i].len))
			return SVM_ST_BAD_LEN;
		if (segs[i].reserved[0] | segs[i].reserved[1] | segs[i].reserved[2])
			return SVM_ST_BAD_DESC;
		total += segs[i].len;
	}
	return total <= SVM_LEN_MAX ? SVM_ST_OK : SVM_ST_BAD_LEN;
}

static u8 check_desc(const struct svm_desc *d)
{
	u8 uses;

	if (d->op >= SVM_OP_COUNT)
		return SVM_ST_BAD_OP;
	if (d->flags & ~SVM_F_ALL || d->reserved0 ||
	    d->reserved1[0] | d->reserved1[1] | d->reserved1[2])
		return SVM_ST_BAD_DESC;
	if (d->op == SVM_OP_COPY_SG)
		return d->len >= 1 && d->len <= SVM_SG_MAX ? SVM_ST_OK : SVM_ST_BAD_LEN;
	uses = op_uses[array_index_nospec(d->op, SVM_OP_COUNT)];
	if ((uses & USES_SRC && !range_ok(d->src, d->len)) ||
	    (uses & USES_DST && !range_ok(d->dst, d->len)))
		return SVM_ST_BAD_LEN;
	return SVM_ST_OK;
}

/* PASID 0 is "no PASID" to the kernel: the owner binds itself and uses that one. */
static u8 resolve(struct sw_dev *dev, struct sw_queue *queue, u32 space, struct vfio_svm_use *use)
{
	u32 kind = space >> SVM_SPACE_KIND_SHIFT;
	u32 id = space & SVM_SPACE_ID_MASK;
	int err;

	if (kind == SVM_SPACE_SELF && !id && queue->self_pasid) {
		id = queue->self_pasid;
	} else if (kind == SVM_SPACE_NONE && id == SVM_ST_BOND_DEAD) {
		return SVM_ST_BOND_DEAD;
	} else if (kind != SVM_SPACE_PASID || !id || id > SVM_PASID_MAX) {
		return SVM_ST_BAD_SPACE;
	}
	err = vfio_svm_use_get(dev->ctx, id, use);
	if (err)
		return err == -ESRCH ? SVM_ST_BOND_DEAD : SVM_ST_BAD_SPACE;
	/* The number may have gone on to another bond since the queue was made. */
	if (kind == SVM_SPACE_SELF && use->bond->id != queue->self_id) {
		vfio_svm_use_put(use);
		return SVM_ST_BOND_DEAD;
	}
	return SVM_ST_OK;
}

/* Rights and windows, for all that the operation will touch. */
static u8 check_rights(struct sw_op *op)
{
	u32 n = op->d.op == SVM_OP_COPY_SG ? op->d.len : 1;
	u32 want = op->d.op == SVM_OP_COMPARE ? VFIO_SVM_READ : VFIO_SVM_WRITE;
	u32 i;

	for (i = 0; i < n; i++) {
		bool sg = op->d.op == SVM_OP_COPY_SG;
		u64 src = sg ? op->segs[i].src : op->d.src;
		u64 dst = sg ? op->segs[i].dst : op->d.dst;
		u32 len = sg ? op->segs[i].len : op->d.len;

		if (op->src.bond && !vfio_svm_bond_allows(op->src.bond, src, len, VFIO_SVM_READ))
			return SVM_ST_BAD_SPACE;
		if (op->dst.bond && !vfio_svm_bond_allows(op->dst.bond, dst, len, want))
			return SVM_ST_BAD_SPACE;
	}
	return SVM_ST_OK;
}

static u8 op_prepare(struct sw_dev *dev, struct sw_queue *queue, struct sw_op *op)
{
	u8 status = check_desc(&op->d);
	u8 uses;

	if (status)
		return status;
	if (op->d.op == SVM_OP_COPY_SG) {
		op->d.len = array_index_nospec(op->d.len, SVM_SG_MAX + 1);
		memcpy(op->segs, &queue->sg[(queue->head & queue->mask) * SVM_SG_MAX],
		       op->d.len * sizeof(*op->segs));
		barrier();	/* from here on the copy, which the compiler must not read again */
		status = check_segs(op->segs, op->d.len);
		if (status)
			return status;
	}
	uses = op_uses[array_index_nospec(op->d.op, SVM_OP_COUNT)];
	if (uses & USES_SRC)
		status = resolve(dev, queue, op->d.src_space, &op->src);
	if (!status && uses & USES_DST)
		status = resolve(dev, queue, op->d.dst_space, &op->dst);
	return status ? status : check_rights(op);
}

/**
 * sw_op_finish() - the operation is over, whatever it was doing
 * @dev: the device
 * @op: not DONE
 * @status: SVM_ST_*
 * @fault_addr: first byte not done, 0 when none is to blame
 */
void sw_op_finish(struct sw_dev *dev, struct sw_op *op, u8 status, u64 fault_addr)
{
	op->status = status;
	op->fault_addr = fault_addr;
	op->state = SW_OP_DONE;
	sw_fault_forget(op);
	if (op->src.bond)
		vfio_svm_use_put(&op->src);
	if (op->dst.bond)
		vfio_svm_use_put(&op->dst);
	sw_count(&dev->stats.descs, 1);
	sw_count(&dev->stats.bytes, op->done);
}

static u32 queue_intake(struct sw_dev *dev, struct sw_queue *queue)
{
	u32 n = 0;
	u8 status;

	while (queue->head - queue->cpl < SW_WINDOW && sw_queue_ready(queue)) {
		struct sw_op *op = &queue->ops[queue->head % SW_WINDOW];

		memcpy(&op->d, &queue->sq[queue->head & queue->mask], sizeof(op->d));
		barrier();	/* as above */
		/* A fence waits in the ring until all before it have ended. */
		if (op->d.flags & SVM_F_FENCE && queue->head != queue->cpl)
			break;
		op->src.bond = NULL;
		op->dst.bond = NULL;
		op->seg = 0;
		op->seg_done = 0;
		op->done = 0;
		op->retries = 0;
		op->waited = 0;
		op->lane = NULL;
		op->lane_asked = false;
		op->asking = false;
		op->granted = false;
		op->request_id = 0;
		op->state = SW_OP_READY;
		status = op_prepare(dev, queue, op);
		queue->head++;
		if (status || op->d.op == SVM_OP_NOP)
			sw_op_finish(dev, op, status, 0);
		n++;
	}
	if (n)
		WRITE_ONCE(queue->hdr->sq_head, queue->head);
	return n;
}

static u32 queue_complete(struct sw_queue *queue)
{
	u32 n = 0;

	for (; queue->cpl != queue->head; queue->cpl++, n++) {
		const struct sw_op *op = &queue->ops[queue->cpl % SW_WINDOW];
		struct svm_cpl *cpl = &queue->cq[queue->cpl & queue->mask];
		union {
			struct svm_cpl c;
			u64 word[2];
		} u = { };

		if (op->state != SW_OP_DONE)
			break;
		u.c.fault_addr = op->fault_addr;
		u.c.done = op->done;
		u.c.id = queue->cpl;
		u.c.status = op->status;
		u.c.phase = !(queue->cpl & (queue->mask + 1));
		WRITE_ONCE(cpl->fault_addr, u.word[0]);
		/* Pairs with the reader's acquire of the phase: all of it, and the data. */
		smp_store_release((u64 *)&cpl->done, u.word[1]);
	}
	return n;
}

/**
 * sw_queue_destroy() - remove a queue
 * @dev: the device
 * @idx: whose
 * @serial: of the queue that is meant; 0 for whichever is there
 *
 * What was taken and has not run is completed as ABORTED, for whoever keeps the
 * mapping. Return: 0, or -ENOENT.
 */
int sw_queue_destroy(struct sw_dev *dev, u32 idx, u64 serial)
{
	struct sw_queue *queue;
	u32 i;

	mutex_lock(&dev->turn_lock);
	queue = dev->queues[idx];
	if (!queue || (serial && queue->serial != serial)) {
		mutex_unlock(&dev->turn_lock);
		return -ENOENT;
	}
	dev->queues[idx] = NULL;
	for (i = queue->cpl; i != queue->head; i++)
		if (queue->ops[i % SW_WINDOW].state != SW_OP_DONE)
			sw_op_finish(dev, &queue->ops[i % SW_WINDOW], SVM_ST_ABORTED, 0);
	mutex_unlock(&dev->turn_lock);
	queue_complete(queue);
	/* Behind the completions: whoever sees the state knows that no more will come. */
	smp_store_release(&queue->hdr->state, SVM_QS_STOPPED);
	queue_free(queue);
	return 0;
}

/* One turn of one queue. Return: whether anything moved. */
bool sw_queue_turn(struct sw_dev *dev, struct sw_queue *queue)
{
	bool moved = false;
	u32 i;

	moved |= queue_intake(dev, queue) != 0;
	for (i = queue->cpl; i != queue->head; i++)
		if (queue->ops[i % SW_WINDOW].state == SW_OP_PARKED)
			sw_fault_poll(dev, &queue->ops[i % SW_WINDOW]);
	moved |= sw_dma_run(dev, queue);
	moved |= queue_complete(queue) != 0;
	return moved;
}
