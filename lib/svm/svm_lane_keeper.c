/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool's thread: makes the lanes that are wished for, ends those that
 * rest too long, reaps the dead. See svm_lane_pool.h for the picture.
 */
#include <errno.h>
#include <sys/prctl.h>

#include "svm_lane_pool.h"
#include "svm_log.h"

#define NS_PER_MS	1000000ull

#define REFUSAL_NS	(200 * NS_PER_MS)
#define START_QUICK_NS	(5 * NS_PER_MS)	/* the thread waits for a new lane */
#define START_NS	(200 * NS_PER_MS) /* then it only looks at it */
#define IDLE_KEEP	2u		/* idle lanes kept for IDLE_LONG_NS */
#define IDLE_NS		(1000 * NS_PER_MS)
#define IDLE_LONG_NS	(10000 * NS_PER_MS)
#define TICK_BUSY_NS	(1 * NS_PER_MS)
#define TICK_STUCK_NS	(50 * NS_PER_MS)
#define TICK_NS		(500 * NS_PER_MS)
#define DESTROY_NS	(2000 * NS_PER_MS)

static void
wish_answer_locked(struct svm_lane_pool *pool, const struct svm_cred *cred, int err)
{
	struct svm_wish *wish = svm_wish_find_locked(pool, cred);

	if (wish == NULL || wish->state != SVM_WISH_STARTING)
		return;
	wish->state = SVM_WISH_NONE;
	if (err < 0) {
		wish->state = SVM_WISH_REFUSED;
		wish->err = err;
		wish->until_ns = svm_lane_now_ns() + REFUSAL_NS;
	}
	svm_lane_pool_tell(pool);
}

/** Look at a lane that was started; it may have come up, died, or hang. */
static void
start_check_locked(struct svm_lane_pool *pool, struct svm_lane *lane)
{
	int err;

	switch (svm_lane_state(lane)) {
	case SVM_LANE_STARTING:
		if (svm_lane_now_ns() - lane->since_ns < START_NS)
			return;
		/* Its new uid lets the worker stop it. */
		err = -ETIMEDOUT;
		break;
	case SVM_LANE_DEAD:
		err = lane->start_err < 0 ? lane->start_err : -ECANCELED;
		break;
	default:
		if (lane->rights.set_ids || lane->rights.set_caps)
			SVM_LOG(DEBUG, "lane %d runs with the rights of uid %u",
					lane->tid, lane->rights.cred.uid);
		__atomic_fetch_add(&pool->stats.made, 1, __ATOMIC_RELAXED);
		svm_lane_move_locked(pool, lane, SVM_LANE_AT_REST);
		wish_answer_locked(pool, &lane->rights.cred, 0);
		return;
	}
	svm_lane_end_locked(pool, lane);
	wish_answer_locked(pool, &lane->rights.cred, err);
}

static struct svm_wish *
wish_oldest_locked(struct svm_lane_pool *pool)
{
	struct svm_wish *oldest = NULL;
	uint32_t i;

	for (i = 0; i < SVM_WISH_MAX; i++) {
		struct svm_wish *wish = &pool->wish[i];

		if (wish->state == SVM_WISH_OPEN &&
				(oldest == NULL || wish->order < oldest->order))
			oldest = wish;
	}
	return oldest;
}

static bool
idle_fits_locked(const struct svm_lane_pool *pool, const struct svm_cred *cred)
{
	const struct svm_lane *lane;

	TAILQ_FOREACH(lane, &pool->idle, link)
		if (svm_lane_cred_fits(pool, cred, &lane->rights.cred))
			return true;
	return false;
}

/** Meet one wish. False: there is none, or no room. */
static bool
wish_serve_locked(struct svm_lane_pool *pool)
{
	struct svm_wish *wish = wish_oldest_locked(pool);
	struct svm_lane *lane = NULL;
	struct svm_cred cred;
	int ret;

	if (wish == NULL)
		return false;
	if (idle_fits_locked(pool, &wish->cred)) {
		/* One came back meanwhile. */
		wish->state = SVM_WISH_NONE;
		svm_lane_pool_tell(pool);
		return true;
	}
	if (pool->nb_lanes >= pool->max) {
		/* An idle lane of other rights makes room. */
		if (TAILQ_EMPTY(&pool->ending) && pool->nb_idle > 0)
			svm_lane_end_locked(pool, TAILQ_LAST(&pool->idle, svm_lane_list));
		return false;
	}
	wish->state = SVM_WISH_STARTING;
	cred = wish->cred;
	pool->nb_lanes++;

	pthread_mutex_unlock(&pool->lock);
	ret = svm_lane_start(pool->privileged ? NULL : &cred, pool->eventfd,
			__atomic_load_n(&pool->numa_node, __ATOMIC_RELAXED), &lane);
	if (ret == 0)
		svm_lane_wait(lane, START_QUICK_NS);
	pthread_mutex_lock(&pool->lock);

	if (ret < 0) {
		pool->nb_lanes--;
		wish_answer_locked(pool, &cred, ret);
		return true;
	}
	svm_lane_enter_locked(pool, lane, SVM_LANE_AT_START);
	start_check_locked(pool, lane);
	return true;
}

static void
starting_check_locked(struct svm_lane_pool *pool)
{
	struct svm_lane *lane, *next;

	for (lane = TAILQ_FIRST(&pool->starting); lane != NULL; lane = next) {
		next = TAILQ_NEXT(lane, link);
		start_check_locked(pool, lane);
	}
}

/** End lanes that rest too long, and see which have been killed meanwhile. */
static void
idle_trim_locked(struct svm_lane_pool *pool)
{
	uint64_t now = svm_lane_now_ns(), age;
	struct svm_lane *lane, *prev;

	for (lane = TAILQ_LAST(&pool->idle, svm_lane_list); lane != NULL; lane = prev) {
		prev = TAILQ_PREV(lane, svm_lane_list, link);
		age = now - lane->since_ns;
		if (svm_lane_state(lane) != SVM_LANE_IDLE || age > IDLE_LONG_NS ||
				(age > IDLE_NS && pool->nb_idle > IDLE_KEEP))
			svm_lane_end_locked(pool, lane);
	}
}

static void
ending_reap_locked(struct svm_lane_pool *pool)
{
	struct svm_lane_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct svm_lane *lane, *next;
	uint32_t nb = 0;

	for (lane = TAILQ_FIRST(&pool->ending); lane != NULL; lane = next) {
		next = TAILQ_NEXT(lane, link);
		if (svm_lane_state(lane) != SVM_LANE_DEAD || !svm_lane_reap(lane))
			continue;
		TAILQ_REMOVE(&pool->ending, lane, link);
		TAILQ_INSERT_HEAD(&gone, lane, link);
		nb++;
	}
	if (nb == 0)
		return;
	pool->nb_lanes -= nb;

	pthread_mutex_unlock(&pool->lock);
	while ((lane = TAILQ_FIRST(&gone)) != NULL) {
		TAILQ_REMOVE(&gone, lane, link);
		svm_lane_free(lane);
	}
	pthread_mutex_lock(&pool->lock);
}

static bool
rights_differ_in(const struct svm_lane_list *list)
{
	const struct svm_lane *lane;

	TAILQ_FOREACH(lane, list, link)
		if (lane->rights.set_ids || lane->rights.set_caps)
			return true;
	return false;
}

/** As long as a lane has lesser rights, the owner's memory stays closed to them. */
static void
dumpable_guard_locked(struct svm_lane_pool *pool)
{
	/* One that comes up, or does not end, lies in it as well. */
	if (!rights_differ_in(&pool->idle) && !rights_differ_in(&pool->held) &&
			!rights_differ_in(&pool->starting) && !rights_differ_in(&pool->ending))
		return;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
		return;
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	SVM_LOG(WARNING, "the process was made dumpable while lanes run with a worker's rights: undone");
}

/** How long the thread may sleep when nobody kicks it; 0 for ever. */
static uint64_t
tick_locked(const struct svm_lane_pool *pool)
{
	const struct svm_lane *oldest = TAILQ_LAST(&pool->ending, svm_lane_list);

	if (!TAILQ_EMPTY(&pool->starting))
		return TICK_BUSY_NS;
	if (oldest != NULL)
		return svm_lane_now_ns() - oldest->since_ns < TICK_STUCK_NS ?
			TICK_BUSY_NS : TICK_STUCK_NS;
	return pool->nb_lanes > 0 ? TICK_NS : 0;
}

/** Kill all lanes and reap what goes. The rest stays behind: its memory may be in use. */
static void
pool_drain_locked(struct svm_lane_pool *pool)
{
	uint64_t deadline = svm_lane_now_ns() + DESTROY_NS;
	struct svm_lane *lane;
	uint32_t seen;

	svm_lane_returns_sort_locked(pool);
	while ((lane = TAILQ_FIRST(&pool->starting)) != NULL ||
			(lane = TAILQ_FIRST(&pool->idle)) != NULL ||
			(lane = TAILQ_FIRST(&pool->held)) != NULL)
		svm_lane_end_locked(pool, lane);

	for (;;) {
		ending_reap_locked(pool);
		if (TAILQ_EMPTY(&pool->ending) || svm_lane_now_ns() >= deadline)
			break;
		seen = svm_lane_word_read(&pool->kick);
		pthread_mutex_unlock(&pool->lock);
		svm_lane_word_wait(&pool->kick, seen, TICK_BUSY_NS);
		pthread_mutex_lock(&pool->lock);
	}
	TAILQ_FOREACH(lane, &pool->ending, link)
		SVM_LOG(ERR, "lane %d cannot be ended, it and its memory stay behind", lane->tid);
}

void *
svm_lane_keeper(void *arg)
{
	struct svm_lane_pool *pool = arg;
	uint64_t tick;
	uint32_t seen;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		/* Read before looking: what comes later ends the sleep. */
		seen = svm_lane_word_read(&pool->kick);
		if (__atomic_load_n(&pool->stop, __ATOMIC_RELAXED))	/* svm_lane_word_read() orders */
			break;
		svm_lane_returns_sort_locked(pool);
		starting_check_locked(pool);
		idle_trim_locked(pool);
		ending_reap_locked(pool);
		while (wish_serve_locked(pool))
			;
		dumpable_guard_locked(pool);
		tick = tick_locked(pool);

		pthread_mutex_unlock(&pool->lock);
		svm_lane_word_wait(&pool->kick, seen, tick);
		pthread_mutex_lock(&pool->lock);
	}
	pool_drain_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}
