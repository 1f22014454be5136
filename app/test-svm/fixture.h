/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a test stands on: a device, a queue of the owner's, and workers, each
 * a process of its own.
 *
 *   static void
 *   test_engine_copy_into_worker_arrives(void)
 *   {
 *           struct fx *f = fx_begin("timeout_us=50000");
 *           struct fx_worker *w = fx_bound(f);
 *           ...
 *   }
 *
 * fx_end(), the teardown of a suite, takes down whatever the test built, also
 * when an assertion left the test in the middle. Helpers that cannot do what
 * they are for end the test as failed; every wait is bounded.
 *
 * Rows. fx_add_tests() registers each test once for each row that it fits;
 * fx_begin() reads the row from the name of the running test:
 * "test_x[thread,lane]".
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <CUnit/CUnit.h>

#include "rte_svm.h"
#include "runner.h"
#include "test_proto.h"

/* ---- rows ---- */

#define FX_THREAD_LANE		0x01u
#define FX_THREAD_CMA		0x02u	/* cma=inline */
#define FX_INLINE_LANE		0x04u
#define FX_INLINE_CMA		0x08u
#define FX_SERVICE_LANE		0x10u
#define FX_LANE	(FX_THREAD_LANE | FX_INLINE_LANE | FX_SERVICE_LANE)
/* The worker's memory is a file's, mapped in the owner as well. */
#define FX_THREAD_ALIAS		0x20u
#define FX_INLINE_ALIAS		0x40u
#define FX_ALIAS	(FX_THREAD_ALIAS | FX_INLINE_ALIAS)
#define FX_ALL	(FX_ALIAS | FX_LANE | FX_THREAD_CMA | FX_INLINE_CMA)
/* What alias does not see (doc/tiers.md), or what counts calls of CMA. */
#define FX_NOT_ALIAS	(FX_ALL & ~FX_ALIAS)
/* Engines that run by themselves. */
#define FX_APART	(FX_THREAD_LANE | FX_THREAD_CMA | FX_SERVICE_LANE)
/* Where the engine makes no difference. */
#define FX_ONE	FX_THREAD_LANE

struct fx_test {
	const char *name;
	void (*run)(void);
	unsigned int rows;	/* FX_* */
};

/** Register a suite with fx_end() as its teardown. @return 0, -1. */
int
fx_add_tests(const char *suite, const struct fx_test *tests, size_t nb);

/* ---- the device ---- */

#define FX_WORKERS	32
#define FX_DEPTH	256
/* Bound of every wait, in ms; a sanitizer on a busy machine is the slowest. */
#define FX_BOUND_MS	20000u

struct fx_worker {
	struct fx *f;
	pid_t pid;		/* 0: never started, or reaped */
	int fd;
	uint64_t bond;
	bool events;		/* the owner has its userfaultfd */
};

struct fx {
	char name[32];
	char socket[96];
	char devargs[512];
	bool made, started, service_lcore;
	bool alias;		/* the row's */
	unsigned int lcore;
	uint16_t dev;
	enum rte_svm_engine engine;
	enum rte_svm_cma cma;
	struct rte_svm_queue *queue;
	struct fx_worker worker[FX_WORKERS];
	void *mem[64];
	unsigned int nb_mem;
};

/**
 * Make and start a device of the running test's row, with a queue.
 *
 * @param args  More devargs, "" for none.
 * @return NULL when the row cannot run here: the test is marked as skipped.
 */
struct fx *
fx_begin(const char *args);

/**
 * As fx_begin(), but the device is left to the test: f->name and f->devargs. What
 * it says in f->made, f->dev, f->started and f->queue, fx_end() takes down.
 */
struct fx *
fx_begin_bare(const char *args);

/** Take down what the running test built. */
void
fx_end(void);

/** The test has removed the device: what it began with is gone, but for f->queue. */
void
fx_removed(struct fx *f);

/** Make a device like the removed one, of the same name, and start it. */
void
fx_probe_again(struct fx *f, bool hotplug);

struct svm_dev;

/** The device itself, for tests that look behind the API; it lives until fx_end(). */
struct svm_dev *
fx_dev(const struct fx *f);

/** Memory of the owner, page aligned and zeroed, freed by fx_end(). */
void *
fx_mem(struct fx *f, size_t len);

/** Memory of the owner with a fresh random pattern. */
void *
fx_mem_filled(struct fx *f, size_t len, uint64_t *seed);

/** Submit, and gather all results; drives an inline engine. */
void
fx_run(struct fx *f, const struct rte_svm_op *ops, uint32_t n,
		struct rte_svm_result *results);

struct rte_svm_result
fx_run_one(struct fx *f, struct rte_svm_op op);

/** One copy; bond 0 is the owner. */
struct rte_svm_result
fx_copy(struct fx *f, uint64_t src_bond, uint64_t src, uint64_t dst_bond,
		uint64_t dst, uint32_t len);

/** Wait until engines have taken nb operations out of the owner's queues, ended or not. */
void
fx_await_taken(struct fx *f, uint32_t nb);

/** rte_svm_unbind(), again while it answers -EBUSY, for 10 s at the most. */
int
fx_unbind(struct fx *f, uint64_t bond);

struct rte_svm_stats
fx_stats(const struct fx *f);

/** Milliseconds of the monotonic clock. */
uint64_t
fx_now_ms(void);

/** Let others run while something is waited for; drives an inline engine. */
void
fx_idle(struct fx *f);

/** Open descriptors of this process. */
unsigned int
fx_count_fds(void);

/**
 * Wait until that many are open, but for those of the device's lanes, which come
 * and go as they are needed. @return how many there are then.
 */
unsigned int
fx_await_fds(struct fx *f, unsigned int nb);

/**
 * A number or a pointer that belongs to another thread, as it stands now. For a
 * look at what is private to an engine or the server; a thread sanitizer does
 * not see it.
 */
uint64_t
fx_peek_at(const void *at, size_t len);

#define fx_peek(field)	fx_peek_at(&(field), sizeof(field))

/* ---- fixture_alias.c ---- */

/**
 * Memory of the worker's that the owner has mapped as well, and the worker's events
 * with it.
 *
 * @param rep  Out: address, descriptor in the worker.
 */
int64_t
fx_alias_alloc(struct fx_worker *w, size_t len, struct wk_rep *rep);

/** Map a part of a worker's file: as svm_dev_mem_map(). */
int
fx_alias_map(struct fx_worker *w, uint64_t addr, size_t len, int fd, uint64_t off);

/** See to it that the next operation finds what is mapped: somebody has just looked. */
void
fx_alias_warm(struct fx *f);

/* ---- workers ---- */

/** Start a worker process. */
struct fx_worker *
fx_worker(struct fx *f);

/** Start one and bind it by pid. */
struct fx_worker *
fx_bound(struct fx *f);

/** fx_begin("") with a worker bound; NULL when the row cannot run here. */
struct fx_worker *
fx_begin_bound(void);

/**
 * Pages of the worker's.
 *
 * @param seed  Out: of their fresh random bytes; NULL leaves them untouched.
 */
uint64_t
fx_worker_mem(struct fx_worker *w, size_t len, uint64_t *seed);

/** Start one that connects and has itself bound. */
struct fx_worker *
fx_joined(struct fx *f);

/** Send a command, wait for its answer. @return its ret; -EPIPE: the worker is gone. */
int64_t
fx_try(struct fx_worker *w, const struct wk_req *req, struct wk_rep *rep);

/** As fx_try(); anything but success ends the test. @return the first value. */
uint64_t
fx_do_at(const char *file, unsigned int line, struct fx_worker *w,
		const char *name, const struct wk_req *req);

#define fx_do(w, command, ...) \
	fx_do_at(__FILE__, __LINE__, w, #command, \
		&(const struct wk_req){ .cmd = command, .a = { __VA_ARGS__ } })

/** Send a command whose answer nobody waits for, or that has none. */
void
fx_send(struct fx_worker *w, const struct wk_req *req);

/** Whether fx_answer() would not wait. */
bool
fx_has_answer(struct fx_worker *w);

/** The answer to what fx_send() sent. */
int64_t
fx_answer(struct fx_worker *w, struct wk_rep *rep);

/** An operation in the worker's own queue, as a result. */
struct rte_svm_result
fx_worker_op(struct fx_worker *w, uint64_t queue, enum rte_svm_opcode op,
		uint64_t src, uint64_t dst, uint32_t len, uint64_t pattern);

/** The worker looks itself: do these bytes have the pattern? */
bool
fx_verify(struct fx_worker *w, uint64_t addr, size_t len, uint64_t seed, size_t off);

/**
 * Pages of the worker's whose faults nobody answers; WK_UFFD_ANSWER does at last.
 *
 * @return false: not allowed here, the test is marked as skipped.
 */
bool
fx_worker_unanswered(struct fx_worker *w, size_t len, uint64_t *mem);

/**
 * Wait until the device waits for a page of the worker's that nobody answers
 * for (WK_UFFD), or has given up on one: an inline engine's submit comes back
 * no sooner, and on a slow machine others may be as far.
 */
void
fx_await_unanswered(struct fx_worker *w);

/** The worker copies within itself through its queue. */
void
fx_check_queue(struct fx_worker *w, uint64_t queue);

/** Data goes in, the worker looks; the worker's goes out, the owner looks. */
void
fx_check_moves(struct fx *f, struct fx_worker *w);

/** Send a signal; SIGKILL also waits until the worker is gone, and reaps it. */
void
fx_kill(struct fx_worker *w, int sig);

/** Wait until the worker is gone, without reaping it (zombie). */
void
fx_await_exit(struct fx_worker *w);

/** Reap it. */
void
fx_reap(struct fx_worker *w);

/** The other image's hello after WK_EXEC. */
void
fx_exec(struct fx_worker *w);

#endif /* FIXTURE_H */
