/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "svm_abi.h"
#include "svm_errand.h"
#include "svm_lane_private.h"
#include "svm_probe.h"

/* A runnable lane, and an errand that has not begun, get so many times the bound: the
 * machine is busy then. */
#define PROBE_WAITS	16u
/* A lane that somebody else ends says nothing about the worker. */
#define PROBE_TRIES	3u

enum probe_state {
	PROBE_WANTS,	/* a lane or an errand */
	PROBE_BUSY,
	PROBE_KILLED,	/* its lane has to be gone first */
	PROBE_ENDED,
};

/* What a task works on; it stays behind when the task does not come back. */
struct probe_work {
	uint32_t begun;		/* atomic: the errand has a core */
	struct svm_job job;
	struct svm_xfer xfer;
	uint8_t read[SVM_NONCE_LEN];	/* by the pid */
	uint8_t proof[SVM_NONCE_LEN];	/* by the mem descriptor */
};

struct svm_probe {
	enum probe_state state;
	int result;
	struct svm_lane_pool *lanes;
	struct svm_cred cred;
	uint32_t us;
	int eventfd;
	bool has_nonce;
	bool asked;		/* for a lane, once */
	struct svm_nonce nonce;
	struct svm_lane *lane;
	struct svm_errand *errand;
	struct probe_work *work;
	uint32_t waits, tries;
	uint64_t end_ns;	/* of this state */
};

int
svm_probe_create(struct svm_lane_pool *lanes, const struct svm_ident *ident, uint32_t us,
		int eventfd, const struct svm_nonce *nonce, uint64_t addr,
		struct svm_probe **probe)
{
	struct svm_probe *p = calloc(1, sizeof(*p));
	struct probe_work *w = calloc(1, sizeof(*w));

	if (p == NULL || w == NULL) {
		free(p);
		free(w);
		return -ENOMEM;
	}
	p->lanes = lanes;
	p->cred = ident->cred;
	p->us = us;
	p->eventfd = eventfd;
	p->work = w;
	w->xfer = (struct svm_xfer){ .remote = addr, .local = w->read, .len = 1 };
	w->job.pid = ident->pid;
	w->job.pidfd = ident->pidfd;
	w->job.memfd = ident->memfd;
	w->job.announce = true;
	w->job.nb = 1;
	w->job.xfer = &w->xfer;
	if (nonce != NULL) {
		p->has_nonce = true;
		p->nonce = *nonce;
		w->xfer.len = SVM_NONCE_LEN;
		w->job.proof = w->proof;
		w->job.proof_addr = addr;
		w->job.proof_len = SVM_NONCE_LEN;
	}
	p->end_ns = svm_lane_now_ns() + (uint64_t)us * PROBE_WAITS * 1000;
	*probe = p;
	return 0;
}

static int
work_result(const struct svm_probe *p)
{
	const struct probe_work *w = p->work;

	switch (w->xfer.status) {
	case SVM_ST_OK:
		break;
	case SVM_ST_PAGE_FAULT:
		return p->has_nonce ? -EFAULT : 0;
	case SVM_ST_DENIED:
		return -EPERM;
	case SVM_ST_BOND_DEAD:
		return -ESRCH;
	default:
		return -ENOMEM;
	}
	if (!p->has_nonce)
		return 0;
	if (w->job.proof_done != (int32_t)SVM_NONCE_LEN ||
			memcmp(w->read, p->nonce.byte, SVM_NONCE_LEN) != 0 ||
			memcmp(w->proof, p->nonce.byte, SVM_NONCE_LEN) != 0)
		return -EKEYREJECTED;
	return 0;
}

static int
ended(struct svm_probe *p, int result)
{
	p->state = PROBE_ENDED;
	p->result = result;
	return result;
}

/* ---- in an errand ---- */

static void
errand_run(void *arg)
{
	struct probe_work *w = arg;

	/* Relaxed: pairs with errand_starved(), a guess at whose fault the delay is. */
	__atomic_store_n(&w->begun, 1, __ATOMIC_RELAXED);
	svm_xfer_run(&w->job);
}

/* Nobody can hold up what has not begun: it waits for a core, so a few times longer. */
static bool
errand_starved(struct svm_probe *p)
{
	if (__atomic_load_n(&p->work->begun, __ATOMIC_RELAXED) != 0 || ++p->waits == PROBE_WAITS)
		return false;
	p->end_ns = svm_lane_now_ns() + (uint64_t)p->us * 1000;
	return true;
}

static int
errand_step(struct svm_probe *p, uint32_t wait_us)
{
	if (!svm_errand_wait(p->errand, wait_us)) {
		if (p->state == PROBE_BUSY && (svm_lane_now_ns() < p->end_ns || errand_starved(p)))
			return -EINPROGRESS;
		svm_errand_leave(p->errand);
		p->work = NULL;
		return ended(p, -ETIMEDOUT);
	}
	return ended(p, p->state == PROBE_KILLED ? -ETIMEDOUT : work_result(p));
}

static int
errand_want(struct svm_probe *p)
{
	const struct svm_errand_call call = {
		.run = errand_run,
		.drop = free,
		.arg = p->work,
		.who = p->cred.uid,
		.eventfd = p->eventfd,
	};
	int ret;

	ret = svm_errand_start(&call, &p->errand);
	if (ret == -EBUSY && svm_lane_now_ns() < p->end_ns)
		return -EINPROGRESS;
	if (ret < 0)
		return ended(p, ret == -EBUSY ? -EAGAIN : ret);
	p->state = PROBE_BUSY;
	p->end_ns = svm_lane_now_ns() + (uint64_t)p->us * 1000;
	return -EINPROGRESS;
}

/* ---- in a lane ---- */

/* It ended before its job did, or before it came up: another, a few times. */
static int
lane_lost(struct svm_probe *p)
{
	if (++p->tries == PROBE_TRIES)
		return ended(p, -EPERM);
	p->state = PROBE_WANTS;
	p->asked = false;
	p->end_ns = svm_lane_now_ns() + (uint64_t)p->us * PROBE_WAITS * 1000;
	return -EINPROGRESS;
}

static int
lane_want(struct svm_probe *p, bool wait)
{
	int ret;

	if (wait)
		ret = svm_lane_get(p->lanes, &p->cred, PROBE_WAITS * p->us, &p->lane);
	else
		ret = svm_lane_ask(p->lanes, &p->cred, !p->asked, &p->lane);
	p->asked = true;
	if (ret == -EINPROGRESS && svm_lane_now_ns() >= p->end_ns)
		ret = -ETIMEDOUT;
	if (ret == -EINPROGRESS)
		return ret;
	if (ret == -ECANCELED)
		return lane_lost(p);
	if (ret < 0)
		return ended(p, ret);
	svm_lane_submit(p->lane, &p->work->job);
	p->state = PROBE_BUSY;
	p->end_ns = svm_lane_now_ns() + (uint64_t)p->us * 1000;
	return -EINPROGRESS;
}

/* The lane is through, or will never be. */
static int
lane_done(struct svm_probe *p, enum svm_lane_state state)
{
	const bool killed = p->state == PROBE_KILLED;

	svm_lane_put(p->lanes, p->lane);
	p->lane = NULL;
	if (state == SVM_LANE_BUSY)
		p->work = NULL;		/* left to it: it may use it yet */
	if (killed)
		return ended(p, -ETIMEDOUT);
	if (state == SVM_LANE_IDLE)
		return ended(p, work_result(p));
	return lane_lost(p);
}

static int
lane_step(struct svm_probe *p, bool wait)
{
	const uint64_t now = svm_lane_now_ns();
	enum svm_lane_state state;

	state = svm_lane_wait(p->lane, wait && now < p->end_ns ? p->end_ns - now : 0);
	if (state != SVM_LANE_BUSY)
		return lane_done(p, state);
	if (svm_lane_now_ns() < p->end_ns)
		return -EINPROGRESS;
	if (p->state == PROBE_KILLED)
		return lane_done(p, state);
	p->end_ns = svm_lane_now_ns() + (uint64_t)p->us * 1000;
	if (++p->waits == PROBE_WAITS || svm_lane_blocked(p->lane)) {
		svm_lane_kill(p->lanes, p->lane);
		p->state = PROBE_KILLED;
	}
	return -EINPROGRESS;
}

/* ---- the interface ---- */

static int
probe_go(struct svm_probe *p, bool wait)
{
	int ret;

	if (p->state == PROBE_WANTS) {
		ret = p->lanes != NULL ? lane_want(p, wait) : errand_want(p);
		if (p->state == PROBE_WANTS || p->state == PROBE_ENDED)
			return ret;
	}
	if (p->state == PROBE_ENDED)
		return p->result;
	return p->lanes != NULL ? lane_step(p, wait) : errand_step(p, wait ? p->us : 0);
}

int
svm_probe_step(struct svm_probe *p)
{
	return probe_go(p, false);
}

int
svm_probe_run(struct svm_probe *p)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	int ret;

	while ((ret = probe_go(p, true)) == -EINPROGRESS)
		if (p->state == PROBE_WANTS && p->lanes == NULL)
			nanosleep(&ms, NULL);	/* for other errands to end */
	return ret;
}

void
svm_probe_cancel(struct svm_probe *p)
{
	switch (p->state) {
	case PROBE_WANTS:
		ended(p, -ECANCELED);
		break;
	case PROBE_BUSY:
		if (p->lanes != NULL)
			svm_lane_kill(p->lanes, p->lane);
		p->state = PROBE_KILLED;
		p->end_ns = svm_lane_now_ns() + (uint64_t)p->us * 1000;
		break;
	default:
		break;
	}
}

void
svm_probe_destroy(struct svm_probe *p)
{
	free(p->work);
	free(p);
}
