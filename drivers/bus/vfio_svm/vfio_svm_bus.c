/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus: a list of devices, and what EAL calls. EAL's caller serialises these. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_version.h>

#include "svm_version.h"
#include "vfio_svm_bus.h"
#include "vfio_svm_dev.h"
#include "vfio_svm_log.h"
#include "vfio_svm_watch.h"

int vfio_svm_logtype;

RTE_TAILQ_HEAD(dev_list, vfio_svm_dev);
RTE_TAILQ_HEAD(driver_list, rte_vfio_svm_driver);

static const struct vfio_svm_roots kernel_roots = { "/sys", "/dev" };

static struct vfio_svm_roots roots = { "/sys", "/dev" };
static struct dev_list devices = TAILQ_HEAD_INITIALIZER(devices);
static struct driver_list drivers = TAILQ_HEAD_INITIALIZER(drivers);
static struct rte_bus bus;

void
vfio_svm_bus_roots_set(const struct vfio_svm_roots *other)
{
	roots = other != NULL ? *other : kernel_roots;
}

void
rte_vfio_svm_register(struct rte_vfio_svm_driver *driver)
{
	TAILQ_INSERT_TAIL(&drivers, driver, next);
}

void
rte_vfio_svm_unregister(struct rte_vfio_svm_driver *driver)
{
	TAILQ_REMOVE(&drivers, driver, next);
}

static struct vfio_svm_dev *
dev_named(const char *name)
{
	struct vfio_svm_dev *dev;

	TAILQ_FOREACH(dev, &devices, next)
		if (strcmp(dev->node.name, name) == 0)
			return dev;
	return NULL;
}

static struct rte_devargs *
devargs_named(const char *name)
{
	struct rte_devargs *args;

	RTE_EAL_DEVARGS_FOREACH(VFIO_SVM_BUS, args)
		if (strcmp(args->name, name) == 0)
			return args;
	return NULL;
}

/* -a and -b: with the first only those named, else all but those named. */
static bool
allowed(const struct vfio_svm_dev *dev)
{
	const struct rte_devargs *args = dev->pub.device.devargs;

	if (args != NULL)
		return args->policy == RTE_DEV_ALLOWED;
	return bus.conf.scan_mode != RTE_BUS_SCAN_ALLOWLIST;
}

static void
dev_delete(struct vfio_svm_dev *dev)
{
	TAILQ_REMOVE(&devices, dev, next);
	vfio_svm_dev_destroy(dev);
}

static int
on_found(void *arg, const struct vfio_svm_node *node)
{
	struct vfio_svm_dev *dev = dev_named(node->name);

	(void)arg;
	if (dev == NULL) {
		dev = vfio_svm_dev_create(node);
		if (dev == NULL)
			return -ENOMEM;
		dev->pub.device.bus = &bus;
		TAILQ_INSERT_TAIL(&devices, dev, next);
	} else if (dev->driver == NULL) {
		/* Its group may be another one by now. */
		dev->node = *node;
		dev->pub.device.numa_node = node->numa_node;
	}
	dev->found = true;
	dev->pub.device.devargs = devargs_named(node->name);
	return 0;
}

static void
on_skipped(void *arg, const char *name, const char *reason)
{
	(void)arg;
	VFIO_SVM_LOG(WARNING, "%s: skipped: %s", name, reason);
}

static int
bus_scan(void)
{
	static const struct vfio_svm_scan_ops ops = { on_found, on_skipped };
	struct vfio_svm_dev *dev, *next;
	int ret;

	TAILQ_FOREACH(dev, &devices, next)
		dev->found = false;
	ret = vfio_svm_scan(&roots, &ops, NULL);
	if (ret != 0)
		return ret;
	/* One that a driver has stays until it gives it back. */
	RTE_TAILQ_FOREACH_SAFE(dev, &devices, next, next)
		if (!dev->found && dev->driver == NULL)
			dev_delete(dev);
	return 0;
}

/* The first driver that takes it. @return 1: none does. */
static int
offer(struct vfio_svm_dev *dev)
{
	struct rte_vfio_svm_driver *driver;
	int ret;

	TAILQ_FOREACH(driver, &drivers, next) {
		ret = driver->probe(driver, &dev->pub);
		if (ret > 0)
			continue;
		if (ret < 0) {
			VFIO_SVM_LOG(ERR, "%s: the driver %s refuses it: %s", dev->node.name,
				driver->driver.name, strerror(-ret));
			return ret;
		}
		dev->driver = driver;
		dev->pub.device.driver = &driver->driver;
		vfio_svm_watch_arm(dev, driver);
		return 0;
	}
	return 1;
}

static int
dev_probe(struct vfio_svm_dev *dev)
{
	const char *name = dev->node.name;
	int ret;

	if (dev->driver != NULL)
		return -EEXIST;
	if (TAILQ_EMPTY(&drivers)) {
		VFIO_SVM_LOG(INFO, "%s: no driver for it is loaded", name);
		return 1;
	}
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		VFIO_SVM_LOG(ERR, "%s: a secondary process cannot use it; use it in the primary "
			"process", name);
		return -ENOTSUP;
	}
	if (rte_eal_iova_mode() != RTE_IOVA_VA) {
		VFIO_SVM_LOG(ERR, "%s: it works with virtual addresses, and EAL runs with physical "
			"ones: start with --iova-mode=va", name);
		return -EINVAL;
	}
	ret = vfio_svm_dev_open(dev, &roots);
	if (ret != 0)
		return ret;
	ret = offer(dev);
	if (ret != 0)
		vfio_svm_dev_close(dev);
	return ret;
}

/* Its driver gives it back. @return 0; what the driver answered. */
static int
dev_remove(struct vfio_svm_dev *dev)
{
	int ret;

	/* So that gone() is over, and is not called from here on. */
	vfio_svm_watch_stop(dev);
	ret = dev->driver->remove(&dev->pub);
	if (ret != 0) {
		if (vfio_svm_watch_start(dev) == 0)
			vfio_svm_watch_arm(dev, dev->driver);
		return ret;
	}
	vfio_svm_dev_close(dev);
	dev->driver = NULL;
	dev->pub.device.driver = NULL;
	return 0;
}

static int
bus_probe(void)
{
	const struct rte_devargs *args;
	struct vfio_svm_dev *dev;
	unsigned int failed = 0;

	TAILQ_FOREACH(dev, &devices, next)
		if (dev->driver == NULL && allowed(dev) && dev_probe(dev) < 0)
			failed++;
	RTE_EAL_DEVARGS_FOREACH(VFIO_SVM_BUS, args) {
		if (args->policy != RTE_DEV_ALLOWED || dev_named(args->name) != NULL)
			continue;
		VFIO_SVM_LOG(ERR, "%s: there is no such device, or it was skipped", args->name);
		failed++;
	}
	return failed == 0 ? 0 : -ENODEV;
}

static struct rte_device *
bus_find_device(const struct rte_device *start, rte_dev_cmp_t cmp, const void *data)
{
	struct vfio_svm_dev *dev;

	if (start != NULL)
		dev = TAILQ_NEXT(container_of(start, struct vfio_svm_dev, pub.device), next);
	else
		dev = TAILQ_FIRST(&devices);
	for (; dev != NULL; dev = TAILQ_NEXT(dev, next))
		if (cmp(&dev->pub.device, data) == 0)
			return &dev->pub.device;
	return NULL;
}

static int
bus_plug(struct rte_device *device)
{
	return dev_probe(container_of(device, struct vfio_svm_dev, pub.device));
}

static int
bus_unplug(struct rte_device *device)
{
	struct vfio_svm_dev *dev = container_of(device, struct vfio_svm_dev, pub.device);
	struct rte_devargs *args = device->devargs;
	int ret;

	if (dev->driver == NULL)
		return -ENODEV;
	ret = dev_remove(dev);
	if (ret != 0)
		return ret;
	dev_delete(dev);
	rte_devargs_remove(args);
	return 0;
}

/*
 * EAL asks each bus about each name, so a stranger is refused in silence. It comes
 * here with our prefix only when the rest was refused before.
 */
static int
bus_parse(const char *name, void *addr)
{
	(void)addr;
	if (vfio_svm_name_fits(name))
		return 0;
	if (strncmp(name, VFIO_SVM_BUS ":", sizeof(VFIO_SVM_BUS)) == 0)
		VFIO_SVM_LOG(ERR, "'%s' names no device: " VFIO_SVM_BUS ":vfio_svm_sw.NUMBER",
			name);
	return -EINVAL;
}

/* Devices take the virtual addresses of processes, the owner among them. */
static enum rte_iova_mode
bus_get_iommu_class(void)
{
	const struct vfio_svm_dev *dev;

	TAILQ_FOREACH(dev, &devices, next)
		if (allowed(dev))
			return RTE_IOVA_VA;
	return RTE_IOVA_DC;
}

static int
bus_cleanup(void)
{
	struct vfio_svm_dev *dev, *next;
	int ret, first = 0;

	RTE_TAILQ_FOREACH_SAFE(dev, &devices, next, next) {
		ret = dev->driver != NULL ? dev_remove(dev) : 0;
		if (ret == 0)
			dev_delete(dev);
		else if (first == 0)
			first = ret;
	}
	return first;
}

static struct rte_bus bus = {
	.name = VFIO_SVM_BUS,
	.scan = bus_scan,
	.probe = bus_probe,
	.find_device = bus_find_device,
	.plug = bus_plug,
	.unplug = bus_unplug,
	.parse = bus_parse,
	.get_iommu_class = bus_get_iommu_class,
	.cleanup = bus_cleanup,
};

/*
 * Before the checks pass nothing of it is known to DPDK. The library may be there
 * twice: a program is linked with one, and EAL finds the installed one. The first
 * is the bus.
 */
RTE_INIT_PRIO(vfio_svm_bus_register, BUS)
{
	if (!svm_version_fits(RTE_VER_YEAR, RTE_VER_MONTH,
			rte_version_year(), rte_version_month())) {
		rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "VFIO_SVM: this bus was built for DPDK "
			"%02u.%02u and cannot be used by %02u.%02u: build it for that one\n",
			(unsigned int)RTE_VER_YEAR, (unsigned int)RTE_VER_MONTH,
			rte_version_year(), rte_version_month());
		return;
	}
	vfio_svm_logtype = rte_log_register_type_and_pick_level("bus.vfio_svm", RTE_LOG_NOTICE);
	if (rte_bus_find_by_name(VFIO_SVM_BUS) == NULL)
		rte_bus_register(&bus);
}
