/* SPDX-License-Identifier: BSD-3-Clause */
#if defined(__aarch64__)
#include "svm_trap_asm.h"

	.hidden	svm_guard_head
	.text

/* int svm_guard_enter(g x0, base x1, len x2) */
SVM_FUNC(svm_guard_enter)
	mrs	x3, tpidr_el0
	adrp	x4, :gottprel:svm_guard_head
	ldr	x4, [x4, #:gottprel_lo12:svm_guard_head]
	ldr	x5, [x3, x4]
	mov	x6, sp
	stp	x1, x2, [x0, #SVM_GUARD_BASE]
	str	x5, [x0, #SVM_GUARD_OUTER]
	stp	x19, x20, [x0, #SVM_GUARD_REGS]
	stp	x21, x22, [x0, #(SVM_GUARD_REGS + 16)]
	stp	x23, x24, [x0, #(SVM_GUARD_REGS + 32)]
	stp	x25, x26, [x0, #(SVM_GUARD_REGS + 48)]
	stp	x27, x28, [x0, #(SVM_GUARD_REGS + 64)]
	stp	x29, x30, [x0, #(SVM_GUARD_REGS + 80)]
	stp	d8, d9, [x0, #(SVM_GUARD_REGS + 96)]
	stp	d10, d11, [x0, #(SVM_GUARD_REGS + 112)]
	stp	d12, d13, [x0, #(SVM_GUARD_REGS + 128)]
	stp	d14, d15, [x0, #(SVM_GUARD_REGS + 144)]
	str	x6, [x0, #(SVM_GUARD_REGS + 160)]
	/* The handler reads the guard from here on. */
	str	x0, [x3, x4]
	mov	w0, #0
	ret
SVM_FUNC_END(svm_guard_enter)

/* The second return of svm_guard_enter(); the handler put the guard in x0. */
	.hidden	svm_guard_landing
SVM_FUNC(svm_guard_landing)
	ldp	x19, x20, [x0, #SVM_GUARD_REGS]
	ldp	x21, x22, [x0, #(SVM_GUARD_REGS + 16)]
	ldp	x23, x24, [x0, #(SVM_GUARD_REGS + 32)]
	ldp	x25, x26, [x0, #(SVM_GUARD_REGS + 48)]
	ldp	x27, x28, [x0, #(SVM_GUARD_REGS + 64)]
	ldp	x29, x30, [x0, #(SVM_GUARD_REGS + 80)]
	ldp	d8, d9, [x0, #(SVM_GUARD_REGS + 96)]
	ldp	d10, d11, [x0, #(SVM_GUARD_REGS + 112)]
	ldp	d12, d13, [x0, #(SVM_GUARD_REGS + 128)]
	ldp	d14, d15, [x0, #(SVM_GUARD_REGS + 144)]
	ldr	x6, [x0, #(SVM_GUARD_REGS + 160)]
	mov	sp, x6
	mov	w0, #1
	ret
SVM_FUNC_END(svm_guard_landing)
#endif

	.section .note.GNU-stack, "", %progbits
