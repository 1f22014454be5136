/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to the owner. Each has its reply within 5 s or the connection is
 * broken: what came late would answer another question. An owner is checked
 * like any peer: it could be hostile, too, or another program altogether.
 */
#ifndef WORKER_CONN_H
#define WORKER_CONN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../svm/svm_proto.h"
#include "svm_worker.h"

/* Bound of one request, and of leaving. */
#define WORKER_WAIT_MS	5000

struct svm_worker {
	/* One request at a time: heaps grow in any thread. A leaf. Not for a child. */
	pthread_mutex_t lock;
	int fd;
	pid_t pid;		/* the process that connected, not a child of it */
	pid_t owner_pid;
	bool broken;		/* shut down; everything answers -EPIPE */
	uint16_t version;
	uint32_t seq;		/* of the last request */
	uint32_t max_depth;
	uint32_t max_queues;
	uint64_t features;	/* in force */
	uint64_t bond;		/* 0: not bound */
	/* The owner looks here for what it told us: who asks is this address space. */
	struct svm_nonce nonce;
	struct svm_worker_queue *queues;
	struct svm_worker_heap *heaps;
	struct svm_wshare *shares;
};

/** Milliseconds of a clock that only goes forward. */
uint64_t
svm_wconn_now_ms(void);

/**
 * Connect and exchange HELLO. Fills in fd, owner_pid, version and limits.
 *
 * @return As svm_worker_connect(); nothing stays open after an error.
 */
int
svm_wconn_open(struct svm_worker *w, const char *path);

/**
 * Send a request and wait for its reply.
 *
 * @param msg
 *   In: the request (svm_msg_init(); its sequence is set here). Out: the
 *   reply, checked but for what is particular to its type.
 * @param fd
 *   Out: the descriptor that came along or -1; NULL: none may come.
 * @return 0; -EPERM: this is a child of the process that connected;
 *   -ETIMEDOUT, -EPROTO, or the status of an ERROR: the connection is broken
 *   now; -EPIPE: the owner is gone, or the connection was broken before.
 */
int
svm_wconn_request(struct svm_worker *w, union svm_msg *msg, int *fd);

/** As svm_wconn_request(), and send a descriptor along, which stays the caller's. */
int
svm_wconn_request_with(struct svm_worker *w, union svm_msg *msg, int give);

/**
 * Requests that belong together: nobody else's come between. In between them
 * svm_wconn_request_locked(). Not in a child of the process that connected.
 */
void
svm_wconn_lock(struct svm_worker *w);

void
svm_wconn_unlock(struct svm_worker *w);

int
svm_wconn_request_locked(struct svm_worker *w, union svm_msg *msg, int *fd);

/** Give the connection up: the owner takes back all that it gave. */
void
svm_wconn_break(struct svm_worker *w);

/** The status of a reply: 0, -errno, or -EPROTO when it is neither. */
int
svm_wconn_status(int32_t status);

/**
 * Ask the owner to take something back (UNBIND, QUEUE_DESTROY) until it is not
 * busy with it any more, for WORKER_WAIT_MS at the most.
 *
 * @return 0, -EBUSY, another status of the owner's, or what svm_wconn_request()
 *   answers
 */
int
svm_wconn_give_back(struct svm_worker *w, const union svm_msg *ask);

#endif /* WORKER_CONN_H */
