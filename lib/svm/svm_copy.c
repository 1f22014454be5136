/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>

#include "svm_copy.h"

/*
 * The routines themselves are in svm_copy_<arch>.S: which registers hold what
 * at a faulting instruction must be known, and no compiler promises that.
 */

#if defined(__x86_64__)
#include <cpuid.h>

#define COPY_HIDDEN __attribute__((visibility("hidden")))
#define COPY_DECLARE(isa)						\
	extern const char svm_copy_big_##isa[] COPY_HIDDEN;		\
	extern const char svm_fill_big_##isa[] COPY_HIDDEN;		\
	extern const char svm_compare_big_##isa[] COPY_HIDDEN;		\
	extern const char svm_compare_pattern_big_##isa[] COPY_HIDDEN

COPY_DECLARE(sse2);
COPY_DECLARE(avx2);
COPY_DECLARE(avx512);

/*
 * Where the entry points jump for more than 64 bytes. These are places inside
 * an assembly routine, not functions: their registers are its own.
 * Read by the assembly, written by svm_copy_isa_set().
 */
COPY_HIDDEN const void *svm_copy_big = svm_copy_big_sse2;
COPY_HIDDEN const void *svm_fill_big = svm_fill_big_sse2;
COPY_HIDDEN const void *svm_compare_big = svm_compare_big_sse2;
COPY_HIDDEN const void *svm_compare_pattern_big = svm_compare_pattern_big_sse2;

/* From this length on a string instruction copies; never without ERMS. */
COPY_HIDDEN size_t svm_copy_rep_min = SIZE_MAX;

#define COPY_REP_MIN (16 * 1024)

static const struct copy_impl {
	const void *copy;
	const void *fill;
	const void *compare;
	const void *compare_pattern;
} copy_impls[SVM_COPY_NB_ISA] = {
	[SVM_COPY_BASELINE] = {
		svm_copy_big_sse2, svm_fill_big_sse2,
		svm_compare_big_sse2, svm_compare_pattern_big_sse2,
	},
	[SVM_COPY_AVX2] = {
		svm_copy_big_avx2, svm_fill_big_avx2,
		svm_compare_big_avx2, svm_compare_pattern_big_avx2,
	},
	[SVM_COPY_AVX512] = {
		svm_copy_big_avx512, svm_fill_big_avx512,
		svm_compare_big_avx512, svm_compare_pattern_big_avx512,
	},
};

static bool
copy_isa_supported(enum svm_copy_isa isa)
{
	__builtin_cpu_init();
	switch (isa) {
	case SVM_COPY_BASELINE:
		return true;
	case SVM_COPY_AVX2:
		return __builtin_cpu_supports("avx2") != 0;
	case SVM_COPY_AVX512:
		return __builtin_cpu_supports("avx512f") != 0 &&
		       __builtin_cpu_supports("avx512vl") != 0;
	default:
		return false;
	}
}

static bool
copy_has_erms(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
	       (ebx & (1u << 9)) != 0;
}

enum svm_copy_isa
svm_copy_isa_best(void)
{
	/* VBMI came with the first parts that keep their clock under AVX-512. */
	if (copy_isa_supported(SVM_COPY_AVX512) &&
	    __builtin_cpu_supports("avx512vbmi") != 0)
		return SVM_COPY_AVX512;
	if (copy_isa_supported(SVM_COPY_AVX2))
		return SVM_COPY_AVX2;
	return SVM_COPY_BASELINE;
}

int
svm_copy_isa_set(enum svm_copy_isa isa)
{
	const struct copy_impl *impl;

	if ((unsigned int)isa >= SVM_COPY_NB_ISA)
		return -EINVAL;
	if (!copy_isa_supported(isa))
		return -ENOTSUP;
	impl = &copy_impls[isa];
	svm_copy_big = impl->copy;
	svm_fill_big = impl->fill;
	svm_compare_big = impl->compare;
	svm_compare_pattern_big = impl->compare_pattern;
	svm_copy_rep_min = copy_has_erms() ? COPY_REP_MIN : SIZE_MAX;
	return 0;
}

#else /* one set of routines */

enum svm_copy_isa
svm_copy_isa_best(void)
{
	return SVM_COPY_BASELINE;
}

int
svm_copy_isa_set(enum svm_copy_isa isa)
{
	if ((unsigned int)isa >= SVM_COPY_NB_ISA)
		return -EINVAL;
	return isa == SVM_COPY_BASELINE ? 0 : -ENOTSUP;
}

#endif
