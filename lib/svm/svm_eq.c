/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svm_eq.h"
#include "svm_numa.h"

/*
 * Worker queues: a memfd of small pages, sealed so that nobody can change its
 * size under the engine. A worker can still punch holes; ring accesses run
 * under a guard for that (svm_engine.c).
 */
static int
eq_memfd(size_t len, int *fd)
{
	int ret;

	*fd = memfd_create("svm-queue", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, len) < 0 ||
			fcntl(*fd, F_ADD_SEALS,
				F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		ret = -errno;
		close(*fd);
		*fd = -1;
		return ret;
	}
	return 0;
}

static void *
eq_zmap(size_t len, int fd, int numa_node)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* A fork of the owner must not share its rings. */
	madvise(p, len, MADV_DONTFORK);
	svm_numa_prefer(p, len, numa_node);
	return p;
}

int
svm_eq_create(struct svm_bond_table *bonds, uint32_t depth, uint32_t features,
		uint32_t self_pasid, int numa_node, int *fd, struct svm_eq **eq)
{
	const size_t len = svm_ring_layout(depth).size;
	struct svm_eq *q;
	int memfd = -1, ret;

	ret = svm_ring_depth_check(depth);
	if (ret < 0)
		return ret;
	q = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	*q = (struct svm_eq){ .bonds = bonds, .self_pasid = self_pasid };
	TAILQ_INIT(&q->parked);
	if (fd != NULL) {
		ret = eq_memfd(len, &memfd);
		if (ret < 0)
			goto free_eq;
	}
	ret = -ENOMEM;
	q->mem_len = len;
	q->mem = eq_zmap(len, memfd, numa_node);
	if (q->mem == NULL)
		goto close_fd;
	q->ops = eq_zmap(depth * sizeof(*q->ops), -1, numa_node);
	if (q->ops == NULL)
		goto unmap;
	q->segs = eq_zmap((size_t)depth * SVM_SG_MAX * sizeof(*q->segs), -1, numa_node);
	if (q->segs == NULL)
		goto unmap_ops;
	svm_ring_view(&q->ring, q->mem, depth);
	svm_ring_format(&q->ring, features, 0);
	if (fd != NULL)
		*fd = memfd;
	*eq = q;
	return 0;

unmap_ops:
	munmap(q->ops, depth * sizeof(*q->ops));
unmap:
	munmap(q->mem, len);
close_fd:
	if (memfd >= 0)
		close(memfd);
free_eq:
	free(q);
	return ret;
}

void
svm_eq_destroy(struct svm_eq *q)
{
	if (q == NULL)
		return;
	munmap(q->segs, (size_t)q->ring.depth * SVM_SG_MAX * sizeof(*q->segs));
	munmap(q->ops, q->ring.depth * sizeof(*q->ops));
	munmap(q->mem, q->mem_len);
	free(q);
}
