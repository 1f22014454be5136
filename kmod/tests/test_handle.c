// SPDX-License-Identifier: GPL-2.0
/* What may name an address space: descriptors of all sorts, threads, other namespaces. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define USER	1000

static int pidfd_open_of(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

static int open_of(pid_t pid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static long do_become_user(long unused)
{
	(void)unused;
	return setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER);
}

static long do_exec(long unused)
{
	char *argv[] = { "sleep", "100000", NULL };

	(void)unused;
	execv("/bin/busybox", argv);
	return -errno;
}

/* Its pipes close when it has become the other program. */
static void worker_exec(struct worker *w)
{
	long ret;

	worker_send(w, do_exec, 0);
	CHECK_EQ(read(w->from, &ret, sizeof(ret)), 0);
}

static void memfd_of_a_program_that_is_gone_is_refused(void)
{
	struct device dev;
	struct worker w;
	int mem, pidfd;

	device_open(&dev, 0);
	worker_start(&w);
	mem = open_of(w.pid, "mem", O_RDWR);
	pidfd = pidfd_open_of(w.pid);
	worker_exec(&w);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, mem, RIGHTS, NULL), -ESRCH);
	/* A pidfd means whatever the process is now. */
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, pidfd, RIGHTS, NULL), 0);
}

static void memfd_opened_to_write_alone_is_bound_to_write(void)
{
	struct device dev;
	struct worker w;
	int mem;

	device_open(&dev, 0);
	worker_start(&w);
	mem = open_of(w.pid, "mem", O_WRONLY);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, mem, VFIO_SVM_READ, NULL), -EACCES);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, mem, VFIO_SVM_WRITE, NULL), 0);
}

static void memfd_of_the_caller_is_bound(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, open_of(getpid(), "mem", O_RDWR), RIGHTS,
			   NULL), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), -EEXIST);
}

/* Who opened it was asked then; whoever holds it could read and write through it. */
static void memfd_is_for_whoever_holds_it(void)
{
	struct device dev;
	struct worker w;
	int mem;

	device_open(&dev, 0);
	worker_start(&w);
	mem = open_of(w.pid, "mem", O_RDWR);
	CHECK_EQ(do_become_user(0), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EACCES);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, mem, RIGHTS, NULL), 0);
}

static void other_files_are_no_memfd(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
#define REFUSED(fd, why) \
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_MEMFD, fd, VFIO_SVM_READ, NULL), why)
	REFUSED(open_of(w.pid, "environ", O_RDONLY), -EINVAL);
	REFUSED(open_of(w.pid, "maps", O_RDONLY), -EINVAL);
	REFUSED(open_of(w.pid, "exe", O_RDONLY), -EINVAL);
	REFUSED(memfd_create("mem", MFD_CLOEXEC), -EINVAL);
	REFUSED(pidfd_open_of(w.pid), -EINVAL);
	REFUSED(open_of(w.pid, "mem", O_PATH), -EBADF);
#undef REFUSED
}

static void pidfd_of_the_caller_is_bound(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, pidfd_open_of(getpid()), RIGHTS, NULL), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), -EEXIST);
}

static void pidfd_of_a_zombie_is_refused(void)
{
	siginfo_t info;
	struct device dev;
	struct worker w;
	int fd;

	device_open(&dev, 0);
	worker_start(&w);
	fd = pidfd_open_of(w.pid);
	CHECK_EQ(kill(w.pid, SIGKILL), 0);
	CHECK_EQ(waitid(P_PID, w.pid, &info, WEXITED | WNOWAIT), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, fd, RIGHTS, NULL), -ESRCH);
}

static void pidfd_of_a_kernel_thread_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, pidfd_open_of(2), RIGHTS, NULL), -ESRCH);
}

static void other_files_are_no_pidfd(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
#define REFUSED(fd) CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, fd, RIGHTS, NULL), -EINVAL)
	REFUSED(open_of(w.pid, "", O_RDONLY | O_DIRECTORY));
	REFUSED(open_of(w.pid, "mem", O_RDWR));
	REFUSED(eventfd(0, EFD_CLOEXEC));
	REFUSED(memfd_create("[pidfd]", MFD_CLOEXEC));
#undef REFUSED
}

static pid_t thread_id;

static void *thread_fn(void *unused)
{
	__atomic_store_n(&thread_id, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (;;)
		pause();
	return unused;
}

static long do_thread(long unused)
{
	pthread_t t;

	(void)unused;
	if (pthread_create(&t, NULL, thread_fn, NULL))
		return -1;
	while (!__atomic_load_n(&thread_id, __ATOMIC_ACQUIRE))
		sched_yield();
	return thread_id;
}

/* A thread's number means the address space that it shares. */
static void number_of_a_thread_is_bound(void)
{
	struct device dev;
	struct worker w;
	long tid;

	device_open(&dev, 0);
	worker_start(&w);
	tid = worker_call(&w, do_thread, 0);
	CHECK(tid > 0 && tid != w.pid);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, tid, RIGHTS, NULL), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EEXIST);
}

static long do_fork_inside(long unused)
{
	pid_t pid;

	(void)unused;
	if (unshare(CLONE_NEWPID))
		return -errno;
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	return pid;
}

/* From outside, a process of an inner namespace has a number like everybody else. */
static void process_of_an_inner_namespace_is_bound(void)
{
	struct vfio_svm_bind bind;
	struct device dev;
	struct worker w;
	long pid;

	device_open(&dev, 0);
	worker_start(&w);
	pid = worker_call(&w, do_fork_inside, 0);
	CHECK(pid > 1);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, pid, RIGHTS, &bind), 0);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PIDFD, pidfd_open_of(pid), RIGHTS, NULL), 0);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(device_event(&dev).type, VFIO_SVM_EVENT_EXIT);
}

/* For worker_call, through a shared page. */
struct ask {
	struct device dev;
	uint32_t type;
	int32_t target;
	uint64_t bond_id;
};

static long do_ask(long at)
{
	struct ask *ask = (struct ask *)at;

	return bind_type(&ask->dev, ask->type, ask->target, RIGHTS, NULL);
}

static long do_unbind(long at)
{
	struct ask *ask = (struct ask *)at;

	return unbind_id(&ask->dev, ask->bond_id);
}

/* It is asked for who calls, not for who opened; and what is bound is everybody's. */
static void device_passed_on_asks_for_its_holder(void)
{
	struct ask *ask = shared_alloc(sizeof(*ask));
	struct vfio_svm_bind bind;
	struct worker w;

	device_open(&ask->dev, 0);
	CHECK_EQ(bind_type(&ask->dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
	worker_start(&w);
	CHECK_EQ(worker_call(&w, do_become_user, 0), 0);
	ask->type = VFIO_SVM_BIND_PID;
	ask->target = 1;
	CHECK_EQ(worker_call(&w, do_ask, (long)ask), -EACCES);
	ask->type = VFIO_SVM_BIND_SELF;
	ask->target = 0;
	CHECK_EQ(worker_call(&w, do_ask, (long)ask), 0);
	ask->bond_id = bind.bond_id;
	CHECK_EQ(worker_call(&w, do_unbind, (long)ask), 0);
	CHECK_EQ(unbind_id(&ask->dev, bind.bond_id), -ENOENT);
}

/* The old id is nobody's when its number has become somebody else's. */
static void id_of_a_recycled_pasid_is_refused(void)
{
	struct vfio_svm_bind old, bind;
	struct device dev;
	struct worker w;

	worker_start(&w);
	device_open(&dev, 0);
	old = worker_bind(&dev, &w);
	CHECK_EQ(unbind_id(&dev, old.bond_id), 0);
	while (bind = worker_bind(&dev, &w), bind.pasid != old.pasid)
		CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	CHECK_EQ(unbind_id(&dev, old.bond_id), -ENOENT);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EEXIST);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
}

/* Each structure short, with zeros behind it, and with more. */
static void structures_of_all_calls_are_measured(void)
{
	static const struct {
		unsigned long cmd;
		uint32_t min, len;
		bool consent;
	} calls[] = {
#define CALL(cmd, type, consent) { cmd, sizeof(type), sizeof(type), consent }
		CALL(VFIO_SVM_UNBIND, struct vfio_svm_unbind, false),
		CALL(VFIO_SVM_CONSENT, struct vfio_svm_consent, false),
		CALL(VFIO_SVM_PAGE_RESPONSE, struct vfio_svm_page_response, false),
		CALL(VFIO_SVM_CONSENT_BIND, struct vfio_svm_consent_bind, true),
		CALL(VFIO_SVM_CONSENT_NARROW, struct vfio_svm_narrow, true),
		CALL(VFIO_SVM_CONSENT_REVOKE, struct vfio_svm_head, true),
#undef CALL
		/* It grew once. */
		{ VFIO_SVM_QUEUE, offsetof(struct vfio_svm_queue, fault_timeout_us),
		  sizeof(struct vfio_svm_queue), false },
	};
	struct vfio_svm_consent consent = { .argsz = sizeof(consent), .flags = RIGHTS };
	uint32_t arg[64];
	struct device dev;
	unsigned int i;
	int fd, with;

	device_open(&dev, 0);
	with = xioctl(dev.fd, VFIO_SVM_CONSENT, &consent);
	CHECK(with >= 0);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		fd = calls[i].consent ? with : dev.fd;
		memset(arg, 0, sizeof(arg));
		arg[0] = calls[i].min - 1;
		CHECK_EQ(xioctl(fd, calls[i].cmd, arg), -EINVAL);
		arg[0] = calls[i].len + 4;
		CHECK(xioctl(fd, calls[i].cmd, arg) != -E2BIG);
		arg[calls[i].len / 4] = 1;
		CHECK_EQ(xioctl(fd, calls[i].cmd, arg), -E2BIG);
		CHECK_EQ(xioctl(fd, calls[i].cmd, NULL), -EFAULT);
	}
}

/* A consent whose reply cannot be told has bound nobody, and may be used again. */
static void consent_reply_unwritable_leaves_no_bond(void)
{
	struct vfio_svm_consent consent = { .argsz = sizeof(consent), .flags = RIGHTS };
	struct vfio_svm_consent_bind *bind = shared_alloc(4096);
	struct device dev;
	int fd;

	device_open(&dev, 0);
	fd = xioctl(dev.fd, VFIO_SVM_CONSENT, &consent);
	CHECK(fd >= 0);
	bind->argsz = sizeof(*bind);
	bind->flags = RIGHTS;
	CHECK_EQ(mprotect(bind, 4096, PROT_READ), 0);
	CHECK_EQ(xioctl(fd, VFIO_SVM_CONSENT_BIND, bind), -EFAULT);
	CHECK(!device_has_event(&dev));
	CHECK_EQ(mprotect(bind, 4096, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(xioctl(fd, VFIO_SVM_CONSENT_BIND, bind), 0);
}

static void queue_reply_unwritable_leaves_no_queue(void)
{
	struct vfio_svm_queue *queue = shared_alloc(4096);
	struct device dev;

	device_open(&dev, 0);
	queue->argsz = sizeof(*queue);
	queue->depth = 32;
	CHECK_EQ(mprotect(queue, 4096, PROT_READ), 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, queue), -EFAULT);
	CHECK_EQ(device_region(&dev, VFIO_SVM_REGION_QUEUE).size, 0);
	CHECK_EQ(mprotect(queue, 4096, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, queue), 0);
}

static const struct test handle_tests[] = {
	TEST(memfd_of_a_program_that_is_gone_is_refused),
	TEST(memfd_opened_to_write_alone_is_bound_to_write),
	TEST(memfd_of_the_caller_is_bound),
	TEST(memfd_is_for_whoever_holds_it),
	TEST(other_files_are_no_memfd),
	TEST(pidfd_of_the_caller_is_bound),
	TEST(pidfd_of_a_zombie_is_refused),
	TEST(pidfd_of_a_kernel_thread_is_refused),
	TEST(other_files_are_no_pidfd),
	TEST(number_of_a_thread_is_bound),
	TEST(process_of_an_inner_namespace_is_bound),
	TEST(device_passed_on_asks_for_its_holder),
	TEST(id_of_a_recycled_pasid_is_refused),
	TEST(structures_of_all_calls_are_measured),
	TEST(consent_reply_unwritable_leaves_no_bond),
	TEST(queue_reply_unwritable_leaves_no_queue),
};

SUITE(handle);
