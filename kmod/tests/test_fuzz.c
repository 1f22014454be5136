// SPDX-License-Identifier: GPL-2.0
/*
 * Calls at random: a fixed number, from a seed that is printed and can be given back
 * as rig_seed= on the kernel's command line. What must hold is that the device still
 * works, and what the rig looks at when all is over.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"

#define ARG_LEN	256u
#define NB_FDS	8u

static uint64_t state;

static uint32_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 32;
}

static uint32_t below(uint32_t n)
{
	return any() % n;
}

/* Values at which something changes. */
static uint64_t number(void)
{
	static const uint64_t edge[] = {
		0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 63, 64, 65, 96, 97, 4095, 4096, 1u << 20,
		0x7fffffff, 0x80000000, 0xffffffff, 1ull << 63, ~0ull,
	};

	return below(3) ? edge[below(sizeof(edge) / sizeof(edge[0]))] : (uint64_t)any() << 32 | any();
}

struct scene {
	struct device dev;
	struct worker w[2];
	int fd[NB_FDS];		/* consent descriptors */
	uint64_t last;		/* bond id seen */
	unsigned char *arg;	/* ARG_LEN bytes before a hole */
};

static const struct {
	unsigned long cmd;
	uint32_t len;
} calls[] = {
	{ VFIO_DEVICE_BIND_TASK, 16 },
	{ VFIO_DEVICE_UNBIND_TASK, 12 },
	{ VFIO_SVM_BIND, sizeof(struct vfio_svm_bind) },
	{ VFIO_SVM_UNBIND, sizeof(struct vfio_svm_unbind) },
	{ VFIO_SVM_CONSENT, sizeof(struct vfio_svm_consent) },
	{ VFIO_SVM_CONSENT_BIND, sizeof(struct vfio_svm_consent_bind) },
	{ VFIO_SVM_CONSENT_NARROW, sizeof(struct vfio_svm_narrow) },
	{ VFIO_SVM_CONSENT_REVOKE, sizeof(struct vfio_svm_head) },
	{ VFIO_SVM_PAGE_RESPONSE, sizeof(struct vfio_svm_page_response) },
	{ VFIO_SVM_QUEUE, sizeof(struct vfio_svm_queue) },
	{ VFIO_DEVICE_GET_INFO, 16 },
	{ VFIO_DEVICE_GET_REGION_INFO, 32 },
	{ VFIO_DEVICE_GET_IRQ_INFO, 16 },
	{ VFIO_DEVICE_SET_IRQS, 24 },
	{ VFIO_DEVICE_RESET, 0 },
	{ VFIO_DEVICE_FEATURE, 72 },
};

/* A good argument more often than not, with some of it spoilt. */
static void *argument(struct scene *s, uint32_t len)
{
	unsigned char *at = s->arg + ARG_LEN - (below(4) ? ARG_LEN : below(64));
	uint32_t room = s->arg + ARG_LEN - at, i, n;
	uint32_t word;
	uint64_t wide;

	for (i = 0; i + 4 <= room; i += 4) {
		word = below(4) ? 0 : number();
		memcpy(at + i, &word, 4);
	}
	word = below(8) ? len : number();
	if (room >= 4)
		memcpy(at, &word, 4);
	word = below(4) ? 1 + below(3) : number();
	if (room >= 8)
		memcpy(at + 4, &word, 4);
	for (n = below(4); n && room >= 16; n--) {
		i = 8 + 4 * below((room - 8) / 4);
		switch (below(4)) {
		case 0:
			word = s->w[below(2)].pid;
			break;
		case 1:
			word = s->last - below(4);
			break;
		case 2:
			word = below(6);
			break;
		default:
			word = number();
		}
		memcpy(at + i, &word, 4);
	}
	if (room >= 16 && !below(4)) {
		wide = s->last;
		memcpy(at + 8, &wide, 8);
	}
	return below(50) ? at : (void *)(unsigned long)number();
}

static void remember(struct scene *s, unsigned long cmd, const void *arg, long ret)
{
	struct vfio_svm_bind bind;

	if (cmd == VFIO_SVM_BIND && !ret) {
		memcpy(&bind, arg, sizeof(bind));
		s->last = bind.bond_id;
	} else if (cmd == VFIO_SVM_CONSENT && ret >= 0) {
		unsigned int slot = below(NB_FDS);

		if (s->fd[slot] >= 0)
			close(s->fd[slot]);
		s->fd[slot] = ret;
	}
}

static void one_call(struct scene *s)
{
	unsigned int i = below(sizeof(calls) / sizeof(calls[0]));
	unsigned long cmd = below(40) ? calls[i].cmd : _IO(VFIO_TYPE, VFIO_BASE + below(156));
	int fd = below(3) ? s->dev.fd : s->fd[below(NB_FDS)];
	void *arg = argument(s, calls[i].len), *at;
	long ret;

	ret = xioctl(fd, cmd, arg);
	CHECK(ret >= -4095);
	remember(s, cmd, arg, ret);
	if (!below(20)) {
		size_t len = 4096 << below(4);

		at = mmap64(NULL, len, PROT_READ | below(8), below(2) + 1, s->dev.fd,
			    below(2) ? (uint64_t)below(8) << 32 : number() & ~4095ull);
		if (at != MAP_FAILED)
			munmap(at, len);
	}
	if (!below(20))
		CHECK(pwrite64(s->dev.fd, s->arg, below(9), number()) <= 8);
	if (!below(200)) {
		worker_kill(&s->w[0]);
		worker_start(&s->w[0]);
	}
}

static void device_works(struct scene *s)
{
	struct vfio_svm_queue remove = { .argsz = sizeof(remove), .queue = 0 };
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct queue q;
	long ret;

	/* What is bound and made is anybody's guess: new owner, new device. */
	device_close(&s->dev);
	device_open(&s->dev, 0);
	ret = xioctl(s->dev.fd, VFIO_SVM_QUEUE, &remove);
	CHECK_EQ(ret, -ENOENT);
	CHECK_EQ(bind_type(&s->dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
	queue_open(&q, &s->dev, 0, 32, 0);
	desc = desc_fill(bind.pasid, do_map(4096), 4096, 1);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
}

static uint64_t seed(void)
{
	uint64_t given = cmdline_number("rig_seed=", 0);

	while (!given)
		CHECK_EQ(getrandom(&given, sizeof(given), 0), sizeof(given));
	return given;
}

static void random_calls_leave_a_device_that_works(void)
{
	unsigned int i, n = rounds(20000);
	struct scene s;

	state = seed();
	printf("note rig_seed=%llu\n", (unsigned long long)state);
	fflush(stdout);
	s.last = 0;
	s.arg = (unsigned char *)do_map(8192) + 4096 - ARG_LEN;
	CHECK_EQ(munmap(s.arg + ARG_LEN, 4096), 0);
	for (i = 0; i < NB_FDS; i++)
		s.fd[i] = -1;
	for (i = 0; i < 2; i++)
		worker_start(&s.w[i]);
	device_open(&s.dev, 0);
	for (i = 0; i < n; i++)
		one_call(&s);
	/* The workers have the descriptor from their fork. */
	for (i = 0; i < 2; i++)
		worker_kill(&s.w[i]);
	device_works(&s);
}

static const struct test fuzz_tests[] = {
	TEST(random_calls_leave_a_device_that_works),
};

SUITE(fuzz);
