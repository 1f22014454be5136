/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which devices our kernel drivers have, as sysfs tells it. Reads only, keeps
 * nothing, and needs no DPDK: what is found goes to the caller, and so does what
 * cannot be used, with the reason.
 */
#ifndef VFIO_SVM_SCAN_H
#define VFIO_SVM_SCAN_H

#include <stdbool.h>

#define VFIO_SVM_NAME_LEN	64	/* RTE_DEV_NAME_MAX_LEN */

/** Where the kernel shows itself: "/sys" and "/dev" outside of tests. */
struct vfio_svm_roots {
	const char *sys;
	const char *dev;
};

/** A device that can be opened. */
struct vfio_svm_node {
	char name[VFIO_SVM_NAME_LEN];
	int group;		/**< its VFIO group */
	int cdev;		/**< its own device node, vfioN; -1: there is none */
	int numa_node;		/**< -1: none is known */
};

struct vfio_svm_scan_ops {
	/** @return 0; -errno ends the scan. */
	int (*found)(void *arg, const struct vfio_svm_node *node);
	/** One line says why; it names what is missing. */
	void (*skipped)(void *arg, const char *name, const char *reason);
};

/** Whether devices of our kernel drivers are named like this. */
bool
vfio_svm_name_fits(const char *name);

/**
 * Look at all devices, in the order of their numbers. A bad one is skipped, and
 * never ends the scan; no driver folder at all is no device.
 *
 * @return 0; -ENOMEM; what found() answered.
 */
int
vfio_svm_scan(const struct vfio_svm_roots *roots, const struct vfio_svm_scan_ops *ops,
		void *arg);

#endif /* VFIO_SVM_SCAN_H */
