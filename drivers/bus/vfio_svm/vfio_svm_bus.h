/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests reach of the bus.
 *
 * Where the kernel shows itself is set by a call that the library does not export,
 * not by the environment: whoever could set that for a privileged program would
 * choose which files it opens as its device.
 */
#ifndef VFIO_SVM_BUS_H
#define VFIO_SVM_BUS_H

#include "vfio_svm_scan.h"

/** The bus; the name stands in "-a vfio_svm:NAME". */
#define VFIO_SVM_BUS	"vfio_svm"

/** Scan and open below other roots from now on; NULL: "/sys" and "/dev" again. */
void
vfio_svm_bus_roots_set(const struct vfio_svm_roots *roots);

#endif /* VFIO_SVM_BUS_H */
