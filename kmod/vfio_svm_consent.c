// SPDX-License-Identifier: GPL-2.0
/*
 * The consent descriptor: permission that the worker gives, instead of the owner
 * proving it has it. Holding one lets a process bind its own address space, and
 * no other; a fork or somebody the descriptor was passed to can do no more with it
 * than offer its own memory. It keeps the context, not the device.
 */
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vfio_svm_private.h"

struct consent {
	struct vfio_svm_ctx *ctx;
	u32 rights;
	u64 cookie;
	struct mutex lock;
	bool used;
	struct vfio_svm_bond *bond;	/* with a reference, once bound */
};

static long consent_bind(struct consent *consent, void __user *uarg)
{
	/* A mm of one's own has users for as long as one runs: no reference needed. */
	struct vfio_svm_target target = { .mm = current->mm, .uid = current_uid() };
	struct vfio_svm_consent_bind arg;
	struct vfio_svm_bond *bond;
	struct vfio_svm_event event;
	int err;

	err = vfio_svm_arg_get(&arg, sizeof(arg), sizeof(arg), uarg);
	if (err)
		return err;
	if (!arg.flags || arg.flags & ~VFIO_SVM_RIGHTS || arg.reserved)
		return -EINVAL;
	if (arg.flags & ~consent->rights)
		return -EACCES;
	if (mutex_lock_killable(&consent->lock))
		return -EINTR;
	err = -EALREADY;
	if (consent->used)
		goto unlock;
	bond = vfio_svm_bond_bind(consent->ctx, &target, arg.flags, consent->cookie);
	err = PTR_ERR_OR_ZERO(bond);
	if (err)
		goto unlock;
	arg.pasid = bond->pasid;
	arg.bond_id = bond->id;
	if (copy_to_user(uarg, &arg, sizeof(arg))) {
		vfio_svm_bond_take_back(bond);
		vfio_svm_bond_put(bond);
		err = -EFAULT;
		goto unlock;
	}
	consent->used = true;
	consent->bond = bond;
	vfio_svm_event_of_bond(&event, VFIO_SVM_EVENT_BOUND, bond);
	vfio_svm_event_post(consent->ctx, &event);
unlock:
	mutex_unlock(&consent->lock);
	return err;
}

/* The bond, for the process it is to alone. It stays for as long as the descriptor. */
static struct vfio_svm_bond *consent_bond(struct consent *consent)
{
	struct vfio_svm_bond *bond;

	if (mutex_lock_killable(&consent->lock))
		return ERR_PTR(-EINTR);
	bond = consent->bond;
	mutex_unlock(&consent->lock);
	if (!bond)
		return ERR_PTR(-ENOENT);
	if (bond->mm != current->mm)
		return ERR_PTR(-EPERM);
	if (!vfio_svm_bond_active(bond))
		return ERR_PTR(-ENOENT);
	return bond;
}

static struct vfio_svm_windows *windows_get(const struct vfio_svm_narrow *arg)
{
	const struct vfio_svm_window __user *uwindow = u64_to_user_ptr(arg->windows);
	struct vfio_svm_windows *windows;
	struct vfio_svm_window window;
	int err;
	u32 i;

	windows = kzalloc(struct_size(windows, w, arg->nb_windows), GFP_KERNEL_ACCOUNT);
	if (!windows)
		return ERR_PTR(-ENOMEM);
	windows->nb = arg->nb_windows;
	for (i = 0; i < arg->nb_windows; i++) {
		err = -EFAULT;
		if (copy_from_user(&window, &uwindow[i], sizeof(window)))
			goto free_windows;
		err = -EINVAL;
		if (!window.flags || window.flags & ~VFIO_SVM_RIGHTS || window.reserved ||
		    !window.len || window.addr + (window.len - 1) < window.addr)
			goto free_windows;
		windows->w[i].start = window.addr;
		windows->w[i].last = window.addr + (window.len - 1);
		windows->w[i].rights = window.flags;
	}
	return windows;

free_windows:
	kfree(windows);
	return ERR_PTR(err);
}

static long consent_narrow(struct consent *consent, void __user *uarg)
{
	struct vfio_svm_windows *windows;
	struct vfio_svm_narrow arg;
	struct vfio_svm_bond *bond;
	int err;

	err = vfio_svm_arg_get(&arg, sizeof(arg), sizeof(arg), uarg);
	if (err)
		return err;
	if (arg.flags || arg.reserved || !arg.nb_windows || arg.nb_windows > VFIO_SVM_WINDOWS_MAX)
		return -EINVAL;
	arg.nb_windows = array_index_nospec(arg.nb_windows, VFIO_SVM_WINDOWS_MAX + 1);
	bond = consent_bond(consent);
	if (IS_ERR(bond))
		return PTR_ERR(bond);
	windows = windows_get(&arg);
	if (IS_ERR(windows))
		return PTR_ERR(windows);
	err = vfio_svm_bond_narrow(bond, windows);
	if (err == -EACCES)
		kfree(windows);
	return err;
}

static long consent_revoke(struct consent *consent, void __user *uarg)
{
	struct vfio_svm_head arg;
	struct vfio_svm_bond *bond;
	int err;

	err = vfio_svm_arg_get(&arg, sizeof(arg), sizeof(arg), uarg);
	if (err)
		return err;
	if (arg.flags)
		return -EINVAL;
	bond = consent_bond(consent);
	return IS_ERR(bond) ? PTR_ERR(bond) : vfio_svm_bond_revoke(bond);
}

static long consent_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct consent *consent = file->private_data;
	void __user *uarg = (void __user *)arg;

	if (READ_ONCE(consent->ctx->closed))
		return -ENODEV;
	switch (cmd) {
	case VFIO_SVM_CONSENT_BIND:
		return consent_bind(consent, uarg);
	case VFIO_SVM_CONSENT_NARROW:
		return consent_narrow(consent, uarg);
	case VFIO_SVM_CONSENT_REVOKE:
		return consent_revoke(consent, uarg);
	default:
		return -ENOTTY;
	}
}

static int consent_release(struct inode *inode, struct file *file)
{
	struct consent *consent = file->private_data;

	if (consent->bond)
		vfio_svm_bond_put(consent->bond);
	vfio_svm_ctx_put(consent->ctx);
	kfree(consent);
	return 0;
}

static const struct file_operations consent_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = consent_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = consent_release,
};

/* VFIO_SVM_CONSENT. Return: the new descriptor, or an error. */
int vfio_svm_consent_create(struct vfio_svm_ctx *ctx, void __user *uarg)
{
	struct vfio_svm_consent arg;
	struct consent *consent;
	int ret;

	ret = vfio_svm_arg_get(&arg, sizeof(arg), sizeof(arg), uarg);
	if (ret)
		return ret;
	if (!arg.flags || arg.flags & ~VFIO_SVM_RIGHTS)
		return -EINVAL;
	consent = kzalloc(sizeof(*consent), GFP_KERNEL_ACCOUNT);
	if (!consent)
		return -ENOMEM;
	refcount_inc(&ctx->refs);
	consent->ctx = ctx;
	consent->rights = arg.flags;
	consent->cookie = arg.cookie;
	mutex_init(&consent->lock);
	ret = anon_inode_getfd("[vfio-svm-consent]", &consent_fops, consent, O_RDWR | O_CLOEXEC);
	if (ret < 0) {
		vfio_svm_ctx_put(ctx);
		kfree(consent);
	}
	return ret;
}
