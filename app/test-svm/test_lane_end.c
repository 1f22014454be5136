/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that does not answer, lanes that end, and what a pool leaves behind. */
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "test_lane.h"

/** Whether a task is there and no zombie. */
static bool
task_lives(pid_t tid)
{
	char path[64], line[512], *p;
	FILE *file;
	bool lives;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	p = fgets(line, sizeof(line), file) != NULL ? strrchr(line, ')') : NULL;
	lives = p != NULL && p[2] != 'Z' && p[2] != 'X';
	fclose(file);
	return lives;
}

/** Wait for a task to end; one that does not is killed, and it is false. */
static bool
task_ends(pid_t tid)
{
	uint64_t deadline = child_now_ms() + CHILD_BOUND_MS;

	while (task_lives(tid)) {
		if (child_now_ms() >= deadline) {
			kill(tid, SIGKILL);
			return false;
		}
		child_sleep_ms(1);
	}
	return true;
}

/* A page whose faults this process handles, and does not until told to. */
static void
body_userfault(int in, int out, void *arg)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy;
	size_t page = CHILD_PAGE;
	void *mem = child_map(page, PROT_READ | PROT_WRITE);
	void *data = child_map(page, PROT_READ | PROT_WRITE);
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	(void)arg;
	if (mem == NULL || data == NULL)
		_exit(1);
	reg.range.start = (uintptr_t)mem;
	reg.range.len = page;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0 ||
			ioctl(fd, UFFDIO_REGISTER, &reg) != 0) {
		child_tell(out, 0);
		_exit(0);
	}
	child_tell(out, (uintptr_t)mem);
	child_listen(in);
	memset(data, 0x5a, page);
	memset(&copy, 0, sizeof(copy));
	copy.dst = (uintptr_t)mem;
	copy.src = (uintptr_t)data;
	copy.len = page;
	child_tell(out, ioctl(fd, UFFDIO_COPY, &copy) == 0);
	child_listen(in);
}

/**
 * A lane that hangs in the worker's memory, or NULL: skipped. Its job reads
 * `first` bytes of plain memory before that.
 */
static struct svm_lane *
lane_stuck_after(uint32_t first)
{
	struct svm_lane *lane;

	child_start(&lane_fx.child, body_userfault, NULL);
	lane_fx.remote = child_hear(&lane_fx.child);
	if (lane_fx.remote == 0) {
		test_skip("no userfaultfd for kernel faults");
		return NULL;
	}
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&lane_fx.id, lane_fx.child.pid), 0);
	pool_make(1);
	lane = lane_make(&lane_fx.id.cred);
	job_make();
	if (first > 0) {
		lane_fx.xfer[1] = lane_fx.xfer[0];
		lane_fx.xfer[1].tag = 1;
		lane_fx.xfer[1].local += first;
		lane_fx.xfer[1].len -= first;
		lane_fx.xfer[0].len = first;
		/* A forked worker has our memory at our addresses. */
		lane_fx.xfer[0].remote = (uintptr_t)&lane_fx.nobody;
		lane_fx.job.nb = 2;
	}
	svm_lane_submit(lane, &lane_fx.job);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, 100000000), SVM_LANE_BUSY);
	return lane;
}

static struct svm_lane *
lane_stuck(void)
{
	return lane_stuck_after(0);
}

static void
test_lane_stuck_can_be_killed(void)
{
	struct svm_lane *lane = lane_stuck();
	struct svm_lane_stats stats;

	if (lane == NULL)
		return;
	svm_lane_kill(lane_fx.pool, lane);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_DEAD);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_TIMEOUT);

	/* An answer that comes now reaches nobody. */
	child_say(&lane_fx.child, 'a');
	TEST_EQUAL(child_hear(&lane_fx.child), 1);
	child_sleep_ms(20);
	CU_ASSERT(local_is(0xee));
	svm_lane_put(lane_fx.pool, lane);

	/* The pool has room again. */
	lane = lane_make(&lane_fx.id.cred);
	job_run(lane);
	CU_ASSERT(local_is(0x5a));
	svm_lane_put(lane_fx.pool, lane);
	svm_lane_pool_stats(lane_fx.pool, &stats);
	TEST_EQUAL(stats.made, 2);
	TEST_EQUAL(stats.killed, 1);
	TEST_EQUAL(stats.died, 0);
}

static void
test_lane_stuck_goes_on_when_answered(void)
{
	struct svm_lane *lane = lane_stuck();

	if (lane == NULL)
		return;
	child_say(&lane_fx.child, 'a');
	TEST_EQUAL(child_hear(&lane_fx.child), 1);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_IDLE);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_OK);
	CU_ASSERT(local_is(0x5a));
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_worker_that_ends_meanwhile_is_dead(void)
{
	struct svm_lane *lane = lane_stuck_after(8);

	if (lane == NULL)
		return;
	child_end(&lane_fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_IDLE);
	/* The first piece was read, and counts for nothing. */
	CU_ASSERT(memcmp(lane_fx.local, &lane_fx.nobody, 8) == 0);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_BOND_DEAD);
	TEST_EQUAL(lane_fx.xfer[0].done, 0);
	TEST_EQUAL(lane_fx.xfer[1].status, SVM_ST_BOND_DEAD);
	TEST_EQUAL(lane_fx.xfer[1].done, 0);
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_pool_destroy_ends_a_stuck_lane(void)
{
	struct svm_lane *lane = lane_stuck();
	pid_t tid;

	if (lane == NULL)
		return;
	tid = lane->tid;
	svm_lane_pool_destroy(lane_fx.pool);
	lane_fx.pool = NULL;
	CU_ASSERT(!task_lives(tid));
	child_say(&lane_fx.child, 'a');
	TEST_EQUAL(child_hear(&lane_fx.child), 1);
	CU_ASSERT(local_is(0xee));
}

static void
test_lane_stopped_can_be_killed(void)
{
	struct svm_lane *lane;

	worker_open(body_memory, NULL);
	pool_make(1);
	lane = lane_make(&lane_fx.id.cred);
	TEST_EQUAL(kill(lane->tid, SIGSTOP), 0);
	job_make();
	svm_lane_submit(lane, &lane_fx.job);
	TEST_EQUAL(svm_lane_wait(lane, 20000000), SVM_LANE_BUSY);
	svm_lane_kill(lane_fx.pool, lane);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_DEAD);
	CU_ASSERT(local_is(0xee));
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_killed_from_outside_is_replaced(void)
{
	struct svm_lane_stats stats;
	struct svm_lane *lane;
	pid_t tid;

	worker_open(body_memory, NULL);
	pool_make(1);
	lane = lane_make(&lane_fx.id.cred);

	/* With its holder: a job for it comes back as DEAD, not run. */
	TEST_EQUAL(kill(lane->tid, SIGKILL), 0);
	CU_ASSERT(task_ends(lane->tid));
	job_make();
	svm_lane_submit(lane, &lane_fx.job);
	TEST_EQUAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_DEAD);
	svm_lane_put(lane_fx.pool, lane);

	/* While it rests: the next caller gets another. */
	lane = lane_make(&lane_fx.id.cred);
	tid = lane->tid;
	svm_lane_put(lane_fx.pool, lane);
	TEST_EQUAL(kill(tid, SIGKILL), 0);
	CU_ASSERT(task_ends(tid));
	lane = lane_make(&lane_fx.id.cred);
	job_run(lane);
	TEST_EQUAL(lane_fx.xfer[0].status, SVM_ST_OK);
	svm_lane_put(lane_fx.pool, lane);
	svm_lane_pool_stats(lane_fx.pool, &stats);
	TEST_EQUAL(stats.died, 2);
	TEST_EQUAL(stats.killed, 0);
}

static void
test_lane_put_busy_is_ended(void)
{
	struct svm_lane *lane = lane_stuck();

	if (lane == NULL)
		return;
	svm_lane_put(lane_fx.pool, lane);
	/* Only when it is gone there is room for another. */
	lane = lane_make(&lane_fx.own);
	svm_lane_put(lane_fx.pool, lane);
	CU_ASSERT(local_is(0xee));
}

static void
test_lane_wait_of_the_application_sees_none(void)
{
	struct svm_lane *lane;
	pid_t pid;

	pool_make(1);
	lane = lane_make(&lane_fx.own);
	/* The runner adopts what workers of earlier tests have left behind. */
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		CU_ASSERT_NOT_EQUAL(pid, lane->tid);
	TEST_EQUAL(pid, -1);
	TEST_EQUAL(errno, ECHILD);
	svm_lane_put(lane_fx.pool, lane);
}

static void
test_lane_pool_destroy_leaves_nothing(void)
{
	unsigned int before = child_fds_count();
	struct svm_lane *lane, *held;
	pid_t tid[2];

	pool_make(2);
	lane = lane_make(&lane_fx.own);
	held = lane_make(&lane_fx.own);
	tid[0] = lane->tid;
	tid[1] = held->tid;
	svm_lane_put(lane_fx.pool, lane);
	svm_lane_pool_destroy(lane_fx.pool);
	lane_fx.pool = NULL;
	TEST_EQUAL(child_fds_count(), before);
	TEST_EQUAL(kill(tid[0], 0), -1);
	TEST_EQUAL(kill(tid[1], 0), -1);
	TEST_EQUAL(waitpid(-1, NULL, WNOHANG | __WCLONE), -1);
	TEST_EQUAL(errno, ECHILD);
}

static void
body_owner_to_be_killed(int in, int out, void *arg)
{
	struct svm_lane_pool *pool;
	struct svm_lane *lane;

	(void)arg;
	if (svm_lane_pool_create(4, false, &pool) != 0)
		_exit(100);
	if (svm_lane_get(pool, &lane_fx.own, GET_US, &lane) != 0)
		_exit(1);
	child_tell(out, (uint64_t)lane->tid);
	if (svm_lane_get(pool, geteuid() == 0 ? &lane_fx.nobody : &lane_fx.own, GET_US, &lane) != 0)
		_exit(2);
	child_tell(out, (uint64_t)lane->tid);
	/* This one waits in the worker's memory. */
	job_make();
	svm_lane_submit(lane, &lane_fx.job);
	child_tell(out, 1);
	child_listen(in);
}

static void
test_lane_dies_with_its_owner(void)
{
	pid_t idle, busy;

	if (no_owner_in_a_child())
		return;
	child_start(&lane_fx.child, body_userfault, NULL);
	lane_fx.remote = child_hear(&lane_fx.child);
	if (lane_fx.remote == 0) {
		test_skip("no userfaultfd for kernel faults");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&lane_fx.id, lane_fx.child.pid), 0);
	child_start(&lane_fx.other, body_owner_to_be_killed, NULL);
	idle = (pid_t)child_hear(&lane_fx.other);
	busy = (pid_t)child_hear(&lane_fx.other);
	child_hear(&lane_fx.other);
	CU_ASSERT(task_lives(idle));
	CU_ASSERT(task_lives(busy));
	child_end(&lane_fx.other);
	CU_ASSERT(task_ends(idle));
	CU_ASSERT(task_ends(busy));
}

int
test_lane_end_add(CU_pSuite suite)
{
	static const struct test_lane_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_lane_stuck_can_be_killed),
		T(test_lane_stuck_goes_on_when_answered),
		T(test_lane_worker_that_ends_meanwhile_is_dead),
		T(test_lane_pool_destroy_ends_a_stuck_lane),
		T(test_lane_stopped_can_be_killed),
		T(test_lane_killed_from_outside_is_replaced),
		T(test_lane_put_busy_is_ended),
		T(test_lane_wait_of_the_application_sees_none),
		T(test_lane_pool_destroy_leaves_nothing),
		T(test_lane_dies_with_its_owner),
#undef T
	};

	return test_lane_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
