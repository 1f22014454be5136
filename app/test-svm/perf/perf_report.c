/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "perf.h"
#include "perf_commit.h"

static const struct {
	const char *name;
	int (*run)(void);
} benches[] = {
	{ "ring", perf_ring },
	{ "copy", perf_copy },
	{ "scale", perf_scale },
	{ "bind", perf_bind },
};

#define BENCHES	(sizeof(benches) / sizeof(benches[0]))

/* Where the lines go; one benchmark runs at a time. */
static FILE *csv;
static uint32_t bonds_told;

bool
perf_has(const char *name)
{
	size_t i;

	for (i = 0; i < BENCHES; i++)
		if (strcmp(benches[i].name, name) == 0)
			return true;
	return false;
}

void
perf_list(void)
{
	size_t i;

	for (i = 0; i < BENCHES; i++)
		printf("\t%s\n", benches[i].name);
}

uint32_t
perf_bonds(uint32_t own)
{
	return bonds_told != 0 ? bonds_told : own;
}

void
perf_remark(const char *fmt, ...)
{
	va_list ap;

	fputs("# ", csv);
	va_start(ap, fmt);
	vfprintf(csv, fmt, ap);
	va_end(ap);
	fputc('\n', csv);
	fflush(csv);
}

static void
remark_cpu(void)
{
	char line[512] = "", *model = NULL;
	FILE *in = fopen("/proc/cpuinfo", "re");

	while (in != NULL && model == NULL && fgets(line, sizeof(line), in) != NULL)
		if (strncmp(line, "model name", 10) == 0 || strncmp(line, "CPU part", 8) == 0)
			model = strchr(line, ':');
	if (in != NULL)
		fclose(in);
	line[strcspn(line, "\n")] = '\0';
	perf_remark("CPU: %s", model != NULL ? model + 2 : "unknown");
}

int
perf_run(const char *name, const char *file, uint32_t bonds)
{
	size_t i;
	int ret = -ENOENT;

	bonds_told = bonds;
	csv = strcmp(file, "-") == 0 ? stdout : fopen(file, "we");
	if (csv == NULL) {
		fprintf(stderr, "dpdk-test-svm: %s: %s\n", file, strerror(errno));
		return 1;
	}
	perf_remark("commit: %s", PERF_COMMIT);
	remark_cpu();
	fprintf(csv, "bench,tier,engine,op,size,depth,batch,producers,footprint,median_ns,"
		"p99_ns,gbytes_per_s,baseline,baseline_median_ns,rounds\n");
	for (i = 0; i < BENCHES; i++)
		if (strcmp(benches[i].name, name) == 0)
			ret = benches[i].run();
	if (ret < 0)
		fprintf(stderr, "dpdk-test-svm: perf %s: %s\n", name, strerror(-ret));
	if (fflush(csv) != 0 || ferror(csv)) {
		fprintf(stderr, "dpdk-test-svm: %s: cannot write\n", file);
		ret = -EIO;
	}
	if (csv != stdout)
		fclose(csv);
	return ret < 0 ? 1 : 0;
}

/* ---- measuring ---- */

void
perf_tick_start(struct perf_clock *clock)
{
	clock->nb = 0;
	clock->last = rte_rdtsc();
}

void
perf_tick(struct perf_clock *clock)
{
	const uint64_t now = rte_rdtsc();

	perf_tick_add(clock, now - clock->last);
	clock->last = now;
}

void
perf_tick_add(struct perf_clock *clock, uint64_t cycles)
{
	if (clock->nb < clock->max)
		clock->sample[clock->nb++] = cycles;
}

static int
by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figures {
	double round[PERF_ROUNDS];	/* ns an operation */
	double *sample;
	size_t nb;
};

static void
round_add(struct figures *f, int round, const struct perf_clock *clock, uint32_t per_sample)
{
	const double ns = 1e9 / rte_get_tsc_hz() / per_sample;
	double sum = 0;
	size_t i;

	for (i = 0; i < clock->nb; i++) {
		f->sample[f->nb++] = clock->sample[i] * ns;
		sum += clock->sample[i] * ns;
	}
	f->round[round] = sum / clock->nb;
}

static void
progress(const struct perf_point *p, int round)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s %s %s %u bytes, %s, batch %u: round %d of %d \033[K",
			p->bench, p->tier, p->engine, p->size, p->footprint, p->batch,
			round + 1, PERF_ROUNDS);
}

static void
point_write(const struct perf_point *p, struct figures *a, struct figures *b)
{
	double median, base;

	qsort(a->round, PERF_ROUNDS, sizeof(a->round[0]), by_value);
	qsort(b->round, PERF_ROUNDS, sizeof(b->round[0]), by_value);
	qsort(a->sample, a->nb, sizeof(a->sample[0]), by_value);
	median = a->round[PERF_ROUNDS / 2];
	base = b->round[PERF_ROUNDS / 2];
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	fprintf(csv, "%s,%s,%s,%s,%u,%u,%u,%u,%s,%.2f,%.2f,%.3f,%s,%.2f,%d\n", p->bench,
		p->tier, p->engine, p->op, p->size, p->depth, p->batch, p->producers,
		p->footprint, median, a->sample[a->nb * 99 / 100], p->size / median,
		p->baseline, base, PERF_ROUNDS);
	fflush(csv);
}

void
perf_figure(const struct perf_point *p, double figure, double baseline)
{
	fprintf(csv, "%s,%s,%s,%s,%u,%u,%u,%u,%s,%.2f,,,%s,%.2f,1\n", p->bench, p->tier,
		p->engine, p->op, p->size, p->depth, p->batch, p->producers, p->footprint,
		figure, p->baseline, baseline);
	fflush(csv);
}

int
perf_measure(const struct perf_point *point, perf_side side, void *ctx,
		perf_side baseline, void *baseline_ctx, uint64_t ops)
{
	const uint32_t per_sample = point->per_sample != 0 ? point->per_sample : PERF_SAMPLE;
	struct perf_clock clock = { .max = ops / per_sample };
	struct figures a = { .nb = 0 }, b = { .nb = 0 };
	int round, ret = -ENOMEM;

	clock.sample = calloc(clock.max, sizeof(*clock.sample));
	a.sample = calloc(clock.max * PERF_ROUNDS, sizeof(*a.sample));
	b.sample = calloc(clock.max * PERF_ROUNDS, sizeof(*b.sample));
	if (clock.sample == NULL || a.sample == NULL || b.sample == NULL)
		goto free_samples;
	/* Round -1 is the warm-up. */
	for (round = -1; round < PERF_ROUNDS; round++) {
		progress(point, round);
		ret = side(ctx, ops, &clock);
		if (ret != 0)
			goto free_samples;
		if (round >= 0)
			round_add(&a, round, &clock, per_sample);
		ret = baseline(baseline_ctx, ops, &clock);
		if (ret != 0)
			goto free_samples;
		if (round >= 0)
			round_add(&b, round, &clock, per_sample);
	}
	point_write(point, &a, &b);
free_samples:
	free(b.sample);
	free(a.sample);
	free(clock.sample);
	return ret;
}

/* ---- caches ---- */

static size_t
cache_read(int index, const char *what)
{
	char path[128];
	size_t n = 0;
	char unit = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index,
		what);
	in = fopen(path, "re");
	if (in == NULL)
		return 0;
	if (fscanf(in, "%zu%c", &n, &unit) < 1)
		n = 0;
	fclose(in);
	return unit == 'K' ? n << 10 : unit == 'M' ? n << 20 : n;
}

static size_t
cache_size(size_t level, size_t fallback)
{
	size_t last = 0;
	int i;

	for (i = 0; cache_read(i, "level") != 0; i++) {
		if (cache_read(i, "level") == level)
			return cache_read(i, "size");
		last = cache_read(i, "size");
	}
	return level == 0 && last != 0 ? last : fallback;
}

size_t
perf_l2_size(void)
{
	return cache_size(2, (size_t)512 << 10);
}

size_t
perf_llc_size(void)
{
	/* No level 0: the last one that there is. */
	return cache_size(0, (size_t)32 << 20);
}
