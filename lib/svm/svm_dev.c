/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "svm_bind.h"
#include "svm_log.h"
#include "svm_telemetry.h"
#include "svm_trap.h"

int svm_logtype;

/* A step of taking something from the engine, on the server's thread. */
#define STEP_TRIES	20u
#define STEP_US		50u

/* The end of the server waits as long as a control call, and so long at the least. */
#define SERVER_END_MS	10000u

/* On top of what a control call may wait for the engine: a bind asks the kernel a lot. */
#define CALLS_END_US	10000000u

/* Ranges of all bonds: each may take two of the 65,530 mappings that a process has. */
#define SVM_ATC_MAX	8192u

void
svm_pause_us(uint32_t us)
{
	const struct timespec ts = { .tv_nsec = us * 1000L };

	nanosleep(&ts, NULL);
}

uint64_t
svm_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000) + ts.tv_nsec / 1000;
}

uint16_t
svm_dev_id(const struct svm_dev *dev)
{
	return dev->id;
}

/* ---- what the server asks for ---- */

static int
serve_unbind(void *arg, uint64_t bond)
{
	uint32_t i;
	int ret;

	for (i = 0; (ret = svm_dev_unbind_step(arg, bond)) == -EBUSY &&
			i != STEP_TRIES; i++) {
		svm_engines_help(arg);
		svm_pause_us(STEP_US);
	}
	/* The owner may have unbound it: given back is given back. */
	return ret == -ENOENT ? 0 : ret;
}

static int
serve_queue_create(void *arg, uint64_t bond, uint32_t depth, uint32_t features,
		void **queue, int *fd)
{
	struct svm_dev *dev = arg;
	struct svm_eq *eq;
	uint32_t pasid;
	int ret;

	ret = svm_bond_table_hold(dev->bonds, bond, &pasid);
	if (ret < 0)
		return ret;
	ret = svm_eq_create(dev->bonds, depth, features, pasid, dev->conf.numa_node,
			fd, &eq);
	if (ret < 0) {
		svm_bond_table_release(dev->bonds, pasid);
		return ret;
	}
	svm_fill_add(&dev->fill, eq);
	svm_engine_attach(svm_engines_least(dev), eq);
	*queue = eq;
	SVM_LOG(DEBUG, "%s: a queue of %u for bond %" PRIx64, dev->conf.name, depth, bond);
	return 0;
}

static int
serve_queue_destroy(void *arg, void *queue)
{
	struct svm_dev *dev = arg;
	struct svm_eq *eq = queue;
	const uint32_t pasid = eq->self_pasid;
	uint32_t i;

	for (i = 0; svm_engine_detach(eq) < 0; i++) {
		if (i == STEP_TRIES)
			return -EBUSY;
		svm_pause_us(STEP_US);
	}
	svm_fill_del(&dev->fill, eq);
	svm_eq_destroy(eq);
	svm_bond_table_release(dev->bonds, pasid);
	return 0;
}

static void
serve_doorbell(void *arg, void *const *queues, uint32_t nb)
{
	uint32_t i;

	RTE_SET_USED(arg);
	for (i = 0; i != nb; i++)
		if (queues[i] != NULL)
			svm_engine_post(queues[i]);
}

static void
serve_process_gone(void *arg, uint64_t bond)
{
	struct svm_dev *dev = arg;
	struct svm_bond *b;

	pthread_mutex_lock(&dev->bonds->lock);
	b = svm_bond_find_locked(dev->bonds, bond);
	if (b != NULL)
		svm_bond_mark_dead(b);
	pthread_mutex_unlock(&dev->bonds->lock);
	SVM_LOG(INFO, "%s: the process of bond %" PRIx64 " has ended", dev->conf.name,
		bond);
}

static const struct svm_server_ops server_ops = {
	.bind_begin = svm_bind_req_begin,
	.bind_step = svm_bind_req_step,
	.bind_prove = svm_bind_req_prove,
	.bind_end = svm_bind_req_end,
	.unbind = serve_unbind,
	.queue_create = serve_queue_create,
	.queue_destroy = serve_queue_destroy,
	.window_list = svm_dev_window_page,
	.mem_map = svm_dev_mem_map,
	.mem_unmap = svm_dev_mem_unmap,
	.mem_watch = svm_dev_mem_watch,
	.mem_used = svm_dev_mem_used,
	.doorbell = serve_doorbell,
	.process_gone = serve_process_gone,
};

static int
dev_create_server(struct svm_dev *dev)
{
	struct svm_server_conf conf = {
		.path = dev->conf.socket,
		.max_workers = dev->conf.max_bonds,
		.max_queues = dev->conf.queues,
		.max_depth = dev->conf.depth,
		.max_per_uid = dev->conf.max_per_uid,
		.max_per_pid = dev->conf.max_per_pid,
		.max_worker_queues = dev->conf.max_queues,
		.max_rate = dev->conf.max_rate,
		.max_mem = dev->conf.max_mem,
		.max_mem_uid = dev->conf.max_mem_uid,
		.max_ranges = dev->conf.max_ranges,
		.max_ranges_uid = dev->conf.max_ranges_uid,
		.mem_node = dev->conf.numa_node,
		.rules = dev->conf.rules,
		.end_ms = RTE_MAX(SVM_ENGINE_END_US(dev->conf.timeout_us) / 1000, SERVER_END_MS),
		.wake_fd = dev->lanes != NULL ? svm_lane_pool_eventfd(dev->lanes) : -1,
		.may_sleep = true,
	};
	int ret;

	ret = svm_server_create(&conf, &server_ops, dev, &dev->server);
	if (ret == 0 || dev->conf.socket_required || conf.path[0] == '\0')
		return ret;
	SVM_LOG(NOTICE, "%s: no socket at %s (%s), workers cannot connect; give socket=PATH",
		dev->conf.name, conf.path, strerror(-ret));
	dev->conf.socket[0] = '\0';
	return svm_server_create(&conf, &server_ops, dev, &dev->server);
}

/* ---- life ---- */

int
svm_dev_create(const struct svm_dev_conf *conf, int16_t dma_dev_id,
		struct svm_dev **dev)
{
	struct svm_dev *d;
	int ret;

	/* Not in a constructor: ours could run before EAL's own. */
	ret = rte_log_register_type_and_pick_level("lib.svm", RTE_LOG_NOTICE);
	/* Once: threads of other devices read it. */
	if (ret >= 0 && ret != svm_logtype)
		svm_logtype = ret;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->conf = *conf;
	d->dma_dev_id = dma_dev_id;
	d->users = 1;
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->policy.lock, NULL);
	pthread_mutex_init(&d->mem_lock, NULL);
	d->atc_quota.max = SVM_ATC_MAX;
	svm_fill_init(&d->fill);
	svm_telemetry_register();
	ret = svm_registry_reserve(d, d->conf.name, &d->id);
	if (ret < 0)
		goto free_dev;
	ret = -ENOMEM;
	d->faults = malloc(sizeof(*d->faults));
	if (d->faults == NULL)
		goto release_id;
	svm_fault_queue_init(d->faults);
	ret = svm_trap_install();
	if (ret < 0)
		goto free_faults;
	ret = svm_bond_table_create(conf->max_bonds, &d->bonds);
	if (ret < 0)
		goto remove_trap;
	ret = svm_window_table_create(d->bonds, &d->windows);
	if (ret < 0)
		goto destroy_bonds;
	ret = svm_watch_set_create(&d->watches);
	if (ret < 0)
		goto destroy_windows;
	if (conf->cma != RTE_SVM_CMA_INLINE) {
		ret = svm_lane_pool_create(SVM_LANES_MAX,
				conf->cma == RTE_SVM_CMA_PRIVILEGED, &d->lanes);
		if (ret < 0)
			goto destroy_watches;
		svm_lane_pool_set_node(d->lanes, conf->numa_node);
	}
	ret = svm_engines_create(d);
	if (ret < 0)
		goto destroy_lanes;
	ret = svm_run_init(d);
	if (ret < 0)
		goto destroy_engines;
	ret = dev_create_server(d);
	if (ret < 0)
		goto fini_run;
	*dev = d;
	return 0;

fini_run:
	svm_run_fini(d);
destroy_engines:
	svm_engines_destroy(d);
destroy_lanes:
	if (d->lanes != NULL)
		svm_lane_pool_destroy(d->lanes);
destroy_watches:
	svm_watch_set_destroy(d->watches);
destroy_windows:
	svm_window_table_destroy(d->windows);
destroy_bonds:
	svm_bond_table_destroy(d->bonds);
remove_trap:
	svm_trap_remove();
free_faults:
	free(d->faults);
release_id:
	svm_registry_release(d->id);
free_dev:
	svm_fill_fini(&d->fill);
	pthread_mutex_destroy(&d->mem_lock);
	pthread_mutex_destroy(&d->policy.lock);
	pthread_mutex_destroy(&d->lock);
	free(d);
	return ret;
}

/* The next bond at or behind slot *i, 0: none is left. The server still makes and ends bonds. */
static uint64_t
dev_next_bond(struct svm_dev *dev, uint32_t *i)
{
	struct svm_bond_table *t = dev->bonds;
	uint64_t id = 0;

	pthread_mutex_lock(&t->lock);
	while (id == 0 && *i < svm_pasid_highest(t->pasids)) {
		id = t->bonds[(*i)++].id;
		if (svm_bond_find_locked(t, id) == NULL)
			id = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return id;
}

/* What is left of bonds when the device goes. False: something is in flight for ever. */
static bool
dev_unbind_all(struct svm_dev *dev)
{
	bool all = true;
	uint32_t i = 0;
	uint64_t id;

	while ((id = dev_next_bond(dev, &i)) != 0)
		if (svm_dev_unbind(dev, id) == -EBUSY)
			all = false;
	return all;
}

void
svm_dev_publish(struct svm_dev *dev)
{
	SVM_LOG(INFO, "%s: device %u is there, workers connect to %s", dev->conf.name, dev->id,
		dev->conf.socket[0] != '\0' ? dev->conf.socket : "nothing");
	svm_registry_publish(dev->id);
}

int
svm_dev_withdraw(struct svm_dev *dev)
{
	const int ret = svm_registry_withdraw(dev->id,
			SVM_ENGINE_END_US(dev->conf.timeout_us) + CALLS_END_US);

	if (ret < 0)
		SVM_LOG(ERR, "%s: another thread stays inside a call on the device; remove it again",
			dev->conf.name);
	return ret;
}

void
svm_dev_hold(struct svm_dev *dev)
{
	/* Relaxed: the caller has it already, by a call or by another hold. */
	__atomic_fetch_add(&dev->users, 1, __ATOMIC_RELAXED);
}

void
svm_dev_drop(struct svm_dev *dev)
{
	/* Release what this user did to it; acquire what the others did. */
	if (__atomic_fetch_sub(&dev->users, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	svm_engines_destroy(dev);
	svm_window_table_destroy(dev->windows);
	svm_bond_table_destroy(dev->bonds);
	free(dev->faults);
	svm_fill_fini(&dev->fill);
	pthread_mutex_destroy(&dev->mem_lock);
	pthread_mutex_destroy(&dev->policy.lock);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

void
svm_dev_destroy(struct svm_dev *dev)
{
	uint32_t i;
	bool clean = true;

	while (dev->nb_starts != 0)
		svm_dev_stop(dev);
	for (i = 0; i != SVM_QUEUES_MAX; i++)
		if (dev->oqs[i] != NULL && svm_oq_close(dev->oqs[i]) < 0)
			clean = false;
	if (!dev_unbind_all(dev))
		clean = false;
	if (svm_server_destroy(dev->server) < 0)
		clean = false;
	svm_run_fini(dev);
	if (!clean) {
		/* A task that nothing can interrupt may still use this memory. */
		SVM_LOG(ERR, "%s: work in flight could not be ended; its memory is not freed",
			dev->conf.name);
		return;
	}
	if (dev->lanes != NULL)
		svm_lane_pool_destroy(dev->lanes);
	svm_watch_set_destroy(dev->watches);
	svm_trap_remove();
	svm_registry_release(dev->id);
	/* Release: pairs with the load in rte_svm_queue_destroy(). */
	__atomic_store_n(&dev->down, 1, __ATOMIC_RELEASE);
	svm_dev_drop(dev);
}

/* ---- the rest of the driver interface ---- */

void
svm_dev_set_vchan_attach(struct svm_dev *dev, svm_vchan_attach_t fn, void *arg)
{
	dev->attach = fn;
	dev->attach_arg = arg;
}

int
svm_bond_hold(struct svm_dev *dev, uint64_t bond, uint32_t *pasid)
{
	if (bond == RTE_SVM_OWNER) {
		*pasid = 0;
		return 0;
	}
	return svm_bond_table_hold(dev->bonds, bond, pasid);
}

int
svm_bond_hold_pasid(struct svm_dev *dev, uint32_t pasid)
{
	return pasid == 0 ? 0 : svm_bond_table_hold_pasid(dev->bonds, pasid);
}

void
svm_bond_release(struct svm_dev *dev, uint32_t pasid)
{
	svm_bond_table_release(dev->bonds, pasid);
}
