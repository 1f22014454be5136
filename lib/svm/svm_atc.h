/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The translation cache of one bond: which ranges of its process are mapped here,
 * too, and where. What is in it is reached by a plain copy (the alias tier); what
 * is not, or only in part, goes the other way (CMA). So a range may leave it at
 * any time, more of it than was asked for even, and nothing is lost but speed.
 *
 *   svm_atc_map()     the pages of a file that cannot shrink, mapped here
 *   svm_atc_find()    the engines: address -> pointer, without a lock
 *   svm_atc_unmap()   a range of the process means something else from now on
 *
 * Unmapping waits for nobody. The range leaves the table, so that no copy finds it
 * any more; then its pages here are replaced by ones that nobody may touch, so that
 * a copy under way stops where it is: that copy faults, in svm_copy(), and its
 * operation goes on by the other tier. Only the addresses stay taken until each
 * reader that may have seen them has left, and are let go of by a later call.
 *
 * A reader is inside between svm_atc_enter() and svm_atc_leave(), for a burst of
 * copies. Edges A1 to A4 are in doc/ordering.md.
 *
 * Lock order: an atc's lock is a leaf.
 */
#ifndef SVM_ATC_H
#define SVM_ATC_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "svm_nospec.h"

/** Ranges of one bond, and mappings of one bond whose addresses are still taken. */
#define SVM_ATC_RANGES		128u
/** What the kernel is asked to have in place at once; the rest comes with its first copy. */
#define SVM_ATC_POPULATE	(64u << 20)
/** Addresses that one bond may take here. */
#define SVM_ATC_BYTES		(UINT64_C(1) << 40)

#define SVM_ATC_READ		0x1u
#define SVM_ATC_WRITE		0x2u

/** Ranges of all bonds of a device: each may take two of the process's mappings. */
struct svm_atc_quota {
	uint32_t max;
	uint32_t nb;			/* atomic */
};

/** The range that a reader found last, its own copy. Zeroed: none. */
struct svm_atc_hit {
	uint64_t seq;			/* of the table it was read from */
	uint64_t va, len;
	uint8_t *host;
	uint32_t rights;
};

struct svm_atc_table;

/* What readers look at; the rest is svm_atc_private.h's. */
struct svm_atc {
	/* Even: the table stands still. Never the same for two states of any tables, so
	 * that it says whose a hit is, too. Atomic. */
	uint64_t seq;
	uint32_t turn;			/* atomic: which count a reader enters, 0 or 1 */
	uint32_t nb;			/* atomic: ranges */
	uint64_t seen_until;		/* atomic: TSC */
	uint32_t used;			/* atomic: by a copy since the last look */
	int kick;			/* atomic: eventfd of whoever looks; -1: nobody */
	struct svm_atc_table *table;
	/* Readers inside, by `turn` as they entered; atomic. */
	uint32_t inside[2] __rte_cache_aligned;
};

/**
 * Make an empty one.
 *
 * @param quota  Lives longer.
 * @return 0, -ENOMEM.
 */
int
svm_atc_create(struct svm_atc_quota *quota, struct svm_atc **atc);

/** Unmap all and free it. No reader is inside, nor comes any more. NULL: nothing. */
void
svm_atc_destroy(struct svm_atc *atc);

/**
 * Map a part of a file that stands at `va` in the process. A refused call leaves no
 * trace. Any thread; it asks the kernel for pages, which takes some ms at the most.
 *
 * @param va      In the process; a multiple of the file's page size.
 * @param len     Bytes, 1 or more, a multiple of that, too.
 * @param fd      A memfd, of hugetlbfs pages or others, with F_SEAL_SHRINK. Stays the
 *                caller's, who may close it.
 * @param off     Where it begins in the file; a multiple again.
 * @param rights  SVM_ATC_READ, SVM_ATC_WRITE: what the process itself may do there.
 * @return 0;
 *   -EINVAL: not a multiple, or no bytes, the range wraps or is no process's, no right or
 *   an unknown one, or the file ends before off + len;
 *   -EPERM: no memfd with F_SEAL_SHRINK: it could be truncated under a copy;
 *   -EACCES: the descriptor does not give these rights, or a seal forbids them;
 *   -EEXIST: a part of the range is mapped: unmap it first;
 *   -ENOSPC: too many ranges or bytes, of the bond or of the device; those that were
 *   unmapped a moment ago count until their readers have left;
 *   -EAGAIN: a pause does not end;
 *   -ENOMEM.
 */
int
svm_atc_map(struct svm_atc *atc, uint64_t va, uint64_t len, int fd, uint64_t off,
		uint32_t rights);

/**
 * Forget a range: what of it is mapped. Once it has returned, no copy touches its
 * pages here. Neighbours may go as well, to the size of a page of the file, or for want
 * of memory. Any thread; it neither waits for readers nor allocates.
 *
 * @param va   Anything.
 * @param len  Bytes; what lies beyond the end of memory is left out.
 * @return whether anything of it was mapped
 */
bool
svm_atc_unmap(struct svm_atc *atc, uint64_t va, uint64_t len);

/**
 * Have no range found until svm_atc_resume(), and wait until no copy is under way that
 * found one. Those that take more than some ms lose all ranges instead, for good. Any
 * thread, one at a time.
 */
void
svm_atc_pause(struct svm_atc *atc);

void
svm_atc_resume(struct svm_atc *atc);

/** Bytes that are mapped now. Any thread. */
uint64_t
svm_atc_bytes(struct svm_atc *atc);

/*
 * What the ranges are worth depends on the process being the one that had them
 * mapped: an exec says nothing. So they hold for SVM_ATC_SEEN_US from when somebody has
 * seen that the process has its memory still; later they are not looked at, and what
 * goes by CMA instead sees just that.
 */
#define SVM_ATC_SEEN_US		8000u

/** The process had its memory at `when` (TSC) or later. Any thread. */
void
svm_atc_saw(struct svm_atc *atc, uint64_t when);

/** Whoever looks: an eventfd that wakes them. Any thread. */
void
svm_atc_kick_set(struct svm_atc *atc, int eventfd);

/** Copies will be made: have somebody look, from now on. Any thread; a system call. */
void
svm_atc_kick(struct svm_atc *atc);

/** Whether copies were made since this was asked last. For whoever looks. */
bool
svm_atc_used(struct svm_atc *atc);

/** A copy is about to be made. */
static inline void
svm_atc_use(struct svm_atc *atc)
{
	/* Relaxed: information. Not written each time: others read the line. */
	if (unlikely(__atomic_load_n(&atc->used, __ATOMIC_RELAXED) == 0))
		__atomic_store_n(&atc->used, 1, __ATOMIC_RELAXED);
}

/** Whether ranges may be used at `now` (TSC). */
static inline bool
svm_atc_seen(const struct svm_atc *atc, uint64_t now)
{
	/* Relaxed: a time. What it stands for cannot come back. */
	return (int64_t)(__atomic_load_n(&atc->seen_until, __ATOMIC_RELAXED) - now) > 0;
}

/**
 * Enter as a reader, of any thread; what svm_atc_find() gives from here on may be used
 * until svm_atc_leave(): it points to the pages, or to ones that fault.
 *
 * @return for svm_atc_leave()
 */
static inline uint32_t
svm_atc_enter(struct svm_atc *atc)
{
	/* Relaxed: either count is right, one is waited for less long. */
	const uint32_t turn = __atomic_load_n(&atc->turn, __ATOMIC_RELAXED) & 1;

	__atomic_fetch_add(&atc->inside[turn], 1, __ATOMIC_SEQ_CST);	/* A1 */
	return turn;
}

static inline void
svm_atc_leave(struct svm_atc *atc, uint32_t turn)
{
	__atomic_fetch_sub(&atc->inside[turn], 1, __ATOMIC_RELEASE);	/* A3 */
}

/** As svm_atc_find(), when the hit does not hold. svm_atc.c. */
uint8_t *
svm_atc_find_slow(const struct svm_atc *atc, struct svm_atc_hit *hit, uint64_t va,
		uint64_t len, uint32_t right);

/**
 * Where [va, va + len) stands here, if all of it lies in one range that gives the
 * right. The caller is inside.
 *
 * @param hit    The caller's own: what it found last, in this table or in another.
 * @param len    Bytes, 1 or more; va + len does not wrap.
 * @param right  SVM_ATC_READ or SVM_ATC_WRITE.
 * @return NULL: it is not, or the table is changing.
 */
static inline uint8_t *
svm_atc_find(const struct svm_atc *atc, struct svm_atc_hit *hit, uint64_t va, uint64_t len,
		uint32_t right)
{
	const uint64_t off = va - hit->va;

	/* seq_cst: behind A1, before A2. */
	if (unlikely(__atomic_load_n(&atc->seq, __ATOMIC_SEQ_CST) != hit->seq ||
			off >= hit->len || len > hit->len - off ||
			(hit->rights & right) == 0))
		return svm_atc_find_slow(atc, hit, va, len, right);
	return hit->host + (off & svm_nospec_mask(off, hit->len) &
		svm_nospec_mask(len - 1, hit->len - off));
}

/** How many bytes from va on svm_atc_find() would give, at least; 0: none. For a reader. */
uint64_t
svm_atc_reach(const struct svm_atc *atc, struct svm_atc_hit *hit, uint64_t va,
		uint32_t right);

#endif /* SVM_ATC_H */
