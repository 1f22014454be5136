/* SPDX-License-Identifier: BSD-3-Clause */
/* The public calls on windows: argument checks, then the table. */
#include <errno.h>

#include "rte_svm_window.h"
#include "svm_dev.h"

int
rte_svm_window_grant(uint16_t dev_id, const struct rte_svm_window_conf *conf,
		uint32_t *window)
{
	struct svm_dev *dev;
	int ret = -EINVAL;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	if (conf != NULL && window != NULL)
		ret = svm_window_grant(dev->windows, conf, window);
	svm_registry_put(dev_id);
	return ret;
}

int
rte_svm_window_revoke(uint16_t dev_id, uint32_t window)
{
	struct svm_dev *dev;
	int ret;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	ret = svm_dev_window_revoke(dev, window);
	svm_registry_put(dev_id);
	return ret;
}

int
rte_svm_window_info_get(uint16_t dev_id, uint32_t window, struct rte_svm_window_info *info)
{
	struct svm_dev *dev;
	int ret = -EINVAL;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	if (info != NULL)
		ret = svm_window_info(dev->windows, window, info);
	svm_registry_put(dev_id);
	return ret;
}

int
rte_svm_window_list(uint16_t dev_id, uint64_t grantee, uint32_t *windows, uint32_t n)
{
	struct svm_dev *dev;
	uint32_t nb;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	nb = svm_window_list(dev->windows, grantee, windows, n);
	svm_registry_put(dev_id);
	return nb;
}
