/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a process: its rights, what is refused, how its end shows. */
#include <pthread.h>
#include <sched.h>

#include "runner.h"
#include "suites.h"
#include "svm_ident.h"
#include "test_child.h"
#include "test_ident.h"

static struct {
	struct child child;
	struct svm_ident id;
} fx;

static void
fx_setup(void)
{
	memset(&fx, 0, sizeof(fx));
	fx.id.pidfd = -1;
	fx.id.memfd = -1;
}

static void
fx_teardown(void)
{
	svm_ident_close(&fx.id);
	child_end(&fx.child);
}

/** Expect svm_ident_open() to refuse and to leave nothing open. */
static void
open_refused(pid_t pid, int err)
{
	unsigned int before = child_fds_count();

	TEST_EQUAL(svm_ident_open(&fx.id, pid), err);
	TEST_EQUAL(fx.id.pidfd, -1);
	TEST_EQUAL(fx.id.memfd, -1);
	TEST_EQUAL(child_fds_count(), before);
}

static void
body_wait(int in, int out, void *arg)
{
	(void)arg;
	child_tell(out, 1);
	child_listen(in);
}

static void
body_nobody(int in, int out, void *arg)
{
	gid_t groups[] = { 11, 3 };

	(void)arg;
	child_tell(out, setgroups(2, groups) == 0 && setresgid(70, 71, 72) == 0 &&
		setresuid(NOBODY, NOBODY, NOBODY) == 0);
	child_listen(in);
}

static void
body_many_groups(int in, int out, void *arg)
{
	gid_t groups[SVM_CRED_GROUPS_MAX + 1];
	unsigned int i;

	(void)arg;
	for (i = 0; i < SVM_CRED_GROUPS_MAX + 1; i++)
		groups[i] = 1000 + i;
	child_tell(out, setgroups(SVM_CRED_GROUPS_MAX + 1, groups) == 0);
	child_listen(in);
}

static void
body_userns(int in, int out, void *arg)
{
	(void)arg;
	child_tell(out, unshare(CLONE_NEWUSER) == 0);
	child_listen(in);
}

static void
body_exec(int in, int out, void *arg)
{
	(void)arg;
	child_tell(out, 1);
	child_listen(in);
	execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	_exit(1);
}

static void
body_open_as_nobody(int in, int out, void *arg)
{
	struct svm_ident id;
	int ret;

	(void)in;
	(void)out;
	if (!child_become_nobody())
		_exit(100);
	ret = svm_ident_open(&id, *(pid_t *)arg);
	_exit(ret == -EPERM || ret == -EACCES ? 42 : 1);
}

static void
test_ident_open_reads_own_rights(void)
{
	struct svm_cred self;

	child_start(&fx.child, body_wait, NULL);
	child_hear(&fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
	CU_ASSERT_EQUAL_FATAL(svm_cred_self(&self), 0);
	CU_ASSERT(svm_cred_equal(&fx.id.cred, &self));
	TEST_EQUAL(fx.id.pid, fx.child.pid);
	CU_ASSERT(svm_ident_alive(&fx.id));
}

static void
test_ident_open_reads_foreign_rights(void)
{
	const struct svm_cred *cred = &fx.id.cred;

	if (geteuid() != 0) {
		test_skip("not root");
		return;
	}
	child_start(&fx.child, body_nobody, NULL);
	CU_ASSERT_EQUAL_FATAL(child_hear(&fx.child), 1);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
	CU_ASSERT(cred->uid == NOBODY && cred->euid == NOBODY && cred->suid == NOBODY);
	CU_ASSERT(cred->gid == 70 && cred->egid == 71 && cred->sgid == 72);
	TEST_EQUAL(cred->nb_groups, 2);
	CU_ASSERT(cred->groups[0] == 3 && cred->groups[1] == 11);
	TEST_EQUAL(cred->cap_permitted, 0);
}

static void
test_ident_open_other_userns_has_no_caps(void)
{
	child_start(&fx.child, body_userns, NULL);
	if (child_hear(&fx.child) != 1) {
		test_skip("no user namespaces");
		return;
	}
	/* It has all capabilities, in its own namespace. */
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
	TEST_EQUAL(fx.id.cred.cap_permitted, 0);
}

static void
test_ident_open_bad_pid_refused(void)
{
	open_refused(0, -EINVAL);
	open_refused(-1, -EINVAL);
}

static void
test_ident_open_gone_refused(void)
{
	pid_t pid;

	child_start(&fx.child, body_wait, NULL);
	pid = fx.child.pid;
	child_end(&fx.child);
	open_refused(pid, -ESRCH);
}

static void
test_ident_open_zombie_refused(void)
{
	siginfo_t info;

	child_start(&fx.child, body_wait, NULL);
	child_say(&fx.child, 'x');
	CU_ASSERT_EQUAL_FATAL(waitid(P_PID, fx.child.pid, &info, WEXITED | WNOWAIT), 0);
	open_refused(fx.child.pid, -ESRCH);
}

static void
test_ident_open_kernel_thread_refused(void)
{
	char comm[16] = "";
	int fd = open("/proc/2/comm", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, comm, sizeof(comm) - 1) <= 0 ||
			strcmp(comm, "kthreadd\n") != 0 || geteuid() != 0)
		test_skip("pid 2 is no kernel thread here, or not root");
	else
		open_refused(2, -ESRCH);
	if (fd >= 0)
		close(fd);
}

static void *
thread_tid(void *arg)
{
	int *pipes = arg;
	pid_t tid = gettid();
	char c;

	if (write(pipes[1], &tid, sizeof(tid)) != sizeof(tid) || read(pipes[2], &c, 1) < 0)
		return arg;
	return NULL;
}

static void
test_ident_open_thread_id_refused(void)
{
	int pipes[4];
	pthread_t thread;
	pid_t tid = 0;

	CU_ASSERT_EQUAL_FATAL(pipe2(pipes, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(pipes + 2, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, thread_tid, pipes), 0);
	CU_ASSERT_EQUAL(read(pipes[0], &tid, sizeof(tid)), (ssize_t)sizeof(tid));
	open_refused(tid, -ESRCH);
	close(pipes[3]);
	pthread_join(thread, NULL);
	close(pipes[0]);
	close(pipes[1]);
	close(pipes[2]);
}

static void
test_ident_open_many_groups_refused(void)
{
	if (geteuid() != 0) {
		test_skip("not root");
		return;
	}
	child_start(&fx.child, body_many_groups, NULL);
	CU_ASSERT_EQUAL_FATAL(child_hear(&fx.child), 1);
	open_refused(fx.child.pid, -E2BIG);
}

static void
test_ident_open_by_lesser_user_refused(void)
{
	pid_t self = getpid();

	if (geteuid() != 0) {
		test_skip("not root");
		return;
	}
	child_start(&fx.child, body_open_as_nobody, &self);
	TEST_EQUAL(child_exit_code(&fx.child), 42);
}

static void
test_ident_alive_ends_with_exec(void)
{
	child_start(&fx.child, body_exec, NULL);
	child_hear(&fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
	CU_ASSERT(svm_ident_alive(&fx.id));
	child_say(&fx.child, 'x');
	child_hear_end(&fx.child);
	CU_ASSERT(!svm_ident_alive(&fx.id));
	TEST_EQUAL(kill(fx.child.pid, 0), 0);
}

static void
test_ident_alive_ends_with_exit(void)
{
	siginfo_t info;

	child_start(&fx.child, body_wait, NULL);
	child_hear(&fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, fx.child.pid), 0);
	child_say(&fx.child, 'x');
	CU_ASSERT_EQUAL_FATAL(waitid(P_PID, fx.child.pid, &info, WEXITED | WNOWAIT), 0);
	CU_ASSERT(!svm_ident_alive(&fx.id));
}

static void
test_ident_close_twice_is_harmless(void)
{
	unsigned int before = child_fds_count();

	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&fx.id, getpid()), 0);
	TEST_EQUAL(child_fds_count(), before + 2);
	svm_ident_close(&fx.id);
	svm_ident_close(&fx.id);
	TEST_EQUAL(child_fds_count(), before);
	CU_ASSERT(!svm_ident_alive(&fx.id));
}

static void
test_cred_equal_sees_each_field(void)
{
	struct svm_cred a, b;
	unsigned int i;

	memset(&a, 0, sizeof(a));
	a.nb_groups = 1;
	for (i = 0; i < 9; i++) {
		b = a;
		CU_ASSERT(svm_cred_equal(&a, &b));
		switch (i) {
		case 0: b.uid++; break;
		case 1: b.euid++; break;
		case 2: b.suid++; break;
		case 3: b.gid++; break;
		case 4: b.egid++; break;
		case 5: b.sgid++; break;
		case 6: b.cap_permitted++; break;
		case 7: b.nb_groups++; break;
		default: b.groups[0]++; break;
		}
		CU_ASSERT(!svm_cred_equal(&a, &b));
	}
	/* What lies behind the groups counts for nothing. */
	b = a;
	b.groups[1] = 5;
	CU_ASSERT(svm_cred_equal(&a, &b));
}

int
test_ident_suite(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "test_ident_open_reads_own_rights", test_ident_open_reads_own_rights },
		{ "test_ident_open_reads_foreign_rights", test_ident_open_reads_foreign_rights },
		{ "test_ident_open_other_userns_has_no_caps", test_ident_open_other_userns_has_no_caps },
		{ "test_ident_open_bad_pid_refused", test_ident_open_bad_pid_refused },
		{ "test_ident_open_gone_refused", test_ident_open_gone_refused },
		{ "test_ident_open_zombie_refused", test_ident_open_zombie_refused },
		{ "test_ident_open_kernel_thread_refused", test_ident_open_kernel_thread_refused },
		{ "test_ident_open_thread_id_refused", test_ident_open_thread_id_refused },
		{ "test_ident_open_many_groups_refused", test_ident_open_many_groups_refused },
		{ "test_ident_open_by_lesser_user_refused", test_ident_open_by_lesser_user_refused },
		{ "test_ident_open_timed_gives_up_on_who_holds_it_up",
			test_ident_open_timed_gives_up_on_who_holds_it_up },
		{ "test_errand_comes_back_and_says_so", test_errand_comes_back_and_says_so },
		{ "test_errand_left_drops_and_does_not_write",
			test_errand_left_drops_and_does_not_write },
		{ "test_errand_of_one_user_leaves_room_for_another",
			test_errand_of_one_user_leaves_room_for_another },
		{ "test_ident_alive_ends_with_exec", test_ident_alive_ends_with_exec },
		{ "test_ident_alive_ends_with_exit", test_ident_alive_ends_with_exit },
		{ "test_ident_close_twice_is_harmless", test_ident_close_twice_is_harmless },
		{ "test_cred_equal_sees_each_field", test_cred_equal_sees_each_field },
	};
	CU_pSuite suite = CU_add_suite_with_setup_and_teardown("ident", NULL, NULL,
			fx_setup, fx_teardown);
	size_t i;

	if (suite == NULL)
		return -1;
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (CU_add_test(suite, tests[i].name, tests[i].run) == NULL)
			return -1;
	return 0;
}
