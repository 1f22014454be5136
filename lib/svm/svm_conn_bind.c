/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection's bind: BIND, CHALLENGE, PROOF, and the device's steps between. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "svm_admit.h"
#include "svm_conn.h"
#include "svm_log.h"
#include "svm_sock.h"

/* Binds that wait for a turn and are tried in one turn of the loop. */
#define BIND_TRIES	16

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
list_set(struct svm_conn *conn, struct svm_conn_list *list)
{
	if (conn->bind_list != NULL)
		TAILQ_REMOVE(conn->bind_list, conn, bind_link);
	conn->bind_list = list;
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, conn, bind_link);
}

/* CHALLENGE or PROOF_REPLY, with a status and nothing else. */
static int
refuse(struct svm_conn *conn, uint16_t type, uint32_t seq, int status)
{
	union svm_msg out;

	svm_msg_init(&out, type, conn->version, seq);
	if (type == SVM_MSG_CHALLENGE)
		out.challenge.status = status;
	else
		out.proof_reply.status = status;
	return svm_conn_reply(conn, &out, -1);
}

static int
challenge(struct svm_conn *conn, const struct svm_nonce *nonce)
{
	union svm_msg out;

	list_set(conn, &conn->env->asked);
	conn->bind = SVM_CONN_BIND_ASKED;
	conn->asked_ms = now_ms();
	conn->nonce = *nonce;
	svm_msg_init(&out, SVM_MSG_CHALLENGE, conn->version, conn->bind_seq);
	out.challenge.nonce = *nonce;
	return svm_conn_reply(conn, &out, -1);
}

static int
bound(struct svm_conn *conn, uint64_t bond)
{
	union svm_msg out;

	conn->bond = bond;
	svm_msg_init(&out, SVM_MSG_PROOF_REPLY, conn->version, conn->bind_seq);
	out.proof_reply.bond = bond;
	return svm_conn_reply(conn, &out, -1);
}

/* Whether the bond of this process's last connection is still to be given back. */
static bool
former_leaves(const struct svm_conn *conn)
{
	const struct svm_conn *other;

	if (now_ms() - conn->bind_since_ms >= SVM_CONN_FORMER_MS)
		return false;
	TAILQ_FOREACH(other, &conn->env->leaving, link)
		if (other->pid == conn->pid && other->bond != 0)
			return true;
	return false;
}

/* Have the device begin. */
static int
bind_begin(struct svm_conn *conn)
{
	const struct svm_conn_env *env = conn->env;
	struct svm_peer peer = { .pid = conn->pid, .uid = conn->uid, .gid = conn->gid };
	int rc;

	if (former_leaves(conn))
		return -EBUSY;
	peer.pidfd = svm_sock_peer_pidfd(conn->fd);
	/* It may have to wait for its turn, with all the others. */
	if (peer.pidfd >= 0 && svm_fd_reserved(peer.pidfd)) {
		close(peer.pidfd);
		return -EMFILE;
	}
	rc = env->ops->bind_begin(env->arg, &peer, conn->bind_user, conn->bind_word,
			&conn->bind_req);
	if (rc != 0)
		conn->bind_req = NULL;
	return rc;
}

/* One step of a bind. As a handler. */
static int
bind_step(struct svm_conn *conn)
{
	const struct svm_conn_env *env = conn->env;
	const bool proving = conn->bind == SVM_CONN_BIND_PROVING;
	struct svm_nonce nonce;
	uint64_t bond = 0;
	int rc = 0;

	if (conn->bind_req == NULL)
		rc = bind_begin(conn);
	if (rc == 0)
		rc = env->ops->bind_step(env->arg, conn->bind_req, &nonce, &bond);
	if (rc == -EBUSY) {
		list_set(conn, &conn->env->waiting);
		return 0;
	}
	if (rc == -EINPROGRESS) {
		/* Not to its end again: svm_conn_binds_step() goes through it. */
		if (conn->bind_list != &conn->env->binding)
			list_set(conn, &conn->env->binding);
		return 0;
	}
	if (rc == 0 && !proving)
		return challenge(conn, &nonce);
	list_set(conn, NULL);
	conn->bind = SVM_CONN_BIND_NONE;
	if (conn->bind_req != NULL)
		env->ops->bind_end(env->arg, conn->bind_req);
	conn->bind_req = NULL;
	if (rc == 0)
		return bound(conn, bond);
	return refuse(conn, proving ? SVM_MSG_PROOF_REPLY : SVM_MSG_CHALLENGE,
		conn->bind_seq, rc);
}

int
svm_conn_handle_bind(struct svm_conn *conn, const struct svm_msg_bind *in)
{
	if (conn->bond != 0)
		return refuse(conn, SVM_MSG_CHALLENGE, in->hdr.seq, -EEXIST);
	conn->bind_user = in->user;
	conn->bind_word = in->word;
	conn->bind_since_ms = now_ms();
	conn->bind = SVM_CONN_BIND_OPENING;
	conn->bind_seq = in->hdr.seq;
	return bind_step(conn);
}

int
svm_conn_handle_proof(struct svm_conn *conn, const struct svm_msg_proof *in)
{
	/* One without the nonce may have been sent long ago, before the sender's pid
	 * called exec: what the process is now has not asked for anything. */
	if (conn->bind != SVM_CONN_BIND_ASKED ||
			memcmp(&in->nonce, &conn->nonce, sizeof(in->nonce)) != 0)
		return -EPROTO;
	conn->bind = SVM_CONN_BIND_PROVING;
	conn->bind_seq = in->hdr.seq;
	conn->env->ops->bind_prove(conn->env->arg, conn->bind_req);
	return bind_step(conn);
}

void
svm_conn_binds_step(struct svm_conn_env *env,
		void (*end)(struct svm_conn *conn, int status, void *arg), void *arg)
{
	struct svm_conn *conn, *next;
	int i, rc;

	/* These have a place with the device, so they are few. */
	for (conn = TAILQ_FIRST(&env->binding); conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, bind_link);
		rc = bind_step(conn);
		if (rc != 0)
			end(conn, rc < 0 ? rc : 0, arg);
	}
	/* Whoever gets no turn goes to the end: others may be of another user. */
	for (i = 0; i != BIND_TRIES && !TAILQ_EMPTY(&env->waiting); i++) {
		conn = TAILQ_FIRST(&env->waiting);
		rc = bind_step(conn);
		if (rc != 0)
			end(conn, rc < 0 ? rc : 0, arg);
	}
}

bool
svm_conn_binds_pending(const struct svm_conn_env *env)
{
	return !TAILQ_EMPTY(&env->binding) || !TAILQ_EMPTY(&env->waiting);
}

struct svm_conn *
svm_conn_asked_late(const struct svm_conn_env *env, uint64_t now)
{
	struct svm_conn *conn = TAILQ_FIRST(&env->asked);

	return conn != NULL && now - conn->asked_ms >= SVM_CONN_PROOF_MS ? conn : NULL;
}

void
svm_conn_bind_stop(struct svm_conn *conn)
{
	list_set(conn, NULL);
	conn->bind = SVM_CONN_BIND_NONE;
}

bool
svm_conn_bind_give_back(struct svm_conn *conn)
{
	const struct svm_conn_env *env = conn->env;

	if (conn->bind_req != NULL && env->ops->bind_end(env->arg, conn->bind_req) == -EBUSY)
		return false;
	conn->bind_req = NULL;
	return true;
}
