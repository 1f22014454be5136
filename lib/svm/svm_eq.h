/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine's end of one queue: its memory, its place in the ring, and the
 * private record of every descriptor between intake and completion.
 *
 *   head   next descriptor to take          (free-running)
 *   cpl    next completion to write         cpl <= head <= cpl + depth
 *
 * A descriptor that ends at once while nothing is parked needs no record: its
 * completion is written on the spot. Otherwise record head & mask keeps the
 * checked copy until everything before it has completed.
 */
#ifndef SVM_EQ_H
#define SVM_EQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_common.h>

#include "svm_atc.h"
#include "svm_bond.h"
#include "svm_ring.h"
#include "svm_use.h"

enum svm_op_state {
	SVM_OP_PARKED,		/* waits to be put into a batch */
	SVM_OP_ISSUED,		/* in a batch */
	SVM_OP_DONE,		/* waits for its turn to complete */
};

/* Sides of an operation that are windows; each counts in its window's `uses`. */
#define SVM_OP_WINDOW_SRC	0x1u
#define SVM_OP_WINDOW_DST	0x2u

/** One descriptor, from intake to completion. Private to the engine. */
struct svm_op {
	struct svm_desc d;		/* the copy that was checked; offsets are addresses now */
	struct svm_bond *src, *dst;	/* NULL: the owner; each counts in bond->ops */
	TAILQ_ENTRY(svm_op) next;	/* in eq->parked */
	uint64_t fault_addr;
	uint64_t done;			/* bytes */
	uint32_t counter;
	/* How far batches have covered it: segment, byte within the segment. */
	uint32_t seg, seg_off;
	uint8_t state;			/* enum svm_op_state */
	/* Together 0 for what ends well and went through no window: one look. */
	union {
		struct {
			uint8_t status;		/* SVM_ST_* */
			uint8_t windows;	/* SVM_OP_WINDOW_*: sides that are windows */
		};
		uint16_t unusual;
	};
	uint8_t retries;		/* lanes that died under it */
	bool alone;			/* was in a batch that timed out: goes by itself */
	bool on_dst;			/* fault_addr lies in dst */
	bool no_alias;			/* it faulted in a range: the rest goes by CMA */
};

TAILQ_HEAD(svm_op_list, svm_op);

/** Whether a queue is on its engine's stack of posted ones: once at the most. */
enum svm_eq_post {
	SVM_POST_NONE,
	SVM_POST_SENT,		/* on the stack, or about to be */
	SVM_POST_OVER,		/* closed: never again */
};

/** Life of a queue's engine end. */
enum svm_eq_life {
	SVM_EQ_RUN,
	SVM_EQ_CLOSING,		/* control asks: abort, detach */
	SVM_EQ_CLOSED,		/* the engine answers: it touches it no more */
};

struct svm_engine;

struct svm_eq {
	/* Hot. */
	struct svm_ring ring;
	uint32_t head;
	uint32_t cpl;
	struct svm_bond_table *bonds;
	uint32_t self_pasid;		/* 0: an owner queue */
	bool broken;			/* given up; only closing is left */
	bool closing;			/* the engine has seen CLOSING: nothing new starts */
	bool attached;			/* the engine has seen it */
	bool active;			/* on the list of polled queues */
	bool leaving;			/* about to leave it: see svm_active.c */
	uint32_t empty_polls;
	bool windows;			/* a worker queue that has used some: many bonds */
	struct svm_op *ops;		/* depth records */
	struct svm_op_list parked;
	struct svm_use uses[SVM_USES];
	struct svm_atc_hit hit[2];	/* the range found last, of src and dst */
	uint32_t nb_parked;
	uint32_t nb_issued;

	/* Cold. */
	struct svm_seg *segs;		/* depth rows, copies */
	uint32_t life;			/* enum svm_eq_life, atomic */
	uint32_t look_head;		/* head at the last look, and since when it is there: */
	uint64_t look_since;		/* see svm_active.c */
	struct svm_engine *engine;	/* that serves it */
	uint32_t post;			/* enum svm_eq_post, atomic */
	struct svm_eq *next_post;
	TAILQ_ENTRY(svm_eq) fill_link;	/* svm_fill.h; worker queues only */
	void *mem;
	size_t mem_len;
	uint64_t bond;			/* of a worker queue */
} __rte_cache_aligned;

/**
 * Make queue memory and the engine's end of it.
 *
 * @param self_pasid  PASID of the worker whose queue it is, 0 for the owner's.
 * @param numa_node   Where the memory is preferred, -1 for anywhere.
 * @param fd          Out, worker queues only: the sealed memfd. NULL for the
 *                    owner's, whose memory is private.
 */
int
svm_eq_create(struct svm_bond_table *bonds, uint32_t depth, uint32_t features,
		uint32_t self_pasid, int numa_node, int *fd, struct svm_eq **eq);

/** The engine has let go of it (CLOSED, or never attached). */
void
svm_eq_destroy(struct svm_eq *eq);

static inline bool
svm_eq_is_worker(const struct svm_eq *q)
{
	return q->self_pasid != 0;
}

/** Nothing between intake and completion. */
static inline bool
svm_eq_settled(const struct svm_eq *q)
{
	return q->cpl == q->head;
}

#endif /* SVM_EQ_H */
