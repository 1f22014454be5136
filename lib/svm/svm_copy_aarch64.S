/* SPDX-License-Identifier: BSD-3-Clause */
#if defined(__aarch64__)
#include "svm_trap_asm.h"

/*
 * Registers, everywhere in this file:
 *
 *	x0	dst, or a: the first byte not yet done
 *	x1	src, or b: the same; or the pattern, turned so that its lowest byte
 *		belongs to x0
 *	x2	bytes not yet done
 *	x9	length asked for
 *	x10	struct svm_fault_info *, or 0
 *	x11	where svm_compare() answers
 *	x17	signal number, set by the handler on the way to a fixup
 *
 * Memory is never touched with writeback: these registers move only between
 * steps, so after a fault, wherever in the step it was, they say what is done
 * for certain, and the byte loop of that routine finds out the rest. It goes on
 * with vectors when SVM_RETRY_LEN bytes later nothing happened. In loops x2 is
 * a step below what is left, hence the _ahead fixups.
 */

#define STEP 64

	.text

/* size_t svm_copy(dst x0, src x1, len x2, fault x3) */
SVM_FUNC(svm_copy)
	mov	x9, x2
	mov	x10, x3
.Lcopy_again:
	cmp	x2, #STEP
	b.hi	.Lcopy_long
	add	x6, x0, x2
	add	x7, x1, x2
	cmp	x2, #16
	b.lo	.Lcopy_below_16
.Lcopy_small:
	ldr	q0, [x1]
	ldur	q1, [x7, #-16]
	cmp	x2, #32
	b.hi	1f
	str	q0, [x0]
	stur	q1, [x6, #-16]
	mov	x0, x9
	ret
1:	ldr	q2, [x1, #16]
	ldur	q3, [x7, #-32]
	str	q0, [x0]
	str	q2, [x0, #16]
	stur	q3, [x6, #-32]
	stur	q1, [x6, #-16]
	mov	x0, x9
	ret
.Lcopy_below_16:
	tbz	x2, #3, 1f
	ldr	x3, [x1]
	ldur	x4, [x7, #-8]
	str	x3, [x0]
	stur	x4, [x6, #-8]
	mov	x0, x9
	ret
1:	tbz	x2, #2, 2f
	ldr	w3, [x1]
	ldur	w4, [x7, #-4]
	str	w3, [x0]
	stur	w4, [x6, #-4]
	mov	x0, x9
	ret
2:	cbnz	x2, .Lcopy_bytes
	mov	x0, x9
	ret
.Lcopy_long:
	ldr	q0, [x1]
	str	q0, [x0]
.Lcopy_aligned:
	SVM_EX .Lcopy_small, .Lcopy_aligned, .Lcopy_bytes
	and	x3, x0, #15
	sub	x3, x3, #16
	sub	x0, x0, x3
	sub	x1, x1, x3
	add	x2, x2, x3
	subs	x2, x2, #STEP
	b.ls	.Lcopy_tail
.Lcopy_loop:
	ldp	q0, q1, [x1]
	ldp	q2, q3, [x1, #32]
	stp	q0, q1, [x0]
	stp	q2, q3, [x0, #32]
	add	x1, x1, #STEP
	add	x0, x0, #STEP
	subs	x2, x2, #STEP
	b.hi	.Lcopy_loop
.Lcopy_tail:
	add	x6, x0, x2
	add	x7, x1, x2
	ldp	q0, q1, [x7]
	ldp	q2, q3, [x7, #32]
	stp	q0, q1, [x6]
	stp	q2, q3, [x6, #32]
	mov	x0, x9
	ret
.Lcopy_ahead:
	SVM_EX .Lcopy_loop, .Lcopy_ahead, .Lcopy_ahead
	add	x2, x2, #STEP
.Lcopy_bytes:
	mov	x5, #SVM_RETRY_LEN
	cmp	x5, x2
	csel	x5, x5, x2, lo
.Lcopy_load:
	ldrb	w3, [x1]
.Lcopy_store:
	strb	w3, [x0]
.Lcopy_store_end:
	SVM_EX .Lcopy_load, .Lcopy_store, .Lcopy_load_fault
	SVM_EX .Lcopy_store, .Lcopy_store_end, .Lstore_fault
	add	x1, x1, #1
	add	x0, x0, #1
	sub	x2, x2, #1
	subs	x5, x5, #1
	b.ne	.Lcopy_load
	cbnz	x2, .Lcopy_again
	mov	x0, x9
	ret
.Lcopy_load_fault:
	mov	x3, x1
	mov	w4, #0
	b	.Lfault
.Lstore_fault:
	mov	x3, x0
	mov	w4, #1
	/* x3 is the address, w4 1 for a store */
.Lfault:
	sub	x0, x9, x2
	cbz	x10, 1f
	str	x3, [x10, #SVM_FAULT_ADDR]
	strb	w4, [x10, #SVM_FAULT_WRITE]
	cmp	w17, #7			/* SIGBUS */
	cset	w4, eq
	strb	w4, [x10, #SVM_FAULT_BUS]
	mov	w4, #1
	strb	w4, [x10, #SVM_FAULT_HIT]
1:	ret
SVM_FUNC_END(svm_copy)

/* size_t svm_fill(dst x0, pattern x1, len x2, fault x3) */
SVM_FUNC(svm_fill)
	mov	x9, x2
	mov	x10, x3
.Lfill_again:
	dup	v0.2d, x1
	cmp	x2, #STEP
	b.hi	.Lfill_long
	/* x4: the pattern as the last 8, 16, ... bytes have it */
	lsl	x3, x2, #3
	ror	x4, x1, x3
	add	x6, x0, x2
	cmp	x2, #16
	b.lo	.Lfill_below_16
	dup	v1.2d, x4
	cmp	x2, #32
	b.hi	1f
.Lfill_small:
	str	q0, [x0]
	stur	q1, [x6, #-16]
	mov	x0, x9
	ret
1:	stp	q0, q0, [x0]
	stp	q1, q1, [x6, #-32]
	mov	x0, x9
	ret
.Lfill_below_16:
	tbz	x2, #3, 1f
	str	x1, [x0]
	stur	x4, [x6, #-8]
	mov	x0, x9
	ret
1:	cbnz	x2, .Lfill_bytes
	mov	x0, x9
	ret
.Lfill_long:
	str	q0, [x0]
.Lfill_aligned:
	SVM_EX .Lfill_small, .Lfill_aligned, .Lfill_bytes
	and	x3, x0, #15
	sub	x3, x3, #16
	sub	x0, x0, x3
	add	x2, x2, x3
	/* x3 is minus what was stored; turn the pattern by as much. */
	neg	x3, x3
	lsl	x3, x3, #3
	ror	x1, x1, x3
	dup	v0.2d, x1
	lsl	x3, x2, #3
	ror	x4, x1, x3
	dup	v1.2d, x4
	subs	x2, x2, #STEP
	b.ls	.Lfill_tail
.Lfill_loop:
	stp	q0, q0, [x0]
	stp	q0, q0, [x0, #32]
	add	x0, x0, #STEP
	subs	x2, x2, #STEP
	b.hi	.Lfill_loop
.Lfill_tail:
	add	x6, x0, x2
	stp	q1, q1, [x6]
	stp	q1, q1, [x6, #32]
	mov	x0, x9
	ret
.Lfill_ahead:
	SVM_EX .Lfill_loop, .Lfill_ahead, .Lfill_ahead
	add	x2, x2, #STEP
.Lfill_bytes:
	mov	x5, #SVM_RETRY_LEN
	cmp	x5, x2
	csel	x5, x5, x2, lo
.Lfill_store:
	strb	w1, [x0]
.Lfill_store_end:
	SVM_EX .Lfill_store, .Lfill_store_end, .Lstore_fault
	ror	x1, x1, #8
	add	x0, x0, #1
	sub	x2, x2, #1
	subs	x5, x5, #1
	b.ne	.Lfill_store
	cbnz	x2, .Lfill_again
	mov	x0, x9
	ret
SVM_FUNC_END(svm_fill)

/* Branch to where unless each byte of v0 is all ones. */
.macro ALL_SET_OR where
	uminv	b0, v0.16b
	umov	w3, v0.b[0]
	cmp	w3, #0xff
	b.ne	\where
.endm

/* size_t svm_compare(a x0, b x1, len x2, equal x3, fault x4) */
SVM_FUNC(svm_compare)
	mov	x9, x2
	mov	x10, x4
	mov	x11, x3
.Lcompare_again:
	subs	x2, x2, #STEP
	b.hs	.Lcompare_loop
	add	x2, x2, #STEP
	cmp	x2, #16
	b.lo	.Lcompare_below_16
	add	x6, x0, x2
	add	x7, x1, x2
.Lcompare_small:
	ldr	q0, [x0]
	ldr	q1, [x1]
	ldur	q2, [x6, #-16]
	ldur	q3, [x7, #-16]
	cmeq	v0.16b, v0.16b, v1.16b
	cmeq	v2.16b, v2.16b, v3.16b
	and	v0.16b, v0.16b, v2.16b
	cmp	x2, #32
	b.ls	1f
	ldr	q1, [x0, #16]
	ldr	q2, [x1, #16]
	ldur	q3, [x6, #-32]
	ldur	q4, [x7, #-32]
	cmeq	v1.16b, v1.16b, v2.16b
	cmeq	v3.16b, v3.16b, v4.16b
	and	v1.16b, v1.16b, v3.16b
	and	v0.16b, v0.16b, v1.16b
1:	ALL_SET_OR .Lcompare_bytes
.Lcompare_small_end:
	SVM_EX .Lcompare_small, .Lcompare_small_end, .Lcompare_bytes
.Lcompare_same:
	mov	w3, #1
	strb	w3, [x11]
	mov	x0, x9
	ret
.Lcompare_below_16:
	cbnz	x2, .Lcompare_bytes
	b	.Lcompare_same
.Lcompare_loop:
	ldp	q0, q1, [x0]
	ldp	q2, q3, [x0, #32]
	ldp	q4, q5, [x1]
	ldp	q6, q7, [x1, #32]
	cmeq	v0.16b, v0.16b, v4.16b
	cmeq	v1.16b, v1.16b, v5.16b
	cmeq	v2.16b, v2.16b, v6.16b
	cmeq	v3.16b, v3.16b, v7.16b
	and	v0.16b, v0.16b, v1.16b
	and	v2.16b, v2.16b, v3.16b
	and	v0.16b, v0.16b, v2.16b
	ALL_SET_OR .Lcompare_ahead
	add	x0, x0, #STEP
	add	x1, x1, #STEP
	subs	x2, x2, #STEP
	b.hs	.Lcompare_loop
	adds	x2, x2, #STEP
	b.eq	.Lcompare_same
	b	.Lcompare_again
.Lcompare_ahead:
	SVM_EX .Lcompare_loop, .Lcompare_ahead, .Lcompare_ahead
	add	x2, x2, #STEP
.Lcompare_bytes:
	mov	x5, #SVM_RETRY_LEN
	cmp	x5, x2
	csel	x5, x5, x2, lo
.Lcompare_load_a:
	ldrb	w3, [x0]
.Lcompare_load_b:
	ldrb	w4, [x1]
.Lcompare_load_end:
	SVM_EX .Lcompare_load_a, .Lcompare_load_b, .Lcompare_fault_a
	SVM_EX .Lcompare_load_b, .Lcompare_load_end, .Lcompare_fault_b
	cmp	w3, w4
	b.ne	.Lcompare_differ
	add	x0, x0, #1
	add	x1, x1, #1
	sub	x2, x2, #1
	subs	x5, x5, #1
	b.ne	.Lcompare_load_a
	cbnz	x2, .Lcompare_again
	b	.Lcompare_same
.Lcompare_fault_b:
	mov	x3, x1
	b	1f
.Lcompare_fault_a:
	mov	x3, x0
1:	strb	wzr, [x11]
	mov	w4, #0
	b	.Lfault
.Lcompare_differ:
	sub	x0, x9, x2
	strb	wzr, [x11]
	cbz	x10, 1f
	str	xzr, [x10, #SVM_FAULT_ADDR]
	strb	wzr, [x10, #SVM_FAULT_WRITE]
	strb	wzr, [x10, #SVM_FAULT_BUS]
	strb	wzr, [x10, #SVM_FAULT_HIT]
1:	ret
SVM_FUNC_END(svm_compare)

/* size_t svm_compare_pattern(a x0, pattern x1, len x2, equal x3, fault x4) */
SVM_FUNC(svm_compare_pattern)
	mov	x9, x2
	mov	x10, x4
	mov	x11, x3
.Lpattern_again:
	dup	v4.2d, x1
	subs	x2, x2, #STEP
	b.hs	.Lpattern_loop
	add	x2, x2, #STEP
	cmp	x2, #16
	b.lo	.Lpattern_below_16
	add	x6, x0, x2
	lsl	x3, x2, #3
	ror	x4, x1, x3
	dup	v5.2d, x4
.Lpattern_small:
	ldr	q0, [x0]
	ldur	q2, [x6, #-16]
	cmeq	v0.16b, v0.16b, v4.16b
	cmeq	v2.16b, v2.16b, v5.16b
	and	v0.16b, v0.16b, v2.16b
	cmp	x2, #32
	b.ls	1f
	ldr	q1, [x0, #16]
	ldur	q3, [x6, #-32]
	cmeq	v1.16b, v1.16b, v4.16b
	cmeq	v3.16b, v3.16b, v5.16b
	and	v1.16b, v1.16b, v3.16b
	and	v0.16b, v0.16b, v1.16b
1:	ALL_SET_OR .Lpattern_bytes
.Lpattern_small_end:
	SVM_EX .Lpattern_small, .Lpattern_small_end, .Lpattern_bytes
	b	.Lpattern_same
.Lpattern_below_16:
	cbnz	x2, .Lpattern_bytes
.Lpattern_same:
	mov	w3, #1
	strb	w3, [x11]
	mov	x0, x9
	ret
.Lpattern_loop:
	ldp	q0, q1, [x0]
	ldp	q2, q3, [x0, #32]
	cmeq	v0.16b, v0.16b, v4.16b
	cmeq	v1.16b, v1.16b, v4.16b
	cmeq	v2.16b, v2.16b, v4.16b
	cmeq	v3.16b, v3.16b, v4.16b
	and	v0.16b, v0.16b, v1.16b
	and	v2.16b, v2.16b, v3.16b
	and	v0.16b, v0.16b, v2.16b
	ALL_SET_OR .Lpattern_ahead
	add	x0, x0, #STEP
	subs	x2, x2, #STEP
	b.hs	.Lpattern_loop
	adds	x2, x2, #STEP
	b.eq	.Lpattern_same
	b	.Lpattern_again
.Lpattern_ahead:
	SVM_EX .Lpattern_loop, .Lpattern_ahead, .Lpattern_ahead
	add	x2, x2, #STEP
.Lpattern_bytes:
	mov	x5, #SVM_RETRY_LEN
	cmp	x5, x2
	csel	x5, x5, x2, lo
.Lpattern_load:
	ldrb	w3, [x0]
.Lpattern_load_end:
	SVM_EX .Lpattern_load, .Lpattern_load_end, .Lcompare_fault_a
	and	w4, w1, #0xff
	cmp	w3, w4
	b.ne	.Lcompare_differ
	ror	x1, x1, #8
	add	x0, x0, #1
	sub	x2, x2, #1
	subs	x5, x5, #1
	b.ne	.Lpattern_load
	cbnz	x2, .Lpattern_again
	b	.Lpattern_same
SVM_FUNC_END(svm_compare_pattern)
#endif

	.section .note.GNU-stack, "", %progbits
