// SPDX-License-Identifier: GPL-2.0
/* Page faults that end the access, and page requests that userspace answers. */
#include "request.h"

static void terminate_ends_at_the_missing_page(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, VFIO_SVM_QUEUE_TERMINATE, 0);
	desc = fill_from_1000(&s, 2 * PAGE);
	check_cpl(queue_run(&s.q, &desc), SVM_ST_PAGE_FAULT, PAGE - 1000, s.at + PAGE);
	check_fault_event(&s, s.at + PAGE, SVM_ST_PAGE_FAULT);
	/* Nobody brought it in. */
	check_cpl(queue_run(&s.q, &desc), SVM_ST_PAGE_FAULT, PAGE - 1000, s.at + PAGE);
}

static void terminate_runs_on_memory_that_is_there(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, VFIO_SVM_QUEUE_TERMINATE, 0);
	desc = fill_from_1000(&s, PAGE - 1000);
	check_cpl(queue_run(&s.q, &desc), SVM_ST_OK, PAGE - 1000, 0);
	CHECK(!device_has_event(&s.dev));
}

static void kernel_answers_without_a_word(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, 0, 0);
	desc = fill_from_1000(&s, 2 * PAGE);
	check_cpl(queue_run(&s.q, &desc), SVM_ST_OK, 2 * PAGE, 0);
	CHECK(!device_has_event(&s.dev));
}

static void success_goes_on_at_the_byte(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, 2 * PAGE);
	queue_send(&s.q, &desc);
	CHECK_EQ(respond(&s.dev, next_request(&s, s.at + PAGE), VFIO_SVM_RESP_SUCCESS), 0);
	CHECK_EQ(respond(&s.dev, next_request(&s, s.at + 2 * PAGE), VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_OK, 2 * PAGE, 0);
	CHECK(!device_has_event(&s.dev));
	/* The pattern runs over both seams. */
	*s.fill = (struct fill){ s.at + PAGE - 8, 8, 0 };
	CHECK_EQ(worker_call(&s.w, do_check, (long)s.fill), 8);
	*s.fill = (struct fill){ s.at + PAGE, 8, 0 };
	CHECK_EQ(worker_call(&s.w, do_check, (long)s.fill), 8);
	*s.fill = (struct fill){ s.at + 2 * PAGE + 992, 8, 0 };
	CHECK_EQ(worker_call(&s.w, do_check, (long)s.fill), 8);
}

static void source_asks_to_read(void)
{
	struct vfio_svm_event event;
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, REQUESTS, 0);
	desc = desc_copy(s.bind.pasid, s.at + PAGE, s.bind.pasid, s.at, 64);
	queue_send(&s.q, &desc);
	event = device_event(&s.dev);
	CHECK_EQ(event.type, VFIO_SVM_EVENT_PAGE_REQUEST);
	CHECK_EQ(event.addr, s.at + PAGE);
	CHECK_EQ(event.perm, VFIO_SVM_READ);
	CHECK_EQ(respond(&s.dev, event.request_id, VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_OK, 64, 0);
}

static void success_for_unmapped_memory_is_a_fault(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, 8);
	desc.dst = 0x1000;
	queue_send(&s.q, &desc);
	CHECK_EQ(respond(&s.dev, next_request(&s, 0x1000), VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_PAGE_FAULT, 0, 0x1000);
	check_fault_event(&s, 0x1000, SVM_ST_PAGE_FAULT);
}

static void invalid_ends_this_access(void)
{
	struct svm_desc desc;
	struct scene s;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, 2 * PAGE);
	queue_send(&s.q, &desc);
	CHECK_EQ(respond(&s.dev, next_request(&s, s.at + PAGE), VFIO_SVM_RESP_INVALID), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_PAGE_FAULT, PAGE - 1000, s.at + PAGE);
	check_fault_event(&s, s.at + PAGE, SVM_ST_PAGE_FAULT);
	/* The next one may ask again. */
	queue_send(&s.q, &desc);
	CHECK_EQ(respond(&s.dev, next_request(&s, s.at + PAGE), VFIO_SVM_RESP_SUCCESS), 0);
	CHECK_EQ(respond(&s.dev, next_request(&s, s.at + 2 * PAGE), VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_OK, 2 * PAGE, 0);
}

static void failure_ends_all_later_faults_of_the_bond(void)
{
	struct vfio_svm_bind other_bind;
	struct worker other;
	struct svm_desc desc;
	struct queue q;
	struct scene s;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, 2 * PAGE);
	queue_send(&s.q, &desc);
	CHECK_EQ(respond(&s.dev, next_request(&s, s.at + PAGE), VFIO_SVM_RESP_FAILURE), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_PAGE_FAULT, PAGE - 1000, s.at + PAGE);
	check_fault_event(&s, s.at + PAGE, SVM_ST_PAGE_FAULT);
	/* Not asked for again, here and on a queue that the kernel answers. */
	check_cpl(queue_run(&s.q, &desc), SVM_ST_PAGE_FAULT, PAGE - 1000, s.at + PAGE);
	check_fault_event(&s, s.at + PAGE, SVM_ST_PAGE_FAULT);
	queue_open(&q, &s.dev, 1, 32, 0);
	check_cpl(queue_run(&q, &desc), SVM_ST_PAGE_FAULT, PAGE - 1000, s.at + PAGE);
	/* What is there works, and so do others. */
	desc.len = 64;
	check_cpl(queue_run(&s.q, &desc), SVM_ST_OK, 64, 0);
	worker_start(&other);
	other_bind = worker_bind(&s.dev, &other);
	desc = desc_fill(other_bind.pasid, worker_map(&other, 4 * PAGE), 4 * PAGE, 1);
	check_cpl(queue_run(&q, &desc), SVM_ST_OK, 4 * PAGE, 0);
	worker_kill(&other);
}

static void second_answer_finds_nothing(void)
{
	static const uint32_t codes[] = {
		VFIO_SVM_RESP_SUCCESS, VFIO_SVM_RESP_INVALID, VFIO_SVM_RESP_FAILURE,
	};
	struct svm_desc desc;
	unsigned int i, j;
	struct scene s;
	uint64_t id;

	scene_open(&s, REQUESTS, 0);
	desc = fill_from_1000(&s, PAGE);
	for (i = 0; i < 3; i++) {
		desc.dst += PAGE;
		queue_send(&s.q, &desc);
		id = device_event(&s.dev).request_id;
		CHECK_EQ(respond(&s.dev, id, codes[i]), 0);
		for (j = 0; j < 3; j++)
			CHECK_EQ(respond(&s.dev, id, codes[j]), -ENOENT);
		if (!i)
			CHECK_EQ(respond(&s.dev, device_event(&s.dev).request_id,
					 VFIO_SVM_RESP_SUCCESS), 0);
		CHECK_EQ(queue_wait(&s.q).status, i ? SVM_ST_PAGE_FAULT : SVM_ST_OK);
		CHECK_EQ(respond(&s.dev, id, codes[i]), -ENOENT);
		if (i)
			device_event(&s.dev);
	}
}

static void wrong_ids_and_codes_are_refused(void)
{
	struct vfio_svm_page_response arg = { .argsz = sizeof(arg) };
	struct svm_desc desc;
	struct scene s;
	unsigned int i;
	uint64_t id;

	scene_open(&s, REQUESTS, 0);
	CHECK_EQ(respond(&s.dev, 0, VFIO_SVM_RESP_SUCCESS), -ENOENT);
	desc = fill_from_1000(&s, PAGE);
	queue_send(&s.q, &desc);
	id = next_request(&s, s.at + PAGE);
	for (i = 0; i < 64; i++)
		CHECK_EQ(respond(&s.dev, id ^ 1ull << i, VFIO_SVM_RESP_SUCCESS), -ENOENT);
	CHECK_EQ(respond(&s.dev, UINT64_MAX, VFIO_SVM_RESP_SUCCESS), -ENOENT);
	CHECK_EQ(respond(&s.dev, id, 3), -EINVAL);
	arg.request_id = id;
	arg.flags = 1;
	CHECK_EQ(xioctl(s.dev.fd, VFIO_SVM_PAGE_RESPONSE, &arg), -EINVAL);
	arg.flags = 0;
	arg.reserved = 1;
	CHECK_EQ(xioctl(s.dev.fd, VFIO_SVM_PAGE_RESPONSE, &arg), -EINVAL);
	arg.argsz = sizeof(arg) - 1;
	arg.reserved = 0;
	CHECK_EQ(xioctl(s.dev.fd, VFIO_SVM_PAGE_RESPONSE, &arg), -EINVAL);
	CHECK(!queue_has_completion(&s.q));
	CHECK_EQ(respond(&s.dev, id, VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_OK, PAGE, 0);
}

static void another_device_cannot_answer(void)
{
	struct device other;
	struct svm_desc desc;
	struct scene s;
	uint64_t id;

	scene_open(&s, REQUESTS, 0);
	device_open(&other, 1);
	desc = fill_from_1000(&s, PAGE);
	queue_send(&s.q, &desc);
	id = next_request(&s, s.at + PAGE);
	CHECK_EQ(respond(&other, id, VFIO_SVM_RESP_SUCCESS), -ENOENT);
	CHECK_EQ(respond(&s.dev, id, VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_OK, PAGE, 0);
}

/* Each has its own, and they are answered in any order; completions keep theirs. */
static void many_are_answered_backwards(void)
{
	uint64_t id[60];
	struct svm_desc desc;
	struct scene s;
	int i;

	scene_open(&s, REQUESTS, 0);
	for (i = 0; i < 60; i++) {
		desc = desc_fill(s.bind.pasid, s.at + (i + 1) * PAGE, 8, i);
		desc.cookie = COOKIE;
		queue_send(&s.q, &desc);
	}
	for (i = 0; i < 60; i++)
		id[i] = next_request(&s, s.at + (i + 1) * PAGE);
	for (i = 59; i >= 0; i--) {
		CHECK(!queue_has_completion(&s.q));
		CHECK_EQ(respond(&s.dev, id[i], VFIO_SVM_RESP_SUCCESS), 0);
	}
	for (i = 0; i < 60; i++)
		check_cpl(queue_wait(&s.q), SVM_ST_OK, 8, 0);
}

/* The bond's other work goes on while a request is open. */
static void neighbours_of_a_request_run(void)
{
	struct svm_desc slow, fast;
	struct queue q;
	struct scene s;
	uint64_t id;

	scene_open(&s, REQUESTS, 0);
	queue_open(&q, &s.dev, 1, 32, 0);
	slow = fill_from_1000(&s, PAGE);
	queue_send(&s.q, &slow);
	id = next_request(&s, s.at + PAGE);
	fast = desc_fill(s.bind.pasid, s.at + 2 * PAGE, 4 * PAGE, 1);
	check_cpl(queue_run(&q, &fast), SVM_ST_OK, 4 * PAGE, 0);
	CHECK_EQ(respond(&s.dev, id, VFIO_SVM_RESP_SUCCESS), 0);
	check_cpl(queue_wait(&s.q), SVM_ST_OK, PAGE, 0);
}

static long make(struct device *dev, struct vfio_svm_queue arg)
{
	arg.argsz = arg.argsz ? arg.argsz : sizeof(arg);
	return xioctl(dev->fd, VFIO_SVM_QUEUE, &arg);
}

static void bad_fault_models_are_refused(void)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_svm_caps caps;
	} caps = {
		.head = { .argsz = sizeof(caps), .flags = VFIO_DEVICE_FEATURE_GET |
							VFIO_DEVICE_FEATURE_SVM },
	};
	struct vfio_svm_queue arg = { .depth = 64 };
	struct device dev;

	device_open(&dev, 0);
	CHECK_EQ(xioctl(dev.fd, VFIO_DEVICE_FEATURE, &caps), 0);
	CHECK(caps.caps.fault_timeout_us > 0);
	arg.flags = REQUESTS | VFIO_SVM_QUEUE_TERMINATE;
	CHECK_EQ(make(&dev, arg), -EINVAL);
	arg.flags = 1u << 2;
	CHECK_EQ(make(&dev, arg), -EINVAL);
	arg.flags = REQUESTS;
	arg.fault_timeout_us = caps.caps.fault_timeout_us + 1;
	CHECK_EQ(make(&dev, arg), -EINVAL);
	arg.reserved = 1;
	arg.fault_timeout_us = 1;
	CHECK_EQ(make(&dev, arg), -EINVAL);
	arg.reserved = 0;
	arg.flags = VFIO_SVM_QUEUE_TERMINATE;
	CHECK_EQ(make(&dev, arg), -EINVAL);
	arg.flags = 0;
	CHECK_EQ(make(&dev, arg), -EINVAL);
	/* The time is past the structure's first form. */
	arg.argsz = 32;
	arg.flags = REQUESTS;
	CHECK_EQ(make(&dev, arg), 0);
	arg.depth = 0;
	CHECK_EQ(make(&dev, arg), -EINVAL);
	arg.flags = 0;
	CHECK_EQ(make(&dev, arg), 0);
	arg.argsz = 31;
	CHECK_EQ(make(&dev, arg), -EINVAL);
	arg.argsz = 0;
	arg.depth = 64;
	arg.flags = REQUESTS;
	arg.fault_timeout_us = caps.caps.fault_timeout_us;
	CHECK_EQ(make(&dev, arg), 0);
}

static const struct test request_tests[] = {
	TEST(terminate_ends_at_the_missing_page),
	TEST(terminate_runs_on_memory_that_is_there),
	TEST(kernel_answers_without_a_word),
	TEST(success_goes_on_at_the_byte),
	TEST(source_asks_to_read),
	TEST(success_for_unmapped_memory_is_a_fault),
	TEST(invalid_ends_this_access),
	TEST(failure_ends_all_later_faults_of_the_bond),
	TEST(second_answer_finds_nothing),
	TEST(wrong_ids_and_codes_are_refused),
	TEST(another_device_cannot_answer),
	TEST(many_are_answered_backwards),
	TEST(neighbours_of_a_request_run),
	TEST(bad_fault_models_are_refused),
};

SUITE(request);
