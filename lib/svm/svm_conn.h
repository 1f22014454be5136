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

#include "svm_mem.h"
#include "svm_proto.h"
#include "svm_server.h"
#include "svm_tally.h"

/*
 * A bind under way:
 *
 *   NONE --BIND--> OPENING --CHALLENGE--> ASKED --PROOF--> PROVING -> NONE
 *
 * OPENING and PROVING go on by steps of the device; in ASKED it is the worker's
 * turn, for SVM_CONN_PROOF_MS. No other request may come meanwhile.
 *
 * OPENING begins when no earlier connection of the process, which has hung up,
 * has the bond any more: a worker may come back before the device has let go. It
 * waits for SVM_CONN_FORMER_MS at the most, and is told -EEXIST then.
 */
enum svm_conn_bind {
	SVM_CONN_BIND_NONE,
	SVM_CONN_BIND_OPENING,
	SVM_CONN_BIND_ASKED,
	SVM_CONN_BIND_PROVING,
};

#define SVM_CONN_PROOF_MS	5000
#define SVM_CONN_FORMER_MS	3000

TAILQ_HEAD(svm_conn_list, svm_conn);

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
	struct svm_tally queues_of;	/* how many of them a user has */
	struct svm_tally mem_of;	/* svm_conn_mem.c */
	/* Connections with a bind: under way, waiting for a turn, asked. */
	struct svm_conn_list binding, waiting, asked;
	struct svm_conn_list leaving;	/* hung up, being given back; by `link` */
};

/** A connection's memory: what it was given, and what it counts as having mapped. */
struct svm_conn_mem {
	struct svm_mem given[SVM_PROTO_MEMS];	/* map NULL: free */
	uint32_t given_pages;
	uint32_t mapped_pages;
	uint32_t ranges;
};

struct svm_conn {
	TAILQ_ENTRY(svm_conn) link;	/* the server's list, or env's of those that leave */
	struct svm_conn_env *env;
	enum svm_conn_state state;
	int fd;				/* -1 when leaving */
	pid_t pid;			/* who connected */
	uid_t uid;			/* ... and as which user */
	gid_t gid;
	uint16_t version;		/* chosen, 0 in HELLO */
	uint64_t since_ms;		/* when it connected; the server's clock */
	uint64_t bond;			/* 0: not bound */
	enum svm_conn_bind bind;
	struct svm_conn_list *bind_list;	/* of env; NULL: none */
	TAILQ_ENTRY(svm_conn) bind_link;
	void *bind_req;			/* the device's; NULL: none, or it has to wait */
	uint64_t bind_user, bind_word;	/* as BIND has them */
	uint64_t bind_since_ms;
	uint32_t bind_seq;		/* of the message that is to be answered */
	struct svm_nonce nonce;		/* asked with */
	uint64_t asked_ms;
	uint64_t rate_ns;		/* when the messages so far would be due at max_rate */
	TAILQ_ENTRY(svm_conn) pause_link;	/* the server's, when paused */
	bool paused;
	uint64_t paused_until_ms;	/* not to be read before that; 0: it is read */
	uint32_t nb_queues;
	void *queue[SVM_PROTO_QUEUES_MAX];	/* NULL: free */
	uint64_t features;		/* in force */
	struct svm_conn_mem *mem;	/* NULL: it has never had any */
	int fd_left;			/* could not be closed yet; -1: none */
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

/**
 * Take the binds further that may go on; to be called whenever something has
 * happened. Bounded.
 *
 * @param end  Called for each connection that is to leave, with its status.
 */
void
svm_conn_binds_step(struct svm_conn_env *env,
		void (*end)(struct svm_conn *conn, int status, void *arg), void *arg);

/** Whether any bind waits for something that time brings. */
bool
svm_conn_binds_pending(const struct svm_conn_env *env);

/** A connection that was asked for its proof too long ago, or NULL. */
struct svm_conn *
svm_conn_asked_late(const struct svm_conn_env *env, uint64_t now_ms);

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

/* ---- between svm_conn.c and svm_conn_bind.c ---- */

/* What a handler says: 0 go on, -errno a rule was broken, or this. */
#define SVM_CONN_ANSWERED	1	/* hang up; the reply has told why */

/** Send a reply. @return 0, SVM_CONN_ANSWERED: the worker does not read. */
int
svm_conn_reply(struct svm_conn *conn, const union svm_msg *msg, int fd);

int
svm_conn_handle_bind(struct svm_conn *conn, const struct svm_msg_bind *in);

int
svm_conn_handle_proof(struct svm_conn *conn, const struct svm_msg_proof *in);

/** The worker has left: no step of its bind any more. */
void
svm_conn_bind_stop(struct svm_conn *conn);

/** Give a bind under way back to the device. False: it is busy yet. */
bool
svm_conn_bind_give_back(struct svm_conn *conn);

/* ---- svm_conn_window.c, for svm_conn.c ---- */

/** Answer WINDOW_LIST. */
void
svm_conn_window_list(const struct svm_conn *conn, const struct svm_msg_window_list *in,
		union svm_msg *out);

/* ---- svm_conn_mem.c, for svm_conn.c ---- */

/** Whether a message may bring a descriptor along. */
bool
svm_conn_mem_takes_fd(uint16_t type);

/** Feature bits that this owner has. */
uint64_t
svm_conn_mem_features(const struct svm_conn_env *env);

/** MEM_*; *fd came along with it, or -1; what is there afterwards is the caller's. */
int
svm_conn_handle_mem(struct svm_conn *conn, const union svm_msg *msg, int *fd);

/** Let go of a descriptor of the worker's. False: later, and the connection is to leave. */
bool
svm_conn_fd_drop(struct svm_conn *conn, int fd);

/** The bond has ended: all memory goes back. */
void
svm_conn_mem_unbound(struct svm_conn *conn);

/** Of a leaving connection without a bond: false: a descriptor is left. */
bool
svm_conn_mem_give_back(struct svm_conn *conn);

#endif /* SVM_CONN_H */
