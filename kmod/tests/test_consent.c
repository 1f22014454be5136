// SPDX-License-Identifier: GPL-2.0
/* The consent descriptor: the worker binds itself, narrows it, and takes it back. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

#define COOKIE	0xc0ffee

static int consent_create(struct device *dev, uint32_t rights)
{
	struct vfio_svm_consent consent = {
		.argsz = sizeof(consent), .flags = rights, .cookie = COOKIE,
	};

	return xioctl(dev->fd, VFIO_SVM_CONSENT, &consent);
}

/* For worker_call, through a page shared before the fork. */
struct ask {
	int fd;
	uint32_t flags;
	struct vfio_svm_consent_bind bind;
	struct vfio_svm_window window;
	uint32_t nb_windows;
};

static long do_consent_bind(long at)
{
	struct ask *ask = (struct ask *)at;

	ask->bind = (struct vfio_svm_consent_bind){
		.argsz = sizeof(ask->bind), .flags = ask->flags,
	};
	return xioctl(ask->fd, VFIO_SVM_CONSENT_BIND, &ask->bind);
}

static long do_narrow(long at)
{
	struct ask *ask = (struct ask *)at;
	struct vfio_svm_narrow narrow = {
		.argsz = sizeof(narrow), .nb_windows = ask->nb_windows,
		.windows = (unsigned long)&ask->window,
	};

	return xioctl(ask->fd, VFIO_SVM_CONSENT_NARROW, &narrow);
}

static long do_close(long fd)
{
	return close(fd);
}

static long do_revoke(long at)
{
	struct vfio_svm_head head = { .argsz = sizeof(head) };

	return xioctl(((struct ask *)at)->fd, VFIO_SVM_CONSENT_REVOKE, &head);
}

/* A device, a consent descriptor, and a worker that inherited it. */
struct scene {
	struct device dev;
	struct worker w;
	struct ask *ask;
};

static void scene_open(struct scene *s, uint32_t rights)
{
	s->ask = shared_alloc(sizeof(*s->ask));
	device_open(&s->dev, 0);
	s->ask->fd = consent_create(&s->dev, rights);
	CHECK(s->ask->fd >= 0);
	s->ask->flags = rights;
	worker_start(&s->w);
}

static void worker_binds_itself(void)
{
	struct vfio_svm_event event;
	struct svm_desc desc;
	struct scene s;
	struct queue q;

	scene_open(&s, RIGHTS);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
	event = device_event(&s.dev);
	CHECK_EQ(event.type, VFIO_SVM_EVENT_BOUND);
	CHECK_EQ(event.bond_id, s.ask->bind.bond_id);
	CHECK_EQ(event.pasid, s.ask->bind.pasid);
	CHECK_EQ(event.cookie, COOKIE);
	/* It is the worker's memory that is bound. */
	queue_open(&q, &s.dev, 0, 32, 0);
	desc = desc_fill(event.pasid, worker_map(&s.w, 4096), 4096, 1);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
	CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_PID, s.w.pid, RIGHTS, NULL), -EEXIST);
	CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
	CHECK_EQ(unbind_id(&s.dev, event.bond_id), 0);
}

static void descriptor_works_once(void)
{
	struct worker other;
	struct scene s;

	scene_open(&s, RIGHTS);
	worker_start(&other);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), -EALREADY);
	CHECK_EQ(worker_call(&other, do_consent_bind, (long)s.ask), -EALREADY);
}

static void more_rights_than_given_are_refused(void)
{
	struct scene s;

	scene_open(&s, VFIO_SVM_READ);
	s.ask->flags = RIGHTS;
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), -EACCES);
	s.ask->flags = 0;
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), -EINVAL);
	s.ask->flags = VFIO_SVM_READ;
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
}

static void others_cannot_touch_the_bond(void)
{
	struct worker other;
	struct scene s;

	scene_open(&s, RIGHTS);
	worker_start(&other);
	CHECK_EQ(worker_call(&s.w, do_revoke, (long)s.ask), -ENOENT);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
	CHECK_EQ(worker_call(&other, do_revoke, (long)s.ask), -EPERM);
	s.ask->window = (struct vfio_svm_window){ .addr = 0, .len = 4096, .flags = RIGHTS };
	s.ask->nb_windows = 1;
	CHECK_EQ(worker_call(&other, do_narrow, (long)s.ask), -EPERM);
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), 0);
}

static void revoked_bond_is_dead(void)
{
	struct svm_desc desc;
	struct scene s;
	struct queue q;

	scene_open(&s, RIGHTS);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
	CHECK_EQ(device_event(&s.dev).type, VFIO_SVM_EVENT_BOUND);
	queue_open(&q, &s.dev, 0, 32, 0);
	desc = desc_fill(s.ask->bind.pasid, worker_map(&s.w, 4096), 4096, 1);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
	CHECK_EQ(worker_call(&s.w, do_revoke, (long)s.ask), 0);
	CHECK_EQ(device_event(&s.dev).type, VFIO_SVM_EVENT_REVOKED);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_BOND_DEAD);
	CHECK_EQ(worker_call(&s.w, do_revoke, (long)s.ask), -ENOENT);
	CHECK_EQ(unbind_id(&s.dev, s.ask->bind.bond_id), 0);
}

static void windows_narrow_and_never_widen(void)
{
	struct svm_desc desc;
	unsigned long at;
	struct scene s;
	struct queue q;

	scene_open(&s, RIGHTS);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
	CHECK_EQ(device_event(&s.dev).type, VFIO_SVM_EVENT_BOUND);
	at = worker_map(&s.w, 16384);
	queue_open(&q, &s.dev, 0, 32, 0);
	s.ask->window = (struct vfio_svm_window){ .addr = at + 4096, .len = 8192, .flags = RIGHTS };
	s.ask->nb_windows = 1;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), 0);
	CHECK_EQ(device_event(&s.dev).type, VFIO_SVM_EVENT_NARROWED);

	desc = desc_fill(s.ask->bind.pasid, at + 4096, 8192, 1);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
	desc.dst--;
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_BAD_SPACE);
	desc.dst += 2;
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_BAD_SPACE);

	s.ask->window.len = 8193;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), -EACCES);
	s.ask->window.len = 4096;
	s.ask->window.flags = VFIO_SVM_READ;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), 0);
	desc = desc_fill(s.ask->bind.pasid, at + 4096, 64, 1);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_BAD_SPACE);
	s.ask->window.flags = RIGHTS;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), -EACCES);
}

static void bad_windows_are_refused(void)
{
	struct scene s;

	scene_open(&s, RIGHTS);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
	s.ask->window = (struct vfio_svm_window){ .addr = 4096, .len = 0, .flags = RIGHTS };
	s.ask->nb_windows = 1;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), -EINVAL);
	s.ask->window.len = -1ull;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), -EINVAL);
	s.ask->window.len = 4096;
	s.ask->window.flags = 0;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), -EINVAL);
	s.ask->window.flags = RIGHTS;
	s.ask->nb_windows = 0;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), -EINVAL);
	s.ask->nb_windows = VFIO_SVM_WINDOWS_MAX + 1;
	CHECK_EQ(worker_call(&s.w, do_narrow, (long)s.ask), -EINVAL);
}

static long do_narrow_often(long at)
{
	long ret = 0;
	int i;

	for (i = 0; i < 2000 && !ret; i++)
		ret = do_narrow(at);
	return ret;
}

/* A worker that talks without end leaves room for what the owner must hear of others. */
static void chatter_leaves_room_for_exits(void)
{
	struct vfio_svm_event event;
	struct vfio_svm_bind bind;
	struct worker other;
	struct scene s;

	scene_open(&s, RIGHTS);
	worker_start(&other);
	bind = worker_bind(&s.dev, &other);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
	s.ask->window = (struct vfio_svm_window){ .addr = 0, .len = 4096, .flags = RIGHTS };
	s.ask->nb_windows = 1;
	CHECK_EQ(worker_call(&s.w, do_narrow_often, (long)s.ask), 0);
	CHECK(s.dev.events->dropped > 0);
	worker_kill(&other);
	do
		event = device_event(&s.dev);
	while (event.type != VFIO_SVM_EVENT_EXIT);
	CHECK_EQ(event.bond_id, bind.bond_id);
}

static void closed_device_is_no_device(void)
{
	struct worker late;
	struct scene s;
	struct ask *ask;

	scene_open(&s, RIGHTS);
	CHECK_EQ(worker_call(&s.w, do_consent_bind, (long)s.ask), 0);
	ask = shared_alloc(sizeof(*ask));
	ask->fd = consent_create(&s.dev, RIGHTS);
	ask->flags = RIGHTS;
	worker_start(&late);
	/* The workers have the device descriptor from their fork: they must not keep it. */
	worker_call(&s.w, do_close, s.dev.fd);
	worker_call(&late, do_close, s.dev.fd);
	device_close(&s.dev);
	CHECK_EQ(worker_call(&late, do_consent_bind, (long)ask), -ENODEV);
	CHECK_EQ(worker_call(&s.w, do_revoke, (long)s.ask), -ENODEV);
}

static void descriptor_can_do_nothing_else(void)
{
	struct scene s;
	char c = 0;

	scene_open(&s, RIGHTS);
	CHECK_EQ(fcntl(s.ask->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	CHECK_EQ(read(s.ask->fd, &c, 1), -1);
	CHECK_EQ(write(s.ask->fd, &c, 1), -1);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, s.ask->fd, 0) == MAP_FAILED);
	CHECK_EQ(xioctl(s.ask->fd, VFIO_SVM_BIND, &s), -ENOTTY);
	CHECK_EQ(xioctl(s.ask->fd, VFIO_DEVICE_GET_INFO, &s), -ENOTTY);
}

static void bad_consent_is_refused(void)
{
	struct vfio_svm_consent consent = { .argsz = sizeof(consent) - 1, .flags = RIGHTS };
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(consent_create(&dev, 0), -EINVAL);
	CHECK_EQ(consent_create(&dev, 4), -EINVAL);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_CONSENT, &consent), -EINVAL);
}

static const struct test consent_tests[] = {
	TEST(worker_binds_itself),
	TEST(descriptor_works_once),
	TEST(more_rights_than_given_are_refused),
	TEST(others_cannot_touch_the_bond),
	TEST(revoked_bond_is_dead),
	TEST(windows_narrow_and_never_widen),
	TEST(bad_windows_are_refused),
	TEST(chatter_leaves_room_for_exits),
	TEST(closed_device_is_no_device),
	TEST(descriptor_can_do_nothing_else),
	TEST(bad_consent_is_refused),
};

SUITE(consent);
