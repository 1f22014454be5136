/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "svm_fdtab.h"

int
svm_fdtab_init(struct svm_fdtab *tab)
{
	int rc;

	memset(tab, 0, sizeof(*tab));
	tab->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (tab->epfd < 0)
		return -errno;
	rc = -pthread_mutex_init(&tab->lock, NULL);
	if (rc != 0)
		close(tab->epfd);
	return rc;
}

void
svm_fdtab_fini(struct svm_fdtab *tab)
{
	close(tab->epfd);
	pthread_mutex_destroy(&tab->lock);
	free(tab->entries);
}

static int
grow_locked(struct svm_fdtab *tab, int fd)
{
	const int n = fd < 32 ? 64 : fd * 2;
	struct svm_fd_entry *grown;

	if (fd < tab->nb_entries)
		return 0;
	grown = realloc(tab->entries, (size_t)n * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	memset(grown + tab->nb_entries, 0, (size_t)(n - tab->nb_entries) * sizeof(*grown));
	tab->entries = grown;
	tab->nb_entries = n;
	return 0;
}

int
svm_fdtab_add(struct svm_fdtab *tab, int fd, const struct svm_fd_entry *e)
{
	struct epoll_event ev = { .events = EPOLLIN, .data = { .fd = fd } };
	int rc;

	if (fd < 0)
		return -EBADF;
	pthread_mutex_lock(&tab->lock);
	rc = grow_locked(tab, fd);
	if (rc == 0 && tab->entries[fd].kind != SVM_FD_NONE)
		rc = -EEXIST;
	if (rc == 0 && epoll_ctl(tab->epfd, EPOLL_CTL_ADD, fd, &ev) != 0)
		rc = -errno;
	if (rc == 0)
		tab->entries[fd] = *e;
	pthread_mutex_unlock(&tab->lock);
	return rc;
}

void
svm_fdtab_del(struct svm_fdtab *tab, int fd)
{
	pthread_mutex_lock(&tab->lock);
	if (fd >= 0 && fd < tab->nb_entries && tab->entries[fd].kind != SVM_FD_NONE) {
		if (tab->entries[fd].kind != SVM_FD_GONE)
			epoll_ctl(tab->epfd, EPOLL_CTL_DEL, fd, NULL);
		tab->entries[fd].kind = SVM_FD_NONE;
	}
	pthread_mutex_unlock(&tab->lock);
}

struct svm_fd_entry
svm_fdtab_fired(struct svm_fdtab *tab, int fd)
{
	struct svm_fd_entry e = { .kind = SVM_FD_NONE };

	pthread_mutex_lock(&tab->lock);
	if (fd < tab->nb_entries)
		e = tab->entries[fd];
	if (e.kind == SVM_FD_WATCH) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLIN | POLLHUP)) != 0) {
			/* It stays readable: out of the set, so as to report once. */
			epoll_ctl(tab->epfd, EPOLL_CTL_DEL, fd, NULL);
			tab->entries[fd].kind = SVM_FD_GONE;
		} else {
			e.kind = SVM_FD_NONE;
		}
	}
	pthread_mutex_unlock(&tab->lock);
	return e;
}
