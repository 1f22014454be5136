/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations whose foreign sides are mapped in the owner, too: the alias tier. It
 * moves what it can and leaves the rest to CMA, which alone says that memory is not
 * there: a copy here that faults on a worker's side goes on there, at that byte.
 */
#ifndef SVM_ALIAS_H
#define SVM_ALIAS_H

#include "svm_atc.h"
#include "svm_bond.h"

/* A piece of an operation: a multiple of 8, as patterns are. */
#define SVM_ALIAS_SLICE		(256u << 10)

/** What a reader holds of the ranges of an operation's two sides. */
struct svm_alias_view {
	struct svm_atc *src, *dst;	/* NULL: the owner's memory */
	uint32_t src_turn, dst_turn;
};

struct svm_engine;
struct svm_eq;
struct svm_op;

/**
 * Enter the tables of both sides; NULL: the owner. The caller holds the bonds.
 *
 * @return whether both can be looked at now: they have ranges, and the process was
 *   seen not long ago.
 */
bool
svm_alias_enter(struct svm_alias_view *view, const struct svm_bond *src,
		const struct svm_bond *dst);

void
svm_alias_leave(const struct svm_alias_view *view);

/** Whether a bond has, or had, any range. A hint. */
static inline bool
svm_alias_maybe(const struct svm_bond *bond)
{
	/* Relaxed: svm_alias_enter() looks again. */
	return __atomic_load_n(&bond->atc, __ATOMIC_RELAXED) != NULL;
}

/**
 * Go on with a parked operation, a bounded piece. When it ends by that, it is parked
 * no more.
 *
 * @param bytes  In and out: grows by what was done.
 * @return false: not here; what is left of it is CMA's, at its cursor
 */
bool
svm_alias_step(struct svm_engine *engine, struct svm_eq *q, struct svm_op *op,
		uint32_t *bytes);

#endif /* SVM_ALIAS_H */
