/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests on real devices of the bus share: a driver of their own, a
 * queue, and processes to be bound.
 *
 * A buffer is mapped before a process is forked; what the process then writes
 * there is its own. So all have memory at the same address, and what the device
 * takes for another's shows at once.
 */
#ifndef TEST_BUSDEV_H
#define TEST_BUSDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bus_vfio_svm_driver.h"
#include "runner.h"

#define BD_DEVICES	2
#define BD_RIGHTS	(VFIO_SVM_READ | VFIO_SVM_WRITE)
#define BD_DEPTH	64u
#define BD_LEN		(64u << 10)
#define BD_BOUND_MS	20000u
#define BD_ARGS_0	"vfio_svm:vfio_svm_sw.0"
#define BD_ARGS_1	"vfio_svm:vfio_svm_sw.1"

/** The driver of the tests, and what happened to it. */
struct bd {
	struct rte_vfio_svm_driver driver;
	bool registered;
	struct rte_vfio_svm_device *dev[BD_DEVICES];
	unsigned int probes, removes;
	unsigned int gone;		/* atomic, as the next */
	unsigned int told;		/* RTE_DEV_EVENT_REMOVE */
	int probe_answer, remove_answer;
	bool remove_when_told;		/* in the callback itself */
};

extern struct bd bd;

/** A process, with memory of its own at `mem`. */
struct bd_child {
	pid_t pid;
	int to, from;
	unsigned char *mem;
};

struct bd_queue {
	struct rte_vfio_svm_queue *queue;
	struct svm_producer prod;
};

/** Register the driver. */
void
bd_register(void);

/** ... and have device 0 probed. */
struct rte_vfio_svm_device *
bd_begin(void);

/** The device of a number, probed now. */
struct rte_vfio_svm_device *
bd_probe(unsigned int number);

/** The teardown of a suite: nothing of the test is left. */
void
bd_end(void);

/** Fork a process; bd_end() kills it. @param fd  What it may use, -1. */
struct bd_child *
bd_child(int fd);

void
bd_kill(struct bd_child *c);

/** The process fills its memory with bytes that begin with `first`. */
void
bd_fill(struct bd_child *c, unsigned char first);

/** Whether len bytes at off are what bd_fill() put at the start with `first`. */
bool
bd_holds(struct bd_child *c, size_t off, size_t len, unsigned char first);

/** It has a device taken from its kernel driver, or given to it, which may last. */
void
bd_kernel_begin(struct bd_child *c, bool bind, unsigned int number);

/** The answer to bd_kernel_begin(): 0, -errno. */
int
bd_kernel_end(struct bd_child *c);

/** It binds itself with the descriptor. @return what the ioctl returned, -errno. */
int
bd_consent(struct bd_child *c);

struct rte_vfio_svm_bond
bd_bind(struct rte_vfio_svm_device *dev, const struct bd_child *c);

struct bd_queue
bd_queue(struct rte_vfio_svm_device *dev, uint32_t number);

/** Submit without looking for the end. @return false: no room. */
bool
bd_send(struct bd_queue *q, const struct svm_desc *desc);

/** Submit, and wait for the completion. */
struct svm_cpl
bd_run(struct bd_queue *q, const struct svm_desc *desc);

/** Wait for the next completion. */
struct svm_cpl
bd_wait(struct bd_queue *q);

struct svm_desc
bd_copy(uint32_t src_pasid, const void *src, uint32_t dst_pasid, const void *dst, uint32_t len);

struct svm_desc
bd_pattern(uint32_t pasid, const void *dst, uint32_t len, uint64_t pattern);

/** Two processes bound to a device: a copy from one arrives in the other. */
void
bd_check_works(struct rte_vfio_svm_device *dev);

/** The next event, waited for. */
struct vfio_svm_event
bd_event(struct rte_vfio_svm_device *dev);

/** Milliseconds of the monotonic clock; a wait that lasts BD_BOUND_MS fails. */
uint64_t
bd_now(void);

void
bd_pause(uint64_t since, const char *what);

/** Whether this process is the owner that another one kills. */
bool
test_busdev_is_owner(void);

/** Add the tests of lives and removals to the suite "bus_device". @return 0, -1. */
int
test_busdev_life_add(void);

#endif /* TEST_BUSDEV_H */
