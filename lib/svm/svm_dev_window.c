/* SPDX-License-Identifier: BSD-3-Clause */
/* A device's windows: what waits for its engines, and what its workers ask. */
#include <errno.h>

#include "svm_dev.h"

int
svm_dev_window_revoke(struct svm_dev *dev, uint32_t window)
{
	const uint64_t end = svm_now_us() + SVM_ENGINE_END_US(dev->conf.timeout_us);
	bool closed = false;
	int ret;

	while ((ret = svm_window_revoke(dev->windows, window)) == -EBUSY &&
			svm_now_us() < end) {
		closed = true;
		svm_dev_help_engines(dev);
		svm_pause_us(20);
	}
	/* The end of a bond of its was faster: gone is gone. */
	return ret == -ENOENT && closed ? 0 : ret;
}

int
svm_dev_window_page(void *arg, uint64_t bond, uint64_t *after,
		struct rte_svm_window_info *infos, uint32_t n)
{
	struct svm_dev *dev = arg;

	return svm_window_page(dev->windows, bond, after, infos, n);
}
