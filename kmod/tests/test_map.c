// SPDX-License-Identifier: GPL-2.0
/* Regions: how they may be mapped, and what every byte of them and of a reply is. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define PAGE	4096ul
#define DEPTH	64u

struct scene {
	struct device dev;
	struct queue q;
	struct vfio_region_info info;	/* of the queue's region */
};

static void scene_open(struct scene *s)
{
	device_open(&s->dev, 0);
	queue_open(&s->q, &s->dev, 0, DEPTH, 0);
	s->info = device_region(&s->dev, VFIO_SVM_REGION_QUEUE);
}

/* 0, or the errno with which it is refused. */
static int map_errno(struct scene *s, uint64_t off, size_t len, int prot, int flags)
{
	void *at = mmap64(NULL, len, prot, flags, s->dev.fd, off);

	if (at == MAP_FAILED)
		return errno;
	CHECK_EQ(munmap(at, len), 0);
	return 0;
}

#define RW	(PROT_READ | PROT_WRITE)

static void other_places_are_refused(void)
{
	struct vfio_region_info bell;
	struct scene s;

	scene_open(&s);
	CHECK_EQ(map_errno(&s, s.info.offset, s.info.size, RW, MAP_SHARED), 0);
	/* Not at its start, of no region, of a queue that is not made. */
	CHECK_EQ(map_errno(&s, s.info.offset + PAGE, PAGE, RW, MAP_SHARED), EINVAL);
	CHECK_EQ(map_errno(&s, s.info.offset - PAGE, PAGE, RW, MAP_SHARED), EINVAL);
	CHECK_EQ(map_errno(&s, s.info.offset + (1ull << 32), PAGE, RW, MAP_SHARED), EINVAL);
	CHECK_EQ(map_errno(&s, s.info.offset + (64ull << 32), PAGE, RW, MAP_SHARED), EINVAL);
	/* The last offsets there are: sums with a length wrap. */
	CHECK(map_errno(&s, (1ull << 63) - PAGE, PAGE, RW, MAP_SHARED));
	CHECK(map_errno(&s, (1ull << 63) - PAGE, 16 * PAGE, RW, MAP_SHARED));
	CHECK(map_errno(&s, -PAGE, PAGE, RW, MAP_SHARED));
	CHECK(map_errno(&s, -PAGE, 2 * PAGE, RW, MAP_SHARED));
	bell = device_region(&s.dev, VFIO_SVM_REGION_DOORBELL);
	CHECK_EQ(map_errno(&s, bell.offset, PAGE, RW, MAP_SHARED), EINVAL);
}

static void more_than_there_is_is_refused(void)
{
	struct scene s;

	scene_open(&s);
	CHECK_EQ(map_errno(&s, s.info.offset, s.info.size + PAGE, RW, MAP_SHARED), EINVAL);
	CHECK_EQ(map_errno(&s, s.info.offset, 1ul << 30, RW, MAP_SHARED), EINVAL);
	CHECK_EQ(map_errno(&s, 0, s.dev.events_len + PAGE, PROT_READ, MAP_SHARED), EINVAL);
	CHECK_EQ(map_errno(&s, s.info.offset, PAGE, RW, MAP_SHARED), 0);
}

static void private_and_executable_mappings_are_refused(void)
{
	struct scene s;

	scene_open(&s);
	CHECK_EQ(map_errno(&s, s.info.offset, s.info.size, RW, MAP_PRIVATE), EINVAL);
	CHECK_EQ(map_errno(&s, s.info.offset, s.info.size, PROT_READ, MAP_PRIVATE), EINVAL);
	CHECK_EQ(map_errno(&s, s.info.offset, s.info.size, RW | PROT_EXEC, MAP_SHARED), EPERM);
	CHECK_EQ(mprotect(s.q.hdr, PAGE, PROT_READ | PROT_EXEC), -1);
	CHECK_EQ(errno, EACCES);
}

static void mapping_does_not_grow(void)
{
	struct scene s;

	scene_open(&s);
	CHECK(mremap(s.q.hdr, s.q.size, s.q.size + PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK_EQ(errno, EFAULT);
	CHECK(mremap(s.q.hdr, 0, s.q.size, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK_EQ(s.q.hdr->magic, SVM_ABI_MAGIC);
}

/* Without its header page, and moved elsewhere, the rest works on. */
static void part_of_a_mapping_works_on(void)
{
	struct svm_desc nop = { .op = SVM_OP_NOP };
	uint32_t bell = 0;
	struct scene s;
	char *rest, *to;
	size_t len;
	int i;

	scene_open(&s);
	len = s.q.size - PAGE;
	rest = (char *)s.q.hdr + PAGE;
	CHECK_EQ(munmap(s.q.hdr, PAGE), 0);
	to = mremap(rest, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, do_map(len));
	CHECK(to != MAP_FAILED);
	s.q.sq = (void *)((char *)s.q.sq + (to - rest));
	s.q.cq = (void *)((char *)s.q.cq + (to - rest));
	for (i = 0; i < 3 * (int)DEPTH; i++) {
		s.q.sq[i % DEPTH] = nop;
		__atomic_store_n(&s.q.sq[i % DEPTH].seq, i + 1, __ATOMIC_RELEASE);
		CHECK_EQ(pwrite64(s.dev.fd, &bell, sizeof(bell), s.q.doorbell_off), sizeof(bell));
		CHECK_EQ(queue_wait(&s.q).status, SVM_ST_OK);
	}
}

static long do_touch(long addr)
{
	return *(volatile uint32_t *)addr;
}

/* Whoever is forked finds nothing there. */
static void fork_copies_no_mapping(void)
{
	const void *at[3];
	struct scene s;
	int i, status;
	pid_t pid;

	scene_open(&s);
	at[0] = s.q.hdr;
	at[1] = s.dev.events;
	at[2] = (const void *)s.dev.index;
	for (i = 0; i < 3; i++) {
		do_touch((long)at[i]);
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			signal(SIGSEGV, SIG_DFL);
			do_touch((long)at[i]);
			_exit(0);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status));
		CHECK_EQ(WTERMSIG(status), SIGSEGV);
	}
}

static size_t zeros(const void *at, size_t from, size_t len)
{
	const volatile unsigned char *byte = at;

	while (from < len && !byte[from])
		from++;
	return from;
}

/* A new queue's memory was likely an old one's: all but its header is 0. */
static void new_queue_shows_nothing_old(void)
{
	unsigned int i, n = rounds(50);
	struct vfio_svm_queue remove = { .argsz = sizeof(remove) };
	struct svm_queue_hdr hdr;
	struct device dev;
	struct queue q;

	device_open(&dev, 0);
	for (i = 0; i < n; i++) {
		queue_open(&q, &dev, 0, DEPTH, 0);
		memset(&hdr, 0, sizeof(hdr));
		hdr.magic = SVM_ABI_MAGIC;
		hdr.version = SVM_ABI_VERSION;
		hdr.hdr_len = sizeof(hdr);
		hdr.features = SVM_QF_MULTI_PRODUCER | SVM_QF_MAY_SLEEP;
		hdr.depth = DEPTH;
		hdr.desc_size = sizeof(struct svm_desc);
		hdr.cpl_size = sizeof(struct svm_cpl);
		hdr.sg_max = SVM_SG_MAX;
		hdr.sq_off = q.hdr->sq_off;
		hdr.cq_off = q.hdr->cq_off;
		hdr.sg_off = q.hdr->sg_off;
		hdr.size = q.size;
		/* But whether the device sleeps. */
		CHECK_EQ(memcmp(&hdr, q.hdr, offsetof(struct svm_queue_hdr, need_wakeup)), 0);
		CHECK_EQ(zeros(q.hdr, offsetof(struct svm_queue_hdr, pad1), q.size), q.size);
		memset((char *)q.hdr + 4096, 0xaa, q.size - 4096);
		queue_unmap(&q);
		CHECK_EQ(xioctl(dev.fd, VFIO_SVM_QUEUE, &remove), 0);
	}
}

static void new_device_shows_nothing_old(void)
{
	struct vfio_svm_event_hdr hdr;
	unsigned int i, n = rounds(20);
	struct device dev;
	struct worker w;

	for (i = 0; i < n; i++) {
		worker_start(&w);
		device_open(&dev, 0);
		hdr = (struct vfio_svm_event_hdr){
			.hdr_len = dev.events->hdr_len, .nb_records = dev.events->nb_records,
			.record_size = sizeof(struct vfio_svm_event),
		};
		CHECK_EQ(memcmp(&hdr, dev.events, sizeof(hdr)), 0);
		CHECK_EQ(zeros(dev.events, sizeof(hdr), dev.events_len), dev.events_len);
		CHECK_EQ(zeros((void *)dev.index, 0, dev.index_len), dev.index_len);
		/* Something to be found by the next. */
		worker_bind(&dev, &w);
		worker_kill(&w);
		device_event(&dev);
		memset((void *)dev.index, 0xaa, dev.index_len);
		device_close(&dev);
	}
}

/* An event is what it tells, and 0. */
static void event_has_no_other_bytes(void)
{
	struct vfio_svm_event seen, want;
	struct vfio_svm_bind bind;
	struct device dev;
	struct worker w;

	worker_start(&w);
	device_open(&dev, 0);
	bind = worker_bind(&dev, &w);
	worker_kill(&w);
	seen = device_event(&dev);
	want = (struct vfio_svm_event){
		.type = VFIO_SVM_EVENT_EXIT, .pasid = bind.pasid, .bond_id = bind.bond_id,
		.cookie = bind.cookie, .seq = 1,
	};
	CHECK_EQ(memcmp(&seen, &want, sizeof(want)), 0);
	CHECK_EQ(zeros(dev.records, sizeof(want), dev.events_len - dev.events->hdr_len),
		 dev.events_len - dev.events->hdr_len);
}

/* Completions are what they tell, and the other rings are left as they are. */
static void completion_has_no_other_bytes(void)
{
	struct svm_desc nop = { .op = SVM_OP_NOP }, slot;
	struct svm_cpl want;
	struct scene s;
	unsigned int i;

	scene_open(&s);
	for (i = 0; i < DEPTH; i++) {
		nop.cookie = i;
		queue_send(&s.q, &nop);
	}
	for (i = 0; i < DEPTH; i++) {
		queue_wait(&s.q);
		want = (struct svm_cpl){ .id = i, .phase = 1 };
		CHECK_EQ(memcmp(&want, &s.q.cq[i], sizeof(want)), 0);
		slot = (struct svm_desc){ .op = SVM_OP_NOP, .cookie = i, .seq = i + 1 };
		CHECK_EQ(memcmp(&slot, &s.q.sq[i], sizeof(slot)), 0);
	}
	CHECK_EQ(zeros(s.q.hdr, s.q.hdr->sg_off, s.q.size), s.q.size);
}

/* A reply, asked for into memory full of something, twice with something else. */
struct reply {
	unsigned char bytes[256];
};

static void ask(struct device *dev, unsigned long cmd, const void *arg, size_t len,
		unsigned char fill, struct reply *r)
{
	memset(r, fill, sizeof(*r));
	memcpy(r, arg, len);
	CHECK_EQ(xioctl(dev->fd, cmd, r), 0);
}

/* in: bytes the call reads; out: how many of the reply are said to be written. */
static void says_all_of_it(struct device *dev, unsigned long cmd, const void *arg,
				 size_t in, size_t out)
{
	struct reply a, b;
	size_t i;

	ask(dev, cmd, arg, in, 0x00, &a);
	ask(dev, cmd, arg, in, 0xff, &b);
	CHECK_EQ(memcmp(&a, &b, out), 0);
	/* And nothing behind it. */
	for (i = out; i < sizeof(a); i++) {
		CHECK_EQ(a.bytes[i], 0);
		CHECK_EQ(b.bytes[i], 0xff);
	}
}

static void replies_have_no_other_bytes(void)
{
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_device_info info = { .argsz = offsetof(struct vfio_device_info, cap_offset) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature) + sizeof(struct vfio_svm_caps),
		.flags = VFIO_DEVICE_FEATURE_SVM | VFIO_DEVICE_FEATURE_GET,
	};
	size_t cap = sizeof(region) + sizeof(struct vfio_region_info_cap_type);
	struct vfio_svm_bind bind = { .argsz = sizeof(bind), .flags = RIGHTS, .cookie = 7 };
	struct vfio_svm_bind want, *seen;
	struct device dev;
	struct reply r;

	device_open(&dev, 0);
	says_all_of_it(&dev, VFIO_DEVICE_GET_INFO, &info, info.argsz, info.argsz);
	says_all_of_it(&dev, VFIO_DEVICE_GET_REGION_INFO, &region, sizeof(region),
			     sizeof(region));
	region.argsz = cap;
	says_all_of_it(&dev, VFIO_DEVICE_GET_REGION_INFO, &region, sizeof(region), cap);
	says_all_of_it(&dev, VFIO_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq), sizeof(irq));
	says_all_of_it(&dev, VFIO_DEVICE_FEATURE, &feature, sizeof(feature), feature.argsz);
	feature.argsz = sizeof(feature) + sizeof(struct vfio_svm_stats);
	feature.flags = VFIO_DEVICE_FEATURE_SVM_STATS | VFIO_DEVICE_FEATURE_GET;
	says_all_of_it(&dev, VFIO_DEVICE_FEATURE, &feature, sizeof(feature), feature.argsz);
	ask(&dev, VFIO_SVM_BIND, &bind, sizeof(bind), 0xff, &r);
	seen = (void *)&r;
	want = bind;
	want.pasid = seen->pasid;
	want.bond_id = seen->bond_id;
	CHECK_EQ(memcmp(&want, seen, sizeof(want)), 0);
	CHECK_EQ(r.bytes[sizeof(want)], 0xff);
}

static const struct test map_tests[] = {
	TEST(other_places_are_refused),
	TEST(more_than_there_is_is_refused),
	TEST(private_and_executable_mappings_are_refused),
	TEST(mapping_does_not_grow),
	TEST(part_of_a_mapping_works_on),
	TEST(fork_copies_no_mapping),
	TEST(new_queue_shows_nothing_old),
	TEST(new_device_shows_nothing_old),
	TEST(event_has_no_other_bytes),
	TEST(completion_has_no_other_bytes),
	TEST(replies_have_no_other_bytes),
};

SUITE(map);
