/* SPDX-License-Identifier: BSD-3-Clause */
/* Several engines in a device, and several devices: queues are spread, bonds are shared. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>

#include "fixture.h"
#include "suites.h"
#include "svm_dev.h"
#include "test_hostile.h"
#include "test_task.h"

#define LEN	5000u

static void
test_engines_queues_are_spread(void)
{
	struct fx *f = fx_begin("engines=3");
	const struct svm_dev *dev;
	struct fx_worker *w[2];
	uint64_t queue[2][4];
	uint32_t least = UINT32_MAX, most = 0;
	int i, k;

	if (f == NULL)
		return;
	dev = fx_dev(f);
	TEST_EQUAL(dev->nb_engines, 3);
	for (i = 0; i < 2; i++) {
		w[i] = fx_joined(f);
		for (k = 0; k < 4; k++)
			queue[i][k] = fx_do(w[i], WK_QUEUE, 32, 0);
	}
	for (i = 0; i < 3; i++) {
		const uint32_t nb = fx_peek(dev->engines[i]->nb_attached);

		least = RTE_MIN(least, nb);
		most = RTE_MAX(most, nb);
	}
	CU_ASSERT(least >= 2 && most - least <= 1);
	for (i = 0; i < 2; i++)
		for (k = 0; k < 4; k++)
			fx_check_queue(w[i], queue[i][k]);
	/* A place that comes free is the next one's. */
	fx_do(w[0], WK_QUEUE_END, queue[0][0]);
	fx_check_queue(w[0], fx_do(w[0], WK_QUEUE, 32, 0));
}

/* One bond in use by several engines at once: counts add up, unbind sees all. */
static void
test_engines_share_a_bond(void)
{
	struct fx *f = fx_begin("engines=2");
	struct rte_svm_stats before;
	struct fx_worker *w;
	uint64_t mem, seed;
	char *own;
	int i;

	if (f == NULL)
		return;
	w = neighbour(f);
	mem = fx_worker_mem(w, LEN, NULL);
	own = fx_mem_filled(f, LEN, &seed);
	before = fx_stats(f);
	for (i = 0; i < 50; i++)
		TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem,
			LEN).status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	CU_ASSERT(fx_stats(f).ops >= before.ops + 50);
	neighbour_goes_on(w, 3);
	neighbour_ends(w);
	/* Its queue ends with it, whichever engine it is with. */
	fx_do(w, WK_DISCONNECT);
}

static void
test_engines_worker_killed_spares_the_others(void)
{
	struct fx *f = fx_begin("engines=2");
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct fx_worker *w[4];
	uint64_t bonds[8];
	int i;

	if (f == NULL)
		return;
	for (i = 0; i < 4; i++)
		w[i] = neighbour(f);
	for (i = 0; i < 4; i++)
		neighbour_goes_on(w[i], 2);
	fx_kill(w[0], SIGKILL);
	fx_kill(w[1], SIGKILL);
	while (rte_svm_bond_list(f->dev, bonds, 8) != 2 && fx_now_ms() < end)
		fx_idle(f);
	TEST_EQUAL(rte_svm_bond_list(f->dev, bonds, 8), 2);
	for (i = 2; i < 4; i++) {
		neighbour_goes_on(w[i], 2);
		neighbour_ends(w[i]);
	}
}

static void
test_engines_stop_ends_all_and_start_goes_on(void)
{
	struct fx *f = fx_begin("engines=4,idle_us=100");
	struct fx_worker *w[3];
	int i;

	if (f == NULL)
		return;
	for (i = 0; i < 3; i++) {
		w[i] = neighbour(f);
		neighbour_goes_on(w[i], 2);
	}
	TEST_EQUAL(rte_svm_stop(f->dev), 0);
	TEST_EQUAL(rte_svm_start(f->dev), 0);
	for (i = 0; i < 3; i++) {
		neighbour_goes_on(w[i], 2);
		neighbour_ends(w[i]);
	}
}

static void
expect_alone_on(const char *thread, int cpu)
{
	char task[300];
	cpu_set_t set;

	task_find(thread, task, sizeof(task));
	CU_ASSERT_FATAL(task[0] != '\0');
	CPU_ZERO(&set);
	CU_ASSERT_EQUAL_FATAL(sched_getaffinity(atoi(strrchr(task, '/') + 1), sizeof(set),
		&set), 0);
	TEST_EQUAL(CPU_COUNT(&set), 1);
	CU_ASSERT(CPU_ISSET(cpu, &set));
}

static void
test_engines_cores_one_for_each(void)
{
	struct fx *f = fx_begin("core=1+0");
	char name[16];

	if (f == NULL)
		return;
	TEST_EQUAL(fx_dev(f)->nb_engines, 2);
	fx_copy(f, RTE_SVM_OWNER, (uintptr_t)fx_mem(f, LEN), RTE_SVM_OWNER,
		(uintptr_t)fx_mem(f, LEN), LEN);
	/* A thread takes the token after it has found its place. */
	while (__atomic_load_n(&fx_dev(f)->engines[1]->runner, __ATOMIC_ACQUIRE) == 0)
		fx_idle(f);
	snprintf(name, sizeof(name), "svm-eng-%u", f->dev);
	expect_alone_on(name, 1);
	strcat(name, ".1");
	expect_alone_on(name, 0);
}

static void
test_engines_more_cores_than_engines_refused(void)
{
	CU_ASSERT(rte_vdev_init("svm_cores", "engines=1,core=0+1,socket=none") != 0);
	TEST_EQUAL(rte_svm_get_dev_id("svm_cores"), -ENODEV);
}

/* Two devices, two engines each, with bonds to the same process. */
static void
test_engines_two_devices_one_worker(void)
{
	struct fx *f = fx_begin("engines=2");
	struct rte_svm_queue *q = NULL;
	struct rte_svm_result r;
	struct fx_worker *w;
	uint64_t bond, mem, seed, i;
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	char *own;
	int dev;

	if (f == NULL)
		return;
	w = neighbour(f);
	mem = fx_worker_mem(w, LEN, NULL);
	own = fx_mem_filled(f, LEN, &seed);
	CU_ASSERT_FATAL(rte_vdev_init("svm_second", "engines=2,socket=none") == 0);
	dev = rte_svm_get_dev_id("svm_second");
	TEST_EQUAL(rte_svm_start(dev), 0);
	TEST_EQUAL(rte_svm_queue_create(dev, 64, &q), 0);
	TEST_EQUAL(rte_svm_bind(dev, w->pid, &bond), 0);
	for (i = 0; i < 20; i++) {
		const struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .len = LEN,
			.src = (uintptr_t)own, .dst_bond = bond, .dst = mem };

		TEST_EQUAL(rte_svm_submit(q, &op, 1), 1);
		TEST_STATUS(fx_copy(f, w->bond, mem, RTE_SVM_OWNER,
			(uintptr_t)fx_mem(f, LEN), LEN).status, RTE_SVM_ST_OK);
		while (rte_svm_poll(q, &r, 1) == 0 && fx_now_ms() < end)
			fx_idle(f);
		TEST_STATUS(r.status, RTE_SVM_ST_OK);
	}
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	TEST_EQUAL(rte_svm_unbind(dev, bond), 0);
	/* The other device's bond is another one. */
	neighbour_goes_on(w, 2);
	neighbour_ends(w);
	TEST_EQUAL(rte_svm_queue_destroy(q), 0);
	TEST_EQUAL(rte_svm_stop(dev), 0);
	TEST_EQUAL(rte_vdev_uninit("svm_second"), 0);
}

struct holder {
	struct svm_engine *held, *other;
	bool settled;
};

/* Lets go of one engine when the other has nothing under way any more. */
static void *
holder_main(void *arg)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct holder *h = arg;

	while (fx_peek(h->other->batches.nb) != 0 && fx_now_ms() < end)
		sched_yield();
	h->settled = fx_now_ms() < end;
	svm_engine_release(h->held);
	return NULL;
}

/* Somebody has the first engine just now, and the second one's work does not end by itself. */
static void
test_engines_stop_settles_all_at_once(void)
{
	struct fx *f = fx_begin("engines=2,timeout_us=200000");
	struct rte_svm_window_conf conf = { .len = LEN, .rights = RTE_SVM_WINDOW_WRITE };
	struct wk_req op = { .cmd = WK_OP, .a = { 0, RTE_SVM_OP_FILL, 0, 0, 64, 1 } };
	struct holder h = { .settled = false };
	struct fx_worker *a, *b;
	pthread_t thread;
	int ret;

	if (f == NULL)
		return;
	fx_do(fx_joined(f), WK_QUEUE, 32, 0);
	a = fx_joined(f);
	op.a[0] = fx_do(a, WK_QUEUE, 32, 0);
	b = fx_joined(f);
	if (!fx_worker_unanswered(b, 2 * 4096, &conf.base))
		return;
	conf.grantee = a->bond;
	conf.target = b->bond;
	TEST_EQUAL(rte_svm_window_grant(f->dev, &conf, &op.dst_window), 0);
	h.held = fx_dev(f)->engines[0];
	h.other = fx_dev(f)->engines[1];
	fx_send(a, &op);
	fx_await_unanswered(b);
	CU_ASSERT_FATAL(svm_engine_try_acquire(h.held));
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, holder_main, &h) == 0);
	ret = rte_svm_stop(f->dev);
	pthread_join(thread, NULL);
	f->started = false;
	TEST_EQUAL(ret, 0);
	CU_ASSERT(h.settled);
}

static const struct fx_test tests[] = {
	{ "test_engines_queues_are_spread", test_engines_queues_are_spread, FX_ALL },
	{ "test_engines_share_a_bond", test_engines_share_a_bond, FX_ALL },
	{ "test_engines_worker_killed_spares_the_others",
		test_engines_worker_killed_spares_the_others, FX_ALL },
	{ "test_engines_stop_ends_all_and_start_goes_on",
		test_engines_stop_ends_all_and_start_goes_on, FX_ALL },
	{ "test_engines_cores_one_for_each", test_engines_cores_one_for_each, FX_ONE },
	{ "test_engines_more_cores_than_engines_refused",
		test_engines_more_cores_than_engines_refused, FX_ONE },
	{ "test_engines_two_devices_one_worker", test_engines_two_devices_one_worker,
		FX_APART },
	{ "test_engines_stop_settles_all_at_once", test_engines_stop_settles_all_at_once,
		FX_INLINE_LANE },
};

int
test_engines_suite(void)
{
	return fx_add_tests("engines", tests, sizeof(tests) / sizeof(tests[0]));
}
