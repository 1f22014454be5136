/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers' memory that does not answer: nobody else waits for it. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "svm_dev.h"
#include "test_hostile.h"

#define LEN	8192

/* With an inline engine somebody has to take turns for the workers' queues
 * while the submitter waits in its own. */
struct driver {
	pthread_t thread;
	struct fx *f;
	int stop;	/* atomic, relaxed: only ends a loop */
};

static void *
driver_main(void *arg)
{
	struct driver *d = arg;

	while (!__atomic_load_n(&d->stop, __ATOMIC_RELAXED))
		fx_idle(d->f);
	return NULL;
}

static void
driver_start(struct driver *d, struct fx *f)
{
	d->f = f;
	d->stop = 0;
	if (pthread_create(&d->thread, NULL, driver_main, d) != 0)
		test_fail("pthread_create");
}

static void
driver_end(struct driver *d)
{
	__atomic_store_n(&d->stop, 1, __ATOMIC_RELAXED);
	pthread_join(d->thread, NULL);
}

static struct fx_worker *
begin_unanswered_for(const char *args, uint64_t *mem)
{
	struct fx *f = fx_begin(args);
	struct fx_worker *w;

	if (f == NULL)
		return NULL;
	w = fx_bound(f);
	return fx_worker_unanswered(w, LEN, mem) ? w : NULL;
}

static struct fx_worker *
begin_unanswered(uint64_t *mem)
{
	return begin_unanswered_for("timeout_us=200000", mem);
}

/* The pages come at last: they hold what the worker put there, and keep it. */
static void
answer_and_check(struct fx_worker *w, uint64_t mem)
{
	const uint64_t seed = fx_do(w, WK_UFFD_ANSWER, mem, LEN);
	const uint64_t end = fx_now_ms() + 100;

	while (fx_now_ms() < end)
		fx_idle(w->f);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
}

void
test_hostile_unanswered_write_times_out(void)
{
	uint64_t mem, seed;
	struct fx_worker *w = begin_unanswered(&mem), *good;
	struct rte_svm_result r;
	struct driver driver;
	struct rte_svm_stats s;
	uint64_t before;
	char *own;

	if (w == NULL)
		return;
	good = neighbour(w->f);
	own = fx_mem_filled(w->f, LEN, &seed);
	neighbour_goes_on(good, 3);
	before = traffic_look(good, WK_TRAFFIC_LOOK).rounds;
	driver_start(&driver, w->f);
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, LEN);
	driver_end(&driver);
	TEST_STATUS(r.status, RTE_SVM_ST_TIMEOUT);
	TEST_EQUAL(r.done, 0);
	CU_ASSERT(traffic_look(good, WK_TRAFFIC_LOOK).rounds > before);
	s = fx_stats(w->f);
	TEST_EQUAL(s.timeouts, 1);
	CU_ASSERT(s.lanes_killed >= 1);
	answer_and_check(w, mem);
	/* Now it answers, and the bond is as good as before. */
	r = fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
	neighbour_goes_on(good, 3);
	neighbour_ends(good);
}

void
test_hostile_unanswered_read_times_out(void)
{
	uint64_t mem, seed;
	struct fx_worker *w = begin_unanswered(&mem), *good;
	struct rte_svm_result r;
	char *own;

	if (w == NULL)
		return;
	good = neighbour(w->f);
	own = fx_mem_filled(w->f, LEN, &seed);
	r = fx_copy(w->f, w->bond, mem, RTE_SVM_OWNER, (uintptr_t)own, LEN);
	TEST_STATUS(r.status, RTE_SVM_ST_TIMEOUT);
	TEST_EQUAL(r.done, 0);
	TEST_EQUAL(r.fault_addr, mem);
	answer_and_check(w, mem);
	TEST_EQUAL(wk_pattern_check(own, LEN, seed, 0), LEN);
	neighbour_goes_on(good, 3);
	neighbour_ends(good);
}

/* Into an honest worker, out of one that does not answer. */
void
test_hostile_unanswered_source_spares_target(void)
{
	uint64_t mem, to, seed;
	struct fx_worker *w = begin_unanswered(&mem), *b;

	if (w == NULL)
		return;
	b = fx_bound(w->f);
	to = fx_worker_mem(b, LEN, &seed);
	TEST_STATUS(fx_copy(w->f, w->bond, mem, b->bond, to, LEN).status,
		RTE_SVM_ST_TIMEOUT);
	answer_and_check(w, mem);
	CU_ASSERT(fx_verify(b, to, LEN, seed, 0));
}

void
test_hostile_unanswered_unbind_ends(void)
{
	uint64_t mem, seed;
	struct fx_worker *w = begin_unanswered(&mem);
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_svm_result r = { 0 };
	struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .len = LEN };

	if (w == NULL)
		return;
	op.src = (uintptr_t)fx_mem_filled(w->f, LEN, &seed);
	op.dst = mem;
	op.dst_bond = w->bond;
	TEST_EQUAL(rte_svm_submit(w->f->queue, &op, 1), 1);
	fx_await_unanswered(w);
	TEST_EQUAL(fx_unbind(w->f, w->bond), 0);
	answer_and_check(w, mem);
	while (rte_svm_poll(w->f->queue, &r, 1) == 0 && fx_now_ms() < end)
		fx_idle(w->f);
	CU_ASSERT(r.status == RTE_SVM_ST_TIMEOUT || r.status == RTE_SVM_ST_BOND_DEAD);
}

void
test_hostile_unanswered_worker_killed_ends(void)
{
	uint64_t mem, seed;
	struct fx_worker *w = begin_unanswered(&mem), *good;
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_svm_result r = { 0 };
	struct rte_svm_op op = { .op = RTE_SVM_OP_COPY, .len = LEN };
	struct fx *f;

	if (w == NULL)
		return;
	f = w->f;
	good = neighbour(f);
	op.src = (uintptr_t)fx_mem_filled(f, LEN, &seed);
	op.dst = mem;
	op.dst_bond = w->bond;
	TEST_EQUAL(rte_svm_submit(f->queue, &op, 1), 1);
	fx_await_unanswered(w);
	fx_kill(w, SIGKILL);
	while (rte_svm_poll(f->queue, &r, 1) == 0 && fx_now_ms() < end)
		fx_idle(f);
	CU_ASSERT(r.status != RTE_SVM_ST_OK);
	neighbour_goes_on(good, 5);
	neighbour_ends(good);
}

/* ---- many of them ---- */

#define MANY		24u
#define OPS_EACH	3u

/* More workers whose memory does not answer; w[0] is the first. */
static void
more_unanswered(struct fx_worker **w, uint64_t *mem, uint32_t nb)
{
	uint32_t i;

	for (i = 1; i < nb; i++) {
		w[i] = fx_bound(w[0]->f);
		mem[i] = fx_do(w[i], WK_UFFD, LEN);
	}
}

static struct rte_svm_op
op_into(const struct fx_worker *w, uint64_t mem, void *own)
{
	return (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = 64, .src = (uintptr_t)own,
		.dst_bond = w->bond, .dst = mem };
}

/* Gather n results, whatever they are. @return those that are OK. */
static uint32_t
gather(struct fx *f, uint32_t n)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_svm_result r;
	uint32_t ok = 0;

	while (n != 0 && fx_now_ms() < end) {
		if (rte_svm_poll(f->queue, &r, 1) == 0) {
			fx_idle(f);
			continue;
		}
		ok += r.status == RTE_SVM_ST_OK;
		n--;
	}
	TEST_EQUAL(n, 0);
	return ok;
}

/* None of them has ended yet, and who has done nothing goes on beside them. */
void
test_hostile_unanswered_many_spare_the_others(void)
{
	struct fx_worker *w[MANY], *good;
	uint64_t mem[MANY];
	struct rte_svm_result r;
	struct rte_svm_op op;
	uint32_t i;
	char *own;

	w[0] = begin_unanswered_for("timeout_us=60000000", &mem[0]);
	if (w[0] == NULL)
		return;
	more_unanswered(w, mem, MANY);
	own = fx_mem(w[0]->f, LEN);
	for (i = 0; i < MANY; i++) {
		op = op_into(w[i], mem[i], own);
		TEST_EQUAL(rte_svm_submit(w[0]->f->queue, &op, 1), 1);
	}
	good = neighbour(w[0]->f);
	neighbour_goes_on(good, 5);
	TEST_EQUAL(rte_svm_poll(w[0]->f->queue, &r, 1), 0);
	neighbour_ends(good);
	for (i = 0; i < MANY; i++)
		fx_kill(w[i], SIGKILL);
	TEST_EQUAL(gather(good->f, MANY), 0);
}

/* They timed out just now: what the machine has done meanwhile does not make it long ago. */
static void
late_again(struct fx_worker *const *w)
{
	struct svm_dev *dev = fx_dev(w[0]->f);
	struct rte_svm_bond_info info;
	uint32_t i;

	for (i = 0; i < MANY; i++) {
		TEST_EQUAL(rte_svm_bond_info_get(w[0]->f->dev, w[i]->bond, &info), 0);
		/* Relaxed: as the engine's own stores and loads. */
		__atomic_store_n(&dev->bonds->bonds[info.pasid - 1].late_at, rte_rdtsc(),
			__ATOMIC_RELAXED);
	}
}

/* The neighbour's are not late, and not counted. */
static uint32_t
late_batches(const struct svm_batch_set *set)
{
	uint32_t k, n = 0;

	for (k = 0; k < set->max; k++)
		n += fx_peek(set->batch[k].state) != SVM_BATCH_FREE &&
			fx_peek(set->batch[k].late);
	return n;
}

/* How many are under way at once; 0 when one began while they were counted. */
static uint32_t
late_batches_at_once(const struct svm_engine *e)
{
	const uint64_t before = __atomic_load_n(&e->counters.cma_batches, __ATOMIC_RELAXED);
	const uint32_t n = late_batches(&e->batches);

	if (late_batches(&e->batches) != n ||
			__atomic_load_n(&e->counters.cma_batches, __ATOMIC_RELAXED) != before)
		return 0;
	return n;
}

/* Those that timed out lately have so many of an engine's batches, and no more. */
static void
late_have_a_share(const char *args, uint32_t share)
{
	struct fx_worker *w[MANY], *good;
	uint64_t mem[MANY], own_seed;
	struct rte_svm_op op;
	uint32_t i, most = 0;
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	char *own;

	w[0] = begin_unanswered_for(args, &mem[0]);
	if (w[0] == NULL)
		return;
	more_unanswered(w, mem, MANY);
	good = neighbour(w[0]->f);
	own = fx_mem_filled(w[0]->f, LEN, &own_seed);
	/* All of them are late after this. */
	for (i = 0; i < MANY; i++) {
		op = op_into(w[i], mem[i], own);
		TEST_EQUAL(rte_svm_submit(w[0]->f->queue, &op, 1), 1);
	}
	TEST_EQUAL(gather(w[0]->f, MANY), 0);
	late_again(w);
	for (i = 0; i < MANY * OPS_EACH; i++) {
		op = op_into(w[i % MANY], mem[i % MANY], own);
		TEST_EQUAL(rte_svm_submit(w[0]->f->queue, &op, 1), 1);
	}
	for (i = 0; (i < 100 || most < 2) && fx_now_ms() < end; i++) {
		late_again(w);
		most = RTE_MAX(most, late_batches_at_once(fx_dev(w[0]->f)->engines[0]));
		usleep(1000);
	}
	if (most < 2 || most > share)
		test_fail("%u batches of late ones at once", most);
	neighbour_goes_on(good, 3);
	neighbour_ends(good);
	for (i = 0; i < MANY; i++)
		fx_kill(w[i], SIGKILL);
	TEST_EQUAL(gather(good->f, MANY * OPS_EACH), 0);
}

/* A quarter of 32 batches. */
void
test_hostile_unanswered_late_have_a_share(void)
{
	late_have_a_share("timeout_us=100000", 8);
}

/* Of 16 engines: a quarter of 128 lanes is for all of them together. */
void
test_hostile_unanswered_late_share_lanes(void)
{
	late_have_a_share("timeout_us=100000,engines=16", 2);
}

/*
 * An operation waits for another bond, whose memory does not answer. Its own bond
 * ends: it is let go at once, not when that other one has been given up.
 */
void
test_hostile_unanswered_unbind_behind_another_ends(void)
{
	uint64_t mem, to;
	struct fx_worker *w = begin_unanswered_for("timeout_us=60000000", &mem), *other;
	struct rte_svm_queue *queue;
	struct rte_svm_result r;
	struct rte_svm_op op;
	char *own;

	if (w == NULL)
		return;
	own = fx_mem(w->f, LEN);
	other = fx_bound(w->f);
	to = fx_worker_mem(other, LEN, NULL);
	CU_ASSERT_EQUAL_FATAL(rte_svm_queue_create(w->f->dev, 32, &queue), 0);
	op = op_into(w, mem, own);
	TEST_EQUAL(rte_svm_submit(w->f->queue, &op, 1), 1);
	fx_await_unanswered(w);
	op = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = 64, .src_bond = w->bond,
		.src = mem, .dst_bond = other->bond, .dst = to };
	TEST_EQUAL(rte_svm_submit(queue, &op, 1), 1);
	fx_await_taken(w->f, 2);
	TEST_EQUAL(fx_unbind(w->f, other->bond), 0);
	TEST_EQUAL(rte_svm_poll(queue, &r, 1), 1);
	TEST_STATUS(r.status, RTE_SVM_ST_BOND_DEAD);
	/* The first is not given up yet. */
	TEST_EQUAL(rte_svm_poll(w->f->queue, &r, 1), 0);
	fx_kill(w, SIGKILL);
	TEST_EQUAL(gather(w->f, 1), 0);
	TEST_EQUAL(rte_svm_queue_destroy(queue), 0);
}

/* Operations of a bond that ends are found behind many of one that hangs. */
void
test_hostile_unanswered_dead_behind_many_is_let_go(void)
{
	enum { front = 150 };
	uint64_t mem, to;
	struct fx_worker *w = begin_unanswered_for("timeout_us=60000000", &mem), *dead;
	struct rte_svm_op op;
	uint32_t i;
	char *own;

	if (w == NULL)
		return;
	own = fx_mem(w->f, LEN);
	dead = fx_bound(w->f);
	to = fx_do(dead, WK_UFFD, LEN);
	/* Its first one hangs in a lane; the second is parked behind the other's. */
	op = op_into(dead, to, own);
	TEST_EQUAL(rte_svm_submit(w->f->queue, &op, 1), 1);
	fx_await_unanswered(dead);
	for (i = 0; i < front; i++) {
		op = op_into(w, mem, own);
		TEST_EQUAL(rte_svm_submit(w->f->queue, &op, 1), 1);
		/* The first hangs as well, and does not take the others along. */
		if (i == 0)
			fx_await_unanswered(w);
	}
	op = op_into(dead, to, own);
	TEST_EQUAL(rte_svm_submit(w->f->queue, &op, 1), 1);
	fx_await_taken(w->f, front + 2);
	fx_kill(dead, SIGKILL);
	TEST_EQUAL(fx_unbind(w->f, dead->bond), 0);
	fx_kill(w, SIGKILL);
	TEST_EQUAL(gather(w->f, front + 2), 0);
}
