// SPDX-License-Identifier: GPL-2.0
/*
 * Whose address space may the caller have bound? The kernel's own answer: what
 * PTRACE_MODE_ATTACH_REALCREDS says, security modules included. mm_access() is
 * not exported, but opening /proc/PID/mem runs it, and leaves the mm it allowed
 * in the file.
 *
 * The open goes to a proc mount of our own, so nothing that is mounted over /proc
 * can stand in for it. The mount belongs to the first pid namespace and is asked
 * for numbers of that namespace, which name every process there is; the caller's
 * number was turned into a struct pid before, in the caller's namespace.
 *
 * The open uses the caller's credentials with the file system ids set to the real
 * ones (that makes FSCREDS, which proc asks for, REALCREDS, which the contract
 * says). Capabilities stay as they are, never raised.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "vfio_svm_private.h"

static struct vfsmount *proc_mnt;
static const struct file_operations *mem_fops;

/* The file operations of /proc/PID/mem, from an O_PATH open, which asks nobody. */
static int learn_mem_fops(void)
{
	struct file *file = file_open_root_mnt(proc_mnt, "1/mem", O_PATH, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	mem_fops = file_inode(file)->i_fop;
	fput(file);
	return 0;
}

struct perm_init_work {
	struct work_struct work;
	int err;
};

/* In a kernel thread: proc mounts the pid namespace of whoever mounts it. */
static void perm_init_fn(struct work_struct *work)
{
	struct perm_init_work *init = container_of(work, struct perm_init_work, work);
	struct file_system_type *type = get_fs_type("proc");

	init->err = -ENODEV;
	if (!type)
		return;
	proc_mnt = kern_mount(type);
	module_put(type->owner);
	init->err = PTR_ERR_OR_ZERO(proc_mnt);
	if (init->err)
		return;
	init->err = learn_mem_fops();
	if (init->err)
		kern_unmount(proc_mnt);
}

int vfio_svm_perm_init(void)
{
	struct perm_init_work init;

	INIT_WORK_ONSTACK(&init.work, perm_init_fn);
	schedule_work(&init.work);
	flush_work(&init.work);
	destroy_work_on_stack(&init.work);
	return init.err;
}

void vfio_svm_perm_exit(void)
{
	kern_unmount(proc_mnt);
}

/* The mm of an open /proc/PID/mem, with a reference on its users. */
static struct mm_struct *mm_of_mem_file(struct file *file)
{
	struct mm_struct *mm = file->private_data;

	if (!mm || !mmget_not_zero(mm))
		return ERR_PTR(-ESRCH);
	return mm;
}

static struct file *open_mem(struct pid *pid)
{
	const struct cred *old;
	struct cred *cred;
	struct file *file;
	char name[32];

	cred = prepare_creds();
	if (!cred)
		return ERR_PTR(-ENOMEM);
	cred->fsuid = cred->uid;
	cred->fsgid = cred->gid;
	snprintf(name, sizeof(name), "%d/mem", pid_nr(pid));
	old = override_creds(cred);
	file = file_open_root_mnt(proc_mnt, name, O_RDWR | O_LARGEFILE, 0);
	revert_creds(old);
	put_cred(cred);
	if (file == ERR_PTR(-ENOENT))
		return ERR_PTR(-ESRCH);
	return file;
}

/*
 * The mm that the check allowed, when it is the task's: the number may have gone
 * to another process, or the task have replaced its mm, while the file was opened.
 */
static struct mm_struct *checked_mm(struct task_struct *task, struct pid *pid)
{
	struct mm_struct *mm, *now;
	struct file *file;

	file = open_mem(pid);
	if (IS_ERR(file))
		return ERR_CAST(file);
	mm = ERR_PTR(-ESRCH);
	if (file->f_op == mem_fops)
		mm = mm_of_mem_file(file);
	fput(file);
	if (IS_ERR(mm))
		return mm;
	now = get_task_mm(task);
	if (now)
		mmput_async(now);
	if (now == mm)
		return mm;
	mmput_async(mm);
	return ERR_PTR(-ESRCH);
}

static struct mm_struct *mm_by_pid(struct pid *pid, kuid_t *uid)
{
	struct task_struct *task;
	struct mm_struct *mm;

	task = get_pid_task(pid, PIDTYPE_PID);
	if (!task)
		return ERR_PTR(-ESRCH);
	*uid = task_uid(task);
	/* NULL for a kernel thread, a zombie, a task on its way out. */
	mm = get_task_mm(task);
	if (!mm) {
		mm = ERR_PTR(-ESRCH);
		goto put_task;
	}
	/* The own one is never refused, as in mm_access(). */
	if (mm == current->mm)
		goto put_task;
	mmput_async(mm);
	mm = checked_mm(task, pid);
put_task:
	put_task_struct(task);
	return mm;
}

static struct mm_struct *mm_by_nr(s32 nr, kuid_t *uid)
{
	struct mm_struct *mm;
	struct pid *pid;

	if (nr <= 0)
		return ERR_PTR(-EINVAL);
	pid = find_get_pid(nr);
	if (!pid)
		return ERR_PTR(-ESRCH);
	mm = mm_by_pid(pid, uid);
	put_pid(pid);
	return mm;
}

static struct mm_struct *mm_by_pidfd(s32 fd, kuid_t *uid)
{
	struct mm_struct *mm = ERR_PTR(-EINVAL);
	struct file *file = fget(fd);
	struct pid *pid;

	if (!file)
		return ERR_PTR(-EBADF);
	pid = compat_pidfd_pid(file);
	if (pid)
		mm = mm_by_pid(pid, uid);
	fput(file);
	return mm;
}

/* Whoever holds such a descriptor could read or write the memory through it already. */
static struct mm_struct *mm_by_memfd(s32 fd, u32 rights, kuid_t *uid)
{
	struct mm_struct *mm = ERR_PTR(-EINVAL);
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op != mem_fops)
		goto put_file;
	mm = ERR_PTR(-EACCES);
	if ((rights & VFIO_SVM_READ && !(file->f_mode & FMODE_READ)) ||
	    (rights & VFIO_SVM_WRITE && !(file->f_mode & FMODE_WRITE)))
		goto put_file;
	/* proc keeps whose it is in the inode. */
	*uid = file_inode(file)->i_uid;
	mm = mm_of_mem_file(file);
put_file:
	fput(file);
	return mm;
}

/**
 * vfio_svm_perm_target() - the address space that a caller asks to have bound
 * @target: filled in on success; its mm has a reference, to be dropped with mmput_async()
 * @type: VFIO_SVM_BIND_*
 * @nr: what the type says
 * @rights: VFIO_SVM_READ, VFIO_SVM_WRITE
 *
 * Return: 0, or what the check said.
 */
int vfio_svm_perm_target(struct vfio_svm_target *target, u32 type, s32 nr, u32 rights)
{
	switch (type) {
	case VFIO_SVM_BIND_SELF:
		if (nr)
			return -EINVAL;
		mmget(current->mm);
		target->mm = current->mm;
		target->uid = current_uid();
		return 0;
	case VFIO_SVM_BIND_PID:
		target->mm = mm_by_nr(nr, &target->uid);
		break;
	case VFIO_SVM_BIND_PIDFD:
		target->mm = mm_by_pidfd(nr, &target->uid);
		break;
	case VFIO_SVM_BIND_MEMFD:
		target->mm = mm_by_memfd(nr, rights, &target->uid);
		break;
	case VFIO_SVM_BIND_PGTABLE:
	case VFIO_SVM_BIND_PASID_TABLE:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
	return PTR_ERR_OR_ZERO(target->mm);
}
