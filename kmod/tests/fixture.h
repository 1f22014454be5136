/* SPDX-License-Identifier: GPL-2.0 */
/* A device opened, workers that do as told, and a queue to give orders with. */
#ifndef KMOD_FIXTURE_H
#define KMOD_FIXTURE_H

#include <signal.h>
#include <sys/types.h>

#include "test.h"
#include "vfio_svm.h"

/* What the modules are loaded with: see devtools/vm/checks. */
#define MAX_BONDS	64u
#define MAX_PASID	96u
/* Nothing that is answered at all may time out, however busy the machine. */
#define TIMEOUT_MS	60000u
#define RIGHTS		(VFIO_SVM_READ | VFIO_SVM_WRITE)

struct device {
	int container;
	int group;
	int fd;
	const struct vfio_svm_event_hdr *events;
	const struct vfio_svm_event *records;
	volatile struct vfio_svm_event_index *index;
	uint32_t tail;
	size_t events_len, index_len;
};

/* instance: 0 or 1. Ends the test when it cannot. */
void device_open(struct device *dev, int instance);
/* How long an operation waits for a page: TIMEOUT_MS again with the next device_open(). */
void device_patience(unsigned int ms);
/* For what may not time out in any test. */
#define PATIENT_MS	100000
/* Mappings, too: each keeps the device open. */
void device_close(struct device *dev);
/* The region of a subtype; CHECKs that there is exactly one. */
struct vfio_region_info device_region(struct device *dev, uint32_t subtype);
/* The next event, waited for; seq is checked. */
struct vfio_svm_event device_event(struct device *dev);
bool device_has_event(struct device *dev);

/* Like device_open, but sets no parameters, and -errno when the device is not given. */
long device_try_open(struct device *dev, int instance);
struct vfio_svm_stats device_stats(struct device *dev);
/* A parameter of a module. device_open() sets those that tests change. */
void param_set(const char *module, const char *name, unsigned int value);

/* ioctl that gives -errno. */
long xioctl(int fd, unsigned long cmd, void *arg);

long bind_type(struct device *dev, uint32_t type, int32_t target, uint32_t rights,
	       struct vfio_svm_bind *reply);
long unbind_id(struct device *dev, uint64_t bond_id);

/* A process that runs functions of this program when told. */
struct worker {
	pid_t pid;
	int to;
	int from;
};

typedef long (*worker_fn)(long arg);

void worker_start(struct worker *w);
long worker_call(struct worker *w, worker_fn fn, long arg);
/* Give the order, and do not wait for its end. */
void worker_send(struct worker *w, worker_fn fn, long arg);
void worker_kill(struct worker *w);
/* Bind it by pid with both rights. */
struct vfio_svm_bind worker_bind(struct device *dev, struct worker *w);

/* Memory of the worker's own, not touched yet. */
unsigned long worker_map(struct worker *w, size_t len);
long do_map(long len);

/* For worker_call. */
struct fill {
	unsigned long addr, len;
	unsigned char first;		/* bytes first, first + 1, ... */
};
/* Through a shared page: an argument larger than a long. */
void *shared_alloc(size_t len);
long do_fill(long fill);
/* How many bytes from addr on are as do_fill would have made them. */
long do_check(long fill);

struct queue {
	struct device *dev;
	uint32_t idx;
	uint32_t depth;
	struct svm_queue_hdr *hdr;
	struct svm_desc *sq;
	struct svm_cpl *cq;
	struct svm_seg *sg;
	uint32_t sent;
	uint32_t seen;
	size_t size;
	int doorbell_fd;
	uint64_t doorbell_off;
};

void queue_open(struct queue *q, struct device *dev, uint32_t idx, uint32_t depth, uint64_t self);
/* flags: VFIO_SVM_QUEUE_*; timeout_us: of its page requests, 0 the longest. */
void queue_open_faults(struct queue *q, struct device *dev, uint32_t idx, uint32_t flags,
		       uint32_t timeout_us);
/* Unmap only: the device's queue stays. */
void queue_unmap(struct queue *q);
void queue_send(struct queue *q, const struct svm_desc *desc);
bool queue_has_completion(const struct queue *q);
struct svm_cpl queue_wait(struct queue *q);
struct svm_cpl queue_run(struct queue *q, const struct svm_desc *desc);

struct svm_desc desc_copy(uint32_t src_pasid, uint64_t src, uint32_t dst_pasid, uint64_t dst,
			  uint32_t len);
struct svm_desc desc_fill(uint32_t pasid, uint64_t dst, uint32_t len, uint64_t pattern);

/* The number behind a word of the kernel's command line, or what is meant without it. */
uint64_t cmdline_number(const char *word, uint64_t without);
/* n, or the percentage of it that rig_rounds= says: slow kernels take fewer. */
unsigned int rounds(unsigned int n);

/* What main() is for the program that a worker of test_death.c executes. */
int exec_watch(char **argv);

/* Bytes that differ from place to place and are never 0. */
void bytes_lay(void *at, size_t len, unsigned char tag);
/* How many bytes from at on are as in ref, or still 0. */
size_t bytes_good(const void *at, const void *ref, size_t len);

#endif /* KMOD_FIXTURE_H */
