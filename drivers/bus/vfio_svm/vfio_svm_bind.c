/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls about bonds and what becomes of them. */
#include <errno.h>

#include "vfio_svm_dev.h"

int
rte_vfio_svm_bind(struct rte_vfio_svm_device *pub, uint32_t type, int32_t target,
		uint32_t rights, uint64_t cookie, struct rte_vfio_svm_bond *bond)
{
	struct vfio_svm_bind arg = {
		.argsz = sizeof(arg), .flags = rights, .type = type, .target = target,
		.cookie = cookie,
	};
	const int ret = vfio_svm_dev_ioctl(vfio_svm_dev_of(pub), VFIO_SVM_BIND, &arg);

	if (ret < 0)
		return ret;
	bond->id = arg.bond_id;
	bond->pasid = arg.pasid;
	return 0;
}

int
rte_vfio_svm_unbind(struct rte_vfio_svm_device *pub, uint64_t bond_id)
{
	struct vfio_svm_unbind arg = { .argsz = sizeof(arg), .bond_id = bond_id };
	const int ret = vfio_svm_dev_ioctl(vfio_svm_dev_of(pub), VFIO_SVM_UNBIND, &arg);

	return ret < 0 ? ret : 0;
}

int
rte_vfio_svm_consent(struct rte_vfio_svm_device *pub, uint32_t rights, uint64_t cookie)
{
	struct vfio_svm_consent arg = {
		.argsz = sizeof(arg), .flags = rights, .cookie = cookie,
	};

	return vfio_svm_dev_ioctl(vfio_svm_dev_of(pub), VFIO_SVM_CONSENT, &arg);
}

int
rte_vfio_svm_page_respond(struct rte_vfio_svm_device *pub, uint64_t request_id, uint32_t code)
{
	struct vfio_svm_page_response arg = {
		.argsz = sizeof(arg), .request_id = request_id, .code = code,
	};
	const int ret = vfio_svm_dev_ioctl(vfio_svm_dev_of(pub), VFIO_SVM_PAGE_RESPONSE, &arg);

	return ret < 0 ? ret : 0;
}

int
rte_vfio_svm_stats_get(struct rte_vfio_svm_device *pub, struct vfio_svm_stats *stats)
{
	return vfio_svm_dev_feature(vfio_svm_dev_of(pub), VFIO_DEVICE_FEATURE_SVM_STATS, stats,
		sizeof(*stats));
}
