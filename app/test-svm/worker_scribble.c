/* SPDX-License-Identifier: BSD-3-Clause */
/* What only a hostile worker does: it writes over its queues. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "svm_abi.h"
#include "worker.h"

#define ARENA_LEN	(64 << 10)

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
		uint64_t x = worker_seed();

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
	struct worker_thread *t = arg;
	struct worker w = { .page = sysconf(_SC_PAGESIZE) };
	char *arena = worker_pages(&w, ARENA_LEN, MAP_PRIVATE, 0);
	struct target targets[WORKER_QUEUES];
	const int nb = find_queues(targets, WORKER_QUEUES);
	unsigned char noise[256];

	if (arena == NULL || nb == 0)
		t->error = -ENXIO;
	/* Release: `error` to the acquire load in worker_scribble(). */
	__atomic_store_n(&t->ready, 1, __ATOMIC_RELEASE);
	if (t->error != 0)
		return NULL;
	do {
		const uint64_t x = worker_seed();
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
	} while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED));
	return NULL;
}

int64_t
worker_scribble(struct worker *w, const struct wk_req *q)
{
	struct worker_thread *t = &w->scribble;
	int64_t ret;

	t->modes = q->a[0];
	ret = worker_thread_start(t, scribble_main);
	if (ret != 0)
		return ret;
	/* A thread may come late on a busy machine; what is tested would be over. */
	while (!__atomic_load_n(&t->ready, __ATOMIC_ACQUIRE))
		usleep(50);
	return t->error;
}

/* ---- what it takes away ---- */

static int64_t
truncate_target(const struct target *t, struct wk_rep *r)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)t->mem,
		(unsigned long)t->mem + t->len);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r->v[0] = ftruncate(fd, 0) == 0 ? 0 : -errno;
	r->v[1] = ftruncate(fd, 2 * t->len) == 0 ? 0 : -errno;
	r->v[2] = fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0 ? 0 : -errno;
	close(fd);
	return 0;
}

int64_t
worker_queue_memory(const struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct target t;
	char *page;
	int rc;

	if (find_queues(&t, 1) != 1)
		return -ENXIO;
	page = t.mem + q->a[1] * w->page;
	switch (q->a[0]) {
	case WK_QUEUE_MEMORY_PAGES:
		r->v[0] = t.len / w->page;
		return 0;
	case WK_QUEUE_MEMORY_REMOVE:
		rc = madvise(page, w->page, MADV_REMOVE);
		break;
	case WK_QUEUE_MEMORY_DONTNEED:
		rc = madvise(page, w->page, MADV_DONTNEED);
		break;
	case WK_QUEUE_MEMORY_UNMAP:
		rc = munmap(t.mem, t.len);
		break;
	default:
		return truncate_target(&t, r);
	}
	return rc == 0 ? 0 : -errno;
}
