/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stubs that calls of hooked libraries go through (failcall.c). Stub i asks
 * fc_enter(i, return address, arguments) where to go on, and jumps there with
 * all argument registers as they came: to the called function, nothing has
 * happened. No call passes floating point numbers.
 */
#include "failcall.h"

	.text
	.globl	fc_stubs
	.hidden	fc_stubs
	.type	fc_stubs, @function
	.balign	FC_STUB_SIZE
fc_stubs:
	.set	i, 0
	.rept	FC_STUBS
	pushq	$i
	jmp	common
	.balign	FC_STUB_SIZE
	.set	i, i + 1
	.endr
	.size	fc_stubs, . - fc_stubs

	.type	common, @function
common:
	/* In order from the stack's top: the six arguments, as an array. */
	pushq	%rax
	pushq	%r9
	pushq	%r8
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	movq	%rsp, %rdx
	movq	56(%rsp), %rdi
	movq	64(%rsp), %rsi
	subq	$8, %rsp
	call	fc_enter
	addq	$8, %rsp
	movq	%rax, %r11
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%r8
	popq	%r9
	popq	%rax
	addq	$8, %rsp
	jmp	*%r11
	.size	common, . - common

	.section .note.GNU-stack, "", @progbits
