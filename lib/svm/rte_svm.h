/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The owner's side of dpdk-svm.
 *
 * A DPDK process, the *owner*, holds a DMA device. It binds the address
 * spaces of other processes, the *workers*, to the device; each binding is a
 * *bond* and has a PASID. Descriptors then name a bond and an address in it,
 * and the engine copies, fills and compares at the workers' own virtual
 * addresses: malloc, stack, anything, with no registration.
 *
 * A whole owner. It is linked with `pkg-config --libs librte_svm`, takes EAL's
 * arguments, `--vdev svm0` among them (and `-d librte_dma_svm.so` where that is
 * not installed in EAL's folder), and writes into the first worker that comes:
 *
 * @code{.c}
 * #include <stdio.h>
 * #include <rte_eal.h>
 * #include <rte_svm.h>
 *
 * int main(int argc, char **argv)
 * {
 *     static const char text[64] = "hello, from the owner";
 *     struct rte_svm_op ops[2] = { { .op = RTE_SVM_OP_COPY }, { .op = RTE_SVM_OP_FILL } };
 *     struct rte_svm_result results[2];
 *     struct rte_svm_bond_info worker;
 *     struct rte_svm_queue *queue;
 *     uint64_t bond;
 *     int dev, n, failed;
 *
 *     if (rte_eal_init(argc, argv) < 0)
 *         return 1;
 *     dev = rte_svm_get_dev_id("svm0");
 *     if (dev < 0 || rte_svm_start(dev) != 0 || rte_svm_queue_create(dev, 32, &queue) != 0)
 *         return 1;
 *     while (rte_svm_bond_list(dev, &bond, 1) < 1)
 *         ;                             // the worker asks; or rte_svm_bind(dev, pid, &bond)
 *     if (rte_svm_bond_info_get(dev, bond, &worker) != 0)
 *         return 1;
 *     ops[0].src_bond = RTE_SVM_OWNER;
 *     ops[0].src = (uintptr_t)text;
 *     ops[0].dst_bond = ops[1].dst_bond = bond;
 *     ops[0].dst = worker.user;         // an address in the worker, which it gave at bind
 *     ops[0].len = sizeof(text);
 *     ops[1].dst = worker.user + 64;    // one byte that says: the text is there
 *     ops[1].len = 1;
 *     ops[1].pattern = 1;
 *     ops[1].flags = RTE_SVM_OP_F_FENCE;
 *     if (rte_svm_submit(queue, ops, 2) != 2)
 *         return 1;
 *     for (n = 0; n < 2; )
 *         n += rte_svm_poll(queue, results + n, 2 - n);
 *     printf("%s, %u bytes\n", rte_svm_status_name(results[0].status), results[0].done);
 *     failed = results[0].status != RTE_SVM_ST_OK || results[1].status != RTE_SVM_ST_OK;
 *     while (rte_svm_bond_list(dev, &bond, 1) > 0)
 *         ;                             // until the worker has left
 *     rte_svm_queue_destroy(queue);
 *     rte_svm_stop(dev);
 *     return rte_eal_cleanup() != 0 || failed;
 * }
 * @endcode
 *
 * Workers. A process that uses libsvm_worker connects to the device's socket
 * (rte_svm_info_get()), binds itself, and shows up in rte_svm_bond_list() with
 * its pid and a value of its choice, mostly an address. Any other process is
 * bound by rte_svm_bind(), and knows nothing of it. When its process ends or
 * calls exec, a bond is dead. One that the worker asked for leaves the list by
 * itself then, or when the worker leaves; one of rte_svm_bind() stays there,
 * dead, and keeps its PASID until rte_svm_unbind().
 *
 * Operations. What a worker says, the addresses too, is only as good as the
 * worker: never follow a pointer of its, give it to the device. Memory named by
 * an operation stays until its result. Results come in submission order, but
 * operations may run in any order, unless #RTE_SVM_OP_F_FENCE keeps one back. A
 * flag written by a fenced operation, or by one submitted after the result of the
 * data, is seen by a worker that loads it with acquire after the data. The other
 * way: what a worker wrote before it stored a flag with release is read by an
 * operation submitted after the result that showed the flag.
 *
 * Operations and results are in rte_svm_op.h, fault records and counters in
 * rte_svm_stats.h, which this file includes. The device's arguments (engine=,
 * socket=, ...) and their defaults are a table in the README.
 *
 * The same engine stands behind the dmadev of the same name; there,
 * rte_svm_vchan_attach() says which bonds a vchan moves data between. Workers
 * have queues of their own; rte_svm_window_grant() lets one reach a piece of the
 * owner's memory, or of another worker's.
 *
 * Bonds. A bond belongs to an *address space*, not to a pid: when the worker
 * exits or calls exec, the bond is dead, and what names it completes with
 * #RTE_SVM_ST_BOND_DEAD. Bond ids are never reused. Bond 0 is the owner.
 *
 * Permission is the kernel's: a worker can be bound when the kernel's ptrace
 * attach check lets a task *with the worker's own user, groups and
 * capabilities* reach it, and when the owner could itself.
 *
 * Return values are 0 (or a count) and -errno:
 *
 * | errno      | means                                                       |
 * |------------|-------------------------------------------------------------|
 * | -EINVAL    | an argument out of its range; a device or bond id not known |
 * | -ENODEV    | no device with this id or name, or it has been removed      |
 * | -ESRCH     | no such process                                             |
 * | -EPERM     | the kernel's ptrace check refuses this process              |
 * | -ENOENT    | no such bond or window: never given, or given back          |
 * | -EEXIST    | this address space is bound already                         |
 * | -ENOSPC    | no PASID, vchan, queue or window is left                    |
 * | -EBUSY     | something is in flight that could not be ended in time      |
 * | -ENOMEM    | no memory                                                   |
 * | -EMFILE    | no descriptor is left to this process                       |
 * | -ENFILE    | no descriptor is left to the system                         |
 * | -EAGAIN    | no thread or task could be made: a limit of the system      |
 * | -ENOTSUP   | this form of engine cannot do it (no service core, ...)     |
 * | -ETIMEDOUT | the worker's memory did not answer within timeout_us        |
 *
 * Waits are bounded: what is in flight ends within twice timeout_us and 2 s, or
 * the call says -EBUSY. An access whose task is ready to run but gets no core is
 * given up to 16 times timeout_us before it counts as one that does not answer.
 * With cma=inline nothing can end an access: a wait lasts until the memory answers.
 *
 * Threads. Control functions may be called from any thread, also at the same
 * time. A queue belongs to one thread at a time.
 *
 * Signals. While a device exists, SIGSEGV and SIGBUS go to a handler of the library,
 * which turns faults of its own copies into results and passes everything else to the
 * handler before it: EAL's, a sanitizer's, the application's. An application that
 * replaces the handler afterwards (rte_dev_hotplug_handle_disable() does, too) calls
 * rte_svm_start() or rte_svm_queue_create(), which put it in front again.
 *
 * Removal (rte_dev_remove(), rte_vdev_uninit(), rte_dma_close()) may come at any time
 * as far as the functions here are concerned, with workers connected and operations in
 * flight. It waits until calls inside have returned, ends what is in flight, unbinds and
 * hangs up on the workers, whose queues are then stopped (-ESHUTDOWN or -EPIPE there).
 * Afterwards the id gives -ENODEV, until a new device gets it. An rte_svm_queue stays
 * valid, keeps its part of the memory, and gives -ENODEV until rte_svm_queue_destroy().
 * Removal answers -EBUSY, and can be tried again, when a call or something in flight
 * could not be ended in time. What dmadev itself asks for stays: nobody is inside a
 * data path function of a vchan (rte_dma_copy() and others) when its device is stopped
 * or removed.
 */
#ifndef RTE_SVM_H
#define RTE_SVM_H

#include <stdint.h>
#include <sys/types.h>

#include "rte_svm_op.h"
#include "rte_svm_stats.h"
#include "rte_svm_window.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The owner itself, wherever a bond is named. */
#define RTE_SVM_OWNER		UINT64_C(0)
#define RTE_SVM_NAME_LEN	64	/**< bytes of a device's name */
#define RTE_SVM_PATH_LEN	108	/**< bytes of a socket's path */
/** Segments in one scatter-gather operation. */
#define RTE_SVM_SG_MAX		16
/** Bytes in one operation, or in one segment. */
#define RTE_SVM_LEN_MAX		0x40000000u

/** Where the engine runs. */
enum rte_svm_engine {
	RTE_SVM_ENGINE_THREAD,	/**< a polling thread of the device */
	RTE_SVM_ENGINE_INLINE,	/**< the submitting lcore, at submit */
	RTE_SVM_ENGINE_SERVICE,	/**< a DPDK service core */
};

/** How CMA (process_vm_readv and writev) runs. */
enum rte_svm_cma {
	RTE_SVM_CMA_LANE,	/**< in killable tasks with the worker's rights */
	RTE_SVM_CMA_INLINE,	/**< in the poll loop, with the owner's rights */
	RTE_SVM_CMA_PRIVILEGED,	/**< in killable tasks with the owner's rights */
};

/** How a bond's memory is reached. */
enum rte_svm_tier {
	RTE_SVM_TIER_DIRECT,	/**< the owner's own memory */
	RTE_SVM_TIER_CMA,	/**< process_vm_readv and process_vm_writev */
	RTE_SVM_TIER_ALIAS,	/**< what it shares, mapped here as well; the rest as CMA */
};

/** Which tiers a device uses. */
enum rte_svm_tiers {
	RTE_SVM_TIERS_AUTO,	/**< the fastest that is right for each range */
	RTE_SVM_TIERS_CMA,	/**< CMA alone, for workers' memory */
};

/** What rte_svm_info_get() tells. */
struct rte_svm_info {
	char name[RTE_SVM_NAME_LEN];	/**< of the vdev, "svm0" */
	char socket[RTE_SVM_PATH_LEN];	/**< where workers connect, from the probe until the removal; "" for none */
	enum rte_svm_engine engine;	/**< devarg `engine` */
	enum rte_svm_cma cma;		/**< devarg `cma` */
	enum rte_svm_tiers tiers;	/**< devarg `tier` */
	int16_t dma_dev_id;		/**< the dmadev of the same name, -1 for none */
	int numa_node;			/**< of its memory and threads; -1: any */
	uint32_t engines;		/**< that share the workers' queues */
	uint32_t max_bonds;		/**< bonds at a time */
	uint32_t nb_bonds;		/**< bonds that exist now */
	uint32_t depth;			/**< slots of a worker's queue at the most */
	uint32_t timeout_us;		/**< bound of one access to foreign memory */
	uint32_t idle_us;		/**< the engine sleeps after this; 0 for never */
	uint8_t started;		/**< 1: the engine runs */
};

/** Life of a bond. */
enum rte_svm_bond_state {
	RTE_SVM_BOND_ACTIVE,	/**< operations may name it */
	RTE_SVM_BOND_DRAINING,	/**< no new work; what is in flight ends */
	RTE_SVM_BOND_DEAD,	/**< the worker exited or called exec */
};

/** What rte_svm_bond_info_get() tells. */
struct rte_svm_bond_info {
	uint64_t bond;		/**< its id */
	uint64_t user;		/**< value the worker gave at bind, 0 otherwise; not checked */
	uint64_t ops;		/**< operations that named this bond and ended */
	uint64_t bytes_in;	/**< bytes written into the worker */
	uint64_t bytes_out;	/**< bytes read out of the worker */
	uint64_t faults;	/**< operations that ended in a page fault here */
	uint32_t pasid;		/**< tag of the address space, for a dmadev port */
	pid_t pid;		/**< process that it was bound for */
	enum rte_svm_bond_state state;	/**< where it is in its life */
	enum rte_svm_tier tier;	/**< how its memory is reached */
	uint8_t by_socket;	/**< 1: the worker asked for it, 0: rte_svm_bind() */
};

/** A queue of the owner's, made by rte_svm_queue_create(). */
struct rte_svm_queue;

/** Number of devices in this process. Any thread. */
uint16_t
rte_svm_dev_count(void);

/**
 * Id of a device by name. Any thread.
 *
 * @param name
 *   Name of the vdev, "svm0".
 * @return
 *   Id, 0 or more; -ENODEV when there is none; -EINVAL when name is NULL.
 */
int
rte_svm_get_dev_id(const char *name);

/**
 * Describe a device. Any thread.
 *
 * @return
 *   0, -ENODEV, -EINVAL when info is NULL.
 */
int
rte_svm_info_get(uint16_t dev_id, struct rte_svm_info *info);

/**
 * Decides about a worker that asks to be bound over the socket. It runs on the
 * device's "svm-ctl" thread, which serves all workers: it must return soon, and
 * must not call rte_svm_unbind(), rte_svm_policy_set(), or remove the device.
 *
 * @param pid
 *   The process, opened: it stays this one, though it may end at any time.
 * @param uid
 *   Its effective user; gid its effective group.
 * @return
 *   0 to bind it; -errno to refuse: the worker is told -EACCES, the log the rest.
 */
typedef int (*rte_svm_policy_t)(uint16_t dev_id, pid_t pid, uid_t uid, gid_t gid, void *arg);

/**
 * Have a function asked about each worker that uids= and gids= allow, each time
 * one asks to be bound, not as it connects. Workers
 * bound already stay; rte_svm_bind() is the owner's own wish, and does not ask.
 * When this returns, the function set before does not run any more. Any thread,
 * but not the function itself.
 *
 * @param fn
 *   NULL: nobody is asked.
 * @return
 *   0; -ENODEV.
 */
int
rte_svm_policy_set(uint16_t dev_id, rte_svm_policy_t fn, void *arg);

/**
 * Start the engine. Counted: each start needs a stop. rte_dma_start() and
 * rte_dma_stop() on the dmadev count here as well. Any thread.
 *
 * @return
 *   0; -ENODEV; -ENOTSUP: engine=service and there is no service core; -errno
 *   of thread creation.
 */
int
rte_svm_start(uint16_t dev_id);

/**
 * Stop the engine. What has been taken from the queues is finished; the rest
 * waits for the next start. Any thread.
 *
 * @return
 *   0; -ENODEV; -EINVAL: not started; -EBUSY: an access could not be ended in
 *   time, the engine has stopped all the same.
 */
int
rte_svm_stop(uint16_t dev_id);

/**
 * Bind a process's address space, without its cooperation. Any thread.
 *
 * The access is tried for real: with `cma=lane`, by a task with the worker's
 * own rights. Nothing remains of a refused call.
 *
 * @param pid
 *   A process of this pid namespace; not the owner itself.
 * @param bond
 *   Out: id of the bond, for rte_svm_unbind().
 * @return
 *   0; -ENODEV; -EINVAL: pid <= 0, or the owner's own, or bond is NULL;
 *   -ESRCH: no such process, or it is a zombie or a kernel thread;
 *   -EPERM: the kernel's check refuses (another user, not dumpable, Yama):
 *   the log line says which; -EEXIST: bound already;
 *   -ENOSPC: max_bonds are bound, or have just ended: a queue that named one
 *   keeps its place until the queue is polled; -ETIMEDOUT; -ENOMEM, -EMFILE, -ENFILE,
 *   -EAGAIN: this process cannot, the worker is not to blame.
 */
int
rte_svm_bind(uint16_t dev_id, pid_t pid, uint64_t *bond);

/**
 * End a bond. New operations that name it complete with BOND_DEAD at once;
 * the call returns when none is in flight any more, so that nothing touches
 * the worker's memory afterwards. Bonds that workers asked for by socket can
 * be ended, too. Any thread, but the one that has to run an inline engine or
 * a service meanwhile.
 *
 * @return
 *   0; -ENODEV; -EINVAL: bond is RTE_SVM_OWNER; -ENOENT: never given, or
 *   given back; -EBUSY: something in flight could not be ended in
 *   time: the bond stays draining, call again.
 */
int
rte_svm_unbind(uint16_t dev_id, uint64_t bond);

/**
 * Describe a bond. Any thread.
 *
 * @return
 *   0; -ENODEV; -EINVAL: info is NULL; -ENOENT.
 */
int
rte_svm_bond_info_get(uint16_t dev_id, uint64_t bond, struct rte_svm_bond_info *info);

/**
 * List the bonds, dead and draining ones too, lowest PASID first. Any thread.
 *
 * @param bonds
 *   Out: at most n ids. May be NULL when n is 0.
 * @return
 *   How many bonds there are, more than n perhaps; -ENODEV.
 */
int
rte_svm_bond_list(uint16_t dev_id, uint64_t *bonds, uint32_t n);

/**
 * Move a vchan of the dmadev to other bonds. The vchan may be started; it
 * must be idle: every operation enqueued has been completed and gathered.
 * Call it from the thread that uses the vchan.
 *
 * The vchan's direction stays: a side that is memory (MEM) must be
 * RTE_SVM_OWNER, a side that is a device (DEV) may be either.
 *
 * @return
 *   0; -ENODEV; -EINVAL: no such vchan, or a bond on a side that is the
 *   owner's; -ENOENT: no such bond; -EBUSY: not idle.
 */
int
rte_svm_vchan_attach(uint16_t dev_id, uint16_t vchan, uint64_t src_bond,
		uint64_t dst_bond);

/**
 * Make a queue for operations between any bonds. Any thread.
 *
 * @param depth
 *   Operations that may be in flight: a power of two, 32 to 32768.
 * @param queue
 *   Out: the queue; one thread at a time submits to it and polls it. It lives until
 *   rte_svm_queue_destroy(), also when the device is removed before.
 * @return
 *   0; -ENODEV; -EINVAL: depth, or queue is NULL; -ENOSPC; -ENOMEM.
 */
int
rte_svm_queue_create(uint16_t dev_id, uint32_t depth, struct rte_svm_queue **queue);

/**
 * Free a queue. What is in flight is ended first, as in rte_svm_unbind().
 *
 * @return
 *   0, also after the device was removed; -EINVAL: queue is NULL; -EBUSY: something
 *   in flight could not be ended in time: the queue still exists, call again.
 */
int
rte_svm_queue_destroy(struct rte_svm_queue *queue);

/**
 * Submit operations. Hot path: wait-free, no allocation, no system call with
 * engine=thread or service; with engine=inline the work itself is done here.
 * While the device is not started they wait in the queue for rte_svm_start().
 *
 * @return
 *   How many were taken, in order, 0 when the queue is full; -EINVAL when the
 *   first one has nb_segs out of range (later ones end the count before it);
 *   -ENODEV: the device has been removed. Every other mistake in an operation
 *   comes back as its result.
 */
int
rte_svm_submit(struct rte_svm_queue *queue, const struct rte_svm_op *ops, uint32_t n);

/**
 * Gather results, in submission order. Hot path, never waits.
 *
 * @return
 *   How many results were stored, 0 to n; -ENODEV: the device has been removed and no
 *   more will come. What had not been taken from the queue by then has no result.
 */
int
rte_svm_poll(struct rte_svm_queue *queue, struct rte_svm_result *results, uint32_t n);

/**
 * Drive the workers' queues once. Needed only with engine=inline, where no
 * thread of the device does it; elsewhere it does nothing. Any thread; calls
 * at the same time share the work.
 *
 * @return
 *   Descriptors taken and completions written, 0 when there was nothing to do;
 *   -ENODEV.
 */
int
rte_svm_progress(uint16_t dev_id);

/** Name of a status, "PAGE_FAULT"; "?" for an unknown one. Never NULL. */
const char *
rte_svm_status_name(enum rte_svm_status status);

#ifdef __cplusplus
}
#endif

#endif /* RTE_SVM_H */
