/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker that speaks raw messages: fake_owner.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_owner.h"

int
raw_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
		const int rc = -errno;

		close(sock);
		return rc;
	}
	return sock;
}

int
raw_send(int sock, const void *msg, size_t len)
{
	const ssize_t n = send(sock, msg, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n < 0 ? -errno : 0;
}

int
raw_recv(int sock, union svm_msg *msg)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	ssize_t n;

	memset(msg, 0, sizeof(*msg));
	if (poll(&pfd, 1, FAKE_BOUND_MS) <= 0)
		return -ETIMEDOUT;
	n = recv(sock, msg, sizeof(*msg), MSG_DONTWAIT);
	return n < 0 ? -errno : (int)n;
}

int
raw_ask(int sock, union svm_msg *msg)
{
	const int rc = raw_send(sock, msg, msg->hdr.len);

	return rc != 0 ? rc : raw_recv(sock, msg);
}

int
raw_ready(const char *path)
{
	union svm_msg msg;
	const int sock = raw_connect(path);

	if (sock < 0)
		return sock;
	svm_msg_init(&msg, SVM_MSG_HELLO, 1, 1);
	msg.hello.version_min = 1;
	msg.hello.version_max = 1;
	msg.hello.features = SVM_PROTO_FEATURES;
	if (raw_ask(sock, &msg) != sizeof(msg.hello_reply) || msg.hello_reply.status != 0) {
		close(sock);
		return -EPROTO;
	}
	return sock;
}

struct svm_nonce raw_word, raw_told;

int
raw_challenge(int sock, uint64_t user, const void *word, struct svm_nonce *nonce)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_BIND, 1, 2);
	msg.bind.user = user;
	msg.bind.word = (uintptr_t)word;
	if (raw_ask(sock, &msg) != sizeof(msg.challenge) ||
			msg.hdr.type != SVM_MSG_CHALLENGE || msg.hdr.seq != 2)
		return -EPROTO;
	*nonce = raw_told = msg.challenge.nonce;
	return msg.challenge.status;
}

int
raw_proof(int sock)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_PROOF, 1, 6);
	msg.proof.nonce = raw_told;
	if (raw_ask(sock, &msg) != sizeof(msg.proof_reply) ||
			msg.hdr.type != SVM_MSG_PROOF_REPLY || msg.hdr.seq != 6)
		return -EPROTO;
	return msg.proof_reply.status;
}

int
raw_bind(int sock, uint64_t user)
{
	const int rc = raw_challenge(sock, user, &raw_word, &raw_word);

	return rc != 0 ? rc : raw_proof(sock);
}

int
raw_queue(int sock, uint32_t depth, uint32_t features)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_QUEUE_CREATE, 1, 3);
	msg.queue_create.depth = depth;
	msg.queue_create.features = features;
	if (raw_ask(sock, &msg) != sizeof(msg.queue_create_reply) ||
			msg.hdr.type != SVM_MSG_QUEUE_CREATE_REPLY)
		return -EPROTO;
	return msg.queue_create_reply.status;
}

int
raw_queue_destroy(int sock, uint32_t queue)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_QUEUE_DESTROY, 1, 4);
	msg.queue_destroy.queue = queue;
	if (raw_ask(sock, &msg) != sizeof(msg.status) ||
			msg.hdr.type != SVM_MSG_QUEUE_DESTROY_REPLY)
		return -EPROTO;
	return msg.status.status;
}

int
raw_unbind(int sock)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_UNBIND, 1, 5);
	if (raw_ask(sock, &msg) != sizeof(msg.status) || msg.hdr.type != SVM_MSG_UNBIND_REPLY)
		return -EPROTO;
	return msg.status.status;
}

bool
raw_refused(int sock, int status)
{
	union svm_msg msg;

	return raw_recv(sock, &msg) == sizeof(msg.status) && msg.hdr.type == SVM_MSG_ERROR &&
		msg.status.status == status && raw_recv(sock, &msg) == 0;
}
