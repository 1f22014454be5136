// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

long xioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

/* The group's number stands at the end of a link of the device. */
static int group_of(int instance)
{
	char path[128], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/vfio_svm_sw.%d/iommu_group",
		 instance);
	n = readlink(path, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = 0;
	return atoi(strrchr(link, '/') + 1);
}

struct vfio_region_info device_region(struct device *dev, uint32_t subtype)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_type cap;
	} reply;
	struct vfio_region_info found = { };
	unsigned int i, n = 0;

	CHECK_EQ(xioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info), 0);
	for (i = 0; i < info.num_regions; i++) {
		memset(&reply, 0, sizeof(reply));
		reply.info.argsz = sizeof(reply);
		reply.info.index = i;
		CHECK_EQ(xioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &reply), 0);
		CHECK(reply.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
		CHECK_EQ(reply.cap.header.id, VFIO_REGION_INFO_CAP_TYPE);
		CHECK_EQ(reply.cap.type, VFIO_SVM_REGION_TYPE);
		if (reply.cap.subtype == subtype) {
			found = reply.info;
			n++;
		}
	}
	CHECK_EQ(n, 1);
	return found;
}

static void *region_map(struct device *dev, uint32_t subtype, int prot, size_t *size)
{
	struct vfio_region_info info = device_region(dev, subtype);
	void *at = mmap64(NULL, info.size, prot, MAP_SHARED, dev->fd, info.offset);

	CHECK(at != MAP_FAILED);
	*size = info.size;
	return at;
}

void device_patience(unsigned int ms)
{
	param_set("vfio_svm_sw", "timeout_ms", ms);
}

void device_open(struct device *dev, int instance)
{
	device_patience(TIMEOUT_MS);
	param_set("vfio_svm_sw", "op_timeout_ms", PATIENT_MS);
	param_set("vfio_svm", "max_user_bonds", 16384);
	param_set("vfio_svm", "max_owner_left", 64);
	param_set("vfio_svm", "max_worker_left", 8);
	CHECK_EQ(device_try_open(dev, instance), 0);
}

long device_try_open(struct device *dev, int instance)
{
	char path[64];
	int err;

	memset(dev, 0, sizeof(*dev));
	dev->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	CHECK(dev->container >= 0);
	snprintf(path, sizeof(path), "/dev/vfio/%d", group_of(instance));
	/* The test before may still be closing it. */
	while ((dev->group = open(path, O_RDWR | O_CLOEXEC)) < 0 && errno == EBUSY)
		usleep(1000);
	CHECK(dev->group >= 0);
	CHECK_EQ(xioctl(dev->group, VFIO_GROUP_SET_CONTAINER, &dev->container), 0);
	CHECK_EQ(ioctl(dev->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	snprintf(path, sizeof(path), "vfio_svm_sw.%d", instance);
	dev->fd = ioctl(dev->group, VFIO_GROUP_GET_DEVICE_FD, path);
	if (dev->fd < 0) {
		err = -errno;
		CHECK_EQ(close(dev->group), 0);
		CHECK_EQ(close(dev->container), 0);
		return err;
	}
	dev->events = region_map(dev, VFIO_SVM_REGION_EVENTS, PROT_READ, &dev->events_len);
	dev->index = region_map(dev, VFIO_SVM_REGION_EVENT_INDEX, PROT_READ | PROT_WRITE,
				&dev->index_len);
	dev->records = (const void *)((const char *)dev->events + dev->events->hdr_len);
	return 0;
}

void device_close(struct device *dev)
{
	CHECK_EQ(munmap((void *)dev->events, dev->events_len), 0);
	CHECK_EQ(munmap((void *)dev->index, dev->index_len), 0);
	CHECK_EQ(close(dev->fd), 0);
	CHECK_EQ(close(dev->group), 0);
	CHECK_EQ(close(dev->container), 0);
}

struct vfio_svm_stats device_stats(struct device *dev)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_svm_stats stats;
	} arg = {
		.head = {
			.argsz = sizeof(arg),
			.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SVM_STATS,
		},
	};

	CHECK_EQ(xioctl(dev->fd, VFIO_DEVICE_FEATURE, &arg), 0);
	return arg.stats;
}

void param_set(const char *module, const char *name, unsigned int value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(dprintf(fd, "%u", value) > 0);
	CHECK_EQ(close(fd), 0);
}

static const struct vfio_svm_event *next_event(struct device *dev)
{
	const struct vfio_svm_event *e =
		&dev->records[dev->tail & (dev->events->nb_records - 1)];

	return __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE) == dev->tail + 1 ? e : NULL;
}

bool device_has_event(struct device *dev)
{
	return next_event(dev) != NULL;
}

struct vfio_svm_event device_event(struct device *dev)
{
	const struct vfio_svm_event *e;
	struct vfio_svm_event copy;

	while (!(e = next_event(dev)))
		usleep(1000);
	copy = *e;
	dev->index->tail = ++dev->tail;
	return copy;
}

long bind_type(struct device *dev, uint32_t type, int32_t target, uint32_t rights,
	       struct vfio_svm_bind *reply)
{
	struct vfio_svm_bind bind = {
		.argsz = sizeof(bind), .flags = rights, .type = type, .target = target,
		.cookie = 0x1122334455667788,
	};
	long ret = xioctl(dev->fd, VFIO_SVM_BIND, &bind);

	if (reply)
		*reply = bind;
	return ret;
}

long unbind_id(struct device *dev, uint64_t bond_id)
{
	struct vfio_svm_unbind unbind = { .argsz = sizeof(unbind), .bond_id = bond_id };

	return xioctl(dev->fd, VFIO_SVM_UNBIND, &unbind);
}

struct order {
	worker_fn fn;
	long arg;
};

static void worker_loop(int from, int to)
{
	struct order order;
	long ret;

	while (read(from, &order, sizeof(order)) == sizeof(order)) {
		ret = order.fn(order.arg);
		if (write(to, &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	_exit(0);
}

void worker_start(struct worker *w)
{
	int to[2], from[2];

	CHECK_EQ(pipe2(to, O_CLOEXEC), 0);
	CHECK_EQ(pipe2(from, O_CLOEXEC), 0);
	w->pid = fork();
	CHECK(w->pid >= 0);
	if (!w->pid) {
		close(to[1]);
		close(from[0]);
		worker_loop(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	w->to = to[1];
	w->from = from[0];
}

void worker_send(struct worker *w, worker_fn fn, long arg)
{
	struct order order = { fn, arg };

	CHECK_EQ(write(w->to, &order, sizeof(order)), sizeof(order));
}

long worker_call(struct worker *w, worker_fn fn, long arg)
{
	long ret;

	worker_send(w, fn, arg);
	CHECK_EQ(read(w->from, &ret, sizeof(ret)), sizeof(ret));
	return ret;
}

void worker_kill(struct worker *w)
{
	CHECK_EQ(kill(w->pid, SIGKILL), 0);
	CHECK_EQ(waitpid(w->pid, NULL, 0), w->pid);
	close(w->to);
	close(w->from);
}

struct vfio_svm_bind worker_bind(struct device *dev, struct worker *w)
{
	struct vfio_svm_bind bind;

	CHECK_EQ(bind_type(dev, VFIO_SVM_BIND_PID, w->pid, RIGHTS, &bind), 0);
	return bind;
}

long do_map(long len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? -1 : (long)at;
}

/* A 32-bit address above 2 GiB must not grow a sign on its way to 64 bits. */
unsigned long worker_map(struct worker *w, size_t len)
{
	unsigned long at = worker_call(w, do_map, len);

	CHECK(at != -1ul);
	return at;
}

void *shared_alloc(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

long do_fill(long arg)
{
	const struct fill *f = (const struct fill *)arg;
	unsigned long i;

	for (i = 0; i < f->len; i++)
		((volatile unsigned char *)f->addr)[i] = f->first + i;
	return 0;
}

long do_check(long arg)
{
	const struct fill *f = (const struct fill *)arg;
	unsigned long i;

	for (i = 0; i < f->len; i++)
		if (((volatile unsigned char *)f->addr)[i] != (unsigned char)(f->first + i))
			break;
	return i;
}

static void queue_make(struct queue *q, struct device *dev, struct vfio_svm_queue *arg)
{
	struct vfio_region_info info;
	char *at;

	memset(q, 0, sizeof(*q));
	arg->argsz = sizeof(*arg);
	CHECK_EQ(xioctl(dev->fd, VFIO_SVM_QUEUE, arg), 0);
	at = region_map(dev, VFIO_SVM_REGION_QUEUE + arg->queue, PROT_READ | PROT_WRITE, &q->size);
	CHECK_EQ(q->size, arg->size);
	q->dev = dev;
	q->idx = arg->queue;
	q->depth = arg->depth;
	q->hdr = (void *)at;
	CHECK_EQ(q->hdr->magic, SVM_ABI_MAGIC);
	CHECK_EQ(q->hdr->depth, q->depth);
	q->sq = (void *)(at + q->hdr->sq_off);
	q->cq = (void *)(at + q->hdr->cq_off);
	q->sg = (void *)(at + q->hdr->sg_off);
	info = device_region(dev, VFIO_SVM_REGION_DOORBELL);
	q->doorbell_fd = dev->fd;
	q->doorbell_off = info.offset;
}

void queue_open(struct queue *q, struct device *dev, uint32_t idx, uint32_t depth, uint64_t self)
{
	struct vfio_svm_queue arg = { .queue = idx, .depth = depth, .bond_id = self };

	queue_make(q, dev, &arg);
}

void queue_open_faults(struct queue *q, struct device *dev, uint32_t idx, uint32_t flags,
		       uint32_t timeout_us)
{
	struct vfio_svm_queue arg = {
		.queue = idx, .depth = 64, .flags = flags, .fault_timeout_us = timeout_us,
	};

	queue_make(q, dev, &arg);
}

void queue_unmap(struct queue *q)
{
	CHECK_EQ(munmap(q->hdr, q->size), 0);
}

void queue_send(struct queue *q, const struct svm_desc *desc)
{
	struct svm_desc *slot = &q->sq[q->sent & (q->depth - 1)];
	uint32_t idx = q->idx;

	memcpy(slot, desc, sizeof(*slot));
	q->sent++;
	__atomic_store_n(&slot->seq, q->sent, __ATOMIC_RELEASE);
	/* Pairs with the device's barrier between need_wakeup and its last look. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&q->hdr->need_wakeup, __ATOMIC_RELAXED))
		CHECK_EQ(pwrite64(q->doorbell_fd, &idx, sizeof(idx), q->doorbell_off),
			 sizeof(idx));
}

bool queue_has_completion(const struct queue *q)
{
	const struct svm_cpl *slot = &q->cq[q->seen & (q->depth - 1)];

	return __atomic_load_n(&slot->phase, __ATOMIC_ACQUIRE) == !(q->seen & q->depth);
}

struct svm_cpl queue_wait(struct queue *q)
{
	struct svm_cpl *slot = &q->cq[q->seen & (q->depth - 1)];
	struct svm_cpl cpl;

	while (!queue_has_completion(q))
		sched_yield();
	cpl = *slot;
	CHECK_EQ(cpl.id, (uint16_t)q->seen);
	q->seen++;
	return cpl;
}

struct svm_cpl queue_run(struct queue *q, const struct svm_desc *desc)
{
	queue_send(q, desc);
	return queue_wait(q);
}

struct svm_desc desc_copy(uint32_t src_pasid, uint64_t src, uint32_t dst_pasid, uint64_t dst,
			  uint32_t len)
{
	return (struct svm_desc){
		.op = SVM_OP_COPY, .len = len, .src = src, .dst = dst,
		.src_space = SVM_SPACE(SVM_SPACE_PASID, src_pasid),
		.dst_space = SVM_SPACE(SVM_SPACE_PASID, dst_pasid),
	};
}

struct svm_desc desc_fill(uint32_t pasid, uint64_t dst, uint32_t len, uint64_t pattern)
{
	return (struct svm_desc){
		.op = SVM_OP_FILL, .len = len, .dst = dst, .pattern = pattern,
		.dst_space = SVM_SPACE(SVM_SPACE_PASID, pasid),
	};
}

uint64_t cmdline_number(const char *word, uint64_t without)
{
	char line[4096];
	const char *at;
	ssize_t len;
	int fd;

	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	len = read(fd, line, sizeof(line) - 1);
	CHECK(len > 0);
	line[len] = 0;
	close(fd);
	at = strstr(line, word);
	return at ? strtoull(at + strlen(word), NULL, 0) : without;
}

unsigned int rounds(unsigned int n)
{
	return 1 + n * cmdline_number("rig_rounds=", 100) / 100;
}

void bytes_lay(void *at, size_t len, unsigned char tag)
{
	unsigned char *byte = at;
	size_t i;

	for (i = 0; i < len; i++)
		byte[i] = (((uint32_t)i * 2654435761u >> 24) ^ tag) | 1;
}

size_t bytes_good(const void *at, const void *ref, size_t len)
{
	const volatile unsigned char *byte = at;
	const unsigned char *want = ref;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char seen = byte[i];

		if (seen && seen != want[i])
			break;
	}
	return i;
}
