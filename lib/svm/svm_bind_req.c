/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's request to be bound, as steps that never wait:
 *
 *   BURY    a bond of its pid exists: a probe tells whether it is an earlier
 *           program's
 *   OPEN    an errand opens the process: pidfd, mem descriptor, rights
 *   ASKED   the server shows the nonce, and calls prove() when the worker has
 *           answered
 *   PROVE   a probe, with the worker's rights, finds the nonce there
 *
 * What a step needs (an errand, a lane) is limited for each user, so a request
 * may have to wait for its turn; after SVM_BIND_TURN_US it is refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "svm_admit.h"
#include "svm_bind.h"
#include "svm_log.h"
#include "svm_trace.h"

/* How long a request waits for its turn: the worker's own patience. */
#define SVM_BIND_TURN_US	UINT64_C(4000000)

enum req_state {
	REQ_BURY,
	REQ_OPEN,
	REQ_ASKED,
	REQ_PROVE,
	REQ_ENDED,
};

struct svm_bind_req {
	struct svm_dev *dev;
	enum req_state state;
	bool told;		/* why it is refused has been logged, or was not due */
	struct svm_peer peer;
	uint64_t user;
	uint64_t word;		/* where the worker writes the nonce */
	uint64_t end_us;	/* of this state */
	struct svm_bond *stale;
	struct svm_ident_try *try;
	struct svm_probe *probe;
	struct svm_ident ident;
	struct svm_nonce nonce;
};

static void
state_set(struct svm_bind_req *r, enum req_state state)
{
	r->state = state;
	r->end_us = svm_now_us() + SVM_BIND_TURN_US;
}

/* -EBUSY while there is no place, -ETIMEDOUT when that lasts. */
static int
turn_missed(const struct svm_bind_req *r)
{
	return svm_now_us() < r->end_us ? -EBUSY : -ETIMEDOUT;
}

static void
probe_drop(struct svm_bind_req *r)
{
	svm_probe_destroy(r->probe);
	r->probe = NULL;
	svm_share_put(&r->dev->probing, r->peer.uid);
}

/* Make and drive the probe of this state. */
static int
probe_step(struct svm_bind_req *r, const struct svm_ident *ident, const struct svm_nonce *nonce)
{
	int ret;

	if (r->probe == NULL) {
		if (!svm_share_take(&r->dev->probing, r->peer.uid))
			return turn_missed(r);
		ret = svm_probe_create(r->dev->lanes, ident, svm_bind_probe_us(r->dev),
				svm_server_eventfd(r->dev->server), nonce, r->word, &r->probe);
		if (ret < 0) {
			svm_share_put(&r->dev->probing, r->peer.uid);
			return ret;
		}
	}
	ret = svm_probe_step(r->probe);
	if (ret != -EINPROGRESS)
		probe_drop(r);
	return ret;
}

static int
bury_step(struct svm_bind_req *r)
{
	int ret;

	ret = probe_step(r, &r->ident, NULL);
	if (ret == -EINPROGRESS || ret == -EBUSY)
		return ret;
	ret = svm_bind_stale_put(r->stale, ret);
	r->stale = NULL;
	r->ident.pidfd = r->ident.memfd = -1;	/* were the bond's */
	if (ret == 0)
		state_set(r, REQ_OPEN);
	return ret;
}

/* It is refused: whether to log why. Once for a request. */
static bool
tells(struct svm_bind_req *r)
{
	uint32_t untold;

	r->told = true;
	if (!svm_refusals_tell(&r->dev->refusals, r->peer.uid, svm_now_us(), &untold))
		return false;
	if (untold != 0)
		SVM_LOG(NOTICE, "%s: %u more requests of uid %u to be bound were refused",
			r->dev->conf.name, untold, r->peer.uid);
	return true;
}

/*
 * A worker could send BIND and exec a setuid program before the owner reads it:
 * with the program's rights a lane would then reach the program. The proof finds
 * that out; the kernel's note of the user that connected does, too, and says why.
 * Root has nothing to gain that way.
 */
static bool
user_changed(const struct svm_bind_req *r)
{
	const struct svm_cred *cred = &r->ident.cred;

	return r->peer.uid != 0 && (cred->euid != r->peer.uid || cred->suid != r->peer.uid);
}

/* Whether the owner lets it in: the lists, then the application. */
static int
policy_check(struct svm_bind_req *r)
{
	const struct svm_cred *cred = &r->ident.cred;
	struct svm_dev *dev = r->dev;
	int ret;

	if (!svm_rules_allow(&dev->conf.rules, cred->euid, cred->egid, cred->groups,
			cred->nb_groups)) {
		if (tells(r))
			SVM_LOG(NOTICE, "%s: pid %d of uid %u refused: neither its user is in uids= nor a group of its in gids=",
				dev->conf.name, (int)r->peer.pid, cred->euid);
		return -EACCES;
	}
	ret = svm_policy_ask(&dev->policy, dev->id, &r->ident);
	if (ret != 0 && tells(r))
		SVM_LOG(NOTICE, "%s: pid %d of uid %u refused by the application, see rte_svm_policy_set() (%d)",
			dev->conf.name, (int)r->peer.pid, cred->euid, ret);
	return ret == 0 ? 0 : -EACCES;
}

static int
opened(struct svm_bind_req *r)
{
	int ret;

	if (svm_fd_reserved(r->ident.pidfd) || svm_fd_reserved(r->ident.memfd)) {
		if (tells(r))
			SVM_LOG(ERR, "%s: cannot bind pid %d: the descriptors left are the owner's own, raise RLIMIT_NOFILE (ulimit -n)",
				r->dev->conf.name, (int)r->peer.pid);
		return -EMFILE;
	}
	if (user_changed(r)) {
		if (tells(r))
			SVM_LOG(ERR, "%s: cannot bind pid %d: it connected as uid %u and has another user now",
				r->dev->conf.name, (int)r->peer.pid, r->peer.uid);
		return -EPERM;
	}
	ret = policy_check(r);
	if (ret != 0)
		return ret;
	/* Not before: whoever knows the nonce could fill another program with it. */
	if (getrandom(&r->nonce, sizeof(r->nonce), GRND_NONBLOCK) != sizeof(r->nonce))
		return -EAGAIN;
	state_set(r, REQ_ASKED);
	return 0;
}

static int
open_step(struct svm_bind_req *r)
{
	int ret;

	if (r->try == NULL) {
		ret = svm_ident_try_start(r->peer.pid, r->peer.pidfd, r->peer.uid,
				svm_server_eventfd(r->dev->server), &r->try);
		if (ret == -EBUSY)
			return turn_missed(r);
		if (ret < 0)
			return ret;
		r->peer.pidfd = -1;
		r->end_us = svm_now_us() + SVM_BIND_OPEN_US;
	}
	ret = svm_ident_try_wait(r->try, 0, &r->ident);
	if (ret == -EINPROGRESS && svm_now_us() >= r->end_us) {
		svm_ident_try_leave(r->try);
		ret = -ETIMEDOUT;
	}
	if (ret == -EINPROGRESS)
		return ret;
	r->try = NULL;
	if (ret == 0)
		return opened(r);
	/* The kernel's; -EACCES is what the owner's own rules say. */
	return ret == -EACCES ? -EPERM : ret;
}

static int
prove_step(struct svm_bind_req *r, uint64_t *bond)
{
	int ret;

	ret = probe_step(r, &r->ident, &r->nonce);
	if (ret == 0)
		ret = svm_bind_enter(r->dev, &r->ident, r->user, true, bond);
	if (ret == 0)
		r->state = REQ_ENDED;
	return ret;
}

/* Nothing of it is left but the request itself. */
static int
refused(struct svm_bind_req *r, int err)
{
	const bool due = !r->told && err != -EEXIST && tells(r);

	svm_trace_bind(r->dev->id, r->peer.pid, 0, err);
	__atomic_fetch_add(&r->dev->binds_refused, 1, __ATOMIC_RELAXED);
	if (due && (err == -EKEYREJECTED || err == -EFAULT))
		SVM_LOG(ERR, "%s: cannot bind pid %d: the nonce is not at %#" PRIx64 " of it; another process asks in its name, or it called exec since",
			r->dev->conf.name, (int)r->peer.pid, r->word);
	else if (due)
		svm_bind_log_refusal(r->dev, r->peer.pid, &r->ident, err);
	svm_ident_close(&r->ident);
	r->state = REQ_ENDED;
	return err == -EKEYREJECTED ? -EPERM : err;
}

int
svm_bind_req_begin(void *arg, const struct svm_peer *peer, uint64_t user, uint64_t word,
		void **req)
{
	struct svm_bind_req *r = calloc(1, sizeof(*r));

	if (r == NULL || peer->pid <= 0 || peer->pid == getpid()) {
		if (peer->pidfd >= 0)
			close(peer->pidfd);
		free(r);
		return r == NULL ? -ENOMEM : peer->pid <= 0 ? -ESRCH : -EINVAL;
	}
	r->dev = arg;
	r->peer = *peer;
	r->user = user;
	r->word = word;
	r->ident.pid = peer->pid;
	r->ident.pidfd = r->ident.memfd = -1;
	r->stale = svm_bind_stale_get(r->dev, peer->pid, &r->ident);
	state_set(r, r->stale != NULL ? REQ_BURY : REQ_OPEN);
	*req = r;
	return 0;
}

int
svm_bind_req_step(void *arg, void *req, struct svm_nonce *nonce, uint64_t *bond)
{
	struct svm_bind_req *r = req;
	int ret;

	(void)arg;
	ret = r->state == REQ_BURY ? bury_step(r) : 0;
	if (ret == 0)
		ret = r->state == REQ_OPEN ? open_step(r) : prove_step(r, bond);
	if (ret == -EINPROGRESS || ret == -EBUSY)
		return ret;
	if (ret < 0)
		return refused(r, ret);
	*nonce = r->nonce;
	return 0;
}

void
svm_bind_req_prove(void *arg, void *req)
{
	(void)arg;
	state_set(req, REQ_PROVE);
}

int
svm_bind_req_end(void *arg, void *req)
{
	struct svm_bind_req *r = req;

	(void)arg;
	if (r->probe != NULL) {
		svm_probe_cancel(r->probe);
		if (svm_probe_step(r->probe) == -EINPROGRESS)
			return -EBUSY;
		probe_drop(r);
	}
	if (r->stale != NULL) {
		svm_bond_put(r->stale);
		r->ident.pidfd = r->ident.memfd = -1;
	}
	if (r->try != NULL)
		svm_ident_try_leave(r->try);
	if (r->peer.pidfd >= 0)
		close(r->peer.pidfd);
	svm_ident_close(&r->ident);
	free(r);
	return 0;
}
