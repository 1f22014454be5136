/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The three forms of the engine.
 *
 *   thread   a thread of the device takes turns for as long as it is started
 *   service  a DPDK service core calls for one turn at a time
 *   inline   nobody: the submitting lcore takes a turn at submit (svm_oq.c),
 *            and rte_svm_progress() takes turns for the workers' queues
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
#include "svm_trap.h"

/* Idle turns before the thread offers its core to others between turns. */
#define YIELD_TURNS	4096u

/* ---- engine=thread ---- */

/*
 * Without core=, any CPU that EAL may use: those of its control threads, which
 * this thread has to begin with, and the lcores'.
 */
static void
thread_set_affinity(const struct svm_dev *dev)
{
	rte_cpuset_t set;
	unsigned int lcore;

	CPU_ZERO(&set);
	if (dev->conf.core >= 0) {
		CPU_SET(dev->conf.core, &set);
	} else {
		pthread_getaffinity_np(pthread_self(), sizeof(set), &set);
		RTE_LCORE_FOREACH(lcore) {
			rte_cpuset_t cpus = rte_lcore_cpuset(lcore);

			RTE_CPU_OR(&set, &set, &cpus);
		}
	}
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		SVM_LOG(WARNING, "%s: the engine thread cannot run on core %d",
			dev->conf.name, dev->conf.core);
}

static void
thread_idle(struct svm_dev *dev, uint32_t idle_turns, uint64_t idle_since)
{
	rte_pause();
	if (dev->conf.idle_us != 0 && rte_rdtsc() - idle_since >
			dev->conf.idle_us * rte_get_tsc_hz() / 1000000)
		svm_engine_sleep(dev->engine);
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
	struct svm_dev *dev = arg;
	uint64_t idle_since = rte_rdtsc();
	uint32_t idle_turns = 0;

	thread_block_signals();
	thread_set_affinity(dev);
	while (!svm_engine_try_acquire(dev->engine))
		rte_pause();
	/* Acquire: pairs with the store in run_stop_thread(). */
	while (__atomic_load_n(&dev->stop, __ATOMIC_ACQUIRE) == 0) {
		if (svm_engine_turn(dev->engine) != 0) {
			idle_turns = 0;
			continue;
		}
		if (idle_turns++ == 0)
			idle_since = rte_rdtsc();
		thread_idle(dev, idle_turns, idle_since);
	}
	/* What it has taken, svm_dev_stop() ends. */
	svm_engine_release(dev->engine);
	return NULL;
}

static int
run_start_thread(struct svm_dev *dev)
{
	char name[16];
	int ret;

	dev->stop = 0;
	snprintf(name, sizeof(name), "svm-eng-%u", dev->id);
	ret = rte_ctrl_thread_create(&dev->thread, name, NULL, thread_main, dev);
	if (ret < 0)
		SVM_LOG(ERR, "%s: cannot make the engine thread: %s", dev->conf.name,
			strerror(-ret));
	return ret;
}

static void
run_stop_thread(struct svm_dev *dev)
{
	/* Release: pairs with the load in thread_main(). */
	__atomic_store_n(&dev->stop, 1, __ATOMIC_RELEASE);
	/* Not a mere wake-up: on its way to sleep it must not miss it. */
	svm_engine_ask(dev->engine);
	pthread_join(dev->thread, NULL);
}

/* ---- engine=service ---- */

static int32_t
service_turn(void *arg)
{
	struct svm_dev *dev = arg;
	uint32_t n;

	if (!svm_engine_try_acquire(dev->engine))
		return 0;
	n = svm_engine_turn(dev->engine);
	svm_engine_release(dev->engine);
	return n != 0 ? 0 : -EAGAIN;
}

static int
run_start_service(struct svm_dev *dev)
{
	uint32_t cores[RTE_MAX_LCORE];
	int32_t i, n;

	n = rte_service_lcore_list(cores, RTE_DIM(cores));
	if (n <= 0) {
		SVM_LOG(ERR, "%s: engine=service needs a service core and there is none; give EAL one, -S CORE",
			dev->conf.name);
		return -ENOTSUP;
	}
	for (i = 0; i < n; i++) {
		rte_service_map_lcore_set(dev->service, cores[i], 1);
		/* -EALREADY: EAL has started it. */
		rte_service_lcore_start(cores[i]);
	}
	rte_service_component_runstate_set(dev->service, 1);
	rte_service_runstate_set(dev->service, 1);
	return 0;
}

static void
run_stop_service(struct svm_dev *dev)
{
	const uint64_t end = svm_now_us() + dev->conf.timeout_us + 1000000;

	rte_service_runstate_set(dev->service, 0);
	rte_service_component_runstate_set(dev->service, 0);
	while (rte_service_may_be_active(dev->service) == 1 && svm_now_us() < end)
		svm_pause_us(50);
}

static int
service_register(struct svm_dev *dev)
{
	struct rte_service_spec spec = {
		.callback = service_turn,
		.callback_userdata = dev,
		.socket_id = dev->conf.numa_node,
	};
	int ret;

	snprintf(spec.name, sizeof(spec.name), "svm_%.24s", dev->conf.name);
	ret = rte_service_component_register(&spec, &dev->service);
	if (ret < 0)
		SVM_LOG(ERR, "%s: cannot register the service: %s", dev->conf.name,
			strerror(-ret));
	else
		dev->service_registered = true;
	return ret;
}

/* ---- all forms ---- */

int
svm_run_init(struct svm_dev *dev)
{
	return dev->conf.engine == RTE_SVM_ENGINE_SERVICE ? service_register(dev) : 0;
}

void
svm_run_fini(struct svm_dev *dev)
{
	if (dev->service_registered)
		rte_service_component_unregister(dev->service);
	dev->service_registered = false;
}

int
svm_dev_start(struct svm_dev *dev)
{
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->nb_starts == 0) {
		if (dev->conf.engine == RTE_SVM_ENGINE_THREAD)
			ret = run_start_thread(dev);
		else if (dev->conf.engine == RTE_SVM_ENGINE_SERVICE)
			ret = run_start_service(dev);
	}
	if (ret == 0)
		__atomic_store_n(&dev->nb_starts, dev->nb_starts + 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* End what the engine has taken. Others may hold the token for a moment, for control. */
static int
settle_engine(struct svm_dev *dev)
{
	const uint64_t end = svm_now_us() + SVM_ENGINE_END_US(dev->conf.timeout_us);
	int ret;

	while (!svm_engine_try_acquire(dev->engine)) {
		if (svm_now_us() > end)
			return -EBUSY;
		svm_pause_us(20);
	}
	ret = svm_engine_settle(dev->engine);
	svm_engine_release(dev->engine);
	return ret;
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
			run_stop_thread(dev);
		else if (dev->conf.engine == RTE_SVM_ENGINE_SERVICE)
			run_stop_service(dev);
		/* Nobody runs it now: what is left could not be ended. */
		ret = settle_engine(dev);
	}
unlock:
	pthread_mutex_unlock(&dev->lock);
	return ret;
}
