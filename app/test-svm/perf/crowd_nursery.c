/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program of the crowd (crowd.h): it forks members, and each is a worker
 * as anybody would write one, that does nothing once it is there.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crowd_proto.h"
#include "svm_worker.h"

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static int
member_memory(const struct crowd_order *o, struct crowd_report *r)
{
	void *p;

	r->stage = CROWD_AT_MEMORY;
	if (o->mem_len == 0)
		return 0;
	p = mmap(NULL, o->mem_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	memset(p, 0x5a, o->mem_len);
	r->mem = (uintptr_t)p;
	return 0;
}

static int
member_join(const struct crowd_order *o, struct crowd_report *r, struct svm_worker **out)
{
	struct svm_worker_queue *queue;
	struct svm_worker *w;
	uint64_t t = now_ns();
	int ret;

	if (o->socket[0] == '\0')
		return 0;
	r->stage = CROWD_AT_CONNECT;
	ret = svm_worker_connect(o->socket, &w);
	r->connect_ns = now_ns() - t;
	if (ret != 0)
		return ret;
	*out = w;
	r->stage = CROWD_AT_BIND;
	t = now_ns();
	ret = svm_worker_bind(w, r->mem, &r->bond);
	r->bind_ns = now_ns() - t;
	if (ret != 0 || o->depth == 0)
		return ret;
	r->stage = CROWD_AT_QUEUE;
	t = now_ns();
	ret = svm_worker_queue_create(w, o->depth, 0, &queue);
	r->queue_ns = now_ns() - t;
	return ret;
}

static void
member(const struct crowd_order *o, pid_t nursery)
{
	struct crowd_report r = { .pid = (uint64_t)getpid() };
	struct svm_worker *w = NULL;
	sigset_t leave;
	int sig;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != nursery)
		_exit(1);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&leave);
	sigaddset(&leave, SIGUSR1);
	sigprocmask(SIG_BLOCK, &leave, NULL);
	r.error = member_memory(o, &r);
	if (r.error == 0)
		r.error = member_join(o, &r, &w);
	if (r.error == 0)
		r.stage = CROWD_READY;
	if (send(CROWD_FD, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r) || r.error != 0)
		_exit(1);
	for (;;) {
		sigwait(&leave, &sig);
		svm_worker_disconnect(w);
		w = NULL;
	}
}

static void
nursery_fork(const struct crowd_order *o)
{
	struct crowd_report r = { .stage = CROWD_AT_FORK };
	const pid_t nursery = getpid(), pid = fork();

	if (pid == 0)
		member(o, nursery);
	if (pid > 0)
		return;
	r.error = -errno;
	send(CROWD_FD, &r, sizeof(r), MSG_NOSIGNAL);
}

int
main(void)
{
	/* Members that end are reaped by the kernel, and wait() still waits for them. */
	struct sigaction reap = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
	struct crowd_order o = { .nb = 1 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGCHLD, &reap, NULL);
	/* A process group, so that one signal ends all members. */
	if (setpgid(0, 0) != 0)
		return 1;
	signal(SIGTERM, SIG_IGN);
	while (recv(CROWD_FD, &o, sizeof(o), 0) == sizeof(o) && o.nb != 0) {
		o.socket[sizeof(o.socket) - 1] = '\0';
		nursery_fork(&o);
	}
	if (o.nb != 0)
		fprintf(stderr, "svm-test-crowd: lost dpdk-test-svm, which starts it\n");
	kill(0, SIGTERM);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return 0;
}
