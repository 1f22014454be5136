// SPDX-License-Identifier: GPL-2.0
/* Memory behind a FUSE server: one that answers, and one that hangs. */
#define _GNU_SOURCE
#include <unistd.h>

#include "fixture.h"
#include "fuse.h"

struct scene {
	struct fuse fuse;
	struct worker w;
	struct device dev;
	struct vfio_svm_bind bind;
	struct queue q;
	unsigned long at, file;
	struct fill *fill;
};

static void scene_open(struct scene *s, unsigned int flags)
{
	s->fill = shared_alloc(sizeof(*s->fill));
	fuse_start(&s->fuse, flags);
	worker_start(&s->w);
	device_open(&s->dev, 0);
	s->bind = worker_bind(&s->dev, &s->w);
	s->at = worker_map(&s->w, FUSE_FILE_LEN);
	s->file = worker_call(&s->w, do_map_fuse, FUSE_FILE_LEN);
	CHECK(s->file != -1ul);
	queue_open(&s->q, &s->dev, 0, 64, 0);
}

/* From the file to memory of the worker's own. */
static struct svm_desc from_file(const struct scene *s, unsigned long off, uint32_t len)
{
	return desc_copy(s->bind.pasid, s->file + off, s->bind.pasid, s->at + off, len);
}

static unsigned long good(struct scene *s, unsigned long len)
{
	*s->fill = (struct fill){ s->at, len, 0 };
	return worker_call(&s->w, do_check, (long)s->fill);
}

static void copies_whole_file(unsigned int flags)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, flags);
	desc = from_file(&s, 0, FUSE_FILE_LEN);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_OK);
	CHECK_EQ(good(&s, FUSE_FILE_LEN), FUSE_FILE_LEN);
}

static void answered_pages_are_copied(void)
{
	copies_whole_file(0);
}

static void answered_pages_read_ahead_are_copied(void)
{
	copies_whole_file(FUSE_READAHEAD);
}

static void answered_pages_of_direct_io_are_copied(void)
{
	copies_whole_file(FUSE_DIRECT_IO);
}

static void late_answer_is_waited_for(void)
{
	struct svm_desc desc;
	struct scene s;
	int i;

	scene_open(&s, 0);
	desc = from_file(&s, 0, 4096);
	/* A slow machine may let the time run out before the answer; not again and again. */
	for (i = 0; i < 10; i++) {
		fuse_hold(&s.fuse);
		queue_send(&s.q, &desc);
		fuse_wait_held(&s.fuse, i ? 0 : 1);
		fuse_release(&s.fuse);
		if (queue_wait(&s.q).status == SVM_ST_OK)
			break;
	}
	CHECK_EQ(good(&s, 4096), 4096);
}

static void hanging_server_times_out(unsigned int flags)
{
	struct svm_desc desc;
	struct svm_cpl cpl;
	struct scene s;

	scene_open(&s, flags);
	device_patience(1000);
	fuse_hold(&s.fuse);
	desc = from_file(&s, 0, 4096);
	queue_send(&s.q, &desc);
	fuse_wait_held(&s.fuse, 1);
	cpl = queue_wait(&s.q);
	CHECK_EQ(cpl.status, SVM_ST_TIMEOUT);
	CHECK_EQ(cpl.done, 0);
	CHECK_EQ(cpl.fault_addr, s.file);
}

static void hanging_server_ends_in_time(void)
{
	hanging_server_times_out(0);
}

static void hanging_server_read_ahead_ends_in_time(void)
{
	hanging_server_times_out(FUSE_READAHEAD);
}

static void dead_server_is_a_fault(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, 0);
	fuse_kill(&s.fuse);
	desc = from_file(&s, 0, 4096);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_PAGE_FAULT);
}

static const struct test fuse_tests[] = {
	TEST(answered_pages_are_copied),
	TEST(answered_pages_read_ahead_are_copied),
	TEST(answered_pages_of_direct_io_are_copied),
	TEST(late_answer_is_waited_for),
	TEST(hanging_server_ends_in_time),
	TEST(hanging_server_read_ahead_ends_in_time),
	TEST(dead_server_is_a_fault),
};

SUITE(fuse);
