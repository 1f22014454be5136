/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One lane: the task, its rights, and the hand-over of jobs.
 *
 * Two kinds of sleepers use the state word. The lane sleeps on IDLE with a
 * private futex. The holder sleeps on STARTING and BUSY with a shared one,
 * because that is the kind the kernel wakes when it clears the word at the
 * task's end; a private waiter would sleep on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "svm_lane_private.h"
#include "svm_log.h"
#include "svm_numa.h"

/* No signal ever runs on it and the call chain is short. */
#define LANE_STACK_SIZE	(32u * 1024u)

#define NS_PER_S	1000000000ull

#define LANE_CLONE_FLAGS \
	(CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_CHILD_CLEARTID | CLONE_PIDFD)

/* ---- inside the lane ---- */

SVM_LANE_CODE static long
lane_prctl(long option, long arg)
{
	return svm_lane_syscall(SYS_prctl, option, arg, 0, 0, 0, 0);
}

SVM_LANE_CODE static long
lane_set_ids(const struct svm_lane_rights *rights)
{
	const struct svm_cred *cred = &rights->cred;
	long ret;

	/* The uid is the last to change, it takes the right to change others. */
	if (rights->set_groups) {
		ret = svm_lane_syscall(SYS_setgroups, cred->nb_groups,
				(long)cred->groups, 0, 0, 0, 0);
		if (ret < 0)
			return ret;
	}
	ret = svm_lane_syscall(SYS_setresgid, cred->gid, cred->egid, cred->sgid, 0, 0, 0);
	if (ret < 0)
		return ret;
	ret = lane_prctl(PR_SET_KEEPCAPS, 1);
	if (ret < 0)
		return ret;
	return svm_lane_syscall(SYS_setresuid, cred->uid, cred->euid, cred->suid, 0, 0, 0);
}

SVM_LANE_CODE static long
lane_set_caps(uint64_t caps)
{
	struct __user_cap_header_struct hdr;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	hdr.version = _LINUX_CAPABILITY_VERSION_3;
	hdr.pid = 0;
	data[0].permitted = (uint32_t)caps;
	data[0].effective = (uint32_t)caps;
	data[0].inheritable = 0;
	data[1].permitted = (uint32_t)(caps >> 32);
	data[1].effective = (uint32_t)(caps >> 32);
	data[1].inheritable = 0;
	return svm_lane_syscall(SYS_capset, (long)&hdr, (long)data, 0, 0, 0, 0);
}

SVM_LANE_CODE static long
lane_take_rights(const struct svm_lane_rights *rights)
{
	long ret;

	if (!rights->set_ids && !rights->set_caps)
		return 0;
	/*
	 * Whoever has no more than the lane's rights could now ptrace it and so
	 * the owner. setresuid() resets the flag to a default that may be "yes":
	 * set it again while the capabilities still keep everybody off.
	 */
	ret = lane_prctl(PR_SET_DUMPABLE, 0);
	if (ret < 0)
		return ret;
	if (rights->set_ids) {
		/* What the owner may raise but has not. */
		ret = lane_set_caps(rights->own_caps);
		if (ret < 0)
			return ret;
		ret = lane_set_ids(rights);
		if (ret < 0)
			return ret;
		ret = lane_prctl(PR_SET_DUMPABLE, 0);
		if (ret < 0)
			return ret;
	}
	return lane_set_caps(rights->caps);
}

/** Tie the lane's life to the owner's. A change of rights undoes it, so last. */
SVM_LANE_CODE static long
lane_tie(const struct svm_lane *lane)
{
	long ret;

	ret = lane_prctl(PR_SET_NAME, (long)"svm-lane");
	if (ret < 0)
		return ret;
	ret = lane_prctl(PR_SET_NO_NEW_PRIVS, 1);
	if (ret < 0)
		return ret;
	ret = lane_prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ret < 0)
		return ret;
	/* An owner that died before that sends nothing any more. */
	if (svm_lane_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) != lane->owner)
		return -ESRCH;
	return 0;
}

SVM_LANE_CODE static void
lane_become_idle(struct svm_lane *lane)
{
	/*
	 * Release: the job's results go with IDLE, to svm_lane_state(). Full
	 * order between this store and the load: either the waiter sees IDLE,
	 * or it is seen here (svm_lane_wait() stores waiter, then loads state).
	 */
	__atomic_store_n(&lane->state, SVM_LANE_IDLE, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&lane->waiter, __ATOMIC_SEQ_CST) != 0)
		svm_lane_syscall(SYS_futex, (long)&lane->state, FUTEX_WAKE, 1, 0, 0, 0);
}

/** A lane's whole life. It ends by exit or SIGKILL, never by a return. */
SVM_LANE_CODE __attribute__((noreturn, used)) static void
lane_main(void *arg)
{
	struct svm_lane *lane = arg;
	uint64_t one = 1;
	bool announce;
	long ret;

	ret = lane_take_rights(&lane->rights);
	if (ret == 0)
		ret = lane_tie(lane);
	lane->start_err = (int32_t)ret;
	if (ret == 0) {
		lane_become_idle(lane);
		for (;;) {
			/* Acquire: the job, from svm_lane_submit(). */
			if (__atomic_load_n(&lane->state, __ATOMIC_ACQUIRE) == SVM_LANE_BUSY) {
				svm_xfer_execute(lane->job);
				/* Once idle, the job is not the lane's any more. */
				announce = lane->job->announce;
				lane_become_idle(lane);
				if (announce)
					svm_lane_syscall(SYS_write, lane->eventfd, (long)&one,
							sizeof(one), 0, 0, 0);
			}
			svm_lane_syscall(SYS_futex, (long)&lane->state,
					FUTEX_WAIT | FUTEX_PRIVATE_FLAG, SVM_LANE_IDLE,
					0, 0, 0);
		}
	}
	for (;;)
		svm_lane_syscall(SYS_exit, 0, 0, 0, 0, 0, 0);
}

/**
 * clone() whose child calls lane_main(lane) on a stack of its own. No libc
 * wrapper: sanitizers put themselves between, and run in the child.
 *
 * @return the task's id, or -errno.
 */
SVM_LANE_CODE static __attribute__((noinline)) long
lane_clone(struct svm_lane *lane, void **stack, int *pidfd)
{
	/* What the child pops. 16 bytes keep the alignment. */
	stack -= 2;
	stack[0] = lane;
	stack[1] = (void *)(uintptr_t)lane_main;
#if defined(__x86_64__)
	register uint32_t *ctid __asm__("r10") = &lane->state;
	register long tls __asm__("r8") = 0;
	long ret;

	__asm__ volatile("syscall\n\t"
		"testq %%rax, %%rax\n\t"
		"jnz 1f\n\t"
		"xorl %%ebp, %%ebp\n\t"
		"popq %%rdi\n\t"
		"popq %%rax\n\t"
		"call *%%rax\n\t"
		"ud2\n"
		"1:"
		: "=a"(ret)
		: "0"((long)SYS_clone), "D"((long)LANE_CLONE_FLAGS), "S"(stack),
		  "d"(pidfd), "r"(ctid), "r"(tls)
		: "rcx", "r11", "cc", "memory");
	return ret;
#elif defined(__aarch64__)
	register long nr __asm__("x8") = SYS_clone;
	register long x0 __asm__("x0") = (long)LANE_CLONE_FLAGS;
	register void **x1 __asm__("x1") = stack;
	register int *x2 __asm__("x2") = pidfd;
	register long x3 __asm__("x3") = 0;
	register uint32_t *x4 __asm__("x4") = &lane->state;

	__asm__ volatile("svc #0\n\t"
		"cbnz x0, 1f\n\t"
		"mov x29, #0\n\t"
		"mov x30, #0\n\t"
		"ldp x0, x1, [sp], #16\n\t"
		"blr x1\n\t"
		"brk #0\n"
		"1:"
		: "+r"(x0)
		: "r"(nr), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
		: "cc", "memory");
	return x0;
#endif
}

/* ---- outside ---- */

uint64_t
svm_lane_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool
groups_equal(const struct svm_cred *a, const struct svm_cred *b)
{
	return a->nb_groups == b->nb_groups && memcmp(a->groups, b->groups,
			a->nb_groups * sizeof(a->groups[0])) == 0;
}

/** What must change to come from the caller's rights to cred's. */
static int
rights_plan(const struct svm_cred *cred, struct svm_lane_rights *rights)
{
	struct svm_cred own;
	bool uids, gids;
	uint64_t need = 0;
	int ret;

	ret = svm_cred_self(&own);
	if (ret < 0)
		return ret;
	uids = cred->uid != own.uid || cred->euid != own.euid || cred->suid != own.suid;
	gids = cred->gid != own.gid || cred->egid != own.egid || cred->sgid != own.sgid;

	rights->cred = *cred;
	rights->own_caps = own.cap_permitted;
	rights->set_groups = !groups_equal(cred, &own);
	rights->set_ids = uids || gids || rights->set_groups;
	rights->caps = cred->cap_permitted & own.cap_permitted;
	/* Other ids: the effective set is cleared on the way. */
	rights->set_caps = rights->set_ids || rights->caps != own.cap_permitted;

	/* Refuse before anything changes, the owner's dumpable flag included. */
	if (uids)
		need |= 1ull << CAP_SETUID;
	if (gids || rights->set_groups)
		need |= 1ull << CAP_SETGID;
	return (own.cap_permitted & need) == need ? 0 : -EPERM;
}

static struct svm_lane *
lane_alloc(int numa_node)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t tail = (sizeof(struct svm_lane) + page - 1) & ~(page - 1);
	size_t stack = (LANE_STACK_SIZE + page - 1) & ~(page - 1);
	struct svm_lane *lane;
	uint8_t *map;
	size_t len;

	/* guard page, stack (grows down), struct svm_lane */
	len = page + stack + tail;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	svm_numa_prefer(map, len, numa_node);
	if (mprotect(map, page, PROT_NONE) < 0) {
		munmap(map, len);
		return NULL;
	}
	lane = (struct svm_lane *)(map + page + stack);
	lane->map = map;
	lane->map_len = len;
	lane->pidfd = -1;
	return lane;
}

int
svm_lane_start(const struct svm_cred *cred, int eventfd, int numa_node,
		struct svm_lane **out)
{
	uint64_t all = ~0ull, old = 0;
	struct svm_lane *lane;
	long ret;

	lane = lane_alloc(numa_node);
	if (lane == NULL)
		return -ENOMEM;
	if (cred != NULL) {
		ret = rights_plan(cred, &lane->rights);
		if (ret < 0)
			goto free_lane;
	}
	lane->owner = getpid();
	lane->eventfd = eventfd;
	/* Before clone(): from then on the word is the lane's and the kernel's. */
	lane->state = SVM_LANE_STARTING;

	/* Raw, because libc leaves its two own signals unblocked. */
	svm_lane_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old,
			sizeof(all), 0, 0);
	ret = lane_clone(lane, (void **)lane, &lane->pidfd);
	svm_lane_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0,
			sizeof(old), 0, 0);
	if (ret < 0)
		goto free_lane;
	lane->tid = (pid_t)ret;
	*out = lane;
	return 0;

free_lane:
	svm_lane_free(lane);
	return (int)ret;
}

void
svm_lane_signal_kill(const struct svm_lane *lane)
{
	svm_lane_syscall(SYS_pidfd_send_signal, lane->pidfd, SIGKILL, 0, 0, 0, 0);
}

bool
svm_lane_reap(struct svm_lane *lane)
{
	siginfo_t info = { .si_pid = 0 };
	int ret;

	/* The pidfd names it even if the application has waited for everybody. */
	ret = waitid(P_PIDFD, (id_t)lane->pidfd, &info, WEXITED | WNOHANG | __WALL);
	if (ret < 0)
		return errno == ECHILD;
	return info.si_pid != 0;
}

void
svm_lane_free(struct svm_lane *lane)
{
	if (lane->pidfd >= 0)
		close(lane->pidfd);
	munmap(lane->map, lane->map_len);
}

enum svm_lane_state
svm_lane_state(const struct svm_lane *lane)
{
	/* Pairs with the release in lane_become_idle(), and with the task's end. */
	return (enum svm_lane_state)__atomic_load_n(&lane->state, __ATOMIC_ACQUIRE);
}

void
svm_lane_submit(struct svm_lane *lane, struct svm_job *job)
{
	uint32_t idle = SVM_LANE_IDLE;

	svm_xfer_reset(job);
	lane->job = job;
	/*
	 * Release: the job, to the acquire in lane_main(). An exchange, so that
	 * the DEAD of a lane that ended meanwhile is not written over.
	 */
	if (!__atomic_compare_exchange_n(&lane->state, &idle, SVM_LANE_BUSY, false,
			__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return;
	svm_lane_syscall(SYS_futex, (long)&lane->state, FUTEX_WAKE | FUTEX_PRIVATE_FLAG,
			1, 0, 0, 0);
}

enum svm_lane_state
svm_lane_wait(struct svm_lane *lane, uint64_t ns)
{
	enum svm_lane_state state;
	struct timespec until;
	uint64_t deadline;
	long ret = 0;

	state = svm_lane_state(lane);
	if (ns == 0 || state == SVM_LANE_IDLE || state == SVM_LANE_DEAD)
		return state;

	deadline = svm_lane_now_ns() + ns;
	until.tv_sec = (time_t)(deadline / NS_PER_S);
	until.tv_nsec = (long)(deadline % NS_PER_S);
	/* Full order with the loads below: see lane_become_idle(). */
	__atomic_store_n(&lane->waiter, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		state = (enum svm_lane_state)__atomic_load_n(&lane->state, __ATOMIC_SEQ_CST);
		if (state == SVM_LANE_IDLE || state == SVM_LANE_DEAD || ret == -ETIMEDOUT)
			break;
		/* WAIT_BITSET takes an absolute time: interruptions do not add up. */
		ret = svm_lane_syscall(SYS_futex, (long)&lane->state, FUTEX_WAIT_BITSET,
				state, (long)&until, 0, (long)FUTEX_BITSET_MATCH_ANY);
	}
	/* Relaxed: a wake-up more or less is harmless now. */
	__atomic_store_n(&lane->waiter, 0, __ATOMIC_RELAXED);
	return state;
}

void
svm_lane_run_on(struct svm_lane *lane, int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE || lane->cpu == cpu + 1)
		return;
	lane->cpu = cpu + 1;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(lane->tid, sizeof(set), &set);
}

bool
svm_lane_blocked(const struct svm_lane *lane)
{
	char path[32], stat[64];
	const char *state;
	ssize_t n;
	int fd;

	/* The tid is ours until the pool reaps it. */
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)lane->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	if (n <= 0)
		return true;
	stat[n] = '\0';
	/* "tid (svm-lane) R ...": the state follows the name. */
	state = strrchr(stat, ')');
	return state == NULL || state[1] != ' ' || state[2] != 'R';
}

void
svm_lane_kill(struct svm_lane_pool *pool, struct svm_lane *lane)
{
	if (lane->killed)
		return;
	lane->killed = true;
	svm_lane_pool_count_killed(pool);
	svm_lane_signal_kill(lane);
}
