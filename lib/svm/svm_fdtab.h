/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An epoll set, and a table indexed by descriptor that says what each one in
 * it is. Other threads add and remove watches while the server's thread waits,
 * so the table has a lock; it is never held across a callback.
 *
 * An event may be a stale one, of a descriptor that was closed since and is
 * used again. So what fired is looked up by number when its turn comes, and a
 * pidfd is asked itself whether its process has ended. For a socket a stale
 * event costs one empty read.
 */
#ifndef SVM_FDTAB_H
#define SVM_FDTAB_H

#include <pthread.h>
#include <stdint.h>

struct svm_conn;

enum svm_fd_kind {
	SVM_FD_NONE,
	SVM_FD_WAKE,		/* the eventfd of other threads */
	SVM_FD_LISTENER,
	SVM_FD_CONN,
	SVM_FD_WATCH,		/* a bond's pidfd */
	SVM_FD_GONE,		/* a watch that has reported */
};

struct svm_fd_entry {
	enum svm_fd_kind kind;
	union {
		struct svm_conn *conn;
		uint64_t bond;
	};
};

struct svm_fdtab {
	int epfd;
	pthread_mutex_t lock;
	struct svm_fd_entry *entries;	/* under lock */
	int nb_entries;			/* under lock */
};

/** 0 or -errno. */
int
svm_fdtab_init(struct svm_fdtab *tab);

void
svm_fdtab_fini(struct svm_fdtab *tab);

/**
 * Wait for input on a descriptor. Any thread.
 *
 * @return 0; -EEXIST: it is in the table; -ENOMEM; -errno of epoll_ctl.
 */
int
svm_fdtab_add(struct svm_fdtab *tab, int fd, const struct svm_fd_entry *e);

/** Forget a descriptor, before it is closed. Any thread. */
void
svm_fdtab_del(struct svm_fdtab *tab, int fd);

/**
 * What to do about an event of this descriptor: its entry, of kind NONE when
 * there is nothing to do. A watch is returned once, and is GONE afterwards.
 */
struct svm_fd_entry
svm_fdtab_fired(struct svm_fdtab *tab, int fd);

#endif /* SVM_FDTAB_H */
