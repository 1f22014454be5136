/* SPDX-License-Identifier: GPL-2.0 */
/* What the core's own files share. */
#ifndef VFIO_SVM_PRIVATE_H
#define VFIO_SVM_PRIVATE_H

#include "vfio_svm_core.h"

/* vfio_svm_user.c */
struct vfio_svm_user *vfio_svm_user_get(kuid_t uid);
void vfio_svm_user_put(struct vfio_svm_user *user);
bool vfio_svm_user_may_own(const struct vfio_svm_user *owner);
int vfio_svm_user_charge(struct vfio_svm_user *owner, const struct vfio_svm_user *worker);
void vfio_svm_user_uncharge(struct vfio_svm_user *owner);

/* An address space to bind, with a reference on mm_users where the caller has none else. */
struct vfio_svm_target {
	struct mm_struct *mm;
	kuid_t uid;			/* whose it is, to be counted */
};

/* vfio_svm_perm.c */
int vfio_svm_perm_init(void);
void vfio_svm_perm_exit(void);
int vfio_svm_perm_target(struct vfio_svm_target *target, u32 type, s32 nr, u32 rights);

/* vfio_svm_bond.c */
struct vfio_svm_bond *vfio_svm_bond_bind(struct vfio_svm_ctx *ctx,
					 const struct vfio_svm_target *target,
					 u32 rights, u64 cookie);
int vfio_svm_bond_unbind(struct vfio_svm_ctx *ctx, u64 id);
void vfio_svm_bond_take_back(struct vfio_svm_bond *bond);
int vfio_svm_bond_unbind_pasid(struct vfio_svm_ctx *ctx, u32 pasid);
void vfio_svm_bond_close_all(struct vfio_svm_ctx *ctx);
void vfio_svm_bond_exit(void);

static inline bool vfio_svm_bond_idle(const struct vfio_svm_bond *bond)
{
	return !atomic_read(&bond->users[0]) && !atomic_read(&bond->users[1]);
}

/* vfio_svm_use.c */
int vfio_svm_bond_narrow(struct vfio_svm_bond *bond, struct vfio_svm_windows *windows);
int vfio_svm_bond_revoke(struct vfio_svm_bond *bond);

/* vfio_svm_main.c */
void vfio_svm_ctx_put(struct vfio_svm_ctx *ctx);

/* vfio_svm_consent.c */
int vfio_svm_consent_create(struct vfio_svm_ctx *ctx, void __user *arg);

/* vfio_svm_event.c */
int vfio_svm_events_init(struct vfio_svm_events *events, int node);
void vfio_svm_events_free(struct vfio_svm_events *events);

#endif /* VFIO_SVM_PRIVATE_H */
