/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "svm_sock.h"

#define SOCK_BACKLOG		64
/* Messages thrown away at most when a connection is closed. */
#define SOCK_DRAIN		1024
#define SOCK_LOCK_TRIES		16
/* Linux 6.5; Debian 12's headers are older. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD		77
#endif

_Static_assert(sizeof(((struct svm_sock_listener *)0)->path) ==
	sizeof(((struct sockaddr_un *)0)->sun_path), "any address fits");

/*
 * Take the lock that goes with a path. The last owner unlinks the lock file
 * while it holds it, so the file locked is the right one only if the path
 * still names it.
 */
static int
lock_take(const char *path)
{
	char name[sizeof(((struct svm_sock_listener *)0)->path) + 8];
	struct stat held, named;
	int fd, i, rc;

	snprintf(name, sizeof(name), "%s.lock", path);
	for (i = 0; i != SOCK_LOCK_TRIES; i++) {
		fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			rc = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
			close(fd);
			return rc;
		}
		if (fstat(fd, &held) == 0 && lstat(name, &named) == 0 &&
				held.st_dev == named.st_dev && held.st_ino == named.st_ino)
			return fd;
		close(fd);
	}
	return -EADDRINUSE;
}

static void
lock_drop(const char *path, int fd)
{
	char name[sizeof(((struct svm_sock_listener *)0)->path) + 8];

	snprintf(name, sizeof(name), "%s.lock", path);
	unlink(name);
	close(fd);
}

/* Make way for bind: 0 when the path is free, or a dead owner's socket is gone. */
static int
path_clear(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, rc;

	if (lstat(addr->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ? 0 : errno;
	close(fd);
	/* Only "nobody listens" is proof; a full backlog or another type is not. */
	if (rc == ENOENT)
		return 0;
	if (rc != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(addr->sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

int
svm_sock_listen(struct svm_sock_listener *l, const char *path, mode_t mode)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);
	const int on = 1;
	struct stat st;
	int rc;

	if (len == 0)
		return -EINVAL;
	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, len + 1);
	memcpy(l->path, path, len + 1);

	rc = lock_take(path);
	if (rc < 0)
		return rc;
	l->lock_fd = rc;
	rc = path_clear(&addr);
	if (rc != 0)
		goto drop_lock;
	l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0) {
		rc = -errno;
		goto drop_lock;
	}
	/* SO_PASSCRED is inherited by what accept() returns, with no gap. */
	if (setsockopt(l->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0 ||
			fchmod(l->fd, 0600) != 0 ||
			bind(l->fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
		rc = -errno;
		goto close_socket;
	}
	if (lstat(path, &st) != 0) {
		rc = -errno;
		goto close_socket;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	if ((st.st_mode & 0177) != 0) {
		rc = -EACCES;
		goto unlink_socket;
	}
	if (mode != 0600 && chmod(path, mode) != 0) {
		rc = -errno;
		goto unlink_socket;
	}
	if (listen(l->fd, SOCK_BACKLOG) != 0) {
		rc = -errno;
		goto unlink_socket;
	}
	return 0;

unlink_socket:
	unlink(path);
close_socket:
	close(l->fd);
drop_lock:
	lock_drop(path, l->lock_fd);
	return rc;
}

void
svm_sock_unlisten(struct svm_sock_listener *l)
{
	struct stat st;

	/* The open socket pins its inode, so the number cannot be another file's. */
	if (lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	close(l->fd);
	lock_drop(l->path, l->lock_fd);
}

int
svm_sock_accept(const struct svm_sock_listener *l)
{
	int fd;

	do {
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	return fd < 0 ? -errno : fd;
}

pid_t
svm_sock_peer(int sock, uid_t *uid, gid_t *gid)
{
	struct ucred cred = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		cred.pid = 0;
	if (uid != NULL)
		*uid = cred.uid;
	if (gid != NULL)
		*gid = cred.gid;
	return cred.pid;
}

uint32_t
svm_sock_peer_groups(int sock, gid_t *groups, uint32_t max)
{
	socklen_t len = max * sizeof(*groups);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return 0;
	return len / sizeof(*groups);
}

int
svm_sock_peer_pidfd(int sock)
{
	socklen_t len = sizeof(int);
	int fd = -1;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) != 0)
		return -1;
	return fd;
}

bool
svm_sock_unread(int sock)
{
	int n = 0;

	return ioctl(sock, SIOCOUTQ, &n) == 0 && n != 0;
}

int
svm_sock_send(int sock, const void *msg, uint32_t len, int fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl;
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = &ctl;
		mh.msg_controllen = sizeof(ctl.room);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* Walk the control data: the sender's pid, and the one descriptor that has room there. */
static void
control_take(struct msghdr *mh, int *fd, pid_t *sender)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		const size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS && len >= sizeof(struct ucred)) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			*sender = cred.pid;
		}
		if (c->cmsg_type == SCM_RIGHTS && len >= sizeof(int))
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	}
}

int
svm_sock_recv(int sock, void *buf, uint32_t size, uint32_t *len, int *fd, pid_t *sender)
{
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	} ctl;
	/*
	 * For credentials, and for one descriptor where one may come. The kernel drops
	 * those that find no room. To close one here could take for ever: its file
	 * system may be a process of the peer's.
	 */
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &ctl,
		.msg_controllen = CMSG_SPACE(sizeof(struct ucred)) +
			(fd != NULL ? CMSG_LEN(sizeof(int)) : 0),
	};
	pid_t from = 0;
	int got = -1, rc = 0;
	ssize_t n;

	do {
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;

	control_take(&mh, &got, &from);
	*len = (uint32_t)n;
	/* What MSG_CTRUNC stands for was descriptors: credentials had their room. */
	if ((mh.msg_flags & MSG_CTRUNC) != 0)
		rc = -EPROTO;
	else if ((mh.msg_flags & MSG_TRUNC) != 0)
		rc = -EMSGSIZE;
	else if (n == 0)
		rc = -EPIPE;
	if (fd != NULL)
		*fd = got;
	if (sender != NULL)
		*sender = from;
	return rc;
}

int
svm_sock_peek(int sock, void *buf, uint32_t size)
{
	ssize_t n;

	do {
		n = recv(sock, buf, size, MSG_PEEK | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)n;
}

void
svm_sock_hang_up(int sock)
{
	char byte;
	int i;

	/* Nothing new can come in from here on; what did is thrown away. */
	shutdown(sock, SHUT_RD);
	for (i = 0; i != SOCK_DRAIN; i++) {
		const ssize_t n = recv(sock, &byte, sizeof(byte), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EINTR))
			break;
	}
	close(sock);
}
