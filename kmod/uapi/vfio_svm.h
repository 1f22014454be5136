/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/*
 * What a program says to a VFIO device that can bind address spaces. The rings
 * such a device shares stand in svm_abi.h.
 *
 * A bond ties one address space (an mm, not a pid) to one open device under a
 * PASID. It ends when it is unbound, when the device is closed, and by itself
 * when the address space goes: exit, exec (setuid or not). A fork copies none.
 * An address space that is gone keeps its bond id and PASID until the owner
 * unbinds or closes, so neither can come to mean somebody else unseen.
 *
 * Probe before use: VFIO_DEVICE_FEATURE with VFIO_DEVICE_FEATURE_SVM.
 *
 * What every call below may answer, besides what stands with it:
 *
 *   EFAULT      an argument that cannot be read or written; nothing was done
 *   EINVAL      argsz too small, a reserved field or an unknown flag not 0
 *   E2BIG       argsz larger than this kernel knows, and the rest is not 0
 *   EINTR       a fatal signal ended the wait
 *   ENOMEM      no memory
 *   ENOTTY      this device, or this kernel, does not know the call
 *
 * What binding may answer:
 *
 *   ESRCH       no such process, or it has no address space (a kernel thread,
 *               a zombie, a process that is exiting)
 *   EACCES      the kernel's ptrace ATTACH check refused: another user, not
 *   EPERM       dumpable, Yama or another security module
 *   EBADF       target is no open descriptor
 *   EINVAL      target is a descriptor of another sort; a pid that is not > 0
 *   EEXIST      this address space is bound to this open device already
 *   ENOSPC      the device has no PASID, or no room for a bond, left
 *   EDQUOT      all devices together, or those that the device's user has open,
 *               have no room for a bond left; or too much that could not be
 *               ended with its bond has not come back: of devices of this user,
 *               or in address spaces of the user who would be bound. Opening
 *               the device is refused with it for the former, too
 *   EOPNOTSUPP  a type that this device cannot bind
 *   EALREADY    this consent descriptor has bound an address space before
 *   ENODEV      the device of this consent descriptor was closed
 *   others      what the IOMMU says is passed on unchanged
 */
#ifndef VFIO_SVM_H
#define VFIO_SVM_H

#include <linux/types.h>
#include <linux/ioctl.h>
#include <linux/vfio.h>

#include "svm_abi.h"

/*
 * The calls of "vfio: Allow to bind foreign task", as they were. They bind with
 * both rights and no cookie.
 *
 * BIND_TASK    argsz 12, or 16 with VFIO_SVM_PID; flags may hold nothing else.
 *              Without it the caller itself is bound, and pid is not looked at.
 *              Writes pasid.
 * UNBIND_TASK  argsz 12; pasid names the bond. The two RELEASE flags are hints:
 *              the kernel drains what it can in any case. ENOENT: no such bond.
 *              EBUSY: it is unbound, but something in flight could not be ended
 *              in time; its PASID rests until it is.
 */
#define VFIO_DEVICE_BIND_TASK	_IO(VFIO_TYPE, VFIO_BASE + 22)
#define VFIO_DEVICE_UNBIND_TASK	_IO(VFIO_TYPE, VFIO_BASE + 23)

struct vfio_device_svm {
	__u32 argsz;
	__u32 flags;
#define VFIO_SVM_PASID_RELEASE_FLUSHED	(1 << 0)
#define VFIO_SVM_PASID_RELEASE_CLEAN	(1 << 1)
#define VFIO_SVM_PID			(1 << 2)
	__u32 pasid;
	__u32 pid;
};

/* Rights of a bond, in flags. */
#define VFIO_SVM_READ		(1 << 0)	/* the device may read */
#define VFIO_SVM_WRITE		(1 << 1)	/* the device may write */
#define VFIO_SVM_RIGHTS		(VFIO_SVM_READ | VFIO_SVM_WRITE)

/* Whose address space. */
#define VFIO_SVM_BIND_SELF		0	/* the caller's; target 0 */
#define VFIO_SVM_BIND_PID		1	/* of a thread, in the caller's pid namespace */
#define VFIO_SVM_BIND_PIDFD		2
#define VFIO_SVM_BIND_MEMFD		3	/* a descriptor of /proc/PID/mem, open for the rights asked */
#define VFIO_SVM_BIND_PGTABLE		4	/* reserved: a guest's page table */
#define VFIO_SVM_BIND_PASID_TABLE	5	/* reserved: a guest's PASID table */

/*
 * VFIO_SVM_BIND - bind an address space. At least one right must be asked for.
 * When the reply cannot be written the bond is taken back.
 */
#define VFIO_SVM_BIND		_IO(VFIO_TYPE, VFIO_BASE + 140)

struct vfio_svm_bind {
	__u32 argsz;
	__u32 flags;		/* VFIO_SVM_READ, VFIO_SVM_WRITE */
	__u32 type;		/* VFIO_SVM_BIND_* */
	__s32 target;		/* pid or descriptor */
	__u32 pasid;		/* out: 20 bits, never 0 */
	__u32 reserved;
	__u64 cookie;		/* returned in events */
	__u64 bond_id;		/* out: never reused while the module is loaded */
};

/* VFIO_SVM_UNBIND - end a bond by its id. ENOENT, EBUSY: as UNBIND_TASK. */
#define VFIO_SVM_UNBIND		_IO(VFIO_TYPE, VFIO_BASE + 141)

struct vfio_svm_unbind {
	__u32 argsz;
	__u32 flags;
	__u64 bond_id;
};

/*
 * VFIO_SVM_CONSENT - make a descriptor with which whoever holds it may bind the
 * own address space, once. Returns the descriptor (close-on-exec, ioctl only).
 * It does not keep the device open.
 */
#define VFIO_SVM_CONSENT	_IO(VFIO_TYPE, VFIO_BASE + 142)

struct vfio_svm_consent {
	__u32 argsz;
	__u32 flags;		/* the most that may be bound: VFIO_SVM_READ, _WRITE */
	__u64 cookie;
};

/*
 * Calls of the consent descriptor.
 *
 * CONSENT_BIND    binds the caller's address space; flags: rights, at most those
 *                 of the descriptor (EACCES). The owner learns of it by the event
 *                 BOUND, or by CONSENT_BIND's reply passed on.
 * CONSENT_NARROW  only these windows from now on. Each must lie within what was
 *                 allowed so far (EACCES). When the call returns, no access is
 *                 under way any more that the new windows forbid.
 * CONSENT_REVOKE  ends the bond, as an unbind of the owner would; the owner gets
 *                 the event REVOKED, and unbinds to give the PASID back.
 *
 * NARROW and REVOKE: EPERM when the caller's address space is not the bound one,
 * ENOENT when none is bound, or not any more.
 */
#define VFIO_SVM_CONSENT_BIND	_IO(VFIO_TYPE, VFIO_BASE + 143)
#define VFIO_SVM_CONSENT_NARROW	_IO(VFIO_TYPE, VFIO_BASE + 144)
#define VFIO_SVM_CONSENT_REVOKE	_IO(VFIO_TYPE, VFIO_BASE + 145)

struct vfio_svm_consent_bind {
	__u32 argsz;
	__u32 flags;		/* VFIO_SVM_READ, VFIO_SVM_WRITE */
	__u32 pasid;		/* out */
	__u32 reserved;
	__u64 bond_id;		/* out */
};

#define VFIO_SVM_WINDOWS_MAX	16u

struct vfio_svm_window {
	__u64 addr;
	__u64 len;		/* not 0, and addr + len does not wrap */
	__u32 flags;		/* VFIO_SVM_READ, VFIO_SVM_WRITE: at least one */
	__u32 reserved;
};

struct vfio_svm_narrow {
	__u32 argsz;
	__u32 flags;		/* 0 */
	__u32 nb_windows;	/* 1 to VFIO_SVM_WINDOWS_MAX */
	__u32 reserved;
	__u64 windows;		/* address of struct vfio_svm_window[nb_windows] */
};

/* CONSENT_REVOKE takes this head alone. */
struct vfio_svm_head {
	__u32 argsz;
	__u32 flags;		/* 0 */
};

/*
 * VFIO_SVM_PAGE_RESPONSE - answer a page request of a queue that was made with
 * VFIO_SVM_QUEUE_PAGE_REQUESTS, once. ENOENT: no such request of this device is
 * open; it was answered, its time was up, its queue was removed or its bond ended
 * (INVALID was the answer then). EINVAL: no such code.
 *
 * SUCCESS lets the access go on at the byte that was missing. What is not there by
 * then the kernel brings in, as it does for the process itself; memory that is not
 * mapped at all ends the access as INVALID would.
 */
#define VFIO_SVM_PAGE_RESPONSE	_IO(VFIO_TYPE, VFIO_BASE + 146)

#define VFIO_SVM_RESP_SUCCESS	0	/* try the access again */
#define VFIO_SVM_RESP_INVALID	1	/* the access fails */
#define VFIO_SVM_RESP_FAILURE	2	/* so do all later ones of this bond that fault */

struct vfio_svm_page_response {
	__u32 argsz;
	__u32 flags;		/* 0 */
	__u64 request_id;
	__u32 code;		/* VFIO_SVM_RESP_* */
	__u32 reserved;
};

/*
 * Regions. Find them by type and subtype in VFIO_REGION_INFO_CAP_TYPE; their
 * index is the device's own business.
 */
#define VFIO_SVM_REGION_TYPE		0x53564d00u
#define VFIO_SVM_REGION_EVENTS		1u	/* struct vfio_svm_event_hdr, then records; read-only */
#define VFIO_SVM_REGION_EVENT_INDEX	2u	/* struct vfio_svm_event_index */
#define VFIO_SVM_REGION_DOORBELL	3u	/* write the __u32 number of a queue at offset 0 */
#define VFIO_SVM_REGION_QUEUE		16u	/* + queue: struct svm_queue_hdr, rings; see VFIO_SVM_QUEUE */

/*
 * Events. The region EVENTS begins with the header; record n stands in slot
 * n & (nb_records - 1) and is complete when its seq is (__u32)(n + 1), stored last.
 * The reader writes how far it came (free-running) into the region EVENT_INDEX.
 * The kernel keeps its own count: a wrong one spoils the reader's events alone.
 *
 * Whoever wants to sleep gives an eventfd with VFIO_DEVICE_SET_IRQS, index 0.
 */
#define VFIO_SVM_EVENT_IRQ	0

struct vfio_svm_event_hdr {
	__u32 hdr_len;		/* from here to record 0 */
	__u32 record_size;	/* sizeof(struct vfio_svm_event) */
	__u32 nb_records;	/* a power of two */
	__u32 head;		/* records written so far */
	__u64 dropped;		/* records that found no room */
	__u32 reserved[10];
};

struct vfio_svm_event_index {
	__u32 tail;		/* records read so far */
};

#define VFIO_SVM_EVENT_EXIT		1	/* the address space is gone: unbind */
#define VFIO_SVM_EVENT_BOUND		2	/* by consent */
#define VFIO_SVM_EVENT_NARROWED		3	/* by consent */
#define VFIO_SVM_EVENT_REVOKED		4	/* by consent: unbind */
#define VFIO_SVM_EVENT_PAGE_REQUEST	5	/* answer with VFIO_SVM_PAGE_RESPONSE */
#define VFIO_SVM_EVENT_FAULT		6	/* an access failed for good: see VFIO_SVM_QUEUE */
#define VFIO_SVM_EVENT_REMOVE		7	/* somebody removes the device: close it */

struct vfio_svm_event {
	__u32 type;		/* VFIO_SVM_EVENT_* */
	__u32 pasid;
	__u32 perm;		/* what the access wanted: VFIO_SVM_READ, _WRITE */
	__u32 status;		/* FAULT: SVM_ST_*, as in the completion */
	__u64 bond_id;
	__u64 cookie;		/* of the bond */
	__u64 addr;		/* PAGE_REQUEST, FAULT */
	__u64 request_id;	/* PAGE_REQUEST */
	__u64 desc_cookie;	/* PAGE_REQUEST, FAULT: of the descriptor */
	__u32 reserved1;
	__u32 seq;
};

/*
 * VFIO_SVM_QUEUE - make (depth not 0) or remove (depth 0) a queue of a device
 * whose rings are those of svm_abi.h. bond_id is whom SVM_SPACE_SELF means, 0
 * for nobody. Queue memory is zeroed, and mapped by the region QUEUE + queue,
 * whose size is in the reply. EBUSY: made already. ENOENT: no such queue or bond.
 * EINVAL: depth no power of two from SVM_DEPTH_MIN to SVM_DEPTH_MAX; both flags;
 * a time that is longer than caps.fault_timeout_us, or given without PAGE_REQUESTS.
 * To remove one, all but argsz and queue are 0. argsz may be 32: no time then.
 *
 * The flags say what becomes of an access to a page that is not there:
 *
 *   none           it stalls, and the kernel answers: the page is brought in as for
 *                  the process itself. Nothing is posted.
 *   TERMINATE      it ends at once, with PAGE_FAULT at that byte. The event FAULT
 *                  is posted. Nothing of the process is waited for, ever.
 *   PAGE_REQUESTS  it stalls, and userspace answers: the event PAGE_REQUEST is
 *                  posted, and the access waits for VFIO_SVM_PAGE_RESPONSE. Waiting
 *                  for room in the event ring is a part of its time. An access
 *                  that fails for good posts the event FAULT.
 */
#define VFIO_SVM_QUEUE		_IO(VFIO_TYPE, VFIO_BASE + 147)

#define VFIO_SVM_QUEUE_TERMINATE	(1 << 0)
#define VFIO_SVM_QUEUE_PAGE_REQUESTS	(1 << 1)

struct vfio_svm_queue {
	__u32 argsz;
	__u32 flags;		/* VFIO_SVM_QUEUE_TERMINATE or _PAGE_REQUESTS */
	__u32 queue;
	__u32 depth;
	__u64 bond_id;
	__u64 size;		/* out: bytes to map */
	__u32 fault_timeout_us;	/* of a page request; 0: caps.fault_timeout_us */
	__u32 reserved;
};

/* VFIO_DEVICE_FEATURE numbers, well away from those of the kernel. */
#define VFIO_DEVICE_FEATURE_SVM		0x5356	/* GET: struct vfio_svm_caps */
#define VFIO_DEVICE_FEATURE_SVM_STATS	0x5357	/* GET: struct vfio_svm_stats */

struct vfio_svm_caps {
	__u32 version;		/* VFIO_SVM_VERSION */
	__u32 bind_types;	/* bit n: type n can be bound */
	__u32 max_bonds;	/* of this open device */
	__u32 nb_queues;	/* 0: the device has none of svm_abi.h's */
	__u32 max_pasid;
	__u32 fault_timeout_us;	/* the longest a page request may wait; 0: the device has none */
	__u32 reserved[2];
};

#define VFIO_SVM_VERSION	1

struct vfio_svm_stats {
	__u64 descs;		/* descriptors completed */
	__u64 bytes;		/* moved, filled or compared */
	__u64 mm_switches;	/* address spaces taken on by the DMA thread */
	__u64 faults;		/* accesses that found no page */
	__u64 sleeps;		/* times the DMA thread went to sleep */
	__u64 groups;		/* of descriptors that ran together */
	__u64 requests;		/* page requests posted */
	__u64 left;		/* threads left behind by all devices of this one's user */
};

SVM_ABI_ASSERT(sizeof(struct vfio_device_svm) == 16, "12 bytes, or 16 with pid");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_bind) == 40, "frozen");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_unbind) == 16, "frozen");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_consent) == 16, "frozen");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_consent_bind) == 24, "frozen");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_window) == 24, "frozen");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_narrow) == 24, "frozen");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_page_response) == 24, "frozen");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_event_hdr) == 64, "one cache line");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_event) == 64, "one cache line");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_queue) == 40, "32 bytes, or 40 with a time");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_caps) == 32, "frozen");
SVM_ABI_ASSERT(sizeof(struct vfio_svm_stats) == 64, "frozen");

#endif /* VFIO_SVM_H */
