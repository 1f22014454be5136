/* SPDX-License-Identifier: BSD-3-Clause */
/* The regions of an open device: found by what they are, mapped, and let go. */
#ifndef VFIO_SVM_REGION_H
#define VFIO_SVM_REGION_H

#include <stddef.h>
#include <stdint.h>

struct vfio_svm_region {
	uint64_t offset;
	uint64_t size;
	uint32_t flags;		/**< VFIO_REGION_INFO_FLAG_* */
};

struct vfio_svm_map {
	void *addr;		/**< NULL: nothing is mapped */
	size_t len;
};

/**
 * Find a region by its subtype, VFIO_SVM_REGION_*.
 *
 * @return 0; -ENOENT: the device has none; -errno of the device's answers.
 */
int
vfio_svm_region_find(int fd, uint32_t subtype, struct vfio_svm_region *region);

/**
 * Find a region and map all of it.
 *
 * @param min  Bytes without which it makes no sense.
 * @return 0; -EPROTO: it is smaller, or cannot be mapped; as vfio_svm_region_find().
 */
int
vfio_svm_region_map(int fd, uint32_t subtype, int prot, size_t min, struct vfio_svm_map *map);

/**
 * Let the device's memory go while others may be reading and writing it: ordinary
 * memory with the same content takes its place, at once and for all threads.
 *
 * @return 0; -ENOMEM: it is mapped as before.
 */
int
vfio_svm_region_replace(const struct vfio_svm_map *map);

void
vfio_svm_region_unmap(struct vfio_svm_map *map);

#endif /* VFIO_SVM_REGION_H */
