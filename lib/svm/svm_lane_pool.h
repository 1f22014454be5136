/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool of lanes, as its callers' side (svm_lane_pool.c) and its thread
 * (svm_lane_keeper.c) share it.
 *
 * A lane is on the list of its place. Its holder gives it back by pushing it
 * on a stack without a lock, so svm_lane_put() never waits; whoever next holds
 * the lock sorts the stack into the lists. What takes time (clone, munmap) the
 * thread does with the lock released.
 *
 * Who finds no lane leaves a wish. A wish that cannot be met keeps the reason
 * for a while, so that a polling caller gets to see it.
 */
#ifndef SVM_LANE_POOL_H
#define SVM_LANE_POOL_H

#include <pthread.h>

#include "svm_lane_private.h"

#define SVM_WISH_MAX	64u	/* different rights asked for at a time */

TAILQ_HEAD(svm_lane_list, svm_lane);

enum svm_wish_state {
	SVM_WISH_NONE = 0,
	SVM_WISH_OPEN,	/* make one */
	SVM_WISH_STARTING,	/* one is being made */
	SVM_WISH_REFUSED,	/* err, until until_ns */
};

struct svm_wish {
	enum svm_wish_state state;
	int err;
	uint64_t until_ns;
	uint64_t order;		/* the oldest is served first */
	struct svm_cred cred;
};

struct svm_lane_pool {
	pthread_t thread;
	uint32_t max;
	bool privileged;
	int numa_node;		/* of lanes' stacks, -1: any; atomic */

	/* Words that somebody sleeps on; each counts up. */
	uint32_t kick;		/* the thread: there is work */
	uint32_t news;		/* svm_lane_get(): something came or was refused */
	int eventfd;		/* as `news`, for who waits in poll(); non-blocking */

	bool stop;		/* set once, before the last kick */
	struct svm_lane *given_back;	/* stack, pushed without the lock */

	struct svm_lane_stats stats;	/* relaxed counters */

	/* The lock guards what follows. It is never held across a wait. */
	pthread_mutex_t lock;
	uint32_t nb_lanes;	/* all that exist or are being made */
	uint32_t nb_idle;
	struct svm_lane_list starting;
	struct svm_lane_list idle;	/* last used first */
	struct svm_lane_list held;
	struct svm_lane_list ending;
	uint64_t wish_order;
	struct svm_wish wish[SVM_WISH_MAX];
};

/* svm_lane_pool.c; _locked: the caller holds the lock */

/** Wake who sleeps on a counting word, after what it announces was stored. */
SVM_LANE_LOCAL void
svm_lane_word_bump(uint32_t *word);

/** A wish has been answered: tell who waits for that. */
SVM_LANE_LOCAL void
svm_lane_pool_tell(struct svm_lane_pool *pool);

/** What a word says now; look for work after it, then sleep on it. */
SVM_LANE_LOCAL uint32_t
svm_lane_word_read(const uint32_t *word);

/** Sleep until the word is not `seen` any more, or for ns (0: for ever). */
SVM_LANE_LOCAL void
svm_lane_word_wait(uint32_t *word, uint32_t seen, uint64_t ns);

/** Put a lane that is on no list on the one of `place`. */
SVM_LANE_LOCAL void
svm_lane_enter_locked(struct svm_lane_pool *pool, struct svm_lane *lane,
		enum svm_lane_place place);

SVM_LANE_LOCAL void
svm_lane_move_locked(struct svm_lane_pool *pool, struct svm_lane *lane,
		enum svm_lane_place place);

/** Send a lane to its end, dead already or to be killed. The thread reaps it. */
SVM_LANE_LOCAL void
svm_lane_end_locked(struct svm_lane_pool *pool, struct svm_lane *lane);

/** Sort what was given back. True: there is something to reap. */
SVM_LANE_LOCAL bool
svm_lane_returns_sort_locked(struct svm_lane_pool *pool);

/** Whether a lane with rights b serves who asks for a. */
SVM_LANE_LOCAL bool
svm_lane_cred_fits(const struct svm_lane_pool *pool, const struct svm_cred *a,
		const struct svm_cred *b);

/** The wish for these rights, an unused entry if there is none, or NULL. */
SVM_LANE_LOCAL struct svm_wish *
svm_wish_find_locked(struct svm_lane_pool *pool, const struct svm_cred *cred);

/* svm_lane_keeper.c */

/** Body of the thread; arg is the pool. Ends after `stop`, with all lanes ended. */
SVM_LANE_LOCAL void *
svm_lane_keeper(void *arg);

#endif /* SVM_LANE_POOL_H */
