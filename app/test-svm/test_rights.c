/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers of several users, a root owner: who is let in, and that nobody gets
 * more through a lane than its own errors.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "suites.h"
#include "test_child.h"
#include "test_hostile.h"

#define OTHER	65533u	/* a user that is not nobody */

static bool
not_root(void)
{
	if (geteuid() == 0)
		return false;
	test_skip("not root: no workers of other users");
	return true;
}

static struct fx *
begin(const char *args)
{
	struct fx *f = fx_begin(args);
	char dir[sizeof(f->socket)];

	if (f == NULL)
		return NULL;
	snprintf(dir, sizeof(dir), "%s", f->socket);
	*strrchr(dir, '/') = '\0';
	TEST_EQUAL(chmod(dir, 0755), 0);
	return f;
}

/* A worker of this user: what connect says, and with success what bind does. */
static int64_t
join_as(struct fx *f, uid_t uid, struct fx_worker **w)
{
	struct wk_req req = { .cmd = WK_CONNECT };
	struct wk_rep rep;
	int64_t ret;

	*w = fx_worker(f);
	if (uid != 0)
		fx_do(*w, WK_SETUID, uid);
	strcpy(req.text, f->socket);
	ret = fx_try(*w, &req, &rep);
	if (ret != 0)
		return ret;
	ret = fx_try(*w, &(struct wk_req){ .cmd = WK_BIND }, &rep);
	(*w)->bond = rep.v[0];
	return ret;
}

/* ---- who is let in ---- */

static void
test_rights_users_listed_are_bound_and_others_refused(void)
{
	struct fx_worker *w;
	struct fx *f;

	if (not_root())
		return;
	f = begin("uids=65534:65533");
	TEST_EQUAL(join_as(f, NOBODY, &w), 0);
	fx_check_moves(f, w);
	TEST_EQUAL(join_as(f, OTHER, &w), 0);
	fx_check_moves(f, w);
	TEST_EQUAL(join_as(f, 1000, &w), -EACCES);
	TEST_EQUAL(join_as(f, 0, &w), -EACCES);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 2);
	/* The owner's own wish is not a worker's. */
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
}

struct asked {
	int answer;
	int nb;
	pid_t pid;
	uid_t uid;
	gid_t gid;
	uint16_t dev;
};

static int
policy(uint16_t dev_id, pid_t pid, uid_t uid, gid_t gid, void *arg)
{
	struct asked *a = arg;

	a->nb++;
	a->dev = dev_id;
	a->pid = pid;
	a->uid = uid;
	a->gid = gid;
	return a->answer;
}

static void
test_rights_function_of_the_application_decides(void)
{
	struct fx *f = begin("");
	struct asked a = { .answer = 0 };
	struct fx_worker *w;

	/* Set again before and after each question: nobody is in it, and `a` is the test's. */
	TEST_EQUAL(rte_svm_policy_set(f->dev, policy, &a), 0);
	TEST_EQUAL(join_as(f, 0, &w), 0);
	TEST_EQUAL(rte_svm_policy_set(f->dev, policy, &a), 0);
	TEST_EQUAL(a.nb, 1);
	TEST_EQUAL(a.dev, f->dev);
	TEST_EQUAL(a.pid, w->pid);
	TEST_EQUAL(a.uid, geteuid());
	TEST_EQUAL(a.gid, getegid());
	/* Whatever it says, the worker learns no more than that. */
	a.answer = -EDQUOT;
	TEST_EQUAL(rte_svm_policy_set(f->dev, policy, &a), 0);
	TEST_EQUAL(join_as(f, 0, &w), -EACCES);
	TEST_EQUAL(rte_svm_policy_set(f->dev, policy, &a), 0);
	a.answer = 1;
	TEST_EQUAL(rte_svm_policy_set(f->dev, policy, &a), 0);
	TEST_EQUAL(join_as(f, 0, &w), -EACCES);
	TEST_EQUAL(rte_svm_policy_set(f->dev, policy, &a), 0);
	TEST_EQUAL(a.nb, 3);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
	TEST_EQUAL(a.nb, 3);
	TEST_EQUAL(rte_svm_policy_set(f->dev, NULL, NULL), 0);
	TEST_EQUAL(join_as(f, 0, &w), 0);
	TEST_EQUAL(a.nb, 3);
}

static void
test_rights_function_of_no_device_is_refused(void)
{
	TEST_EQUAL(rte_svm_policy_set(UINT16_MAX, policy, NULL), -ENODEV);
}

/* ---- lanes under attack ---- */

enum { ATTACKS = 20 };

struct attack {
	pid_t owner;
	int sig;
};

/* Whether a process is a lane of the owner's, and whose rights it has. */
static bool
is_lane(const char *pid, pid_t owner, uid_t *uid)
{
	char path[300], line[256];
	bool lane = false, ours = false;
	unsigned int id;
	int ppid;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strcmp(line, "Name:\tsvm-lane\n") == 0)
			lane = true;
		else if (sscanf(line, "PPid: %d", &ppid) == 1)
			ours = ppid == owner;
		else if (sscanf(line, "Uid: %u", &id) == 1)
			*uid = id;
	}
	fclose(file);
	return lane && ours;
}

/* Whether a file of a process says anything. That of a zombie opens, and is empty. */
static bool
tells(const char *path, off_t at)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool told;
	char byte;

	if (fd < 0)
		return false;
	told = pread(fd, &byte, 1, at) > 0;
	close(fd);
	return told;
}

/* Everything that may not succeed against one lane. Exits with what does. */
static void
try_lane(pid_t tid, uid_t uid, int sig)
{
	char path[64], byte;
	struct iovec to = { &byte, 1 }, from = { &errno, 1 };

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0)
		_exit(10);
	if (ptrace(PTRACE_ATTACH, tid, NULL, NULL) == 0)
		_exit(11);
	snprintf(path, sizeof(path), "/proc/%d/mem", tid);
	if (tells(path, (off_t)(uintptr_t)&tells))
		_exit(12);
	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	if (tells(path, 0))
		_exit(13);
	snprintf(path, sizeof(path), "/proc/%d/fd/0", tid);
	if (readlink(path, &byte, 1) >= 0)
		_exit(14);
	if (process_vm_readv(tid, &to, 1, &from, 1, 0) >= 0 || errno == EFAULT)
		_exit(15);
	/* Of its own user's it may signal; of another's it may not even that. */
	if (kill(tid, sig) == 0 && uid != NOBODY)
		_exit(16);
}

static void
body_attacks(int in, int out, void *arg)
{
	const struct attack *a = arg;
	int own = 0, others = 0, i;

	(void)in;
	(void)out;
	if (!child_become_nobody())
		_exit(1);
	for (i = 0; i < 100000 && (own < ATTACKS || others < ATTACKS); i++) {
		DIR *dir = opendir("/proc");
		struct dirent *e;
		uid_t uid = 0;

		while (dir != NULL && (e = readdir(dir)) != NULL) {
			if (!isdigit((unsigned char)e->d_name[0]) ||
					!is_lane(e->d_name, a->owner, &uid))
				continue;
			try_lane(atoi(e->d_name), uid, a->sig);
			own += uid == NOBODY;
			others += uid == OTHER;
		}
		if (dir != NULL)
			closedir(dir);
	}
	_exit(own >= ATTACKS && others >= ATTACKS ? 42 : 43);
}

/* A worker of this user with traffic in a thread. */
static struct fx_worker *
traffic_of(struct fx *f, uid_t uid)
{
	struct fx_worker *w;
	uint64_t q;

	TEST_EQUAL(join_as(f, uid, &w), 0);
	q = fx_do(w, WK_QUEUE, 64, 0);
	fx_do(w, WK_TRAFFIC, q, 3000);
	return w;
}

static void
check_attack(int sig)
{
	struct attack a = { getpid(), sig };
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct child attacker = { .pid = 0 };
	struct fx_worker *own, *other;
	struct rte_svm_result r;
	siginfo_t info = { .si_pid = 0 };
	uint64_t mem;
	struct fx *f;

	if (not_root())
		return;
	f = begin("uids=65534:65533,timeout_us=20000");
	own = traffic_of(f, NOBODY);
	other = traffic_of(f, OTHER);
	neighbour_goes_on(other, 5);
	TEST_EQUAL(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	child_start(&attacker, body_attacks, &a);
	while (waitid(P_PID, attacker.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			info.si_pid == 0 && fx_now_ms() < end)
		neighbour_goes_on(other, 5);
	/* 42, or the number of what it could do. */
	TEST_EQUAL(child_exit_code(&attacker), 42);
	TEST_EQUAL(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	neighbour_goes_on(other, 5);
	neighbour_ends(other);
	/* Whose lanes they were has had errors perhaps, and is served again. */
	mem = fx_worker_mem(own, 64, NULL);
	do {
		r = fx_run_one(f, (struct rte_svm_op){ .op = RTE_SVM_OP_FILL, .len = 64,
			.dst_bond = own->bond, .dst = mem });
	} while (r.status != RTE_SVM_ST_OK && fx_now_ms() < end + FX_BOUND_MS);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
}

static void
test_rights_lanes_killed_by_their_user_harm_nobody(void)
{
	check_attack(SIGKILL);
}

static void
test_rights_lanes_stopped_by_their_user_harm_nobody(void)
{
	check_attack(SIGSTOP);
}

static void
test_rights_lanes_signalled_by_their_user_harm_nobody(void)
{
	check_attack(SIGSEGV);
}

static const struct fx_test tests[] = {
#define T(fn, rows) { #fn, fn, rows }
	T(test_rights_users_listed_are_bound_and_others_refused, FX_ONE | FX_THREAD_CMA),
	T(test_rights_function_of_the_application_decides, FX_ONE),
	T(test_rights_function_of_no_device_is_refused, FX_ONE),
	T(test_rights_lanes_killed_by_their_user_harm_nobody, FX_ONE),
	T(test_rights_lanes_stopped_by_their_user_harm_nobody, FX_ONE),
	T(test_rights_lanes_signalled_by_their_user_harm_nobody, FX_ONE),
#undef T
};

int
test_rights_suite(void)
{
	return fx_add_tests("rights", tests, sizeof(tests) / sizeof(tests[0]));
}
