// SPDX-License-Identifier: GPL-2.0
/* What a descriptor costs, in counts: address spaces taken on, page faults, system calls. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define BATCH	64u
#define LEN	64u

/* Two workers, with memory that is there and stays; nothing sleeps on a doorbell. */
struct scene {
	struct device dev;
	struct worker a, b;
	struct vfio_svm_bind bond_a, bond_b;
	unsigned long at_a, at_b;
	struct queue q;
};

static long do_map_locked(long len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);

	if (at == MAP_FAILED)
		return -1;
	memset(at, 1, len);
	return (long)at;
}

static void scene_open(struct scene *s)
{
	worker_start(&s->a);
	worker_start(&s->b);
	device_open(&s->dev, 0);
	s->bond_a = worker_bind(&s->dev, &s->a);
	s->bond_b = worker_bind(&s->dev, &s->b);
	s->at_a = worker_call(&s->a, do_map_locked, BATCH * LEN);
	s->at_b = worker_call(&s->b, do_map_locked, BATCH * LEN);
	CHECK(s->at_a != -1ul && s->at_b != -1ul);
	queue_open(&s->q, &s->dev, 0, 128, 0);
}

/*
 * Hand over a batch at once: the device takes slots in their order, so it sees none
 * before the first one is marked, and that is done last.
 */
static void send_batch(struct scene *s, uint32_t src, uint32_t dst)
{
	struct queue *q = &s->q;
	struct svm_desc desc, *slot;
	uint32_t i;

	for (i = BATCH; i-- > 0;) {
		desc = desc_copy(src, (src == s->bond_a.pasid ? s->at_a : s->at_b) + i * LEN,
				 dst, (dst == s->bond_a.pasid ? s->at_a : s->at_b) + i * LEN, LEN);
		slot = &q->sq[(q->sent + i) & (q->depth - 1)];
		memcpy(slot, &desc, offsetof(struct svm_desc, seq));
		/* Pairs with the device's acquire of the mark. */
		__atomic_store_n(&slot->seq, q->sent + i + 1, __ATOMIC_RELEASE);
	}
	q->sent += BATCH;
}

/* Without a system call, as queue_wait() may make one. */
static void poll_batch(struct scene *s)
{
	uint32_t i;

	for (i = 0; i < BATCH; i++) {
		while (!queue_has_completion(&s->q))
			__asm__ volatile("" ::: "memory");
		CHECK_EQ(s->q.cq[s->q.seen & (s->q.depth - 1)].status, SVM_ST_OK);
		s->q.seen++;
	}
}

static void ring_doorbell(struct scene *s)
{
	uint32_t idx = s->q.idx;

	CHECK_EQ(pwrite64(s->q.doorbell_fd, &idx, sizeof(idx), s->q.doorbell_off), sizeof(idx));
}

static void batch_of_two_bonds_is_one_group(void)
{
	struct vfio_svm_stats before, after;
	struct scene s;

	scene_open(&s);
	before = device_stats(&s.dev);
	send_batch(&s, s.bond_a.pasid, s.bond_b.pasid);
	ring_doorbell(&s);
	poll_batch(&s);
	after = device_stats(&s.dev);
	CHECK_EQ(after.descs - before.descs, BATCH);
	CHECK_EQ(after.bytes - before.bytes, BATCH * LEN);
	CHECK_EQ(after.groups - before.groups, 1);
	CHECK_EQ(after.mm_switches - before.mm_switches, 2);
	CHECK_EQ(after.faults - before.faults, 0);
}

static void batch_within_one_bond_switches_once(void)
{
	struct vfio_svm_stats before, after;
	struct scene s;

	scene_open(&s);
	before = device_stats(&s.dev);
	send_batch(&s, s.bond_a.pasid, s.bond_a.pasid);
	ring_doorbell(&s);
	poll_batch(&s);
	after = device_stats(&s.dev);
	CHECK_EQ(after.groups - before.groups, 1);
	CHECK_EQ(after.mm_switches - before.mm_switches, 1);
	CHECK_EQ(after.faults - before.faults, 0);
}

static void missing_pages_are_counted(void)
{
	struct vfio_svm_stats before, after;
	struct svm_desc desc;
	struct scene s;

	scene_open(&s);
	before = device_stats(&s.dev);
	desc = desc_fill(s.bond_a.pasid, worker_map(&s.a, 4 * 4096), 4 * 4096, 1);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_OK);
	after = device_stats(&s.dev);
	CHECK(after.faults > before.faults);
	CHECK(after.groups - before.groups > 1);
}

#if defined(__x86_64__)
#define THIS_ARCH	AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define THIS_ARCH	AUDIT_ARCH_I386
#else
#define THIS_ARCH	AUDIT_ARCH_AARCH64
#endif

/* From here on each system call but the last one ends the process with SIGSYS. */
static void no_more_system_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

/* An owner that submits and polls, in a process that may do nothing else. */
static int owner_status(bool doorbell)
{
	struct scene s;
	int status, i;
	pid_t pid;

	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		scene_open(&s);
		/* Awake before, and for longer than it takes: no doorbell is needed then. */
		param_set("vfio_svm_sw", "spin_us", 1000000000);
		ring_doorbell(&s);
		while (__atomic_load_n(&s.q.hdr->need_wakeup, __ATOMIC_RELAXED))
			;
		no_more_system_calls();
		for (i = 0; i < 100; i++) {
			send_batch(&s, s.bond_a.pasid, s.bond_b.pasid);
			if (doorbell)
				ring_doorbell(&s);
			poll_batch(&s);
		}
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	param_set("vfio_svm_sw", "spin_us", 50);
	return status;
}

static void owner_that_polls_makes_no_system_call(void)
{
	int status = owner_status(false);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

/* The proof that one would have been seen. */
static void owner_that_rings_is_caught(void)
{
	int status = owner_status(true);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSYS);
}

static const struct test count_tests[] = {
	TEST(batch_of_two_bonds_is_one_group),
	TEST(batch_within_one_bond_switches_once),
	TEST(missing_pages_are_counted),
	TEST(owner_that_polls_makes_no_system_call),
	TEST(owner_that_rings_is_caught),
};

SUITE(count);
