/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dmadev: what an application sees through rte_dma_*, in each form of the
 * engine, on the owner's own memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>

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

static void
test_dmadev_ids_wrap_at_sixteen_bits(void)
{
	struct fx *f = fx_begin("");
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	uint32_t sent = 0, got = 0, wrong = 0;
	bool error;
	uint16_t last;
	int16_t id;
	char *mem;

	if (f == NULL)
		return;
	id = dma_local(f);
	mem = fx_mem(f, 128);
	while (got < 2 * 65536 + 1000) {
		uint16_t room = RTE_MIN(rte_dma_burst_capacity(id, 0), 32);

		for (; room != 0; room--, sent++)
			wrong += rte_dma_copy(id, 0, VA(mem), VA(mem + 64), 64, 0) !=
				(int)(sent & 0xffff);
		rte_dma_submit(id, 0);
		got += rte_dma_completed(id, 0, 64, &last, &error);
		wrong += error || last != (uint16_t)(got - 1);
		if (fx_now_ms() > end)
			test_fail("%u operations ended in time", got);
	}
	TEST_EQUAL(wrong, 0);
}

static void
test_dmadev_capacity_is_exact(void)
{
	struct fx *f = fx_begin("");
	enum rte_dma_status_code codes[64];
	const int16_t id = f == NULL ? -1 : dma_id(f);
	struct rte_dma_sge sge[2] = { { .length = 1 }, { .length = 1 } };
	uint64_t seed;
	char *src, *dst;
	int i;

	if (f == NULL)
		return;
	dma_configure(id, 1, false);
	/* 33 descriptors are rounded up. */
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 33), 0);
	TEST_EQUAL(rte_dma_start(id), 0);
	src = fx_mem_filled(f, 64, &seed);
	dst = fx_mem(f, 64);
	TEST_EQUAL(rte_dma_burst_capacity(id, 0), 64);
	for (i = 0; i != 64; i++) {
		TEST_EQUAL(rte_dma_copy(id, 0, VA(src + i), VA(dst + i), 1, 0), i);
		TEST_EQUAL(rte_dma_burst_capacity(id, 0), 63 - i);
	}
	TEST_EQUAL(rte_dma_copy(id, 0, VA(src), VA(dst), 1, RTE_DMA_OP_FLAG_SUBMIT), -ENOSPC);
	TEST_EQUAL(rte_dma_fill(id, 0, 0, VA(dst), 1, 0), -ENOSPC);
	TEST_EQUAL(rte_dma_copy_sg(id, 0, sge, sge, 2, 2, 0), -ENOSPC);
	TEST_EQUAL(rte_dma_submit(id, 0), 0);
	await_idle(f, id, 0);
	TEST_EQUAL(rte_dma_burst_capacity(id, 0), 0);
	gather(f, id, 64, codes);
	TEST_EQUAL(rte_dma_burst_capacity(id, 0), 64);
	TEST_EQUAL(wk_pattern_check(dst, 64, seed, 0), 64);
}

static void
test_dmadev_statistics_count_per_vchan_and_all(void)
{
	struct fx *f = fx_begin("");
	const int16_t id = f == NULL ? -1 : dma_id(f);
	enum rte_dma_status_code codes[8];
	struct rte_dma_stats s;
	uint16_t last, v;
	char *mem;
	int i;

	if (f == NULL)
		return;
	dma_configure(id, 2, false);
	for (v = 0; v != 2; v++)
		TEST_EQUAL(vchan_setup(id, v, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 32), 0);
	TEST_EQUAL(rte_dma_start(id), 0);
	mem = fx_mem(f, 128);
	for (i = 0; i != 6; i++)
		rte_dma_copy(id, i & 1, i == 3 ? 0 : VA(mem), VA(mem + 64), 64, 0);
	TEST_EQUAL(rte_dma_stats_get(id, RTE_DMA_ALL_VCHAN, &s), 0);
	TEST_EQUAL(s.submitted, 0);
	rte_dma_submit(id, 0);
	rte_dma_submit(id, 1);
	await_idle(f, id, 0);
	await_idle(f, id, 1);
	TEST_EQUAL(rte_dma_completed_status(id, 1, 8, &last, codes), 3);
	TEST_EQUAL(rte_dma_stats_get(id, 0, &s), 0);
	CU_ASSERT(s.submitted == 3 && s.completed == 0 && s.errors == 0);
	TEST_EQUAL(rte_dma_stats_get(id, 1, &s), 0);
	CU_ASSERT(s.submitted == 3 && s.completed == 3 && s.errors == 1);
	TEST_EQUAL(rte_dma_stats_reset(id, 1), 0);
	TEST_EQUAL(rte_dma_stats_get(id, RTE_DMA_ALL_VCHAN, &s), 0);
	CU_ASSERT(s.submitted == 3 && s.completed == 0 && s.errors == 0);
	TEST_EQUAL(rte_dma_stats_reset(id, RTE_DMA_ALL_VCHAN), 0);
	TEST_EQUAL(rte_dma_stats_get(id, 0, &s), 0);
	TEST_EQUAL(s.submitted, 0);
	TEST_EQUAL(rte_dma_completed(id, 0, 8, NULL, NULL), 3);
}

static void
test_dmadev_silent_goes_on_past_the_ring_and_counts_errors(void)
{
	struct fx *f = fx_begin("");
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_dma_stats s = { 0 };
	uint64_t seed;
	int16_t id;
	char *src, *dst;
	uint32_t i;
	int ret;

	if (f == NULL)
		return;
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, true);
	src = fx_mem_filled(f, 4 * FX_DEPTH, &seed);
	dst = fx_mem(f, 4 * FX_DEPTH);
	for (i = 0; i != 4 * FX_DEPTH; i++) {
		while ((ret = rte_dma_copy(id, 0, i == 300 ? 0 : VA(src + i), VA(dst + i), 1,
				i % 8 == 7 ? RTE_DMA_OP_FLAG_SUBMIT : 0)) == -ENOSPC) {
			fx_idle(f);
			if (fx_now_ms() > end)
				test_fail("operation %u finds no room", i);
		}
		TEST_EQUAL(ret, i);
	}
	await_idle(f, id, 0);
	TEST_EQUAL(rte_dma_burst_capacity(id, 0), FX_DEPTH);
	TEST_EQUAL(rte_dma_stats_get(id, 0, &s), 0);
	TEST_EQUAL(s.submitted, 4 * FX_DEPTH);
	TEST_EQUAL(s.completed, 4 * FX_DEPTH);
	TEST_EQUAL(s.errors, 1);
	TEST_EQUAL(wk_pattern_check(dst, 300, seed, 0), 300);
	TEST_EQUAL(memcmp(dst + 301, src + 301, 4 * FX_DEPTH - 301), 0);
}

static void
test_dmadev_stop_and_start_begin_anew(void)
{
	struct fx *f = fx_begin("");
	struct rte_dma_stats s;
	uint16_t last;
	int16_t id;
	char *mem;
	int lap, i;

	if (f == NULL)
		return;
	id = dma_local(f);
	mem = fx_mem(f, 2 * LEN);
	for (lap = 0; lap != 3; lap++) {
		TEST_EQUAL(rte_dma_stats_get(id, 0, &s), 0);
		CU_ASSERT(s.submitted == 0 && s.completed == 0 && s.errors == 0);
		/* The last 5 are neither gathered nor, the last 2, submitted. */
		for (i = 0; i != 10; i++)
			TEST_EQUAL(rte_dma_copy(id, 0, VA(mem), VA(mem + LEN), LEN,
				i < 8 ? RTE_DMA_OP_FLAG_SUBMIT : 0), i);
		await_idle(f, id, 0);
		TEST_EQUAL(rte_dma_completed(id, 0, 5, &last, NULL), 5);
		TEST_EQUAL(last, 4);
		TEST_EQUAL(rte_dma_stop(id), 0);
		/* Stopped, it takes nothing and tells nothing. */
		TEST_EQUAL(rte_dma_copy(id, 0, VA(mem), VA(mem + LEN), LEN, 0), -ENOSPC);
		TEST_EQUAL(rte_dma_completed(id, 0, 5, &last, NULL), 0);
		TEST_EQUAL(rte_dma_burst_capacity(id, 0), 0);
		TEST_EQUAL(rte_dma_start(id), 0);
		TEST_EQUAL(rte_dma_burst_capacity(id, 0), FX_DEPTH);
	}
}

static void
test_dmadev_start_without_vchan_setup_refused(void)
{
	struct fx *f = fx_begin("");
	const int16_t id = dma_id(f);

	dma_configure(id, 2, false);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 32), 0);
	TEST_EQUAL(rte_dma_start(id), -EINVAL);
	TEST_EQUAL(vchan_setup(id, 1, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 32), 0);
	TEST_EQUAL(rte_dma_start(id), 0);
}

static void
test_dmadev_service_without_a_core_refused_at_start(void)
{
	struct rte_svm_info info;
	struct fx *f = fx_begin("");
	int id;

	/* The fixture's device runs by itself; no service core is there. */
	TEST_EQUAL(rte_vdev_init("svm_lonely", "engine=service,socket=none"), 0);
	id = rte_dma_get_dev_id_by_name("svm_lonely");
	dma_configure((int16_t)id, 1, false);
	TEST_EQUAL(vchan_setup((int16_t)id, 0, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 32), 0);
	TEST_EQUAL(rte_dma_start((int16_t)id), -ENOTSUP);
	TEST_EQUAL(rte_svm_info_get((uint16_t)rte_svm_get_dev_id("svm_lonely"), &info), 0);
	TEST_EQUAL(info.started, 0);
	TEST_EQUAL(rte_vdev_uninit("svm_lonely"), 0);
	CU_ASSERT(f->started);
}

static void
test_dmadev_vchans_are_independent(void)
{
	enum { NB = 16 };
	struct fx *f = fx_begin("");
	const int16_t id = f == NULL ? -1 : dma_id(f);
	uint64_t seed;
	uint16_t v, last;
	char *src, *dst;
	int i;

	if (f == NULL)
		return;
	dma_configure(id, NB, false);
	for (v = 0; v != NB; v++)
		TEST_EQUAL(vchan_setup(id, v, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 32), 0);
	TEST_EQUAL(rte_dma_start(id), 0);
	src = fx_mem_filled(f, NB * 64, &seed);
	dst = fx_mem(f, NB * 64);
	for (v = 0; v != NB; v++)
		for (i = 0; i <= v; i++)
			TEST_EQUAL(rte_dma_copy(id, v, VA(src + v * 64), VA(dst + v * 64), 64, 0), i);
	for (v = NB; v-- != 0;)
		rte_dma_submit(id, v);
	for (v = 0; v != NB; v++) {
		await_idle(f, id, v);
		TEST_EQUAL(rte_dma_completed(id, v, 32, &last, NULL), v + 1);
		TEST_EQUAL(last, v);
	}
	TEST_EQUAL(wk_pattern_check(dst, NB * 64, seed, 0), NB * 64);
}

static void
test_dmadev_dump_shows_device_and_vchans(void)
{
	struct fx *f = fx_begin("");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int16_t id;

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	id = dma_local(f);
	TEST_EQUAL(rte_dma_dump(id, out), 0);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "engine: thread, cma: lane"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, f->socket));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vchan 0: mem-to-mem"));
	free(text);
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
		T(test_dmadev_ids_wrap_at_sixteen_bits, FX_LANE),
		T(test_dmadev_capacity_is_exact, FX_LANE),
		T(test_dmadev_statistics_count_per_vchan_and_all, FX_LANE),
		T(test_dmadev_silent_goes_on_past_the_ring_and_counts_errors, FX_LANE),
		T(test_dmadev_stop_and_start_begin_anew, FX_LANE),
		T(test_dmadev_start_without_vchan_setup_refused, FX_ONE),
		T(test_dmadev_service_without_a_core_refused_at_start, FX_ONE),
		T(test_dmadev_vchans_are_independent, FX_LANE),
		T(test_dmadev_dump_shows_device_and_vchans, FX_ONE),
	};
#undef T

	return fx_add_tests("dmadev", tests, RTE_DIM(tests));
}
