/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dmadev of an svm device. A vchan is the producer of one owner queue of
 * the engine (rte_svm_pmd.h) and the two address spaces that it moves data
 * between.
 *
 *   rte_dma_configure     vchans are forgotten, their bonds let go
 *   rte_dma_vchan_setup   direction, depth; bonds held, by PASID
 *   rte_dma_start         queues made (ids from 0), engine started
 *   rte_dma_stop          what is in flight ended, queues freed, engine stopped
 *   rte_dma_close         bonds let go, the rte_svm device ends, too
 *
 * Which side is whose memory:
 *
 * | direction  | source            | destination       |
 * |------------|-------------------|-------------------|
 * | MEM_TO_MEM | owner             | owner             |
 * | MEM_TO_DEV | owner             | dst_port's PASID  |
 * | DEV_TO_MEM | src_port's PASID  | owner             |
 * | DEV_TO_DEV | src_port's PASID  | dst_port's PASID  |
 *
 * A port is of type PCIE; of its fields the PASID alone has a meaning, 0 is
 * the owner itself.
 *
 * How an operation ended:
 *
 * | engine                | dmadev (RTE_DMA_STATUS_*) |
 * |-----------------------|---------------------------|
 * | OK                    | SUCCESSFUL                |
 * | PAGE_FAULT            | PAGE_FAULT                |
 * | BAD_LEN               | INVALID_LENGTH            |
 * | BAD_OP                | INVALID_OPCODE            |
 * | BAD_DESC              | DESCRIPTOR_READ_ERROR     |
 * | BAD_SPACE, DENIED     | INVALID_ADDR              |
 * | BOND_DEAD             | DEV_LINK_ERROR            |
 * | TIMEOUT               | BUS_ERROR                 |
 * | ABORTED               | USER_ABORT                |
 * | NO_MEMORY, MISMATCH   | ERROR_UNKNOWN             |
 *
 * The exact byte count and address of a failure stand in the fault record
 * (rte_svm_fault_poll()), whose cookie is the operation's 16-bit id.
 */
#ifndef SVM_DMADEV_H
#define SVM_DMADEV_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_dmadev_pmd.h>
#include <rte_log.h>

#include "rte_svm_pmd.h"

/*
 * Elements on each side of a scatter-gather copy: n and m of them have at
 * most n + m - 1 pieces between two neighbouring boundaries.
 */
#define SVM_DMA_SGES_MAX	8u
_Static_assert(2 * SVM_DMA_SGES_MAX - 1 <= SVM_SG_MAX, "all pieces fit in a slot's row");

extern int svm_dma_logtype;

#define SVM_DMA_LOG(level, fmt, ...) \
	rte_log(RTE_LOG_ ## level, svm_dma_logtype, "SVM_DMA: " fmt "\n", ##__VA_ARGS__)

/** One vchan. The data path touches its first line and *oq only. */
struct svm_vchan {
	struct svm_oq *oq;	/**< never NULL: the closed queue while stopped */
	uint32_t src_space;	/**< SVM_SPACE() */
	uint32_t dst_space;
	uint32_t batch;		/**< counter of the first operation not submitted */
	bool silent;		/**< completions are counted and dropped */
	bool set_up;
	uint8_t dir;		/**< enum rte_dma_direction */
	uint32_t depth;
	struct rte_dma_stats stats;
} __rte_cache_aligned;

/** Private data of the dmadev. */
struct svm_dma {
	struct rte_dma_dev *dmadev;
	struct svm_dev *svm;
	uint16_t nb_vchans;
	bool silent;
	struct svm_vchan vchan[SVM_QUEUES_MAX];
};

extern const struct rte_dma_dev_ops svm_dma_ops;

/** Make the vchans known to the data path, before anything else uses them. */
void
svm_dma_init(struct svm_dma *dma);

/** The answer to rte_svm_vchan_attach(); arg is the struct svm_dma. */
int
svm_dma_vchan_attach(void *arg, uint16_t vchan, uint64_t src_bond, uint64_t dst_bond);

/* ---- data path: svm_dmadev_dp.c ---- */

/** Queue of a vchan that is not started: full, and nothing ever completes. */
extern struct svm_oq svm_dma_closed_oq;

/** Point dmadev's table at the data path. */
void
svm_dma_fp_set(struct rte_dma_fp_object *fp, struct svm_dma *dma);

/** Whether all that was submitted has ended; its completions may wait. */
bool
svm_dma_idle(const struct svm_vchan *vc);

/** Count and drop what has completed on a silent vchan. @return how many. */
uint32_t
svm_dma_silent_gather(struct svm_vchan *vc);

#endif /* SVM_DMADEV_H */
