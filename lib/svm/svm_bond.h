/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bonds: (device, mm) -> PASID. The table has one slot a PASID, in place for
 * as long as the device exists, so that the engine can look a PASID up while
 * another thread ends the bond.
 *
 *   FREE -> ACTIVE        svm_bond_create_held(), after every check and probe
 *   ACTIVE -> DEAD        the process ended, or a lane saw another mm
 *   ACTIVE, DEAD -> DRAINING   svm_bond_drain(): nothing new starts
 *   DRAINING -> RETIRED   svm_bond_retire(): nothing is in flight; descriptors
 *                         are closed, the id is forgotten, the PASID rests
 *   RETIRED -> FREE       the last holder (vchan, queue) has let go
 *
 * Two counts keep a slot: `ops`, operations in flight in an engine, and
 * `holds`, whoever may still put the PASID into descriptors.
 *
 * Lock order: the table's lock, then that of a bond's ranges.
 */
#ifndef SVM_BOND_H
#define SVM_BOND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "rte_svm.h"
#include "svm_atc.h"
#include "svm_ident.h"
#include "svm_pasid.h"

enum svm_bond_life {
	SVM_BOND_FREE = 0,
	SVM_BOND_ACTIVE,
	SVM_BOND_DEAD,
	SVM_BOND_DRAINING,
	SVM_BOND_RETIRED,
};

struct svm_watch;

struct svm_bond {
	/* The engine's part. `ops` up, then `life` read: pairs with `life`
	 * written, then `ops` read, in svm_bond_drain(); both seq_cst. */
	uint32_t life;			/* enum svm_bond_life, atomic */
	uint32_t ops;			/* atomic */
	uint64_t id;			/* atomic; 0 when free */
	/* Counters: relaxed adds by engines, relaxed loads by whoever asks. */
	uint64_t nb_ops, bytes_in, bytes_out, faults;

	struct svm_atc *atc;		/* atomic; NULL: it never had a range; for who counts in `ops` */
	uint64_t late_at;		/* cycles: it last missed a deadline; 0: never; atomic */

	/* The control path's part: constant while ACTIVE. */
	uint32_t pasid;
	uint32_t holds;			/* under the table's lock */
	uint64_t user;
	bool by_socket;
	struct svm_ident ident;
	struct svm_watch *watch;	/* under the device's mem_lock; NULL: none */
} __rte_cache_aligned;

struct svm_bond_table {
	pthread_mutex_t lock;
	struct svm_pasid_table *pasids;
	uint32_t max;
	uint32_t nb;			/* not FREE and not RETIRED; under lock */
	uint64_t next_serial;		/* under lock */
	uint32_t retire_epoch;		/* atomic; +1 for each retired bond */
	struct svm_bond *bonds;		/* [pasid - 1] */
	/* The pid of each slot, 0 when free or retired, side by side: what looks for one
	 * reads a line for 16 bonds. Under lock. */
	pid_t *pids;
};

int
svm_bond_table_create(uint32_t max, struct svm_bond_table **table);

/** Every bond has been retired and every hold given back. */
void
svm_bond_table_destroy(struct svm_bond_table *table);

/**
 * Enter an opened process. On success the ident belongs to the table.
 *
 * @param bond
 *   Out: counts as an operation, so that it stays what it is until the caller
 *   is through with it: svm_bond_put().
 * @return 0; -EEXIST the pid has a bond that is not DEAD; -ENOSPC.
 */
int
svm_bond_create_held(struct svm_bond_table *table, const struct svm_ident *ident,
		uint64_t user, bool by_socket, uint64_t *id, struct svm_bond **bond);

/** The bond with this id, or NULL. Caller holds the lock. */
struct svm_bond *
svm_bond_find_locked(struct svm_bond_table *table, uint64_t id);

/** The bond of a process that is not DEAD, or NULL. Caller holds the lock. */
struct svm_bond *
svm_bond_find_pid_locked(const struct svm_bond_table *table, pid_t pid);

/**
 * Take an ACTIVE bond, as an operation does: svm_bond_put(). NULL: there is none.
 */
struct svm_bond *
svm_bond_get_id(struct svm_bond_table *table, uint64_t id);

/**
 * The table of a taken bond's ranges, made when it has none. One thread at a time. 0,
 * -ENOMEM.
 */
int
svm_bond_atc(struct svm_bond *bond, struct svm_atc_quota *quota, struct svm_atc **atc);

/** Stop new work. 0; -ENOENT. Then wait for svm_bond_drained(). */
int
svm_bond_drain(struct svm_bond_table *table, uint64_t id, struct svm_bond **bond);

static inline bool
svm_bond_drained(const struct svm_bond *bond)
{
	/* Pairs with svm_bond_put(): what the operations did is visible. And
	 * with svm_bond_get(), see `life` above: so seq_cst. */
	return __atomic_load_n(&bond->ops, __ATOMIC_SEQ_CST) == 0;
}

/**
 * After svm_bond_drained(). -ENOENT: somebody was faster.
 *
 * @param ident  Out: belongs to the caller again, who closes it.
 */
int
svm_bond_retire(struct svm_bond_table *table, uint64_t id, struct svm_ident *ident);

/** The process has ended: ACTIVE -> DEAD. Any thread. */
void
svm_bond_mark_dead(struct svm_bond *bond);

/** Whether an id has ever been given out. It says nothing about now. */
bool
svm_bond_was_given(struct svm_bond_table *table, uint64_t id);

/* ---- holds ---- */

int
svm_bond_table_hold(struct svm_bond_table *table, uint64_t id, uint32_t *pasid);

int
svm_bond_table_hold_pasid(struct svm_bond_table *table, uint32_t pasid);

void
svm_bond_table_release(struct svm_bond_table *table, uint32_t pasid);

/** Whether a held PASID's bond can still do anything (ACTIVE or DEAD). */
static inline bool
svm_bond_pasid_live(const struct svm_bond_table *table, uint32_t pasid)
{
	const uint32_t life = __atomic_load_n(&table->bonds[pasid - 1].life,
			__ATOMIC_ACQUIRE);

	return life == SVM_BOND_ACTIVE || life == SVM_BOND_DEAD;
}

/* ---- the engine ---- */

/**
 * Take a bond for one operation.
 *
 * @param status  Out when NULL is returned: SVM_ST_BAD_SPACE or BOND_DEAD.
 */
static inline struct svm_bond *
svm_bond_get(struct svm_bond_table *table, uint32_t pasid, uint8_t *status)
{
	struct svm_bond *b;
	uint32_t life;

	if (unlikely(pasid == 0 || pasid > table->max)) {
		*status = RTE_SVM_ST_BAD_SPACE;
		return NULL;
	}
	b = &table->bonds[pasid - 1];
	__atomic_fetch_add(&b->ops, 1, __ATOMIC_SEQ_CST);
	life = __atomic_load_n(&b->life, __ATOMIC_SEQ_CST);
	if (likely(life == SVM_BOND_ACTIVE))
		return b;
	__atomic_fetch_sub(&b->ops, 1, __ATOMIC_RELEASE);
	*status = life == SVM_BOND_FREE ? RTE_SVM_ST_BAD_SPACE : RTE_SVM_ST_BOND_DEAD;
	return NULL;
}

static inline void
svm_bond_put(struct svm_bond *bond)
{
	/* Release: pairs with svm_bond_drained(). */
	__atomic_fetch_sub(&bond->ops, 1, __ATOMIC_RELEASE);
}

static inline bool
svm_bond_active(const struct svm_bond *bond)
{
	/* Relaxed: a hint; what counts is decided by `ops` and `life` above. */
	return __atomic_load_n(&bond->life, __ATOMIC_RELAXED) == SVM_BOND_ACTIVE;
}

#endif /* SVM_BOND_H */
