/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a process in a bounded time. /proc/PID/mem cannot be opened while the
 * process is in the middle of exec, and it can stay there: exec closes its
 * close-on-exec files, and one of a FUSE file system closes when its owner
 * likes. So an errand opens.
 */
#include <errno.h>
#include <stdlib.h>

#include "svm_errand.h"
#include "svm_ident.h"

struct svm_ident_try {
	struct svm_errand *errand;
	struct svm_ident ident;
	pid_t pid;
	int pidfd;
	int ret;
};

static void
try_run(void *arg)
{
	struct svm_ident_try *t = arg;

	t->ret = svm_ident_open_peer(&t->ident, t->pid, t->pidfd);
}

static void
try_drop(void *arg)
{
	struct svm_ident_try *t = arg;

	if (t->ret == 0)
		svm_ident_close(&t->ident);
	free(t);
}

int
svm_ident_try_start(pid_t pid, int pidfd, uid_t who, int eventfd, struct svm_ident_try **try)
{
	struct svm_ident_try *t = calloc(1, sizeof(*t));
	const struct svm_errand_call call = {
		.run = try_run,
		.drop = try_drop,
		.arg = t,
		.who = who,
		.eventfd = eventfd,
	};
	int ret;

	if (t == NULL)
		return -ENOMEM;
	t->pid = pid;
	t->pidfd = pidfd;
	ret = svm_errand_start(&call, &t->errand);
	if (ret < 0) {
		free(t);
		return ret;
	}
	*try = t;
	return 0;
}

int
svm_ident_try_wait(struct svm_ident_try *t, uint32_t us, struct svm_ident *id)
{
	int ret;

	if (!svm_errand_wait(t->errand, us))
		return -EINPROGRESS;
	*id = t->ident;
	ret = t->ret;
	free(t);
	return ret;
}

void
svm_ident_try_leave(struct svm_ident_try *t)
{
	svm_errand_leave(t->errand);
}

int
svm_ident_open_timed(struct svm_ident *id, pid_t pid, uint32_t us)
{
	struct svm_ident_try *t;
	int ret;

	id->pid = pid;
	id->pidfd = -1;
	id->memfd = -1;
	/* Asked for by the owner, who is nobody's worker. */
	ret = svm_ident_try_start(pid, -1, (uid_t)-1, -1, &t);
	if (ret < 0)
		return ret == -EBUSY ? -EAGAIN : ret;
	ret = svm_ident_try_wait(t, us, id);
	if (ret != -EINPROGRESS)
		return ret;
	svm_ident_try_leave(t);
	return -ETIMEDOUT;
}
