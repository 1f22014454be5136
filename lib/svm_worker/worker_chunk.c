/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker_chunk.h"

#define CHUNK_MIN	(2 * WCHUNK_UNIT)
/* No chunk is larger than this but for one piece that is. */
#define CHUNK_MAX	(128 * WCHUNK_UNIT)

struct wchunk {
	struct wchunk *next;
	struct svm_wmem mem;
	char *addr;
	bool mapped;		/* by the owner, too */
	size_t units;
	size_t nb_used;
	bool used[];
};

void
wchunks_init(struct wchunks *c, struct svm_worker *w, const struct svm_worker_heap_conf *conf)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	c->worker = w;
	c->conf = *conf;
}

/* Ours from the first byte on: reached by the device, and no child's. */
static int
chunk_map(struct wchunks *c, struct wchunk *k, int fd)
{
	int rc;

	k->addr = mmap(NULL, k->mem.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (k->addr == MAP_FAILED)
		return -ENOMEM;
	if (madvise(k->addr, k->mem.len, MADV_DONTFORK) != 0) {
		rc = -ENOMEM;
		goto unmap;
	}
	/* A wish: the kernel may be told to do so only where it is advised. */
	if (k->mem.pages == SVM_WORKER_PAGES_TRANSPARENT)
		madvise(k->addr, k->mem.len, MADV_HUGEPAGE);
	rc = svm_wmem_map(c->worker, k->addr, k->mem.len, fd);
	/* An owner that maps nothing reaches it as any other memory. */
	k->mapped = rc == 0;
	if (rc == 0 || rc == -EOPNOTSUPP)
		return 0;

unmap:
	munmap(k->addr, k->mem.len);
	return rc;
}

static int
chunk_create(struct wchunks *c, size_t len, struct wchunk **chunk)
{
	struct wchunk *k = calloc(1, sizeof(*k) + len / WCHUNK_UNIT * sizeof(k->used[0]));
	int fd, rc;

	if (k == NULL)
		return -ENOMEM;
	k->units = len / WCHUNK_UNIT;
	rc = svm_wmem_create(c->worker, len, c->conf.pages, c->conf.node, &k->mem, &fd);
	if (rc != 0)
		goto free_chunk;
	rc = chunk_map(c, k, fd);
	close(fd);
	if (rc != 0)
		goto destroy_mem;
	*chunk = k;
	return 0;

destroy_mem:
	svm_wmem_destroy(c->worker, &k->mem);
free_chunk:
	free(k);
	return rc;
}

static void
chunk_destroy(struct wchunks *c, struct wchunk *k, bool mapped)
{
	if (mapped) {
		if (k->mapped)
			svm_wmem_unmap(c->worker, k->addr, k->mem.len);
		munmap(k->addr, k->mem.len);
		svm_wmem_destroy(c->worker, &k->mem);
	}
	free(k);
}

void
wchunks_fini(struct wchunks *c, bool mapped)
{
	struct wchunk *k;

	while ((k = c->first) != NULL) {
		c->first = k->next;
		chunk_destroy(c, k, mapped);
	}
	pthread_mutex_destroy(&c->lock);
}

/* n free units side by side, or NULL. */
static void *
chunk_take(struct wchunk *k, size_t n)
{
	size_t i, run = 0;

	if (k->units - k->nb_used < n)
		return NULL;
	for (i = 0; i != k->units; i++) {
		run = k->used[i] ? 0 : run + 1;
		if (run == n) {
			i -= n - 1;
			memset(&k->used[i], true, n * sizeof(k->used[0]));
			k->nb_used += n;
			return k->addr + i * WCHUNK_UNIT;
		}
	}
	return NULL;
}

/* One more chunk, of n units at least. */
static int
chunks_grow(struct wchunks *c, size_t n)
{
	const uint64_t need = n * WCHUNK_UNIT;
	uint64_t want = c->bytes < CHUNK_MIN ? CHUNK_MIN : c->bytes;
	struct wchunk *k;
	int rc;

	if (want > CHUNK_MAX)
		want = CHUNK_MAX;
	want -= want % WCHUNK_UNIT;
	if (want < need)
		want = need;
	if (c->conf.max_len != 0) {
		const uint64_t left = c->conf.max_len > c->bytes ? c->conf.max_len - c->bytes : 0;

		if (left < need)
			return -ENOSPC;
		if (want > left)
			want = left - left % WCHUNK_UNIT;
	}
	rc = chunk_create(c, want, &k);
	/* Ahead of what is needed only while there is plenty. */
	if ((rc == -ENOSPC || rc == -ENOMEM) && want != need)
		rc = chunk_create(c, need, &k);
	if (rc != 0)
		return rc;
	if (c->nb == 0 || k->mem.pages < c->pages)
		c->pages = k->mem.pages;
	c->mapped = k->mapped && (c->nb == 0 || c->mapped);
	c->bytes += k->mem.len;
	c->nb++;
	k->next = c->first;
	c->first = k;
	return 0;
}

void *
wchunks_get(struct wchunks *c, size_t bytes)
{
	const size_t n = bytes / WCHUNK_UNIT;
	struct wchunk *k;
	void *p = NULL;

	pthread_mutex_lock(&c->lock);
	for (k = c->first; k != NULL && p == NULL; k = k->next)
		p = chunk_take(k, n);
	if (p == NULL) {
		c->error = chunks_grow(c, n);
		if (c->error == 0)
			p = chunk_take(c->first, n);
	}
	pthread_mutex_unlock(&c->lock);
	return p;
}

/* One that is empty stays, if it is not most of all, for whoever frees and allocates by turns. */
static void
chunks_trim(struct wchunks *c)
{
	struct wchunk **at = &c->first, *k;
	bool kept = false;

	while ((k = *at) != NULL) {
		const bool stays = !kept && (k->mem.len <= CHUNK_MIN ||
			k->mem.len <= c->bytes - k->mem.len);

		if (k->nb_used != 0 || stays) {
			kept = kept || k->nb_used == 0;
			at = &k->next;
			continue;
		}
		*at = k->next;
		c->bytes -= k->mem.len;
		c->nb--;
		chunk_destroy(c, k, true);
	}
}

void
wchunks_put(struct wchunks *c, void *mem, size_t bytes)
{
	struct wchunk *k;
	size_t first;

	pthread_mutex_lock(&c->lock);
	for (k = c->first; k != NULL; k = k->next) {
		if ((char *)mem < k->addr || (char *)mem >= k->addr + k->units * WCHUNK_UNIT)
			continue;
		first = (size_t)((char *)mem - k->addr) / WCHUNK_UNIT;
		memset(&k->used[first], false, bytes / WCHUNK_UNIT * sizeof(k->used[0]));
		k->nb_used -= bytes / WCHUNK_UNIT;
		break;
	}
	if (k != NULL && k->nb_used == 0)
		chunks_trim(c);
	pthread_mutex_unlock(&c->lock);
}
