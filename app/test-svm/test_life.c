/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What ends a bond, and that nothing touches the worker's memory, or anybody
 * else's, afterwards.
 */
#include <errno.h>
#include <signal.h>

#include <rte_dmadev.h>

#include "fixture.h"
#include "suites.h"

#define LEN	10000

static void
await_dead(struct fx *f, uint64_t bond)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_svm_bond_info i;
	int ret;

	do {
		fx_idle(f);
		ret = rte_svm_bond_info_get(f->dev, bond, &i);
	} while (ret == 0 && i.state != RTE_SVM_BOND_DEAD && fx_now_ms() < end);
	TEST_EQUAL(ret, 0);
	TEST_EQUAL(i.state, RTE_SVM_BOND_DEAD);
}

static void
test_life_worker_exits_is_dead(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = f != NULL ? fx_bound(f) : NULL;
	uint64_t mem;
	void *own;

	if (w == NULL)
		return;
	mem = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, LEN);
	own = fx_mem(f, LEN);
	fx_send(w, &(struct wk_req){ .cmd = WK_EXIT });
	fx_await_exit(w);
	/* A zombie first, then nobody of this pid. */
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, LEN).status,
		RTE_SVM_ST_BOND_DEAD);
	fx_reap(w);
	TEST_STATUS(fx_copy(f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)own, LEN).status,
		RTE_SVM_ST_BOND_DEAD);
	await_dead(f, w->bond);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
}

static void
test_life_worker_execs_is_dead(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = f != NULL ? fx_bound(f) : NULL;
	uint64_t mem, seed, own_seed;
	struct rte_svm_result r;
	void *own;

	if (w == NULL)
		return;
	mem = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, LEN);
	fx_exec(w);
	/* The new image has memory of its own at the same address. */
	TEST_EQUAL(fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, LEN, mem), mem);
	seed = fx_do(w, WK_FILL, mem, LEN);
	own = fx_mem_filled(f, LEN, &own_seed);
	r = fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_BOND_DEAD);
	TEST_EQUAL(r.done, 0);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	TEST_STATUS(fx_copy(f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)own, LEN).status,
		RTE_SVM_ST_BOND_DEAD);
	TEST_EQUAL(wk_pattern_check(own, LEN, own_seed, 0), LEN);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	/* The new image can be bound in its own right. */
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
	fx_check_moves(f, w);
}

#define BIG	(1u << 20)
#define FLIGHT	64

static void
test_life_unbind_with_work_in_flight_ends_it(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = f != NULL ? fx_bound(f) : NULL;
	struct rte_svm_op ops[FLIGHT];
	struct rte_svm_result r[FLIGHT];
	uint64_t mem, seed, own_seed;
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	int got = 0, i, dead = 0;
	char *own;

	if (w == NULL)
		return;
	mem = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, BIG);
	own = fx_mem_filled(f, BIG, &own_seed);
	for (i = 0; i < FLIGHT; i++)
		ops[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .cookie = i, .len = BIG,
			.src = (uintptr_t)own, .dst = mem, .dst_bond = w->bond };
	TEST_EQUAL(rte_svm_submit(f->queue, ops, FLIGHT), FLIGHT);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	/* From here on nothing may be written there any more. */
	seed = fx_do(w, WK_FILL, mem, BIG);
	while (got < FLIGHT && fx_now_ms() < end) {
		got += rte_svm_poll(f->queue, r + got, FLIGHT - got);
		fx_idle(f);
	}
	CU_ASSERT_FATAL(got == FLIGHT);
	for (i = 0; i < FLIGHT; i++) {
		TEST_EQUAL(r[i].cookie, i);
		dead += r[i].status == RTE_SVM_ST_BOND_DEAD;
		CU_ASSERT(r[i].status == RTE_SVM_ST_BOND_DEAD ||
			(r[i].status == RTE_SVM_ST_OK && dead == 0));
	}
	CU_ASSERT(fx_verify(w, mem, BIG, seed, 0));
}

static uint32_t
pasid_of(const struct fx *f, uint64_t bond)
{
	struct rte_svm_bond_info i = { 0 };

	TEST_EQUAL(rte_svm_bond_info_get(f->dev, bond, &i), 0);
	return i.pasid;
}

/* A started vchan that moves from the owner into a bond. */
static int16_t
vchan_into(struct fx *f, uint32_t pasid)
{
	const struct rte_dma_conf conf = { .nb_vchans = 1 };
	const struct rte_dma_vchan_conf vconf = {
		.direction = RTE_DMA_DIR_MEM_TO_DEV,
		.nb_desc = 64,
		.dst_port = { .port_type = RTE_DMA_PORT_PCIE, .pcie.pasid = pasid },
	};
	struct rte_svm_info info;

	TEST_EQUAL(rte_svm_info_get(f->dev, &info), 0);
	CU_ASSERT_FATAL(info.dma_dev_id >= 0);
	CU_ASSERT_FATAL(rte_dma_configure(info.dma_dev_id, &conf) == 0);
	CU_ASSERT_FATAL(rte_dma_vchan_setup(info.dma_dev_id, 0, &vconf) == 0);
	CU_ASSERT_FATAL(rte_dma_start(info.dma_dev_id) == 0);
	return info.dma_dev_id;
}

static void
test_life_pasid_held_is_not_reused(void)
{
	struct fx *f = fx_begin("max_bonds=4");
	struct fx_worker *w = fx_bound(f), *other = fx_worker(f);
	const uint32_t held = pasid_of(f, w->bond);
	const int16_t dma = vchan_into(f, held);
	const uint64_t mem = fx_do(other, WK_ALLOC, WK_MEM_PRIVATE, LEN);
	const uint64_t seed = fx_do(other, WK_FILL, mem, LEN);
	enum rte_dma_status_code status = RTE_DMA_STATUS_SUCCESSFUL;
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	void *own = fx_mem(f, LEN);
	uint16_t last;
	int i;

	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	for (i = 0; i < 20; i++) {
		TEST_EQUAL(rte_svm_bind(f->dev, other->pid, &other->bond), 0);
		CU_ASSERT(pasid_of(f, other->bond) != held);
		if (i < 19)
			TEST_EQUAL(fx_unbind(f, other->bond), 0);
	}
	/* What the vchan still sends goes to nobody. */
	CU_ASSERT(rte_dma_copy(dma, 0, (uintptr_t)own, mem, LEN, RTE_DMA_OP_FLAG_SUBMIT) >= 0);
	while (rte_dma_completed_status(dma, 0, 1, &last, &status) == 0 && fx_now_ms() < end)
		fx_idle(f);
	CU_ASSERT(status != RTE_DMA_STATUS_SUCCESSFUL);
	CU_ASSERT(fx_verify(other, mem, LEN, seed, 0));
	TEST_EQUAL(rte_dma_stop(dma), 0);
}

static const struct fx_test tests[] = {
	{ "test_life_worker_exits_is_dead", test_life_worker_exits_is_dead, FX_ALL },
	{ "test_life_worker_execs_is_dead", test_life_worker_execs_is_dead, FX_ALL },
	{ "test_life_unbind_with_work_in_flight_ends_it",
		test_life_unbind_with_work_in_flight_ends_it, FX_APART },
	{ "test_life_pasid_held_is_not_reused", test_life_pasid_held_is_not_reused,
		FX_ONE },
};

int
test_life_suite(void)
{
	return fx_add_tests("life", tests, sizeof(tests) / sizeof(tests[0]));
}
