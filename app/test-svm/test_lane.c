/* SPDX-License-Identifier: BSD-3-Clause */
/* Lanes and their pool: work, rights, memory that does not answer, ends. */
#include <dirent.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

#include "runner.h"
#include "suites.h"
#include "svm_abi.h"
#include "svm_lane_private.h"
#include "test_child.h"

#define GET_US		(CHILD_BOUND_MS * 1000u)
#define BOUND_NS	(CHILD_BOUND_MS * UINT64_C(1000000))

static struct {
	struct child child, other;
	struct svm_ident id;
	struct svm_cred own, nobody;
	struct svm_lane_pool *pool;
	uint64_t remote;
	uint8_t local[64];
	struct svm_xfer xfer[2];
	struct svm_job job;
	int dumpable;		/* before the test: lanes may switch it off */
} fx;

static void
fx_setup(void)
{
	memset(&fx, 0, sizeof(fx));
	memset(fx.local, 0xee, sizeof(fx.local));
	fx.id.pidfd = -1;
	fx.id.memfd = -1;
	fx.dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	CU_ASSERT_EQUAL_FATAL(svm_cred_self(&fx.own), 0);
	fx.nobody.uid = fx.nobody.euid = fx.nobody.suid = NOBODY;
	fx.nobody.gid = fx.nobody.egid = fx.nobody.sgid = NOBODY;
}

static void
fx_teardown(void)
{
	svm_lane_pool_destroy(fx.pool);
	prctl(PR_SET_DUMPABLE, fx.dumpable, 0, 0, 0);
	svm_ident_close(&fx.id);
	child_end(&fx.child);
	child_end(&fx.other);
}

static bool
not_root(void)
{
	if (geteuid() == 0)
		return false;
	test_skip("not root");
	return true;
}

/** Tests whose owner is a forked process: it makes a thread. */
static bool
no_owner_in_a_child(void)
{
	if (!CHILD_HAS_TSAN)
		return false;
	test_skip("TSAN allows no threads after fork");
	return true;
}

static void
pool_make(uint32_t max)
{
	CU_ASSERT_EQUAL_FATAL(svm_lane_pool_create(max, false, &fx.pool), 0);
}

static struct svm_lane *
lane_make(const struct svm_cred *cred)
{
	struct svm_lane *lane = NULL;

	CU_ASSERT_EQUAL_FATAL(svm_lane_get(fx.pool, cred, GET_US, &lane), 0);
	return lane;
}

/* Memory of 64 bytes, each 0x11. arg != NULL: as nobody. */
static void
body_memory(int in, int out, void *arg)
{
	uint8_t *mem = child_map(CHILD_PAGE, PROT_READ | PROT_WRITE);

	if (mem == NULL || (arg != NULL && !child_become_nobody()))
		_exit(1);
	memset(mem, 0x11, 64);
	child_tell(out, (uintptr_t)mem);
	child_listen(in);
}

static void
worker_open(void (*body)(int, int, void *), void *arg)
{
	child_start(&fx.child, body, arg);
	fx.remote = child_hear(&fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
}

static void
job_make(void)
{
	fx.xfer[0].remote = fx.remote;
	fx.xfer[0].local = fx.local;
	fx.xfer[0].len = sizeof(fx.local);
	fx.job.pid = fx.id.pid;
	fx.job.pidfd = fx.id.pidfd;
	fx.job.memfd = fx.id.memfd;
	fx.job.nb = 1;
	fx.job.xfer = fx.xfer;
}

static void
job_run(struct svm_lane *lane)
{
	job_make();
	svm_lane_submit(lane, &fx.job);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_IDLE);
}

static bool
local_is(uint8_t byte)
{
	size_t i;

	for (i = 0; i < sizeof(fx.local); i++)
		if (fx.local[i] != byte)
			return false;
	return true;
}

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

static unsigned int
fds_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nb = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while (readdir(dir) != NULL)
		nb++;
	closedir(dir);
	return nb;
}

/* ---- work ---- */

static void
test_lane_job_runs(void)
{
	struct svm_lane *lane;

	worker_open(body_memory, NULL);
	pool_make(2);
	lane = lane_make(&fx.id.cred);
	job_run(lane);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_OK);
	TEST_EQUAL(fx.xfer[0].done, 64);
	CU_ASSERT(local_is(0x11));

	/* Twice, and into the worker. */
	memset(fx.local, 0x22, sizeof(fx.local));
	fx.job.write = true;
	job_run(lane);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_OK);
	memset(fx.local, 0, sizeof(fx.local));
	fx.job.write = false;
	job_run(lane);
	CU_ASSERT(local_is(0x22));
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_many_handovers_lose_none(void)
{
	struct svm_lane *lane;
	unsigned int i;
	int err;

	worker_open(body_memory, NULL);
	pool_make(2);
	svm_lane_put(fx.pool, lane_make(&fx.id.cred));
	for (i = 0; i < 2000; i++) {
		do {
			lane = svm_lane_tryget(fx.pool, &fx.id.cred, &err);
			CU_ASSERT_EQUAL_FATAL(err, 0);
		} while (lane == NULL);
		job_make();
		svm_lane_submit(lane, &fx.job);
		/* Every other one is polled for, without the futex. */
		while (svm_lane_wait(lane, i % 2 == 0 ? BOUND_NS : 0) == SVM_LANE_BUSY)
			;
		CU_ASSERT_EQUAL_FATAL(svm_lane_state(lane), SVM_LANE_IDLE);
		CU_ASSERT_EQUAL_FATAL(fx.xfer[0].status, SVM_ST_OK);
		svm_lane_put(fx.pool, lane);
	}
}

static void
test_lane_tryget_makes_one_aside(void)
{
	uint64_t deadline = child_now_ms() + CHILD_BOUND_MS;
	struct svm_lane *lane;
	int err = 1;

	pool_make(1);
	CU_ASSERT_PTR_NULL(svm_lane_tryget(fx.pool, &fx.own, &err));
	TEST_EQUAL(err, 0);
	do {
		lane = svm_lane_tryget(fx.pool, &fx.own, &err);
		CU_ASSERT_EQUAL_FATAL(err, 0);
	} while (lane == NULL && child_now_ms() < deadline);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lane);
	TEST_EQUAL(svm_lane_state(lane), SVM_LANE_IDLE);
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_pool_bad_max_refused(void)
{
	TEST_EQUAL(svm_lane_pool_create(0, false, &fx.pool), -EINVAL);
	CU_ASSERT_PTR_NULL(fx.pool);
}

static void
test_lane_pool_limit_holds(void)
{
	struct svm_lane *first, *second = NULL;

	pool_make(1);
	first = lane_make(&fx.own);
	TEST_EQUAL(svm_lane_get(fx.pool, &fx.own, 30000, &second), -ETIMEDOUT);
	CU_ASSERT_PTR_NULL(second);
	svm_lane_put(fx.pool, first);
	second = lane_make(&fx.own);
	CU_ASSERT_PTR_EQUAL(first, second);
	svm_lane_put(fx.pool, second);
}

static void
test_lane_idle_of_other_rights_makes_room(void)
{
	if (not_root())
		return;
	pool_make(1);
	svm_lane_put(fx.pool, lane_make(&fx.nobody));
	svm_lane_put(fx.pool, lane_make(&fx.own));
	svm_lane_put(fx.pool, lane_make(&fx.nobody));
}

/* ---- rights ---- */

static void
test_lane_of_nobody_has_no_more(void)
{
	struct svm_lane *lane;

	if (not_root())
		return;
	pool_make(1);
	lane = lane_make(&fx.nobody);
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
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_keeps_the_workers_caps_only(void)
{
	struct svm_cred less = fx.own;
	struct svm_lane *lane;

	if (not_root())
		return;
	less.cap_permitted = 1 | UINT64_C(1) << 63;	/* and one the owner lacks */
	pool_make(1);
	lane = lane_make(&less);
	CU_ASSERT(status_has(lane->tid, "CapPrm:\t0000000000000001"));
	CU_ASSERT(status_has(lane->tid, "CapEff:\t0000000000000001"));
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_privileged_keeps_the_owners_rights(void)
{
	struct svm_lane *lane;
	char caps[64];

	CU_ASSERT_EQUAL_FATAL(svm_lane_pool_create(1, true, &fx.pool), 0);
	lane = lane_make(&fx.nobody);
	snprintf(caps, sizeof(caps), "CapPrm:\t%016" PRIx64, fx.own.cap_permitted);
	CU_ASSERT(status_has(lane->tid, caps));
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_of_nobody_reaches_nobody(void)
{
	struct svm_lane *lane;

	if (not_root())
		return;
	worker_open(body_memory, (void *)(uintptr_t)"as nobody");
	pool_make(1);
	lane = lane_make(&fx.id.cred);
	job_run(lane);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_OK);
	CU_ASSERT(local_is(0x11));
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_of_nobody_denied_by_root(void)
{
	struct svm_lane *lane;

	if (not_root())
		return;
	worker_open(body_memory, NULL);
	pool_make(1);
	lane = lane_make(&fx.nobody);
	job_run(lane);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_DENIED);
	TEST_EQUAL(fx.xfer[0].done, 0);
	CU_ASSERT(local_is(0xee));
	svm_lane_put(fx.pool, lane);
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
	if (svm_lane_get(pool, &fx.own, GET_US, &lane) != -EPERM)
		_exit(1);
	while (err == 0 && child_now_ms() < deadline)
		if (svm_lane_tryget(pool, &fx.own, &err) != NULL)
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
	child_start(&fx.child, body_owner_not_root, NULL);
	TEST_EQUAL(child_exit_code(&fx.child), 42);
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
	if (svm_lane_get(pool, &fx.own, GET_US, &lane) != 0)
		_exit(1);
	svm_lane_put(pool, lane);
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
		_exit(2);
	if (svm_lane_get(pool, &fx.nobody, GET_US, &lane) != 0)
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
	child_start(&fx.child, body_owner_dumpable, NULL);
	TEST_EQUAL(child_exit_code(&fx.child), 42);
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
	lane = lane_make(&fx.nobody);
	child_start(&fx.other, body_attack, &lane->tid);
	TEST_EQUAL(child_exit_code(&fx.other), 42);
	job_run(lane);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_OK);
	svm_lane_put(fx.pool, lane);
}

/* ---- memory that does not answer, lanes that end ---- */

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

	child_start(&fx.child, body_userfault, NULL);
	fx.remote = child_hear(&fx.child);
	if (fx.remote == 0) {
		test_skip("no userfaultfd for kernel faults");
		return NULL;
	}
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
	pool_make(1);
	lane = lane_make(&fx.id.cred);
	job_make();
	if (first > 0) {
		fx.xfer[1] = fx.xfer[0];
		fx.xfer[1].tag = 1;
		fx.xfer[1].local += first;
		fx.xfer[1].len -= first;
		fx.xfer[0].len = first;
		/* A forked worker has our memory at our addresses. */
		fx.xfer[0].remote = (uintptr_t)&fx.nobody;
		fx.job.nb = 2;
	}
	svm_lane_submit(lane, &fx.job);
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
	svm_lane_kill(fx.pool, lane);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_DEAD);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_TIMEOUT);

	/* An answer that comes now reaches nobody. */
	child_say(&fx.child, 'a');
	TEST_EQUAL(child_hear(&fx.child), 1);
	child_sleep_ms(20);
	CU_ASSERT(local_is(0xee));
	svm_lane_put(fx.pool, lane);

	/* The pool has room again. */
	lane = lane_make(&fx.id.cred);
	job_run(lane);
	CU_ASSERT(local_is(0x5a));
	svm_lane_put(fx.pool, lane);
	svm_lane_pool_stats(fx.pool, &stats);
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
	child_say(&fx.child, 'a');
	TEST_EQUAL(child_hear(&fx.child), 1);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_IDLE);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_OK);
	CU_ASSERT(local_is(0x5a));
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_worker_that_ends_meanwhile_is_dead(void)
{
	struct svm_lane *lane = lane_stuck_after(8);

	if (lane == NULL)
		return;
	child_end(&fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_IDLE);
	/* The first piece was read, and counts for nothing. */
	CU_ASSERT(memcmp(fx.local, &fx.nobody, 8) == 0);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_BOND_DEAD);
	TEST_EQUAL(fx.xfer[0].done, 0);
	TEST_EQUAL(fx.xfer[1].status, SVM_ST_BOND_DEAD);
	TEST_EQUAL(fx.xfer[1].done, 0);
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_pool_destroy_ends_a_stuck_lane(void)
{
	struct svm_lane *lane = lane_stuck();
	pid_t tid;

	if (lane == NULL)
		return;
	tid = lane->tid;
	svm_lane_pool_destroy(fx.pool);
	fx.pool = NULL;
	CU_ASSERT(!task_lives(tid));
	child_say(&fx.child, 'a');
	TEST_EQUAL(child_hear(&fx.child), 1);
	CU_ASSERT(local_is(0xee));
}

static void
test_lane_stopped_can_be_killed(void)
{
	struct svm_lane *lane;

	worker_open(body_memory, NULL);
	pool_make(1);
	lane = lane_make(&fx.id.cred);
	TEST_EQUAL(kill(lane->tid, SIGSTOP), 0);
	job_make();
	svm_lane_submit(lane, &fx.job);
	TEST_EQUAL(svm_lane_wait(lane, 20000000), SVM_LANE_BUSY);
	svm_lane_kill(fx.pool, lane);
	CU_ASSERT_EQUAL_FATAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_DEAD);
	CU_ASSERT(local_is(0xee));
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_killed_from_outside_is_replaced(void)
{
	struct svm_lane_stats stats;
	struct svm_lane *lane;
	pid_t tid;

	worker_open(body_memory, NULL);
	pool_make(1);
	lane = lane_make(&fx.id.cred);

	/* With its holder: a job for it comes back as DEAD, not run. */
	TEST_EQUAL(kill(lane->tid, SIGKILL), 0);
	CU_ASSERT(task_ends(lane->tid));
	job_make();
	svm_lane_submit(lane, &fx.job);
	TEST_EQUAL(svm_lane_wait(lane, BOUND_NS), SVM_LANE_DEAD);
	svm_lane_put(fx.pool, lane);

	/* While it rests: the next caller gets another. */
	lane = lane_make(&fx.id.cred);
	tid = lane->tid;
	svm_lane_put(fx.pool, lane);
	TEST_EQUAL(kill(tid, SIGKILL), 0);
	CU_ASSERT(task_ends(tid));
	lane = lane_make(&fx.id.cred);
	job_run(lane);
	TEST_EQUAL(fx.xfer[0].status, SVM_ST_OK);
	svm_lane_put(fx.pool, lane);
	svm_lane_pool_stats(fx.pool, &stats);
	TEST_EQUAL(stats.died, 2);
	TEST_EQUAL(stats.killed, 0);
}

static void
test_lane_put_busy_is_ended(void)
{
	struct svm_lane *lane = lane_stuck();

	if (lane == NULL)
		return;
	svm_lane_put(fx.pool, lane);
	/* Only when it is gone there is room for another. */
	lane = lane_make(&fx.own);
	svm_lane_put(fx.pool, lane);
	CU_ASSERT(local_is(0xee));
}

static void
test_lane_wait_of_the_application_sees_none(void)
{
	struct svm_lane *lane;

	pool_make(1);
	lane = lane_make(&fx.own);
	TEST_EQUAL(waitpid(-1, NULL, WNOHANG), -1);
	TEST_EQUAL(errno, ECHILD);
	svm_lane_put(fx.pool, lane);
}

static void
test_lane_pool_destroy_leaves_nothing(void)
{
	unsigned int before = fds_count();
	struct svm_lane *lane, *held;
	pid_t tid[2];

	pool_make(2);
	lane = lane_make(&fx.own);
	held = lane_make(&fx.own);
	tid[0] = lane->tid;
	tid[1] = held->tid;
	svm_lane_put(fx.pool, lane);
	svm_lane_pool_destroy(fx.pool);
	fx.pool = NULL;
	TEST_EQUAL(fds_count(), before);
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
	if (svm_lane_get(pool, &fx.own, GET_US, &lane) != 0)
		_exit(1);
	child_tell(out, (uint64_t)lane->tid);
	if (svm_lane_get(pool, geteuid() == 0 ? &fx.nobody : &fx.own, GET_US, &lane) != 0)
		_exit(2);
	child_tell(out, (uint64_t)lane->tid);
	/* This one waits in the worker's memory. */
	job_make();
	svm_lane_submit(lane, &fx.job);
	child_tell(out, 1);
	child_listen(in);
}

static void
test_lane_dies_with_its_owner(void)
{
	pid_t idle, busy;

	if (no_owner_in_a_child())
		return;
	child_start(&fx.child, body_userfault, NULL);
	fx.remote = child_hear(&fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
	child_start(&fx.other, body_owner_to_be_killed, NULL);
	idle = (pid_t)child_hear(&fx.other);
	busy = (pid_t)child_hear(&fx.other);
	child_hear(&fx.other);
	CU_ASSERT(task_lives(idle));
	CU_ASSERT(task_lives(busy));
	child_end(&fx.other);
	CU_ASSERT(task_ends(idle));
	CU_ASSERT(task_ends(busy));
}

int
test_lane_suite(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "test_lane_job_runs", test_lane_job_runs },
		{ "test_lane_many_handovers_lose_none", test_lane_many_handovers_lose_none },
		{ "test_lane_tryget_makes_one_aside", test_lane_tryget_makes_one_aside },
		{ "test_lane_pool_bad_max_refused", test_lane_pool_bad_max_refused },
		{ "test_lane_pool_limit_holds", test_lane_pool_limit_holds },
		{ "test_lane_idle_of_other_rights_makes_room",
			test_lane_idle_of_other_rights_makes_room },
		{ "test_lane_of_nobody_has_no_more", test_lane_of_nobody_has_no_more },
		{ "test_lane_keeps_the_workers_caps_only", test_lane_keeps_the_workers_caps_only },
		{ "test_lane_privileged_keeps_the_owners_rights",
			test_lane_privileged_keeps_the_owners_rights },
		{ "test_lane_of_nobody_reaches_nobody", test_lane_of_nobody_reaches_nobody },
		{ "test_lane_of_nobody_denied_by_root", test_lane_of_nobody_denied_by_root },
		{ "test_lane_of_more_rights_refused", test_lane_of_more_rights_refused },
		{ "test_lane_of_lesser_rights_closes_the_owner",
			test_lane_of_lesser_rights_closes_the_owner },
		{ "test_lane_resists_its_worker", test_lane_resists_its_worker },
		{ "test_lane_stuck_can_be_killed", test_lane_stuck_can_be_killed },
		{ "test_lane_stuck_goes_on_when_answered", test_lane_stuck_goes_on_when_answered },
		{ "test_lane_worker_that_ends_meanwhile_is_dead",
			test_lane_worker_that_ends_meanwhile_is_dead },
		{ "test_lane_pool_destroy_ends_a_stuck_lane",
			test_lane_pool_destroy_ends_a_stuck_lane },
		{ "test_lane_stopped_can_be_killed", test_lane_stopped_can_be_killed },
		{ "test_lane_killed_from_outside_is_replaced",
			test_lane_killed_from_outside_is_replaced },
		{ "test_lane_put_busy_is_ended", test_lane_put_busy_is_ended },
		{ "test_lane_wait_of_the_application_sees_none",
			test_lane_wait_of_the_application_sees_none },
		{ "test_lane_pool_destroy_leaves_nothing", test_lane_pool_destroy_leaves_nothing },
		{ "test_lane_dies_with_its_owner", test_lane_dies_with_its_owner },
	};
	CU_pSuite suite = CU_add_suite_with_setup_and_teardown("lane", NULL, NULL,
			fx_setup, fx_teardown);
	size_t i;

	if (suite == NULL)
		return -1;
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (CU_add_test(suite, tests[i].name, tests[i].run) == NULL)
			return -1;
	return 0;
}
