/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telemetry: what DPDK's telemetry socket tells of the devices.
 *
 *   /svm/list               [ids]
 *   /svm/info,ID            settings and state
 *   /svm/stats,ID           counters, as rte_svm_stats_get()
 *   /svm/bonds,ID[,PASID]   bonds in the order of their PASIDs, from this one on
 *
 * An answer of DPDK's telemetry has at most 16 KiB, so bonds come in pages: `next` is
 * the PASID to ask for the following page with, 0 on the last one. What cannot be
 * answered gives {"error": "why"}.
 */
#ifndef SVM_TELEMETRY_H
#define SVM_TELEMETRY_H

/**
 * Register the commands, once in the life of the process: DPDK cannot take them back.
 * Any thread.
 */
void
svm_telemetry_register(void);

#endif /* SVM_TELEMETRY_H */
