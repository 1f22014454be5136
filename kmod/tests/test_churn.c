// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that changes under the device: the worker unmaps, moves, protects, cuts
 * off and forks while copies go in and out, and both look at every byte.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define LEN	20480ul
#define CANARY	0x5a
#define BATCH	4

/* What owner and worker share; the worker's own mm shows it at the same address. */
struct shared {
	unsigned char ref[2][LEN];	/* what the copies bring; never changed */
	unsigned char out[LEN];		/* what they found */
	unsigned char seen[LEN];	/* for the worker */
	unsigned long at[2];		/* the memory that changes; [1]: 0, or its other place */
	unsigned int nb;		/* rounds to do */
	unsigned int turns;		/* of the owner: copies were made from start to end */
	int fd;
};

struct scene {
	struct device dev;
	struct worker w;
	struct vfio_svm_bind bind;
	struct queue q;
	struct shared *sh;
	bool may_fault;
};

/* An address at which nothing is mapped yet, LEN bytes and a page more. */
static unsigned long free_place(void)
{
	void *at = mmap(NULL, LEN + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	return (unsigned long)at;
}

static void scene_open(struct scene *s, unsigned int nb)
{
	memset(s, 0, sizeof(*s));
	s->sh = shared_alloc(sizeof(*s->sh));
	bytes_lay(s->sh->ref[0], LEN, 0);
	bytes_lay(s->sh->ref[1], LEN, 0x80);
	s->sh->nb = rounds(nb);
	s->sh->at[0] = free_place();
	s->sh->at[1] = free_place();
	worker_start(&s->w);
	device_open(&s->dev, 0);
	device_patience(PATIENT_MS);
	s->bind = worker_bind(&s->dev, &s->w);
	queue_open(&s->q, &s->dev, 0, 32, 0);
}

static void check_cpl(struct scene *s, const struct svm_desc *desc, uint64_t moving)
{
	struct svm_cpl cpl = queue_wait(&s->q);

	if (cpl.status == SVM_ST_OK) {
		CHECK_EQ(cpl.done, desc->len);
		return;
	}
	CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
	CHECK(s->may_fault);
	CHECK(cpl.done < desc->len);
	CHECK_EQ(cpl.fault_addr, moving + cpl.done);
}

/* Some copies into the moving memory, at changing offsets, and one out of it. */
static void copy_in_and_out(struct scene *s, unsigned int turn)
{
	unsigned long at = s->sh->at[s->sh->at[1] ? turn & 1 : 0];
	struct svm_desc desc[BATCH + 1];
	uint32_t pasid = s->bind.pasid;
	unsigned int i, off;

	for (i = 0; i < BATCH; i++) {
		off = (turn * 977 + i * 4099) % LEN;
		desc[i] = desc_copy(pasid, (unsigned long)s->sh->ref[turn >> 1 & 1] + off,
				    pasid, at + off, LEN - off);
		queue_send(&s->q, &desc[i]);
	}
	memset(s->sh->out, 0, LEN);
	desc[i] = desc_copy(pasid, at, pasid, (unsigned long)s->sh->out, LEN);
	queue_send(&s->q, &desc[i]);
	for (i = 0; i < BATCH; i++)
		check_cpl(s, &desc[i], desc[i].dst);
	check_cpl(s, &desc[i], desc[i].src);
	__atomic_store_n(&s->sh->turns, turn + 1, __ATOMIC_RELEASE);
}

/* What may stand at a byte of the moving memory. */
static size_t known(const struct shared *sh, const void *at)
{
	const volatile unsigned char *byte = at;
	size_t i;

	for (i = 0; i < LEN; i++) {
		unsigned char seen = byte[i];

		if (seen && seen != sh->ref[0][i] && seen != sh->ref[1][i])
			break;
	}
	return i;
}

/* Copy for as long as the worker does what it was told; 0 is what it must answer. */
static void churn(struct scene *s, worker_fn fn)
{
	struct pollfd pfd = { .fd = s->w.from, .events = POLLIN };
	unsigned int turn = 0;
	long ret;

	worker_send(&s->w, fn, (long)s->sh);
	while (!poll(&pfd, 1, 0)) {
		copy_in_and_out(s, turn++);
		CHECK_EQ(known(s->sh, s->sh->out), LEN);
	}
	CHECK_EQ(read(s->w.from, &ret, sizeof(ret)), sizeof(ret));
	CHECK_EQ(ret, 0);
	CHECK(turn >= s->sh->nb);
}

/* The worker's: until copies were made that began after this. */
static void let_it_copy(struct shared *sh)
{
	unsigned int from = __atomic_load_n(&sh->turns, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&sh->turns, __ATOMIC_ACQUIRE) - from < 2)
		sched_yield();
}

static bool map_there(struct shared *sh, int flags, int fd)
{
	return mmap((void *)sh->at[0], LEN, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) !=
	       MAP_FAILED;
}

static long do_map_anon(long arg)
{
	return !map_there((struct shared *)arg, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static long do_map_file(long arg)
{
	struct shared *sh = (struct shared *)arg;

	return !map_there(sh, MAP_SHARED, sh->fd);
}

/* Pages that were just given back are likely to be among these. */
static bool canary_lives(struct shared *sh)
{
	unsigned char *canary = (void *)do_map(2 * LEN);
	bool lives;
	size_t i;

	memset(canary, CANARY, 2 * LEN);
	let_it_copy(sh);
	for (i = 0; i < 2 * LEN && canary[i] == CANARY; i++)
		;
	lives = i == 2 * LEN;
	munmap(canary, 2 * LEN);
	return lives;
}

static long do_unmap_often(long arg)
{
	struct shared *sh = (struct shared *)arg;
	unsigned int i;

	for (i = 1; i <= sh->nb; i++) {
		if (!map_there(sh, MAP_PRIVATE | MAP_ANONYMOUS, -1))
			return i;
		let_it_copy(sh);
		if (known(sh, (void *)sh->at[0]) != LEN)
			return i;
		if (munmap((void *)sh->at[0], LEN))
			return i;
		if (!canary_lives(sh))
			return i;
	}
	return 0;
}

static void worker_unmaps(void)
{
	struct scene s;

	scene_open(&s, 600);
	s.sh->at[1] = 0;
	s.may_fault = true;
	churn(&s, do_unmap_often);
}

/* Moved there and back, no byte may be lost: all were laid before. */
static long do_move_often(long arg)
{
	struct shared *sh = (struct shared *)arg;
	unsigned int i, now = 0;
	size_t j;

	if (munmap((void *)sh->at[1], LEN) || !map_there(sh, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return -1;
	memcpy((void *)sh->at[0], sh->ref[0], LEN);
	for (i = 1; i <= sh->nb; i++) {
		if (mremap((void *)sh->at[now], LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			   (void *)sh->at[!now]) != (void *)sh->at[!now])
			return -1;
		now = !now;
		let_it_copy(sh);
		if (known(sh, (void *)sh->at[now]) != LEN)
			return i;
		for (j = 0; j < LEN && ((volatile unsigned char *)sh->at[now])[j]; j++)
			;
		if (j < LEN)
			return i;
	}
	return 0;
}

static void worker_moves(void)
{
	struct scene s;

	scene_open(&s, 1000);
	s.may_fault = true;
	churn(&s, do_move_often);
}

static bool protect(struct shared *sh, int prot)
{
	return !mprotect((void *)sh->at[0], LEN, prot);
}

/* From the moment mprotect() has returned no byte changes. */
static long do_protect_often(long arg)
{
	struct shared *sh = (struct shared *)arg;
	unsigned int i;

	if (!map_there(sh, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return -1;
	for (i = 1; i <= sh->nb; i++) {
		if (!protect(sh, PROT_READ))
			return -1;
		memcpy(sh->seen, (void *)sh->at[0], LEN);
		let_it_copy(sh);
		if (memcmp(sh->seen, (void *)sh->at[0], LEN) || !protect(sh, PROT_NONE))
			return i;
		let_it_copy(sh);
		if (!protect(sh, PROT_READ) || memcmp(sh->seen, (void *)sh->at[0], LEN) ||
		    !protect(sh, PROT_READ | PROT_WRITE))
			return i;
		let_it_copy(sh);
		if (known(sh, (void *)sh->at[0]) != LEN)
			return i;
	}
	return 0;
}

static void worker_protects(void)
{
	struct scene s;

	scene_open(&s, 500);
	s.sh->at[1] = 0;
	s.may_fault = true;
	churn(&s, do_protect_often);
}

/* Cut off, nothing can be written; back again, it is new memory. */
static long do_truncate_often(long arg)
{
	struct shared *sh = (struct shared *)arg;
	unsigned int i;

	if (ftruncate(sh->fd, LEN) || !map_there(sh, MAP_SHARED, sh->fd))
		return -1;
	for (i = 1; i <= sh->nb; i++) {
		let_it_copy(sh);
		if (known(sh, (void *)sh->at[0]) != LEN)
			return i;
		/* In the middle of a page: the rest of it is not part of the file. */
		if (ftruncate(sh->fd, i % 2 ? 0 : 6000) || !canary_lives(sh) ||
		    ftruncate(sh->fd, LEN))
			return i;
	}
	return 0;
}

static void worker_truncates(void)
{
	struct scene s;
	int fd = memfd_create("churn", MFD_CLOEXEC);

	scene_open(&s, 600);
	s.sh->at[1] = 0;
	s.sh->fd = fd;
	s.may_fault = true;
	churn(&s, do_truncate_often);
}

/* A hole in the file is filled by whoever comes first: no copy fails. */
static long do_punch_often(long arg)
{
	struct shared *sh = (struct shared *)arg;
	unsigned int i;

	for (i = 1; i <= sh->nb; i++) {
		let_it_copy(sh);
		if (known(sh, (void *)sh->at[0]) != LEN)
			return i;
		if (fallocate(sh->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN) ||
		    !canary_lives(sh))
			return i;
	}
	return 0;
}

static void worker_punches_holes(void)
{
	int fd = memfd_create("churn", MFD_CLOEXEC);
	struct scene s;

	CHECK_EQ(ftruncate(fd, LEN), 0);
	scene_open(&s, 600);
	s.sh->at[1] = 0;
	s.sh->fd = fd;
	CHECK_EQ(worker_call(&s.w, do_map_file, (long)s.sh), 0);
	churn(&s, do_punch_often);
}

/* MADV_DONTNEED: new zeros, and no copy fails. */
static long do_discard_often(long arg)
{
	struct shared *sh = (struct shared *)arg;
	unsigned int i;

	for (i = 1; i <= sh->nb; i++) {
		let_it_copy(sh);
		if (known(sh, (void *)sh->at[0]) != LEN)
			return i;
		if (madvise((void *)sh->at[0], LEN, MADV_DONTNEED) || !canary_lives(sh))
			return i;
	}
	return 0;
}

static void worker_discards(void)
{
	struct scene s;

	scene_open(&s, 600);
	s.sh->at[1] = 0;
	CHECK_EQ(worker_call(&s.w, do_map_anon, (long)s.sh), 0);
	churn(&s, do_discard_often);
}

/* The child has what was there when it was made, and no copy reaches it afterwards. */
static int child_looks(struct shared *sh)
{
	unsigned char copy[LEN];

	memcpy(copy, (void *)sh->at[0], LEN);
	if (known(sh, copy) != LEN)
		return 1;
	let_it_copy(sh);
	return memcmp(copy, (void *)sh->at[0], LEN) != 0;
}

static long do_fork_often(long arg)
{
	struct shared *sh = (struct shared *)arg;
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
		if (known(sh, (void *)sh->at[0]) != LEN)
			return i;
	}
	return 0;
}

static void worker_forks(void)
{
	struct scene s;

	scene_open(&s, 300);
	s.sh->at[1] = 0;
	CHECK_EQ(worker_call(&s.w, do_map_anon, (long)s.sh), 0);
	churn(&s, do_fork_often);
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
