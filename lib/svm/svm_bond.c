/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "svm_abi.h"
#include "svm_bond.h"

/* The low bits of an id are its PASID, the rest a serial: never reused. */
#define ID_PASID_BITS	20

int
svm_bond_table_create(uint32_t max, struct svm_bond_table **table)
{
	struct svm_bond_table *t;
	int ret;

	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->max = max;
	t->next_serial = 1;
	pthread_mutex_init(&t->lock, NULL);
	ret = svm_pasid_table_create(max, &t->pasids);
	if (ret < 0)
		goto free_table;
	/* mmap: zeroed, aligned, and a slot costs memory only once it is used. */
	t->bonds = mmap(NULL, (size_t)max * sizeof(*t->bonds), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->bonds == MAP_FAILED) {
		ret = -errno;
		goto free_pasids;
	}
	t->pids = mmap(NULL, (size_t)max * sizeof(*t->pids), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->pids == MAP_FAILED) {
		ret = -errno;
		goto unmap_bonds;
	}
	*table = t;
	return 0;

unmap_bonds:
	munmap(t->bonds, (size_t)max * sizeof(*t->bonds));
free_pasids:
	svm_pasid_table_destroy(t->pasids);
free_table:
	pthread_mutex_destroy(&t->lock);
	free(t);
	return ret;
}

void
svm_bond_table_destroy(struct svm_bond_table *t)
{
	if (t == NULL)
		return;
	munmap(t->pids, (size_t)t->max * sizeof(*t->pids));
	munmap(t->bonds, (size_t)t->max * sizeof(*t->bonds));
	svm_pasid_table_destroy(t->pasids);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static uint32_t
bond_life(const struct svm_bond *b)
{
	return __atomic_load_n(&b->life, __ATOMIC_ACQUIRE);
}

struct svm_bond *
svm_bond_find_locked(struct svm_bond_table *t, uint64_t id)
{
	const uint32_t pasid = id & ((1u << ID_PASID_BITS) - 1);
	struct svm_bond *b;
	uint32_t life;

	if (pasid == 0 || pasid > t->max)
		return NULL;
	b = &t->bonds[pasid - 1];
	life = bond_life(b);
	if (b->id != id || life == SVM_BOND_FREE || life == SVM_BOND_RETIRED)
		return NULL;
	return b;
}

struct svm_bond *
svm_bond_find_pid_locked(const struct svm_bond_table *t, pid_t pid)
{
	const uint32_t end = svm_pasid_highest(t->pasids);
	uint32_t i;

	/* One that is DEAD may stand beside the next of the same pid. */
	for (i = 0; i != end; i++)
		if (t->pids[i] == pid && bond_life(&t->bonds[i]) != SVM_BOND_DEAD)
			return &t->bonds[i];
	return NULL;
}

int
svm_bond_create_held(struct svm_bond_table *t, const struct svm_ident *ident,
		uint64_t user, bool by_socket, uint64_t *id, struct svm_bond **bond)
{
	struct svm_bond *b;
	uint32_t pasid;
	int ret;

	pthread_mutex_lock(&t->lock);
	/* A bond whose process has called exec since, or ended, is DEAD by now. */
	if (svm_bond_find_pid_locked(t, ident->pid) != NULL) {
		ret = -EEXIST;
		goto unlock;
	}
	ret = svm_pasid_alloc(t->pasids, &pasid);
	if (ret < 0)
		goto unlock;
	b = &t->bonds[pasid - 1];
	b->pasid = pasid;
	b->holds = 0;
	b->user = user;
	b->by_socket = by_socket;
	b->ident = *ident;
	t->pids[pasid - 1] = ident->pid;
	b->nb_ops = b->bytes_in = b->bytes_out = b->faults = 0;
	*id = (t->next_serial++ << ID_PASID_BITS) | pasid;
	__atomic_store_n(&b->id, *id, __ATOMIC_RELAXED);
	t->nb++;
	*bond = b;
	/* The caller's; an engine may have taken and put back one of its own. */
	__atomic_fetch_add(&b->ops, 1, __ATOMIC_SEQ_CST);
	/* Release: the fields above are visible to svm_bond_get(). */
	__atomic_store_n(&b->late_at, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&b->life, SVM_BOND_ACTIVE, __ATOMIC_SEQ_CST);
unlock:
	pthread_mutex_unlock(&t->lock);
	return ret;
}

struct svm_bond *
svm_bond_get_id(struct svm_bond_table *t, uint64_t id)
{
	struct svm_bond *b;

	pthread_mutex_lock(&t->lock);
	b = svm_bond_find_locked(t, id);
	if (b != NULL && !svm_bond_active(b))
		b = NULL;
	/* seq_cst: as svm_bond_get(). */
	if (b != NULL)
		__atomic_fetch_add(&b->ops, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&t->lock);
	return b;
}

int
svm_bond_atc(struct svm_bond *b, struct svm_atc_quota *quota, struct svm_atc **atc)
{
	int ret;

	*atc = b->atc;
	if (*atc != NULL)
		return 0;
	ret = svm_atc_create(quota, atc);
	/* Release: pairs with the load in svm_alias_enter(). */
	if (ret == 0)
		__atomic_store_n(&b->atc, *atc, __ATOMIC_RELEASE);
	return ret;
}

bool
svm_bond_was_given(struct svm_bond_table *t, uint64_t id)
{
	const uint64_t serial = id >> ID_PASID_BITS;
	bool given;

	pthread_mutex_lock(&t->lock);
	given = serial != 0 && serial < t->next_serial;
	pthread_mutex_unlock(&t->lock);
	return given;
}

int
svm_bond_drain(struct svm_bond_table *t, uint64_t id, struct svm_bond **bond)
{
	struct svm_bond *b;
	int ret = 0;

	pthread_mutex_lock(&t->lock);
	b = svm_bond_find_locked(t, id);
	if (b == NULL)
		ret = -ENOENT;
	else
		__atomic_store_n(&b->life, SVM_BOND_DRAINING, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&t->lock);
	*bond = b;
	return ret;
}

/* RETIRED -> FREE once nobody can name the PASID any more. */
static void
bond_free_locked(struct svm_bond_table *t, struct svm_bond *b)
{
	if (b->holds != 0)
		return;
	svm_pasid_release(t->pasids, b->pasid);
	__atomic_store_n(&b->id, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&b->life, SVM_BOND_FREE, __ATOMIC_RELEASE);
}

int
svm_bond_retire(struct svm_bond_table *t, uint64_t id, struct svm_ident *ident)
{
	struct svm_atc *atc = NULL;
	struct svm_bond *b;
	int ret = 0;

	pthread_mutex_lock(&t->lock);
	b = svm_bond_find_locked(t, id);
	if (b == NULL) {
		ret = -ENOENT;
	} else {
		/* Nobody looks at it who does not count in `ops`. Relaxed: B3. */
		atc = __atomic_exchange_n(&b->atc, NULL, __ATOMIC_RELAXED);
		*ident = b->ident;
		b->ident.pidfd = b->ident.memfd = -1;
		t->pids[b->pasid - 1] = 0;
		svm_pasid_retire(t->pasids, b->pasid);
		t->nb--;
		__atomic_store_n(&b->life, SVM_BOND_RETIRED, __ATOMIC_RELEASE);
		/* Release: pairs with the queues' acquire load, which then look for
		 * holds to give back. */
		__atomic_fetch_add(&t->retire_epoch, 1, __ATOMIC_RELEASE);
		bond_free_locked(t, b);
	}
	pthread_mutex_unlock(&t->lock);
	svm_atc_destroy(atc);
	return ret;
}

void
svm_bond_mark_dead(struct svm_bond *b)
{
	uint32_t life = SVM_BOND_ACTIVE;

	/* Only from ACTIVE: an unbind under way goes on. */
	__atomic_compare_exchange_n(&b->life, &life, SVM_BOND_DEAD, false,
		__ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

int
svm_bond_table_hold(struct svm_bond_table *t, uint64_t id, uint32_t *pasid)
{
	struct svm_bond *b;
	int ret = -ENOENT;

	pthread_mutex_lock(&t->lock);
	b = svm_bond_find_locked(t, id);
	if (b != NULL && bond_life(b) != SVM_BOND_DRAINING) {
		b->holds++;
		*pasid = b->pasid;
		ret = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return ret;
}

int
svm_bond_table_hold_pasid(struct svm_bond_table *t, uint32_t pasid)
{
	int ret = -ENOENT;

	if (pasid == 0 || pasid > t->max)
		return -ENOENT;
	pthread_mutex_lock(&t->lock);
	if (svm_bond_pasid_live(t, pasid)) {
		t->bonds[pasid - 1].holds++;
		ret = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return ret;
}

void
svm_bond_table_release(struct svm_bond_table *t, uint32_t pasid)
{
	struct svm_bond *b;

	if (pasid == 0 || pasid > t->max)
		return;
	pthread_mutex_lock(&t->lock);
	b = &t->bonds[pasid - 1];
	b->holds--;
	if (bond_life(b) == SVM_BOND_RETIRED)
		bond_free_locked(t, b);
	pthread_mutex_unlock(&t->lock);
}
