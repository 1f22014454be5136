/* SPDX-License-Identifier: BSD-3-Clause */
/* svm_ring.h: both ends of a queue, in one thread. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "suites.h"
#include "test_ring.h"

static void
put(struct ends *e, uint32_t counter, uint64_t cookie)
{
	const struct svm_desc d = { .op = SVM_OP_NOP, .cookie = cookie };

	svm_producer_fill(&e->prod, counter, &d);
	svm_producer_mark(&e->prod, counter);
}

static void
test_ring_depth_out_of_range_is_refused(void)
{
	static const struct {
		uint32_t depth;
		int rc;
	} rows[] = {
		{ 0, -EINVAL }, { 1, -EINVAL }, { 16, -EINVAL }, { 32, 0 }, { 33, -EINVAL },
		{ 48, -EINVAL }, { 64, 0 }, { 32768, 0 }, { 65536, -EINVAL },
		{ UINT32_MAX, -EINVAL }, { 0x80000000u, -EINVAL },
	};
	size_t i;

	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(svm_ring_depth_check(rows[i].depth), rows[i].rc);
}

static void
test_ring_layout_parts_do_not_overlap(void)
{
	uint32_t depth;

	for (depth = SVM_DEPTH_MIN; depth <= SVM_DEPTH_MAX; depth *= 2) {
		const struct svm_ring_layout l = svm_ring_layout(depth);

		CU_ASSERT(l.sq_off >= sizeof(struct svm_queue_hdr));
		CU_ASSERT(l.cq_off >= l.sq_off + depth * sizeof(struct svm_desc));
		CU_ASSERT(l.sg_off >= l.cq_off + depth * sizeof(struct svm_cpl));
		CU_ASSERT(l.size >= l.sg_off +
			depth * SVM_SG_MAX * sizeof(struct svm_seg));
		CU_ASSERT_EQUAL(l.size % SVM_RING_PAGE, 0);
	}
}

static void
test_ring_fresh_holds_nothing(void)
{
	static const uint32_t starts[] = { 0, 1, DEPTH, DEPTH * 3 + 7, NEAR_WRAP };
	size_t i;

	for (i = 0; i != sizeof(starts) / sizeof(starts[0]); i++) {
		struct svm_cpl c;
		struct ends e;
		uint32_t k;

		CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, false, starts[i]), 0);
		CU_ASSERT_EQUAL(svm_producer_room(&e.prod), DEPTH);
		CU_ASSERT_FALSE(svm_producer_pending(&e.prod));
		CU_ASSERT_FALSE(svm_producer_poll(&e.prod, &c));
		for (k = 0; k != DEPTH; k++)
			CU_ASSERT_FALSE(svm_ring_ready(&e.ring, starts[i] + k));
		ends_close(&e);
	}
}

static void
test_ring_descriptor_arrives_as_written(void)
{
	const struct svm_desc in = {
		.op = SVM_OP_COPY, .flags = SVM_F_FENCE, .len = 4096,
		.src = UINT64_C(0x1122334455667788), .dst = UINT64_C(0x99aabbccddeeff00),
		.src_space = SVM_SPACE(SVM_SPACE_PASID, 7),
		.dst_space = SVM_SPACE(SVM_SPACE_SELF, 0),
		.cookie = 42, .pattern = UINT64_MAX, .reserved1 = { 1, 2, 3 },
	};
	struct svm_desc out;
	struct ends e;
	uint32_t first = 0;

	CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, false, 0), 0);
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, 1, &first));
	svm_producer_fill(&e.prod, first, &in);
	CU_ASSERT_FALSE(svm_ring_ready(&e.ring, first));
	svm_producer_mark(&e.prod, first);
	CU_ASSERT_TRUE(svm_ring_ready(&e.ring, first));
	svm_ring_take(&e.ring, first, &out);
	CU_ASSERT_EQUAL(out.seq, first + 1);
	out.seq = 0;
	CU_ASSERT_EQUAL(memcmp(&in, &out, sizeof(in)), 0);
	ends_close(&e);
}

static void
test_ring_completion_arrives_as_written(void)
{
	struct svm_cpl c;
	struct ends e;
	uint32_t first = 0;

	CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, false, 0x12345), 0);
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, 1, &first));
	put(&e, first, 0);
	svm_ring_complete(&e.ring, first, SVM_ST_PAGE_FAULT, 77, UINT64_C(0xdeadbeef000));
	CU_ASSERT_TRUE(svm_producer_pending(&e.prod));
	CU_ASSERT_TRUE(svm_producer_poll(&e.prod, &c));
	CU_ASSERT_EQUAL(c.status, SVM_ST_PAGE_FAULT);
	CU_ASSERT_EQUAL(c.done, 77);
	CU_ASSERT_EQUAL(c.fault_addr, UINT64_C(0xdeadbeef000));
	CU_ASSERT_EQUAL(c.id, (uint16_t)0x12345);
	CU_ASSERT_FALSE(svm_producer_poll(&e.prod, &c));
	ends_close(&e);
}

static void
test_ring_full_refuses_until_reaped(void)
{
	int mp;

	for (mp = 0; mp != 2; mp++) {
		struct svm_cpl c;
		struct ends e;
		uint32_t first = 0, i, more = 0;

		CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, mp, 0), 0);
		CU_ASSERT_FALSE(svm_producer_claim(&e.prod, DEPTH + 1, &first));
		CU_ASSERT_EQUAL(svm_producer_room(&e.prod), DEPTH);
		CU_ASSERT_TRUE(svm_producer_claim(&e.prod, DEPTH, &first));
		CU_ASSERT_EQUAL(svm_producer_room(&e.prod), 0);
		CU_ASSERT_FALSE(svm_producer_claim(&e.prod, 1, &more));
		for (i = 0; i != DEPTH; i++)
			put(&e, first + i, i);
		/* Done is not enough: the completion's place is not free yet. */
		svm_ring_complete(&e.ring, first, SVM_ST_OK, 0, 0);
		CU_ASSERT_FALSE(svm_producer_claim(&e.prod, 1, &more));
		CU_ASSERT_TRUE(svm_producer_poll(&e.prod, &c));
		CU_ASSERT_EQUAL(svm_producer_room(&e.prod), 1);
		CU_ASSERT_FALSE(svm_producer_claim(&e.prod, 2, &more));
		CU_ASSERT_TRUE(svm_producer_claim(&e.prod, 1, &more));
		CU_ASSERT_EQUAL(more, first + DEPTH);
		ends_close(&e);
	}
}

/* Pass `laps` rings full through, in batches that do not divide the depth. */
static uint32_t
laps_pass(uint32_t start, uint32_t laps, bool mp)
{
	uint32_t sent = start, taken = start, wrong = 0;
	struct ends e;

	if (ends_open(&e, DEPTH, mp, start) != 0)
		return UINT32_MAX;
	while (taken - start != laps * DEPTH) {
		const uint32_t n = 1 + sent % 7;
		struct svm_desc d;
		struct svm_cpl c;
		uint32_t first = 0, i;

		if (sent - start + n <= laps * DEPTH && svm_producer_claim(&e.prod, n, &first)) {
			wrong += first != sent;
			for (i = 0; i != n; i++)
				put(&e, first + i, first + i);
			sent += n;
			continue;
		}
		if (sent - start != laps * DEPTH && sent == taken &&
				svm_producer_claim(&e.prod, 1, &first)) {
			put(&e, first, first);
			sent++;
		}
		wrong += !svm_ring_ready(&e.ring, taken) || svm_ring_ready(&e.ring, sent);
		svm_ring_take(&e.ring, taken, &d);
		wrong += d.cookie != taken;
		wrong += svm_producer_pending(&e.prod);
		svm_ring_complete(&e.ring, taken, SVM_ST_OK, taken ^ 0x5a5a, 0);
		wrong += !svm_producer_poll(&e.prod, &c) || c.done != (taken ^ 0x5a5a) ||
			c.id != (uint16_t)taken;
		taken++;
	}
	ends_close(&e);
	return wrong;
}

static void
test_ring_many_laps_keep_order(void)
{
	CU_ASSERT_EQUAL(laps_pass(0, 40, false), 0);
	CU_ASSERT_EQUAL(laps_pass(0, 40, true), 0);
}

static void
test_ring_counters_cross_the_wrap(void)
{
	CU_ASSERT_EQUAL(laps_pass(NEAR_WRAP, 40, false), 0);
	CU_ASSERT_EQUAL(laps_pass(NEAR_WRAP, 40, true), 0);
	CU_ASSERT_EQUAL(laps_pass(UINT32_MAX, 3, false), 0);
}

static void
test_ring_phase_turns_each_lap(void)
{
	struct ends e;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, false, 0), 0);
	for (i = 0; i != DEPTH; i++) {
		CU_ASSERT_EQUAL(svm_ring_phase(&e.ring, i), 1);
		CU_ASSERT_EQUAL(svm_ring_phase(&e.ring, i + DEPTH), 0);
		CU_ASSERT_EQUAL(svm_ring_phase(&e.ring, i + 2 * DEPTH), 1);
		CU_ASSERT_EQUAL(svm_ring_phase(&e.ring, i - DEPTH), 0);
	}
	ends_close(&e);
}

static void
test_ring_completion_of_the_lap_before_is_not_taken_again(void)
{
	uint32_t first = 0, i, more = 0;
	struct svm_cpl c;
	struct ends e;

	CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, false, 0), 0);
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, DEPTH, &first));
	for (i = 0; i != DEPTH; i++) {
		put(&e, i, i);
		svm_ring_complete(&e.ring, i, SVM_ST_OK, 0, 0);
		CU_ASSERT_TRUE(svm_producer_poll(&e.prod, &c));
	}
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, 1, &more));
	put(&e, more, 0);
	CU_ASSERT_FALSE(svm_producer_poll(&e.prod, &c));
	CU_ASSERT_FALSE(svm_ring_ready(&e.ring, more + 1));
	ends_close(&e);
}

static void
test_ring_first_mark_hands_the_batch_over(void)
{
	enum { N = 8 };
	const struct svm_desc d = { .op = SVM_OP_NOP };
	uint32_t first = 0, i;
	struct ends e;

	CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, false, NEAR_WRAP), 0);
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, N, &first));
	for (i = 0; i != N; i++)
		svm_producer_fill(&e.prod, first + i, &d);
	for (i = N - 1; i != 0; i--)
		svm_producer_mark(&e.prod, first + i);
	CU_ASSERT_FALSE(svm_ring_ready(&e.ring, first));
	svm_producer_mark(&e.prod, first);
	for (i = 0; i != N; i++)
		CU_ASSERT_TRUE(svm_ring_ready(&e.ring, first + i));
	CU_ASSERT_FALSE(svm_ring_ready(&e.ring, first + N));
	ends_close(&e);
}

static void
test_ring_slot_never_marked_stalls_those_behind(void)
{
	uint32_t a = 0, b = 0;
	struct ends e;

	CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, true, 0), 0);
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, 1, &a));
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, 1, &b));
	put(&e, b, 2);
	CU_ASSERT_FALSE(svm_ring_ready(&e.ring, a));
	put(&e, a, 1);
	CU_ASSERT_TRUE(svm_ring_ready(&e.ring, a));
	ends_close(&e);
}

static void
test_ring_segments_go_with_their_slot(void)
{
	struct svm_seg out[SVM_SG_MAX];
	uint32_t first = 0, i, k, wrong = 0;
	struct ends e;

	CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, false, NEAR_WRAP), 0);
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, DEPTH, &first));
	for (i = 0; i != DEPTH; i++) {
		struct svm_seg *row = svm_producer_segs(&e.prod, first + i);

		for (k = 0; k != SVM_SG_MAX; k++)
			row[k] = (struct svm_seg) { .src = i, .dst = k, .len = i * k };
		put(&e, first + i, 0);
	}
	for (i = 0; i != DEPTH; i++) {
		svm_ring_take_segs(&e.ring, first + i, out, SVM_SG_MAX);
		for (k = 0; k != SVM_SG_MAX; k++)
			wrong += out[k].src != i || out[k].dst != k || out[k].len != i * k;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT((char *)svm_producer_segs(&e.prod, first + DEPTH) >= (char *)e.ring.seg);
	CU_ASSERT_EQUAL(svm_producer_segs(&e.prod, DEPTH - 1) + SVM_SG_MAX,
		(struct svm_seg *)((char *)e.mem + svm_ring_layout(DEPTH).size));
	ends_close(&e);
}

static void
test_ring_scribbled_tail_refuses_claims(void)
{
	struct ends e;
	uint32_t first = 0;

	CU_ASSERT_EQUAL_FATAL(ends_open(&e, DEPTH, true, 0), 0);
	e.ring.hdr->sq_tail = 0x40000000;
	CU_ASSERT_FALSE(svm_producer_claim(&e.prod, 1, &first));
	e.ring.hdr->sq_tail = 0;
	CU_ASSERT_TRUE(svm_producer_claim(&e.prod, 1, &first));
	ends_close(&e);
}

int
test_ring_suite(void)
{
	static const struct {
		const char *name;
		CU_TestFunc fn;
	} tests[] = {
#define T(fn) { #fn, fn }
		T(test_ring_depth_out_of_range_is_refused),
		T(test_ring_layout_parts_do_not_overlap),
		T(test_ring_fresh_holds_nothing),
		T(test_ring_descriptor_arrives_as_written),
		T(test_ring_completion_arrives_as_written),
		T(test_ring_full_refuses_until_reaped),
		T(test_ring_many_laps_keep_order),
		T(test_ring_counters_cross_the_wrap),
		T(test_ring_phase_turns_each_lap),
		T(test_ring_completion_of_the_lap_before_is_not_taken_again),
		T(test_ring_first_mark_hands_the_batch_over),
		T(test_ring_slot_never_marked_stalls_those_behind),
		T(test_ring_segments_go_with_their_slot),
		T(test_ring_scribbled_tail_refuses_claims),
#undef T
	};
	CU_pSuite suite = CU_add_suite("ring", NULL, NULL);
	size_t i;

	if (suite == NULL)
		return -1;
	for (i = 0; i != sizeof(tests) / sizeof(tests[0]); i++)
		if (CU_add_test(suite, tests[i].name, tests[i].fn) == NULL)
			return -1;
	return test_ring_threads_add(suite);
}
