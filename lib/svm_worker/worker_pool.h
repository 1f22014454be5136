/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arena: a memory pool of oneTBB's allocator (libtbbmalloc), on memory that
 * we give it. doc/heap.md says why this one.
 *
 * These are functions of oneapi/tbb/scalable_allocator.h, which declares them
 * for C++ only; their names are fixed by the soname libtbbmalloc.so.2, the
 * layout of the policy by its version.
 */
#ifndef WORKER_POOL_H
#define WORKER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WPOOL_POLICY_VERSION	1

struct wpool;

struct wpool_policy {
	/** Memory for the pool, of a multiple of `granularity`; NULL. */
	void *(*get)(intptr_t id, size_t *bytes);
	/** Take it back, whole. 0. */
	int (*put)(intptr_t id, void *mem, size_t bytes);
	size_t granularity;
	int version;
	unsigned int fixed : 1;
	unsigned int keep : 1;
	unsigned int reserved : 30;
};

/** 0, or another number when there is no memory. */
int
wpool_create(intptr_t id, const struct wpool_policy *policy, struct wpool **pool)
	__asm__("_ZN3rml14pool_create_v1ElPKNS_13MemPoolPolicyEPPNS_10MemoryPoolE");

/** Everything goes back. */
bool
wpool_destroy(struct wpool *pool) __asm__("_ZN3rml12pool_destroyEPNS_10MemoryPoolE");

void *
wpool_malloc(struct wpool *pool, size_t size)
	__asm__("_ZN3rml11pool_mallocEPNS_10MemoryPoolEm");

void *
wpool_realloc(struct wpool *pool, void *mem, size_t size)
	__asm__("_ZN3rml12pool_reallocEPNS_10MemoryPoolEPvm");

void *
wpool_aligned_malloc(struct wpool *pool, size_t size, size_t align)
	__asm__("_ZN3rml19pool_aligned_mallocEPNS_10MemoryPoolEmm");

bool
wpool_free(struct wpool *pool, void *mem)
	__asm__("_ZN3rml9pool_freeEPNS_10MemoryPoolEPv");

#endif /* WORKER_POOL_H */
