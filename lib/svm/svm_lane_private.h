/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the lane files share: code that may run inside a lane, and a lane as
 * its pool sees it.
 *
 * A lane runs in the owner's memory, on the thread-local storage of the thread
 * that made it. Code in it therefore calls no libc (errno, lazy binding,
 * locks), and no compiler may add calls of its own: every function that runs
 * in a lane is SVM_LANE_CODE, and calls only others of that kind.
 */
#ifndef SVM_LANE_PRIVATE_H
#define SVM_LANE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "svm_ident.h"
#include "svm_lane.h"
#include "svm_xfer.h"

#ifndef __has_attribute
#define __has_attribute(x) 0
#endif

#if defined(__clang__)
#if __has_attribute(disable_sanitizer_instrumentation)
#define SVM_LANE_NO_INSTR __attribute__((disable_sanitizer_instrumentation))
#else
#define SVM_LANE_NO_INSTR
#endif
#define SVM_LANE_NO_SANITIZE SVM_LANE_NO_INSTR \
	__attribute__((no_sanitize("address", "undefined", "thread", "memory", "coverage")))
#else
#define SVM_LANE_NO_SANITIZE \
	__attribute__((no_sanitize("address", "undefined", "thread")))
#endif

#if __has_attribute(no_stack_protector)
#define SVM_LANE_NO_CANARY __attribute__((no_stack_protector))
#else
#define SVM_LANE_NO_CANARY
#endif

/** A function that may run inside a lane. */
#define SVM_LANE_CODE SVM_LANE_NO_SANITIZE SVM_LANE_NO_CANARY \
	__attribute__((no_instrument_function))

/** Called directly, not through a PLT that would be bound at the first call. */
#define SVM_LANE_LOCAL __attribute__((visibility("hidden")))

/** A system call that answers -errno and leaves errno alone. */
SVM_LANE_CODE static inline __attribute__((always_inline)) long
svm_lane_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
		: "=a"(ret)
		: "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
		: "+r"(x0)
		: "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
		: "memory");
	return x0;
#else
#error "a lane needs the system call instruction of this architecture"
#endif
}

/* svm_xfer.c */

/**
 * Whether the process and the mm behind two descriptors (either may be -1)
 * are still there: SVM_ST_OK, SVM_ST_BOND_DEAD, or SVM_ST_NO_MEMORY when the
 * kernel could not tell.
 */
SVM_LANE_LOCAL uint8_t
svm_xfer_check(int pidfd, int memfd);

/** Every piece not done yet: TIMEOUT, which is what holds if the lane dies. */
SVM_LANE_LOCAL void
svm_xfer_reset(struct svm_job *job);

/** svm_xfer_run() of a job that has been reset. */
SVM_LANE_LOCAL void
svm_xfer_execute(struct svm_job *job);

/* svm_lane.c */

/** What a new lane does to its own rights. */
struct svm_lane_rights {
	struct svm_cred cred;
	uint64_t caps;		/* permitted and effective, when set_caps */
	uint64_t own_caps;	/* what the lane starts with */
	bool set_ids;		/* uids, gids, groups differ from the owner's */
	bool set_groups;
	bool set_caps;
};

enum svm_lane_place {
	SVM_LANE_AT_START,	/* made, not heard of yet */
	SVM_LANE_AT_REST,	/* idle in the pool */
	SVM_LANE_AT_WORK,	/* with an engine */
	SVM_LANE_AT_END,	/* told to die, waits to be reaped */
};

/**
 * A lane. It lies at the upper end of the mapping that holds its stack; the
 * task itself touches `state`, `waiter`, `job`, `start_err` and nothing else.
 */
struct svm_lane {
	uint32_t state;		/* enum svm_lane_state; also the CLEARTID word */
	uint32_t waiter;	/* 1: somebody may sleep on state */
	struct svm_job *job;	/* handed over by state IDLE -> BUSY */
	int32_t start_err;	/* -errno, valid once state is DEAD */

	/* fixed before the task starts */
	pid_t owner;
	int eventfd;		/* the pool's, for jobs that want it; -1 */
	struct svm_lane_rights rights;

	/* the pool's */
	pid_t tid;
	int pidfd;
	enum svm_lane_place place;
	TAILQ_ENTRY(svm_lane) link;	/* in the list of `place` */
	struct svm_lane *put_next;	/* in the stack of lanes given back */
	uint64_t since_ns;		/* when it came to its place */
	bool killed;			/* its death is no surprise */
	int cpu;			/* the holder's: where it was last told to run, + 1 */
	void *map;
	size_t map_len;
};

/**
 * Start a lane: it is STARTING, then IDLE, or DEAD with start_err.
 *
 * @param cred  Rights to take on; NULL keeps the caller's.
 * @param eventfd  Written after a job that asks for it; -1: none.
 * @param numa_node  Of its stack; -1: any.
 * @return 0, -EPERM the caller cannot take them on, -ENOMEM, -EAGAIN,
 *   -EMFILE and other errors of clone.
 */
SVM_LANE_LOCAL int
svm_lane_start(const struct svm_cred *cred, int eventfd, int numa_node,
		struct svm_lane **lane);

/** SIGKILL, by the pidfd: harmless when the task is gone already. */
SVM_LANE_LOCAL void
svm_lane_signal_kill(const struct svm_lane *lane);

/** Reap a DEAD lane. False: the kernel is not done with it yet. */
SVM_LANE_LOCAL bool
svm_lane_reap(struct svm_lane *lane);

/** Free a reaped lane. */
SVM_LANE_LOCAL void
svm_lane_free(struct svm_lane *lane);

/** CLOCK_MONOTONIC. */
SVM_LANE_LOCAL uint64_t
svm_lane_now_ns(void);

/* svm_lane_pool.c */

/** Statistics: a lane did not come back in time. Any thread. */
SVM_LANE_LOCAL void
svm_lane_pool_count_killed(struct svm_lane_pool *pool);

#endif /* SVM_LANE_PRIVATE_H */
