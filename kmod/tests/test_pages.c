// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the kernel takes away and gives back behind everybody's back, under
 * copies: swapped out, migrated, merged, split and collapsed. No copy fails, and no
 * byte is lost. The rounds count what really happened, not what was asked for.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "moving.h"

#define PAGE		4096ul
#define NB_PAGES	(MOVING_LEN / PAGE)
#define HUGE		(2ul << 20)
#define SWAP_DEVICE	"/dev/zram0"
#define SWAP_LEN	(32ul << 20)

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#define MOVE_OWN_PAGES	(1 << 1)	/* MPOL_MF_MOVE */

static bool say(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool said;

	if (fd < 0)
		return false;
	said = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return said;
}

static long number_in(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return atol(text);
}

/* The worker's: all its moving memory with bytes that are known. */
static long do_lay(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;

	if (do_moving_map(arg))
		return -1;
	memcpy((void *)sh->at[0], sh->ref[0], MOVING_LEN);
	return 0;
}

static void laid_open(struct moving *m, unsigned int nb)
{
	moving_open(m, nb);
	m->sh->at[1] = 0;
	CHECK_EQ(worker_call(&m->w, do_lay, (long)m->sh), 0);
}

static void swap_on(void)
{
	unsigned char page[PAGE] = { };
	uint32_t head[2] = { 1, SWAP_LEN / PAGE - 1 };	/* version, last page */
	int fd;

	CHECK(say("/sys/block/zram0/disksize", "32M"));
	memcpy(page + 1024, head, sizeof(head));
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	fd = open(SWAP_DEVICE, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, page, sizeof(page)), sizeof(page));
	CHECK_EQ(fsync(fd), 0);
	close(fd);
	CHECK_EQ(swapon(SWAP_DEVICE, 0), 0);
}

static void swap_off(void)
{
	CHECK_EQ(swapoff(SWAP_DEVICE), 0);
	CHECK(say("/sys/block/zram0/reset", "1"));
}

/* How many of our pages from addr on are in swap. */
static unsigned int swapped(unsigned long addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry[NB_PAGES] = { };
	unsigned int i, n = 0;

	if (pread64(fd, entry, sizeof(entry), addr / PAGE * 8) == sizeof(entry))
		for (i = 0; i < NB_PAGES; i++)
			n += entry[i] >> 62 & 1;
	close(fd);
	return n;
}

static long do_swap_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int n = 0;

	while (n < sh->nb) {
		if (madvise((void *)sh->at[0], MOVING_LEN, MADV_PAGEOUT))
			return -1;
		n += swapped(sh->at[0]);
		moving_let_copy(sh);
		if (!moving_whole(sh, (void *)sh->at[0]))
			return n;
	}
	return 0;
}

static void pages_are_swapped_out(void)
{
	struct moving m;

	swap_on();
	laid_open(&m, 1000);
	moving_run(&m, do_swap_often);
	worker_kill(&m.w);
	swap_off();
}

static long do_migrate_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	int node[NB_PAGES], status[NB_PAGES];
	unsigned int i, n = 0, to = 0;
	void *page[NB_PAGES];

	while (n < sh->nb) {
		to = !to;
		for (i = 0; i < NB_PAGES; i++) {
			page[i] = (void *)(sh->at[0] + i * PAGE);
			node[i] = to;
		}
		if (syscall(SYS_move_pages, 0, NB_PAGES, page, node, status, MOVE_OWN_PAGES) < 0)
			return -1;
		for (i = 0; i < NB_PAGES; i++)
			n += status[i] == (int)to;
		moving_let_copy(sh);
		if (!moving_whole(sh, (void *)sh->at[0]))
			return n;
	}
	return 0;
}

static void pages_are_migrated(void)
{
	struct moving m;

	laid_open(&m, 3000);
	moving_run(&m, do_migrate_often);
}

/* A piece in the middle of a huge page's place. */
static long do_lay_huge(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned long huge = ((unsigned long)do_map(2 * HUGE) + HUGE - 1) & -HUGE;

	memset((void *)huge, 1, HUGE);
	sh->at[0] = huge + HUGE / 2;
	memcpy((void *)sh->at[0], sh->ref[0], MOVING_LEN);
	return 0;
}

static bool split(unsigned long huge)
{
	char text[64];

	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", getpid(), huge, huge + HUGE);
	return say("/sys/kernel/debug/split_huge_pages", text);
}

/* Bytes of the mapping at this address that huge pages hold. */
static unsigned long huge_bytes(unsigned long addr)
{
	unsigned long start, end, kib = 0, found = 0;
	FILE *file = fopen("/proc/self/smaps", "r");
	bool inside = false;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = addr >= start && addr < end;
		else if (inside && sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
			found = kib << 10;
	}
	if (file)
		fclose(file);
	return found;
}

static long do_collapse_often(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned long huge = sh->at[0] & -HUGE;
	unsigned int n = 0;

	while (n < sh->nb) {
		/* It may meet a page that somebody holds just now, and says so. */
		if (madvise((void *)huge, HUGE, MADV_COLLAPSE) && errno != EAGAIN && errno != EBUSY)
			return -1;
		moving_let_copy(sh);
		if (!moving_whole(sh, (void *)sh->at[0]))
			return n + 1;
		if (huge_bytes(huge) != HUGE)
			continue;
		if (n % 2 ? !split(huge) :
			    mprotect((void *)(huge + PAGE), PAGE, PROT_READ) ||
			    mprotect((void *)(huge + PAGE), PAGE, PROT_READ | PROT_WRITE))
			return -1;
		moving_let_copy(sh);
		if (!moving_whole(sh, (void *)sh->at[0]))
			return n + 1;
		n += !huge_bytes(huge);
	}
	return 0;
}

static void huge_pages_are_split_and_collapsed(void)
{
	struct moving m;

	moving_open(&m, 200);
	m.sh->at[1] = 0;
	CHECK_EQ(worker_call(&m.w, do_lay_huge, (long)m.sh), 0);
	moving_run(&m, do_collapse_often);
}

/* Two pieces with the same bytes, which the kernel may make one. */
static long do_lay_twins(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		sh->at[i] = do_map(MOVING_LEN);
		memcpy((void *)sh->at[i], sh->ref[0], MOVING_LEN);
		if (madvise((void *)sh->at[i], MOVING_LEN, MADV_MERGEABLE))
			return -1;
	}
	return 0;
}

/* The first was written to, the second was not. */
static long do_compare(long arg)
{
	struct moving_shared *sh = (struct moving_shared *)arg;

	return memcmp((void *)sh->at[0], sh->ref[1], MOVING_LEN) ||
	       memcmp((void *)sh->at[1], sh->ref[0], MOVING_LEN);
}

static void copy(struct moving *m, const void *from, unsigned long to)
{
	struct svm_desc desc = desc_copy(m->bind.pasid, (unsigned long)from, m->bind.pasid, to,
					 MOVING_LEN);
	struct svm_cpl cpl = queue_run(&m->q, &desc);

	CHECK_EQ(cpl.status, SVM_ST_OK);
	CHECK_EQ(cpl.done, MOVING_LEN);
}

/* What is written to the one of two that were merged is not seen in the other. */
static void merged_pages_part_when_written(void)
{
	struct moving m;
	unsigned int i;

	moving_open(&m, 40);
	CHECK_EQ(worker_call(&m.w, do_lay_twins, (long)m.sh), 0);
	CHECK(say("/sys/kernel/mm/ksm/pages_to_scan", "1000"));
	CHECK(say("/sys/kernel/mm/ksm/sleep_millisecs", "1"));
	CHECK(say("/sys/kernel/mm/ksm/run", "1"));
	for (i = 0; i < m.sh->nb; i++) {
		while (number_in("/sys/kernel/mm/ksm/pages_sharing") < (long)NB_PAGES)
			usleep(1000);
		/* Reading parts nobody. */
		memset(m.sh->out, 0, MOVING_LEN);
		copy(&m, (void *)m.sh->at[i % 2], (unsigned long)m.sh->out);
		CHECK_EQ(memcmp(m.sh->out, m.sh->ref[0], MOVING_LEN), 0);
		copy(&m, m.sh->ref[1], m.sh->at[0]);
		CHECK_EQ(worker_call(&m.w, do_compare, (long)m.sh), 0);
		copy(&m, m.sh->ref[0], m.sh->at[0]);
	}
	CHECK(say("/sys/kernel/mm/ksm/run", "2"));
}

static const struct test pages_tests[] = {
	TEST(pages_are_swapped_out),
	TEST(pages_are_migrated),
	TEST(huge_pages_are_split_and_collapsed),
	TEST(merged_pages_part_when_written),
};

SUITE(pages);
