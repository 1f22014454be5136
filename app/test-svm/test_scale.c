/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As many bonds as a device has, each with a real process: nobody reaches another's
 * memory, and however they go, nothing of them stays.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_log.h>

#include "fixture.h"
#include "perf/crowd.h"
#include "suites.h"

#if defined(__SANITIZE_ADDRESS__)
#define SCALE_ASAN	1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SCALE_ASAN	1
#endif
#endif

#ifdef SCALE_ASAN
#define MANY		512u
#else
#define MANY		4096u
#endif
#define MEM		4096u
#define BURST		128u
#define STAMP(i)	(UINT64_C(0x5ca1e00000000000) + (i))

struct scale {
	struct fx *f;
	struct crowd *c;
	uint32_t nb;
	uint64_t *stamp;	/* nb, of the owner's */
};

static struct rte_svm_op
stamp_op(const struct scale *s, uint32_t i, bool in)
{
	const struct crowd_member *m = crowd_member(s->c, i);
	const uint64_t own = (uintptr_t)&s->stamp[i], there = m->mem + i % (MEM / 8) * 8;

	return (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = 8,
		.src_bond = in ? RTE_SVM_OWNER : m->bond, .src = in ? own : there,
		.dst_bond = in ? m->bond : RTE_SVM_OWNER, .dst = in ? there : own };
}

/* One copy with each member first to end. @return How many ended with `status`. */
static uint32_t
stamp_all(const struct scale *s, uint32_t first, uint32_t end, bool in,
		enum rte_svm_status status)
{
	struct rte_svm_op ops[BURST];
	struct rte_svm_result r[BURST];
	uint32_t i, k, n, nb = 0;

	for (i = first; i < end; i += n) {
		n = end - i < BURST ? end - i : BURST;
		for (k = 0; k < n; k++)
			ops[k] = stamp_op(s, i + k, in);
		fx_run(s->f, ops, n, r);
		for (k = 0; k < n; k++)
			nb += r[k].status == status;
	}
	return nb;
}

/* Each gets a stamp of its own; all read back afterwards. */
static void
stamps_check(const struct scale *s)
{
	uint32_t i, wrong = 0;

	for (i = 0; i < s->nb; i++)
		s->stamp[i] = STAMP(i);
	TEST_EQUAL(stamp_all(s, 0, s->nb, true, RTE_SVM_ST_OK), s->nb);
	memset(s->stamp, 0, s->nb * sizeof(s->stamp[0]));
	TEST_EQUAL(stamp_all(s, 0, s->nb, false, RTE_SVM_ST_OK), s->nb);
	for (i = 0; i < s->nb; i++)
		wrong += s->stamp[i] != STAMP(i);
	TEST_EQUAL(wrong, 0);
}

/* Wait until no more than so many bonds are left that can be used. */
static void
bonds_await(const struct scale *s, uint32_t nb)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_svm_result r;

	while ((uint32_t)rte_svm_bond_list(s->f->dev, NULL, 0) > nb && fx_now_ms() < end)
		usleep(1000);
	TEST_EQUAL(rte_svm_bond_list(s->f->dev, NULL, 0), nb);
	/* The queue has named those that are gone: their PASIDs rest until it looks. */
	TEST_EQUAL(rte_svm_poll(s->f->queue, &r, 1), 0);
}

/* Who leaves is counted until the hang-up is seen, a moment after its bond has ended. */
static int
grow(struct crowd *c, uint32_t nb)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	int ret;

	while ((ret = crowd_grow(c, nb)) == -EUSERS && fx_now_ms() < end)
		usleep(1000);
	return ret;
}

static void
scale_begin(struct scale *s, struct fx *f, const char *socket, uint32_t nb)
{
	const struct crowd_conf conf = { .socket = socket, .mem_len = MEM };

	s->f = f;
	s->nb = nb;
	s->stamp = fx_mem(f, nb * sizeof(s->stamp[0]));
	CU_ASSERT_EQUAL_FATAL(crowd_fds_reserve(3 * nb), 0);
	CU_ASSERT_EQUAL_FATAL(crowd_create(&conf, &s->c), 0);
	CU_ASSERT_EQUAL_FATAL(grow(s->c, nb), 0);
}

/* A lane or two, with a descriptor each, may rest for a while. */
static void
fds_await(unsigned int nb)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;

	while (fx_count_fds() > nb + 2 && fx_now_ms() < end)
		usleep(1000);
	CU_ASSERT(fx_count_fds() <= nb + 2);
}

static void
test_scale_live_bonds_go_in_all_ways(void)
{
	struct fx *f = fx_begin("max_bonds=4096");
	const unsigned int fds = fx_count_fds();
	struct scale s;
	uint32_t i, third;

	scale_begin(&s, f, f->socket, MANY);
	third = s.nb / 3;
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), s.nb);
	/* The nursery's pair, and 3 for each. */
	CU_ASSERT(fx_count_fds() <= fds + 3 * s.nb + 8);
	stamps_check(&s);

	for (i = 0; i < third; i++)
		kill((pid_t)crowd_member(s.c, i)->pid, SIGKILL);
	bonds_await(&s, s.nb - third);
	TEST_EQUAL(stamp_all(&s, 0, third, true, RTE_SVM_ST_OK), 0);
	for (i = third; i < 2 * third; i++)
		kill((pid_t)crowd_member(s.c, i)->pid, SIGUSR1);
	bonds_await(&s, s.nb - 2 * third);
	/* Who stays is still reached. */
	TEST_EQUAL(stamp_all(&s, 2 * third, s.nb, true, RTE_SVM_ST_OK), s.nb - 2 * third);
	for (i = 2 * third; i < s.nb; i++)
		CU_ASSERT_EQUAL(fx_unbind(f, crowd_member(s.c, i)->bond), 0);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
	TEST_EQUAL(stamp_all(&s, 0, s.nb, true, RTE_SVM_ST_OK), 0);
	crowd_destroy(s.c);
	fds_await(fds);
}

static void
test_scale_bonds_come_again(void)
{
	struct fx *f = fx_begin("max_bonds=64");
	const unsigned int fds = fx_count_fds();
	struct scale s;
	uint32_t round;

	for (round = 0; round < 3; round++) {
		scale_begin(&s, f, f->socket, 64);
		stamps_check(&s);
		crowd_destroy(s.c);
		bonds_await(&s, 0);
		fds_await(fds);
	}
}

static void
test_scale_one_worker_too_many_is_refused(void)
{
	struct fx *f = fx_begin("max_bonds=32");
	struct scale s;

	scale_begin(&s, f, f->socket, 32);
	TEST_EQUAL(crowd_grow(s.c, 33), -EUSERS);
	TEST_EQUAL(crowd_size(s.c), 32);
	stamps_check(&s);
	/* One leaves, one may come. */
	kill((pid_t)crowd_member(s.c, 0)->pid, SIGUSR1);
	bonds_await(&s, 31);
	TEST_EQUAL(grow(s.c, 33), 0);
	crowd_destroy(s.c);
}

/* ---- PASIDs under load ---- */

#define CHURN_MEMBERS	12u
#define CHURN_PASIDS	5u
#define CHURN_STEPS	600u
#define CHURN_OPS	8u

struct churn {
	struct scale s;
	uint64_t bond[CHURN_MEMBERS];	/* 0: not bound */
	uint64_t seed, next;
	uint32_t refused;
};

static uint32_t
churn_random(struct churn *c, uint32_t n)
{
	c->seed = wk_word(c->seed, 0);
	return (uint32_t)(c->seed % n);
}

static int
churn_bind(struct churn *c, uint32_t i)
{
	int ret;

	if (c->bond[i] != 0)
		return 0;
	ret = rte_svm_bind(c->s.f->dev, crowd_member(c->s.c, i)->pid, &c->bond[i]);
	if (ret == 0)
		return 0;
	c->bond[i] = 0;
	TEST_EQUAL(ret, -ENOSPC);
	c->refused++;
	return ret;
}

/*
 * Operations into one that is unbound while they are on their way: what is
 * reported as done is there, what is not may be; the next bond with the same
 * PASID gets none of it.
 */
static void
churn_unbind(struct churn *c, uint32_t i)
{
	struct fx *f = c->s.f;
	const struct crowd_member *m = crowd_member(c->s.c, i);
	struct rte_svm_op ops[CHURN_OPS];
	struct rte_svm_result r[CHURN_OPS];
	uint64_t value[CHURN_OPS];
	uint32_t k, got = 0;

	for (k = 0; k < CHURN_OPS; k++) {
		value[k] = c->next++ << 8 | i;
		ops[k] = (struct rte_svm_op){ .op = RTE_SVM_OP_FILL, .len = 8,
			.dst_bond = c->bond[i], .dst = m->mem + 8 * k, .pattern = value[k] };
	}
	TEST_EQUAL(rte_svm_submit(f->queue, ops, CHURN_OPS), CHURN_OPS);
	TEST_EQUAL(fx_unbind(f, c->bond[i]), 0);
	c->bond[i] = 0;
	/* Another takes its place before the results are gathered. */
	churn_bind(c, (i + 1) % CHURN_MEMBERS);
	while (got < CHURN_OPS) {
		got += (uint32_t)rte_svm_poll(f->queue, r + got, CHURN_OPS - got);
		fx_idle(f);
	}
	for (k = 0; k < CHURN_OPS; k++)
		CU_ASSERT(r[k].status == RTE_SVM_ST_OK || r[k].status == RTE_SVM_ST_BOND_DEAD);
}

/* Every word in a member's memory was meant for it. */
static void
churn_check(struct churn *c, uint32_t i)
{
	uint64_t *words = c->s.stamp;
	struct rte_svm_result r;
	uint32_t k;

	if (churn_bind(c, i) != 0)
		return;
	r = fx_copy(c->s.f, c->bond[i], crowd_member(c->s.c, i)->mem, RTE_SVM_OWNER,
		(uintptr_t)words, 8 * CHURN_OPS);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	for (k = 0; k < CHURN_OPS; k++)
		CU_ASSERT(words[k] == UINT64_C(0x5a5a5a5a5a5a5a5a) || (words[k] & 0xff) == i);
}

static void
test_scale_pasids_recycled_under_load(void)
{
	struct fx *f = fx_begin("max_bonds=5");
	struct churn c = { .next = 1, .seed = 4711 };
	uint32_t step, i;

	/* Each refusal says so. */
	rte_log_set_global_level(RTE_LOG_EMERG);
	scale_begin(&c.s, f, "", CHURN_MEMBERS);
	for (step = 0; step < CHURN_STEPS; step++) {
		i = churn_random(&c, CHURN_MEMBERS);
		if (c.bond[i] == 0)
			churn_bind(&c, i);
		else if (churn_random(&c, 3) == 0)
			churn_check(&c, i);
		else
			churn_unbind(&c, i);
		CU_ASSERT(rte_svm_bond_list(f->dev, NULL, 0) <= (int)CHURN_PASIDS);
	}
	CU_ASSERT(c.refused > 10);
	for (i = 0; i < CHURN_MEMBERS; i++) {
		churn_check(&c, i);
		if (c.bond[i] != 0)
			TEST_EQUAL(fx_unbind(f, c.bond[i]), 0);
		c.bond[i] = 0;
	}
	crowd_destroy(c.s.c);
	rte_log_set_global_level(RTE_LOG_DEBUG);
}

/* A queue that is never empty must not keep for ever what it has named once. */
static void
test_scale_busy_queue_gives_pasids_back(void)
{
	enum { ROUNDS = 40, FLIGHT = 32 };
	struct fx *f = fx_begin("max_bonds=4");
	struct rte_svm_op op = { .op = RTE_SVM_OP_NOP };
	struct rte_svm_result r[FLIGHT];
	uint64_t bond;
	uint32_t round, sent = 0, got = 0, flying;
	struct scale s;

	scale_begin(&s, f, "", 1);
	for (round = 0; round < ROUNDS; round++) {
		TEST_EQUAL(rte_svm_bind(f->dev, crowd_member(s.c, 0)->pid, &bond), 0);
		op.op = RTE_SVM_OP_FILL;
		op.dst_bond = bond;
		op.dst = crowd_member(s.c, 0)->mem;
		op.len = 8;
		sent += rte_svm_submit(f->queue, &op, 1);
		TEST_EQUAL(fx_unbind(f, bond), 0);
		op.op = RTE_SVM_OP_NOP;
		for (flying = 0; flying < FLIGHT; flying++)
			sent += rte_svm_submit(f->queue, &op, 1);
		/* Never all of them. */
		while (sent - got > FLIGHT)
			got += rte_svm_poll(f->queue, r, 1);
		CU_ASSERT(sent - got > 0);
	}
	while (got != sent)
		got += rte_svm_poll(f->queue, r, 1);
	crowd_destroy(s.c);
}

/* A descriptor that nobody has read yet carries the PASID of a bond that is gone. */
static void
test_scale_pasid_on_its_way_is_not_reused(void)
{
	struct fx *f = fx_begin("max_bonds=1");
	struct rte_svm_op op = { .op = RTE_SVM_OP_FILL, .len = 8, .pattern = 1 };
	struct rte_svm_result r;
	struct scale s;
	uint64_t bond;

	if (f == NULL)
		return;
	scale_begin(&s, f, "", 2);
	TEST_EQUAL(rte_svm_bind(f->dev, crowd_member(s.c, 0)->pid, &bond), 0);
	TEST_EQUAL(rte_svm_stop(f->dev), 0);
	f->started = false;
	op.dst_bond = bond;
	op.dst = crowd_member(s.c, 0)->mem;
	TEST_EQUAL(rte_svm_submit(f->queue, &op, 1), 1);
	TEST_EQUAL(rte_svm_unbind(f->dev, bond), 0);
	TEST_EQUAL(rte_svm_poll(f->queue, &r, 1), 0);
	TEST_EQUAL(rte_svm_bind(f->dev, crowd_member(s.c, 1)->pid, &bond), -ENOSPC);
	/* The dead one is not named again meanwhile. */
	TEST_EQUAL(rte_svm_submit(f->queue, &op, 1), 1);
	f->started = rte_svm_start(f->dev) == 0;
	while (rte_svm_poll(f->queue, &r, 1) == 0)
		fx_idle(f);
	TEST_STATUS(r.status, RTE_SVM_ST_BOND_DEAD);
	while (rte_svm_poll(f->queue, &r, 1) == 0)
		fx_idle(f);
	TEST_STATUS(r.status, RTE_SVM_ST_BOND_DEAD);
	TEST_EQUAL(rte_svm_bind(f->dev, crowd_member(s.c, 1)->pid, &bond), 0);
	TEST_EQUAL(fx_unbind(f, bond), 0);
	crowd_destroy(s.c);
}

int
test_scale_suite(void)
{
	static const struct fx_test tests[] = {
		{ "test_scale_live_bonds_go_in_all_ways", test_scale_live_bonds_go_in_all_ways,
			FX_ONE },
		{ "test_scale_bonds_come_again", test_scale_bonds_come_again, FX_ONE },
		{ "test_scale_one_worker_too_many_is_refused",
			test_scale_one_worker_too_many_is_refused, FX_ONE },
		{ "test_scale_pasid_on_its_way_is_not_reused",
			test_scale_pasid_on_its_way_is_not_reused,
			FX_THREAD_LANE | FX_INLINE_CMA | FX_SERVICE_LANE },
		{ "test_scale_busy_queue_gives_pasids_back",
			test_scale_busy_queue_gives_pasids_back, FX_ONE },
		{ "test_scale_pasids_recycled_under_load",
			test_scale_pasids_recycled_under_load,
			FX_THREAD_LANE | FX_INLINE_CMA },
	};

	return fx_add_tests("scale", tests, sizeof(tests) / sizeof(tests[0]));
}
