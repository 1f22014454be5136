// SPDX-License-Identifier: GPL-2.0
/* What the software device does with descriptors that are well formed, and with others. */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

/* Two workers with 1 MiB each, nothing of it touched yet, and a queue. */
struct pair {
	struct device dev;
	struct worker a, b;
	struct vfio_svm_bind bond_a, bond_b;
	unsigned long at_a, at_b;
	struct queue q;
	struct fill *fill;
};

#define LEN	(1ul << 20)

static void pair_open(struct pair *p)
{
	p->fill = shared_alloc(sizeof(*p->fill));
	device_open(&p->dev, 0);
	worker_start(&p->a);
	worker_start(&p->b);
	p->bond_a = worker_bind(&p->dev, &p->a);
	p->bond_b = worker_bind(&p->dev, &p->b);
	p->at_a = worker_map(&p->a, LEN);
	p->at_b = worker_map(&p->b, LEN);
	queue_open(&p->q, &p->dev, 0, 64, 0);
}

static void fill_at(struct pair *p, struct worker *w, unsigned long addr, unsigned long len,
		    unsigned char first)
{
	*p->fill = (struct fill){ addr, len, first };
	worker_call(w, do_fill, (long)p->fill);
}

static unsigned long good_at(struct pair *p, struct worker *w, unsigned long addr,
			     unsigned long len, unsigned char first)
{
	*p->fill = (struct fill){ addr, len, first };
	return worker_call(w, do_check, (long)p->fill);
}

static struct svm_desc copy_ab(const struct pair *p, unsigned long off_a, unsigned long off_b,
			       uint32_t len)
{
	return desc_copy(p->bond_a.pasid, p->at_a + off_a, p->bond_b.pasid, p->at_b + off_b, len);
}

static void check_cpl(struct svm_cpl cpl, int status, uint32_t done, uint64_t fault_addr)
{
	CHECK_EQ(cpl.status, status);
	CHECK_EQ(cpl.done, done);
	CHECK_EQ(cpl.fault_addr, fault_addr);
}

static void copies_between_two_workers(void)
{
	struct svm_desc desc;
	struct pair p;

	pair_open(&p);
	fill_at(&p, &p.a, p.at_a, 4096, 7);
	desc = copy_ab(&p, 1, 3, 4000);
	check_cpl(queue_run(&p.q, &desc), SVM_ST_OK, 4000, 0);
	CHECK_EQ(good_at(&p, &p.b, p.at_b + 3, 4000, 8), 4000);
	/* Not a byte more, on either side. */
	CHECK_EQ(good_at(&p, &p.b, p.at_b, 3, 0), 1);
	CHECK_EQ(good_at(&p, &p.b, p.at_b + 4003, 1, 0), 1);
}

static void copies_much_that_nobody_touched(void)
{
	struct svm_desc desc;
	struct pair p;

	pair_open(&p);
	fill_at(&p, &p.a, p.at_a, LEN, 1);
	desc = copy_ab(&p, 0, 0, LEN);
	check_cpl(queue_run(&p.q, &desc), SVM_ST_OK, LEN, 0);
	CHECK_EQ(good_at(&p, &p.b, p.at_b, LEN, 1), LEN);
}

static void copies_within_one_worker(void)
{
	struct svm_desc desc;
	struct pair p;

	pair_open(&p);
	fill_at(&p, &p.a, p.at_a, 8192, 5);
	desc = desc_copy(p.bond_a.pasid, p.at_a, p.bond_a.pasid, p.at_a + 65536, 8192);
	check_cpl(queue_run(&p.q, &desc), SVM_ST_OK, 8192, 0);
	CHECK_EQ(good_at(&p, &p.a, p.at_a + 65536, 8192, 5), 8192);
}

static void fills_with_a_pattern(void)
{
	struct svm_desc desc;
	struct pair p;

	pair_open(&p);
	desc = desc_fill(p.bond_a.pasid, p.at_a + 5, 200000, 0x0706050403020100);
	check_cpl(queue_run(&p.q, &desc), SVM_ST_OK, 200000, 0);
	CHECK_EQ(good_at(&p, &p.a, p.at_a + 5, 8, 0), 8);
	CHECK_EQ(good_at(&p, &p.a, p.at_a + 5 + 8 * 24999, 8, 0), 8);
	CHECK_EQ(good_at(&p, &p.a, p.at_a + 5 + 200000, 1, 0), 1);
}

static void compares(void)
{
	struct svm_desc desc;
	struct pair p;

	pair_open(&p);
	fill_at(&p, &p.a, p.at_a, 5000, 9);
	fill_at(&p, &p.b, p.at_b, 5000, 9);
	desc = copy_ab(&p, 0, 0, 5000);
	desc.op = SVM_OP_COMPARE;
	check_cpl(queue_run(&p.q, &desc), SVM_ST_OK, 5000, 0);
	fill_at(&p, &p.b, p.at_b + 4321, 1, 0);
	check_cpl(queue_run(&p.q, &desc), SVM_ST_MISMATCH, 4321, p.at_a + 4321);
}

static void compares_with_a_pattern(void)
{
	struct svm_desc desc;
	struct pair p;

	pair_open(&p);
	desc = desc_fill(p.bond_a.pasid, p.at_a, 1000, 0x1111222233334444);
	queue_run(&p.q, &desc);
	desc = (struct svm_desc){
		.op = SVM_OP_COMPARE_PATTERN, .len = 1000, .src = p.at_a,
		.src_space = p.bond_a.pasid, .pattern = 0x1111222233334444,
	};
	check_cpl(queue_run(&p.q, &desc), SVM_ST_OK, 1000, 0);
	desc.pattern ^= 1ull << 56;
	check_cpl(queue_run(&p.q, &desc), SVM_ST_MISMATCH, 7, p.at_a + 7);
}

static void gathers_and_scatters(void)
{
	struct svm_desc desc;
	struct pair p;
	unsigned int i;

	pair_open(&p);
	fill_at(&p, &p.a, p.at_a, 4096, 0);
	for (i = 0; i < 4; i++)
		p.q.sg[i] = (struct svm_seg){
			.src = p.at_a + i * 256, .dst = p.at_b + (3 - i) * 100000, .len = 256,
		};
	desc = copy_ab(&p, 0, 0, 4);
	desc.op = SVM_OP_COPY_SG;
	check_cpl(queue_run(&p.q, &desc), SVM_ST_OK, 1024, 0);
	for (i = 0; i < 4; i++)
		CHECK_EQ(good_at(&p, &p.b, p.at_b + i * 100000, 256, 0), 256);
}

static void nothing_to_do_completes_in_order(void)
{
	struct svm_desc nop = { .op = SVM_OP_NOP }, copy;
	struct pair p;
	unsigned int i;

	pair_open(&p);
	copy = copy_ab(&p, 0, 0, 100000);
	for (i = 0; i < 60; i++)
		queue_send(&p.q, i % 3 ? &nop : &copy);
	for (i = 0; i < 60; i++)
		check_cpl(queue_wait(&p.q), SVM_ST_OK, i % 3 ? 0 : 100000, 0);
}

/* b's bytes go on to a only after they came from a. */
static void fence_waits_for_all_before(void)
{
	struct svm_desc first, second;
	struct pair p;

	pair_open(&p);
	fill_at(&p, &p.a, p.at_a, 300000, 3);
	first = copy_ab(&p, 0, 0, 300000);
	second = desc_copy(p.bond_b.pasid, p.at_b, p.bond_a.pasid, p.at_a + 400000, 300000);
	second.flags = SVM_F_FENCE;
	queue_send(&p.q, &first);
	queue_send(&p.q, &second);
	queue_wait(&p.q);
	check_cpl(queue_wait(&p.q), SVM_ST_OK, 300000, 0);
	CHECK_EQ(good_at(&p, &p.a, p.at_a + 400000, 300000, 3), 300000);
}

static void ring_wraps_many_times(void)
{
	struct svm_desc desc;
	struct pair p;
	unsigned int i, j;

	pair_open(&p);
	fill_at(&p, &p.a, p.at_a, 64, 1);
	desc = copy_ab(&p, 0, 0, 64);
	for (i = 0; i < 50; i++) {
		for (j = 0; j < 64; j++)
			queue_send(&p.q, &desc);
		for (j = 0; j < 64; j++)
			check_cpl(queue_wait(&p.q), SVM_ST_OK, 64, 0);
	}
}

static void bad_descriptors_are_refused(void)
{
	struct svm_desc good, bad;
	struct pair p;

	pair_open(&p);
	good = copy_ab(&p, 0, 0, 64);
#define REFUSED(field, value, why)						\
	do {									\
		bad = good;							\
		bad.field = value;						\
		check_cpl(queue_run(&p.q, &bad), why, 0, 0);			\
	} while (0)
	REFUSED(op, SVM_OP_COUNT, SVM_ST_BAD_OP);
	REFUSED(op, 255, SVM_ST_BAD_OP);
	REFUSED(flags, 2, SVM_ST_BAD_DESC);
	REFUSED(reserved0, 1, SVM_ST_BAD_DESC);
	REFUSED(reserved1[2], 1, SVM_ST_BAD_DESC);
	REFUSED(len, 0, SVM_ST_BAD_LEN);
	REFUSED(len, SVM_LEN_MAX + 1, SVM_ST_BAD_LEN);
	REFUSED(src, -32ull, SVM_ST_BAD_LEN);
	REFUSED(dst, -32ull, SVM_ST_BAD_LEN);
	REFUSED(src_space, 0, SVM_ST_BAD_SPACE);
	REFUSED(src_space, MAX_PASID, SVM_ST_BAD_SPACE);
	REFUSED(dst_space, SVM_SPACE(SVM_SPACE_WINDOW, 0), SVM_ST_BAD_SPACE);
	REFUSED(dst_space, SVM_SPACE(SVM_SPACE_SELF, 0), SVM_ST_BAD_SPACE);
	REFUSED(dst_space, SVM_SPACE(SVM_SPACE_NONE, SVM_ST_BOND_DEAD), SVM_ST_BOND_DEAD);
	REFUSED(op, SVM_OP_COPY_SG, SVM_ST_BAD_LEN);
#undef REFUSED
	check_cpl(queue_run(&p.q, &good), SVM_ST_OK, 64, 0);
}

static void self_means_the_queues_bond(void)
{
	struct svm_desc desc;
	struct queue q;
	struct pair p;

	pair_open(&p);
	queue_open(&q, &p.dev, 1, 32, p.bond_b.bond_id);
	fill_at(&p, &p.a, p.at_a, 64, 1);
	desc = copy_ab(&p, 0, 0, 64);
	desc.dst_space = SVM_SPACE(SVM_SPACE_SELF, 0);
	check_cpl(queue_run(&q, &desc), SVM_ST_OK, 64, 0);
	CHECK_EQ(good_at(&p, &p.b, p.at_b, 64, 1), 64);
	CHECK_EQ(unbind_id(&p.dev, p.bond_b.bond_id), 0);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_BOND_DEAD);
}

static void rights_of_the_bond_hold(void)
{
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct pair p;

	pair_open(&p);
	CHECK_EQ(unbind_id(&p.dev, p.bond_b.bond_id), 0);
	CHECK_EQ(bind_type(&p.dev, VFIO_SVM_BIND_PID, p.b.pid, VFIO_SVM_READ, &bind), 0);
	p.bond_b = bind;
	fill_at(&p, &p.b, p.at_b, 64, 9);
	desc = copy_ab(&p, 0, 0, 64);
	check_cpl(queue_run(&p.q, &desc), SVM_ST_BAD_SPACE, 0, 0);
	desc = desc_copy(p.bond_b.pasid, p.at_b, p.bond_a.pasid, p.at_a, 64);
	check_cpl(queue_run(&p.q, &desc), SVM_ST_OK, 64, 0);
}

static void unbound_pasid_is_dead(void)
{
	struct svm_desc desc;
	struct pair p;

	pair_open(&p);
	desc = copy_ab(&p, 0, 0, 64);
	CHECK_EQ(queue_run(&p.q, &desc).status, SVM_ST_OK);
	CHECK_EQ(unbind_id(&p.dev, p.bond_b.bond_id), 0);
	CHECK_EQ(queue_run(&p.q, &desc).status, SVM_ST_BOND_DEAD);
}

/*
 * A descriptor that stands behind a slot which is claimed and not marked yet still
 * carries its PASID: nobody else may get the number before it was taken.
 */
static void pasid_behind_a_hole_is_not_reused(void)
{
	struct svm_desc desc, nop = { .op = SVM_OP_NOP };
	struct vfio_svm_bind bind;
	struct pair p;
	long ret = 0;
	int i;

	pair_open(&p);
	desc = copy_ab(&p, 0, 0, 64);
	p.q.sent = 1;			/* slot 0 is the hole */
	queue_send(&p.q, &desc);
	CHECK_EQ(unbind_id(&p.dev, p.bond_b.bond_id), 0);
	for (i = 0; i < 3 * (int)MAX_PASID && !ret; i++) {
		ret = bind_type(&p.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind);
		CHECK(ret == 0 || ret == -ENOSPC);
		CHECK(ret || bind.pasid != p.bond_b.pasid);
		CHECK(ret || !unbind_id(&p.dev, bind.bond_id));
	}
	p.q.sent = 0;
	queue_send(&p.q, &nop);
	CHECK_EQ(queue_wait(&p.q).status, SVM_ST_OK);
	CHECK_EQ(queue_wait(&p.q).status, SVM_ST_BOND_DEAD);
	/* Now that it was taken the numbers come back. */
	CHECK_EQ(bind_type(&p.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
}

/* Whoever polls needs no system call and no page fault, and two switches for a batch. */
static void batch_costs_two_switches(void)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_svm_stats stats;
	} before = { }, after;
	struct svm_desc desc;
	struct pair p;
	unsigned int i;

	pair_open(&p);
	fill_at(&p, &p.a, p.at_a, 65536, 1);
	fill_at(&p, &p.b, p.at_b, 65536, 1);
	before.head.argsz = sizeof(before);
	before.head.flags = VFIO_DEVICE_FEATURE_SVM_STATS | VFIO_DEVICE_FEATURE_GET;
	CHECK_EQ(xioctl(p.dev.fd, VFIO_DEVICE_FEATURE, &before), 0);
	after = before;
	/* All 64 are there when the device takes the first: their marks come last. */
	for (i = 0; i < 64; i++) {
		desc = copy_ab(&p, i * 64, i * 64, 64);
		p.q.sq[i] = desc;
	}
	for (i = 64; i--;)
		__atomic_store_n(&p.q.sq[i].seq, i + 1, __ATOMIC_RELEASE);
	p.q.sent = 64;
	i = 0;
	CHECK_EQ(pwrite64(p.dev.fd, &i, 4, p.q.doorbell_off), 4);
	for (i = 0; i < 64; i++)
		check_cpl(queue_wait(&p.q), SVM_ST_OK, 64, 0);
	CHECK_EQ(xioctl(p.dev.fd, VFIO_DEVICE_FEATURE, &after), 0);
	CHECK_EQ(after.stats.descs - before.stats.descs, 64);
	CHECK_EQ(after.stats.bytes - before.stats.bytes, 4096);
	CHECK_EQ(after.stats.mm_switches - before.stats.mm_switches, 2);
	CHECK_EQ(after.stats.faults - before.stats.faults, 0);
}

static const struct test dma_tests[] = {
	TEST(copies_between_two_workers),
	TEST(copies_much_that_nobody_touched),
	TEST(copies_within_one_worker),
	TEST(fills_with_a_pattern),
	TEST(compares),
	TEST(compares_with_a_pattern),
	TEST(gathers_and_scatters),
	TEST(nothing_to_do_completes_in_order),
	TEST(fence_waits_for_all_before),
	TEST(ring_wraps_many_times),
	TEST(bad_descriptors_are_refused),
	TEST(self_means_the_queues_bond),
	TEST(rights_of_the_bond_hold),
	TEST(unbound_pasid_is_dead),
	TEST(pasid_behind_a_hole_is_not_reused),
	TEST(batch_costs_two_switches),
};

SUITE(dma);
