/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "svm_atc.h"

static void
child_main(const char *path, int fd)
{
	char name[] = "svm-test-worker";
	char *const argv[] = { name, NULL };
	cpu_set_t all;
	sigset_t none;

	/* The main lcore's thread is pinned; a worker is not. */
	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* TSAN in there would see one end of each queue and miss what the other orders. */
	setenv("TSAN_OPTIONS", "report_bugs=0", 1);
	if (dup2(fd, WK_FD) == WK_FD && syscall(SYS_close_range, WK_FD + 1, ~0u, 0) == 0)
		execv(path, argv);
	_exit(127);
}

struct fx_worker *
fx_worker(struct fx *f)
{
	char path[4096];
	struct fx_worker *w = f->worker;
	struct wk_rep rep;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	int pair[2];

	while (w < f->worker + FX_WORKERS && w->pid != 0)
		w++;
	if (w == f->worker + FX_WORKERS || n <= 0)
		test_fail("too many workers");
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "svm-test-worker");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		test_fail("socketpair: %s", strerror(errno));
	w->f = f;
	w->fd = pair[0];
	w->bond = 0;
	w->events = false;
	w->pid = fork();
	if (w->pid == 0)
		child_main(path, pair[1]);
	close(pair[1]);
	if (w->pid < 0) {
		w->pid = 0;
		close(w->fd);
		test_fail("fork: %s", strerror(errno));
	}
	if (fx_answer(w, &rep) != 0)
		test_fail("%s does not start", path);
	return w;
}

struct fx_worker *
fx_bound(struct fx *f)
{
	struct fx_worker *w = fx_worker(f);
	const int ret = rte_svm_bind(f->dev, w->pid, &w->bond);

	if (ret != 0)
		test_fail("rte_svm_bind: %d", ret);
	return w;
}

struct fx_worker *
fx_begin_bound(void)
{
	struct fx *f = fx_begin("");

	return f != NULL ? fx_bound(f) : NULL;
}

uint64_t
fx_worker_mem(struct fx_worker *w, size_t len, uint64_t *seed)
{
	const uint64_t mem = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, len);

	if (seed != NULL)
		*seed = fx_do(w, WK_FILL, mem, len);
	return mem;
}

struct fx_worker *
fx_joined(struct fx *f)
{
	struct fx_worker *w = fx_worker(f);
	struct wk_req req = { .cmd = WK_CONNECT };
	struct wk_rep rep;
	int64_t ret;

	strcpy(req.text, f->socket);
	ret = fx_try(w, &req, &rep);
	if (ret != 0)
		test_fail("the worker cannot connect: %d", (int)ret);
	w->bond = fx_do(w, WK_BIND, 0);
	return w;
}

void
fx_send(struct fx_worker *w, const struct wk_req *req)
{
	if (send(w->fd, req, sizeof(*req), MSG_NOSIGNAL) != sizeof(*req))
		test_fail("cannot talk to the worker: %s", strerror(errno));
}

bool
fx_has_answer(struct fx_worker *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

int64_t
fx_answer(struct fx_worker *w, struct wk_rep *rep)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	ssize_t n;

	while (poll(&p, 1, 1) == 0) {
		fx_idle(w->f);
		if (fx_now_ms() > end)
			test_fail("the worker does not answer");
	}
	n = recv(w->fd, rep, sizeof(*rep), MSG_DONTWAIT);
	return n == sizeof(*rep) ? rep->ret : -EPIPE;
}

int64_t
fx_try(struct fx_worker *w, const struct wk_req *req, struct wk_rep *rep)
{
	if (w->f->alias && w->bond != 0) {
		if (req->cmd == WK_ALLOC && req->a[0] != WK_MEM_STACK && req->a[2] == 0)
			return fx_alias_alloc(w, req->a[1], rep);
		if (req->cmd == WK_OP || req->cmd == WK_SG)
			fx_alias_warm(w->f);
	}
	fx_send(w, req);
	return fx_answer(w, rep);
}

uint64_t
fx_do_at(const char *file, unsigned int line, struct fx_worker *w,
		const char *name, const struct wk_req *req)
{
	struct wk_rep rep;
	const int64_t ret = fx_try(w, req, &rep);

	if (ret != 0)
		test_fail_at(file, line, "the worker's %s: %s", name, strerror(-(int)ret));
	return rep.v[0];
}

struct rte_svm_result
fx_worker_op(struct fx_worker *w, uint64_t queue, enum rte_svm_opcode op,
		uint64_t src, uint64_t dst, uint32_t len, uint64_t pattern)
{
	const struct wk_req req = { .cmd = WK_OP,
		.a = { queue, op, src, dst, len, pattern } };
	struct wk_rep rep;
	const int64_t ret = fx_try(w, &req, &rep);

	if (ret != 0)
		test_fail("an operation of the worker's: %s", strerror(-(int)ret));
	return (struct rte_svm_result){ .status = (enum rte_svm_status)rep.v[0],
		.done = rep.v[1], .fault_addr = rep.v[2], .cookie = rep.v[3] };
}

bool
fx_verify(struct fx_worker *w, uint64_t addr, size_t len, uint64_t seed, size_t off)
{
	return fx_do(w, WK_VERIFY, addr, len, seed, off) == len;
}

void
fx_check_moves(struct fx *f, struct fx_worker *w)
{
	enum { len = 10000 };
	const uint64_t in = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, len);
	const uint64_t out = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, len);
	const uint64_t out_seed = fx_do(w, WK_FILL, out, len);
	uint64_t in_seed;
	void *src = fx_mem_filled(f, len, &in_seed), *dst = fx_mem(f, len);
	struct rte_svm_result r;

	r = fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, in, len);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(w, in, len, in_seed, 0));
	r = fx_copy(f, w->bond, out, RTE_SVM_OWNER, (uintptr_t)dst, len);
	TEST_STATUS(r.status, RTE_SVM_ST_OK);
	TEST_EQUAL(wk_pattern_check(dst, len, out_seed, 0), len);
}

void
fx_check_queue(struct fx_worker *w, uint64_t queue)
{
	const size_t len = 5000;
	const uint64_t to = fx_worker_mem(w, len, NULL);
	uint64_t seed;
	const uint64_t from = fx_worker_mem(w, len, &seed);

	TEST_STATUS(fx_worker_op(w, queue, RTE_SVM_OP_COPY, from, to, len, 0).status,
		RTE_SVM_ST_OK);
	CU_ASSERT(fx_verify(w, to, len, seed, 0));
}

bool
fx_worker_unanswered(struct fx_worker *w, size_t len, uint64_t *mem)
{
	const struct wk_req req = { .cmd = WK_UFFD, .a = { len } };
	struct wk_rep rep;
	const int64_t ret = fx_try(w, &req, &rep);

	if (ret == -EPERM || ret == -ENOSYS) {
		test_skip("userfaultfd is not allowed here");
		return false;
	}
	TEST_EQUAL(ret, 0);
	*mem = rep.v[0];
	return ret == 0;
}

void
fx_await_unanswered(struct fx_worker *w)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;

	while (fx_do(w, WK_UFFD_FAULTS, 0) == 0 && fx_stats(w->f).timeouts == 0) {
		fx_idle(w->f);
		if (fx_now_ms() > end)
			test_fail("nobody waits for the page of worker %d", (int)w->pid);
	}
}

void
fx_await_exit(struct fx_worker *w)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_PID, w->pid, &info, WEXITED | WNOWAIT | WNOHANG) != 0 ||
				info.si_pid != 0)
			break;
		fx_idle(w->f);
		usleep(200);
		if (fx_now_ms() > end)
			test_fail("worker %d does not end", (int)w->pid);
	}
	/* What somebody saw before, alias goes by for so long: doc/tiers.md. */
	if (w->f->alias)
		usleep(SVM_ATC_SEEN_US + 1000);
}

void
fx_reap(struct fx_worker *w)
{
	if (w->pid == 0)
		return;
	while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(w->fd);
	w->pid = 0;
}

void
fx_kill(struct fx_worker *w, int sig)
{
	kill(w->pid, sig);
	if (sig != SIGKILL)
		return;
	fx_await_exit(w);
	fx_reap(w);
}

void
fx_exec(struct fx_worker *w)
{
	struct wk_rep rep;

	if (fx_try(w, &(struct wk_req){ .cmd = WK_EXEC }, &rep) != 0)
		test_fail("exec in the worker: %s", strerror(-(int)rep.ret));
}
