/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An errand: a call that may never come back, in a thread of its own. Whoever
 * sent it looks or waits for it, and leaves it to itself when it takes too
 * long: a thread in the kernel cannot be ended.
 *
 * Whose fault that would be, a user, is said at the start: errands under way
 * or left are shared among users (svm_share.h), over all devices.
 */
#ifndef SVM_ERRAND_H
#define SVM_ERRAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct svm_errand;

/** What to do; and what to do with the argument of an errand that was left. */
struct svm_errand_call {
	void (*run)(void *arg);
	void (*drop)(void *arg);	/**< in the errand's thread, after run() */
	void *arg;
	uid_t who;		/**< whose fault it is if run() does not come back */
	int eventfd;		/**< written when run() is through; -1: none */
};

/**
 * Start an errand. It takes no signal.
 *
 * @return 0; -EBUSY: `who`, or all together, have too many; -ENOMEM; -EAGAIN
 *   no thread.
 */
int
svm_errand_start(const struct svm_errand_call *call, struct svm_errand **errand);

/**
 * Wait for an errand, 0 us: look.
 *
 * @return true: run() is through, the errand is gone, its argument is the
 *   caller's again. false: not yet.
 */
bool
svm_errand_wait(struct svm_errand *errand, uint32_t us);

/** Leave it to itself: the eventfd is not written any more, the argument goes to drop(). */
void
svm_errand_leave(struct svm_errand *errand);

#endif /* SVM_ERRAND_H */
