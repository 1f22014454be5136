/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "svm_conn.h"
#include "svm_log.h"
#include "svm_policy.h"
#include "svm_ring.h"
#include "svm_sock.h"

/* Messages of one worker in a turn of the loop, so that none starves another. */
#define CONN_BURST	16
/* How far a worker may be ahead of its rate. */
#define CONN_RATE_AHEAD_NS	UINT64_C(100000000)
#define NS_PER_S	UINT64_C(1000000000)

int
svm_conn_reply(struct svm_conn *conn, const union svm_msg *msg, int fd)
{
	const int rc = svm_sock_send(conn->fd, msg, msg->hdr.len, fd);

	/* A worker that does not read its replies is not waited for. */
	if (rc != 0) {
		SVM_LOG(INFO, "worker %d takes no reply (%d), hanging up",
			(int)conn->pid, rc);
		return SVM_CONN_ANSWERED;
	}
	return 0;
}

static int
reply_status(struct svm_conn *conn, const struct svm_msg_hdr *to, int status)
{
	union svm_msg out;

	svm_msg_init(&out, to->type | SVM_MSG_REPLY, conn->version, to->seq);
	out.status.status = status;
	return svm_conn_reply(conn, &out, -1);
}

/* Where several users may come, none takes all the queues. */
static uint32_t
queues_of_user(const struct svm_server_conf *conf)
{
	return svm_rules_many_users(&conf->rules) ? (conf->max_queues + 1) / 2 :
		conf->max_queues;
}

static uint32_t
queues_allowed(const struct svm_conn *conn)
{
	const struct svm_server_conf *conf = conn->env->conf;
	uint32_t max = queues_of_user(conf);

	if (conf->max_worker_queues != 0 && conf->max_worker_queues < max)
		max = conf->max_worker_queues;
	return max < SVM_PROTO_QUEUES_MAX ? max : SVM_PROTO_QUEUES_MAX;
}

/*
 * Count a message. True: that was too many in too short a time, and the socket
 * rests; what the worker says meanwhile waits there, for itself alone.
 */
static bool
rate_exceeded(struct svm_conn *conn)
{
	const uint32_t rate = conn->env->conf->max_rate;
	struct timespec ts;
	uint64_t now;

	if (rate == 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	if (conn->rate_ns < now)
		conn->rate_ns = now;
	conn->rate_ns += NS_PER_S / rate;
	if (conn->rate_ns - now <= CONN_RATE_AHEAD_NS)
		return false;
	conn->paused_until_ms = (conn->rate_ns - CONN_RATE_AHEAD_NS) / 1000000 + 1;
	return true;
}

static int
handle_hello(struct svm_conn *conn, const struct svm_msg_hello *in)
{
	union svm_msg out;
	int status = 0, rc;

	if (conn->state != SVM_CONN_HELLO)
		return -EPROTO;
	if (in->reserved != 0)
		return -EINVAL;
	if (in->version_min > in->version_max)
		status = -EINVAL;
	else if (in->version_min > SVM_PROTO_VERSION_MAX ||
			in->version_max < SVM_PROTO_VERSION_MIN)
		status = -EPROTONOSUPPORT;

	svm_msg_init(&out, SVM_MSG_HELLO_REPLY, SVM_PROTO_VERSION_MAX, in->hdr.seq);
	out.hello_reply.status = status;
	out.hello_reply.version = SVM_PROTO_VERSION_MAX;
	if (status != 0) {
		SVM_LOG(INFO, "worker %d speaks versions %u to %u, refused",
			(int)conn->pid, in->version_min, in->version_max);
		svm_conn_reply(conn, &out, -1);
		return SVM_CONN_ANSWERED;
	}
	if (in->version_max < out.hello_reply.version)
		out.hello_reply.version = in->version_max;
	out.hello_reply.features = in->features & svm_conn_mem_features(conn->env);
	conn->features = out.hello_reply.features;
	out.hello_reply.max_depth = conn->env->conf->max_depth;
	out.hello_reply.max_queues = queues_allowed(conn);
	conn->version = out.hello_reply.version;
	rc = svm_conn_reply(conn, &out, -1);
	if (rc == 0)
		conn->state = SVM_CONN_READY;
	return rc;
}

static int
handle_unbind(struct svm_conn *conn, const struct svm_msg_plain *in)
{
	int rc;

	if (conn->bond == 0) {
		rc = -ENOENT;
	} else if (conn->nb_queues != 0) {
		rc = -EBUSY;
	} else {
		rc = conn->env->ops->unbind(conn->env->arg, conn->bond);
		/* Any other answer says that the bond is gone already. */
		if (rc != -EBUSY) {
			conn->bond = 0;
			svm_conn_mem_unbound(conn);
			rc = 0;
		}
	}
	return reply_status(conn, &in->hdr, rc);
}

/* Make a queue in slot i, which has been counted, and send its memory. */
static int
queue_give(struct svm_conn *conn, const struct svm_msg_queue_create *in, uint32_t i,
		union svm_msg *out)
{
	const struct svm_conn_env *env = conn->env;
	const uint32_t features = in->features |
		(env->conf->may_sleep ? SVM_QF_MAY_SLEEP : 0);
	void *queue = NULL;
	int fd = -1, rc;

	rc = env->ops->queue_create(env->arg, conn->bond, in->depth, features, &queue, &fd);
	if (rc != 0) {
		svm_tally_del(&conn->env->queues_of, conn->uid);
		out->queue_create_reply.status = rc;
		return svm_conn_reply(conn, out, -1);
	}
	/* From here on it is given back when the connection ends. */
	conn->queue[i] = queue;
	conn->nb_queues++;
	conn->env->nb_queues++;

	out->queue_create_reply.queue = i;
	out->queue_create_reply.depth = in->depth;
	out->queue_create_reply.features = features;
	out->queue_create_reply.size = svm_ring_layout(in->depth).size;
	rc = svm_conn_reply(conn, out, fd);
	close(fd);
	return rc;
}

static int
handle_queue_create(struct svm_conn *conn, const struct svm_msg_queue_create *in)
{
	const struct svm_server_conf *conf = conn->env->conf;
	union svm_msg out;
	uint32_t i = 0;
	int rc = 0;

	/*
	 * One memory on its way at a time. A worker that does not take what it is
	 * sent could make and destroy queues for ever: descriptors under way count
	 * for the owner, whose limit of them is everybody's.
	 */
	if (svm_sock_unread(conn->fd))
		return -EPROTO;
	svm_msg_init(&out, SVM_MSG_QUEUE_CREATE_REPLY, conn->version, in->hdr.seq);
	if (svm_ring_depth_check(in->depth) != 0 || in->depth > conf->max_depth ||
			(in->features & ~SVM_QF_MULTI_PRODUCER) != 0)
		rc = -EINVAL;
	else if (conn->bond == 0)
		rc = -ENOENT;
	else if (conn->nb_queues >= queues_allowed(conn) ||
			conn->env->nb_queues >= conf->max_queues)
		rc = -ENOSPC;
	if (rc == 0)
		rc = svm_tally_add(&conn->env->queues_of, conn->uid, queues_of_user(conf));
	if (rc == -EUSERS)
		rc = -ENOSPC;
	if (rc != 0) {
		out.queue_create_reply.status = rc;
		return svm_conn_reply(conn, &out, -1);
	}
	while (conn->queue[i] != NULL)
		i++;
	return queue_give(conn, in, i, &out);
}

/* Take queue i back: 0 or -EBUSY. */
static int
queue_take_back(struct svm_conn *conn, uint32_t i)
{
	const struct svm_conn_env *env = conn->env;

	if (env->ops->queue_destroy(env->arg, conn->queue[i]) == -EBUSY)
		return -EBUSY;
	conn->queue[i] = NULL;
	conn->nb_queues--;
	conn->env->nb_queues--;
	svm_tally_del(&conn->env->queues_of, conn->uid);
	return 0;
}

static int
handle_queue_destroy(struct svm_conn *conn, const struct svm_msg_queue_destroy *in)
{
	int rc = -ENOENT;

	if (in->reserved != 0)
		return -EINVAL;
	if (in->queue < SVM_PROTO_QUEUES_MAX && conn->queue[in->queue] != NULL)
		rc = queue_take_back(conn, in->queue);
	return reply_status(conn, &in->hdr, rc);
}

static int
handle_window_list(struct svm_conn *conn, const struct svm_msg_window_list *in)
{
	union svm_msg out;

	if (in->reserved != 0)
		return -EINVAL;
	svm_conn_window_list(conn, in, &out);
	return svm_conn_reply(conn, &out, -1);
}

static int
handle(struct svm_conn *conn, const union svm_msg *msg, uint32_t len, pid_t sender, int *fd,
		bool *rang)
{
	const int rc = svm_msg_check(msg, len, conn->version);

	/* Before anything else: an unknown first message is out of order, too. */
	if (rc != 0)
		return rc;
	/* A socket can be passed on, or inherited; the bond cannot. */
	if (sender != conn->pid)
		return -EPERM;
	if (msg->hdr.seq == 0 && msg->hdr.type != SVM_MSG_DOORBELL)
		return -EPROTO;
	if (conn->state == SVM_CONN_HELLO && msg->hdr.type != SVM_MSG_HELLO)
		return -EPROTO;
	/* One request at a time: what a bind is to become may not be presumed. */
	if (conn->bind != SVM_CONN_BIND_NONE && msg->hdr.type != SVM_MSG_PROOF &&
			msg->hdr.type != SVM_MSG_DOORBELL)
		return -EPROTO;
	switch (msg->hdr.type) {
	case SVM_MSG_HELLO:
		return handle_hello(conn, &msg->hello);
	case SVM_MSG_BIND:
		return svm_conn_handle_bind(conn, &msg->bind);
	case SVM_MSG_PROOF:
		return svm_conn_handle_proof(conn, &msg->proof);
	case SVM_MSG_UNBIND:
		return handle_unbind(conn, &msg->plain);
	case SVM_MSG_QUEUE_CREATE:
		return handle_queue_create(conn, &msg->queue_create);
	case SVM_MSG_QUEUE_DESTROY:
		return handle_queue_destroy(conn, &msg->queue_destroy);
	case SVM_MSG_WINDOW_LIST:
		return handle_window_list(conn, &msg->window_list);
	case SVM_MSG_MEM_CREATE:
	case SVM_MSG_MEM_DESTROY:
	case SVM_MSG_MEM_MAP:
	case SVM_MSG_MEM_UNMAP:
	case SVM_MSG_MEM_WATCH:
		return svm_conn_handle_mem(conn, msg, fd);
	case SVM_MSG_DOORBELL:
		*rang = true;
		return 0;
	default:	/* replies, and ERROR, travel the other way */
		return -EPROTO;
	}
}

int
svm_conn_create(struct svm_conn_env *env, int fd, uint64_t now_ms, struct svm_conn **conn)
{
	struct svm_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->env = env;
	c->state = SVM_CONN_HELLO;
	c->fd = fd;
	c->pid = svm_sock_peer(fd, &c->uid, &c->gid);
	c->since_ms = now_ms;
	c->fd_left = -1;
	*conn = c;
	return 0;
}

/* Receive a message and handle it; -EAGAIN: there is none. */
static int
serve_one(struct svm_conn *conn, bool *rang)
{
	struct svm_msg_hdr hdr;
	union svm_msg msg;
	uint32_t len = 0;
	bool takes_fd;
	int fd = -1, rc;
	pid_t sender;

	/* A descriptor is let in only where one belongs. What comes after a look that
	 * found nothing was not looked at, and waits for the next turn. */
	rc = svm_sock_peek(conn->fd, &hdr, sizeof(hdr));
	if (rc == -EAGAIN)
		return rc;
	takes_fd = rc == sizeof(hdr) && svm_conn_mem_takes_fd(hdr.type);
	rc = svm_sock_recv(conn->fd, &msg, sizeof(msg), &len, takes_fd ? &fd : NULL, &sender);
	if (rc == -EAGAIN)
		return rc;
	if (rc == 0)
		rc = handle(conn, &msg, len, sender, &fd, rang);
	else if (rc != -EMSGSIZE && rc != -EPROTO)
		rc = SVM_CONN_ANSWERED;	/* gone: nobody to tell */
	if (fd >= 0 && !svm_conn_fd_drop(conn, fd) && rc == 0)
		rc = SVM_CONN_ANSWERED;
	return rc;
}

bool
svm_conn_serve(struct svm_conn *conn, int *status)
{
	bool rang = false;
	int i, rc = 0;

	for (i = 0; i != CONN_BURST && rc == 0; i++) {
		rc = serve_one(conn, &rang);
		if (rc == -EAGAIN) {
			rc = 0;
			break;
		}
		if (rate_exceeded(conn))
			break;
	}
	/* Once for all that rang in this turn: waking twice wakes no better. */
	if (rang)
		conn->env->ops->doorbell(conn->env->arg, conn->queue,
			SVM_PROTO_QUEUES_MAX);
	*status = rc < 0 ? rc : 0;
	return rc == 0;
}

void
svm_conn_leave(struct svm_conn *conn, int status)
{
	if (status != 0) {
		union svm_msg out;

		SVM_LOG(INFO, "worker %d broke the protocol (%d), hanging up",
			(int)conn->pid, status);
		svm_msg_init(&out, SVM_MSG_ERROR, conn->version, 0);
		out.status.status = status;
		svm_sock_send(conn->fd, &out, out.hdr.len, -1);
	}
	svm_conn_bind_stop(conn);
	svm_sock_hang_up(conn->fd);
	conn->fd = -1;
	conn->state = SVM_CONN_LEAVING;
}

bool
svm_conn_give_back(struct svm_conn *conn)
{
	const struct svm_conn_env *env = conn->env;
	uint32_t i;

	if (!svm_conn_bind_give_back(conn))
		return false;
	for (i = 0; i != SVM_PROTO_QUEUES_MAX && conn->nb_queues != 0; i++)
		if (conn->queue[i] != NULL)
			queue_take_back(conn, i);
	if (conn->nb_queues != 0)
		return false;
	if (conn->bond != 0 && env->ops->unbind(env->arg, conn->bond) == -EBUSY)
		return false;
	conn->bond = 0;
	return svm_conn_mem_give_back(conn);
}

void
svm_conn_destroy(struct svm_conn *conn)
{
	if (conn->fd >= 0)
		svm_sock_hang_up(conn->fd);
	free(conn->mem);
	free(conn);
}

void
svm_conn_refuse(int fd, int status)
{
	union svm_msg out;

	svm_msg_init(&out, SVM_MSG_HELLO_REPLY, SVM_PROTO_VERSION_MAX, 0);
	out.hello_reply.status = status;
	out.hello_reply.version = SVM_PROTO_VERSION_MAX;
	svm_sock_send(fd, &out, out.hdr.len, -1);
	svm_sock_hang_up(fd);
}
