/* SPDX-License-Identifier: BSD-3-Clause */
/* The legs of a batch: which ones, what each transfers, and what came of it. */
#include <rte_branch_prediction.h>

#include "svm_batch.h"
#include "svm_copy.h"
#include "svm_engine.h"

enum svm_leg
svm_leg_first(const struct svm_batch *b)
{
	return b->src != NULL ? SVM_LEG_READ_SRC :
		b->compare ? SVM_LEG_READ_DST : SVM_LEG_WRITE_DST;
}

enum svm_leg
svm_leg_next(const struct svm_batch *b)
{
	if (b->leg != SVM_LEG_READ_SRC || b->dst == NULL)
		return SVM_LEG_END;
	return b->compare ? SVM_LEG_READ_DST : SVM_LEG_WRITE_DST;
}

struct svm_bond *
svm_leg_bond(const struct svm_batch *b)
{
	return b->leg == SVM_LEG_READ_SRC ? b->src : b->dst;
}

bool
svm_leg_prepare(struct svm_batch *b)
{
	const struct svm_bond *bond = svm_leg_bond(b);
	const bool first = b->leg == svm_leg_first(b);
	uint32_t i, tag = 0;

	b->job.pid = bond->ident.pid;
	b->job.pidfd = bond->ident.pidfd;
	b->job.memfd = bond->ident.memfd;
	b->job.write = b->leg == SVM_LEG_WRITE_DST;
	b->job.xfer = b->xfers;
	b->job.nb = 0;
	for (i = 0; i != b->nb_pieces; i++) {
		struct svm_piece *p = &b->pieces[i];
		/* Write out only what was read in; the bounce buffer may hold
		 * another worker's bytes behind it. */
		const uint32_t len = b->leg == SVM_LEG_WRITE_DST && !first ?
				p->done : p->len;

		if (i != 0 && p->op != p[-1].op)
			tag++;
		if (len == 0)
			continue;
		b->xfers[b->job.nb] = (struct svm_xfer){
			.remote = b->leg == SVM_LEG_READ_SRC ? p->src : p->dst,
			.local = b->leg == SVM_LEG_READ_DST ? p->dst_at : p->src_at,
			.len = len,
			.tag = tag,
		};
		b->piece_of[b->job.nb++] = i;
	}
	return b->job.nb != 0;
}

/* Whether the owner's side of a transfer is what faulted at its byte `done`. */
static bool
local_faulted(const struct svm_batch *b, const struct svm_xfer *x)
{
	uint8_t *at = x->local + x->done;
	uint8_t byte;

	if (x->status != SVM_ST_PAGE_FAULT || (at >= b->bounce &&
			at < b->bounce + SVM_BOUNCE_LEN))
		return false;
	if (svm_copy(&byte, at, 1, NULL) != 1)
		return true;
	/* A buffer that is being read into has to be writable; it is this
	 * operation's until it completes, so its own byte may be put back. */
	return !b->job.write && svm_copy(at, &byte, 1, NULL) != 1;
}

/* The process was looked at behind the job; what it was not sure of says something else. */
static void
leg_saw(const struct svm_batch *b)
{
	struct svm_atc *atc = __atomic_load_n(&svm_leg_bond(b)->atc, __ATOMIC_ACQUIRE);
	uint32_t i;
	bool fresh;

	if (likely(atc == NULL))
		return;
	for (i = 0; i != b->job.nb; i++)
		if (b->xfers[i].status != SVM_ST_OK && b->xfers[i].status != SVM_ST_PAGE_FAULT &&
				b->xfers[i].status != SVM_ST_ABORTED)
			return;
	fresh = !svm_atc_seen(atc, b->started);
	svm_atc_saw(atc, b->started);
	/* It was not in use; from here on it is watched. */
	if (fresh)
		svm_atc_kick(atc);
}

void
svm_leg_collect(struct svm_engine *e, struct svm_batch *b)
{
	struct svm_counters *c = &e->counters;
	uint32_t i;

	svm_count(&c->cma_batches, 1);
	svm_count(&c->cma_calls, b->job.nb_calls);
	svm_count(&c->cma_pieces, b->job.nb);
	leg_saw(b);
	for (i = 0; i != b->job.nb; i++) {
		const struct svm_xfer *x = &b->xfers[i];
		struct svm_piece *p = &b->pieces[b->piece_of[i]];

		if (unlikely(x->status == SVM_ST_BOND_DEAD))
			svm_bond_mark_dead(svm_leg_bond(b));
		if (b->leg == SVM_LEG_READ_DST) {
			p->done_dst = x->done;
			p->status_dst = x->status;
			continue;
		}
		if (x->done != x->len || b->leg == svm_leg_first(b)) {
			p->status = x->status;
			/* The side at fault: the remote one, or the owner's. */
			p->on_dst = (b->leg == SVM_LEG_WRITE_DST) != local_faulted(b, x);
		}
		p->done = x->done;
	}
}
