// SPDX-License-Identifier: GPL-2.0
/* VFIO_SVM_BIND: whose address space, and who may. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define USER	1000

static int pidfd_open_of(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

static long do_dumpable(long on)
{
	return prctl(PR_SET_DUMPABLE, on);
}

/* From root to an ordinary user who may be looked at by others of the same name. */
static void become_user(void)
{
	CHECK_EQ(setgroups(0, NULL), 0);
	CHECK_EQ(setresgid(USER, USER, USER), 0);
	CHECK_EQ(setresuid(USER, USER, USER), 0);
	CHECK_EQ(do_dumpable(1), 0);
}

static long do_become_user(long unused)
{
	(void)unused;
	become_user();
	return 0;
}

static void set_yama(const char *scope)
{
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_WRONLY);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, scope, 1), 1);
	close(fd);
}

static void self_gets_a_pasid(void)
{
	struct vfio_svm_bind bind;
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
	CHECK(bind.pasid >= 1 && bind.pasid <= SVM_PASID_MAX);
	CHECK(bind.bond_id != 0);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
}

static void self_with_a_target_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, getpid(), RIGHTS, NULL), -EINVAL);
}

static void self_not_dumpable_is_bound(void)
{
	struct device dev;

	device_open(&dev, 0);
	become_user();
	CHECK_EQ(do_dumpable(0), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
}

static void own_pid_not_dumpable_is_bound(void)
{
	struct device dev;

	device_open(&dev, 0);
	become_user();
	CHECK_EQ(do_dumpable(0), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, getpid(), RIGHTS, NULL), 0);
}

static void pid_of_a_child_is_bound(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), 0);
}

static void pid_of_nobody_is_refused(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
	worker_kill(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -ESRCH);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, 0x7fffffff, RIGHTS, NULL), -ESRCH);
}

static void pid_that_is_none_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, 0, RIGHTS, NULL), -EINVAL);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, -1, RIGHTS, NULL), -EINVAL);
}

static void kernel_thread_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, 2, RIGHTS, NULL), -ESRCH);
}

static void zombie_is_refused(void)
{
	siginfo_t info;
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
	CHECK_EQ(kill(w.pid, SIGKILL), 0);
	CHECK_EQ(waitid(P_PID, w.pid, &info, WEXITED | WNOWAIT), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -ESRCH);
}

static void another_users_process_is_refused(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
	become_user();
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EACCES);
}

static void own_users_child_is_bound(void)
{
	struct device dev;
	struct worker w;

	set_yama("0");
	device_open(&dev, 0);
	become_user();
	worker_start(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), 0);
}

/* Only the effective user is another: the contract says real credentials. */
static void real_user_counts_not_effective(void)
{
	struct device dev;
	struct worker w;

	set_yama("0");
	device_open(&dev, 0);
	worker_start(&w);
	CHECK_EQ(worker_call(&w, do_become_user, 0), 0);
	CHECK_EQ(setgroups(0, NULL), 0);
	CHECK_EQ(setresgid(USER + 1, USER, USER), 0);
	CHECK_EQ(setresuid(USER + 1, USER, USER), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EACCES);
}

static void child_not_dumpable_is_refused(void)
{
	struct device dev;
	struct worker w;

	set_yama("0");
	device_open(&dev, 0);
	become_user();
	worker_start(&w);
	CHECK_EQ(worker_call(&w, do_dumpable, 0), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EACCES);
}

static void root_binds_anybody(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
	CHECK_EQ(worker_call(&w, do_become_user, 0), 0);
	CHECK_EQ(worker_call(&w, do_dumpable, 0), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), 0);
}

/* For worker_call, through a shared page: what to bind, as the worker sees it. */
struct ask {
	struct device dev;
	uint32_t type;
	int32_t target;
};

static long do_ask(long at)
{
	struct ask *ask = (struct ask *)at;

	return bind_type(&ask->dev, ask->type, ask->target, RIGHTS, NULL);
}

/* Of two siblings neither is the other's ancestor. */
static long bind_sibling(const char *scope)
{
	struct ask *ask = shared_alloc(sizeof(*ask));
	struct worker owner, sibling;

	set_yama(scope);
	device_open(&ask->dev, 0);
	become_user();
	worker_start(&sibling);
	worker_start(&owner);
	ask->type = VFIO_SVM_BIND_PID;
	ask->target = sibling.pid;
	return worker_call(&owner, do_ask, (long)ask);
}

static void sibling_is_bound_without_yama(void)
{
	CHECK_EQ(bind_sibling("0"), 0);
}

static void sibling_is_refused_under_yama(void)
{
	CHECK_EQ(bind_sibling("1"), -EACCES);
}

static void child_is_bound_under_yama(void)
{
	struct device dev;
	struct worker w;

	set_yama("1");
	device_open(&dev, 0);
	become_user();
	worker_start(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), 0);
}

/* A worker that forks a process into a new pid namespace; its reply is that one's. */
static long do_ask_in_namespace(long at)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		return -errno;
	pid = fork();
	if (!pid)
		_exit(-do_ask(at));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

static void pid_means_the_callers_namespace(void)
{
	struct ask *ask = shared_alloc(sizeof(*ask));
	struct worker w;

	device_open(&ask->dev, 0);
	worker_start(&w);
	ask->type = VFIO_SVM_BIND_PID;
	/* Our own number means nobody in there. */
	ask->target = getpid();
	CHECK_EQ(worker_call(&w, do_ask_in_namespace, (long)ask), -ESRCH);
	/* And 1 is not this machine's first process, but the caller itself. */
	ask->target = 1;
	worker_kill(&w);
	worker_start(&w);
	CHECK_EQ(worker_call(&w, do_ask_in_namespace, (long)ask), 0);
}

static void pidfd_of_a_child_is_bound(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, pidfd_open_of(w.pid), RIGHTS, NULL), 0);
}

static void pidfd_of_another_user_is_refused(void)
{
	struct device dev;
	struct worker w;
	int fd;

	device_open(&dev, 0);
	worker_start(&w);
	fd = pidfd_open_of(w.pid);
	become_user();
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, fd, RIGHTS, NULL), -EACCES);
}

static void pidfd_of_the_dead_is_refused(void)
{
	struct device dev;
	struct worker w;
	int fd;

	device_open(&dev, 0);
	worker_start(&w);
	fd = pidfd_open_of(w.pid);
	worker_kill(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, fd, RIGHTS, NULL), -ESRCH);
}

static void descriptor_of_another_sort_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, dev.fd, RIGHTS, NULL), -EINVAL);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, dev.fd, RIGHTS, NULL), -EINVAL);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, 999, RIGHTS, NULL), -EBADF);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, -1, RIGHTS, NULL), -EBADF);
}

static int open_mem(pid_t pid, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, flags | O_CLOEXEC);
}

static void memfd_is_bound_with_its_rights(void)
{
	struct device dev;
	struct worker w;
	int fd;

	device_open(&dev, 0);
	worker_start(&w);
	fd = open_mem(w.pid, O_RDONLY);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, fd, RIGHTS, NULL), -EACCES);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, fd, VFIO_SVM_READ, NULL), 0);
}

static void memfd_opened_to_write_is_bound(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, open_mem(w.pid, O_RDWR), RIGHTS, NULL), 0);
}

static void memfd_of_the_dead_is_refused(void)
{
	struct device dev;
	struct worker w;
	int fd;

	device_open(&dev, 0);
	worker_start(&w);
	fd = open_mem(w.pid, O_RDWR);
	worker_kill(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, fd, RIGHTS, NULL), -ESRCH);
}

static const struct test perm_tests[] = {
	TEST(self_gets_a_pasid),
	TEST(self_with_a_target_is_refused),
	TEST(self_not_dumpable_is_bound),
	TEST(own_pid_not_dumpable_is_bound),
	TEST(pid_of_a_child_is_bound),
	TEST(pid_of_nobody_is_refused),
	TEST(pid_that_is_none_is_refused),
	TEST(kernel_thread_is_refused),
	TEST(zombie_is_refused),
	TEST(another_users_process_is_refused),
	TEST(own_users_child_is_bound),
	TEST(real_user_counts_not_effective),
	TEST(child_not_dumpable_is_refused),
	TEST(root_binds_anybody),
	TEST(sibling_is_bound_without_yama),
	TEST(sibling_is_refused_under_yama),
	TEST(child_is_bound_under_yama),
	TEST(pid_means_the_callers_namespace),
	TEST(pidfd_of_a_child_is_bound),
	TEST(pidfd_of_another_user_is_refused),
	TEST(pidfd_of_the_dead_is_refused),
	TEST(descriptor_of_another_sort_is_refused),
	TEST(memfd_is_bound_with_its_rights),
	TEST(memfd_opened_to_write_is_bound),
	TEST(memfd_of_the_dead_is_refused),
};

SUITE(perm);
