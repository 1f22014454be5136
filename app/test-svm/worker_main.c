/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that the tests exec: a worker as anybody would write one, with
 * libsvm_worker and without DPDK. It does what it is told over descriptor
 * WK_FD (test_proto.h), and ends with whoever started it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "svm_abi.h"
#include "svm_worker.h"
#include "test_proto.h"

#define QUEUES		4
#define THREADS		8
#define STACK_LEN	(256 << 10)
#define WAIT_US		10000000u
#define ARENA_LEN	(64 << 10)

struct thread {
	pthread_t id;
	bool runs;
	int stop;		/* atomic, relaxed: only ends a loop */
	int error;
	uint64_t rounds;	/* atomic, relaxed: looked at for progress */
	uint64_t wrong;
	struct svm_worker_queue *queue;
	uint32_t len;
	uint32_t ops;
	uint64_t modes;
};

struct worker {
	char **argv;
	char *stack;
	long page;
	int uffd;
	struct svm_worker *conn;
	struct svm_worker_queue *queue[QUEUES];
	struct thread traffic;
	struct thread scribble;
};

static uint64_t
fresh_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		abort();
	return seed;
}

/* ---- memory ---- */

/* Pages between two that nobody may touch: what runs over is seen. */
static char *
alloc_pages(const struct worker *w, size_t len, int flags, uint64_t where)
{
	const size_t page = w->page, inner = (len + page - 1) & ~(page - 1);
	char *hint = where == 0 ? NULL : (char *)(uintptr_t)where - page;
	char *p = mmap(hint, inner + 2 * page, PROT_NONE, flags | MAP_ANONYMOUS |
		(where == 0 ? 0 : MAP_FIXED_NOREPLACE), -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mprotect(p + page, inner, PROT_READ | PROT_WRITE) != 0)
		return NULL;
	return p + page;
}

static int64_t
do_alloc(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const size_t len = q->a[1];
	char *p = NULL;

	switch (q->a[0]) {
	case WK_MEM_MALLOC:
		p = malloc(len);
		break;
	case WK_MEM_STACK:
		p = len <= STACK_LEN ? w->stack : NULL;
		break;
	case WK_MEM_PRIVATE:
		p = alloc_pages(w, len, MAP_PRIVATE, q->a[2]);
		break;
	case WK_MEM_SHARED:
		p = alloc_pages(w, len, MAP_SHARED, q->a[2]);
		break;
	}
	if (p == NULL)
		return -ENOMEM;
	r->v[0] = (uintptr_t)p;
	return 0;
}

static size_t
word_check(const char *p, size_t len, uint64_t word)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != ((const char *)&word)[i % sizeof(word)])
			break;
	return i;
}

static int64_t
do_uffd(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *p = alloc_pages(w, q->a[0], MAP_PRIVATE, 0);

	if (p == NULL)
		return -ENOMEM;
	if (w->uffd < 0)
		w->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (w->uffd < 0 || ioctl(w->uffd, UFFDIO_API, &api) != 0)
		return -errno;
	reg.range.start = (uintptr_t)p;
	reg.range.len = q->a[0];
	if (ioctl(w->uffd, UFFDIO_REGISTER, &reg) != 0)
		return -errno;
	r->v[0] = (uintptr_t)p;
	return 0;
}

static int64_t
do_uffd_answer(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct uffdio_copy copy = { .dst = q->a[0], .len = q->a[1] };
	char *page = malloc(q->a[1]);
	int64_t ret = 0;

	if (page == NULL)
		return -ENOMEM;
	r->v[0] = fresh_seed();
	wk_pattern_write(page, q->a[1], r->v[0], 0);
	copy.src = (uintptr_t)page;
	if (ioctl(w->uffd, UFFDIO_COPY, &copy) != 0)
		ret = -errno;
	free(page);
	return ret;
}

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

/* ---- queues ---- */

static int64_t
run_op(struct svm_worker_queue *queue, const struct svm_worker_op *op, struct wk_rep *r)
{
	struct svm_worker_result res;
	int ret = svm_worker_submit(queue, op, 1);

	if (ret != 1)
		return ret < 0 ? ret : -EAGAIN;
	ret = svm_worker_wait(queue, &res, 1, WAIT_US);
	if (ret != 1)
		return ret < 0 ? ret : -EAGAIN;
	r->v[0] = res.status;
	r->v[1] = res.done;
	r->v[2] = res.fault_addr;
	r->v[3] = res.cookie;
	return 0;
}

static int64_t
do_op(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const struct svm_worker_op op = {
		.op = (enum svm_worker_opcode)(uint32_t)q->a[1],
		.flags = q->a[1] >> 32,
		.src = (const void *)(uintptr_t)q->a[2],
		.dst = (void *)(uintptr_t)q->a[3],
		.len = q->a[4],
		.pattern = q->a[5],
		.cookie = q->a[2] ^ q->a[3],
	};

	return run_op(w->queue[q->a[0] % QUEUES], &op, r);
}

static int64_t
do_sg(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct svm_worker_seg segs[SVM_WORKER_SG_MAX];
	const struct svm_worker_op op = {
		.op = SVM_WORKER_COPY_SG,
		.segs = segs,
		.nb_segs = q->a[4],
		.cookie = q->a[1] ^ q->a[2],
	};
	uint32_t i;

	for (i = 0; i < SVM_WORKER_SG_MAX; i++) {
		const uint64_t at = i * (q->a[3] + q->a[5]);

		segs[i].src = (const void *)(uintptr_t)(q->a[1] + at);
		segs[i].dst = (void *)(uintptr_t)(q->a[2] + at);
		segs[i].len = q->a[3];
	}
	return run_op(w->queue[q->a[0] % QUEUES], &op, r);
}

static void *
traffic_main(void *arg)
{
	struct thread *t = arg;
	char *src = malloc(t->len), *dst = malloc(t->len);

	while (src != NULL && dst != NULL && t->error == 0 &&
			!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		const uint64_t seed = fresh_seed();
		const struct svm_worker_op op = { .op = SVM_WORKER_COPY, .src = src,
			.dst = dst, .len = t->len, .cookie = seed };
		struct wk_rep r;

		wk_pattern_write(src, t->len, seed, 0);
		memset(dst, 0, t->len);
		t->error = run_op(t->queue, &op, &r);
		if (t->error != 0)
			break;
		if (r.v[0] != SVM_WORKER_ST_OK || r.v[1] != t->len || r.v[3] != seed ||
				wk_pattern_check(dst, t->len, seed, 0) != t->len)
			__atomic_fetch_add(&t->wrong, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&t->rounds, 1, __ATOMIC_RELAXED);
	}
	free(src);
	free(dst);
	return NULL;
}

/* One of several producers: every operation of its own fills its own bytes. */
static void *
producer_main(void *arg)
{
	struct thread *t = arg;
	uint32_t i;

	for (i = 0; i < t->ops; i++) {
		char *dst = (char *)(uintptr_t)t->modes + (size_t)i * t->len;
		const struct svm_worker_op op = { .op = SVM_WORKER_FILL, .dst = dst,
			.len = t->len, .pattern = (uintptr_t)dst,
			.cookie = (uintptr_t)dst };
		int ret;

		while ((ret = svm_worker_submit(t->queue, &op, 1)) == 0 &&
				!__atomic_load_n(&t->stop, __ATOMIC_RELAXED))
			usleep(50);
		if (ret != 1) {
			t->error = ret < 0 ? ret : -ECANCELED;
			break;
		}
	}
	return NULL;
}

static int64_t
do_producers(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const uint32_t nb = q->a[1] < THREADS ? q->a[1] : THREADS, ops = q->a[2];
	const size_t len = q->a[3], share = ops * len;
	struct thread t[THREADS] = { 0 };
	struct svm_worker_result res[32];
	char *mem = calloc(nb, share);
	uint64_t left = (uint64_t)nb * ops, wrong = 0;
	uint32_t i, started = 0;
	int64_t ret = 0;
	int n;

	if (mem == NULL)
		return -ENOMEM;
	for (i = 0; i < nb && ret == 0; i++) {
		t[i].queue = w->queue[q->a[0] % QUEUES];
		t[i].ops = ops;
		t[i].len = len;
		t[i].modes = (uintptr_t)mem + i * share;
		ret = -pthread_create(&t[i].id, NULL, producer_main, &t[i]);
		started += ret == 0;
	}
	while (left > 0 && ret == 0) {
		n = svm_worker_wait(w->queue[q->a[0] % QUEUES], res, 32, WAIT_US);
		if (n < 0)
			ret = n;
		for (; n > 0; n--, left--)
			wrong += res[n - 1].status != SVM_WORKER_ST_OK ||
				word_check((char *)(uintptr_t)res[n - 1].cookie, len,
					res[n - 1].cookie) != len;
	}
	for (i = 0; i < started; i++) {
		__atomic_store_n(&t[i].stop, 1, __ATOMIC_RELAXED);
		pthread_join(t[i].id, NULL);
		ret = ret != 0 ? ret : t[i].error;
	}
	r->v[0] = wrong;
	/* With operations in flight the memory still belongs to the device. */
	if (left == 0)
		free(mem);
	return ret;
}

/* ---- what only a hostile worker does ---- */

struct target {
	char *mem;
	size_t len;
	struct svm_queue_hdr hdr;	/* as it was before anything was overwritten */
};

static int
find_queues(struct target *t, int max)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	if (maps == NULL)
		return 0;
	while (n < max && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long from, to;
		char prot[8];

		if (sscanf(line, "%lx-%lx %7s", &from, &to, prot) != 3 ||
				strcmp(prot, "rw-s") != 0 || strstr(line, "memfd") == NULL)
			continue;
		t[n].mem = (char *)from;
		t[n].len = to - from;
		memcpy(&t[n].hdr, t[n].mem, sizeof(t[n].hdr));
		n += t[n].hdr.magic == SVM_ABI_MAGIC && t[n].hdr.size <= t[n].len;
	}
	fclose(maps);
	return n;
}

/* Addresses stay in the arena: the worker has to live to go on. */
static void
scribble_desc(const struct target *t, char *arena)
{
	struct svm_desc *ring = (struct svm_desc *)(t->mem + t->hdr.sq_off);
	struct svm_seg *rows = (struct svm_seg *)(t->mem + t->hdr.sg_off);
	const struct svm_queue_hdr *hdr = (const struct svm_queue_hdr *)t->mem;
	const uint32_t head = __atomic_load_n(&hdr->sq_head, __ATOMIC_RELAXED);
	uint32_t i, k;

	for (i = 0; i < 8; i++) {
		const uint32_t slot = (head + i) & (t->hdr.depth - 1);
		struct svm_desc d;
		uint64_t x = fresh_seed();

		(void)!getrandom(&d, sizeof(d), 0);
		d.op %= x & 1 ? SVM_OP_COUNT : 255;
		d.flags = x & 2 ? 0 : d.flags;
		d.reserved0 = 0;
		memset(d.reserved1, 0, sizeof(d.reserved1));
		d.len = x & 4 ? d.len % 8192 : d.len;
		d.src = x & 8 ? (uintptr_t)arena + d.src % ARENA_LEN : d.src | 1ull << 63;
		d.dst = (uintptr_t)arena + d.dst % ARENA_LEN;
		d.src_space = x & 16 ? SVM_SPACE(SVM_SPACE_SELF, 0) : d.src_space;
		d.dst_space = x & 32 ? SVM_SPACE(SVM_SPACE_SELF, 0) : d.dst_space;
		for (k = 0; k < SVM_SG_MAX; k++) {
			struct svm_seg *s = &rows[(size_t)slot * SVM_SG_MAX + k];

			s->src = (uintptr_t)arena + wk_word(x, k) % ARENA_LEN;
			s->dst = (uintptr_t)arena + wk_word(x, k + 16) % ARENA_LEN;
			s->len = wk_word(x, k + 32) % 600;
		}
		memcpy(&ring[slot], &d, offsetof(struct svm_desc, seq));
		memcpy(ring[slot].reserved1, d.reserved1, sizeof(d.reserved1));
		/* Meets the engine's acquire load, as an honest producer's mark. */
		__atomic_store_n(&ring[slot].seq, head + i + 1, __ATOMIC_RELEASE);
	}
}

static void *
scribble_main(void *arg)
{
	struct thread *t = arg;
	struct worker w = { .page = sysconf(_SC_PAGESIZE) };
	char *arena = alloc_pages(&w, ARENA_LEN, MAP_PRIVATE, 0);
	struct target targets[QUEUES];
	const int nb = find_queues(targets, QUEUES);
	unsigned char noise[256];

	if (arena == NULL || nb == 0) {
		t->error = -ENXIO;
		return NULL;
	}
	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		const uint64_t x = fresh_seed();
		struct target *q = &targets[x % nb];
		const uint64_t at = wk_word(x, 1);

		(void)!getrandom(noise, sizeof(noise), 0);
		if (t->modes & WK_SCRIBBLE_BYTES)
			memcpy(q->mem + 256 + at % (q->hdr.size - 512), noise, sizeof(noise));
		if (t->modes & WK_SCRIBBLE_DESC)
			scribble_desc(q, arena);
		if (t->modes & WK_SCRIBBLE_HDR)
			memcpy(q->mem, noise, sizeof(q->hdr));
		if (t->modes & WK_SCRIBBLE_CPL)
			memcpy(q->mem + q->hdr.cq_off + at % (q->hdr.depth - 16) * 16,
				noise, sizeof(noise));
		if (t->modes & WK_SCRIBBLE_HOLES)
			madvise(q->mem + (at % (q->len / w.page)) * w.page, w.page, MADV_REMOVE);
		__atomic_fetch_add(&t->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* ---- commands ---- */

static int64_t
thread_start(struct thread *t, void *(*run)(void *))
{
	int ret;

	t->stop = t->error = 0;
	t->rounds = t->wrong = 0;
	ret = pthread_create(&t->id, NULL, run, t);
	t->runs = ret == 0;
	return -ret;
}

static int64_t
thread_end(struct thread *t)
{
	if (!t->runs)
		return -ESRCH;
	__atomic_store_n(&t->stop, 1, __ATOMIC_RELAXED);
	pthread_join(t->id, NULL);
	t->runs = false;
	return 0;
}

static void
thread_look(struct thread *t, struct wk_rep *r)
{
	r->v[0] = __atomic_load_n(&t->rounds, __ATOMIC_RELAXED);
	r->v[1] = __atomic_load_n(&t->wrong, __ATOMIC_RELAXED);
	r->v[2] = (int64_t)__atomic_load_n(&t->error, __ATOMIC_RELAXED);
}

static int64_t
do_queue(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	for (r->v[0] = 0; r->v[0] < QUEUES; r->v[0]++)
		if (w->queue[r->v[0]] == NULL)
			return svm_worker_queue_create(w->conn, q->a[0], q->a[1],
				&w->queue[r->v[0]]);
	return -EMFILE;
}

static int64_t
do_queue_end(struct worker *w, const struct wk_req *q)
{
	const int64_t ret = svm_worker_queue_destroy(w->queue[q->a[0] % QUEUES]);

	if (ret == 0)
		w->queue[q->a[0] % QUEUES] = NULL;
	return ret;
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
		return 0;
	case WK_QUEUE:
		return do_queue(w, q, r);
	case WK_QUEUE_END:
		return do_queue_end(w, q);
	case WK_OP:
		return do_op(w, q, r);
	case WK_SG:
		return do_sg(w, q, r);
	case WK_TRAFFIC:
		w->traffic.queue = w->queue[q->a[0] % QUEUES];
		w->traffic.len = q->a[1];
		return thread_start(&w->traffic, traffic_main);
	case WK_TRAFFIC_END:
		if (thread_end(&w->traffic) != 0)
			return -ESRCH;
		/* fall through */
	case WK_TRAFFIC_LOOK:
		thread_look(&w->traffic, r);
		return 0;
	case WK_PRODUCERS:
		return do_producers(w, q, r);
	case WK_SCRIBBLE:
		w->scribble.modes = q->a[0];
		return thread_start(&w->scribble, scribble_main);
	case WK_SCRIBBLE_END:
		if (thread_end(&w->scribble) != 0)
			return -ESRCH;
		thread_look(&w->scribble, r);
		return w->scribble.error;
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
		return do_alloc(w, q, r);
	case WK_FILL:
		r->v[0] = fresh_seed();
		wk_pattern_write(addr, q->a[1], r->v[0], 0);
		return 0;
	case WK_VERIFY:
		r->v[0] = wk_pattern_check(addr, q->a[1], q->a[2], q->a[3]);
		return 0;
	case WK_VERIFY_WORD:
		r->v[0] = word_check(addr, q->a[1], q->a[2]);
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
	case WK_EXIT:
		_exit(0);
	case WK_UFFD:
		return do_uffd(w, q, r);
	case WK_UFFD_ANSWER:
		return do_uffd_answer(w, q, r);
	default:
		return obey_library(w, q, r);
	}
}

int
main(int argc, char **argv)
{
	char stack[STACK_LEN];
	struct worker w = {
		.argv = argv,
		.stack = stack,
		.page = sysconf(_SC_PAGESIZE),
		.uffd = -1,
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
