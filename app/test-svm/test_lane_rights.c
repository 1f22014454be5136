/* SPDX-License-Identifier: BSD-3-Clause */
/* The rights of a lane: what it keeps, what it reaches, who gets none. */
#include <inttypes.h>
#include <sys/ptrace.h>

#include "test_lane.h"

static bool
status_has(pid_t tid, const char *wanted)
{
	char path[64], line[512];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		found = strcmp(line, wanted) == 0;
	}
	fclose(file);
	return found;
}

static void
test_lane_of_nobody_has_no_more(void)
{
	struct svm_lane *lane;

	if (not_root())
		return;
	pool_make(1);
	lane = lane_make(&lane_fx.nobody);
	CU_ASSERT(status_has(lane->tid, "Name:\tsvm-lane"));
	CU_ASSERT(status_has(lane->tid, "Uid:\t65534\t65534\t65534\t65534"));
	CU_ASSERT(status_has(lane->tid, "Gid:\t65534\t65534\t65534\t65534"));
	CU_ASSERT(status_has(lane->tid, "Groups:\t "));
	CU_ASSERT(status_has(lane->tid, "CapPrm:\t0000000000000000"));
	CU_ASSERT(status_has(lane->tid, "CapEff:\t0000000000000000"));
	CU_ASSERT(status_has(lane->tid, "CapInh:\t0000000000000000"));
	CU_ASSERT(status_has(lane->tid, "NoNewPrivs:\t1"));
	/* All but SIGKILL and SIGSTOP; libc's own two as well. */
	CU_ASSERT(status_has(lane->tid, "SigBlk:\tfffffffffffbfeff"));
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_keeps_the_workers_caps_only(void)
{
	struct svm_cred less = lane_fx.own;
	struct svm_lane *lane;

	if (not_root())
		return;
	less.cap_permitted = 1 | UINT64_C(1) << 63;	/* and one the owner lacks */
	pool_make(1);
	lane = lane_make(&less);
	CU_ASSERT(status_has(lane->tid, "CapPrm:\t0000000000000001"));
	CU_ASSERT(status_has(lane->tid, "CapEff:\t0000000000000001"));
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_privileged_keeps_the_owners_rights(void)
{
	struct svm_lane *lane;
	char caps[64];

	CU_ASSERT_EQUAL_FATAL(svm_lane_pool_create(1, true, &lane_fx.pool), 0);
	lane = lane_make(&lane_fx.nobody);
	snprintf(caps, sizeof(caps), "CapPrm:\t%016" PRIx64, lane_fx.own.cap_permitted);
	CU_ASSERT(status_has(lane->tid, caps));
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_of_nobody_reaches_nobody(void)
{
	struct svm_lane *lane;

	if (not_root())
		return;
	worker_open(body_memory, (void *)(uintptr_t)"as nobody");
	pool_make(1);
	lane = lane_make(&lane_fx.id.cred);
	job_run(lane);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_OK);
	CU_ASSERT(local_is(0x11));
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_of_nobody_denied_by_root(void)
{
	struct svm_lane *lane;

	if (not_root())
		return;
	worker_open(body_memory, NULL);
	pool_make(1);
	lane = lane_make(&lane_fx.nobody);
	job_run(lane);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_DENIED);
	TEST_EQUAL(lane_fx.xfer[0].done, 0);
	CU_ASSERT(local_is(0xee));
	svm_lane_put(lane_fx.pool, lane);
}

static void
body_owner_not_root(int in, int out, void *arg)
{
	uint64_t deadline = child_now_ms() + CHILD_BOUND_MS;
	struct svm_lane_pool *pool;
	struct svm_lane *lane;
	struct svm_cred cred;
	int err = 0;

	(void)in;
	(void)out;
	(void)arg;
	if (!child_become_nobody() || svm_lane_pool_create(2, false, &pool) != 0)
		_exit(100);
	/* Root's rights are out of reach, by either call, and nothing changes. */
	if (svm_lane_get(pool, &lane_fx.own, GET_US, &lane) != -EPERM)
		_exit(1);
	while (err == 0 && child_now_ms() < deadline)
		if (svm_lane_tryget(pool, &lane_fx.own, &err) != NULL)
			_exit(2);
	if (err != -EPERM || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
		_exit(3);
	/* Its own are there. */
	if (svm_cred_self(&cred) != 0 || svm_lane_get(pool, &cred, GET_US, &lane) != 0)
		_exit(4);
	svm_lane_put(pool, lane);
	svm_lane_pool_destroy(pool);
	_exit(42);
}

static void
test_lane_of_more_rights_refused(void)
{
	if (not_root() || no_owner_in_a_child())
		return;
	child_start(&lane_fx.child, body_owner_not_root, NULL);
	TEST_EQUAL(child_exit_code(&lane_fx.child), 42);
}

static void
body_owner_dumpable(int in, int out, void *arg)
{
	uint64_t deadline = child_now_ms() + CHILD_BOUND_MS;
	struct svm_lane_pool *pool;
	struct svm_lane *lane;

	(void)in;
	(void)out;
	(void)arg;
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 ||
			svm_lane_pool_create(2, false, &pool) != 0)
		_exit(100);
	if (svm_lane_get(pool, &lane_fx.own, GET_US, &lane) != 0)
		_exit(1);
	svm_lane_put(pool, lane);
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
		_exit(2);
	if (svm_lane_get(pool, &lane_fx.nobody, GET_US, &lane) != 0)
		_exit(3);
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		_exit(4);
	/* Whoever switches it on again does not get through with it. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	while (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 && child_now_ms() < deadline)
		child_sleep_ms(10);
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		_exit(5);
	svm_lane_put(pool, lane);
	svm_lane_pool_destroy(pool);
	_exit(42);
}

static void
test_lane_of_lesser_rights_closes_the_owner(void)
{
	if (not_root() || no_owner_in_a_child())
		return;
	child_start(&lane_fx.child, body_owner_dumpable, NULL);
	TEST_EQUAL(child_exit_code(&lane_fx.child), 42);
}

static void
body_attack(int in, int out, void *arg)
{
	pid_t tid = *(pid_t *)arg;
	char path[64];

	(void)in;
	(void)out;
	if (!child_become_nobody())
		_exit(100);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0 || errno != EPERM)
		_exit(1);
	snprintf(path, sizeof(path), "/proc/%d/mem", tid);
	if (open(path, O_RDONLY | O_CLOEXEC) >= 0)
		_exit(2);
	snprintf(path, sizeof(path), "/proc/%d/fd/0", tid);
	if (open(path, O_RDONLY | O_CLOEXEC) >= 0)
		_exit(3);
	/* A signal is all that it can send; most are blocked. */
	if (kill(tid, SIGTERM) != 0 || kill(tid, SIGSEGV) != 0 || kill(tid, 33) != 0)
		_exit(4);
	_exit(42);
}

static void
test_lane_resists_its_worker(void)
{
	struct svm_lane *lane;

	if (not_root())
		return;
	worker_open(body_memory, (void *)(uintptr_t)"as nobody");
	pool_make(1);
	lane = lane_make(&lane_fx.nobody);
	child_start(&lane_fx.other, body_attack, &lane->tid);
	TEST_EQUAL(child_exit_code(&lane_fx.other), 42);
	job_run(lane);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_OK);
	svm_lane_put(lane_fx.pool, lane);
}

int
test_lane_rights_add(CU_pSuite suite)
{
	static const struct test_lane_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_lane_of_nobody_has_no_more),
		T(test_lane_keeps_the_workers_caps_only),
		T(test_lane_privileged_keeps_the_owners_rights),
		T(test_lane_of_nobody_reaches_nobody),
		T(test_lane_of_nobody_denied_by_root),
		T(test_lane_of_more_rights_refused),
		T(test_lane_of_lesser_rights_closes_the_owner),
		T(test_lane_resists_its_worker),
#undef T
	};

	return test_lane_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
