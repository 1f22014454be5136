/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring between two cores: 64-byte descriptors there, 16-byte completions
 * back.
 *
 * The baseline moves the same cache lines and does nothing else: one line with
 * its flag in it for each descriptor, a quarter of a line with its flag in it
 * for each completion, flags by the lap, no claim, no check, no header, no copy
 * out of the slot. Its producer writes a batch's lines in the order that is
 * best for it, last to first, each in one go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "perf.h"
#include "svm_ring.h"

#define DEPTH	256u
#define BATCH_MAX	32u
#define OPS	(UINT64_C(4096) * PERF_SAMPLE)
#define PRODUCERS_MAX	2u

struct line {
	uint64_t word[7];
	uint64_t flag;
};

struct answer {
	uint64_t word;
	uint64_t flag;
};

struct bench {
	struct svm_ring ring;
	struct line *line;
	struct answer *answer;
	unsigned int lcore[PRODUCERS_MAX];	/* consumer, second producer */
	uint32_t batch;
	uint32_t producers;
	uint64_t ops;
	uint64_t sum;		/* what was read has to be used */
	/* Two lines, the ones that the hardware fetches together: what the
	 * producer writes shares none with what the consumer reads. */
	struct svm_producer prod __rte_aligned(2 * RTE_CACHE_LINE_SIZE);
};

/* ---- the ring ---- */

static int
ring_consumer(void *arg)
{
	struct bench *b = arg;
	const struct svm_ring ring = b->ring;
	const uint32_t batch = b->batch, ops = b->ops;
	uint64_t sum = 0;
	uint32_t head = 0;

	while (head != ops) {
		struct svm_desc d[BATCH_MAX];
		uint32_t n = 0, i;

		while (n < batch && svm_ring_ready(&ring, head + n)) {
			svm_ring_take(&ring, head + n, &d[n]);
			n++;
		}
		if (n == 0)
			rte_pause();
		for (i = 0; i < n; i++) {
			sum += d[i].src;
			svm_ring_complete(&ring, head + i, 0, d[i].len, 0);
		}
		head += n;
	}
	b->sum = sum;
	return 0;
}

static inline void
ring_send(struct svm_producer *p, uint32_t first, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct svm_desc d = { .op = SVM_OP_COPY, .len = 64, .src = first + i,
			.dst = first, .cookie = i };

		svm_producer_fill(p, first + i, &d);
	}
	for (i = n; i > 0; i--)
		svm_producer_mark(p, first + i - 1);
}

static int
ring_second_producer(void *arg)
{
	struct bench *b = arg;
	uint64_t sent = 0;
	uint32_t first;

	while (sent < b->ops / 2)
		if (svm_producer_claim(&b->prod, b->batch, &first)) {
			ring_send(&b->prod, first, b->batch);
			sent += b->batch;
		} else {
			rte_pause();
		}
	return 0;
}

static int
ring_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	struct bench *b = ctx;
	const uint64_t share = ops / b->producers;
	uint64_t sent = 0, got = 0, next = PERF_SAMPLE;
	const uint32_t batch = b->batch;
	struct svm_cpl c;

	b->ops = ops;
	memset(b->ring.hdr, 0, svm_ring_layout(DEPTH).size);
	svm_ring_format(&b->ring, 0, 0);
	svm_producer_init(&b->prod, &b->ring, b->producers > 1, 0);
	rte_eal_remote_launch(ring_consumer, b, b->lcore[0]);
	if (b->producers > 1)
		rte_eal_remote_launch(ring_second_producer, b, b->lcore[1]);
	perf_tick_start(clock);
	while (got < ops) {
		uint32_t first, n;

		if (sent < share && svm_producer_claim(&b->prod, batch, &first)) {
			ring_send(&b->prod, first, batch);
			sent += batch;
		}
		for (n = 0; n < batch && svm_producer_poll(&b->prod, &c); n++)
			;
		got += n;
		if (n == 0)
			rte_pause();
		for (; got >= next; next += PERF_SAMPLE)
			perf_tick(clock);
	}
	rte_eal_wait_lcore(b->lcore[0]);
	if (b->producers > 1)
		rte_eal_wait_lcore(b->lcore[1]);
	return 0;
}

/* ---- the bare loop ---- */

static int
bare_consumer(void *arg)
{
	struct bench *b = arg;
	const uint32_t batch = b->batch;
	const uint64_t ops = b->ops;
	uint64_t sum = 0, head = 0;

	while (head != ops) {
		uint32_t n = 0, i;

		while (n < batch) {
			const struct line *l = &b->line[(head + n) % DEPTH];

			if (__atomic_load_n(&l->flag, __ATOMIC_ACQUIRE) != head + n + 1)
				break;
			for (i = 0; i < 7; i++)
				sum += l->word[i];
			n++;
		}
		if (n == 0)
			rte_pause();
		for (i = 0; i < n; i++) {
			struct answer *a = &b->answer[(head + i) % DEPTH];

			a->word = sum;
			__atomic_store_n(&a->flag, head + i + 1, __ATOMIC_RELEASE);
		}
		head += n;
	}
	b->sum = sum;
	return 0;
}

static int
bare_side(void *ctx, uint64_t ops, struct perf_clock *clock)
{
	struct bench *b = ctx;
	uint64_t sent = 0, got = 0, next = PERF_SAMPLE, k;
	const uint32_t batch = b->batch;

	b->ops = ops;
	memset(b->line, 0, DEPTH * sizeof(*b->line));
	memset(b->answer, 0, DEPTH * sizeof(*b->answer));
	rte_eal_remote_launch(bare_consumer, b, b->lcore[0]);
	perf_tick_start(clock);
	while (got < ops) {
		uint32_t i, n;

		if (sent < ops && sent + batch - got <= DEPTH) {
			for (i = batch; i > 0; i--) {
				struct line *l = &b->line[(sent + i - 1) % DEPTH];

				for (k = 0; k < 7; k++)
					l->word[k] = sent + k;
				__atomic_store_n(&l->flag, sent + i, __ATOMIC_RELEASE);
			}
			sent += batch;
		}
		for (n = 0; n < batch; n++) {
			const struct answer *a = &b->answer[(got + n) % DEPTH];

			if (__atomic_load_n(&a->flag, __ATOMIC_ACQUIRE) != got + n + 1)
				break;
		}
		got += n;
		if (n == 0)
			rte_pause();
		for (; got >= next; next += PERF_SAMPLE)
			perf_tick(clock);
	}
	rte_eal_wait_lcore(b->lcore[0]);
	return 0;
}

static int
measure_all(struct bench *b)
{
	static const uint32_t batches[] = { 1, 8, 32 };
	uint32_t i, max = 1;
	int ret = 0;

	if (b->lcore[1] < RTE_MAX_LCORE)
		max = PRODUCERS_MAX;
	else
		perf_remark("2 producers and a consumer need 3 lcores: left out");
	for (b->producers = 1; b->producers <= max; b->producers++)
		for (i = 0; i < sizeof(batches) / sizeof(batches[0]) && ret == 0; i++) {
			const struct perf_point p = {
				.bench = "ring", .tier = "-", .engine = "-",
				.op = b->producers > 1 ? "mpsc" : "spsc",
				.size = sizeof(struct svm_desc), .depth = DEPTH,
				.batch = batches[i], .producers = b->producers,
				.footprint = "hot", .baseline = "bare_lines",
			};

			b->batch = batches[i];
			ret = perf_measure(&p, ring_side, b, bare_side, b, OPS);
		}
	return ret;
}

int
perf_ring(void)
{
	struct bench b = { .producers = 1 };
	void *mem = NULL, *lines = NULL, *answers = NULL;
	int ret = -ENOMEM;

	b.lcore[0] = rte_get_next_lcore(-1, 1, 0);
	b.lcore[1] = b.lcore[0] < RTE_MAX_LCORE ?
		rte_get_next_lcore(b.lcore[0], 1, 0) : RTE_MAX_LCORE;
	if (b.lcore[0] >= RTE_MAX_LCORE) {
		perf_remark("two lcores are needed (-l 0-1)");
		return -ENODEV;
	}
	if (posix_memalign(&mem, SVM_RING_PAGE, svm_ring_layout(DEPTH).size) != 0 ||
			posix_memalign(&lines, SVM_RING_PAGE, DEPTH * sizeof(*b.line)) != 0 ||
			posix_memalign(&answers, SVM_RING_PAGE, DEPTH * sizeof(*b.answer)) != 0)
		goto free_mem;
	svm_ring_view(&b.ring, mem, DEPTH);
	b.line = lines;
	b.answer = answers;
	ret = measure_all(&b);
free_mem:
	free(answers);
	free(lines);
	free(mem);
	return ret;
}
