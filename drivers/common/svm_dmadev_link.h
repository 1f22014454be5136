/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of librte_dmadev the driver uses beyond functions. A variable cannot be looked up behind the
 * driver's back as svm_dmadev_link.c does with functions, so the driver asks for it.
 */
#ifndef SVM_DMADEV_LINK_H
#define SVM_DMADEV_LINK_H

#include <rte_dmadev.h>

/**
 * The data path entry of a dmadev, from the application's own librte_dmadev.
 *
 * @param dev_id
 *   A valid dmadev id.
 * @return
 *   The entry, or NULL when the application has no librte_dmadev.
 */
struct rte_dma_fp_object *svm_dmadev_fp_object(int16_t dev_id);

#endif /* SVM_DMADEV_LINK_H */
