/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nobody works: queues of real workers rest, the engine sleeps, and neither
 * costs anything; work, ends and stops still get through.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"
#include "suites.h"
#include "svm_dev.h"
#include "test_task.h"

#define LEN	3000u

/* Queues that the device's engine polls; the fixture's own is one. */
static uint32_t
polled(struct fx *f)
{
	const struct svm_dev *dev = fx_dev(f);

	return fx_peek(dev->engines[0]->nb_active);
}

static void
await_polled(struct fx *f, uint32_t nb)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;

	while (polled(f) != nb && fx_now_ms() < end)
		fx_idle(f);
	TEST_EQUAL(polled(f), nb);
}

/* What the device's own engine polls when all workers' queues rest. */
static uint32_t
owner_queues(const struct fx *f)
{
	return f->engine == RTE_SVM_ENGINE_INLINE ? 0 : 1;
}

static void
test_idle_worker_queue_rests_and_goes_on(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t queue;
	int i;

	if (f == NULL)
		return;
	w = fx_joined(f);
	queue = fx_do(w, WK_QUEUE, 32, 0);
	for (i = 0; i < 5; i++) {
		await_polled(f, owner_queues(f));
		fx_check_queue(w, queue);
	}
}

static void
test_idle_many_queues_rest_and_one_goes_on(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t queue[4];
	int i;

	if (f == NULL)
		return;
	w = fx_joined(f);
	for (i = 0; i < 4; i++)
		queue[i] = fx_do(w, WK_QUEUE, 32, i & 1);
	/* The engine has seen all of them. */
	for (i = 0; i < 4; i++)
		fx_check_queue(w, queue[i]);
	for (i = 0; i < 4; i++) {
		await_polled(f, owner_queues(f));
		fx_check_queue(w, queue[i]);
		CU_ASSERT(polled(f) <= owner_queues(f) + 1);
	}
}

static void
test_idle_worker_ends_at_rest_gives_all_back(void)
{
	struct fx *f = fx_begin("");
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct fx_worker *w;
	uint64_t bond;

	if (f == NULL)
		return;
	w = fx_joined(f);
	fx_do(w, WK_QUEUE, 32, 0);
	await_polled(f, owner_queues(f));
	fx_kill(w, SIGKILL);
	while (rte_svm_bond_list(f->dev, &bond, 1) != 0 && fx_now_ms() < end)
		fx_idle(f);
	TEST_EQUAL(rte_svm_bond_list(f->dev, &bond, 1), 0);
}

static void
test_idle_queue_given_back_at_rest(void)
{
	struct fx *f = fx_begin("idle_us=100");
	struct fx_worker *w;
	uint64_t queue;

	if (f == NULL)
		return;
	w = fx_joined(f);
	queue = fx_do(w, WK_QUEUE, 32, 0);
	await_polled(f, owner_queues(f));
	fx_do(w, WK_QUEUE_END, queue);
	fx_do(w, WK_UNBIND);
}

static void
test_idle_device_stopped_at_rest_starts_again(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t queue;

	if (f == NULL)
		return;
	w = fx_joined(f);
	queue = fx_do(w, WK_QUEUE, 32, 0);
	await_polled(f, owner_queues(f));
	TEST_EQUAL(rte_svm_stop(f->dev), 0);
	TEST_EQUAL(rte_svm_start(f->dev), 0);
	fx_check_queue(w, queue);
}

/* ---- the engine's thread ---- */

struct task_use {
	unsigned long long run_ns, slices;	/* time on a core, and how often */
};

static struct task_use
task_use(const char *task)
{
	struct task_use u = { 0, 0 };
	unsigned long long wait_ns;
	char path[320];
	FILE *in;

	snprintf(path, sizeof(path), "%s/schedstat", task);
	in = fopen(path, "re");
	if (in == NULL || fscanf(in, "%llu %llu %llu", &u.run_ns, &wait_ns, &u.slices) != 3)
		test_fail("no %s", path);
	fclose(in);
	return u;
}

/* Whether it waits for something; one that waits for a core does not. */
static bool
task_sleeps(const char *task)
{
	char path[320], line[128];
	const char *p = NULL;
	FILE *in;

	snprintf(path, sizeof(path), "%s/stat", task);
	in = fopen(path, "re");
	if (in == NULL || fgets(line, sizeof(line), in) == NULL ||
			(p = strrchr(line, ')')) == NULL)
		test_fail("no %s", path);
	fclose(in);
	return p[2] == 'S';
}

/* Over a second without work the engine does not run at all, not once. */
static void
expect_quiet(const char *task)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct task_use before, after;

	/* Until it has fallen asleep. */
	do {
		before = task_use(task);
		usleep(50000);
		after = task_use(task);
	} while ((!task_sleeps(task) || after.run_ns != before.run_ns) && fx_now_ms() < end);
	before = after;
	sleep(1);
	after = task_use(task);
	TEST_EQUAL(after.run_ns, before.run_ns);
	TEST_EQUAL(after.slices, before.slices);
}

static void
test_idle_sleeping_engine_takes_no_cpu_time(void)
{
	struct fx *f = fx_begin("idle_us=1000");
	char name[16], task[300], *own;
	struct fx_worker *w, *v;
	uint64_t queue, mem;

	if (f == NULL)
		return;
	w = fx_joined(f);
	v = fx_joined(f);
	queue = fx_do(w, WK_QUEUE, 32, 0);
	fx_do(v, WK_QUEUE, 32, 1);
	own = fx_mem(f, LEN);
	mem = fx_worker_mem(w, LEN, NULL);
	snprintf(name, sizeof(name), "svm-eng-%u", f->dev);
	task_find(name, task, sizeof(task));
	CU_ASSERT_FATAL(task[0] != '\0');
	expect_quiet(task);
	/* The worker's doorbell wakes it, and afterwards it is as quiet as before. */
	fx_check_queue(w, queue);
	expect_quiet(task);
	/* So does the owner's submit. */
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, LEN).status,
		RTE_SVM_ST_OK);
	expect_quiet(task);
}

/* Without idle_us it polls, and a submit of the owner's needs nobody to wake it. */
static void
test_idle_polling_engine_takes_cpu_time(void)
{
	struct fx *f = fx_begin("");
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct task_use before, after;
	char name[16], task[300];

	if (f == NULL)
		return;
	snprintf(name, sizeof(name), "svm-eng-%u", f->dev);
	task_find(name, task, sizeof(task));
	CU_ASSERT_FATAL(task[0] != '\0');
	before = task_use(task);
	/* More than it takes to fall asleep, however few cores there are for it. */
	do {
		usleep(1000);
		after = task_use(task);
	} while (after.run_ns - before.run_ns < 50000000 && fx_now_ms() < end);
	CU_ASSERT(after.run_ns - before.run_ns >= 50000000);
}

static const struct fx_test tests[] = {
	{ "test_idle_worker_queue_rests_and_goes_on",
		test_idle_worker_queue_rests_and_goes_on, FX_ALL },
	{ "test_idle_many_queues_rest_and_one_goes_on",
		test_idle_many_queues_rest_and_one_goes_on, FX_ALL },
	{ "test_idle_worker_ends_at_rest_gives_all_back",
		test_idle_worker_ends_at_rest_gives_all_back, FX_ALL },
	{ "test_idle_queue_given_back_at_rest", test_idle_queue_given_back_at_rest, FX_ALL },
	{ "test_idle_device_stopped_at_rest_starts_again",
		test_idle_device_stopped_at_rest_starts_again, FX_ALL },
	{ "test_idle_sleeping_engine_takes_no_cpu_time",
		test_idle_sleeping_engine_takes_no_cpu_time, FX_ONE },
	{ "test_idle_polling_engine_takes_cpu_time",
		test_idle_polling_engine_takes_cpu_time, FX_ONE },
};

int
test_idle_suite(void)
{
	return fx_add_tests("idle", tests, sizeof(tests) / sizeof(tests[0]));
}
