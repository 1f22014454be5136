/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The worker's side of dpdk-svm: plain C11, no DPDK.
 *
 * A worker connects to an owner's socket, has its address space bound, and
 * from then on the owner's device reaches any of its memory: malloc, stack,
 * anything, with no registration. It may also have queues of its own, whose
 * operations name the worker's own addresses, or *windows*: pieces of the
 * owner's or another worker's memory that the owner has granted to it, named by
 * an id and an offset (svm_worker_window_list()).
 *
 * A whole worker, linked with `pkg-config --libs libsvm_worker`. It offers the
 * owner a buffer, waits until something is in it (that owner stands in
 * rte_svm.h), and has the device copy it:
 *
 * @code{.c}
 * #include <stdio.h>
 * #include <svm_worker.h>
 *
 * static struct { char text[64]; char full; } inbox;
 *
 * int main(int argc, char **argv)
 * {
 *     static char copied[64];
 *     struct svm_worker_op op = { .op = SVM_WORKER_COPY };
 *     struct svm_worker_result result;
 *     struct svm_worker_queue *queue;
 *     struct svm_worker *worker;
 *
 *     if (argc != 2 || svm_worker_connect(argv[1], &worker) != 0)
 *         return 1;                     // argv[1] is the owner's socket
 *     if (svm_worker_bind(worker, (uintptr_t)&inbox, NULL) != 0 ||
 *             svm_worker_queue_create(worker, 32, 0, &queue) != 0)
 *         return 1;
 *     while (__atomic_load_n(&inbox.full, __ATOMIC_ACQUIRE) == 0)
 *         ;                             // the owner's device writes both
 *     op.src = inbox.text;
 *     op.dst = copied;
 *     op.len = sizeof(copied);
 *     if (svm_worker_submit(queue, &op, 1) != 1 ||
 *             svm_worker_wait(queue, &result, 1, 1000000) != 1)
 *         return 1;
 *     printf("%s: %s\n", svm_worker_status_name(result.status), copied);
 *     svm_worker_disconnect(worker);    // the bond and the queue end, too
 *     return result.status != SVM_WORKER_ST_OK;
 * }
 * @endcode
 *
 * Memory from a heap of the library's (svm_worker_heap_create(), svm_worker_malloc())
 * is of the owner's making: the owner may have it mapped as well, and its device then
 * reaches it like its own. Other memory of a process's can be made so, too
 * (svm_worker_share()).
 *
 * Functions return 0 or a count, and -errno:
 *
 * | errno           | means                                                    |
 * |-----------------|----------------------------------------------------------|
 * | -EINVAL         | an argument out of its range                             |
 * | -ENOENT         | nobody serves the socket; not bound                      |
 * | -ECONNREFUSED   | nobody serves the socket                                 |
 * | -EACCES         | the socket's mode refuses this user                      |
 * | -EPERM          | the owner's kernel check refuses this process            |
 * | -EEXIST         | bound already                                            |
 * | -EUSERS         | the owner serves as many workers as it may               |
 * | -ENOSPC         | no PASID or queue is left                                |
 * | -EBUSY          | queues exist, or something in flight could not be ended  |
 * | -ENOMEM         | no memory                                                |
 * | -ETIMEDOUT      | the owner, or the work, took too long                    |
 * | -EPIPE          | the owner is gone                                        |
 * | -ESHUTDOWN      | the owner closed the queue                               |
 * | -EIO            | the owner gave the queue up                              |
 * | -EPROTO         | the owner answered nonsense                              |
 * | -EOPNOTSUPP     | the owner gives no memory                                |
 * | -EPROTONOSUPPORT | no version of the protocol in common                    |
 *
 * Connection functions: one thread at a time for each connection. Any threads may
 * allocate from heaps and free meanwhile. A queue made without
 * SVM_WORKER_MULTI_PRODUCER belongs to one thread at a time; with it any
 * thread may submit, and one at a time polls.
 *
 * fork: the child has no bond, and must not use the connection; the memory of
 * queues and heaps, and what is shared, is not inherited (MADV_DONTFORK): the child must
 * not touch it. In the child svm_worker_free() does nothing, the other functions
 * of a heap fail, svm_worker_disconnect() frees what is private. exec ends the bond.
 */
#ifndef SVM_WORKER_H
#define SVM_WORKER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A connection to an owner, made by svm_worker_connect(). */
struct svm_worker;
/** A queue of this worker's, made by svm_worker_queue_create(). */
struct svm_worker_queue;

/** A heap of memory that the owner makes, and may have mapped as well. */
struct svm_worker_heap;

/** Pages of a heap, from the smallest to the largest; a wish is for the largest to be used. */
enum svm_worker_pages {
	SVM_WORKER_PAGES_BEST = 0,		/**< a wish: the largest that there are */
	SVM_WORKER_PAGES_SMALL = 1,		/**< the system's, 4 KiB */
	SVM_WORKER_PAGES_TRANSPARENT = 2,	/**< the same, and huge where the kernel can */
	SVM_WORKER_PAGES_HUGE = 3,		/**< 2 MiB, hugetlb */
};

/** How a heap is to be. Zeroed but for `node` -1: as without it. */
struct svm_worker_heap_conf {
	/** The largest wished for: where there are none, there are smaller ones. */
	enum svm_worker_pages pages;
	int node;		/**< preferred NUMA node; -1: the device's */
	uint64_t max_len;	/**< bytes of memory at the most; 0: what the owner allows */
};

/** What svm_worker_heap_info_get() tells. */
struct svm_worker_heap_info {
	enum svm_worker_pages pages;	/**< the smallest that it has had so far */
	uint32_t nb_chunks;	/**< pieces of memory of the owner's */
	uint64_t len;		/**< bytes in them, used or not */
	uint8_t mapped;		/**< 1: the owner has it mapped, too, and reaches it like its own */
};

/** What svm_worker_info_get() tells. */
struct svm_worker_info {
	pid_t owner_pid;	/**< process that serves the socket */
	uint32_t max_depth;	/**< slots a queue may have */
	uint32_t max_queues;	/**< queues this worker may have */
	uint64_t bond;		/**< id of the bond, 0 before svm_worker_bind() */
};

/** Several threads submit to the queue. */
#define SVM_WORKER_MULTI_PRODUCER	0x1u

/** Operations. */
enum svm_worker_opcode {
	SVM_WORKER_NOP = 0,		/**< nothing, but completes in its turn */
	SVM_WORKER_COPY = 1,		/**< src -> dst; the ranges must not overlap */
	SVM_WORKER_COPY_SG = 2,		/**< segs[0..nb_segs) */
	SVM_WORKER_FILL = 3,		/**< pattern, every 8 bytes -> dst */
	SVM_WORKER_COMPARE = 4,		/**< src against dst */
	SVM_WORKER_COMPARE_PATTERN = 5,	/**< src against pattern */
};

/**
 * Start only when every operation before it in the queue has ended, whatever its
 * status: it runs also after one that failed.
 */
#define SVM_WORKER_FENCE	0x01u
/** Segments in one scatter-gather operation. */
#define SVM_WORKER_SG_MAX	16u

/** The grantee may read through the window. */
#define SVM_WORKER_WINDOW_READ	0x1u
/** The grantee may write through the window. */
#define SVM_WORKER_WINDOW_WRITE	0x2u
/** No owner grants more windows at a time. */
#define SVM_WORKER_WINDOWS_MAX	65536u

/** A window that the owner has granted to this process. */
struct svm_worker_window {
	uint32_t id;		/**< for svm_worker_op; never 0 */
	uint32_t rights;	/**< SVM_WORKER_WINDOW_READ, WRITE, or both */
	uint64_t len;		/**< bytes */
	uint64_t user;		/**< the owner's value, to know the window by */
};

/** One piece of SVM_WORKER_COPY_SG; all its pieces are in the windows of the operation. */
struct svm_worker_seg {
	union {
		const void *src;	/**< read from here */
		uint64_t src_off;	/**< with src_window */
	};
	union {
		void *dst;		/**< written here */
		uint64_t dst_off;	/**< with dst_window */
	};
	uint32_t len;		/**< bytes, 1 to 1 GiB */
};

/**
 * One operation. Fields it does not use are ignored.
 *
 * Each side is this process's own memory, at an address, or a window, at an
 * offset. An operation that a window does not let pass moves nothing: BAD_SPACE
 * when this process has no such window (any more), or not the right to read or
 * write through it; BAD_LEN when a range is not within it; BOND_DEAD when the
 * process behind it, or this bond, has ended. A window that is revoked meanwhile
 * ends an operation that is under way as BAD_SPACE, with what it has done.
 */
struct svm_worker_op {
	enum svm_worker_opcode op;	/**< what to do */
	uint32_t flags;		/**< SVM_WORKER_FENCE */
	union {
		const void *src;	/**< address, when src_window is 0 */
		uint64_t src_off;	/**< offset in src_window */
	};
	union {
		void *dst;		/**< address, when dst_window is 0 */
		uint64_t dst_off;	/**< offset in dst_window */
	};
	uint32_t src_window;	/**< id of a window; 0: this process's own memory */
	uint32_t dst_window;	/**< likewise */
	uint32_t len;		/**< bytes, 1 to 1 GiB */
	uint32_t nb_segs;	/**< 1 to SVM_WORKER_SG_MAX */
	const struct svm_worker_seg *segs;	/**< read during the call only */
	uint64_t pattern;	/**< FILL and COMPARE_PATTERN, in memory order */
	uint64_t cookie;	/**< comes back in the result */
};

/** How an operation ended; the owner's enum rte_svm_status has the same values. */
enum svm_worker_status {
	SVM_WORKER_ST_OK = 0,		/**< all of it is done */
	SVM_WORKER_ST_PAGE_FAULT = 1,	/**< fault_addr does not resolve */
	SVM_WORKER_ST_MISMATCH = 2,	/**< compare: differs at src address fault_addr */
	SVM_WORKER_ST_BAD_OP = 3,	/**< no such opcode */
	SVM_WORKER_ST_BAD_DESC = 4,	/**< an unknown flag */
	SVM_WORKER_ST_BAD_LEN = 5,	/**< 0, too long, it wraps, or leaves its window */
	SVM_WORKER_ST_BAD_SPACE = 6,	/**< no such window, or no right to it */
	SVM_WORKER_ST_BOND_DEAD = 7,	/**< the owner ended the bond */
	SVM_WORKER_ST_DENIED = 8,	/**< the kernel refused the access */
	SVM_WORKER_ST_TIMEOUT = 9,	/**< the memory did not answer in time */
	SVM_WORKER_ST_ABORTED = 10,	/**< the owner stopped first */
	SVM_WORKER_ST_NO_MEMORY = 11,	/**< the engine ran out of it */
};

/** One completion. */
struct svm_worker_result {
	uint64_t cookie;	/**< of the operation */
	/**
	 * First address or offset not done, with PAGE_FAULT, MISMATCH, DENIED and
	 * TIMEOUT; 0 when OK; of no use with any other status.
	 */
	uint64_t fault_addr;
	uint32_t done;		/**< bytes done, exact; compare: bytes equal */
	enum svm_worker_status status;	/**< how it ended */
};

/**
 * Connect to an owner.
 *
 * Under Yama's ptrace_scope 1 the owner is named as this process's tracer
 * (PR_SET_PTRACER), until svm_worker_disconnect().
 *
 * @param path
 *   The owner's socket; rte_svm_info_get() on the owner's side tells it.
 * @param worker
 *   Out: the connection.
 * @return
 *   0; -EINVAL: an argument is NULL or the path is too long; -ENOENT,
 *   -ECONNREFUSED: nobody serves there; -EACCES: the socket's mode, or the
 *   owner's rules, refuse this user; -EPROTONOSUPPORT: the owner speaks no version that we do;
 *   -ETIMEDOUT: the owner did not answer within 5 s; -EPROTO: it answered
 *   nonsense; -EUSERS: it serves as many workers as it may, in all, of this
 *   user or of this process; -EMFILE: it has no descriptors left; -ENOMEM.
 */
int
svm_worker_connect(const char *path, struct svm_worker **worker);

/**
 * Have this process's address space bound to the owner's device.
 *
 * @param user
 *   A value for the owner, which it finds in rte_svm_bond_info_get(): the
 *   address of a control block, for example.
 * @param bond
 *   Out: id of the bond, or NULL.
 * @return
 *   0; -EEXIST: bound already; -EACCES: the owner's rules, or its
 *   application, refuse; -EPERM: the owner's kernel check refuses (not
 *   dumpable, Yama, another user); -ENOSPC: no PASID left; -ETIMEDOUT;
 *   -EPIPE: the owner is gone; -EPROTO.
 */
int
svm_worker_bind(struct svm_worker *worker, uint64_t user, uint64_t *bond);

/**
 * End the bond; queues and heaps must be destroyed first, and nothing be shared.
 *
 * @return 0; -ENOENT: not bound; -EBUSY: queues, heaps or shared ranges exist, or something in flight
 *   could not be ended within 5 s; -ETIMEDOUT; -EPIPE; -EPROTO.
 */
int
svm_worker_unbind(struct svm_worker *worker);

/** Describe the connection. @return 0, -EINVAL. */
int
svm_worker_info_get(const struct svm_worker *worker, struct svm_worker_info *info);

/**
 * List the windows that this process may use, oldest first.
 *
 * Nothing tells of a new one: ask again, or let the owner write a word into
 * this process's memory. One that is gone shows in operations, as BAD_SPACE.
 *
 * @param windows
 *   Out: at most n windows. May be NULL when n is 0.
 * @return
 *   How many there are, more than n perhaps; -EINVAL; -ENOENT: not bound;
 *   -ETIMEDOUT; -EPIPE: the owner is gone; -EPROTO.
 */
int
svm_worker_window_list(struct svm_worker *worker, struct svm_worker_window *windows,
		uint32_t n);

/**
 * Make a queue for operations on this process's own memory and its windows.
 *
 * @param depth
 *   Operations that may be in flight: a power of two, 32 to the owner's limit.
 * @param flags
 *   SVM_WORKER_MULTI_PRODUCER or 0.
 * @return
 *   0; -EINVAL: depth or flags; -ENOENT: not bound; -ENOSPC: no more queues
 *   for this worker; -ETIMEDOUT; -EPIPE; -EPROTO; -ENOMEM.
 */
int
svm_worker_queue_create(struct svm_worker *worker, uint32_t depth, uint32_t flags,
		struct svm_worker_queue **queue);

/**
 * Give a queue back. What was submitted is ended first; results not yet
 * polled are lost.
 *
 * @return 0; -EBUSY: something in flight could not be ended within 5 s,
 *   call again; -ETIMEDOUT; -EPIPE: the owner is gone, the queue is freed.
 */
int
svm_worker_queue_destroy(struct svm_worker_queue *queue);

/**
 * Submit operations. Wait-free with one producer, lock-free with several. No
 * system call, unless the owner's engine sleeps and has to be woken.
 *
 * @return
 *   How many were taken, in order; 0 when the queue is full; -EINVAL when the
 *   first one has nb_segs out of range; -ESHUTDOWN: the owner closed the
 *   queue; -EIO: the owner gave the queue up.
 */
int
svm_worker_submit(struct svm_worker_queue *queue, const struct svm_worker_op *ops,
		uint32_t n);

/**
 * Take results, in submission order. Never waits.
 *
 * @return How many, 0 to n.
 */
int
svm_worker_poll(struct svm_worker_queue *queue, struct svm_worker_result *results,
		uint32_t n);

/**
 * Take results, waiting for the first one.
 *
 * Spins for a moment, then sleeps in steps that grow to 1 ms.
 *
 * @param timeout_us
 *   Bound of the wait in microseconds.
 * @return
 *   How many, 1 to n; -ETIMEDOUT; -EPIPE: the owner is gone; -ESHUTDOWN or
 *   -EIO: the owner closed the queue and nothing more will come.
 */
int
svm_worker_wait(struct svm_worker_queue *queue, struct svm_worker_result *results,
		uint32_t n, uint32_t timeout_us);

/**
 * Make a heap: memory of the owner's making, in huge pages where there are some. Where
 * the owner maps it as well its device reaches it like its own; otherwise, as with
 * tier=cma, as any other memory. It grows by such memory as it is needed; what was freed
 * is kept for later, up to about as much as is in use.
 *
 * Memory that is there stays when the owner goes; more cannot be had then. What a
 * heap holds counts for the owner's limits (max_mem, max_mem_per_uid).
 *
 * @param conf
 *   How it is to be, read during the call only. NULL: the largest pages that there
 *   are, on the device's NUMA node.
 * @param heap
 *   Out: the heap; it ends with the connection at the latest.
 * @return
 *   0; -EINVAL: an argument, or no such node; -ENOENT: not bound; -EOPNOTSUPP: the
 *   owner gives no memory (max_mem=0); -ENOSPC: a limit of the owner's, or
 *   max_len; -EMFILE: the owner has no descriptor left; -ETIMEDOUT; -EPIPE; -EPROTO;
 *   -ENOMEM.
 */
int
svm_worker_heap_create(struct svm_worker *worker, const struct svm_worker_heap_conf *conf,
		struct svm_worker_heap **heap);

/**
 * Destroy a heap with all that was allocated from it. NULL is allowed. No thread
 * uses it, and no operation on its memory is under way.
 */
void
svm_worker_heap_destroy(struct svm_worker_heap *heap);

/** Describe a heap. Any thread. @return 0; -EINVAL; -EPERM: a child after fork. */
int
svm_worker_heap_info_get(struct svm_worker_heap *heap, struct svm_worker_heap_info *info);

/**
 * As malloc(), from a heap. Any thread, many at once. It asks the owner for more now
 * and then, which takes some 100 us, and 5 s at the most.
 *
 * @return Aligned to 16 bytes, and not zeroed; NULL and errno: ENOMEM; ENOSPC: a limit;
 *   EPERM: a child after fork; EPIPE, ETIMEDOUT, EPROTO: the owner is gone, or gives
 *   no answer, and memory is used up.
 */
void *
svm_worker_malloc(struct svm_worker_heap *heap, size_t size);

/** As calloc(): nb * size bytes, zeroed. Otherwise as svm_worker_malloc(). */
void *
svm_worker_calloc(struct svm_worker_heap *heap, size_t nb, size_t size);

/**
 * As aligned_alloc(), but `size` need not be a multiple. Otherwise as
 * svm_worker_malloc().
 *
 * @param align  A power of two; else NULL and EINVAL.
 */
void *
svm_worker_aligned_alloc(struct svm_worker_heap *heap, size_t align, size_t size);

/**
 * As realloc(): `ptr` NULL allocates, `size` 0 frees and gives NULL. An alignment of
 * more than 16 bytes is not kept. NULL otherwise: `ptr` is as it was; errno as
 * svm_worker_malloc() gives it.
 */
void *
svm_worker_realloc(struct svm_worker_heap *heap, void *ptr, size_t size);

/** Free memory of this heap. NULL is allowed. Any thread; in a child after fork: nothing. */
void
svm_worker_free(struct svm_worker_heap *heap, void *ptr);

/**
 * Have the device reach a range of this process's own memory as it reaches a heap:
 * malloc()ed pages, or mmap()ed ones. Their content is moved into memory of the
 * owner's making, which is mapped in their place, at the same addresses.
 *
 * What changes for the caller, until svm_worker_unshare():
 * - It is a shared mapping (MAP_SHARED) of a file without a name. A child after fork
 *   does not have it and must not touch it. madvise(MADV_DONTNEED) keeps the content,
 *   MADV_FREE fails, munmap() of it, or a new mapping over it, gives nothing back to the
 *   owner.
 * - Huge pages it had are gone; shared memory has them where the system's shmem_enabled
 *   says so. mlock() and memory policies have to be asked for again.
 * - What another thread, or an operation of the device, writes while it is moved may
 *   be lost. Nobody else may write to the range during the call.
 *
 * @param addr  Start: a multiple of the page size.
 * @param len   Bytes: a multiple of it, 1 page or more.
 * @return
 *   0; -EINVAL: an argument, or not all of it is private memory without a file, to be
 *   read and written, or it is a stack, or shared already; -ENOENT: not bound;
 *   -EOPNOTSUPP, -ENOSPC, -EMFILE, -ETIMEDOUT, -EPIPE, -EPROTO, -ENOMEM as
 *   svm_worker_heap_create(); -EPERM: a child after fork. Nothing has changed then.
 */
int
svm_worker_share(struct svm_worker *worker, void *addr, size_t len);

/**
 * Make a shared range private memory again, with the content that it has. Nobody may
 * write to it during the call. svm_worker_disconnect() does it, too.
 *
 * @param addr  As it was shared.
 * @param len   As it was shared.
 * @return 0; -ENOENT: no such range is shared; -EINVAL; -EPERM: a child after fork;
 *   -ENOMEM: it is shared as before.
 */
int
svm_worker_unshare(struct svm_worker *worker, void *addr, size_t len);

/**
 * Leave: queues and heaps are destroyed, shared ranges are private again, the bond
 * ends, the connection is closed and freed. NULL is allowed.
 */
void
svm_worker_disconnect(struct svm_worker *worker);

/** Name of a status, "PAGE_FAULT"; "?" for an unknown one. Never NULL. */
const char *
svm_worker_status_name(enum svm_worker_status status);

#ifdef __cplusplus
}
#endif

#endif /* SVM_WORKER_H */
