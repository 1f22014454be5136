/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What a driver needs of librte_svm: make a device from devargs, start and
 * stop it, and owner queues whose producer end the driver writes itself.
 *
 * An owner queue (`struct svm_oq`) is the producer of one queue plus what the
 * engine needs to serve it. The data path of a driver is
 *
 *   svm_producer_claim / fill / mark on oq->prod, then svm_oq_kick(oq);
 *   svm_oq_kick(oq), then svm_producer_poll on oq->prod.
 *
 * svm_oq_kick() runs the engine when it is inline and rings the doorbell when
 * the engine may sleep; it is a test of one pointer otherwise.
 */
#ifndef RTE_SVM_PMD_H
#define RTE_SVM_PMD_H

#include <stdbool.h>
#include <stdint.h>

#include "rte_svm.h"
#include "svm_ring.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SVM_QUEUES_MAX		64u	/* owner queues a device may have */
#define SVM_ENGINES_MAX		16u
#define SVM_BONDS_MAX		65535u	/* software PASIDs fit in 16 bits */

#define SVM_RULES_MAX		16u	/* users, and groups, that can be listed */

/** Who may be a worker; nobody listed: whoever the socket's mode lets in. */
struct svm_rules {
	uint32_t nb_uids, nb_gids;
	uint32_t uids[SVM_RULES_MAX];
	uint32_t gids[SVM_RULES_MAX];
};

/** A device's settings, checked by the driver (devargs) before they come here. */
struct svm_dev_conf {
	char name[RTE_SVM_NAME_LEN];
	char socket[RTE_SVM_PATH_LEN];	/**< "": no server */
	bool socket_required;		/**< false: a default; go on without when it fails */
	enum rte_svm_engine engine;
	enum rte_svm_cma cma;
	enum rte_svm_tiers tier;
	uint32_t engines;		/**< 1 to SVM_ENGINES_MAX */
	int cores[SVM_ENGINES_MAX];	/**< CPUs of their threads, in turn */
	uint32_t nb_cores;		/**< 0: any of the node; at most `engines` */
	int numa_node;			/**< -1: any */
	uint32_t queues;		/**< worker queues at the most, 1 to 65535 */
	uint32_t depth;			/**< slots of a worker queue at the most */
	uint32_t max_bonds;		/**< 1 to SVM_BONDS_MAX */
	uint32_t timeout_us;		/**< 1,000 to 60,000,000 */
	uint32_t idle_us;		/**< 0: never sleep */
	struct svm_rules rules;
	uint32_t max_per_uid;		/**< connections of one user; 0: no limit */
	uint32_t max_per_pid;		/**< ... of one process; 0: no limit */
	uint32_t max_queues;		/**< queues of one worker; 0: as the protocol */
	uint64_t max_mem;		/**< bytes of memory of one worker; 0: it gets none */
	uint64_t max_mem_uid;		/**< ... of one user's; 0: no limit */
	uint32_t max_ranges;		/**< of one worker's memory, mapped here */
	uint32_t max_ranges_uid;	/**< ... of one user's; 0: no limit */
	uint32_t max_rate;		/**< messages a second of one worker; 0: no limit */
};

struct svm_dev;
struct svm_engine;

/** The producer end of an owner queue. */
struct svm_oq {
	struct svm_producer prod;
	struct svm_engine *inline_engine;	/**< set with engine=inline */
	struct svm_engine *sleepy_engine;	/**< set when the engine may sleep */
	uint32_t closed;			/**< atomic: the device has been removed */
	struct svm_dev *dev;
	struct svm_eq *eq;			/**< the engine's end */
};

/**
 * Make a device under conf->name, workers can connect. One exit ladder: a refused
 * call leaves no trace. rte_svm_* find it after svm_dev_publish().
 *
 * @param dma_dev_id
 *   dmadev that shows the device, -1 for none.
 * @return 0; -EEXIST: the name is taken; -ENOSPC; -ENOMEM; -EADDRINUSE: a
 *   living owner serves conf->socket; other -errno of the socket calls.
 */
int
svm_dev_create(const struct svm_dev_conf *conf, int16_t dma_dev_id,
		struct svm_dev **dev);

/** Let rte_svm_* find the device: the last step of a probe. */
void
svm_dev_publish(struct svm_dev *dev);

/**
 * Let rte_svm_* find it no more, and wait until the calls inside have returned: the
 * first step of a removal. It ends within 12 s and twice timeout_us.
 *
 * @return 0; -EBUSY: a call does not return; the device is published as before.
 */
int
svm_dev_withdraw(struct svm_dev *dev);

/**
 * Stop, unbind everything, end the server and the lanes, free. The device is
 * withdrawn, or was never published. An rte_svm_queue that its owner still has keeps
 * the memory that it needs.
 */
void
svm_dev_destroy(struct svm_dev *dev);

int
svm_dev_start(struct svm_dev *dev);

int
svm_dev_stop(struct svm_dev *dev);

/** Id for the rte_svm_* calls. */
uint16_t
svm_dev_id(const struct svm_dev *dev);

/**
 * Make an owner queue of `depth` slots (checked: svm_ring_depth_check()), on
 * memory of the device's node, and hand its other end to the engine.
 */
int
svm_oq_create(struct svm_dev *dev, uint32_t depth, struct svm_oq **oq);

/**
 * Take the queue from the engine and free it. -EBUSY: something in flight
 * could not be ended in time; call again.
 */
int
svm_oq_destroy(struct svm_oq *oq);

/**
 * Hold a bond so that its PASID is not given to another while the holder may
 * still put it into descriptors.
 *
 * @param bond  RTE_SVM_OWNER gives PASID 0.
 * @param pasid Out.
 * @return 0, -ENOENT.
 */
int
svm_bond_hold(struct svm_dev *dev, uint64_t bond, uint32_t *pasid);

/** Give a hold back; PASID 0 is allowed and does nothing. */
void
svm_bond_release(struct svm_dev *dev, uint32_t pasid);

/** As svm_bond_hold(), by PASID (the number in a dmadev port). -ENOENT. */
int
svm_bond_hold_pasid(struct svm_dev *dev, uint32_t pasid);

/**
 * The driver's answer to rte_svm_vchan_attach(): registered once per device.
 */
typedef int (*svm_vchan_attach_t)(void *arg, uint16_t vchan, uint64_t src_bond,
		uint64_t dst_bond);

void
svm_dev_set_vchan_attach(struct svm_dev *dev, svm_vchan_attach_t fn, void *arg);

/** Slow half of svm_oq_kick(). */
void
svm_oq_kick_slow(struct svm_oq *oq);

/** Let the engine see, or itself do, what was submitted. */
static inline void
svm_oq_kick(struct svm_oq *oq)
{
	if (oq->inline_engine != NULL || oq->sleepy_engine != NULL)
		svm_oq_kick_slow(oq);
}

#ifdef __cplusplus
}
#endif

#endif /* RTE_SVM_PMD_H */
