/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of a worker that changes under the device: the owner copies in and out of
 * it without end, and looks at every byte that came out, while the worker does
 * something to it, and looks, too.
 */
#ifndef KMOD_MOVING_H
#define KMOD_MOVING_H

#include "fixture.h"

#define MOVING_LEN	20480ul

/* What owner and worker share; the worker's own mm shows it at the same address. */
struct moving_shared {
	unsigned char ref[2][MOVING_LEN];	/* what the copies bring; never changed */
	unsigned char out[MOVING_LEN];		/* what they found */
	unsigned char seen[MOVING_LEN];		/* for the worker */
	unsigned long at[2];	/* the memory; [1]: 0, or its other place */
	unsigned int nb;	/* rounds to do */
	unsigned int turns;	/* of the owner: copies were made from start to end */
	int fd;
};

struct moving {
	struct device dev;
	struct worker w;
	struct vfio_svm_bind bind;
	struct queue q;
	struct moving_shared *sh;
	bool may_fault;		/* copies, when they come at the wrong moment */
};

void moving_open(struct moving *m, unsigned int nb);
/* Copy for as long as the worker does fn(m->sh); 0 is what it must answer. */
void moving_run(struct moving *m, worker_fn fn);

/* The worker's. */

/* Until copies were made that began after this. */
void moving_let_copy(struct moving_shared *sh);
/* How many bytes from at on are ones that copies brought, or 0. */
size_t moving_known(const struct moving_shared *sh, const void *at);
/* All of them, and none is 0. */
bool moving_whole(const struct moving_shared *sh, const void *at);
/* Map at[0] anew. */
bool moving_map(struct moving_shared *sh, int flags, int fd);
long do_moving_map(long sh);
/* Memory that was just given back, and is likely to be had again, is not written to. */
bool moving_canary_lives(struct moving_shared *sh);

#endif /* KMOD_MOVING_H */
