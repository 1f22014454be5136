/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "svm_atc_private.h"

/* Linux 5.14; where it is missing, each page comes with its first copy. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif

/* Small enough that others who change this process's mappings get in between. */
#define POPULATE_STEP		(2u << 20)
/* How long a mapping waits for the end of a pause, which is some us away. */
#define PAUSE_STEP_NS		20000
#define PAUSE_STEPS		5000u
/* Looks of a reader at a table that is changing. */
#define FIND_TRIES		4u

static uint64_t
seq_first(void)
{
	static uint64_t nb;

	/* Relaxed: a number of its own is all that it gives. */
	return (__atomic_fetch_add(&nb, 1, __ATOMIC_RELAXED) + 1) << 32;
}

/* ---- the readers' side ---- */

static bool
hit_read(const struct svm_atc *atc, struct svm_atc_hit *hit, uint64_t va)
{
	uint32_t tries;

	for (tries = 0; tries != FIND_TRIES; tries++) {
		const uint64_t seq = __atomic_load_n(&atc->seq, __ATOMIC_SEQ_CST);
		const uint32_t nb = RTE_MIN(__atomic_load_n(&atc->nb, __ATOMIC_ACQUIRE),
				SVM_ATC_RANGES);
		const uint32_t i = svm_atc_range_search(atc, nb, va);
		const struct atc_range *r = &atc->table->range[i];
		struct svm_atc_hit new = { .seq = seq };

		if ((seq & 1) != 0)
			continue;
		if (i != nb) {
			new.va = __atomic_load_n(&r->va, __ATOMIC_ACQUIRE);
			new.len = __atomic_load_n(&r->len, __ATOMIC_ACQUIRE);
			new.host = __atomic_load_n(&r->host, __ATOMIC_ACQUIRE);
			new.rights = __atomic_load_n(&r->rights, __ATOMIC_ACQUIRE);
		}
		/* A4 */
		if (__atomic_load_n(&atc->seq, __ATOMIC_RELAXED) != seq)
			continue;
		if (i == nb || va - new.va >= new.len)
			return false;
		*hit = new;
		return true;
	}
	return false;
}

uint64_t
svm_atc_reach(const struct svm_atc *atc, struct svm_atc_hit *hit, uint64_t va, uint32_t right)
{
	return svm_atc_find(atc, hit, va, 1, right) == NULL ? 0 : hit->len - (va - hit->va);
}

uint8_t *
svm_atc_find_slow(const struct svm_atc *atc, struct svm_atc_hit *hit, uint64_t va,
		uint64_t len, uint32_t right)
{
	uint64_t off;

	if (!hit_read(atc, hit, va))
		return NULL;
	off = va - hit->va;
	if (len > hit->len - off || (hit->rights & right) == 0)
		return NULL;
	return hit->host + (off & svm_nospec_mask(off, hit->len) &
		svm_nospec_mask(len - 1, hit->len - off));
}

/* ---- mapping ---- */

/* What is handed in may be anything, a file whose server never answers, too: F_GET_SEALS
 * goes no further than to the descriptor, and only memfds have these seals. */
static int
file_check(int fd, uint64_t va, uint64_t len, uint64_t off, uint64_t *page)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;
	struct stat st;

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
		return -EPERM;
	if (fstatfs(fd, &fs) != 0 || fstat(fd, &st) != 0)
		return -errno;
	*page = fs.f_bsize;
	if (*page < 4096 || (*page & (*page - 1)) != 0 || ((va | len | off) & (*page - 1)) != 0)
		return -EINVAL;
	return off > (uint64_t)st.st_size || len > (uint64_t)st.st_size - off ? -EINVAL : 0;
}

static int
pages_map(uint64_t len, int fd, uint64_t off, uint32_t rights, uint8_t **host)
{
	const int prot = PROT_READ | ((rights & SVM_ATC_WRITE) ? PROT_WRITE : 0);
	uint8_t *p = mmap(NULL, len, prot, MAP_SHARED | MAP_NORESERVE, fd, off);
	uint64_t at, n;

	if (p == MAP_FAILED)
		return errno == EPERM ? -EACCES : -errno;
	/* A fork of the owner must not share the worker's memory. */
	madvise(p, len, MADV_DONTFORK);
	for (at = 0; at < RTE_MIN(len, SVM_ATC_POPULATE); at += n) {
		n = RTE_MIN(len - at, POPULATE_STEP);
		if (madvise(p + at, n, MADV_POPULATE_READ) != 0)
			break;
	}
	*host = p;
	return 0;
}

/* Enter a mapping. 0, -EEXIST, -ENOSPC. */
static int
region_enter_locked(struct svm_atc *atc, const struct atc_range *from, uint64_t page)
{
	struct svm_atc_table *t = atc->table;
	struct atc_range r = *from;
	uint32_t at;

	svm_atc_reap(atc);
	at = svm_atc_range_behind(atc, r.va);
	if (at < atc->nb && t->range[at].va < r.va + r.len)
		return -EEXIST;
	for (r.region = 0; r.region != SVM_ATC_RANGES; r.region++)
		if (t->region[r.region].base == NULL)
			break;
	if (r.region == SVM_ATC_RANGES || r.len > SVM_ATC_BYTES - t->bytes || !svm_atc_range_take(atc))
		return -ENOSPC;
	t->region[r.region] = (struct atc_region){ .base = r.host, .len = r.len,
		.live = r.len, .page = page };
	t->bytes += r.len;
	t->live += r.len;
	svm_atc_table_begin(atc);
	svm_atc_range_insert(atc, at, &r);
	svm_atc_table_end(atc);
	return 0;
}

/*
 * What a process was told that its old mapping has gone by may still be under way: it
 * would take a new one at the same place away.
 */
static int
lock_between_pauses(struct svm_atc_table *t)
{
	const struct timespec step = { .tv_nsec = PAUSE_STEP_NS };
	uint32_t i;

	for (i = 0; i != PAUSE_STEPS; i++) {
		pthread_mutex_lock(&t->lock);
		if (!t->paused)
			return 0;
		pthread_mutex_unlock(&t->lock);
		nanosleep(&step, NULL);
	}
	return -EAGAIN;
}

int
svm_atc_map(struct svm_atc *atc, uint64_t va, uint64_t len, int fd, uint64_t off,
		uint32_t rights)
{
	struct atc_range r = { .va = va, .len = len, .rights = rights };
	uint64_t page = 0;
	int ret;

	if (len == 0 || va >= ATC_VA_END || len > ATC_VA_END - va || rights == 0 ||
			(rights & ~(SVM_ATC_READ | SVM_ATC_WRITE)) != 0)
		return -EINVAL;
	ret = file_check(fd, va, len, off, &page);
	if (ret < 0)
		return ret;
	if (len > SVM_ATC_BYTES)
		return -ENOSPC;
	/* Without the lock: invalidations do not wait for the pages. */
	ret = pages_map(len, fd, off, rights, &r.host);
	if (ret < 0)
		return ret;
	ret = lock_between_pauses(atc->table);
	if (ret == 0) {
		ret = region_enter_locked(atc, &r, page);
		pthread_mutex_unlock(&atc->table->lock);
	}
	if (ret < 0)
		munmap(r.host, len);
	return ret;
}

void
svm_atc_saw(struct svm_atc *atc, uint64_t when)
{
	const uint64_t until = when + SVM_ATC_SEEN_US * rte_get_tsc_hz() / 1000000;

	/* Relaxed: an earlier one of another thread shortens it, no more. */
	__atomic_store_n(&atc->seen_until, until, __ATOMIC_RELAXED);
}

void
svm_atc_kick_set(struct svm_atc *atc, int eventfd)
{
	/* Relaxed, as the rest of these: times and wishes. */
	__atomic_store_n(&atc->kick, eventfd, __ATOMIC_RELAXED);
}

void
svm_atc_kick(struct svm_atc *atc)
{
	const int fd = __atomic_load_n(&atc->kick, __ATOMIC_RELAXED);
	const uint64_t one = 1;

	__atomic_store_n(&atc->used, 1, __ATOMIC_RELAXED);
	/* Full: it has been kicked before. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) != sizeof(one))
		return;
}

bool
svm_atc_used(struct svm_atc *atc)
{
	return __atomic_exchange_n(&atc->used, 0, __ATOMIC_RELAXED) != 0;
}

uint64_t
svm_atc_bytes(struct svm_atc *atc)
{
	uint64_t live;

	pthread_mutex_lock(&atc->table->lock);
	live = atc->table->live;
	pthread_mutex_unlock(&atc->table->lock);
	return live;
}

/* ---- life ---- */

int
svm_atc_create(struct svm_atc_quota *quota, struct svm_atc **atc)
{
	struct svm_atc *a = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	*a = (struct svm_atc){ .seq = seq_first(), .seen_until = rte_rdtsc(), .kick = -1,
		.table = calloc(1, sizeof(*a->table)) };
	if (a->table == NULL) {
		free(a);
		return -ENOMEM;
	}
	pthread_mutex_init(&a->table->lock, NULL);
	a->table->quota = quota;
	*atc = a;
	return 0;
}

void
svm_atc_destroy(struct svm_atc *atc)
{
	uint32_t i;

	if (atc == NULL)
		return;
	for (i = 0; i != SVM_ATC_RANGES; i++)
		if (atc->table->region[i].base != NULL)
			svm_atc_region_free(atc->table, &atc->table->region[i]);
	__atomic_fetch_sub(&atc->table->quota->nb, atc->nb, __ATOMIC_RELAXED);
	pthread_mutex_destroy(&atc->table->lock);
	free(atc->table);
	free(atc);
}
