/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * More than 64 bytes, for one vector unit. svm_copy_x86_64.S includes this once
 * for each, says there what a register holds, and names the instructions:
 *
 *	VEC, V(n)		bytes in a vector, register n (0 to 9)
 *	BROADCAST(reg, n)	a general register into each quadword of register n
 *	EQUAL_MEM, EQUAL_VEC	register n := where it equals memory, register m
 *	EQUAL_AND, EQUAL_TEST	join two of those; ZF set when all is equal
 *	VZERO			what must follow the use of registers, if anything
 *
 * In loops rdx is a step below what is left, hence the _ahead fixups; the last
 * step starts at rdi + rdx then, which may lie before rdi.
 */

#define STEP (4 * VEC)
#define L(name) ISA(.L##name)
#define BIG(name) .hidden ISA(name); SVM_FUNC(ISA(name))

BIG(svm_copy_big)
#if VEC > 16
	cmp	$STEP, %rdx
	ja	L(copy_long)
L(copy_short):
	LOADU	(%rsi), V(0)
	LOADU	-VEC(%rsi,%rdx), V(1)
#if VEC > 32
	cmp	$(2 * VEC), %rdx
	ja	1f
	STOREU	V(0), (%rdi)
	STOREU	V(1), -VEC(%rdi,%rdx)
	VZERO
	ret
1:
#endif
	LOADU	VEC(%rsi), V(2)
	LOADU	(-2 * VEC)(%rsi,%rdx), V(3)
	STOREU	V(0), (%rdi)
	STOREU	V(2), VEC(%rdi)
	STOREU	V(3), (-2 * VEC)(%rdi,%rdx)
	STOREU	V(1), -VEC(%rdi,%rdx)
	VZERO
	ret
	SVM_EX L(copy_short), L(copy_long), L(copy_fix)
#endif
L(copy_long):
	cmp	svm_copy_rep_min(%rip), %rdx
	jae	.Lcopy_rep
	/* One vector, up to where dst is aligned. */
	LOADU	(%rsi), V(0)
	STOREU	V(0), (%rdi)
L(copy_aligned):
	SVM_EX L(copy_long), L(copy_aligned), L(copy_fix)
	mov	%edi, %ecx
	and	$(VEC - 1), %ecx
	sub	$VEC, %rcx
	sub	%rcx, %rdi
	sub	%rcx, %rsi
	add	%rcx, %rdx
	sub	$STEP, %rdx
	jbe	L(copy_tail)
	.balign	32
L(copy_loop):
	LOADU	(%rsi), V(0)
	LOADU	VEC(%rsi), V(1)
	LOADU	(2 * VEC)(%rsi), V(2)
	LOADU	(3 * VEC)(%rsi), V(3)
	STOREA	V(0), (%rdi)
	STOREA	V(1), VEC(%rdi)
	STOREA	V(2), (2 * VEC)(%rdi)
	STOREA	V(3), (3 * VEC)(%rdi)
	add	$STEP, %rsi
	add	$STEP, %rdi
	sub	$STEP, %rdx
	ja	L(copy_loop)
L(copy_tail):
	LOADU	(%rsi,%rdx), V(0)
	LOADU	VEC(%rsi,%rdx), V(1)
	LOADU	(2 * VEC)(%rsi,%rdx), V(2)
	LOADU	(3 * VEC)(%rsi,%rdx), V(3)
	STOREU	V(0), (%rdi,%rdx)
	STOREU	V(1), VEC(%rdi,%rdx)
	STOREU	V(2), (2 * VEC)(%rdi,%rdx)
	STOREU	V(3), (3 * VEC)(%rdi,%rdx)
	VZERO
	ret
L(copy_fix_ahead):
	SVM_EX L(copy_loop), L(copy_fix_ahead), L(copy_fix_ahead)
	add	$STEP, %rdx
L(copy_fix):
	VZERO
	jmp	.Lcopy_bytes
SVM_FUNC_END(ISA(svm_copy_big))

BIG(svm_fill_big)
	BROADCAST(%rsi, 0)
#if VEC > 16
	cmp	$STEP, %rdx
	ja	L(fill_long)
	lea	(,%rdx,8), %ecx
	mov	%rsi, %r9
	ror	%cl, %r9
	BROADCAST(%r9, 1)
L(fill_short):
	STOREU	V(0), (%rdi)
#if VEC > 32
	cmp	$(2 * VEC), %rdx
	jbe	1f
#endif
	STOREU	V(0), VEC(%rdi)
	STOREU	V(1), (-2 * VEC)(%rdi,%rdx)
1:	STOREU	V(1), -VEC(%rdi,%rdx)
	VZERO
	ret
	SVM_EX L(fill_short), L(fill_long), L(fill_fix)
#endif
L(fill_long):
	STOREU	V(0), (%rdi)
L(fill_aligned):
	SVM_EX L(fill_long), L(fill_aligned), L(fill_fix)
	mov	%edi, %ecx
	and	$(VEC - 1), %ecx
	sub	$VEC, %rcx
	sub	%rcx, %rdi
	add	%rcx, %rdx
	/* rcx is minus what was stored; turn the pattern by as much. */
	lea	(,%rcx,8), %ecx
	rol	%cl, %rsi
	BROADCAST(%rsi, 0)
	/* The pattern of the last step; all before it are whole patterns. */
	lea	(,%rdx,8), %ecx
	mov	%rsi, %r9
	ror	%cl, %r9
	BROADCAST(%r9, 1)
	sub	$STEP, %rdx
	jbe	L(fill_tail)
	.balign	32
L(fill_loop):
	STOREA	V(0), (%rdi)
	STOREA	V(0), VEC(%rdi)
	STOREA	V(0), (2 * VEC)(%rdi)
	STOREA	V(0), (3 * VEC)(%rdi)
	add	$STEP, %rdi
	sub	$STEP, %rdx
	ja	L(fill_loop)
L(fill_tail):
	STOREU	V(1), (%rdi,%rdx)
	STOREU	V(1), VEC(%rdi,%rdx)
	STOREU	V(1), (2 * VEC)(%rdi,%rdx)
	STOREU	V(1), (3 * VEC)(%rdi,%rdx)
	VZERO
	ret
L(fill_fix_ahead):
	SVM_EX L(fill_loop), L(fill_fix_ahead), L(fill_fix_ahead)
	add	$STEP, %rdx
L(fill_fix):
	VZERO
	jmp	.Lfill_bytes
SVM_FUNC_END(ISA(svm_fill_big))

#define EQUAL_ONE(n, tmp, off, at)	\
	LOADU off(%rdi at), V(n); EQUAL_MEM(n, tmp, off(%rsi at))
#define COMMA_RDX ,%rdx

BIG(svm_compare_big)
#if VEC > 16
	cmp	$STEP, %rdx
	ja	L(compare_long)
L(compare_short):
	EQUAL_ONE(0, 4, 0, )
	EQUAL_ONE(1, 5, -VEC, COMMA_RDX)
	EQUAL_AND(0, 1)
#if VEC > 32
	cmp	$(2 * VEC), %rdx
	jbe	1f
#endif
	EQUAL_ONE(2, 4, VEC, )
	EQUAL_ONE(3, 5, (-2 * VEC), COMMA_RDX)
	EQUAL_AND(2, 3)
	EQUAL_AND(0, 2)
1:	EQUAL_TEST(0)
	jne	L(compare_fix)
	VZERO
	movb	$1, (%r10)
	ret
	SVM_EX L(compare_short), L(compare_long), L(compare_fix)
#endif
L(compare_long):
	sub	$STEP, %rdx
	.balign	32
L(compare_loop):
	EQUAL_ONE(0, 4, 0, )
	EQUAL_ONE(1, 5, VEC, )
	EQUAL_ONE(2, 6, (2 * VEC), )
	EQUAL_ONE(3, 7, (3 * VEC), )
	EQUAL_AND(0, 1)
	EQUAL_AND(2, 3)
	EQUAL_AND(0, 2)
	EQUAL_TEST(0)
	jne	L(compare_fix_ahead)
	add	$STEP, %rdi
	add	$STEP, %rsi
	sub	$STEP, %rdx
	ja	L(compare_loop)
	EQUAL_ONE(0, 4, 0, COMMA_RDX)
	EQUAL_ONE(1, 5, VEC, COMMA_RDX)
	EQUAL_ONE(2, 6, (2 * VEC), COMMA_RDX)
	EQUAL_ONE(3, 7, (3 * VEC), COMMA_RDX)
	EQUAL_AND(0, 1)
	EQUAL_AND(2, 3)
	EQUAL_AND(0, 2)
	EQUAL_TEST(0)
	jne	L(compare_fix_ahead)
	VZERO
	movb	$1, (%r10)
	ret
L(compare_fix_ahead):
	SVM_EX L(compare_loop), L(compare_fix_ahead), L(compare_fix_ahead)
	add	$STEP, %rdx
L(compare_fix):
	VZERO
	jmp	.Lcompare_bytes
SVM_FUNC_END(ISA(svm_compare_big))

/* Register 8 is the pattern as rdi has it, 9 as the end has it. */
#define MATCH_ONE(n, m, off, at)	\
	LOADU off(%rdi at), V(n); EQUAL_VEC(n, m)

BIG(svm_compare_pattern_big)
	lea	(,%rdx,8), %ecx
	mov	%rsi, %r9
	ror	%cl, %r9
	BROADCAST(%rsi, 8)
	BROADCAST(%r9, 9)
#if VEC > 16
	cmp	$STEP, %rdx
	ja	L(pattern_long)
L(pattern_short):
	MATCH_ONE(0, 8, 0, )
	MATCH_ONE(1, 9, -VEC, COMMA_RDX)
	EQUAL_AND(0, 1)
#if VEC > 32
	cmp	$(2 * VEC), %rdx
	jbe	1f
#endif
	MATCH_ONE(2, 8, VEC, )
	MATCH_ONE(3, 9, (-2 * VEC), COMMA_RDX)
	EQUAL_AND(2, 3)
	EQUAL_AND(0, 2)
1:	EQUAL_TEST(0)
	jne	L(pattern_fix)
	VZERO
	movb	$1, (%r10)
	ret
	SVM_EX L(pattern_short), L(pattern_long), L(pattern_fix)
#endif
L(pattern_long):
	sub	$STEP, %rdx
	.balign	32
L(pattern_loop):
	MATCH_ONE(0, 8, 0, )
	MATCH_ONE(1, 8, VEC, )
	MATCH_ONE(2, 8, (2 * VEC), )
	MATCH_ONE(3, 8, (3 * VEC), )
	EQUAL_AND(0, 1)
	EQUAL_AND(2, 3)
	EQUAL_AND(0, 2)
	EQUAL_TEST(0)
	jne	L(pattern_fix_ahead)
	add	$STEP, %rdi
	sub	$STEP, %rdx
	ja	L(pattern_loop)
	MATCH_ONE(0, 9, 0, COMMA_RDX)
	MATCH_ONE(1, 9, VEC, COMMA_RDX)
	MATCH_ONE(2, 9, (2 * VEC), COMMA_RDX)
	MATCH_ONE(3, 9, (3 * VEC), COMMA_RDX)
	EQUAL_AND(0, 1)
	EQUAL_AND(2, 3)
	EQUAL_AND(0, 2)
	EQUAL_TEST(0)
	jne	L(pattern_fix_ahead)
	VZERO
	movb	$1, (%r10)
	ret
L(pattern_fix_ahead):
	SVM_EX L(pattern_loop), L(pattern_fix_ahead), L(pattern_fix_ahead)
	add	$STEP, %rdx
L(pattern_fix):
	VZERO
	jmp	.Lpattern_bytes
SVM_FUNC_END(ISA(svm_compare_pattern_big))

#undef BIG
#undef COMMA_RDX
#undef EQUAL_ONE
#undef L
#undef MATCH_ONE
#undef STEP

#undef BROADCAST
#undef EQUAL_AND
#undef EQUAL_MEM
#undef EQUAL_TEST
#undef EQUAL_VEC
#undef ISA
#undef LOADU
#undef STOREA
#undef STOREU
#undef V
#undef VEC
#undef VZERO
