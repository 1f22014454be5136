/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What ends a bond, and that nothing touches the worker's memory, or anybody
 * else's, afterwards.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <rte_dmadev.h>

#include "fake_owner.h"
#include "fixture.h"
#include "suites.h"
#include "svm_dev.h"
#include "test_child.h"

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

/* ---- an engine that runs only when the test says so ---- */

#define LONG	(8u << 20)	/* more than a turn moves */

struct hand {
	struct svm_bond *bond;
	struct svm_engine *engine;
	struct svm_eq *eq;
	struct svm_producer prod;
	uint64_t mem;
	int fd;
};

static void
hand_submit(struct hand *h)
{
	const struct svm_desc d = { .op = SVM_OP_COPY, .len = LONG / 2, .src = h->mem,
		.dst = h->mem + LONG / 2, .src_space = SVM_SPACE(SVM_SPACE_SELF, 0),
		.dst_space = SVM_SPACE(SVM_SPACE_SELF, 0) };
	uint32_t counter = 0;

	CU_ASSERT_FATAL(svm_producer_claim(&h->prod, 1, &counter));
	svm_producer_fill(&h->prod, counter, &d);
	svm_producer_mark(&h->prod, counter);
}

/* A worker's queue, and one operation in it; lanes: NULL for none. */
static bool
hand_make(struct hand *h, struct svm_lane_pool *lanes)
{
	struct fx_worker *w = fx_begin_bound();
	struct svm_dev *dev = w != NULL ? fx_dev(w->f) : NULL;
	struct svm_engine_conf conf = { .lanes = lanes, .timeout_us = 1000,
		.max_queues = 1, .max_batches = 1 };

	if (dev == NULL)
		return false;
	conf.bonds = dev->bonds;
	conf.faults = dev->faults;
	h->bond = &dev->bonds->bonds[pasid_of(w->f, w->bond) - 1];
	h->mem = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, LONG);
	CU_ASSERT_FATAL(svm_engine_create(&conf, &h->engine) == 0);
	CU_ASSERT_FATAL(svm_eq_create(dev->bonds, 32, 0, h->bond->pasid, -1, &h->fd,
		&h->eq) == 0);
	svm_producer_init(&h->prod, &h->eq->ring, false, 0);
	svm_engine_attach(h->engine, h->eq);
	hand_submit(h);
	return true;
}

/* ... that is half done. */
static bool
hand_begin(struct hand *h)
{
	if (!hand_make(h, NULL))
		return false;
	svm_engine_turn(h->engine);
	TEST_EQUAL(h->eq->nb_parked, 1);
	CU_ASSERT(!svm_bond_drained(h->bond));
	return true;
}

static void
hand_end(struct hand *h)
{
	TEST_EQUAL(svm_engine_detach(h->eq), 0);
	CU_ASSERT(svm_bond_drained(h->bond));
	svm_eq_destroy(h->eq);
	svm_engine_destroy(h->engine);
	close(h->fd);
}

/* A batch that ends after its queue was given up puts what is unfinished back. */
static void
test_life_queue_given_up_lets_bond_go(void)
{
	struct hand h;

	if (!hand_begin(&h))
		return;
	h.eq->broken = true;
	svm_engine_turn(h.engine);
	CU_ASSERT(svm_bond_drained(h.bond));
	hand_end(&h);
}

static void
test_life_queue_closing_takes_no_more(void)
{
	struct hand h;
	uint32_t head;

	if (!hand_begin(&h))
		return;
	head = h.eq->head;
	/* As if a lane were at work for it, so that it cannot close yet. */
	h.eq->nb_issued++;
	TEST_EQUAL(svm_engine_detach(h.eq), -EBUSY);
	hand_submit(&h);
	svm_engine_turn(h.engine);
	TEST_EQUAL(h.eq->head, head);
	CU_ASSERT(svm_bond_drained(h.bond));
	h.eq->nb_issued--;
	hand_end(&h);
}

/* The only lane stays with somebody else. */
static void
test_life_no_lane_comes_ends(void)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct svm_cpl c = { .status = SVM_ST_OK };
	struct svm_lane_pool *lanes = NULL;
	struct svm_lane *lane = NULL;
	struct hand h;

	CU_ASSERT_FATAL(svm_lane_pool_create(1, true, &lanes) == 0);
	if (!hand_make(&h, lanes))
		goto destroy_lanes;
	CU_ASSERT_FATAL(svm_lane_get(lanes, &h.bond->ident.cred, 5000000, &lane) == 0);
	do {
		svm_engine_turn(h.engine);
	} while (!svm_producer_poll(&h.prod, &c) && fx_now_ms() < end);
	TEST_EQUAL(c.status, SVM_ST_NO_MEMORY);
	TEST_EQUAL(c.done, 0);
	svm_lane_put(lanes, lane);
	hand_end(&h);
destroy_lanes:
	svm_lane_pool_destroy(lanes);
}

static void *
release_late(void *arg)
{
	usleep(20000);
	svm_engine_release(arg);
	return NULL;
}

static void
test_life_stop_waits_for_token(void)
{
	struct fx *f = fx_begin("");
	struct svm_engine *e = f != NULL ? fx_dev(f)->engines[0] : NULL;
	pthread_t t;

	if (f == NULL)
		return;
	/* Somebody drives the workers' queues, or closes one, just now. */
	CU_ASSERT_FATAL(svm_engine_try_acquire(e));
	CU_ASSERT_FATAL(pthread_create(&t, NULL, release_late, e) == 0);
	TEST_EQUAL(rte_svm_stop(f->dev), 0);
	f->started = false;
	pthread_join(t, NULL);
}

/* Bound, with a queue; hangs up and comes back at once. */
static void
body_comes_back(int in, int out, void *arg)
{
	int sock = raw_ready(arg);

	if (raw_bind(sock, 0) != 0 || raw_queue(sock, 64, 0) != 0)
		_exit(1);
	child_tell(out, 0);
	child_listen(in);
	close(sock);
	child_tell(out, (uint64_t)-raw_bind(raw_ready(arg), 0));
	child_listen(in);
}

/* The device is busy with its queue yet, and the bond with it. */
static void
test_life_worker_comes_back_at_once_is_bound(void)
{
	struct fx *f = fx_begin("");
	struct svm_engine *e = f != NULL ? fx_dev(f)->engines[0] : NULL;
	struct pollfd answer = { .events = POLLIN };
	struct child c = { .pid = 0 };

	if (f == NULL)
		return;
	child_start(&c, body_comes_back, f->socket);
	TEST_EQUAL(child_hear(&c), 0);
	CU_ASSERT_FATAL(svm_engine_try_acquire(e));
	child_say(&c, 'x');
	answer.fd = c.from;
	TEST_EQUAL(poll(&answer, 1, 100), 0);
	svm_engine_release(e);
	TEST_EQUAL(child_hear(&c), 0);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 1);
	child_end(&c);
}

static const struct fx_test tests[] = {
	{ "test_life_worker_exits_is_dead", test_life_worker_exits_is_dead, FX_ALL },
	{ "test_life_worker_execs_is_dead", test_life_worker_execs_is_dead, FX_NOT_ALIAS },
	{ "test_life_unbind_with_work_in_flight_ends_it",
		test_life_unbind_with_work_in_flight_ends_it, FX_APART },
	{ "test_life_pasid_held_is_not_reused", test_life_pasid_held_is_not_reused,
		FX_ONE },
	{ "test_life_queue_given_up_lets_bond_go", test_life_queue_given_up_lets_bond_go,
		FX_ONE },
	{ "test_life_queue_closing_takes_no_more", test_life_queue_closing_takes_no_more,
		FX_ONE },
	{ "test_life_no_lane_comes_ends", test_life_no_lane_comes_ends, FX_ONE },
	{ "test_life_worker_comes_back_at_once_is_bound",
		test_life_worker_comes_back_at_once_is_bound,
		FX_INLINE_LANE | FX_INLINE_CMA },
	{ "test_life_stop_waits_for_token", test_life_stop_waits_for_token,
		FX_INLINE_LANE | FX_INLINE_CMA },
};

int
test_life_suite(void)
{
	return fx_add_tests("life", tests, sizeof(tests) / sizeof(tests[0]));
}
