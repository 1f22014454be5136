/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Indexes and offsets that a worker chooses, clamped by arithmetic behind the
 * check that refuses them: a CPU that guesses past the check then reads at 0 of
 * what the worker may read, and not where it was sent.
 */
#ifndef SVM_NOSPEC_H
#define SVM_NOSPEC_H

#include <stdint.h>

/** All ones when i < n, otherwise 0, without a branch. */
static inline uint64_t
svm_nospec_mask(uint64_t i, uint64_t n)
{
	/* Hidden, so that the compiler cannot use what the check has told it. */
	__asm__("" : "+r"(i));
	/* The top bit is what i - n borrows. */
	return 0 - (((~i & n) | ((~i | n) & (i - n))) >> 63);
}

/** All ones when a == b, otherwise 0, without a branch. */
static inline uint64_t
svm_nospec_same(uint64_t a, uint64_t b)
{
	return svm_nospec_mask(a ^ b, 1);
}

#endif /* SVM_NOSPEC_H */
