/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that goes away, or begins anew, while workers are connected and their
 * queues are busy: what is left behind, and what each of those concerned sees.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_dev.h>

#include "suites.h"
#include "svm_dev.h"
#include "test_dmadev.h"

#define BIG	(1u << 20)
#define FLIGHT	32
#define ROUNDS	50
/* Rounds until malloc, libc and EAL have what they keep. */
#define WARM_UP	10

/* ---- what a process holds ---- */

struct usage {
	unsigned int fds, threads, maps, children;
};

static unsigned int
count_lines(const char *path, char separator)
{
	FILE *file = fopen(path, "re");
	unsigned int n = 0;
	int c;

	if (file == NULL)
		return 0;
	while ((c = getc(file)) != EOF)
		n += c == separator;
	fclose(file);
	return n;
}

/* Lanes are children of the task that made them. */
static unsigned int
count_tasks(unsigned int *children)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned int n = 0;
	char path[300];

	*children = 0;
	if (d == NULL)
		test_fail("/proc/self/task: %s", strerror(errno));
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		n++;
		snprintf(path, sizeof(path), "/proc/self/task/%s/children", entry->d_name);
		*children += count_lines(path, ' ');
	}
	closedir(d);
	return n;
}

static struct usage
usage_now(void)
{
	struct usage u = { .fds = fx_count_fds() };

	u.threads = count_tasks(&u.children);
	u.maps = count_lines("/proc/self/maps", '\n');
	return u;
}

/* ---- a device with everything busy ---- */

struct busy {
	struct fx_worker *joined;	/* copies in its own queue for ever */
	struct fx_worker *bound;
	uint64_t mem;			/* BIG bytes of bound's */
	uint64_t queue;			/* joined's */
	char *own;
	int16_t dma;
};

static void
busy_begin(struct fx *f, struct busy *b)
{
	struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .len = BIG };
	int i;

	b->joined = fx_joined(f);
	b->queue = fx_do(b->joined, WK_QUEUE, 64, 0);
	fx_do(b->joined, WK_TRAFFIC, b->queue, 100000);
	b->bound = fx_bound(f);
	b->mem = fx_do(b->bound, WK_ALLOC, WK_MEM_PRIVATE, BIG);
	b->dma = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, pasid_of(b->bound), false);
	op.src = VA(b->own);
	op.dst = b->mem;
	op.dst_bond = b->bound->bond;
	/* With an inline engine these are done when submit is back. */
	for (i = 0; i != FLIGHT; i++) {
		TEST_EQUAL(rte_svm_submit(f->queue, &op, 1), 1);
		TEST_EQUAL(rte_dma_copy(b->dma, 0, VA(b->own), b->mem, BIG,
			RTE_DMA_OP_FLAG_SUBMIT), i);
	}
}

static void
remove_device(struct fx *f, bool hotplug)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	int ret;

	/* A loaded machine may take longer than one call waits; then it is asked again. */
	do {
		ret = hotplug ? rte_eal_hotplug_remove("vdev", f->name) :
			rte_vdev_uninit(f->name);
	} while (ret == -EBUSY && fx_now_ms() < end);
	if (ret != 0)
		test_fail("the device cannot be removed: %d", ret);
	fx_removed(f);
}

/* What was in flight ended somehow, in order; then nothing comes any more. */
static void
queue_sees_removal(struct rte_svm_queue *q)
{
	const struct rte_svm_op op = { .op = RTE_SVM_OP_NOP };
	struct rte_svm_result r;
	int n = 0, ret;

	while ((ret = rte_svm_poll(q, &r, 1)) == 1) {
		CU_ASSERT(r.status == RTE_SVM_ST_OK || r.status == RTE_SVM_ST_ABORTED ||
			r.status == RTE_SVM_ST_BOND_DEAD);
		n++;
	}
	TEST_EQUAL(ret, -ENODEV);
	CU_ASSERT(n <= FLIGHT);
	TEST_EQUAL(rte_svm_submit(q, &op, 1), -ENODEV);
	TEST_EQUAL(rte_svm_queue_destroy(q), 0);
}

/* The worker's traffic has ended with an error that says so, and so do its calls. */
static void
worker_sees_removal(struct fx_worker *w, uint64_t queue)
{
	const struct wk_req end = { .cmd = WK_TRAFFIC_END };
	const struct wk_req op = { .cmd = WK_OP, .a = { queue, RTE_SVM_OP_NOP } };
	const struct wk_req more = { .cmd = WK_QUEUE, .a = { 64 } };
	struct wk_rep rep;
	int64_t ret;

	TEST_EQUAL(fx_try(w, &end, &rep), 0);
	CU_ASSERT(rep.v[1] <= 1);	/* the copy that was aborted */
	ret = fx_try(w, &op, &rep);
	CU_ASSERT(ret == -ESHUTDOWN || ret == -EPIPE);
	TEST_EQUAL(fx_try(w, &more, &rep), -EPIPE);
}

static void
test_dmadev_life_removed_while_busy_leaves_nothing(void)
{
	struct fx *f = fx_begin("");
	struct usage before = { 0 }, after;
	struct busy b;
	unsigned int i;
	uint64_t seed;

	if (f == NULL)
		return;
	b.own = fx_mem_filled(f, BIG, &seed);
	for (i = 0; i != ROUNDS; i++) {
		busy_begin(f, &b);
		remove_device(f, i % 2 == 0);
		queue_sees_removal(f->queue);
		f->queue = NULL;
		worker_sees_removal(b.joined, b.queue);
		CU_ASSERT(rte_dma_copy(b.dma, 0, VA(b.own), b.mem, LEN, 0) < 0);
		TEST_EQUAL(access(f->socket, F_OK), -1);
		fx_kill(b.joined, SIGKILL);
		fx_kill(b.bound, SIGKILL);
		if (i == WARM_UP)
			before = usage_now();
		if (i + 1 != ROUNDS)
			fx_probe_again(f, i % 2 == 1);
		if (i + 1 != ROUNDS)
			TEST_EQUAL(rte_svm_queue_create(f->dev, FX_DEPTH, &f->queue), 0);
	}
	after = usage_now();
	TEST_EQUAL(after.fds, before.fds);
	TEST_EQUAL(after.threads, before.threads);
	TEST_EQUAL(after.children, before.children);
	/* libc may have made or merged one or two of its own. */
	CU_ASSERT(after.maps < before.maps + (ROUNDS - WARM_UP) / 4);
}

/* The same bonds, through stop, reconfiguration and start. */
static void
test_dmadev_life_bonds_outlive_stop_and_reconfiguration(void)
{
	struct fx *f = fx_begin("max_bonds=3");
	struct fx_worker *w, *joined;
	uint64_t queue, there, seed;
	int16_t id = -1;
	char *own;
	int i;

	if (f == NULL)
		return;
	w = fx_bound(f);
	joined = fx_joined(f);
	queue = fx_do(joined, WK_QUEUE, 64, 0);
	there = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, LEN);
	for (i = 0; i != ROUNDS; i++) {
		const enum rte_dma_direction dir = i % 2 == 0 ? RTE_DMA_DIR_MEM_TO_DEV :
			RTE_DMA_DIR_DEV_TO_MEM;
		const uint32_t pasid = pasid_of(w);
		int k;

		id = dma_id(f);
		dma_configure(id, 1 + i % 3, false);
		for (k = 0; k != 1 + i % 3; k++)
			TEST_EQUAL(vchan_setup(id, k, dir, pasid, pasid, FX_DEPTH), 0);
		TEST_EQUAL(rte_dma_start(id), 0);
		if (i == 0) {
			own = fx_mem_filled(f, LEN, &seed);
			TEST_EQUAL(copy_one(f, id, VA(own), there, LEN), RTE_DMA_STATUS_SUCCESSFUL);
			CU_ASSERT(fx_verify(w, there, LEN, seed, 0));
		} else {
			rte_dma_fill(id, 0, 1, i % 2 == 0 ? there : VA(own), 8,
				RTE_DMA_OP_FLAG_SUBMIT);
		}
		TEST_STATUS(fx_worker_op(joined, queue, RTE_SVM_OP_NOP, 0, 0, 0, 0).status,
			RTE_SVM_ST_OK);
		TEST_EQUAL(rte_dma_stop(id), 0);
	}
	/* The vchans let go of their bonds: PASIDs come back. */
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	dma_configure(id, 1, false);
	for (i = 0; i != 10; i++) {
		TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
		TEST_EQUAL(fx_unbind(f, w->bond), 0);
	}
}

static void
test_dmadev_life_work_queued_while_stopped_waits_for_start(void)
{
	struct fx *f = fx_begin("");
	const struct wk_req op = { .cmd = WK_OP, .a = { 0, RTE_SVM_OP_NOP } };
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_svm_bond_info info = { 0 };
	struct fx_worker *w;
	struct rte_svm_stats s;
	uint32_t waiting = 0;
	struct wk_rep rep;
	uint64_t ops;

	if (f == NULL)
		return;
	w = fx_joined(f);
	fx_do(w, WK_QUEUE, 64, 0);
	TEST_EQUAL(rte_svm_stop(f->dev), 0);
	f->started = false;
	ops = fx_stats(f).ops;
	TEST_EQUAL(rte_svm_bond_info_get(f->dev, w->bond, &info), 0);
	fx_send(w, &op);
	while ((svm_fill_read(&fx_dev(f)->fill, info.pasid, &waiting, 1) != 1 || waiting != 1) &&
			fx_now_ms() < end)
		fx_idle(f);
	TEST_EQUAL(waiting, 1);
	TEST_EQUAL(rte_svm_stats_get(f->dev, &s), 0);
	TEST_EQUAL(s.ops, ops);
	TEST_EQUAL(rte_svm_start(f->dev), 0);
	f->started = true;
	TEST_EQUAL(fx_answer(w, &rep), 0);
	TEST_EQUAL(rep.v[0], RTE_SVM_ST_OK);
}

static void
test_dmadev_life_setup_and_configure_refused_once_started(void)
{
	struct fx *f = fx_begin("");
	const struct rte_dma_conf conf = { .nb_vchans = 2 };
	int16_t id;
	char *mem;

	if (f == NULL)
		return;
	id = dma_local(f);
	mem = fx_mem(f, 2 * LEN);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 64), -EBUSY);
	TEST_EQUAL(rte_dma_configure(id, &conf), -EBUSY);
	TEST_EQUAL(rte_dma_close(id), -EBUSY);
	TEST_EQUAL(copy_one(f, id, VA(mem), VA(mem + LEN), LEN), RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(rte_dma_stop(id), 0);
	/* Configured anew, nothing of the old vchan is left. */
	TEST_EQUAL(rte_dma_configure(id, &conf), 0);
	TEST_EQUAL(rte_dma_start(id), -EINVAL);
	TEST_EQUAL(vchan_setup(id, 1, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 64), 0);
	TEST_EQUAL(rte_dma_start(id), -EINVAL);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 64), 0);
	TEST_EQUAL(rte_dma_start(id), 0);
	TEST_EQUAL(copy_one(f, id, VA(mem), VA(mem + LEN), LEN), RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(rte_dma_stop(id), 0);
}

int
test_dmadev_life_suite(void)
{
#define T(name, rows) { #name, name, rows }
	static const struct fx_test tests[] = {
		T(test_dmadev_life_removed_while_busy_leaves_nothing, FX_LANE | FX_THREAD_CMA),
		T(test_dmadev_life_bonds_outlive_stop_and_reconfiguration, FX_LANE),
		T(test_dmadev_life_work_queued_while_stopped_waits_for_start, FX_LANE),
		T(test_dmadev_life_setup_and_configure_refused_once_started, FX_ONE),
	};
#undef T

	if (fx_add_tests("dmadev_life", tests, RTE_DIM(tests)) != 0)
		return -1;
	return test_dmadev_gone_add();
}
