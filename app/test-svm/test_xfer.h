/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the suite "xfer" share: a worker's memory, ours, and a job. */
#ifndef TEST_XFER_H
#define TEST_XFER_H

#include "runner.h"
#include "svm_abi.h"
#include "svm_ident.h"
#include "svm_xfer.h"
#include "test_child.h"

#define PAGES	8u

/* The worker's memory: PAGES pages; which of them are not plain memory: */
#define PAGE_NONE	4u	/* PROT_NONE */
#define PAGE_READ	6u	/* read-only */
#define PAGE_GONE	7u	/* not mapped */

/* Of the running test: zeroed before it, taken down after it. */
struct test_xfer_fx {
	struct child child, other;
	struct svm_ident id;
	uint64_t remote;	/* the worker's memory */
	uint8_t *local;		/* as many pages of ours */
	size_t page;
	struct svm_xfer xfer[SVM_XFER_MAX];
	struct svm_job job;
};

extern struct test_xfer_fx xfer_fx;

struct test_xfer_row {
	const char *name;
	void (*run)(void);
};

/** Add tests to the suite. @return 0, -1. */
int
test_xfer_add(CU_pSuite suite, const struct test_xfer_row *rows, size_t nb);

/** Add what is about workers that are gone, or not ours to reach. @return 0, -1. */
int
test_xfer_worker_add(CU_pSuite suite);

static inline uint8_t
remote_byte(size_t off)
{
	return (uint8_t)(off * 7 + off / 256 + 1);
}

static inline void
body_memory(int in, int out, void *arg)
{
	size_t page = CHILD_PAGE, i;
	uint8_t *mem = child_map(PAGES * page, PROT_READ | PROT_WRITE);

	(void)arg;
	if (mem == NULL)
		_exit(1);
	for (i = 0; i < PAGES * page; i++)
		mem[i] = remote_byte(i);
	if (mprotect(mem + PAGE_NONE * page, page, PROT_NONE) != 0 ||
			mprotect(mem + PAGE_READ * page, page, PROT_READ) != 0 ||
			munmap(mem + PAGE_GONE * page, page) != 0)
		_exit(1);
	child_tell(out, (uintptr_t)mem);
	for (;;) {
		switch (child_listen(in)) {
		case 's':	/* sum of the first page */
			for (i = 0, page = 0; i < CHILD_PAGE; i++)
				page += mem[i];
			child_tell(out, page);
			break;
		case 'x':
			execl("/bin/sleep", "sleep", "1000", (char *)NULL);
			_exit(1);
		default:
			_exit(0);
		}
	}
}

static inline void
worker_open(void)
{
	child_start(&xfer_fx.child, body_memory, NULL);
	xfer_fx.remote = child_hear(&xfer_fx.child);
	CU_ASSERT_EQUAL_FATAL(svm_ident_open(&xfer_fx.id, xfer_fx.child.pid), 0);
	xfer_fx.job.pid = xfer_fx.id.pid;
	xfer_fx.job.pidfd = xfer_fx.id.pidfd;
	xfer_fx.job.memfd = xfer_fx.id.memfd;
	xfer_fx.job.xfer = xfer_fx.xfer;
}

/** One more piece, by offsets; a tag of its own unless one is given later. */
static inline struct svm_xfer *
piece(size_t remote_off, size_t local_off, uint32_t len)
{
	struct svm_xfer *x = &xfer_fx.xfer[xfer_fx.job.nb];

	x->remote = xfer_fx.remote + remote_off;
	x->local = xfer_fx.local + local_off;
	x->len = len;
	x->tag = xfer_fx.job.nb++;
	x->done = 12345;
	x->status = 99;
	return x;
}

static inline void
expect(unsigned int i, uint8_t status, uint32_t done)
{
	test_equal_at(__FILE__, i, "status", xfer_fx.xfer[i].status, status);
	test_equal_at(__FILE__, i, "done", xfer_fx.xfer[i].done, done);
}

static inline bool
local_untouched(size_t off, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (xfer_fx.local[off + i] != 0xee)
			return false;
	return true;
}

#endif /* TEST_XFER_H */
