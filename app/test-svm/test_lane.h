/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the suite "lane" share: a worker, a pool and a job. */
#ifndef TEST_LANE_H
#define TEST_LANE_H

#include "runner.h"
#include "svm_abi.h"
#include "svm_lane_private.h"
#include "test_child.h"

#define GET_US		(CHILD_BOUND_MS * 1000u)
#define BOUND_NS	(CHILD_BOUND_MS * UINT64_C(1000000))

/* Of the running test: zeroed before it, taken down after it. */
struct test_lane_fx {
	struct child child, other;
	struct svm_ident id;
	struct svm_cred own, nobody;
	struct svm_lane_pool *pool;
	uint64_t remote;
	uint8_t local[64];
	struct svm_xfer xfer[2];
	struct svm_job job;
	int dumpable;		/* before the test: lanes may switch it off */
};

extern struct test_lane_fx lane_fx;

struct test_lane_row {
	const char *name;
	void (*run)(void);
};

/** Add tests to the suite. @return 0, -1. */
int
test_lane_add(CU_pSuite suite, const struct test_lane_row *rows, size_t nb);

/** Add what is about a lane's rights. @return 0, -1. */
int
test_lane_rights_add(CU_pSuite suite);

/** Add what is about memory that does not answer, and lanes that end. @return 0, -1. */
int
test_lane_end_add(CU_pSuite suite);

static inline bool
not_root(void)
{
	if (geteuid() == 0)
		return false;
	test_skip("not root");
	return true;
}

/** Tests whose owner is a forked process: it makes a thread. */
static inline bool
no_owner_in_a_child(void)
{
	if (!CHILD_HAS_TSAN)
		return false;
	test_skip("TSAN allows no threads after fork");
	return true;
}

static inline void
pool_make(uint32_t max)
{
	CU_ASSERT_EQUAL_FATAL(svm_lane_pool_create(max, false, &lane_fx.pool), 0);
}

static inline struct svm_lane *
lane_make(const struct svm_cred *cred)
{
	struct svm_lane *lane = NULL;

	CU_ASSERT_EQUAL_FATAL(svm_lane_get(lane_fx.pool, cred, GET_US, &lane), 0);
	return lane;
}

/* Memory of 64 bytes, each 0x11. arg != NULL: as nobody. */
static inline void
body_memory(int in, int out, void *arg)
{
	uint8_t *mem = child_map(CHILD_PAGE, PROT_READ | PROT_WRITE);

	if (mem == NULL || (arg != NULL && !child_become_nobody()))
		_exit(1);
	memset(mem, 0x11, 64);
	child_tell(out, (uintptr_t)mem);
	child_listen(in);
}

static inline void
worker_open(void (*body)(int, int, void *), void *arg)
{
	child_start(&lane_fx.child, body, arg);
	lane_fx.remote = child_hear(&lane_fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&lane_fx.id, lane_fx.child.pid), 0);
}

static inline void
job_make(void)
{
	lane_fx.xfer[0].remote = lane_fx.remote;
	lane_fx.xfer[0].local = lane_fx.local;
	lane_fx.xfer[0].len = sizeof(lane_fx.local);
	lane_fx.job.pid = lane_fx.id.pid;
	lane_fx.job.pidfd = lane_fx.id.pidfd;
	lane_fx.job.memfd = lane_fx.id.memfd;
	lane_fx.job.nb = 1;
	lane_fx.job.xfer = lane_fx.xfer;
}

static inline void
job_run(struct svm_lane *lane)
{
	job_make();
	svm_lane_submit(lane, &lane_fx.job);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_IDLE);
}

static inline bool
local_is(uint8_t byte)
{
	size_t i;

	for (i = 0; i < sizeof(lane_fx.local); i++)
		if (lane_fx.local[i] != byte)
			return false;
	return true;
}

#endif /* TEST_LANE_H */
