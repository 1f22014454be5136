/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dmadev and its vchans: ids, capacity, statistics, start and stop, what it
 * says of itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>

#include "test_dmadev.h"

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
			TEST_EQUAL(rte_dma_copy(id, v, VA(src + v * 64), VA(dst + v * 64), 64,
				0), i);
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
test_dmadev_vchan_add(void)
{
#define T(name, rows) { #name, name, rows }
	static const struct fx_test tests[] = {
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

	return fx_add_tests("dmadev_vchan", tests, RTE_DIM(tests));
}
