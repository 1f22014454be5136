/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfio_svm_scan.h"

#define DRIVER		"vfio_svm_sw"
#define DRIVER_DIR	"bus/platform/drivers/" DRIVER

struct scan {
	const struct vfio_svm_roots *roots;
	const struct vfio_svm_scan_ops *ops;
	void *arg;
};

static void __attribute__((format(printf, 3, 4)))
skip(const struct scan *scan, const char *name, const char *fmt, ...)
{
	char reason[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	scan->ops->skipped(scan->arg, name, reason);
}

/* A decimal number as the kernel writes it: no sign, no leading zero, no more than `max`. */
static int
number_of(const char *text, int max)
{
	long value = 0;
	const char *c;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -1;
	for (c = text; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return -1;
		value = value * 10 + (*c - '0');
		if (value > max)
			return -1;
	}
	return (int)value;
}

bool
vfio_svm_name_fits(const char *name)
{
	const size_t len = sizeof(DRIVER);	/* with the dot */

	return strncmp(name, DRIVER ".", len) == 0 && number_of(name + len, 65535) >= 0;
}

/* The last part of what a link says. @return 0, -errno. */
static int
link_base(int dir, const char *name, char *base, size_t size)
{
	char text[PATH_MAX];
	const ssize_t n = readlinkat(dir, name, text, sizeof(text) - 1);
	const char *slash;

	if (n < 0)
		return -errno;
	text[n] = '\0';
	slash = strrchr(text, '/');
	if (snprintf(base, size, "%s", slash != NULL ? slash + 1 : text) >= (int)size)
		return -ENAMETOOLONG;
	return 0;
}

/* A device that is near no node has no such file. */
static int
numa_node_of(int dir)
{
	char text[16];
	const int fd = openat(dir, "numa_node", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return number_of(text, 1023);
}

static bool
node_exists(const struct scan *scan, const char *fmt, int number)
{
	char below[64], path[PATH_MAX];
	struct stat st;

	snprintf(below, sizeof(below), fmt, number);
	snprintf(path, sizeof(path), "%s/%s", scan->roots->dev, below);
	return stat(path, &st) == 0;
}

/* The number of its own device node, where kernel and /dev offer all that this takes. */
static int
cdev_of(const struct scan *scan, int dir)
{
	const int fd = openat(dir, "vfio-dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int number = -1;
	DIR *list;

	if (fd < 0)
		return -1;
	list = fdopendir(fd);
	if (list == NULL) {
		close(fd);
		return -1;
	}
	while (number < 0 && (entry = readdir(list)) != NULL)
		if (strncmp(entry->d_name, "vfio", 4) == 0)
			number = number_of(entry->d_name + 4, INT_MAX);
	closedir(list);
	if (number < 0 || !node_exists(scan, "vfio/devices/vfio%d", number) ||
			!node_exists(scan, "iommu", 0))
		return -1;
	return number;
}

/* @return what found() answered, 0 when the device was skipped. */
static int
look_into(const struct scan *scan, const char *name, int dir)
{
	struct vfio_svm_node node = { .cdev = -1 };
	char base[NAME_MAX + 1];
	int ret;

	ret = link_base(dir, "driver", base, sizeof(base));
	if (ret != 0) {
		skip(scan, name, "it is bound to no driver (its link driver: %s)", strerror(-ret));
		return 0;
	}
	if (strcmp(base, DRIVER) != 0) {
		skip(scan, name, "it is bound to %s, not to " DRIVER, base);
		return 0;
	}
	ret = link_base(dir, "iommu_group", base, sizeof(base));
	node.group = ret == 0 ? number_of(base, INT_MAX) : -1;
	if (node.group < 0) {
		skip(scan, name, "it has no VFIO group (its link iommu_group: %s)",
			ret != 0 ? strerror(-ret) : base);
		return 0;
	}
	node.cdev = cdev_of(scan, dir);
	if (node.cdev < 0 && !node_exists(scan, "vfio/%d", node.group)) {
		skip(scan, name, "there is no %s/vfio/%d: its group has no device node",
			scan->roots->dev, node.group);
		return 0;
	}
	memcpy(node.name, name, strlen(name));	/* short: vfio_svm_name_fits() */
	node.numa_node = numa_node_of(dir);
	return scan->ops->found(scan->arg, &node);
}

static int
scan_one(const struct scan *scan, int drv, const char *name)
{
	int dir, ret;

	if (!vfio_svm_name_fits(name)) {
		skip(scan, name, "no device of " DRIVER " has such a name: " DRIVER ".NUMBER");
		return 0;
	}
	dir = openat(drv, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		skip(scan, name, "its folder cannot be opened: %s", strerror(errno));
		return 0;
	}
	ret = look_into(scan, name, dir);
	close(dir);
	return ret;
}

/* What the kernel links into a driver's folder: its devices, and the module. */
static bool
is_device(int drv, const struct dirent *entry)
{
	struct stat st;

	return strcmp(entry->d_name, "module") != 0 &&
		fstatat(drv, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISLNK(st.st_mode);
}

int
vfio_svm_scan(const struct vfio_svm_roots *roots, const struct vfio_svm_scan_ops *ops,
		void *arg)
{
	const struct scan scan = { roots, ops, arg };
	struct dirent **entries;
	char path[PATH_MAX];
	int drv, nb, i, ret = 0;

	snprintf(path, sizeof(path), "%s/" DRIVER_DIR, roots->sys);
	drv = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (drv < 0) {
		if (errno != ENOENT)
			skip(&scan, DRIVER, "%s cannot be opened: %s", path, strerror(errno));
		return 0;
	}
	nb = scandirat(drv, ".", &entries, NULL, versionsort);
	if (nb < 0) {
		ret = -errno;
		goto close_drv;
	}
	for (i = 0; i < nb; i++) {
		if (ret == 0 && is_device(drv, entries[i]))
			ret = scan_one(&scan, drv, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
close_drv:
	close(drv);
	return ret;
}
