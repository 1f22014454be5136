// SPDX-License-Identifier: GPL-2.0
/* Page requests that nobody answers, cannot be answered any more, or find no room. */
#include <unistd.h>

#include "request.h"

static void unanswered_ends_in_time(void)
{
	struct svm_desc desc;
	struct scene s;
	uint64_t id;

	scene_open(&s, REQUESTS, 100000);
	desc = fill_from_1000(&s, 2 * PAGE);
	queue_send(&s.q, &desc);
	id = next_request(&s, s.at + PAGE);
	check_cpl(queue_wait(&s.q), SVM_ST_TIMEOUT, PAGE - 1000, s.at + PAGE);
	check_fault_event(&s, s.at + PAGE, SVM_ST_TIMEOUT);
	CHECK_EQ(respond(&s.dev, id, VFIO_SVM_RESP_SUCCESS), -ENOENT);
	/* INVALID was the answer: the page was not brought in. */
	queue_send(&s.q, &desc);
	CHECK(next_request(&s, s.at + PAGE) != id);
}

static void killed_worker_answers_its_requests(void)
{
	struct svm_desc desc;
	struct scene s;
	uint64_t id;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, PAGE);
	queue_send(&s.q, &desc);
	id = next_request(&s, s.at + PAGE);
	worker_kill(&s.w);
	check_cpl(queue_wait(&s.q), SVM_ST_BOND_DEAD, PAGE - 1000, 0);
	CHECK_EQ(device_event(&s.dev).type, VFIO_SVM_EVENT_EXIT);
	CHECK_EQ(respond(&s.dev, id, VFIO_SVM_RESP_SUCCESS), -ENOENT);
}

static void unbind_answers_its_requests(void)
{
	uint64_t id[10];
	struct svm_desc desc;
	struct scene s;
	unsigned int i;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, PAGE);
	for (i = 0; i < 10; i++)
		queue_send(&s.q, &desc);
	for (i = 0; i < 10; i++)
		id[i] = next_request(&s, s.at + PAGE);
	CHECK_EQ(unbind_id(&s.dev, s.bind.bond_id), 0);
	for (i = 0; i < 10; i++) {
		CHECK_EQ(respond(&s.dev, id[i], VFIO_SVM_RESP_SUCCESS), -ENOENT);
		check_cpl(queue_wait(&s.q), SVM_ST_BOND_DEAD, PAGE - 1000, 0);
	}
}

static void removed_queue_answers_its_requests(void)
{
	struct vfio_svm_queue remove = { .argsz = sizeof(remove) };
	struct svm_desc desc;
	struct scene s;
	uint64_t id;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, PAGE);
	queue_send(&s.q, &desc);
	id = next_request(&s, s.at + PAGE);
	CHECK_EQ(xioctl(s.dev.fd, VFIO_SVM_QUEUE, &remove), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_ABORTED, PAGE - 1000, 0);
	CHECK_EQ(respond(&s.dev, id, VFIO_SVM_RESP_SUCCESS), -ENOENT);
	queue_open_faults(&s.q, &s.dev, 0, REQUESTS, 0);
	CHECK_EQ(respond(&s.dev, id, VFIO_SVM_RESP_SUCCESS), -ENOENT);
}

static void close_answers_all_requests(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, PAGE);
	queue_send(&s.q, &desc);
	next_request(&s, s.at + PAGE);
	queue_unmap(&s.q);
	device_close(&s.dev);
	/* Only a device that was closed can be opened. */
	device_open(&s.dev, 0);
}

/* As if so many records were unread. */
static void pretend_unread(struct device *dev, uint32_t nb)
{
	__atomic_store_n(&dev->index->tail, dev->tail - nb, __ATOMIC_RELAXED);
}

static void full_ring_loses_no_request(void)
{
	struct svm_desc desc;
	struct worker other;
	struct scene s;

	scene_open(&s, REQUESTS, 0);
	worker_start(&other);
	worker_bind(&s.dev, &other);
	pretend_unread(&s.dev, s.dev.events->nb_records);
	desc = fill_from_1000(&s, 3000);
	desc.dst += PAGE;
	queue_send(&s.q, &desc);
	while (__atomic_load_n(&s.q.hdr->sq_head, __ATOMIC_RELAXED) != 1)
		usleep(1000);
	/* What only informs is lost, and counted. */
	worker_kill(&other);
	while (__atomic_load_n(&s.dev.events->dropped, __ATOMIC_RELAXED) != 1)
		usleep(1000);
	CHECK(!device_has_event(&s.dev));
	CHECK(!queue_has_completion(&s.q));
	pretend_unread(&s.dev, 0);
	CHECK_EQ(respond(&s.dev, next_request(&s, s.at + PAGE + 1000), VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_OK, 3000, 0);
	CHECK_EQ(s.dev.events->dropped, 1);
}

static void wait_for_room_is_part_of_the_time(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, REQUESTS, 100000);
	pretend_unread(&s.dev, s.dev.events->nb_records);
	desc = fill_from_1000(&s, PAGE);
	check_cpl(queue_run(&s.q, &desc), SVM_ST_TIMEOUT, PAGE - 1000, s.at + PAGE);
	CHECK_EQ(s.dev.events->head, 0);
	/* The event of the fault found no room; the request was none of the lost. */
	CHECK_EQ(s.dev.events->dropped, 1);
}

/* Requests, which can wait, leave room for what cannot. */
static void requests_do_not_crowd_out_exits(void)
{
	struct svm_desc desc;
	struct worker other;
	struct scene s;

	scene_open(&s, REQUESTS, 0);
	worker_start(&other);
	worker_bind(&s.dev, &other);
	pretend_unread(&s.dev, s.dev.events->nb_records - s.dev.events->nb_records / 4);
	desc = fill_from_1000(&s, PAGE);
	queue_send(&s.q, &desc);
	while (__atomic_load_n(&s.q.hdr->sq_head, __ATOMIC_RELAXED) != 1)
		usleep(1000);
	worker_kill(&other);
	CHECK_EQ(device_event(&s.dev).type, VFIO_SVM_EVENT_EXIT);
	/* Reading it said how much is unread: nothing. */
	CHECK_EQ(respond(&s.dev, next_request(&s, s.at + PAGE), VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_OK, PAGE, 0);
	CHECK_EQ(s.dev.events->dropped, 0);
}

static const struct test stall_tests[] = {
	TEST(unanswered_ends_in_time),
	TEST(killed_worker_answers_its_requests),
	TEST(unbind_answers_its_requests),
	TEST(removed_queue_answers_its_requests),
	TEST(close_answers_all_requests),
	TEST(full_ring_loses_no_request),
	TEST(wait_for_room_is_part_of_the_time),
	TEST(requests_do_not_crowd_out_exits),
};

SUITE(stall);
