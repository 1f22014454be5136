/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's library against owners that cannot be trusted. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "fake_owner.h"
#include "svm_worker.h"
#include "test_server.h"

#define DEPTH	64u

/* A socket that listens; what it says to a worker is the test's business. */
static int
stranger_listen(const struct fake_owner *fo)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", fo->path);
	CU_ASSERT_FATAL(sock >= 0);
	CU_ASSERT_EQUAL_FATAL(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(sock, 1), 0);
	return sock;
}

struct answer {
	int sock;
	union svm_msg msg;
	size_t len;
};

/* Answer one HELLO with what the test prepared, and hang up. */
static void *
stranger_answer(void *arg)
{
	const struct answer *a = arg;
	const int conn = accept(a->sock, NULL, NULL);
	union svm_msg in;

	raw_recv(conn, &in);
	raw_send(conn, &a->msg, a->len);
	close(conn);
	return NULL;
}

static int
connect_and_hear(const struct fake_owner *fo, struct answer *a)
{
	struct svm_worker *w = NULL;
	pthread_t thread;
	int rc;

	if (pthread_create(&thread, NULL, stranger_answer, a) != 0)
		return -EAGAIN;
	rc = svm_worker_connect(fo->path, &w);
	pthread_join(thread, NULL);
	svm_worker_disconnect(rc == 0 ? w : NULL);
	return rc;
}

static void
test_worker_owner_that_answers_nonsense_is_refused(void)
{
	struct fake_owner *fo = fake_owner_create();
	struct answer good = { .len = sizeof(good.msg.hello_reply) }, a;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	good.sock = stranger_listen(fo);
	svm_msg_init(&good.msg, SVM_MSG_HELLO_REPLY, 1, 1);
	good.msg.hello_reply.version = 1;
	CU_ASSERT_EQUAL(connect_and_hear(fo, &good), 0);
#define SPOILED(rc, ...) do { \
		a = good; \
		__VA_ARGS__; \
		CU_ASSERT_EQUAL(connect_and_hear(fo, &a), rc); \
	} while (0)
	SPOILED(-EPROTO, a.msg.hdr.magic++);
	SPOILED(-EPROTO, a.msg.hdr.seq++);
	SPOILED(-EPROTO, a.msg.hdr.len++);
	SPOILED(-EPROTO, a.len--);
	SPOILED(-EPROTO, a.len = sizeof(a.msg));
	SPOILED(-EPROTO, a.msg.hdr.type = SVM_MSG_HELLO);
	SPOILED(-EPROTO, a.msg.hello_reply.version = 2);
	SPOILED(-EPROTO, a.msg.hello_reply.reserved = 1);
	SPOILED(-EPROTO, a.msg.hello_reply.features = UINT64_C(1) << 63);
	SPOILED(-EPROTO, a.msg.hello_reply.status = 1);
	SPOILED(-EPROTO, a.msg.hello_reply.status = INT32_MIN);
	SPOILED(-EPROTONOSUPPORT, a.msg.hello_reply.status = -EPROTONOSUPPORT);
	SPOILED(-EMSGSIZE, svm_msg_init(&a.msg, SVM_MSG_ERROR, 0, 0);
		a.msg.status.status = -EMSGSIZE; a.len = sizeof(a.msg.status));
	SPOILED(-ECONNREFUSED, a.len = 0);
#undef SPOILED
	close(good.sock);
	fake_owner_destroy(fo);
}

/* Takes the 5 s that the library waits. */
static void
test_worker_owner_that_never_answers_is_given_up(void)
{
	struct fake_owner *fo = fake_owner_create();
	struct svm_worker *w;
	int sock;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	sock = stranger_listen(fo);
	CU_ASSERT_EQUAL(svm_worker_connect(fo->path, &w), -ETIMEDOUT);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_worker_wrong_queue_memory_is_refused(void)
{
	static const enum fake_memory rows[] = {
		FAKE_MEMORY_UNSEALED, FAKE_MEMORY_SHORT, FAKE_MEMORY_BAD_HEADER,
	};
	size_t i;

	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_owner *fo = fake_owner_serving(0);
		struct svm_worker_queue *q;
		struct svm_worker *w;

		CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
		CU_ASSERT_EQUAL_FATAL(svm_worker_connect(fo->path, &w), 0);
		CU_ASSERT_EQUAL_FATAL(svm_worker_bind(w, 0, NULL), 0);
		fo->memory = rows[i];
		CU_ASSERT_EQUAL(svm_worker_queue_create(w, DEPTH, 0, &q), -EPROTO);
		/* Such an owner is not talked to any more, and takes all back. */
		CU_ASSERT_EQUAL(svm_worker_unbind(w), -EPIPE);
		CU_ASSERT_TRUE(fake_wait_for(&fo->unbinds, 1));
		CU_ASSERT_EQUAL(fake_count(&fo->destroyed), 1);
		svm_worker_disconnect(w);
		fake_owner_destroy(fo);
	}
}

int
test_server_stranger_add(CU_pSuite suite)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_worker_owner_that_answers_nonsense_is_refused),
		T(test_worker_owner_that_never_answers_is_given_up),
		T(test_worker_wrong_queue_memory_is_refused),
#undef T
	};

	return test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
