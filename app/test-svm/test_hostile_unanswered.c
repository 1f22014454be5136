/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers' memory that does not answer: nobody else waits for it. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

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
begin_unanswered(uint64_t *mem)
{
	struct fx *f = fx_begin("timeout_us=200000");
	struct fx_worker *w;
	struct wk_rep rep;
	int64_t ret;

	if (f == NULL)
		return NULL;
	w = fx_bound(f);
	ret = fx_try(w, &(struct wk_req){ .cmd = WK_UFFD, .a = { LEN } }, &rep);
	if (ret == -EPERM || ret == -ENOSYS) {
		test_skip("userfaultfd is not allowed here");
		return NULL;
	}
	TEST_EQUAL(ret, 0);
	*mem = rep.v[0];
	return w;
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
	usleep(20000);
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
	usleep(20000);
	fx_kill(w, SIGKILL);
	while (rte_svm_poll(f->queue, &r, 1) == 0 && fx_now_ms() < end)
		fx_idle(f);
	CU_ASSERT(r.status != RTE_SVM_ST_OK);
	neighbour_goes_on(good, 5);
	neighbour_ends(good);
}
