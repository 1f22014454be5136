/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines about who was refused: each user gets one a second, so that one that asks
 * as fast as it can fills nobody's disk, and hides nobody else's lines. Users share
 * a few entries by their ids. The caller serialises.
 */
#ifndef SVM_REFUSALS_H
#define SVM_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SVM_REFUSALS_USERS	16u
#define SVM_REFUSALS_TELL_US	UINT64_C(1000000)

struct svm_refusals {
	struct {
		uint64_t told_us;	/* 0: never */
		uint32_t untold;	/* since then */
	} user[SVM_REFUSALS_USERS];
};

/**
 * Somebody is refused.
 *
 * @param now_us  Of a clock that has not begun at 0 just now.
 * @param untold  Out when true: how many were refused since the last line.
 * @return Whether a line is due.
 */
static inline bool
svm_refusals_tell(struct svm_refusals *r, uid_t who, uint64_t now_us, uint32_t *untold)
{
	const uint32_t i = (uint32_t)who % SVM_REFUSALS_USERS;

	if (r->user[i].told_us != 0 && now_us - r->user[i].told_us < SVM_REFUSALS_TELL_US) {
		r->user[i].untold++;
		return false;
	}
	*untold = r->user[i].untold;
	r->user[i].untold = 0;
	r->user[i].told_us = now_us;
	return true;
}

#endif /* SVM_REFUSALS_H */
