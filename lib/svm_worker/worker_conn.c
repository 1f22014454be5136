/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "worker_conn.h"

uint64_t
svm_wconn_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Wait until the socket is ready, or hung up: 0 or -ETIMEDOUT. */
static int
sock_wait(int sock, short events, uint64_t end_ms)
{
	struct pollfd pfd = { .fd = sock, .events = events };

	for (;;) {
		const uint64_t now = svm_wconn_now_ms();
		int n;

		if (now >= end_ms)
			return -ETIMEDOUT;
		n = poll(&pfd, 1, (int)(end_ms - now));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int
sock_send(int sock, union svm_msg *msg, int give, uint64_t end_ms)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = { .room = { 0 } };
	struct iovec iov = { .iov_base = msg, .iov_len = msg->hdr.len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (give >= 0) {
		ctl.align.cmsg_level = SOL_SOCKET;
		ctl.align.cmsg_type = SCM_RIGHTS;
		ctl.align.cmsg_len = CMSG_LEN(sizeof(give));
		memcpy(CMSG_DATA(&ctl.align), &give, sizeof(give));
		mh.msg_control = &ctl;
		mh.msg_controllen = sizeof(ctl.room);
	}
	for (;;) {
		const ssize_t n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		int rc;

		if (n == (ssize_t)msg->hdr.len)
			return 0;
		if (n >= 0)
			return -EPROTO;
		if (errno == ECONNRESET)
			return -EPIPE;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		rc = sock_wait(sock, POLLOUT, end_ms);
		if (rc != 0)
			return rc;
	}
}

/* The first descriptor of a message into *fd, the others closed: how many those were. */
static int
fds_take(struct msghdr *mh, int *fd)
{
	struct cmsghdr *c;
	int closed = 0;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		size_t i;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); i += sizeof(int)) {
			int one;

			memcpy(&one, CMSG_DATA(c) + i, sizeof(one));
			if (*fd < 0) {
				*fd = one;
			} else {
				close(one);
				closed++;
			}
		}
	}
	return closed;
}

/* Receive one message. *fd is -1 after an error. */
static int
sock_recv(int sock, union svm_msg *msg, uint32_t *len, int *fd, uint64_t end_ms)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} ctl;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	bool reset = false;

	*fd = -1;
	for (;;) {
		struct msghdr mh = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &ctl,
			.msg_controllen = sizeof(ctl.room),
		};
		ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int rc;

		if (n >= 0) {
			*len = (uint32_t)n;
			if (fds_take(&mh, fd) == 0 && n != 0 &&
					(mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
				return 0;
			if (*fd >= 0)
				close(*fd);
			*fd = -1;
			return n == 0 ? -EPIPE : -EPROTO;
		}
		/* Said once when the owner hung up; its last word is still there. */
		if (errno == ECONNRESET && !reset) {
			reset = true;
			continue;
		}
		if (errno == ECONNRESET)
			return -EPIPE;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		rc = sock_wait(sock, POLLIN, end_ms);
		if (rc != 0)
			return rc;
	}
}

int
svm_wconn_status(int32_t status)
{
	return status <= 0 && status >= -4095 ? status : -EPROTO;
}

/* Whether what came is the reply to `type`, number `seq`: 0 or why not. */
static int
reply_check(const struct svm_worker *w, const union svm_msg *msg, uint32_t len,
		uint16_t type, uint32_t seq)
{
	const int rc = svm_msg_check(msg, len, w->version);

	if (rc != 0)
		return -EPROTO;
	if (msg->hdr.type == SVM_MSG_ERROR) {
		const int status = svm_wconn_status(msg->status.status);

		return status != 0 ? status : -EPROTO;
	}
	if (msg->hdr.type != (type | SVM_MSG_REPLY))
		return -EPROTO;
	/* An owner that is full says so before it has read HELLO. */
	if (type == SVM_MSG_HELLO && msg->hdr.seq == 0 && msg->hello_reply.status < 0)
		return 0;
	return msg->hdr.seq == seq ? 0 : -EPROTO;
}

void
svm_wconn_break(struct svm_worker *w)
{
	shutdown(w->fd, SHUT_RDWR);
	w->broken = true;
}

/* The lock is held. */
static int
request(struct svm_worker *w, union svm_msg *msg, int give, int *fd)
{
	const uint64_t end = svm_wconn_now_ms() + WORKER_WAIT_MS;
	const uint16_t type = msg->hdr.type;
	uint32_t len = 0;
	int got = -1, rc;

	if (fd != NULL)
		*fd = -1;
	if (w->broken)
		return -EPIPE;
	if (++w->seq == 0)
		w->seq = 1;
	msg->hdr.seq = w->seq;
	rc = sock_send(w->fd, msg, give, end);
	/* An owner that hung up may have said why. */
	if (rc == 0 || rc == -EPIPE)
		rc = sock_recv(w->fd, msg, &len, &got, end);
	if (rc == 0)
		rc = reply_check(w, msg, len, type, w->seq);
	if (rc == 0 && fd == NULL && got >= 0)
		rc = -EPROTO;
	if (rc != 0) {
		if (got >= 0)
			close(got);
		got = -1;
		svm_wconn_break(w);
	}
	if (fd != NULL)
		*fd = got;
	return rc;
}

void
svm_wconn_lock(struct svm_worker *w)
{
	pthread_mutex_lock(&w->lock);
}

void
svm_wconn_unlock(struct svm_worker *w)
{
	pthread_mutex_unlock(&w->lock);
}

int
svm_wconn_request_locked(struct svm_worker *w, union svm_msg *msg, int *fd)
{
	return request(w, msg, -1, fd);
}

/* A child may have inherited the lock taken, for ever. */
static int
request_alone(struct svm_worker *w, union svm_msg *msg, int give, int *fd)
{
	int rc;

	if (getpid() != w->pid) {
		if (fd != NULL)
			*fd = -1;
		return -EPERM;
	}
	svm_wconn_lock(w);
	rc = request(w, msg, give, fd);
	svm_wconn_unlock(w);
	return rc;
}

int
svm_wconn_request(struct svm_worker *w, union svm_msg *msg, int *fd)
{
	return request_alone(w, msg, -1, fd);
}

int
svm_wconn_request_with(struct svm_worker *w, union svm_msg *msg, int give)
{
	return request_alone(w, msg, give, NULL);
}

int
svm_wconn_give_back(struct svm_worker *w, const union svm_msg *ask)
{
	const uint64_t end = svm_wconn_now_ms() + WORKER_WAIT_MS;
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (;;) {
		union svm_msg msg = *ask;
		int rc = svm_wconn_request(w, &msg, NULL);

		if (rc == 0)
			rc = svm_wconn_status(msg.status.status);
		if (rc != -EBUSY || svm_wconn_now_ms() >= end)
			return rc;
		nanosleep(&pause, NULL);
	}
}

/* A full backlog answers at once, so it is asked again. */
static int
sock_connect(int sock, const struct sockaddr_un *addr)
{
	const uint64_t end = svm_wconn_now_ms() + WORKER_WAIT_MS;
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (connect(sock, (const struct sockaddr *)addr, sizeof(*addr)) != 0) {
		if (errno == EPROTOTYPE)
			return -EPROTO;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (svm_wconn_now_ms() >= end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* What the owner chose, checked. */
static int
hello(struct svm_worker *w)
{
	union svm_msg msg;
	int rc;

	svm_msg_init(&msg, SVM_MSG_HELLO, SVM_PROTO_VERSION_MAX, 0);
	msg.hello.version_min = SVM_PROTO_VERSION_MIN;
	msg.hello.version_max = SVM_PROTO_VERSION_MAX;
	msg.hello.features = SVM_PROTO_FEATURES;
	rc = svm_wconn_request(w, &msg, NULL);
	/* There was no connection yet that could have been lost. */
	if (rc == -EPIPE)
		return -ECONNREFUSED;
	if (rc != 0)
		return rc;
	rc = svm_wconn_status(msg.hello_reply.status);
	if (rc != 0)
		return rc;
	if (msg.hello_reply.version < SVM_PROTO_VERSION_MIN ||
			msg.hello_reply.version > SVM_PROTO_VERSION_MAX ||
			msg.hello_reply.reserved != 0 ||
			(msg.hello_reply.features & ~SVM_PROTO_FEATURES) != 0)
		return -EPROTO;
	w->version = msg.hello_reply.version;
	w->max_depth = msg.hello_reply.max_depth;
	w->max_queues = msg.hello_reply.max_queues;
	w->features = msg.hello_reply.features;
	return 0;
}

int
svm_wconn_open(struct svm_worker *w, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);
	struct ucred cred;
	socklen_t cred_len = sizeof(cred);
	int rc;

	if (len == 0 || len >= sizeof(addr.sun_path))
		return -EINVAL;
	memcpy(addr.sun_path, path, len + 1);
	w->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0)
		return -errno;
	rc = sock_connect(w->fd, &addr);
	if (rc != 0)
		goto close_sock;
	/* Of the process that called listen(): the message could say anything. */
	if (getsockopt(w->fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) != 0) {
		rc = -errno;
		goto close_sock;
	}
	w->owner_pid = cred.pid;
	rc = hello(w);
	if (rc != 0)
		goto close_sock;
	return 0;

close_sock:
	close(w->fd);
	return rc;
}
