/* SPDX-License-Identifier: BSD-3-Clause */
/* Ids and handles of a device that has been removed, or is being removed just now. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <rte_bus_vdev.h>

#include "suites.h"
#include "svm_registry.h"
#include "test_dmadev.h"

static void
remove_device(struct fx *f)
{
	TEST_EQUAL(rte_vdev_uninit(f->name), 0);
	fx_removed(f);
}

static void
test_dmadev_life_calls_on_a_removed_device_say_so(void)
{
	struct fx *f = fx_begin("");
	struct rte_svm_bond_info bond_info;
	struct rte_svm_queue *q = NULL;
	struct rte_svm_fault fault;
	struct rte_svm_stats stats;
	struct rte_svm_info info;
	struct fx_worker *w;
	uint64_t bond = 1;

	if (f == NULL)
		return;
	w = fx_bound(f);
	remove_device(f);
	TEST_EQUAL(rte_svm_get_dev_id(f->name), -ENODEV);
	TEST_EQUAL(rte_svm_info_get(f->dev, &info), -ENODEV);
	TEST_EQUAL(rte_svm_start(f->dev), -ENODEV);
	TEST_EQUAL(rte_svm_stop(f->dev), -ENODEV);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &bond), -ENODEV);
	TEST_EQUAL(rte_svm_unbind(f->dev, w->bond), -ENODEV);
	TEST_EQUAL(rte_svm_bond_info_get(f->dev, w->bond, &bond_info), -ENODEV);
	TEST_EQUAL(rte_svm_bond_list(f->dev, &bond, 1), -ENODEV);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, 0, 0), -ENODEV);
	TEST_EQUAL(rte_svm_queue_create(f->dev, 64, &q), -ENODEV);
	TEST_EQUAL(rte_svm_progress(f->dev), -ENODEV);
	TEST_EQUAL(rte_svm_fault_poll(f->dev, &fault, 1), -ENODEV);
	TEST_EQUAL(rte_svm_stats_get(f->dev, &stats), -ENODEV);
	TEST_EQUAL(rte_svm_stats_reset(f->dev), -ENODEV);
	CU_ASSERT_PTR_NULL(q);
}

/* The queue keeps what it needs; another device may have the id by then. */
static void
test_dmadev_life_queue_of_a_removed_device_gives_its_results(void)
{
	struct fx *f = fx_begin("");
	const struct rte_svm_op op = { .op = RTE_SVM_OP_NOP, .cookie = 7 };
	struct rte_svm_queue *q, *fresh = NULL;
	struct rte_svm_result r;
	struct fx_worker *w;
	uint64_t done, end;
	int i;

	if (f == NULL)
		return;
	w = fx_bound(f);
	fx_check_moves(f, w);	/* the queue names the bond, so it holds it */
	done = fx_stats(f).ops;
	for (i = 0; i != 4; i++)
		TEST_EQUAL(rte_svm_submit(f->queue, &op, 1), 1);
	for (end = fx_now_ms() + FX_BOUND_MS; fx_stats(f).ops != done + 4; fx_idle(f))
		if (fx_now_ms() > end)
			test_fail("the operations do not end");
	remove_device(f);
	fx_probe_again(f, false);
	q = f->queue;
	f->queue = NULL;
	for (i = 0; i != 4; i++) {
		TEST_EQUAL(rte_svm_poll(q, &r, 1), 1);
		TEST_EQUAL(r.cookie, 7);
		TEST_STATUS(r.status, RTE_SVM_ST_OK);
	}
	TEST_EQUAL(rte_svm_poll(q, &r, 1), -ENODEV);
	TEST_EQUAL(rte_svm_submit(q, &op, 1), -ENODEV);
	TEST_EQUAL(rte_svm_queue_create(f->dev, FX_DEPTH, &fresh), 0);
	TEST_EQUAL(rte_svm_queue_destroy(q), 0);
	f->queue = fresh;
	TEST_STATUS(fx_run_one(f, op).status, RTE_SVM_ST_OK);
}

/* ---- removal while others call ---- */

struct caller {
	struct fx *f;
	pid_t pid;
	pthread_t thread;
	uint32_t stop;		/* atomic */
	uint64_t rounds, wrong;
};

static void
caller_expect(struct caller *c, int ret, int other)
{
	c->wrong += ret < 0 && ret != -ENODEV && ret != other;
}

static void *
caller_main(void *arg)
{
	struct caller *c = arg;

	while (__atomic_load_n(&c->stop, __ATOMIC_RELAXED) == 0) {
		const int id = rte_svm_get_dev_id(c->f->name);
		struct rte_svm_queue *q = NULL;
		struct rte_svm_bond_info bond_info;
		struct rte_svm_stats stats;
		struct rte_svm_info info;
		uint64_t bond;

		__atomic_fetch_add(&c->rounds, 1, __ATOMIC_RELAXED);
		if (id < 0) {
			sched_yield();
			continue;
		}
		caller_expect(c, rte_svm_info_get(id, &info), 0);
		caller_expect(c, rte_svm_stats_get(id, &stats), 0);
		/* Probed, the device can say what a vchan is. */
		caller_expect(c, rte_svm_vchan_attach(id, 0, 0, 0), -EINVAL);
		caller_expect(c, rte_svm_progress(id), 0);
		caller_expect(c, rte_svm_bind(id, c->pid, &bond), -EEXIST);
		caller_expect(c, rte_svm_bond_list(id, &bond, 1), 0);
		caller_expect(c, rte_svm_bond_info_get(id, bond, &bond_info), -ENOENT);
		caller_expect(c, rte_svm_unbind(id, bond), -ENOENT);
		if (rte_svm_queue_create(id, 64, &q) == 0)
			c->wrong += rte_svm_queue_destroy(q) != 0;
		c->wrong += rte_svm_start(id) == 0 && rte_svm_stop(id) == -EINVAL;
	}
	return NULL;
}

/*
 * The id may be another's after a moment, so nothing is asked of the results but that
 * each is one of those documented.
 */
static void
test_dmadev_life_removed_under_calls_of_other_threads(void)
{
	struct fx *f = fx_begin("");
	struct caller c[3] = { 0 };
	struct fx_worker *w;
	int i, k;

	if (f == NULL)
		return;
	w = fx_worker(f);
	for (k = 0; k != 3; k++) {
		c[k].f = f;
		c[k].pid = w->pid;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&c[k].thread, NULL, caller_main, &c[k]), 0);
	}
	for (i = 0; i != 20; i++) {
		uint64_t since[3];

		for (k = 0; k != 3; k++)
			since[k] = __atomic_load_n(&c[k].rounds, __ATOMIC_RELAXED);
		for (k = 0; k != 3; k++)
			while (__atomic_load_n(&c[k].rounds, __ATOMIC_RELAXED) < since[k] + 2)
				sched_yield();
		remove_device(f);
		TEST_EQUAL(rte_svm_queue_destroy(f->queue), 0);
		f->queue = NULL;
		fx_probe_again(f, false);
		TEST_EQUAL(rte_svm_queue_create(f->dev, FX_DEPTH, &f->queue), 0);
	}
	for (k = 0; k != 3; k++) {
		__atomic_store_n(&c[k].stop, 1, __ATOMIC_RELAXED);
		pthread_join(c[k].thread, NULL);
		TEST_EQUAL(c[k].wrong, 0);
	}
}

static void *
producer_main(void *arg)
{
	const struct rte_svm_op op = { .op = RTE_SVM_OP_NOP };
	struct caller *c = arg;
	struct rte_svm_result r[8];
	int ret = 0;

	while (ret >= 0) {
		ret = rte_svm_submit(c->f->queue, &op, 1);
		if (ret >= 0)
			ret = rte_svm_poll(c->f->queue, r, 8);
		__atomic_fetch_add(&c->rounds, 1, __ATOMIC_RELAXED);
	}
	c->wrong = ret != -ENODEV;
	return NULL;
}

static void
test_dmadev_life_removed_under_a_submitting_thread(void)
{
	struct fx *f = fx_begin("");
	int i;

	if (f == NULL)
		return;
	for (i = 0; i != 20; i++) {
		struct caller c = { .f = f };

		CU_ASSERT_EQUAL_FATAL(pthread_create(&c.thread, NULL, producer_main, &c), 0);
		while (__atomic_load_n(&c.rounds, __ATOMIC_RELAXED) < 10)
			sched_yield();
		remove_device(f);
		pthread_join(c.thread, NULL);
		TEST_EQUAL(c.wrong, 0);
		TEST_EQUAL(rte_svm_queue_destroy(f->queue), 0);
		f->queue = NULL;
		fx_probe_again(f, false);
		TEST_EQUAL(rte_svm_queue_create(f->dev, FX_DEPTH, &f->queue), 0);
	}
}

static void
test_dmadev_life_withdraw_waits_for_calls_inside(void)
{
	struct fx *f = fx_begin("");
	struct svm_dev *dev = NULL;
	struct rte_svm_info info;

	if (f == NULL)
		return;
	TEST_EQUAL(svm_registry_get(f->dev, &dev), 0);
	TEST_EQUAL(svm_registry_withdraw(f->dev, 1000), -EBUSY);
	/* Refused, without a trace. */
	TEST_EQUAL(rte_svm_info_get(f->dev, &info), 0);
	svm_registry_put(f->dev);
	TEST_EQUAL(svm_registry_withdraw(f->dev, 1000), 0);
	TEST_EQUAL(rte_svm_info_get(f->dev, &info), -ENODEV);
	/* The name stays taken until the device has ended. */
	TEST_EQUAL(svm_registry_reserve(dev, f->name, &f->dev), -EEXIST);
	svm_registry_publish(f->dev);
	TEST_EQUAL(rte_svm_info_get(f->dev, &info), 0);
}

int
test_dmadev_gone_add(void)
{
	CU_pSuite s = CU_get_suite("dmadev_life");
	static const struct {
		const char *name;
		CU_TestFunc run;
	} tests[] = {
#define T(fn) { #fn, fn }
		T(test_dmadev_life_calls_on_a_removed_device_say_so),
		T(test_dmadev_life_queue_of_a_removed_device_gives_its_results),
		T(test_dmadev_life_removed_under_calls_of_other_threads),
		T(test_dmadev_life_removed_under_a_submitting_thread),
		T(test_dmadev_life_withdraw_waits_for_calls_inside),
#undef T
	};
	size_t i;

	for (i = 0; i != RTE_DIM(tests); i++)
		if (CU_add_test(s, tests[i].name, tests[i].run) == NULL)
			return -1;
	return 0;
}
