/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dmadev: the operations that an application sees through rte_dma_*, in each
 * form of the engine, on the owner's own memory.
 */
#include <errno.h>
#include <string.h>

#include "suites.h"
#include "test_dmadev.h"

static void
test_dmadev_info_tells_what_it_can(void)
{
	const uint64_t capa = RTE_DMA_CAPA_MEM_TO_MEM | RTE_DMA_CAPA_MEM_TO_DEV |
		RTE_DMA_CAPA_DEV_TO_MEM | RTE_DMA_CAPA_DEV_TO_DEV | RTE_DMA_CAPA_SVA |
		RTE_DMA_CAPA_SILENT | RTE_DMA_CAPA_HANDLES_ERRORS | RTE_DMA_CAPA_OPS_COPY |
		RTE_DMA_CAPA_OPS_COPY_SG | RTE_DMA_CAPA_OPS_FILL;
	struct fx *f = fx_begin("");
	struct rte_dma_info info;

	TEST_EQUAL(rte_dma_info_get(dma_id(f), &info), 0);
	TEST_EQUAL(info.dev_capa, capa);
	TEST_EQUAL(info.max_vchans, 64);
	TEST_EQUAL(info.min_desc, 32);
	TEST_EQUAL(info.max_desc, 32768);
	TEST_EQUAL(info.max_sges, 8);
	CU_ASSERT(info.numa_node >= 0);
}

static void
test_dmadev_copies_arrive_with_ids_in_order(void)
{
	struct fx *f = fx_begin("");
	enum rte_dma_status_code codes[64];
	uint64_t seed;
	int16_t id;
	char *src, *dst;
	int i;

	if (f == NULL)
		return;
	id = dma_local(f);
	src = fx_mem_filled(f, 64 * LEN, &seed);
	dst = fx_mem(f, 64 * LEN);
	for (i = 0; i != 64; i++)
		TEST_EQUAL(rte_dma_copy(id, 0, VA(src + i * LEN), VA(dst + i * LEN), LEN,
			i % 16 == 15 ? RTE_DMA_OP_FLAG_SUBMIT : 0), i);
	gather(f, id, 64, codes);
	for (i = 0; i != 64; i++)
		TEST_EQUAL(codes[i], RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(wk_pattern_check(dst, 64 * LEN, seed, 0), 64 * LEN);
}

static void
test_dmadev_nothing_starts_before_submit(void)
{
	struct fx *f = fx_begin("");
	enum rte_dma_status_code codes[8];
	enum rte_dma_vchan_status st;
	uint64_t seed, until;
	int16_t id;
	char *src, *dst;
	int i;

	if (f == NULL)
		return;
	id = dma_local(f);
	src = fx_mem_filled(f, 8 * LEN, &seed);
	dst = fx_mem(f, 8 * LEN);
	for (i = 0; i != 8; i++)
		rte_dma_copy(id, 0, VA(src + i * LEN), VA(dst + i * LEN), LEN, 0);
	for (until = fx_now_ms() + 20; fx_now_ms() < until; fx_idle(f))
		;
	TEST_EQUAL(rte_dma_completed(id, 0, 8, NULL, NULL), 0);
	TEST_EQUAL(rte_dma_vchan_status(id, 0, &st), 0);
	TEST_EQUAL(st, RTE_DMA_VCHAN_IDLE);
	for (i = 0; i != 8 * (int)LEN && dst[i] == 0; i++)
		;
	TEST_EQUAL(i, 8 * LEN);
	TEST_EQUAL(rte_dma_submit(id, 0), 0);
	gather(f, id, 8, codes);
	TEST_EQUAL(wk_pattern_check(dst, 8 * LEN, seed, 0), 8 * LEN);
}

static void
test_dmadev_last_idx_is_right_when_nothing_completed(void)
{
	struct fx *f = fx_begin("");
	enum rte_dma_status_code code;
	bool error = true;
	uint16_t last = 7;
	int16_t id;
	char *mem;

	if (f == NULL)
		return;
	id = dma_local(f);
	mem = fx_mem(f, 2 * LEN);
	TEST_EQUAL(rte_dma_completed(id, 0, 1, &last, &error), 0);
	TEST_EQUAL(last, UINT16_MAX);
	CU_ASSERT_FALSE(error);
	TEST_EQUAL(copy_one(f, id, VA(mem), VA(mem + LEN), LEN), RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(rte_dma_completed_status(id, 0, 1, &last, &code), 0);
	TEST_EQUAL(last, 0);
	last = 7;
	TEST_EQUAL(rte_dma_completed(id, 0, 1, &last, &error), 0);
	TEST_EQUAL(last, 0);
}

static void
test_dmadev_sg_cuts_at_both_sides_boundaries(void)
{
	struct fx *f = fx_begin("");
	struct rte_dma_sge from[8], to[8];
	uint64_t seed;
	char *src, *dst;
	int16_t id;
	uint32_t i;

	if (f == NULL)
		return;
	id = dma_local(f);
	src = fx_mem_filled(f, 4096, &seed);
	dst = fx_mem(f, 4096);
	for (i = 0; i != 256; i++) {
		const uint32_t len = 64 + (uint32_t)(wk_word(seed, i) % 4000);
		const uint16_t nb_from = 1 + i % 8, nb_to = 1 + i / 8 % 8;
		const uint16_t cap = rte_dma_burst_capacity(id, 0);
		int ret;

		memset(dst, 0, 4096);
		sges_make(from, nb_from, VA(src), len, seed + 2 * i);
		sges_make(to, nb_to, VA(dst), len, seed + 2 * i + 1);
		ret = rte_dma_copy_sg(id, 0, from, to, nb_from, nb_to, 0);
		TEST_EQUAL(ret, i);
		TEST_EQUAL(rte_dma_burst_capacity(id, 0), cap - 1);
		TEST_EQUAL(rte_dma_submit(id, 0), 0);
		TEST_EQUAL(status_of(f, id, ret), RTE_DMA_STATUS_SUCCESSFUL);
		if (wk_pattern_check(dst, len, seed, 0) != len || dst[len] != 0)
			test_fail("%u and %u pieces of %u bytes: wrong", nb_from, nb_to, len);
	}
}

static void
test_dmadev_sg_wrong_lists_refused_without_trace(void)
{
	struct fx *f = fx_begin("");
	struct rte_dma_sge from[9], to[9];
	uint64_t seed;
	char *src, *dst;
	uint16_t cap;
	int16_t id;

	if (f == NULL)
		return;
	id = dma_local(f);
	src = fx_mem_filled(f, LEN, &seed);
	dst = fx_mem(f, LEN);
	cap = rte_dma_burst_capacity(id, 0);
	sges_make(from, 9, VA(src), LEN, seed);
	sges_make(to, 9, VA(dst), LEN, seed + 1);
	TEST_EQUAL(rte_dma_copy_sg(id, 0, from, to, 9, 9, 0), -EINVAL);
	TEST_EQUAL(rte_dma_copy_sg(id, 0, from, to, 0, 0, 0), -EINVAL);
	TEST_EQUAL(rte_dma_copy_sg(id, 0, from, to, 1, 0, 0), -EINVAL);
	sges_make(from, 2, VA(src), LEN, seed);
	sges_make(to, 3, VA(dst), LEN - 1, seed);
	TEST_EQUAL(rte_dma_copy_sg(id, 0, from, to, 2, 3, 0), -EINVAL);
	TEST_EQUAL(rte_dma_burst_capacity(id, 0), cap);
	TEST_EQUAL(rte_dma_submit(id, 0), 0);
	TEST_EQUAL(rte_dma_copy(id, 0, VA(src), VA(dst), LEN, RTE_DMA_OP_FLAG_SUBMIT), 0);
	TEST_EQUAL(status_of(f, id, 0), RTE_DMA_STATUS_SUCCESSFUL);
}

static void
test_dmadev_fill_repeats_eight_bytes_and_no_more(void)
{
	static const uint32_t lengths[] = { 1, 7, 8, 9, 64, 1000, 4093 };
	struct fx *f = fx_begin("");
	uint64_t seed;
	unsigned int i;
	int16_t id;
	char *dst;

	if (f == NULL)
		return;
	id = dma_local(f);
	dst = fx_mem_filled(f, 4096, &seed);
	for (i = 0; i != RTE_DIM(lengths); i++) {
		const uint64_t pattern = wk_word(seed, i + 1000);
		uint32_t k;

		memset(dst, 0, 4096);
		TEST_EQUAL(status_of(f, id, rte_dma_fill(id, 0, pattern, VA(dst), lengths[i],
			RTE_DMA_OP_FLAG_SUBMIT)), RTE_DMA_STATUS_SUCCESSFUL);
		for (k = 0; k != lengths[i] && dst[k] == ((const char *)&pattern)[k % 8]; k++)
			;
		TEST_EQUAL(k, lengths[i]);
		TEST_EQUAL(dst[k], 0);
	}
}

static void
test_dmadev_copy_after_fill_in_the_same_slot(void)
{
	struct fx *f = fx_begin("");
	enum rte_dma_status_code codes[FX_DEPTH];
	uint64_t seed;
	int16_t id;
	char *src, *dst;
	int i, lap;

	if (f == NULL)
		return;
	id = dma_local(f);
	src = fx_mem_filled(f, LEN, &seed);
	dst = fx_mem(f, LEN);
	for (lap = 0; lap != 2; lap++) {
		for (i = 0; i != FX_DEPTH; i++) {
			if (lap == 0)
				rte_dma_fill(id, 0, seed, VA(dst), LEN, 0);
			else
				rte_dma_copy(id, 0, VA(src), VA(dst), LEN, 0);
		}
		rte_dma_submit(id, 0);
		gather(f, id, FX_DEPTH, codes);
		for (i = 0; i != FX_DEPTH; i++)
			TEST_EQUAL(codes[i], RTE_DMA_STATUS_SUCCESSFUL);
	}
	TEST_EQUAL(wk_pattern_check(dst, LEN, seed, 0), LEN);
}

static void
test_dmadev_completed_stops_before_the_failed_one(void)
{
	static const int fails[] = { 0, 7, 15 };
	struct fx *f = fx_begin("");
	enum rte_dma_status_code codes[16];
	int first = 0, i, k;
	bool error;
	uint16_t last;
	int16_t id;
	char *mem;

	if (f == NULL)
		return;
	id = dma_local(f);
	mem = fx_mem(f, 2 * LEN);
	for (k = 0; k != (int)RTE_DIM(fails); k++, first += 16) {
		for (i = 0; i != 16; i++)
			rte_dma_copy(id, 0, i == fails[k] ? 0 : VA(mem), VA(mem + LEN), LEN, 0);
		rte_dma_submit(id, 0);
		await_idle(f, id, 0);
		error = false;
		TEST_EQUAL(rte_dma_completed(id, 0, 16, &last, &error), fails[k]);
		CU_ASSERT_TRUE(error);
		TEST_EQUAL(last, (uint16_t)(first + fails[k] - 1));
		for (i = 0; i != 3; i++) {
			error = false;
			TEST_EQUAL(rte_dma_completed(id, 0, 16, &last, &error), 0);
			CU_ASSERT_TRUE(error);
			TEST_EQUAL(last, (uint16_t)(first + fails[k] - 1));
		}
		TEST_EQUAL(rte_dma_completed_status(id, 0, 1, &last, codes), 1);
		TEST_EQUAL(codes[0], RTE_DMA_STATUS_PAGE_FAULT);
		TEST_EQUAL(last, first + fails[k]);
		TEST_EQUAL(rte_dma_completed(id, 0, 16, &last, &error), 15 - fails[k]);
		CU_ASSERT_FALSE(error);
	}
}

static void
test_dmadev_bad_operations_end_with_their_status(void)
{
	struct rte_dma_sge none = { .addr = 0, .length = 0 };
	struct fx *f = fx_begin("");
	struct rte_svm_fault fault;
	int16_t id;
	char *mem;
	int ret;

	if (f == NULL)
		return;
	id = dma_local(f);
	mem = fx_mem(f, LEN);
	TEST_EQUAL(copy_one(f, id, VA(mem), VA(mem), 0), RTE_DMA_STATUS_INVALID_LENGTH);
	TEST_EQUAL(copy_one(f, id, VA(mem), VA(mem), RTE_SVM_LEN_MAX + 1),
		RTE_DMA_STATUS_INVALID_LENGTH);
	TEST_EQUAL(copy_one(f, id, UINT64_MAX - 3, VA(mem), 8), RTE_DMA_STATUS_INVALID_LENGTH);
	ret = rte_dma_copy_sg(id, 0, &none, &none, 1, 1, RTE_DMA_OP_FLAG_SUBMIT);
	TEST_EQUAL(status_of(f, id, ret), RTE_DMA_STATUS_INVALID_LENGTH);
	TEST_EQUAL(rte_svm_fault_poll(f->dev, &fault, 1), 0);
	TEST_EQUAL(copy_one(f, id, VA(mem), 8, 8), RTE_DMA_STATUS_PAGE_FAULT);
	TEST_EQUAL(rte_svm_fault_poll(f->dev, &fault, 1), 1);
	TEST_EQUAL(fault.addr, 8);
	TEST_EQUAL(fault.write, 1);
	TEST_EQUAL(fault.cookie, 4);
}

int
test_dmadev_suite(void)
{
#define T(name, rows) { #name, name, rows }
	static const struct fx_test tests[] = {
		T(test_dmadev_info_tells_what_it_can, FX_ONE),
		T(test_dmadev_copies_arrive_with_ids_in_order, FX_LANE),
		T(test_dmadev_nothing_starts_before_submit, FX_LANE),
		T(test_dmadev_last_idx_is_right_when_nothing_completed, FX_LANE),
		T(test_dmadev_sg_cuts_at_both_sides_boundaries, FX_LANE),
		T(test_dmadev_sg_wrong_lists_refused_without_trace, FX_ONE),
		T(test_dmadev_fill_repeats_eight_bytes_and_no_more, FX_LANE),
		T(test_dmadev_copy_after_fill_in_the_same_slot, FX_ONE),
		T(test_dmadev_completed_stops_before_the_failed_one, FX_LANE),
		T(test_dmadev_bad_operations_end_with_their_status, FX_LANE),
	};
#undef T

	if (fx_add_tests("dmadev", tests, RTE_DIM(tests)) != 0)
		return -1;
	return test_dmadev_vchan_add();
}
