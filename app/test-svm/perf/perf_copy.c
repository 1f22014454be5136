/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies: the direct tier through dmadev against DPDK's dma_skeleton, and CMA
 * through an owner's queue against one process_vm_readv() for each operation.
 *
 * Cores. The submitting thread is the main lcore; what moves the bytes (the
 * engine, the skeleton's thread) has the second lcore's core. process_vm_readv
 * of the baseline runs in its caller, which sits on that same core meanwhile.
 * The device whose turn it is not is stopped.
 *
 * Addresses. Slot after slot, in order, round and round. In CMA's points the
 * worker's slots never touch each other: nothing merges.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_dmadev.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "perf.h"
#include "rte_svm.h"

#define DEPTH	256u
#define BATCH	32u
#define PAGE	4096u

/* The two ends of the copies. */
struct area {
	char *src, *dst;
	uint32_t size;
	size_t src_stride, dst_stride;
	uint64_t slots;
};

static inline char *
area_src(const struct area *a, uint64_t i)
{
	return a->src + (i % a->slots) * a->src_stride;
}

static inline char *
area_dst(const struct area *a, uint64_t i)
{
	return a->dst + (i % a->slots) * a->dst_stride;
}

static char *
pages_map(size_t len)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Bytes on each side, so that both ends fit L2, or that no cache holds them. */
static size_t
footprint_len(bool stream)
{
	const size_t cap = (size_t)get_phys_pages() * PAGE / 8;
	const size_t len = stream ? 4 * perf_llc_size() : perf_l2_size() / 4;

	return len < cap ? len : cap;
}

/* ---- direct: dmadev ---- */

struct dma {
	int16_t dev;
	const struct area *area;
};

static int
dma_run(const struct dma *d, uint64_t ops, struct perf_clock *clock)
{
	const struct area *a = d->area;
	uint64_t sent = 0, got = 0, next = PERF_SAMPLE;
	bool error = false;
	uint32_t i;

	perf_tick_start(clock);
	while (got < ops) {
		for (i = 0; i < BATCH && sent < ops && sent - got < DEPTH - 1; i++, sent++)
			if (rte_dma_copy(d->dev, 0, (uintptr_t)area_src(a, sent),
					(uintptr_t)area_dst(a, sent), a->size, 0) < 0)
				break;
		if (i > 0)
			rte_dma_submit(d->dev, 0);
		i = rte_dma_completed(d->dev, 0, BATCH, NULL, &error);
		if (error)
			return -EIO;
		if (i == 0)
			rte_pause();
		for (got += i; got >= next; next += PERF_SAMPLE)
			perf_tick(clock);
	}
	return 0;
}

static int
dma_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	const struct dma *d = ctx;
	struct perf_clock unused = { .max = 0 };
	int ret = rte_dma_start(d->dev);

	if (ret != 0)
		return ret;
	/* Threads wake up, caches and pages are as this side leaves them. */
	ret = dma_run(d, ops < 8 * PERF_SAMPLE ? ops : 8 * PERF_SAMPLE, &unused);
	if (ret == 0)
		ret = dma_run(d, ops, clock);
	rte_dma_stop(d->dev);
	return ret;
}

static int
dma_make(const char *name, const char *args, struct dma *d)
{
	const struct rte_dma_conf conf = { .nb_vchans = 1 };
	const struct rte_dma_vchan_conf vchan = {
		.direction = RTE_DMA_DIR_MEM_TO_MEM,
		.nb_desc = DEPTH,
	};
	int ret = rte_vdev_init(name, args);

	if (ret != 0)
		return ret;
	d->dev = rte_dma_get_dev_id_by_name(name);
	ret = d->dev < 0 ? d->dev : rte_dma_configure(d->dev, &conf);
	return ret != 0 ? ret : rte_dma_vchan_setup(d->dev, 0, &vchan);
}

static int
direct_measure(struct dma *svm, struct dma *skeleton, uint32_t size, bool stream)
{
	const size_t len = footprint_len(stream);
	struct area a = { .size = size, .src_stride = size, .dst_stride = size,
		.slots = len / size > 0 ? len / size : 1 };
	const size_t bytes = a.slots * size;
	/* Streaming, a round goes through all of it; else as much as takes a while. */
	const uint64_t least = stream ? a.slots : (64u << 20) / (size + 256);
	const uint64_t ops = (least + PERF_SAMPLE - 1) / PERF_SAMPLE * PERF_SAMPLE;
	const struct perf_point p = {
		.bench = "copy", .tier = "direct", .engine = "thread", .op = "copy",
		.size = size, .depth = DEPTH, .batch = BATCH, .producers = 1,
		.footprint = stream ? "stream" : "hot", .baseline = "dma_skeleton",
	};
	int ret = -ENOMEM;

	a.src = pages_map(bytes);
	a.dst = pages_map(bytes);
	if (a.src != NULL && a.dst != NULL) {
		memset(a.src, 1, bytes);
		memset(a.dst, 2, bytes);
		svm->area = skeleton->area = &a;
		ret = perf_measure(&p, dma_side, svm, dma_side, skeleton, ops);
	}
	if (ret == 0 && memcmp(a.src, a.dst, bytes) != 0)
		ret = -EBADMSG;
	if (a.src != NULL)
		munmap(a.src, bytes);
	if (a.dst != NULL)
		munmap(a.dst, bytes);
	return ret;
}

static int
direct(unsigned int lcore)
{
	static const struct {
		uint32_t size;
		bool stream;
	} points[] = {
		{ 64, false }, { 4096, false }, { 65536, false },
		{ 4096, true }, { 1u << 20, true },
	};
	struct dma svm = { .dev = -1 }, skeleton = { .dev = -1 };
	char args[64];
	size_t i;
	int ret;

	snprintf(args, sizeof(args), "lcore=%u", lcore);
	ret = dma_make("dma_skeleton", args, &skeleton);
	if (ret != 0) {
		perf_remark("dma_skeleton, the baseline, is not there (%d)", ret);
		return ret;
	}
	snprintf(args, sizeof(args), "engine=thread,core=%d,socket=none",
		rte_lcore_to_cpu_id(lcore));
	ret = dma_make("svm_perf0", args, &svm);
	for (i = 0; i < sizeof(points) / sizeof(points[0]) && ret == 0; i++)
		ret = direct_measure(&svm, &skeleton, points[i].size, points[i].stream);
	rte_vdev_uninit("svm_perf0");
	rte_vdev_uninit("dma_skeleton");
	return ret;
}

/* ---- CMA ---- */

struct cma {
	const struct area *area;
	uint16_t dev;
	struct rte_svm_queue *queue;
	uint64_t bond;
	pid_t pid;
	int cpu;		/* of the engine */
};

static int
cma_run(const struct cma *c, uint64_t ops, struct perf_clock *clock)
{
	const struct area *a = c->area;
	uint64_t sent = 0, got = 0, next = PERF_SAMPLE;

	perf_tick_start(clock);
	while (got < ops) {
		struct rte_svm_op op[BATCH];
		struct rte_svm_result r[BATCH];
		int i, n = 0;

		while (n < (int)BATCH && sent + n < ops && sent + n - got < DEPTH) {
			op[n] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY,
				.src = (uintptr_t)area_src(a, sent + n),
				.dst = (uintptr_t)area_dst(a, sent + n),
				.src_bond = c->bond, .len = a->size };
			n++;
		}
		if (n > 0)
			sent += rte_svm_submit(c->queue, op, n);
		n = rte_svm_poll(c->queue, r, BATCH);
		for (i = 0; i < n; i++)
			if (r[i].status != RTE_SVM_ST_OK)
				return -EIO;
		if (n == 0)
			rte_pause();
		for (got += n; got >= next; next += PERF_SAMPLE)
			perf_tick(clock);
	}
	return 0;
}

static int
cma_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	const struct cma *c = ctx;
	struct perf_clock unused = { .max = 0 };
	int ret = rte_svm_start(c->dev);

	if (ret != 0)
		return ret;
	ret = cma_run(c, ops < 4 * PERF_SAMPLE ? ops : 4 * PERF_SAMPLE, &unused);
	if (ret == 0)
		ret = cma_run(c, ops, clock);
	rte_svm_stop(c->dev);
	return ret;
}

static int
cma_single_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	const struct cma *c = ctx;
	const struct area *a = c->area;
	cpu_set_t cpu, was;
	uint64_t i;
	int ret = 0;

	CPU_ZERO(&cpu);
	CPU_SET(c->cpu, &cpu);
	ret = -pthread_getaffinity_np(pthread_self(), sizeof(was), &was);
	if (ret == 0)
		ret = -pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
	if (ret != 0)
		return ret;
	perf_tick_start(clock);
	for (i = 0; i < ops && ret == 0; i++) {
		struct iovec to = { area_dst(a, i), a->size };
		struct iovec from = { area_src(a, i), a->size };

		if (process_vm_readv(c->pid, &to, 1, &from, 1, 0) != (ssize_t)a->size)
			ret = -EIO;
		if ((i + 1) % PERF_SAMPLE == 0)
			perf_tick(clock);
	}
	pthread_setaffinity_np(pthread_self(), sizeof(was), &was);
	return ret;
}

/* A process with private pages of its own at `src`, which then only waits. */
static pid_t
worker_start(char *src, size_t len)
{
	int ready[2];
	pid_t pid;
	char c = 0;

	if (pipe(ready) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(src, 3, len);
		(void)!write(ready[1], "r", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &c, 1) != 1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

static int
cma_point(struct cma *c, const char *tier, bool stream, uint64_t ops)
{
	const struct perf_point p = {
		.bench = "copy", .tier = tier, .engine = "thread", .op = "copy",
		.size = c->area->size, .depth = DEPTH, .batch = BATCH, .producers = 1,
		.footprint = stream ? "stream" : "hot", .baseline = "cma_single",
	};

	return perf_measure(&p, cma_side, c, cma_single_side, c, ops);
}

static int
cma_measure(const char *tier, uint32_t size, bool stream, unsigned int lcore)
{
	const size_t len = footprint_len(stream);
	struct area a = { .size = size, .dst_stride = size,
		.src_stride = (size + PAGE - 1) / PAGE * PAGE + PAGE };
	struct cma c = { .area = &a, .cpu = rte_lcore_to_cpu_id(lcore) };
	size_t src_len, dst_len, i;
	uint64_t ops = stream ? 0 : 64 * PERF_SAMPLE;
	char args[128];
	int ret = -ENOMEM;

	a.slots = len / size > 0 ? len / size : 1;
	if (stream)
		ops = (a.slots + PERF_SAMPLE - 1) / PERF_SAMPLE * PERF_SAMPLE;
	src_len = a.slots * a.src_stride;
	dst_len = a.slots * a.dst_stride;
	a.src = pages_map(src_len);
	a.dst = pages_map(dst_len);
	if (a.src == NULL || a.dst == NULL)
		goto unmap;
	memset(a.dst, 2, dst_len);
	c.pid = worker_start(a.src, src_len);
	if (c.pid < 0)
		goto unmap;
	snprintf(args, sizeof(args), "engine=thread,core=%d,cma=%s,socket=none,"
		"timeout_us=10000000", c.cpu, tier);
	ret = rte_vdev_init("svm_perf1", args);
	if (ret != 0)
		goto kill_worker;
	c.dev = rte_svm_get_dev_id("svm_perf1");
	ret = rte_svm_bind(c.dev, c.pid, &c.bond);
	if (ret == 0)
		ret = rte_svm_queue_create(c.dev, DEPTH, &c.queue);
	if (ret == 0)
		ret = cma_point(&c, strcmp(tier, "lane") == 0 ? "cma" : "cma_inline", stream,
			ops);
	for (i = 0; i < dst_len && ret == 0; i += size)
		if (a.dst[i] != 3)
			ret = -EBADMSG;
	if (c.queue != NULL)
		rte_svm_queue_destroy(c.queue);
	rte_vdev_uninit("svm_perf1");
kill_worker:
	kill(c.pid, SIGKILL);
	waitpid(c.pid, NULL, 0);
unmap:
	if (a.dst != NULL)
		munmap(a.dst, dst_len);
	if (a.src != NULL)
		munmap(a.src, src_len);
	return ret;
}

static int
cma(unsigned int lcore)
{
	static const char *const tiers[] = { "lane", "inline" };
	static const struct {
		uint32_t size;
		bool stream;
	} points[] = { { 64, false }, { 4096, false }, { 1u << 20, true } };
	size_t i, k;
	int ret = 0;

	for (k = 0; k < sizeof(tiers) / sizeof(tiers[0]); k++)
		for (i = 0; i < sizeof(points) / sizeof(points[0]) && ret == 0; i++)
			ret = cma_measure(tiers[k], points[i].size, points[i].stream, lcore);
	return ret;
}

int
perf_copy(void)
{
	const unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	int ret;

	if (lcore >= RTE_MAX_LCORE) {
		perf_remark("two lcores are needed (-l 0-1)");
		return -ENODEV;
	}
	perf_remark("L2: %zu bytes, last level: %zu bytes, streaming: %zu bytes a side",
		perf_l2_size(), perf_llc_size(), footprint_len(true));
	ret = direct(lcore);
	return ret != 0 ? ret : cma(lcore);
}
