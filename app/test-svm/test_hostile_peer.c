/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers that misuse who they are: sockets passed on, pids and PASIDs that come again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_owner.h"
#include "test_child.h"
#include "test_hostile.h"

/* ---- a recycled pid ---- */

#define VICTIM_SEED	UINT64_C(0x76696374696d)
#define TRIES		500

/* Have the next process get this pid, if nobody else is faster. */
static bool
pid_wish(pid_t pid)
{
	const int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	char text[16];
	bool ok;

	if (fd < 0)
		return false;
	snprintf(text, sizeof(text), "%d", (int)pid - 1);
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

/* It has a page with a pattern, and when asked says whether it still has. */
static void
body_victim(int in, int out, void *arg)
{
	char *page = child_map(CHILD_PAGE, PROT_READ | PROT_WRITE);

	(void)arg;
	wk_pattern_write(page, CHILD_PAGE, VICTIM_SEED, 0);
	child_tell(out, (uintptr_t)page);
	for (;;) {
		child_listen(in);
		child_tell(out, wk_pattern_check(page, CHILD_PAGE, VICTIM_SEED, 0));
	}
}

/* As raw_send(), with credentials that name another pid. */
static int
send_as(int sock, union svm_msg *msg, pid_t pid)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} ctl = { 0 };
	const struct ucred cred = { .pid = pid, .uid = getuid(), .gid = getgid() };
	struct iovec iov = { .iov_base = msg, .iov_len = msg->hdr.len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
		.msg_controllen = sizeof(ctl.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(cred));
	memcpy(CMSG_DATA(c), &cred, sizeof(cred));
	return sendmsg(sock, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The first status that says no, or 0: everything was granted. */
static int
ask_as(int sock, pid_t pid, uintptr_t word)
{
	struct svm_nonce nonce;
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_BIND, 1, 2);
	msg.bind.word = word;
	if (send_as(sock, &msg, pid) != 0 || raw_recv(sock, &msg) <= 0)
		return -EPIPE;
	if (msg.hdr.type != SVM_MSG_CHALLENGE)
		return msg.hdr.type == SVM_MSG_ERROR ? msg.status.status : -EPROTO;
	if (msg.challenge.status != 0)
		return msg.challenge.status;
	/* A helper without rights cannot put the nonce there. */
	nonce = msg.challenge.nonce;
	svm_msg_init(&msg, SVM_MSG_PROOF, 1, 6);
	msg.proof.nonce = nonce;
	if (send_as(sock, &msg, pid) != 0 || raw_recv(sock, &msg) <= 0)
		return -EPIPE;
	return msg.hdr.type == SVM_MSG_PROOF_REPLY ? msg.proof_reply.status : -EPROTO;
}

/*
 * Connects and goes; its child keeps the socket, hears a word and asks: as
 * itself, or, what root may, as the process that now has its parent's pid.
 */
static void
body_leaver(int in, int out, void *arg)
{
	const char *path = arg;
	const int sock = raw_ready(path);
	const pid_t pid = getpid();
	uint64_t word;
	char as;

	if (sock < 0 || fork() != 0)
		_exit(0);
	/* The parent's end is what the test waits for: it holds the pipes, too. */
	child_tell(out, getpid());
	as = child_listen(in);
	if (read(in, &word, sizeof(word)) != sizeof(word))
		_exit(1);
	child_tell(out, (uint64_t)-ask_as(sock, as == 's' ? getpid() : pid, word));
	child_listen(in);
	_exit(0);
}

static void
check_recycled(char as)
{
	struct fx *f = fx_begin("timeout_us=200000");
	struct child leaver = { 0 }, victim = { 0 };
	struct fx_worker *good;
	uint64_t page = 0, helper;
	pid_t pid;
	int i, ret;

	if (f == NULL)
		return;
	if (!pid_wish(getpid() + 1)) {
		test_skip("no right to choose a pid: ns_last_pid");
		return;
	}
	good = neighbour(f);
	child_start(&leaver, body_leaver, f->socket);
	pid = leaver.pid;
	helper = child_hear(&leaver);
	TEST_EQUAL(waitpid(pid, NULL, 0), pid);
	for (i = 0; i < TRIES && page == 0; i++) {
		pid_wish(pid);
		child_start(&victim, body_victim, NULL);
		if (victim.pid == pid)
			page = child_hear(&victim);
		else
			child_end(&victim);
	}
	CU_ASSERT(page != 0);
	child_say(&leaver, as);
	TEST_EQUAL(write(leaver.to, &page, sizeof(page)), sizeof(page));
	ret = -(int)child_hear(&leaver);
	/* By the sender, by the process that connected, or by the nonce. */
	CU_ASSERT(ret == -EPERM || ret == -ESRCH);
	/* The neighbour's is the only bond. */
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 1);
	if (page != 0) {
		child_say(&victim, 'c');
		TEST_EQUAL(child_hear(&victim), CHILD_PAGE);
	}
	neighbour_goes_on(good, 3);
	neighbour_ends(good);
	child_end(&victim);
	kill((pid_t)helper, SIGKILL);
	close(leaver.to);
	close(leaver.from);
}

void
test_hostile_recycled_pid_is_not_bound_by_its_sockets_heir(void)
{
	check_recycled('s');
}

void
test_hostile_recycled_pid_is_not_bound_by_forged_credentials(void)
{
	check_recycled('f');
}

/* ---- recycled PASIDs ---- */

#define LEN	(32u << 10)
#define OPS	32
#define ROUNDS	60
#define ADDRESS	UINT64_C(0x7ea000000000)	/* free in each, with a sanitizer as well */

static uint32_t
pasid_of(const struct fx *f, uint64_t bond)
{
	struct rte_svm_bond_info i = { 0 };

	TEST_EQUAL(rte_svm_bond_info_get(f->dev, bond, &i), 0);
	return i.pasid;
}

/* The queue lets a PASID go when it is next used; the other one then gets it. */
static bool
bind_soon(struct fx *f, struct fx_worker *w)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	int ret;

	do {
		ret = rte_svm_bind(f->dev, w->pid, &w->bond);
		if (ret == -ENOSPC)
			fx_run_one(f, (struct rte_svm_op){ .op = RTE_SVM_OP_NOP });
	} while (ret == -ENOSPC && fx_now_ms() < end);
	return TEST_EQUAL(ret, 0);
}

/*
 * Two workers with a buffer at the same address take turns. Each time work for
 * one of them is in flight when its bond ends and the other gets its PASID.
 */
void
test_hostile_recycled_pasid_gets_nothing_of_the_bond_before(void)
{
	struct fx *f = fx_begin("max_bonds=2");
	struct fx_worker *w[2], *good;
	struct rte_svm_op ops[OPS];
	struct rte_svm_result r[OPS];
	uint64_t mem[2], seed[2], own_seed;
	int round, i, got, sent, recycled = 0;
	uint32_t pasid = 0;
	char *own;

	if (f == NULL)
		return;
	good = neighbour(f);
	own = fx_mem_filled(f, LEN, &own_seed);
	for (i = 0; i < 2; i++) {
		w[i] = fx_worker(f);
		mem[i] = fx_do(w[i], WK_ALLOC, WK_MEM_PRIVATE, LEN, ADDRESS);
		seed[i] = fx_do(w[i], WK_FILL, mem[i], LEN);
	}
	TEST_EQUAL(mem[0], mem[1]);
	for (round = 0; round < ROUNDS; round++) {
		struct fx_worker *a = w[round & 1], *b = w[(round + 1) & 1];
		const uint64_t end = fx_now_ms() + FX_BOUND_MS;

		if (!bind_soon(f, a))
			break;
		recycled += pasid_of(f, a->bond) == pasid;
		pasid = pasid_of(f, a->bond);
		/* What was filled for the other one is as it was. */
		CU_ASSERT(fx_verify(b, mem[0], LEN, seed[(round + 1) & 1], 0));
		for (i = 0; i < OPS; i++)
			ops[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .cookie = i,
				.src = (uintptr_t)own, .dst = mem[0], .dst_bond = a->bond,
				.len = LEN };
		sent = rte_svm_submit(f->queue, ops, OPS);
		TEST_EQUAL(sent, OPS);
		TEST_EQUAL(fx_unbind(f, a->bond), 0);
		/* Nothing may come any more, to neither. */
		seed[round & 1] = fx_do(a, WK_FILL, mem[0], LEN);
		for (got = 0; got < sent && fx_now_ms() < end; fx_idle(f))
			got += rte_svm_poll(f->queue, r + got, sent - got);
		TEST_EQUAL(got, sent);
		for (i = 0; i < got; i++)
			CU_ASSERT(r[i].status == RTE_SVM_ST_OK ||
				r[i].status == RTE_SVM_ST_BOND_DEAD ||
				r[i].status == RTE_SVM_ST_ABORTED);
		CU_ASSERT(fx_verify(a, mem[0], LEN, seed[round & 1], 0));
		neighbour_goes_on(good, 1);
	}
	TEST_EQUAL(recycled, ROUNDS - 1);
	CU_ASSERT(fx_verify(w[0], mem[0], LEN, seed[0], 0));
	CU_ASSERT(fx_verify(w[1], mem[0], LEN, seed[1], 0));
	neighbour_ends(good);
}

/* ---- a flood ---- */

#define FLOOD		10000
#define KEPT		64

/* A right message, and three descriptors that nobody asked for. */
static void
send_surplus(int sock, union svm_msg *msg, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(3 * sizeof(int))];
	} ctl = { 0 };
	const int fds[3] = { fd, fd, fd };
	struct iovec iov = { .iov_base = msg, .iov_len = msg->hdr.len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
		.msg_controllen = sizeof(ctl.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
body_flood(int in, int out, void *arg)
{
	const char *path = arg;
	int kept[KEPT], i, refused = 0;
	union svm_msg msg;

	memset(kept, -1, sizeof(kept));
	svm_msg_init(&msg, SVM_MSG_HELLO, 1, 1);
	for (i = 0; i < FLOOD; i++) {
		const int sock = raw_connect(path), at = i % KEPT;

		refused += sock < 0;
		close(kept[at]);
		kept[at] = sock;
		/* Half a message, one too long, a right one, one with more to it, nothing. */
		if (sock >= 0 && i % 5 < 3)
			raw_send(sock, &msg, i % 5 == 0 ? msg.hdr.len / 2 : i % 5 == 1 ?
				sizeof(msg) : msg.hdr.len);
		else if (sock >= 0 && i % 5 == 3)
			send_surplus(sock, &msg, out);
	}
	child_tell(out, refused);
	child_listen(in);
}

void
test_hostile_flood_of_connects_leaves_nothing(void)
{
	struct fx *f = fx_begin("");
	struct child flood = { 0 };
	struct fx_worker *good, *late;
	const uint64_t end = fx_now_ms() + 2 * FX_BOUND_MS;
	unsigned int fds;

	if (f == NULL)
		return;
	/* The neighbour's: socket, pidfd, mem; and the end of it that is the test's. */
	fds = fx_count_fds() + 4;
	good = neighbour(f);
	neighbour_goes_on(good, 2);
	child_start(&flood, body_flood, f->socket);
	while (poll(&(struct pollfd){ .fd = flood.from, .events = POLLIN }, 1, 0) == 0 &&
			fx_now_ms() < end)
		neighbour_goes_on(good, 1);
	/* Most of them found somebody who listens. */
	CU_ASSERT(child_hear(&flood) < FLOOD / 2);
	child_end(&flood);
	TEST_EQUAL(fx_await_fds(f, fds), fds);
	late = fx_joined(f);
	fx_check_moves(f, late);
	neighbour_ends(good);
}

/* ---- stopped, or killed, between any two messages ---- */

enum step { STEP_CONNECT, STEP_HELLO, STEP_BIND, STEP_PROOF, STEP_QUEUE, STEP_UNBIND, STEPS };

/* One message with each command; tells what it was answered. */
static void
body_steps(int in, int out, void *arg)
{
	struct svm_nonce *word = child_map(CHILD_PAGE, PROT_READ | PROT_WRITE);
	int sock = -1, rc = 0, step;
	union svm_msg msg;

	child_tell(out, 0);
	for (step = 0; step < STEPS; step++) {
		child_listen(in);
		switch (step) {
		case STEP_CONNECT:
			sock = raw_connect(arg);
			rc = sock < 0 ? sock : 0;
			break;
		case STEP_HELLO:
			svm_msg_init(&msg, SVM_MSG_HELLO, 1, 1);
			msg.hello.version_min = msg.hello.version_max = 1;
			rc = raw_ask(sock, &msg) == sizeof(msg.hello_reply) ?
				msg.hello_reply.status : -EPROTO;
			break;
		case STEP_BIND:
			rc = raw_challenge(sock, 0, word, word);
			break;
		case STEP_PROOF:
			rc = raw_proof(sock);
			break;
		case STEP_QUEUE:
			rc = raw_queue(sock, 64, 0);
			break;
		default:
			rc = raw_unbind(sock);
		}
		child_tell(out, (uint64_t)-rc);
	}
	pause();
}

/* Another worker comes, works, and goes. */
static void
check_visitor(struct fx *f)
{
	struct fx_worker *w = fx_joined(f);
	const uint64_t q = fx_do(w, WK_QUEUE, 64, 0);

	TEST_STATUS(fx_worker_op(w, q, RTE_SVM_OP_NOP, 0, 0, 0, 0).status, RTE_SVM_ST_OK);
	fx_check_moves(f, w);
	fx_kill(w, SIGKILL);
}

void
test_hostile_stopped_at_each_step_delays_nobody(void)
{
	struct fx *f = fx_begin("timeout_us=200000");
	struct child c = { 0 };
	struct fx_worker *good;
	int step;

	if (f == NULL)
		return;
	good = neighbour(f);
	child_start(&c, body_steps, f->socket);
	TEST_EQUAL(child_hear(&c), 0);
	for (step = 0; step < STEPS; step++) {
		int status;

		child_say(&c, 's');
		/* The queue still exists: so says the answer, and the connection goes on. */
		TEST_EQUAL(child_hear(&c), step == STEP_UNBIND ? EBUSY : 0);
		kill(c.pid, SIGSTOP);
		TEST_EQUAL(waitpid(c.pid, &status, WUNTRACED), c.pid);
		CU_ASSERT(WIFSTOPPED(status));
		check_visitor(f);
		neighbour_goes_on(good, 1);
		kill(c.pid, SIGCONT);
	}
	neighbour_ends(good);
	child_end(&c);
}

void
test_hostile_killed_at_each_step_leaves_nothing(void)
{
	struct fx *f = fx_begin("timeout_us=200000");
	struct fx_worker *good;
	unsigned int fds;
	int last, step;

	if (f == NULL)
		return;
	/* The neighbour's: socket, pidfd, mem; and the end of it that is the test's. */
	fds = fx_count_fds() + 4;
	good = neighbour(f);
	for (last = 0; last < STEPS; last++) {
		const uint64_t end = fx_now_ms() + FX_BOUND_MS;
		struct child c = { 0 };

		child_start(&c, body_steps, f->socket);
		TEST_EQUAL(child_hear(&c), 0);
		for (step = 0; step <= last; step++) {
			child_say(&c, 's');
			TEST_EQUAL(child_hear(&c), step == STEP_UNBIND ? EBUSY : 0);
		}
		child_end(&c);
		neighbour_goes_on(good, 1);
		while (fx_now_ms() < end && rte_svm_bond_list(f->dev, NULL, 0) != 1)
			fx_idle(f);
		TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 1);
		TEST_EQUAL(fx_await_fds(f, fds), fds);
	}
	neighbour_ends(good);
}
