/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test_bus.h"
#include "test_busdev.h"

#define CHILDREN	4

struct bd bd;

static struct bd_child children[CHILDREN];
static unsigned int nb_children;

/* ---- time ---- */

uint64_t
bd_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
bd_pause(uint64_t since, const char *what)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	if (bd_now() - since > BD_BOUND_MS)
		test_fail("%s: not within %u ms", what, BD_BOUND_MS);
	nanosleep(&ms, NULL);
}

/* ---- the driver ---- */

static int
driver_probe(struct rte_vfio_svm_driver *driver, struct rte_vfio_svm_device *dev)
{
	const char *name = dev->device.name;

	(void)driver;
	if (bd.probe_answer != 0)
		return bd.probe_answer;
	bd.probes++;
	bd.dev[name[strlen(name) - 1] == '1'] = dev;
	return 0;
}

static int
driver_remove(struct rte_vfio_svm_device *dev)
{
	unsigned int i;

	if (bd.remove_answer != 0)
		return bd.remove_answer;
	bd.removes++;
	for (i = 0; i != BD_DEVICES; i++)
		if (bd.dev[i] == dev)
			bd.dev[i] = NULL;
	return 0;
}

static void
driver_gone(struct rte_vfio_svm_device *dev)
{
	(void)dev;
	__atomic_add_fetch(&bd.gone, 1, __ATOMIC_RELEASE);	/* with the tests' loads */
}

struct rte_vfio_svm_device *
bd_probe(unsigned int number)
{
	const int ret = rte_dev_probe(number == 0 ? BD_ARGS_0 : BD_ARGS_1);

	if (ret != 0 || bd.dev[number] == NULL)
		test_fail("device %u is not probed: %d", number, ret);
	return bd.dev[number];
}

void
bd_register(void)
{
	memset(&bd, 0, sizeof(bd));
	bd.driver.driver.name = "test_busdev";
	bd.driver.probe = driver_probe;
	bd.driver.remove = driver_remove;
	bd.driver.gone = driver_gone;
	rte_vfio_svm_register(&bd.driver);
	bd.registered = true;
}

struct rte_vfio_svm_device *
bd_begin(void)
{
	bd_register();
	return bd_probe(0);
}

void
bd_end(void)
{
	unsigned int i;

	said_end();
	bd.remove_answer = 0;
	for (i = 0; i != BD_DEVICES; i++)
		if (bd.dev[i] != NULL && rte_dev_remove(&bd.dev[i]->device) != 0)
			printf("device %u stays\n", i);
	if (bd.registered)
		rte_vfio_svm_unregister(&bd.driver);
	bd.registered = false;
	while (nb_children > 0)
		bd_kill(&children[--nb_children]);
}

/* ---- processes ---- */

enum order { FILL, HOLDS, CONSENT, KERNEL_BIND, KERNEL_UNBIND };

struct request {
	enum order order;
	unsigned char first;
	size_t off, len;
	unsigned int number;
};

/* What "echo vfio_svm_sw.N >bind" does. */
static int
kernel_driver(const char *what, unsigned int number)
{
	char path[128], name[32];
	int fd, ret;

	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/vfio_svm_sw/%s", what);
	snprintf(name, sizeof(name), "vfio_svm_sw.%u", number);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, name, strlen(name)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int64_t
obey(unsigned char *mem, int fd, const struct request *r)
{
	struct vfio_svm_consent_bind bind = { .argsz = sizeof(bind), .flags = BD_RIGHTS };
	size_t i;

	switch (r->order) {
	case FILL:
		for (i = 0; i != BD_LEN; i++)
			mem[i] = (unsigned char)(r->first + i);
		return 0;
	case HOLDS:
		for (i = 0; i != r->len; i++)
			if (mem[r->off + i] != (unsigned char)(r->first + i))
				return 0;
		return 1;
	case CONSENT:
		return ioctl(fd, VFIO_SVM_CONSENT_BIND, &bind) == 0 ? 0 : -errno;
	case KERNEL_BIND:
		return kernel_driver("bind", r->number);
	case KERNEL_UNBIND:
		return kernel_driver("unbind", r->number);
	}
	return -EINVAL;
}

static void __attribute__((noreturn))
child_loop(unsigned char *mem, int fd, int in, int out)
{
	struct request r;
	int64_t ret;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The device that its parent has open is none of its business. */
	for (i = 3; i != 1024; i++)
		if (i != fd && i != in && i != out)
			close(i);
	while (read(in, &r, sizeof(r)) == sizeof(r)) {
		ret = obey(mem, fd, &r);
		if (write(out, &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	_exit(0);
}

struct bd_child *
bd_child(int fd)
{
	struct bd_child *c = &children[nb_children];
	int to[2], from[2];

	if (nb_children == CHILDREN || pipe(to) != 0 || pipe(from) != 0)
		test_fail("too many processes, or no pipe");
	c->mem = mmap(NULL, BD_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->mem == MAP_FAILED)
		test_fail("mmap: %s", strerror(errno));
	c->pid = fork();
	if (c->pid < 0)
		test_fail("fork: %s", strerror(errno));
	if (c->pid == 0)
		child_loop(c->mem, fd, to[0], from[1]);
	close(to[0]);
	close(from[1]);
	c->to = to[1];
	c->from = from[0];
	nb_children++;
	return c;
}

void
bd_kill(struct bd_child *c)
{
	if (c->pid == 0)
		return;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->to);
	close(c->from);
	munmap(c->mem, BD_LEN);
	c->pid = 0;
}

static void
order(struct bd_child *c, struct request r)
{
	if (write(c->to, &r, sizeof(r)) != sizeof(r))
		test_fail("the process takes no order");
}

static int64_t
answer(struct bd_child *c)
{
	int64_t ret;

	if (read(c->from, &ret, sizeof(ret)) != sizeof(ret))
		test_fail("the process does not answer");
	return ret;
}

static int64_t
ask(struct bd_child *c, struct request r)
{
	order(c, r);
	return answer(c);
}

void
bd_kernel_begin(struct bd_child *c, bool bind, unsigned int number)
{
	order(c, (struct request){ .order = bind ? KERNEL_BIND : KERNEL_UNBIND,
		.number = number });
}

int
bd_kernel_end(struct bd_child *c)
{
	return (int)answer(c);
}

void
bd_fill(struct bd_child *c, unsigned char first)
{
	ask(c, (struct request){ .order = FILL, .first = first });
}

bool
bd_holds(struct bd_child *c, size_t off, size_t len, unsigned char first)
{
	return ask(c, (struct request){ .order = HOLDS, .first = first, .off = off,
		.len = len }) == 1;
}

int
bd_consent(struct bd_child *c)
{
	return (int)ask(c, (struct request){ .order = CONSENT });
}

/* ---- bonds, queues, events ---- */

struct rte_vfio_svm_bond
bd_bind(struct rte_vfio_svm_device *dev, const struct bd_child *c)
{
	struct rte_vfio_svm_bond bond;
	const int ret = rte_vfio_svm_bind(dev, VFIO_SVM_BIND_PID, c->pid, BD_RIGHTS,
		(uint64_t)c->pid, &bond);

	if (ret != 0)
		test_fail("bind of %d: %d", c->pid, ret);
	return bond;
}

struct bd_queue
bd_queue(struct rte_vfio_svm_device *dev, uint32_t number)
{
	const struct rte_vfio_svm_queue_conf conf = { .number = number, .depth = BD_DEPTH };
	struct bd_queue q;
	const int ret = rte_vfio_svm_queue_create(dev, &conf, &q.queue);

	if (ret != 0)
		test_fail("queue %u: %d", number, ret);
	svm_producer_init(&q.prod, &q.queue->ring, false, 0);
	return q;
}

bool
bd_send(struct bd_queue *q, const struct svm_desc *desc)
{
	uint32_t at;

	if (!svm_producer_claim(&q->prod, 1, &at))
		return false;
	svm_producer_fill(&q->prod, at, desc);
	svm_producer_mark(&q->prod, at);
	rte_vfio_svm_queue_kick(q->queue);
	return true;
}

struct svm_cpl
bd_wait(struct bd_queue *q)
{
	const uint64_t since = bd_now();
	struct svm_cpl cpl;

	while (!svm_producer_poll(&q->prod, &cpl))
		bd_pause(since, "a completion");
	return cpl;
}

struct svm_cpl
bd_run(struct bd_queue *q, const struct svm_desc *desc)
{
	if (!bd_send(q, desc))
		test_fail("the ring is full");
	return bd_wait(q);
}

struct svm_desc
bd_copy(uint32_t src_pasid, const void *src, uint32_t dst_pasid, const void *dst, uint32_t len)
{
	return (struct svm_desc){
		.op = SVM_OP_COPY, .len = len,
		.src = (uintptr_t)src, .dst = (uintptr_t)dst,
		.src_space = SVM_SPACE(SVM_SPACE_PASID, src_pasid),
		.dst_space = SVM_SPACE(SVM_SPACE_PASID, dst_pasid),
	};
}

struct svm_desc
bd_pattern(uint32_t pasid, const void *dst, uint32_t len, uint64_t pattern)
{
	return (struct svm_desc){
		.op = SVM_OP_FILL, .len = len, .dst = (uintptr_t)dst, .pattern = pattern,
		.dst_space = SVM_SPACE(SVM_SPACE_PASID, pasid),
	};
}

void
bd_check_works(struct rte_vfio_svm_device *dev)
{
	struct bd_child *from = bd_child(-1), *to = bd_child(-1);
	const struct rte_vfio_svm_bond a = bd_bind(dev, from), b = bd_bind(dev, to);
	struct bd_queue q = bd_queue(dev, 0);
	const struct svm_desc copy = bd_copy(a.pasid, from->mem, b.pasid, to->mem, BD_LEN);
	struct svm_cpl cpl;

	bd_fill(from, 1);
	bd_fill(to, 2);
	cpl = bd_run(&q, &copy);
	TEST_EQUAL(cpl.status, SVM_ST_OK);
	TEST_EQUAL(cpl.done, BD_LEN);
	CU_ASSERT(bd_holds(to, 0, BD_LEN, 1));
	CU_ASSERT(bd_holds(from, 0, BD_LEN, 1));
	rte_vfio_svm_queue_destroy(q.queue);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, a.id), 0);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, b.id), 0);
}

struct vfio_svm_event
bd_event(struct rte_vfio_svm_device *dev)
{
	const uint64_t since = bd_now();
	struct vfio_svm_event event;

	while (rte_vfio_svm_event_poll(dev, &event, 1) == 0)
		bd_pause(since, "an event");
	return event;
}
