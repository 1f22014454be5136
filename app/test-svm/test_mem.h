/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the suite "mem" share. */
#ifndef TEST_MEM_H
#define TEST_MEM_H

#include <fcntl.h>

#include <CUnit/CUnit.h>

#include "fake_mem.h"
#include "test_child.h"

#define MIB		(UINT64_C(1) << 20)
#define HUGE_LEN	(2 * MIB)
#define RW		3u
#define BASE		UINT64_C(0x700000000000)
#define FILE_SEALS	(F_SEAL_SHRINK | F_SEAL_GROW)

/** A fake owner with memory, not started. */
static inline struct fake_owner *
mem_owner(uint64_t max_mem, uint32_t max_ranges)
{
	struct fake_owner *fo = fake_owner_create();

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	fo->has_mem = true;
	fo->limits.max_mem = max_mem;
	fo->limits.max_ranges = max_ranges;
	return fo;
}

/** A raw worker that is bound. */
static inline int
mem_bound(const struct fake_owner *fo)
{
	const int sock = raw_ready(fo->path);

	CU_ASSERT_FATAL(sock >= 0);
	CU_ASSERT_EQUAL_FATAL(raw_bind(sock, 0), 0);
	return sock;
}

/** A fake owner with memory, that serves. */
static inline struct fake_owner *
mem_serving(uint64_t max_mem, uint32_t max_ranges)
{
	struct fake_owner *fo = mem_owner(max_mem, max_ranges);

	CU_ASSERT_EQUAL_FATAL(fake_owner_start(fo, 0), 0);
	return fo;
}

/** The server closes some after it has answered, and what is no memory apart from all. */
static inline void
mem_await_fds(unsigned int fds)
{
	int i;

	for (i = 0; i != FAKE_BOUND_MS && child_fds_count() > fds; i++)
		child_sleep_ms(1);
	CU_ASSERT_EQUAL(child_fds_count(), fds);
}

/** Add what is about mapping, and about broken rules. @return 0, -1. */
int
test_mem_map_add(CU_pSuite suite);

#endif /* TEST_MEM_H */
