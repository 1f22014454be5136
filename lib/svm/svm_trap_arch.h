/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SVM_TRAP_ARCH_H
#define SVM_TRAP_ARCH_H

/*
 * What svm_trap.c has to know of an architecture: registers in a ucontext, and
 * whether the arguments of a handler can be believed. _GNU_SOURCE is needed.
 */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

/*
 * Sanitizers are kept out of what runs inside the handler: it runs in the
 * middle of anything, on any stack, and reads stacks beyond its own frame.
 */
#define TRAP_RAW __attribute__((no_sanitize("address", "undefined", "thread")))

/* One run of the handler that is passing its signal on. */
struct trap_run {
	siginfo_t *info;
	void *context;
	uintptr_t frame;
	unsigned int depth;
};

#if defined(__x86_64__)

#define TRAP_PC(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#define TRAP_SIG(uc) ((uc)->uc_mcontext.gregs[REG_R11])
#define TRAP_ARG(uc) ((uc)->uc_mcontext.gregs[REG_RDI])
#define TRAP_IS_WRITE(uc) (((uc)->uc_mcontext.gregs[REG_ERR] & 2) != 0)

/* Where the kernel puts what: return address, ucontext, siginfo. */
#define TRAP_FRAME_UC 8
#define TRAP_FRAME_INFO (8 + 304)
#define TRAP_FRAME_LEN (TRAP_FRAME_INFO + sizeof(siginfo_t))
#define TRAP_SCAN_LEN (256 * 1024)

struct trap_kernel_action {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

/*
 * True when a signal frame for sig that was not yet handled starts at p; never
 * faults. A copy of a frame, as old buffers on the stack may hold, betrays
 * itself: the floating point state of a real one follows it immediately. What
 * is left of an old frame has the mark that trap_args_check() put into it.
 */
TRAP_RAW static inline bool
trap_frame_check(uintptr_t p, int sig)
{
	uint64_t link, fpregs;
	siginfo_t info;
	struct iovec local[] = {
		{ .iov_base = &link, .iov_len = sizeof(link) },
		{ .iov_base = &fpregs, .iov_len = sizeof(fpregs) },
		{ .iov_base = &info, .iov_len = sizeof(info) },
	};
	struct iovec remote[] = {
		{ .iov_base = (void *)(p + TRAP_FRAME_UC +
				       offsetof(ucontext_t, uc_link)),
		  .iov_len = sizeof(link) },
		{ .iov_base = (void *)(p + TRAP_FRAME_UC +
				       offsetof(ucontext_t, uc_mcontext.fpregs)),
		  .iov_len = sizeof(fpregs) },
		{ .iov_base = (void *)(p + TRAP_FRAME_INFO),
		  .iov_len = sizeof(info) },
	};

	return process_vm_readv(getpid(), local, 3, remote, 3, 0) ==
	       (ssize_t)(sizeof(link) + sizeof(fpregs) + sizeof(info)) &&
	       link == 0 && fpregs - (p + TRAP_FRAME_LEN) < 64 &&
	       info.si_signo == sig;
}

/*
 * The EAL of DPDK, and others, pass a signal on to a previous handler as
 * handler(sig) even if that one wants three arguments: they compare sa_flags
 * with SA_SIGINFO for equality, and libc reports SA_RESTORER as well. The two
 * other arguments are then whatever the registers held. So the arguments are
 * believed only if they lie in one signal frame above this one; else the frame
 * is looked for by its return address, which is the same for all handlers. The
 * buffer for it is kept off the stack of trap_handler(), which stays in use.
 */
TRAP_RAW static bool __attribute__((noinline))
trap_frame_find(int sig, siginfo_t **info, void **context, uintptr_t frame)
{
	uint64_t chunk[512];
	struct trap_kernel_action cur;
	struct iovec local = { .iov_base = chunk }, remote;
	uintptr_t p = frame & ~7ul, last = p + TRAP_SCAN_LEN;
	ssize_t n, i;

	/* Not sigaction(), of which sanitizers have their own. */
	if (syscall(SYS_rt_sigaction, sig, NULL, &cur, sizeof(cur.mask)) != 0 ||
	    cur.restorer == 0)
		return false;
	for (; p < last; p += n) {
		/* Up to the end of the page: a stack ends at one. */
		local.iov_len = 4096 - (p & 4095);
		remote = (struct iovec){ (void *)p, local.iov_len };
		n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
		if (n <= 0)
			return false;
		for (i = 0; i < n / 8; i++) {
			if (chunk[i] != cur.restorer ||
			    !trap_frame_check(p + i * 8, sig))
				continue;
			*context = (void *)(p + i * 8 + TRAP_FRAME_UC);
			*info = (void *)(p + i * 8 + TRAP_FRAME_INFO);
			return true;
		}
	}
	return false;
}

/*
 * Make sure of the arguments of a handler whose frame address is frame. With
 * no frame to be found, this is either the signal of run once more, come back
 * through other handlers; or the layout is not the kernel's (an emulator), then
 * pointers into the stack above are taken as they are.
 */
TRAP_RAW static inline bool
trap_args_check(int sig, siginfo_t **info, void **context, uintptr_t frame,
		const struct trap_run *run)
{
	uintptr_t i = (uintptr_t)*info, c = (uintptr_t)*context;
	bool above = c > frame && c - frame < TRAP_SCAN_LEN &&
		     i > frame && i - frame < TRAP_SCAN_LEN;

	if (!(above && i - c == TRAP_FRAME_INFO - TRAP_FRAME_UC) &&
	    !trap_frame_find(sig, info, context, frame)) {
		c = (uintptr_t)run->context;
		if (run->frame > frame && c > frame && c - frame < TRAP_SCAN_LEN) {
			*info = run->info;
			*context = run->context;
		} else if (!above) {
			return false;
		}
	}
	/* Nobody reads this field of a signal's context; it comes as NULL. */
	((ucontext_t *)*context)->uc_link = *context;
	return true;
}

#elif defined(__aarch64__)

#define TRAP_PC(uc) ((uc)->uc_mcontext.pc)
#define TRAP_SIG(uc) ((uc)->uc_mcontext.regs[17])
#define TRAP_ARG(uc) ((uc)->uc_mcontext.regs[0])

/* The kernel adds a record with the syndrome register; its bit 6 is WnR. */
TRAP_RAW static inline bool
trap_is_write(const ucontext_t *uc)
{
	const unsigned char *p = (const void *)uc->uc_mcontext.__reserved;
	const unsigned char *end = p + sizeof(uc->uc_mcontext.__reserved);
	uint32_t magic, size;
	uint64_t esr;

	while (end - p >= 16) {
		memcpy(&magic, p, sizeof(magic));
		memcpy(&size, p + 4, sizeof(size));
		if (magic == 0x45535201) {
			memcpy(&esr, p + 8, sizeof(esr));
			return (esr & (1u << 6)) != 0;
		}
		if (magic == 0 || size < 16 || size > (size_t)(end - p))
			break;
		p += size;
	}
	return false;
}
#define TRAP_IS_WRITE(uc) trap_is_write(uc)

/* sa_flags come back as they were set here, so that nobody gets them wrong. */
TRAP_RAW static inline bool
trap_args_check(int sig, siginfo_t **info, void **context, uintptr_t frame,
		const struct trap_run *run)
{
	(void)run;
	(void)sig;
	(void)info;
	(void)context;
	(void)frame;
	return true;
}

#endif

#endif /* SVM_TRAP_ARCH_H */
