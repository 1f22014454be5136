/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Windows: a piece of one address space that the owner lets one worker use.
 * Part of rte_svm.h, which includes it; words, errors and threads are as there.
 *
 * @code
 *   const struct rte_svm_window_conf conf = {
 *           .grantee = reader, .target = writer, .base = buffer, .len = 65536,
 *           .rights = RTE_SVM_WINDOW_READ, .user = 7,
 *   };
 *   rte_svm_window_grant(dev, &conf, &window);
 *   ...                                 the reader copies out of the writer
 *   rte_svm_window_revoke(dev, window); nothing goes through it any more
 * @endcode
 *
 * The worker that was granted it, the *grantee*, finds it with
 * svm_worker_window_list() and puts its id and an offset into operations of its
 * own queues, in place of an address. It never sees an address of the target's:
 * results carry offsets. Both sides of an operation may be windows, so a worker
 * can also move data between two others.
 *
 * Rights. What an operation reads needs #RTE_SVM_WINDOW_READ (both sides of a
 * compare), what it writes #RTE_SVM_WINDOW_WRITE. The target's own protection
 * holds as well: memory that the target could not write, nobody writes.
 *
 * What an operation gets that may not go through a window, with `done` 0 and
 * nothing moved:
 *
 * | status    | because                                                        |
 * |-----------|----------------------------------------------------------------|
 * | BAD_SPACE | no window of this worker's has this id, it was revoked, or it  |
 * |           | lacks the right                                                |
 * | BAD_LEN   | the range, or one of its segments, is not within the window    |
 * | BOND_DEAD | the grantee's bond or the target's has ended                   |
 *
 * A range that leaves the window is BAD_LEN and not PAGE_FAULT: nothing was
 * tried, there is no fault record, and no address in the window is to blame.
 * PAGE_FAULT is what the target's memory itself answers; `fault_addr` is then
 * an offset for the worker, and the real address in rte_svm_fault_poll().
 *
 * A window ends when it is revoked, or with either of its bonds. Its id is not
 * given to another window until 16,383 windows have had the same place in the
 * table, and a place that becomes free is the last of the free ones to be used.
 */
#ifndef RTE_SVM_WINDOW_H
#define RTE_SVM_WINDOW_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The grantee may read through the window. */
#define RTE_SVM_WINDOW_READ	0x1u
/** The grantee may write through the window. */
#define RTE_SVM_WINDOW_WRITE	0x2u
/** Windows that a device may have at a time. */
#define RTE_SVM_WINDOWS_MAX	65536u

/** What a window is to be. */
struct rte_svm_window_conf {
	uint64_t grantee;	/**< the bond that may use it */
	uint64_t target;	/**< the bond whose memory it is, or RTE_SVM_OWNER */
	uint64_t base;		/**< first address, in the target */
	uint64_t len;		/**< bytes, 1 or more; base + len must not wrap */
	uint64_t user;		/**< told to the grantee, to know the window by */
	uint32_t rights;	/**< RTE_SVM_WINDOW_READ, WRITE, or both */
};

/** What rte_svm_window_info_get() tells. */
struct rte_svm_window_info {
	struct rte_svm_window_conf conf;	/**< as it was granted */
	uint32_t window;	/**< its id */
	uint8_t closed;		/**< 1: revoked, but something in flight uses it yet */
};

/**
 * Grant a window. Any thread.
 *
 * The memory itself is not looked at: it may be mapped later, or never.
 *
 * @param conf
 *   Read during the call only. Grantee and target may be the same bond.
 * @param window
 *   Out: its id, never 0.
 * @return
 *   0; -ENODEV; -EINVAL: an argument is NULL, len is 0 or base + len wraps,
 *   rights are none or unknown ones, or the grantee is RTE_SVM_OWNER, which
 *   needs none; -ENOENT: the grantee or the target is no bond, or is dead, or
 *   draining; -ENOSPC: the device has RTE_SVM_WINDOWS_MAX windows.
 */
int
rte_svm_window_grant(uint16_t dev_id, const struct rte_svm_window_conf *conf,
		uint32_t *window);

/**
 * Take a window back. It is closed at once; the call returns 0 when no copy
 * uses it any more, so that nothing touches the target's memory through it
 * afterwards. Operations that were waiting end as BAD_SPACE. The wait is
 * bounded as that of rte_svm_unbind(). Any thread, but the one that has to run
 * an inline engine or a service meanwhile.
 *
 * @return
 *   0; -ENODEV; -ENOENT: no such window: never granted, or taken back, or
 *   ended with a bond; -EBUSY: something in flight could not be ended in time:
 *   the window stays closed, call again.
 */
int
rte_svm_window_revoke(uint16_t dev_id, uint32_t window);

/**
 * Describe a window. Any thread.
 *
 * @return
 *   0; -ENODEV; -EINVAL: info is NULL; -ENOENT: no such window.
 */
int
rte_svm_window_info_get(uint16_t dev_id, uint32_t window, struct rte_svm_window_info *info);

/**
 * List windows. Any thread.
 *
 * @param grantee
 *   List those granted to this bond, oldest first; RTE_SVM_OWNER: all of the
 *   device, in no order.
 * @param windows
 *   Out: at most n ids. May be NULL when n is 0.
 * @return
 *   How many windows there are, more than n perhaps; -ENODEV.
 */
int
rte_svm_window_list(uint16_t dev_id, uint64_t grantee, uint32_t *windows, uint32_t n);

#ifdef __cplusplus
}
#endif

#endif /* RTE_SVM_WINDOW_H */
