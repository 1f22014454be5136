/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues, engines' records and lanes' stacks are asked for on the device's node.
 * With one node the kernel says so of each page, and keeps what was asked.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <numa.h>
#include <numaif.h>

#include "fixture.h"
#include "suites.h"
#include "svm_dev.h"
#include "svm_lane_pool.h"
#include "svm_numa.h"
#include "test_child.h"

#define LEN	4096

/* Pages that are there are on the node, and their mapping prefers it. */
static void
expect_on_node(const void *mem, int node)
{
	unsigned long mask[16] = { 0 };
	void *page = (void *)((uintptr_t)mem & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1));
	int mode = -1, where = -1, is = -1;

	CU_ASSERT_EQUAL(get_mempolicy(&mode, mask, sizeof(mask) * 8, page, MPOL_F_ADDR), 0);
	TEST_EQUAL(mode, MPOL_PREFERRED);
	CU_ASSERT((mask[node / 64] >> node % 64 & 1) != 0);
	CU_ASSERT_EQUAL(get_mempolicy(&where, NULL, 0, page, MPOL_F_NODE | MPOL_F_ADDR), 0);
	TEST_EQUAL(where, node);
	CU_ASSERT_EQUAL(move_pages(0, 1, &page, NULL, &is, 0), 0);
	TEST_EQUAL(is, node);
}

static bool
no_numa(void)
{
	if (numa_available() >= 0)
		return false;
	test_skip("the kernel knows no NUMA nodes");
	return true;
}

static void
test_numa_queue_and_engine_are_on_the_node(void)
{
	struct fx *f = fx_begin("numa=0,engines=2");
	const struct svm_dev *dev;
	uint32_t i;

	if (f == NULL || no_numa())
		return;
	dev = fx_dev(f);
	TEST_EQUAL(dev->conf.numa_node, 0);
	/* The queue has been served: all of them have been written to. */
	fx_copy(f, RTE_SVM_OWNER, (uintptr_t)fx_mem(f, 64), RTE_SVM_OWNER,
		(uintptr_t)fx_mem(f, 64), 64);
	for (i = 0; i < dev->nb_engines; i++) {
		const struct svm_engine *e = dev->engines[i];

		expect_on_node(e, 0);
		expect_on_node(e->batches.batch, 0);
	}
	expect_on_node(dev->oqs[0]->eq->mem, 0);
	expect_on_node(dev->engines[0]->active, 0);
}

static void
test_numa_worker_queue_is_on_the_node(void)
{
	struct fx *f = fx_begin("numa=0");
	struct fx_worker *w;
	struct svm_eq *eq;

	if (f == NULL || no_numa())
		return;
	w = fx_joined(f);
	fx_do(w, WK_QUEUE, 32, 0);
	eq = (struct svm_eq *)(uintptr_t)fx_peek(TAILQ_FIRST(&fx_dev(f)->fill.queues));
	CU_ASSERT_PTR_NOT_NULL_FATAL(eq);
	expect_on_node((void *)(uintptr_t)fx_peek(eq->mem), 0);
}

static void
test_numa_lane_is_on_the_node(void)
{
	struct fx_worker *w;
	struct fx *f = fx_begin("numa=0");
	struct svm_lane_pool *pool;
	struct svm_lane *lane;
	uint64_t seed, mem;

	if (f == NULL || no_numa())
		return;
	w = fx_bound(f);
	mem = fx_worker_mem(w, 4096, &seed);
	TEST_STATUS(fx_copy(f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)fx_mem(f, 4096),
		4096).status, RTE_SVM_ST_OK);
	pool = fx_dev(f)->lanes;
	pthread_mutex_lock(&pool->lock);
	/* Given back, it stays among the held ones until somebody sorts them. */
	lane = TAILQ_FIRST(&pool->idle);
	if (lane == NULL)
		lane = TAILQ_FIRST(&pool->held);
	if (lane != NULL)
		expect_on_node(lane, 0);
	pthread_mutex_unlock(&pool->lock);
	CU_ASSERT_PTR_NOT_NULL(lane);
}

static void
test_numa_threads_keep_to_the_nodes_cpus(void)
{
	cpu_set_t set, was;

	if (no_numa())
		return;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CPU_SET(CPU_SETSIZE - 1, &set);
	was = set;
	svm_numa_narrow(&set, -1);
	CU_ASSERT(CPU_EQUAL(&set, &was));
	svm_numa_narrow(&set, numa_node_of_cpu(0));
	CU_ASSERT(CPU_ISSET(0, &set));
	TEST_EQUAL(CPU_COUNT(&set), 1);
	/* None of the node's is allowed: those that are stay. */
	CPU_ZERO(&set);
	CPU_SET(CPU_SETSIZE - 1, &set);
	svm_numa_narrow(&set, 0);
	TEST_EQUAL(CPU_COUNT(&set), 1);
}

/* A kernel without NUMA, as libnuma sees it. */
static void
body_without_numa(int in, int out, void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_get_mempolicy, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mbind, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	cpu_set_t before, after;
	char *mem;

	(void)in;
	(void)out;
	(void)arg;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		_exit(77);
	if (numa_available() >= 0)
		_exit(1);
	mem = svm_numa_alloc(2 * LEN, 0);
	if (mem == NULL)
		_exit(2);
	memset(mem, 1, 2 * LEN);
	svm_numa_free(mem, 2 * LEN);
	memset(&before, 0xff, sizeof(before));
	after = before;
	svm_numa_narrow(&after, 0);
	_exit(CPU_EQUAL(&before, &after) ? 0 : 3);
}

static void
test_numa_kernel_without_it_is_good_enough(void)
{
	struct child c = { .pid = 0 };
	int code;

	child_start(&c, body_without_numa, NULL);
	code = child_exit_code(&c);
	if (code == 77)
		test_skip("no seccomp filters here");
	else
		TEST_EQUAL(code, 0);
}

static const struct fx_test tests[] = {
	{ "test_numa_kernel_without_it_is_good_enough",
		test_numa_kernel_without_it_is_good_enough, FX_ONE },
	{ "test_numa_queue_and_engine_are_on_the_node",
		test_numa_queue_and_engine_are_on_the_node, FX_ONE },
	{ "test_numa_worker_queue_is_on_the_node", test_numa_worker_queue_is_on_the_node,
		FX_ONE },
	{ "test_numa_lane_is_on_the_node", test_numa_lane_is_on_the_node, FX_ONE },
	{ "test_numa_threads_keep_to_the_nodes_cpus",
		test_numa_threads_keep_to_the_nodes_cpus, FX_ONE },
};

int
test_numa_suite(void)
{
	return fx_add_tests("numa", tests, sizeof(tests) / sizeof(tests[0]));
}
