// SPDX-License-Identifier: GPL-2.0
/*
 * What nobody can end: threads that sleep on a FUSE server which hangs, left behind by
 * their bonds; what they keep, what they are counted against, and how they come back.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "fuse.h"

#define MAX_STUCK	6

struct scene {
	struct fuse fuse;
	struct worker w[MAX_STUCK];
	unsigned long file[MAX_STUCK];
	struct vfio_svm_bind bind[MAX_STUCK];
	unsigned int nb;
	struct device dev;
	struct queue q;
};

/* The workers' file is open, and the server hangs. */
static void scene_open(struct scene *s, unsigned int nb)
{
	unsigned int i;

	fuse_start(&s->fuse, 0);
	s->nb = nb;
	for (i = 0; i < nb; i++) {
		worker_start(&s->w[i]);
		s->file[i] = worker_call(&s->w[i], do_map_fuse, FUSE_FILE_LEN);
		CHECK(s->file[i] != -1ul);
	}
	device_open(&s->dev, 0);
	device_patience(1000);
	for (i = 0; i < nb; i++)
		s->bind[i] = worker_bind(&s->dev, &s->w[i]);
	queue_open(&s->q, &s->dev, 0, 64, 0);
	fuse_hold(&s->fuse);
}

/* The lane of each sleeps where no signal reaches it, on a page of its own. */
static void get_stuck(struct scene *s)
{
	struct svm_desc desc;
	unsigned int i;

	for (i = 0; i < s->nb; i++) {
		desc = desc_copy(s->bind[i].pasid, s->file[i] + i * 4096, s->bind[i].pasid,
				 s->file[i], 64);
		queue_send(&s->q, &desc);
	}
	fuse_wait_held(&s->fuse, s->nb);
	for (i = 0; i < s->nb; i++)
		CHECK_EQ(queue_wait(&s->q).status, SVM_ST_TIMEOUT);
}

static void wait_nothing_left(struct device *dev)
{
	while (device_stats(dev).left)
		usleep(1000);
}

static long remove_module(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static void stuck_lane_is_no_lane_left_behind(void)
{
	struct scene s;

	scene_open(&s, 1);
	get_stuck(&s);
	CHECK_EQ(device_stats(&s.dev).left, 0);
	fuse_release(&s.fuse);
	/* In time to go with its bond. */
	CHECK_EQ(unbind_id(&s.dev, s.bind[0].bond_id), 0);
	wait_nothing_left(&s.dev);
}

static void unbind_leaves_it_behind(void)
{
	struct scene s;

	scene_open(&s, 1);
	get_stuck(&s);
	CHECK_EQ(unbind_id(&s.dev, s.bind[0].bond_id), 0);
	CHECK_EQ(device_stats(&s.dev).left, 1);
	/* The address space can be bound again, with a lane of its own. */
	worker_bind(&s.dev, &s.w[0]);
	fuse_release(&s.fuse);
	wait_nothing_left(&s.dev);
}

static void dead_worker_leaves_it_behind(void)
{
	struct scene s;

	scene_open(&s, 1);
	get_stuck(&s);
	worker_kill(&s.w[0]);
	CHECK_EQ(unbind_id(&s.dev, s.bind[0].bond_id), 0);
	CHECK_EQ(device_stats(&s.dev).left, 1);
	fuse_kill(&s.fuse);
	wait_nothing_left(&s.dev);
}

/* Closing takes about as long for many as for one: the test's own bound is the proof. */
static void close_leaves_all_behind(void)
{
	struct scene s;

	scene_open(&s, MAX_STUCK);
	get_stuck(&s);
	queue_unmap(&s.q);
	device_close(&s.dev);
	device_open(&s.dev, 0);
	CHECK_EQ(device_stats(&s.dev).left, MAX_STUCK);
	fuse_release(&s.fuse);
	wait_nothing_left(&s.dev);
}

static void module_stays_until_all_are_back(void)
{
	struct scene s;

	scene_open(&s, 1);
	get_stuck(&s);
	queue_unmap(&s.q);
	device_close(&s.dev);
	CHECK_EQ(remove_module("vfio_svm_sw"), -EAGAIN);
	CHECK_EQ(remove_module("vfio_svm"), -EAGAIN);
	/* It stands there as before. */
	device_open(&s.dev, 0);
	CHECK_EQ(device_stats(&s.dev).left, 1);
	fuse_release(&s.fuse);
	wait_nothing_left(&s.dev);
}

static void owner_with_too_many_binds_and_opens_no_more(void)
{
	struct device again;
	struct scene s;

	scene_open(&s, 2);
	get_stuck(&s);
	CHECK_EQ(unbind_id(&s.dev, s.bind[0].bond_id), 0);
	param_set("vfio_svm", "max_owner_left", 1);
	CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), -EDQUOT);
	CHECK_EQ(device_try_open(&again, 1), -EDQUOT);
	queue_unmap(&s.q);
	device_close(&s.dev);
	CHECK_EQ(device_try_open(&again, 0), -EDQUOT);
	fuse_release(&s.fuse);
	while (device_try_open(&again, 0))
		usleep(1000);
	CHECK_EQ(device_stats(&again).left, 0);
	CHECK_EQ(bind_type(&again, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
}

static long do_setuid(long uid)
{
	return setuid(uid) ? -errno : 0;
}

/* One user's workers that hang are no reason to bind nobody else's. */
static void worker_with_too_many_is_bound_no_more(void)
{
	struct worker stranger;
	struct scene s;

	worker_start(&stranger);
	CHECK_EQ(worker_call(&stranger, do_setuid, 4242), 0);
	scene_open(&s, 2);
	get_stuck(&s);
	CHECK_EQ(unbind_id(&s.dev, s.bind[0].bond_id), 0);
	param_set("vfio_svm", "max_worker_left", 1);
	CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_PID, s.w[0].pid, RIGHTS, NULL), -EDQUOT);
	CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), -EDQUOT);
	CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_PID, stranger.pid, RIGHTS, NULL), 0);
	fuse_release(&s.fuse);
	wait_nothing_left(&s.dev);
	CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
}

static void bind_self_as(uid_t uid, int instance)
{
	struct device dev;

	CHECK_EQ(setuid(uid), 0);
	CHECK_EQ(device_try_open(&dev, instance), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
	_exit(0);
}

/* The other device's group, for another user. */
static void allow_all(int instance)
{
	char path[128], link[256];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/vfio_svm_sw.%d/iommu_group",
		 instance);
	n = readlink(path, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = 0;
	for (slash = link + n; *slash != '/'; slash--)
		;
	snprintf(path, sizeof(path), "/dev/vfio%s", slash);
	CHECK_EQ(chmod(path, 0666), 0);
	CHECK_EQ(chmod("/dev/vfio/vfio", 0666), 0);
}

static void bonds_of_a_user_are_limited(void)
{
	struct vfio_svm_bind bind;
	struct device dev, other;
	struct worker w;
	pid_t pid;
	int status;

	worker_start(&w);
	allow_all(1);
	device_open(&dev, 0);
	/* Bonds of tests before go in their own time. */
	param_set("vfio_svm", "max_user_bonds", 1);
	while (bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind) == -EDQUOT)
		usleep(1000);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EDQUOT);
	CHECK_EQ(device_try_open(&other, 1), 0);
	CHECK_EQ(bind_type(&other, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EDQUOT);
	device_close(&other);
	/* Another user has his own. */
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		bind_self_as(4242, 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	/* Room comes back with the bond. */
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	while (bind_type(&dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL) == -EDQUOT)
		usleep(1000);
}

static const struct test left_tests[] = {
	TEST(stuck_lane_is_no_lane_left_behind),
	TEST(unbind_leaves_it_behind),
	TEST(dead_worker_leaves_it_behind),
	TEST(close_leaves_all_behind),
	TEST(module_stays_until_all_are_back),
	TEST(owner_with_too_many_binds_and_opens_no_more),
	TEST(worker_with_too_many_is_bound_no_more),
	TEST(bonds_of_a_user_are_limited),
};

SUITE(left);
