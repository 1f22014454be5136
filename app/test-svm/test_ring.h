/* SPDX-License-Identifier: BSD-3-Clause */
/* Both ends of a queue on memory of this process; the parts of the suite "ring". */
#ifndef TEST_RING_H
#define TEST_RING_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "svm_ring.h"

#define DEPTH		64u
/* A first counter with the wrap of 32 bits in the middle of the first lap. */
#define NEAR_WRAP	(UINT32_MAX - DEPTH / 2 + 1)

struct ends {
	void *mem;
	struct svm_ring ring;	/* the consumer's */
	struct svm_producer prod;
};

static inline int
ends_open(struct ends *e, uint32_t depth, bool mp, uint32_t start)
{
	const struct svm_ring_layout l = svm_ring_layout(depth);

	e->mem = aligned_alloc(SVM_RING_PAGE, l.size);
	if (e->mem == NULL)
		return -ENOMEM;
	memset(e->mem, 0, l.size);
	svm_ring_view(&e->ring, e->mem, depth);
	svm_ring_format(&e->ring, mp ? SVM_QF_MULTI_PRODUCER : 0, start);
	svm_producer_init(&e->prod, &e->ring, mp, start);
	return 0;
}

static inline void
ends_close(struct ends *e)
{
	free(e->mem);
}

/** Add the tests with threads. @return 0, -1. */
int
test_ring_threads_add(CU_pSuite suite);

#endif /* TEST_RING_H */
