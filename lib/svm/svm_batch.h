/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Foreign memory: parked operations of one queue with the same two address
 * spaces become a batch, a batch runs in one or two legs, a leg is one job of
 * process_vm_* calls in a lane (or in the poll loop, cma=inline).
 *
 *   own <- A      leg READ_SRC, straight into the owner's memory
 *   A <- own      leg WRITE_DST, straight from it; fills likewise, from a
 *                 pattern in the bounce buffer
 *   B <- A        READ_SRC into the bounce buffer, WRITE_DST out of it
 *   A ? B         READ_SRC and READ_DST into the bounce buffer, then compare
 *
 * The engine hands a leg over, waits for a short grace, and polls on when it
 * takes longer. A lane that misses its deadline is killed, and seen to be gone
 * before anything completes. Each bond is in one batch at a time.
 *
 * Shares. A bond that missed a deadline is late for LATE_TIMEOUTS, and so is a
 * batch with it; late ones have max_late of the batches between them. So those
 * whose memory does not answer can hold all of them once, for one timeout, and
 * only as many at a time as there are batches; then the others go on beside them.
 */
#ifndef SVM_BATCH_H
#define SVM_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "svm_eq.h"
#include "svm_lane.h"
#include "svm_xfer.h"

/* Fits L2 with room for the rest; nothing in it outlives its batch. */
#define SVM_BOUNCE_LEN		(256u << 10)
/* Bytes of one leg without a bounce buffer. */
#define SVM_BATCH_BYTES		(4u << 20)

struct svm_engine;

/** A piece of an operation: what one iovec moves. */
struct svm_piece {
	struct svm_op *op;
	uint64_t src, dst;		/* addresses in their spaces */
	uint8_t *src_at, *dst_at;	/* where they are in the owner */
	uint32_t len;
	uint32_t seg, seg_off;		/* the operation's cursor before it */
	uint32_t done;			/* bytes that the legs so far have done */
	uint32_t done_dst;		/* compare: bytes of dst read */
	uint8_t status;
	uint8_t status_dst;
	bool on_dst;			/* the status is about dst */
};

enum svm_batch_state {
	SVM_BATCH_FREE = 0,
	SVM_BATCH_WAIT,			/* for a lane */
	SVM_BATCH_RUNNING,
	SVM_BATCH_KILLING,		/* past its deadline; the lane is not gone yet */
};

enum svm_leg {
	SVM_LEG_READ_SRC,
	SVM_LEG_READ_DST,
	SVM_LEG_WRITE_DST,
	SVM_LEG_END,
};

struct svm_batch {
	enum svm_batch_state state;
	enum svm_leg leg;
	bool compare;
	bool alone;			/* one operation that timed out before */
	bool late;			/* takes a place of those that timed out lately */
	struct svm_eq *q;
	struct svm_bond *src, *dst;	/* NULL: the owner */
	struct svm_lane *lane;
	uint64_t started, deadline;	/* cycles; started: the wait, the leg, or the kill */
	uint32_t extended;		/* deadlines missed for want of a core */
	uint32_t nb_pieces;
	uint32_t bytes, bounce_used;
	uint8_t *bounce;
	struct svm_piece pieces[SVM_XFER_MAX];
	uint16_t piece_of[SVM_XFER_MAX];	/* by transfer of this leg */
	struct svm_xfer xfers[SVM_XFER_MAX];
	struct svm_job job;
};

struct svm_batch_set {
	struct svm_batch *batch;
	uint32_t max, nb;		/* nb: not FREE */
	size_t len;			/* bytes of `batch` */
};

int
svm_batch_set_create(uint32_t max, int numa_node, struct svm_batch_set *set);

void
svm_batch_set_destroy(struct svm_batch_set *set);

/** Start what can be started of a queue's parked operations. */
void
svm_batch_issue(struct svm_engine *engine, struct svm_eq *q);

/** Look after running batches. */
void
svm_batch_poll(struct svm_engine *engine);

/** Give the lanes a moment on this core: nothing else is to be done. */
void
svm_batch_wait(struct svm_engine *engine);

/* ---- svm_leg.c, for svm_batch.c ---- */

enum svm_leg
svm_leg_first(const struct svm_batch *b);

/** The leg after b->leg, or SVM_LEG_END. */
enum svm_leg
svm_leg_next(const struct svm_batch *b);

/** The bond whose memory b->leg reaches. */
struct svm_bond *
svm_leg_bond(const struct svm_batch *b);

/** Describe the leg's transfers in b->job. False: there is nothing to move. */
bool
svm_leg_prepare(struct svm_batch *b);

/** The leg has run: what its transfers did, into the pieces and the counters. */
void
svm_leg_collect(struct svm_engine *engine, struct svm_batch *b);

/* ---- svm_gather.c, for svm_batch.c and svm_op_window.c ---- */

bool
svm_op_is_compare(const struct svm_op *op);

/** Whether a batch of this set uses the bond; the owner (NULL) is never busy. */
bool
svm_batch_bond_busy(const struct svm_batch_set *set, const struct svm_bond *bond);

/** Where an operation goes on: addresses, and the bytes left there; 0 at its end. */
uint32_t
svm_op_cursor(const struct svm_eq *q, const struct svm_op *op, uint64_t *src,
		uint64_t *dst);

/** It goes on behind `len` bytes, of those left at its cursor. */
void
svm_op_advance(const struct svm_eq *q, struct svm_op *op, uint32_t len);

/** The pattern as it goes on `at` bytes into a fill: byte 0 is the lowest. */
uint64_t
svm_op_pattern_at(uint64_t pattern, uint32_t at);

/**
 * Finish a parked operation whose bond or window has ended since, instead of
 * starting it. False: it has not ended.
 */
bool
svm_op_drop_ended(struct svm_engine *engine, struct svm_eq *q, struct svm_op *op);

/**
 * Fill an empty batch with `op` and what goes with it from q's parked ones.
 * Those whose bond or window has ended are finished instead; nb_pieces may stay 0.
 */
void
svm_batch_gather(struct svm_engine *engine, struct svm_batch *b, struct svm_op *op);

#endif /* SVM_BATCH_H */
