/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PASIDs of one device: 1 to max; 0 is the owner and never given out.
 *
 *   alloc    FREE -> USED
 *   retire   USED -> QUARANTINE     the bond is gone, descriptors may still name it
 *   release  QUARANTINE -> FREE     nothing can carry it any more
 *
 * Free ones are handed out in the order in which they became free, so a PASID
 * rests as long as the table allows. Not thread-safe: the bond table's lock
 * covers it.
 */
#ifndef SVM_PASID_H
#define SVM_PASID_H

#include <stdint.h>

struct svm_pasid_table;

/** Make a table of PASIDs 1 to max (1 to 1,048,575). 0, -EINVAL, -ENOMEM. */
int
svm_pasid_table_create(uint32_t max, struct svm_pasid_table **table);

void
svm_pasid_table_destroy(struct svm_pasid_table *table);

/** 0 and *pasid, or -ENOSPC: all are used or in quarantine. */
int
svm_pasid_alloc(struct svm_pasid_table *table, uint32_t *pasid);

/** USED -> QUARANTINE. -EINVAL: it is not used. */
int
svm_pasid_retire(struct svm_pasid_table *table, uint32_t pasid);

/** QUARANTINE -> FREE. -EINVAL: it is not in quarantine. */
int
svm_pasid_release(struct svm_pasid_table *table, uint32_t pasid);

/** No PASID above this one was ever given out. */
uint32_t
svm_pasid_highest(const struct svm_pasid_table *table);

/** How many are in each state. */
void
svm_pasid_count(const struct svm_pasid_table *table, uint32_t *nb_used,
		uint32_t *nb_quarantine, uint32_t *nb_free);

#endif /* SVM_PASID_H */
