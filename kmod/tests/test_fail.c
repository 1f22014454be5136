// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each user copy of a call fails once, the first of it, the
 * second, and so on until the call meets no more. It must then have worked, or
 * have refused for that reason and left no trace: the same call works at once.
 * What is lost unseen shows in the rig's counts of objects, and to kmemleak.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fail.h"
#include "fixture.h"

struct scene {
	struct device dev;
	struct worker w;
	int target;			/* of a bind */
	uint32_t type;
	bool by_pid;
	struct vfio_svm_bind bind;
	int consent;
	struct queue q;
	unsigned long at;
	uint32_t subtype;		/* of a mapping */
	struct vfio_region_info info;
	void *map;
};

/* One round without a failure first: what is made once and kept is there, and the call is good. */
struct step {
	void (*prepare)(struct scene *s);
	long (*run)(struct scene *s);		/* 0 or more, or -errno */
	void (*undo)(struct scene *s);		/* after a success */
};

/* proc says that there is no such process when it has no memory to show it. */
static void refused_well(const struct scene *s, long ret)
{
	CHECK(ret == -ENOMEM || ret == -EFAULT || (ret == -ESRCH && s->by_pid));
}

static void step_once(struct scene *s, const struct step *step)
{
	if (step->prepare)
		step->prepare(s);
	CHECK(step->run(s) >= 0);
	if (step->undo)
		step->undo(s);
}

static void sweep(struct scene *s, const struct step *step)
{
	int fd = nth_open(getpid());
	unsigned int nth, refused = 0;
	bool hit = true;
	long ret;

	step_once(s, step);
	for (nth = 1; hit; nth++) {
		CHECK(nth < NTH_MAX);
		if (step->prepare)
			step->prepare(s);
		nth_arm(fd, nth);
		ret = step->run(s);
		hit = nth_disarm(fd);
		if (ret < 0) {
			CHECK(hit);
			refused_well(s, ret);
			refused++;
			/* Nothing of it is left: it works now. */
			ret = step->run(s);
			CHECK(ret >= 0);
		}
		if (step->undo)
			step->undo(s);
	}
	CHECK(refused > 0);
	close(fd);
}

static void scene_open(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	fail_spare_none();
	worker_start(&s->w);
	device_open(&s->dev, 0);
}

/* Open: the group and its container stay. */
static long run_open(struct scene *s)
{
	int fd = ioctl(s->dev.group, VFIO_GROUP_GET_DEVICE_FD, "vfio_svm_sw.0");

	s->dev.fd = fd;
	return fd < 0 ? -errno : 0;
}

static void undo_open(struct scene *s)
{
	CHECK_EQ(close(s->dev.fd), 0);
}

static void each_failure_of_an_open_leaves_nothing(void)
{
	static const struct step step = { .run = run_open, .undo = undo_open };
	struct scene s;

	scene_open(&s);
	CHECK_EQ(munmap((void *)s.dev.events, s.dev.events_len), 0);
	CHECK_EQ(munmap((void *)s.dev.index, s.dev.index_len), 0);
	undo_open(&s);
	sweep(&s, &step);
}

static long run_bind(struct scene *s)
{
	return bind_type(&s->dev, s->type, s->target, RIGHTS, &s->bind);
}

static void undo_bind(struct scene *s)
{
	CHECK_EQ(unbind_id(&s->dev, s->bind.bond_id), 0);
}

/* As many can be bound as ever: no failure kept a place. */
static void all_bonds_are_free(struct scene *s)
{
	struct worker others[MAX_BONDS];
	unsigned int i;

	for (i = 0; i < MAX_BONDS; i++) {
		worker_start(&others[i]);
		worker_bind(&s->dev, &others[i]);
	}
	for (i = 0; i < MAX_BONDS; i++)
		worker_kill(&others[i]);
}

/* Another process each time: what its address space gets once is swept, too. */
static void prepare_bind(struct scene *s)
{
	char path[64];

	if (s->type == VFIO_SVM_BIND_SELF)
		return;
	worker_kill(&s->w);
	worker_start(&s->w);
	if (s->type == VFIO_SVM_BIND_PID) {
		s->target = s->w.pid;
		return;
	}
	if (s->target)
		close(s->target);
	if (s->type == VFIO_SVM_BIND_PIDFD) {
		s->target = syscall(SYS_pidfd_open, s->w.pid, 0);
	} else {
		snprintf(path, sizeof(path), "/proc/%d/mem", s->w.pid);
		s->target = open(path, O_RDWR | O_CLOEXEC);
	}
	CHECK(s->target >= 0);
}

static void sweep_bind(uint32_t type)
{
	static const struct step step = {
		.prepare = prepare_bind, .run = run_bind, .undo = undo_bind,
	};
	struct scene s;

	scene_open(&s);
	s.type = type;
	s.by_pid = type == VFIO_SVM_BIND_PID || type == VFIO_SVM_BIND_PIDFD;
	sweep(&s, &step);
	all_bonds_are_free(&s);
}

static void each_failure_of_a_bind_of_self_leaves_nothing(void)
{
	sweep_bind(VFIO_SVM_BIND_SELF);
}

static void each_failure_of_a_bind_by_pid_leaves_nothing(void)
{
	sweep_bind(VFIO_SVM_BIND_PID);
}

static void each_failure_of_a_bind_by_pidfd_leaves_nothing(void)
{
	sweep_bind(VFIO_SVM_BIND_PIDFD);
}

static void each_failure_of_a_bind_by_memfd_leaves_nothing(void)
{
	sweep_bind(VFIO_SVM_BIND_MEMFD);
}

static long run_seed(struct scene *s)
{
	struct vfio_device_svm arg = { .argsz = sizeof(arg), .flags = VFIO_SVM_PID, .pid = s->w.pid };
	long ret = xioctl(s->dev.fd, VFIO_DEVICE_BIND_TASK, &arg);

	s->bind.pasid = arg.pasid;
	return ret;
}

static void undo_seed(struct scene *s)
{
	struct vfio_device_svm arg = { .argsz = 12, .pasid = s->bind.pasid };

	CHECK_EQ(xioctl(s->dev.fd, VFIO_DEVICE_UNBIND_TASK, &arg), 0);
}

static void each_failure_of_the_seeds_bind_leaves_nothing(void)
{
	static const struct step step = { .run = run_seed, .undo = undo_seed };
	struct scene s;

	scene_open(&s);
	s.by_pid = true;
	sweep(&s, &step);
	all_bonds_are_free(&s);
}

/* An unbind may be refused before it began, and never half done. */
static void prepare_unbind(struct scene *s)
{
	CHECK_EQ(run_bind(s), 0);
}

static long run_unbind(struct scene *s)
{
	return unbind_id(&s->dev, s->bind.bond_id);
}

static void each_failure_of_an_unbind_leaves_the_bond(void)
{
	static const struct step step = { .prepare = prepare_unbind, .run = run_unbind };
	struct scene s;

	scene_open(&s);
	s.type = VFIO_SVM_BIND_PID;
	s.target = s.w.pid;
	sweep(&s, &step);
	all_bonds_are_free(&s);
}

static long run_consent(struct scene *s)
{
	struct vfio_svm_consent arg = { .argsz = sizeof(arg), .flags = RIGHTS };
	long ret = xioctl(s->dev.fd, VFIO_SVM_CONSENT, &arg);

	s->consent = ret;
	return ret;
}

static void undo_consent(struct scene *s)
{
	CHECK_EQ(close(s->consent), 0);
}

static void each_failure_of_a_consent_leaves_nothing(void)
{
	static const struct step step = { .run = run_consent, .undo = undo_consent };
	struct scene s;

	scene_open(&s);
	sweep(&s, &step);
}

static void prepare_consent_bind(struct scene *s)
{
	CHECK(run_consent(s) >= 0);
}

static long run_consent_bind(struct scene *s)
{
	struct vfio_svm_consent_bind arg = { .argsz = sizeof(arg), .flags = RIGHTS };
	long ret = xioctl(s->consent, VFIO_SVM_CONSENT_BIND, &arg);

	s->bind.bond_id = arg.bond_id;
	return ret;
}

static void undo_consent_bind(struct scene *s)
{
	undo_bind(s);
	undo_consent(s);
}

static void each_failure_of_a_bind_by_consent_leaves_it_unused(void)
{
	static const struct step step = {
		.prepare = prepare_consent_bind, .run = run_consent_bind, .undo = undo_consent_bind,
	};
	struct scene s;

	scene_open(&s);
	sweep(&s, &step);
	all_bonds_are_free(&s);
}

static void prepare_narrow(struct scene *s)
{
	prepare_consent_bind(s);
	CHECK_EQ(run_consent_bind(s), 0);
}

static long run_narrow(struct scene *s)
{
	struct vfio_svm_window window = {
		.addr = (unsigned long)s, .len = 4096, .flags = RIGHTS,
	};
	struct vfio_svm_narrow arg = {
		.argsz = sizeof(arg), .nb_windows = 1, .windows = (unsigned long)&window,
	};

	return xioctl(s->consent, VFIO_SVM_CONSENT_NARROW, &arg);
}

static void each_failure_of_a_narrow_changes_nothing(void)
{
	static const struct step step = {
		.prepare = prepare_narrow, .run = run_narrow, .undo = undo_consent_bind,
	};
	struct scene s;

	scene_open(&s);
	sweep(&s, &step);
}

static long run_queue(struct scene *s)
{
	struct vfio_svm_queue arg = { .argsz = sizeof(arg), .depth = 64 };

	return xioctl(s->dev.fd, VFIO_SVM_QUEUE, &arg);
}

static void undo_queue(struct scene *s)
{
	struct vfio_svm_queue arg = { .argsz = sizeof(arg) };

	CHECK_EQ(xioctl(s->dev.fd, VFIO_SVM_QUEUE, &arg), 0);
}

static void each_failure_of_a_queue_leaves_nothing(void)
{
	static const struct step step = { .run = run_queue, .undo = undo_queue };
	struct scene s;

	scene_open(&s);
	sweep(&s, &step);
}

static void prepare_map(struct scene *s)
{
	s->info = device_region(&s->dev, s->subtype);
}

static long run_map(struct scene *s)
{
	int prot = s->subtype == VFIO_SVM_REGION_EVENTS ? PROT_READ : PROT_READ | PROT_WRITE;

	s->map = mmap64(NULL, s->info.size, prot, MAP_SHARED, s->dev.fd, s->info.offset);
	return s->map == MAP_FAILED ? -errno : 0;
}

static void undo_map(struct scene *s)
{
	CHECK_EQ(munmap(s->map, s->info.size), 0);
}

static void sweep_map(uint32_t subtype)
{
	static const struct step step = {
		.prepare = prepare_map, .run = run_map, .undo = undo_map,
	};
	struct scene s;

	scene_open(&s);
	CHECK_EQ(run_queue(&s), 0);
	s.subtype = subtype;
	sweep(&s, &step);
}

static void each_failure_of_a_mapping_of_a_queue_leaves_nothing(void)
{
	sweep_map(VFIO_SVM_REGION_QUEUE);
}

static void each_failure_of_a_mapping_of_events_leaves_nothing(void)
{
	sweep_map(VFIO_SVM_REGION_EVENTS);
}

static long run_doorbell(struct scene *s)
{
	uint32_t idx = 0;
	ssize_t len = pwrite64(s->q.doorbell_fd, &idx, sizeof(idx), s->q.doorbell_off);

	return len < 0 ? -errno : len;
}

static void each_failure_of_the_doorbell_is_told(void)
{
	static const struct step step = { .run = run_doorbell };
	struct scene s;

	scene_open(&s);
	queue_open(&s.q, &s.dev, 0, 64, 0);
	sweep(&s, &step);
}

static const struct test fail_tests[] = {
	TEST(each_failure_of_an_open_leaves_nothing),
	TEST(each_failure_of_a_bind_of_self_leaves_nothing),
	TEST(each_failure_of_a_bind_by_pid_leaves_nothing),
	TEST(each_failure_of_a_bind_by_pidfd_leaves_nothing),
	TEST(each_failure_of_a_bind_by_memfd_leaves_nothing),
	TEST(each_failure_of_the_seeds_bind_leaves_nothing),
	TEST(each_failure_of_an_unbind_leaves_the_bond),
	TEST(each_failure_of_a_consent_leaves_nothing),
	TEST(each_failure_of_a_bind_by_consent_leaves_it_unused),
	TEST(each_failure_of_a_narrow_changes_nothing),
	TEST(each_failure_of_a_queue_leaves_nothing),
	TEST(each_failure_of_a_mapping_of_a_queue_leaves_nothing),
	TEST(each_failure_of_a_mapping_of_events_leaves_nothing),
	TEST(each_failure_of_the_doorbell_is_told),
};

const struct suite fail_suite = {
	"fail", fail_tests, sizeof(fail_tests) / sizeof(fail_tests[0]), fail_lacks,
};
