/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "svm_admit.h"
#include "svm_log.h"
#include "svm_policy.h"
#include "svm_sock.h"

#define ADMIT_TELL_MS	1000

/*
 * What is counted, in one table. A process is counted for its user: a connection
 * may outlive it, held by a copy of the socket, and the pid be another's by then.
 */
#define KEY_UID(uid)	(UINT64_C(1) << 32 | (uint32_t)(uid))
#define KEY_PID(pid, uid)	(UINT64_C(1) << 63 | (uint64_t)(pid) << 32 | (uint32_t)(uid))

bool
svm_fd_reserved(int fd)
{
	struct rlimit lim;
	rlim_t reserve;

	/* The kernel gives the lowest number that is free. */
	if (getrlimit(RLIMIT_NOFILE, &lim) != 0 || lim.rlim_cur == RLIM_INFINITY)
		return false;
	reserve = lim.rlim_cur / 8;
	if (reserve > SVM_FDS_RESERVED)
		reserve = SVM_FDS_RESERVED;
	return (rlim_t)fd >= lim.rlim_cur - reserve;
}

static bool
rules_allow(const struct svm_admit *a, int sock, uid_t uid, gid_t gid)
{
	const struct svm_rules *rules = &a->conf->rules;
	gid_t groups[SVM_CRED_GROUPS_MAX];
	uint32_t nb = 0;

	/* The groups are looked up only where they could help. */
	if (rules->nb_gids != 0)
		nb = svm_sock_peer_groups(sock, groups, SVM_CRED_GROUPS_MAX);
	return svm_rules_allow(rules, uid, gid, groups, nb);
}

/* Why not; rc as svm_admit_take(). */
static int
refuse(struct svm_admit *a, uint64_t now_ms, pid_t pid, uid_t uid, int rc, const char *why)
{
	a->untold++;
	if (a->told_ms != 0 && now_ms - a->told_ms < ADMIT_TELL_MS)
		return rc;
	SVM_LOG(NOTICE, "%s: process %d of uid %u turned away: %s (%u refused since the last such line)",
		a->conf->path, (int)pid, uid, why, a->untold);
	a->told_ms = now_ms;
	a->untold = 0;
	return rc;
}

int
svm_admit_take(struct svm_admit *a, int sock, uint64_t now_ms)
{
	const struct svm_server_conf *conf = a->conf;
	uid_t uid;
	gid_t gid;
	const pid_t pid = svm_sock_peer(sock, &uid, &gid);
	int rc;

	if (!rules_allow(a, sock, uid, gid))
		return refuse(a, now_ms, pid, uid, -EACCES,
			"neither its user is in uids= nor a group of its in gids=");
	if (a->nb >= conf->max_workers)
		return refuse(a, now_ms, pid, uid, -EUSERS,
			"as many workers are connected as max_bonds= allows");
	if (svm_fd_reserved(sock))
		return refuse(a, now_ms, pid, uid, -EMFILE,
			"the descriptors left are the owner's own, raise RLIMIT_NOFILE (ulimit -n)");
	rc = svm_tally_add(&a->tally, KEY_UID(uid), conf->max_per_uid);
	if (rc == -EUSERS)
		return refuse(a, now_ms, pid, uid, rc,
			"its user has as many workers as max_per_uid= allows");
	if (rc != 0)
		return rc;
	rc = svm_tally_add(&a->tally, KEY_PID(pid, uid), conf->max_per_pid);
	if (rc != 0) {
		svm_tally_del(&a->tally, KEY_UID(uid));
		return rc != -EUSERS ? rc : refuse(a, now_ms, pid, uid, rc,
			"it has as many connections as max_per_pid= allows");
	}
	a->nb++;
	return 0;
}

void
svm_admit_put(struct svm_admit *a, pid_t pid, uid_t uid)
{
	svm_tally_del(&a->tally, KEY_UID(uid));
	svm_tally_del(&a->tally, KEY_PID(pid, uid));
	a->nb--;
}
