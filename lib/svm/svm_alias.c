/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include "svm_alias.h"
#include "svm_engine.h"

static void
side_leave(struct svm_atc *atc, uint32_t turn)
{
	if (atc != NULL)
		svm_atc_leave(atc, turn);
}

/* False: no range, or nobody has seen the process for too long. */
static inline bool
side_enter(const struct svm_bond *bond, uint64_t now, struct svm_atc **atc, uint32_t *turn)
{
	/* Acquire: pairs with the store in svm_bond_atc(). */
	struct svm_atc *a = __atomic_load_n(&bond->atc, __ATOMIC_ACQUIRE);

	if (a == NULL || !svm_atc_seen(a, now))
		return false;
	svm_atc_use(a);
	*turn = svm_atc_enter(a);
	*atc = a;
	return true;
}

bool
svm_alias_enter(struct svm_alias_view *v, const struct svm_bond *src, const struct svm_bond *dst)
{
	const uint64_t now = rte_rdtsc();

	v->src = v->dst = NULL;
	if (src != NULL && !side_enter(src, now, &v->src, &v->src_turn))
		return false;
	if (dst == NULL)
		return true;
	if (dst == src) {
		/* Once: the last to leave is `src`. */
		v->dst = v->src;
		return true;
	}
	if (side_enter(dst, now, &v->dst, &v->dst_turn))
		return true;
	side_leave(v->src, v->src_turn);
	return false;
}

void
svm_alias_leave(const struct svm_alias_view *v)
{
	if (v->dst != v->src)
		side_leave(v->dst, v->dst_turn);
	side_leave(v->src, v->src_turn);
}

/* Narrow n to what is there behind addr, which becomes a pointer. */
static uint32_t
side_reach(const struct svm_atc *atc, struct svm_atc_hit *hit, uint64_t addr, uint32_t n,
		uint32_t right, __u64 *at)
{
	const uint64_t reach = atc == NULL ? n : svm_atc_reach(atc, hit, addr, right);
	const uint8_t *p;

	n = RTE_MIN(n, reach);
	*at = addr;
	if (atc == NULL || n == 0)
		return n;
	p = svm_atc_find(atc, hit, addr, n, right);
	*at = (uintptr_t)p;
	return p == NULL ? 0 : n;
}

/* The next piece of an operation as one on this process's memory. 0 bytes: it is not here. */
static uint32_t
piece_make(struct svm_eq *q, const struct svm_op *op, const struct svm_alias_view *v,
		struct svm_op *piece)
{
	const bool reads = svm_op_is_compare(op);
	uint64_t src, dst;
	uint32_t n = svm_op_cursor(q, op, &src, &dst);

	n = RTE_MIN(n, SVM_ALIAS_SLICE);
	*piece = *op;
	if (op->d.op == SVM_OP_COPY_SG)
		piece->d.op = SVM_OP_COPY;
	piece->d.pattern = svm_op_pattern_at(op->d.pattern, op->seg_off);
	piece->done = 0;
	n = side_reach(v->dst, &q->hit[1], dst, n, reads ? SVM_ATC_READ : SVM_ATC_WRITE,
			&piece->d.dst);
	n = side_reach(v->src, &q->hit[0], src, n, SVM_ATC_READ, &piece->d.src);
	piece->d.len = n;
	return n;
}

static void
op_ends(struct svm_engine *e, struct svm_eq *q, struct svm_op *op)
{
	TAILQ_REMOVE(&q->parked, op, next);
	q->nb_parked--;
	svm_count(&e->counters.alias_ops, 1);
	svm_op_finish(e, q, op);
}

/* What a piece did, into its operation. False: it goes on by CMA. */
static bool
piece_collect(struct svm_engine *e, struct svm_eq *q, struct svm_op *op,
		const struct svm_op *piece)
{
	const struct svm_bond *side = piece->on_dst ? op->dst : op->src;
	uint64_t src, dst;

	svm_op_cursor(q, op, &src, &dst);
	op->done += piece->done;
	svm_op_advance(q, op, piece->done);
	if (op->d.op <= SVM_OP_FILL)
		svm_count(&e->counters.alias_bytes, piece->done);
	if (piece->status == SVM_ST_PAGE_FAULT && side != NULL) {
		op->no_alias = true;
		return false;
	}
	if (piece->status != SVM_ST_OK) {
		op->status = piece->status;
		op->on_dst = piece->on_dst;
		op->fault_addr = (piece->on_dst ? dst : src) + piece->done;
		op_ends(e, q, op);
	} else if (svm_op_cursor(q, op, &src, &dst) == 0) {
		op_ends(e, q, op);
	}
	return true;
}

bool
svm_alias_step(struct svm_engine *e, struct svm_eq *q, struct svm_op *op, uint32_t *bytes)
{
	struct svm_alias_view view;
	struct svm_op piece;
	uint32_t n;

	if (op->no_alias || (op->src != NULL && !svm_alias_maybe(op->src)) ||
			(op->dst != NULL && !svm_alias_maybe(op->dst)))
		return false;
	if (!svm_alias_enter(&view, op->src, op->dst)) {
		svm_count(&e->counters.atc_misses, 1);
		return false;
	}
	n = piece_make(q, op, &view, &piece);
	if (n != 0)
		svm_local_run(&piece, NULL, &e->counters);
	svm_alias_leave(&view);
	if (n == 0) {
		svm_count(&e->counters.atc_misses, 1);
		return false;
	}
	svm_count(&e->counters.atc_hits, 1);
	*bytes += n;
	return piece_collect(e, q, op, &piece);
}
