/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sides of an operation that are windows, from intake to completion. At intake
 * an offset becomes an address, for good; at completion an address that the
 * worker is told becomes an offset again. In between a window is in use.
 *
 * Only operations of workers' queues have any; the others never come here.
 */
#ifndef SVM_OP_WINDOW_H
#define SVM_OP_WINDOW_H

#include "svm_engine.h"

/**
 * Resolve a side whose space is of the kind SVM_SPACE_WINDOW. The operation and
 * its segments have passed every other check.
 *
 * @param side    SVM_OP_WINDOW_SRC or SVM_OP_WINDOW_DST.
 * @param status  Out, unless it is OK: BAD_SPACE, BAD_LEN, BOND_DEAD.
 * @return the target bond, taken; NULL: the owner, or see status
 */
struct svm_bond *
svm_op_window_resolve(struct svm_engine *engine, struct svm_eq *q, struct svm_op *op,
		uint8_t side, uint8_t *status);

/** Whether an operation's windows still let it start: OK, BAD_SPACE, BOND_DEAD. */
uint8_t
svm_op_windows_check(const struct svm_engine *engine, const struct svm_eq *q,
		const struct svm_op *op);

/**
 * Go on with a parked operation whose sides are both the owner's, a bounded
 * piece; a long one takes several turns, and ends when a window does.
 *
 * @return bytes that it took
 */
uint32_t
svm_op_window_slice(struct svm_engine *engine, struct svm_eq *q, struct svm_op *op);

/** The operation has ended: its fault address, and its windows' uses. */
void
svm_op_windows_put(struct svm_engine *engine, struct svm_op *op);

#endif /* SVM_OP_WINDOW_H */
