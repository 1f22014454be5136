/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Few places that many users want: so many in all, and each user a part of
 * them, so that one whose places never come free takes them from nobody else.
 * The caller serialises.
 */
#ifndef SVM_SHARE_H
#define SVM_SHARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SVM_SHARE_MAX	64u	/* places in all */
#define SVM_SHARE_EACH	8u	/* ... of one user */

struct svm_share {
	uint32_t nb;
	uid_t who[SVM_SHARE_MAX];
};

/** Take a place; false: none is free, or this user has as many as it may. */
static inline bool
svm_share_take(struct svm_share *share, uid_t who)
{
	uint32_t i, own = 0;

	for (i = 0; i != share->nb; i++)
		own += share->who[i] == who;
	if (share->nb == SVM_SHARE_MAX || own == SVM_SHARE_EACH)
		return false;
	share->who[share->nb++] = who;
	return true;
}

/** Give a place back. */
static inline void
svm_share_put(struct svm_share *share, uid_t who)
{
	uint32_t i;

	for (i = 0; i != share->nb; i++) {
		if (share->who[i] == who) {
			share->who[i] = share->who[--share->nb];
			return;
		}
	}
}

#endif /* SVM_SHARE_H */
