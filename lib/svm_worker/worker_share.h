/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges of the worker's own that it shares with its owner, as worker.c sees them. */
#ifndef WORKER_SHARE_H
#define WORKER_SHARE_H

#include <stdbool.h>

#include "worker_mem.h"

struct svm_wshare {
	struct svm_wshare *next;
	char *addr;
	size_t len;
	struct svm_wmem mem;
	int fd;			/* what is there comes back by it */
};

/** Undo what is shared. `own`: not in a child of the process that shared it. */
void
svm_wshare_end_all(struct svm_worker *w, bool own);

#endif /* WORKER_SHARE_H */
