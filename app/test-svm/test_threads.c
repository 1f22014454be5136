/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine and those who talk to it, each a thread of this process and all
 * on one mapping. A thread sanitizer sees every access there, which it cannot
 * with a worker in a process of its own; what it must find when an edge of
 * doc/ordering.md is missing, devtools/mutants.sh takes away one by one.
 *
 * No fixture and no device: an engine, its queues, bonds of this process.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "suites.h"
#include "svm_engine.h"
#include "svm_trap.h"
#include "test_proto.h"

/* Bound of each test; what they find does not depend on it. */
#define LIMIT_S		50
#define DEPTH		64u
#define PIECE		48u	/* bytes of one operation */
#define PRODUCERS	3u
#define EACH		4000u	/* operations of one producer */
#define LIVES		300u	/* queues, or bonds, one after another */

struct stage {
	struct svm_bond_table *bonds;
	struct svm_fault_queue *faults;
	struct svm_engine *engine;
	pthread_t runner;
	int stop;	/* atomic, relaxed: only ends loops */
	time_t end;
	uint64_t seed;
};

static bool
late(const struct stage *s)
{
	sched_yield();
	return time(NULL) > s->end;
}

static void *
runner_main(void *arg)
{
	struct stage *s = arg;

	while (!svm_engine_try_acquire(s->engine))
		sched_yield();
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		if (svm_engine_turn(s->engine) == 0)
			sched_yield();
	svm_engine_release(s->engine);
	return NULL;
}

static void
stage_open(struct stage *s, uint32_t max_bonds)
{
	struct svm_engine_conf conf = { .timeout_us = 1000000, .max_queues = 8,
		.max_batches = 4 };

	memset(s, 0, sizeof(*s));
	s->end = time(NULL) + LIMIT_S;
	s->seed = (uint64_t)s->end;
	CU_ASSERT_EQUAL_FATAL(svm_trap_install(), 0);
	CU_ASSERT_EQUAL_FATAL(svm_bond_table_create(max_bonds, &s->bonds), 0);
	s->faults = malloc(sizeof(*s->faults));
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->faults);
	svm_fault_queue_init(s->faults);
	conf.bonds = s->bonds;
	conf.faults = s->faults;
	CU_ASSERT_EQUAL_FATAL(svm_engine_create(&conf, &s->engine), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&s->runner, NULL, runner_main, s), 0);
}

static void
stage_close(struct stage *s)
{
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
	pthread_join(s->runner, NULL);
	svm_engine_destroy(s->engine);
	svm_bond_table_destroy(s->bonds);
	free(s->faults);
	svm_trap_remove();
}

static struct svm_eq *
queue_open(struct stage *s, uint32_t features, uint32_t self_pasid)
{
	struct svm_eq *q = NULL;

	CU_ASSERT_EQUAL(svm_eq_create(s->bonds, DEPTH, features, self_pasid, -1, NULL, &q), 0);
	if (q != NULL)
		svm_engine_attach(s->engine, q);
	return q;
}

static bool
queue_close(struct stage *s, struct svm_eq *q)
{
	while (svm_engine_detach(q) != 0)
		if (late(s))
			return false;	/* it stays; a leak is better than a crash */
	svm_eq_destroy(q);
	return true;
}

/* A bond with this process: no pidfd and no memfd means that neither is looked at. */
static uint64_t
bond_open(struct stage *s)
{
	struct svm_ident ident = { .pid = getpid(), .pidfd = -1, .memfd = -1 };
	struct svm_bond *bond;
	uint64_t id = 0;

	CU_ASSERT_EQUAL(svm_cred_self(&ident.cred), 0);
	CU_ASSERT_EQUAL_FATAL(svm_bond_create_held(s->bonds, &ident, 0, false, &id, &bond), 0);
	svm_bond_put(bond);
	return id;
}

static bool
bond_close(struct stage *s, uint64_t id)
{
	struct svm_ident ident;
	struct svm_bond *bond;

	if (svm_bond_drain(s->bonds, id, &bond) != 0)
		return false;
	while (!svm_bond_drained(bond))
		if (late(s))
			return false;
	return svm_bond_retire(s->bonds, id, &ident) == 0 && ident.pid == getpid();
}

static uint32_t
pasid_of(uint64_t bond)
{
	return bond & 0xfffff;
}

/* ---- many producers, one queue ---- */

/* A slot's buffers belong to whoever has claimed the slot. */
struct share {
	struct stage s;
	struct svm_producer prod;
	uint32_t names;		/* atomic: hands out names */
	unsigned char src[DEPTH][PIECE], dst[DEPTH][PIECE];
};

static void
share_fill(struct share *h, uint32_t counter, uint64_t cookie)
{
	const uint32_t slot = counter & (DEPTH - 1);
	struct svm_desc d = { .op = SVM_OP_COPY, .len = PIECE, .cookie = cookie,
		.src = (uintptr_t)h->src[slot], .dst = (uintptr_t)h->dst[slot] };
	struct svm_seg *segs = svm_producer_segs(&h->prod, counter);

	wk_pattern_write(h->src[slot], PIECE, h->s.seed + counter, 0);
	memset(h->dst[slot], 0, PIECE);
	if (cookie % 2 != 0) {
		/* In two pieces, so that rows of segments change hands as well. */
		d.op = SVM_OP_COPY_SG;
		d.len = 2;
		segs[0] = (struct svm_seg){ .src = d.src, .dst = d.dst, .len = 16 };
		segs[1] = (struct svm_seg){ .src = d.src + 16, .dst = d.dst + 16,
			.len = PIECE - 16 };
		d.src = d.dst = 0;
	}
	svm_producer_fill(&h->prod, counter, &d);
}

static void *
share_produce(void *arg)
{
	struct share *h = arg;
	const uint32_t name = __atomic_fetch_add(&h->names, 1, __ATOMIC_RELAXED);
	uint32_t sent = 0;

	while (sent != EACH) {
		uint32_t n = 1 + sent % 3, first, i;

		if (n > EACH - sent)
			n = EACH - sent;
		if (!svm_producer_claim(&h->prod, n, &first)) {
			if (late(&h->s))
				break;
			continue;
		}
		for (i = 0; i != n; i++)
			share_fill(h, first + i, (uint64_t)name * EACH + sent + i);
		for (i = n; i-- != 0;)
			svm_producer_mark(&h->prod, first + i);
		sent += n;
	}
	return NULL;
}

static void
test_threads_producers_share_a_queue(void)
{
	struct share *h = calloc(1, sizeof(*h));
	pthread_t thread[PRODUCERS];
	uint32_t i, got = 0, wrong = 0;
	struct svm_eq *q;

	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	stage_open(&h->s, 4);
	q = queue_open(&h->s, SVM_QF_MULTI_PRODUCER, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	svm_producer_init(&h->prod, &q->ring, true, 0);
	for (i = 0; i != PRODUCERS; i++)
		if (pthread_create(&thread[i], NULL, share_produce, h) != 0)
			abort();
	while (got != PRODUCERS * EACH) {
		struct svm_cpl c;

		/* Once polled the slot may have a new owner: look before. */
		if (!svm_producer_pending(&h->prod)) {
			if (late(&h->s))
				break;
			continue;
		}
		wrong += wk_pattern_check(h->dst[got & (DEPTH - 1)], PIECE,
			h->s.seed + got, 0) != PIECE;
		wrong += !svm_producer_poll(&h->prod, &c) || c.status != SVM_ST_OK ||
			c.done != PIECE || c.id != (uint16_t)got;
		got++;
	}
	for (i = 0; i != PRODUCERS; i++)
		pthread_join(thread[i], NULL);
	CU_ASSERT_EQUAL(got, PRODUCERS * EACH);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(queue_close(&h->s, q));
	stage_close(&h->s);
	free(h);
}

/* ---- one producer on a queue of its own ---- */

struct single {
	struct svm_producer prod;
	unsigned char src[PIECE], dst[PIECE];
	uint64_t seed;
};

/*
 * One copy, waited for.
 *
 * @return Its status; -1: it did not come back; -2: not the bytes that were sent.
 */
static int
single_copy(struct stage *s, struct single *one, uint32_t space)
{
	const struct svm_desc d = { .op = SVM_OP_COPY, .len = PIECE, .src_space = space,
		.dst_space = space, .src = (uintptr_t)one->src, .dst = (uintptr_t)one->dst };
	struct svm_cpl c;
	uint32_t counter;

	wk_pattern_write(one->src, PIECE, ++one->seed, 0);
	memset(one->dst, 0, PIECE);
	if (!svm_producer_claim(&one->prod, 1, &counter))
		return -1;
	svm_producer_fill(&one->prod, counter, &d);
	svm_producer_mark(&one->prod, counter);
	while (!svm_producer_poll(&one->prod, &c))
		if (late(s))
			return -1;
	if (c.status == SVM_ST_OK && (c.done != PIECE ||
			wk_pattern_check(one->dst, PIECE, one->seed, 0) != PIECE))
		return -2;
	return c.status;
}

/* ---- queues that come and go under a running engine ---- */

struct comer {
	struct stage *s;
	uint32_t space, self_pasid;
	uint32_t lives, wrong;
};

static void *
comer_main(void *arg)
{
	struct comer *c = arg;
	struct single one = { .seed = c->s->seed };

	while (c->lives != LIVES && c->wrong == 0) {
		struct svm_eq *q = queue_open(c->s, 0, c->self_pasid);
		uint32_t i;

		if (q == NULL) {
			c->wrong++;
			break;
		}
		svm_producer_init(&one.prod, &q->ring, false, 0);
		for (i = 0; i != c->lives % 3; i++)
			c->wrong += single_copy(c->s, &one, c->space) != SVM_ST_OK;
		c->wrong += !queue_close(c->s, q);
		c->lives++;
	}
	return NULL;
}

static void
test_threads_queues_come_and_go(void)
{
	struct stage s;
	struct comer c[2];
	pthread_t other;
	uint64_t bond;

	stage_open(&s, 4);
	bond = bond_open(&s);
	c[0] = (struct comer){ .s = &s, .space = SVM_SPACE(SVM_SPACE_PASID, 0) };
	c[1] = (struct comer){ .s = &s, .space = SVM_SPACE(SVM_SPACE_SELF, 0),
		.self_pasid = pasid_of(bond) };
	if (pthread_create(&other, NULL, comer_main, &c[1]) != 0)
		abort();
	comer_main(&c[0]);
	pthread_join(other, NULL);
	CU_ASSERT_EQUAL(c[0].lives, LIVES);
	CU_ASSERT_EQUAL(c[1].lives, LIVES);
	CU_ASSERT_EQUAL(c[0].wrong + c[1].wrong, 0);
	CU_ASSERT_TRUE(bond_close(&s, bond));
	stage_close(&s);
}

/* ---- bonds that end while operations name them ---- */

struct user {
	struct stage *s;
	struct single one;
	uint32_t pasid;		/* atomic, relaxed: what to name next */
	uint32_t ok, refused, wrong;	/* the first one atomic, relaxed */
	int stop;		/* atomic, relaxed */
};

static void *
user_main(void *arg)
{
	struct user *u = arg;

	while (!__atomic_load_n(&u->stop, __ATOMIC_RELAXED)) {
		const uint32_t pasid = __atomic_load_n(&u->pasid, __ATOMIC_RELAXED);
		const int st = single_copy(u->s, &u->one, SVM_SPACE(SVM_SPACE_PASID, pasid));

		if (st == SVM_ST_OK)
			__atomic_fetch_add(&u->ok, 1, __ATOMIC_RELAXED);
		else if (st == SVM_ST_BOND_DEAD || st == SVM_ST_BAD_SPACE)
			u->refused++;
		else if (++u->wrong != 0)
			break;
	}
	return NULL;
}

static void
test_threads_bonds_end_while_used(void)
{
	struct stage s;
	struct user u = { .s = &s };
	uint32_t i, lives = 0;
	pthread_t thread;
	struct svm_eq *q;

	stage_open(&s, 2);
	u.one.seed = s.seed;
	q = queue_open(&s, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	svm_producer_init(&u.one.prod, &q->ring, false, 0);
	u.pasid = 1;
	if (pthread_create(&thread, NULL, user_main, &u) != 0)
		abort();
	for (i = 0; i != LIVES; i++) {
		const uint64_t bond = bond_open(&s);
		const uint32_t ok = __atomic_load_n(&u.ok, __ATOMIC_RELAXED);
		bool used;

		__atomic_store_n(&u.pasid, pasid_of(bond), __ATOMIC_RELAXED);
		do {
			used = __atomic_load_n(&u.ok, __ATOMIC_RELAXED) != ok;
		} while (!used && !late(&s));
		if (!bond_close(&s, bond) || !used)
			break;
		lives++;
	}
	__atomic_store_n(&u.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(lives, LIVES);
	CU_ASSERT_EQUAL(u.wrong, 0);
	CU_ASSERT_TRUE(queue_close(&s, q));
	stage_close(&s);
}

/* ---- fault records ---- */

struct poster {
	struct svm_fault_queue *faults;
	uint32_t nb;
};

static void *
poster_main(void *arg)
{
	const struct poster *p = arg;
	uint32_t i;

	for (i = 0; i != p->nb; i++) {
		const struct rte_svm_fault f = { .addr = i, .cookie = ~(uint64_t)i,
			.bond = (uint64_t)i << 20 };

		svm_fault_post(p->faults, &f);
	}
	return NULL;
}

static void
test_threads_fault_records_come_whole(void)
{
	struct poster p = { .faults = malloc(sizeof(*p.faults)), .nb = 20000 };
	const time_t end = time(NULL) + LIMIT_S;
	uint64_t got = 0, wrong = 0, lost;
	struct rte_svm_fault f[16];
	pthread_t thread[2];
	uint32_t i, n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p.faults);
	svm_fault_queue_init(p.faults);
	for (i = 0; i != 2; i++)
		if (pthread_create(&thread[i], NULL, poster_main, &p) != 0)
			abort();
	do {
		n = svm_fault_take(p.faults, f, 16);
		for (i = 0; i != n; i++)
			wrong += f[i].cookie != ~f[i].addr || f[i].bond != f[i].addr << 20;
		got += n;
		if (n == 0)
			sched_yield();
		lost = __atomic_load_n(&p.faults->lost, __ATOMIC_RELAXED);
	} while (got + lost != 2 * p.nb && time(NULL) < end);
	for (i = 0; i != 2; i++)
		pthread_join(thread[i], NULL);
	CU_ASSERT_EQUAL(got + lost, 2 * p.nb);
	CU_ASSERT(got >= SVM_FAULT_SLOTS);
	CU_ASSERT_EQUAL(wrong, 0);
	free(p.faults);
}

int
test_threads_suite(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} rows[] = {
#define T(fn) { #fn, fn }
		T(test_threads_producers_share_a_queue),
		T(test_threads_queues_come_and_go),
		T(test_threads_bonds_end_while_used),
		T(test_threads_fault_records_come_whole),
#undef T
	};
	CU_pSuite suite = CU_add_suite("threads", NULL, NULL);
	size_t i;

	if (suite == NULL)
		return -1;
	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++)
		if (CU_add_test(suite, rows[i].name, rows[i].run) == NULL)
			return -1;
	return 0;
}
