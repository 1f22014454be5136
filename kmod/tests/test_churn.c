// SPDX-License-Identifier: GPL-2.0
/* A worker that unmaps, moves, protects, cuts off, discards and forks under copies. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moving.h"

static long do_map_file(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;

	return !moving_map(sh, MAP_SHARED, sh->fd);
}

static long do_unmap_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int i;

	for (i = 1; i <= sh->nb; i++) {
		if (!moving_map(sh, MAP_PRIVATE | MAP_ANONYMOUS, -1))
			return i;
		moving_let_copy(sh);
		if (moving_known(sh, (void *)sh->at[0]) != MOVING_LEN)
			return i;
		if (munmap((void *)sh->at[0], MOVING_LEN))
			return i;
		if (!moving_canary_lives(sh))
			return i;
	}
	return 0;
}

static void worker_unmaps(void)
{
	struct moving m;

	moving_open(&m, 600);
	m.sh->at[1] = 0;
	m.may_fault = true;
	moving_run(&m, do_unmap_often);
}

/* Moved there and back, no byte may be lost: all were laid before. */
static long do_move_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int i, now = 0;

	if (munmap((void *)sh->at[1], MOVING_LEN) || !moving_map(sh, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return -1;
	memcpy((void *)sh->at[0], sh->ref[0], MOVING_LEN);
	for (i = 1; i <= sh->nb; i++) {
		if (mremap((void *)sh->at[now], MOVING_LEN, MOVING_LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			   (void *)sh->at[!now]) != (void *)sh->at[!now])
			return -1;
		now = !now;
		moving_let_copy(sh);
		if (!moving_whole(sh, (void *)sh->at[now]))
			return i;
	}
	return 0;
}

static void worker_moves(void)
{
	struct moving m;

	moving_open(&m, 1000);
	m.may_fault = true;
	moving_run(&m, do_move_often);
}

static bool protect(struct moving_shared *sh, int prot)
{
	return !mprotect((void *)sh->at[0], MOVING_LEN, prot);
}

/* From the moment mprotect() has returned no byte changes. */
static long do_protect_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int i;

	if (!moving_map(sh, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return -1;
	for (i = 1; i <= sh->nb; i++) {
		if (!protect(sh, PROT_READ))
			return -1;
		memcpy(sh->seen, (void *)sh->at[0], MOVING_LEN);
		moving_let_copy(sh);
		if (memcmp(sh->seen, (void *)sh->at[0], MOVING_LEN) || !protect(sh, PROT_NONE))
			return i;
		moving_let_copy(sh);
		if (!protect(sh, PROT_READ) || memcmp(sh->seen, (void *)sh->at[0], MOVING_LEN) ||
		    !protect(sh, PROT_READ | PROT_WRITE))
			return i;
		moving_let_copy(sh);
		if (moving_known(sh, (void *)sh->at[0]) != MOVING_LEN)
			return i;
	}
	return 0;
}

static void worker_protects(void)
{
	struct moving m;

	moving_open(&m, 500);
	m.sh->at[1] = 0;
	m.may_fault = true;
	moving_run(&m, do_protect_often);
}

/* Cut off, nothing can be written; back again, it is new memory. */
static long do_truncate_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int i;

	if (ftruncate(sh->fd, MOVING_LEN) || !moving_map(sh, MAP_SHARED, sh->fd))
		return -1;
	for (i = 1; i <= sh->nb; i++) {
		moving_let_copy(sh);
		if (moving_known(sh, (void *)sh->at[0]) != MOVING_LEN)
			return i;
		/* In the middle of a page: the rest of it is not part of the file. */
		if (ftruncate(sh->fd, i % 2 ? 0 : 6000) || !moving_canary_lives(sh) ||
		    ftruncate(sh->fd, MOVING_LEN))
			return i;
	}
	return 0;
}

static void worker_truncates(void)
{
	struct moving m;
	int fd = memfd_create("churn", MFD_CLOEXEC);

	moving_open(&m, 600);
	m.sh->at[1] = 0;
	m.sh->fd = fd;
	m.may_fault = true;
	moving_run(&m, do_truncate_often);
}

/* A hole in the file is filled by whoever comes first: no copy fails. */
static long do_punch_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int i;

	for (i = 1; i <= sh->nb; i++) {
		moving_let_copy(sh);
		if (moving_known(sh, (void *)sh->at[0]) != MOVING_LEN)
			return i;
		if (fallocate(sh->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MOVING_LEN) ||
		    !moving_canary_lives(sh))
			return i;
	}
	return 0;
}

static void worker_punches_holes(void)
{
	int fd = memfd_create("churn", MFD_CLOEXEC);
	struct moving m;

	CHECK_EQ(ftruncate(fd, MOVING_LEN), 0);
	moving_open(&m, 600);
	m.sh->at[1] = 0;
	m.sh->fd = fd;
	CHECK_EQ(worker_call(&m.w, do_map_file, (long)m.sh), 0);
	moving_run(&m, do_punch_often);
}

/* MADV_DONTNEED: new zeros, and no copy fails. */
static long do_discard_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int i;

	for (i = 1; i <= sh->nb; i++) {
		moving_let_copy(sh);
		if (moving_known(sh, (void *)sh->at[0]) != MOVING_LEN)
			return i;
		if (madvise((void *)sh->at[0], MOVING_LEN, MADV_DONTNEED) || !moving_canary_lives(sh))
			return i;
	}
	return 0;
}

static void worker_discards(void)
{
	struct moving m;

	moving_open(&m, 600);
	m.sh->at[1] = 0;
	CHECK_EQ(worker_call(&m.w, do_moving_map, (long)m.sh), 0);
	moving_run(&m, do_discard_often);
}

/* The child has what was there when it was made, and no copy reaches it afterwards. */
static int child_looks(struct moving_shared *sh)
{
	unsigned char copy[MOVING_LEN];

	memcpy(copy, (void *)sh->at[0], MOVING_LEN);
	if (moving_known(sh, copy) != MOVING_LEN)
		return 1;
	moving_let_copy(sh);
	return memcmp(copy, (void *)sh->at[0], MOVING_LEN) != 0;
}

static long do_fork_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int i;
	int status;
	pid_t pid;

	for (i = 1; i <= sh->nb; i++) {
		pid = fork();
		if (pid < 0)
			return -1;
		if (!pid)
			_exit(child_looks(sh));
		if (waitpid(pid, &status, 0) != pid || status)
			return i;
		if (moving_known(sh, (void *)sh->at[0]) != MOVING_LEN)
			return i;
	}
	return 0;
}

static void worker_forks(void)
{
	struct moving m;

	moving_open(&m, 300);
	m.sh->at[1] = 0;
	CHECK_EQ(worker_call(&m.w, do_moving_map, (long)m.sh), 0);
	moving_run(&m, do_fork_often);
}

static const struct test churn_tests[] = {
	TEST(worker_unmaps),
	TEST(worker_moves),
	TEST(worker_protects),
	TEST(worker_truncates),
	TEST(worker_punches_holes),
	TEST(worker_discards),
	TEST(worker_forks),
};

SUITE(churn);
