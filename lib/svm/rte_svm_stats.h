/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Fault records and counters. Part of rte_svm.h, which includes it; words, errors
 * and threads are as there.
 *
 * A fault is the record of an operation that ended because of the memory it
 * named (PAGE_FAULT, DENIED, TIMEOUT), whoever submitted it; the operation's own
 * result says so, too. The counters are a device's, workers' queues included.
 */
#ifndef RTE_SVM_STATS_H
#define RTE_SVM_STATS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An unrecoverable fault, as rte_svm_fault_poll() reports it. */
struct rte_svm_fault {
	uint64_t bond;		/**< bond of the address; RTE_SVM_OWNER for the owner's */
	uint64_t addr;		/**< first address not done */
	uint64_t cookie;	/**< of the operation */
	uint32_t pasid;		/**< of the bond */
	uint8_t write;		/**< 1: a store */
	uint8_t status;		/**< enum rte_svm_status */
};

/** Counters of a device, since it was made or reset. */
struct rte_svm_stats {
	uint64_t ops;		/**< operations completed, whatever the status */
	uint64_t errors;	/**< of these, not RTE_SVM_ST_OK */
	uint64_t bytes;		/**< bytes copied and filled */
	uint64_t moves;		/**< pieces moved: 1 for a plain copy, n for n segments */
	uint64_t faults;	/**< fault records posted */
	uint64_t faults_lost;	/**< of these, dropped because nobody polled */
	uint64_t timeouts;	/**< operations that ended with RTE_SVM_ST_TIMEOUT */
	uint64_t cma_batches;	/**< groups handed to a lane, or run inline */
	uint64_t cma_calls;	/**< process_vm_* calls made */
	uint64_t cma_pieces;	/**< pieces these calls carried */
	uint64_t alias_ops;	/**< operations that ended on memory mapped here as well */
	uint64_t alias_bytes;	/**< bytes moved there */
	uint64_t atc_hits;	/**< pieces of operations found there */
	uint64_t atc_misses;	/**< not found: sides that share some memory, but not this */
	uint64_t lanes_made;	/**< tasks made for foreign memory */
	uint64_t lanes_killed;	/**< because they did not come back in time */
	uint64_t binds_refused;	/**< that workers asked for; the log has one a second of each user */
};

/**
 * Take fault records, oldest first. Never waits; one thread at a time.
 * Records are dropped, and counted, when 1,024 are waiting.
 *
 * @return
 *   How many records were stored, 0 to n; -ENODEV.
 */
int
rte_svm_fault_poll(uint16_t dev_id, struct rte_svm_fault *faults, uint32_t n);

/** Counters of a device. Any thread. @return 0, -ENODEV, -EINVAL. */
int
rte_svm_stats_get(uint16_t dev_id, struct rte_svm_stats *stats);

/** Set the counters of a device to 0. Any thread. @return 0, -ENODEV. */
int
rte_svm_stats_reset(uint16_t dev_id);

#ifdef __cplusplus
}
#endif

#endif /* RTE_SVM_STATS_H */
