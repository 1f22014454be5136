/* SPDX-License-Identifier: BSD-3-Clause */
#include "svm_op_window.h"

/* A piece of an operation within the owner: a multiple of 8, as patterns are. */
#define SLICE_LEN	(256u << 10)

static uint32_t
side_id(const struct svm_op *op, uint8_t side)
{
	return (side == SVM_OP_WINDOW_SRC ? op->d.src_space : op->d.dst_space) &
		SVM_SPACE_ID_MASK;
}

/* A compare only looks at its dst. */
static uint32_t
side_right(const struct svm_op *op, uint8_t side)
{
	return side == SVM_OP_WINDOW_SRC || svm_op_is_compare(op) ?
		RTE_SVM_WINDOW_READ : RTE_SVM_WINDOW_WRITE;
}

/* An offset into an address, in place. False: not within the window. */
static bool
place(const struct svm_window_view *view, __u64 *at, uint32_t len)
{
	uint64_t addr;

	if (!svm_window_addr(view, *at, len, &addr))
		return false;
	*at = addr;
	return true;
}

/* The offsets of one side, on the private copies. */
static bool
side_place(const struct svm_eq *q, struct svm_op *op, uint8_t side,
		const struct svm_window_view *view)
{
	const bool src = side == SVM_OP_WINDOW_SRC;
	struct svm_seg *segs = svm_eq_segs(q, op);
	uint32_t i;

	if (op->d.op != SVM_OP_COPY_SG)
		return place(view, src ? &op->d.src : &op->d.dst, op->d.len);
	for (i = 0; i != op->d.len; i++)
		if (!place(view, src ? &segs[i].src : &segs[i].dst, segs[i].len))
			return false;
	return true;
}

struct svm_bond *
svm_op_window_resolve(struct svm_engine *e, struct svm_eq *q, struct svm_op *op,
		uint8_t side, uint8_t *status)
{
	struct svm_window_view view;

	if (svm_window_get(e->conf.windows, side_id(op, side), q->self_pasid,
			side_right(op, side), &view, status) == NULL)
		return NULL;
	op->windows |= side;
	q->windows = true;
	if (!side_place(q, op, side, &view)) {
		*status = SVM_ST_BAD_LEN;
		return NULL;
	}
	return view.target == 0 ? NULL :
		svm_use_get(q->uses, q->bonds, view.target, status);
}

uint8_t
svm_op_windows_check(const struct svm_engine *e, const struct svm_eq *q,
		const struct svm_op *op)
{
	uint8_t side;

	/* Its own bond need not be a side of it. */
	if (!svm_bond_active(&q->bonds->bonds[q->self_pasid - 1]))
		return SVM_ST_BOND_DEAD;
	for (side = SVM_OP_WINDOW_SRC; side <= SVM_OP_WINDOW_DST; side <<= 1) {
		const uint32_t id = side_id(op, side);
		const struct svm_window *w = svm_window_slot(e->conf.windows, id);

		if ((op->windows & side) && !svm_window_is_open(w, id))
			return svm_window_why_not(w, id, q->self_pasid);
	}
	return SVM_ST_OK;
}

uint32_t
svm_op_window_slice(struct svm_engine *e, struct svm_eq *q, struct svm_op *op)
{
	struct svm_op piece = *op;
	uint64_t src, dst;
	uint32_t left;

	TAILQ_REMOVE(&q->parked, op, next);
	q->nb_parked--;
	op->status = svm_op_windows_check(e, q, op);
	if (op->status != SVM_ST_OK) {
		svm_op_finish(e, q, op);
		return 0;
	}
	left = svm_op_cursor(q, op, &src, &dst);
	piece.d.src = src;
	piece.d.dst = dst;
	piece.d.len = RTE_MIN(left, SLICE_LEN);
	if (op->d.op == SVM_OP_COPY_SG)
		piece.d.op = SVM_OP_COPY;
	piece.done = 0;
	svm_local_run(&piece, NULL, &e->counters);
	svm_op_advance(q, op, piece.done);
	op->done += piece.done;
	op->status = piece.status;
	op->fault_addr = piece.fault_addr;
	op->on_dst = piece.on_dst;
	if (op->status != SVM_ST_OK || svm_op_cursor(q, op, &src, &dst) == 0) {
		svm_op_finish(e, q, op);
	} else {
		TAILQ_INSERT_HEAD(&q->parked, op, next);
		q->nb_parked++;
	}
	return piece.done;
}

void
svm_op_windows_put(struct svm_engine *e, struct svm_op *op)
{
	const uint8_t blamed = op->on_dst ? SVM_OP_WINDOW_DST : SVM_OP_WINDOW_SRC;
	uint8_t side;

	for (side = SVM_OP_WINDOW_SRC; side <= SVM_OP_WINDOW_DST; side <<= 1) {
		struct svm_window *w = svm_window_slot(e->conf.windows, side_id(op, side));

		if ((op->windows & side) == 0)
			continue;
		/* 0: none to blame. An address is one within the window. */
		if (side == blamed && op->fault_addr != 0)
			op->fault_addr -= w->base;
		svm_window_put(w);
	}
	op->windows = 0;
}
