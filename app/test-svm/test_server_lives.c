/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's socket, how connections end, and limits. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "fake_owner.h"
#include "runner.h"
#include "svm_sock.h"
#include "svm_worker.h"
#include "test_server.h"

/* ---- the socket ---- */

static void
test_server_socket_mode_is_0600_whatever_the_umask(void)
{
	static const mode_t masks[] = { 0, 022, 0117, 077 };
	size_t i;

	for (i = 0; i != sizeof(masks) / sizeof(masks[0]); i++) {
		struct fake_owner *fo = server_begin_unserved();
		const mode_t before = umask(masks[i]);
		struct stat st;

		CU_ASSERT_EQUAL(fake_owner_start(fo, 0), 0);
		umask(before);
		CU_ASSERT_EQUAL(lstat(fo->path, &st), 0);
		CU_ASSERT_TRUE(S_ISSOCK(st.st_mode));
		CU_ASSERT_EQUAL(st.st_mode & 07777, 0600 & ~masks[i]);
		fake_owner_destroy(fo);
	}
}

static void
test_server_second_owner_is_refused(void)
{
	struct fake_owner *fo = server_begin();
	struct svm_sock_listener l;
	pid_t child;
	int status = 0, sock;

	CU_ASSERT_EQUAL(svm_sock_listen(&l, fo->path, 0600), -EADDRINUSE);
	child = fork();
	if (child == 0)
		_exit(svm_sock_listen(&l, fo->path, 0600) != -EADDRINUSE);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* The first one serves on. */
	sock = raw_ready(fo->path);
	CU_ASSERT(sock >= 0);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_server_socket_of_a_living_stranger_is_left_alone(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	size_t i;

	for (i = 0; i != sizeof(types) / sizeof(types[0]); i++) {
		struct fake_owner *fo = server_begin_unserved();
		const int sock = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
		struct sockaddr_un addr = { .sun_family = AF_UNIX };

		snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", fo->path);
		CU_ASSERT_EQUAL(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
		CU_ASSERT_EQUAL(listen(sock, 1), 0);
		CU_ASSERT_EQUAL(fake_owner_start(fo, 0), -EADDRINUSE);
		CU_ASSERT_EQUAL(access(fo->path, F_OK), 0);
		close(sock);
		fake_owner_destroy(fo);
	}
}

static void
test_server_file_that_is_no_socket_is_left_alone(void)
{
	struct fake_owner *fo = server_begin_unserved();
	const int fd = open(fo->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	CU_ASSERT(fd >= 0);
	CU_ASSERT_EQUAL(fake_owner_start(fo, 0), -EADDRINUSE);
	CU_ASSERT_EQUAL(access(fo->path, F_OK), 0);
	close(fd);
	fake_owner_destroy(fo);
}

/* Leave behind what an owner that was killed leaves behind. */
static void
dead_owner(const struct fake_owner *fo)
{
	const pid_t child = fork();
	struct svm_sock_listener l;

	if (child == 0) {
		if (svm_sock_listen(&l, fo->path, 0600) != 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_EQUAL(access(fo->path, F_OK), 0);
	CU_ASSERT_EQUAL(raw_connect(fo->path), -ECONNREFUSED);
}

static void
test_server_dead_owners_socket_is_replaced(void)
{
	struct fake_owner *fo = server_begin_unserved();
	int sock;

	dead_owner(fo);
	CU_ASSERT_EQUAL(fake_owner_start(fo, 0), 0);
	sock = raw_ready(fo->path);
	CU_ASSERT(sock >= 0);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_server_of_many_starters_one_gets_the_socket(void)
{
	enum { STARTERS = 8, ROUNDS = 8 };
	int round;

	for (round = 0; round != ROUNDS; round++) {
		struct fake_owner *fo = server_begin_unserved();
		int go[2], out[2], i, won = 0, refused = 0;
		pid_t child[STARTERS];

		dead_owner(fo);
		CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
		CU_ASSERT_EQUAL_FATAL(pipe(out), 0);
		for (i = 0; i != STARTERS; i++) {
			child[i] = fork();
			if (child[i] == 0) {
				struct svm_sock_listener l;
				char byte;
				int rc;

				close(go[1]);
				/* The end of the pipe is the starting gun. */
				if (read(go[0], &byte, 1) != 0)
					_exit(1);
				rc = svm_sock_listen(&l, fo->path, 0600);
				if (write(out[1], &rc, sizeof(rc)) != sizeof(rc))
					_exit(1);
				pause();
			}
		}
		close(go[0]);
		close(go[1]);
		close(out[1]);
		for (i = 0; i != STARTERS; i++) {
			int rc = -1;

			CU_ASSERT_EQUAL(read(out[0], &rc, sizeof(rc)), sizeof(rc));
			won += rc == 0;
			refused += rc == -EADDRINUSE;
		}
		CU_ASSERT_EQUAL(won, 1);
		CU_ASSERT_EQUAL(refused, STARTERS - 1);
		close(out[0]);
		for (i = 0; i != STARTERS; i++) {
			kill(child[i], SIGKILL);
			waitpid(child[i], NULL, 0);
		}
		/* Clears the last one's remains. */
		CU_ASSERT_EQUAL(fake_owner_start(fo, 0), 0);
		fake_owner_destroy(fo);
	}
}

static void
test_server_end_leaves_nothing_behind(void)
{
	struct fake_owner *fo = server_begin();

	fake_owner_stop(fo);
	CU_ASSERT_EQUAL(rmdir(fo->dir), 0);
	fake_owner_destroy(fo);
}

static void
test_server_end_leaves_a_socket_of_others(void)
{
	struct fake_owner *fo = server_begin();
	struct stat st;

	CU_ASSERT_EQUAL(unlink(fo->path), 0);
	CU_ASSERT_EQUAL(mknod(fo->path, S_IFSOCK | 0600, 0), 0);
	fake_owner_stop(fo);
	CU_ASSERT_EQUAL(lstat(fo->path, &st), 0);
	fake_owner_destroy(fo);
}

/* ---- ends of connections ---- */

/* A process that connects, binds and makes two queues, and then waits to be killed. */
static pid_t
worker_process(const struct fake_owner *fo)
{
	const pid_t child = fork();

	if (child == 0) {
		struct svm_worker_queue *q;
		struct svm_worker *w;

		if (svm_worker_connect(fo->path, &w) != 0 || svm_worker_bind(w, 0, NULL) != 0 ||
				svm_worker_queue_create(w, 64, 0, &q) != 0 ||
				svm_worker_queue_create(w, 64, 0, &q) != 0)
			_exit(1);
		for (;;)
			pause();
	}
	return child;
}

static void
test_server_killed_worker_gives_all_back(void)
{
	struct fake_owner *fo = server_begin();
	const pid_t child = worker_process(fo);

	CU_ASSERT_TRUE(fake_wait_for(&fo->created, 2));
	CU_ASSERT_EQUAL(fo->pid, child);
	kill(child, SIGKILL);
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_TRUE(fake_wait_for(&fo->unbinds, 1));
	CU_ASSERT_EQUAL(fake_count(&fo->destroyed), 2);
	CU_ASSERT_EQUAL(fake_count(&fo->order_wrong), 0);
	CU_ASSERT_TRUE(fake_wait_workers(fo, 0));
	fake_owner_destroy(fo);
}

/* Memory that it does not take would be on its way for ever, at the owner's cost. */
static void
test_server_worker_that_takes_no_memory_gets_no_more(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = raw_ready(fo->path);
	struct pollfd end = { .fd = sock };
	union svm_msg msg;
	int i;

	TEST_EQUAL(raw_bind(sock, 0), 0);
	for (i = 0; i != 3; i++) {
		svm_msg_init(&msg, SVM_MSG_QUEUE_CREATE, 1, 10 + i);
		msg.queue_create.depth = 32;
		raw_send(sock, &msg, msg.hdr.len);
	}
	/* Nothing is read before the owner has hung up. */
	TEST_EQUAL(poll(&end, 1, FAKE_BOUND_MS), 1);
	TEST_EQUAL(fake_count(&fo->created), 1);
	TEST_EQUAL(raw_recv(sock, &msg), sizeof(msg.queue_create_reply));
	TEST_EQUAL(msg.queue_create_reply.status, 0);
	CU_ASSERT(raw_refused(sock, -EPROTO));
	CU_ASSERT(fake_wait_for(&fo->destroyed, 1));
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_server_busy_device_is_asked_again(void)
{
	struct fake_owner *fo = server_begin();
	const pid_t child = worker_process(fo);

	CU_ASSERT_TRUE(fake_wait_for(&fo->created, 2));
	__atomic_store_n(&fo->busy, 7, __ATOMIC_RELAXED);
	kill(child, SIGKILL);
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_TRUE(fake_wait_for(&fo->unbinds, 1));
	CU_ASSERT_EQUAL(fake_count(&fo->destroyed), 2);
	CU_ASSERT_EQUAL(fake_count(&fo->unbinds), 1);
	CU_ASSERT_EQUAL(fake_count(&fo->order_wrong), 0);
	CU_ASSERT_EQUAL(__atomic_load_n(&fo->busy, __ATOMIC_RELAXED), 0);
	fake_owner_destroy(fo);
}

static void
test_server_end_gives_all_back(void)
{
	struct fake_owner *fo = server_begin();
	const pid_t child = worker_process(fo);

	CU_ASSERT_TRUE(fake_wait_for(&fo->created, 2));
	__atomic_store_n(&fo->busy, 3, __ATOMIC_RELAXED);
	TEST_EQUAL(svm_server_destroy(fo->server), 0);
	fo->server = NULL;
	CU_ASSERT_EQUAL(fake_count(&fo->destroyed), 2);
	CU_ASSERT_EQUAL(fake_count(&fo->unbinds), 1);
	CU_ASSERT_EQUAL(fake_count(&fo->order_wrong), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fake_owner_destroy(fo);
}

static void
test_server_end_says_that_not_all_was_given_back(void)
{
	struct fake_owner *fo = fake_owner_create();
	pid_t child;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	fo->limits.end_ms = 50;
	CU_ASSERT_EQUAL_FATAL(fake_owner_start(fo, 0), 0);
	child = worker_process(fo);
	CU_ASSERT_TRUE(fake_wait_for(&fo->created, 2));
	fake_set(&fo->busy, INT32_MAX);
	TEST_EQUAL(svm_server_destroy(fo->server), -EBUSY);
	fo->server = NULL;
	TEST_EQUAL(fake_count(&fo->destroyed), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fake_owner_destroy(fo);
}

static void
test_server_worker_that_never_reads_is_hung_up_on(void)
{
	struct fake_owner *fo = server_begin();
	const int deaf = raw_ready(fo->path), other = raw_ready(fo->path);
	union svm_msg msg;
	int i, rc = 0;

	CU_ASSERT_FATAL(deaf >= 0 && other >= 0);
	svm_msg_init(&msg, SVM_MSG_UNBIND, 1, 1);
	for (i = 0; i != 1000000 && (rc == 0 || rc == -EAGAIN); i++) {
		struct pollfd pfd = { .fd = deaf, .events = POLLOUT };

		rc = raw_send(deaf, &msg, msg.hdr.len);
		if (rc == -EAGAIN && poll(&pfd, 1, FAKE_BOUND_MS) <= 0)
			break;
	}
	CU_ASSERT_EQUAL(rc, -EPIPE);
	CU_ASSERT_TRUE(fake_wait_workers(fo, 1));
	CU_ASSERT_EQUAL(raw_bind(other, 0), 0);
	close(deaf);
	close(other);
	fake_owner_destroy(fo);
}

static void
test_server_worker_that_floods_does_not_starve_another(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = raw_ready(fo->path);
	const pid_t child = fork();
	int i;

	if (child == 0) {
		const int flood = raw_ready(fo->path);
		union svm_msg msg;

		svm_msg_init(&msg, SVM_MSG_DOORBELL, 1, 0);
		for (;;)
			if (send(flood, &msg, msg.hdr.len, MSG_NOSIGNAL) < 0)
				_exit(1);
	}
	CU_ASSERT_TRUE(fake_wait_for(&fo->doorbells, 100));
	for (i = 0; i != 20; i++) {
		union svm_msg msg;

		svm_msg_init(&msg, SVM_MSG_UNBIND, 1, 1);
		CU_ASSERT_EQUAL(raw_ask(sock, &msg), sizeof(msg.status));
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(sock);
	fake_owner_destroy(fo);
}

/* Takes the 5 s that the server waits. */
static void
test_server_connection_that_says_nothing_is_hung_up_on(void)
{
	struct fake_owner *fo = server_begin();
	const int silent = raw_connect(fo->path), other = raw_ready(fo->path);

	CU_ASSERT_FATAL(silent >= 0 && other >= 0);
	CU_ASSERT_TRUE(raw_refused(silent, -ETIMEDOUT));
	/* One that has said HELLO may be silent for as long as it likes. */
	CU_ASSERT_EQUAL(raw_bind(other, 0), 0);
	close(silent);
	close(other);
	fake_owner_destroy(fo);
}

static void
test_server_workers_over_the_limit_are_refused(void)
{
	struct fake_owner *fo = server_begin();
	struct svm_worker *w;
	union svm_msg msg;
	int sock[4], i, extra;

	for (i = 0; i != 4; i++)
		sock[i] = raw_ready(fo->path);
	extra = raw_connect(fo->path);
	CU_ASSERT_EQUAL(raw_recv(extra, &msg), sizeof(msg.hello_reply));
	CU_ASSERT_EQUAL(msg.hdr.type, SVM_MSG_HELLO_REPLY);
	CU_ASSERT_EQUAL(msg.hello_reply.status, -EUSERS);
	CU_ASSERT_EQUAL(raw_recv(extra, &msg), 0);
	close(extra);
	for (i = 0; i != 50; i++)
		CU_ASSERT_EQUAL(svm_worker_connect(fo->path, &w), -EUSERS);
	CU_ASSERT_EQUAL(svm_server_workers(fo->server), 4);
	close(sock[0]);
	CU_ASSERT_TRUE(fake_wait_workers(fo, 3));
	CU_ASSERT_EQUAL(svm_worker_connect(fo->path, &w), 0);
	svm_worker_disconnect(w);
	for (i = 1; i != 4; i++)
		close(sock[i]);
	fake_owner_destroy(fo);
}

int
test_server_lives_add(CU_pSuite suite)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_server_socket_mode_is_0600_whatever_the_umask),
		T(test_server_second_owner_is_refused),
		T(test_server_socket_of_a_living_stranger_is_left_alone),
		T(test_server_file_that_is_no_socket_is_left_alone),
		T(test_server_dead_owners_socket_is_replaced),
		T(test_server_of_many_starters_one_gets_the_socket),
		T(test_server_end_leaves_nothing_behind),
		T(test_server_end_leaves_a_socket_of_others),
		T(test_server_killed_worker_gives_all_back),
		T(test_server_worker_that_takes_no_memory_gets_no_more),
		T(test_server_busy_device_is_asked_again),
		T(test_server_end_gives_all_back),
		T(test_server_end_says_that_not_all_was_given_back),
		T(test_server_worker_that_never_reads_is_hung_up_on),
		T(test_server_worker_that_floods_does_not_starve_another),
		T(test_server_connection_that_says_nothing_is_hung_up_on),
		T(test_server_workers_over_the_limit_are_refused),
#undef T
	};

	return test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
