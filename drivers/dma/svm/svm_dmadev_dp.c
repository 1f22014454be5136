/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data path of the dmadev. No lock, no allocation, no log, no division.
 *
 * An operation's id is the low half of its counter in the queue. Slots are
 * filled in place; all but the first of a batch are marked at once, the first
 * by submit, which so hands the batch over with one store (svm_ring.h).
 *
 * Completions stay in the ring until they are reported: a failed one, which
 * completed() must show again and again, simply is not taken.
 */
#include <errno.h>
#include <string.h>

#include <rte_branch_prediction.h>

#include "svm_dmadev.h"

/* Phase 1 would be the first completion's: this one never comes. */
static struct svm_cpl closed_cpl;

struct svm_oq svm_dma_closed_oq = {
	.prod.ring.cpl = &closed_cpl,
};

static const uint16_t status_map[] = {
	[SVM_ST_OK] = RTE_DMA_STATUS_SUCCESSFUL,
	[SVM_ST_PAGE_FAULT] = RTE_DMA_STATUS_PAGE_FAULT,
	[SVM_ST_MISMATCH] = RTE_DMA_STATUS_ERROR_UNKNOWN,
	[SVM_ST_BAD_OP] = RTE_DMA_STATUS_INVALID_OPCODE,
	[SVM_ST_BAD_DESC] = RTE_DMA_STATUS_DESCRIPTOR_READ_ERROR,
	[SVM_ST_BAD_LEN] = RTE_DMA_STATUS_INVALID_LENGTH,
	[SVM_ST_BAD_SPACE] = RTE_DMA_STATUS_INVALID_ADDR,
	[SVM_ST_BOND_DEAD] = RTE_DMA_STATUS_DEV_LINK_ERROR,
	[SVM_ST_DENIED] = RTE_DMA_STATUS_INVALID_ADDR,
	[SVM_ST_TIMEOUT] = RTE_DMA_STATUS_BUS_ERROR,
	[SVM_ST_ABORTED] = RTE_DMA_STATUS_USER_ABORT,
	[SVM_ST_NO_MEMORY] = RTE_DMA_STATUS_ERROR_UNKNOWN,
};

static inline struct svm_vchan *
vchan_get(const void *dev_private, uint16_t vchan)
{
	struct svm_dma *dma = (struct svm_dma *)(uintptr_t)dev_private;

	return &dma->vchan[vchan];
}

/*
 * Status of completion number `counter`, or -1 while it is not there. Reading
 * it also makes visible what the engine wrote before it.
 */
static __rte_always_inline int
completion_peek(const struct svm_ring *ring, uint32_t counter)
{
	struct svm_cpl c;
	const uint64_t word = __atomic_load_n(
		(const uint64_t *)&ring->cpl[counter & ring->mask].done,
		__ATOMIC_ACQUIRE); /* P2 of svm_ring.h, partner C2 */

	memcpy(&c.done, &word, sizeof(word));
	return likely(c.phase == svm_ring_phase(ring, counter)) ? c.status : -1;
}

/* Give n slots back. Only this thread claims, so P3 of svm_ring.h has no partner here. */
static __rte_always_inline void
completions_take(struct svm_producer *p, uint32_t n)
{
	__atomic_store_n(&p->reaped, p->reaped + n, __ATOMIC_RELEASE);
}

/* An inline engine has lanes to look after only when somebody calls it. */
static __rte_always_inline void
engine_help(struct svm_oq *oq)
{
	if (unlikely(oq->inline_engine != NULL))
		svm_oq_kick(oq);
}

uint32_t
svm_dma_silent_gather(struct svm_vchan *vc)
{
	struct svm_oq *oq = vc->oq;
	struct svm_producer *p = &oq->prod;
	uint32_t n, errors = 0;
	int status;

	engine_help(oq);
	for (n = 0; (status = completion_peek(&p->ring, p->reaped + n)) >= 0; n++) {
		if (status != SVM_ST_OK)
			errors++;
	}
	if (n != 0)
		completions_take(p, n);
	vc->stats.completed += n;
	vc->stats.errors += errors;
	return n;
}

bool
svm_dma_idle(const struct svm_vchan *vc)
{
	const struct svm_producer *p = &vc->oq->prod;

	engine_help(vc->oq);
	/* They end in order, so the last one submitted says it. */
	return vc->batch == p->reaped || completion_peek(&p->ring, vc->batch - 1) >= 0;
}

static __rte_always_inline int
batch_submit(struct svm_vchan *vc)
{
	struct svm_oq *oq = vc->oq;
	struct svm_producer *p = &oq->prod;
	const uint32_t tail = p->tail;

	if (likely(tail != vc->batch)) {
		/* For whoever looks at the fill level; orders nothing. */
		__atomic_store_n(&p->ring.hdr->sq_tail, tail, __ATOMIC_RELAXED);
		svm_producer_mark(p, vc->batch);
		vc->stats.submitted += tail - vc->batch;
		vc->batch = tail;
		svm_oq_kick(oq);
	}
	if (unlikely(vc->silent))
		svm_dma_silent_gather(vc);
	return 0;
}

/* As a tail call, so that enqueueing saves no registers for it. */
static __rte_noinline int
batch_submit_with(struct svm_vchan *vc, uint16_t id)
{
	batch_submit(vc);
	return id;
}

/*
 * Claim the next counter, as svm_producer_claim() does for one producer, but
 * the tail in the header follows only at submit.
 */
static __rte_always_inline bool
slot_claim(struct svm_vchan *vc, uint32_t *counter)
{
	struct svm_producer *p = &vc->oq->prod;
	const uint32_t tail = p->tail;

	if (unlikely(tail - p->reaped == p->ring.depth))
		return false;
	p->tail = tail + 1;
	*counter = tail;
	return true;
}

/* No slot is free: whether a silent vchan could free some. */
static inline bool
slots_free(struct svm_vchan *vc)
{
	return vc->silent && svm_dma_silent_gather(vc) != 0;
}

/*
 * Fill the claimed slot in place, mark it unless it opens a batch. The memory
 * is the owner's alone and began as zeros, so the last reserved words still are.
 */
static __rte_always_inline int
slot_fill(struct svm_vchan *vc, uint32_t counter, uint8_t op, uint32_t len,
		uint64_t src, uint64_t dst, uint32_t src_space, uint64_t pattern, uint64_t flags)
{
	struct svm_producer *p = &vc->oq->prod;
	struct svm_desc *d = &p->ring.desc[counter & p->ring.mask];
	const uint32_t dst_space = vc->dst_space;
	const uint32_t batch = vc->batch;
	const uint64_t head = op | (flags & SVM_F_FENCE) << 8 | (uint64_t)len << 32;

	_Static_assert(RTE_DMA_OP_FLAG_FENCE == SVM_F_FENCE, "the flag passes as it is");
	_Static_assert(offsetof(struct svm_desc, len) == 4 &&
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "head is the first 8 bytes");
	/* op, flags, reserved0 and len in one store. */
	memcpy(d, &head, sizeof(head));
	d->src = src;
	d->dst = dst;
	d->src_space = src_space;
	d->dst_space = dst_space;
	d->cookie = (uint16_t)counter;
	d->pattern = pattern;
	if (counter != batch)
		svm_producer_mark(p, counter);
	if (flags & RTE_DMA_OP_FLAG_SUBMIT)
		return batch_submit_with(vc, (uint16_t)counter);
	return (uint16_t)counter;
}

static int
dp_copy(void *dev_private, uint16_t vchan, rte_iova_t src, rte_iova_t dst,
		uint32_t length, uint64_t flags);

static __rte_noinline int
copy_when_full(void *dev_private, uint16_t vchan, rte_iova_t src, rte_iova_t dst,
		uint32_t length, uint64_t flags)
{
	if (!slots_free(vchan_get(dev_private, vchan)))
		return -ENOSPC;
	return dp_copy(dev_private, vchan, src, dst, length, flags);
}

static int
dp_copy(void *dev_private, uint16_t vchan, rte_iova_t src, rte_iova_t dst,
		uint32_t length, uint64_t flags)
{
	struct svm_vchan *vc = vchan_get(dev_private, vchan);
	uint32_t counter;

	if (unlikely(!slot_claim(vc, &counter)))
		return copy_when_full(dev_private, vchan, src, dst, length, flags);
	return slot_fill(vc, counter, SVM_OP_COPY, length, src, dst, vc->src_space, 0, flags);
}

static int
dp_fill(void *dev_private, uint16_t vchan, uint64_t pattern, rte_iova_t dst,
		uint32_t length, uint64_t flags)
{
	struct svm_vchan *vc = vchan_get(dev_private, vchan);
	uint32_t counter;

	if (unlikely(!slot_claim(vc, &counter)) &&
			!(slots_free(vc) && slot_claim(vc, &counter)))
		return -ENOSPC;
	return slot_fill(vc, counter, SVM_OP_FILL, length, 0, dst, 0, pattern, flags);
}

static inline uint64_t
sges_len(const struct rte_dma_sge *sge, uint16_t nb)
{
	uint64_t len = 0;
	uint16_t i;

	for (i = 0; i != nb; i++)
		len += sge[i].length;
	return len;
}

/*
 * Cut two lists of equal length at the boundaries of both. Elements of
 * length 0 vanish; each piece ends at least one element, the last one two, so
 * the static assertion on SVM_DMA_SGES_MAX bounds the pieces.
 */
static uint32_t
sges_cut(struct svm_seg *seg, const struct rte_dma_sge *src, uint16_t nb_src,
		const struct rte_dma_sge *dst, uint16_t nb_dst)
{
	uint32_t src_off = 0, dst_off = 0, n = 0;
	uint16_t i = 0, j = 0;

	for (;;) {
		uint32_t len;

		while (i != nb_src && src_off == src[i].length) {
			i++;
			src_off = 0;
		}
		while (j != nb_dst && dst_off == dst[j].length) {
			j++;
			dst_off = 0;
		}
		if (i == nb_src || j == nb_dst)
			return n;
		len = RTE_MIN(src[i].length - src_off, dst[j].length - dst_off);
		seg[n] = (struct svm_seg) {
			.src = src[i].addr + src_off,
			.dst = dst[j].addr + dst_off,
			.len = len,
		};
		src_off += len;
		dst_off += len;
		n++;
	}
}

static int
dp_copy_sg(void *dev_private, uint16_t vchan, const struct rte_dma_sge *src,
		const struct rte_dma_sge *dst, uint16_t nb_src, uint16_t nb_dst, uint64_t flags)
{
	struct svm_vchan *vc = vchan_get(dev_private, vchan);
	uint32_t counter, n;

	if (unlikely(nb_src == 0 || nb_src > SVM_DMA_SGES_MAX ||
			nb_dst == 0 || nb_dst > SVM_DMA_SGES_MAX ||
			sges_len(src, nb_src) != sges_len(dst, nb_dst)))
		return -EINVAL;
	if (unlikely(!slot_claim(vc, &counter)) &&
			!(slots_free(vc) && slot_claim(vc, &counter)))
		return -ENOSPC;
	n = sges_cut(svm_producer_segs(&vc->oq->prod, counter), src, nb_src, dst, nb_dst);
	return slot_fill(vc, counter, SVM_OP_COPY_SG, n, 0, 0, vc->src_space, 0, flags);
}

static int
dp_submit(void *dev_private, uint16_t vchan)
{
	return batch_submit(vchan_get(dev_private, vchan));
}

static uint16_t
dp_completed(void *dev_private, uint16_t vchan, const uint16_t nb_cpls,
		uint16_t *last_idx, bool *has_error)
{
	struct svm_vchan *vc = vchan_get(dev_private, vchan);
	struct svm_producer *p = &vc->oq->prod;
	const struct svm_ring ring = p->ring;	/* stays in registers */
	const uint32_t reaped = p->reaped;
	int status = SVM_ST_OK;
	uint16_t n;

	engine_help(vc->oq);
	for (n = 0; n != nb_cpls; n++) {
		status = completion_peek(&ring, reaped + n);
		if (unlikely(status != SVM_ST_OK))
			break;
	}
	if (n != 0)
		completions_take(p, n);
	vc->stats.completed += n;
	*has_error = status > SVM_ST_OK;
	*last_idx = (uint16_t)(reaped + n - 1);
	return n;
}

static uint16_t
dp_completed_status(void *dev_private, uint16_t vchan, const uint16_t nb_cpls,
		uint16_t *last_idx, enum rte_dma_status_code *codes)
{
	struct svm_vchan *vc = vchan_get(dev_private, vchan);
	struct svm_producer *p = &vc->oq->prod;
	const struct svm_ring ring = p->ring;	/* stays in registers */
	const uint32_t reaped = p->reaped;
	uint32_t errors = 0;
	uint16_t n;

	engine_help(vc->oq);
	for (n = 0; n != nb_cpls; n++) {
		const int status = completion_peek(&ring, reaped + n);

		if (status < 0)
			break;
		if (status != SVM_ST_OK)
			errors++;
		codes[n] = likely((size_t)status < RTE_DIM(status_map)) ?
			(enum rte_dma_status_code)status_map[status] :
			RTE_DMA_STATUS_ERROR_UNKNOWN;
	}
	if (n != 0)
		completions_take(p, n);
	vc->stats.completed += n;
	vc->stats.errors += errors;
	*last_idx = (uint16_t)(reaped + n - 1);
	return n;
}

static uint16_t
dp_burst_capacity(const void *dev_private, uint16_t vchan)
{
	struct svm_vchan *vc = vchan_get(dev_private, vchan);

	if (vc->silent)
		svm_dma_silent_gather(vc);
	return (uint16_t)svm_producer_room(&vc->oq->prod);
}

void
svm_dma_fp_set(struct rte_dma_fp_object *fp, struct svm_dma *dma)
{
	fp->dev_private = dma;
	fp->copy = dp_copy;
	fp->copy_sg = dp_copy_sg;
	fp->fill = dp_fill;
	fp->submit = dp_submit;
	fp->completed = dp_completed;
	fp->completed_status = dp_completed_status;
	fp->burst_capacity = dp_burst_capacity;
}
