/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transfer job: pieces of one other process's memory, read or written by
 * process_vm_readv/writev in as few calls as the kernel allows.
 *
 * A job runs to its end in svm_xfer_run(), either in the caller (cma=inline)
 * or in a lane (svm_lane.h). It uses raw system calls only: a lane shares the
 * owner's memory but has no thread-local storage of its own.
 */
#ifndef SVM_XFER_H
#define SVM_XFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Pieces in one job: FACTS says 256 to 512 iovecs a call are best. */
#define SVM_XFER_MAX	256u

/** One piece. len > 0; neither address wraps. */
struct svm_xfer {
	uint64_t remote;	/**< address in the worker */
	uint8_t *local;		/**< address in the owner */
	uint32_t len;
	/**
	 * Pieces of one operation carry the same tag, and stand together: after
	 * a piece falls short, the rest of its tag is skipped (done 0).
	 */
	uint32_t tag;
	/* results */
	uint32_t done;		/**< bytes done, exact */
	/**
	 * SVM_ST_OK; PAGE_FAULT: at remote + done, or at local + done, the
	 * kernel does not tell; DENIED; BOND_DEAD; NO_MEMORY; ABORTED: skipped;
	 * TIMEOUT: the lane ended before this piece did.
	 */
	uint8_t status;
};

/** A job. The engine owns it before submit and after done, the lane between. */
struct svm_job {
	pid_t pid;
	int pidfd;		/**< names the process; -1 where the kernel has none */
	int memfd;		/**< /proc/PID/mem, tied to the mm; -1: no check */
	bool write;		/**< into the worker */
	bool announce;		/**< a lane writes the pool's eventfd when it has ended */
	uint32_t nb;
	struct svm_xfer *xfer;
	/**
	 * If not NULL: read proof_len bytes at proof_addr through memfd, too,
	 * after the pieces and before the second check: they are then the mm's.
	 */
	uint8_t *proof;
	uint64_t proof_addr;
	uint32_t proof_len;
	/* results */
	int32_t proof_done;	/**< bytes read, or -errno */
	uint32_t nb_calls;	/**< process_vm_* calls made */
	uint32_t nb_iov;	/**< remote iovecs after merging */
	/* scratch, private to the run */
	struct iovec remote_iov[SVM_XFER_MAX];
	struct iovec local_iov[SVM_XFER_MAX];
};

/**
 * Run a job to its end: check that the process still is the mm that was
 * bound, move, check again. When a check fails every piece ends as BOND_DEAD
 * with done 0, though bytes may have moved: nobody can say whose they were.
 * Neighbours that touch are merged; a fault in one piece fails only that
 * piece (and the rest of its tag). DENIED and BOND_DEAD out of a call hold for
 * all that was left; pieces before keep what they have.
 *
 * The number of calls is bounded by a small multiple of nb, whatever the
 * worker does to its mappings meanwhile.
 *
 * May block on memory whose faults the worker handles itself.
 */
void
svm_xfer_run(struct svm_job *job);

#endif /* SVM_XFER_H */
