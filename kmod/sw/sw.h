/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The software device: a kernel thread that does what a DMA engine would.
 *
 *   sw_main.c   module, instances                  sw_vfio.c  what userspace calls
 *   sw_ring.c   queues: intake, completion         sw_dma.c   copies, never sleeping
 *   sw_thread.c turns and sleep            sw_fault.c what becomes of a page fault
 *   sw_lane.c   what may sleep: one lane a bond, a thread that takes page faults
 *
 * One turn of the thread: for each queue, take marked descriptors into its window
 * of operations, run some, complete those at the front that are done. Copies run
 * with page faults disabled. What faults is parked; the bond's lane makes the page
 * present and touches no buffer, and the copy goes on at that byte. So a lane that
 * hangs can be left behind without ever writing into memory it no longer may.
 *
 * Locks: turn_lock is held by the thread for a turn, and by whoever changes queues.
 * The core's context lock is taken before it. It is not taken in a notifier.
 */
#ifndef VFIO_SVM_SW_H
#define VFIO_SVM_SW_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <linux/wait.h>

#include "compat.h"
#include "uapi/svm_abi.h"
#include "vfio_svm_core.h"

#define SW_WINDOW	64u		/* operations of a queue under way */
#define SW_SLICE	65536u		/* bytes of one group; a longer copy takes more turns */
#define SW_QUEUES_MAX	64u
#define SW_RETRIES	64u		/* faults on end that bring no byte forward */
#define SW_REQUESTS	64u		/* page requests of a bond that are open at a time */

struct sw_dma_group;
struct sw_lane;
struct sw_queue;

enum sw_op_state {
	SW_OP_DONE,
	SW_OP_READY,
	SW_OP_PARKED,			/* on a lane, or waiting for it */
};

struct sw_op {
	struct sw_queue *queue;
	enum sw_op_state state;
	u8 status;			/* SVM_ST_* */
	u32 seg;			/* of COPY_SG */
	u32 seg_done;			/* bytes of this segment, or of all */
	u32 done;
	u64 fault_addr;
	struct vfio_svm_use src;	/* bond NULL: the operation uses none */
	struct vfio_svm_use dst;
	/* Parked: the byte that is missing, and whose it is. */
	struct sw_lane *lane;
	bool on_dst;
	bool lane_asked;		/* the lane works for this operation */
	bool asking;			/* userspace is to answer, not the lane */
	bool granted;			/* it has, and let the access pass */
	u64 request_id;			/* of the open page request, 0 for none */
	u32 retries;
	unsigned long deadline;		/* jiffies: of the page, or the request */
	unsigned long parked_at;
	unsigned long waited;		/* jiffies for the lane, all its pages together */
	struct svm_desc d;		/* the private copy */
	struct svm_seg *segs;		/* SVM_SG_MAX of them */
};

struct sw_queue {
	struct vfio_svm_mem mem;
	struct svm_queue_hdr *hdr;
	struct svm_desc *sq;
	struct svm_cpl *cq;
	struct svm_seg *sg;
	u32 idx;
	u64 serial;			/* no other queue of the device ever had it */
	u32 mask;
	u32 flags;			/* VFIO_SVM_QUEUE_* */
	unsigned long fault_timeout;	/* jiffies, of a page request */
	u32 head;			/* descriptors taken */
	u32 cpl;			/* completions written */
	u32 scan;			/* where the next group begins to look */
	u64 self_id;			/* the queue's own bond, 0 for none */
	u32 self_pasid;
	struct sw_op *ops;		/* SW_WINDOW */
	struct svm_seg *segs;
	/* PASID quarantine: see sw_queue_passed(). */
	u64 passed;
	u64 wait_stamp;
	u32 wait_head;
};

struct sw_dev {
	struct vfio_device vdev;	/* first: the VFIO core allocates */
	struct vfio_svm_ctx *ctx;	/* while open */
	struct task_struct *thread;
	wait_queue_head_t wait;
	bool kicked;
	struct mutex turn_lock;
	bool closing;
	unsigned long close_left;	/* jiffies a close may yet wait for stuck lanes */
	u64 stamp;
	u64 last_serial;		/* of a queue */
	u32 nb_queues;
	struct sw_queue *queues[SW_QUEUES_MAX];
	void *bounce[2];		/* SW_SLICE bytes each */
	struct sw_dma_group *group;	/* the one under way */
	struct vfio_svm_stats stats;	/* written by the thread alone */
};

/* Module parameters, fixed once loaded. */
extern unsigned int sw_queues, sw_max_bonds, sw_pasids, sw_spin_us, sw_timeout_ms;
extern unsigned int sw_op_timeout_ms, sw_fault_timeout_ms;

static inline void sw_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

/* Does what is missing have to be writable? */
static inline bool sw_op_writes(const struct sw_op *op)
{
	return op->on_dst && op->d.op != SVM_OP_COMPARE;
}

static inline struct sw_dev *sw_dev_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct sw_dev, vdev);
}

/* sw_vfio.c */
extern const struct vfio_device_ops sw_vfio_ops;

/* sw_ring.c */
int sw_queue_create(struct sw_dev *dev, struct vfio_svm_queue *arg, u32 self_pasid, u64 *serial);
int sw_queue_destroy(struct sw_dev *dev, u32 idx, u64 serial);
void sw_queue_sleep(struct sw_queue *queue, bool sleep);
bool sw_queue_ready(const struct sw_queue *queue);
bool sw_queue_passed(struct sw_queue *queue, u64 stamp, u64 last);
bool sw_queue_turn(struct sw_dev *dev, struct sw_queue *queue);
void sw_op_finish(struct sw_dev *dev, struct sw_op *op, u8 status, u64 fault_addr);

/* sw_dma.c */
struct sw_dma_group *sw_dma_group_alloc(void);
bool sw_dma_run(struct sw_dev *dev, struct sw_queue *queue);

/* sw_lane.c */
int sw_lane_create(void *drv, struct vfio_svm_bond *bond);
void sw_lane_stop(void *drv, struct vfio_svm_bond *bond);
void sw_lane_poll(struct sw_dev *dev, struct sw_op *op);
void sw_lane_forget(struct sw_op *op);
bool sw_lane_may_request(const struct sw_lane *lane);
void sw_lane_request(struct sw_lane *lane, int n);
void sw_lane_refuse(struct sw_lane *lane);
bool sw_lane_refuses(const struct sw_lane *lane);

/* sw_fault.c */
u64 sw_op_missing(const struct sw_op *op);
void sw_op_fail(struct sw_dev *dev, struct sw_op *op, u8 status);
void sw_op_fault(struct sw_dev *dev, struct sw_op *op, bool on_dst);
void sw_fault_poll(struct sw_dev *dev, struct sw_op *op);
void sw_fault_forget(struct sw_op *op);
int sw_fault_response(void *drv, u64 id, u32 code);

/* sw_thread.c */
void sw_dev_wake(struct sw_dev *dev);
int sw_thread_start(struct sw_dev *dev);
void sw_thread_stop(struct sw_dev *dev);

#endif /* VFIO_SVM_SW_H */
