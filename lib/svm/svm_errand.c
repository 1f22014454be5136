/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "svm_errand.h"
#include "svm_share.h"

struct svm_errand {
	struct svm_errand_call call;
	pthread_t thread;
	pthread_mutex_t lock;
	bool through;		/* under lock */
	bool left;		/* under lock */
};

/* Who has an errand under way or left; of all devices. */
static struct {
	pthread_mutex_t lock;
	struct svm_share share;
} out = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int
out_add(uid_t who)
{
	bool taken;

	pthread_mutex_lock(&out.lock);
	taken = svm_share_take(&out.share, who);
	pthread_mutex_unlock(&out.lock);
	return taken ? 0 : -EBUSY;
}

static void
out_del(uid_t who)
{
	pthread_mutex_lock(&out.lock);
	svm_share_put(&out.share, who);
	pthread_mutex_unlock(&out.lock);
}

static void
errand_free(struct svm_errand *e)
{
	out_del(e->call.who);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static void *
errand_main(void *arg)
{
	const uint64_t one = 1;
	struct svm_errand *e = arg;
	bool left;

	e->call.run(e->call.arg);
	pthread_mutex_lock(&e->lock);
	e->through = true;
	left = e->left;
	/* Under the lock: whoever leaves may close the eventfd at once. */
	if (!left && e->call.eventfd >= 0)
		while (write(e->call.eventfd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	pthread_mutex_unlock(&e->lock);
	if (left) {
		e->call.drop(e->call.arg);
		errand_free(e);
	}
	return NULL;
}

int
svm_errand_start(const struct svm_errand_call *call, struct svm_errand **errand)
{
	struct svm_errand *e;
	sigset_t all, old;
	int ret;

	ret = out_add(call->who);
	if (ret < 0)
		return ret;
	e = calloc(1, sizeof(*e));
	if (e == NULL) {
		out_del(call->who);
		return -ENOMEM;
	}
	e->call = *call;
	pthread_mutex_init(&e->lock, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&e->thread, NULL, errand_main, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret != 0) {
		errand_free(e);
		return -ret;
	}
	*errand = e;
	return 0;
}

bool
svm_errand_wait(struct svm_errand *e, uint32_t us)
{
	struct timespec end;
	bool through;

	if (us != 0) {
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += us / 1000000;
		end.tv_nsec += us % 1000000 * 1000L;
		if (end.tv_nsec >= 1000000000L) {
			end.tv_sec++;
			end.tv_nsec -= 1000000000L;
		}
		if (pthread_clockjoin_np(e->thread, NULL, CLOCK_MONOTONIC, &end) != 0)
			return false;
	} else {
		pthread_mutex_lock(&e->lock);
		through = e->through;
		pthread_mutex_unlock(&e->lock);
		if (!through)
			return false;
		pthread_join(e->thread, NULL);
	}
	errand_free(e);
	return true;
}

void
svm_errand_leave(struct svm_errand *e)
{
	bool through;

	pthread_mutex_lock(&e->lock);
	through = e->through;
	e->left = true;
	/* Before the lock is free: the thread may be gone right after. */
	if (!through)
		pthread_detach(e->thread);
	pthread_mutex_unlock(&e->lock);
	if (!through)
		return;
	pthread_join(e->thread, NULL);
	e->call.drop(e->call.arg);
	errand_free(e);
}
