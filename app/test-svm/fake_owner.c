/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "fake_mem.h"

#define FAKE_BOND	77u

static void
nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

static void
count(int *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELEASE);	/* -> fake_count() */
}

int
fake_count(const int *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);	/* <- count() */
}

void
fake_set(int *counter, int value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELEASE);	/* -> fake_count() */
}

/* Whether this call is to be answered -EBUSY. Only the server's thread takes away. */
static bool
is_busy(struct fake_owner *fo)
{
	if (__atomic_load_n(&fo->busy, __ATOMIC_RELAXED) == 0)
		return false;
	__atomic_fetch_sub(&fo->busy, 1, __ATOMIC_RELAXED);
	return true;
}

/* A bind under way; the real thing is tested in test_identity.c. */
struct fake_bind {
	struct svm_peer peer;
	uint64_t user;
	uint64_t word;
	struct svm_nonce nonce;
	bool proving;
};

static int
fake_bind_begin(void *arg, const struct svm_peer *peer, uint64_t user, uint64_t word, void **req)
{
	struct fake_owner *fo = arg;
	struct fake_bind *b;

	if (peer->pidfd >= 0)
		close(peer->pidfd);
	fo->pid = peer->pid;
	fo->uid = peer->uid;
	fo->user = user;
	fo->asked_by[fo->asked % FAKE_ASKED] = user;
	count(&fo->asked);
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return -ENOMEM;
	b->peer = *peer;
	b->user = user;
	b->word = word;
	*req = b;
	return 0;
}

static int
fake_bind_step(void *arg, void *req, struct svm_nonce *nonce, uint64_t *bond)
{
	struct fake_owner *fo = arg;
	struct fake_bind *b = req;
	struct svm_nonce there;
	struct iovec to = { &there, sizeof(there) };
	struct iovec from = { (void *)(uintptr_t)b->word, sizeof(there) };

	if (b->user != 0 && (int)b->user == fake_count(&fo->hold)) {
		count(&fo->steps_held);
		return fake_count(&fo->hold_as) != 0 ? fake_count(&fo->hold_as) : -EINPROGRESS;
	}
	if (!b->proving) {
		if (fo->bind_status != 0)
			return fo->bind_status;
		if (getrandom(&b->nonce, sizeof(b->nonce), 0) != sizeof(b->nonce))
			return -EIO;
		*nonce = b->nonce;
		return 0;
	}
	if (process_vm_readv(b->peer.pid, &to, 1, &from, 1, 0) != sizeof(there) ||
			memcmp(&there, &b->nonce, sizeof(there)) != 0)
		return -EPERM;
	if (fo->prove_status != 0)
		return fo->prove_status;
	*bond = FAKE_BOND;
	count(&fo->binds);
	return 0;
}

static void
fake_bind_prove(void *arg, void *req)
{
	(void)arg;
	((struct fake_bind *)req)->proving = true;
}

static int
fake_bind_end(void *arg, void *req)
{
	struct fake_owner *fo = arg;

	if (is_busy(fo))
		return -EBUSY;
	count(&fo->ended);
	free(req);
	return 0;
}

static int
fake_unbind(void *arg, uint64_t bond)
{
	struct fake_owner *fo = arg;

	if (is_busy(fo))
		return -EBUSY;
	if (bond != FAKE_BOND || fake_count(&fo->created) != fake_count(&fo->destroyed))
		count(&fo->order_wrong);
	count(&fo->unbinds);
	return 0;
}

/* Memory for a queue, with the fault that the test wants. */
static int
memory_make(struct fake_owner *fo, struct fake_queue *q, uint32_t depth, uint32_t features)
{
	const size_t size = svm_ring_layout(depth).size;
	int fd = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	q->size = size;
	if (ftruncate(fd, fo->memory == FAKE_MEMORY_SHORT ? (off_t)size / 2 : (off_t)size) != 0 ||
			(fo->memory != FAKE_MEMORY_UNSEALED &&
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0))
		goto close_fd;
	q->mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (q->mem == MAP_FAILED)
		goto close_fd;
	svm_ring_view(&q->ring, q->mem, depth);
	svm_ring_format(&q->ring, features, 0);
	if (fo->memory == FAKE_MEMORY_BAD_HEADER)
		q->ring.hdr->depth = depth * 2;
	return fd;

close_fd:
	q->mem = NULL;
	close(fd);
	return -ENOMEM;
}

static int
fake_queue_create(void *arg, uint64_t bond, uint32_t depth, uint32_t features, void **queue,
		int *fd)
{
	struct fake_owner *fo = arg;
	struct fake_queue *q = fo->queue;

	if (bond != FAKE_BOND)
		return -ENOENT;
	while (q->mem != NULL)
		if (++q == fo->queue + FAKE_QUEUES)
			return -ENOSPC;
	*fd = memory_make(fo, q, depth, features);
	if (*fd < 0)
		return *fd;
	*queue = q;
	count(&fo->created);
	return 0;
}

static int
fake_queue_destroy(void *arg, void *queue)
{
	struct fake_owner *fo = arg;
	struct fake_queue *q = queue;

	if (is_busy(fo))
		return -EBUSY;
	munmap(q->mem, q->size);
	q->mem = NULL;
	count(&fo->destroyed);
	return 0;
}

static int
fake_window_list(void *arg, uint64_t bond, uint64_t *after, struct rte_svm_window_info *infos,
		uint32_t n)
{
	const struct fake_owner *fo = arg;
	uint32_t i;

	if (bond != FAKE_BOND)
		return 0;
	for (i = 0; i != n && *after < fo->windows; i++) {
		++*after;
		infos[i] = (struct rte_svm_window_info){ .window = (uint32_t)*after << 4,
			.conf = { .rights = RTE_SVM_WINDOW_READ, .len = 1000 + *after,
				.user = ~*after } };
	}
	return (int)i;
}

static void
fake_doorbell(void *arg, void *const *queues, uint32_t nb)
{
	(void)queues;
	(void)nb;
	count(&((struct fake_owner *)arg)->doorbells);
}

static void
fake_process_gone(void *arg, uint64_t bond)
{
	struct fake_owner *fo = arg;

	fo->gone_bond = bond;
	count(&fo->gone);
}

struct fake_owner *
fake_owner_create(void)
{
	struct fake_owner *fo = calloc(1, sizeof(*fo));
	const char *tmp = getenv("TMPDIR");

	if (fo == NULL)
		return NULL;
	if (tmp == NULL || strlen(tmp) > 32)
		tmp = "/tmp";
	snprintf(fo->dir, sizeof(fo->dir), "%s/svm-test-XXXXXX", tmp);
	if (mkdtemp(fo->dir) == NULL) {
		free(fo);
		return NULL;
	}
	snprintf(fo->path, sizeof(fo->path), "%s/sock", fo->dir);
	return fo;
}

int
fake_owner_start(struct fake_owner *fo, uint32_t idle_us)
{
	struct svm_server_ops ops = {
		.bind_begin = fake_bind_begin,
		.bind_step = fake_bind_step,
		.bind_prove = fake_bind_prove,
		.bind_end = fake_bind_end,
		.unbind = fake_unbind,
		.queue_create = fake_queue_create,
		.queue_destroy = fake_queue_destroy,
		.window_list = fake_window_list,
		.doorbell = fake_doorbell,
		.process_gone = fake_process_gone,
	};
	const struct svm_server_conf conf = {
		.path = fo->path,
		.max_workers = 4,
		.max_queues = FAKE_QUEUES,
		.max_depth = 1024,
		.wake_fd = -1,
		.may_sleep = idle_us != 0,
		.rules = fo->limits.rules,
		.max_per_uid = fo->limits.max_per_uid,
		.max_per_pid = fo->limits.max_per_pid,
		.max_worker_queues = fo->limits.max_worker_queues,
		.max_rate = fo->limits.max_rate,
		.max_mem = fo->limits.max_mem,
		.max_mem_uid = fo->limits.max_mem_uid,
		.max_ranges = fo->limits.max_ranges,
		.max_ranges_uid = fo->limits.max_ranges_uid,
		.mem_node = -1,
		.end_ms = fo->limits.end_ms != 0 ? fo->limits.end_ms : FAKE_BOUND_MS,
	};

	if (fo->has_mem)
		fake_mem_ops(&ops);
	return svm_server_create(&conf, &ops, fo, &fo->server);
}

struct fake_owner *
fake_owner_serving(uint32_t idle_us)
{
	struct fake_owner *fo = fake_owner_create();

	if (fo != NULL && fake_owner_start(fo, idle_us) != 0) {
		fake_owner_destroy(fo);
		fo = NULL;
	}
	return fo;
}

void
fake_owner_stop(struct fake_owner *fo)
{
	svm_server_destroy(fo->server);
	fo->server = NULL;
}

void
fake_owner_destroy(struct fake_owner *fo)
{
	fake_owner_stop(fo);
	unlink(fo->path);
	rmdir(fo->dir);
	free(fo);
}

bool
fake_wait_for(const int *counter, int value)
{
	int i;

	for (i = 0; i != FAKE_BOUND_MS && fake_count(counter) < value; i++)
		nap();
	return fake_count(counter) >= value;
}

bool
fake_wait_workers(const struct fake_owner *fo, uint32_t n)
{
	int i;

	for (i = 0; i != FAKE_BOUND_MS && svm_server_workers(fo->server) != n; i++)
		nap();
	return svm_server_workers(fo->server) == n;
}
