/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker's connection: its state, and all that was given to it.
 *
 *   HELLO --HELLO--> READY --hang-up, broken rule, death--> LEAVING --> freed
 *
 * A connection owns its socket, its queues and its bond. LEAVING starts with
 * the socket closed; the queues are then destroyed, each in its turn, and the
 * bond unbound after the last of them. What the device answers -EBUSY is asked
 * again by svm_conn_give_back(), so the object lives until nothing is left.
 *
 * Everything runs on the server's thread, and nothing waits for the worker: a
 * reply that does not fit into the socket ends the connection.
 */
#ifndef SVM_CONN_H
#define SVM_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "svm_proto.h"
#include "svm_server.h"

enum svm_conn_state {
	SVM_CONN_HELLO,		/* connected, nothing said yet */
	SVM_CONN_READY,
	SVM_CONN_LEAVING,	/* socket closed, being given back */
};

/** What connections share; the server's. */
struct svm_conn_env {
	const struct svm_server_conf *conf;
	const struct svm_server_ops *ops;
	void *arg;		/* for ops */
	uint32_t nb_queues;	/* of all connections */
};

struct svm_conn {
	TAILQ_ENTRY(svm_conn) link;	/* the server's list */
	struct svm_conn_env *env;
	enum svm_conn_state state;
	int fd;				/* -1 when leaving */
	pid_t pid;			/* who connected */
	uid_t uid;			/* ... and as which user */
	uint16_t version;		/* chosen, 0 in HELLO */
	uint64_t since_ms;		/* when it connected; the server's clock */
	uint64_t bond;			/* 0: not bound */
	uint64_t token;
	uint32_t nb_queues;
	void *queue[SVM_PROTO_QUEUES_MAX];	/* NULL: free */
};

/**
 * Make a connection of an accepted socket, which it then owns.
 *
 * @return 0, -ENOMEM (the socket stays the caller's).
 */
int
svm_conn_create(struct svm_conn_env *env, int fd, uint64_t now_ms, struct svm_conn **conn);

/**
 * Handle what the worker sent, a bounded number of messages.
 *
 * @param status
 *   Out: what svm_conn_leave() is to say.
 * @return true to go on; false when the connection is to leave.
 */
bool
svm_conn_serve(struct svm_conn *conn, int *status);

/** Say why (ERROR), when status is not 0, and hang up. The state becomes LEAVING. */
void
svm_conn_leave(struct svm_conn *conn, int status);

/**
 * Give back what a leaving connection still has.
 *
 * @return true when nothing is left; false when the device was busy.
 */
bool
svm_conn_give_back(struct svm_conn *conn);

/** Free a connection. */
void
svm_conn_destroy(struct svm_conn *conn);

/** Turn an accepted socket away: HELLO_REPLY with a status, hang up. */
void
svm_conn_refuse(int fd, int status);

#endif /* SVM_CONN_H */
