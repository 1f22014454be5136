/* SPDX-License-Identifier: GPL-2.0 */
/* A worker whose memory is missing but for page 0, and a queue with a fault model. */
#ifndef KMOD_REQUEST_H
#define KMOD_REQUEST_H

#include "fixture.h"

#define PAGE	4096ul
/* Of the descriptors that fill_from_1000 makes. */
#define COOKIE	0x8877665544332211ull
#define REQUESTS	VFIO_SVM_QUEUE_PAGE_REQUESTS

struct scene {
	struct device dev;
	struct worker w;
	struct vfio_svm_bind bind;
	struct queue q;
	unsigned long at;		/* 64 pages */
	struct fill *fill;
};

void scene_open(struct scene *s, uint32_t flags, uint32_t timeout_us);
/* From byte 1000 of page 0 on, over len bytes; page 1 is the first that is missing. */
struct svm_desc fill_from_1000(const struct scene *s, uint32_t len);
long respond(struct device *dev, uint64_t id, uint32_t code);
/* The next event, which is a request to write to this page. */
uint64_t next_request(struct scene *s, unsigned long addr);
/* The next event, which is that of a write that failed. */
void check_fault_event(struct scene *s, unsigned long addr, int status);
void check_cpl(struct svm_cpl cpl, int status, uint32_t done, uint64_t fault_addr);

#endif /* KMOD_REQUEST_H */
