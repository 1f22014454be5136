/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that the tests exec: a worker as anybody would write one, with
 * libsvm_worker and without DPDK. It does what it is told over descriptor
 * WK_FD (test_proto.h), and ends with whoever started it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker.h"

static int64_t
do_setuid(const struct wk_req *q)
{
	const uid_t id = q->a[0];

	if (setgroups(0, NULL) != 0 || setresgid(id, id, id) != 0 ||
			setresuid(id, id, id) != 0)
		return -errno;
	/* Changing ids clears both of these. */
	if (prctl(PR_SET_DUMPABLE, 1) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return -errno;
	return 0;
}

static int64_t
do_exec_other(const struct wk_req *q)
{
	char path[sizeof(q->text)], arg[3][24];
	char *const argv[] = { path, arg[0], arg[1], arg[2], NULL };

	memcpy(path, q->text, sizeof(path));
	snprintf(arg[0], sizeof(arg[0]), "%llx", (unsigned long long)q->a[0]);
	snprintf(arg[1], sizeof(arg[1]), "%llu", (unsigned long long)q->a[1]);
	snprintf(arg[2], sizeof(arg[2]), "%llu", (unsigned long long)q->a[2]);
	fcntl(WK_FD, F_SETFD, 0);
	execv(path, argv);
	return -errno;
}

static int64_t
obey_library(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	switch (q->cmd) {
	case WK_CONNECT:
		return svm_worker_connect(q->text, &w->conn);
	case WK_BIND:
		return svm_worker_bind(w->conn, q->a[0], &r->v[0]);
	case WK_UNBIND:
		return svm_worker_unbind(w->conn);
	case WK_DISCONNECT:
		svm_worker_disconnect(w->conn);
		w->conn = NULL;
		memset(w->queue, 0, sizeof(w->queue));
		w->heap = NULL;
		return 0;
	case WK_QUEUE:
		return worker_queue(w, q, r);
	case WK_QUEUE_END:
		return worker_queue_end(w, q);
	case WK_OP:
		return worker_op(w, q, r);
	case WK_SG:
		return worker_sg(w, q, r);
	case WK_FLOOD:
		return worker_flood(w, q, r);
	case WK_WINDOW:
		return worker_window(w, q, r);
	case WK_TRAFFIC:
		return worker_traffic(w, q);
	case WK_TRAFFIC_END:
		if (worker_thread_end(&w->traffic) != 0)
			return -ESRCH;
		/* fall through */
	case WK_TRAFFIC_LOOK:
		worker_thread_look(&w->traffic, r);
		return 0;
	case WK_PRODUCERS:
		return worker_producers(w, q, r);
	case WK_SCRIBBLE:
		return worker_scribble(w, q);
	case WK_SCRIBBLE_END:
		if (worker_thread_end(&w->scribble) != 0)
			return -ESRCH;
		worker_thread_look(&w->scribble, r);
		return w->scribble.error;
	case WK_HEAP:
		return worker_heap(w, q);
	case WK_HEAP_END:
		return worker_heap_end(w);
	case WK_HEAP_INFO:
		return worker_heap_info(w, r);
	case WK_HEAP_ALLOC:
		return worker_heap_alloc(w, q, r);
	case WK_HEAP_FREE:
		svm_worker_free(w->heap, (void *)(uintptr_t)q->a[0]);
		return 0;
	case WK_HEAP_CHURN:
		return worker_heap_churn(w, q, r);
	case WK_HEAP_FORK:
		return worker_heap_fork(w, q, r);
	case WK_FORK_LACKS:
		return worker_fork_lacks(q, r);
	case WK_SHARE:
		return svm_worker_share(w->conn, (void *)(uintptr_t)q->a[0], q->a[1]);
	case WK_UNSHARE:
		return svm_worker_unshare(w->conn, (void *)(uintptr_t)q->a[0], q->a[1]);
	case WK_QUEUE_MEMORY:
		return worker_queue_memory(w, q, r);
	default:
		return -ENOSYS;
	}
}

static int64_t
obey(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	void *addr = (void *)(uintptr_t)q->a[0];

	switch (q->cmd) {
	case WK_ALLOC:
		return worker_alloc(w, q, r);
	case WK_FILL:
		r->v[0] = worker_seed();
		wk_pattern_write(addr, q->a[1], r->v[0], 0);
		return 0;
	case WK_VERIFY:
		r->v[0] = wk_pattern_check(addr, q->a[1], q->a[2], q->a[3]);
		return 0;
	case WK_VERIFY_WORD:
		r->v[0] = worker_word_check(addr, q->a[1], q->a[2]);
		return 0;
	case WK_MPROTECT:
		return mprotect(addr, q->a[1], q->a[2]) == 0 ? 0 : -errno;
	case WK_MUNMAP:
		return munmap(addr, q->a[1]) == 0 ? 0 : -errno;
	case WK_DUMPABLE:
		return prctl(PR_SET_DUMPABLE, q->a[0]) == 0 ? 0 : -errno;
	case WK_SETUID:
		return do_setuid(q);
	case WK_EXEC:
		fcntl(WK_FD, F_SETFD, 0);
		execv("/proc/self/exe", w->argv);
		return -errno;
	case WK_EXEC_OTHER:
		return do_exec_other(q);
	case WK_EXIT:
		_exit(0);
	case WK_UFFD:
		return worker_uffd(w, q, r);
	case WK_UFFD_FAULTS:
		return worker_uffd_faults(w, r);
	case WK_EVENTS:
		return worker_events(w, q, r);
	case WK_HASH:
		return worker_hash(q, r);
	case WK_MOVE:
		return worker_move(w, q, r);
	case WK_UFFD_ANSWER:
		return worker_uffd_answer(w, q, r);
	default:
		return obey_library(w, q, r);
	}
}

int
main(int argc, char **argv)
{
	char stack[WORKER_STACK_LEN];
	struct worker w = {
		.argv = argv,
		.stack = stack,
		.page = sysconf(_SC_PAGESIZE),
		.uffd = -1,
		.events = -1,
	};
	struct wk_req q;
	struct wk_rep r = { .v = { getpid(), w.page } };

	(void)argc;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fcntl(WK_FD, F_SETFD, FD_CLOEXEC);
	do {
		if (send(WK_FD, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
			break;
		memset(&r, 0, sizeof(r));
		if (recv(WK_FD, &q, sizeof(q), 0) != sizeof(q))
			return 0;
		q.text[sizeof(q.text) - 1] = '\0';
		r.ret = obey(&w, &q, &r);
	} while (true);
	fprintf(stderr, "svm-test-worker: started by dpdk-test-svm, not by hand\n");
	return 2;
}
