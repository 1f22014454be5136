/* SPDX-License-Identifier: BSD-3-Clause */
/* Which operations go together in a batch, and where their bytes stand. */
#include <errno.h>

#include <rte_branch_prediction.h>

#include "svm_batch.h"
#include "svm_copy.h"
#include "svm_engine.h"
#include "svm_numa.h"
#include "svm_op_window.h"

int
svm_batch_set_create(uint32_t max, int numa_node, struct svm_batch_set *set)
{
	uint32_t i;

	set->nb = 0;
	set->max = 0;
	set->len = max * sizeof(*set->batch);
	set->batch = svm_numa_alloc(set->len, numa_node);
	if (set->batch == NULL)
		return -ENOMEM;
	for (i = 0; i != max; i++) {
		uint8_t *p = svm_numa_alloc(SVM_BOUNCE_LEN, numa_node);

		if (p == NULL) {
			svm_batch_set_destroy(set);
			return -ENOMEM;
		}
		set->batch[i].bounce = p;
		set->max++;
	}
	return 0;
}

void
svm_batch_set_destroy(struct svm_batch_set *set)
{
	uint32_t i;

	for (i = 0; i != set->max; i++)
		svm_numa_free(set->batch[i].bounce, SVM_BOUNCE_LEN);
	svm_numa_free(set->batch, set->len);
	*set = (struct svm_batch_set){ 0 };
}

bool
svm_op_is_compare(const struct svm_op *op)
{
	return op->d.op >= SVM_OP_COMPARE;
}

bool
svm_batch_bond_busy(const struct svm_batch_set *set, const struct svm_bond *bond)
{
	uint32_t i, left = set->nb;

	for (i = 0; bond != NULL && left != 0; i++) {
		const struct svm_batch *b = &set->batch[i];

		if (b->state == SVM_BATCH_FREE)
			continue;
		if (b->src == bond || b->dst == bond)
			return true;
		left--;
	}
	return false;
}

/* Room for n more bytes of bounce buffer, on a cache line; NULL when full. */
static uint8_t *
bounce_take(struct svm_batch *b, uint32_t n)
{
	const uint32_t at = RTE_ALIGN_CEIL(b->bounce_used, RTE_CACHE_LINE_SIZE);

	if (at > SVM_BOUNCE_LEN || n > SVM_BOUNCE_LEN - at)
		return NULL;
	b->bounce_used = at + n;
	return b->bounce + at;
}

uint32_t
svm_op_cursor(const struct svm_eq *q, const struct svm_op *op, uint64_t *src, uint64_t *dst)
{
	if (op->d.op == SVM_OP_COPY_SG) {
		const struct svm_seg *seg = &svm_eq_segs(q, op)[op->seg];

		if (op->seg == op->d.len)
			return 0;
		*src = seg->src + op->seg_off;
		*dst = seg->dst + op->seg_off;
		return seg->len - op->seg_off;
	}
	*src = op->d.src + op->seg_off;
	*dst = op->d.dst + op->seg_off;
	return op->d.len - op->seg_off;
}

void
svm_op_advance(const struct svm_eq *q, struct svm_op *op, uint32_t len)
{
	op->seg_off += len;
	if (op->d.op == SVM_OP_COPY_SG &&
			op->seg_off == svm_eq_segs(q, op)[op->seg].len) {
		op->seg++;
		op->seg_off = 0;
	}
}

/* Largest piece of `left` bytes that a bounce buffer of at least half its size may hold. */
static uint32_t
piece_len(const struct svm_batch *b, const struct svm_op *op, uint32_t left)
{
	const uint32_t room = SVM_BATCH_BYTES - b->bytes;

	if (op->d.op == SVM_OP_FILL)
		return RTE_MIN(left, room);
	/* Two sides in the bounce buffer at the most. */
	if (svm_op_is_compare(op) || (b->src != NULL && b->dst != NULL))
		return RTE_MIN(left, SVM_BOUNCE_LEN / 2);
	return RTE_MIN(left, room);
}

uint64_t
svm_op_pattern_at(uint64_t pattern, uint32_t at)
{
	const unsigned int bits = at % sizeof(pattern) * 8;

	return bits == 0 ? pattern : pattern >> bits | pattern << (64 - bits);
}

/* Where the piece's bytes stand in the owner. False: the bounce buffer is full. */
static bool
piece_place(struct svm_batch *b, struct svm_piece *p)
{
	const bool compare = svm_op_is_compare(p->op);
	const uint32_t used = b->bounce_used;

	p->src_at = (uint8_t *)(uintptr_t)p->src;
	p->dst_at = (uint8_t *)(uintptr_t)p->dst;
	if (p->op->d.op == SVM_OP_FILL) {
		p->len = RTE_MIN(p->len, SVM_BOUNCE_LEN / 4);
		p->src_at = bounce_take(b, p->len);
		if (p->src_at == NULL)
			return false;
		svm_fill(p->src_at, svm_op_pattern_at(p->op->d.pattern, p->seg_off), p->len, NULL);
		return true;
	}
	if (b->src != NULL) {
		p->src_at = p->dst_at;
		if (compare || b->dst != NULL) {
			p->src_at = bounce_take(b, p->len);
			if (p->src_at == NULL)
				return false;
		}
	}
	if (compare && b->dst != NULL) {
		p->dst_at = bounce_take(b, p->len);
		if (p->dst_at == NULL) {
			b->bounce_used = used;
			return false;
		}
	}
	return true;
}

/* Put as much of an operation into the batch as fits. False: nothing more fits. */
static bool
batch_add(struct svm_batch *b, struct svm_op *op)
{
	const uint32_t first = b->nb_pieces;
	uint64_t src, dst;
	uint32_t left;

	while ((left = svm_op_cursor(b->q, op, &src, &dst)) != 0) {
		struct svm_piece *p = &b->pieces[b->nb_pieces];

		if (b->nb_pieces == SVM_XFER_MAX || b->bytes == SVM_BATCH_BYTES)
			break;
		*p = (struct svm_piece){ .op = op, .src = src, .dst = dst,
			.seg = op->seg, .seg_off = op->seg_off };
		p->len = piece_len(b, op, left);
		if (!piece_place(b, p))
			break;
		b->nb_pieces++;
		b->bytes += p->len;
		svm_op_advance(b->q, op, p->len);
	}
	if (b->nb_pieces != first) {
		TAILQ_REMOVE(&b->q->parked, op, next);
		b->q->nb_parked--;
		op->state = SVM_OP_ISSUED;
		b->q->nb_issued++;
	}
	return left == 0;
}

bool
svm_op_drop_ended(struct svm_engine *e, struct svm_eq *q, struct svm_op *op)
{
	uint8_t status = SVM_ST_BOND_DEAD;

	if ((op->src == NULL || svm_bond_active(op->src)) &&
			(op->dst == NULL || svm_bond_active(op->dst))) {
		if (likely(op->windows == 0))
			return false;
		status = svm_op_windows_check(e, q, op);
		if (status == SVM_ST_OK)
			return false;
	}
	TAILQ_REMOVE(&q->parked, op, next);
	q->nb_parked--;
	op->status = status;
	svm_op_finish(e, q, op);
	return true;
}

void
svm_batch_gather(struct svm_engine *e, struct svm_batch *b, struct svm_op *op)
{
	struct svm_op *next;

	b->src = op->src;
	b->dst = op->dst;
	b->compare = svm_op_is_compare(op);
	b->alone = op->alone;
	b->nb_pieces = b->bytes = b->bounce_used = 0;
	for (; op != NULL; op = next) {
		next = TAILQ_NEXT(op, next);
		if (op->src != b->src || op->dst != b->dst ||
				svm_op_is_compare(op) != b->compare || op->alone != b->alone)
			continue;
		if (svm_op_drop_ended(e, b->q, op))
			continue;
		if (!batch_add(b, op) || b->alone)
			break;
	}
}

