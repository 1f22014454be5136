/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows of one device: pieces of address spaces, each for one worker. The
 * table has its slots in place for as long as the device exists, so that the
 * engine can look an id up while another thread revokes the window.
 *
 *   FREE -> OPEN          svm_window_grant()
 *   OPEN -> CLOSED        svm_window_revoke() or svm_window_end_bond(): nothing
 *                         new starts
 *   CLOSED -> FREE        the same calls again, once `uses` is 0
 *
 * Ids. An id is slot | generation << SVM_WINDOW_SLOT_BITS: 16 + 14 bits, what a
 * descriptor's space has room for; the generation is never 0, so no id is. A
 * slot's generation goes on by one each time it becomes free, and free slots are
 * used in the order in which they became free. So a stale id names nothing
 * until its slot has had 16,383 windows, and with n free slots that takes n
 * times as many grants. What it names then is no use to anybody but that
 * window's own grantee.
 *
 * A window holds both its bonds, as a vchan does: their PASIDs stay theirs.
 *
 * Lock order: the table's lock, then the bond table's.
 */
#ifndef SVM_WINDOW_H
#define SVM_WINDOW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "rte_svm_window.h"
#include "svm_bond.h"
#include "svm_nospec.h"

#define SVM_WINDOW_SLOT_BITS	16
#define SVM_WINDOW_SLOT_MASK	((1u << SVM_WINDOW_SLOT_BITS) - 1)
#define SVM_WINDOW_GEN_MAX	((1u << 14) - 1)

struct svm_window {
	/* The engine's part. `uses` up, then `key` read: pairs with `key`
	 * written, then `uses` read, in svm_window.c; both seq_cst. */
	uint32_t key;			/* atomic; the id while OPEN, otherwise 0 */
	uint32_t uses;			/* atomic; operations in flight */
	/* Atomic; the last id that ended with a bond. Stored before `key`. */
	uint32_t ended;
	uint32_t grantee;		/* PASID; atomic, constant while OPEN */
	/* Constant while OPEN. */
	uint32_t target;		/* PASID; 0: the owner */
	uint32_t rights;
	uint64_t base, len;

	/* The control path's part, under the table's lock. */
	uint32_t id;			/* 0 when FREE */
	uint32_t gen;			/* of the next id */
	uint64_t serial;		/* goes up with each grant */
	uint64_t grantee_bond, target_bond;
	uint64_t user;
	TAILQ_ENTRY(svm_window) by_grantee;	/* in its grantee's list, or the free one */
	TAILQ_ENTRY(svm_window) by_target;
} __rte_cache_aligned;

TAILQ_HEAD(svm_window_list, svm_window);

/** The windows of one PASID: granted to it, and on its memory; oldest first. */
struct svm_window_ends {
	struct svm_window_list granted, targeted;
};

struct svm_window_table {
	pthread_mutex_t lock;
	struct svm_bond_table *bonds;
	uint32_t nb_made;		/* slots used so far */
	uint64_t next_serial;
	struct svm_window_list free;	/* slots that were used, longest free first */
	struct svm_window_ends *ends;	/* [pasid]; the owner is 0 */
	struct svm_window *windows;	/* [RTE_SVM_WINDOWS_MAX] */
};

int
svm_window_table_create(struct svm_bond_table *bonds, struct svm_window_table **table);

/** Every bond has been retired, so no window is left. */
void
svm_window_table_destroy(struct svm_window_table *table);

/** As rte_svm_window_grant(). */
int
svm_window_grant(struct svm_window_table *table, const struct rte_svm_window_conf *conf,
		uint32_t *id);

/** Close a window; one step. 0: it is gone; -ENOENT; -EBUSY: in use, ask again. */
int
svm_window_revoke(struct svm_window_table *table, uint32_t id);

/**
 * A bond that takes no new holds ends: close its windows, on both sides.
 *
 * @return whether none is left; otherwise some are in use, ask again
 */
bool
svm_window_end_bond(struct svm_window_table *table, uint64_t bond, uint32_t pasid);

/** As rte_svm_window_info_get(). */
int
svm_window_info(struct svm_window_table *table, uint32_t id,
		struct rte_svm_window_info *info);

/** As rte_svm_window_list(). */
uint32_t
svm_window_list(struct svm_window_table *table, uint64_t grantee, uint32_t *ids,
		uint32_t n);

/**
 * Some of the open windows granted to a bond, in the order of their grants.
 *
 * @param after  0, or what the call before left here: the list goes on behind
 *               it, whatever has been granted or revoked since.
 * @return how many of n were stored; less than n: there are no more
 */
uint32_t
svm_window_page(struct svm_window_table *table, uint64_t grantee, uint64_t *after,
		struct rte_svm_window_info *infos, uint32_t n);

/* ---- the engine ---- */

static inline void
svm_window_put(struct svm_window *w)
{
	/* Release: what the operation did, before a revoke sees 0. */
	__atomic_fetch_sub(&w->uses, 1, __ATOMIC_RELEASE);
}

/** The slot of an id, whoever made the id up. */
static inline struct svm_window *
svm_window_slot(const struct svm_window_table *table, uint32_t id)
{
	return &table->windows[id & SVM_WINDOW_SLOT_MASK];
}

/** The status of an operation whose id is not that of an open window. */
static inline uint8_t
svm_window_why_not(const struct svm_window *w, uint32_t id, uint32_t grantee)
{
	/* Relaxed: `ended` is ordered by `key`, which the caller has read. A
	 * grantee that changes meanwhile makes it BAD_SPACE, which is right, too. */
	return __atomic_load_n(&w->ended, __ATOMIC_RELAXED) == id && id != 0 &&
		__atomic_load_n(&w->grantee, __ATOMIC_RELAXED) == grantee ?
		RTE_SVM_ST_BOND_DEAD : RTE_SVM_ST_BAD_SPACE;
}

/** What an operation may know of its window; 0 bytes where a CPU guesses wrong. */
struct svm_window_view {
	uint64_t base, len;
	uint32_t target;		/* PASID */
};

/**
 * Take a window for one side of an operation.
 *
 * @param grantee  PASID of whoever asks.
 * @param right    The right that this side needs.
 * @param view     Out.
 * @param status   Out when NULL is returned: SVM_ST_BAD_SPACE or BOND_DEAD.
 */
static inline struct svm_window *
svm_window_get(struct svm_window_table *table, uint32_t id, uint32_t grantee,
		uint32_t right, struct svm_window_view *view, uint8_t *status)
{
	struct svm_window *w = svm_window_slot(table, id);
	uint64_t mine;
	uint32_t key;

	__atomic_fetch_add(&w->uses, 1, __ATOMIC_SEQ_CST);
	key = __atomic_load_n(&w->key, __ATOMIC_SEQ_CST);
	if (unlikely(key != id || id == 0)) {
		*status = svm_window_why_not(w, id, grantee);
	} else if (unlikely(w->grantee != grantee || (w->rights & right) == 0)) {
		*status = RTE_SVM_ST_BAD_SPACE;
	} else if (unlikely(!svm_bond_active(&table->bonds->bonds[grantee - 1]))) {
		*status = RTE_SVM_ST_BOND_DEAD;
	} else {
		mine = svm_nospec_same(key, id) & svm_nospec_same(w->grantee, grantee);
		*view = (struct svm_window_view){ .base = w->base & mine,
			.len = w->len & mine, .target = w->target & mine };
		return w;
	}
	svm_window_put(w);
	return NULL;
}

/** Whether the window that was taken under this id has not been closed since. */
static inline bool
svm_window_is_open(const struct svm_window *w, uint32_t id)
{
	/* Acquire: pairs with the store that closes it, for `ended`. */
	return __atomic_load_n(&w->key, __ATOMIC_ACQUIRE) == id;
}

/**
 * An address in the target.
 *
 * @param off   Offset in the window. off + len does not wrap.
 * @param len   Bytes, 1 or more.
 * @param addr  Out.
 * @return whether the range is within the window
 */
static inline bool
svm_window_addr(const struct svm_window_view *view, uint64_t off, uint32_t len,
		uint64_t *addr)
{
	const uint64_t last = off + len - 1;

	if (unlikely(off >= view->len || last >= view->len))
		return false;
	*addr = (view->base + off) & svm_nospec_mask(off, view->len) &
		svm_nospec_mask(last, view->len);
	return true;
}

#endif /* SVM_WINDOW_H */
