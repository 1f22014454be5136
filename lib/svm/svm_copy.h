/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SVM_COPY_H
#define SVM_COPY_H

/**
 * @file
 * Copy, fill and compare that survive any address.
 *
 * Pointers may be anything: null, non-canonical, unmapped, read-only, a hole in
 * a file. A call that cannot go on stops at the first byte that it may not
 * touch and says how many came before it. Exactly that many bytes are done;
 * those after it, up to the length asked for, have unspecified contents where
 * they are writable, and bytes outside [dst, dst + len) are never written.
 * A fault that has gone by the time of the second look (another thread mapped
 * the page) is not reported, the call goes on.
 *
 * Ranges of one call must not overlap, other than dst == src. When they do, the
 * contents of dst are unspecified; count and fault stay right. The memory may
 * change under the call: a byte may be read more than once.
 *
 * All functions may run in any number of threads at once, in each after
 * svm_trap_install() and svm_trap_thread_init(). They neither allocate, log,
 * lock nor call the system. A fault costs two signals, 2 to 3 us each.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "svm_trap.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Vector units that the routines are built for. */
enum svm_copy_isa {
	SVM_COPY_BASELINE,	/**< SSE2, or Advanced SIMD on arm64 */
	SVM_COPY_AVX2,
	SVM_COPY_AVX512,
	SVM_COPY_NB_ISA
};

/**
 * Copy bytes forward.
 *
 * @param dst   where to
 * @param src   where from
 * @param len   bytes, 0 touches nothing
 * @param fault filled in when the result is below len, untouched otherwise;
 *              may be NULL
 * @return bytes copied
 */
size_t svm_copy(void *dst, const void *src, size_t len,
		struct svm_fault_info *fault);

/**
 * Fill with a pattern of 8 bytes.
 *
 * @param dst     where to
 * @param pattern its byte 0 (the lowest) goes to dst[0], 8, 16, ...
 * @param len     bytes, any number; 0 touches nothing
 * @param fault   as for svm_copy()
 * @return bytes written
 */
size_t svm_fill(void *dst, uint64_t pattern, size_t len,
		struct svm_fault_info *fault);

/**
 * Compare two ranges.
 *
 * A result below len has one of two reasons: the next bytes differ, then
 * fault->hit is 0 and so are its other fields; or one of them cannot be read,
 * then fault->hit is 1 and fault->addr tells which.
 *
 * @param a     one range
 * @param b     the other
 * @param len   bytes, 0 is equal
 * @param equal set to whether all of len bytes are equal; not NULL
 * @param fault filled in when the result is below len; may be NULL
 * @return bytes found equal before the end, the first difference or the fault
 */
size_t svm_compare(const void *a, const void *b, size_t len, bool *equal,
		   struct svm_fault_info *fault);

/**
 * Compare a range with a repeated pattern, as svm_fill() writes it.
 *
 * @param a       the range
 * @param pattern its byte 0 is compared with a[0], 8, 16, ...
 * @param len     bytes, 0 is equal
 * @param equal   as for svm_compare()
 * @param fault   as for svm_compare()
 * @return as svm_compare()
 */
size_t svm_compare_pattern(const void *a, uint64_t pattern, size_t len,
			   bool *equal, struct svm_fault_info *fault);

/**
 * The best vector unit of this CPU, as svm_trap_install() takes it.
 * AVX-512 counts from Ice Lake and Zen 4 on; earlier ones slow down by it.
 */
enum svm_copy_isa svm_copy_isa_best(void);

/**
 * Choose a vector unit; svm_trap_install() has chosen the best already.
 * For tests and measurements, while no call is running.
 *
 * @param isa which
 * @return 0, -ENOTSUP when this CPU or build lacks it, -EINVAL for no such unit
 */
int svm_copy_isa_set(enum svm_copy_isa isa);

#ifdef __cplusplus
}
#endif

#endif /* SVM_COPY_H */
