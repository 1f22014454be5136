/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which DPDK may load the plugin. The structures that a driver shares with
 * the bus and with dmadev are DPDK-internal: they may change with each
 * release, also inside one ABI major, and never within the stable updates of
 * a release. So year and month must be those of the headers.
 */
#ifndef SVM_VERSION_H
#define SVM_VERSION_H

#include <stdbool.h>

static inline bool
svm_version_fits(unsigned int built_year, unsigned int built_month,
		unsigned int year, unsigned int month)
{
	return built_year == year && built_month == month;
}

#endif /* SVM_VERSION_H */
