// SPDX-License-Identifier: GPL-2.0
/* The event ring: what may be mapped, what arrives, and who is woken. */
#define _GNU_SOURCE
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

static void exit_is_told(void)
{
	struct vfio_svm_event event;
	struct vfio_svm_bind bind;
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	worker_start(&w);
	bind = worker_bind(&dev, &w);
	CHECK(!device_has_event(&dev));
	worker_kill(&w);
	event = device_event(&dev);
	CHECK_EQ(event.type, VFIO_SVM_EVENT_EXIT);
	CHECK_EQ(event.pasid, bind.pasid);
	CHECK_EQ(event.bond_id, bind.bond_id);
	CHECK_EQ(event.cookie, 0x1122334455667788);
	CHECK_EQ(event.addr | event.request_id | event.desc_cookie | event.perm, 0);
}

static void unbound_exit_is_not_told(void)
{
	struct vfio_svm_bind bind;
	struct device dev;
	struct worker w, other;

	device_open(&dev, 0);
	worker_start(&w);
	worker_start(&other);
	bind = worker_bind(&dev, &w);
	worker_bind(&dev, &other);
	CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	worker_kill(&w);
	worker_kill(&other);
	CHECK(device_event(&dev).bond_id != bind.bond_id);
	CHECK(!device_has_event(&dev));
}

static void ring_is_read_only_for_good(void)
{
	struct device dev;
	struct vfio_region_info info;

	device_open(&dev, 0);
	info = device_region(&dev, VFIO_SVM_REGION_EVENTS);
	CHECK(!(info.flags & VFIO_REGION_INFO_FLAG_WRITE));
	CHECK(mmap64(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, dev.fd, info.offset) ==
	      MAP_FAILED);
	CHECK_EQ(errno, EPERM);
	CHECK_EQ(mprotect((void *)dev.events, 4096, PROT_READ | PROT_WRITE), -1);
	CHECK_EQ(errno, EACCES);
	/* A private mapping would be a copy that no event reaches. */
	CHECK(mmap64(NULL, info.size, PROT_READ, MAP_PRIVATE, dev.fd, info.offset) == MAP_FAILED);
}

static void header_says_what_is_there(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(dev.events->record_size, sizeof(struct vfio_svm_event));
	CHECK(dev.events->nb_records && !(dev.events->nb_records & (dev.events->nb_records - 1)));
	CHECK_EQ(dev.events->head, 0);
	CHECK_EQ(dev.events->dropped, 0);
}

static long set_eventfd(struct device *dev, int32_t fd)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} arg = {
		.set = {
			.argsz = sizeof(arg), .index = VFIO_SVM_EVENT_IRQ, .count = 1,
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		},
		.fd = fd,
	};

	return xioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &arg);
}

static void eventfd_wakes_a_sleeper(void)
{
	struct pollfd pfd = { .events = POLLIN };
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	pfd.fd = eventfd(0, EFD_CLOEXEC);
	CHECK_EQ(set_eventfd(&dev, pfd.fd), 0);
	worker_start(&w);
	worker_bind(&dev, &w);
	CHECK_EQ(poll(&pfd, 1, 0), 0);
	worker_kill(&w);
	CHECK_EQ(poll(&pfd, 1, -1), 1);
	CHECK_EQ(device_event(&dev).type, VFIO_SVM_EVENT_EXIT);
}

static void eventfd_taken_back_is_left_alone(void)
{
	struct pollfd pfd = { .events = POLLIN };
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	pfd.fd = eventfd(0, EFD_CLOEXEC);
	CHECK_EQ(set_eventfd(&dev, pfd.fd), 0);
	CHECK_EQ(set_eventfd(&dev, -1), 0);
	worker_start(&w);
	worker_bind(&dev, &w);
	worker_kill(&w);
	CHECK_EQ(device_event(&dev).type, VFIO_SVM_EVENT_EXIT);
	CHECK_EQ(poll(&pfd, 1, 0), 0);
}

static void eventfd_of_another_sort_is_refused(void)
{
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(set_eventfd(&dev, dev.fd), -EINVAL);
	CHECK_EQ(set_eventfd(&dev, 999), -EBADF);
}

/* A reader that lies about how far it read loses events, and nothing else happens. */
static void lying_index_loses_events_only(void)
{
	struct device dev;
	struct worker w;

	device_open(&dev, 0);
	dev.index->tail = 12345;
	worker_start(&w);
	worker_bind(&dev, &w);
	worker_kill(&w);
	while (!__atomic_load_n(&dev.events->dropped, __ATOMIC_RELAXED))
		usleep(1000);
	CHECK_EQ(dev.events->head, 0);
	dev.index->tail = 0;
	worker_start(&w);
	worker_bind(&dev, &w);
	worker_kill(&w);
	CHECK_EQ(device_event(&dev).type, VFIO_SVM_EVENT_EXIT);
}

static void full_ring_counts_what_it_drops(void)
{
	uint32_t nb, i;
	struct device dev;
	struct vfio_svm_bind bind;
	struct worker w;

	device_open(&dev, 0);
	nb = dev.events->nb_records;
	dev.index->tail = 2 - nb;	/* as if all but two were unread */
	for (i = 0; i < 4; i++) {
		worker_start(&w);
		bind = worker_bind(&dev, &w);
		worker_kill(&w);
		while (dev.events->head + dev.events->dropped != i + 1)
			usleep(1000);
		CHECK_EQ(unbind_id(&dev, bind.bond_id), 0);
	}
	CHECK_EQ(dev.events->head, 2);
	CHECK_EQ(dev.events->dropped, 2);
}

/* A 32-bit program names a page by 32 bits: 64 queues and the others must be within. */
static void all_regions_are_in_reach_of_32_bits(void)
{
	struct device dev;
	uint64_t stride;

	device_open(&dev, 0);
	stride = device_region(&dev, VFIO_SVM_REGION_EVENT_INDEX).offset -
		 device_region(&dev, VFIO_SVM_REGION_EVENTS).offset;
	CHECK(stride >= 32u << 20);
	CHECK((stride * (3 + 64) - 1) >> 12 <= UINT32_MAX);
}

static const struct test event_tests[] = {
	TEST(exit_is_told),
	TEST(unbound_exit_is_not_told),
	TEST(ring_is_read_only_for_good),
	TEST(header_says_what_is_there),
	TEST(eventfd_wakes_a_sleeper),
	TEST(eventfd_taken_back_is_left_alone),
	TEST(eventfd_of_another_sort_is_refused),
	TEST(lying_index_loses_events_only),
	TEST(full_ring_counts_what_it_drops),
	TEST(all_regions_are_in_reach_of_32_bits),
};

SUITE(event);
