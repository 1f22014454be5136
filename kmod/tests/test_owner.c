// SPDX-License-Identifier: GPL-2.0
/* Owners: two at once, one that is killed, and one whose device is removed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define LEN	65536ul
#define DRIVER	"/sys/bus/platform/drivers/vfio_svm_sw/"

/* What an owner that is a process of its own does, and how far it is. */
struct order {
	int instance;
	pid_t pid;		/* whom to bind */
	unsigned long at;	/* LEN bytes of it */
	unsigned int nb;	/* rounds; 0: without end */
	unsigned int done;
	unsigned char ref[LEN];
	unsigned char back[LEN];
};

static void own_once(struct device *dev, struct queue *q, struct order *o)
{
	struct vfio_svm_bind self, bind;
	struct svm_desc desc;

	CHECK_EQ(bind_type(dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &self), 0);
	CHECK_EQ(bind_type(dev, VFIO_SVM_BIND_PID, o->pid, RIGHTS, &bind), 0);
	desc = desc_copy(self.pasid, (unsigned long)o->ref, bind.pasid, o->at, LEN);
	CHECK_EQ(queue_run(q, &desc).status, SVM_ST_OK);
	memset(o->back, 0, LEN);
	desc = desc_copy(bind.pasid, o->at, self.pasid, (unsigned long)o->back, LEN);
	CHECK_EQ(queue_run(q, &desc).status, SVM_ST_OK);
	CHECK_EQ(memcmp(o->ref, o->back, LEN), 0);
	CHECK_EQ(unbind_id(dev, bind.bond_id), 0);
	CHECK_EQ(unbind_id(dev, self.bond_id), 0);
	__atomic_fetch_add(&o->done, 1, __ATOMIC_RELEASE);
}

static long do_own(long arg)
{
	struct order *o = (struct order *)arg;
	struct device dev;
	struct queue q;

	device_open(&dev, o->instance);
	queue_open(&q, &dev, 0, 32, 0);
	while (!o->nb || o->done < o->nb)
		own_once(&dev, &q, o);
	queue_unmap(&q);
	device_close(&dev);
	return 0;
}

static void wait_done(struct order *o, unsigned int nb)
{
	unsigned int from = __atomic_load_n(&o->done, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&o->done, __ATOMIC_ACQUIRE) - from < nb)
		sched_yield();
}

static struct order *order_make(int instance, const struct worker *w, unsigned long at)
{
	struct order *o = shared_alloc(sizeof(*o));

	o->instance = instance;
	o->pid = w->pid;
	o->at = at;
	bytes_lay(o->ref, LEN, instance ? 0x80 : 0);
	return o;
}

/* Both work in the same worker; the death of the one is nothing to the other. */
static void two_owners_do_not_notice_each_other(void)
{
	struct order *order[2];
	struct worker w, owner[2];
	long ret;
	int i;

	worker_start(&w);
	for (i = 0; i < 2; i++) {
		order[i] = order_make(i, &w, worker_map(&w, LEN));
		order[i]->nb = i ? 0 : 10 + rounds(200);
		worker_start(&owner[i]);
		worker_send(&owner[i], do_own, (long)order[i]);
	}
	/* Only the second is waited for: it ends when it is killed, the first by itself. */
	wait_done(order[1], 3);
	worker_kill(&owner[1]);
	CHECK_EQ(read(owner[0].from, &ret, sizeof(ret)), sizeof(ret));
	CHECK_EQ(ret, 0);
}

/* Wherever in its calls it was, its device can be had by the next. */
static void killed_owner_leaves_a_device_that_works(void)
{
	unsigned int i, j, n = rounds(100);
	struct worker w, owner;
	struct order *o;

	worker_start(&w);
	o = order_make(0, &w, worker_map(&w, LEN));
	for (i = 0; i < n; i++) {
		o->nb = 0;
		worker_start(&owner);
		worker_send(&owner, do_own, (long)o);
		wait_done(o, 1);
		for (j = 0; j < i % 16; j++)
			sched_yield();
		worker_kill(&owner);
	}
	o->done = 0;
	o->nb = 1;
	worker_start(&owner);
	CHECK_EQ(worker_call(&owner, do_own, (long)o), 0);
}

static void second_owner_of_a_device_is_refused(void)
{
	struct device dev;
	char path[64];

	device_open(&dev, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dev.group);
	CHECK_EQ(open(path, O_RDWR), -1);
	CHECK_EQ(errno, EBUSY);
}

static long remove_module(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static void modules_in_use_stay(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct device dev;
	struct queue q;

	device_open(&dev, 0);
	CHECK_EQ(remove_module("vfio_svm_sw"), -EWOULDBLOCK);
	CHECK_EQ(remove_module("vfio_svm"), -EWOULDBLOCK);
	queue_open(&q, &dev, 0, 32, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
	desc = desc_fill(bind.pasid, do_map(LEN), LEN, 1);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
}

static bool tell_driver(const char *file)
{
	char path[128];
	bool told;
	int fd;

	snprintf(path, sizeof(path), DRIVER "%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	told = write(fd, "vfio_svm_sw.1", 13) == 13;
	close(fd);
	return told;
}

static long do_remove(long unused)
{
	(void)unused;
	return !tell_driver("unbind");
}

static bool device_is_there(void)
{
	return !access("/sys/bus/platform/devices/vfio_svm_sw.1/iommu_group", F_OK);
}

/* Whoever removes it waits; the owner is told, and has the device until it closes it. */
static void removal_is_announced_and_waits(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct worker w, remover;
	struct device dev;
	struct queue q;
	long ret;

	worker_start(&w);
	worker_start(&remover);
	device_open(&dev, 1);
	queue_open(&q, &dev, 0, 32, 0);
	bind = worker_bind(&dev, &w);
	desc = desc_fill(bind.pasid, worker_map(&w, LEN), LEN, 1);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
	worker_send(&remover, do_remove, 0);
	CHECK_EQ(device_event(&dev).type, VFIO_SVM_EVENT_REMOVE);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	worker_bind(&dev, &w);
	queue_unmap(&q);
	device_close(&dev);
	CHECK_EQ(read(remover.from, &ret, sizeof(ret)), sizeof(ret));
	CHECK_EQ(ret, 0);
	CHECK(!device_is_there());
	CHECK(tell_driver("bind"));
	device_open(&dev, 1);
	worker_bind(&dev, &w);
}

static void removed_device_comes_back(void)
{
	unsigned int i, n = rounds(20);
	struct device dev;

	for (i = 0; i < n; i++) {
		CHECK(tell_driver("unbind"));
		CHECK(!device_is_there());
		CHECK(tell_driver("bind"));
		device_open(&dev, 1);
		CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
		device_close(&dev);
	}
}

static const struct test owner_tests[] = {
	TEST(two_owners_do_not_notice_each_other),
	TEST(killed_owner_leaves_a_device_that_works),
	TEST(second_owner_of_a_device_is_refused),
	TEST(modules_in_use_stay),
	TEST(removal_is_announced_and_waits),
	TEST(removed_device_comes_back),
};

SUITE(owner);
