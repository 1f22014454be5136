/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bind and unbind.
 *
 * Permission is asked of the kernel by a real access: process_vm_readv of one
 * byte at address 0, in a lane with the worker's rights. The check comes before
 * the address is looked at, so EFAULT means yes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>

#include "svm_dev.h"
#include "svm_log.h"

/* Bound of a probe: the server's thread waits for it. */
#define PROBE_MAX_US	200000u
/* ... of them, on a machine with more to run than cores. */
#define PROBE_WAITS	16u
/* Bound of opening a process, which takes some 100 us. */
#define IDENT_MAX_US	1000000u

/* What a lane needs to probe; it outlives the call when the lane does not come back. */
struct probe {
	struct svm_job job;
	struct svm_xfer xfer;
	uint8_t byte;
};

static int
probe_result(const struct probe *p)
{
	switch (p->xfer.status) {
	case SVM_ST_OK:
	case SVM_ST_PAGE_FAULT:
		return 0;
	case SVM_ST_DENIED:
		return -EPERM;
	case SVM_ST_BOND_DEAD:
		return -ESRCH;
	default:
		return -ENOMEM;
	}
}

static int
probe_in_lane(struct svm_dev *dev, const struct svm_ident *ident, struct probe *p,
		bool *leak)
{
	const uint32_t us = RTE_MIN(dev->conf.timeout_us, PROBE_MAX_US);
	enum svm_lane_state state;
	struct svm_lane *lane;
	uint32_t waits = 0;
	int ret;

	ret = svm_lane_get(dev->lanes, &ident->cred, PROBE_WAITS * us, &lane);
	if (ret < 0)
		return ret;
	svm_lane_submit(lane, &p->job);
	do {
		state = svm_lane_wait(lane, us * UINT64_C(1000));
	} while (state == SVM_LANE_BUSY && ++waits != PROBE_WAITS &&
			!svm_lane_blocked(lane));
	if (state == SVM_LANE_BUSY) {
		svm_lane_kill(dev->lanes, lane);
		state = svm_lane_wait(lane, us * UINT64_C(1000));
		*leak = state != SVM_LANE_DEAD;
		ret = -ETIMEDOUT;
	} else {
		ret = state == SVM_LANE_IDLE ? probe_result(p) : -ECANCELED;
	}
	svm_lane_put(dev->lanes, lane);
	return ret;
}

static int
probe(struct svm_dev *dev, const struct svm_ident *ident)
{
	struct probe *p = calloc(1, sizeof(*p));
	bool leak = false;
	int ret, tries;

	if (p == NULL)
		return -ENOMEM;
	/* A lane that somebody else ends says nothing about the worker. */
	for (tries = 0, ret = -ECANCELED; ret == -ECANCELED && tries != 3; tries++) {
		p->xfer = (struct svm_xfer){ .remote = 0, .local = &p->byte, .len = 1 };
		p->job.pid = ident->pid;
		p->job.pidfd = ident->pidfd;
		p->job.memfd = ident->memfd;
		p->job.write = false;
		p->job.nb = 1;
		p->job.xfer = &p->xfer;
		if (dev->lanes == NULL) {
			svm_xfer_run(&p->job);
			ret = probe_result(p);
		} else {
			ret = probe_in_lane(dev, ident, p, &leak);
		}
	}
	if (!leak)
		free(p);
	return ret == -ECANCELED ? -EPERM : ret;
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

static void
log_refusal(struct svm_dev *dev, pid_t pid, const struct svm_ident *ident, int err)
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

/* A bond whose process has ended or called exec stands in the way: see whether it has. */
static int
bury_stale(struct svm_dev *dev, pid_t pid)
{
	struct svm_bond_table *t = dev->bonds;
	struct svm_bond *b = NULL;
	struct svm_ident ident;
	uint32_t i;
	int ret;

	pthread_mutex_lock(&t->lock);
	for (i = 0; i != svm_pasid_highest(t->pasids) && b == NULL; i++) {
		if (t->bonds[i].ident.pid == pid && svm_bond_active(&t->bonds[i]))
			b = &t->bonds[i];
	}
	if (b != NULL) {
		/* Like an operation: the descriptors stay open meanwhile. */
		__atomic_fetch_add(&b->ops, 1, __ATOMIC_SEQ_CST);
		ident = b->ident;
	}
	pthread_mutex_unlock(&t->lock);
	if (b == NULL)
		return 0;
	ret = probe(dev, &ident);
	if (ret == -ESRCH)
		svm_bond_mark_dead(b);
	svm_bond_put(b);
	return ret == -ESRCH ? 0 : -EEXIST;
}

/*
 * A worker could send BIND and exec a setuid program before the owner reads it:
 * with the program's rights a lane would then reach the program. The kernel
 * noted the worker's user as it connected; root has nothing to gain that way.
 */
static bool
user_changed(const struct svm_cred *cred, uid_t asker)
{
	return asker != 0 && (cred->euid != asker || cred->suid != asker);
}

int
svm_dev_bind(struct svm_dev *dev, pid_t pid, uint64_t user, const uid_t *asker,
		uint64_t *bond)
{
	struct svm_ident ident = { .pidfd = -1, .memfd = -1 };
	int ret;

	if (pid <= 0 || pid == getpid() || bond == NULL)
		return -EINVAL;
	ret = bury_stale(dev, pid);
	if (ret < 0)
		return ret;
	ret = svm_ident_open_timed(&ident, pid, IDENT_MAX_US);
	if (ret < 0)
		goto refused;
	if (asker != NULL && user_changed(&ident.cred, *asker)) {
		SVM_LOG(ERR, "%s: cannot bind pid %d: it connected as uid %u and has another user now",
			dev->conf.name, (int)pid, *asker);
		svm_ident_close(&ident);
		return -EPERM;
	}
	ret = probe(dev, &ident);
	if (ret < 0)
		goto close_ident;
	ret = svm_bond_create(dev->bonds, &ident, user, asker != NULL, bond);
	if (ret < 0)
		goto close_ident;
	if (ident.pidfd >= 0) {
		ret = svm_server_watch(dev->server, ident.pidfd, *bond);
		if (ret < 0)
			goto end_bond;
	}
	SVM_LOG(INFO, "%s: bound pid %d as bond %" PRIx64, dev->conf.name, (int)pid, *bond);
	return 0;

end_bond:
	svm_dev_unbind(dev, *bond);
	return ret;
close_ident:
	svm_ident_close(&ident);
refused:
	log_refusal(dev, pid, &ident, ret);
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
	if (!svm_bond_drained(b))
		return -EBUSY;
	ret = svm_bond_retire(dev->bonds, bond, &ident);
	if (ret < 0)
		return ret;
	/* Of two callers one gets here: the number is still this bond's. */
	if (ident.pidfd >= 0)
		svm_server_unwatch(dev->server, ident.pidfd);
	svm_ident_close(&ident);
	return 0;
}

static void
help_engine(struct svm_engine *e, void *arg)
{
	RTE_SET_USED(arg);
	svm_engine_help(e);
}

int
svm_dev_unbind(struct svm_dev *dev, uint64_t bond)
{
	const uint64_t end = svm_now_us() + SVM_ENGINE_END_US(dev->conf.timeout_us);
	int ret;

	while ((ret = svm_dev_unbind_step(dev, bond)) == -EBUSY && svm_now_us() < end) {
		svm_dev_for_engines(dev, help_engine, NULL);
		svm_pause_us(20);
	}
	return ret;
}
