// SPDX-License-Identifier: GPL-2.0
/* Memory that is not there, not allowed, or never answers; and its neighbours. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"

/* Map two pages, and leave the faults of the second to nobody. The first's address, or -1. */
static long do_map_unanswered(long unused)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	long at = do_map(8192);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	(void)unused;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return -1;
	reg.range.start = at + 4096;
	reg.range.len = 4096;
	return ioctl(fd, UFFDIO_REGISTER, &reg) ? -1 : at;
}

static unsigned long map_unanswered(struct worker *w)
{
	unsigned long at = worker_call(w, do_map_unanswered, 0);

	CHECK(at != -1ul);
	return at;
}

static long do_protect(long addr)
{
	return mprotect((void *)addr, 4096, PROT_READ);
}

static long do_unmap(long addr)
{
	return munmap((void *)addr, 4096);
}

struct scene {
	struct device dev;
	struct worker w;
	struct vfio_svm_bind bind;
	struct queue q;
	unsigned long at;
};

static void scene_open(struct scene *s)
{
	/* Before the device is open: a fork would keep it open, too. */
	worker_start(&s->w);
	device_open(&s->dev, 0);
	s->bind = worker_bind(&s->dev, &s->w);
	s->at = worker_map(&s->w, 65536);
	queue_open(&s->q, &s->dev, 0, 64, 0);
}

static void copy_stops_at_the_hole(void)
{
	struct svm_desc desc;
	struct svm_cpl cpl;
	struct scene s;

	scene_open(&s);
	CHECK_EQ(worker_call(&s.w, do_unmap, s.at + 8192), 0);
	desc = desc_copy(s.bind.pasid, s.at + 1000, s.bind.pasid, s.at + 16384, 20000);
	cpl = queue_run(&s.q, &desc);
	CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
	CHECK_EQ(cpl.done, 7192);
	CHECK_EQ(cpl.fault_addr, s.at + 8192);
}

static void write_protected_memory_is_a_fault(void)
{
	struct svm_desc desc;
	struct svm_cpl cpl;
	struct scene s;

	scene_open(&s);
	CHECK_EQ(worker_call(&s.w, do_protect, s.at + 4096), 0);
	desc = desc_fill(s.bind.pasid, s.at + 4000, 200, 1);
	cpl = queue_run(&s.q, &desc);
	CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
	CHECK_EQ(cpl.done, 96);
	CHECK_EQ(cpl.fault_addr, s.at + 4096);
	/* Reading it is fine. */
	desc = desc_copy(s.bind.pasid, s.at + 4096, s.bind.pasid, s.at + 8192, 4096);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_OK);
}

static void kernel_addresses_are_a_fault(void)
{
	struct svm_desc desc;
	struct svm_cpl cpl;
	struct scene s;

	scene_open(&s);
	desc = desc_copy(s.bind.pasid, 0xffff888000000000, s.bind.pasid, s.at, 64);
	cpl = queue_run(&s.q, &desc);
	CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
	CHECK_EQ(cpl.done, 0);
	desc = desc_fill(s.bind.pasid, 0x7ffffffff000 - 64, 128, 1);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_PAGE_FAULT);
}

#ifdef __aarch64__
#define USER_END	0x1000000000000ul
#else
#define USER_END	0x7ffffffff000ul
#endif

static long do_map_last_page(long unused)
{
	void *at = (void *)(USER_END - 4096);

	(void)unused;
	return mmap(at, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at;
}

/* The last page there can be, and a copy that runs out of it. */
static void upper_end_of_the_address_space_is_exact(void)
{
	struct svm_desc desc;
	struct svm_cpl cpl;
	struct scene s;

	scene_open(&s);
	CHECK(worker_call(&s.w, do_map_last_page, 0));
	desc = desc_fill(s.bind.pasid, USER_END - 1000, 3000, 1);
	cpl = queue_run(&s.q, &desc);
	CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
	CHECK_EQ(cpl.done, 1000);
	CHECK_EQ(cpl.fault_addr, USER_END);
	desc = desc_copy(s.bind.pasid, USER_END - 1000, s.bind.pasid, s.at, 3000);
	cpl = queue_run(&s.q, &desc);
	CHECK_EQ(cpl.status, SVM_ST_PAGE_FAULT);
	CHECK_EQ(cpl.done, 1000);
	CHECK_EQ(cpl.fault_addr, USER_END);
}

static void unanswered_memory_times_out(void)
{
	struct svm_desc desc;
	struct svm_cpl cpl;
	unsigned long at;
	struct scene s;

	scene_open(&s);
	device_patience(1000);
	at = map_unanswered(&s.w);
	desc = desc_fill(s.bind.pasid, at + 4000, 200, 1);
	cpl = queue_run(&s.q, &desc);
	CHECK_EQ(cpl.status, SVM_ST_TIMEOUT);
	CHECK_EQ(cpl.done, 96);
	CHECK_EQ(cpl.fault_addr, at + 4096);
	/* The lane is back: the bond's other memory works. */
	desc = desc_fill(s.bind.pasid, s.at, 65536, 1);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_OK);
}

/*
 * A neighbour that had to wait for the slow one would never be done before it. A
 * busy machine may make it late now and then, so being first once is enough.
 */
static void neighbours_of_unanswered_memory_run(void)
{
	struct svm_desc slow, fast;
	struct vfio_svm_bind bind;
	bool overtaken = false;
	struct worker other;
	struct queue q;
	struct scene s;
	int i;

	scene_open(&s);
	device_patience(3000);
	worker_start(&other);
	bind = worker_bind(&s.dev, &other);
	queue_open(&q, &s.dev, 1, 32, 0);
	slow = desc_fill(s.bind.pasid, map_unanswered(&s.w) + 4096, 8, 1);
	for (i = 0; i < 10 && !overtaken; i++) {
		/* Not touched yet: it needs a lane, too. */
		fast = desc_fill(bind.pasid, worker_map(&other, 8192), 8192, i);
		queue_send(&s.q, &slow);
		queue_send(&s.q, &fast);
		CHECK_EQ(queue_run(&q, &fast).status, SVM_ST_OK);
		overtaken = !queue_has_completion(&s.q);
		CHECK_EQ(queue_wait(&s.q).status, SVM_ST_TIMEOUT);
		CHECK_EQ(queue_wait(&s.q).status, SVM_ST_OK);
	}
	CHECK(overtaken);
}

/* Whoever keeps the mapping of a queue that is removed learns what became of each. */
static void queue_removed_completes_what_waits(void)
{
	struct vfio_svm_queue remove = { .argsz = sizeof(remove) };
	struct svm_desc desc, nop = { .op = SVM_OP_NOP };
	struct scene s;

	scene_open(&s);
	desc = desc_fill(s.bind.pasid, map_unanswered(&s.w) + 4096, 8, 1);
	queue_send(&s.q, &desc);
	queue_send(&s.q, &nop);
	while (__atomic_load_n(&s.q.hdr->sq_head, __ATOMIC_RELAXED) != 2)
		usleep(1000);
	CHECK_EQ(xioctl(s.dev.fd, VFIO_SVM_QUEUE, &remove), 0);
	CHECK(queue_has_completion(&s.q));
	CHECK(queue_wait(&s.q).status != SVM_ST_OK);
	CHECK_EQ(queue_wait(&s.q).status, SVM_ST_OK);
}

static void unbind_ends_what_waits(void)
{
	struct svm_desc desc;
	struct scene s;
	int i;

	scene_open(&s);
	desc = desc_fill(s.bind.pasid, map_unanswered(&s.w) + 4096, 8, 1);
	for (i = 0; i < 10; i++)
		queue_send(&s.q, &desc);
	CHECK_EQ(unbind_id(&s.dev, s.bind.bond_id), 0);
	for (i = 0; i < 10; i++)
		CHECK_EQ(queue_wait(&s.q).status, SVM_ST_BOND_DEAD);
}

static void close_ends_what_waits(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s);
	desc = desc_fill(s.bind.pasid, map_unanswered(&s.w) + 4096, 8, 1);
	queue_send(&s.q, &desc);
	queue_unmap(&s.q);
	device_close(&s.dev);
	/* Only a device that was closed can be opened. */
	device_open(&s.dev, 0);
}

/*
 * Its userfaultfd is closed on the way out, so the wait ends with the page there or
 * without; either way the operation ends, and then nothing holds the address space.
 */
static void killed_worker_ends_what_waits(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s);
	desc = desc_fill(s.bind.pasid, map_unanswered(&s.w) + 4096, 8, 1);
	queue_send(&s.q, &desc);
	worker_kill(&s.w);
	queue_wait(&s.q);
	CHECK_EQ(device_event(&s.dev).type, VFIO_SVM_EVENT_EXIT);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_BOND_DEAD);
}

#define SLOW_PAGES	64

static void *answer_slowly(void *arg)
{
	static char zero[4096];
	struct uffd_msg msg;
	struct uffdio_copy copy = { .src = (unsigned long)zero, .len = 4096 };
	int fd = (long)arg;

	while (read(fd, &msg, sizeof(msg)) == sizeof(msg)) {
		usleep(20000);
		copy.dst = msg.arg.pagefault.address & ~4095ul;
		ioctl(fd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

/* Memory each page of which comes, each 20 ms late. */
static long do_map_slow(long unused)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	long at = do_map(SLOW_PAGES * 4096);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	pthread_t thread;

	(void)unused;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return -1;
	reg.range.start = at;
	reg.range.len = SLOW_PAGES * 4096;
	if (ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    pthread_create(&thread, NULL, answer_slowly, (void *)(long)fd))
		return -1;
	return at;
}

/* A worker that brings each page just in time cannot make a copy last for ever. */
static void slow_pages_share_one_time(void)
{
	struct svm_desc desc;
	struct svm_cpl cpl;
	unsigned long at;
	struct scene s;

	scene_open(&s);
	device_patience(PATIENT_MS);
	at = worker_call(&s.w, do_map_slow, 0);
	CHECK(at != -1ul);
	desc = desc_fill(s.bind.pasid, at, SLOW_PAGES * 4096, 1);
	param_set("vfio_svm_sw", "op_timeout_ms", 200);
	cpl = queue_run(&s.q, &desc);
	CHECK_EQ(cpl.status, SVM_ST_TIMEOUT);
	CHECK(cpl.done < SLOW_PAGES * 4096);
	CHECK_EQ(cpl.fault_addr, at + cpl.done);
	param_set("vfio_svm_sw", "op_timeout_ms", PATIENT_MS);
	CHECK_EQ(queue_run(&s.q, &desc).status, SVM_ST_OK);
}

/*
 * 20 pages of 20 ms each take longer than one page may, but no page does: those that
 * wait for the lane have not had their turn yet. A machine so busy that one page takes
 * ten times as long may fail a round, not all of them.
 */
static void many_pages_of_one_lane_wait_their_turn(void)
{
	struct svm_desc desc;
	bool all = false;
	unsigned long at;
	struct scene s;
	int i, j;

	scene_open(&s);
	for (i = 0; i < 10 && !all; i++) {
		at = worker_call(&s.w, do_map_slow, 0);
		CHECK(at != -1ul);
		device_patience(200);
		for (j = 0; j < 20; j++) {
			desc = desc_fill(s.bind.pasid, at + j * 4096, 8, 1);
			queue_send(&s.q, &desc);
		}
		for (all = true, j = 0; j < 20; j++)
			all &= queue_wait(&s.q).status == SVM_ST_OK;
	}
	CHECK(all);
}

static const struct test fault_tests[] = {
	TEST(copy_stops_at_the_hole),
	TEST(write_protected_memory_is_a_fault),
	TEST(kernel_addresses_are_a_fault),
	TEST(upper_end_of_the_address_space_is_exact),
	TEST(unanswered_memory_times_out),
	TEST(slow_pages_share_one_time),
	TEST(many_pages_of_one_lane_wait_their_turn),
	TEST(neighbours_of_unanswered_memory_run),
	TEST(queue_removed_completes_what_waits),
	TEST(unbind_ends_what_waits),
	TEST(close_ends_what_waits),
	TEST(killed_worker_ends_what_waits),
};

SUITE(fault);
