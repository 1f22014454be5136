/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes: where work that may block runs, apart from the poll loop.
 *
 * process_vm_readv() can wait for ever on memory whose faults the worker
 * handles itself. A lane is therefore a task of its own (clone(CLONE_VM |
 * CLONE_FILES), no thread), that can be killed, and seen to be gone, before
 * the operation completes as TIMEOUT: nothing touches a buffer afterwards.
 *
 * A lane carries the worker's rights and no more, so that the kernel refuses
 * inside the call what the worker could not do itself. From the moment a lane
 * with other ids or fewer capabilities exists, the owner's mm is not dumpable:
 * else the worker, whose rights the lane has, could ptrace the lane and so the
 * owner. It stays so for the rest of the process's life.
 *
 *   pool thread ("svm-lane")   makes lanes, ends those that rest for a second
 *                              (all but two) or ten, reaps; it lives as long
 *                              as the pool: lanes die with it by
 *                              PR_SET_PDEATHSIG. It runs where its creator
 *                              does (affinity, scheduling class), so do lanes.
 *   engine                     svm_lane_tryget / submit / wait / put
 *
 * State word of a lane, also its CLONE_CHILD_CLEARTID word, so the kernel
 * itself writes DEAD and wakes the waiter when the task is gone from the mm:
 *   0 DEAD, 1 STARTING, 2 IDLE, 3 BUSY.
 */
#ifndef SVM_LANE_H
#define SVM_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "svm_ident.h"
#include "svm_xfer.h"

struct svm_lane;
struct svm_lane_pool;

struct svm_lane_stats {
	uint64_t made;
	uint64_t killed;	/* did not come back in time */
	uint64_t died;		/* ended by somebody else, as the worker can */
};

/**
 * Make a pool and its thread.
 *
 * @param max         Lanes at the most, 1 or more, stuck ones counted. Each has
 *   a file descriptor.
 * @param privileged  Lanes keep the owner's rights (cma=privileged); the rights
 *   in tryget and get make no difference then.
 * @return 0; -EINVAL; -ENOMEM; -EAGAIN no thread.
 */
int
svm_lane_pool_create(uint32_t max, bool privileged, struct svm_lane_pool **pool);

/** Stacks of lanes made from now on are preferred on this node; -1: anywhere. */
void
svm_lane_pool_set_node(struct svm_lane_pool *pool, int numa_node);

/**
 * Kill and reap every lane, also those that callers hold, and end the thread.
 * Takes 2 s at the most; a lane that cannot be ended by then is left behind and
 * logged, and so must its job and buffers be. Nobody else may use the pool.
 */
void
svm_lane_pool_destroy(struct svm_lane_pool *pool);

/**
 * An idle lane with these rights, or NULL: then the pool's thread has been
 * asked to make one, and the caller tries again later. Never blocks; any thread.
 *
 * @param err  Out: 0 one is being made (or all are busy), or why none can be
 *   made now: -EPERM, -EINVAL the owner cannot take on these rights; -ETIMEDOUT,
 *   -ECANCELED it was stopped or killed as it came up; -EAGAIN, -ENOMEM, -EMFILE.
 *   A refusal holds for 200 ms, then the next call starts another try.
 */
struct svm_lane *
svm_lane_tryget(struct svm_lane_pool *pool, const struct svm_cred *cred, int *err);

/**
 * As tryget, taking the pool's lock, and with the eventfd for who then waits in
 * poll(). Control path.
 *
 * @param again  An old refusal does not count: the first time.
 * @return 0; -EINPROGRESS one is being made, or all are busy: what is given
 *   back is not announced, so ask again after a while; or why none can be made.
 */
int
svm_lane_ask(struct svm_lane_pool *pool, const struct svm_cred *cred, bool again,
		struct svm_lane **lane);

/**
 * An eventfd, written when a lane has been made or refused, and when a job with
 * `announce` has ended. One reader; it lives as long as the pool.
 */
int
svm_lane_pool_eventfd(const struct svm_lane_pool *pool);

/**
 * As tryget, waiting; an old refusal does not count. Control path.
 * 0, -ETIMEDOUT, or why none can be made.
 */
int
svm_lane_get(struct svm_lane_pool *pool, const struct svm_cred *cred,
		uint32_t timeout_us, struct svm_lane **lane);

/**
 * Give a lane back. Never blocks; any thread. A dead one is reaped and
 * forgotten, a busy one killed first: its job and buffers then must stay as
 * long as the pool, because nobody says when it has let go of them.
 */
void
svm_lane_put(struct svm_lane_pool *pool, struct svm_lane *lane);

/**
 * Have a lane run on this CPU: the one whose thread is about to wait for it.
 * Elsewhere it would compete with a polling lcore. A system call only when the
 * CPU is another than the last time; where the kernel refuses, it stays.
 */
void
svm_lane_run_on(struct svm_lane *lane, int cpu);

/**
 * Hand a job over; the lane is idle. The job belongs to the lane until !busy.
 * If the lane has died meanwhile, nothing runs and its state says DEAD.
 */
void
svm_lane_submit(struct svm_lane *lane, struct svm_job *job);

enum svm_lane_state {
	/*
	 * Gone from the mm: touches nothing any more. Its job did not end, no
	 * piece has passed the second check; bytes may have moved, `done` of a
	 * piece says how many at the least.
	 */
	SVM_LANE_DEAD = 0,
	SVM_LANE_STARTING = 1,
	SVM_LANE_IDLE = 2,	/* the job, if there was one, has ended */
	SVM_LANE_BUSY = 3,
};

/** Acquire load: the job's results are visible after IDLE or DEAD. */
enum svm_lane_state
svm_lane_state(const struct svm_lane *lane);

/**
 * Wait until the lane is not busy, or for ns. The wait is a futex: the lane
 * may run on the caller's own core meanwhile.
 */
enum svm_lane_state
svm_lane_wait(struct svm_lane *lane, uint64_t ns);

/**
 * Whether a busy lane waits for something: for memory that does not answer, or
 * because somebody stopped it. False: it runs, or would if it had a core; a
 * deadline missed that way is the machine's load, not the worker's doing.
 * Reads /proc: not before a deadline has passed.
 */
bool
svm_lane_blocked(const struct svm_lane *lane);

/**
 * SIGKILL, by whoever holds the lane. Poll svm_lane_state() for DEAD afterwards
 * (about 165 us), then svm_lane_put(). Counts as killed, once.
 */
void
svm_lane_kill(struct svm_lane_pool *pool, struct svm_lane *lane);

void
svm_lane_pool_stats(const struct svm_lane_pool *pool, struct svm_lane_stats *stats);

#endif /* SVM_LANE_H */
