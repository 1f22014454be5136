/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "svm_tally.h"

#define TALLY_SIZE	64u

/* Where a key belongs; others may stand there, it follows them then. */
static uint32_t
home_of(const struct svm_tally *t, uint64_t key)
{
	return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (t->size - 1);
}

/* The key's entry, or the free one where it would go; size is not 0. */
static struct svm_tally_entry *
find(const struct svm_tally *t, uint64_t key)
{
	uint32_t i = home_of(t, key);

	while (t->entries[i].nb != 0 && t->entries[i].key != key)
		i = (i + 1) & (t->size - 1);
	return &t->entries[i];
}

/* At most half full, so that find() ends soon. */
static int
grow(struct svm_tally *t)
{
	struct svm_tally big = { .size = t->size == 0 ? TALLY_SIZE : t->size * 2 };
	uint32_t i;

	if (t->nb * 2 < t->size)
		return 0;
	big.entries = calloc(big.size, sizeof(*big.entries));
	if (big.entries == NULL)
		return -ENOMEM;
	big.nb = t->nb;
	for (i = 0; i != t->size; i++)
		if (t->entries[i].nb != 0)
			*find(&big, t->entries[i].key) = t->entries[i];
	free(t->entries);
	*t = big;
	return 0;
}

int
svm_tally_add_n(struct svm_tally *t, uint64_t key, uint32_t n, uint32_t max)
{
	struct svm_tally_entry *e;
	int ret = grow(t);

	if (ret < 0)
		return ret;
	if (max == 0)
		max = UINT32_MAX;
	e = find(t, key);
	if (e->nb > max || n > max - e->nb)
		return -EUSERS;
	if (n == 0)
		return 0;
	t->nb += e->nb == 0;
	e->key = key;
	e->nb += n;
	return 0;
}

int
svm_tally_add(struct svm_tally *t, uint64_t key, uint32_t max)
{
	return svm_tally_add_n(t, key, 1, max);
}

void
svm_tally_del(struct svm_tally *t, uint64_t key)
{
	svm_tally_del_n(t, key, 1);
}

void
svm_tally_del_n(struct svm_tally *t, uint64_t key, uint32_t n)
{
	struct svm_tally_entry moved, *e;
	uint32_t i;

	if (n == 0)
		return;
	e = find(t, key);
	if (e->nb == 0)
		return;
	e->nb -= n < e->nb ? n : e->nb;
	if (e->nb != 0)
		return;
	t->nb--;
	/* Whatever stands behind it may have wanted its place. */
	i = (uint32_t)(e - t->entries);
	while (t->entries[i = (i + 1) & (t->size - 1)].nb != 0) {
		moved = t->entries[i];
		t->entries[i].nb = 0;
		*find(t, moved.key) = moved;
	}
}

void
svm_tally_fini(struct svm_tally *t)
{
	free(t->entries);
	*t = (struct svm_tally){ .size = 0 };
}
