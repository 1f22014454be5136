/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptor of a device, in one of two ways: its own device node and an
 * iommufd where the kernel has both, else its VFIO group in a container.
 */
#ifndef VFIO_SVM_OPEN_H
#define VFIO_SVM_OPEN_H

#include "vfio_svm_scan.h"

struct vfio_svm_fds {
	int device;
	int group;		/**< -1: by its own node */
	int iommu;		/**< the container, or the iommufd */
};

#define VFIO_SVM_FDS_NONE	((struct vfio_svm_fds){ -1, -1, -1 })

/**
 * Open a device. Whoever had it before may still be closing it: that is waited
 * for, one second at the most. A refusal is logged, with the step that failed.
 *
 * @return 0; -EBUSY: somebody has it; -EACCES, -EPERM: no right to the device
 *   nodes; -ENODEV: it went away; other -errno of VFIO.
 */
int
vfio_svm_open(const struct vfio_svm_roots *roots, const struct vfio_svm_node *node,
		struct vfio_svm_fds *fds);

/**
 * Close what the descriptors mean and keep their numbers, which other threads may
 * be using: a write goes to nowhere, an ioctl is refused.
 *
 * @return 0; -errno: they are as before.
 */
int
vfio_svm_fds_divert(const struct vfio_svm_fds *fds);

void
vfio_svm_fds_close(struct vfio_svm_fds *fds);

#endif /* VFIO_SVM_OPEN_H */
