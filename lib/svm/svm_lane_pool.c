/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool of lanes, its callers' side. See svm_lane_pool.h for the picture. */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "svm_lane_pool.h"

#define NS_PER_S	1000000000u
#define GET_TICK_NS	1000000u	/* how often svm_lane_get() looks */

void
svm_lane_pool_count_killed(struct svm_lane_pool *pool)
{
	__atomic_fetch_add(&pool->stats.killed, 1, __ATOMIC_RELAXED);
}

void
svm_lane_word_bump(uint32_t *word)
{
	/* Full order: the reason first, then the count; to svm_lane_word_read(). */
	__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
	svm_lane_syscall(SYS_futex, (long)word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG,
			INT32_MAX, 0, 0, 0);
}

void
svm_lane_pool_tell(struct svm_lane_pool *pool)
{
	uint64_t one = 1;

	svm_lane_word_bump(&pool->news);
	svm_lane_syscall(SYS_write, pool->eventfd, (long)&one, sizeof(one), 0, 0, 0);
}

uint32_t
svm_lane_word_read(const uint32_t *word)
{
	/* Pairs with svm_lane_word_bump(): what it announced is seen after this. */
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

void
svm_lane_word_wait(uint32_t *word, uint32_t seen, uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};

	svm_lane_syscall(SYS_futex, (long)word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG,
			seen, ns != 0 ? (long)&ts : 0, 0, 0);
}

/* ---- lists; the lock is held ---- */

static struct svm_lane_list *
list_of(struct svm_lane_pool *pool, enum svm_lane_place place)
{
	switch (place) {
	case SVM_LANE_AT_START:
		return &pool->starting;
	case SVM_LANE_AT_REST:
		return &pool->idle;
	case SVM_LANE_AT_WORK:
		return &pool->held;
	default:
		return &pool->ending;
	}
}

void
svm_lane_enter_locked(struct svm_lane_pool *pool, struct svm_lane *lane, enum svm_lane_place place)
{
	lane->place = place;
	lane->since_ns = svm_lane_now_ns();
	TAILQ_INSERT_HEAD(list_of(pool, place), lane, link);
	if (place == SVM_LANE_AT_REST)
		pool->nb_idle++;
}

void
svm_lane_move_locked(struct svm_lane_pool *pool, struct svm_lane *lane, enum svm_lane_place place)
{
	TAILQ_REMOVE(list_of(pool, lane->place), lane, link);
	if (lane->place == SVM_LANE_AT_REST)
		pool->nb_idle--;
	svm_lane_enter_locked(pool, lane, place);
}

void
svm_lane_end_locked(struct svm_lane_pool *pool, struct svm_lane *lane)
{
	if (svm_lane_state(lane) != SVM_LANE_DEAD) {
		lane->killed = true;
		svm_lane_signal_kill(lane);
	} else if (!lane->killed && lane->start_err == 0) {
		__atomic_fetch_add(&pool->stats.died, 1, __ATOMIC_RELAXED);
	}
	svm_lane_move_locked(pool, lane, SVM_LANE_AT_END);
}

bool
svm_lane_returns_sort_locked(struct svm_lane_pool *pool)
{
	struct svm_lane *lane, *next;
	bool reap = false;

	/* Acquire: the holder's last words to the lane, from svm_lane_put(). */
	lane = __atomic_exchange_n(&pool->given_back, NULL, __ATOMIC_ACQUIRE);
	for (; lane != NULL; lane = next) {
		next = lane->put_next;
		if (svm_lane_state(lane) == SVM_LANE_IDLE && !lane->killed) {
			svm_lane_move_locked(pool, lane, SVM_LANE_AT_REST);
		} else {
			svm_lane_end_locked(pool, lane);
			reap = true;
		}
	}
	return reap;
}

bool
svm_lane_cred_fits(const struct svm_lane_pool *pool, const struct svm_cred *a,
		const struct svm_cred *b)
{
	return pool->privileged || svm_cred_equal(a, b);
}

/** An idle lane that is alive. `*reap` is set when a dead one was met. */
static struct svm_lane *
idle_take_locked(struct svm_lane_pool *pool, const struct svm_cred *cred, bool *reap)
{
	struct svm_lane *lane, *next;

	for (lane = TAILQ_FIRST(&pool->idle); lane != NULL; lane = next) {
		next = TAILQ_NEXT(lane, link);
		if (!svm_lane_cred_fits(pool, cred, &lane->rights.cred))
			continue;
		if (svm_lane_state(lane) == SVM_LANE_IDLE) {
			svm_lane_move_locked(pool, lane, SVM_LANE_AT_WORK);
			return lane;
		}
		svm_lane_end_locked(pool, lane);
		*reap = true;
	}
	return NULL;
}

struct svm_wish *
svm_wish_find_locked(struct svm_lane_pool *pool, const struct svm_cred *cred)
{
	uint64_t now = svm_lane_now_ns();
	struct svm_wish *free_entry = NULL;
	uint32_t i;

	for (i = 0; i < SVM_WISH_MAX; i++) {
		struct svm_wish *wish = &pool->wish[i];

		if (wish->state == SVM_WISH_REFUSED && now >= wish->until_ns)
			wish->state = SVM_WISH_NONE;
		if (wish->state == SVM_WISH_NONE)
			free_entry = wish;
		else if (svm_lane_cred_fits(pool, cred, &wish->cred))
			return wish;
	}
	return free_entry;
}

/**
 * An idle lane, or a wish for one. `again`: an old refusal does not count.
 * `*kick` is set when the thread has something to do.
 */
static struct svm_lane *
lane_take_locked(struct svm_lane_pool *pool, const struct svm_cred *cred, bool again,
		int *err, bool *kick)
{
	struct svm_lane *lane;
	struct svm_wish *wish;

	*err = 0;
	if (svm_lane_returns_sort_locked(pool))
		*kick = true;
	lane = idle_take_locked(pool, cred, kick);
	if (lane != NULL)
		return lane;

	wish = svm_wish_find_locked(pool, cred);
	if (wish == NULL)	/* too many at a time: this one comes again */
		return NULL;
	if (wish->state == SVM_WISH_REFUSED && !again) {
		*err = wish->err;
		return NULL;
	}
	if (wish->state == SVM_WISH_NONE || wish->state == SVM_WISH_REFUSED) {
		wish->cred = *cred;
		wish->state = SVM_WISH_OPEN;
		wish->order = pool->wish_order++;
		*kick = true;
	} else if (wish->state == SVM_WISH_OPEN && pool->nb_idle > 0 &&
			TAILQ_EMPTY(&pool->ending)) {
		/* The pool is full, and an idle lane of other rights can make room. */
		*kick = true;
	}
	return NULL;
}

/* ---- the interface ---- */

int
svm_lane_pool_create(uint32_t max, bool privileged, struct svm_lane_pool **out)
{
	struct svm_lane_pool *pool;
	sigset_t all, old;
	int ret;

	if (max == 0)
		return -EINVAL;
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return -ENOMEM;
	pool->max = max;
	pool->privileged = privileged;
	pool->numa_node = -1;
	pool->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->eventfd < 0) {
		ret = -errno;
		free(pool);
		return ret;
	}
	TAILQ_INIT(&pool->starting);
	TAILQ_INIT(&pool->idle);
	TAILQ_INIT(&pool->held);
	TAILQ_INIT(&pool->ending);
	pthread_mutex_init(&pool->lock, NULL);

	/* The application's signals are for its own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&pool->thread, NULL, svm_lane_keeper, pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret != 0) {
		ret = -ret;
		goto free_pool;
	}
	pthread_setname_np(pool->thread, "svm-lane");
	*out = pool;
	return 0;

free_pool:
	pthread_mutex_destroy(&pool->lock);
	close(pool->eventfd);
	free(pool);
	return ret;
}

void
svm_lane_pool_set_node(struct svm_lane_pool *pool, int numa_node)
{
	/* Relaxed: the thread that makes lanes sees it now or with the next one. */
	__atomic_store_n(&pool->numa_node, numa_node, __ATOMIC_RELAXED);
}

void
svm_lane_pool_destroy(struct svm_lane_pool *pool)
{
	if (pool == NULL)
		return;
	__atomic_store_n(&pool->stop, true, __ATOMIC_RELAXED);	/* svm_lane_word_bump() orders */
	svm_lane_word_bump(&pool->kick);
	pthread_join(pool->thread, NULL);
	/* A lane that could not be ended may yet write: the number stays taken. */
	if (TAILQ_EMPTY(&pool->ending))
		close(pool->eventfd);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

int
svm_lane_pool_eventfd(const struct svm_lane_pool *pool)
{
	return pool->eventfd;
}

struct svm_lane *
svm_lane_tryget(struct svm_lane_pool *pool, const struct svm_cred *cred, int *err)
{
	struct svm_lane *lane;
	bool kick = false;

	*err = 0;
	if (pthread_mutex_trylock(&pool->lock) != 0)
		return NULL;
	lane = lane_take_locked(pool, cred, false, err, &kick);
	pthread_mutex_unlock(&pool->lock);
	if (kick)
		svm_lane_word_bump(&pool->kick);
	return lane;
}

int
svm_lane_ask(struct svm_lane_pool *pool, const struct svm_cred *cred, bool again,
		struct svm_lane **lane)
{
	bool kick = false;
	int err;

	pthread_mutex_lock(&pool->lock);
	*lane = lane_take_locked(pool, cred, again, &err, &kick);
	pthread_mutex_unlock(&pool->lock);
	if (kick)
		svm_lane_word_bump(&pool->kick);
	if (*lane != NULL)
		return 0;
	return err < 0 ? err : -EINPROGRESS;
}

int
svm_lane_get(struct svm_lane_pool *pool, const struct svm_cred *cred,
		uint32_t timeout_us, struct svm_lane **lane)
{
	uint64_t deadline = svm_lane_now_ns() + (uint64_t)timeout_us * 1000;
	bool again = true;
	uint32_t seen;
	int ret;

	for (;;) {
		seen = svm_lane_word_read(&pool->news);
		ret = svm_lane_ask(pool, cred, again, lane);
		if (ret != -EINPROGRESS)
			return ret;
		if (svm_lane_now_ns() >= deadline)
			return -ETIMEDOUT;
		again = false;
		/* A lane that is given back makes no news: look from time to time. */
		svm_lane_word_wait(&pool->news, seen, GET_TICK_NS);
	}
}

void
svm_lane_put(struct svm_lane_pool *pool, struct svm_lane *lane)
{
	bool idle = svm_lane_state(lane) == SVM_LANE_IDLE && !lane->killed;
	struct svm_lane *head;

	head = __atomic_load_n(&pool->given_back, __ATOMIC_RELAXED);	/* checked below */
	do {
		lane->put_next = head;
		/* Release: the holder is done with it, to svm_lane_returns_sort_locked(). */
	} while (!__atomic_compare_exchange_n(&pool->given_back, &head, lane, true,
			__ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (!idle)
		svm_lane_word_bump(&pool->kick);
}

void
svm_lane_pool_stats(const struct svm_lane_pool *pool, struct svm_lane_stats *stats)
{
	stats->made = __atomic_load_n(&pool->stats.made, __ATOMIC_RELAXED);
	stats->killed = __atomic_load_n(&pool->stats.killed, __ATOMIC_RELAXED);
	stats->died = __atomic_load_n(&pool->stats.died, __ATOMIC_RELAXED);
}
