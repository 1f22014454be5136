/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The three forms of the engine.
 *
 *   thread   a thread for each engine takes turns for as long as the device is started
 *   service  a service for each engine: a DPDK service core calls for one turn at a time
 *   inline   nobody: the submitting lcore takes a turn at submit (svm_oq.c),
 *            and rte_svm_progress() takes turns for the workers' queues, of each
 *            engine that no other lcore takes a turn of
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <rte_service.h>
#include <rte_service_component.h>

#include "svm_dev.h"
#include "svm_log.h"
#include "svm_numa.h"
#include "svm_trap.h"

/* Idle turns before the thread offers its core to others between turns. */
#define YIELD_TURNS	4096u

/* ---- engine=thread ---- */

/*
 * Without core=, any CPU of the device's node that EAL may use: those of its
 * control threads, which this thread has to begin with, and the lcores'.
 */
static void
thread_set_affinity(const struct svm_runner *r)
{
	const struct svm_dev_conf *conf = &r->dev->conf;
	rte_cpuset_t set;
	unsigned int lcore;

	CPU_ZERO(&set);
	if (conf->nb_cores != 0) {
		CPU_SET(conf->cores[r->idx % conf->nb_cores], &set);
	} else {
		pthread_getaffinity_np(pthread_self(), sizeof(set), &set);
		RTE_LCORE_FOREACH(lcore) {
			rte_cpuset_t cpus = rte_lcore_cpuset(lcore);

			RTE_CPU_OR(&set, &set, &cpus);
		}
		svm_numa_narrow(&set, conf->numa_node);
	}
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		SVM_LOG(WARNING, "%s: engine thread %u cannot run on its CPUs", conf->name,
			r->idx);
}

static void
thread_idle(const struct svm_runner *r, uint32_t idle_turns, uint64_t idle_since)
{
	rte_pause();
	if (r->dev->conf.idle_us != 0 && rte_rdtsc() - idle_since >
			r->dev->conf.idle_us * rte_get_tsc_hz() / 1000000)
		svm_engine_sleep(r->engine, &r->dev->stop);
	else if (idle_turns > YIELD_TURNS)
		sched_yield();
}

/* The application's signals go to its own threads. */
static void
thread_block_signals(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGTRAP);
	sigdelset(&set, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	svm_trap_thread_init();	/* lets SIGSEGV and SIGBUS in */
}

static void *
thread_main(void *arg)
{
	const struct svm_runner *r = arg;
	uint64_t idle_since = rte_rdtsc();
	uint32_t idle_turns = 0;

	thread_block_signals();
	thread_set_affinity(r);
	while (!svm_engine_try_acquire(r->engine))
		rte_pause();
	/* Acquire: pairs with the store in run_stop_threads(). */
	while (__atomic_load_n(&r->dev->stop, __ATOMIC_ACQUIRE) == 0) {
		if (svm_engine_turn(r->engine) != 0) {
			idle_turns = 0;
			continue;
		}
		if (idle_turns++ == 0)
			idle_since = rte_rdtsc();
		thread_idle(r, idle_turns, idle_since);
	}
	/* What it has taken, svm_dev_stop() ends. */
	svm_engine_release(r->engine);
	return NULL;
}

/* The first `nb` of them. */
static void
run_stop_threads(struct svm_dev *dev, uint32_t nb)
{
	uint32_t i;

	/* Release: pairs with the load in thread_main(); and before the fence in
	 * svm_engine_ask(), for the look at it in svm_engine_sleep(). */
	__atomic_store_n(&dev->stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i != nb; i++) {
		svm_engine_ask(dev->engines[i]);
		pthread_join(dev->runners[i].thread, NULL);
	}
}

static int
run_start_threads(struct svm_dev *dev)
{
	uint32_t i;

	dev->stop = 0;
	for (i = 0; i != dev->nb_engines; i++) {
		char name[16];
		int ret;

		/* The first has the name that a device's only one has. */
		if (i == 0)
			snprintf(name, sizeof(name), "svm-eng-%u", dev->id);
		else
			snprintf(name, sizeof(name), "svm-eng-%u.%u", dev->id % 100, i % 100);
		ret = rte_ctrl_thread_create(&dev->runners[i].thread, name, NULL, thread_main,
				&dev->runners[i]);
		if (ret < 0) {
			SVM_LOG(ERR, "%s: cannot make engine thread %u: %s", dev->conf.name,
				i, strerror(-ret));
			run_stop_threads(dev, i);
			return ret;
		}
	}
	return 0;
}

/* ---- engine=service ---- */

static int32_t
service_turn(void *arg)
{
	const struct svm_runner *r = arg;
	uint32_t n;

	if (!svm_engine_try_acquire(r->engine))
		return 0;
	n = svm_engine_turn(r->engine);
	svm_engine_release(r->engine);
	return n != 0 ? 0 : -EAGAIN;
}

/* Each service on each service core: EAL lets one core at a time run it. */
static int
run_start_services(struct svm_dev *dev)
{
	uint32_t cores[RTE_MAX_LCORE], i;
	int32_t k, n;

	n = rte_service_lcore_list(cores, RTE_DIM(cores));
	if (n <= 0) {
		SVM_LOG(ERR, "%s: engine=service needs a service core and there is none; give EAL one, -S CORE",
			dev->conf.name);
		return -ENOTSUP;
	}
	for (i = 0; i != dev->nb_engines; i++)
		for (k = 0; k < n; k++)
			rte_service_map_lcore_set(dev->runners[i].service, cores[k], 1);
	/* -EALREADY: EAL has started it. */
	for (k = 0; k < n; k++)
		rte_service_lcore_start(cores[k]);
	for (i = 0; i != dev->nb_engines; i++) {
		rte_service_component_runstate_set(dev->runners[i].service, 1);
		rte_service_runstate_set(dev->runners[i].service, 1);
	}
	return 0;
}

static void
run_stop_services(struct svm_dev *dev)
{
	const uint64_t end = svm_now_us() + dev->conf.timeout_us + 1000000;
	uint32_t i;

	for (i = 0; i != dev->nb_engines; i++) {
		const uint32_t id = dev->runners[i].service;

		rte_service_runstate_set(id, 0);
		rte_service_component_runstate_set(id, 0);
		while (rte_service_may_be_active(id) == 1 && svm_now_us() < end)
			svm_pause_us(50);
	}
}

static int
service_register(struct svm_runner *r)
{
	const struct svm_dev_conf *conf = &r->dev->conf;
	struct rte_service_spec spec = {
		.callback = service_turn,
		.callback_userdata = r,
		.socket_id = conf->numa_node,
	};
	int ret;

	if (r->idx == 0)
		snprintf(spec.name, sizeof(spec.name), "svm_%.24s", conf->name);
	else
		snprintf(spec.name, sizeof(spec.name), "svm_%.24s.%u", conf->name, r->idx % 100);
	ret = rte_service_component_register(&spec, &r->service);
	if (ret < 0)
		SVM_LOG(ERR, "%s: cannot register the service: %s", conf->name,
			strerror(-ret));
	else
		r->service_registered = true;
	return ret;
}

/* ---- all forms ---- */

int
svm_run_init(struct svm_dev *dev)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i != dev->nb_engines && ret == 0; i++) {
		dev->runners[i] = (struct svm_runner){ .dev = dev, .idx = i,
			.engine = dev->engines[i] };
		if (dev->conf.engine == RTE_SVM_ENGINE_SERVICE)
			ret = service_register(&dev->runners[i]);
	}
	if (ret < 0)
		svm_run_fini(dev);
	return ret;
}

void
svm_run_fini(struct svm_dev *dev)
{
	uint32_t i;

	for (i = 0; i != dev->nb_engines; i++) {
		if (dev->runners[i].service_registered)
			rte_service_component_unregister(dev->runners[i].service);
		dev->runners[i].service_registered = false;
	}
}

int
svm_dev_start(struct svm_dev *dev)
{
	int ret = 0;

	if (svm_trap_renew())
		SVM_LOG(NOTICE, "%s: the SIGSEGV or SIGBUS handler was replaced since the device was made; it is in front of the other one again",
			dev->conf.name);
	pthread_mutex_lock(&dev->lock);
	if (dev->nb_starts == 0) {
		if (dev->conf.engine == RTE_SVM_ENGINE_THREAD)
			ret = run_start_threads(dev);
		else if (dev->conf.engine == RTE_SVM_ENGINE_SERVICE)
			ret = run_start_services(dev);
	}
	if (ret == 0 && dev->nb_starts == 0)
		SVM_LOG(DEBUG, "%s: started", dev->conf.name);
	if (ret == 0)
		__atomic_store_n(&dev->nb_starts, dev->nb_starts + 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* Others may hold its token for a moment, for control. */
static bool
engine_has_settled(struct svm_engine *e)
{
	uint32_t left;

	if (!svm_engine_try_acquire(e))
		return false;
	left = svm_engine_settle_step(e);
	svm_engine_release(e);
	return left == 0;
}

/* End what the engines have taken, in turns, so that one bound is enough for all. */
static int
settle_engines(const struct svm_dev *dev)
{
	const uint64_t end = svm_now_us() + SVM_ENGINE_END_US(dev->conf.timeout_us);
	struct svm_engine *unsettled[SVM_ENGINES_MAX];
	uint32_t nb = dev->nb_engines, i;

	memcpy(unsettled, dev->engines, nb * sizeof(unsettled[0]));
	for (;;) {
		for (i = 0; i < nb; )
			if (engine_has_settled(unsettled[i]))
				unsettled[i] = unsettled[--nb];
			else
				i++;
		if (nb == 0)
			return 0;
		if (svm_now_us() >= end)
			return -EBUSY;
		svm_pause_us(20);
	}
}

int
svm_dev_stop(struct svm_dev *dev)
{
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->nb_starts == 0) {
		ret = -EINVAL;
		goto unlock;
	}
	__atomic_store_n(&dev->nb_starts, dev->nb_starts - 1, __ATOMIC_RELAXED);
	if (dev->nb_starts == 0) {
		if (dev->conf.engine == RTE_SVM_ENGINE_THREAD)
			run_stop_threads(dev, dev->nb_engines);
		else if (dev->conf.engine == RTE_SVM_ENGINE_SERVICE)
			run_stop_services(dev);
		/* Nobody runs it now: what is left could not be ended. */
		ret = settle_engines(dev);
	}
unlock:
	pthread_mutex_unlock(&dev->lock);
	return ret;
}
