/* SPDX-License-Identifier: BSD-3-Clause */
/* How often each of many numbers is there: a hash table of counts. The caller serialises. */
#ifndef SVM_TALLY_H
#define SVM_TALLY_H

#include <stdint.h>

struct svm_tally_entry {
	uint64_t key;
	uint32_t nb;		/* 0: free */
};

/** Zeroed is empty. */
struct svm_tally {
	uint32_t size;		/* a power of two, or 0 */
	uint32_t nb;		/* entries in use */
	struct svm_tally_entry *entries;
};

/** Count one more. @return 0; -EUSERS: it is there `max` times (0: no limit); -ENOMEM. */
int
svm_tally_add(struct svm_tally *tally, uint64_t key, uint32_t max);

/** Count n more, all or none. @return As svm_tally_add(). */
int
svm_tally_add_n(struct svm_tally *tally, uint64_t key, uint32_t n, uint32_t max);

/** Count n less of what was added. */
void
svm_tally_del_n(struct svm_tally *tally, uint64_t key, uint32_t n);

/** Count one less of what was added. */
void
svm_tally_del(struct svm_tally *tally, uint64_t key);

void
svm_tally_fini(struct svm_tally *tally);

#endif /* SVM_TALLY_H */
