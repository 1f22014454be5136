/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System call instructions of the library's own, as lanes use them: a seccomp
 * filter picks those by their address, and a thread answers for the kernel.
 * The filter stays for as long as the process lives.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failcall.h"

static bool
futex_waits(const long *args)
{
	const long op = args[1] & FUTEX_CMD_MASK;

	return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET;
}

static const struct raw_row {
	long nr;
	struct fc_row row;
} rows[] = {
	{ SYS_clone, { "clone", FC_NEGATIVE, { EAGAIN, ENOMEM, EMFILE }, NULL, NULL } },
	{ SYS_futex, { "futex", FC_NEGATIVE, { EINTR }, NULL, futex_waits } },
	{ SYS_process_vm_readv, { "process_vm_readv", FC_NEGATIVE, { ENOMEM }, NULL, NULL } },
	{ SYS_process_vm_writev, { "process_vm_writev", FC_NEGATIVE, { ENOMEM }, NULL, NULL } },
	{ SYS_pread64, { "pread64", FC_NEGATIVE, { ENOMEM }, NULL, NULL } },
	{ SYS_prctl, { "prctl", FC_NEGATIVE, { EPERM }, NULL, NULL } },
	{ SYS_capset, { "capset", FC_NEGATIVE, { EPERM }, NULL, NULL } },
	{ SYS_setgroups, { "setgroups", FC_NEGATIVE, { ENOMEM }, NULL, NULL } },
	{ SYS_setresgid, { "setresgid", FC_NEGATIVE, { ENOMEM }, NULL, NULL } },
	{ SYS_setresuid, { "setresuid", FC_NEGATIVE, { EAGAIN }, NULL, NULL } },
	/* Asked so that nothing can be wanting. */
	{ SYS_exit, { "exit", FC_NEVER, { 0 }, NULL, NULL } },
	{ SYS_getppid, { "getppid", FC_NEVER, { 0 }, NULL, NULL } },
	{ SYS_pidfd_send_signal, { "pidfd_send_signal", FC_NEVER, { 0 }, NULL, NULL } },
	{ SYS_ppoll, { "ppoll", FC_NEVER, { 0 }, NULL, NULL } },
	{ SYS_write, { "write", FC_NEVER, { 0 }, NULL, NULL } },	/* an eventfd */
	{ SYS_rt_sigprocmask, { "rt_sigprocmask", FC_NEVER, { 0 }, NULL, NULL } },
};

static struct {
	int fd;
	struct seccomp_notif_sizes sizes;
	int unknown;	/* atomic */
} raw = { .fd = -1, .unknown = -1 };

static int
errno_for(const struct seccomp_data *d)
{
	long args[6];
	size_t i;

	for (i = 0; i < 6; i++)
		args[i] = (long)d->args[i];
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].nr == d->nr)
			return fc_look(d->instruction_pointer, &rows[i].row, args);
	__atomic_store_n(&raw.unknown, d->nr, __ATOMIC_RELAXED);
	return 0;
}

static void *
answer_main(void *arg)
{
	struct seccomp_notif *req = malloc(raw.sizes.seccomp_notif);
	struct seccomp_notif_resp *resp = malloc(raw.sizes.seccomp_notif_resp);

	(void)arg;
	while (req != NULL && resp != NULL) {
		int err;

		memset(req, 0, raw.sizes.seccomp_notif);
		/* ENOENT: who asked has been killed meanwhile. */
		if (ioctl(raw.fd, SECCOMP_IOCTL_NOTIF_RECV, req) != 0)
			continue;
		err = errno_for(&req->data);
		memset(resp, 0, raw.sizes.seccomp_notif_resp);
		resp->id = req->id;
		resp->error = -err;
		resp->flags = err == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
		ioctl(raw.fd, SECCOMP_IOCTL_NOTIF_SEND, resp);
	}
	/* Nobody would answer any more. */
	abort();
}

static int
filter_install(uintptr_t base, uintptr_t end)
{
	const uint32_t at = offsetof(struct seccomp_data, instruction_pointer);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(base >> 32), 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)base, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)end, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	/* The upper half is compared once. */
	if (base >> 32 != end >> 32)
		return -ERANGE;
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &raw.sizes) != 0 ||
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	raw.fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	return raw.fd < 0 ? -errno : 0;
}

int
fc_raw_begin(void)
{
	pthread_t thread;
	uintptr_t base, end;
	int ret;

	fc_lib_range(0, &base, &end);
	ret = filter_install(base, end);
	if (ret == 0)
		ret = -pthread_create(&thread, NULL, answer_main, NULL);
	return ret;
}

bool
fc_raw_is_on(void)
{
	return raw.fd >= 0;
}

int
fc_raw_unknown(void)
{
	return __atomic_load_n(&raw.unknown, __ATOMIC_RELAXED);
}
