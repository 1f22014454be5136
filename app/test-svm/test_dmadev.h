/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the dmadev share: a started dmadev, gathering, pieces. */
#ifndef TEST_DMADEV_H
#define TEST_DMADEV_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_dmadev.h>

#include "fixture.h"

#define LEN	1024u
#define VA(p)	((rte_iova_t)(uintptr_t)(p))

/** Add what is about vchans to the suite "dmadev". @return 0, -1. */
int
test_dmadev_vchan_add(void);

/** Add what is about devices that are gone to the suite "dmadev_life". @return 0, -1. */
int
test_dmadev_gone_add(void);

static inline int16_t
dma_id(const struct fx *f)
{
	const int id = rte_dma_get_dev_id_by_name(f->name);

	if (id < 0)
		test_fail("%s has no dmadev", f->name);
	return (int16_t)id;
}

static inline void
dma_configure(int16_t id, uint16_t nb_vchans, bool silent)
{
	const struct rte_dma_conf conf = { .nb_vchans = nb_vchans, .enable_silent = silent };

	if (rte_dma_configure(id, &conf) != 0)
		test_fail("rte_dma_configure");
}

static inline struct rte_dma_port_param
port_of(uint32_t pasid)
{
	struct rte_dma_port_param port = { .port_type = RTE_DMA_PORT_PCIE };

	port.pcie.pasid = pasid;
	return port;
}

static inline int
vchan_setup(int16_t id, uint16_t vchan, enum rte_dma_direction dir, uint32_t src, uint32_t dst,
		uint16_t depth)
{
	struct rte_dma_vchan_conf conf = { .direction = dir, .nb_desc = depth };

	if (dir == RTE_DMA_DIR_DEV_TO_MEM || dir == RTE_DMA_DIR_DEV_TO_DEV)
		conf.src_port = port_of(src);
	if (dir == RTE_DMA_DIR_MEM_TO_DEV || dir == RTE_DMA_DIR_DEV_TO_DEV)
		conf.dst_port = port_of(dst);
	return rte_dma_vchan_setup(id, vchan, &conf);
}

/* A started dmadev with one vchan. */
static inline int16_t
dma_one(struct fx *f, enum rte_dma_direction dir, uint32_t src, uint32_t dst, bool silent)
{
	const int16_t id = dma_id(f);

	dma_configure(id, 1, silent);
	if (vchan_setup(id, 0, dir, src, dst, FX_DEPTH) != 0 || rte_dma_start(id) != 0)
		test_fail("the dmadev does not start");
	return id;
}

static inline int16_t
dma_local(struct fx *f)
{
	return dma_one(f, RTE_DMA_DIR_MEM_TO_MEM, 0, 0, false);
}

/* The engine has done all that was submitted; nothing is gathered. */
static inline void
await_idle(struct fx *f, int16_t id, uint16_t vchan)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	enum rte_dma_vchan_status st = RTE_DMA_VCHAN_ACTIVE;

	while (rte_dma_vchan_status(id, vchan, &st) == 0 && st == RTE_DMA_VCHAN_ACTIVE) {
		fx_idle(f);
		if (fx_now_ms() > end)
			test_fail("the vchan does not get idle");
	}
	TEST_EQUAL(st, RTE_DMA_VCHAN_IDLE);
}

/* Gather n completions of vchan 0 with their status. */
static inline void
gather(struct fx *f, int16_t id, uint16_t n, enum rte_dma_status_code *codes)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	uint16_t got = 0, last;

	while (got != n) {
		const uint16_t k = rte_dma_completed_status(id, 0, n - got, &last, codes + got);

		got += k;
		if (k == 0)
			fx_idle(f);
		if (fx_now_ms() > end)
			test_fail("%u of %u operations ended in time", got, n);
	}
}

/* The status of one operation, which was enqueued with id `ret`. */
static inline enum rte_dma_status_code
status_of(struct fx *f, int16_t id, int ret)
{
	enum rte_dma_status_code code;

	if (ret < 0)
		test_fail("enqueue: %d", ret);
	gather(f, id, 1, &code);
	return code;
}

static inline enum rte_dma_status_code
copy_one(struct fx *f, int16_t id, uint64_t src, uint64_t dst, uint32_t len)
{
	return status_of(f, id, rte_dma_copy(id, 0, src, dst, len, RTE_DMA_OP_FLAG_SUBMIT));
}

static inline uint32_t
pasid_of(struct fx_worker *w)
{
	struct rte_svm_bond_info info;

	if (rte_svm_bond_info_get(w->f->dev, w->bond, &info) != 0)
		test_fail("rte_svm_bond_info_get");
	return info.pasid;
}

/* Cut len at nb - 1 random places, pieces of length 0 among them. */
static inline void
sges_make(struct rte_dma_sge *sge, unsigned int nb, rte_iova_t base, uint32_t len, uint64_t seed)
{
	uint32_t left = len;
	unsigned int i;

	for (i = 0; i != nb; i++) {
		const uint32_t n = i + 1 == nb ? left :
			(uint32_t)(wk_word(seed, i) % (2 * left / (nb - i) + 1));

		sge[i].length = RTE_MIN(n, left);
		sge[i].addr = base + (len - left);
		left -= sge[i].length;
	}
}

#endif /* TEST_DMADEV_H */
