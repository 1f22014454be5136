/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What idle bonds cost: bursts of copies on a device with 1, 64 and 4,096 of
 * them, each a process of its own that has connected and has a queue, against
 * the same bursts on a device with one.
 *
 * Two devices, alike but for the crowd, take turns; the one whose turn it is not
 * is stopped. One more bond on each has the foreign memory. A burst is
 * submitted, and the next when all of it has ended: an engine that looks at what
 * is idle does that at least once a burst.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "crowd.h"
#include "perf.h"
#include "rte_svm.h"

#define DEPTH		256u
#define BATCH		32u
#define MEM		(BATCH * 4096u)
#define BONDS_MAX	4096u
/* A bond: socket, pidfd, mem; its queue's memory has none. */
#define BOND_FDS	3u
/* Until all queues have been looked at often enough to rest, on any machine. */
#define REST_US		500000u

struct side {
	char name[32], dir[32], socket[64];
	uint16_t dev;
	struct rte_svm_queue *queue;
	struct crowd *idle, *busy;
	/* the point's */
	bool foreign;
	uint32_t size;
	char *own;
};

static int
burst(const struct side *s)
{
	const struct crowd_member *m = crowd_member(s->busy, 0);
	struct rte_svm_op op[BATCH];
	struct rte_svm_result r[BATCH];
	uint32_t i, sent = 0, got = 0;

	for (i = 0; i < BATCH; i++)
		op[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = s->size,
			.src_bond = s->foreign ? m->bond : RTE_SVM_OWNER,
			.src = (s->foreign ? m->mem : (uintptr_t)s->own + MEM) + i * 4096,
			.dst = (uintptr_t)s->own + i * 4096 };
	while (got < BATCH) {
		int n;

		if (sent < BATCH)
			sent += rte_svm_submit(s->queue, op + sent, BATCH - sent);
		n = rte_svm_poll(s->queue, r, BATCH);
		if (n == 0)
			rte_pause();
		got += n;
		while (n-- > 0)
			if (r[n].status != RTE_SVM_ST_OK)
				return -EIO;
	}
	return 0;
}

static int
bursts(const struct side *s, uint64_t ops, struct perf_clock *clock)
{
	uint64_t done;
	int ret = 0;

	perf_tick_start(clock);
	for (done = 0; done < ops && ret == 0; ) {
		ret = burst(s);
		done += BATCH;
		if (done % PERF_SAMPLE == 0)
			perf_tick(clock);
	}
	return ret;
}

static int
side_run(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	const struct side *s = ctx;
	struct perf_clock unused = { .max = 0 };
	int ret = rte_svm_start(s->dev);

	if (ret != 0)
		return ret;
	ret = bursts(s, 8 * PERF_SAMPLE, &unused);
	if (ret == 0)
		ret = bursts(s, ops, clock);
	rte_svm_stop(s->dev);
	return ret;
}

/* Idle bonds up to nb, and all their queues at rest. */
static int
side_grow(struct side *s, uint32_t nb)
{
	int ret = crowd_grow(s->idle, nb);

	if (ret == 0)
		ret = rte_svm_start(s->dev);
	if (ret != 0)
		return ret;
	usleep(REST_US);
	return rte_svm_stop(s->dev);
}

static int
side_open(struct side *s, const char *name, int cpu, uint32_t bonds)
{
	struct crowd_conf busy = { .socket = s->socket, .mem_len = MEM };
	const struct crowd_conf idle = { .socket = s->socket, .depth = 32 };
	char args[256];
	int ret;

	snprintf(s->name, sizeof(s->name), "%s", name);
	strcpy(s->dir, "/tmp/svm-perf-XXXXXX");
	if (mkdtemp(s->dir) == NULL)
		return -errno;
	snprintf(s->socket, sizeof(s->socket), "%s/socket", s->dir);
	snprintf(args, sizeof(args), "engine=thread,core=%d,socket=%s,max_bonds=%u,queues=%u,"
		"timeout_us=10000000", cpu, s->socket, bonds + 1, bonds);
	ret = rte_vdev_init(s->name, args);
	if (ret != 0) {
		s->name[0] = '\0';
		return ret;
	}
	s->dev = rte_svm_get_dev_id(s->name);
	ret = rte_svm_queue_create(s->dev, DEPTH, &s->queue);
	if (ret == 0)
		ret = crowd_create(&busy, &s->busy);
	if (ret == 0)
		ret = crowd_grow(s->busy, 1);
	if (ret == 0)
		ret = crowd_create(&idle, &s->idle);
	return ret;
}

static void
side_close(struct side *s)
{
	crowd_destroy(s->idle);
	crowd_destroy(s->busy);
	if (s->queue != NULL)
		rte_svm_queue_destroy(s->queue);
	if (s->name[0] != '\0')
		rte_vdev_uninit(s->name);
	if (s->dir[0] != '\0')
		rmdir(s->dir);
}

static int
measure(struct side *a, struct side *b, uint32_t bonds)
{
	static const struct {
		bool foreign;
		uint32_t size;
	} points[] = { { false, 64 }, { false, 4096 }, { true, 64 }, { true, 4096 } };
	char footprint[32];
	size_t i;
	int ret = 0;

	snprintf(footprint, sizeof(footprint), "bonds%u", bonds);
	for (i = 0; i < sizeof(points) / sizeof(points[0]) && ret == 0; i++) {
		const struct perf_point p = {
			.bench = "scale", .tier = points[i].foreign ? "cma" : "direct",
			.engine = "thread", .op = "copy", .size = points[i].size,
			.depth = DEPTH, .batch = BATCH, .producers = 1,
			.footprint = footprint, .baseline = "bonds1",
		};

		a->foreign = b->foreign = points[i].foreign;
		a->size = b->size = points[i].size;
		ret = perf_measure(&p, side_run, a, side_run, b,
			(points[i].foreign ? 64 : 512) * PERF_SAMPLE);
	}
	return ret;
}

static int
measure_all(struct side *a, struct side *b, uint32_t max)
{
	static const uint32_t bonds[] = { 1, 64, BONDS_MAX };
	size_t i;
	int ret = side_grow(b, 1);

	for (i = 0; i < sizeof(bonds) / sizeof(bonds[0]) && bonds[i] <= max && ret == 0; i++) {
		ret = side_grow(a, bonds[i]);
		if (ret == 0)
			ret = measure(a, b, bonds[i]);
	}
	return ret;
}

int
perf_scale(void)
{
	const unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	const uint32_t max = perf_bonds(BONDS_MAX);
	struct side a = { .foreign = false }, b = { .foreign = false };
	char *own;
	int ret;

	if (lcore >= RTE_MAX_LCORE) {
		perf_remark("two lcores are needed (-l 0-1)");
		return -ENODEV;
	}
	ret = crowd_fds_reserve(BOND_FDS * max);
	if (ret != 0) {
		perf_remark("%u bonds need %u descriptors (ulimit -Hn)", max, BOND_FDS * max);
		return ret;
	}
	own = mmap(NULL, 2 * MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (own == MAP_FAILED)
		return -ENOMEM;
	memset(own, 1, 2 * MEM);
	a.own = b.own = own;
	ret = side_open(&a, "svm_perf_idle", rte_lcore_to_cpu_id(lcore), max);
	if (ret == 0)
		ret = side_open(&b, "svm_perf_base", rte_lcore_to_cpu_id(lcore), max);
	if (ret == 0)
		ret = measure_all(&a, &b, max);
	side_close(&b);
	side_close(&a);
	munmap(own, 2 * MEM);
	return ret;
}
