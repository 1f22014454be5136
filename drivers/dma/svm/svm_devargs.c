/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <numa.h>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_kvargs.h>

#include "svm_devargs.h"
#include "svm_dmadev.h"

/* As many bytes as pages of 4 KiB can be counted in 32 bits. */
#define MEM_MAX_MIB	16777215u

/* One key: set() returns 0 when the value is one of `allowed`. */
struct devarg {
	const char *key;
	const char *allowed;
	int (*set)(struct svm_dev_conf *conf, const char *value);
};

/* A decimal number in [min, max], nothing before or after it. */
static int
number_parse(const char *value, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t n = 0;

	if (*value == '\0')
		return -EINVAL;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '9')
			return -EINVAL;
		n = n * 10 + (uint64_t)(*value - '0');
		if (n > max)
			return -EINVAL;
	}
	if (n < min)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

/* Position of value among nb names, or -EINVAL. */
static int
name_parse(const char *value, const char *const names[], unsigned int nb)
{
	unsigned int i;

	for (i = 0; i != nb; i++) {
		if (strcmp(value, names[i]) == 0)
			return (int)i;
	}
	return -EINVAL;
}

static int
engine_set(struct svm_dev_conf *conf, const char *value)
{
	static const char *const names[] = {
		[RTE_SVM_ENGINE_THREAD] = "thread",
		[RTE_SVM_ENGINE_INLINE] = "inline",
		[RTE_SVM_ENGINE_SERVICE] = "service",
	};
	const int i = name_parse(value, names, RTE_DIM(names));

	if (i < 0)
		return i;
	conf->engine = (enum rte_svm_engine)i;
	return 0;
}

static void *
core_probe_main(void *arg)
{
	return arg;
}

/*
 * Whether a thread of this process may run on a CPU. EAL has narrowed the
 * calling thread to its lcore, so the kernel is asked with a thread, as the
 * engine's will be made.
 */
static bool
core_usable(uint32_t core)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;
	int ret;

	if (core >= CPU_SETSIZE || pthread_attr_init(&attr) != 0)
		return false;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	ret = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (ret == 0)
		ret = pthread_create(&thread, &attr, core_probe_main, NULL);
	if (ret == 0)
		pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	return ret == 0;
}

/* CPUs joined by '+': a ',' ends a value. */
static int
core_set(struct svm_dev_conf *conf, const char *value)
{
	const size_t len = strlen(value);
	char list[128], *one, *rest = list;
	uint32_t core;

	if (len >= sizeof(list))
		return -EINVAL;
	memcpy(list, value, len + 1);
	while ((one = strsep(&rest, "+")) != NULL) {
		if (conf->nb_cores == SVM_ENGINES_MAX ||
				number_parse(one, 0, CPU_SETSIZE - 1, &core) != 0 ||
				!core_usable(core))
			return -EINVAL;
		conf->cores[conf->nb_cores++] = (int)core;
	}
	return 0;
}

static int
engines_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1, SVM_ENGINES_MAX, &conf->engines);
}

static int
numa_set(struct svm_dev_conf *conf, const char *value)
{
	uint32_t node;

	if (numa_available() < 0 || number_parse(value, 0, INT_MAX, &node) != 0 ||
			(int)node > numa_max_node() ||
			!numa_bitmask_isbitset(numa_all_nodes_ptr, node))
		return -EINVAL;
	conf->numa_node = (int)node;
	return 0;
}

static int
queues_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1, 65535, &conf->queues);
}

static int
depth_set(struct svm_dev_conf *conf, const char *value)
{
	uint32_t depth;

	if (number_parse(value, SVM_DEPTH_MIN, SVM_DEPTH_MAX, &depth) != 0 ||
			svm_ring_depth_check(depth) != 0)
		return -EINVAL;
	conf->depth = depth;
	return 0;
}

static int
tier_set(struct svm_dev_conf *conf, const char *value)
{
	static const char *const names[] = {
		[RTE_SVM_TIERS_AUTO] = "auto",
		[RTE_SVM_TIERS_CMA] = "cma",
	};
	const int i = name_parse(value, names, RTE_DIM(names));

	if (i < 0)
		return i;
	conf->tier = (enum rte_svm_tiers)i;
	return 0;
}

static int
cma_set(struct svm_dev_conf *conf, const char *value)
{
	static const char *const names[] = {
		[RTE_SVM_CMA_LANE] = "lane",
		[RTE_SVM_CMA_INLINE] = "inline",
		[RTE_SVM_CMA_PRIVILEGED] = "privileged",
	};
	const int i = name_parse(value, names, RTE_DIM(names));

	if (i < 0)
		return i;
	conf->cma = (enum rte_svm_cma)i;
	return 0;
}

static int
timeout_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1000, 60000000, &conf->timeout_us);
}

static int
idle_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 0, 1000000, &conf->idle_us);
}

static int
socket_set(struct svm_dev_conf *conf, const char *value)
{
	char cwd[PATH_MAX] = "";
	int len;

	if (*value == '\0')
		return -EINVAL;
	if (strcmp(value, "none") == 0) {
		conf->socket[0] = '\0';
		conf->socket_required = false;
		return 0;
	}
	/* The process may change its folder, and a worker is in another one. */
	if (*value != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return -EINVAL;
	len = snprintf(conf->socket, sizeof(conf->socket), "%s%s%s", cwd,
		*value != '/' ? "/" : "", value);
	if (len < 0 || (size_t)len >= sizeof(conf->socket))
		return -EINVAL;
	conf->socket_required = true;
	return 0;
}

static int
max_bonds_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1, SVM_BONDS_MAX, &conf->max_bonds);
}

/* Numbers joined by ':', each once. */
static int
ids_parse(const char *value, uint32_t *ids, uint32_t *nb)
{
	char one[16];
	uint32_t i;

	for (*nb = 0; *nb != SVM_RULES_MAX; ) {
		const size_t len = strcspn(value, ":");

		if (len >= sizeof(one))
			return -EINVAL;
		memcpy(one, value, len);
		one[len] = '\0';
		/* -1 is nobody's. */
		if (number_parse(one, 0, UINT32_MAX - 1, &ids[*nb]) != 0)
			return -EINVAL;
		for (i = 0; i != *nb; i++)
			if (ids[i] == ids[*nb])
				return -EINVAL;
		(*nb)++;
		if (value[len] == '\0')
			return 0;
		value += len + 1;
	}
	return -EINVAL;
}

static int
uids_set(struct svm_dev_conf *conf, const char *value)
{
	return ids_parse(value, conf->rules.uids, &conf->rules.nb_uids);
}

static int
gids_set(struct svm_dev_conf *conf, const char *value)
{
	return ids_parse(value, conf->rules.gids, &conf->rules.nb_gids);
}

static int
max_per_uid_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1, SVM_BONDS_MAX, &conf->max_per_uid);
}

static int
max_per_pid_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1, SVM_BONDS_MAX, &conf->max_per_pid);
}

static int
max_queues_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1, 64, &conf->max_queues);
}

static int
max_rate_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 10, 1000000, &conf->max_rate);
}

static int
mib_parse(const char *value, uint32_t min, uint64_t *bytes)
{
	uint32_t mib;

	if (number_parse(value, min, MEM_MAX_MIB, &mib) != 0)
		return -EINVAL;
	*bytes = (uint64_t)mib << 20;
	return 0;
}

static int
max_mem_set(struct svm_dev_conf *conf, const char *value)
{
	return mib_parse(value, 0, &conf->max_mem);
}

static int
max_mem_per_uid_set(struct svm_dev_conf *conf, const char *value)
{
	return mib_parse(value, 1, &conf->max_mem_uid);
}

static int
max_ranges_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1, 128, &conf->max_ranges);
}

static int
max_ranges_per_uid_set(struct svm_dev_conf *conf, const char *value)
{
	return number_parse(value, 1, 16384, &conf->max_ranges_uid);
}

static const struct devarg devargs[] = {
	{ "engine", "thread, inline or service", engine_set },
	{ "engines", "1 to 16", engines_set },
	{ "core", "CPUs that exist and that this process may use, joined by '+', 16 at the most",
		core_set },
	{ "numa", "the number of a NUMA node that exists and that this process may use", numa_set },
	{ "queues", "1 to 65535", queues_set },
	{ "depth", "a power of two, 32 to 32768", depth_set },
	{ "tier", "auto or cma", tier_set },
	{ "cma", "lane, inline or privileged", cma_set },
	{ "timeout_us", "1000 to 60000000", timeout_set },
	{ "idle_us", "0 to 1000000", idle_set },
	{ "socket", "a path of at most 107 bytes, made absolute, or none", socket_set },
	{ "max_bonds", "1 to 65535", max_bonds_set },
	{ "uids", "user ids, up to 16 different ones joined by ':'", uids_set },
	{ "gids", "group ids, up to 16 different ones joined by ':'", gids_set },
	{ "max_per_uid", "1 to 65535", max_per_uid_set },
	{ "max_per_pid", "1 to 65535", max_per_pid_set },
	{ "max_queues", "1 to 64", max_queues_set },
	{ "max_rate", "10 to 1000000", max_rate_set },
	{ "max_mem", "0 to 16777215, MiB", max_mem_set },
	{ "max_mem_per_uid", "1 to 16777215, MiB", max_mem_per_uid_set },
	{ "max_ranges", "1 to 128", max_ranges_set },
	{ "max_ranges_per_uid", "1 to 16384", max_ranges_per_uid_set },
};

static void
unknown_key_log(const char *name, const char *key)
{
	char keys[384] = "";
	size_t i, len = 0;

	for (i = 0; i != RTE_DIM(devargs) && len < sizeof(keys); i++)
		len += (size_t)snprintf(keys + len, sizeof(keys) - len, "%s%s",
			i == 0 ? "" : ", ", devargs[i].key);
	SVM_DMA_LOG(ERR, "%s: unknown key '%s'; allowed are %s", name, key, keys);
}

static void
defaults_set(const char *name, struct svm_dev_conf *conf)
{
	int len;

	memset(conf, 0, sizeof(*conf));
	snprintf(conf->name, sizeof(conf->name), "%s", name);
	conf->engine = RTE_SVM_ENGINE_THREAD;
	conf->cma = RTE_SVM_CMA_LANE;
	conf->numa_node = -1;
	conf->queues = 64;
	conf->depth = 1024;
	conf->max_bonds = 4096;
	conf->timeout_us = 1000000;
	conf->max_per_pid = 4;
	conf->max_queues = 64;
	conf->max_rate = 100000;
	conf->max_mem = UINT64_C(4) << 30;
	conf->max_mem_uid = UINT64_C(16) << 30;
	conf->max_ranges = 128;
	conf->max_ranges_uid = 4096;
	len = snprintf(conf->socket, sizeof(conf->socket), "%s/%s.sock",
		rte_eal_get_runtime_dir(), name);
	if (len < 0 || (size_t)len >= sizeof(conf->socket)) {
		SVM_DMA_LOG(NOTICE, "%s: the default socket's path is too long, going on without; "
			"socket=PATH names another", name);
		conf->socket[0] = '\0';
	}
}

/* What a setting gives up, and what has no effect, is said once. */
static void
notices_log(const struct svm_dev_conf *conf)
{
	if (conf->cma == RTE_SVM_CMA_INLINE)
		SVM_DMA_LOG(NOTICE, "%s: cma=inline: workers are reached with the owner's rights, and "
			"one whose memory does not answer stops the poll loop for all", conf->name);
	if (conf->cma == RTE_SVM_CMA_PRIVILEGED)
		SVM_DMA_LOG(NOTICE, "%s: cma=privileged: workers are reached with the owner's rights, so "
			"one could trick the owner into writing into a setuid program that it execs",
			conf->name);
	if (conf->nb_cores != 0 && conf->engine != RTE_SVM_ENGINE_THREAD)
		SVM_DMA_LOG(NOTICE, "%s: core=%d has no effect without engine=thread", conf->name,
			conf->cores[0]);
}

/* One engine for each CPU that is named, unless there is another number. */
static int
engines_settle(struct svm_dev_conf *conf)
{
	if (conf->engines == 0)
		conf->engines = conf->nb_cores != 0 ? conf->nb_cores : 1;
	if (conf->nb_cores <= conf->engines)
		return 0;
	SVM_DMA_LOG(ERR, "%s: core= names %u CPUs for engines=%u; allowed is one for each at the most",
		conf->name, conf->nb_cores, conf->engines);
	return -EINVAL;
}

static int
pair_apply(struct svm_dev_conf *conf, const struct rte_kvargs_pair *pair, uint32_t *seen)
{
	const char *value = pair->value != NULL ? pair->value : "";
	unsigned int i;

	for (i = 0; i != RTE_DIM(devargs); i++) {
		if (strcmp(pair->key, devargs[i].key) == 0)
			break;
	}
	if (i == RTE_DIM(devargs)) {
		unknown_key_log(conf->name, pair->key);
		return -EINVAL;
	}
	if (*seen & (1u << i)) {
		SVM_DMA_LOG(ERR, "%s: key '%s' is given twice; allowed is once", conf->name, pair->key);
		return -EINVAL;
	}
	*seen |= 1u << i;
	if (devargs[i].set(conf, value) != 0) {
		SVM_DMA_LOG(ERR, "%s: %s=%s is wrong; allowed is %s", conf->name, pair->key, value,
			devargs[i].allowed);
		return -EINVAL;
	}
	return 0;
}

int
svm_devargs_parse(const char *name, const char *args, struct svm_dev_conf *conf)
{
	struct rte_kvargs *list;
	uint32_t seen = 0;
	unsigned int i;
	int ret = 0;

	defaults_set(name, conf);
	if (args != NULL && *args != '\0') {
		list = rte_kvargs_parse(args, NULL);
		if (list == NULL) {
			SVM_DMA_LOG(ERR, "%s: cannot parse '%s'; allowed is key=value[,key=value...]",
				name, args);
			return -EINVAL;
		}
		for (i = 0; i != list->count && ret == 0; i++)
			ret = pair_apply(conf, &list->pairs[i], &seen);
		rte_kvargs_free(list);
	}
	if (ret == 0)
		ret = engines_settle(conf);
	if (ret != 0)
		return ret;
	/* Where several users may come, none takes all the places. */
	if (conf->max_per_uid == 0)
		conf->max_per_uid = conf->rules.nb_gids == 0 && conf->rules.nb_uids < 2 ?
			conf->max_bonds : (conf->max_bonds + 1) / 2;
	notices_log(conf);
	return 0;
}
