/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker processes: started here, but strangers all the same. They connect
 * to the device's socket and have themselves bound; the owner finds them in
 * the list of bonds, by pid, with the address of their control block.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "rte_svm.h"

#include "pipeline.h"

#define MEET_S		10
#define LEAVE_MS	3000
#define STDERR_NEXT	3	/* the first descriptor that a worker must not inherit */

static int
worker_path(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t len;

	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return -errno;
	self[len] = '\0';
	if ((size_t)snprintf(path, size, "%s/svm_pipeline_worker", dirname(self)) >= size)
		return -ENAMETOOLONG;
	return 0;
}

static int
worker_spawn(struct worker *w, char *path, char *socket, uint32_t nb_slots)
{
	char slots[16];
	char *const argv[] = { path, socket, slots, NULL };
	posix_spawn_file_actions_t actions;
	int ret;

	snprintf(slots, sizeof(slots), "%u", nb_slots);
	ret = posix_spawn_file_actions_init(&actions);
	if (ret != 0)
		return -ret;
	/* Packet sockets and hugepages of the owner are none of a worker's business. */
	ret = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_NEXT);
	if (ret == 0)
		ret = posix_spawn(&w->pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (ret != 0)
		return -ret;
	w->alive = true;
	w->fate = "lives";
	return 0;
}

static int
worker_alloc(struct worker *w, uint32_t nb_slots)
{
	w->desc_img = calloc(nb_slots, sizeof(*w->desc_img));
	w->verdict_img = calloc(VERDICT_BATCH, sizeof(*w->verdict_img));
	w->slot_pkts = calloc(nb_slots, sizeof(*w->slot_pkts));
	w->slots = calloc(nb_slots, sizeof(*w->slots));
	if (w->desc_img == NULL || w->verdict_img == NULL || w->slot_pkts == NULL ||
			w->slots == NULL)
		return -ENOMEM;
	return 0;
}

/* Start the processes. What a failure leaves behind workers_destroy() takes away. */
int
workers_start(struct pipeline *p)
{
	struct rte_svm_info info;
	char path[PATH_MAX];
	uint32_t i;
	int ret;

	ret = rte_svm_info_get(p->svm_dev, &info);
	if (ret != 0)
		return ret;
	if (info.socket[0] == '\0') {
		fprintf(stderr, "svm_pipeline: %s has no socket for workers\n", p->opt.dev_name);
		return -ENOTSUP;
	}
	ret = worker_path(path, sizeof(path));
	for (i = 0; ret == 0 && i < p->opt.nb_workers; i++) {
		ret = worker_alloc(&p->workers[i], p->opt.nb_slots);
		if (ret == 0)
			ret = worker_spawn(&p->workers[i], path, info.socket, p->opt.nb_slots);
	}
	if (ret != 0)
		fprintf(stderr, "svm_pipeline: cannot start %s: %s\n", path, strerror(-ret));
	return ret;
}

/* Look through the bonds once; returns how many workers are still strangers. */
static int
meet_once(struct pipeline *p)
{
	uint64_t bonds[4 * WORKERS_MAX];
	struct rte_svm_bond_info info;
	int nb, i, strangers = 0;
	uint32_t j;

	nb = rte_svm_bond_list(p->svm_dev, bonds, RTE_DIM(bonds));
	if (nb < 0)
		return nb;
	for (i = 0; i < RTE_MIN(nb, (int)RTE_DIM(bonds)); i++) {
		if (rte_svm_bond_info_get(p->svm_dev, bonds[i], &info) != 0)
			continue;
		for (j = 0; j < p->opt.nb_workers; j++) {
			if (p->workers[j].pid != info.pid)
				continue;
			p->workers[j].bond = info.bond;
			p->workers[j].pasid = info.pasid;
			p->workers[j].control = info.user;
		}
	}
	for (j = 0; j < p->opt.nb_workers; j++)
		strangers += p->workers[j].bond == RTE_SVM_OWNER;
	return strangers;
}

static int
meet_all(struct pipeline *p)
{
	uint64_t end = rte_get_timer_cycles() + MEET_S * rte_get_timer_hz();
	uint32_t i;
	int ret;

	while ((ret = meet_once(p)) > 0) {
		for (i = 0; i < p->opt.nb_workers; i++) {
			if (waitpid(p->workers[i].pid, NULL, WNOHANG) == 0)
				continue;
			p->workers[i].alive = false;
			fprintf(stderr, "svm_pipeline: worker %u ended before it was bound\n", i);
			return -ECHILD;
		}
		if (rte_get_timer_cycles() > end) {
			fprintf(stderr, "svm_pipeline: %d workers did not come\n", ret);
			return -ETIMEDOUT;
		}
		usleep(1000);
	}
	return ret;
}

/* Read the control block, and the table of slots that it points to. */
static int
worker_learn(struct pipeline *p, struct worker *w)
{
	struct pipe_control control;
	int ret;

	ret = dma_read(p, w, w->control, &control, sizeof(control));
	if (ret != 0)
		return ret;
	if (control.magic != PIPE_MAGIC || control.nb_slots != p->opt.nb_slots ||
			control.slot_len != PIPE_SLOT_LEN)
		return -EPROTO;
	w->descs = control.descs;
	w->verdicts = control.verdicts;
	return dma_read(p, w, control.slots, w->slots, p->opt.nb_slots * sizeof(*w->slots));
}

/* Wait for the bonds, open the device for them, read the control blocks. */
int
workers_meet(struct pipeline *p)
{
	uint32_t i;
	int ret;

	ret = meet_all(p);
	if (ret == 0)
		ret = dma_open(p);
	for (i = 0; ret == 0 && i < p->opt.nb_workers; i++) {
		ret = worker_learn(p, &p->workers[i]);
		if (ret != 0)
			fprintf(stderr, "svm_pipeline: cannot read worker %u: %s\n", i,
				strerror(-ret));
	}
	if (ret == 0) {
		memset(p->buckets, 0xff, sizeof(p->buckets));
		flow_spread(p);
	}
	return ret;
}

/* Mark the workers that have ended. */
void
workers_watch(struct pipeline *p)
{
	struct worker *w;
	uint32_t i;
	int status;

	for (i = 0; i < p->opt.nb_workers; i++) {
		w = &p->workers[i];
		if (!w->alive || waitpid(w->pid, &status, WNOHANG) != w->pid)
			continue;
		w->alive = false;
		w->broken = true;
		w->fate = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "SIGKILL" : "died";
	}
}

/*
 * A worker is gone, or of no use: its flows, and the packets that it has not
 * answered, go to the others. Nothing of it is in flight any more when a
 * packet is sent elsewhere, so no mbuf is freed under the device.
 */
int
worker_lose(struct pipeline *p, uint32_t idx)
{
	struct worker *w = &p->workers[idx];
	struct pkt_list waiting = w->waiting;
	uint32_t pkt, next;
	int ret;

	if (w->alive) {	/* an operation failed first: it is dead, or of no use */
		if (!p->killed)
			fprintf(stderr, "svm_pipeline: worker %u is given up, DMA status %d\n", idx,
				w->status);
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
		w->alive = false;
		w->fate = p->killed ? "SIGKILL" : "lost";
	}
	ret = dma_drain(p, w, &w->in);
	if (ret == 0)
		ret = dma_drain(p, w, &w->out);
	if (ret != 0)
		return ret;
	dispatch_take_verdicts(p, w);
	flow_spread(p);
	w->broken = false;
	w->waiting.nb = 0;
	while (w->answered != w->sent) {
		pkt = w->slot_pkts[w->answered++ & (p->opt.nb_slots - 1)];
		ledger_retry(&p->ledger, pkt);
		w->retried++;
		dispatch_queue(p, pkt);
	}
	for (; waiting.nb > 0; waiting.nb--) {
		pkt = waiting.first;
		next = p->ledger.pkts[pkt].next;
		dispatch_queue(p, pkt);
		waiting.first = next;
	}
	return 0;
}

/* All verdicts are in: what each worker counted itself must agree with them. */
void
workers_compare(struct pipeline *p)
{
	struct worker *w;
	uint32_t i;

	for (i = 0; i < p->opt.nb_workers; i++) {
		w = &p->workers[i];
		if (!w->alive)
			continue;
		w->own_known = dma_read(p, w, w->control + offsetof(struct pipe_control, totals),
				&w->own, sizeof(w->own)) == 0;
		if (!w->own_known || w->own.packets != w->packets || w->own.bytes != w->bytes ||
				w->own.flows != w->flows)
			p->disagree++;
	}
}

/* Wait for a worker that was told to leave; one that does not is killed. */
static void
worker_reap(struct worker *w)
{
	int ms;

	for (ms = 0; ms < LEAVE_MS; ms++) {
		if (waitpid(w->pid, NULL, WNOHANG) != 0) {
			w->alive = false;
			return;
		}
		usleep(1000);
	}
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	w->alive = false;
	w->fate = "did not leave";
}

/* Tell the workers to leave. */
void
workers_end(struct pipeline *p)
{
	static const uint64_t stop = 1;
	struct worker *w;
	uint32_t i;

	for (i = 0; i < p->opt.nb_workers; i++) {
		w = &p->workers[i];
		if (!w->alive)
			continue;
		if (dma_write(p, w, &stop, w->control + offsetof(struct pipe_control, stop),
				sizeof(stop)) != 0)
			kill(w->pid, SIGKILL);
		worker_reap(w);
	}
}

void
workers_destroy(struct pipeline *p)
{
	struct worker *w;
	uint32_t i;

	for (i = 0; i < p->opt.nb_workers; i++) {
		w = &p->workers[i];
		if (w->alive) {
			kill(w->pid, SIGKILL);
			waitpid(w->pid, NULL, 0);
			w->alive = false;
		}
		free(w->desc_img);
		free(w->verdict_img);
		free(w->slot_pkts);
		free(w->slots);
	}
}
