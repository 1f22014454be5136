/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the core offers to drivers of devices that can bind address spaces.
 *
 *   open_device:   vfio_svm_open()    one context for each time the device is open
 *   ioctl:         vfio_svm_ioctl()   -ENOTTY: not one of the core's calls
 *   data path:     vfio_svm_use_get() .. vfio_svm_use_put() around each access
 *   close_device:  stop the device, then vfio_svm_close()
 *
 * Life of a bond: BINDING -> active -> GONE (the mm exited), REVOKED (its owner
 * took the consent back) or both -> UNBOUND -> resting -> freed. Everything but
 * "active" refuses new accesses. The bond keeps the mm_struct (mmgrab), never the
 * address space (mm_users): a worker's exit is never held up.
 *
 * Lock order: mmap_lock of the mm to be bound; then context lock; then the event
 * ring's spinlock. No lock that .release takes is held across a copy.
 */
#ifndef VFIO_SVM_CORE_H
#define VFIO_SVM_CORE_H

#include <linux/hashtable.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "uapi/vfio_svm.h"

struct eventfd_ctx;
struct vfio_svm_bond;
struct vfio_svm_ctx;
struct vfio_svm_user;

/*
 * What a driver does for the core. bind and unbind may sleep and may be called with
 * the context lock held; stamp and passed always are.
 */
struct vfio_svm_dev_ops {
	/* Optional: make the hardware know the bond, whose pasid is set. */
	int (*bind)(void *drv, struct vfio_svm_bond *bond);
	/*
	 * Optional: the bond takes no new access; end those under way. The core
	 * then waits for the last of them, with a bound.
	 */
	void (*unbind)(void *drv, struct vfio_svm_bond *bond);
	/*
	 * A point in the device's work: once it has passed the stamp taken when a
	 * bond ended, nothing the device was told before can still carry its PASID.
	 */
	u64 (*stamp)(void *drv);
	bool (*passed)(void *drv, u64 stamp);
	/* Optional: answer an open page request; -ENOENT when there is none. */
	int (*page_response)(void *drv, u64 request_id, u32 code);
};

struct vfio_svm_params {
	const struct vfio_svm_dev_ops *ops;
	void *drv;
	u32 max_bonds;
	u32 max_pasid;
	u32 nb_queues;
	u32 fault_timeout_us;		/* for caps */
	int node;
};

/* Pages shared with userspace, and the kernel's view of them. */
struct vfio_svm_mem {
	void *va;
	struct page **pages;
	unsigned int nb_pages;
};

/* The event ring. What userspace can write is read once an event, and clamped. */
struct vfio_svm_events {
	spinlock_t lock;		/* innermost, interrupts off */
	struct vfio_svm_mem ring;	/* header page, then records */
	struct vfio_svm_mem index;
	struct eventfd_ctx *eventfd;
	u32 head;
	u32 reserved;			/* slots promised to page requests */
	u64 dropped;
};

#define VFIO_SVM_EVENTS		1024u

struct vfio_svm_windows {
	struct rcu_head rcu;
	u32 nb;
	struct {
		u64 start;
		u64 last;
		u32 rights;
	} w[];
};

enum {
	VFIO_SVM_BOND_BINDING,
	VFIO_SVM_BOND_GONE,
	VFIO_SVM_BOND_REVOKED,
	VFIO_SVM_BOND_UNBOUND,
};

struct vfio_svm_bond {
	u64 id;
	u64 cookie;
	u32 pasid;
	u32 rights;
	struct mm_struct *mm;
	struct vfio_svm_ctx *ctx;
	struct vfio_svm_user *user;	/* whose address space it is */
	void *drv;			/* the driver's own */

	unsigned long state;		/* VFIO_SVM_BOND_* bits; 0 is active */
	struct vfio_svm_windows __rcu *windows;	/* NULL: the whole address space */
	/*
	 * Accesses under way, in two counters: narrowing flips the phase and waits
	 * for those of the old one, while new ones go on.
	 */
	atomic_t users[2];
	unsigned int phase;
	struct mutex narrow_lock;	/* one narrowing at a time; outermost */
	refcount_t refs;		/* table, notifier, each access */

	struct mmu_notifier mn;
	struct hlist_node by_mm;	/* ctx->mms */
	struct list_head rest;		/* ctx->resting */
	u64 stamp;			/* resting until the device has passed it */
	struct rcu_head rcu;
};

/* One open of a device. Lives until the last bond and consent descriptor let go. */
struct vfio_svm_ctx {
	const struct vfio_svm_dev_ops *ops;
	void *drv;
	struct vfio_svm_user *user;	/* who opened it */
	u32 max_bonds;
	u32 max_pasid;
	u32 nb_queues;
	u32 fault_timeout_us;

	struct mutex lock;		/* the tables and what they count */
	bool closed;
	u32 nb_bonds;
	u32 nb_ending;			/* taken out of the tables, drained at the moment */
	u32 next_pasid;
	struct xarray pasids;		/* read by the data path under RCU */
	struct xarray ids;
	DECLARE_HASHTABLE(mms, 8);
	struct list_head resting;	/* unbound, PASID not free yet */
	wait_queue_head_t drained;
	refcount_t refs;
	struct work_struct free;

	struct vfio_svm_events events;
};

/* An access to a bond, from get to put. */
struct vfio_svm_use {
	struct vfio_svm_bond *bond;
	unsigned int phase;
};

/* Something of a bond that could not be ended with it, and who is to answer for that. */
struct vfio_svm_left {
	struct vfio_svm_user *owner;
	struct vfio_svm_user *worker;
};

void vfio_svm_left_add(const struct vfio_svm_bond *bond, struct vfio_svm_left *left);
void vfio_svm_left_del(struct vfio_svm_left *left);
unsigned int vfio_svm_left_of(const struct vfio_svm_ctx *ctx);

struct vfio_svm_ctx *vfio_svm_open(const struct vfio_svm_params *params);
void vfio_svm_close(struct vfio_svm_ctx *ctx);
long vfio_svm_ioctl(struct vfio_svm_ctx *ctx, unsigned int cmd, void __user *arg);
int vfio_svm_feature_caps(struct vfio_svm_ctx *ctx, u32 flags, void __user *arg, size_t argsz);

int vfio_svm_use_get(struct vfio_svm_ctx *ctx, u32 pasid, struct vfio_svm_use *use);
void vfio_svm_use_put(struct vfio_svm_use *use);
bool vfio_svm_bond_allows(struct vfio_svm_bond *bond, u64 addr, u64 len, u32 right);
struct vfio_svm_bond *vfio_svm_bond_by_id(struct vfio_svm_ctx *ctx, u64 id);
void vfio_svm_bond_put(struct vfio_svm_bond *bond);
int vfio_svm_arg_get(void *arg, size_t size, size_t min, const void __user *uarg);

static inline bool vfio_svm_bond_active(const struct vfio_svm_bond *bond)
{
	return !READ_ONCE(bond->state);
}

bool vfio_svm_event_post(struct vfio_svm_ctx *ctx, const struct vfio_svm_event *event);
bool vfio_svm_event_reserve(struct vfio_svm_ctx *ctx);
void vfio_svm_event_unreserve(struct vfio_svm_ctx *ctx);
void vfio_svm_event_post_reserved(struct vfio_svm_ctx *ctx, const struct vfio_svm_event *event);
void vfio_svm_event_of_bond(struct vfio_svm_event *event, u32 type,
			    const struct vfio_svm_bond *bond);
void vfio_svm_event_set_eventfd(struct vfio_svm_ctx *ctx, struct eventfd_ctx *eventfd);

int vfio_svm_mem_alloc(struct vfio_svm_mem *mem, unsigned int nb_pages, int node);
void vfio_svm_mem_free(struct vfio_svm_mem *mem);
int vfio_svm_mem_map(const struct vfio_svm_mem *mem, struct vm_area_struct *vma, u64 pgoff,
		     bool writable);

#endif /* VFIO_SVM_CORE_H */
