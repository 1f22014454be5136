/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "perf_bind.h"
#include "svm_worker.h"

struct answer {
	uint64_t cycles, mem;
	int ret;
};

struct state {
	const char *socket;
	struct svm_worker *stands;
	volatile char *mem;
};

static int
first_byte(struct state *s, struct svm_worker **w)
{
	int ret = svm_worker_connect(s->socket, w);

	if (ret == 0)
		ret = svm_worker_bind(*w, (uintptr_t)s->mem, NULL);
	while (ret == 0 && s->mem[ASK_LEN - 1] == 0)
		sched_yield();
	return ret;
}

static int
obey(struct state *s, enum ask_what what, uint64_t *cycles)
{
	struct svm_worker *w = NULL;
	uint64_t start;
	int ret = -EINVAL;

	memset((char *)(uintptr_t)s->mem, 0, ASK_LEN);
	start = rte_rdtsc();
	switch (what) {
	case ASK_FIRST_BYTE:
		ret = first_byte(s, &w);
		break;
	case ASK_CONNECT_BIND:
		ret = svm_worker_connect(s->socket, &w);
		if (ret == 0)
			ret = svm_worker_bind(w, 0, NULL);
		break;
	case ASK_MESSAGE:
		/* Bound already: answered, and nothing is done. */
		ret = svm_worker_bind(s->stands, 0, NULL);
		ret = ret == -EEXIST ? 0 : -EPROTO;
		break;
	}
	*cycles = rte_rdtsc() - start;
	svm_worker_disconnect(w);
	return ret;
}

static void
asker_main(const char *socket, int stays, int in, int out)
{
	struct state s = { .socket = socket };
	struct answer a = { .ret = 0 };
	cpu_set_t all;
	char order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The main lcore's thread is pinned; a worker is not. */
	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	s.mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s.mem == MAP_FAILED)
		_exit(1);
	memset((char *)(uintptr_t)s.mem, 0, ASK_LEN);
	if (stays) {
		a.ret = svm_worker_connect(socket, &s.stands);
		if (a.ret == 0)
			a.ret = svm_worker_bind(s.stands, 0, NULL);
	}
	a.mem = (uintptr_t)s.mem;
	while (write(out, &a, sizeof(a)) == sizeof(a) && read(in, &order, 1) == 1)
		a.ret = obey(&s, (enum ask_what)order, &a.cycles);
	_exit(0);
}

int
asker_start(struct asker *a, const char *socket, int stays)
{
	int to[2], from[2], ret;
	struct answer hello;

	if (pipe2(to, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(from, O_CLOEXEC) != 0) {
		ret = -errno;
		close(to[0]);
		close(to[1]);
		return ret;
	}
	a->pid = fork();
	if (a->pid == 0) {
		close(to[1]);
		close(from[0]);
		asker_main(socket, stays, to[0], from[1]);
	}
	ret = a->pid < 0 ? -errno : 0;
	close(to[0]);
	close(from[1]);
	a->to = to[1];
	a->from = from[0];
	if (ret == 0 && read(a->from, &hello, sizeof(hello)) != sizeof(hello))
		ret = -EPIPE;
	if (ret == 0) {
		a->mem = hello.mem;
		ret = hello.ret;
	}
	if (ret != 0)
		asker_end(a);
	return ret;
}

void
asker_end(struct asker *a)
{
	if (a->pid > 0) {
		kill(a->pid, SIGKILL);
		waitpid(a->pid, NULL, 0);
	}
	close(a->to);
	close(a->from);
	a->pid = 0;
}

int
asker_order(struct asker *a, enum ask_what what)
{
	const char order = (char)what;

	return write(a->to, &order, 1) == 1 ? 0 : -EPIPE;
}

int
asker_answer(struct asker *a, uint64_t *cycles)
{
	struct answer answer;

	if (read(a->from, &answer, sizeof(answer)) != sizeof(answer))
		return -EPIPE;
	*cycles = answer.cycles;
	return answer.ret;
}
