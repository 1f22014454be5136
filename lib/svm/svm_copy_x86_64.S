/* SPDX-License-Identifier: BSD-3-Clause */
#if defined(__x86_64__)
#include "svm_trap_asm.h"

/*
 * Registers, everywhere in this file:
 *
 *	rdi	dst, or a: the first byte not yet done
 *	rsi	src, or b: the same; or the pattern, turned so that its lowest byte
 *		belongs to rdi
 *	rdx	bytes not yet done
 *	rax	length asked for
 *	r8	struct svm_fault_info *, or 0
 *	r10	where svm_compare() answers
 *	r11	signal number, set by the handler on the way to a fixup
 *
 * A step loads everything before it stores, and stores upwards. The registers
 * above move only between steps; so after a fault, wherever in the step it was,
 * they say what is done for certain, and the byte loop of that routine finds
 * out the rest: the exact byte and which side it was. It goes on with vectors
 * when SVM_RETRY_LEN bytes later nothing happened.
 *
 * The last step of a length overlaps the one before it, for a fixed number of
 * instructions per size class.
 */

	.text

/* size_t svm_copy(dst rdi, src rsi, len rdx, fault rcx) */
SVM_FUNC(svm_copy)
	mov	%rdx, %rax
	mov	%rcx, %r8
.Lcopy_again:
	cmp	$64, %rdx
	ja	.Lcopy_more
	cmp	$16, %edx
	jb	.Lcopy_below_16
.Lcopy_small:
	movups	(%rsi), %xmm0
	movups	-16(%rsi,%rdx), %xmm1
	cmp	$32, %edx
	ja	1f
	movups	%xmm0, (%rdi)
	movups	%xmm1, -16(%rdi,%rdx)
	ret
1:	movups	16(%rsi), %xmm2
	movups	-32(%rsi,%rdx), %xmm3
	movups	%xmm0, (%rdi)
	movups	%xmm2, 16(%rdi)
	movups	%xmm3, -32(%rdi,%rdx)
	movups	%xmm1, -16(%rdi,%rdx)
	ret
.Lcopy_below_16:
	cmp	$8, %edx
	jae	2f
	cmp	$4, %edx
	jae	1f
	test	%edx, %edx
	jz	3f
	mov	%edx, %ecx
	shr	%ecx
	movzbl	(%rsi), %r9d
	movzbl	(%rsi,%rcx), %r10d
	movzbl	-1(%rsi,%rdx), %r11d
	mov	%r9b, (%rdi)
	mov	%r10b, (%rdi,%rcx)
	mov	%r11b, -1(%rdi,%rdx)
	ret
1:	mov	(%rsi), %r9d
	mov	-4(%rsi,%rdx), %r10d
	mov	%r9d, (%rdi)
	mov	%r10d, -4(%rdi,%rdx)
	ret
2:	mov	(%rsi), %r9
	mov	-8(%rsi,%rdx), %r10
	mov	%r9, (%rdi)
	mov	%r10, -8(%rdi,%rdx)
3:	ret
.Lcopy_small_end:
	SVM_EX .Lcopy_small, .Lcopy_small_end, .Lcopy_bytes
.Lcopy_more:
	jmp	*svm_copy_big(%rip)

	/*
	 * A long copy, from where dst is aligned. rep movsb keeps its registers
	 * right at each interruption, so the residue of a fault is known.
	 */
.Lcopy_rep:
	movups	(%rsi), %xmm0
	movups	16(%rsi), %xmm1
	movups	32(%rsi), %xmm2
	movups	48(%rsi), %xmm3
	movups	%xmm0, (%rdi)
	movups	%xmm1, 16(%rdi)
	movups	%xmm2, 32(%rdi)
	movups	%xmm3, 48(%rdi)
.Lcopy_rep_string:
	mov	%edi, %ecx
	and	$63, %ecx
	sub	$64, %rcx
	sub	%rcx, %rdi
	sub	%rcx, %rsi
	add	%rdx, %rcx
	rep movsb
	ret
.Lcopy_rep_end:
	SVM_EX .Lcopy_rep, .Lcopy_rep_string, .Lcopy_bytes
	SVM_EX .Lcopy_rep_string, .Lcopy_rep_end, .Lcopy_rep_fix
.Lcopy_rep_fix:
	mov	%rcx, %rdx
.Lcopy_bytes:
	mov	$SVM_RETRY_LEN, %ecx
	cmp	%rdx, %rcx
	cmova	%rdx, %rcx
1:
.Lcopy_load:
	movzbl	(%rsi), %r9d
.Lcopy_store:
	mov	%r9b, (%rdi)
.Lcopy_store_end:
	SVM_EX .Lcopy_load, .Lcopy_store, .Lcopy_load_fault
	SVM_EX .Lcopy_store, .Lcopy_store_end, .Lstore_fault
	inc	%rsi
	inc	%rdi
	dec	%rdx
	dec	%rcx
	jnz	1b
	test	%rdx, %rdx
	jnz	.Lcopy_again
	ret
.Lcopy_load_fault:
	mov	%rsi, %r9
	xor	%ecx, %ecx
	jmp	.Lfault
.Lstore_fault:
	mov	%rdi, %r9
	mov	$1, %ecx
	/* r9 is the address, cl 1 for a store */
.Lfault:
	sub	%rdx, %rax
	test	%r8, %r8
	jz	1f
	mov	%r9, SVM_FAULT_ADDR(%r8)
	mov	%cl, SVM_FAULT_WRITE(%r8)
	cmp	$7, %r11d		/* SIGBUS */
	sete	SVM_FAULT_BUS(%r8)
	movb	$1, SVM_FAULT_HIT(%r8)
1:	ret
SVM_FUNC_END(svm_copy)

/* size_t svm_fill(dst rdi, pattern rsi, len rdx, fault rcx) */
SVM_FUNC(svm_fill)
	mov	%rdx, %rax
	mov	%rcx, %r8
.Lfill_again:
	cmp	$64, %rdx
	ja	.Lfill_more
	/* r9: the pattern as the last 8, 16 or 4 bytes have it */
	lea	(,%rdx,8), %ecx
	mov	%rsi, %r9
	ror	%cl, %r9
	cmp	$16, %edx
	jb	.Lfill_below_16
	movq	%rsi, %xmm0
	movq	%r9, %xmm1
	punpcklqdq %xmm0, %xmm0
	punpcklqdq %xmm1, %xmm1
	cmp	$32, %edx
	ja	1f
.Lfill_small:
	movups	%xmm0, (%rdi)
	movups	%xmm1, -16(%rdi,%rdx)
	ret
1:	movups	%xmm0, (%rdi)
	movups	%xmm0, 16(%rdi)
	movups	%xmm1, -32(%rdi,%rdx)
	movups	%xmm1, -16(%rdi,%rdx)
	ret
.Lfill_below_16:
	cmp	$8, %edx
	jae	1f
	test	%edx, %edx
	jnz	.Lfill_bytes
	ret
1:	mov	%rsi, (%rdi)
	mov	%r9, -8(%rdi,%rdx)
	ret
.Lfill_small_end:
	SVM_EX .Lfill_small, .Lfill_small_end, .Lfill_bytes
.Lfill_more:
	jmp	*svm_fill_big(%rip)

.Lfill_bytes:
	mov	$SVM_RETRY_LEN, %ecx
	cmp	%rdx, %rcx
	cmova	%rdx, %rcx
1:
.Lfill_store:
	mov	%sil, (%rdi)
.Lfill_store_end:
	SVM_EX .Lfill_store, .Lfill_store_end, .Lstore_fault
	ror	$8, %rsi
	inc	%rdi
	dec	%rdx
	dec	%rcx
	jnz	1b
	test	%rdx, %rdx
	jnz	.Lfill_again
	ret
SVM_FUNC_END(svm_fill)

/* size_t svm_compare(a rdi, b rsi, len rdx, equal rcx, fault r8) */
SVM_FUNC(svm_compare)
	mov	%rdx, %rax
	mov	%rcx, %r10
.Lcompare_again:
	cmp	$64, %rdx
	ja	.Lcompare_more
	cmp	$16, %edx
	jb	.Lcompare_below_16
.Lcompare_small:
	movdqu	(%rdi), %xmm0
	movdqu	(%rsi), %xmm1
	pcmpeqb	%xmm1, %xmm0
	movdqu	-16(%rdi,%rdx), %xmm2
	movdqu	-16(%rsi,%rdx), %xmm3
	pcmpeqb	%xmm3, %xmm2
	pand	%xmm2, %xmm0
	cmp	$32, %edx
	jbe	1f
	movdqu	16(%rdi), %xmm1
	movdqu	16(%rsi), %xmm2
	pcmpeqb	%xmm2, %xmm1
	movdqu	-32(%rdi,%rdx), %xmm3
	movdqu	-32(%rsi,%rdx), %xmm4
	pcmpeqb	%xmm4, %xmm3
	pand	%xmm1, %xmm0
	pand	%xmm3, %xmm0
1:	pmovmskb %xmm0, %ecx
	cmp	$0xffff, %ecx
	jne	.Lcompare_bytes
	movb	$1, (%r10)
	ret
.Lcompare_below_16:
	cmp	$8, %edx
	jae	1f
	test	%edx, %edx
	jnz	.Lcompare_bytes
	movb	$1, (%r10)
	ret
1:	mov	(%rdi), %rcx
	mov	-8(%rdi,%rdx), %r9
	xor	(%rsi), %rcx
	xor	-8(%rsi,%rdx), %r9
	or	%r9, %rcx
	jnz	.Lcompare_bytes
	movb	$1, (%r10)
	ret
.Lcompare_small_end:
	SVM_EX .Lcompare_small, .Lcompare_small_end, .Lcompare_bytes
.Lcompare_more:
	jmp	*svm_compare_big(%rip)

.Lcompare_bytes:
	mov	$SVM_RETRY_LEN, %ecx
	cmp	%rdx, %rcx
	cmova	%rdx, %rcx
1:
.Lcompare_load_a:
	movzbl	(%rdi), %r9d
.Lcompare_load_b:
	cmp	(%rsi), %r9b
.Lcompare_load_end:
	SVM_EX .Lcompare_load_a, .Lcompare_load_b, .Lcompare_fault_a
	SVM_EX .Lcompare_load_b, .Lcompare_load_end, .Lcompare_fault_b
	jne	.Lcompare_differ
	inc	%rdi
	inc	%rsi
	dec	%rdx
	dec	%rcx
	jnz	1b
	test	%rdx, %rdx
	jnz	.Lcompare_again
	movb	$1, (%r10)
	ret
.Lcompare_fault_b:
	mov	%rsi, %r9
	jmp	1f
.Lcompare_fault_a:
	mov	%rdi, %r9
1:	movb	$0, (%r10)
	xor	%ecx, %ecx
	jmp	.Lfault
.Lcompare_differ:
	sub	%rdx, %rax
	movb	$0, (%r10)
	test	%r8, %r8
	jz	1f
	movq	$0, SVM_FAULT_ADDR(%r8)
	movb	$0, SVM_FAULT_WRITE(%r8)
	movb	$0, SVM_FAULT_BUS(%r8)
	movb	$0, SVM_FAULT_HIT(%r8)
1:	ret
SVM_FUNC_END(svm_compare)

/* size_t svm_compare_pattern(a rdi, pattern rsi, len rdx, equal rcx, fault r8) */
SVM_FUNC(svm_compare_pattern)
	mov	%rdx, %rax
	mov	%rcx, %r10
.Lpattern_again:
	cmp	$64, %rdx
	ja	.Lpattern_more
	lea	(,%rdx,8), %ecx
	mov	%rsi, %r9
	ror	%cl, %r9
	cmp	$16, %edx
	jb	.Lpattern_below_16
	movq	%rsi, %xmm4
	movq	%r9, %xmm5
	punpcklqdq %xmm4, %xmm4
	punpcklqdq %xmm5, %xmm5
.Lpattern_small:
	movdqu	(%rdi), %xmm0
	movdqu	-16(%rdi,%rdx), %xmm1
	pcmpeqb	%xmm4, %xmm0
	pcmpeqb	%xmm5, %xmm1
	pand	%xmm1, %xmm0
	cmp	$32, %edx
	jbe	1f
	movdqu	16(%rdi), %xmm1
	movdqu	-32(%rdi,%rdx), %xmm2
	pcmpeqb	%xmm4, %xmm1
	pcmpeqb	%xmm5, %xmm2
	pand	%xmm1, %xmm0
	pand	%xmm2, %xmm0
1:	pmovmskb %xmm0, %ecx
	cmp	$0xffff, %ecx
	jne	.Lpattern_bytes
	movb	$1, (%r10)
	ret
.Lpattern_below_16:
	cmp	$8, %edx
	jae	1f
	test	%edx, %edx
	jnz	.Lpattern_bytes
	movb	$1, (%r10)
	ret
1:	xor	-8(%rdi,%rdx), %r9
	mov	(%rdi), %rcx
	xor	%rsi, %rcx
	or	%r9, %rcx
	jnz	.Lpattern_bytes
	movb	$1, (%r10)
	ret
.Lpattern_small_end:
	SVM_EX .Lpattern_small, .Lpattern_small_end, .Lpattern_bytes
.Lpattern_more:
	jmp	*svm_compare_pattern_big(%rip)

.Lpattern_bytes:
	mov	$SVM_RETRY_LEN, %ecx
	cmp	%rdx, %rcx
	cmova	%rdx, %rcx
1:
.Lpattern_load:
	cmp	(%rdi), %sil
.Lpattern_load_end:
	SVM_EX .Lpattern_load, .Lpattern_load_end, .Lcompare_fault_a
	jne	.Lcompare_differ
	ror	$8, %rsi
	inc	%rdi
	dec	%rdx
	dec	%rcx
	jnz	1b
	test	%rdx, %rdx
	jnz	.Lpattern_again
	movb	$1, (%r10)
	ret
SVM_FUNC_END(svm_compare_pattern)

#define VEC 16
#define ISA(name) name##_sse2
#define V(n) %xmm##n
#define LOADU movups
#define STOREU movups
#define STOREA movaps
#define BROADCAST(reg, n) movq reg, %xmm##n; punpcklqdq %xmm##n, %xmm##n
#define VZERO
#define EQUAL_MEM(n, tmp, mem) movdqu mem, %xmm##tmp; pcmpeqb %xmm##tmp, %xmm##n
#define EQUAL_VEC(n, m) pcmpeqb %xmm##m, %xmm##n
#define EQUAL_AND(n, m) pand %xmm##m, %xmm##n
#define EQUAL_TEST(n) pmovmskb %xmm##n, %ecx; cmp $0xffff, %ecx
#include "svm_copy_x86_64_vec.h"

#define VEC 32
#define ISA(name) name##_avx2
#define V(n) %ymm##n
#define LOADU vmovups
#define STOREU vmovups
#define STOREA vmovaps
#define BROADCAST(reg, n) vmovq reg, %xmm##n; vpbroadcastq %xmm##n, %ymm##n
#define VZERO vzeroupper
#define EQUAL_MEM(n, tmp, mem) vpcmpeqb mem, %ymm##n, %ymm##n
#define EQUAL_VEC(n, m) vpcmpeqb %ymm##m, %ymm##n, %ymm##n
#define EQUAL_AND(n, m) vpand %ymm##m, %ymm##n, %ymm##n
#define EQUAL_TEST(n) vpmovmskb %ymm##n, %ecx; cmp $-1, %ecx
#include "svm_copy_x86_64_vec.h"

/*
 * zmm20 and up need no vzeroupper. "Equal" is no bit set here: the exclusive
 * or of both sides, joined by or.
 */
#define VEC 64
#define ISA(name) name##_avx512
#define V(n) %zmm2##n
#define LOADU vmovups
#define STOREU vmovups
#define STOREA vmovaps
#define BROADCAST(reg, n) vpbroadcastq reg, %zmm2##n
#define VZERO
#define EQUAL_MEM(n, tmp, mem) vpxorq mem, %zmm2##n, %zmm2##n
#define EQUAL_VEC(n, m) vpxorq %zmm2##m, %zmm2##n, %zmm2##n
#define EQUAL_AND(n, m) vporq %zmm2##m, %zmm2##n, %zmm2##n
#define EQUAL_TEST(n) vptestmd %zmm2##n, %zmm2##n, %k1; kortestw %k1, %k1
#include "svm_copy_x86_64_vec.h"

#endif

	.section .note.GNU-stack, "", %progbits
