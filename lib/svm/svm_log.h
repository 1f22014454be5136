/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logging of librte_svm: one log type, "lib.svm", one line a call. Never on
 * the hot path.
 */
#ifndef SVM_LOG_H
#define SVM_LOG_H

#include <rte_log.h>

extern int svm_logtype;

#define SVM_LOG(level, fmt, ...) \
	rte_log(RTE_LOG_ ## level, svm_logtype, "SVM: " fmt "\n", ##__VA_ARGS__)

#endif /* SVM_LOG_H */
