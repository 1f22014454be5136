/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SVM_TRAP_ASM_H
#define SVM_TRAP_ASM_H

/*
 * What svm_trap.c and the assembly files must agree on.
 *
 * Contract of the exception table: a fault at a program counter inside
 * [start, end) continues at fixup with the signal number in r11 (x17 on
 * arm64). The three fields are relative to themselves, so that the table needs
 * no relocation.
 */

/* Offsets in struct svm_guard, asserted in svm_trap.c. */
#define SVM_GUARD_BASE	0
#define SVM_GUARD_LEN	8
#define SVM_GUARD_OUTER	16
#define SVM_GUARD_REGS	24

/* Offsets in struct svm_fault_info. */
#define SVM_FAULT_ADDR	0
#define SVM_FAULT_WRITE	8
#define SVM_FAULT_BUS	9
#define SVM_FAULT_HIT	10

/* After a fault this many bytes are tried one by one, more than one step. */
#define SVM_RETRY_LEN	256

#ifdef __ASSEMBLER__

.macro SVM_EX start, end, fixup
	.pushsection svm_ex_table, "a"
	.balign	4
	.long	\start - .
	.long	\end - .
	.long	\fixup - .
	.popsection
.endm

#define SVM_FUNC(name)		\
	.globl	name;		\
	.type	name, %function;	\
	.balign	64;		\
name:				\
	.cfi_startproc;		\
	SVM_BTI

#define SVM_FUNC_END(name)	\
	.cfi_endproc;		\
	.size	name, . - name

#if defined(__x86_64__) && defined(__CET__)
#define SVM_BTI endbr64
#elif defined(__aarch64__) && defined(__ARM_FEATURE_BTI_DEFAULT)
#define SVM_BTI hint #34
#else
#define SVM_BTI
#endif

#endif /* __ASSEMBLER__ */
#endif /* SVM_TRAP_ASM_H */
