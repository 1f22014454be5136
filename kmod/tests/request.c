// SPDX-License-Identifier: GPL-2.0
#include "request.h"

void scene_open(struct scene *s, uint32_t flags, uint32_t timeout_us)
{
	s->fill = shared_alloc(sizeof(*s->fill));
	worker_start(&s->w);
	device_open(&s->dev, 0);
	s->bind = worker_bind(&s->dev, &s->w);
	s->at = worker_map(&s->w, 64 * PAGE);
	*s->fill = (struct fill){ s->at, PAGE, 0 };
	CHECK_EQ(worker_call(&s->w, do_fill, (long)s->fill), 0);
	queue_open_faults(&s->q, &s->dev, 0, flags, timeout_us);
}

struct svm_desc fill_from_1000(const struct scene *s, uint32_t len)
{
	struct svm_desc desc = desc_fill(s->bind.pasid, s->at + 1000, len, 0x0706050403020100);

	desc.cookie = COOKIE;
	return desc;
}

long respond(struct device *dev, uint64_t id, uint32_t code)
{
	struct vfio_svm_page_response arg = { .argsz = sizeof(arg), .request_id = id, .code = code };

	return xioctl(dev->fd, VFIO_SVM_PAGE_RESPONSE, &arg);
}

uint64_t next_request(struct scene *s, unsigned long addr)
{
	struct vfio_svm_event event = device_event(&s->dev);

	CHECK_EQ(event.type, VFIO_SVM_EVENT_PAGE_REQUEST);
	CHECK_EQ(event.pasid, s->bind.pasid);
	CHECK_EQ(event.bond_id, s->bind.bond_id);
	CHECK_EQ(event.cookie, s->bind.cookie);
	CHECK_EQ(event.desc_cookie, COOKIE);
	CHECK_EQ(event.perm, VFIO_SVM_WRITE);
	CHECK_EQ(event.addr, addr);
	CHECK(event.request_id != 0);
	return event.request_id;
}

void check_fault_event(struct scene *s, unsigned long addr, int status)
{
	struct vfio_svm_event event = device_event(&s->dev);

	CHECK_EQ(event.type, VFIO_SVM_EVENT_FAULT);
	CHECK_EQ(event.bond_id, s->bind.bond_id);
	CHECK_EQ(event.addr, addr);
	CHECK_EQ(event.status, status);
	CHECK_EQ(event.perm, VFIO_SVM_WRITE);
	CHECK_EQ(event.desc_cookie, COOKIE);
	CHECK_EQ(event.request_id, 0);
}

void check_cpl(struct svm_cpl cpl, int status, uint32_t done, uint64_t fault_addr)
{
	CHECK_EQ(cpl.status, status);
	CHECK_EQ(cpl.done, done);
	CHECK_EQ(cpl.fault_addr, fault_addr);
}
