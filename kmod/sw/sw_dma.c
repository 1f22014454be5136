// SPDX-License-Identifier: GPL-2.0
/*
 * Copies between address spaces, with page faults disabled: nothing here sleeps
 * on memory that does not answer. A group is up to SW_SLICE bytes of operations
 * with the same kind and the same two bonds; it costs one switch to the source
 * and one to the destination. Between them the bytes stand in a bounce buffer
 * that holds nothing but this group's.
 */
#include <linux/kthread.h>
#include <linux/mmu_context.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "sw.h"

/* A piece of one operation, in one group. */
struct chunk {
	struct sw_op *op;
	u64 src;
	u64 dst;
	u32 len;
	u32 off;		/* in the bounce buffers */
	u32 got;		/* bytes read from the source */
	u32 put;		/* bytes written to, or read from, the destination */
};

struct sw_dma_group {
	struct chunk chunk[SW_WINDOW];
	u32 nb;
	u32 bytes;
};

/* Take on an address space; false when it is gone. */
static bool mm_enter(struct sw_dev *dev, struct vfio_svm_bond *bond)
{
	if (!vfio_svm_bond_active(bond) || !mmget_not_zero(bond->mm))
		return false;
	kthread_use_mm(bond->mm);
	sw_count(&dev->stats.mm_switches, 1);
	return true;
}

/* The last user of an mm tears it down, which may wait for anything: not here. */
static void mm_leave(struct vfio_svm_bond *bond)
{
	kthread_unuse_mm(bond->mm);
	mmput_async(bond->mm);
}

/* How many of the bytes have addresses that userspace can have at all. */
static u32 user_len(u64 addr, u32 len)
{
	u64 start = untagged_addr(addr);

	return start < TASK_SIZE_MAX ? min_t(u64, len, TASK_SIZE_MAX - start) : 0;
}

/* More than any architecture copies at once. */
#define STEP_MAX	64

/*
 * Bytes copied; exact, and never more than asked. A copy that meets a missing byte stops there on
 * x86, but up to one step of its loop before it on arm64: the rest of the step is looked at byte by
 * byte.
 */
static u32 copy_in(void *to, u64 from, u32 len)
{
	const void __user *ufrom = u64_to_user_ptr(from);
	u32 left, i;

	len = user_len(from, len);
	if (!len || !access_ok(ufrom, len))
		return 0;
	pagefault_disable();
	left = __copy_from_user_inatomic(to, ufrom, len);
	for (i = 0; left && i < STEP_MAX; i++, left--)
		if (__copy_from_user_inatomic(to + len - left, ufrom + len - left, 1))
			break;
	pagefault_enable();
	return len - left;
}

static u32 copy_out(u64 to, const void *from, u32 len)
{
	void __user *uto = u64_to_user_ptr(to);
	u32 left, i;

	len = user_len(to, len);
	if (!len || !access_ok(uto, len))
		return 0;
	pagefault_disable();
	left = __copy_to_user_inatomic(uto, from, len);
	for (i = 0; left && i < STEP_MAX; i++, left--)
		if (__copy_to_user_inatomic(uto + len - left, from + len - left, 1))
			break;
	pagefault_enable();
	return len - left;
}

static void read_sources(struct sw_dev *dev, struct sw_dma_group *group)
{
	u32 i;

	for (i = 0; i < group->nb; i++) {
		struct chunk *c = &group->chunk[i];

		c->got = copy_in(dev->bounce[0] + c->off, c->src, c->len);
	}
}

static void write_destinations(struct sw_dev *dev, struct sw_dma_group *group)
{
	u32 i;

	for (i = 0; i < group->nb; i++) {
		struct chunk *c = &group->chunk[i];

		if (c->op->d.op == SVM_OP_COMPARE)
			c->put = copy_in(dev->bounce[1] + c->off, c->dst, c->got);
		else
			c->put = copy_out(c->dst, dev->bounce[0] + c->off, c->got);
	}
}

/* The pattern, in the phase that its byte 0 stands at the operation's first byte. */
static void lay_pattern(struct sw_dev *dev, int bounce, const struct chunk *c)
{
	u8 *at = dev->bounce[bounce] + c->off;
	u32 i;

	for (i = 0; i < c->len; i++)
		at[i] = c->op->d.pattern >> (8 * ((c->op->seg_done + i) & 7));
}

/* Run both sides. Return: false when a bond of the group has ended. */
static bool group_copy(struct sw_dev *dev, struct sw_dma_group *group)
{
	struct sw_op *first = group->chunk[0].op;
	struct vfio_svm_bond *src = first->src.bond, *dst = first->dst.bond;
	u32 i;

	if (src) {
		if (!mm_enter(dev, src))
			return false;
		read_sources(dev, group);
		if (src == dst)
			write_destinations(dev, group);
		mm_leave(src);
	}
	for (i = 0; i < group->nb; i++) {
		if (first->d.op == SVM_OP_FILL) {
			lay_pattern(dev, 0, &group->chunk[i]);
			group->chunk[i].got = group->chunk[i].len;
		} else if (first->d.op == SVM_OP_COMPARE_PATTERN) {
			lay_pattern(dev, 1, &group->chunk[i]);
			group->chunk[i].put = group->chunk[i].got;
		}
	}
	if (dst && dst != src) {
		if (!mm_enter(dev, dst))
			return false;
		write_destinations(dev, group);
		mm_leave(dst);
	}
	return true;
}

static void op_advance(struct sw_op *op, u32 n)
{
	op->done += n;
	op->seg_done += n;
	if (n) {
		op->retries = 0;
		op->granted = false;
	}
	if (op->d.op == SVM_OP_COPY_SG && op->seg_done == op->segs[op->seg].len &&
	    op->seg + 1 < op->d.len) {
		op->seg++;
		op->seg_done = 0;
	}
}

static bool op_complete(const struct sw_op *op)
{
	if (op->d.op == SVM_OP_COPY_SG)
		return op->seg + 1 == op->d.len && op->seg_done == op->segs[op->seg].len;
	return op->seg_done == op->d.len;
}

static u32 equal_bytes(const u8 *a, const u8 *b, u32 len)
{
	u32 i;

	if (!memcmp(a, b, len))
		return len;
	for (i = 0; a[i] == b[i]; i++)
		;
	return i;
}

static bool is_compare(const struct sw_op *op)
{
	return op->d.op == SVM_OP_COMPARE || op->d.op == SVM_OP_COMPARE_PATTERN;
}

/* What became of a chunk: bytes that went all the way count; then what stopped it. */
static void chunk_settle(struct sw_dev *dev, struct chunk *c)
{
	struct sw_op *op = c->op;
	u32 n = c->put;

	if (is_compare(op)) {
		n = equal_bytes(dev->bounce[0] + c->off, dev->bounce[1] + c->off, c->put);
		if (n < c->put) {
			op_advance(op, n);
			sw_op_finish(dev, op, SVM_ST_MISMATCH, op->d.src + op->seg_done);
			return;
		}
	}
	op_advance(op, n);
	if (op_complete(op))
		sw_op_finish(dev, op, SVM_ST_OK, 0);
	else if (n < c->len)
		sw_op_fault(dev, op, c->got == c->len || n < c->got);
}

static void chunk_fill(struct chunk *c, struct sw_op *op, u32 room, u32 off)
{
	bool sg = op->d.op == SVM_OP_COPY_SG;
	u32 len = sg ? op->segs[op->seg].len : op->d.len;

	c->op = op;
	c->src = (sg ? op->segs[op->seg].src : op->d.src) + op->seg_done;
	c->dst = (sg ? op->segs[op->seg].dst : op->d.dst) + op->seg_done;
	c->len = min(len - op->seg_done, room);
	c->off = off;
	c->got = 0;
	c->put = 0;
}

/*
 * The operations that run together with the first one. A piece of a longer one
 * ends the group, so that none gets more than a slice before the next has a turn.
 */
static void group_form(struct sw_queue *queue, u32 first, struct sw_dma_group *group)
{
	const struct sw_op *lead = &queue->ops[first % SW_WINDOW];
	u32 i;

	group->nb = 0;
	group->bytes = 0;
	for (i = first; i != queue->head && group->bytes < SW_SLICE; i++) {
		struct sw_op *op = &queue->ops[i % SW_WINDOW];

		if (op->state != SW_OP_READY || op->d.op != lead->d.op ||
		    op->src.bond != lead->src.bond || op->dst.bond != lead->dst.bond)
			continue;
		chunk_fill(&group->chunk[group->nb], op, SW_SLICE - group->bytes, group->bytes);
		group->bytes += group->chunk[group->nb++].len;
	}
}

struct sw_dma_group *sw_dma_group_alloc(void)
{
	return kvzalloc(sizeof(struct sw_dma_group), GFP_KERNEL_ACCOUNT);
}

/* Run one group of the queue. Return: false when nothing was ready. */
bool sw_dma_run(struct sw_dev *dev, struct sw_queue *queue)
{
	struct sw_dma_group *group = dev->group;
	u32 i, n = queue->head - queue->cpl;
	u32 at;

	/* Begin behind where the last group began: each pair of bonds has its turn. */
	if (queue->scan - queue->cpl >= n)
		queue->scan = queue->cpl;
	at = queue->scan;
	for (i = 0; i < n; i++) {
		if (queue->ops[at % SW_WINDOW].state == SW_OP_READY)
			break;
		if (++at == queue->head)
			at = queue->cpl;
	}
	if (i == n)
		return false;
	queue->scan = at + 1;
	group_form(queue, at, group);
	sw_count(&dev->stats.groups, 1);
	if (group_copy(dev, group)) {
		for (i = 0; i < group->nb; i++)
			chunk_settle(dev, &group->chunk[i]);
		return true;
	}
	for (i = 0; i < group->nb; i++)
		sw_op_finish(dev, group->chunk[i].op, SVM_ST_BOND_DEAD, 0);
	return true;
}
