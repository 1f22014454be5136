/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a bond costs: the time until its first byte, and what an idle one keeps.
 *
 * The baseline is what the kernel alone charges for reaching a process: a pidfd,
 * its mem descriptor, one process_vm_readv, both closed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_common.h>
#include <rte_cycles.h>

#include "crowd.h"
#include "perf.h"
#include "perf_bind.h"
#include "rte_svm.h"

#define NAME		"svm_perfb"
#define OPS		64u	/* of a round */
#define BONDS_MAX	4096u

struct bench {
	const char *engine;
	char socket[96];
	uint16_t dev;
	struct rte_svm_queue *queue;
	struct asker asker, bound;	/* the second stays connected */
	char text[ASK_LEN];
};

/* ---- a device ---- */

static void
bench_end(struct bench *b)
{
	if (b->asker.pid > 0)
		asker_end(&b->asker);
	if (b->bound.pid > 0)
		asker_end(&b->bound);
	rte_svm_queue_destroy(b->queue);
	rte_vdev_uninit(NAME);
}

static int
bench_begin(struct bench *b, const char *engine)
{
	char args[256];
	int ret;

	*b = (struct bench){ .engine = engine };
	memset(b->text, 7, sizeof(b->text));
	snprintf(b->socket, sizeof(b->socket), "/tmp/svm-perf-%d", (int)getpid());
	snprintf(args, sizeof(args), "engine=%s,socket=%s,max_bonds=%u", engine, b->socket,
		BONDS_MAX + 16);
	ret = rte_vdev_init(NAME, args);
	if (ret != 0)
		return ret;
	b->dev = (uint16_t)rte_svm_get_dev_id(NAME);
	ret = rte_svm_start(b->dev);
	if (ret == 0)
		ret = rte_svm_queue_create(b->dev, 64, &b->queue);
	if (ret == 0)
		ret = asker_start(&b->asker, b->socket, 0);
	if (ret != 0)
		bench_end(b);
	return ret;
}

static int
copy_in(struct bench *b, uint64_t bond, uint64_t dst)
{
	const struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .src = (uintptr_t)b->text,
		.dst_bond = bond, .dst = dst, .len = ASK_LEN };
	struct rte_svm_result r;

	if (rte_svm_submit(b->queue, &op, 1) != 1)
		return -EIO;
	while (rte_svm_poll(b->queue, &r, 1) == 0)
		sched_yield();
	return r.status == RTE_SVM_ST_OK ? 0 : -EFAULT;
}

/* ---- sides ---- */

static int
kernel_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	struct bench *b = ctx;
	char path[32], byte[ASK_LEN];
	struct iovec here = { .iov_base = byte, .iov_len = sizeof(byte) };
	struct iovec there = { .iov_base = (void *)(uintptr_t)b->asker.mem,
		.iov_len = sizeof(byte) };
	int pidfd, mem;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)b->asker.pid);
	perf_tick_start(clock);
	for (; ops != 0; ops--) {
		pidfd = (int)syscall(SYS_pidfd_open, b->asker.pid, 0);
		mem = open(path, O_RDONLY | O_CLOEXEC);
		n = process_vm_readv(b->asker.pid, &here, 1, &there, 1, 0);
		close(mem);
		close(pidfd);
		if (pidfd < 0 || mem < 0 || n != sizeof(byte))
			return -EIO;
		perf_tick(clock);
	}
	return 0;
}

static int
pid_side(struct bench *b, uint64_t ops, struct perf_clock *clock, bool copy)
{
	uint64_t bond;
	int ret = 0;

	clock->nb = 0;
	for (; ops != 0 && ret == 0; ops--) {
		uint64_t start = rte_rdtsc();

		ret = rte_svm_bind(b->dev, b->asker.pid, &bond);
		if (ret != 0)
			return ret;
		if (copy) {
			ret = copy_in(b, bond, b->asker.mem);
			perf_tick_add(clock, rte_rdtsc() - start);
		}
		if (rte_svm_unbind(b->dev, bond) != 0)
			return -EBUSY;
		if (!copy)
			perf_tick_add(clock, rte_rdtsc() - start);
	}
	return ret;
}

static int
pid_first_byte_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	return pid_side(ctx, ops, clock, true);
}

static int
pid_bind_unbind_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	return pid_side(ctx, ops, clock, false);
}

static int
asker_side(struct asker *a, uint64_t ops, struct perf_clock *clock, enum ask_what what)
{
	uint64_t cycles;
	int ret = 0;

	clock->nb = 0;
	for (; ops != 0 && ret == 0; ops--) {
		ret = asker_order(a, what);
		if (ret == 0)
			ret = asker_answer(a, &cycles);
		if (ret == 0)
			perf_tick_add(clock, cycles);
	}
	return ret;
}

static int
connect_bind_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	return asker_side(&((struct bench *)ctx)->asker, ops, clock, ASK_CONNECT_BIND);
}

static int
message_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	return asker_side(&((struct bench *)ctx)->bound, ops, clock, ASK_MESSAGE);
}

/* The owner sees a bond that it did not know, and copies into what it names. */
static int
socket_first_byte_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	struct bench *b = ctx;
	struct rte_svm_bond_info info;
	uint64_t bond, cycles;
	int ret;

	clock->nb = 0;
	for (; ops != 0; ops--) {
		ret = asker_order(&b->asker, ASK_FIRST_BYTE);
		if (ret != 0)
			return ret;
		while (rte_svm_bond_list(b->dev, &bond, 1) != 1)
			sched_yield();
		ret = rte_svm_bond_info_get(b->dev, bond, &info);
		if (ret == 0)
			ret = copy_in(b, bond, info.user);
		if (ret == 0)
			ret = asker_answer(&b->asker, &cycles);
		if (ret != 0)
			return ret;
		perf_tick_add(clock, cycles);
	}
	return 0;
}

/* ---- points ---- */

static int
point(struct bench *b, const char *op, const char *footprint, perf_side side)
{
	const struct perf_point p = {
		.bench = "bind", .tier = "cma", .engine = b->engine, .op = op,
		.size = ASK_LEN, .depth = 64, .batch = 1, .producers = 1,
		.footprint = footprint, .baseline = "kernel", .per_sample = 1,
	};

	return perf_measure(&p, side, b, kernel_side, b, OPS);
}

static int
times(const char *engine)
{
	struct bench b;
	int ret = bench_begin(&b, engine);

	if (ret != 0)
		return ret;
	ret = point(&b, "socket_first_byte", "0_bonds", socket_first_byte_side);
	if (ret == 0)
		ret = point(&b, "pid_first_byte", "0_bonds", pid_first_byte_side);
	if (ret == 0)
		ret = point(&b, "pid_bind_unbind", "0_bonds", pid_bind_unbind_side);
	if (ret == 0)
		ret = point(&b, "socket_connect_bind", "0_bonds", connect_bind_side);
	bench_end(&b);
	return ret;
}

/* ---- what idle bonds cost ---- */

static const uint32_t crowds[] = { 1, 64, 1024, BONDS_MAX };

static uint64_t
anonymous_bytes(void)
{
	FILE *in = fopen("/proc/self/smaps_rollup", "re");
	uint64_t kib = 0;
	char line[128];

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "Anonymous: %" SCNu64, &kib) == 1)
			break;
	if (in != NULL)
		fclose(in);
	return kib << 10;
}

static uint32_t
open_fds(void)
{
	uint32_t nb = 0;
	int fd;

	for (fd = 0; fd < 1 << 16; fd++)
		nb += fcntl(fd, F_GETFD) >= 0;
	return nb;
}

/* What must not depend on how many others are bound. */
static int
beside(struct bench *b, struct crowd *c)
{
	char footprint[32];
	size_t i;
	int ret = 0;

	for (i = 0; i < RTE_DIM(crowds) && ret == 0; i++) {
		ret = crowd_grow(c, crowds[i]);
		snprintf(footprint, sizeof(footprint), "%u_bonds", crowds[i]);
		if (ret == 0)
			ret = point(b, "message", footprint, message_side);
		if (ret == 0)
			ret = point(b, "pid_bind_unbind", footprint, pid_bind_unbind_side);
	}
	return ret;
}

static int
costs(struct bench *b, struct crowd *c)
{
	struct perf_point p = {
		.bench = "bind", .tier = "cma", .engine = b->engine, .size = 0, .depth = 0,
		.batch = 1, .producers = 1, .baseline = "kernel",
	};
	const uint64_t bytes = anonymous_bytes();
	const uint32_t fds = open_fds();
	char footprint[32];
	size_t i;
	int ret;

	for (i = 0; i < RTE_DIM(crowds); i++) {
		ret = crowd_grow(c, crowds[i]);
		if (ret != 0)
			return ret;
		snprintf(footprint, sizeof(footprint), "%u_bonds", crowds[i]);
		p.footprint = footprint;
		p.op = "owner_bytes_per_bond";
		perf_figure(&p, (double)((int64_t)(anonymous_bytes() - bytes)) / crowds[i], 0);
		p.op = "owner_fds_per_bond";
		perf_figure(&p, (double)(open_fds() - fds) / crowds[i], 2);
	}
	return 0;
}

/* A device of its own, and a crowd that grows. */
static int
crowd_run(int (*run)(struct bench *b, struct crowd *c))
{
	struct crowd_conf conf = { .depth = 0 };
	struct crowd *c = NULL;
	struct bench b;
	int ret = crowd_fds_reserve(3 * BONDS_MAX + 64);

	if (ret == 0)
		ret = bench_begin(&b, "thread");
	if (ret != 0)
		return ret;
	conf.socket = b.socket;
	ret = asker_start(&b.bound, b.socket, 1);
	if (ret == 0)
		ret = crowd_create(&conf, &c);
	if (ret == 0)
		ret = run(&b, c);
	crowd_destroy(c);
	bench_end(&b);
	return ret;
}

int
perf_bind(void)
{
	int ret;

	perf_remark("owner_bytes_per_bond and owner_fds_per_bond are bytes and descriptors, not ns");
	perf_remark("the bytes are anonymous memory that has come with the bonds, their slots of the tables included");
	ret = times("thread");
	if (ret == 0)
		ret = times("inline");
	/* First what they cost, on a device where nothing else is bound and unbound: PASIDs
	 * rest before they come again, so that would touch the slots of others. */
	if (ret == 0)
		ret = crowd_run(costs);
	return ret != 0 ? ret : crowd_run(beside);
}
