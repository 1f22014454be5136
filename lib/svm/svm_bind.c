/* SPDX-License-Identifier: BSD-3-Clause */
/* Bind by the owner, what both forms of bind share, and unbind. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>

#include "svm_bind.h"
#include "svm_log.h"
#include "svm_trace.h"

/* Bound of a probe. */
#define PROBE_MAX_US	200000u

uint32_t
svm_bind_probe_us(const struct svm_dev *dev)
{
	return RTE_MIN(dev->conf.timeout_us, PROBE_MAX_US);
}

static int
probe(struct svm_dev *dev, const struct svm_ident *ident)
{
	struct svm_probe *p;
	int ret;

	ret = svm_probe_create(dev->lanes, ident, svm_bind_probe_us(dev), -1, NULL, 0, &p);
	if (ret < 0)
		return ret;
	ret = svm_probe_run(p);
	svm_probe_destroy(p);
	return ret;
}

/* ---- why the kernel said no ---- */

static int
yama_scope(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%d", &scope) != 1)
		scope = 0;
	fclose(f);
	return scope;
}

void
svm_bind_log_refusal(struct svm_dev *dev, pid_t pid, const struct svm_ident *ident, int err)
{
	char path[32];
	struct stat st;
	const int yama = yama_scope();

	if (err != -EPERM && err != -EACCES) {
		SVM_LOG(ERR, "%s: cannot bind pid %d: %s", dev->conf.name, (int)pid,
			strerror(-err));
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	/* A process that is not dumpable has its /proc folder given to root. */
	if (ident->pid > 0 && ident->cred.euid != 0 && stat(path, &st) == 0 &&
			st.st_uid != ident->cred.euid)
		SVM_LOG(ERR, "%s: cannot bind pid %d: the process is not dumpable; it has to allow it with prctl(PR_SET_DUMPABLE, 1)",
			dev->conf.name, (int)pid);
	else if (yama != 0)
		SVM_LOG(ERR, "%s: cannot bind pid %d: refused by the ptrace check, kernel.yama.ptrace_scope is %d; the process has to name this one with prctl(PR_SET_PTRACER, %d)",
			dev->conf.name, (int)pid, yama, (int)getpid());
	else
		SVM_LOG(ERR, "%s: cannot bind pid %d: refused by the kernel's ptrace check; another user's process, not dumpable, or with more capabilities than its user may reach",
			dev->conf.name, (int)pid);
}

/* ---- bind ---- */

struct svm_bond *
svm_bind_stale_get(struct svm_dev *dev, pid_t pid, struct svm_ident *ident)
{
	struct svm_bond_table *t = dev->bonds;
	struct svm_bond *b;

	pthread_mutex_lock(&t->lock);
	b = svm_bond_find_pid_locked(t, pid);
	if (b != NULL && !svm_bond_active(b))
		b = NULL;
	if (b != NULL) {
		/* Like an operation: the descriptors stay open meanwhile. */
		__atomic_fetch_add(&b->ops, 1, __ATOMIC_SEQ_CST);
		*ident = b->ident;
	}
	pthread_mutex_unlock(&t->lock);
	return b;
}

int
svm_bind_stale_put(struct svm_bond *b, int probed)
{
	if (probed == -ESRCH)
		svm_bond_mark_dead(b);
	svm_bond_put(b);
	return probed == -ESRCH ? 0 : -EEXIST;
}

int
svm_bind_enter(struct svm_dev *dev, struct svm_ident *ident, uint64_t user, bool by_socket,
		uint64_t *bond)
{
	const pid_t pid = ident->pid;
	const int pidfd = ident->pidfd;
	struct svm_bond *b;
	int ret;

	/* Held: nobody can unbind it, and close the pidfd, before it is watched. */
	ret = svm_bond_create_held(dev->bonds, ident, user, by_socket, bond, &b);
	if (ret < 0)
		return ret;
	ident->pidfd = ident->memfd = -1;
	ret = svm_server_watch(dev->server, pidfd, *bond);
	svm_bond_put(b);
	if (ret < 0) {
		svm_dev_unbind(dev, *bond);
		return ret;
	}
	svm_trace_bind(dev->id, pid, *bond, 0);
	SVM_LOG(INFO, "%s: bound pid %d as bond %" PRIx64, dev->conf.name, (int)pid, *bond);
	return 0;
}

int
svm_dev_bind(struct svm_dev *dev, pid_t pid, uint64_t *bond)
{
	struct svm_ident ident = { .pidfd = -1, .memfd = -1 };
	struct svm_bond *stale;
	int ret;

	if (pid <= 0 || pid == getpid() || bond == NULL)
		return -EINVAL;
	stale = svm_bind_stale_get(dev, pid, &ident);
	if (stale != NULL) {
		ret = svm_bind_stale_put(stale, probe(dev, &ident));
		if (ret < 0)
			return ret;
	}
	ret = svm_ident_open_timed(&ident, pid, SVM_BIND_OPEN_US);
	if (ret < 0)
		goto refused;
	ret = probe(dev, &ident);
	if (ret < 0)
		goto close_ident;
	ret = svm_bind_enter(dev, &ident, 0, false, bond);
	if (ret < 0)
		goto close_ident;
	return 0;

close_ident:
	svm_ident_close(&ident);
refused:
	svm_trace_bind(dev->id, pid, 0, ret);
	svm_bind_log_refusal(dev, pid, &ident, ret);
	return ret == -EACCES ? -EPERM : ret;
}

/* ---- unbind ---- */

int
svm_dev_unbind_step(struct svm_dev *dev, uint64_t bond)
{
	struct svm_ident ident;
	struct svm_bond *b;
	int ret;

	ret = svm_bond_drain(dev->bonds, bond, &b);
	if (ret < 0)
		return ret;
	/* Windows first: they let go of the PASID. */
	if (!svm_window_end_bond(dev->windows, bond, b->pasid) || !svm_bond_drained(b))
		return -EBUSY;
	ret = svm_dev_mem_end(dev, bond, b);
	if (ret < 0)
		return ret;
	ret = svm_bond_retire(dev->bonds, bond, &ident);
	if (ret < 0)
		return ret;
	/* Of two callers one gets here: the number is still this bond's. */
	if (ident.pidfd >= 0)
		svm_server_unwatch(dev->server, ident.pidfd);
	svm_ident_close(&ident);
	svm_trace_unbind(dev->id, bond);
	return 0;
}

int
svm_dev_unbind(struct svm_dev *dev, uint64_t bond)
{
	const uint64_t end = svm_now_us() + SVM_ENGINE_END_US(dev->conf.timeout_us);
	int ret;

	while ((ret = svm_dev_unbind_step(dev, bond)) == -EBUSY && svm_now_us() < end) {
		svm_dev_help_engines(dev);
		svm_pause_us(20);
	}
	return ret;
}
