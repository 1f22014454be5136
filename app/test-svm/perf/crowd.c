/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crowd.h"
#include "crowd_proto.h"

#define NURSERY		"svm-test-crowd"
/* The longest that one member may take to come. */
#define MEMBER_MS	30000
/* ... and all of them to go. */
#define END_MS		60000

struct crowd {
	struct crowd_order order;
	pid_t nursery;
	int fd;
	uint32_t nb, room;
	struct crowd_member *member;
};

static void
nursery_exec(const char *path, int fd)
{
	char name[] = NURSERY;
	char *const argv[] = { name, NULL };
	cpu_set_t all;
	sigset_t none;

	/* The main lcore's thread is pinned; members are not. */
	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(fd, CROWD_FD) == CROWD_FD &&
			syscall(SYS_close_range, CROWD_FD + 1, ~0u, 0) == 0)
		execv(path, argv);
	_exit(127);
}

/* The nursery stands beside this program. */
static int
nursery_start(struct crowd *c)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(NURSERY));
	int pair[2], ret;

	if (n <= 0)
		return -ENOENT;
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, NURSERY);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	c->nursery = fork();
	if (c->nursery == 0)
		nursery_exec(path, pair[1]);
	ret = c->nursery < 0 ? -errno : 0;
	close(pair[1]);
	if (ret != 0)
		close(pair[0]);
	else
		c->fd = pair[0];
	return ret;
}

int
crowd_create(const struct crowd_conf *conf, struct crowd **crowd)
{
	struct crowd *c;
	int ret;

	if (strlen(conf->socket) >= sizeof(c->order.socket))
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->order.depth = conf->depth;
	c->order.mem_len = conf->mem_len;
	strcpy(c->order.socket, conf->socket);
	ret = nursery_start(c);
	if (ret != 0) {
		free(c);
		return ret;
	}
	*crowd = c;
	return 0;
}

static int
member_await(struct crowd *c)
{
	static const char *const stages[] = {
		[CROWD_READY] = "ready", [CROWD_AT_FORK] = "fork",
		[CROWD_AT_MEMORY] = "memory", [CROWD_AT_CONNECT] = "connect",
		[CROWD_AT_BIND] = "bind", [CROWD_AT_QUEUE] = "queue",
	};
	struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
	struct crowd_report r;
	int ret;

	do {
		ret = poll(&pfd, 1, MEMBER_MS);
	} while (ret < 0 && errno == EINTR);
	if (ret == 0)
		return -ETIMEDOUT;
	if (recv(c->fd, &r, sizeof(r), 0) != sizeof(r))
		return -EPIPE;
	if (r.error != 0) {
		fprintf(stderr, "crowd: member %u, %s: %s\n", c->nb,
			stages[r.stage % (sizeof(stages) / sizeof(stages[0]))],
			strerror(-r.error));
		return r.error;
	}
	c->member[c->nb++] = (struct crowd_member){
		.pid = r.pid, .bond = r.bond, .mem = r.mem, .connect_ns = r.connect_ns,
		.bind_ns = r.bind_ns, .queue_ns = r.queue_ns,
	};
	return 0;
}

int
crowd_grow(struct crowd *c, uint32_t nb)
{
	int ret = 0;

	if (nb > c->room) {
		struct crowd_member *m = realloc(c->member, nb * sizeof(*m));

		if (m == NULL)
			return -ENOMEM;
		c->member = m;
		c->room = nb;
	}
	/* One by one: the next is asked for when this one is there. */
	while (c->nb < nb && ret == 0) {
		c->order.nb = 1;
		if (send(c->fd, &c->order, sizeof(c->order), MSG_NOSIGNAL) !=
				sizeof(c->order))
			return -EPIPE;
		ret = member_await(c);
	}
	return ret;
}

uint32_t
crowd_size(const struct crowd *c)
{
	return c->nb;
}

const struct crowd_member *
crowd_member(const struct crowd *c, uint32_t i)
{
	return &c->member[i];
}

void
crowd_destroy(struct crowd *c)
{
	struct pollfd pfd;
	char byte;

	if (c == NULL)
		return;
	c->order.nb = 0;
	(void)!send(c->fd, &c->order, sizeof(c->order), MSG_NOSIGNAL);
	/* All ends of the pair are closed when the last of them has ended. */
	pfd = (struct pollfd){ .fd = c->fd, .events = POLLIN };
	while (poll(&pfd, 1, END_MS) > 0 && recv(c->fd, &byte, 1, 0) > 0)
		;
	kill(c->nursery, SIGKILL);
	waitpid(c->nursery, NULL, 0);
	close(c->fd);
	free(c->member);
	free(c);
}

int
crowd_fds_reserve(uint32_t nb)
{
	/* What this process has open besides. */
	const rlim_t want = (rlim_t)nb + 256;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return -errno;
	if (r.rlim_cur >= want)
		return 0;
	if (r.rlim_max < want)
		return -EMFILE;
	r.rlim_cur = want;
	return setrlimit(RLIMIT_NOFILE, &r) == 0 ? 0 : -errno;
}
