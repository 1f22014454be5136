/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dmadev's way into, out of and between workers: directions, PASIDs in
 * ports, and rte_svm_vchan_attach().
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "suites.h"
#include "test_dmadev.h"

static void
test_dmadev_bonds_mem_to_dev_arrives_in_the_worker(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t seed, there;
	int16_t id;
	char *src;

	if (f == NULL)
		return;
	w = fx_bound(f);
	there = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, 3 * LEN);
	src = fx_mem_filled(f, 3 * LEN, &seed);
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, pasid_of(w), false);
	TEST_EQUAL(copy_one(f, id, VA(src), there, 3 * LEN), RTE_DMA_STATUS_SUCCESSFUL);
	CU_ASSERT(fx_verify(w, there, 3 * LEN, seed, 0));
}

static void
test_dmadev_bonds_dev_to_mem_comes_out_of_the_worker(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t seed, there;
	int16_t id;
	char *dst;

	if (f == NULL)
		return;
	w = fx_bound(f);
	there = fx_do(w, WK_ALLOC, WK_MEM_STACK, 3 * LEN);
	seed = fx_do(w, WK_FILL, there, 3 * LEN);
	dst = fx_mem(f, 3 * LEN);
	id = dma_one(f, RTE_DMA_DIR_DEV_TO_MEM, pasid_of(w), 0, false);
	TEST_EQUAL(copy_one(f, id, there, VA(dst), 3 * LEN), RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(wk_pattern_check(dst, 3 * LEN, seed, 0), 3 * LEN);
}

static void
test_dmadev_bonds_dev_to_dev_goes_between_workers(void)
{
	struct fx *f = fx_begin("");
	struct rte_dma_sge from[3], to[5];
	struct fx_worker *a, *b;
	uint64_t seed, at_a, at_b;
	int16_t id;
	int ret;

	if (f == NULL)
		return;
	a = fx_bound(f);
	b = fx_bound(f);
	at_a = fx_do(a, WK_ALLOC, WK_MEM_PRIVATE, 3 * LEN);
	at_b = fx_do(b, WK_ALLOC, WK_MEM_MALLOC, 3 * LEN);
	seed = fx_do(a, WK_FILL, at_a, 3 * LEN);
	id = dma_one(f, RTE_DMA_DIR_DEV_TO_DEV, pasid_of(a), pasid_of(b), false);
	sges_make(from, 3, at_a, 3 * LEN, seed);
	sges_make(to, 5, at_b, 3 * LEN, seed + 1);
	ret = rte_dma_copy_sg(id, 0, from, to, 3, 5, RTE_DMA_OP_FLAG_SUBMIT);
	TEST_EQUAL(status_of(f, id, ret), RTE_DMA_STATUS_SUCCESSFUL);
	CU_ASSERT(fx_verify(b, at_b, 3 * LEN, seed, 0));
}

static void
test_dmadev_bonds_fill_reaches_the_worker(void)
{
	const uint64_t word = UINT64_C(0x1122334455667788);
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t there;
	int16_t id;

	if (f == NULL)
		return;
	w = fx_bound(f);
	there = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, 8192);
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, pasid_of(w), false);
	TEST_EQUAL(status_of(f, id, rte_dma_fill(id, 0, word, there, 5003,
		RTE_DMA_OP_FLAG_SUBMIT)), RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, there, 5003, word), 5003);
	TEST_EQUAL(fx_do(w, WK_VERIFY_WORD, there + 5003, 8192 - 5003, 0), 8192 - 5003);
}

/* Each link of the chain reads what the one before it wrote. */
static void
test_dmadev_bonds_fence_orders_a_chain_in_a_worker(void)
{
	enum { LINKS = 40 };
	struct fx *f = fx_begin("");
	enum rte_dma_status_code codes[LINKS];
	struct fx_worker *w;
	uint64_t seed, there;
	int16_t id;
	int i;

	if (f == NULL)
		return;
	w = fx_bound(f);
	there = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, (LINKS + 1) * LEN);
	seed = fx_do(w, WK_FILL, there, LEN);
	id = dma_one(f, RTE_DMA_DIR_DEV_TO_DEV, pasid_of(w), pasid_of(w), false);
	for (i = 0; i != LINKS; i++)
		TEST_EQUAL(rte_dma_copy(id, 0, there + i * LEN, there + (i + 1) * LEN, LEN,
			RTE_DMA_OP_FLAG_FENCE), i);
	rte_dma_submit(id, 0);
	gather(f, id, LINKS, codes);
	for (i = 0; i != LINKS; i++)
		TEST_EQUAL(codes[i], RTE_DMA_STATUS_SUCCESSFUL);
	CU_ASSERT(fx_verify(w, there + LINKS * LEN, LEN, seed, 0));
}

static void
test_dmadev_bonds_dead_worker_ends_with_link_error(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t there;
	int16_t id;
	char *src;

	if (f == NULL)
		return;
	w = fx_bound(f);
	there = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, LEN);
	src = fx_mem(f, LEN);
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, pasid_of(w), false);
	TEST_EQUAL(copy_one(f, id, VA(src), there, LEN), RTE_DMA_STATUS_SUCCESSFUL);
	fx_kill(w, SIGKILL);
	TEST_EQUAL(copy_one(f, id, VA(src), there, LEN), RTE_DMA_STATUS_DEV_LINK_ERROR);
}

static void
test_dmadev_bonds_unbound_worker_ends_with_link_error(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w, *other;
	uint64_t there;
	uint32_t pasid;
	int16_t id;
	char *src;

	if (f == NULL)
		return;
	w = fx_bound(f);
	pasid = pasid_of(w);
	there = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, LEN);
	src = fx_mem(f, LEN);
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, pasid, false);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	/* The vchan still holds the PASID: no other worker gets it. */
	other = fx_bound(f);
	CU_ASSERT_NOT_EQUAL(pasid_of(other), pasid);
	TEST_EQUAL(copy_one(f, id, VA(src), there, LEN), RTE_DMA_STATUS_DEV_LINK_ERROR);
}

static void
test_dmadev_bonds_unknown_pasid_refused(void)
{
	struct fx *f = fx_begin("max_bonds=2");
	const int16_t id = dma_id(f);
	struct fx_worker *w = fx_bound(f);
	const uint32_t pasid = pasid_of(w);

	dma_configure(id, 1, false);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_MEM_TO_DEV, 0, pasid + 1, 32), -ENOENT);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_DEV_TO_MEM, 0xfffff, 0, 32), -ENOENT);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_DEV_TO_DEV, pasid, pasid + 1, 32), -ENOENT);
	TEST_EQUAL(rte_dma_start(id), -EINVAL);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_DEV_TO_DEV, pasid, pasid, 32), 0);
	/* Nothing holds the bond any more: both PASIDs are there for others. */
	dma_configure(id, 1, false);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	fx_bound(f);
	fx_bound(f);
}

static void
test_dmadev_bonds_pasid_zero_is_the_owner(void)
{
	struct fx *f = fx_begin("");
	uint64_t seed;
	char *src, *dst;
	int16_t id;

	if (f == NULL)
		return;
	id = dma_one(f, RTE_DMA_DIR_DEV_TO_DEV, 0, 0, false);
	src = fx_mem_filled(f, LEN, &seed);
	dst = fx_mem(f, LEN);
	TEST_EQUAL(copy_one(f, id, VA(src), VA(dst), LEN), RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(wk_pattern_check(dst, LEN, seed, 0), LEN);
}

static void
test_dmadev_bonds_attach_moves_a_started_vchan(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *a, *b;
	uint64_t seed, at_a, at_b;
	int16_t id;
	char *src;

	if (f == NULL)
		return;
	a = fx_bound(f);
	b = fx_bound(f);
	at_a = fx_do(a, WK_ALLOC, WK_MEM_MALLOC, LEN);
	at_b = fx_do(b, WK_ALLOC, WK_MEM_MALLOC, LEN);
	src = fx_mem_filled(f, LEN, &seed);
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, 0, false);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, a->bond), 0);
	TEST_EQUAL(copy_one(f, id, VA(src), at_a, LEN), RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, b->bond), 0);
	TEST_EQUAL(copy_one(f, id, VA(src), at_b, LEN), RTE_DMA_STATUS_SUCCESSFUL);
	CU_ASSERT(fx_verify(a, at_a, LEN, seed, 0));
	CU_ASSERT(fx_verify(b, at_b, LEN, seed, 0));
}

static void
test_dmadev_bonds_attach_of_a_busy_vchan_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w;
	uint64_t seed, there;
	int16_t id;
	char *src;

	if (f == NULL)
		return;
	w = fx_bound(f);
	there = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, LEN);
	src = fx_mem_filled(f, LEN, &seed);
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, pasid_of(w), false);
	TEST_EQUAL(rte_dma_copy(id, 0, VA(src), there, LEN, 0), 0);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, RTE_SVM_OWNER), -EBUSY);
	rte_dma_submit(id, 0);
	await_idle(f, id, 0);
	/* Done, but not gathered. */
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, RTE_SVM_OWNER), -EBUSY);
	TEST_EQUAL(rte_dma_completed(id, 0, 1, NULL, NULL), 1);
	CU_ASSERT(fx_verify(w, there, LEN, seed, 0));
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, RTE_SVM_OWNER), 0);
}

static void
test_dmadev_bonds_attach_wrong_arguments_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	const int16_t id = dma_id(f);

	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, w->bond), -EINVAL);
	dma_configure(id, 2, false);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_MEM_TO_DEV, 0, 0, 32), 0);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, w->bond, RTE_SVM_OWNER), -EINVAL);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, w->bond + 1000), -ENOENT);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 1, RTE_SVM_OWNER, RTE_SVM_OWNER), -EINVAL);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 2, RTE_SVM_OWNER, RTE_SVM_OWNER), -EINVAL);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, w->bond), 0);
	TEST_EQUAL(vchan_setup(id, 0, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, 32), 0);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, RTE_SVM_OWNER, w->bond), -EINVAL);
}

int
test_dmadev_bonds_suite(void)
{
#define T(name, rows) { #name, name, rows }
	static const struct fx_test tests[] = {
		T(test_dmadev_bonds_mem_to_dev_arrives_in_the_worker, FX_ALL),
		T(test_dmadev_bonds_dev_to_mem_comes_out_of_the_worker, FX_ALL),
		T(test_dmadev_bonds_dev_to_dev_goes_between_workers, FX_ALL),
		T(test_dmadev_bonds_fill_reaches_the_worker, FX_ALL),
		T(test_dmadev_bonds_fence_orders_a_chain_in_a_worker, FX_ALL),
		T(test_dmadev_bonds_dead_worker_ends_with_link_error, FX_ALL),
		T(test_dmadev_bonds_unbound_worker_ends_with_link_error, FX_ONE),
		T(test_dmadev_bonds_unknown_pasid_refused, FX_ONE),
		T(test_dmadev_bonds_pasid_zero_is_the_owner, FX_LANE),
		T(test_dmadev_bonds_attach_moves_a_started_vchan, FX_ALL),
		T(test_dmadev_bonds_attach_of_a_busy_vchan_refused, FX_LANE),
		T(test_dmadev_bonds_attach_wrong_arguments_refused, FX_ONE),
	};
#undef T

	return fx_add_tests("dmadev_bonds", tests, RTE_DIM(tests));
}
