// SPDX-License-Identifier: GPL-2.0
/*
 * What users have of that which is limited. Two are to answer for a bond: whoever
 * opened the device, and whoever owns the address space. Each is counted, so that
 * one worker's user cannot use up what the owner may have of others.
 *
 * Left behind is what could not be ended with its bond, because it sleeps where no
 * signal reaches it. It goes when that sleep ends; until then it counts.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "vfio_svm_private.h"

static unsigned int max_user_bonds = 16384;
module_param(max_user_bonds, uint, 0644);
MODULE_PARM_DESC(max_user_bonds, "bonds of all devices that one user has open");

static unsigned int max_owner_left = 64;
module_param(max_owner_left, uint, 0644);
MODULE_PARM_DESC(max_owner_left, "left behind by devices of one user: he binds and opens no more");

static unsigned int max_worker_left = 8;
module_param(max_worker_left, uint, 0644);
MODULE_PARM_DESC(max_worker_left, "left behind in address spaces of one user: none of his is bound");

struct vfio_svm_user {
	struct hlist_node node;
	kuid_t uid;
	refcount_t refs;
	atomic_t bonds;			/* of devices that he opened */
	atomic_t left_by;		/* left behind by devices that he opened */
	atomic_t left_in;		/* left behind in his address spaces */
};

/* The last reference may go in an SRCU callback. */
static DEFINE_SPINLOCK(users_lock);
static DEFINE_HASHTABLE(users, 6);

static struct vfio_svm_user *user_find_locked(kuid_t uid)
{
	struct vfio_svm_user *user;

	lockdep_assert_held(&users_lock);
	hash_for_each_possible(users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/* With a reference, or NULL: no memory. */
struct vfio_svm_user *vfio_svm_user_get(kuid_t uid)
{
	struct vfio_svm_user *user, *new;
	unsigned long flags;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	new->uid = uid;
	refcount_set(&new->refs, 1);
	spin_lock_irqsave(&users_lock, flags);
	user = user_find_locked(uid);
	if (user) {
		refcount_inc(&user->refs);
	} else {
		user = new;
		new = NULL;
		hash_add(users, &user->node, __kuid_val(uid));
	}
	spin_unlock_irqrestore(&users_lock, flags);
	kfree(new);
	return user;
}

void vfio_svm_user_put(struct vfio_svm_user *user)
{
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&users_lock, flags);
	last = refcount_dec_and_test(&user->refs);
	if (last)
		hash_del(&user->node);
	spin_unlock_irqrestore(&users_lock, flags);
	if (last)
		kfree(user);
}

bool vfio_svm_user_may_own(const struct vfio_svm_user *owner)
{
	return atomic_read(&owner->left_by) < READ_ONCE(max_owner_left);
}

/* One bond more. Return: 0, or -EDQUOT: for one of the two it is too much. */
int vfio_svm_user_charge(struct vfio_svm_user *owner, const struct vfio_svm_user *worker)
{
	if (!vfio_svm_user_may_own(owner) ||
	    atomic_read(&worker->left_in) >= READ_ONCE(max_worker_left) ||
	    !atomic_add_unless(&owner->bonds, 1, READ_ONCE(max_user_bonds)))
		return -EDQUOT;
	return 0;
}

void vfio_svm_user_uncharge(struct vfio_svm_user *owner)
{
	atomic_dec(&owner->bonds);
}

/**
 * vfio_svm_left_add() - something of a bond could not be ended; any context but NMI
 * @bond: it belongs to; may go before @left does
 * @left: for vfio_svm_left_del(), when it has ended after all
 */
void vfio_svm_left_add(const struct vfio_svm_bond *bond, struct vfio_svm_left *left)
{
	left->owner = bond->ctx->user;
	left->worker = bond->user;
	refcount_inc(&left->owner->refs);
	refcount_inc(&left->worker->refs);
	atomic_inc(&left->owner->left_by);
	atomic_inc(&left->worker->left_in);
}
EXPORT_SYMBOL_GPL(vfio_svm_left_add);

void vfio_svm_left_del(struct vfio_svm_left *left)
{
	atomic_dec(&left->owner->left_by);
	atomic_dec(&left->worker->left_in);
	vfio_svm_user_put(left->owner);
	vfio_svm_user_put(left->worker);
}
EXPORT_SYMBOL_GPL(vfio_svm_left_del);

/* How much is left behind by devices of whoever opened this one. */
unsigned int vfio_svm_left_of(const struct vfio_svm_ctx *ctx)
{
	return atomic_read(&ctx->user->left_by);
}
EXPORT_SYMBOL_GPL(vfio_svm_left_of);
