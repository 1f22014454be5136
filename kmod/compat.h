/* SPDX-License-Identifier: GPL-2.0 */
/* All that differs between the kernels from 6.1 on, as the newest of them has it. */
#ifndef VFIO_SVM_COMPAT_H
#define VFIO_SVM_COMPAT_H

#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vfio.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set, vm_flags_t clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#endif

static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/* The process a pidfd means, without a reference; NULL when the file is none. */
static inline struct pid *compat_pidfd_pid(const struct file *file)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
	/* An anonymous inode gets its name from the kernel alone: userspace cannot forge it. */
	if (file_inode(file)->i_sb->s_magic != ANON_INODE_FS_MAGIC ||
	    strcmp(file->f_path.dentry->d_name.name, "[pidfd]"))
		return NULL;
	return file->private_data;
#else
	if (file_inode(file)->i_sb->s_magic != PID_FS_MAGIC)
		return NULL;
	return file_inode(file)->i_private;
#endif
}

/* Devices registered for iommufd, too, have these; before 6.2 there is no such thing. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define COMPAT_VFIO_EMULATED_OPS
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define COMPAT_VFIO_EMULATED_OPS					\
	.bind_iommufd = vfio_iommufd_emulated_bind,			\
	.unbind_iommufd = vfio_iommufd_emulated_unbind,			\
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
#else
#define COMPAT_VFIO_EMULATED_OPS					\
	.bind_iommufd = vfio_iommufd_emulated_bind,			\
	.unbind_iommufd = vfio_iommufd_emulated_unbind,			\
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,		\
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
#endif

/*
 * From 6.19 on the VFIO core answers VFIO_DEVICE_GET_REGION_INFO, and asks the driver for its part;
 * until then the driver gets the call.
 */
typedef int (*compat_region_info_t)(struct vfio_device *vdev, struct vfio_region_info *info,
				    struct vfio_info_cap *caps);
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define COMPAT_VFIO_REGION_INFO(fn)

static inline long compat_region_info_reply(struct vfio_region_info *info,
					    struct vfio_info_cap *caps,
					    struct vfio_region_info __user *uarg)
{
	if (caps->size) {
		info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info->cap_offset = 0;
		if (info->argsz < sizeof(*info) + caps->size) {
			info->argsz = sizeof(*info) + caps->size;
		} else {
			vfio_info_cap_shift(caps, sizeof(*info));
			if (copy_to_user(uarg + 1, caps->buf, caps->size))
				return -EFAULT;
			info->cap_offset = sizeof(*info);
		}
	}
	return copy_to_user(uarg, info, sizeof(*info)) ? -EFAULT : 0;
}

static inline long compat_ioctl_region_info(struct vfio_device *vdev, void __user *uarg,
					    compat_region_info_t fn)
{
	struct vfio_info_cap caps = { };
	struct vfio_region_info info;
	long err;

	if (copy_from_user(&info, uarg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	err = fn(vdev, &info, &caps);
	if (!err)
		err = compat_region_info_reply(&info, &caps, uarg);
	kfree(caps.buf);
	return err;
}
#else
#define COMPAT_VFIO_REGION_INFO(fn)	.get_region_info_caps = fn,

static inline long compat_ioctl_region_info(struct vfio_device *vdev, void __user *uarg,
					    compat_region_info_t fn)
{
	return -ENOTTY;
}
#endif

/* Up to 6.1 the driver frees its device, from then on the VFIO core does. */
static inline void compat_vfio_free_device(struct vfio_device *vdev)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	vfio_free_device(vdev);
#endif
}

/* From 6.11 on the remove callback of a platform driver returns nothing. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
typedef int compat_remove_t;
#define COMPAT_REMOVE_RETURN	return 0
#else
typedef void compat_remove_t;
#define COMPAT_REMOVE_RETURN	return
#endif

#endif /* VFIO_SVM_COMPAT_H */
