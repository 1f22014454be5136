// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "moving.h"

#define CANARY	0x5a
#define BATCH	4

/* An address at which nothing is mapped yet, MOVING_LEN bytes and a page more. */
static unsigned long free_place(void)
{
	void *at = mmap(NULL, MOVING_LEN + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	return (unsigned long)at;
}

void moving_open(struct moving *m, unsigned int nb)
{
	memset(m, 0, sizeof(*m));
	m->sh = shared_alloc(sizeof(*m->sh));
	bytes_lay(m->sh->ref[0], MOVING_LEN, 0);
	bytes_lay(m->sh->ref[1], MOVING_LEN, 0x80);
	m->sh->nb = rounds(nb);
	m->sh->at[0] = free_place();
	m->sh->at[1] = free_place();
	worker_start(&m->w);
	device_open(&m->dev, 0);
	m->bind = worker_bind(&m->dev, &m->w);
	queue_open(&m->q, &m->dev, 0, 32, 0);
}

static void check_cpl(struct moving *m, const struct svm_desc *desc, uint64_t moving)
{
	struct svm_cpl cpl = queue_wait(&m->q);

	if (cpl.status == SVM_ST_OK) {
		CHECK_EQ(cpl.done, desc->len);
		return;
	}
	CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
	CHECK(m->may_fault);
	CHECK(cpl.done < desc->len);
	CHECK_EQ(cpl.fault_addr, moving + cpl.done);
}

/* Some copies into the moving memory, at changing offsets, and one out of it. */
static void copy_in_and_out(struct moving *m, unsigned int turn)
{
	unsigned long at = m->sh->at[m->sh->at[1] ? turn & 1 : 0];
	struct svm_desc desc[BATCH + 1];
	uint32_t pasid = m->bind.pasid;
	unsigned int i, off;

	for (i = 0; i < BATCH; i++) {
		off = (turn * 977 + i * 4099) % MOVING_LEN;
		desc[i] = desc_copy(pasid, (unsigned long)m->sh->ref[turn >> 1 & 1] + off,
				    pasid, at + off, MOVING_LEN - off);
		queue_send(&m->q, &desc[i]);
	}
	memset(m->sh->out, 0, MOVING_LEN);
	desc[i] = desc_copy(pasid, at, pasid, (unsigned long)m->sh->out, MOVING_LEN);
	queue_send(&m->q, &desc[i]);
	for (i = 0; i < BATCH; i++)
		check_cpl(m, &desc[i], desc[i].dst);
	check_cpl(m, &desc[i], desc[i].src);
	__atomic_store_n(&m->sh->turns, turn + 1, __ATOMIC_RELEASE);
}

size_t moving_known(const struct moving_shared *sh, const void *at)
{
	const volatile unsigned char *byte = at;
	size_t i;

	for (i = 0; i < MOVING_LEN; i++) {
		unsigned char seen = byte[i];

		if (seen && seen != sh->ref[0][i] && seen != sh->ref[1][i])
			break;
	}
	return i;
}

void moving_run(struct moving *m, worker_fn fn)
{
	struct pollfd pfd = { .fd = m->w.from, .events = POLLIN };
	unsigned int turn = 0;
	long ret;

	worker_send(&m->w, fn, (long)m->sh);
	while (!poll(&pfd, 1, 0)) {
		copy_in_and_out(m, turn++);
		CHECK_EQ(moving_known(m->sh, m->sh->out), MOVING_LEN);
	}
	CHECK_EQ(read(m->w.from, &ret, sizeof(ret)), sizeof(ret));
	CHECK_EQ(ret, 0);
}

void moving_let_copy(struct moving_shared *sh)
{
	unsigned int from = __atomic_load_n(&sh->turns, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&sh->turns, __ATOMIC_ACQUIRE) - from < 2)
		sched_yield();
}

bool moving_whole(const struct moving_shared *sh, const void *at)
{
	const volatile unsigned char *byte = at;
	size_t i;

	for (i = 0; i < MOVING_LEN && byte[i]; i++)
		;
	return i == MOVING_LEN && moving_known(sh, at) == MOVING_LEN;
}

bool moving_map(struct moving_shared *sh, int flags, int fd)
{
	return mmap((void *)sh->at[0], MOVING_LEN, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) !=
	       MAP_FAILED;
}

long do_moving_map(long arg)
{
	return !moving_map((struct moving_shared *)arg, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* Pages that were just given back are likely to be among these. */
bool moving_canary_lives(struct moving_shared *sh)
{
	unsigned char *canary = (void *)do_map(2 * MOVING_LEN);
	bool lives;
	size_t i;

	memset(canary, CANARY, 2 * MOVING_LEN);
	moving_let_copy(sh);
	for (i = 0; i < 2 * MOVING_LEN && canary[i] == CANARY; i++)
		;
	lives = i == 2 * MOVING_LEN;
	munmap(canary, 2 * MOVING_LEN);
	return lives;
}
