/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who a worker is: its pid, the descriptors that are tied to the process and
 * to its mm, and the rights it has.
 */
#ifndef SVM_IDENT_H
#define SVM_IDENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SVM_CRED_GROUPS_MAX	64

/** Rights of a process, as /proc/PID/status shows them. Plain data, comparable. */
struct svm_cred {
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;
	uint32_t nb_groups;
	gid_t groups[SVM_CRED_GROUPS_MAX];	/* sorted */
	uint64_t cap_permitted;	/* in our user namespace: 0 for a process of another */
};

/** An opened process. */
struct svm_ident {
	pid_t pid;
	int pidfd;	/* readable when the process is gone */
	int memfd;	/* /proc/PID/mem O_RDONLY; reads 0 bytes when the mm is gone, exec included */
	struct svm_cred cred;
};

/**
 * Open a process and read its rights.
 *
 * @return 0; -EINVAL pid <= 0; -ESRCH no such process, a zombie, a kernel
 *   thread, the id of a thread; -EPERM or -EACCES the kernel refuses /proc/PID/mem; -E2BIG more
 *   groups than SVM_CRED_GROUPS_MAX; -EMFILE and its like. Nothing stays open
 *   after an error.
 */
int
svm_ident_open(struct svm_ident *id, pid_t pid);

/**
 * svm_ident_open() of a process that a pidfd names already (SO_PEERPIDFD): a
 * pid that is another process's by now is found out.
 *
 * @param pidfd
 *   Belongs to the ident, or is closed, in any case. -1: as svm_ident_open().
 */
int
svm_ident_open_peer(struct svm_ident *id, pid_t pid, int pidfd);

/**
 * svm_ident_open(), given up after `us`: a process can hold whoever opens it up,
 * for ever if it likes.
 *
 * @return As svm_ident_open(); -ETIMEDOUT; -EAGAIN too many given up have not
 *   come back yet, or no thread; -ENOMEM.
 */
int
svm_ident_open_timed(struct svm_ident *id, pid_t pid, uint32_t us);

/** svm_ident_open_peer(), by a thread of its own while the caller does something else. */
struct svm_ident_try;

/**
 * Start to open.
 *
 * @param pidfd    Goes to svm_ident_open_peer() with success.
 * @param who      The user whose process it is: see svm_errand.h.
 * @param eventfd  Written when it has ended; -1: none.
 * @return 0; -EBUSY: this user has too many under way; -EAGAIN; -ENOMEM.
 */
int
svm_ident_try_start(pid_t pid, int pidfd, uid_t who, int eventfd, struct svm_ident_try **try);

/**
 * Wait for it, 0 us: look.
 *
 * @return -EINPROGRESS; otherwise it is gone: as svm_ident_open().
 */
int
svm_ident_try_wait(struct svm_ident_try *t, uint32_t us, struct svm_ident *id);

/** Give it up; what it opens is closed. */
void
svm_ident_try_leave(struct svm_ident_try *t);

/** Close both descriptors; safe after a failed open and twice, not before any open. */
void
svm_ident_close(struct svm_ident *id);

/**
 * Whether pid still is the process, with the mm, that was opened. Takes the
 * worker's mmap lock, so a hostile worker can make it wait: not for a poll
 * loop; lanes do the same check by themselves.
 */
bool
svm_ident_alive(const struct svm_ident *id);

/** Rights of the calling process. 0 or -errno. */
int
svm_cred_self(struct svm_cred *cred);

bool
svm_cred_equal(const struct svm_cred *a, const struct svm_cred *b);

#endif /* SVM_IDENT_H */
