/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Benchmarks: one CSV line for each point.
 *
 * A point has two sides, what is measured and its baseline. Both run in this
 * process, on the same addresses in the same order and on the same cores, in
 * turns (A B A B), so that a change of the machine's mood meets both. The
 * figure is the median over the rounds of a round's time per operation; p99 is
 * over all samples, of PERF_SAMPLE operations each. A warm-up is not counted.
 */
#ifndef PERF_H
#define PERF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_ROUNDS	9
#define PERF_SAMPLE	256	/* operations between two looks at the clock */

/** Whether there is a benchmark of this name. */
bool
perf_has(const char *name);

/** Print the names. */
void
perf_list(void);

/**
 * Run a benchmark.
 *
 * @param csv    File, "-" for standard output.
 * @param bonds  As perf_bonds(); 0 for the benchmark's own number.
 * @return Exit code: 0; 1: it could not be measured.
 */
int
perf_run(const char *name, const char *csv, uint32_t bonds);

/* ---- for the benchmarks ---- */

int
perf_copy(void);

int
perf_ring(void);

int
perf_scale(void);

/** How many bonds a benchmark that counts them goes up to: own, or as told. */
uint32_t
perf_bonds(uint32_t own);

int
perf_bind(void);

/** A point's names, as they stand in the CSV. */
struct perf_point {
	const char *bench, *tier, *engine, *op;
	uint32_t size;		/* bytes an operation */
	uint32_t depth;
	uint32_t batch;
	uint32_t producers;
	const char *footprint;
	const char *baseline;
	uint32_t per_sample;	/* operations between two ticks; 0: PERF_SAMPLE */
};

/** Collects the samples of one round. */
struct perf_clock {
	uint64_t last;		/* TSC */
	uint64_t *sample;
	size_t nb, max;
};

/**
 * A side of a point: do `ops` operations, perf_tick() after each sample, or, when
 * somebody else measured it, perf_tick_add() with its TSC cycles.
 */
typedef int (*perf_side)(void *ctx, uint64_t ops, struct perf_clock *clock);

/** The operations of one sample more are done. */
void
perf_tick(struct perf_clock *clock);

void
perf_tick_add(struct perf_clock *clock, uint64_t cycles);

/** Start the clock, after what the side had to set up. */
void
perf_tick_start(struct perf_clock *clock);

/**
 * Measure a point and write its line.
 *
 * @param ops  In a round, a multiple of the operations of a sample.
 * @return 0, -errno of a side.
 */
int
perf_measure(const struct perf_point *point, perf_side side, void *ctx,
		perf_side baseline, void *baseline_ctx, uint64_t ops);

/** Write a point's line with a figure that is no time, in the place of the median. */
void
perf_figure(const struct perf_point *point, double figure, double baseline);

/** A # line in the CSV. */
void
perf_remark(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Sizes of caches in bytes, with a fallback where the system does not tell. */
size_t
perf_l2_size(void);

size_t
perf_llc_size(void);

#endif /* PERF_H */
