/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules and limits of the server: who is admitted, how many, how much. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "fake_owner.h"
#include "runner.h"
#include "svm_admit.h"
#include "svm_sock.h"
#include "svm_worker.h"
#include "test_child.h"
#include "test_server.h"

#define OTHER	65533u	/* a user that is not nobody */

/* A server with limits that anybody can reach. */
static struct fake_owner *
begin(const struct svm_server_conf *limits)
{
	struct fake_owner *fo = fake_owner_create();

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	fo->limits = *limits;
	TEST_EQUAL(chmod(fo->dir, 0755), 0);
	CU_ASSERT_EQUAL_FATAL(fake_owner_start(fo, 0), 0);
	return fo;
}

/* What HELLO is answered; the connection stays in *sock when that is 0. */
static int
knock(const struct fake_owner *fo, int *sock)
{
	union svm_msg msg;
	int n;

	*sock = raw_connect(fo->path);
	if (*sock < 0)
		return *sock;
	svm_msg_init(&msg, SVM_MSG_HELLO, 1, 1);
	msg.hello.version_min = msg.hello.version_max = 1;
	raw_send(*sock, &msg, msg.hdr.len);
	n = raw_recv(*sock, &msg);
	if (n == sizeof(msg.hello_reply) && msg.hello_reply.status == 0)
		return 0;
	close(*sock);
	return n == sizeof(msg.hello_reply) ? msg.hello_reply.status : -EPROTO;
}

struct who {
	const struct fake_owner *fo;
	uid_t uid;
	gid_t gid, group;
};

/* Another user knocks, tells the answer, and stays until it is told to go. */
static void
body_knocks(int in, int out, void *arg)
{
	const struct who *w = arg;
	int sock;

	if (setgroups(w->group != 0, &w->group) != 0 || setgid(w->gid) != 0 ||
			setuid(w->uid) != 0)
		_exit(1);
	child_tell(out, (uint64_t)(int64_t)knock(w->fo, &sock));
	child_listen(in);
}

static int64_t
knock_as(struct child *c, struct who who)
{
	child_start(c, body_knocks, &who);
	return (int64_t)child_hear(c);
}

static bool
not_root(void)
{
	if (geteuid() == 0)
		return false;
	test_skip("not root: cannot be several users");
	return true;
}

/* ---- rules ---- */

static void
test_policy_mode_follows_the_rules(void)
{
	const struct svm_server_conf none = { .max_rate = 0 };
	const struct svm_server_conf rules = { .rules = { .nb_uids = 1, .uids = { OTHER } } };
	const mode_t before = umask(077);
	struct fake_owner *fo = begin(&none);
	struct stat st;

	TEST_EQUAL(stat(fo->path, &st), 0);
	TEST_EQUAL(st.st_mode & 07777, 0600);
	fake_owner_destroy(fo);
	fo = begin(&rules);
	TEST_EQUAL(stat(fo->path, &st), 0);
	TEST_EQUAL(st.st_mode & 07777, 0666);
	fake_owner_destroy(fo);
	umask(before);
}

static void
test_policy_user_not_listed_is_refused(void)
{
	const struct svm_server_conf rules = { .rules = { .nb_uids = 2,
		.uids = { geteuid() + 1, geteuid() + 2 } } };
	struct fake_owner *fo = begin(&rules);
	struct svm_worker *w;

	/* The owner's own user, too. */
	TEST_EQUAL(svm_worker_connect(fo->path, &w), -EACCES);
	CU_ASSERT(fake_wait_workers(fo, 0));
	fake_owner_destroy(fo);
}

static void
test_policy_user_or_group_listed_is_admitted(void)
{
	const struct svm_server_conf rules = { .rules = { .nb_uids = 1, .uids = { NOBODY },
		.nb_gids = 1, .gids = { 777 } } };
	static const struct {
		uid_t uid;
		gid_t gid, group;
		int status;
	} rows[] = {
		{ NOBODY, OTHER, 0, 0 },	/* the user */
		{ OTHER, 777, 0, 0 },		/* its group */
		{ OTHER, OTHER, 777, 0 },	/* one of its others */
		{ OTHER, NOBODY, 0, -EACCES },	/* a group is no user */
		{ 777, OTHER, 0, -EACCES },	/* nor the other way round */
		{ 0, 0, 0, -EACCES },
	};
	struct child c = { .pid = 0 };
	struct fake_owner *fo;
	size_t i;

	if (not_root())
		return;
	fo = begin(&rules);
	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++) {
		const struct who who = { fo, rows[i].uid, rows[i].gid, rows[i].group };

		TEST_EQUAL(knock_as(&c, who), rows[i].status);
		child_end(&c);
	}
	fake_owner_destroy(fo);
}

/* ---- limits ---- */

static void
test_policy_one_user_leaves_room_for_another(void)
{
	const struct svm_server_conf limits = { .max_per_uid = 2,
		.rules = { .nb_uids = 2, .uids = { NOBODY, OTHER } } };
	struct child c[4] = { { .pid = 0 } };
	struct fake_owner *fo;

	if (not_root())
		return;
	fo = begin(&limits);
	TEST_EQUAL(knock_as(&c[0], (struct who){ fo, NOBODY, NOBODY, 0 }), 0);
	TEST_EQUAL(knock_as(&c[1], (struct who){ fo, NOBODY, NOBODY, 0 }), 0);
	TEST_EQUAL(knock_as(&c[2], (struct who){ fo, NOBODY, NOBODY, 0 }), -EUSERS);
	child_end(&c[2]);
	TEST_EQUAL(knock_as(&c[3], (struct who){ fo, OTHER, OTHER, 0 }), 0);
	/* A place that is given back can be had. */
	child_end(&c[0]);
	CU_ASSERT(fake_wait_workers(fo, 2));
	TEST_EQUAL(knock_as(&c[2], (struct who){ fo, NOBODY, NOBODY, 0 }), 0);
	child_end(&c[1]);
	child_end(&c[2]);
	child_end(&c[3]);
	fake_owner_destroy(fo);
}

static void
test_policy_one_process_leaves_room_for_another(void)
{
	const struct svm_server_conf limits = { .max_per_pid = 2 };
	struct fake_owner *fo = begin(&limits);
	const struct who same = { fo, getuid(), getgid(), 0 };
	struct child c = { .pid = 0 };
	int sock[3];

	TEST_EQUAL(knock(fo, &sock[0]), 0);
	TEST_EQUAL(knock(fo, &sock[1]), 0);
	TEST_EQUAL(knock(fo, &sock[2]), -EUSERS);
	if (geteuid() == 0)
		TEST_EQUAL(knock_as(&c, same), 0);
	/* It has copies of ours. */
	child_end(&c);
	close(sock[1]);
	CU_ASSERT(fake_wait_workers(fo, 1));
	TEST_EQUAL(knock(fo, &sock[1]), 0);
	close(sock[0]);
	close(sock[1]);
	fake_owner_destroy(fo);
}

/* One process, two users: as a pid is that a connection of its first holder outlives. */
static void
body_knocks_as_two(int in, int out, void *arg)
{
	const struct fake_owner *fo = arg;
	int sock[3];

	child_tell(out, (uint64_t)(int64_t)knock(fo, &sock[0]));
	if (seteuid(NOBODY) != 0)
		_exit(1);
	child_tell(out, (uint64_t)(int64_t)knock(fo, &sock[1]));
	child_tell(out, (uint64_t)(int64_t)knock(fo, &sock[2]));
	child_listen(in);
}

static void
test_policy_a_pid_of_one_user_is_not_anothers(void)
{
	const struct svm_server_conf limits = { .max_per_pid = 1,
		.rules = { .nb_uids = 2, .uids = { 0, NOBODY } } };
	struct child c = { .pid = 0 };
	struct fake_owner *fo;

	if (not_root())
		return;
	fo = begin(&limits);
	child_start(&c, body_knocks_as_two, fo);
	TEST_EQUAL((int64_t)child_hear(&c), 0);
	TEST_EQUAL((int64_t)child_hear(&c), 0);
	TEST_EQUAL((int64_t)child_hear(&c), -EUSERS);
	child_end(&c);
	/* Each has given back what was counted for it. */
	CU_ASSERT(fake_wait_workers(fo, 0));
	child_start(&c, body_knocks_as_two, fo);
	TEST_EQUAL((int64_t)child_hear(&c), 0);
	TEST_EQUAL((int64_t)child_hear(&c), 0);
	child_end(&c);
	fake_owner_destroy(fo);
}

static void
test_policy_queues_over_a_workers_limit_are_refused(void)
{
	const struct svm_server_conf limits = { .max_worker_queues = 3 };
	struct fake_owner *fo = begin(&limits);
	const int sock = raw_ready(fo->path), other = raw_ready(fo->path);
	struct svm_worker_info info;
	struct svm_worker *w;
	int i;

	TEST_EQUAL(raw_bind(sock, 0), 0);
	for (i = 0; i != 3; i++)
		TEST_EQUAL(raw_queue(sock, 32, 0), 0);
	TEST_EQUAL(raw_queue(sock, 32, 0), -ENOSPC);
	TEST_EQUAL(raw_bind(other, 0), 0);
	TEST_EQUAL(raw_queue(other, 32, 0), 0);
	TEST_EQUAL(svm_worker_connect(fo->path, &w), 0);
	TEST_EQUAL(svm_worker_info_get(w, &info), 0);
	TEST_EQUAL(info.max_queues, 3);
	svm_worker_disconnect(w);
	close(sock);
	close(other);
	fake_owner_destroy(fo);
}

/* Queues on two connections of a user that is not root, up to the first refusal. */
static void
body_takes_queues(int in, int out, void *arg)
{
	const struct who *w = arg;
	int sock[2], i, nb = 0;

	if (setgid(w->gid) != 0 || setuid(w->uid) != 0)
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
	for (i = 0; i != 2; i++) {
		sock[i] = raw_ready(w->fo->path);
		if (sock[i] < 0 || raw_bind(sock[i], 0) != 0)
			_exit(2);
	}
	/* Each has fewer than a worker may have. */
	while (nb <= FAKE_QUEUES && raw_queue(sock[nb & 1], 32, 0) == 0)
		nb++;
	child_tell(out, nb);
	child_listen(in);
	child_tell(out, (uint64_t)(int64_t)raw_queue_destroy(sock[0], 0));
	child_tell(out, (uint64_t)(int64_t)raw_queue(sock[1], 32, 0));
	child_tell(out, (uint64_t)(int64_t)raw_queue(sock[1], 32, 0));
	child_listen(in);
}

static void
test_policy_one_users_queues_leave_room_for_another(void)
{
	const struct svm_server_conf limits = { .rules = { .nb_uids = 2,
		.uids = { NOBODY, OTHER } } };
	struct child one = { .pid = 0 }, two = { .pid = 0 };
	struct fake_owner *fo;

	if (not_root())
		return;
	fo = begin(&limits);
	child_start(&one, body_takes_queues, &(struct who){ fo, NOBODY, NOBODY, 0 });
	TEST_EQUAL(child_hear(&one), FAKE_QUEUES / 2);
	child_start(&two, body_takes_queues, &(struct who){ fo, OTHER, OTHER, 0 });
	TEST_EQUAL(child_hear(&two), FAKE_QUEUES / 2);
	/* One that is given back can be had, and no more. */
	child_say(&one, 'g');
	TEST_EQUAL((int64_t)child_hear(&one), 0);
	TEST_EQUAL((int64_t)child_hear(&one), 0);
	TEST_EQUAL((int64_t)child_hear(&one), -ENOSPC);
	child_end(&one);
	child_end(&two);
	fake_owner_destroy(fo);
}

/* The one who sends too much waits; nobody else does, and nothing is lost. */
static void
test_policy_messages_over_the_rate_wait(void)
{
	enum { RATE = 100, SENT = 40, AHEAD = 10 };
	const struct svm_server_conf limits = { .max_rate = RATE };
	struct fake_owner *fo = begin(&limits);
	const int greedy = raw_ready(fo->path), other = raw_ready(fo->path);
	const uint64_t start = child_now_ms();
	union svm_msg msg;
	int i;

	for (i = 0; i != SENT; i++) {
		svm_msg_init(&msg, SVM_MSG_UNBIND, 1, 100 + i);
		TEST_EQUAL(raw_send(greedy, &msg, msg.hdr.len), 0);
	}
	svm_msg_init(&msg, SVM_MSG_DOORBELL, 1, 0);
	TEST_EQUAL(raw_send(other, &msg, msg.hdr.len), 0);
	CU_ASSERT(fake_wait_for(&fo->doorbells, 1));
	TEST_EQUAL(raw_bind(other, 0), 0);
	for (i = 0; i != SENT; i++) {
		TEST_EQUAL(raw_recv(greedy, &msg), sizeof(msg.status));
		TEST_EQUAL(msg.hdr.seq, 100 + i);
	}
	/* It cannot have been faster than that, on any machine. */
	CU_ASSERT(child_now_ms() - start >= (SENT - AHEAD - 2) * 1000 / RATE);
	TEST_EQUAL(svm_server_workers(fo->server), 2);
	close(other);
	/* One that leaves while it rests is noticed. */
	for (i = 0; i != SENT; i++)
		raw_send(greedy, &msg, msg.hdr.len);
	close(greedy);
	CU_ASSERT(fake_wait_workers(fo, 0));
	fake_owner_destroy(fo);
}

static void
test_policy_descriptors_of_the_reserve_are_not_for_workers(void)
{
	const struct svm_server_conf limits = { .max_rate = 0 };
	struct fake_owner *fo = begin(&limits);
	struct rlimit before, low;
	int sock[4], highest;

	/* The highest number in use, and what comes next. */
	highest = dup(0);
	TEST_EQUAL(knock(fo, &sock[0]), 0);
	TEST_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	/* An eighth of it: the server's end of the next one lies in there. */
	low.rlim_cur = (rlim_t)(highest + 8) * 8 / 7;
	TEST_EQUAL(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (highest = 0; highest != 4; highest++)
		if (knock(fo, &sock[highest]) != 0)
			break;
	CU_ASSERT(highest < 4);
	TEST_EQUAL(knock(fo, &sock[3]), -EMFILE);
	TEST_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	/* There is room again, and who is connected has noticed nothing. */
	while (highest-- != 0)
		close(sock[highest]);
	CU_ASSERT(fake_wait_workers(fo, 1));
	TEST_EQUAL(knock(fo, &sock[3]), 0);
	close(sock[3]);
	fake_owner_destroy(fo);
}

/* Workers may be connected when the descriptors become few: binds take one, too. */
static void
test_policy_descriptors_of_the_reserve_are_not_for_binds(void)
{
	const struct svm_server_conf limits = { .max_rate = 0 };
	struct fake_owner *fo = begin(&limits);
	const int sock = raw_ready(fo->path), next = dup(sock);
	const int pidfd = svm_sock_peer_pidfd(sock);
	struct rlimit before, low;

	close(next);
	if (pidfd >= 0)
		close(pidfd);
	TEST_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	/* The next one is the first of the reserve. */
	low.rlim_cur = next + 1;
	TEST_EQUAL(setrlimit(RLIMIT_NOFILE, &low), 0);
	/* Before Linux 6.5 there is no such descriptor. */
	TEST_EQUAL(raw_bind(sock, 0), pidfd >= 0 ? -EMFILE : 0);
	TEST_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	if (pidfd >= 0)
		TEST_EQUAL(raw_bind(sock, 0), 0);
	TEST_EQUAL(dup(sock), next);
	close(next);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_policy_tally_counts_as_a_list_would(void)
{
	enum { KEYS = 300, STEPS = 20000 };
	static uint32_t nb[KEYS];
	struct svm_tally t = { .size = 0 };
	uint64_t x = 1;
	int i, wrong = 0;

	for (i = 0; i != STEPS; i++) {
		uint32_t k;

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		k = (uint32_t)(x >> 33) % KEYS;
		if (x >> 63 && nb[k] != 0) {
			svm_tally_del(&t, k);
			nb[k]--;
		} else {
			const int want = nb[k] >= 3 ? -EUSERS : 0;

			wrong += svm_tally_add(&t, k, 3) != want;
			nb[k] += want == 0;
		}
	}
	TEST_EQUAL(wrong, 0);
	svm_tally_fini(&t);
}

int
test_policy_add(CU_pSuite suite)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_policy_mode_follows_the_rules),
		T(test_policy_user_not_listed_is_refused),
		T(test_policy_user_or_group_listed_is_admitted),
		T(test_policy_one_user_leaves_room_for_another),
		T(test_policy_one_process_leaves_room_for_another),
		T(test_policy_a_pid_of_one_user_is_not_anothers),
		T(test_policy_queues_over_a_workers_limit_are_refused),
		T(test_policy_one_users_queues_leave_room_for_another),
		T(test_policy_messages_over_the_rate_wait),
		T(test_policy_descriptors_of_the_reserve_are_not_for_workers),
		T(test_policy_descriptors_of_the_reserve_are_not_for_binds),
		T(test_policy_tally_counts_as_a_list_would),
#undef T
	};

	return test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
