/* SPDX-License-Identifier: BSD-3-Clause */
/* Logging of the bus: one log type, "bus.vfio_svm", one line a call. */
#ifndef VFIO_SVM_LOG_H
#define VFIO_SVM_LOG_H

#include <rte_log.h>

extern int vfio_svm_logtype;

#define VFIO_SVM_LOG(level, fmt, ...) \
	rte_log(RTE_LOG_ ## level, vfio_svm_logtype, "VFIO_SVM: " fmt "\n", ##__VA_ARGS__)

#endif /* VFIO_SVM_LOG_H */
