/* SPDX-License-Identifier: BSD-3-Clause */
/* No copy any more: unmapping, pausing, and letting go of addresses. */
#include <sched.h>
#include <sys/mman.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "svm_atc_private.h"

/* What a copy may take that a worker waits for; one on a core of its own takes 50. */
#define PAUSE_US		5000u
/* Looks whether readers have left, when the kernel has no memory to stop them. */
#define STOP_TRIES		10000000u

/* What one unmap takes out of the table. */
struct atc_cut {
	uint32_t region;
	uint8_t *host;
	uint64_t len;
};

void
svm_atc_region_free(struct svm_atc_table *t, struct atc_region *g)
{
	munmap(g->base, g->len);
	t->bytes -= g->len;
	g->base = NULL;
}

void
svm_atc_reap(struct svm_atc *atc)
{
	struct svm_atc_table *t = atc->table;
	uint32_t i, gone = 0;

	/* A2, A3 */
	for (i = 0; i != 2; i++)
		if (__atomic_load_n(&atc->inside[i], __ATOMIC_SEQ_CST) == 0)
			gone |= 1u << i;
	__atomic_store_n(&atc->turn, atc->turn ^ 1, __ATOMIC_RELAXED);
	for (i = 0; i != SVM_ATC_RANGES; i++) {
		struct atc_region *g = &t->region[i];

		if (g->base == NULL || g->live != 0)
			continue;
		g->gone |= gone;
		if (g->gone == 3)
			svm_atc_region_free(t, g);
	}
}

static bool
pages_stop(uint8_t *host, uint64_t len)
{
	return mmap(host, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		MAP_FIXED, -1, 0) == host;
}

/* The kernel has no memory to divide a mapping: then all of it goes, in place. */
static void
region_stop(struct svm_atc *atc, struct atc_region *g)
{
	struct svm_atc_table *t = atc->table;
	const uint32_t idx = g - t->region;
	uint32_t i = 0;

	svm_atc_table_begin(atc);
	while (i != atc->nb) {
		if (t->range[i].region != idx) {
			i++;
			continue;
		}
		t->live -= t->range[i].len;
		svm_atc_range_remove(atc, i);
	}
	svm_atc_table_end(atc);
	g->live = 0;
	if (pages_stop(g->base, g->len))
		return;
	/* The kernel has not even memory for that: readers leave by themselves, soon. */
	for (i = 0; g->base != NULL && i != STOP_TRIES; i++) {
		rte_pause();
		svm_atc_reap(atc);
	}
}

static void
cut_stop(struct svm_atc *atc, const struct atc_cut *c)
{
	struct atc_region *g = &atc->table->region[c->region];

	/* An earlier cut has taken all of it. */
	if (g->base == NULL || g->live == 0)
		return;
	g->live -= c->len;
	g->gone = 0;
	if (!pages_stop(c->host, c->len))
		region_stop(atc, g);
}

/* Take [va, end) out of range i, and what page sizes or places add to it. Where to go on. */
static uint32_t
range_cut(struct svm_atc *atc, uint32_t i, uint64_t va, uint64_t end, struct atc_cut *cut)
{
	struct svm_atc_table *t = atc->table;
	const struct atc_range r = t->range[i];
	const uint64_t page = t->region[r.region].page;
	uint64_t lo = va > r.va ? RTE_ALIGN_FLOOR(va - r.va, page) : 0;
	uint64_t hi = end - r.va < r.len ? RTE_ALIGN_CEIL(end - r.va, page) : r.len;
	struct atc_range right = r;

	/* In the middle: one more range, or the right part goes, too. */
	if (lo != 0 && hi != r.len && !svm_atc_range_take(atc))
		hi = r.len;
	*cut = (struct atc_cut){ .region = r.region, .host = r.host + lo, .len = hi - lo };
	t->live -= cut->len;
	right.va += hi;
	right.host += hi;
	right.len -= hi;
	if (lo != 0) {
		struct atc_range left = r;

		left.len = lo;
		svm_atc_range_set(atc, i++, &left);
		if (right.len != 0)
			svm_atc_range_insert(atc, i++, &right);
	} else if (right.len != 0) {
		svm_atc_range_set(atc, i++, &right);
	} else {
		svm_atc_range_remove(atc, i);
	}
	return i;
}

bool
svm_atc_unmap(struct svm_atc *atc, uint64_t va, uint64_t len)
{
	struct svm_atc_table *t = atc->table;
	struct atc_cut cut[SVM_ATC_RANGES];
	uint64_t end = va + len;
	uint32_t i, n = 0;

	if (len == 0 || va >= ATC_VA_END)
		return false;
	if (end < va || end > ATC_VA_END)
		end = ATC_VA_END;
	pthread_mutex_lock(&t->lock);
	i = svm_atc_range_behind(atc, va);
	if (i < atc->nb && t->range[i].va < end) {
		svm_atc_table_begin(atc);
		while (i < atc->nb && t->range[i].va < end)
			i = range_cut(atc, i, va, end, &cut[n++]);
		svm_atc_table_end(atc);
		for (i = 0; i != n; i++)
			cut_stop(atc, &cut[i]);
	}
	svm_atc_reap(atc);
	pthread_mutex_unlock(&t->lock);
	return n != 0;
}

/* ---- a moment without copies ---- */

/* Whether each count of readers was 0 at some time from now on. */
static bool
readers_leave(struct svm_atc *atc)
{
	const uint64_t end = rte_rdtsc() + PAUSE_US * rte_get_tsc_hz() / 1000000;
	uint32_t gone = 0, i;

	for (;;) {
		/* A1 to A3, as in svm_atc_reap(). */
		for (i = 0; i != 2; i++)
			if (__atomic_load_n(&atc->inside[i], __ATOMIC_SEQ_CST) == 0)
				gone |= 1u << i;
		if (gone == 3)
			return true;
		if (rte_rdtsc() > end)
			return false;
		__atomic_store_n(&atc->turn, atc->turn ^ 1, __ATOMIC_RELAXED);
		sched_yield();
	}
}

void
svm_atc_pause(struct svm_atc *atc)
{
	struct svm_atc_table *t = atc->table;
	uint32_t i;

	pthread_mutex_lock(&t->lock);
	t->paused = true;
	__atomic_store_n(&atc->seq, atc->seq + 1, __ATOMIC_SEQ_CST);	/* A2 */
	if (!readers_leave(atc))
		for (i = 0; i != SVM_ATC_RANGES; i++)
			if (t->region[i].base != NULL && t->region[i].live != 0)
				region_stop(atc, &t->region[i]);
	pthread_mutex_unlock(&t->lock);
}

void
svm_atc_resume(struct svm_atc *atc)
{
	pthread_mutex_lock(&atc->table->lock);
	__atomic_store_n(&atc->seq, atc->seq + 1, __ATOMIC_SEQ_CST);
	atc->table->paused = false;
	pthread_mutex_unlock(&atc->table->lock);
}
