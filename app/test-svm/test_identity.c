/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asks, with a real device: the nonce has to be in the address space that
 * was opened, and a worker whose memory or process hangs delays nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_owner.h"
#include "fixture.h"
#include "suites.h"
#include "test_child.h"

/* What a worker process does with its word; see body_asks(). */
enum word {
	WORD_GOOD,
	WORD_NOT_WRITTEN,
	WORD_UNMAPPED,
	WORD_READ_ONLY,
	WORD_CLOSED,		/* PROT_NONE */
	WORD_HALF,		/* its second half is not mapped */
	WORD_HIGH,		/* no address of a user's */
	WORD_UNANSWERED,	/* userfaultfd */
	WORD_NULL,
};

struct asker {
	const char *path;
	enum word word;
};

static void *
unanswered(void)
{
	/* The kernel's accesses, too: they are what shall hang. */
	const int all = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page = child_map(CHILD_PAGE, PROT_READ | PROT_WRITE);

	reg.range.start = (uintptr_t)page;
	reg.range.len = CHILD_PAGE;
	if (all < 0 || ioctl(all, UFFDIO_API, &api) != 0 ||
			ioctl(all, UFFDIO_REGISTER, &reg) != 0)
		_exit(99);
	return page;
}

static void *
word_make(enum word word)
{
	char *page;

	switch (word) {
	case WORD_UNANSWERED:
		return unanswered();
	case WORD_HALF:
		page = child_map(2 * CHILD_PAGE, PROT_READ | PROT_WRITE);
		munmap(page + CHILD_PAGE, CHILD_PAGE);
		return page + CHILD_PAGE - SVM_NONCE_LEN / 2;
	case WORD_HIGH:
		return (void *)(uintptr_t)UINT64_C(0xffffffffffffff00);
	case WORD_NULL:
		return NULL;
	default:
		return child_map(CHILD_PAGE, PROT_READ | PROT_WRITE);
	}
}

static void
word_use(enum word word, char *at, const struct svm_nonce *nonce)
{
	switch (word) {
	case WORD_GOOD:
	case WORD_CLOSED:
		memcpy(at, nonce, sizeof(*nonce));
		break;
	case WORD_HALF:
		memcpy(at, nonce, sizeof(*nonce) / 2);
		break;
	default:
		break;
	}
	if (word == WORD_UNMAPPED)
		munmap(at, CHILD_PAGE);
	if (word == WORD_READ_ONLY)
		mprotect(at, CHILD_PAGE, PROT_READ);
	if (word == WORD_CLOSED)
		mprotect(at, CHILD_PAGE, PROT_NONE);
}

/* Tells the status of CHALLENGE; then, told to go on, that of PROOF. */
static void
body_asks(int in, int out, void *arg)
{
	const struct asker *a = arg;
	const int sock = raw_ready(a->path);
	struct svm_nonce nonce;
	char *at = word_make(a->word);
	int rc;

	rc = sock < 0 ? sock : raw_challenge(sock, 0, at, &nonce);
	child_tell(out, (uint64_t)(int64_t)rc);
	child_listen(in);
	word_use(a->word, at, &nonce);
	child_tell(out, (uint64_t)(int64_t)raw_proof(sock));
	child_listen(in);
}

static struct child asker[2];

/* A child that was asked for its nonce; NULL: the row cannot run. */
static struct fx *
begin_asked(const char *args, enum word word)
{
	struct fx *f = fx_begin(args);
	struct asker a = { .word = word };

	if (f == NULL)
		return NULL;
	a.path = f->socket;
	child_start(&asker[0], body_asks, &a);
	TEST_EQUAL((int64_t)child_hear(&asker[0]), 0);
	return f;
}

static void
end(void)
{
	child_end(&asker[0]);
	child_end(&asker[1]);
}

/* Only root's faults in the kernel wait for a userfaultfd everywhere. */
static bool
no_unanswered(void)
{
	if (geteuid() == 0)
		return false;
	test_skip("not root: no userfaultfd for faults in the kernel");
	return true;
}

static int
proof_of(enum word word)
{
	struct fx *f = begin_asked("timeout_us=100000", word);
	int rc;

	if (f == NULL)
		return -ENODEV;
	child_say(&asker[0], 'p');
	rc = (int)(int64_t)child_hear(&asker[0]);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), rc == 0);
	end();
	return rc;
}

static void
test_identity_nonce_in_its_place_is_bound(void)
{
	TEST_EQUAL(proof_of(WORD_GOOD), 0);
}

static void
test_identity_nonce_not_written_is_refused(void)
{
	TEST_EQUAL(proof_of(WORD_NOT_WRITTEN), -EPERM);
}

static void
test_identity_word_unmapped_is_refused(void)
{
	TEST_EQUAL(proof_of(WORD_UNMAPPED), -EFAULT);
}

static void
test_identity_word_half_mapped_is_refused(void)
{
	TEST_EQUAL(proof_of(WORD_HALF), -EFAULT);
}

static void
test_identity_word_read_only_is_refused(void)
{
	TEST_EQUAL(proof_of(WORD_READ_ONLY), -EPERM);
}

/* The mem descriptor could read it all the same. */
static void
test_identity_word_closed_is_refused(void)
{
	TEST_EQUAL(proof_of(WORD_CLOSED), -EFAULT);
}

static void
test_identity_word_no_users_address_is_refused(void)
{
	TEST_EQUAL(proof_of(WORD_HIGH), -EFAULT);
	fx_end();
	TEST_EQUAL(proof_of(WORD_NULL), -EFAULT);
}

static void
test_identity_word_unanswered_times_out(void)
{
	if (!no_unanswered())
		TEST_EQUAL(proof_of(WORD_UNANSWERED), -ETIMEDOUT);
}

/* Others bind while this one's memory does not answer. */
static void
test_identity_word_unanswered_delays_nobody(void)
{
	bool overtaken = false;
	struct fx *f;
	int i;

	if (no_unanswered())
		return;
	f = begin_asked("timeout_us=1000000", WORD_UNANSWERED);
	if (f == NULL)
		return;
	for (i = 0; i != 20 && !overtaken; i++) {
		struct asker a = { .path = f->socket, .word = WORD_GOOD };
		struct pollfd pfd = { .fd = asker[0].from, .events = POLLIN };

		child_say(&asker[0], 'p');
		child_start(&asker[1], body_asks, &a);
		TEST_EQUAL((int64_t)child_hear(&asker[1]), 0);
		child_say(&asker[1], 'p');
		TEST_EQUAL((int64_t)child_hear(&asker[1]), 0);
		/* On a machine too busy for that, try again. */
		overtaken = poll(&pfd, 1, 0) == 0;
		TEST_EQUAL((int64_t)child_hear(&asker[0]), -ETIMEDOUT);
		end();
		if (!overtaken) {
			a.word = WORD_UNANSWERED;
			child_start(&asker[0], body_asks, &a);
			TEST_EQUAL((int64_t)child_hear(&asker[0]), 0);
		}
	}
	CU_ASSERT(overtaken);
	end();
}

static void
test_identity_worker_stopped_delays_nobody_and_goes_on(void)
{
	struct fx *f = begin_asked("", WORD_GOOD);

	if (f == NULL)
		return;
	TEST_EQUAL(kill(asker[0].pid, SIGSTOP), 0);
	fx_check_moves(f, fx_joined(f));
	fx_check_moves(f, fx_joined(f));
	TEST_EQUAL(kill(asker[0].pid, SIGCONT), 0);
	child_say(&asker[0], 'p');
	TEST_EQUAL((int64_t)child_hear(&asker[0]), 0);
	end();
}

static void
test_identity_worker_killed_midway_leaves_nothing(void)
{
	static const char commands[] = { 0, 'p' };
	unsigned int fds, i;
	struct fx *f;

	if (no_unanswered())
		return;
	f = fx_begin("timeout_us=100000");
	if (f == NULL)
		return;
	fds = fx_count_fds();
	for (i = 0; i != 6; i++) {
		struct asker a = { f->socket, i % 2 ? WORD_UNANSWERED : WORD_GOOD };

		child_start(&asker[0], body_asks, &a);
		TEST_EQUAL((int64_t)child_hear(&asker[0]), 0);
		if (commands[i % 2] != 0)
			child_say(&asker[0], commands[i % 2]);
		child_end(&asker[0]);
		TEST_EQUAL(fx_await_fds(f, fds), fds);
	}
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
}

/* ---- who else has the socket ---- */

/*
 * A process that is asked, and a helper of its that hears the challenge: the
 * helper has the nonce in its own memory, at the very same address.
 */
static void
body_helper_has_the_nonce(int in, int out, void *arg)
{
	const int sock = raw_ready(arg);
	union svm_msg msg;
	int ends[2];
	pid_t pid;
	int rc;

	(void)in;
	svm_msg_init(&msg, SVM_MSG_BIND, 1, 2);
	msg.bind.word = (uintptr_t)&raw_word;
	if (sock < 0 || pipe(ends) != 0 || raw_send(sock, &msg, msg.hdr.len) != 0)
		_exit(1);
	pid = fork();
	if (pid == 0) {
		/* The test may end the asker before it ends us. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
			_exit(5);
		if (raw_recv(sock, &msg) != sizeof(msg.challenge) || msg.challenge.status != 0)
			_exit(2);
		raw_word = raw_told = msg.challenge.nonce;
		if (write(ends[1], &raw_told, sizeof(raw_told)) != sizeof(raw_told))
			_exit(3);
		pause();
	}
	/* It says the nonce, and does not have it at its word. */
	if (read(ends[0], &raw_told, sizeof(raw_told)) != sizeof(raw_told))
		_exit(4);
	rc = raw_proof(sock);
	/* Before the answer: whoever reads it may end this process at once. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	child_tell(out, (uint64_t)(int64_t)rc);
}

static void
test_identity_nonce_in_a_helpers_memory_is_refused(void)
{
	struct fx *f = fx_begin("");

	if (f == NULL)
		return;
	child_start(&asker[0], body_helper_has_the_nonce, f->socket);
	TEST_EQUAL((int64_t)child_hear(&asker[0]), -EPERM);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
	end();
}

/*
 * Asked, and then another program: the pid says PROOF, with the helper's help.
 * The program that was opened had the nonce; the one that the pid is now has not.
 */
static void
body_execs(int in, int out, void *arg)
{
	const int sock = raw_ready(arg);
	char path[64], script[128];
	struct svm_nonce nonce;
	union svm_msg msg;
	FILE *file;

	(void)in;
	if (sock < 0 || raw_challenge(sock, 0, &raw_word, &nonce) != 0)
		_exit(1);
	raw_word = nonce;
	snprintf(path, sizeof(path), "/tmp/svm-test-proof-%d", (int)getpid());
	file = fopen(path, "w");
	svm_msg_init(&msg, SVM_MSG_PROOF, 1, 3);
	msg.proof.nonce = nonce;
	if (file == NULL || fwrite(&msg, msg.hdr.len, 1, file) != 1 || fclose(file) != 0)
		_exit(2);
	if (fork() == 0) {
		/* The helper: hears the answer, and lives on. */
		const int n = raw_recv(sock, &msg);

		unlink(path);
		child_tell(out, n == sizeof(msg.proof_reply) ?
			(uint64_t)(int64_t)msg.proof_reply.status : 77);
		_exit(0);
	}
	if (dup2(sock, 9) != 9)
		_exit(3);
	snprintf(script, sizeof(script), "exec cat %s >&9", path);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(4);
}

static void
test_identity_exec_before_the_proof_is_refused(void)
{
	struct fx *f = fx_begin("");
	int64_t status;

	if (f == NULL)
		return;
	child_start(&asker[0], body_execs, f->socket);
	status = (int64_t)child_hear(&asker[0]);
	TEST_EQUAL(status, -ESRCH);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
	end();
}

/* ---- what a bond costs ---- */

static void
test_identity_idle_bond_has_three_descriptors(void)
{
	struct fx *f = fx_begin("");
	unsigned int before;

	if (f == NULL)
		return;
	fx_joined(f);		/* with the lane that all need */
	before = fx_count_fds();
	fx_joined(f);
	/* Socket, pidfd, mem; and the fixture's own to the worker. */
	TEST_EQUAL(fx_count_fds(), before + 3 + 1);
}

static const struct fx_test tests[] = {
#define T(fn, rows) { #fn, fn, rows }
	T(test_identity_nonce_in_its_place_is_bound, FX_ALL),
	T(test_identity_nonce_not_written_is_refused, FX_ALL),
	T(test_identity_word_unmapped_is_refused, FX_ALL),
	T(test_identity_word_half_mapped_is_refused, FX_ONE),
	T(test_identity_word_read_only_is_refused, FX_ONE),
	T(test_identity_word_closed_is_refused, FX_ONE | FX_THREAD_CMA),
	T(test_identity_word_no_users_address_is_refused, FX_ONE),
	T(test_identity_word_unanswered_times_out, FX_ONE | FX_THREAD_CMA),
	T(test_identity_word_unanswered_delays_nobody, FX_ONE | FX_THREAD_CMA),
	T(test_identity_worker_stopped_delays_nobody_and_goes_on, FX_ONE),
	T(test_identity_worker_killed_midway_leaves_nothing, FX_ONE),
	T(test_identity_nonce_in_a_helpers_memory_is_refused, FX_ONE),
	T(test_identity_exec_before_the_proof_is_refused, FX_ONE | FX_THREAD_CMA),
	T(test_identity_idle_bond_has_three_descriptors, FX_ONE),
#undef T
};

int
test_identity_suite(void)
{
	return fx_add_tests("identity", tests, sizeof(tests) / sizeof(tests[0]));
}
