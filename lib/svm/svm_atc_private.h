/* SPDX-License-Identifier: BSD-3-Clause */
/* Between svm_atc.c, svm_atc_table.c and svm_atc_stop.c. */
#ifndef SVM_ATC_PRIVATE_H
#define SVM_ATC_PRIVATE_H

#include <pthread.h>

#include "svm_atc.h"

/* No process of any machine has addresses from here on. */
#define ATC_VA_END		(UINT64_C(1) << 56)

/* A range; atomic, and whole only when `seq` was the same before and after. */
struct atc_range {
	uint64_t va, len;
	uint8_t *host;
	uint32_t rights;
	uint32_t region;
};

/* One mapping of ours. */
struct atc_region {
	uint8_t *base;			/* NULL: free */
	uint64_t len;
	uint64_t live;			/* bytes that are in ranges; 0: nobody may touch any */
	uint64_t page;
	uint32_t gone;			/* which counts of readers were 0 since `live` is 0 */
};

struct svm_atc_table {
	struct atc_range range[SVM_ATC_RANGES];	/* by address */
	/* The rest under the lock. */
	pthread_mutex_t lock;
	struct svm_atc_quota *quota;
	struct atc_region region[SVM_ATC_RANGES];
	uint64_t bytes;			/* of regions */
	uint64_t live;			/* ... of ranges */
	bool paused;			/* `seq` stays odd */
};

/* ---- svm_atc_table.c; under the lock, but the search ---- */

/** The last range that begins at or below va; nb: none. Readers, too. */
uint32_t
svm_atc_range_search(const struct svm_atc *atc, uint32_t nb, uint64_t va);

/** The first range that ends behind va; atc->nb: none. */
uint32_t
svm_atc_range_behind(const struct svm_atc *atc, uint64_t va);

/** What is changed between these two, readers see as a whole. */
void
svm_atc_table_begin(struct svm_atc *atc);

void
svm_atc_table_end(struct svm_atc *atc);

void
svm_atc_range_set(struct svm_atc *atc, uint32_t i, const struct atc_range *from);

/** A place for one more. False: there is none. */
bool
svm_atc_range_take(struct svm_atc *atc);

/** Use that place, at i. */
void
svm_atc_range_insert(struct svm_atc *atc, uint32_t i, const struct atc_range *from);

/** Remove one, and give its place back. */
void
svm_atc_range_remove(struct svm_atc *atc, uint32_t i);

/* ---- svm_atc_stop.c ---- */

void
svm_atc_region_free(struct svm_atc_table *t, struct atc_region *g);

/**
 * Let go of addresses that no reader can have any more: both counts were 0 at some
 * time since they left the table. New readers enter the other count from here on, so
 * each of the two gets there under any load. Under the lock.
 */
void
svm_atc_reap(struct svm_atc *atc);

#endif /* SVM_ATC_PRIVATE_H */
