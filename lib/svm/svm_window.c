/* SPDX-License-Identifier: BSD-3-Clause */
/* The control path of the window table: grant, revoke, end, list. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "svm_abi.h"
#include "svm_window.h"

#define RIGHTS_ALL	(RTE_SVM_WINDOW_READ | RTE_SVM_WINDOW_WRITE)

_Static_assert(RTE_SVM_WINDOWS_MAX == 1u << SVM_WINDOW_SLOT_BITS,
	"every slot that an id can name is there");
_Static_assert((((uint64_t)SVM_WINDOW_GEN_MAX << SVM_WINDOW_SLOT_BITS) |
	SVM_WINDOW_SLOT_MASK) == SVM_SPACE_ID_MASK, "an id fits a space");

/* Zeroed and aligned, and a page costs memory only once it is used. */
static void *
table_zmap(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int
svm_window_table_create(struct svm_bond_table *bonds, struct svm_window_table **table)
{
	struct svm_window_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->bonds = bonds;
	TAILQ_INIT(&t->free);
	t->windows = table_zmap(RTE_SVM_WINDOWS_MAX * sizeof(*t->windows));
	if (t->windows == NULL)
		goto free_table;
	t->ends = table_zmap((bonds->max + 1) * sizeof(*t->ends));
	if (t->ends == NULL)
		goto unmap_windows;
	pthread_mutex_init(&t->lock, NULL);
	*table = t;
	return 0;

unmap_windows:
	munmap(t->windows, RTE_SVM_WINDOWS_MAX * sizeof(*t->windows));
free_table:
	free(t);
	return -ENOMEM;
}

void
svm_window_table_destroy(struct svm_window_table *t)
{
	if (t == NULL)
		return;
	munmap(t->ends, (t->bonds->max + 1) * sizeof(*t->ends));
	munmap(t->windows, RTE_SVM_WINDOWS_MAX * sizeof(*t->windows));
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* The lists of a PASID; those that were never used are zeroed memory yet. */
static struct svm_window_ends *
ends_of_locked(struct svm_window_table *t, uint32_t pasid)
{
	struct svm_window_ends *e = &t->ends[pasid];

	if (e->granted.tqh_last == NULL) {
		TAILQ_INIT(&e->granted);
		TAILQ_INIT(&e->targeted);
	}
	return e;
}

static struct svm_window *
window_find_locked(struct svm_window_table *t, uint32_t id)
{
	struct svm_window *w = svm_window_slot(t, id);

	return id != 0 && w->id == id ? w : NULL;
}

/* ---- grant ---- */

static struct svm_window *
window_alloc_locked(struct svm_window_table *t)
{
	struct svm_window *w = TAILQ_FIRST(&t->free);

	/* Slots that were never used have been free for longest. */
	if (t->nb_made != RTE_SVM_WINDOWS_MAX) {
		w = &t->windows[t->nb_made++];
		w->gen = 1;
	} else if (w != NULL) {
		TAILQ_REMOVE(&t->free, w, by_grantee);
	}
	return w;
}

/* Hold a bond that is alive. */
static int
bond_hold(struct svm_bond_table *bonds, uint64_t bond, uint32_t *pasid)
{
	int ret;

	*pasid = 0;
	if (bond == RTE_SVM_OWNER)
		return 0;
	ret = svm_bond_table_hold(bonds, bond, pasid);
	if (ret == 0 && !svm_bond_active(&bonds->bonds[*pasid - 1])) {
		svm_bond_table_release(bonds, *pasid);
		ret = -ENOENT;
	}
	return ret;
}

static bool
conf_ok(const struct rte_svm_window_conf *conf)
{
	return conf->grantee != RTE_SVM_OWNER && conf->len != 0 &&
		conf->base + conf->len > conf->base &&
		conf->rights != 0 && (conf->rights & ~RIGHTS_ALL) == 0;
}

static void
window_open_locked(struct svm_window_table *t, struct svm_window *w,
		const struct rte_svm_window_conf *conf, uint32_t grantee, uint32_t target)
{
	/* Relaxed: `key` below hands all of it over. */
	__atomic_store_n(&w->grantee, grantee, __ATOMIC_RELAXED);
	w->target = target;
	w->rights = conf->rights;
	w->base = conf->base;
	w->len = conf->len;
	w->id = w->gen << SVM_WINDOW_SLOT_BITS | (uint32_t)(w - t->windows);
	w->serial = ++t->next_serial;
	w->grantee_bond = conf->grantee;
	w->target_bond = conf->target;
	w->user = conf->user;
	TAILQ_INSERT_TAIL(&ends_of_locked(t, grantee)->granted, w, by_grantee);
	TAILQ_INSERT_TAIL(&ends_of_locked(t, target)->targeted, w, by_target);
	/* Pairs with the load in svm_window_get(). */
	__atomic_store_n(&w->key, w->id, __ATOMIC_SEQ_CST);
}

int
svm_window_grant(struct svm_window_table *t, const struct rte_svm_window_conf *conf,
		uint32_t *id)
{
	uint32_t grantee, target;
	struct svm_window *w;
	int ret;

	if (!conf_ok(conf))
		return -EINVAL;
	/* One lock over holds and entry: svm_window_end_bond() comes after a bond
	 * takes no more holds, and then finds every window of it. */
	pthread_mutex_lock(&t->lock);
	ret = bond_hold(t->bonds, conf->grantee, &grantee);
	if (ret < 0)
		goto unlock;
	ret = bond_hold(t->bonds, conf->target, &target);
	if (ret < 0)
		goto release_grantee;
	w = window_alloc_locked(t);
	if (w == NULL) {
		ret = -ENOSPC;
		goto release_target;
	}
	window_open_locked(t, w, conf, grantee, target);
	*id = w->id;
	pthread_mutex_unlock(&t->lock);
	return 0;

release_target:
	svm_bond_table_release(t->bonds, target);
release_grantee:
	svm_bond_table_release(t->bonds, grantee);
unlock:
	pthread_mutex_unlock(&t->lock);
	return ret;
}

/* ---- revoke ---- */

/* Nothing new starts. */
static void
window_close_locked(struct svm_window *w, bool by_bond)
{
	if (w->key == 0)
		return;
	/* Relaxed: the store of `key` orders it. */
	if (by_bond)
		__atomic_store_n(&w->ended, w->id, __ATOMIC_RELAXED);
	/* Pairs with the load in svm_window_get(). */
	__atomic_store_n(&w->key, 0, __ATOMIC_SEQ_CST);
}

/* Give a closed window's slot back, unless it is in use. */
static bool
window_free_locked(struct svm_window_table *t, struct svm_window *w)
{
	/* Pairs with svm_window_put(), and as `key` and `uses` with
	 * svm_window_get(): so seq_cst. */
	if (__atomic_load_n(&w->uses, __ATOMIC_SEQ_CST) != 0)
		return false;
	TAILQ_REMOVE(&t->ends[w->grantee].granted, w, by_grantee);
	TAILQ_REMOVE(&t->ends[w->target].targeted, w, by_target);
	w->id = 0;
	w->gen = w->gen == SVM_WINDOW_GEN_MAX ? 1 : w->gen + 1;
	TAILQ_INSERT_TAIL(&t->free, w, by_grantee);
	svm_bond_table_release(t->bonds, w->grantee);
	svm_bond_table_release(t->bonds, w->target);
	return true;
}

int
svm_window_revoke(struct svm_window_table *t, uint32_t id)
{
	struct svm_window *w;
	int ret = -ENOENT;

	pthread_mutex_lock(&t->lock);
	w = window_find_locked(t, id);
	if (w != NULL) {
		window_close_locked(w, false);
		ret = window_free_locked(t, w) ? 0 : -EBUSY;
	}
	pthread_mutex_unlock(&t->lock);
	return ret;
}

bool
svm_window_end_bond(struct svm_window_table *t, uint64_t bond, uint32_t pasid)
{
	struct svm_window *w, *next;
	struct svm_window_ends *e;
	bool none = true;

	/* By bond: two may end it, and the PASID be another's for the second. */
	pthread_mutex_lock(&t->lock);
	e = ends_of_locked(t, pasid);
	for (w = TAILQ_FIRST(&e->granted); w != NULL; w = next) {
		next = TAILQ_NEXT(w, by_grantee);
		if (w->grantee_bond != bond)
			continue;
		window_close_locked(w, true);
		none &= window_free_locked(t, w);
	}
	for (w = TAILQ_FIRST(&e->targeted); w != NULL; w = next) {
		next = TAILQ_NEXT(w, by_target);
		if (w->target_bond != bond)
			continue;
		window_close_locked(w, true);
		none &= window_free_locked(t, w);
	}
	pthread_mutex_unlock(&t->lock);
	return none;
}

/* ---- look ---- */

static void
window_describe_locked(const struct svm_window *w, struct rte_svm_window_info *info)
{
	*info = (struct rte_svm_window_info){
		.conf = {
			.grantee = w->grantee_bond,
			.target = w->target_bond,
			.base = w->base,
			.len = w->len,
			.user = w->user,
			.rights = w->rights,
		},
		.window = w->id,
		.closed = w->key == 0,
	};
}

int
svm_window_info(struct svm_window_table *t, uint32_t id, struct rte_svm_window_info *info)
{
	const struct svm_window *w;

	pthread_mutex_lock(&t->lock);
	w = window_find_locked(t, id);
	if (w != NULL)
		window_describe_locked(w, info);
	pthread_mutex_unlock(&t->lock);
	return w != NULL ? 0 : -ENOENT;
}

static uint32_t
list_all_locked(const struct svm_window_table *t, uint32_t *ids, uint32_t n)
{
	uint32_t i, found = 0;

	for (i = 0; i != t->nb_made; i++) {
		if (t->windows[i].id == 0)
			continue;
		if (found < n)
			ids[found] = t->windows[i].id;
		found++;
	}
	return found;
}

/* The list in which a bond's windows are, whoever made the bond's id up. */
static struct svm_window_list *
granted_of_locked(struct svm_window_table *t, uint64_t bond)
{
	const uint32_t pasid = bond & SVM_PASID_MAX;

	return pasid > t->bonds->max ? NULL : &ends_of_locked(t, pasid)->granted;
}

uint32_t
svm_window_list(struct svm_window_table *t, uint64_t grantee, uint32_t *ids, uint32_t n)
{
	const struct svm_window_list *list;
	const struct svm_window *w;
	uint32_t found = 0;

	pthread_mutex_lock(&t->lock);
	list = granted_of_locked(t, grantee);
	if (grantee == RTE_SVM_OWNER) {
		found = list_all_locked(t, ids, n);
	} else if (list != NULL) {
		TAILQ_FOREACH(w, list, by_grantee) {
			if (w->grantee_bond != grantee)
				continue;
			if (found < n)
				ids[found] = w->id;
			found++;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

uint32_t
svm_window_page(struct svm_window_table *t, uint64_t grantee, uint64_t *after,
		struct rte_svm_window_info *infos, uint32_t n)
{
	const struct svm_window_list *list;
	const struct svm_window *w, *prev;
	uint32_t found = 0;

	pthread_mutex_lock(&t->lock);
	list = granted_of_locked(t, grantee);
	if (list == NULL)
		goto unlock;
	/* Oldest first. What comes after one of the last is looked for from there. */
	w = TAILQ_FIRST(list);
	if (w != NULL && w->serial <= *after)
		for (w = TAILQ_LAST(list, svm_window_list); w->serial > *after; w = prev) {
			prev = TAILQ_PREV(w, svm_window_list, by_grantee);
			if (prev->serial <= *after)
				break;
		}
	for (; w != NULL && found != n; w = TAILQ_NEXT(w, by_grantee)) {
		if (w->serial <= *after || w->grantee_bond != grantee || w->key == 0)
			continue;
		window_describe_locked(w, &infos[found++]);
		*after = w->serial;
	}
unlock:
	pthread_mutex_unlock(&t->lock);
	return found;
}
