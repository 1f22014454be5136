/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file system of one file, served by a process that speaks to /dev/fuse itself
 * and answers a read of a page when the test says so.
 *
 * Byte i of the file is (unsigned char)i, so do_check() with first 0 knows it.
 */
#ifndef KMOD_FUSE_H
#define KMOD_FUSE_H

#include <sys/types.h>

#include "test.h"

#define FUSE_FILE	"/tmp/fuse/file"
#define FUSE_FILE_LEN	(1ul << 20)

/* How the page cache asks for pages. */
#define FUSE_READAHEAD	0x1	/* ahead, and asynchronously: whoever waits can be killed */
#define FUSE_DIRECT_IO	0x2	/* the file is opened for direct io: only private mappings */
/* With neither a page is read by whoever faults, whom no signal reaches once it was sent. */

struct fuse_gate;

struct fuse {
	struct fuse_gate *gate;
	pid_t pid;
	int control;
};

/*
 * Mount it, in a mount namespace of the test's own, and serve it. Call it before the
 * workers are started, which must see it, and before the device is open, which the
 * server's process would keep open.
 */
void fuse_start(struct fuse *f, unsigned int flags);
/* From here on reads are not answered, but kept. */
void fuse_hold(struct fuse *f);
/* Until at least nb of them are kept: each is with the server, beyond recall. */
void fuse_wait_held(struct fuse *f, unsigned int nb);
/* Answer what is kept, and what comes. */
void fuse_release(struct fuse *f);
/* The server dies: what is kept, and what comes, fails. */
void fuse_kill(struct fuse *f);

/* For worker_call: map len bytes of the file privately or shared, untouched. -1: cannot. */
long do_map_fuse(long len);
long do_map_fuse_shared(long len);

#endif /* KMOD_FUSE_H */
