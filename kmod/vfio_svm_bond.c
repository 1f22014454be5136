// SPDX-License-Identifier: GPL-2.0
/*
 * Bonds: the table of one open device, and how each ends.
 *
 * A bond is found by PASID (data path, RCU), by id (unbind) and by mm (the same
 * one twice is refused). It stays in the PASID table while it rests, so that a
 * descriptor which still carries the PASID meets a dead bond and never the next.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "vfio_svm_private.h"

static unsigned int max_bonds = 65536;
module_param(max_bonds, uint, 0644);
MODULE_PARM_DESC(max_bonds, "bonds of all devices together");

/* How long an unbind waits for what the device could not be made to let go. */
#define DRAIN_TIMEOUT	(10 * HZ)

static atomic_t nb_all = ATOMIC_INIT(0);
static atomic64_t last_id = ATOMIC64_INIT(0);

static void bond_free(struct vfio_svm_bond *bond)
{
	struct vfio_svm_ctx *ctx = bond->ctx;

	vfio_svm_user_uncharge(ctx->user);
	vfio_svm_user_put(bond->user);
	mmdrop(bond->mm);
	kfree(rcu_dereference_protected(bond->windows, 1));
	kfree_rcu(bond, rcu);
	vfio_svm_ctx_put(ctx);
	/* Last: see vfio_svm_bond_exit(). */
	atomic_dec(&nb_all);
}

void vfio_svm_bond_put(struct vfio_svm_bond *bond)
{
	if (refcount_dec_and_test(&bond->refs))
		bond_free(bond);
}
EXPORT_SYMBOL_GPL(vfio_svm_bond_put);

/*
 * The mm's last user is gone: nothing can be under way, because an access holds
 * mm_users. Called once, from the task that exits or execs, which waits for
 * nothing here.
 */
static void bond_mm_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct vfio_svm_bond *bond = container_of(mn, struct vfio_svm_bond, mn);
	struct vfio_svm_event event;

	if (test_and_set_bit(VFIO_SVM_BOND_GONE, &bond->state))
		return;
	if (test_bit(VFIO_SVM_BOND_UNBOUND, &bond->state) ||
	    test_bit(VFIO_SVM_BOND_BINDING, &bond->state))
		return;
	vfio_svm_event_of_bond(&event, VFIO_SVM_EVENT_EXIT, bond);
	vfio_svm_event_post(bond->ctx, &event);
}

/* After SRCU has seen the last .release leave: the notifier's reference goes. */
static void bond_mn_free(struct mmu_notifier *mn)
{
	vfio_svm_bond_put(container_of(mn, struct vfio_svm_bond, mn));
}

static const struct mmu_notifier_ops bond_mn_ops = {
	.release = bond_mm_release,
	.free_notifier = bond_mn_free,
};

/* A worker that holds its mmap_lock for ever must not make the owner unkillable. */
static int bond_watch(struct vfio_svm_bond *bond)
{
	int err;

	if (mmap_write_lock_killable(bond->mm))
		return -EINTR;
	bond->mn.ops = &bond_mn_ops;
	err = __mmu_notifier_register(&bond->mn, bond->mm);
	mmap_write_unlock(bond->mm);
	if (!err)
		refcount_inc(&bond->refs);
	return err;
}

static struct vfio_svm_bond *bond_alloc(struct vfio_svm_ctx *ctx,
					const struct vfio_svm_target *target,
					u32 rights, u64 cookie)
{
	struct vfio_svm_bond *bond;
	int err = -EDQUOT;

	if (!atomic_add_unless(&nb_all, 1, READ_ONCE(max_bonds)))
		return ERR_PTR(err);
	err = -ENOMEM;
	bond = kzalloc(sizeof(*bond), GFP_KERNEL_ACCOUNT);
	if (!bond)
		goto uncount;
	bond->user = vfio_svm_user_get(target->uid);
	if (!bond->user)
		goto free_bond;
	err = vfio_svm_user_charge(ctx->user, bond->user);
	if (err)
		goto put_user;
	mmgrab(target->mm);
	refcount_inc(&ctx->refs);
	bond->mm = target->mm;
	bond->ctx = ctx;
	bond->rights = rights;
	bond->cookie = cookie;
	bond->state = BIT(VFIO_SVM_BOND_BINDING);
	bond->id = atomic64_inc_return(&last_id);
	refcount_set(&bond->refs, 1);
	mutex_init(&bond->narrow_lock);
	return bond;

put_user:
	vfio_svm_user_put(bond->user);
free_bond:
	kfree(bond);
uncount:
	atomic_dec(&nb_all);
	return ERR_PTR(err);
}

static bool ctx_has_mm(struct vfio_svm_ctx *ctx, struct mm_struct *mm)
{
	struct vfio_svm_bond *bond;

	hash_for_each_possible(ctx->mms, bond, by_mm, (unsigned long)mm)
		if (bond->mm == mm)
			return true;
	return false;
}

/* Give back the PASIDs that nothing can carry any more. */
static void ctx_reap_locked(struct vfio_svm_ctx *ctx)
{
	struct vfio_svm_bond *bond, *next;

	lockdep_assert_held(&ctx->lock);
	list_for_each_entry_safe(bond, next, &ctx->resting, rest) {
		if (atomic_read(&bond->users[0]) || atomic_read(&bond->users[1]))
			continue;
		if (ctx->ops->passed && !ctx->ops->passed(ctx->drv, bond->stamp))
			continue;
		list_del(&bond->rest);
		xa_erase(&ctx->pasids, bond->pasid);
		vfio_svm_bond_put(bond);
	}
}

static int ctx_alloc_pasid_locked(struct vfio_svm_ctx *ctx, struct vfio_svm_bond *bond)
{
	struct xa_limit limit = XA_LIMIT(1, ctx->max_pasid);
	int err;

	err = xa_alloc_cyclic(&ctx->pasids, &bond->pasid, bond, limit, &ctx->next_pasid,
			      GFP_KERNEL_ACCOUNT);
	if (err == -EBUSY)
		return -ENOSPC;
	return err < 0 ? err : 0;
}

/* Make the bond known: table, device, then active. */
static int bond_publish(struct vfio_svm_ctx *ctx, struct vfio_svm_bond *bond)
{
	int err;

	if (mutex_lock_killable(&ctx->lock))
		return -EINTR;
	err = -ENODEV;
	if (ctx->closed)
		goto unlock;
	err = -EEXIST;
	if (ctx_has_mm(ctx, bond->mm))
		goto unlock;
	err = -ENOSPC;
	if (ctx->nb_bonds >= ctx->max_bonds)
		goto unlock;
	err = ctx_alloc_pasid_locked(ctx, bond);
	if (err)
		goto unlock;
	err = xa_err(xa_store(&ctx->ids, bond->id, bond, GFP_KERNEL_ACCOUNT));
	if (err)
		goto erase_pasid;
	if (ctx->ops->bind) {
		err = ctx->ops->bind(ctx->drv, bond);
		if (err)
			goto erase_id;
	}
	hash_add(ctx->mms, &bond->by_mm, (unsigned long)bond->mm);
	ctx->nb_bonds++;
	/* Pairs with the barrier in vfio_svm_use_get(): an active bond is whole. */
	clear_bit_unlock(VFIO_SVM_BOND_BINDING, &bond->state);
	mutex_unlock(&ctx->lock);
	return 0;

erase_id:
	xa_erase(&ctx->ids, bond->id);
erase_pasid:
	xa_erase(&ctx->pasids, bond->pasid);
unlock:
	mutex_unlock(&ctx->lock);
	return err;
}

/**
 * vfio_svm_bond_bind() - bind an address space
 * @ctx: the open device
 * @target: its mm with a reference on mm_users that the caller keeps
 * @rights: VFIO_SVM_READ, VFIO_SVM_WRITE
 * @cookie: for events
 *
 * Return: the bond with a reference for the caller, or an error that left no trace.
 */
struct vfio_svm_bond *vfio_svm_bond_bind(struct vfio_svm_ctx *ctx,
					 const struct vfio_svm_target *target,
					 u32 rights, u64 cookie)
{
	struct vfio_svm_bond *bond;
	int err;

	/* First: what rests still counts. */
	if (mutex_lock_killable(&ctx->lock))
		return ERR_PTR(-EINTR);
	ctx_reap_locked(ctx);
	mutex_unlock(&ctx->lock);
	bond = bond_alloc(ctx, target, rights, cookie);
	if (IS_ERR(bond))
		return bond;
	err = bond_watch(bond);
	if (err)
		goto put_bond;
	refcount_inc(&bond->refs);	/* the caller's */
	err = bond_publish(ctx, bond);
	if (err)
		goto unwatch;
	return bond;

unwatch:
	vfio_svm_bond_put(bond);
	mmu_notifier_put(&bond->mn);
put_bond:
	vfio_svm_bond_put(bond);
	return ERR_PTR(err);
}

/*
 * Take an active bond out of the tables. From here on it is the caller's to
 * drain; its PASID rests.
 */
static void bond_retire_locked(struct vfio_svm_ctx *ctx, struct vfio_svm_bond *bond)
{
	lockdep_assert_held(&ctx->lock);
	set_bit(VFIO_SVM_BOND_UNBOUND, &bond->state);
	xa_erase(&ctx->ids, bond->id);
	hash_del(&bond->by_mm);
	ctx->nb_bonds--;
	ctx->nb_ending++;
}

/* Stop the device's use of the bond, and wait for the accesses under way. */
static int bond_drain(struct vfio_svm_ctx *ctx, struct vfio_svm_bond *bond)
{
	if (ctx->ops->unbind)
		ctx->ops->unbind(ctx->drv, bond);
	/* Pairs with the barrier in vfio_svm_use_get(): it sees the state, or we its use. */
	smp_mb__after_atomic();
	if (!wait_event_timeout(ctx->drained, vfio_svm_bond_idle(bond), DRAIN_TIMEOUT))
		return -EBUSY;
	return 0;
}

static int bond_end(struct vfio_svm_ctx *ctx, struct vfio_svm_bond *bond)
{
	int err = bond_drain(ctx, bond);

	mmu_notifier_put(&bond->mn);
	mutex_lock(&ctx->lock);
	bond->stamp = ctx->ops->stamp ? ctx->ops->stamp(ctx->drv) : 0;
	list_add_tail(&bond->rest, &ctx->resting);
	ctx->nb_ending--;
	mutex_unlock(&ctx->lock);
	wake_up_all(&ctx->drained);
	return err;
}

static int bond_unbind_locked(struct vfio_svm_ctx *ctx, u64 id)
{
	struct vfio_svm_bond *bond;

	bond = xa_load(&ctx->ids, id);
	if (bond)
		bond_retire_locked(ctx, bond);
	mutex_unlock(&ctx->lock);
	return bond ? bond_end(ctx, bond) : -ENOENT;
}

int vfio_svm_bond_unbind(struct vfio_svm_ctx *ctx, u64 id)
{
	if (mutex_lock_killable(&ctx->lock))
		return -EINTR;
	return bond_unbind_locked(ctx, id);
}

/*
 * Take a bond back that its caller was not told of. A reply fails for a caller that is
 * being killed, too, so no signal may end this: nobody else knows the id.
 */
void vfio_svm_bond_take_back(struct vfio_svm_bond *bond)
{
	mutex_lock(&bond->ctx->lock);
	bond_unbind_locked(bond->ctx, bond->id);
}

int vfio_svm_bond_unbind_pasid(struct vfio_svm_ctx *ctx, u32 pasid)
{
	struct vfio_svm_bond *bond;

	if (mutex_lock_killable(&ctx->lock))
		return -EINTR;
	bond = xa_load(&ctx->pasids, pasid);
	if (bond && test_bit(VFIO_SVM_BOND_UNBOUND, &bond->state))
		bond = NULL;
	if (bond)
		bond_retire_locked(ctx, bond);
	mutex_unlock(&ctx->lock);
	return bond ? bond_end(ctx, bond) : -ENOENT;
}

/* The bond of an id with a reference, or NULL. */
struct vfio_svm_bond *vfio_svm_bond_by_id(struct vfio_svm_ctx *ctx, u64 id)
{
	struct vfio_svm_bond *bond;

	mutex_lock(&ctx->lock);
	bond = xa_load(&ctx->ids, id);
	if (bond)
		refcount_inc(&bond->refs);
	mutex_unlock(&ctx->lock);
	return bond;
}
EXPORT_SYMBOL_GPL(vfio_svm_bond_by_id);

/*
 * The device is stopped and takes nothing any more: end what is bound, and let go
 * of what rests. A use that could not be ended keeps its bond, and the bond the
 * context.
 */
void vfio_svm_bond_close_all(struct vfio_svm_ctx *ctx)
{
	struct vfio_svm_bond *bond, *next;
	unsigned long index;

	mutex_lock(&ctx->lock);
	ctx->closed = true;
	xa_for_each(&ctx->ids, index, bond) {
		bond_retire_locked(ctx, bond);
		if (ctx->ops->unbind)
			ctx->ops->unbind(ctx->drv, bond);
		mmu_notifier_put(&bond->mn);
		list_add_tail(&bond->rest, &ctx->resting);
		ctx->nb_ending--;
	}
	mutex_unlock(&ctx->lock);
	/* A consent descriptor's call may be ending a bond of its own, with a bound. */
	wait_event(ctx->drained, !READ_ONCE(ctx->nb_ending));

	mutex_lock(&ctx->lock);
	list_for_each_entry_safe(bond, next, &ctx->resting, rest) {
		list_del(&bond->rest);
		xa_erase(&ctx->pasids, bond->pasid);
		vfio_svm_bond_put(bond);
	}
	mutex_unlock(&ctx->lock);
}

/*
 * No notifier's free_notifier runs after this, so the module's text may go.
 * mmu_notifier_synchronize() waits for a grace period, but callbacks of another CPU
 * may still be due after it; so the bonds are counted. The last one's callback runs
 * with softirqs off, which synchronize_rcu() waits for.
 */
void vfio_svm_bond_exit(void)
{
	mmu_notifier_synchronize();
	while (atomic_read(&nb_all))
		msleep(1);
	synchronize_rcu();
}
