// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses to bonds: begun and ended by the data path, counted so that an unbind,
 * a revocation and a narrowing know when the last one that matters is over.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "vfio_svm_private.h"

/**
 * vfio_svm_use_get() - begin an access; never sleeps
 * @ctx: the open device
 * @pasid: as a descriptor has it
 * @use: filled in on success; end with vfio_svm_use_put()
 *
 * Return: 0, -ENOENT for no such bond, -ESRCH for one that has ended.
 */
int vfio_svm_use_get(struct vfio_svm_ctx *ctx, u32 pasid, struct vfio_svm_use *use)
{
	struct vfio_svm_bond *bond;

	rcu_read_lock();
	bond = xa_load(&ctx->pasids, pasid);
	if (!bond) {
		rcu_read_unlock();
		return -ENOENT;
	}
	if (READ_ONCE(bond->state) || !refcount_inc_not_zero(&bond->refs)) {
		rcu_read_unlock();
		return -ESRCH;
	}
	rcu_read_unlock();

	use->bond = bond;
	use->phase = READ_ONCE(bond->phase) & 1;
	atomic_inc(&bond->users[use->phase]);
	/* Pairs with bond_drain() and narrow_wait(): counted, then looked. */
	smp_mb__after_atomic();
	if (READ_ONCE(bond->state)) {
		vfio_svm_use_put(use);
		return -ESRCH;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_svm_use_get);

void vfio_svm_use_put(struct vfio_svm_use *use)
{
	struct vfio_svm_bond *bond = use->bond;

	use->bond = NULL;
	/* The reference keeps bond and context for the wake-up. */
	if (atomic_dec_and_test(&bond->users[use->phase])) {
		/* Pairs with the waiter, which is queued before it looks at the counter. */
		smp_mb__after_atomic();
		if (waitqueue_active(&bond->ctx->drained))
			wake_up_all(&bond->ctx->drained);
	}
	vfio_svm_bond_put(bond);
}
EXPORT_SYMBOL_GPL(vfio_svm_use_put);

/**
 * vfio_svm_bond_allows() - may this range be accessed?
 * @bond: in use by the caller
 * @addr: first byte
 * @len: bytes, not 0; addr + len does not wrap
 * @right: VFIO_SVM_READ or VFIO_SVM_WRITE
 *
 * A range must lie within one window.
 */
bool vfio_svm_bond_allows(struct vfio_svm_bond *bond, u64 addr, u64 len, u32 right)
{
	const struct vfio_svm_windows *windows;
	bool allowed;
	u32 i;

	if (!(bond->rights & right))
		return false;
	rcu_read_lock();
	windows = rcu_dereference(bond->windows);
	allowed = !windows;
	for (i = 0; windows && i < windows->nb && !allowed; i++)
		allowed = (windows->w[i].rights & right) && addr >= windows->w[i].start &&
			  addr + (len - 1) <= windows->w[i].last;
	rcu_read_unlock();
	return allowed;
}
EXPORT_SYMBOL_GPL(vfio_svm_bond_allows);

static bool windows_within(const struct vfio_svm_windows *new,
			   const struct vfio_svm_windows *old, u32 rights)
{
	u32 i, j;

	for (i = 0; i < new->nb; i++) {
		if (new->w[i].rights & ~rights)
			return false;
		for (j = 0; old && j < old->nb; j++)
			if (!(new->w[i].rights & ~old->w[j].rights) &&
			    new->w[i].start >= old->w[j].start &&
			    new->w[i].last <= old->w[j].last)
				break;
		if (old && j == old->nb)
			return false;
	}
	return true;
}

/*
 * Wait for the accesses that may have looked at the old windows. One that read
 * the phase before a flip may count itself after it, in the phase that the flip
 * before had emptied: so both are emptied, one after the other, while new
 * accesses use the other one.
 */
static int narrow_wait(struct vfio_svm_bond *bond)
{
	unsigned int round, phase;

	for (round = 0; round < 2; round++) {
		phase = bond->phase & 1;
		WRITE_ONCE(bond->phase, bond->phase + 1);
		/* Pairs with vfio_svm_use_get(): it sees the new windows, or we its use. */
		smp_mb();
		if (wait_event_killable(bond->ctx->drained, !atomic_read(&bond->users[phase])))
			return -EINTR;
	}
	return 0;
}

/**
 * vfio_svm_bond_narrow() - allow these windows alone
 * @bond: with a reference of the caller's
 * @windows: taken over on success and on -EINTR
 *
 * Return: 0 when no access outside is under way any more; -EACCES for a window
 * that was not allowed before; -EINTR when a signal ended the wait: the windows
 * hold for every access that begins. -EINTR before that, too, takes them over.
 */
int vfio_svm_bond_narrow(struct vfio_svm_bond *bond, struct vfio_svm_windows *windows)
{
	struct vfio_svm_windows *old;
	struct vfio_svm_event event;
	int err;

	if (mutex_lock_killable(&bond->narrow_lock)) {
		kfree(windows);
		return -EINTR;
	}
	old = rcu_dereference_protected(bond->windows, lockdep_is_held(&bond->narrow_lock));
	err = -EACCES;
	if (!windows_within(windows, old, bond->rights))
		goto unlock;
	rcu_assign_pointer(bond->windows, windows);
	err = narrow_wait(bond);
	if (old)
		kfree_rcu(old, rcu);
	vfio_svm_event_of_bond(&event, VFIO_SVM_EVENT_NARROWED, bond);
	vfio_svm_event_post(bond->ctx, &event);
unlock:
	mutex_unlock(&bond->narrow_lock);
	return err;
}

/* The consenting process takes its bond back. */
int vfio_svm_bond_revoke(struct vfio_svm_bond *bond)
{
	struct vfio_svm_event event;

	if (test_bit(VFIO_SVM_BOND_GONE, &bond->state) ||
	    test_bit(VFIO_SVM_BOND_UNBOUND, &bond->state) ||
	    test_and_set_bit(VFIO_SVM_BOND_REVOKED, &bond->state))
		return -ENOENT;
	vfio_svm_event_of_bond(&event, VFIO_SVM_EVENT_REVOKED, bond);
	vfio_svm_event_post(bond->ctx, &event);
	smp_mb__after_atomic();
	if (wait_event_killable(bond->ctx->drained, vfio_svm_bond_idle(bond)))
		return -EINTR;
	return 0;
}
