// SPDX-License-Identifier: GPL-2.0
/* VFIO_DEVICE_BIND_TASK and UNBIND_TASK, as they were proposed in 2017. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

#define SHORT	offsetof(struct vfio_device_svm, pid)

static long bind_task(struct device *dev, uint32_t argsz, uint32_t flags, uint32_t pid,
		      uint32_t *pasid)
{
	struct vfio_device_svm svm = { .argsz = argsz, .flags = flags, .pid = pid };
	long ret = xioctl(dev->fd, VFIO_DEVICE_BIND_TASK, &svm);

	if (pasid)
		*pasid = svm.pasid;
	return ret;
}

static long unbind_task(struct device *dev, uint32_t argsz, uint32_t flags, uint32_t pasid)
{
	struct vfio_device_svm svm = { .argsz = argsz, .flags = flags, .pasid = pasid };

	return xioctl(dev->fd, VFIO_DEVICE_UNBIND_TASK, &svm);
}

/* The last 12 bytes before a page that is not there: no byte more is looked at. */
static void short_structure_binds_the_caller(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_device_svm *svm = (void *)(page + 4096 - SHORT);
	struct device dev;

	CHECK(page != MAP_FAILED);
	CHECK_EQ(munmap(page + 4096, 4096), 0);
	device_open(&dev, 0);
	svm->argsz = SHORT;
	CHECK_EQ(xioctl(dev.fd, VFIO_DEVICE_BIND_TASK, svm), 0);
	CHECK(svm->pasid != 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_DEVICE_UNBIND_TASK, svm), 0);
}

static void long_structure_binds_a_pid(void)
{
	struct device dev;
	struct worker w;
	uint32_t pasid;

	device_open(&dev, 0);
	worker_start(&w);
	CHECK_EQ(bind_task(&dev, 16, VFIO_SVM_PID, w.pid, &pasid), 0);
	CHECK(pasid >= 1 && pasid <= SVM_PASID_MAX);
	CHECK_EQ(unbind_task(&dev, SHORT, 0, pasid), 0);
}

static void pid_without_its_flag_is_not_looked_at(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_task(&dev, 16, 0, 0x7fffffff, NULL), 0);
	/* It was the caller that is bound now. */
	CHECK_EQ(bind_task(&dev, SHORT, 0, 0, NULL), -EEXIST);
}

static void pid_in_a_short_structure_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_task(&dev, SHORT, VFIO_SVM_PID, getpid(), NULL), -EINVAL);
}

static void pid_of_nobody_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_task(&dev, 16, VFIO_SVM_PID, 0x7fffffff, NULL), -ESRCH);
	CHECK_EQ(bind_task(&dev, 16, VFIO_SVM_PID, 0, NULL), -EINVAL);
}

static void too_short_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_task(&dev, SHORT - 1, 0, 0, NULL), -EINVAL);
	CHECK_EQ(bind_task(&dev, 0, 0, 0, NULL), -EINVAL);
	CHECK_EQ(unbind_task(&dev, SHORT - 1, 0, 1), -EINVAL);
}

static void unknown_flags_are_refused(void)
{
	struct device dev;
	uint32_t pasid;

	device_open(&dev, 0);
	CHECK_EQ(bind_task(&dev, 16, 1u << 3, 0, NULL), -EINVAL);
	CHECK_EQ(bind_task(&dev, 16, VFIO_SVM_PASID_RELEASE_CLEAN, 0, NULL), -EINVAL);
	CHECK_EQ(bind_task(&dev, SHORT, 0, 0, &pasid), 0);
	CHECK_EQ(unbind_task(&dev, SHORT, VFIO_SVM_PID, pasid), -EINVAL);
	CHECK_EQ(unbind_task(&dev, SHORT, 1u << 31, pasid), -EINVAL);
}

static void release_flags_are_hints(void)
{
	struct device dev;
	uint32_t pasid;

	device_open(&dev, 0);
	CHECK_EQ(bind_task(&dev, SHORT, 0, 0, &pasid), 0);
	CHECK_EQ(unbind_task(&dev, SHORT,
			     VFIO_SVM_PASID_RELEASE_FLUSHED | VFIO_SVM_PASID_RELEASE_CLEAN,
			     pasid), 0);
}

static void unbind_of_no_bond_is_refused(void)
{
	struct device dev;
	uint32_t pasid;

	device_open(&dev, 0);
	CHECK_EQ(unbind_task(&dev, SHORT, 0, 0), -ENOENT);
	CHECK_EQ(unbind_task(&dev, SHORT, 0, 0xffffffff), -ENOENT);
	CHECK_EQ(bind_task(&dev, SHORT, 0, 0, &pasid), 0);
	CHECK_EQ(unbind_task(&dev, SHORT, 0, pasid + 1), -ENOENT);
	CHECK_EQ(unbind_task(&dev, SHORT, 0, pasid), 0);
	/* A PASID that was given back names nobody, not the next bond. */
	CHECK_EQ(unbind_task(&dev, SHORT, 0, pasid), -ENOENT);
}

static void reply_unwritable_leaves_no_bond(void)
{
	struct vfio_device_svm *svm = shared_alloc(4096);
	struct device dev;

	device_open(&dev, 0);
	svm->argsz = SHORT;
	CHECK_EQ(mprotect(svm, 4096, PROT_READ), 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_DEVICE_BIND_TASK, svm), -EFAULT);
	CHECK_EQ(bind_task(&dev, SHORT, 0, 0, NULL), 0);
}

static void ioctls_of_nobody_are_refused(void)
{
	struct device dev;
	uint32_t arg[16] = { sizeof(arg) };

	device_open(&dev, 0);
	CHECK_EQ(xioctl(dev.fd, _IO(VFIO_TYPE, VFIO_BASE + 24), arg), -ENOTTY);
	CHECK_EQ(xioctl(dev.fd, _IO(VFIO_TYPE, VFIO_BASE + 139), arg), -ENOTTY);
}

static const struct test seed_tests[] = {
	TEST(short_structure_binds_the_caller),
	TEST(long_structure_binds_a_pid),
	TEST(pid_without_its_flag_is_not_looked_at),
	TEST(pid_in_a_short_structure_is_refused),
	TEST(pid_of_nobody_is_refused),
	TEST(too_short_is_refused),
	TEST(unknown_flags_are_refused),
	TEST(release_flags_are_hints),
	TEST(unbind_of_no_bond_is_refused),
	TEST(reply_unwritable_leaves_no_bond),
	TEST(ioctls_of_nobody_are_refused),
};

SUITE(seed);
