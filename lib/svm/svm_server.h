/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner's unix socket: accepts workers, speaks svm_proto.h with each, and
 * turns their messages into calls of the device. It runs in one thread of its
 * own ("svm-ctl"), which also watches every bond's pidfd: when a process ends,
 * its bond is retired there.
 *
 * What the server asks of the device goes through struct svm_server_ops, so
 * that includes point downwards only.
 */
#ifndef SVM_SERVER_H
#define SVM_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rte_svm_pmd.h"
#include "rte_svm_window.h"
#include "svm_proto.h"

struct svm_server;

/** Who connected, as the kernel says. */
struct svm_peer {
	pid_t pid;
	uid_t uid;	/**< effective, as it connected; -1: not known */
	gid_t gid;
	int pidfd;	/**< -1: the kernel offers none */
};

/** The device, as the server sees it. Called on the server's thread only. */
struct svm_server_ops {
	/**
	 * Begin to bind the peer, whose pidfd the device takes in any case, and
	 * who will write the nonce at `word`. 0 and *req, or -errno.
	 */
	int (*bind_begin)(void *arg, const struct svm_peer *peer, uint64_t user,
			uint64_t word, void **req);
	/**
	 * Go on, without waiting. -EINPROGRESS; -EBUSY: it waits until others
	 * have gone on; -errno: refused. 0 after bind_begin: the process is
	 * opened, *nonce is for it; 0 after bind_prove: it is *bond.
	 */
	int (*bind_step)(void *arg, void *req, struct svm_nonce *nonce, uint64_t *bond);
	/** The peer says that the nonce is where it shall be: look for it. */
	void (*bind_prove)(void *arg, void *req);
	/** Free a request, given up unless it has ended: 0 or -EBUSY (ask again). */
	int (*bind_end)(void *arg, void *req);
	/** End the bond: 0 or -EBUSY (ask again). */
	int (*unbind)(void *arg, uint64_t bond);
	/**
	 * Make a queue pair that belongs to the bond. *fd is the memfd to send to
	 * the worker (the server closes its copy after sending), *queue a handle.
	 */
	int (*queue_create)(void *arg, uint64_t bond, uint32_t depth, uint32_t features,
			void **queue, int *fd);
	/** Take the queue from the engine and free it: 0 or -EBUSY (ask again). */
	int (*queue_destroy)(void *arg, void *queue);
	/**
	 * Some of the windows granted to the bond, in order, from behind *after
	 * (0: the first), which goes on with them. How many; less than n: the last.
	 */
	int (*window_list)(void *arg, uint64_t bond, uint64_t *after,
			struct rte_svm_window_info *infos, uint32_t n);
	/**
	 * Map a part of a file that the bond's process has mapped at `va` here, too,
	 * to reach it like the owner's own: 0, or -errno as MEM_MAP_REPLY carries it.
	 * -EOPNOTSUPP, or these being NULL: the device does not do that.
	 */
	int (*mem_map)(void *arg, uint64_t bond, uint64_t va, uint64_t len, int fd,
			uint64_t off, uint32_t rights);
	/** ... no more. 0; -ENOENT: no bond, or nothing of it was. */
	int (*mem_unmap)(void *arg, uint64_t bond, uint64_t va, uint64_t len);
	/**
	 * A userfaultfd of the bond's process, which is the device's in any case,
	 * tells what becomes of what is mapped. 0, -errno.
	 */
	int (*mem_watch)(void *arg, uint64_t bond, int fd);
	/** What of the bond's is mapped now; nothing when it has ended. */
	void (*mem_used)(void *arg, uint64_t bond, uint64_t *bytes, uint32_t *ranges);
	/**
	 * The worker rang: engines look after its queues. Entries may be NULL. Once
	 * for all the doorbells of a turn of the server's loop.
	 */
	void (*doorbell)(void *arg, void *const *queues, uint32_t nb);
	/** A watched pidfd became readable: the process has ended. */
	void (*process_gone)(void *arg, uint64_t bond);
};

struct svm_server_conf {
	const char *path;	/* "": no socket, only the thread and its watches */
	uint32_t max_workers;	/* connections at once */
	uint32_t max_queues;	/* queues in all */
	uint32_t max_depth;
	uint32_t max_per_uid;	/* connections of one user; 0: no limit */
	uint32_t max_per_pid;	/* ... of one process; 0: no limit */
	uint32_t max_worker_queues;	/* of one connection; 0: SVM_PROTO_QUEUES_MAX */
	uint32_t max_rate;	/* messages a second of one connection; 0: no limit */
	uint64_t max_mem;	/* bytes of one connection; 0: no memory at all */
	uint64_t max_mem_uid;	/* ... of one user's; 0: no limit */
	uint32_t max_ranges;	/* mapped, of one connection; 0: no limit */
	uint32_t max_ranges_uid;	/* ... of one user's; 0: no limit */
	int mem_node;		/* where a worker's memory is that says nothing; -1: any */
	struct svm_rules rules;
	uint32_t end_ms;	/* how long the end goes on asking a busy device */
	int wake_fd;		/* an eventfd that wakes the server, too; -1: none */
	bool may_sleep;		/* queues say SVM_QF_MAY_SLEEP */
};

/**
 * Make the socket (mode: svm_rules_mode()) and start the thread. A socket whose owner is
 * dead is replaced; -EADDRINUSE when a living one serves it.
 */
int
svm_server_create(const struct svm_server_conf *conf, const struct svm_server_ops *ops,
		void *arg, struct svm_server **server);

/**
 * Hang up on every worker (their queues and bonds are given back through ops),
 * end the thread, unlink the socket. The server is gone in any case.
 *
 * @return 0; -EBUSY: the device had not taken all back after end_ms: queues, bonds
 *   or binds of workers are left.
 */
int
svm_server_destroy(struct svm_server *server);

/** Watch a pidfd for a bond's end. Any thread. 0 or -errno. */
int
svm_server_watch(struct svm_server *server, int pidfd, uint64_t bond);

/** Stop watching; before the pidfd is closed. Any thread. */
void
svm_server_unwatch(struct svm_server *server, int pidfd);

/** An eventfd that wakes the server, to call bind_step. Any thread may write it. */
int
svm_server_eventfd(const struct svm_server *server);

/** Workers connected now. Any thread. */
uint32_t
svm_server_workers(const struct svm_server *server);

#endif /* SVM_SERVER_H */
