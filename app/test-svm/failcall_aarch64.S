/* SPDX-License-Identifier: BSD-3-Clause */
/* As failcall_x86_64.S. x16 and x17 are free between a call and what it calls. */
#include "failcall.h"

	.text
	.globl	fc_stubs
	.hidden	fc_stubs
	.type	fc_stubs, %function
	.balign	FC_STUB_SIZE
fc_stubs:
	.set	i, 0
	.rept	FC_STUBS
	mov	x16, #i
	b	common
	.balign	FC_STUB_SIZE
	.set	i, i + 1
	.endr
	.size	fc_stubs, . - fc_stubs

	.type	common, %function
common:
	stp	x29, x30, [sp, #-96]!
	stp	x0, x1, [sp, #16]
	stp	x2, x3, [sp, #32]
	stp	x4, x5, [sp, #48]
	stp	x6, x7, [sp, #64]
	str	x8, [sp, #80]
	mov	x0, x16
	mov	x1, x30
	add	x2, sp, #16
	bl	fc_enter
	mov	x17, x0
	ldp	x0, x1, [sp, #16]
	ldp	x2, x3, [sp, #32]
	ldp	x4, x5, [sp, #48]
	ldp	x6, x7, [sp, #64]
	ldr	x8, [sp, #80]
	ldp	x29, x30, [sp], #96
	br	x17
	.size	common, . - common

	.section .note.GNU-stack, "", %progbits
