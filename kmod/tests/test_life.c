// SPDX-License-Identifier: GPL-2.0
/* How bonds end: with the address space, with the device, and not before. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static long do_exec(long unused)
{
	char *argv[] = { "sleep", "100000", NULL };

	(void)unused;
	execv("/bin/busybox", argv);
	return -errno;
}

static long do_fork(long unused)
{
	pid_t pid = fork();

	(void)unused;
	if (!pid)
		for (;;)
			pause();
	return pid;
}

static long do_unmap(long addr)
{
	return munmap((void *)addr, 4096);
}

/* A descriptor that copies within the worker, at an address it has. */
static struct svm_desc within(struct worker *w, const struct vfio_svm_bind *bind)
{
	unsigned long at = worker_map(w, 8192);

	return desc_copy(bind->pasid, at, bind->pasid, at + 4096, 4096);
}

static void killed_worker_ends_its_bond(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct device dev;
	struct worker w;
	struct queue q;

	device_open(&dev, 0);
	queue_open(&q, &dev, 0, 32, 0);
	worker_start(&w);
	bind = worker_bind(&dev, &w);
	desc = within(&w, &bind);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
	worker_kill(&w);
	CHECK_EQ(device_event(&dev).type, VFIO_SVM_EVENT_EXIT);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_BOND_DEAD);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), -ENOENT);
}

static void exec_ends_the_bond(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct device dev;
	struct worker w;
	struct queue q;

	device_open(&dev, 0);
	queue_open(&q, &dev, 0, 32, 0);
	worker_start(&w);
	bind = worker_bind(&dev, &w);
	desc = within(&w, &bind);
	worker_send(&w, do_exec, 0);
	CHECK_EQ(device_event(&dev).type, VFIO_SVM_EVENT_EXIT);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_BOND_DEAD);
	/* The program that it became is another address space, and free to be bound. */
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), 0);
}

static void fork_copies_no_bond(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct device dev;
	struct worker w;
	struct queue q;
	pid_t child;

	device_open(&dev, 0);
	queue_open(&q, &dev, 0, 32, 0);
	worker_start(&w);
	bind = worker_bind(&dev, &w);
	desc = within(&w, &bind);
	child = worker_call(&w, do_fork, 0);
	CHECK(child > 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, child, RIGHTS, NULL), 0);
	worker_kill(&w);
	CHECK_EQ(device_event(&dev).bond_id, bind.bond_id);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_BOND_DEAD);
}

static void unmapped_memory_is_a_fault(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct svm_cpl cpl;
	struct device dev;
	struct worker w;
	struct queue q;

	device_open(&dev, 0);
	queue_open(&q, &dev, 0, 32, 0);
	worker_start(&w);
	bind = worker_bind(&dev, &w);
	desc = within(&w, &bind);
	CHECK_EQ(worker_call(&w, do_unmap, desc.dst), 0);
	cpl = queue_run(&q, &desc);
	CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
	CHECK_EQ(cpl.fault_addr, desc.dst);
	CHECK_EQ(cpl.done, 0);
}

static void device_closes_with_bonds_alive(void)
{
	struct device dev;
	struct worker w;
	int i;

	worker_start(&w);
	for (i = 0; i < 5; i++) {
		device_open(&dev, 0);
		worker_bind(&dev, &w);
		device_close(&dev);
	}
}

static void device_closes_with_work_in_flight(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct device dev;
	struct worker w;
	struct queue q;
	int i, j;

	worker_start(&w);
	for (i = 0; i < 20; i++) {
		device_open(&dev, 0);
		queue_open(&q, &dev, 0, 32, 0);
		bind = worker_bind(&dev, &w);
		desc.src = worker_map(&w, 2 << 20);
		desc = desc_copy(bind.pasid, desc.src, bind.pasid, desc.src + (1 << 20), 1 << 20);
		for (j = 0; j < 32; j++)
			queue_send(&q, &desc);
		queue_unmap(&q);
		device_close(&dev);
	}
}

/* A mapping of a queue that is gone shows the old pages, and nobody else's. */
static void queue_removed_is_stopped(void)
{
	struct vfio_svm_queue arg = { .argsz = sizeof(arg) };
	struct device dev;
	struct queue q;

	device_open(&dev, 0);
	queue_open(&q, &dev, 0, 32, 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), 0);
	CHECK_EQ(q.hdr->state, SVM_QS_STOPPED);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), -ENOENT);
	CHECK_EQ(device_region(&dev, VFIO_SVM_REGION_QUEUE).size, 0);
	queue_open(&q, &dev, 0, 64, 0);
	CHECK_EQ(q.hdr->state, SVM_QS_RUNNING);
}

static void queue_twice_and_bad_depths_are_refused(void)
{
	struct vfio_svm_queue arg = { .argsz = sizeof(arg), .depth = 32 };
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), -EBUSY);
	arg.queue = 1;
	arg.depth = 33;
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), -EINVAL);
	arg.depth = 16;
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), -EINVAL);
	arg.depth = 65536;
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), -EINVAL);
	arg.depth = 32;
	arg.bond_id = 1ull << 60;
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), -ENOENT);
	arg.bond_id = 0;
	arg.queue = 4;
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), -ENOENT);
}

/* Only the address space keeps the file. */
static long do_map_there(long len)
{
	int fd = open("/tmp/mnt/file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	void *at = MAP_FAILED;

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, len))
		at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? -1 : (long)at;
}

/*
 * The proof that a bond holds no address space: a mapped file is let go when the
 * worker dies, also when it dies with copies under way.
 */
static void dead_worker_lets_go_of_its_files(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	unsigned long at;
	struct device dev;
	struct worker w;
	struct queue q;
	int i;

	mkdir("/tmp/mnt", 0700);
	CHECK_EQ(mount("none", "/tmp/mnt", "tmpfs", 0, NULL), 0);
	device_open(&dev, 0);
	queue_open(&q, &dev, 0, 32, 0);
	worker_start(&w);
	bind = worker_bind(&dev, &w);
	at = worker_call(&w, do_map_there, 1 << 20);
	CHECK(at != -1ul);
	desc = desc_fill(bind.pasid, at, 1 << 20, 0x1122334455667788);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
	CHECK_EQ(umount("/tmp/mnt"), -1);
	CHECK_EQ(errno, EBUSY);
	for (i = 0; i < 32; i++)
		queue_send(&q, &desc);
	worker_kill(&w);
	for (i = 0; i < 32; i++)
		queue_wait(&q);
	/* The last user's end of it may be left to a worker of the kernel's. */
	while (umount("/tmp/mnt")) {
		CHECK_EQ(errno, EBUSY);
		usleep(1000);
	}
}

struct maker {
	struct device *dev;
	struct vfio_svm_queue *arg;	/* readable, not writable: the reply is what fails */
	volatile uint64_t failed;
	volatile int stop;
};

static void *race_failing_make(void *arg)
{
	struct maker *m = arg;

	while (!m->stop)
		if (xioctl(m->dev->fd, VFIO_SVM_QUEUE, m->arg) == -EFAULT)
			m->failed++;
	return NULL;
}

/* A queue whose reply fails is taken back, and never the one that somebody made since. */
static void failed_reply_takes_no_other_queue_back(void)
{
	struct vfio_svm_queue arg = { .argsz = sizeof(arg), .depth = 32 };
	struct vfio_svm_queue remove = { .argsz = sizeof(remove) };
	struct device dev;
	struct maker m = { .dev = &dev };
	unsigned int i, made = 0;
	pthread_t t;

	device_open(&dev, 0);
	m.arg = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m.arg != MAP_FAILED);
	*m.arg = arg;
	CHECK_EQ(mprotect(m.arg, 4096, PROT_READ), 0);
	CHECK_EQ(pthread_create(&t, NULL, race_failing_make, &m), 0);
	for (i = 0; i < rounds(1000) || !made || !m.failed; i++) {
		xioctl(dev.fd, VFIO_SVM_QUEUE, &remove);
		if (xioctl(dev.fd, VFIO_SVM_QUEUE, &arg))
			continue;
		made++;
		/* Nobody else removes one. */
		CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &arg), -EBUSY);
	}
	m.stop = 1;
	CHECK_EQ(pthread_join(t, NULL), 0);
}

struct racer {
	struct device *dev;
	pid_t pid;
	volatile uint64_t bond_id;
	volatile int stop;
};

static void *race_bind(void *arg)
{
	struct racer *r = arg;
	struct vfio_svm_bind bind;

	while (!r->stop)
		if (!bind_type(r->dev, VFIO_SVM_BIND_PID, r->pid, RIGHTS, &bind))
			r->bond_id = bind.bond_id;
	return NULL;
}

static void *race_unbind(void *arg)
{
	struct racer *r = arg;

	while (!r->stop)
		unbind_id(r->dev, r->bond_id);
	return NULL;
}

/* Two threads bind, two unbind, while the worker dies; again and again. */
static void binds_and_unbinds_race_with_exit(void)
{
	pthread_t t[4];
	struct device dev;
	struct racer r;
	struct worker w;
	int i, j;

	device_open(&dev, 0);
	for (i = 0; i < 20; i++) {
		worker_start(&w);
		r = (struct racer){ .dev = &dev, .pid = w.pid };
		for (j = 0; j < 4; j++)
			CHECK_EQ(pthread_create(&t[j], NULL, j % 2 ? race_bind : race_unbind, &r), 0);
		usleep(5000);
		worker_kill(&w);
		r.stop = 1;
		for (j = 0; j < 4; j++)
			CHECK_EQ(pthread_join(t[j], NULL), 0);
		unbind_id(&dev, r.bond_id);
	}
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
}

static const struct test life_tests[] = {
	TEST(killed_worker_ends_its_bond),
	TEST(exec_ends_the_bond),
	TEST(fork_copies_no_bond),
	TEST(unmapped_memory_is_a_fault),
	TEST(device_closes_with_bonds_alive),
	TEST(device_closes_with_work_in_flight),
	TEST(queue_removed_is_stopped),
	TEST(queue_twice_and_bad_depths_are_refused),
	TEST(failed_reply_takes_no_other_queue_back),
	TEST(dead_worker_lets_go_of_its_files),
	TEST(binds_and_unbinds_race_with_exit),
};

SUITE(life);
