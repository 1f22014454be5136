/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device as a dmadev. Each worker has two vchans: MEM_TO_DEV into its
 * memory and DEV_TO_MEM out of it; the PASID of its bond in the vchan's port
 * says whose memory "the device" is. Addresses are virtual on both sides.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "rte_svm.h"

#include "pipeline.h"

#define NB_DESC		1024
#define GATHER		32
#define DRAIN_S		20	/* far beyond the device's own timeout */

static int
chan_open(struct pipeline *p, struct chan *c, uint16_t vchan, enum rte_dma_direction direction,
		uint32_t pasid, uint16_t nb_desc)
{
	struct rte_dma_vchan_conf conf = { .direction = direction, .nb_desc = nb_desc };
	struct rte_dma_port_param port = { .port_type = RTE_DMA_PORT_PCIE };

	port.pcie.pasid = pasid;
	if (direction == RTE_DMA_DIR_MEM_TO_DEV)
		conf.dst_port = port;
	else
		conf.src_port = port;
	c->vchan = vchan;
	c->size = rte_align32pow2(nb_desc);
	c->kinds = calloc(c->size, sizeof(*c->kinds));
	if (c->kinds == NULL)
		return -ENOMEM;
	return rte_dma_vchan_setup(p->dma_dev, vchan, &conf);
}

int
dma_open(struct pipeline *p)
{
	struct rte_dma_conf conf = { .nb_vchans = 2 * p->opt.nb_workers };
	struct rte_dma_info info;
	uint16_t nb_desc;
	uint32_t i;
	int ret;

	ret = rte_dma_info_get(p->dma_dev, &info);
	if (ret != 0)
		return ret;
	if (info.max_vchans < conf.nb_vchans) {
		fprintf(stderr, "svm_pipeline: %u workers need %u vchans, %s has %u\n",
			p->opt.nb_workers, conf.nb_vchans, p->opt.dev_name, info.max_vchans);
		return -ENOSPC;
	}
	nb_desc = RTE_MIN(RTE_MAX(NB_DESC, info.min_desc), info.max_desc);
	ret = rte_dma_configure(p->dma_dev, &conf);
	for (i = 0; ret == 0 && i < p->opt.nb_workers; i++) {
		struct worker *w = &p->workers[i];

		ret = chan_open(p, &w->in, 2 * i, RTE_DMA_DIR_MEM_TO_DEV, w->pasid, nb_desc);
		if (ret == 0)
			ret = chan_open(p, &w->out, 2 * i + 1, RTE_DMA_DIR_DEV_TO_MEM, w->pasid,
					nb_desc);
	}
	if (ret == 0)
		ret = rte_dma_start(p->dma_dev);
	if (ret != 0) {
		fprintf(stderr, "svm_pipeline: %s does not start: %s\n", p->opt.dev_name,
			strerror(-ret));
		return ret;
	}
	p->dma_started = true;
	return rte_svm_stats_reset(p->svm_dev);
}

void
dma_close(struct pipeline *p)
{
	uint32_t i;
	int ret;

	if (p->dma_started) {
		ret = rte_dma_stop(p->dma_dev);
		if (ret != 0)
			fprintf(stderr, "svm_pipeline: %s does not stop: %s\n", p->opt.dev_name,
				strerror(-ret));
		p->dma_started = false;
	}
	for (i = 0; i < p->opt.nb_workers; i++) {
		free(p->workers[i].in.kinds);
		free(p->workers[i].out.kinds);
		p->workers[i].in.kinds = NULL;
		p->workers[i].out.kinds = NULL;
	}
}

/* Ask the engine what it moved so far, and note what that was for. */
int
dma_count(struct pipeline *p)
{
	struct rte_svm_stats stats;
	uint32_t i, kind;
	int ret;

	ret = rte_svm_stats_get(p->svm_dev, &stats);
	if (ret != 0)
		return ret;
	p->moves = stats.moves;
	for (i = 0; i < p->opt.nb_workers; i++) {
		const struct worker *w = &p->workers[i];

		for (kind = 0; kind < OP_NB_KINDS; kind++)
			p->ops_ok[kind] += w->in.ok[kind] + w->out.ok[kind];
		p->payloads_failed += w->in.failed[OP_PAYLOAD];
	}
	return 0;
}

int
dma_enqueue(struct pipeline *p, struct chan *c, uint64_t src, uint64_t dst, uint32_t len,
		uint64_t flags, enum op_kind kind)
{
	int ret;

	ret = rte_dma_copy(p->dma_dev, c->vchan, src, dst, len, flags);
	if (ret < 0)
		return ret;
	c->kinds[c->enqueued++ & (c->size - 1u)] = kind;
	return 0;
}

/* Gather what is done. An operation that failed marks the worker. */
uint32_t
dma_gather(struct pipeline *p, struct worker *w, struct chan *c)
{
	enum rte_dma_status_code status[GATHER];
	uint32_t total = 0;
	uint16_t n, i, last;
	uint8_t kind;

	if (c->enqueued == c->completed)
		return 0;
	do {
		n = rte_dma_completed_status(p->dma_dev, c->vchan, GATHER, &last, status);
		for (i = 0; i < n; i++) {
			kind = c->kinds[c->completed++ & (c->size - 1u)];
			if (status[i] == RTE_DMA_STATUS_SUCCESSFUL) {
				c->ok[kind]++;
			} else {
				c->failed[kind]++;
				if (!w->broken)
					w->status = status[i];
				w->broken = true;
			}
		}
		total += n;
	} while (n == GATHER);
	return total;
}

/* Wait until nothing is in flight. -ETIMEDOUT: the device does not keep its own bound. */
int
dma_drain(struct pipeline *p, struct worker *w, struct chan *c)
{
	uint64_t end = rte_get_timer_cycles() + DRAIN_S * rte_get_timer_hz();

	while (dma_gather(p, w, c), c->completed != c->enqueued) {
		if (rte_get_timer_cycles() > end) {
			fprintf(stderr, "svm_pipeline: vchan %u does not finish\n", c->vchan);
			return -ETIMEDOUT;
		}
		rte_pause();
	}
	return 0;
}

static int
copy_and_wait(struct pipeline *p, struct worker *w, struct chan *c, uint64_t src, uint64_t dst,
		uint32_t len)
{
	uint64_t failed = c->failed[OP_CONTROL];
	int ret;

	ret = dma_enqueue(p, c, src, dst, len, RTE_DMA_OP_FLAG_SUBMIT, OP_CONTROL);
	if (ret == 0)
		ret = dma_drain(p, w, c);
	if (ret == 0 && c->failed[OP_CONTROL] != failed)
		ret = -EFAULT;
	return ret;
}

/* Read a worker's memory, and wait for it. For set-up and the end only. */
int
dma_read(struct pipeline *p, struct worker *w, uint64_t remote, void *local, uint32_t len)
{
	return copy_and_wait(p, w, &w->out, remote, (uintptr_t)local, len);
}

int
dma_write(struct pipeline *p, struct worker *w, const void *local, uint64_t remote, uint32_t len)
{
	return copy_and_wait(p, w, &w->in, (uintptr_t)local, remote, len);
}
