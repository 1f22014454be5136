/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A heap: an arena of another library's (worker_pool.h) on memory of the owner's
 * (worker_chunk.h). In a child after fork the memory is not there, and locks of
 * the arena may be taken for ever: nothing of it is entered there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker_fork.h"
#include "worker_heap.h"
#include "worker_pool.h"

static void *
arena_get(intptr_t id, size_t *bytes)
{
	struct svm_worker_heap *h = (struct svm_worker_heap *)id;

	return wchunks_get(&h->chunks, *bytes);
}

static int
arena_put(intptr_t id, void *mem, size_t bytes)
{
	struct svm_worker_heap *h = (struct svm_worker_heap *)id;

	wchunks_put(&h->chunks, mem, bytes);
	return 0;
}

static int
conf_check(const struct svm_worker_heap_conf *conf)
{
	if ((unsigned int)conf->pages > SVM_WORKER_PAGES_HUGE || conf->node < -1)
		return -EINVAL;
	return 0;
}

int
svm_worker_heap_create(struct svm_worker *worker, const struct svm_worker_heap_conf *conf,
		struct svm_worker_heap **heap)
{
	static const struct svm_worker_heap_conf usual = { .node = -1 };
	static const struct wpool_policy policy = {
		.get = arena_get,
		.put = arena_put,
		.granularity = WCHUNK_UNIT,
		.version = WPOOL_POLICY_VERSION,
	};
	struct svm_worker_heap *h;
	void *first;
	int rc;

	if (conf == NULL)
		conf = &usual;
	if (worker == NULL || heap == NULL || conf_check(conf) != 0)
		return -EINVAL;
	if ((worker->features & SVM_PROTO_F_MEM) == 0)
		return -EOPNOTSUPP;
	if (worker->bond == 0)
		return -ENOENT;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	rc = svm_wfork_number(&h->process);
	if (rc != 0)
		goto free_heap;
	h->worker = worker;
	wchunks_init(&h->chunks, worker, conf);
	if (wpool_create((intptr_t)h, &policy, &h->pool) != 0) {
		rc = -ENOMEM;
		goto fini_chunks;
	}
	/* The arena asks for memory with its first block: an owner that has none says so now. */
	first = wpool_malloc(h->pool, 1);
	if (first == NULL) {
		rc = h->chunks.error != 0 ? h->chunks.error : -ENOMEM;
		goto destroy_pool;
	}
	wpool_free(h->pool, first);
	h->next = worker->heaps;
	worker->heaps = h;
	*heap = h;
	return 0;

destroy_pool:
	wpool_destroy(h->pool);
fini_chunks:
	wchunks_fini(&h->chunks, true);
free_heap:
	free(h);
	return rc;
}

static void
heap_free(struct svm_worker_heap *h, bool own)
{
	struct svm_worker_heap **at = &h->worker->heaps;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	if (own)
		wpool_destroy(h->pool);
	wchunks_fini(&h->chunks, own);
	free(h);
}

void
svm_worker_heap_destroy(struct svm_worker_heap *heap)
{
	if (heap != NULL)
		heap_free(heap, svm_wfork_is_own(heap->process));
}

void
svm_wheap_end_all(struct svm_worker *w, bool own)
{
	while (w->heaps != NULL)
		heap_free(w->heaps, own);
}

int
svm_worker_heap_info_get(struct svm_worker_heap *heap, struct svm_worker_heap_info *info)
{
	struct wchunks *c;

	if (heap == NULL || info == NULL)
		return -EINVAL;
	if (!svm_wfork_is_own(heap->process))
		return -EPERM;
	c = &heap->chunks;
	pthread_mutex_lock(&c->lock);
	*info = (struct svm_worker_heap_info){ .pages = c->pages, .nb_chunks = c->nb,
		.len = c->bytes, .mapped = c->mapped };
	pthread_mutex_unlock(&c->lock);
	return 0;
}

/* ---- as malloc and its relatives ---- */

/* NULL for any reason: the owner's, when it was asked and gave none. */
static void *
none(struct svm_worker_heap *h)
{
	int error;

	pthread_mutex_lock(&h->chunks.lock);
	error = -h->chunks.error;
	pthread_mutex_unlock(&h->chunks.lock);
	errno = error != 0 ? error : ENOMEM;
	return NULL;
}

static bool
usable(const struct svm_worker_heap *h)
{
	if (svm_wfork_is_own(h->process))
		return true;
	errno = EPERM;
	return false;
}

void *
svm_worker_malloc(struct svm_worker_heap *heap, size_t size)
{
	void *p;

	if (!usable(heap))
		return NULL;
	p = wpool_malloc(heap->pool, size);
	return p != NULL ? p : none(heap);
}

void *
svm_worker_calloc(struct svm_worker_heap *heap, size_t nb, size_t size)
{
	size_t len;
	void *p;

	if (__builtin_mul_overflow(nb, size, &len)) {
		errno = ENOMEM;
		return NULL;
	}
	p = svm_worker_malloc(heap, len);
	if (p != NULL)
		memset(p, 0, len);
	return p;
}

void *
svm_worker_aligned_alloc(struct svm_worker_heap *heap, size_t align, size_t size)
{
	void *p;

	if (!usable(heap))
		return NULL;
	if (align == 0 || (align & (align - 1)) != 0) {
		errno = EINVAL;
		return NULL;
	}
	p = wpool_aligned_malloc(heap->pool, size, align);
	return p != NULL ? p : none(heap);
}

void *
svm_worker_realloc(struct svm_worker_heap *heap, void *ptr, size_t size)
{
	void *p;

	if (ptr == NULL)
		return svm_worker_malloc(heap, size);
	if (!usable(heap))
		return NULL;
	if (size == 0) {
		svm_worker_free(heap, ptr);
		return NULL;
	}
	p = wpool_realloc(heap->pool, ptr, size);
	return p != NULL ? p : none(heap);
}

void
svm_worker_free(struct svm_worker_heap *heap, void *ptr)
{
	/* A child has neither the memory nor the right to the arena's locks. */
	if (ptr != NULL && svm_wfork_is_own(heap->process))
		wpool_free(heap->pool, ptr);
}
