/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that the owner makes for workers: a memfd that nobody can resize, of
 * hugetlb pages where they are to be had. The worker gets the descriptor, the
 * owner keeps a mapping, by which it can give the pages back, whoever has them
 * mapped by then.
 */
#ifndef SVM_MEM_H
#define SVM_MEM_H

#include <stdint.h>

#include "svm_proto.h"

/** As it was made; `map` NULL: none. */
struct svm_mem {
	void *map;
	uint64_t len;
	uint64_t page_size;
	enum svm_msg_page page;
};

/**
 * Make memory.
 *
 * @param len   1 or more; made a multiple of the page size.
 * @param page  The largest pages wished for; smaller ones are taken where there are
 *              none of these.
 * @param node  Preferred for its pages; -1: any.
 * @param fd    Out: for the worker, the caller's to close.
 * @return 0; -EINVAL: len is 0 or too much for any file, no such node; -errno.
 */
int
svm_mem_create(uint64_t len, enum svm_msg_page page, int node, struct svm_mem *mem, int *fd);

/** Let go of it: the pages stay with whoever else has them mapped. */
void
svm_mem_release(struct svm_mem *mem);

/** As svm_mem_release(), and the pages go back to the system whoever has them mapped. */
void
svm_mem_destroy(struct svm_mem *mem);

#endif /* SVM_MEM_H */
