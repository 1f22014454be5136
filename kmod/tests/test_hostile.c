// SPDX-License-Identifier: GPL-2.0
/* A second thread that rewrites what the kernel is just looking at; and hanging files. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"
#include "fuse.h"

#define PAGE	4096ul
#define DEPTH	32u

/* A bond that may use the middle page of three. */
struct scene {
	struct device dev;
	struct vfio_svm_consent_bind bind;
	struct queue q;
	unsigned char *page;		/* the three */
	volatile bool stop;
	struct vfio_svm_window *window;
	struct vfio_svm_bind *args;
	int consent;
};

static void narrow(struct scene *s, unsigned char *at, unsigned long len, long want)
{
	struct vfio_svm_window window = { .addr = (unsigned long)at, .len = len, .flags = RIGHTS };
	struct vfio_svm_narrow arg = {
		.argsz = sizeof(arg), .nb_windows = 1, .windows = (unsigned long)&window,
	};

	CHECK_EQ(xioctl(s->consent, VFIO_SVM_CONSENT_NARROW, &arg), want);
}

static void scene_open(struct scene *s)
{
	struct vfio_svm_consent consent = { .argsz = sizeof(consent), .flags = RIGHTS };

	memset(s, 0, sizeof(*s));
	device_open(&s->dev, 0);
	device_patience(PATIENT_MS);
	s->consent = xioctl(s->dev.fd, VFIO_SVM_CONSENT, &consent);
	CHECK(s->consent >= 0);
	s->bind = (struct vfio_svm_consent_bind){ .argsz = sizeof(s->bind), .flags = RIGHTS };
	CHECK_EQ(xioctl(s->consent, VFIO_SVM_CONSENT_BIND, &s->bind), 0);
	s->page = shared_alloc(3 * PAGE);
	queue_open(&s->q, &s->dev, 0, DEPTH, 0);
	narrow(s, s->page + PAGE, PAGE, 0);
}

static void outside_is_untouched(const struct scene *s)
{
	unsigned long i;

	for (i = 0; i < PAGE; i++)
		CHECK_EQ(s->page[i] | s->page[2 * PAGE + i], 0);
}

/* Make one byte of the slots, or of the segments, good or bad, as fast as can be. */
static void *rewrite_slots(void *arg)
{
	struct scene *s = arg;
	unsigned long inside = (unsigned long)s->page + PAGE;
	unsigned int i, turn = 0;

	while (!s->stop) {
		turn++;
		for (i = 0; i < DEPTH; i++) {
			volatile struct svm_desc *d = &s->q.sq[i];
			volatile struct svm_seg *g = &s->q.sg[i * SVM_SG_MAX];

			d->dst = turn % 2 ? inside : turn % 4 ? inside - PAGE : inside + PAGE;
			g->dst = turn % 2 ? inside : turn % 4 ? inside - PAGE : inside + PAGE;
			d->src = turn % 3 ? inside : inside + PAGE;
			g->len = turn % 5 ? 64 : turn % 10 ? 2 * PAGE : ~0u;
		}
	}
	return NULL;
}

static void rewritten(unsigned int op)
{
	unsigned int i, j, n = rounds(1000), ok = 0;
	struct svm_desc desc;
	struct svm_cpl cpl;
	struct scene s;
	pthread_t t;

	scene_open(&s);
	memset(s.page + PAGE, 0x77, PAGE);
	CHECK_EQ(pthread_create(&t, NULL, rewrite_slots, &s), 0);
	for (i = 0; i < n || !ok; i++) {
		for (j = 0; j < DEPTH; j++) {
			desc = desc_copy(s.bind.pasid, (unsigned long)s.page + PAGE, s.bind.pasid,
					 (unsigned long)s.page + PAGE,
					 op == SVM_OP_COPY_SG ? 1 : 64);
			desc.op = op;
			desc.pattern = ~0ull;
			s.q.sg[j * SVM_SG_MAX] = (struct svm_seg){ desc.src, desc.dst, 64, { } };
			queue_send(&s.q, &desc);
		}
		for (j = 0; j < DEPTH; j++) {
			cpl = queue_wait(&s.q);
			ok += cpl.status == SVM_ST_OK;
			CHECK(cpl.status == SVM_ST_OK || cpl.status == SVM_ST_BAD_SPACE ||
			      cpl.status == SVM_ST_BAD_LEN);
		}
		outside_is_untouched(&s);
	}
	s.stop = true;
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static void slots_rewritten_while_copied(void)
{
	rewritten(SVM_OP_COPY);
}

static void slots_rewritten_while_filled(void)
{
	rewritten(SVM_OP_FILL);
}

static void segments_rewritten_while_copied(void)
{
	rewritten(SVM_OP_COPY_SG);
}

/* All of the header and both indexes: the device believes none of it. */
static void *rewrite_header(void *arg)
{
	volatile unsigned char *at;
	struct scene *s = arg;
	unsigned int seed = 1;
	size_t i;

	while (!s->stop) {
		at = (volatile unsigned char *)s->q.hdr;
		for (i = 0; i < sizeof(*s->q.hdr); i++)
			at[i] = rand_r(&seed);
		s->dev.index->tail = rand_r(&seed);
	}
	return NULL;
}

static void header_and_indexes_rewritten(void)
{
	unsigned int i, j, n = rounds(1000), bell = 0;
	struct svm_desc desc;
	struct scene s;
	pthread_t t;

	scene_open(&s);
	CHECK_EQ(pthread_create(&t, NULL, rewrite_header, &s), 0);
	for (i = 0; i < n; i++) {
		desc = desc_fill(s.bind.pasid, (unsigned long)s.page + PAGE, PAGE, i);
		for (j = 0; j < 4; j++)
			queue_send(&s.q, &desc);
		/* Whether it sleeps cannot be known from what we write ourselves. */
		CHECK_EQ(pwrite64(s.dev.fd, &bell, sizeof(bell), s.q.doorbell_off), sizeof(bell));
		for (j = 0; j < 4; j++) {
			struct svm_cpl cpl = queue_wait(&s.q);

			CHECK_EQ(cpl.status, SVM_ST_OK);
			CHECK_EQ(cpl.done, PAGE);
		}
		for (j = 0; j < PAGE / 8; j++)
			CHECK_EQ(((uint64_t *)(s.page + PAGE))[j], i);
	}
	s.stop = true;
	CHECK_EQ(pthread_join(t, NULL), 0);
	outside_is_untouched(&s);
}

/* The window's place, rewritten while it is read: it may never widen. */
static void *rewrite_window(void *arg)
{
	volatile struct vfio_svm_window *w = ((struct scene *)arg)->window;
	unsigned long inside = (unsigned long)((struct scene *)arg)->page + PAGE;
	unsigned int turn = 0;

	while (!((struct scene *)arg)->stop) {
		turn++;
		w->addr = turn % 2 ? inside : inside - PAGE;
		w->len = turn % 3 ? PAGE : 3 * PAGE;
		w->flags = turn % 5 ? RIGHTS : 0;
	}
	return NULL;
}

static void windows_rewritten_while_narrowed(void)
{
	static const uint32_t shift[] = { 0, 2 * PAGE };
	unsigned int i, n = rounds(3000);
	struct svm_desc desc;
	struct scene s;
	pthread_t t;
	long ret;

	scene_open(&s);
	s.window = shared_alloc(sizeof(*s.window));
	CHECK_EQ(pthread_create(&t, NULL, rewrite_window, &s), 0);
	for (i = 0; i < n; i++) {
		struct vfio_svm_narrow arg = {
			.argsz = sizeof(arg), .nb_windows = 1, .windows = (unsigned long)s.window,
		};

		ret = xioctl(s.consent, VFIO_SVM_CONSENT_NARROW, &arg);
		CHECK(ret == 0 || ret == -EACCES || ret == -EINVAL);
		desc = desc_fill(s.bind.pasid, (unsigned long)s.page + shift[i % 2], 64, ~0ull);
		CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_BAD_SPACE);
	}
	s.stop = true;
	CHECK_EQ(pthread_join(t, NULL), 0);
	outside_is_untouched(&s);
}

static void *rewrite_args(void *arg)
{
	volatile struct vfio_svm_bind *a = ((struct scene *)arg)->args;
	unsigned int turn = 0;

	while (!((struct scene *)arg)->stop) {
		turn++;
		a->argsz = turn % 2 ? sizeof(*a) : turn % 3 ? 8000 : sizeof(*a) + 8;
		a->flags = turn % 3 ? RIGHTS : 0;
		a->type = turn % 5 ? VFIO_SVM_BIND_PID : VFIO_SVM_BIND_SELF;
		a->target = turn % 7 ? getpid() : 0;
		a->reserved = turn % 11 == 0;
	}
	return NULL;
}

/* Whatever it took the call for, a bond that it tells of is there, and is one. */
static void arguments_rewritten_while_bound(void)
{
	unsigned int i, n = rounds(3000), bound = 0;
	struct vfio_svm_bind told;
	struct vfio_svm_bind bind;
	struct scene s;
	pthread_t t;
	long ret;

	scene_open(&s);
	CHECK_EQ(unbind_id(&s.dev, s.bind.bond_id), 0);
	/* Room behind it, which is 0. */
	s.args = shared_alloc(PAGE);
	CHECK_EQ(pthread_create(&t, NULL, rewrite_args, &s), 0);
	for (i = 0; i < n || !bound; i++) {
		ret = xioctl(s.dev.fd, VFIO_SVM_BIND, s.args);
		CHECK(ret == 0 || ret == -EINVAL || ret == -E2BIG);
		if (ret)
			continue;
		bound++;
		CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, NULL), -EEXIST);
		/* The reply is not rewritten. */
		told = *s.args;
		CHECK_EQ(unbind_id(&s.dev, told.bond_id), 0);
		CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &bind), 0);
		CHECK_EQ(unbind_id(&s.dev, bind.bond_id), 0);
	}
	s.stop = true;
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static long do_protect_none(long addr)
{
	return mprotect((void *)addr, PAGE, PROT_NONE);
}

/* A failed copy leaves what it did not do as it was: no byte of another bond's copies. */
static void failed_copy_brings_nothing_of_others(void)
{
	unsigned int i, j, n = rounds(200);
	unsigned long secret, from, to;
	struct vfio_svm_bind a, b;
	struct svm_desc desc;
	struct fill *fill;
	struct device dev;
	struct svm_cpl cpl;
	struct worker wa, wb;
	struct queue q;

	fill = shared_alloc(sizeof(*fill));
	worker_start(&wa);
	worker_start(&wb);
	device_open(&dev, 0);
	device_patience(PATIENT_MS);
	queue_open(&q, &dev, 0, DEPTH, 0);
	a = worker_bind(&dev, &wa);
	b = worker_bind(&dev, &wb);
	secret = worker_map(&wa, 16 * PAGE);
	from = worker_map(&wb, 2 * PAGE);
	to = worker_map(&wb, 16 * PAGE);
	/* The second page of the source is not there for good. */
	*fill = (struct fill){ from, PAGE, 3 };
	CHECK_EQ(worker_call(&wb, do_fill, (long)fill), 0);
	CHECK_EQ(worker_call(&wb, do_protect_none, from + PAGE), 0);
	desc = desc_fill(a.pasid, secret, 16 * PAGE, 0xeeeeeeeeeeeeeeee);
	CHECK_EQ(queue_run(&q, &desc).status, SVM_ST_OK);
	for (i = 0; i < n; i++) {
		desc = desc_copy(a.pasid, secret, a.pasid, secret, 16 * PAGE);
		queue_send(&q, &desc);
		desc = desc_copy(b.pasid, from + PAGE - 64, b.pasid, to, 8192 - 64 - i);
		queue_send(&q, &desc);
		CHECK_EQ(queue_wait(&q).status, SVM_ST_OK);
		cpl = queue_wait(&q);
		CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
		CHECK_EQ(cpl.done, 64);
	}
	for (j = 64; j < 16 * PAGE; j += PAGE / 4) {
		*fill = (struct fill){ to + j, 1, 0 };
		CHECK_EQ(worker_call(&wb, do_check, (long)fill), 1);
	}
}

/* A neighbour that had to wait for it would never be done before it. */
static void neighbours_of_a_hanging_file_run(unsigned int flags)
{
	struct vfio_svm_bind bad, good;
	struct svm_desc slow, fast;
	unsigned int i, n = rounds(200);
	struct worker w, other;
	unsigned long file, at;
	struct device dev;
	struct queue q[2];
	struct fuse fuse;

	fuse_start(&fuse, flags);
	worker_start(&w);
	worker_start(&other);
	device_open(&dev, 0);
	device_patience(PATIENT_MS);
	bad = worker_bind(&dev, &w);
	good = worker_bind(&dev, &other);
	file = worker_call(&w, do_map_fuse, FUSE_FILE_LEN);
	CHECK(file != -1ul);
	queue_open(&q[0], &dev, 0, DEPTH, 0);
	queue_open(&q[1], &dev, 1, DEPTH, 0);
	fuse_hold(&fuse);
	slow = desc_copy(bad.pasid, file, bad.pasid, file, 64);
	queue_send(&q[0], &slow);
	fuse_wait_held(&fuse, 1);
	/* Also memory that nobody touched, for which a lane is needed. */
	at = worker_map(&other, n * PAGE);
	for (i = 0; i < n; i++) {
		fast = desc_fill(good.pasid, at + i * PAGE, PAGE, i);
		CHECK_EQ(queue_run(&q[1], &fast).status, SVM_ST_OK);
	}
	CHECK(!queue_has_completion(&q[0]));
	fuse_release(&fuse);
	CHECK_EQ(queue_wait(&q[0]).status, SVM_ST_OK);
}

static void neighbours_of_a_hanging_read_run(void)
{
	neighbours_of_a_hanging_file_run(0);
}

static void neighbours_of_a_hanging_readahead_run(void)
{
	neighbours_of_a_hanging_file_run(FUSE_READAHEAD);
}

static void neighbours_of_hanging_direct_io_run(void)
{
	neighbours_of_a_hanging_file_run(FUSE_DIRECT_IO);
}

static const struct test hostile_tests[] = {
	TEST(slots_rewritten_while_copied),
	TEST(slots_rewritten_while_filled),
	TEST(segments_rewritten_while_copied),
	TEST(header_and_indexes_rewritten),
	TEST(windows_rewritten_while_narrowed),
	TEST(arguments_rewritten_while_bound),
	TEST(failed_copy_brings_nothing_of_others),
	TEST(neighbours_of_a_hanging_read_run),
	TEST(neighbours_of_a_hanging_readahead_run),
	TEST(neighbours_of_hanging_direct_io_run),
};

SUITE(hostile);
