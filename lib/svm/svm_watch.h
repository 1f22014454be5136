/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watches over processes whose memory is mapped in the owner, too, one a bond, each in
 * two ways:
 *
 *   events   a userfaultfd of the process's own, that it handed over: the kernel
 *            holds its munmap, mremap or madvise back until the event is read. Before
 *            it is read no copy is under way any more, nor begins (svm_atc_pause());
 *            then the range leaves the table.
 *   looks    while copies are made, whether the process still has the memory it had,
 *            every SVM_WATCH_MS: an exec makes no event.
 *
 * A process can make both take as long as it likes, so the threads that do it, "svm-watch",
 * are one a user: whoever it could hold up belongs to the same user.
 *
 * Lock order: the set's lock, then an atc's.
 */
#ifndef SVM_WATCH_H
#define SVM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "svm_atc.h"
#include "svm_ident.h"

/** Users whose processes are watched at a time. */
#define SVM_WATCH_USERS		16u
#define SVM_WATCH_MS		3u

struct svm_watch_set;
struct svm_watch;

/** 0, -ENOMEM. */
int
svm_watch_set_create(struct svm_watch_set **set);

/** No watch is left. NULL: nothing. */
void
svm_watch_set_destroy(struct svm_watch_set *set);

/**
 * Watch over a process. Any thread.
 *
 * @param ident  Its descriptors stay open until svm_watch_del().
 * @param atc    Lives so long, too.
 * @return 0; -EUSERS: processes of too many users are watched; -ENOMEM, -EAGAIN,
 *   -EMFILE: no thread, no descriptor.
 */
int
svm_watch_add(struct svm_watch_set *set, const struct svm_ident *ident, struct svm_atc *atc,
		struct svm_watch **watch);

/**
 * Take a userfaultfd of the process, whose events then change its table. UFFD_EVENT_UNMAP,
 * REMAP, REMOVE are wanted, and ranges registered in a mode whose faults nobody has to
 * answer. Once. Any thread.
 *
 * @param fd  The watch's in any case: it is closed when refused.
 * @return 0; -EINVAL: no userfaultfd; -EEXIST: it has one; -errno of epoll_ctl().
 */
int
svm_watch_events(struct svm_watch *watch, int fd);

/** End a watch. @return 0; -EBUSY: its thread is with it right now, ask again. */
int
svm_watch_del(struct svm_watch *watch);

#endif /* SVM_WATCH_H */
