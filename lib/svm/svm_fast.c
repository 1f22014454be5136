/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path: plain copies of one pair of address spaces in a row, all of it the
 * owner's memory or mapped there, from a queue with nothing under way. They need no
 * record: taken out of the ring together, copied, completed together.
 *
 * Of a worker's queue every access to the ring may end the caller (svm_guard_enter()),
 * so nothing is held while the ring is touched: neither bonds nor tables.
 */
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#include "svm_alias.h"
#include "svm_copy.h"
#include "svm_engine.h"
#include "svm_trace.h"

/* Taken at once: half of L1's ways at the most, and so long the first one waits. */
#define GROUP		32u
#define GROUP_BYTES	(64u << 10)
/* What one queue may do in a turn. */
#define TURN_OPS	256u
#define TURN_BYTES	(1u << 20)

struct group {
	struct svm_desc d[GROUP];
	uint32_t n;		/* taken */
	uint32_t done;		/* of them, copied */
	uint64_t bytes;		/* that these had */
};

/* The first 4 bytes but op, the spaces of the group, and what is reserved. */
static inline bool
is_plain(const struct svm_desc *d, const struct svm_desc *first)
{
	return ((d->op ^ SVM_OP_COPY) | d->flags | d->reserved0 | d->reserved1[0] |
		d->reserved1[1] | d->reserved1[2] | (d->src_space ^ first->src_space) |
		(d->dst_space ^ first->dst_space)) == 0 &&
		d->len - 1 < SVM_ALIAS_SLICE;
}

/* The PASID of a space; false: not one for here. */
static inline bool
space_pasid(const struct svm_eq *q, uint32_t space, uint32_t *pasid)
{
	if (svm_eq_is_worker(q)) {
		*pasid = q->self_pasid;
		return space == SVM_SPACE(SVM_SPACE_SELF, 0);
	}
	*pasid = space;		/* the kind is 0 */
	return space <= q->bonds->max;
}

static inline bool
pasid_may(const struct svm_eq *q, uint32_t pasid)
{
	return pasid == 0 || svm_alias_maybe(&q->bonds->bonds[pasid - 1]);
}

static inline void
group_take(struct group *g, const struct svm_ring *ring, uint32_t head)
{
	uint64_t bytes = g->d[0].len;
	uint32_t n = 1;

	while (n != GROUP && bytes < GROUP_BYTES && svm_ring_ready(ring, head + n)) {
		svm_ring_take(ring, head + n, &g->d[n]);
		rte_prefetch0(&ring->desc[(head + n + 4) & ring->mask]);
		if (unlikely(!is_plain(&g->d[n], &g->d[0])))
			break;
		bytes += g->d[n].len;
		n++;
	}
	g->n = n;
}

static inline void *
side_at(const struct svm_atc *atc, struct svm_atc_hit *hit, uint64_t addr, uint32_t len,
		uint32_t right)
{
	return atc == NULL ? (void *)(uintptr_t)addr : svm_atc_find(atc, hit, addr, len, right);
}

/* Copy as far as it goes; the next one gets a record, and its reason there. */
static inline void
group_copy(struct svm_eq *q, struct group *g, const struct svm_alias_view *v)
{
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i != g->n; i++) {
		const struct svm_desc *d = &g->d[i];
		const void *src = side_at(v->src, &q->hit[0], d->src, d->len, SVM_ATC_READ);
		void *dst = side_at(v->dst, &q->hit[1], d->dst, d->len, SVM_ATC_WRITE);

		if (unlikely(src == NULL || dst == NULL ||
				svm_copy(dst, src, d->len, NULL) != d->len))
			break;
		bytes += d->len;
	}
	g->done = i;
	g->bytes = bytes;
}

static void
bond_put(struct svm_eq *q, struct svm_bond *b, const struct group *g, bool in, bool both)
{
	const struct svm_use_count count = {
		/* Once for an operation within one bond. */
		.nb_ops = in && both ? 0 : g->done,
		.bytes_in = in ? g->bytes : 0,
		.bytes_out = in ? 0 : g->bytes,
	};

	if (b != NULL)
		svm_use_put(q->uses, b, &count);
}

/* With the bonds of both sides held. */
static inline void
group_run(struct svm_engine *e, struct svm_eq *q, struct group *g, uint32_t src_pasid,
		uint32_t dst_pasid)
{
	struct svm_alias_view view = { .src = NULL };
	struct svm_bond *src = NULL, *dst = NULL;
	uint8_t status;

	g->done = 0;
	g->bytes = 0;
	if ((src_pasid | dst_pasid) == 0) {
		group_copy(q, g, &view);
		return;
	}
	if (src_pasid != 0)
		src = svm_use_get(q->uses, q->bonds, src_pasid, &status);
	if (dst_pasid != 0)
		dst = svm_use_get(q->uses, q->bonds, dst_pasid, &status);
	if ((src != NULL || src_pasid == 0) && (dst != NULL || dst_pasid == 0) &&
			svm_alias_enter(&view, src, dst)) {
		group_copy(q, g, &view);
		svm_alias_leave(&view);
		svm_count(&e->counters.alias_ops, g->done);
		svm_count(&e->counters.alias_bytes, g->bytes);
		svm_count(&e->counters.atc_hits, g->done);
	}
	bond_put(q, src, g, false, src == dst);
	bond_put(q, dst, g, true, src == dst);
}

static inline void
group_complete(struct svm_engine *e, struct svm_eq *q, const struct group *g)
{
	const struct svm_ring *ring = &q->ring;
	const uint32_t head = q->head;
	uint32_t i;

	for (i = 0; i != g->done; i++) {
		const struct svm_desc *d = &g->d[i];

		svm_trace_submit(q->mem, head + i, d->op, d->len, d->src_space, d->src,
			d->dst_space, d->dst);
		svm_ring_complete(ring, head + i, SVM_ST_OK, d->len, 0);
		svm_trace_complete(q->mem, head + i, SVM_ST_OK, d->len);
	}
	q->head = q->cpl = head + g->done;
	svm_count(&e->counters.ops, g->done);
	svm_count(&e->counters.moves, g->done);
	svm_count(&e->counters.bytes, g->bytes);
}

uint32_t
svm_fast_intake(struct svm_engine *e, struct svm_eq *q, bool *rest)
{
	const struct svm_ring *ring = &q->ring;
	uint32_t n = 0, src_pasid, dst_pasid;
	uint64_t bytes = 0;
	struct group g;

	*rest = true;
	do {
		if (!svm_ring_ready(ring, q->head))
			return n;
		svm_ring_take(ring, q->head, &g.d[0]);
		if (!is_plain(&g.d[0], &g.d[0]) ||
				!space_pasid(q, g.d[0].src_space, &src_pasid) ||
				!space_pasid(q, g.d[0].dst_space, &dst_pasid) ||
				!pasid_may(q, src_pasid) || !pasid_may(q, dst_pasid))
			return n;
		group_take(&g, ring, q->head);
		group_run(e, q, &g, src_pasid, dst_pasid);
		group_complete(e, q, &g);
		n += g.done;
		bytes += g.bytes;
		if (g.done != g.n)
			return n;
	} while (n < TURN_OPS && bytes < TURN_BYTES);
	*rest = false;
	return n;
}
