/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends of a queue, as inline C11 without DPDK, so that the worker's
 * library, the engine and their tests run the same code on the layout of
 * svm_abi.h.
 *
 * Edges, each store naming the load it meets:
 *
 *   P1  svm_producer_mark()  release store of desc.seq -> C1
 *   C1  svm_ring_ready()     acquire load of desc.seq  <- P1
 *       The descriptor's other bytes (and its segment row) were written
 *       before P1, so they are read after C1.
 *   C2  svm_ring_complete()  release store of the word with phase -> P2
 *   P2  svm_producer_poll()  acquire load of that word <- C2
 *       All that the engine wrote into memory for the descriptor, and its
 *       last read of the slot, come before C2; the producer's reuse of the
 *       slot, its row and the buffers comes after P2.
 *   P3  reaped, release store by the thread that polls -> P4
 *   P4  reaped, acquire load by a thread that claims   <- P3
 *       Carries P2 on to producers that do not poll themselves.
 *   P5  sq_tail, compare-and-swap among producers: relaxed, because it only
 *       divides counters; the slot's content is ordered by P4 and P1.
 *
 * Nothing of the header is read on the hot path: sizes stand in struct
 * svm_ring, which is private to each side.
 */
#ifndef SVM_RING_H
#define SVM_RING_H

#include <errno.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "svm_abi.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the ring is little endian"
#endif

/** One side's private view of a queue's memory. */
struct svm_ring {
	struct svm_queue_hdr *hdr;
	struct svm_desc *desc;
	struct svm_cpl *cpl;
	struct svm_seg *seg;		/**< depth rows of SVM_SG_MAX */
	uint32_t depth;
	uint32_t mask;
};

/** The submitting side. One thread, or several when mp is set. */
struct svm_producer {
	struct svm_ring ring;
	bool mp;
	uint32_t tail;			/**< next counter to claim, when !mp */
	uint32_t reaped;		/**< completions taken; atomic, P3 and P4 */
};

/** Byte offsets of the parts for a depth, and the size of the whole. */
struct svm_ring_layout {
	uint64_t sq_off, cq_off, sg_off, size;
};

#define SVM_RING_PAGE	4096u

static inline struct svm_ring_layout
svm_ring_layout(uint32_t depth)
{
	struct svm_ring_layout l;

	l.sq_off = SVM_RING_PAGE;
	l.cq_off = l.sq_off + (uint64_t)depth * sizeof(struct svm_desc);
	l.sg_off = l.cq_off + (uint64_t)depth * sizeof(struct svm_cpl);
	l.sg_off = (l.sg_off + SVM_RING_PAGE - 1) & ~(uint64_t)(SVM_RING_PAGE - 1);
	l.size = l.sg_off + (uint64_t)depth * SVM_SG_MAX * sizeof(struct svm_seg);
	return l;
}

/**
 * Check a depth: a power of two in [SVM_DEPTH_MIN, SVM_DEPTH_MAX].
 *
 * @return 0, or -EINVAL.
 */
static inline int
svm_ring_depth_check(uint32_t depth)
{
	if (depth < SVM_DEPTH_MIN || depth > SVM_DEPTH_MAX ||
			(depth & (depth - 1)) != 0)
		return -EINVAL;
	return 0;
}

/** Point a view at queue memory; depth has been checked by the caller. */
static inline void
svm_ring_view(struct svm_ring *ring, void *mem, uint32_t depth)
{
	const struct svm_ring_layout l = svm_ring_layout(depth);
	char *base = (char *)mem;

	ring->hdr = (struct svm_queue_hdr *)base;
	ring->desc = (struct svm_desc *)(base + l.sq_off);
	ring->cpl = (struct svm_cpl *)(base + l.cq_off);
	ring->seg = (struct svm_seg *)(base + l.sg_off);
	ring->depth = depth;
	ring->mask = depth - 1;
}

/**
 * Write the header of fresh, zeroed queue memory.
 *
 * @param start
 *   First counter. 0 outside of tests; another value (near the wrap) makes
 *   every mark and phase look as if `start` descriptors had gone before.
 */
static inline void
svm_ring_format(struct svm_ring *ring, uint32_t features, uint32_t start)
{
	const struct svm_ring_layout l = svm_ring_layout(ring->depth);
	struct svm_queue_hdr *h = ring->hdr;
	uint32_t i;

	h->magic = SVM_ABI_MAGIC;
	h->version = SVM_ABI_VERSION;
	h->hdr_len = sizeof(*h);
	h->features = features;
	h->depth = ring->depth;
	h->desc_size = sizeof(struct svm_desc);
	h->cpl_size = sizeof(struct svm_cpl);
	h->sg_max = SVM_SG_MAX;
	h->sq_off = l.sq_off;
	h->cq_off = l.cq_off;
	h->sg_off = l.sg_off;
	h->size = l.size;
	h->sq_tail = start;
	h->sq_head = start;
	h->state = SVM_QS_RUNNING;
	if (start == 0)
		return;
	for (i = 0; i != ring->depth; i++) {
		const uint32_t counter = start + i;

		ring->desc[counter & ring->mask].seq = counter + 1 - ring->depth;
		ring->cpl[counter & ring->mask].phase =
			((counter / ring->depth) & 1) ? 1 : 0;
	}
}

/** The phase of completion number `counter`: 1 on even laps. */
static inline uint8_t
svm_ring_phase(const struct svm_ring *ring, uint32_t counter)
{
	return (counter & ring->depth) ? 0 : 1;
}

/* ---- the producer's side ---- */

static inline void
svm_producer_init(struct svm_producer *p, const struct svm_ring *ring, bool mp,
		uint32_t start)
{
	p->ring = *ring;
	p->mp = mp;
	p->tail = start;
	p->reaped = start;
}

/** Descriptors that can be submitted now. Any thread; exact for the only producer. */
static inline uint32_t
svm_producer_room(const struct svm_producer *p)
{
	const uint32_t tail = p->mp ?
		__atomic_load_n(&p->ring.hdr->sq_tail, __ATOMIC_RELAXED) : p->tail;

	return p->ring.depth - (tail - __atomic_load_n(&p->reaped, __ATOMIC_ACQUIRE));
}

/**
 * Claim n counters in a row; each must then be written and marked. Lock-free;
 * wait-free with one producer.
 *
 * @return true and the first counter, or false: less than n are free.
 */
static inline bool
svm_producer_claim(struct svm_producer *p, uint32_t n, uint32_t *first)
{
	uint32_t tail;

	if (!p->mp) {
		if (n > svm_producer_room(p))
			return false;
		*first = p->tail;
		p->tail += n;
		/* For whoever looks at the fill level; orders nothing. */
		__atomic_store_n(&p->ring.hdr->sq_tail, p->tail, __ATOMIC_RELAXED);
		return true;
	}
	tail = __atomic_load_n(&p->ring.hdr->sq_tail, __ATOMIC_RELAXED);
	for (;;) {
		const uint32_t used = tail -
			__atomic_load_n(&p->reaped, __ATOMIC_ACQUIRE); /* P4 */
		const uint32_t seen = tail;

		if (used > p->ring.depth) {
			/* The tail was read before others claimed and reaped. */
			tail = __atomic_load_n(&p->ring.hdr->sq_tail, __ATOMIC_RELAXED);
			if (tail == seen)
				return false;	/* somebody scribbled over it */
			continue;
		}
		if (n > p->ring.depth - used)
			return false;
		if (__atomic_compare_exchange_n(&p->ring.hdr->sq_tail, &tail, tail + n,
				true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) { /* P5 */
			*first = tail;
			return true;
		}
	}
}

/** The row of segments that goes with a claimed counter. */
static inline struct svm_seg *
svm_producer_segs(struct svm_producer *p, uint32_t counter)
{
	return &p->ring.seg[(size_t)(counter & p->ring.mask) * SVM_SG_MAX];
}

/** Fill a claimed slot without handing it over. d->seq is ignored. */
static inline void
svm_producer_fill(struct svm_producer *p, uint32_t counter, const struct svm_desc *d)
{
	struct svm_desc *slot = &p->ring.desc[counter & p->ring.mask];

	/*
	 * Field by field: the caller's descriptor then never is in memory. A wide
	 * copy of one just put together from small stores waits for each of them.
	 */
	slot->op = d->op;
	slot->flags = d->flags;
	slot->reserved0 = d->reserved0;
	slot->len = d->len;
	slot->src = d->src;
	slot->dst = d->dst;
	slot->src_space = d->src_space;
	slot->dst_space = d->dst_space;
	slot->cookie = d->cookie;
	slot->pattern = d->pattern;
	slot->reserved1[0] = d->reserved1[0];
	slot->reserved1[1] = d->reserved1[1];
	slot->reserved1[2] = d->reserved1[2];
}

/**
 * Hand a filled slot over. The consumer takes slots in order, so marking the
 * first of a batch last hands the whole batch over with one store.
 */
static inline void
svm_producer_mark(struct svm_producer *p, uint32_t counter)
{
	__atomic_store_n(&p->ring.desc[counter & p->ring.mask].seq, counter + 1,
		__ATOMIC_RELEASE); /* P1 */
}

/**
 * Take the next completion, if there is one. One thread at a time polls.
 *
 * @return true when *out was filled.
 */
static inline bool
svm_producer_poll(struct svm_producer *p, struct svm_cpl *out)
{
	const struct svm_cpl *c = &p->ring.cpl[p->reaped & p->ring.mask];
	const uint64_t word = __atomic_load_n((const uint64_t *)&c->done,
			__ATOMIC_ACQUIRE); /* P2 */

	memcpy(&out->done, &word, sizeof(word));
	if (out->phase != svm_ring_phase(&p->ring, p->reaped))
		return false;
	out->fault_addr = c->fault_addr;
	__atomic_store_n(&p->reaped, p->reaped + 1, __ATOMIC_RELEASE); /* P3 */
	return true;
}

/** Whether svm_producer_poll() would return a completion now. */
static inline bool
svm_producer_pending(const struct svm_producer *p)
{
	const struct svm_cpl *c = &p->ring.cpl[p->reaped & p->ring.mask];
	struct svm_cpl now;
	const uint64_t word = __atomic_load_n((const uint64_t *)&c->done,
			__ATOMIC_ACQUIRE); /* P2 */

	memcpy(&now.done, &word, sizeof(word));
	return now.phase == svm_ring_phase(&p->ring, p->reaped);
}

/* ---- the consumer's side ---- */

/** Whether descriptor number `counter` has been handed over. */
static inline bool
svm_ring_ready(const struct svm_ring *ring, uint32_t counter)
{
	return __atomic_load_n(&ring->desc[counter & ring->mask].seq,
			__ATOMIC_ACQUIRE) == counter + 1; /* C1 */
}

/**
 * Copy descriptor number `counter` out, once. The producer may go on writing;
 * only the copy is looked at from here on.
 */
static inline void
svm_ring_take(const struct svm_ring *ring, uint32_t counter, struct svm_desc *out)
{
	memcpy(out, &ring->desc[counter & ring->mask], sizeof(*out));
	/* Keeps the compiler from reading the shared slot a second time. */
	__asm__ volatile("" : : "r"(out) : "memory");
}

/** Copy the first n segments of a descriptor out, once. */
static inline void
svm_ring_take_segs(const struct svm_ring *ring, uint32_t counter,
		struct svm_seg *out, uint32_t n)
{
	memcpy(out, &ring->seg[(size_t)(counter & ring->mask) * SVM_SG_MAX],
		n * sizeof(*out));
	__asm__ volatile("" : : "r"(out) : "memory");
}

/** Write completion number `counter`. */
static inline void
svm_ring_complete(const struct svm_ring *ring, uint32_t counter, uint8_t status,
		uint32_t done, uint64_t fault_addr)
{
	struct svm_cpl *c = &ring->cpl[counter & ring->mask];
	/* done, id, status and phase as they stand in memory. */
	const uint64_t word = (uint64_t)done | (uint64_t)(uint16_t)counter << 32 |
		(uint64_t)status << 48 | (uint64_t)svm_ring_phase(ring, counter) << 56;

	c->fault_addr = fault_addr;
	__atomic_store_n((uint64_t *)&c->done, word, __ATOMIC_RELEASE); /* C2 */
}

#endif /* SVM_RING_H */
