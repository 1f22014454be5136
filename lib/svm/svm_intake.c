/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the ring to a checked private copy, and back to a completion. What the
 * producer wrote is read once; nothing here trusts a value that was not
 * checked on the copy.
 */
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#include "svm_engine.h"
#include "svm_op_window.h"
#include "svm_trace.h"

/* Which address spaces an operation looks at. */
#define USES_SRC	0x1
#define USES_DST	0x2
static const uint8_t op_uses[SVM_OP_COUNT] = {
	[SVM_OP_NOP] = 0,
	[SVM_OP_COPY] = USES_SRC | USES_DST,
	[SVM_OP_COPY_SG] = USES_SRC | USES_DST,
	[SVM_OP_FILL] = USES_DST,
	[SVM_OP_COMPARE] = USES_SRC | USES_DST,
	[SVM_OP_COMPARE_PATTERN] = USES_SRC,
};

static bool
range_ok(uint64_t addr, uint32_t len)
{
	return len != 0 && len <= SVM_LEN_MAX && addr + len > addr;
}

static uint8_t
check_segs(const struct svm_seg *segs, uint32_t n)
{
	uint64_t total = 0;
	uint32_t i;

	for (i = 0; i != n; i++) {
		if (!range_ok(segs[i].src, segs[i].len) ||
				!range_ok(segs[i].dst, segs[i].len))
			return SVM_ST_BAD_LEN;
		if ((segs[i].reserved[0] | segs[i].reserved[1] | segs[i].reserved[2]) != 0)
			return SVM_ST_BAD_DESC;
		total += segs[i].len;
	}
	return total <= SVM_LEN_MAX ? SVM_ST_OK : SVM_ST_BAD_LEN;
}

static uint8_t
check_desc(const struct svm_desc *d)
{
	uint8_t uses;

	if (d->op >= SVM_OP_COUNT)
		return SVM_ST_BAD_OP;
	if ((d->flags & ~SVM_F_ALL) != 0 || d->reserved0 != 0 ||
			(d->reserved1[0] | d->reserved1[1] | d->reserved1[2]) != 0)
		return SVM_ST_BAD_DESC;
	if (d->op == SVM_OP_COPY_SG)
		return d->len >= 1 && d->len <= SVM_SG_MAX ? SVM_ST_OK : SVM_ST_BAD_LEN;
	uses = op_uses[d->op];
	if (((uses & USES_SRC) && !range_ok(d->src, d->len)) ||
			((uses & USES_DST) && !range_ok(d->dst, d->len)))
		return SVM_ST_BAD_LEN;
	return SVM_ST_OK;
}

/* Any other space than a worker's own: which bond it means, as resolve_side(). */
static __rte_noinline struct svm_bond *
resolve_other(struct svm_engine *e, struct svm_eq *q, struct svm_op *op, uint8_t side,
		uint8_t *status)
{
	const uint32_t space = side == SVM_OP_WINDOW_SRC ? op->d.src_space : op->d.dst_space;
	const uint32_t kind = space >> SVM_SPACE_KIND_SHIFT;
	const uint32_t id = space & SVM_SPACE_ID_MASK;

	if (svm_eq_is_worker(q)) {
		if (kind == SVM_SPACE_WINDOW)
			return svm_op_window_resolve(e, q, op, side, status);
	} else if (kind == SVM_SPACE_PASID) {
		return id == 0 ? NULL : svm_use_get(q->uses, q->bonds, id, status);
	} else if (kind == SVM_SPACE_NONE && id == SVM_ST_BOND_DEAD) {
		*status = SVM_ST_BOND_DEAD;
		return NULL;
	}
	*status = SVM_ST_BAD_SPACE;
	return NULL;
}

/* Which bond a side means; NULL and OK for the owner's own memory. */
static inline struct svm_bond *
resolve_side(struct svm_engine *e, struct svm_eq *q, struct svm_op *op, uint8_t side,
		uint8_t *status)
{
	const uint32_t space = side == SVM_OP_WINDOW_SRC ? op->d.src_space : op->d.dst_space;

	if (likely(space == SVM_SPACE(SVM_SPACE_SELF, 0) && svm_eq_is_worker(q)))
		return svm_use_get(q->uses, q->bonds, q->self_pasid, status);
	return resolve_other(e, q, op, side, status);
}

static uint8_t
resolve(struct svm_engine *e, struct svm_eq *q, struct svm_op *op)
{
	const uint8_t uses = op_uses[op->d.op];
	uint8_t status = SVM_ST_OK;

	if (uses & USES_SRC)
		op->src = resolve_side(e, q, op, SVM_OP_WINDOW_SRC, &status);
	if (status == SVM_ST_OK && (uses & USES_DST))
		op->dst = resolve_side(e, q, op, SVM_OP_WINDOW_DST, &status);
	return status;
}

static void
report_fault(struct svm_engine *e, const struct svm_op *op)
{
	struct rte_svm_fault f = {
		.addr = op->fault_addr,
		.cookie = op->d.cookie,
		.write = op->on_dst && !svm_op_is_compare(op),
		.status = op->status,
	};
	const struct svm_bond *b = op->on_dst ? op->dst : op->src;

	if (b != NULL) {
		f.bond = b->id;
		f.pasid = b->pasid;
	}
	svm_trace_fault(f.bond, f.pasid, f.addr, f.cookie, f.write, f.status);
	svm_fault_post(e->conf.faults, &f);
}

static void
put_bond(struct svm_eq *q, struct svm_bond *b, const struct svm_op *op, bool in)
{
	const uint64_t moved = op->d.op <= SVM_OP_FILL ? op->done : 0;
	const struct svm_use_count count = {
		/* Once for an operation within one bond. */
		.nb_ops = !in || op->src != op->dst,
		.bytes_in = in ? moved : 0,
		.bytes_out = in ? 0 : moved,
		.faults = op->status == SVM_ST_PAGE_FAULT && op->on_dst == in,
	};

	svm_use_put(q->uses, b, &count);
}

/* An operation that failed, or went through a window. */
static __rte_noinline void
finish_unusual(struct svm_engine *e, struct svm_op *op)
{
	struct svm_counters *c = &e->counters;

	if (op->status != SVM_ST_OK)
		svm_count(&c->errors, 1);
	if (op->status == SVM_ST_TIMEOUT)
		svm_count(&c->timeouts, 1);
	if (op->status == SVM_ST_PAGE_FAULT || op->status == SVM_ST_DENIED ||
			op->status == SVM_ST_TIMEOUT)
		report_fault(e, op);
	/* The owner has the address; what the worker gets is an offset. */
	if (op->windows != 0)
		svm_op_windows_put(e, op);
}

void
svm_op_finish(struct svm_engine *e, struct svm_eq *q, struct svm_op *op)
{
	struct svm_counters *c = &e->counters;

	svm_trace_complete(q->mem, op->counter, op->status, op->done);
	svm_count(&c->ops, 1);
	if (op->d.op <= SVM_OP_FILL)
		svm_count(&c->bytes, op->done);
	if (unlikely(op->unusual != 0))
		finish_unusual(e, op);
	if (op->src != NULL)
		put_bond(q, op->src, op, false);
	if (op->dst != NULL)
		put_bond(q, op->dst, op, true);
	op->src = op->dst = NULL;
	op->state = SVM_OP_DONE;
}

static void
op_park(struct svm_eq *q, struct svm_op *op)
{
	op->state = SVM_OP_PARKED;
	TAILQ_INSERT_TAIL(&q->parked, op, next);
	q->nb_parked++;
}

/* Everything but the fast path: a record is filled, run or parked. */
static void
intake_op(struct svm_engine *e, struct svm_eq *q, struct svm_op *op)
{
	svm_trace_submit(q->mem, q->head, op->d.op, op->d.len, op->d.src_space, op->d.src,
		op->d.dst_space, op->d.dst);
	op->src = op->dst = NULL;
	op->fault_addr = 0;
	op->done = 0;
	op->counter = q->head;
	op->seg = op->seg_off = 0;
	op->windows = 0;
	op->retries = 0;
	op->alone = false;
	op->no_alias = false;
	op->on_dst = false;
	op->status = check_desc(&op->d);
	if (op->status == SVM_ST_OK && op->d.op == SVM_OP_COPY_SG) {
		struct svm_seg *segs = svm_eq_segs(q, op);

		svm_ring_take_segs(&q->ring, q->head, segs, op->d.len);
		op->status = check_segs(segs, op->d.len);
	}
	if (op->status == SVM_ST_OK)
		op->status = resolve(e, q, op);
	q->head++;
	if (unlikely(op->unusual != 0)) {
		/* Through windows into the owner: as long as a worker likes, so in
		 * slices, as what is parked. */
		if (op->status != SVM_ST_OK)
			svm_op_finish(e, q, op);
		else
			op_park(q, op);
	} else if (op->src == NULL && op->dst == NULL) {
		svm_local_run(op, svm_eq_segs(q, op), &e->counters);
		svm_op_finish(e, q, op);
	} else {
		op_park(q, op);
	}
}

uint32_t
svm_intake(struct svm_engine *e, struct svm_eq *q)
{
	uint32_t n = 0;
	bool rest = true;

	if (svm_eq_settled(q))
		n = svm_fast_intake(e, q, &rest);
	/* What goes into batches is taken in as large a group as a batch holds. */
	while (rest && n < SVM_XFER_MAX && q->head - q->cpl != q->ring.depth &&
			svm_ring_ready(&q->ring, q->head)) {
		struct svm_op *op = &q->ops[q->head & q->ring.mask];

		svm_ring_take(&q->ring, q->head, &op->d);
		/* Each comes from another core's cache. */
		rte_prefetch0(&q->ring.desc[(q->head + 8) & q->ring.mask]);
		/* A fence waits in the ring until all before it has ended. */
		if ((op->d.flags & SVM_F_FENCE) && q->nb_parked + q->nb_issued != 0)
			break;
		intake_op(e, q, op);
		n++;
	}
	/* Relaxed: information; the completion is what gives the slot back. */
	if (n != 0)
		__atomic_store_n(&q->ring.hdr->sq_head, q->head, __ATOMIC_RELAXED);
	return n;
}

uint32_t
svm_eq_complete(struct svm_eq *q)
{
	uint32_t n = 0;

	while (q->cpl != q->head) {
		const struct svm_op *op = &q->ops[q->cpl & q->ring.mask];

		if (op->state != SVM_OP_DONE)
			break;
		svm_ring_complete(&q->ring, q->cpl, op->status, op->done, op->fault_addr);
		q->cpl++;
		n++;
	}
	return n;
}
