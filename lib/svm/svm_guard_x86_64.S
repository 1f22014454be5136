/* SPDX-License-Identifier: BSD-3-Clause */
#if defined(__x86_64__)
#include "svm_trap_asm.h"

	.hidden	svm_guard_head
	.text

/* int svm_guard_enter(g rdi, base rsi, len rdx) */
SVM_FUNC(svm_guard_enter)
	mov	svm_guard_head@gottpoff(%rip), %rcx
	mov	%fs:(%rcx), %rax
	mov	%rsi, SVM_GUARD_BASE(%rdi)
	mov	%rdx, SVM_GUARD_LEN(%rdi)
	mov	%rax, SVM_GUARD_OUTER(%rdi)
	mov	%rbx, SVM_GUARD_REGS(%rdi)
	mov	%rbp, (SVM_GUARD_REGS + 8)(%rdi)
	mov	%r12, (SVM_GUARD_REGS + 16)(%rdi)
	mov	%r13, (SVM_GUARD_REGS + 24)(%rdi)
	mov	%r14, (SVM_GUARD_REGS + 32)(%rdi)
	mov	%r15, (SVM_GUARD_REGS + 40)(%rdi)
	lea	8(%rsp), %rax
	mov	%rax, (SVM_GUARD_REGS + 48)(%rdi)
	mov	(%rsp), %rax
	mov	%rax, (SVM_GUARD_REGS + 56)(%rdi)
	/* The handler reads the guard from here on. */
	mov	%rdi, %fs:(%rcx)
	xor	%eax, %eax
	ret
SVM_FUNC_END(svm_guard_enter)

/* The second return of svm_guard_enter(); the handler put the guard in rdi. */
	.hidden	svm_guard_landing
SVM_FUNC(svm_guard_landing)
	mov	SVM_GUARD_REGS(%rdi), %rbx
	mov	(SVM_GUARD_REGS + 8)(%rdi), %rbp
	mov	(SVM_GUARD_REGS + 16)(%rdi), %r12
	mov	(SVM_GUARD_REGS + 24)(%rdi), %r13
	mov	(SVM_GUARD_REGS + 32)(%rdi), %r14
	mov	(SVM_GUARD_REGS + 40)(%rdi), %r15
	mov	(SVM_GUARD_REGS + 48)(%rdi), %rsp
	mov	$1, %eax
	cld
	jmp	*(SVM_GUARD_REGS + 56)(%rdi)
SVM_FUNC_END(svm_guard_landing)

#endif

	.section .note.GNU-stack, "", %progbits
