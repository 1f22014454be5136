/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The functions of librte_dmadev and of the vdev bus that the driver calls,
 * found at load time.
 *
 * An application need not be linked with either: dpdk-testpmd has no dmadev, and
 * most have no vdev bus of their own but get it from EAL's drivers, which EAL
 * loads after a plugin given by -d. So the plugin brings them in itself; it
 * cannot be linked with them, for a statically linked application has its own.
 */
#ifndef SVM_DMALIB_H
#define SVM_DMALIB_H

#include <bus_vdev_driver.h>
#include <rte_dmadev_pmd.h>

struct svm_dmalib {
	__typeof__(rte_dma_pmd_allocate) *pmd_allocate;
	__typeof__(rte_dma_pmd_release) *pmd_release;
	__typeof__(rte_dma_get_dev_id_by_name) *get_dev_id_by_name;
	__typeof__(rte_dma_stop) *stop;
	__typeof__(rte_dma_fp_objs) *fp_objs;
	__typeof__(rte_vdev_register) *vdev_register;
};

/**
 * Find them, loading the libraries when the application is a shared build.
 *
 * @return 0; -ENOENT: this application has no librte_dmadev or no vdev bus.
 */
int
svm_dmalib_find(struct svm_dmalib *lib);

#endif /* SVM_DMALIB_H */
