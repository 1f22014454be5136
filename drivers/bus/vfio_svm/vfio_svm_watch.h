/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hears of the removal of a device although nobody may be polling its events: an
 * eventfd in EAL's interrupt thread, and a look at the event ring that takes
 * nothing from its reader.
 */
#ifndef VFIO_SVM_WATCH_H
#define VFIO_SVM_WATCH_H

struct rte_vfio_svm_driver;
struct vfio_svm_dev;

/** Begin, and wait for a driver. @return 0; -ENOMEM; -errno of the eventfd, VFIO or EAL. */
int
vfio_svm_watch_start(struct vfio_svm_dev *dev);

/** The device has a driver, to be told; also of what happened before. */
void
vfio_svm_watch_arm(struct vfio_svm_dev *dev, struct rte_vfio_svm_driver *driver);

/**
 * End, if it was begun; it looks at the device no more. Also from the callback that tells of the
 * removal, which is in the middle of it.
 */
void
vfio_svm_watch_stop(struct vfio_svm_dev *dev);

#endif /* VFIO_SVM_WATCH_H */
