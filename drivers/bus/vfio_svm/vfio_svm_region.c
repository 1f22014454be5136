/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vfio_svm.h"
#include "vfio_svm_region.h"

/* More than any device has, and more than an answer may ask for. */
#define REGIONS_MAX	4096u
#define INFO_MAX	65536u

/* The subtype of one of our regions; -ENOENT: it is another's. */
static int
info_subtype(const struct vfio_region_info *info, uint32_t len, uint32_t *subtype)
{
	const struct vfio_region_info_cap_type *type;
	const struct vfio_info_cap_header *cap;
	uint32_t at = info->cap_offset;
	unsigned int i;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return -ENOENT;
	/* A chain that goes round would be the kernel's fault; it ends all the same. */
	for (i = 0; i != 64 && at >= sizeof(*info) && at + sizeof(*cap) <= len &&
			at % sizeof(uint32_t) == 0; i++) {
		cap = (const void *)((const char *)info + at);
		if (cap->id == VFIO_REGION_INFO_CAP_TYPE && at + sizeof(*type) <= len) {
			type = (const void *)cap;
			if (type->type != VFIO_SVM_REGION_TYPE)
				return -ENOENT;
			*subtype = type->subtype;
			return 0;
		}
		at = cap->next;
	}
	return -ENOENT;
}

/* What the device says of a region, with the capabilities; freed by the caller. */
static int
info_get(int fd, uint32_t index, struct vfio_region_info **out)
{
	struct vfio_region_info *info, *more;
	uint32_t len = sizeof(*info) + sizeof(struct vfio_region_info_cap_type);
	int ret;

	info = NULL;
	for (;;) {
		more = realloc(info, len);
		if (more == NULL) {
			ret = -ENOMEM;
			goto free_info;
		}
		info = more;
		memset(info, 0, len);
		info->argsz = len;
		info->index = index;
		if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info) != 0) {
			ret = -errno;
			goto free_info;
		}
		if (info->argsz <= len)
			break;
		if (info->argsz > INFO_MAX) {
			ret = -EPROTO;
			goto free_info;
		}
		len = info->argsz;
	}
	info->argsz = len;
	*out = info;
	return 0;

free_info:
	free(info);
	return ret;
}

int
vfio_svm_region_find(int fd, uint32_t subtype, struct vfio_svm_region *region)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info *info = NULL;
	uint32_t i, is;
	int ret;

	if (ioctl(fd, VFIO_DEVICE_GET_INFO, &device) != 0)
		return -errno;
	for (i = 0; i != device.num_regions && i != REGIONS_MAX; i++) {
		ret = info_get(fd, i, &info);
		if (ret != 0)
			return ret;
		if (info_subtype(info, info->argsz, &is) == 0 && is == subtype) {
			region->offset = info->offset;
			region->size = info->size;
			region->flags = info->flags;
			free(info);
			return 0;
		}
		free(info);
	}
	return -ENOENT;
}

int
vfio_svm_region_map(int fd, uint32_t subtype, int prot, size_t min, struct vfio_svm_map *map)
{
	struct vfio_svm_region region;
	void *addr;
	int ret;

	ret = vfio_svm_region_find(fd, subtype, &region);
	if (ret != 0)
		return ret;
	if (!(region.flags & VFIO_REGION_INFO_FLAG_MMAP) || region.size < min ||
			region.size > SIZE_MAX / 2)
		return -EPROTO;
	addr = mmap(NULL, region.size, prot, MAP_SHARED, fd, (off_t)region.offset);
	if (addr == MAP_FAILED)
		return -errno;
	/* A child that this process forks does not keep the device open. */
	madvise(addr, region.size, MADV_DONTFORK);
	map->addr = addr;
	map->len = region.size;
	return 0;
}

int
vfio_svm_region_replace(const struct vfio_svm_map *map)
{
	void *copy;

	if (map->addr == NULL)
		return 0;
	copy = mmap(NULL, map->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return -ENOMEM;
	memcpy(copy, map->addr, map->len);
	if (mremap(copy, map->len, map->len, MREMAP_MAYMOVE | MREMAP_FIXED, map->addr) ==
			MAP_FAILED) {
		munmap(copy, map->len);
		return -ENOMEM;
	}
	return 0;
}

void
vfio_svm_region_unmap(struct vfio_svm_map *map)
{
	if (map->addr != NULL)
		munmap(map->addr, map->len);
	map->addr = NULL;
	map->len = 0;
}
