/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine: takes descriptors from its queues, executes them, completes
 * them in order per queue.
 *
 *   svm_engine.c   turns, attaching and closing queues
 *   svm_active.c   which queues a turn looks at; sleeping
 *   svm_fast.c     ring -> plain copies in a row, done at once
 *   svm_intake.c   ring -> checked copy -> done at once, or parked
 *   svm_op_window.c   sides of operations that are windows
 *   svm_local.c    operations on the owner's own memory
 *   svm_alias.c    operations on foreign memory that is mapped here, too
 *   svm_batch.c    operations on foreign memory, batched through lanes
 *
 * One turn looks once at each active queue; a worker's queue without work rests
 * off the list until its doorbell. Whoever runs turns holds the runner token:
 * the device's thread for as long as it runs; a service core or a submitting
 * lcore for one turn. Control posts a queue, which raises `attention`: it is
 * new, or its doorbell rang, or it is to close. Then control waits for the
 * queue's `life` to say CLOSED; when nobody runs, it takes the token and does
 * that work itself.
 *
 * Everything in struct svm_engine but the atomics belongs to the token.
 */
#ifndef SVM_ENGINE_H
#define SVM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "svm_batch.h"
#include "svm_bond.h"
#include "svm_eq.h"
#include "svm_fault.h"
#include "svm_lane.h"
#include "svm_window.h"

/*
 * How long control waits for what is in flight: lanes that block end within
 * timeout_us, operations of theirs that are tried alone within another; the
 * rest is for a machine with more to run than cores.
 */
#define SVM_ENGINE_END_US(timeout_us)	(2 * (uint64_t)(timeout_us) + 2000000)

/** Counted by the runner alone, read by anybody: relaxed. */
struct svm_counters {
	uint64_t ops, errors, bytes, moves, timeouts;
	uint64_t cma_batches, cma_calls, cma_pieces;
	uint64_t alias_ops, alias_bytes;	/* ended there; moved there */
	uint64_t atc_hits, atc_misses;
};

static inline void
svm_count(uint64_t *counter, uint64_t n)
{
	/* One writer: a plain add, made whole for readers on other cores. */
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n,
		__ATOMIC_RELAXED);
}

struct svm_engine_conf {
	struct svm_bond_table *bonds;
	struct svm_window_table *windows;	/* for workers' queues */
	struct svm_fault_queue *faults;
	struct svm_lane_pool *lanes;	/* NULL with cma=inline */
	uint32_t timeout_us;
	uint32_t rest_us;		/* a worker's queue without work is polled so long */
	int numa_node;			/* of its records; -1: any */
	uint32_t max_queues;
	uint32_t max_batches;
	uint32_t max_late;		/* of them, for bonds that timed out lately; 1 or more */
};

struct svm_engine {
	/* Read each turn. */
	uint32_t attention;		/* atomic: control wants something */
	uint32_t nb_active;
	uint32_t nb_leaving;		/* of them, marked */
	uint32_t first;			/* queue that a turn begins with; goes round */
	struct svm_eq **active;
	struct svm_batch_set batches;
	struct svm_counters counters;

	struct svm_engine_conf conf;
	uint64_t timeout_cycles, rest_cycles;

	/* Between control and the runner. */
	uint32_t runner __rte_cache_aligned;	/* atomic: the token */
	uint32_t sleeping;		/* atomic: futex word, 1 while asleep */
	struct svm_eq *posted;		/* atomic: stack of queues to look after */
	uint32_t nb_attached;		/* atomic: queues, for whoever spreads them */
};

int
svm_engine_create(const struct svm_engine_conf *conf, struct svm_engine **engine);

/** No queue is attached and nobody runs it. */
void
svm_engine_destroy(struct svm_engine *engine);

/**
 * Whether the caller holds the token now. Acquire: pairs with release(). It
 * unblocks SIGSEGV and SIGBUS in the calling thread, which bad memory raises.
 */
bool
svm_engine_try_acquire(struct svm_engine *engine);

void
svm_engine_release(struct svm_engine *engine);

/**
 * One turn; the caller holds the token.
 *
 * @return descriptors taken plus completions written; 0: nothing to do
 */
uint32_t
svm_engine_turn(struct svm_engine *engine);

/** A turn that takes nothing. The caller holds the token. @return what is parked or in a lane. */
uint32_t
svm_engine_settle_step(struct svm_engine *engine);

/** Hand a queue to the engine. Any thread. */
void
svm_engine_attach(struct svm_engine *engine, struct svm_eq *eq);

/**
 * Have the engine look after an attached queue: its doorbell rang. Costs the
 * engine a look, when there is nothing in the queue. Any thread, as often as it
 * likes: a queue is posted once at a time.
 */
void
svm_engine_post(struct svm_eq *eq);

/**
 * Have the engine let go of a queue: what is parked is aborted, what is in a
 * lane ends. Any thread, and again after -EBUSY. Never waits long.
 *
 * @return 0: CLOSED; -EBUSY: not yet, ask again
 */
int
svm_engine_detach(struct svm_eq *eq);

/**
 * When nobody runs the engine, go one step towards ending what it has taken.
 * For control paths that wait for that, and ask again.
 */
void
svm_engine_help(struct svm_engine *engine);

/**
 * Sleep until woken, unless there is work. The caller holds the token. There is
 * no bound, but while a producer has claimed slots and not handed them over.
 *
 * @param stop
 *   The caller's word for "no more turns": once it is not 0 there is no sleep.
 *   Who sets it calls svm_engine_ask() after that. The turn before this may have
 *   taken that `attention` away, so it is looked at here, too.
 *
 * Sleeping pairs with svm_engine_wake(): need_wakeup is stored, then every
 * ring is looked at; a producer marks its slot, then loads need_wakeup; both
 * with a full fence between, so one of the two sees the other.
 */
void
svm_engine_sleep(struct svm_engine *engine, const uint32_t *stop);

/** Have the engine look up: what the caller stored before is seen. Any thread. */
void
svm_engine_ask(struct svm_engine *engine);

/** Any thread. */
void
svm_engine_wake(struct svm_engine *engine);

/* ---- between the engine's files ---- */

/** Take a burst from a queue. svm_intake.c. */
uint32_t
svm_intake(struct svm_engine *engine, struct svm_eq *q);

/**
 * Take plain copies that are done at once, from a queue with nothing under way.
 * svm_fast.c.
 *
 * @param rest  Out: whether what is next in the ring, if anything, is for the caller.
 * @return how many
 */
uint32_t
svm_fast_intake(struct svm_engine *engine, struct svm_eq *q, bool *rest);

/** Write the completions that are due. svm_intake.c. */
uint32_t
svm_eq_complete(struct svm_eq *q);

/** Give a queue up: its ring cannot be used any more. svm_engine.c. */
void
svm_eq_break(struct svm_engine *engine, struct svm_eq *q, int error);

/**
 * A queue that control wants closed: abort what is parked, and when nothing is
 * in a batch say that it is the engine's no more. False: not yet; it stays
 * active. True: the caller takes it off the list without looking into it, then
 * calls svm_eq_closed(). svm_engine.c.
 */
bool
svm_eq_close(struct svm_engine *engine, struct svm_eq *q);

/** The engine touches the queue no more; it may be freed at once. svm_engine.c. */
void
svm_eq_closed(struct svm_eq *q);

/** Put a queue on the list of polled ones. svm_active.c. */
void
svm_active_add(struct svm_engine *engine, struct svm_eq *q);

/** Mark a queue: svm_active_sweep() looks whether it can leave. svm_active.c. */
void
svm_active_leave(struct svm_engine *engine, struct svm_eq *q);

/** Take marked queues off the list, those that can be. svm_active.c. */
void
svm_active_sweep(struct svm_engine *engine);

/** A worker's queue was polled in vain many times. svm_active.c. */
void
svm_active_look(struct svm_engine *engine, struct svm_eq *q);

/** A resting queue's doorbell rang: back on the list, if it has work. svm_active.c. */
void
svm_active_wake(struct svm_engine *engine, struct svm_eq *q);

/** Execute on the owner's own memory. svm_local.c. */
void
svm_local_run(struct svm_op *op, const struct svm_seg *segs, struct svm_counters *c);

/** An operation has its final status: counted, reported, its bonds put. svm_intake.c. */
void
svm_op_finish(struct svm_engine *engine, struct svm_eq *q, struct svm_op *op);

static inline struct svm_seg *
svm_eq_segs(const struct svm_eq *q, const struct svm_op *op)
{
	return &q->segs[(size_t)(op->counter & q->ring.mask) * SVM_SG_MAX];
}

#endif /* SVM_ENGINE_H */
