/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/*
 * The queue pair between whoever submits (a worker, the owner) and whoever
 * executes (the software engine, the kernel device). This is the only
 * definition of it; both libraries and the kernel include this file.
 *
 *   offset 0        struct svm_queue_hdr          one page
 *   sq_off          struct svm_desc[depth]        submission ring, 64 B a slot
 *   cq_off          struct svm_cpl[depth]         completion ring, 16 B a slot
 *   sg_off          struct svm_seg[depth][SVM_SG_MAX]   one row a slot
 *
 * Counters run freely from 0 and are compared by unsigned difference; a slot
 * is counter & (depth - 1), depth a power of two.
 *
 * Submission. The producer fills a slot and then stores the slot's mark, the
 * low 32 bits of (counter + 1), in desc.seq with release order; that store
 * hands the slot over. The consumer polls the mark of the one slot it waits
 * for (acquire), so a descriptor costs one cache line and no shared index.
 * With several producers each claims n counters at once (sq_tail, a plain
 * fetch-and-add of its own side) and marks its slots in any order; a claimed
 * slot that is never marked stalls this queue alone.
 *
 * Completion. One for each descriptor, in submission order: slot n of the
 * completion ring answers descriptor n. `phase` is written last (release) and
 * is 1 on even laps of the ring, 0 on odd ones, so that fresh zeroed memory
 * holds no completion. It gives the slot back to the producer: with depth
 * completions outstanding there is nowhere to submit to.
 *
 * Scatter-gather. Slot n's segments stand in row n of the segment table and
 * are handed over with the slot: one id, one completion, one unit of room.
 *
 * The peer is hostile: the consumer copies a slot out once, checks the copy,
 * and takes sizes only from its own records, never from the header.
 */
#ifndef SVM_ABI_H
#define SVM_ABI_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/build_bug.h>
#else
#include <linux/types.h>
#endif

#define SVM_ABI_MAGIC		0x514d5653u	/* "SVMQ", little endian */
#define SVM_ABI_VERSION		1u

#define SVM_DEPTH_MIN		32u
#define SVM_DEPTH_MAX		32768u
/** Segments a scatter-gather descriptor may have. */
#define SVM_SG_MAX		16u
/** Bytes that one descriptor may move. */
#define SVM_LEN_MAX		0x40000000u

/* What svm_desc.op may be; every other value completes as BAD_OP. */
#define SVM_OP_NOP		0	/**< does nothing, completes in its turn */
#define SVM_OP_COPY		1	/**< src -> dst, len bytes */
#define SVM_OP_COPY_SG		2	/**< len = number of segments in the row */
#define SVM_OP_FILL		3	/**< pattern, repeated every 8 bytes -> dst */
#define SVM_OP_COMPARE		4	/**< src against dst */
#define SVM_OP_COMPARE_PATTERN	5	/**< src against pattern */
#define SVM_OP_COUNT		6

/* svm_desc.flags; unknown bits complete as BAD_DESC. */
#define SVM_F_FENCE		0x01	/**< start only when all before it are done */
#define SVM_F_ALL		SVM_F_FENCE

/* Spaces: which address space an address belongs to. */
#define SVM_SPACE_KIND_SHIFT	30
#define SVM_SPACE_ID_MASK	0x3fffffffu
#define SVM_SPACE_PASID		0u	/**< id is a PASID; 0 is the owner itself */
#define SVM_SPACE_WINDOW	1u	/**< id is a window, the address an offset */
#define SVM_SPACE_SELF		2u	/**< the bond the queue belongs to; id is 0 */
#define SVM_SPACE_NONE		3u	/**< names nothing; refused. id SVM_ST_BOND_DEAD:
					 *   a bond that was given back, else BAD_SPACE */
#define SVM_SPACE(kind, id) \
	(((__u32)(kind) << SVM_SPACE_KIND_SHIFT) | ((__u32)(id) & SVM_SPACE_ID_MASK))

#define SVM_PASID_MAX		0xfffffu	/* 20 bits on the wire */

/** One order. Reserved fields are 0; fields an operation does not use are ignored. */
struct svm_desc {
	__u8  op;		/**< SVM_OP_* */
	__u8  flags;		/**< SVM_F_* */
	__u16 reserved0;
	__u32 len;		/**< bytes, or segments for COPY_SG */
	__u64 src;
	__u64 dst;
	__u32 src_space;	/**< SVM_SPACE() */
	__u32 dst_space;
	__u64 cookie;		/**< comes back in page requests and fault records */
	__u64 pattern;		/**< FILL, COMPARE_PATTERN */
	__u32 seq;		/**< the mark, stored last */
	__u32 reserved1[3];
};

/** One piece of a scatter-gather descriptor. */
struct svm_seg {
	__u64 src;
	__u64 dst;
	__u32 len;
	__u32 reserved[3];
};

/* svm_cpl.status */
#define SVM_ST_OK		0
#define SVM_ST_PAGE_FAULT	1	/**< an address that does not resolve */
#define SVM_ST_MISMATCH		2	/**< COMPARE*: differs at fault_addr */
#define SVM_ST_BAD_OP		3
#define SVM_ST_BAD_DESC		4	/**< unknown flag, reserved field not 0 */
#define SVM_ST_BAD_LEN		5	/**< 0, over SVM_LEN_MAX, it wraps, or leaves its window */
#define SVM_ST_BAD_SPACE	6	/**< no such bond or window, or not allowed */
#define SVM_ST_BOND_DEAD	7	/**< the bond's process is gone, or unbound */
#define SVM_ST_DENIED		8	/**< the kernel's ptrace check says no */
#define SVM_ST_TIMEOUT		9	/**< memory that does not answer */
#define SVM_ST_ABORTED		10	/**< queue or device stopped before it ran */
#define SVM_ST_NO_MEMORY	11	/**< the engine ran out of something */

/** The result of one descriptor. */
struct svm_cpl {
	__u64 fault_addr;	/**< first address not done, in a window its offset;
				 *   0: OK, or none is to blame */
	__u32 done;		/**< bytes done, exact; COMPARE: bytes found equal */
	__u16 id;		/**< low 16 bits of the descriptor's counter */
	__u8  status;		/**< SVM_ST_* */
	__u8  phase;		/**< stored last, together with the 7 bytes before */
};

/* svm_queue_hdr.features */
#define SVM_QF_MULTI_PRODUCER	0x1u	/**< several threads submit */
#define SVM_QF_MAY_SLEEP	0x2u	/**< look at need_wakeup after submitting */

/* svm_queue_hdr.state */
#define SVM_QS_RUNNING		0u
#define SVM_QS_STOPPED		1u	/**< the consumer closed it; nothing runs any more */
#define SVM_QS_BROKEN		2u	/**< the consumer gave it up: see error */

/** First page of a queue. Each 64-byte block has one writer. */
struct svm_queue_hdr {
	/* written once by whoever makes the queue */
	__u32 magic;
	__u32 version;
	__u32 hdr_len;
	__u32 features;		/**< SVM_QF_* */
	__u32 depth;		/**< slots, a power of two */
	__u32 desc_size;
	__u32 cpl_size;
	__u32 sg_max;
	__u64 sq_off;
	__u64 cq_off;
	__u64 sg_off;
	__u64 size;		/**< bytes of the whole mapping */

	/* written by the producers */
	__u32 sq_tail;		/**< counters claimed so far */
	__u32 pad0[15];

	/* written by the consumer, rarely: producers read it at each submit */
	__u32 state;		/**< SVM_QS_* */
	__s32 error;		/**< -errno that says why it is BROKEN */
	__u32 need_wakeup;	/**< 1: the consumer sleeps, ring the doorbell */
	__u32 pad1[13];

	/* written by the consumer, once a burst; for whoever looks at the fill level */
	__u32 sq_head;		/**< descriptors taken so far */
	__u32 pad2[15];
};

#ifdef __KERNEL__
#define SVM_ABI_ASSERT(cond, what) static_assert(cond, what)
#elif defined(__cplusplus)
#define SVM_ABI_ASSERT(cond, what) static_assert(cond, what)
#else
#define SVM_ABI_ASSERT(cond, what) _Static_assert(cond, what)
#endif
SVM_ABI_ASSERT(sizeof(struct svm_desc) == 64, "a descriptor is one cache line");
SVM_ABI_ASSERT(sizeof(struct svm_seg) == 32, "two segments a cache line");
SVM_ABI_ASSERT(sizeof(struct svm_cpl) == 16, "four completions a cache line");
SVM_ABI_ASSERT(sizeof(struct svm_queue_hdr) == 256, "four cache lines");

#endif /* SVM_ABI_H */
