// SPDX-License-Identifier: GPL-2.0
/*
 * vfio_svm: the part of binding address spaces that all devices have in common.
 * Here: the context of an open device, and the calls of uapi/vfio_svm.h.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "vfio_svm_private.h"

static struct workqueue_struct *free_wq;

/**
 * vfio_svm_arg_get() - copy in an extensible argument
 * @arg: what this kernel knows of it, its first field the size userspace knows
 * @size: of @arg
 * @min: bytes without which it makes no sense
 * @uarg: where it is
 *
 * Return: 0; -EINVAL for one that is too short, -E2BIG for one that asks for what
 * this kernel does not know.
 */
int vfio_svm_arg_get(void *arg, size_t size, size_t min, const void __user *uarg)
{
	u32 argsz;

	if (get_user(argsz, (const u32 __user *)uarg))
		return -EFAULT;
	if (argsz < min)
		return -EINVAL;
	if (argsz > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(arg, size, uarg, argsz);
}
EXPORT_SYMBOL_GPL(vfio_svm_arg_get);

/* The seed's structure: 12 bytes, or 16 when it names a pid. */
static int seed_arg_get(struct vfio_device_svm *arg, const void __user *uarg)
{
	size_t min = offsetofend(struct vfio_device_svm, pasid);

	*arg = (struct vfio_device_svm){};
	if (copy_from_user(arg, uarg, min))
		return -EFAULT;
	if (arg->argsz < min)
		return -EINVAL;
	return 0;
}

static int ioctl_bind_task(struct vfio_svm_ctx *ctx, void __user *uarg)
{
	struct vfio_device_svm __user *usvm = uarg;
	struct vfio_svm_bond *bond;
	struct vfio_svm_target target;
	struct vfio_device_svm arg;
	int err;

	err = seed_arg_get(&arg, uarg);
	if (err)
		return err;
	if (arg.flags & ~VFIO_SVM_PID)
		return -EINVAL;
	if (arg.flags & VFIO_SVM_PID) {
		if (arg.argsz < sizeof(arg))
			return -EINVAL;
		if (get_user(arg.pid, &usvm->pid))
			return -EFAULT;
		err = vfio_svm_perm_target(&target, VFIO_SVM_BIND_PID, arg.pid, VFIO_SVM_RIGHTS);
	} else {
		err = vfio_svm_perm_target(&target, VFIO_SVM_BIND_SELF, 0, VFIO_SVM_RIGHTS);
	}
	if (err)
		return err;
	bond = vfio_svm_bond_bind(ctx, &target, VFIO_SVM_RIGHTS, 0);
	mmput_async(target.mm);
	if (IS_ERR(bond))
		return PTR_ERR(bond);
	err = 0;
	if (put_user(bond->pasid, &usvm->pasid)) {
		vfio_svm_bond_take_back(bond);
		err = -EFAULT;
	}
	vfio_svm_bond_put(bond);
	return err;
}

static int ioctl_unbind_task(struct vfio_svm_ctx *ctx, void __user *uarg)
{
	struct vfio_device_svm arg;
	int err;

	err = seed_arg_get(&arg, uarg);
	if (err)
		return err;
	if (arg.flags & ~(VFIO_SVM_PASID_RELEASE_FLUSHED | VFIO_SVM_PASID_RELEASE_CLEAN))
		return -EINVAL;
	return vfio_svm_bond_unbind_pasid(ctx, arg.pasid);
}

static int ioctl_bind(struct vfio_svm_ctx *ctx, void __user *uarg)
{
	struct vfio_svm_bond *bond;
	struct vfio_svm_target target;
	struct vfio_svm_bind arg;
	int err;

	err = vfio_svm_arg_get(&arg, sizeof(arg), sizeof(arg), uarg);
	if (err)
		return err;
	if (!arg.flags || arg.flags & ~VFIO_SVM_RIGHTS || arg.reserved)
		return -EINVAL;
	err = vfio_svm_perm_target(&target, arg.type, arg.target, arg.flags);
	if (err)
		return err;
	bond = vfio_svm_bond_bind(ctx, &target, arg.flags, arg.cookie);
	mmput_async(target.mm);
	if (IS_ERR(bond))
		return PTR_ERR(bond);
	arg.pasid = bond->pasid;
	arg.bond_id = bond->id;
	err = 0;
	if (copy_to_user(uarg, &arg, sizeof(arg))) {
		vfio_svm_bond_take_back(bond);
		err = -EFAULT;
	}
	vfio_svm_bond_put(bond);
	return err;
}

static int ioctl_unbind(struct vfio_svm_ctx *ctx, void __user *uarg)
{
	struct vfio_svm_unbind arg;
	int err;

	err = vfio_svm_arg_get(&arg, sizeof(arg), sizeof(arg), uarg);
	if (err)
		return err;
	if (arg.flags)
		return -EINVAL;
	return vfio_svm_bond_unbind(ctx, arg.bond_id);
}

static int ioctl_page_response(struct vfio_svm_ctx *ctx, void __user *uarg)
{
	struct vfio_svm_page_response arg;
	int err;

	err = vfio_svm_arg_get(&arg, sizeof(arg), sizeof(arg), uarg);
	if (err)
		return err;
	if (arg.flags || arg.reserved || arg.code > VFIO_SVM_RESP_FAILURE)
		return -EINVAL;
	if (!ctx->ops->page_response)
		return -ENOENT;
	return ctx->ops->page_response(ctx->drv, arg.request_id, arg.code);
}

/**
 * vfio_svm_ioctl() - the calls that all such devices have
 * @ctx: the open device
 * @cmd: of the device descriptor
 * @uarg: its argument
 *
 * Return: the call's result, or -ENOTTY: try your own.
 */
long vfio_svm_ioctl(struct vfio_svm_ctx *ctx, unsigned int cmd, void __user *uarg)
{
	switch (cmd) {
	case VFIO_DEVICE_BIND_TASK:
		return ioctl_bind_task(ctx, uarg);
	case VFIO_DEVICE_UNBIND_TASK:
		return ioctl_unbind_task(ctx, uarg);
	case VFIO_SVM_BIND:
		return ioctl_bind(ctx, uarg);
	case VFIO_SVM_UNBIND:
		return ioctl_unbind(ctx, uarg);
	case VFIO_SVM_CONSENT:
		return vfio_svm_consent_create(ctx, uarg);
	case VFIO_SVM_PAGE_RESPONSE:
		return ioctl_page_response(ctx, uarg);
	default:
		return -ENOTTY;
	}
}
EXPORT_SYMBOL_GPL(vfio_svm_ioctl);

/* VFIO_DEVICE_FEATURE_SVM, from a driver's .device_feature. */
int vfio_svm_feature_caps(struct vfio_svm_ctx *ctx, u32 flags, void __user *uarg, size_t argsz)
{
	struct vfio_svm_caps caps = {
		.version = VFIO_SVM_VERSION,
		.bind_types = BIT(VFIO_SVM_BIND_SELF) | BIT(VFIO_SVM_BIND_PID) |
			      BIT(VFIO_SVM_BIND_PIDFD) | BIT(VFIO_SVM_BIND_MEMFD),
		.max_bonds = ctx->max_bonds,
		.nb_queues = ctx->nb_queues,
		.max_pasid = ctx->max_pasid,
		.fault_timeout_us = ctx->fault_timeout_us,
	};
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(caps));
	if (ret != 1)
		return ret;
	return copy_to_user(uarg, &caps, sizeof(caps)) ? -EFAULT : 0;
}
EXPORT_SYMBOL_GPL(vfio_svm_feature_caps);

static void ctx_free(struct work_struct *work)
{
	struct vfio_svm_ctx *ctx = container_of(work, struct vfio_svm_ctx, free);

	vfio_svm_events_free(&ctx->events);
	xa_destroy(&ctx->pasids);
	xa_destroy(&ctx->ids);
	vfio_svm_user_put(ctx->user);
	kfree(ctx);
}

/* The last one to let go may be an SRCU callback, where nothing may sleep. */
void vfio_svm_ctx_put(struct vfio_svm_ctx *ctx)
{
	if (refcount_dec_and_test(&ctx->refs))
		queue_work(free_wq, &ctx->free);
}

/**
 * vfio_svm_open() - from open_device: a context for this open of the device
 * @params: what the device is
 *
 * Return: the context, to be ended with vfio_svm_close(); or an error, -EDQUOT when
 * too much that devices of this user left behind has not come back.
 */
struct vfio_svm_ctx *vfio_svm_open(const struct vfio_svm_params *params)
{
	struct vfio_svm_ctx *ctx;
	int err;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return ERR_PTR(-ENOMEM);
	err = -ENOMEM;
	ctx->user = vfio_svm_user_get(current_uid());
	if (!ctx->user)
		goto free_ctx;
	err = -EDQUOT;
	if (!vfio_svm_user_may_own(ctx->user))
		goto put_user;
	err = vfio_svm_events_init(&ctx->events, params->node);
	if (err)
		goto put_user;
	ctx->ops = params->ops;
	ctx->drv = params->drv;
	ctx->max_bonds = params->max_bonds;
	ctx->max_pasid = params->max_pasid;
	ctx->nb_queues = params->nb_queues;
	ctx->fault_timeout_us = params->fault_timeout_us;
	INIT_WORK(&ctx->free, ctx_free);
	mutex_init(&ctx->lock);
	xa_init_flags(&ctx->pasids, XA_FLAGS_ALLOC1);
	xa_init(&ctx->ids);
	hash_init(ctx->mms);
	INIT_LIST_HEAD(&ctx->resting);
	init_waitqueue_head(&ctx->drained);
	refcount_set(&ctx->refs, 1);
	return ctx;

put_user:
	vfio_svm_user_put(ctx->user);
free_ctx:
	kfree(ctx);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_GPL(vfio_svm_open);

/**
 * vfio_svm_close() - from close_device, when the device accesses nothing any more
 * @ctx: gone for the caller
 *
 * Ends all bonds. Consent descriptors answer -ENODEV from now on.
 */
void vfio_svm_close(struct vfio_svm_ctx *ctx)
{
	vfio_svm_bond_close_all(ctx);
	vfio_svm_event_set_eventfd(ctx, NULL);
	vfio_svm_ctx_put(ctx);
}
EXPORT_SYMBOL_GPL(vfio_svm_close);

static int __init vfio_svm_init(void)
{
	int err;

	free_wq = alloc_workqueue("vfio_svm", WQ_UNBOUND, 0);
	if (!free_wq)
		return -ENOMEM;
	err = vfio_svm_perm_init();
	if (err)
		destroy_workqueue(free_wq);
	return err;
}

/* In this order: callbacks of notifiers may queue the work that frees a context. */
static void __exit vfio_svm_exit(void)
{
	vfio_svm_bond_exit();
	destroy_workqueue(free_wq);
	vfio_svm_perm_exit();
}

module_init(vfio_svm_init);
module_exit(vfio_svm_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Binds address spaces of other processes to VFIO devices");
