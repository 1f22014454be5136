// SPDX-License-Identifier: GPL-2.0
/* vfio_svm_sw: instances of the software device, each with a VFIO group of its own. */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "sw.h"

#define DRIVER_NAME	"vfio_svm_sw"
#define INSTANCES_MAX	64u

static unsigned int instances = 1;
module_param(instances, uint, 0444);
MODULE_PARM_DESC(instances, "devices to make (1 to 64)");

unsigned int sw_queues = 4;
module_param_named(queues, sw_queues, uint, 0444);
MODULE_PARM_DESC(queues, "queues of a device (1 to 64)");

unsigned int sw_max_bonds = 4096;
module_param_named(max_bonds, sw_max_bonds, uint, 0444);
MODULE_PARM_DESC(max_bonds, "bonds of an open device");

unsigned int sw_pasids = 65535;
module_param_named(pasids, sw_pasids, uint, 0444);
MODULE_PARM_DESC(pasids, "PASIDs of an open device, those at rest included (1 to 1048575)");

unsigned int sw_spin_us = 50;
module_param_named(spin_us, sw_spin_us, uint, 0644);
MODULE_PARM_DESC(spin_us, "how long the DMA thread looks for work before it sleeps, in us");

unsigned int sw_timeout_ms = 1000;
module_param_named(timeout_ms, sw_timeout_ms, uint, 0644);
MODULE_PARM_DESC(timeout_ms, "how long an operation waits for a missing page, in ms");

unsigned int sw_op_timeout_ms = 60000;
module_param_named(op_timeout_ms, sw_op_timeout_ms, uint, 0644);
MODULE_PARM_DESC(op_timeout_ms, "how long an operation waits for all its missing pages, in ms");

unsigned int sw_fault_timeout_ms = 10000;
module_param_named(fault_timeout_ms, sw_fault_timeout_ms, uint, 0444);
MODULE_PARM_DESC(fault_timeout_ms, "how long a page request may wait for an answer, in ms (1 to 3600000)");

static struct platform_device *devices[INSTANCES_MAX];

static int sw_probe(struct platform_device *pdev)
{
	struct sw_dev *dev;
	int err;

	dev = vfio_alloc_device(sw_dev, vdev, &pdev->dev, &sw_vfio_ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	err = vfio_register_emulated_iommu_dev(&dev->vdev);
	if (err) {
		vfio_put_device(&dev->vdev);
		return err;
	}
	platform_set_drvdata(pdev, dev);
	return 0;
}

static compat_remove_t sw_remove(struct platform_device *pdev)
{
	struct sw_dev *dev = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&dev->vdev);
	vfio_put_device(&dev->vdev);
	COMPAT_REMOVE_RETURN;
}

static struct platform_driver sw_driver = {
	.probe = sw_probe,
	.remove = sw_remove,
	.driver = {
		.name = DRIVER_NAME,
	},
};

static void remove_devices(void)
{
	unsigned int i;

	for (i = 0; i < instances; i++)
		if (!IS_ERR_OR_NULL(devices[i]))
			platform_device_unregister(devices[i]);
}

static int __init sw_module_init(void)
{
	unsigned int i;
	int err;

	if (!instances || instances > INSTANCES_MAX || !sw_queues || sw_queues > SW_QUEUES_MAX ||
	    !sw_max_bonds || !sw_pasids || sw_pasids > SVM_PASID_MAX ||
	    !sw_fault_timeout_ms || sw_fault_timeout_ms > 3600000)
		return -EINVAL;
	err = platform_driver_register(&sw_driver);
	if (err)
		return err;
	for (i = 0; i < instances; i++) {
		devices[i] = platform_device_register_simple(DRIVER_NAME, i, NULL, 0);
		if (IS_ERR(devices[i])) {
			err = PTR_ERR(devices[i]);
			goto remove_devices;
		}
	}
	return 0;

remove_devices:
	remove_devices();
	platform_driver_unregister(&sw_driver);
	return err;
}

static void __exit sw_module_exit(void)
{
	remove_devices();
	platform_driver_unregister(&sw_driver);
}

module_init(sw_module_init);
module_exit(sw_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Software DMA device that works in bound address spaces");
