/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The bus vfio_svm, as its drivers see it: VFIO devices that bind the address
 * spaces of processes and work in them by PASID.
 *
 *   bus scan -> probe(): the device is open -> bind, queue_create
 *            -> [submit, kick, completions, event_poll] on any lcore
 *            -> remove(): destroy the queues; the bus closes the device
 *
 * The bus opens a device, checks what it speaks, and maps its event ring; the
 * driver asks for bonds and queues. A queue is the rings of svm_abi.h, mapped: its
 * producer end is that of svm_ring.h (svm_producer_init() on queue->ring), so
 * submitting, completions, rte_vfio_svm_event_poll() and, while the device is
 * awake, rte_vfio_svm_queue_kick() need no lock and no system call.
 *
 * **Removal.** When somebody removes the device (VFIO_SVM_EVENT_REMOVE) the bus
 * closes it at once, in EAL's interrupt thread, and then tells: first the driver's
 * gone(), then the application, by the EAL event RTE_DEV_EVENT_REMOVE. Until
 * remove() all memory stays mapped, with the content that it had, and all may be
 * called: rte_vfio_svm_* answer -ENODEV, and each queue's header says
 * SVM_QS_STOPPED. Completions that stand in the ring are good; descriptors
 * without one never get one.
 *
 * **Threads.** Calls without a remark may be made by any thread at any time
 * between probe() and the end of remove().
 *
 * **Errors** are negative errno. What binding may answer stands in vfio_svm.h.
 */
#ifndef BUS_VFIO_SVM_DRIVER_H
#define BUS_VFIO_SVM_DRIVER_H

#include <stdint.h>

#include <bus_driver.h>
#include <dev_driver.h>
#include <rte_branch_prediction.h>

#include "svm_ring.h"
#include "vfio_svm.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The reader's end of a device's event ring. One thread at a time reads. */
struct rte_vfio_svm_events {
	const struct vfio_svm_event *records;
	struct vfio_svm_event_index *index;
	uint32_t mask;
	uint32_t tail;			/**< events read so far */
};

/** A device of the bus. Drivers read it; the bus alone makes and frees it. */
struct rte_vfio_svm_device {
	struct rte_device device;	/**< name, NUMA node, device arguments */
	struct vfio_svm_caps caps;	/**< what the device can do, while a driver has it */
	struct rte_vfio_svm_events events;
	uint32_t gone;			/**< atomic: 1 when it was removed */
	void *driver_data;		/**< the driver's own */
};

/** A queue, mapped. */
struct rte_vfio_svm_queue {
	struct svm_ring ring;		/**< for svm_producer_init(), start 0 */
	struct rte_vfio_svm_device *dev;
	uint32_t number;		/**< below caps.nb_queues */
	int doorbell_fd;		/**< the bus's own, as the next */
	uint64_t doorbell_off;
};

/** What a queue shall be. */
struct rte_vfio_svm_queue_conf {
	uint32_t number;	/**< which: 0 to caps.nb_queues - 1 */
	uint32_t depth;		/**< slots, a power of two, SVM_DEPTH_MIN to SVM_DEPTH_MAX */
	uint32_t flags;		/**< VFIO_SVM_QUEUE_* of vfio_svm.h, 0 for none */
	uint64_t self_bond;	/**< bond that SVM_SPACE_SELF means, 0: none */
};

/** An address space that was bound. */
struct rte_vfio_svm_bond {
	uint64_t id;		/**< never used again by this kernel */
	uint32_t pasid;		/**< for SVM_SPACE(SVM_SPACE_PASID, pasid); never 0 */
};

struct rte_vfio_svm_driver;

/**
 * Take a device, which the bus has opened.
 *
 * @return 0; 1: it is not for this driver; -errno: it cannot be used.
 */
typedef int (*rte_vfio_svm_probe_t)(struct rte_vfio_svm_driver *driver,
		struct rte_vfio_svm_device *dev);

/**
 * Give a device back: no thread uses it or its queues any more. Queues that are
 * left the bus destroys.
 *
 * @return 0; -errno: the driver keeps it, for example -EBUSY.
 */
typedef int (*rte_vfio_svm_remove_t)(struct rte_vfio_svm_device *dev);

/**
 * The device was removed, and is closed. Called once, in EAL's interrupt thread;
 * it must not wait for others. May be NULL.
 */
typedef void (*rte_vfio_svm_gone_t)(struct rte_vfio_svm_device *dev);

/** A driver for devices of the bus. */
struct rte_vfio_svm_driver {
	RTE_TAILQ_ENTRY(rte_vfio_svm_driver) next;
	struct rte_driver driver;	/**< its name */
	rte_vfio_svm_probe_t probe;
	rte_vfio_svm_remove_t remove;
	rte_vfio_svm_gone_t gone;
};

/** The device that a generic one stands for. */
#define RTE_DEV_TO_VFIO_SVM(dev) \
	container_of(dev, struct rte_vfio_svm_device, device)

/**
 * Register a driver. From a constructor, or before devices are probed: devices are
 * offered to it from the next probe on. Not while another thread registers, probes
 * or removes.
 *
 * @param driver  With name, probe and remove; it stays the caller's, and has to
 *   stay until it is unregistered.
 */
void
rte_vfio_svm_register(struct rte_vfio_svm_driver *driver);

/** Unregister a driver that has no device. Threads as rte_vfio_svm_register(). */
void
rte_vfio_svm_unregister(struct rte_vfio_svm_driver *driver);

/**
 * Bind an address space to the device.
 *
 * @param type    VFIO_SVM_BIND_SELF, _PID, _PIDFD or _MEMFD.
 * @param target  A pid or a descriptor, as the type says; 0 for SELF. A descriptor
 *   stays the caller's.
 * @param rights  VFIO_SVM_READ, VFIO_SVM_WRITE: what the device may do.
 * @param cookie  Comes back in the bond's events.
 * @param bond    Out. It lasts until rte_vfio_svm_unbind(), also when its process
 *   ends meanwhile: its operations complete as SVM_ST_BOND_DEAD then.
 * @return 0; -ENODEV: the device was removed; as vfio_svm.h says of binding, among
 *   them -ESRCH, -EACCES, -EPERM, -EEXIST, -ENOSPC. `bond` is untouched then.
 */
int
rte_vfio_svm_bind(struct rte_vfio_svm_device *dev, uint32_t type, int32_t target,
		uint32_t rights, uint64_t cookie, struct rte_vfio_svm_bond *bond);

/**
 * End a bond. When it returns the device touches that address space no more.
 *
 * @return 0; -ENOENT: no such bond; -EBUSY: it is ended, but something could not be
 *   stopped in time and its PASID rests until it is; -ENODEV: the device was removed,
 *   which ended the bond.
 */
int
rte_vfio_svm_unbind(struct rte_vfio_svm_device *dev, uint64_t bond_id);

/**
 * Make a consent descriptor: whoever gets it may bind the own address space with
 * it, once (VFIO_SVM_CONSENT_BIND). Events BOUND, NARROWED and REVOKED tell what
 * became of it.
 *
 * @param rights  The most that it may allow: VFIO_SVM_READ, VFIO_SVM_WRITE.
 * @param cookie  Comes back in the bond's events.
 * @return The descriptor, the caller's to close; -EINVAL, -ENOMEM, -EMFILE; -ENODEV:
 *   the device was removed.
 */
int
rte_vfio_svm_consent(struct rte_vfio_svm_device *dev, uint32_t rights, uint64_t cookie);

/**
 * Answer a page request (VFIO_SVM_EVENT_PAGE_REQUEST).
 *
 * @param code  VFIO_SVM_RESP_SUCCESS, _INVALID or _FAILURE.
 * @return 0; -ENOENT: no such request is open (any more); -EINVAL: no such code;
 *   -ENODEV: the device was removed.
 */
int
rte_vfio_svm_page_respond(struct rte_vfio_svm_device *dev, uint64_t request_id, uint32_t code);

/**
 * The device's own counters, since it was opened.
 *
 * @return 0; -ENOTTY: it has none; -ENODEV: it was removed. `stats` is untouched then.
 */
int
rte_vfio_svm_stats_get(struct rte_vfio_svm_device *dev, struct vfio_svm_stats *stats);

/**
 * Make a queue and map it. Its memory is zeroed, and on the device's node.
 *
 * @param queue  Out. It is the caller's until rte_vfio_svm_queue_destroy().
 * @return 0; -EINVAL: a depth or flag that cannot be; -ENOENT: no such number, or no
 *   such bond; -EBUSY: that number is taken; -ENOMEM; -EPROTO: its rings are not those
 *   of svm_abi.h as this bus knows them; -ENODEV: the device was removed.
 */
int
rte_vfio_svm_queue_create(struct rte_vfio_svm_device *dev,
		const struct rte_vfio_svm_queue_conf *conf, struct rte_vfio_svm_queue **queue);

/**
 * End a queue and unmap it. What is in flight is aborted. No other thread uses the
 * queue, and none will; also for a device that was removed.
 */
void
rte_vfio_svm_queue_destroy(struct rte_vfio_svm_queue *queue);

/**
 * Wake the device: one system call. rte_vfio_svm_queue_kick() knows when.
 *
 * @return 0; -errno of write(2). For a device that was removed it does nothing.
 */
int
rte_vfio_svm_queue_wake(const struct rte_vfio_svm_queue *queue);

/**
 * After marks were stored: let a sleeping device see them. Any thread that
 * submits. One fence and one load, unless the device sleeps.
 */
static inline void
rte_vfio_svm_queue_kick(const struct rte_vfio_svm_queue *queue)
{
	/*
	 * The mark before need_wakeup. Pairs with the device's barrier between its
	 * store of need_wakeup and its last look at the marks (sw_queue_sleep()).
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (unlikely(__atomic_load_n(&queue->ring.hdr->need_wakeup, __ATOMIC_RELAXED) != 0))
		rte_vfio_svm_queue_wake(queue);
}

/**
 * Whether the queue has ended: the device was removed, or gave the queue up. All
 * completions that there will ever be stand in the ring then.
 */
static inline bool
rte_vfio_svm_queue_stopped(const struct rte_vfio_svm_queue *queue)
{
	/* Pairs with the release store of the state behind the last completion. */
	return __atomic_load_n(&queue->ring.hdr->state, __ATOMIC_ACQUIRE) != SVM_QS_RUNNING;
}

/** Whether the device was removed. */
static inline bool
rte_vfio_svm_gone(const struct rte_vfio_svm_device *dev)
{
	/* Pairs with the release store when all of the device is closed. */
	return __atomic_load_n(&dev->gone, __ATOMIC_ACQUIRE) != 0;
}

/**
 * Take events, without a system call. One thread at a time.
 *
 * @param events  Out.
 * @param n       Room in `events`.
 * @return How many were taken, 0 to n. VFIO_SVM_EVENT_REMOVE is among them, for
 *   information: the bus has acted on it.
 */
static inline uint32_t
rte_vfio_svm_event_poll(struct rte_vfio_svm_device *dev, struct vfio_svm_event *events,
		uint32_t n)
{
	struct rte_vfio_svm_events *ring = &dev->events;
	uint32_t i;

	for (i = 0; i != n; i++) {
		const struct vfio_svm_event *record = &ring->records[ring->tail & ring->mask];

		/* Pairs with the kernel's release store of seq behind the record. */
		if (__atomic_load_n(&record->seq, __ATOMIC_ACQUIRE) != ring->tail + 1)
			break;
		events[i] = *record;
		ring->tail++;
	}
	/* The copies before the index: the kernel may use the slots again then. */
	if (i != 0)
		__atomic_store_n(&ring->index->tail, ring->tail, __ATOMIC_RELEASE);
	return i;
}

#ifdef __cplusplus
}
#endif

#endif /* BUS_VFIO_SVM_DRIVER_H */
