/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "svm_copy.h"
#include "svm_trap.h"
#include "svm_trap_arch.h"
#include "svm_trap_asm.h"

_Static_assert(offsetof(struct svm_guard, base) == SVM_GUARD_BASE, "guard");
_Static_assert(offsetof(struct svm_guard, len) == SVM_GUARD_LEN, "guard");
_Static_assert(offsetof(struct svm_guard, outer) == SVM_GUARD_OUTER, "guard");
_Static_assert(offsetof(struct svm_guard, regs) == SVM_GUARD_REGS, "guard");
_Static_assert(offsetof(struct svm_fault_info, addr) == SVM_FAULT_ADDR, "fault");
_Static_assert(offsetof(struct svm_fault_info, write) == SVM_FAULT_WRITE, "fault");
_Static_assert(offsetof(struct svm_fault_info, bus) == SVM_FAULT_BUS, "fault");
_Static_assert(offsetof(struct svm_fault_info, hit) == SVM_FAULT_HIT, "fault");

struct trap_entry {
	int32_t start;
	int32_t end;
	int32_t fixup;
};

/* The bounds are made by the linker, from the name of the section. */
extern const struct trap_entry __start_svm_ex_table[]
	__attribute__((visibility("hidden")));
extern const struct trap_entry __stop_svm_ex_table[]
	__attribute__((visibility("hidden")));

/* Restores the registers of a guard; only ever reached through the handler. */
void svm_guard_landing(void) __attribute__((visibility("hidden")));

/*
 * What was there before us. Kept for ever, because a late handler may still
 * read it; each pair of action and older exists once, so they do not add up.
 */
struct trap_prev {
	struct sigaction action;
	const struct trap_prev *older;
	struct trap_prev *next;		/* in trap_prevs, under trap_lock */
};

struct trap_signal {
	int sig;
	_Atomic(const struct trap_prev *) prev;
};

/*
 * initial-exec: read in the handler, where the lazy allocation of a dlopen'ed
 * library's variables would not be safe. It takes 40 bytes of the surplus that
 * the loader keeps for this.
 */
#define TRAP_TLS __thread __attribute__((tls_model("initial-exec")))

TRAP_TLS struct svm_guard *svm_guard_head __attribute__((visibility("hidden")));
static TRAP_TLS struct trap_run trap_run;

static pthread_mutex_t trap_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int trap_nb_users;	/* under trap_lock */
static struct trap_prev *trap_prevs;	/* under trap_lock */
static struct trap_signal trap_signals[] = {
	{ .sig = SIGSEGV },
	{ .sig = SIGBUS },
};

static const struct trap_prev trap_default = {
	.action = { .sa_handler = SIG_DFL },
};

#define TRAP_NB_SIGNALS (sizeof(trap_signals) / sizeof(trap_signals[0]))

TRAP_RAW static bool
trap_fixup(ucontext_t *uc, int sig)
{
	uintptr_t pc = TRAP_PC(uc);
	const struct trap_entry *e;

	for (e = __start_svm_ex_table; e != __stop_svm_ex_table; e++) {
		if (pc < (uintptr_t)&e->start + e->start ||
		    pc >= (uintptr_t)&e->end + e->end)
			continue;
		TRAP_PC(uc) = (uintptr_t)&e->fixup + e->fixup;
		TRAP_SIG(uc) = sig;
		return true;
	}
	return false;
}

TRAP_RAW static bool
trap_guard(ucontext_t *uc, int sig, uintptr_t addr)
{
	struct svm_guard *g;

	for (g = svm_guard_head; g != NULL; g = g->outer) {
		if (addr - g->base >= g->len)
			continue;
		g->fault.addr = addr;
		g->fault.write = TRAP_IS_WRITE(uc);
		g->fault.bus = sig == SIGBUS;
		g->fault.hit = 1;
		svm_guard_head = g->outer;
		TRAP_PC(uc) = (uintptr_t)svm_guard_landing;
		TRAP_ARG(uc) = (uintptr_t)g;
		return true;
	}
	return false;
}

/*
 * Die of the signal as if nobody had ever handled it. It is queued to this
 * thread with its own information and delivered when the handler returns, at
 * the faulting instruction, for the core file to show that.
 */
TRAP_RAW static void
trap_die(int sig, siginfo_t *info)
{
	struct sigaction dfl;

	memset(&dfl, 0, sizeof(dfl));
	dfl.sa_handler = SIG_DFL;
	sigaction(sig, &dfl, NULL);
	if (info == NULL ||
	    syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), sig,
		    info) != 0)
		raise(sig);
}

/* Only the first signal after SA_RESETHAND was for the previous handler. */
TRAP_RAW static void
trap_prev_consume(int sig, const struct trap_prev *prev)
{
	size_t i;

	for (i = 0; i < TRAP_NB_SIGNALS; i++)
		if (trap_signals[i].sig == sig)
			atomic_compare_exchange_strong(&trap_signals[i].prev,
						       &prev, &trap_default);
}

TRAP_RAW static void
trap_call(const struct trap_prev *prev, int sig, siginfo_t *info, void *context)
{
	const struct sigaction *sa = &prev->action;
	sigset_t set = sa->sa_mask;

	if ((sa->sa_flags & SA_SIGINFO) == 0 && sa->sa_handler == SIG_IGN) {
		/* The kernel lets no thread ignore a fault of its own. */
		if (info->si_code > 0)
			trap_die(sig, info);
		return;
	}
	if ((sa->sa_flags & SA_SIGINFO) == 0 && sa->sa_handler == SIG_DFL) {
		trap_die(sig, info);
		return;
	}
	if (sa->sa_flags & SA_RESETHAND)
		trap_prev_consume(sig, prev);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (sa->sa_flags & SA_NODEFER) {
		sigemptyset(&set);
		sigaddset(&set, sig);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	}
	if (sa->sa_flags & SA_SIGINFO)
		sa->sa_sigaction(sig, info, context);
	else
		sa->sa_handler(sig);
}

/*
 * Pass the signal to the handler before ours. Put back in front of a handler
 * that in turn chains to us, ours sees the same signal again, deeper on the
 * stack; it then goes to the handler before that one, instead of round.
 */
TRAP_RAW static void
trap_chain(int sig, siginfo_t *info, void *context)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	struct trap_run saved = trap_run;
	const struct trap_prev *prev = NULL;
	unsigned int depth = 0, d;
	size_t i;

	if (saved.context == context && frame < saved.frame)
		depth = saved.depth + 1;
	/* Acquire: pairs with the release in trap_prev_save(). */
	for (i = 0; i < TRAP_NB_SIGNALS; i++)
		if (trap_signals[i].sig == sig)
			prev = atomic_load_explicit(&trap_signals[i].prev,
						    memory_order_acquire);
	for (d = 0; d < depth && prev != NULL; d++)
		prev = prev->older;
	if (prev == NULL)
		prev = &trap_default;

	trap_run = (struct trap_run){ info, context, frame, depth };
	trap_call(prev, sig, info, context);
	trap_run = saved;
}

TRAP_RAW static void
trap_handler(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

	if (!trap_args_check(sig, &info, &context, frame, &trap_run)) {
		trap_die(sig, NULL);
		return;
	}
	/*
	 * A signal that somebody sent, or the notice of a memory error
	 * elsewhere, says nothing about the instruction it interrupts.
	 */
	if (info->si_code > 0 &&
	    !(sig == SIGBUS && info->si_code == BUS_MCEERR_AO) &&
	    (trap_fixup(context, sig) ||
	     trap_guard(context, sig, (uintptr_t)info->si_addr)))
		goto restore_errno;
	trap_chain(sig, info, context);
restore_errno:
	errno = saved_errno;
}

static bool
trap_is_ours(const struct sigaction *sa)
{
	return (sa->sa_flags & SA_SIGINFO) && sa->sa_sigaction == trap_handler;
}

static bool
trap_same_action(const struct sigaction *a, const struct sigaction *b)
{
	/* The kernel knows 64 signals; libc leaves the rest of a mask unset. */
	return a->sa_flags == b->sa_flags && a->sa_handler == b->sa_handler &&
	       memcmp(&a->sa_mask, &b->sa_mask, 64 / 8) == 0;
}

static int
trap_prev_save(struct trap_signal *ts, const struct sigaction *action)
{
	const struct trap_prev *newest =
		atomic_load_explicit(&ts->prev, memory_order_relaxed);
	const struct trap_prev *p;
	struct trap_prev *prev;

	/* Known already: what came after it is gone again. */
	for (p = newest; p != NULL; p = p->older)
		if (trap_same_action(&p->action, action))
			goto publish;
	for (p = trap_prevs; p != NULL; p = p->next)
		if (p->older == newest && trap_same_action(&p->action, action))
			goto publish;
	prev = calloc(1, sizeof(*prev));
	if (prev == NULL)
		return -ENOMEM;
	prev->action = *action;
	prev->older = newest;
	prev->next = trap_prevs;
	trap_prevs = prev;
	p = prev;
publish:
	/* Release: pairs with the acquire in trap_chain(). */
	atomic_store_explicit(&ts->prev, p, memory_order_release);
	return 0;
}

static int
trap_signal_install(struct trap_signal *ts)
{
	struct sigaction ours, old, seen;
	int ret;

	if (sigaction(ts->sig, NULL, &old) != 0)
		return -errno;
	if (trap_is_ours(&old))
		return 0;
	/* Before ours can run, it must know whom to pass a signal on to. */
	ret = trap_prev_save(ts, &old);
	if (ret != 0)
		return ret;

	memset(&ours, 0, sizeof(ours));
	sigemptyset(&ours.sa_mask);
	ours.sa_sigaction = trap_handler;
	/*
	 * A stack overflow is a SIGSEGV, and its handler may count on the
	 * alternate stack. SIGBUS has no flag but SA_SIGINFO, because the EAL
	 * compares for just that; see trap_frame_find().
	 */
	ours.sa_flags = SA_SIGINFO;
	if (ts->sig == SIGSEGV)
		ours.sa_flags |= SA_ONSTACK | (old.sa_flags & SA_RESTART);
	if (sigaction(ts->sig, &ours, &seen) != 0)
		return -errno;
	if (trap_same_action(&old, &seen) || trap_is_ours(&seen))
		return 0;
	ret = trap_prev_save(ts, &seen);
	if (ret != 0)
		sigaction(ts->sig, &seen, NULL);
	return ret;
}

static void
trap_signal_restore(struct trap_signal *ts)
{
	const struct trap_prev *prev =
		atomic_load_explicit(&ts->prev, memory_order_relaxed);
	struct sigaction cur;

	if (prev != NULL && sigaction(ts->sig, NULL, &cur) == 0 &&
	    trap_is_ours(&cur))
		sigaction(ts->sig, &prev->action, NULL);
}

int
svm_trap_install(void)
{
	size_t i;
	int ret = 0;

	pthread_mutex_lock(&trap_lock);
	if (trap_nb_users == UINT32_MAX) {
		ret = -EOVERFLOW;
		goto unlock;
	}
	for (i = 0; i < TRAP_NB_SIGNALS; i++) {
		ret = trap_signal_install(&trap_signals[i]);
		if (ret != 0)
			goto restore;
	}
	if (trap_nb_users == 0)
		ret = svm_copy_isa_set(svm_copy_isa_best());
	if (ret != 0)
		goto restore;
	trap_nb_users++;
	goto unlock;

restore:
	/* With users left, those that are ours now are theirs as well. */
	while (trap_nb_users == 0 && i-- > 0)
		trap_signal_restore(&trap_signals[i]);
unlock:
	pthread_mutex_unlock(&trap_lock);
	return ret;
}

void
svm_trap_remove(void)
{
	size_t i;

	pthread_mutex_lock(&trap_lock);
	if (trap_nb_users != 0 && --trap_nb_users == 0)
		for (i = 0; i < TRAP_NB_SIGNALS; i++)
			trap_signal_restore(&trap_signals[i]);
	pthread_mutex_unlock(&trap_lock);
}

bool
svm_trap_renew(void)
{
	struct sigaction cur;
	bool renewed = false;
	size_t i;

	pthread_mutex_lock(&trap_lock);
	for (i = 0; i < TRAP_NB_SIGNALS && trap_nb_users != 0; i++)
		if (sigaction(trap_signals[i].sig, NULL, &cur) == 0 && !trap_is_ours(&cur) &&
		    trap_signal_install(&trap_signals[i]) == 0)
			renewed = true;
	pthread_mutex_unlock(&trap_lock);
	return renewed;
}

int
svm_trap_thread_init(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGBUS);
	return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void
svm_guard_leave(struct svm_guard *g)
{
	svm_guard_head = g->outer;
}
