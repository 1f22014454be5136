/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The baseline. After the pipeline's work is done, packets of the sizes that
 * came, in the order and to the workers that they went to, are moved into the
 * same slots again: in rounds by the device, in bursts as the pipeline does,
 * and by one process_vm_writev each. No descriptor follows, so the workers
 * take no notice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include <rte_cycles.h>

#include "pipeline.h"

#define SAMPLES_MIN	1000u	/* fewer would measure the clock */
#define ROUNDS		7u
#define BURST		64u
#define SOURCES		64u	/* packets' worth of source memory */

typedef int (*bench_pass)(struct pipeline *p, char *source);

static int
pass_dma(struct pipeline *p, char *source)
{
	struct bench *b = &p->bench;
	uint32_t i, end, w_idx;
	int ret = 0;

	for (i = 0; i < b->nb && ret == 0; i = end) {
		struct worker *w;

		w_idx = b->samples[i].worker;
		w = &p->workers[w_idx];
		for (end = i + 1; end < b->nb && end - i < BURST; end++)
			if (b->samples[end].worker != w_idx)
				break;
		while (rte_dma_burst_capacity(p->dma_dev, w->in.vchan) < end - i && !w->broken)
			dma_gather(p, w, &w->in);
		for (; i < end && ret == 0; i++)
			ret = dma_enqueue(p, &w->in,
				(uintptr_t)source + i % SOURCES * PIPE_SLOT_LEN,
				w->slots[i & (p->opt.nb_slots - 1)], b->samples[i].len,
				i + 1 == end ? RTE_DMA_OP_FLAG_SUBMIT : 0, OP_BENCH);
		if (w->broken)
			ret = -EIO;
	}
	for (i = 0; i < p->opt.nb_workers && ret == 0; i++) {
		ret = dma_drain(p, &p->workers[i], &p->workers[i].in);
		if (ret == 0 && p->workers[i].broken)
			ret = -EIO;
	}
	return ret;
}

static int
pass_writev(struct pipeline *p, char *source)
{
	struct bench *b = &p->bench;
	uint32_t i;

	for (i = 0; i < b->nb; i++) {
		const struct sample *s = &b->samples[i];
		const struct worker *w = &p->workers[s->worker];
		struct iovec from = { source + i % SOURCES * PIPE_SLOT_LEN, s->len };
		struct iovec to = { (void *)(uintptr_t)w->slots[i & (p->opt.nb_slots - 1)],
			s->len };

		if (process_vm_writev(w->pid, &from, 1, &to, 1, 0) != (ssize_t)s->len)
			return errno != 0 ? -errno : -EIO;
	}
	return 0;
}

static int
pass_time(struct pipeline *p, char *source, bench_pass pass, uint64_t *ns)
{
	uint64_t start = rte_rdtsc_precise();
	int ret;

	ret = pass(p, source);
	*ns = (double)(rte_rdtsc_precise() - start) * NS_PER_S / rte_get_tsc_hz();
	return ret;
}

static int
compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Samples of workers that are gone have no memory to go to. */
static void
forget_the_dead(struct pipeline *p)
{
	struct bench *b = &p->bench;
	uint32_t i, nb = 0;

	for (i = 0; i < b->nb; i++)
		if (p->workers[b->samples[i].worker].alive)
			b->samples[nb++] = b->samples[i];
	b->nb = nb;
}

/* Interleaved rounds, the median counts. */
int
bench_run(struct pipeline *p)
{
	uint64_t dma[ROUNDS], writev[ROUNDS], warm_up;
	char *source;
	uint32_t i;
	int ret;

	forget_the_dead(p);
	if (p->bench.nb < SAMPLES_MIN) {
		printf("svm_pipeline: too few packets for the baseline\n");
		return 0;
	}
	source = calloc(SOURCES, PIPE_SLOT_LEN);
	if (source == NULL)
		return -ENOMEM;
	memset(source, 0xa5, (size_t)SOURCES * PIPE_SLOT_LEN);
	ret = pass_time(p, source, pass_writev, &warm_up);
	for (i = 0; i < ROUNDS && ret == 0; i++) {
		ret = pass_time(p, source, pass_dma, &dma[i]);
		if (ret == 0)
			ret = pass_time(p, source, pass_writev, &writev[i]);
	}
	free(source);
	if (ret != 0) {
		fprintf(stderr, "svm_pipeline: the baseline ended early: %s\n", strerror(-ret));
		return ret;
	}
	qsort(dma, ROUNDS, sizeof(dma[0]), compare_ns);
	qsort(writev, ROUNDS, sizeof(writev[0]), compare_ns);
	p->bench.dma_ns = dma[ROUNDS / 2];
	p->bench.writev_ns = writev[ROUNDS / 2];
	p->bench.rounds = ROUNDS;
	return 0;
}
