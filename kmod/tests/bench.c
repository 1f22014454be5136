// SPDX-License-Identifier: GPL-2.0
/*
 * kmod_bench: what the device costs beside what userspace has already. One line a
 * point, with its baseline measured in the same rounds, in turn; ratios mean something
 * under emulation, times do not. Nothing is judged but that all copies arrived.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#define BATCH	64u
#define ROUNDS	21u
#define WARM	2u
#define COPIES	(4u * BATCH)	/* of one round */
#define SINGLES	32u
#define BINDS	16u
#define BONDS	48u

void test_fail(const char *file, int line, const char *what, long long seen, long long wanted)
{
	printf("FAIL bench.points: %s:%d: %s: saw %lld, not %lld (errno %d)\n", file, line, what,
	       seen, wanted, errno);
	fflush(stdout);
	_exit(1);
}

struct bench {
	struct device dev;
	struct worker a, b;
	struct vfio_svm_bind bond_a, bond_b;
	unsigned long at_a, at_b;
	struct queue q;
	uint32_t size;
	char *own;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Handed over at once: the device sees none before the first, which is marked last. */
static void send_batch(struct bench *b, unsigned int batch)
{
	struct svm_desc desc, *slot;
	unsigned int i;

	for (i = batch; i-- > 0;) {
		desc = desc_copy(b->bond_a.pasid, b->at_a + i * b->size, b->bond_b.pasid,
				 b->at_b + i * b->size, b->size);
		slot = &b->q.sq[(b->q.sent + i) & (b->q.depth - 1)];
		memcpy(slot, &desc, offsetof(struct svm_desc, seq));
		/* Pairs with the device's acquire of the mark. */
		__atomic_store_n(&slot->seq, b->q.sent + i + 1, __ATOMIC_RELEASE);
	}
	b->q.sent += batch;
}

static void device_copies(struct bench *b, unsigned int nb, unsigned int batch)
{
	unsigned int i, j;

	for (i = 0; i < nb; i += batch) {
		send_batch(b, batch);
		for (j = 0; j < batch; j++) {
			while (!queue_has_completion(&b->q))
				__asm__ volatile("" ::: "memory");
			CHECK_EQ(queue_wait(&b->q).status, SVM_ST_OK);
		}
	}
}

static void device_batch(struct bench *b)
{
	device_copies(b, COPIES, BATCH);
}

static void device_single(struct bench *b)
{
	device_copies(b, SINGLES, 1);
}

/* Out of one process and into the other: two calls. */
static void process_vm(struct bench *b, unsigned int nb, unsigned int batch)
{
	struct iovec own = { b->own, (size_t)batch * b->size }, far[BATCH];
	unsigned int i, j;

	for (i = 0; i < nb; i += batch) {
		for (j = 0; j < batch; j++)
			far[j] = (struct iovec){ (void *)(b->at_a + j * b->size), b->size };
		CHECK_EQ(process_vm_readv(b->a.pid, &own, 1, far, batch, 0), own.iov_len);
		for (j = 0; j < batch; j++)
			far[j] = (struct iovec){ (void *)(b->at_b + j * b->size), b->size };
		CHECK_EQ(process_vm_writev(b->b.pid, &own, 1, far, batch, 0), own.iov_len);
	}
}

static void process_vm_batch(struct bench *b)
{
	process_vm(b, COPIES, BATCH);
}

static void process_vm_each(struct bench *b)
{
	process_vm(b, COPIES, 1);
}

static void process_vm_single(struct bench *b)
{
	process_vm(b, SINGLES, 1);
}

static void bind_and_unbind(struct bench *b)
{
	struct vfio_svm_bind bind;
	unsigned int i;

	for (i = 0; i < BINDS; i++) {
		CHECK_EQ(bind_type(&b->dev, VFIO_SVM_BIND_PID, getpid(), RIGHTS, &bind), 0);
		CHECK_EQ(unbind_id(&b->dev, bind.bond_id), 0);
	}
}

/* The same permission, asked for in the way that userspace has. */
static void open_and_close_mem(struct bench *b)
{
	char path[64];
	unsigned int i;
	int fd;

	(void)b;
	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	for (i = 0; i < BINDS; i++) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0);
		close(fd);
	}
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(struct bench *b, void (*fn)(struct bench *), uint64_t *ns)
{
	uint64_t start = now_ns();

	fn(b);
	*ns = now_ns() - start;
}

/* Both in turn, round after round; the first are not counted. */
static void point(struct bench *b, const char *what, unsigned int batch, unsigned int per_round,
		  void (*fn)(struct bench *), const char *baseline, void (*base)(struct bench *))
{
	uint64_t ns[ROUNDS], base_ns[ROUNDS], warm;
	unsigned int i;

	for (i = 0; i < WARM; i++) {
		measure(b, fn, &warm);
		measure(b, base, &warm);
	}
	for (i = 0; i < ROUNDS; i++) {
		measure(b, fn, &ns[i]);
		measure(b, base, &base_ns[i]);
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_size);
	qsort(base_ns, ROUNDS, sizeof(base_ns[0]), by_size);
	printf("point what=%s size=%u batch=%u ratio=%.3f median_ns=%llu p99_ns=%llu baseline=%s baseline_median_ns=%llu rounds=%u\n",
	       what, b->size, batch, (double)ns[ROUNDS / 2] / base_ns[ROUNDS / 2],
	       (unsigned long long)ns[ROUNDS / 2] / per_round,
	       (unsigned long long)ns[ROUNDS * 99 / 100] / per_round, baseline,
	       (unsigned long long)base_ns[ROUNDS / 2] / per_round, ROUNDS);
	fflush(stdout);
}

static long do_map_there(long len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (at == MAP_FAILED)
		return -1;
	memset(at, 1, len);
	return (long)at;
}

static void bench_copies(struct bench *b)
{
	static const uint32_t sizes[] = { 64, 4096 };
	struct svm_desc nop = { .op = SVM_OP_NOP };
	unsigned int i;

	/* The owner polls, and rings no bell: the device is not to sleep between two batches. */
	param_set("vfio_svm_sw", "spin_us", 1000000000);
	queue_run(&b->q, &nop);
	for (i = 0; i < 2; i++) {
		b->size = sizes[i];
		point(b, "copy", BATCH, COPIES, device_batch, "process_vm_1", process_vm_each);
		point(b, "copy", BATCH, COPIES, device_batch, "process_vm_64", process_vm_batch);
		point(b, "copy", 1, SINGLES, device_single, "process_vm_1", process_vm_single);
	}
	param_set("vfio_svm_sw", "spin_us", 50);
}

/* Bytes in use of all slab caches, and of kernel stacks. */
static long kernel_bytes(void)
{
	long total = 0, used, size, kib;
	char line[512], name[64];
	FILE *f;

	f = fopen("/proc/slabinfo", "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld %*d %ld", name, &used, &size) == 3)
			total += used * size;
	fclose(f);
	f = fopen("/proc/meminfo", "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "KernelStack: %ld kB", &kib) == 1)
			total += kib * 1024;
	fclose(f);
	return total;
}

static void memory_point(const char *what, long bytes, long process)
{
	printf("point what=%s bytes=%ld ratio=%.3f baseline=process baseline_bytes=%ld bonds=%u\n",
	       what, bytes / BONDS, (double)bytes / process, process / BONDS, BONDS);
}

/* A bond, and a bond whose lane has a thread, beside the process that is bound. */
static void bench_memory(struct bench *b)
{
	static struct worker w[BONDS];
	struct vfio_svm_bind bind[BONDS];
	long none, processes, bonds, lanes;
	unsigned long at[BONDS];
	struct svm_desc desc;
	unsigned int i;

	none = kernel_bytes();
	for (i = 0; i < BONDS; i++) {
		worker_start(&w[i]);
		at[i] = worker_map(&w[i], 4096);
	}
	processes = kernel_bytes();
	for (i = 0; i < BONDS; i++)
		bind[i] = worker_bind(&b->dev, &w[i]);
	bonds = kernel_bytes();
	for (i = 0; i < BONDS; i++) {
		desc = desc_fill(bind[i].pasid, at[i], 8, 1);
		CHECK_EQ(queue_run(&b->q, &desc).status, SVM_ST_OK);
	}
	lanes = kernel_bytes();
	memory_point("bond_memory", bonds - processes, processes - none);
	memory_point("bond_and_lane_memory", lanes - processes, processes - none);
	for (i = 0; i < BONDS; i++)
		worker_kill(&w[i]);
}

int main(void)
{
	static struct bench b;
	struct utsname os;

	uname(&os);
	printf("# kernel %s %s, %ld CPUs\n", os.release, os.machine, sysconf(_SC_NPROCESSORS_ONLN));
	worker_start(&b.a);
	worker_start(&b.b);
	device_open(&b.dev, 0);
	device_patience(PATIENT_MS);
	b.bond_a = worker_bind(&b.dev, &b.a);
	b.bond_b = worker_bind(&b.dev, &b.b);
	b.at_a = worker_call(&b.a, do_map_there, BATCH * 4096);
	b.at_b = worker_call(&b.b, do_map_there, BATCH * 4096);
	b.own = (char *)do_map_there(BATCH * 4096);
	CHECK(b.at_a != -1ul && b.at_b != -1ul && b.own != (char *)-1);
	queue_open(&b.q, &b.dev, 0, 128, 0);
	bench_copies(&b);
	b.size = 0;
	point(&b, "bind_and_unbind", 1, BINDS, bind_and_unbind, "open_and_close_mem",
	      open_and_close_mem);
	bench_memory(&b);
	worker_kill(&b.a);
	worker_kill(&b.b);
	printf("ok bench.points\nvm: ran 1 tests\n");
	return 0;
}
