// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations and user copies of the software device's threads fail: of the one
 * that copies, of a bond's lane, and of those that make a lane's thread.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "fixture.h"

/* A bond with memory that is there, and a queue. */
struct bonded {
	struct device dev;
	struct worker w;
	struct vfio_svm_bind bind;
	struct queue q;
	unsigned long at;
};

static void dma_open(struct bonded *s)
{
	struct fill *fill = shared_alloc(sizeof(*fill));

	memset(s, 0, sizeof(*s));
	fail_spare_none();
	worker_start(&s->w);
	device_open(&s->dev, 0);
	queue_open(&s->q, &s->dev, 0, 64, 0);
	s->bind = worker_bind(&s->dev, &s->w);
	s->at = worker_map(&s->w, 65536);
	*fill = (struct fill){ s->at, 32768, 1 };
	worker_call(&s->w, do_fill, (long)fill);
}

/* The device takes a user copy that failed for a page that is not there, and tries again. */
static unsigned int sweep_dma(struct bonded *s, const struct svm_desc *desc)
{
	int fd = nth_open(thread_named("vfio_svm_dma"));
	unsigned int nth, hits = 0;
	bool hit = true;

	for (nth = 1; hit; nth++) {
		CHECK(nth < NTH_MAX);
		nth_arm(fd, nth);
		CHECK_EQ(queue_run(&s->q, desc).status, SVM_ST_OK);
		hit = nth_disarm(fd);
		hits += hit;
	}
	close(fd);
	return hits;
}

static void each_failure_of_a_copy_is_made_good(void)
{
	struct fill *fill = shared_alloc(sizeof(*fill));
	struct svm_desc desc;
	struct bonded s;

	dma_open(&s);
	desc = desc_copy(s.bind.pasid, s.at + 1, s.bind.pasid, s.at + 32768, 20000);
	CHECK(sweep_dma(&s, &desc) > 0);
	*fill = (struct fill){ s.at + 32768, 20000, 2 };
	CHECK_EQ(worker_call(&s.w, do_check, (long)fill), 20000);
	/* It only reads, and the kernel makes no read of this sort fail: nor does it ask for memory. */
	desc.op = SVM_OP_COMPARE;
	CHECK_EQ(sweep_dma(&s, &desc), 0);
	desc = desc_fill(s.bind.pasid, s.at, 20000, 0x0101010101010101);
	CHECK(sweep_dma(&s, &desc) > 0);
}

/* The worker's memory, page for page not touched yet. */
static struct svm_desc fill_fresh(struct bonded *s, unsigned int page)
{
	return desc_fill(s->bind.pasid, s->at + 4096ul * page, 8, 1);
}

/* A page that could not be had is told, and can be had the next time. */
static void fresh_page_works_or_is_told(struct bonded *s, const struct svm_desc *desc)
{
	struct svm_cpl cpl = queue_run(&s->q, desc);

	if (cpl.status == SVM_ST_OK)
		return;
	CHECK_EQ(cpl.status, SVM_ST_NO_MEMORY);
	CHECK_EQ(cpl.fault_addr, desc->dst);
	CHECK_EQ(queue_run(&s->q, desc).status, SVM_ST_OK);
}

static void each_failure_in_a_lane_is_told(void)
{
	unsigned int nth, hits = 0;
	struct svm_desc desc;
	bool hit = true;
	struct bonded s;
	int fd;

	dma_open(&s);
	s.at = worker_map(&s.w, 4096ul * (NTH_MAX + 1));
	desc = fill_fresh(&s, 0);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_OK);
	fd = nth_open(thread_named("vfio_svm_lane"));
	for (nth = 1; hit; nth++) {
		CHECK(nth < NTH_MAX);
		desc = fill_fresh(&s, nth);
		nth_arm(fd, nth);
		fresh_page_works_or_is_told(&s, &desc);
		hit = nth_disarm(fd);
		hits += hit;
	}
	CHECK(hits > 0);
}

/* A bond that had no fault yet, so its lane has no thread yet. */
static struct svm_desc new_lane(struct bonded *s)
{
	worker_kill(&s->w);
	worker_start(&s->w);
	CHECK_EQ(unbind_id(&s->dev, s->bind.bond_id), 0);
	s->bind = worker_bind(&s->dev, &s->w);
	s->at = worker_map(&s->w, 4096);
	return fill_fresh(s, 0);
}

#define KTHREADD	2

static void each_failure_of_a_lanes_thread_is_told(void)
{
	int fd = nth_open(KTHREADD);
	unsigned int nth, hits = 0;
	struct svm_desc desc;
	bool hit = true;
	struct bonded s;

	dma_open(&s);
	for (nth = 1; hit; nth++) {
		CHECK(nth < NTH_MAX);
		desc = new_lane(&s);
		nth_arm(fd, nth);
		fresh_page_works_or_is_told(&s, &desc);
		hit = nth_disarm(fd);
		hits += hit;
	}
	CHECK(hits > 0);
}

static void lane_that_gets_no_thread_tries_again(void)
{
	struct svm_desc desc;
	struct svm_cpl cpl;
	bool hit = false;
	struct bonded s;
	int i;

	dma_open(&s);
	/* A thread that was made meanwhile does not fail: another round. */
	for (i = 0; i < 50 && !hit; i++) {
		desc = new_lane(&s);
		fail_kworkers("1");
		fail_first_of_module();
		cpl = queue_run(&s.q, &desc);
		hit = fail_no_more();
		fail_kworkers("0");
		CHECK_EQ(cpl.status, hit ? SVM_ST_NO_MEMORY : SVM_ST_OK);
		CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_OK);
	}
	CHECK(hit);
}

static const struct test fail_thread_tests[] = {
	TEST(each_failure_of_a_copy_is_made_good),
	TEST(each_failure_in_a_lane_is_told),
	TEST(each_failure_of_a_lanes_thread_is_told),
	TEST(lane_that_gets_no_thread_tries_again),
};

const struct suite fail_thread_suite = {
	"fail_thread", fail_thread_tests, sizeof(fail_thread_tests) / sizeof(fail_thread_tests[0]),
	fail_lacks,
};
