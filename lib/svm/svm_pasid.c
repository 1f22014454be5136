/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "svm_abi.h"
#include "svm_pasid.h"

enum pasid_state {
	PASID_FREE = 0,
	PASID_USED,
	PASID_QUARANTINE,
};

struct svm_pasid_table {
	uint32_t max;
	uint32_t nb_used;
	uint32_t nb_quarantine;
	uint32_t fresh;		/* next one that was never given out */
	/* Ring of released ones; at most max, so it never overflows. */
	uint32_t head, nb_released;
	uint32_t *released;
	uint8_t *state;		/* by PASID, max + 1 */
};

int
svm_pasid_table_create(uint32_t max, struct svm_pasid_table **table)
{
	struct svm_pasid_table *t;

	if (max == 0 || max > SVM_PASID_MAX)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->max = max;
	t->fresh = 1;
	t->released = calloc(max, sizeof(*t->released));
	t->state = calloc((size_t)max + 1, sizeof(*t->state));
	if (t->released == NULL || t->state == NULL) {
		svm_pasid_table_destroy(t);
		return -ENOMEM;
	}
	*table = t;
	return 0;
}

void
svm_pasid_table_destroy(struct svm_pasid_table *table)
{
	if (table == NULL)
		return;
	free(table->released);
	free(table->state);
	free(table);
}

int
svm_pasid_alloc(struct svm_pasid_table *t, uint32_t *pasid)
{
	if (t->fresh <= t->max) {
		*pasid = t->fresh++;
	} else if (t->nb_released != 0) {
		*pasid = t->released[t->head];
		t->head = (t->head + 1) % t->max;
		t->nb_released--;
	} else {
		return -ENOSPC;
	}
	t->state[*pasid] = PASID_USED;
	t->nb_used++;
	return 0;
}

int
svm_pasid_retire(struct svm_pasid_table *t, uint32_t pasid)
{
	if (pasid == 0 || pasid > t->max || t->state[pasid] != PASID_USED)
		return -EINVAL;
	t->state[pasid] = PASID_QUARANTINE;
	t->nb_used--;
	t->nb_quarantine++;
	return 0;
}

int
svm_pasid_release(struct svm_pasid_table *t, uint32_t pasid)
{
	if (pasid == 0 || pasid > t->max || t->state[pasid] != PASID_QUARANTINE)
		return -EINVAL;
	t->state[pasid] = PASID_FREE;
	t->nb_quarantine--;
	t->released[(t->head + t->nb_released++) % t->max] = pasid;
	return 0;
}

uint32_t
svm_pasid_highest(const struct svm_pasid_table *t)
{
	return t->fresh - 1;
}

void
svm_pasid_count(const struct svm_pasid_table *t, uint32_t *nb_used,
		uint32_t *nb_quarantine, uint32_t *nb_free)
{
	*nb_used = t->nb_used;
	*nb_quarantine = t->nb_quarantine;
	*nb_free = t->max - t->nb_used - t->nb_quarantine;
}
