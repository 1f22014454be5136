/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device: the bond table, the engine and how it runs, the lanes, the server,
 * the owner queues.
 *
 *   svm_dev.c    create, destroy
 *   svm_registry.c  devices by id and name, and the calls inside them
 *   svm_bind.c   bind and unbind: identity, probe, drain
 *   svm_bind_req.c  bind asked for by a worker, without waiting
 *   svm_dev_mem.c  workers' memory that is mapped here, too
 *   svm_dev_window.c   windows: what waits for engines, what workers ask
 *   svm_engines.c  its engines, and which of them gets a queue
 *   svm_run.c    the three forms of the engine
 *   svm_oq.c     owner queues
 *   svm_stats.c  counters
 *   svm_telemetry.c  what DPDK's telemetry socket tells
 *   rte_svm.c    the public calls
 *
 * Lock order: dev->lock, then the bond table's lock. dev->lock serialises start,
 * stop and the list of queues; stop holds it while the engine ends what it has
 * taken. Neither is taken by an engine.
 */
#ifndef SVM_DEV_H
#define SVM_DEV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "rte_svm_pmd.h"
#include "svm_bond.h"
#include "svm_engine.h"
#include "svm_fault.h"
#include "svm_fill.h"
#include "svm_lane.h"
#include "svm_policy.h"
#include "svm_refusals.h"
#include "svm_registry.h"
#include "svm_server.h"
#include "svm_share.h"
#include "svm_watch.h"
#include "svm_window.h"

/* Lanes of a device, stuck ones counted. */
#define SVM_LANES_MAX	128u

struct svm_dev;

/** Who takes an engine's turns: engine=thread or service. */
struct svm_runner {
	struct svm_dev *dev;
	struct svm_engine *engine;
	uint32_t idx;
	pthread_t thread;
	uint32_t service;
	bool service_registered;
};

struct svm_dev {
	uint16_t id;
	int16_t dma_dev_id;
	struct svm_dev_conf conf;

	struct svm_bond_table *bonds;
	struct svm_window_table *windows;
	struct svm_fault_queue *faults;
	struct svm_fill fill;		/* of the workers' queues */
	struct svm_lane_pool *lanes;	/* NULL with cma=inline */
	/* Of worker queues; owner queues but inline ones. Constant after create. */
	struct svm_engine *engines[SVM_ENGINES_MAX];
	uint32_t nb_engines;
	struct svm_server *server;
	struct svm_policy policy;
	struct svm_atc_quota atc_quota;
	struct svm_watch_set *watches;	/* of bonds with ranges that are mapped here */
	pthread_mutex_t mem_lock;	/* bonds' watches; before the watches' own */
	struct svm_share probing;	/* workers' binds; the server's thread only */
	struct svm_refusals refusals;	/* ... and its lines about them */
	uint64_t binds_refused;		/* atomic, relaxed: a figure */

	pthread_mutex_t lock;
	uint32_t nb_starts;		/* written under lock; atomic */
	struct svm_oq *oqs[SVM_QUEUES_MAX];	/* under lock */
	struct rte_svm_stats gone;	/* of inline engines that ended; under lock */
	struct rte_svm_stats base;	/* what stats_reset() took away; under lock */

	/* svm_run.c */
	struct svm_runner runners[SVM_ENGINES_MAX];
	uint32_t stop;			/* atomic: the threads shall end */

	svm_vchan_attach_t attach;
	void *attach_arg;

	/* Whoever may read this memory: the device itself, and each rte_svm_queue. */
	uint32_t users;			/* atomic */
	uint32_t down;			/* atomic: all of it has ended but the memory */
};

/** One more, or one less, that needs the memory; the last one frees it. */
void
svm_dev_hold(struct svm_dev *dev);

void
svm_dev_drop(struct svm_dev *dev);

/* ---- svm_bind.c ---- */

/** As rte_svm_bind(). */
int
svm_dev_bind(struct svm_dev *dev, pid_t pid, uint64_t *bond);

/** One step of unbinding: 0, -ENOENT, or -EBUSY: something is in flight yet. */
int
svm_dev_unbind_step(struct svm_dev *dev, uint64_t bond);

/** Unbind, waiting as long as lanes may take. */
int
svm_dev_unbind(struct svm_dev *dev, uint64_t bond);

/* ---- svm_run.c ---- */

/** Form-specific preparation at create, and its undoing. */
int
svm_run_init(struct svm_dev *dev);

void
svm_run_fini(struct svm_dev *dev);

/* ---- svm_oq.c ---- */

/**
 * First half of svm_oq_destroy(): take the queue from the engine. Its results can
 * still be gathered. 0 or -EBUSY.
 */
int
svm_oq_close(struct svm_oq *oq);

/** Second half: free a queue that is closed. */
void
svm_oq_free(struct svm_oq *oq);

/* ---- svm_engines.c ---- */

/** An engine on the device's bonds, lanes and node. */
int
svm_dev_engine_create(struct svm_dev *dev, uint32_t max_queues, uint32_t max_batches,
		struct svm_engine **engine);

/** conf.engines of them. 0, -ENOMEM. */
int
svm_engines_create(struct svm_dev *dev);

void
svm_engines_destroy(struct svm_dev *dev);

/** Where the next queue goes. Any thread. */
struct svm_engine *
svm_engines_least(const struct svm_dev *dev);

/** svm_engine_help() for each; any thread. */
void
svm_engines_help(struct svm_dev *dev);

/** svm_engine_help() for each of these and of its inline queues; takes dev->lock. */
void
svm_dev_help_engines(struct svm_dev *dev);

/** Call fn for each engine of the device and of its inline queues; takes dev->lock. */
void
svm_dev_for_engines(struct svm_dev *dev, void (*fn)(struct svm_engine *e, void *arg),
		void *arg);

/* ---- svm_dev_mem.c ---- */

/**
 * Map memory of a bond's process here, too: svm_atc_map(), by the server's thread.
 *
 * @return as svm_atc_map(), and -ENOENT: no such bond, or it has ended; -EOPNOTSUPP:
 *   tier=cma; -EUSERS: too many users share memory; -EAGAIN, -EMFILE
 */
int
svm_dev_mem_map(void *dev, uint64_t bond, uint64_t va, uint64_t len, int fd,
		uint64_t off, uint32_t rights);

/** svm_atc_unmap(), likewise. 0; -ENOENT: no such bond, or nothing of it is mapped; -EOPNOTSUPP. */
int
svm_dev_mem_unmap(void *dev, uint64_t bond, uint64_t va, uint64_t len);

/**
 * svm_watch_events(), likewise: without them only svm_dev_mem_unmap() takes ranges away.
 *
 * @param fd  The device's in any case.
 * @return as svm_watch_events(), and as svm_dev_mem_map()
 */
int
svm_dev_mem_watch(void *dev, uint64_t bond, int fd);

/** What of the bond's is mapped here now, likewise; nothing when it has ended. */
void
svm_dev_mem_used(void *dev, uint64_t bond, uint64_t *bytes, uint32_t *ranges);

/** The bond is drained: nobody watches over it any more. 0, -EBUSY: ask again. */
int
svm_dev_mem_end(struct svm_dev *dev, uint64_t bond, struct svm_bond *b);

/* ---- svm_dev_window.c ---- */

/** Revoke a window, waiting as long as lanes may take. */
int
svm_dev_window_revoke(struct svm_dev *dev, uint32_t window);

/** The server's window_list. */
int
svm_dev_window_page(void *dev, uint64_t bond, uint64_t *after,
		struct rte_svm_window_info *infos, uint32_t n);

/* ---- svm_stats.c ---- */

/** An engine ends: keep its counts. Caller holds dev->lock. */
void
svm_stats_keep_locked(struct svm_dev *dev, const struct svm_engine *engine);

/* ---- helpers of control paths that wait ---- */

/** Sleep a step of a bounded wait. */
void
svm_pause_us(uint32_t us);

uint64_t
svm_now_us(void);

#endif /* SVM_DEV_H */
