/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue's hold on the bonds of its operations in flight. Operations come in
 * runs of the same one or two bonds, so a run takes one reference (bond->ops)
 * and counts its operations privately; counters are added up likewise. That
 * spares four locked instructions an operation.
 *
 * A run's reference stays while it has operations, so unbind sees it; a bond
 * that is not ACTIVE any more gets no new ones, so a run ends. An operation
 * that found no free run has a reference of its own. Which of the two is given
 * back first does not matter: there are as many as runs and such operations.
 *
 * Private to the engine's runner.
 */
#ifndef SVM_USE_H
#define SVM_USE_H

#include "svm_bond.h"

#define SVM_USES	2u
/* Operations after which a run that does not end shows its counts. */
#define SVM_USE_FLUSH	64u

struct svm_use {
	struct svm_bond *bond;
	uint32_t pasid;
	uint32_t n;		/* operations under this reference; 0: none is held */
	uint32_t nb_ops;
	uint64_t bytes_in, bytes_out, faults;
};

/** What one operation did to one bond. */
struct svm_use_count {
	uint32_t nb_ops;
	uint64_t bytes_in, bytes_out, faults;
};

/** As svm_bond_get(). */
static inline struct svm_bond *
svm_use_get(struct svm_use *uses, struct svm_bond_table *table, uint32_t pasid,
		uint8_t *status)
{
	struct svm_use *idle = NULL;
	struct svm_bond *b;
	uint32_t i;

	for (i = 0; i != SVM_USES; i++) {
		struct svm_use *u = &uses[i];

		if (u->n == 0) {
			idle = u;
		} else if (u->pasid == pasid) {
			if (unlikely(!svm_bond_active(u->bond))) {
				*status = RTE_SVM_ST_BOND_DEAD;
				return NULL;
			}
			u->n++;
			return u->bond;
		}
	}
	b = svm_bond_get(table, pasid, status);
	if (b != NULL && idle != NULL)
		*idle = (struct svm_use){ .bond = b, .pasid = pasid, .n = 1 };
	return b;
}

static inline void
svm_use_flush(struct svm_use *u)
{
	/* Relaxed: counters. */
	__atomic_fetch_add(&u->bond->nb_ops, u->nb_ops, __ATOMIC_RELAXED);
	if (u->bytes_in != 0)
		__atomic_fetch_add(&u->bond->bytes_in, u->bytes_in, __ATOMIC_RELAXED);
	if (u->bytes_out != 0)
		__atomic_fetch_add(&u->bond->bytes_out, u->bytes_out, __ATOMIC_RELAXED);
	if (u->faults != 0)
		__atomic_fetch_add(&u->bond->faults, u->faults, __ATOMIC_RELAXED);
	u->nb_ops = 0;
	u->bytes_in = u->bytes_out = u->faults = 0;
}

/** Count, then as svm_bond_put(). */
static inline void
svm_use_put(struct svm_use *uses, struct svm_bond *bond, const struct svm_use_count *c)
{
	struct svm_use own = { .bond = bond }, *u = &own;
	uint32_t i;

	for (i = 0; i != SVM_USES; i++)
		if (uses[i].n != 0 && uses[i].bond == bond)
			u = &uses[i];
	u->nb_ops += c->nb_ops;
	u->bytes_in += c->bytes_in;
	u->bytes_out += c->bytes_out;
	u->faults += c->faults;
	if (u->n > 1 && u->nb_ops < SVM_USE_FLUSH) {
		u->n--;
		return;
	}
	svm_use_flush(u);
	if (u->n <= 1)
		svm_bond_put(bond);
	if (u->n != 0)
		u->n--;
}

#endif /* SVM_USE_H */
