/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread, one epoll set (svm_fdtab.h): the listening socket, an eventfd by
 * which other threads reach it, the workers' sockets and the bonds' pidfds.
 *
 * Connections belong to the thread and need no lock. No lock is held across a
 * callback, so ops may call watch and unwatch.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "svm_admit.h"
#include "svm_conn.h"
#include "svm_fdtab.h"
#include "svm_log.h"
#include "svm_pause.h"
#include "svm_policy.h"
#include "svm_server.h"
#include "svm_sock.h"

#define SERVER_EVENTS		64
/* Connections accepted in a turn of the loop. */
#define SERVER_ACCEPTS		16
#define SERVER_TICK_MS		10
/* How long a connection may say nothing at all. */
#define SERVER_HELLO_MS		5000
/* How often such are looked for. */
#define SERVER_SLOW_MS		500
/* Rest after accept failed for want of descriptors or memory. */
#define SERVER_ACCEPT_REST_MS	100

struct svm_server {
	struct svm_server_conf conf;
	struct svm_server_ops ops;
	void *arg;

	struct svm_sock_listener listener;
	bool has_listener;
	struct svm_fdtab fds;
	int eventfd;
	pthread_t thread;
	bool stop;		/* atomic; with eventfd */
	int end_ret;		/* the thread's last word */

	/* the server's thread only, but for nb_workers */
	struct svm_conn_env env;
	struct svm_conn_list conns;	/* connected */
	uint32_t nb_workers;	/* connected; written by the thread, read by any */
	struct svm_admit admit;
	struct svm_conn_list paused;	/* sent too much; their turn comes again */
	bool resting;		/* not listening, see SERVER_ACCEPT_REST_MS */
	uint64_t rest_until_ms;
	uint64_t next_tick_ms;
	uint64_t next_slow_ms;
};

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- workers ---- */

static uint32_t
workers_now(const struct svm_server *s)
{
	return __atomic_load_n(&s->nb_workers, __ATOMIC_RELAXED);
}

/* A figure for whoever asks; orders nothing. */
static void
workers_set(struct svm_server *s, uint32_t n)
{
	__atomic_store_n(&s->nb_workers, n, __ATOMIC_RELAXED);
}

/* Free a leaving connection that has nothing left. */
static void
leaving_try(struct svm_server *s, struct svm_conn *conn)
{
	if (!svm_conn_give_back(conn))
		return;
	TAILQ_REMOVE(&s->env.leaving, conn, link);
	/* Only now: one that leaves still holds what it was given. */
	svm_admit_put(&s->admit, conn->pid, conn->uid);
	svm_conn_destroy(conn);
}

/* Forgotten first and closed then: the number may be another thread's at once. */
static void
conn_hang_up(struct svm_server *s, struct svm_conn *conn, int status)
{
	svm_fdtab_del(&s->fds, conn->fd);
	svm_pause_forget(&s->paused, conn);
	svm_conn_leave(conn, status);
	TAILQ_REMOVE(&s->conns, conn, link);
	workers_set(s, workers_now(s) - 1);
	TAILQ_INSERT_TAIL(&s->env.leaving, conn, link);
	leaving_try(s, conn);
}

static void
conn_read(struct svm_server *s, struct svm_conn *conn)
{
	int status;

	if (!svm_conn_serve(conn, &status))
		conn_hang_up(s, conn, status);
	else if (conn->paused_until_ms != 0)
		svm_pause_begin(&s->paused, &s->fds, conn);
}

static void
conn_accept(struct svm_server *s, int fd)
{
	struct svm_fd_entry e = { .kind = SVM_FD_CONN };
	pid_t pid;
	uid_t uid;
	int rc;

	rc = svm_admit_take(&s->admit, fd, now_ms());
	if (rc != 0)
		goto refuse;
	pid = svm_sock_peer(fd, &uid, NULL);
	rc = svm_conn_create(&s->env, fd, now_ms(), &e.conn);
	if (rc != 0)
		goto unadmit;
	rc = svm_fdtab_add(&s->fds, fd, &e);
	if (rc != 0)
		goto destroy_conn;
	TAILQ_INSERT_TAIL(&s->conns, e.conn, link);
	workers_set(s, workers_now(s) + 1);
	return;

destroy_conn:
	e.conn->fd = -1;
	svm_conn_destroy(e.conn);
unadmit:
	svm_admit_put(&s->admit, pid, uid);
refuse:
	svm_conn_refuse(fd, rc);
}

static int
listener_wait(struct svm_server *s)
{
	const struct svm_fd_entry e = { .kind = SVM_FD_LISTENER };

	return svm_fdtab_add(&s->fds, s->listener.fd, &e);
}

static void
listener_serve(struct svm_server *s)
{
	int i, fd;

	for (i = 0; i != SERVER_ACCEPTS; i++) {
		fd = svm_sock_accept(&s->listener);
		if (fd == -EAGAIN)
			return;
		if (fd < 0) {
			/* It would stay readable and turn the loop into a spin. */
			SVM_LOG(ERR, "%s: accept: %s", s->conf.path, strerror(-fd));
			svm_fdtab_del(&s->fds, s->listener.fd);
			s->resting = true;
			s->rest_until_ms = now_ms() + SERVER_ACCEPT_REST_MS;
			return;
		}
		conn_accept(s, fd);
	}
}

/* ---- the thread ---- */

static void
event_serve(struct svm_server *s, int fd)
{
	const struct svm_fd_entry e = svm_fdtab_fired(&s->fds, fd);
	uint64_t count;

	switch (e.kind) {
	case SVM_FD_WAKE:
		if (read(fd, &count, sizeof(count)) < 0)
			return;
		break;
	case SVM_FD_LISTENER:
		listener_serve(s);
		break;
	case SVM_FD_CONN:
		conn_read(s, e.conn);
		break;
	case SVM_FD_WATCH:
		s->ops.process_gone(s->arg, e.bond);
		break;
	case SVM_FD_NONE:
	case SVM_FD_GONE:
		break;
	}
}

static void
bind_hang_up(struct svm_conn *conn, int status, void *arg)
{
	conn_hang_up(arg, conn, status);
}

/* Connections that never say HELLO, or PROOF; the oldest come first. */
static void
silent_hang_up(struct svm_server *s, uint64_t now)
{
	struct svm_conn *conn;

	while ((conn = svm_conn_asked_late(&s->env, now)) != NULL)
		conn_hang_up(s, conn, -ETIMEDOUT);
	conn = TAILQ_FIRST(&s->conns);
	while (conn != NULL && now - conn->since_ms >= SERVER_HELLO_MS) {
		struct svm_conn *next = TAILQ_NEXT(conn, link);

		if (conn->state == SVM_CONN_HELLO)
			conn_hang_up(s, conn, -ETIMEDOUT);
		conn = next;
	}
}

/* What time brings. */
static void
housekeep(struct svm_server *s)
{
	const uint64_t now = now_ms();
	struct svm_conn *conn, *next;

	if (now >= s->next_tick_ms) {
		for (conn = TAILQ_FIRST(&s->env.leaving); conn != NULL; conn = next) {
			next = TAILQ_NEXT(conn, link);
			leaving_try(s, conn);
		}
		svm_pause_end(&s->paused, &s->fds, now);
		s->next_tick_ms = now + SERVER_TICK_MS;
	}
	if (s->resting && now >= s->rest_until_ms)
		s->resting = listener_wait(s) != 0;
	if (now >= s->next_slow_ms) {
		silent_hang_up(s, now);
		s->next_slow_ms = now + SERVER_SLOW_MS;
	}
}

/* Milliseconds until housekeep() has something to do, -1: nothing but events. */
static int
nap_ms(const struct svm_server *s)
{
	const struct svm_conn *last = TAILQ_LAST(&s->conns, svm_conn_list);

	if (!TAILQ_EMPTY(&s->env.leaving) || !TAILQ_EMPTY(&s->paused) || svm_conn_binds_pending(&s->env))
		return SERVER_TICK_MS;
	if (s->resting)
		return SERVER_ACCEPT_REST_MS;
	/* The youngest connection has always said the least. */
	if (last != NULL && now_ms() - last->since_ms < SERVER_HELLO_MS + SERVER_SLOW_MS * 2)
		return SERVER_SLOW_MS;
	if (!TAILQ_EMPTY(&s->env.asked))
		return SERVER_SLOW_MS;
	return -1;
}

/* Hang up on everybody, and ask the device until it has taken all back. */
static void
conns_end(struct svm_server *s)
{
	const struct timespec tick = { .tv_nsec = SERVER_TICK_MS * 1000000L };
	const uint64_t end = now_ms() + s->conf.end_ms;
	struct svm_conn *conn, *next;

	while ((conn = TAILQ_FIRST(&s->conns)) != NULL)
		conn_hang_up(s, conn, 0);
	while (!TAILQ_EMPTY(&s->env.leaving) && now_ms() < end) {
		nanosleep(&tick, NULL);
		for (conn = TAILQ_FIRST(&s->env.leaving); conn != NULL; conn = next) {
			next = TAILQ_NEXT(conn, link);
			leaving_try(s, conn);
		}
	}
	while ((conn = TAILQ_FIRST(&s->env.leaving)) != NULL) {
		SVM_LOG(ERR, "process %d: %u queues could not be taken back",
			(int)conn->pid, conn->nb_queues);
		TAILQ_REMOVE(&s->env.leaving, conn, link);
		svm_conn_destroy(conn);
		s->end_ret = -EBUSY;
	}
}

static void *
server_main(void *arg)
{
	struct svm_server *s = arg;
	struct epoll_event ev[SERVER_EVENTS];
	int i, n;

	/* Pairs with the release store in svm_server_destroy(). */
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		n = epoll_wait(s->fds.epfd, ev, SERVER_EVENTS, nap_ms(s));
		for (i = 0; i < n; i++)
			event_serve(s, ev[i].data.fd);
		svm_conn_binds_step(&s->env, bind_hang_up, s);
		housekeep(s);
	}
	conns_end(s);
	return NULL;
}

/*
 * The thread takes no signal that is sent to the process. Those that a thread
 * raises itself stay open: blocked, a fault would end the process without
 * having reached the handlers of the library, EAL or a sanitizer.
 */
static int
thread_start(struct svm_server *s)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	sigset_t all, before;
	size_t i;
	int rc;

	sigfillset(&all);
	for (i = 0; i != sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&s->thread, NULL, server_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		pthread_setname_np(s->thread, "svm-ctl");
	return rc;
}

/* Make the epoll set and the descriptors that are always in it. */
static int
fds_open(struct svm_server *s)
{
	const struct svm_fd_entry wake = { .kind = SVM_FD_WAKE };
	int rc = svm_fdtab_init(&s->fds);

	if (rc != 0)
		return rc;
	s->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->eventfd < 0) {
		rc = -errno;
		goto fini_fdtab;
	}
	rc = svm_fdtab_add(&s->fds, s->eventfd, &wake);
	if (rc == 0 && s->conf.wake_fd >= 0)
		rc = svm_fdtab_add(&s->fds, s->conf.wake_fd, &wake);
	if (rc != 0)
		goto close_eventfd;
	if (s->conf.path[0] == '\0')
		return 0;
	rc = svm_sock_listen(&s->listener, s->conf.path, svm_rules_mode(&s->conf.rules));
	if (rc != 0)
		goto close_eventfd;
	rc = listener_wait(s);
	if (rc != 0)
		goto unlisten;
	s->has_listener = true;
	return 0;

unlisten:
	svm_sock_unlisten(&s->listener);
close_eventfd:
	close(s->eventfd);
fini_fdtab:
	svm_fdtab_fini(&s->fds);
	return rc;
}

static void
fds_close(struct svm_server *s)
{
	if (s->has_listener)
		svm_sock_unlisten(&s->listener);
	close(s->eventfd);
	svm_fdtab_fini(&s->fds);
}

int
svm_server_create(const struct svm_server_conf *conf, const struct svm_server_ops *ops,
		void *arg, struct svm_server **server)
{
	struct svm_server *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return -ENOMEM;
	s->conf = *conf;
	s->ops = *ops;
	s->arg = arg;
	s->env.conf = &s->conf;
	s->env.ops = &s->ops;
	s->env.arg = arg;
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->env.leaving);
	TAILQ_INIT(&s->paused);
	s->admit.conf = &s->conf;
	TAILQ_INIT(&s->env.binding);
	TAILQ_INIT(&s->env.waiting);
	TAILQ_INIT(&s->env.asked);
	s->conf.path = strdup(conf->path);
	if (s->conf.path == NULL) {
		rc = -ENOMEM;
		goto free_server;
	}
	rc = fds_open(s);
	if (rc != 0)
		goto free_path;
	/* Set first: the thread's first callback may come before this returns. */
	*server = s;
	rc = thread_start(s);
	if (rc != 0)
		goto close_fds;
	return 0;

close_fds:
	*server = NULL;
	fds_close(s);
free_path:
	free((char *)(uintptr_t)s->conf.path);
free_server:
	free(s);
	return rc;
}

/* The eventfd's count cannot overflow by ones in any life; -EAGAIN is a wake-up, too. */
static void
server_wake(struct svm_server *s)
{
	const uint64_t one = 1;
	ssize_t n;

	do {
		n = write(s->eventfd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

int
svm_server_destroy(struct svm_server *server)
{
	int ret;

	if (server == NULL)
		return 0;
	/* Pairs with the acquire load in server_main(). */
	__atomic_store_n(&server->stop, true, __ATOMIC_RELEASE);
	server_wake(server);
	pthread_join(server->thread, NULL);
	ret = server->end_ret;
	fds_close(server);
	svm_tally_fini(&server->admit.tally);
	svm_tally_fini(&server->env.queues_of);
	svm_tally_fini(&server->env.mem_of);
	free((char *)(uintptr_t)server->conf.path);
	free(server);
	return ret;
}

int
svm_server_watch(struct svm_server *server, int pidfd, uint64_t bond)
{
	const struct svm_fd_entry e = { .kind = SVM_FD_WATCH, .bond = bond };

	return svm_fdtab_add(&server->fds, pidfd, &e);
}

void
svm_server_unwatch(struct svm_server *server, int pidfd)
{
	svm_fdtab_del(&server->fds, pidfd);
}

int
svm_server_eventfd(const struct svm_server *server)
{
	return server->eventfd;
}

uint32_t
svm_server_workers(const struct svm_server *server)
{
	return workers_now(server);
}
