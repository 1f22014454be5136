/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_cycles.h>

#include "svm_watch.h"

#define STACK_LEN	(128u << 10)
/* Events of one process that are read at a time, and processes looked at in a round. */
#define EVENTS		16
#define ROUND		32
/* How long the end waits for a thread that a process holds up. */
#define END_S		1

struct watcher;

struct svm_watch {
	TAILQ_ENTRY(svm_watch) link;
	struct watcher *by;
	struct svm_ident ident;		/* its descriptors are the bond's */
	struct svm_atc *atc;
	int fd;				/* userfaultfd; -1: none */
	bool ready;			/* epoll said so; not yet looked at */
};

TAILQ_HEAD(watch_list, svm_watch);

/* One user's. All but the descriptors under the set's lock. */
struct watcher {
	struct svm_watch_set *set;
	uid_t uid;
	pthread_t thread;
	bool runs, stop;
	int epfd, kick;
	struct watch_list list;
	struct svm_watch *busy;		/* the thread is with this one, without the lock */
};

struct svm_watch_set {
	pthread_mutex_t lock;
	struct watcher watcher[SVM_WATCH_USERS];
};

/* ---- events ---- */

/* Without waiting, whatever a process does to the descriptor that it shares. */
static ssize_t
events_read(int fd, struct uffd_msg *msg, int nb)
{
	struct iovec iov = { .iov_base = msg, .iov_len = nb * sizeof(*msg) };
	int cancel;
	ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

	if (n >= 0 || errno != EOPNOTSUPP)
		return n;
	/* Linux before 6.10: by the descriptor's own flag. */
	if ((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel);
	n = readv(fd, &iov, 1);
	pthread_setcancelstate(cancel, NULL);
	return n;
}

static void
event_apply(struct svm_atc *atc, const struct uffd_msg *m)
{
	switch (m->event) {
	case UFFD_EVENT_UNMAP:
	case UFFD_EVENT_REMOVE:
		if (m->arg.remove.end > m->arg.remove.start)
			svm_atc_unmap(atc, m->arg.remove.start,
				m->arg.remove.end - m->arg.remove.start);
		break;
	case UFFD_EVENT_REMAP:
		svm_atc_unmap(atc, m->arg.remap.from, m->arg.remap.len);
		svm_atc_unmap(atc, m->arg.remap.to, m->arg.remap.len);
		break;
	case UFFD_EVENT_FORK:
		/* Of the child, which has no bond: its memory is its own affair. */
		close((int)m->arg.fork.ufd);
		break;
	}
}

static void
watch_events(struct svm_watch *w)
{
	struct uffd_msg msg[EVENTS];
	ssize_t i, n;

	/* The process goes on the moment its event is read, so this comes first. */
	svm_atc_pause(w->atc);
	n = events_read(w->fd, msg, EVENTS);
	for (i = 0; i < n / (ssize_t)sizeof(msg[0]); i++)
		event_apply(w->atc, &msg[i]);
	svm_atc_resume(w->atc);
}

/* ---- looks ---- */

static void
watch_look(struct svm_watch *w)
{
	const uint64_t now = rte_rdtsc();

	if (svm_ident_alive(&w->ident))
		svm_atc_saw(w->atc, now);
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the thread ---- */

/* Mark those that have events; they may have ended since. */
static void
events_note_locked(struct watcher *by, const struct epoll_event *ev, int n)
{
	struct svm_watch *w;
	int i;

	TAILQ_FOREACH(w, &by->list, link)
		for (i = 0; i < n; i++)
			if (ev[i].data.ptr == w)
				w->ready = true;
}

/* One after the other, each without the lock. True: copies are made, look again soon. */
static bool
watches_serve(struct watcher *by, bool look)
{
	struct svm_watch *w;
	bool used = false;

	pthread_mutex_lock(&by->set->lock);
	TAILQ_FOREACH(w, &by->list, link) {
		const bool ready = w->ready, seek = look && svm_atc_used(w->atc);

		/* So that it stays. */
		by->busy = w;
		w->ready = false;
		used |= seek;
		if (!ready && !seek)
			continue;
		pthread_mutex_unlock(&by->set->lock);
		if (ready)
			watch_events(w);
		if (seek)
			watch_look(w);
		pthread_mutex_lock(&by->set->lock);
	}
	by->busy = NULL;
	pthread_mutex_unlock(&by->set->lock);
	return used;
}

static void *
watcher_main(void *arg)
{
	struct watcher *by = arg;
	struct epoll_event ev[ROUND];
	uint64_t looked = 0, n8;
	bool used = false, stop = false;
	int i, n;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	while (!stop) {
		bool kicked = false, look;

		n = epoll_wait(by->epfd, ev, ROUND, used ? (int)SVM_WATCH_MS : -1);
		for (i = 0; i < n; i++)
			if (ev[i].data.ptr == NULL)
				kicked = read(by->kick, &n8, sizeof(n8)) == sizeof(n8);
		look = kicked || now_ms() - looked >= SVM_WATCH_MS;
		pthread_mutex_lock(&by->set->lock);
		stop = by->stop;
		events_note_locked(by, ev, n);
		pthread_mutex_unlock(&by->set->lock);
		if (look)
			looked = now_ms();
		if (look)
			used = watches_serve(by, true);
		else if (n > 0)
			watches_serve(by, false);
	}
	return NULL;
}

static int
watcher_start_locked(struct watcher *by, uid_t uid)
{
	struct epoll_event ev = { .events = EPOLLIN };
	pthread_attr_t attr;
	int ret;

	by->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (by->epfd < 0)
		return -errno;
	by->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (by->kick < 0 || epoll_ctl(by->epfd, EPOLL_CTL_ADD, by->kick, &ev) != 0) {
		ret = -errno;
		goto close_fds;
	}
	by->uid = uid;
	by->stop = false;
	ret = -pthread_attr_init(&attr);
	if (ret < 0)
		goto close_fds;
	pthread_attr_setstacksize(&attr, STACK_LEN);
	ret = -pthread_create(&by->thread, &attr, watcher_main, by);
	pthread_attr_destroy(&attr);
	if (ret < 0)
		goto close_fds;
	pthread_setname_np(by->thread, "svm-watch");
	by->runs = true;
	return 0;

close_fds:
	if (by->kick >= 0)
		close(by->kick);
	close(by->epfd);
	return ret;
}

static void
watcher_end(struct watcher *by)
{
	const uint64_t one = 1;
	struct timespec end;

	pthread_mutex_lock(&by->set->lock);
	by->stop = true;
	pthread_mutex_unlock(&by->set->lock);
	while (write(by->kick, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += END_S;
	if (pthread_clockjoin_np(by->thread, NULL, CLOCK_MONOTONIC, &end) != 0) {
		/* In events_read(), where it may be cancelled. */
		pthread_cancel(by->thread);
		pthread_join(by->thread, NULL);
	}
	close(by->kick);
	close(by->epfd);
	pthread_mutex_lock(&by->set->lock);
	by->runs = false;
	pthread_mutex_unlock(&by->set->lock);
}

/* The user's, or a new one. */
static int
watcher_get_locked(struct svm_watch_set *set, uid_t uid, struct watcher **by)
{
	struct watcher *fresh = NULL;
	uint32_t i;

	for (i = 0; i != SVM_WATCH_USERS; i++) {
		struct watcher *w = &set->watcher[i];

		if (w->runs && !w->stop && w->uid == uid) {
			*by = w;
			return 0;
		}
		if (!w->runs)
			fresh = w;
	}
	*by = fresh;
	return fresh == NULL ? -EUSERS : watcher_start_locked(fresh, uid);
}

/* ---- watches ---- */

int
svm_watch_add(struct svm_watch_set *set, const struct svm_ident *ident, struct svm_atc *atc,
		struct svm_watch **watch)
{
	struct svm_watch *w = calloc(1, sizeof(*w));
	int ret;

	if (w == NULL)
		return -ENOMEM;
	w->ident = *ident;
	w->atc = atc;
	w->fd = -1;
	pthread_mutex_lock(&set->lock);
	ret = watcher_get_locked(set, ident->cred.euid, &w->by);
	if (ret == 0)
		TAILQ_INSERT_TAIL(&w->by->list, w, link);
	pthread_mutex_unlock(&set->lock);
	if (ret < 0) {
		free(w);
		return ret;
	}
	svm_atc_kick_set(atc, w->by->kick);
	*watch = w;
	return 0;
}

/* Whatever else it may be could keep its reader for ever. */
static bool
is_userfaultfd(int fd)
{
	char path[32], text[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	/* A file's name begins with a slash. */
	return strcmp(text, "anon_inode:[userfaultfd]") == 0;
}

int
svm_watch_events(struct svm_watch *w, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };
	int ret = 0;

	if (!is_userfaultfd(fd)) {
		close(fd);
		return -EINVAL;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	pthread_mutex_lock(&w->by->set->lock);
	if (w->fd >= 0)
		ret = -EEXIST;
	else if (epoll_ctl(w->by->epfd, EPOLL_CTL_ADD, fd, &ev) != 0)
		ret = -errno;
	else
		w->fd = fd;
	pthread_mutex_unlock(&w->by->set->lock);
	if (ret < 0)
		close(fd);
	return ret;
}

int
svm_watch_del(struct svm_watch *w)
{
	struct watcher *by = w->by;
	bool last;

	pthread_mutex_lock(&by->set->lock);
	if (by->busy == w) {
		pthread_mutex_unlock(&by->set->lock);
		return -EBUSY;
	}
	TAILQ_REMOVE(&by->list, w, link);
	/* The process holds the file as well: closing alone would leave it in there. */
	if (w->fd >= 0)
		epoll_ctl(by->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	/* With the last one its thread ends; nobody else finds it from here on. */
	by->stop = last = TAILQ_EMPTY(&by->list);
	pthread_mutex_unlock(&by->set->lock);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
	if (last)
		watcher_end(by);
	return 0;
}

/* ---- life ---- */

int
svm_watch_set_create(struct svm_watch_set **set)
{
	struct svm_watch_set *s = calloc(1, sizeof(*s));
	uint32_t i;

	if (s == NULL)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	for (i = 0; i != SVM_WATCH_USERS; i++) {
		s->watcher[i].set = s;
		TAILQ_INIT(&s->watcher[i].list);
	}
	*set = s;
	return 0;
}

void
svm_watch_set_destroy(struct svm_watch_set *set)
{
	uint32_t i;

	if (set == NULL)
		return;
	for (i = 0; i != SVM_WATCH_USERS; i++)
		if (set->watcher[i].runs)
			watcher_end(&set->watcher[i]);
	pthread_mutex_destroy(&set->lock);
	free(set);
}
