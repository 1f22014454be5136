// SPDX-License-Identifier: GPL-2.0
/* VFIO_SVM_BIND and UNBIND: what the structure may look like, and how many there may be. */
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

static void types_to_come_and_unknown_are_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PGTABLE, 0, RIGHTS, NULL), -EOPNOTSUPP);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PASID_TABLE, 0, RIGHTS, NULL), -EOPNOTSUPP);
	CHECK_EQ(bind_type(&dev, 6, 0, RIGHTS, NULL), -EINVAL);
	CHECK_EQ(bind_type(&dev, -1, 0, RIGHTS, NULL), -EINVAL);
}

static void flags_unknown_or_none_are_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, 0, NULL), -EINVAL);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS | 4, NULL), -EINVAL);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS | 1u << 31, NULL), -EINVAL);
}

static long bind_sized(struct device *dev, uint32_t argsz, int fill)
{
	struct {
		struct vfio_svm_bind bind;
		unsigned char more[8192];
	} arg = { .bind = { .flags = RIGHTS } };

	arg.bind.argsz = argsz;
	arg.more[0] = fill;
	return xioctl(dev->fd, VFIO_SVM_BIND, &arg);
}

static void structure_short_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_sized(&dev, 0, 0), -EINVAL);
	CHECK_EQ(bind_sized(&dev, sizeof(struct vfio_svm_bind) - 1, 0), -EINVAL);
}

static void structure_longer_with_zeros_is_taken(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_sized(&dev, sizeof(struct vfio_svm_bind) + 8, 0), 0);
}

static void structure_longer_with_more_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_sized(&dev, sizeof(struct vfio_svm_bind) + 8, 1), -E2BIG);
	CHECK_EQ(bind_sized(&dev, 8000, 0), -E2BIG);
	CHECK_EQ(bind_sized(&dev, -1, 0), -E2BIG);
}

static void reserved_field_is_refused(void)
{
	struct vfio_svm_bind bind = { .argsz = sizeof(bind), .flags = RIGHTS, .reserved = 1 };
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_BIND, &bind), -EINVAL);
}

static void argument_unreadable_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_BIND, NULL), -EFAULT);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_BIND, (void *)-4096L), -EFAULT);
}

/* The bond is taken back when its number cannot be told: binding again is no EEXIST. */
static void reply_unwritable_leaves_no_bond(void)
{
	struct vfio_svm_bind *bind = shared_alloc(4096);
	struct device dev;

	device_open(&dev, 0);
	bind->argsz = sizeof(*bind);
	bind->flags = RIGHTS;
	CHECK_EQ(mprotect(bind, 4096, PROT_READ), 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_SVM_BIND, bind), -EFAULT);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
}

static void same_address_space_twice_is_refused(void)
{
	struct vfio_svm_bind bind;
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), -EEXIST);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, getpid(), RIGHTS, NULL), -EEXIST);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
}

static void two_devices_bind_the_same(void)
{
	struct device a, b;

	device_open(&a, 0);
	device_open(&b, 1);
	CHECK_EQ(bind_type(&a, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
	CHECK_EQ(bind_type(&b, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), 0);
}

static void unbind_twice_is_refused(void)
{
	struct vfio_svm_bind bind;
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), -ENOENT);
}

static void unbind_of_another_device_is_refused(void)
{
	struct vfio_svm_bind bind;
	struct device a, b;

	device_open(&a, 0);
	device_open(&b, 1);
	CHECK_EQ(bind_type(&a, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
	CHECK_EQ(unbind_id(&b, bind.bond_id), -ENOENT);
	CHECK_EQ(unbind_id(&a, bind.bond_id), 0);
}

static void bond_ids_are_never_reused(void)
{
	struct vfio_svm_bind bind;
	struct device dev;
	uint64_t last = 0;
	unsigned int i;

	device_open(&dev, 0);
	for (i = 0; i < 2 * MAX_PASID; i++) {
		CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
		CHECK(bind.bond_id > last);
		CHECK(bind.pasid >= 1 && bind.pasid <= MAX_PASID);
		last = bind.bond_id;
		CHECK_EQ(unbind_id(&dev, last), 0);
	}
}

static void bonds_of_a_device_are_limited(void)
{
	struct vfio_svm_bind first, bind;
	struct worker w[MAX_BONDS + 1];
	struct device dev;
	unsigned int i;

	device_open(&dev, 0);
	for (i = 0; i <= MAX_BONDS; i++)
		worker_start(&w[i]);
	first = worker_bind(&dev, &w[0]);
	for (i = 1; i < MAX_BONDS; i++)
		worker_bind(&dev, &w[i]);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w[i].pid, RIGHTS, &bind), -ENOSPC);
	CHECK_EQ(unbind_id(&dev, first.bond_id), 0);
	CHECK_EQ(bind_type(&dev, VFIO_SVM_BIND_PID, w[i].pid, RIGHTS, &bind), 0);
}

static const struct test bind_tests[] = {
	TEST(types_to_come_and_unknown_are_refused),
	TEST(flags_unknown_or_none_are_refused),
	TEST(structure_short_is_refused),
	TEST(structure_longer_with_zeros_is_taken),
	TEST(structure_longer_with_more_is_refused),
	TEST(reserved_field_is_refused),
	TEST(argument_unreadable_is_refused),
	TEST(reply_unwritable_leaves_no_bond),
	TEST(same_address_space_twice_is_refused),
	TEST(two_devices_bind_the_same),
	TEST(unbind_twice_is_refused),
	TEST(unbind_of_another_device_is_refused),
	TEST(bond_ids_are_never_reused),
	TEST(bonds_of_a_device_are_limited),
};

SUITE(bind);
