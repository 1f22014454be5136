/* SPDX-License-Identifier: BSD-3-Clause */
/* The ranges of one bond, by address: read without the lock, changed with it. */
#include "svm_atc_private.h"

uint32_t
svm_atc_range_search(const struct svm_atc *atc, uint32_t nb, uint64_t va)
{
	uint32_t lo = 0, hi = nb;

	while (lo != hi) {
		const uint32_t mid = (lo + hi) / 2;

		/* Acquire, as all in here: `seq` is looked at again behind it. */
		if (__atomic_load_n(&atc->table->range[mid].va, __ATOMIC_ACQUIRE) <= va)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 ? nb : lo - 1;
}

void
svm_atc_table_begin(struct svm_atc *atc)
{
	/* Relaxed: the stores of ranges, which release, come behind it. */
	if (!atc->table->paused)
		__atomic_store_n(&atc->seq, atc->seq + 1, __ATOMIC_RELAXED);
}

void
svm_atc_table_end(struct svm_atc *atc)
{
	/* seq_cst: before the counts of readers are looked at. A2 and A4. */
	if (!atc->table->paused)
		__atomic_store_n(&atc->seq, atc->seq + 1, __ATOMIC_SEQ_CST);
}

void
svm_atc_range_set(struct svm_atc *atc, uint32_t i, const struct atc_range *from)
{
	struct atc_range *r = &atc->table->range[i];

	/* Release: behind the odd `seq` of svm_atc_table_begin(). A4 */
	__atomic_store_n(&r->va, from->va, __ATOMIC_RELEASE);
	__atomic_store_n(&r->len, from->len, __ATOMIC_RELEASE);
	__atomic_store_n(&r->host, from->host, __ATOMIC_RELEASE);
	__atomic_store_n(&r->rights, from->rights, __ATOMIC_RELEASE);
	r->region = from->region;
}

bool
svm_atc_range_take(struct svm_atc *atc)
{
	struct svm_atc_quota *quota = atc->table->quota;

	if (atc->nb == SVM_ATC_RANGES)
		return false;
	/* Relaxed: a limit. */
	if (__atomic_add_fetch(&quota->nb, 1, __ATOMIC_RELAXED) <= quota->max)
		return true;
	__atomic_fetch_sub(&quota->nb, 1, __ATOMIC_RELAXED);
	return false;
}

void
svm_atc_range_insert(struct svm_atc *atc, uint32_t i, const struct atc_range *from)
{
	uint32_t k;

	for (k = atc->nb; k != i; k--)
		svm_atc_range_set(atc, k, &atc->table->range[k - 1]);
	svm_atc_range_set(atc, i, from);
	__atomic_store_n(&atc->nb, atc->nb + 1, __ATOMIC_RELEASE);
}

void
svm_atc_range_remove(struct svm_atc *atc, uint32_t i)
{
	for (; i + 1 != atc->nb; i++)
		svm_atc_range_set(atc, i, &atc->table->range[i + 1]);
	__atomic_store_n(&atc->nb, atc->nb - 1, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&atc->table->quota->nb, 1, __ATOMIC_RELAXED);
}

uint32_t
svm_atc_range_behind(const struct svm_atc *atc, uint64_t va)
{
	const uint32_t i = svm_atc_range_search(atc, atc->nb, va);
	const struct atc_range *r = &atc->table->range[i];

	return i == atc->nb ? 0 : va - r->va < r->len ? i : i + 1;
}
