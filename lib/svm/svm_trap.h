/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SVM_TRAP_H
#define SVM_TRAP_H

/**
 * @file
 * Recovery from SIGSEGV and SIGBUS in code that touches memory of others.
 *
 * Two kinds of code are covered, both at no cost while nothing faults:
 *
 * - The copy routines (svm_copy.h). Each instruction of theirs that touches a
 *   caller's memory lies in a range of the section svm_ex_table, and the range
 *   names the place where to go on. The handler looks the program counter up
 *   and moves it; nothing else of the interrupted context changes.
 * - C code under a guard. svm_guard_enter() notes an address range and the
 *   place to come back to; a fault of the same thread at an address inside the
 *   range continues there.
 *
 * Everything else goes to whoever handled the signal before, so that a real
 * crash looks as it would without us.
 *
 * The handler leaves by returning, never by longjmp: the signal mask and the
 * alternate stack are those of the interrupted code again, and the next fault
 * is handled like the first.
 *
 * The kernel kills a process whose thread faults with the signal blocked,
 * without calling anybody. A thread that copies or holds a guard therefore
 * calls svm_trap_thread_init() first.
 *
 * The object that contains this code must never be unmapped while a handler
 * installed after ours may still call it: link it with -z nodelete.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What an access ran into. */
struct svm_fault_info {
	uint64_t addr;	/**< first address that could not be touched */
	uint8_t write;	/**< 1 when it was to be written, 0 when read (or not known) */
	uint8_t bus;	/**< 1 for SIGBUS (a hole in a file), 0 for SIGSEGV */
	uint8_t hit;	/**< 1 when there was a fault, 0 for a mismatch */
};

#if defined(__x86_64__)
#define SVM_GUARD_NB_REGS 8
#elif defined(__aarch64__)
#define SVM_GUARD_NB_REGS 21
#else
#error "svm_trap has no port to this architecture"
#endif

/** One guarded range of one thread, on the stack of the function using it. */
struct svm_guard {
	uintptr_t base;				/**< first guarded address */
	size_t len;				/**< bytes guarded */
	struct svm_guard *outer;		/**< guard that this one is in */
	uint64_t regs[SVM_GUARD_NB_REGS];	/**< where to come back to */
	struct svm_fault_info fault;		/**< valid once enter gave 1 */
};

/**
 * Install the SIGSEGV and SIGBUS handlers, or count one more user.
 *
 * The first call also chooses the copy routines that suit this CPU best.
 * Where another handler has taken our place since an earlier call, ours is put
 * in front of it again: so whoever starts threads that copy calls it then, and
 * the handlers that others installed before (the EAL's, for hot-unplug) cost
 * nothing. Any thread may call it.
 *
 * @return 0, -ENOMEM, -EOVERFLOW for 2^32 users, or what sigaction() refused.
 */
int svm_trap_install(void);

/**
 * Drop one user. The last one restores the handlers found at install, unless
 * somebody replaced ours meanwhile: then ours stays in their chain and only
 * passes signals on. Any thread may call it, when no copy is running.
 */
void svm_trap_remove(void);

/**
 * Put the handlers in front again where others have taken their place: an application's,
 * or the one that EAL puts back at rte_dev_hotplug_handle_disable(). Until then a fault
 * of a copy goes to those others, and ends the process unless they pass it on. Called
 * whenever a device starts or an owner's queue is made. Any thread may call it.
 *
 * @return Whether that was so; false when nobody uses them.
 */
bool svm_trap_renew(void);

/**
 * Unblock SIGSEGV and SIGBUS in the calling thread; see the head of this file.
 * Every thread that copies or enters a guard calls it once, at its start.
 *
 * @return 0, or the negated error of pthread_sigmask().
 */
int svm_trap_thread_init(void);

/**
 * Guard [base, base + len) in this thread from here to svm_guard_leave().
 *
 * Returns 0 at once. Returns a second time, with 1, when the guarded code
 * faulted inside the range; the guard is left by then, g->fault says why.
 *
 * Rules, for it returns twice like setjmp():
 * - call it directly in an if or a comparison with a constant, in the function
 *   that calls svm_guard_leave(), and leave on each way out of that function;
 * - after the second return a local changed since the first has no defined
 *   value unless it is volatile: best keep the guarded code in a small function
 *   of its own that returns an error there;
 * - guarded code takes no lock, allocates nothing, and calls only what may be
 *   abandoned midway; a store it made before the fault stays made;
 * - guards nest; a fault belongs to the innermost whose range has the address,
 *   and those inside it are left with it;
 * - a task that shares the thread pointer of another one (a bare CLONE_VM
 *   clone) must not fault with the signals unblocked.
 *
 * Costs about 3 ns, a fault about 3 us. Needs svm_trap_install() and svm_trap_thread_init().
 *
 * @param g    storage, alive until the guard is left
 * @param base first guarded address
 * @param len  bytes guarded
 * @return 0 at first, 1 after a fault
 */
int svm_guard_enter(struct svm_guard *g, const void *base, size_t len)
	__attribute__((returns_twice));

/**
 * Leave the innermost guard, which must be g. Not after svm_guard_enter()
 * returned 1.
 *
 * @param g the guard entered last in this thread
 */
void svm_guard_leave(struct svm_guard *g);

#ifdef __cplusplus
}
#endif

#endif /* SVM_TRAP_H */
