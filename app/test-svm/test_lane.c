/* SPDX-License-Identifier: BSD-3-Clause */
/* Lanes and their pool: work, and how many there are. */
#include "suites.h"
#include "test_lane.h"

struct test_lane_fx lane_fx;

static void
fx_setup(void)
{
	memset(&lane_fx, 0, sizeof(lane_fx));
	memset(lane_fx.local, 0xee, sizeof(lane_fx.local));
	lane_fx.id.pidfd = -1;
	lane_fx.id.memfd = -1;
	lane_fx.dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	CU_ASSERT_EQUAL_FATAL(svm_cred_self(&lane_fx.own), 0);
	lane_fx.nobody.uid = lane_fx.nobody.euid = lane_fx.nobody.suid = NOBODY;
	lane_fx.nobody.gid = lane_fx.nobody.egid = lane_fx.nobody.sgid = NOBODY;
}

static void
fx_teardown(void)
{
	svm_lane_pool_destroy(lane_fx.pool);
	prctl(PR_SET_DUMPABLE, lane_fx.dumpable, 0, 0, 0);
	svm_ident_close(&lane_fx.id);
	child_end(&lane_fx.child);
	child_end(&lane_fx.other);
}

static void
test_lane_job_runs(void)
{
	struct svm_lane *lane;

	worker_open(body_memory, NULL);
	pool_make(2);
	lane = lane_make(&lane_fx.id.cred);
	job_run(lane);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_OK);
	TEST_EQUAL(lane_fx.xfer[0].done, 64);
	CU_ASSERT(local_is(0x11));

	/* Twice, and into the worker. */
	memset(lane_fx.local, 0x22, sizeof(lane_fx.local));
	lane_fx.job.write = true;
	job_run(lane);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_OK);
	memset(lane_fx.local, 0, sizeof(lane_fx.local));
	lane_fx.job.write = false;
	job_run(lane);
	CU_ASSERT(local_is(0x22));
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_many_handovers_lose_none(void)
{
	struct svm_lane *lane;
	unsigned int i;
	int err;

	worker_open(body_memory, NULL);
	pool_make(2);
	svm_lane_put(lane_fx.pool, lane_make(&lane_fx.id.cred));
	for (i = 0; i < 2000; i++) {
		do {
			lane = svm_lane_tryget(lane_fx.pool, &lane_fx.id.cred, &err);
			CU_ASSERT_EQUAL_FATAL(err, 0);
		} while (lane == NULL);
		job_make();
		svm_lane_submit(lane, &lane_fx.job);
		/* Every other one is polled for, without the futex. */
		while (svm_lane_wait(lane, i % 2 == 0 ? BOUND_NS : 0) == SVM_LANE_BUSY)
			;
		CU_ASSERT_EQUAL_FATAL(svm_lane_state(lane), SVM_LANE_IDLE);
		CU_ASSERT_EQUAL_FATAL(lane_fx.xfer[0].status, SVM_ST_OK);
		svm_lane_put(lane_fx.pool, lane);
	}
}

static void
test_lane_tryget_makes_one_aside(void)
{
	uint64_t deadline = child_now_ms() + CHILD_BOUND_MS;
	struct svm_lane *lane;
	int err = 1;

	pool_make(1);
	CU_ASSERT_PTR_NULL(svm_lane_tryget(lane_fx.pool, &lane_fx.own, &err));
	TEST_EQUAL(err, 0);
	do {
		lane = svm_lane_tryget(lane_fx.pool, &lane_fx.own, &err);
		CU_ASSERT_EQUAL_FATAL(err, 0);
	} while (lane == NULL && child_now_ms() < deadline);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lane);
	TEST_EQUAL(svm_lane_state(lane), SVM_LANE_IDLE);
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_pool_bad_max_refused(void)
{
	TEST_EQUAL(svm_lane_pool_create(0, false, &lane_fx.pool), -EINVAL);
	CU_ASSERT_PTR_NULL(lane_fx.pool);
}

static void
test_lane_pool_limit_holds(void)
{
	struct svm_lane *first, *second = NULL;

	pool_make(1);
	first = lane_make(&lane_fx.own);
	TEST_EQUAL(svm_lane_get(lane_fx.pool, &lane_fx.own, 30000, &second), -ETIMEDOUT);
	CU_ASSERT_PTR_NULL(second);
	svm_lane_put(lane_fx.pool, first);
	second = lane_make(&lane_fx.own);
	CU_ASSERT_PTR_EQUAL(first, second);
	svm_lane_put(lane_fx.pool, second);
}

static void
test_lane_idle_of_other_rights_makes_room(void)
{
	if (not_root())
		return;
	pool_make(1);
	svm_lane_put(lane_fx.pool, lane_make(&lane_fx.nobody));
	svm_lane_put(lane_fx.pool, lane_make(&lane_fx.own));
	svm_lane_put(lane_fx.pool, lane_make(&lane_fx.nobody));
}

int
test_lane_suite(void)
{
	static const struct test_lane_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_lane_job_runs),
		T(test_lane_many_handovers_lose_none),
		T(test_lane_tryget_makes_one_aside),
		T(test_lane_pool_bad_max_refused),
		T(test_lane_pool_limit_holds),
		T(test_lane_idle_of_other_rights_makes_room),
#undef T
	};
	CU_pSuite suite = CU_add_suite_with_setup_and_teardown("lane", NULL, NULL,
			fx_setup, fx_teardown);

	if (suite == NULL || test_lane_add(suite, rows, sizeof(rows) / sizeof(rows[0])) != 0 ||
			test_lane_rights_add(suite) != 0 || test_lane_end_add(suite) != 0)
		return -1;
	return 0;
}

int
test_lane_add(CU_pSuite suite, const struct test_lane_row *rows, size_t nb)
{
	size_t i;

	for (i = 0; i != nb; i++)
		if (CU_add_test(suite, rows[i].name, rows[i].run) == NULL)
			return -1;
	return 0;
}
