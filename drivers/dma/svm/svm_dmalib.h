/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The functions of librte_dmadev that the driver calls, found at load time.
 *
 * Applications that use no DMA themselves, dpdk-testpmd for one, are not
 * linked with librte_dmadev, and EAL loads a plugin given by -d before the
 * drivers that would bring it in. So the plugin brings it in itself; it cannot
 * be linked with it, for a statically linked application has its own.
 */
#ifndef SVM_DMALIB_H
#define SVM_DMALIB_H

#include <rte_dmadev_pmd.h>

struct svm_dmalib {
	__typeof__(rte_dma_pmd_allocate) *pmd_allocate;
	__typeof__(rte_dma_pmd_release) *pmd_release;
	__typeof__(rte_dma_get_dev_id_by_name) *get_dev_id_by_name;
	__typeof__(rte_dma_stop) *stop;
	__typeof__(rte_dma_fp_objs) *fp_objs;
};

/**
 * Find them, loading the library when the application is a shared build.
 *
 * @return 0; -ENOENT: this application has no librte_dmadev.
 */
int
svm_dmalib_find(struct svm_dmalib *lib);

#endif /* SVM_DMALIB_H */
