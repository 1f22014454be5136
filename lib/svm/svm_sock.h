/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner's unix sockets: one that listens under a path, and whole messages
 * with a descriptor over a connected one. Nothing here waits for a peer.
 *
 * Who owns a path. The socket file cannot tell by itself: between "nobody
 * answers there" and unlink + bind a second starter can do the same, and
 * unlink the first one's new socket. So an owner holds flock(PATH.lock) for
 * as long as it serves. The kernel drops the lock with the process, however it
 * ends, so a lock that can be had says that the socket is a dead owner's; and
 * of two starters one gets it. flock and not fcntl: a fcntl lock does not
 * exclude a second device of the same process, and closing any descriptor of
 * the file drops it. A connect probe under the lock finds whoever serves the
 * path without knowing of the lock. A child that the owner forked and that
 * lives on without exec keeps lock and socket: it could accept workers, too.
 *
 * Mode. bind() makes the file with the mode of the *socket's* inode, less the
 * umask (unix(7)); fchmod() before bind therefore gives 0600 from the first
 * moment, and the umask, which belongs to the whole process and all its
 * threads, is left alone. A mode that lets others in is given by chmod() then.
 */
#ifndef SVM_SOCK_H
#define SVM_SOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** A listening socket under a path. */
struct svm_sock_listener {
	int fd;
	int lock_fd;
	dev_t dev;		/* identity of the socket file */
	ino_t ino;
	char path[108];
};

/**
 * Listen under a path: SOCK_SEQPACKET, non-blocking, close-on-exec; connections
 * report the credentials of each message's sender. A dead owner's
 * socket is replaced. Nothing remains of a refused call.
 *
 * @param mode
 *   Of the socket: 0600, or more, whatever the umask.
 * @return 0; -EINVAL: the path is empty; -ENAMETOOLONG; -EADDRINUSE: somebody
 *   serves the path, or it is not a socket; -errno of the calls.
 */
int
svm_sock_listen(struct svm_sock_listener *l, const char *path, mode_t mode);

/** Stop listening; unlink the socket if the path still names it. */
void
svm_sock_unlisten(struct svm_sock_listener *l);

/**
 * Accept a connection: non-blocking, close-on-exec.
 *
 * @return A descriptor; -EAGAIN: nobody waits; -errno of accept4.
 */
int
svm_sock_accept(const struct svm_sock_listener *l);

/**
 * The process that connected; 0 when it has no pid in our namespace.
 *
 * @param uid
 *   Out: its effective user as it connected, -1 when nobody knows. May be NULL.
 * @param gid
 *   Out: its effective group. May be NULL.
 */
pid_t
svm_sock_peer(int sock, uid_t *uid, gid_t *gid);

/**
 * The other groups of the process, as it connected.
 *
 * @return How many; 0 also when there are more than `max`, or nobody knows.
 */
uint32_t
svm_sock_peer_groups(int sock, gid_t *groups, uint32_t max);

/**
 * A pidfd of the process that connected: whatever its pid is by now.
 *
 * @return A descriptor; -1: the process is gone, or the kernel (before Linux
 *   6.5) cannot tell.
 */
int
svm_sock_peer_pidfd(int sock);

/** Whether the peer has not received yet all that it was sent. */
bool
svm_sock_unread(int sock);

/**
 * Send one message whole.
 *
 * @param fd
 *   Descriptor to send along, -1 for none. Stays the caller's.
 * @return 0; -EAGAIN: the peer does not read; -EPIPE: it hung up; -errno.
 */
int
svm_sock_send(int sock, const void *msg, uint32_t len, int fd);

/**
 * Look at what the next message begins with; it stays where it is.
 *
 * @return How many bytes of it are in buf; 0: the peer hung up; -EAGAIN; -errno.
 */
int
svm_sock_peek(int sock, void *buf, uint32_t size);

/**
 * Receive one message. A descriptor is close-on-exec; those beyond the one
 * expected never come into this process.
 *
 * @param size
 *   Room in buf; a longer message is -EMSGSIZE.
 * @param len
 *   Out: bytes received; set with -EMSGSIZE and -EPROTO, too, where it says
 *   how much of buf was filled.
 * @param fd
 *   Out: the descriptor that came along or -1, with -EPROTO and -EMSGSIZE,
 *   too: the caller's. NULL: none may come.
 * @param sender
 *   Out: pid of the sender when the socket reports it (svm_sock_listen()),
 *   0 otherwise. May be NULL.
 * @return 0; -EAGAIN: nothing there; -EPIPE: the peer hung up; -EMSGSIZE;
 *   -EPROTO: descriptors that were not expected; -errno.
 */
int
svm_sock_recv(int sock, void *buf, uint32_t size, uint32_t *len, int *fd, pid_t *sender);

/**
 * Close a connection such that what was sent last can still be read: a close
 * with unread messages would make the peer see ECONNRESET instead.
 */
void
svm_sock_hang_up(int sock);

#endif /* SVM_SOCK_H */
