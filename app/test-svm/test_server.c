/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's protocol: what it answers, and what it refuses. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "fake_owner.h"
#include "suites.h"
#include "test_server.h"

static int
connected(const struct fake_owner *fo)
{
	const int sock = raw_connect(fo->path);

	CU_ASSERT_FATAL(sock >= 0);
	return sock;
}

/* ---- HELLO ---- */

static void
test_server_hello_is_answered_with_limits(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = connected(fo);
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_HELLO, 9, 5);
	msg.hello.version_min = 1;
	msg.hello.version_max = 9;
	msg.hello.features = UINT64_MAX;
	CU_ASSERT_EQUAL(raw_ask(sock, &msg), sizeof(msg.hello_reply));
	CU_ASSERT_EQUAL(msg.hdr.magic, SVM_PROTO_MAGIC);
	CU_ASSERT_EQUAL(msg.hdr.type, SVM_MSG_HELLO_REPLY);
	CU_ASSERT_EQUAL(msg.hdr.seq, 5);
	CU_ASSERT_EQUAL(msg.hello_reply.status, 0);
	CU_ASSERT_EQUAL(msg.hello_reply.version, 1);
	CU_ASSERT_EQUAL(msg.hello_reply.features, 0);
	CU_ASSERT_EQUAL(msg.hello_reply.max_depth, 1024);
	CU_ASSERT_EQUAL(msg.hello_reply.max_queues, FAKE_QUEUES);
	CU_ASSERT_TRUE(fake_wait_workers(fo, 1));
	close(sock);
	CU_ASSERT_TRUE(fake_wait_workers(fo, 0));
	fake_owner_destroy(fo);
}

static void
test_server_hello_without_common_version_is_refused(void)
{
	static const struct {
		uint16_t min, max;
		int status;
	} rows[] = {
		{ 2, 9, -EPROTONOSUPPORT }, { 0, 0, -EPROTONOSUPPORT },
		{ UINT16_MAX, UINT16_MAX, -EPROTONOSUPPORT }, { 2, 1, -EINVAL },
	};
	struct fake_owner *fo = server_begin();
	size_t i;

	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++) {
		const int sock = connected(fo);
		union svm_msg msg;

		svm_msg_init(&msg, SVM_MSG_HELLO, 1, 1);
		msg.hello.version_min = rows[i].min;
		msg.hello.version_max = rows[i].max;
		CU_ASSERT_EQUAL(raw_ask(sock, &msg), sizeof(msg.hello_reply));
		CU_ASSERT_EQUAL(msg.hello_reply.status, rows[i].status);
		CU_ASSERT_EQUAL(msg.hello_reply.version, SVM_PROTO_VERSION_MAX);
		CU_ASSERT_EQUAL(raw_recv(sock, &msg), 0);
		close(sock);
	}
	fake_owner_destroy(fo);
}

/* ---- messages that break the rules ---- */

/* Each way to spoil a message that would be right otherwise. */
enum spoil {
	SPOIL_SHORT_HEADER, SPOIL_SHORT, SPOIL_LONG, SPOIL_HUGE, SPOIL_LEN_LIES, SPOIL_MAGIC,
	SPOIL_VERSION, SPOIL_TYPE, SPOIL_TYPE_HIGH, SPOIL_REPLY, SPOIL_ERROR, SPOIL_SEQ,
	SPOIL_RESERVED, SPOIL_HELLO_AGAIN,
};

static size_t
spoil_message(enum spoil spoil, uint8_t *bytes, size_t room)
{
	union svm_msg msg;
	size_t len;

	svm_msg_init(&msg, SVM_MSG_BIND, 1, 2);
	len = msg.hdr.len;
	switch (spoil) {
	case SPOIL_SHORT_HEADER:
		len = sizeof(msg.hdr) - 1;
		break;
	case SPOIL_SHORT:
		len--;
		break;
	case SPOIL_LONG:
		len++;
		break;
	case SPOIL_HUGE:
		len = room;
		break;
	case SPOIL_LEN_LIES:
		msg.hdr.len++;
		break;
	case SPOIL_MAGIC:
		msg.hdr.magic ^= 1;
		break;
	case SPOIL_VERSION:
		msg.hdr.version = 2;
		break;
	case SPOIL_TYPE:
		msg.hdr.type = 0x40;
		break;
	case SPOIL_TYPE_HIGH:
		msg.hdr.type |= 0x100;
		break;
	case SPOIL_REPLY:
		svm_msg_init(&msg, SVM_MSG_CHALLENGE, 1, 2);
		len = msg.hdr.len;
		break;
	case SPOIL_ERROR:
		svm_msg_init(&msg, SVM_MSG_ERROR, 1, 2);
		len = msg.hdr.len;
		break;
	case SPOIL_SEQ:
		msg.hdr.seq = 0;
		break;
	case SPOIL_RESERVED:
		svm_msg_init(&msg, SVM_MSG_QUEUE_DESTROY, 1, 2);
		msg.queue_destroy.reserved = 1;
		len = msg.hdr.len;
		break;
	case SPOIL_HELLO_AGAIN:
		svm_msg_init(&msg, SVM_MSG_HELLO, 1, 2);
		len = msg.hdr.len;
		break;
	}
	memset(bytes, 0, room);
	memcpy(bytes, &msg, sizeof(msg));
	return len;
}

static void
spoiled_is_refused(enum spoil spoil, int status)
{
	struct fake_owner *fo = server_begin();
	uint8_t bytes[4096];
	const int sock = server_ready(fo);
	const size_t len = spoil_message(spoil, bytes, sizeof(bytes));

	CU_ASSERT_EQUAL(raw_send(sock, bytes, len), 0);
	CU_ASSERT_TRUE(raw_refused(sock, status));
	CU_ASSERT_TRUE(fake_wait_workers(fo, 0));
	CU_ASSERT_EQUAL(fake_count(&fo->binds), 0);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_server_truncated_message_is_refused(void)
{
	spoiled_is_refused(SPOIL_SHORT_HEADER, -EMSGSIZE);
	spoiled_is_refused(SPOIL_SHORT, -EMSGSIZE);
}

static void
test_server_oversized_message_is_refused(void)
{
	spoiled_is_refused(SPOIL_LONG, -EMSGSIZE);
	spoiled_is_refused(SPOIL_HUGE, -EMSGSIZE);
	spoiled_is_refused(SPOIL_LEN_LIES, -EMSGSIZE);
}

static void
test_server_unknown_type_is_refused(void)
{
	spoiled_is_refused(SPOIL_TYPE, -EOPNOTSUPP);
	spoiled_is_refused(SPOIL_TYPE_HIGH, -EOPNOTSUPP);
}

static void
test_server_foreign_header_is_refused(void)
{
	spoiled_is_refused(SPOIL_MAGIC, -EPROTO);
	spoiled_is_refused(SPOIL_VERSION, -EPROTO);
	spoiled_is_refused(SPOIL_SEQ, -EPROTO);
}

static void
test_server_owners_messages_are_refused(void)
{
	spoiled_is_refused(SPOIL_REPLY, -EPROTO);
	spoiled_is_refused(SPOIL_ERROR, -EPROTO);
}

static void
test_server_reserved_field_not_zero_is_refused(void)
{
	spoiled_is_refused(SPOIL_RESERVED, -EINVAL);
}

static void
test_server_second_hello_is_refused(void)
{
	spoiled_is_refused(SPOIL_HELLO_AGAIN, -EPROTO);
}

static void
test_server_anything_before_hello_is_refused(void)
{
	static const uint16_t types[] = {
		SVM_MSG_UNBIND, SVM_MSG_QUEUE_DESTROY, SVM_MSG_DOORBELL, SVM_MSG_BIND,
	};
	struct fake_owner *fo = server_begin();
	size_t i;

	for (i = 0; i != sizeof(types) / sizeof(types[0]); i++) {
		const int sock = connected(fo);
		union svm_msg msg;

		/* Version 0 is what no choice looks like. */
		svm_msg_init(&msg, types[i], 0, 1);
		CU_ASSERT_EQUAL(raw_send(sock, &msg, msg.hdr.len), 0);
		CU_ASSERT_TRUE(raw_refused(sock, -EPROTO));
		close(sock);
	}
	CU_ASSERT_EQUAL(fake_count(&fo->binds) + fake_count(&fo->doorbells), 0);
	fake_owner_destroy(fo);
}

static void
test_server_surplus_descriptors_are_refused_and_closed(void)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(100 * sizeof(int))];
	} ctl;
	static const int nb_fds[] = { 1, 4, 5, 100 };
	struct fake_owner *fo = server_begin();
	size_t i;
	int k;

	for (i = 0; i != sizeof(nb_fds) / sizeof(nb_fds[0]); i++) {
		const int n = nb_fds[i], sock = server_ready(fo);
		struct msghdr mh = { .msg_iovlen = 1, .msg_control = &ctl };
		struct cmsghdr *c;
		struct iovec iov;
		union svm_msg msg;
		int pipes[2], sent[100];
		char byte;

		CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
		for (k = 0; k != n; k++)
			sent[k] = pipes[1];
		memset(&ctl, 0, sizeof(ctl));
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), sent, n * sizeof(int));
		svm_msg_init(&msg, SVM_MSG_BIND, 1, 2);
		iov = (struct iovec) { .iov_base = &msg, .iov_len = msg.hdr.len };
		mh.msg_iov = &iov;
		CU_ASSERT_EQUAL(sendmsg(sock, &mh, 0), (ssize_t)msg.hdr.len);
		CU_ASSERT_TRUE(raw_refused(sock, -EPROTO));
		/* The pipe ends only when nobody, the server least, has a copy. */
		close(pipes[1]);
		CU_ASSERT_EQUAL(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
		CU_ASSERT_EQUAL(read(pipes[0], &byte, 1), 0);
		close(pipes[0]);
		close(sock);
	}
	CU_ASSERT_EQUAL(fake_count(&fo->binds), 0);
	fake_owner_destroy(fo);
}

static void
test_server_message_of_another_process_is_refused(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);
	union svm_msg msg;
	pid_t child;

	svm_msg_init(&msg, SVM_MSG_BIND, 1, 2);
	child = fork();
	if (child == 0)
		_exit(raw_send(sock, &msg, msg.hdr.len) != 0);
	CU_ASSERT_TRUE(raw_refused(sock, -EPERM));
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_EQUAL(fake_count(&fo->binds), 0);
	close(sock);
	fake_owner_destroy(fo);
}

/* ---- requests that are refused, and the connection goes on ---- */

static void
test_server_bind_passes_the_senders_pid(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);

	CU_ASSERT_EQUAL(raw_bind(sock, UINT64_C(0x1234567890abcdef)), 0);
	CU_ASSERT_EQUAL(fo->pid, getpid());
	CU_ASSERT_EQUAL(fo->uid, geteuid());
	CU_ASSERT_EQUAL(fo->user, UINT64_C(0x1234567890abcdef));
	CU_ASSERT_EQUAL(raw_bind(sock, 0), -EEXIST);
	CU_ASSERT_EQUAL(raw_unbind(sock), 0);
	CU_ASSERT_EQUAL(raw_unbind(sock), -ENOENT);
	CU_ASSERT_EQUAL(raw_bind(sock, 0), 0);
	CU_ASSERT_EQUAL(fake_count(&fo->binds), 2);
	close(sock);
	CU_ASSERT_TRUE(fake_wait_for(&fo->unbinds, 2));
	fake_owner_destroy(fo);
}

static void
test_server_bind_refused_by_device_is_passed_on(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);

	fo->bind_status = -EPERM;
	CU_ASSERT_EQUAL(raw_bind(sock, 0), -EPERM);
	CU_ASSERT_EQUAL(raw_queue(sock, 64, 0), -ENOENT);
	fo->bind_status = 0;
	CU_ASSERT_EQUAL(raw_bind(sock, 0), 0);
	close(sock);
	CU_ASSERT_TRUE(fake_wait_for(&fo->unbinds, 1));
	CU_ASSERT_EQUAL(fake_count(&fo->unbinds), 1);
	fake_owner_destroy(fo);
}

static void
test_server_queue_bad_request_is_refused(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);

	CU_ASSERT_EQUAL(raw_queue(sock, 64, 0), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(raw_bind(sock, 0), 0);
	CU_ASSERT_EQUAL(raw_queue(sock, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(raw_queue(sock, 65, 0), -EINVAL);
	CU_ASSERT_EQUAL(raw_queue(sock, 2048, 0), -EINVAL);
	CU_ASSERT_EQUAL(raw_queue(sock, 64, SVM_QF_MAY_SLEEP), -EINVAL);
	CU_ASSERT_EQUAL(fake_count(&fo->created), 0);
	CU_ASSERT_EQUAL(raw_queue(sock, 64, SVM_QF_MULTI_PRODUCER), 0);
	CU_ASSERT_EQUAL(raw_queue_destroy(sock, 1), -ENOENT);
	CU_ASSERT_EQUAL(raw_queue_destroy(sock, UINT32_MAX), -ENOENT);
	CU_ASSERT_EQUAL(raw_unbind(sock), -EBUSY);
	CU_ASSERT_EQUAL(raw_queue_destroy(sock, 0), 0);
	CU_ASSERT_EQUAL(raw_unbind(sock), 0);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_server_queues_over_the_limit_are_refused(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);
	int i;

	CU_ASSERT_EQUAL_FATAL(raw_bind(sock, 0), 0);
	for (i = 0; i != FAKE_QUEUES; i++)
		CU_ASSERT_EQUAL(raw_queue(sock, 32, 0), 0);
	CU_ASSERT_EQUAL(raw_queue(sock, 32, 0), -ENOSPC);
	CU_ASSERT_EQUAL(raw_queue_destroy(sock, 3), 0);
	CU_ASSERT_EQUAL(raw_queue(sock, 32, 0), 0);
	CU_ASSERT_EQUAL(fake_count(&fo->created), FAKE_QUEUES + 1);
	close(sock);
	CU_ASSERT_TRUE(fake_wait_for(&fo->destroyed, FAKE_QUEUES + 1));
	fake_owner_destroy(fo);
}

static void
test_server_doorbell_reaches_the_device(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_DOORBELL, 1, 0);
	CU_ASSERT_EQUAL(raw_send(sock, &msg, msg.hdr.len), 0);
	CU_ASSERT_TRUE(fake_wait_for(&fo->doorbells, 1));
	/* It has no reply: the next thing that comes is the next request's. */
	CU_ASSERT_EQUAL(raw_bind(sock, 0), 0);
	close(sock);
	fake_owner_destroy(fo);
}

/* ---- suite ---- */

int
test_server_suite(void)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_server_hello_is_answered_with_limits),
		T(test_server_hello_without_common_version_is_refused),
		T(test_server_truncated_message_is_refused),
		T(test_server_oversized_message_is_refused),
		T(test_server_unknown_type_is_refused),
		T(test_server_foreign_header_is_refused),
		T(test_server_owners_messages_are_refused),
		T(test_server_reserved_field_not_zero_is_refused),
		T(test_server_second_hello_is_refused),
		T(test_server_anything_before_hello_is_refused),
		T(test_server_surplus_descriptors_are_refused_and_closed),
		T(test_server_message_of_another_process_is_refused),
		T(test_server_bind_passes_the_senders_pid),
		T(test_server_bind_refused_by_device_is_passed_on),
		T(test_server_queue_bad_request_is_refused),
		T(test_server_queues_over_the_limit_are_refused),
		T(test_server_doorbell_reaches_the_device),
#undef T
	};
	CU_pSuite suite = CU_add_suite("server", NULL, NULL);

	if (suite == NULL || test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0])) != 0 ||
			test_server_lives_add(suite) != 0 || test_server_watch_add(suite) != 0 ||
			test_challenge_add(suite) != 0 || test_policy_add(suite) != 0 ||
			test_server_worker_add(suite) != 0 || test_server_stranger_add(suite) != 0)
		return -1;
	return 0;
}

int
test_server_add(CU_pSuite suite, const struct test_server_row *rows, size_t nb)
{
	size_t i;

	for (i = 0; i != nb; i++)
		if (CU_add_test(suite, rows[i].name, rows[i].run) == NULL)
			return -1;
	return 0;
}
