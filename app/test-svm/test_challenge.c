/* SPDX-License-Identifier: BSD-3-Clause */
/* BIND, CHALLENGE, PROOF: the order, who may be slow, and what ends midway. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "fake_owner.h"
#include "runner.h"
#include "test_server.h"

#define SLOW	7	/* `user` of who is held up */

static void
say(int sock, uint16_t type, uint64_t user)
{
	union svm_msg msg;

	svm_msg_init(&msg, type, 1, 9);
	if (type == SVM_MSG_BIND) {
		msg.bind.user = user;
		msg.bind.word = (uintptr_t)&raw_word;
	}
	if (type == SVM_MSG_PROOF)
		msg.proof.nonce = raw_told;
	TEST_EQUAL(raw_send(sock, &msg, msg.hdr.len), 0);
}

/* States of a connection. */
enum at { AT_READY, AT_OPENING, AT_TURN, AT_ASKED, AT_PROVING, AT_BOUND, AT_END };

/* Bring a connection into a state; what is under way is held there. */
static int
bring(struct fake_owner *fo, enum at at)
{
	const int sock = server_ready(fo), held = fake_count(&fo->steps_held);
	struct svm_nonce nonce;

	fake_set(&fo->hold_as, at == AT_TURN ? -EBUSY : -EINPROGRESS);
	switch (at) {
	case AT_OPENING:
	case AT_TURN:
		fake_set(&fo->hold, SLOW);
		say(sock, SVM_MSG_BIND, SLOW);
		CU_ASSERT(fake_wait_for(&fo->steps_held, held + 1));
		break;
	case AT_ASKED:
	case AT_PROVING:
		TEST_EQUAL(raw_challenge(sock, SLOW, &raw_word, &nonce), 0);
		if (at == AT_ASKED)
			break;
		raw_word = nonce;
		fake_set(&fo->hold, SLOW);
		say(sock, SVM_MSG_PROOF, 0);
		CU_ASSERT(fake_wait_for(&fo->steps_held, held + 1));
		break;
	case AT_BOUND:
		TEST_EQUAL(raw_bind(sock, SLOW), 0);
		break;
	default:
		break;
	}
	return sock;
}

/* ---- the proof ---- */

static void
test_challenge_nonces_differ(void)
{
	struct fake_owner *fo = server_begin();
	const int a = server_ready(fo), b = server_ready(fo);
	struct svm_nonce one, two;

	TEST_EQUAL(raw_challenge(a, 0, &raw_word, &one), 0);
	TEST_EQUAL(raw_challenge(b, 0, &raw_word, &two), 0);
	CU_ASSERT(memcmp(&one, &two, sizeof(one)) != 0);
	close(a);
	close(b);
	fake_owner_destroy(fo);
}

static void
test_challenge_wrong_nonce_refused_and_tried_again(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);
	struct svm_nonce nonce;
	size_t i;

	/* Each byte counts. */
	for (i = 0; i != sizeof(nonce); i++) {
		TEST_EQUAL(raw_challenge(sock, 0, &raw_word, &nonce), 0);
		raw_word = nonce;
		raw_word.byte[i] ^= 1;
		TEST_EQUAL(raw_proof(sock), -EPERM);
	}
	TEST_EQUAL(fake_count(&fo->binds), 0);
	TEST_EQUAL(fake_count(&fo->ended), (int)sizeof(nonce));
	TEST_EQUAL(raw_bind(sock, 0), 0);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_challenge_refused_at_the_proof_is_passed_on(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);

	fo->prove_status = -ENOSPC;
	TEST_EQUAL(raw_bind(sock, 0), -ENOSPC);
	TEST_EQUAL(raw_queue(sock, 64, 0), -ENOENT);
	fo->prove_status = 0;
	TEST_EQUAL(raw_bind(sock, 0), 0);
	close(sock);
	fake_owner_destroy(fo);
}

/* ---- out of order ---- */

static void
test_challenge_messages_out_of_order_are_refused_in_each_state(void)
{
	static const struct {
		enum at at;
		uint16_t type;
	} rows[] = {
		{ AT_READY, SVM_MSG_PROOF }, { AT_BOUND, SVM_MSG_PROOF },
		{ AT_OPENING, SVM_MSG_PROOF }, { AT_TURN, SVM_MSG_PROOF },
		{ AT_PROVING, SVM_MSG_PROOF },
		{ AT_OPENING, SVM_MSG_BIND }, { AT_TURN, SVM_MSG_BIND },
		{ AT_ASKED, SVM_MSG_BIND }, { AT_PROVING, SVM_MSG_BIND },
		{ AT_OPENING, SVM_MSG_UNBIND }, { AT_ASKED, SVM_MSG_UNBIND },
		{ AT_PROVING, SVM_MSG_UNBIND },
		{ AT_OPENING, SVM_MSG_QUEUE_CREATE }, { AT_ASKED, SVM_MSG_QUEUE_CREATE },
		{ AT_PROVING, SVM_MSG_QUEUE_CREATE },
		{ AT_OPENING, SVM_MSG_QUEUE_DESTROY }, { AT_ASKED, SVM_MSG_QUEUE_DESTROY },
		{ AT_PROVING, SVM_MSG_QUEUE_DESTROY },
		{ AT_ASKED, SVM_MSG_HELLO }, { AT_ASKED, SVM_MSG_CHALLENGE },
		{ AT_ASKED, SVM_MSG_PROOF_REPLY },
	};
	size_t i;

	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_owner *fo = server_begin();
		const int sock = bring(fo, rows[i].at);
		const int asked = fake_count(&fo->asked);

		say(sock, rows[i].type, 0);
		if (!raw_refused(sock, -EPROTO))
			test_fail("row %zu is not refused", i);
		CU_ASSERT(fake_wait_workers(fo, 0));
		/* The bind that was under way is given back, and no other has begun. */
		CU_ASSERT(fake_wait_for(&fo->ended, asked));
		TEST_EQUAL(fake_count(&fo->asked), asked);
		TEST_EQUAL(fake_count(&fo->binds), rows[i].at == AT_BOUND);
		close(sock);
		fake_owner_destroy(fo);
	}
}

static void
test_challenge_doorbell_meanwhile_is_no_request(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = bring(fo, AT_PROVING);
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_DOORBELL, 1, 0);
	TEST_EQUAL(raw_send(sock, &msg, msg.hdr.len), 0);
	CU_ASSERT(fake_wait_for(&fo->doorbells, 1));
	fake_set(&fo->hold, 0);
	TEST_EQUAL(raw_recv(sock, &msg), sizeof(msg.proof_reply));
	TEST_EQUAL(msg.proof_reply.status, 0);
	close(sock);
	fake_owner_destroy(fo);
}

/* Written before the nonce was told, and read after that: the word alone is not enough. */
static void
test_challenge_proof_from_before_the_challenge_is_refused(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);
	struct svm_nonce nonce;

	TEST_EQUAL(raw_challenge(sock, 0, &raw_word, &nonce), 0);
	raw_word = nonce;
	memset(&raw_told, 0, sizeof(raw_told));
	say(sock, SVM_MSG_PROOF, 0);
	CU_ASSERT(raw_refused(sock, -EPROTO));
	CU_ASSERT(fake_wait_for(&fo->ended, 1));
	TEST_EQUAL(fake_count(&fo->binds), 0);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_challenge_proof_of_another_process_is_refused(void)
{
	struct fake_owner *fo = server_begin();
	const int sock = server_ready(fo);
	struct svm_nonce nonce;
	union svm_msg msg;
	pid_t child;

	TEST_EQUAL(raw_challenge(sock, 0, &raw_word, &nonce), 0);
	raw_word = nonce;
	svm_msg_init(&msg, SVM_MSG_PROOF, 1, 2);
	msg.proof.nonce = raw_told;
	child = fork();
	if (child == 0)
		_exit(raw_send(sock, &msg, msg.hdr.len) != 0);
	CU_ASSERT(raw_refused(sock, -EPERM));
	TEST_EQUAL(waitpid(child, NULL, 0), child);
	TEST_EQUAL(fake_count(&fo->binds), 0);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_challenge_proof_with_descriptors_is_refused_and_they_are_closed(void)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = { .room = { 0 } };
	struct fake_owner *fo = server_begin();
	const int sock = bring(fo, AT_ASKED);
	union svm_msg msg;
	struct iovec iov = { &msg, sizeof(msg.proof) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
		.msg_controllen = sizeof(ctl.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	int ends[2];
	char byte;

	TEST_EQUAL(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &ends[1], sizeof(int));
	svm_msg_init(&msg, SVM_MSG_PROOF, 1, 2);
	msg.proof.nonce = raw_told;
	TEST_EQUAL(sendmsg(sock, &mh, 0), sizeof(msg.proof));
	CU_ASSERT(raw_refused(sock, -EPROTO));
	close(ends[1]);
	TEST_EQUAL(read(ends[0], &byte, 1), 0);
	CU_ASSERT(fake_wait_for(&fo->ended, 1));
	close(ends[0]);
	close(sock);
	fake_owner_destroy(fo);
}

/* ---- who is slow ---- */

static void
test_challenge_held_bind_delays_nobody(void)
{
	static const enum at rows[] = { AT_OPENING, AT_TURN, AT_ASKED, AT_PROVING };
	size_t i;

	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_owner *fo = server_begin();
		const int slow = bring(fo, rows[i]), other = server_ready(fo);
		struct pollfd pfd = { .fd = slow, .events = POLLIN };

		TEST_EQUAL(raw_bind(other, 0), 0);
		TEST_EQUAL(raw_queue(other, 64, 0), 0);
		/* It still has no answer. */
		TEST_EQUAL(poll(&pfd, 1, 0), 0);
		fake_set(&fo->hold, 0);
		if (rows[i] != AT_ASKED)
			TEST_EQUAL(poll(&pfd, 1, FAKE_BOUND_MS), 1);
		close(other);
		close(slow);
		fake_owner_destroy(fo);
	}
}

/* Takes the 5 s that the owner waits. */
static void
test_challenge_never_answered_is_hung_up_on(void)
{
	struct fake_owner *fo = server_begin();
	const int silent = bring(fo, AT_ASKED), other = server_ready(fo);

	CU_ASSERT(raw_refused(silent, -ETIMEDOUT));
	CU_ASSERT(fake_wait_for(&fo->ended, 1));
	TEST_EQUAL(raw_bind(other, 0), 0);
	close(silent);
	close(other);
	fake_owner_destroy(fo);
}

/* ---- ends midway ---- */

static void
test_challenge_hang_up_at_each_step_gives_all_back(void)
{
	enum at at;

	for (at = AT_READY; at != AT_END; at++) {
		struct fake_owner *fo = server_begin();
		const int sock = bring(fo, at);
		const int asked = fake_count(&fo->asked);

		/* The device may not be able to give it up at once. */
		__atomic_store_n(&fo->busy, at == AT_PROVING ? 3 : 0, __ATOMIC_RELAXED);
		close(sock);
		CU_ASSERT(fake_wait_workers(fo, 0));
		CU_ASSERT(fake_wait_for(&fo->ended, asked));
		if (at == AT_BOUND)
			CU_ASSERT(fake_wait_for(&fo->unbinds, 1));
		TEST_EQUAL(fake_count(&fo->binds), at == AT_BOUND);
		fake_owner_destroy(fo);
	}
}

static void
test_challenge_owner_ends_at_each_step_gives_all_back(void)
{
	enum at at;

	for (at = AT_READY; at != AT_END; at++) {
		struct fake_owner *fo = server_begin();
		const int sock = bring(fo, at);

		__atomic_store_n(&fo->busy, at == AT_PROVING ? 3 : 0, __ATOMIC_RELAXED);
		fake_owner_stop(fo);
		TEST_EQUAL(fake_count(&fo->ended), fake_count(&fo->asked));
		TEST_EQUAL(fake_count(&fo->unbinds), at == AT_BOUND);
		close(sock);
		fake_owner_destroy(fo);
	}
}

int
test_challenge_add(CU_pSuite suite)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_challenge_nonces_differ),
		T(test_challenge_wrong_nonce_refused_and_tried_again),
		T(test_challenge_refused_at_the_proof_is_passed_on),
		T(test_challenge_messages_out_of_order_are_refused_in_each_state),
		T(test_challenge_doorbell_meanwhile_is_no_request),
		T(test_challenge_proof_from_before_the_challenge_is_refused),
		T(test_challenge_proof_of_another_process_is_refused),
		T(test_challenge_proof_with_descriptors_is_refused_and_they_are_closed),
		T(test_challenge_held_bind_delays_nobody),
		T(test_challenge_never_answered_is_hung_up_on),
		T(test_challenge_hang_up_at_each_step_gives_all_back),
		T(test_challenge_owner_ends_at_each_step_gives_all_back),
#undef T
	};

	return test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
