/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Operations and their results, of rte_svm_submit() and rte_svm_poll().
 * rte_svm.h includes it and says how they are used.
 */
#ifndef RTE_SVM_OP_H
#define RTE_SVM_OP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Operations. */
enum rte_svm_opcode {
	RTE_SVM_OP_NOP = 0,		/**< nothing, but completes in its turn */
	RTE_SVM_OP_COPY = 1,		/**< src -> dst; they must not overlap */
	RTE_SVM_OP_COPY_SG = 2,		/**< segs[0..nb_segs), one result for all */
	RTE_SVM_OP_FILL = 3,		/**< pattern, every 8 bytes -> dst */
	RTE_SVM_OP_COMPARE = 4,		/**< src against dst */
	RTE_SVM_OP_COMPARE_PATTERN = 5,	/**< src against pattern */
};

/**
 * Start only when every operation before it in the queue has ended, whatever its
 * status: it runs also after one that failed. A flag that must not follow data
 * which did not arrive is submitted after the result of the data.
 */
#define RTE_SVM_OP_F_FENCE	0x01

/** One piece of RTE_SVM_OP_COPY_SG. */
struct rte_svm_seg {
	uint64_t src;		/**< address in the operation's src_bond */
	uint64_t dst;		/**< address in its dst_bond */
	uint32_t len;		/**< bytes, 1 to RTE_SVM_LEN_MAX */
};

/** One operation for rte_svm_submit(). Fields it does not use are ignored. */
struct rte_svm_op {
	enum rte_svm_opcode op;	/**< what to do */
	uint32_t flags;		/**< RTE_SVM_OP_F_* */
	uint64_t src;		/**< address in src_bond */
	uint64_t dst;		/**< address in dst_bond */
	uint64_t src_bond;	/**< RTE_SVM_OWNER, or a bond */
	uint64_t dst_bond;	/**< likewise */
	uint32_t len;		/**< bytes, 1 to RTE_SVM_LEN_MAX */
	uint32_t nb_segs;	/**< 1 to RTE_SVM_SG_MAX */
	const struct rte_svm_seg *segs;	/**< read during the call only */
	/** FILL and COMPARE_PATTERN: byte i of the range is byte i % 8 of it in memory. */
	uint64_t pattern;
	uint64_t cookie;	/**< comes back in the result and in fault records */
};

/** How an operation ended. */
enum rte_svm_status {
	RTE_SVM_ST_OK = 0,		/**< all of it is done */
	RTE_SVM_ST_PAGE_FAULT = 1,	/**< fault_addr does not resolve */
	RTE_SVM_ST_MISMATCH = 2,	/**< compare: differs at src address fault_addr */
	RTE_SVM_ST_BAD_OP = 3,		/**< no such opcode */
	RTE_SVM_ST_BAD_DESC = 4,	/**< an unknown flag */
	RTE_SVM_ST_BAD_LEN = 5,		/**< 0, too long, it wraps, or leaves its window */
	RTE_SVM_ST_BAD_SPACE = 6,	/**< a bond or window never given, or no right to it */
	RTE_SVM_ST_BOND_DEAD = 7,	/**< the process exited, called exec, or was unbound */
	RTE_SVM_ST_DENIED = 8,		/**< the kernel refused the access */
	/** The memory did not answer in timeout_us; `done` counts what is known. */
	RTE_SVM_ST_TIMEOUT = 9,
	RTE_SVM_ST_ABORTED = 10,	/**< its queue was closed, or the device removed, first */
	RTE_SVM_ST_NO_MEMORY = 11,	/**< the engine ran out of it */
};

/** One completion. */
struct rte_svm_result {
	uint64_t cookie;	/**< of the operation */
	/**
	 * First address not done, with PAGE_FAULT, MISMATCH, DENIED and TIMEOUT.
	 * 0 when OK; with any other status no address is to blame, do not use it.
	 */
	uint64_t fault_addr;
	uint32_t done;		/**< bytes done, exact; compare: bytes equal */
	enum rte_svm_status status;	/**< how it ended */
};

#ifdef __cplusplus
}
#endif

#endif /* RTE_SVM_OP_H */
