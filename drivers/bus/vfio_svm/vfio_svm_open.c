/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "vfio_svm_log.h"
#include "vfio_svm_open.h"

#define BUSY_TRIES	100
#define BUSY_PAUSE_NS	10000000

/* Headers older than Linux 6.6 do not have VFIO_DEVICE_BIND_IOMMUFD. */
#define BIND_IOMMUFD	_IO(VFIO_TYPE, VFIO_BASE + 18)

struct bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
};

static int
refused(const struct vfio_svm_node *node, const char *what)
{
	const int ret = -errno;

	VFIO_SVM_LOG(ERR, "%s: %s: %s%s", node->name, what, strerror(-ret),
		ret == -EBUSY ? " (another process has it)" : "");
	return ret;
}

/* @return the descriptor, -1 with errno. */
static int
node_open(const struct vfio_svm_roots *roots, char *path, const char *fmt, int number)
{
	char below[64];

	snprintf(below, sizeof(below), fmt, number);
	snprintf(path, PATH_MAX, "%s/%s", roots->dev, below);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* Call again while the answer is EBUSY: the end of a process closes a device late. */
static int
patiently(int (*call)(void *arg), void *arg)
{
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_NS };
	int ret, tries;

	for (tries = 0; (ret = call(arg)) < 0 && errno == EBUSY && tries != BUSY_TRIES; tries++)
		nanosleep(&pause, NULL);
	return ret;
}

struct group_open {
	const struct vfio_svm_roots *roots;
	int number;
	char path[PATH_MAX];
};

static int
group_open(void *arg)
{
	struct group_open *a = arg;

	return node_open(a->roots, a->path, "vfio/%d", a->number);
}

static int
open_by_group(const struct vfio_svm_roots *roots, const struct vfio_svm_node *node,
		struct vfio_svm_fds *fds)
{
	struct group_open group = { .roots = roots, .number = node->group };
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_MAX];

	fds->iommu = node_open(roots, path, "vfio/vfio", 0);
	if (fds->iommu < 0)
		return refused(node, path);
	fds->group = patiently(group_open, &group);
	if (fds->group < 0)
		return refused(node, group.path);
	if (ioctl(fds->group, VFIO_GROUP_GET_STATUS, &status) != 0)
		return refused(node, "VFIO_GROUP_GET_STATUS");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		VFIO_SVM_LOG(ERR, "%s: its group %d has devices that other drivers use", node->name,
			node->group);
		return -EPERM;
	}
	if (ioctl(fds->group, VFIO_GROUP_SET_CONTAINER, &fds->iommu) != 0)
		return refused(node, "VFIO_GROUP_SET_CONTAINER");
	if (ioctl(fds->iommu, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0)
		return refused(node, "VFIO_SET_IOMMU (is vfio_iommu_type1 loaded?)");
	fds->device = ioctl(fds->group, VFIO_GROUP_GET_DEVICE_FD, node->name);
	if (fds->device < 0)
		return refused(node, "VFIO_GROUP_GET_DEVICE_FD");
	return 0;
}

struct cdev_bind {
	int device;
	struct bind_iommufd arg;
};

static int
cdev_bind(void *arg)
{
	struct cdev_bind *a = arg;
	const int ret = ioctl(a->device, BIND_IOMMUFD, &a->arg);

	/* So it answers for a device that is open already; the arguments are right. */
	if (ret < 0 && errno == EINVAL)
		errno = EBUSY;
	return ret;
}

static int
open_by_cdev(const struct vfio_svm_roots *roots, const struct vfio_svm_node *node,
		struct vfio_svm_fds *fds)
{
	struct cdev_bind bind = { .arg.argsz = sizeof(bind.arg) };
	char path[PATH_MAX];

	fds->iommu = node_open(roots, path, "iommu", 0);
	if (fds->iommu < 0)
		return refused(node, path);
	fds->device = node_open(roots, path, "vfio/devices/vfio%d", node->cdev);
	if (fds->device < 0)
		return refused(node, path);
	bind.device = fds->device;
	bind.arg.iommufd = fds->iommu;
	if (patiently(cdev_bind, &bind) < 0)
		return refused(node, "VFIO_DEVICE_BIND_IOMMUFD");
	return 0;
}

int
vfio_svm_open(const struct vfio_svm_roots *roots, const struct vfio_svm_node *node,
		struct vfio_svm_fds *fds)
{
	int ret;

	*fds = VFIO_SVM_FDS_NONE;
	ret = node->cdev >= 0 ? open_by_cdev(roots, node, fds) :
		open_by_group(roots, node, fds);
	if (ret != 0)
		vfio_svm_fds_close(fds);
	return ret;
}

int
vfio_svm_fds_divert(const struct vfio_svm_fds *fds)
{
	const int all[] = { fds->device, fds->group, fds->iommu };
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned int i;
	int ret = 0;

	if (null < 0)
		return -errno;
	for (i = 0; i != sizeof(all) / sizeof(all[0]); i++)
		if (all[i] >= 0 && dup3(null, all[i], O_CLOEXEC) < 0 && ret == 0)
			ret = -errno;
	close(null);
	return ret;
}

void
vfio_svm_fds_close(struct vfio_svm_fds *fds)
{
	if (fds->device >= 0)
		close(fds->device);
	if (fds->group >= 0)
		close(fds->group);
	if (fds->iommu >= 0)
		close(fds->iommu);
	*fds = VFIO_SVM_FDS_NONE;
}
