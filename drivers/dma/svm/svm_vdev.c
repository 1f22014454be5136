/* SPDX-License-Identifier: BSD-3-Clause */
/* The vdev driver "svm": checks who loads it, then makes and ends devices. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include <bus_vdev_driver.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_memory.h>
#include <rte_version.h>

#include "svm_devargs.h"
#include "svm_dmalib.h"
#include "svm_dmadev.h"
#include "svm_version.h"

int svm_dma_logtype;

/* Filled once, before the driver is registered. */
static struct svm_dmalib dmalib;

static int
svm_probe(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	struct svm_dev_conf conf;
	struct rte_dma_dev *dmadev;
	struct svm_dma *dma;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		SVM_DMA_LOG(ERR, "%s: a secondary process cannot use it; be a worker, or use it in the "
			"primary process", name);
		return -ENOTSUP;
	}
	ret = svm_devargs_parse(name, rte_vdev_device_args(vdev), &conf);
	if (ret != 0)
		return ret;
	if (vdev->device.numa_node == SOCKET_ID_ANY)
		vdev->device.numa_node = (int)rte_socket_id();
	if (conf.numa_node < 0)
		conf.numa_node = vdev->device.numa_node;
	vdev->device.numa_node = conf.numa_node;

	dmadev = dmalib.pmd_allocate(name, conf.numa_node, sizeof(*dma));
	if (dmadev == NULL) {
		SVM_DMA_LOG(ERR, "%s: no dmadev could be allocated: no memory, or as many devices as rte_dma_dev_max() allows", name);
		return -ENOMEM;
	}
	dma = dmadev->data->dev_private;
	dma->dmadev = dmadev;
	svm_dma_init(dma);

	ret = svm_dev_create(&conf, dmadev->data->dev_id, &dma->svm);
	if (ret != 0) {
		SVM_DMA_LOG(ERR, "%s: the device could not be made: %s", name, strerror(-ret));
		goto release_dmadev;
	}
	svm_dev_set_vchan_attach(dma->svm, svm_dma_vchan_attach, dma);
	dmadev->device = &vdev->device;
	dmadev->dev_ops = &svm_dma_ops;
	svm_dma_fp_set(dmadev->fp_obj, dma);
	dmadev->state = RTE_DMA_DEV_READY;
	svm_dev_publish(dma->svm);
	return 0;

release_dmadev:
	dmalib.pmd_release(name);
	return ret;
}

static int
svm_remove(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	const int dev_id = dmalib.get_dev_id_by_name(name);
	const struct svm_dma *dma;
	int ret;

	if (dev_id < 0)
		return 0;	/* rte_dma_close() has ended it */
	dma = (*dmalib.fp_objs)[dev_id].dev_private;
	if (dma->dmadev->data->dev_started) {
		ret = dmalib.stop((int16_t)dev_id);
		if (ret != 0)
			return ret;
	}
	return dmalib.pmd_release(name);
}

static struct rte_vdev_driver svm_vdev_driver = {
	.driver.name = "svm",
	.probe = svm_probe,
	.remove = svm_remove,
	.drv_flags = RTE_VDEV_DRV_NEED_IOVA_AS_VA,
};

/* Another copy of this plugin, if there is one. */
static int
copy_find(struct dl_phdr_info *info, size_t size, void *arg)
{
	static const char file[] = "/librte_dma_svm.so";
	const char *name = strrchr(info->dlpi_name, '/'), **other = arg;
	Dl_info own;

	(void)size;
	if (name == NULL || strncmp(name, file, sizeof(file) - 1) != 0 ||
			dladdr(&svm_vdev_driver, &own) == 0 ||
			(uintptr_t)own.dli_fbase == info->dlpi_addr)
		return 0;
	*other = info->dlpi_name;
	return 1;
}

/* Before the checks pass nothing of the plugin is known to DPDK. */
RTE_INIT(svm_vdev_register)
{
	const char *other;

	/* EAL loads what is installed, and then what -d names. */
	if (dl_iterate_phdr(copy_find, &other) != 0) {
		rte_log(RTE_LOG_NOTICE, RTE_LOGTYPE_EAL, "SVM_DMA: %s is loaded already, this other copy "
			"of the driver is not used: leave out -d, or uninstall that one\n", other);
		return;
	}
	if (!svm_version_fits(RTE_VER_YEAR, RTE_VER_MONTH,
			rte_version_year(), rte_version_month())) {
		rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "SVM_DMA: this plugin was built for DPDK %02u.%02u "
			"and cannot be used by %02u.%02u: build it for that one\n",
			(unsigned int)RTE_VER_YEAR, (unsigned int)RTE_VER_MONTH,
			rte_version_year(), rte_version_month());
		return;
	}
	if (svm_dmalib_find(&dmalib) != 0) {
		rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "SVM_DMA: this application has no librte_dmadev or no "
			"vdev bus, the driver cannot be used\n");
		return;
	}
	svm_dma_logtype = rte_log_register_type_and_pick_level("pmd.dma.svm", RTE_LOG_NOTICE);
	dmalib.vdev_register(&svm_vdev_driver);
}

/* Read by dpdk-pmdinfo, in the form that pmdinfogen gives DPDK's own drivers. */
static const char svm_pmd_info[] __rte_used =
	"PMD_INFO_STRING= {\"name\": \"svm\", \"params\": \"" SVM_DEVARGS "\", \"pci_ids\": []}";
