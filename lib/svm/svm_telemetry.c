/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "svm_dev.h"
#include "svm_log.h"
#include "svm_telemetry.h"

/* With all numbers at their longest, a page stays below 16 KiB. */
#define PAGE_BONDS	20u
#define PAGE_QUEUES	16u
/* The kernel gives 15 bytes, a line end, and none of it has to be text. */
#define COMMAND_LEN	32

static const char *
engine_name(enum rte_svm_engine engine)
{
	switch (engine) {
	case RTE_SVM_ENGINE_THREAD:
		return "thread";
	case RTE_SVM_ENGINE_INLINE:
		return "inline";
	case RTE_SVM_ENGINE_SERVICE:
		return "service";
	}
	return "?";
}

static const char *
cma_name(enum rte_svm_cma cma)
{
	switch (cma) {
	case RTE_SVM_CMA_LANE:
		return "lane";
	case RTE_SVM_CMA_INLINE:
		return "inline";
	case RTE_SVM_CMA_PRIVILEGED:
		return "privileged";
	}
	return "?";
}

static const char *
tier_name(enum rte_svm_tier tier)
{
	switch (tier) {
	case RTE_SVM_TIER_DIRECT:
		return "direct";
	case RTE_SVM_TIER_CMA:
		return "cma";
	case RTE_SVM_TIER_ALIAS:
		return "alias";
	}
	return "?";
}

static const char *
state_name(enum rte_svm_bond_state state)
{
	switch (state) {
	case RTE_SVM_BOND_ACTIVE:
		return "active";
	case RTE_SVM_BOND_DRAINING:
		return "draining";
	case RTE_SVM_BOND_DEAD:
		return "dead";
	}
	return "?";
}

/* Instead of an answer: DPDK's own would be a bare null. */
static __rte_format_printf(2, 3) int
answer_error(struct rte_tel_data *d, const char *fmt, ...)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rte_tel_data_start_dict(d);
	return rte_tel_data_add_dict_string(d, "error", text);
}

/* A decimal number up to max, which ends at `end`; what follows it, or NULL. */
static const char *
number_take(const char *text, char end, uint32_t max, uint32_t *number)
{
	uint64_t n = 0;

	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		n = n * 10 + (uint64_t)(*text - '0');
		if (n > max)
			return NULL;
	}
	*number = (uint32_t)n;
	return *text == end || *text == '\0' ? text : NULL;
}

/* The device that the parameters name: 0, or answered with an error. */
static int
device_take(const char *cmd, const char *params, bool more, uint32_t *id, const char **rest,
		struct rte_tel_data *d)
{
	const char *end = params == NULL ? NULL :
		number_take(params, more ? ',' : '\0', UINT16_MAX, id);

	if (end == NULL) {
		answer_error(d, "give the id of a device, %s,ID; /svm/list shows them", cmd);
		return -EINVAL;
	}
	if (rest != NULL)
		*rest = end;
	return 0;
}

static int
answer_no_device(struct rte_tel_data *d, uint32_t id)
{
	return answer_error(d, "no device has id %u; /svm/list shows them", id);
}

static int
list_answer(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct rte_svm_info info;
	uint16_t i;

	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	rte_tel_data_start_array(d, RTE_TEL_INT_VAL);
	for (i = 0; i != SVM_DEVS_MAX; i++)
		if (rte_svm_info_get(i, &info) == 0)
			rte_tel_data_add_array_int(d, i);
	return 0;
}

static int
info_answer(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct rte_svm_info info;
	uint32_t id;

	if (device_take(cmd, params, false, &id, NULL, d) != 0)
		return 0;
	if (rte_svm_info_get(id, &info) != 0)
		return answer_no_device(d, id);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "name", info.name);
	rte_tel_data_add_dict_string(d, "socket", info.socket);
	rte_tel_data_add_dict_string(d, "engine", engine_name(info.engine));
	rte_tel_data_add_dict_string(d, "cma", cma_name(info.cma));
	rte_tel_data_add_dict_string(d, "tier", info.tiers == RTE_SVM_TIERS_CMA ? "cma" : "auto");
	rte_tel_data_add_dict_int(d, "dma_dev_id", info.dma_dev_id);
	rte_tel_data_add_dict_int(d, "numa_node", info.numa_node);
	rte_tel_data_add_dict_int(d, "started", info.started);
	rte_tel_data_add_dict_u64(d, "bonds", info.nb_bonds);
	rte_tel_data_add_dict_u64(d, "max_bonds", info.max_bonds);
	rte_tel_data_add_dict_u64(d, "depth", info.depth);
	rte_tel_data_add_dict_u64(d, "timeout_us", info.timeout_us);
	rte_tel_data_add_dict_u64(d, "idle_us", info.idle_us);
	return 0;
}

static int
stats_answer(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct rte_svm_stats s;
	uint32_t id;

	if (device_take(cmd, params, false, &id, NULL, d) != 0)
		return 0;
	if (rte_svm_stats_get(id, &s) != 0)
		return answer_no_device(d, id);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "ops", s.ops);
	rte_tel_data_add_dict_u64(d, "errors", s.errors);
	rte_tel_data_add_dict_u64(d, "bytes", s.bytes);
	rte_tel_data_add_dict_u64(d, "moves", s.moves);
	rte_tel_data_add_dict_u64(d, "faults", s.faults);
	rte_tel_data_add_dict_u64(d, "faults_lost", s.faults_lost);
	rte_tel_data_add_dict_u64(d, "timeouts", s.timeouts);
	rte_tel_data_add_dict_u64(d, "cma_batches", s.cma_batches);
	rte_tel_data_add_dict_u64(d, "cma_calls", s.cma_calls);
	rte_tel_data_add_dict_u64(d, "cma_pieces", s.cma_pieces);
	rte_tel_data_add_dict_u64(d, "alias_ops", s.alias_ops);
	rte_tel_data_add_dict_u64(d, "alias_bytes", s.alias_bytes);
	rte_tel_data_add_dict_u64(d, "atc_hits", s.atc_hits);
	rte_tel_data_add_dict_u64(d, "atc_misses", s.atc_misses);
	rte_tel_data_add_dict_u64(d, "lanes_made", s.lanes_made);
	rte_tel_data_add_dict_u64(d, "lanes_killed", s.lanes_killed);
	rte_tel_data_add_dict_u64(d, "binds_refused", s.binds_refused);
	return 0;
}

/* ---- bonds ---- */

/*
 * The process's command name as it is now, for people: it can call itself as it likes,
 * so only plain characters come through. "" when it is gone.
 */
static void
command_read(pid_t pid, char text[COMMAND_LEN])
{
	ssize_t i, n;
	int fd;

	snprintf(text, COMMAND_LEN, "/proc/%d/comm", (int)pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, COMMAND_LEN - 1);
	if (fd >= 0)
		close(fd);
	if (n > 0 && text[n - 1] == '\n')
		n--;
	for (i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
			text[i] = '?';
	text[i] = '\0';
}

static void
fill_add(struct rte_tel_data *bond, struct svm_dev *dev, uint32_t pasid)
{
	uint32_t waiting[PAGE_QUEUES], i;
	const uint32_t nb = svm_fill_read(&dev->fill, pasid, waiting, PAGE_QUEUES);
	struct rte_tel_data *list;

	rte_tel_data_add_dict_u64(bond, "queues", nb);
	if (nb == 0)
		return;
	list = rte_tel_data_alloc();
	if (list == NULL)
		return;
	rte_tel_data_start_array(list, RTE_TEL_INT_VAL);
	for (i = 0; i != RTE_MIN(nb, PAGE_QUEUES); i++)
		rte_tel_data_add_array_int(list, (int)waiting[i]);
	rte_tel_data_add_dict_container(bond, "queue_fill", list, 0);
}

static int
bond_add(struct rte_tel_data *bonds, struct svm_dev *dev, const struct rte_svm_bond_info *info)
{
	struct rte_tel_data *bond = rte_tel_data_alloc();
	char text[COMMAND_LEN] = "";

	if (bond == NULL)
		return -ENOMEM;
	rte_tel_data_start_dict(bond);
	rte_tel_data_add_dict_u64(bond, "bond", info->bond);
	rte_tel_data_add_dict_int(bond, "pid", info->pid);
	/* Of a dead bond the pid may be another's by now. */
	if (info->state == RTE_SVM_BOND_ACTIVE)
		command_read(info->pid, text);
	rte_tel_data_add_dict_string(bond, "command", text);
	rte_tel_data_add_dict_string(bond, "state", state_name(info->state));
	rte_tel_data_add_dict_string(bond, "tier", tier_name(info->tier));
	rte_tel_data_add_dict_int(bond, "by_socket", info->by_socket);
	rte_tel_data_add_dict_u64(bond, "ops", info->ops);
	rte_tel_data_add_dict_u64(bond, "bytes_in", info->bytes_in);
	rte_tel_data_add_dict_u64(bond, "bytes_out", info->bytes_out);
	rte_tel_data_add_dict_u64(bond, "faults", info->faults);
	fill_add(bond, dev, info->pasid);
	snprintf(text, sizeof(text), "%u", info->pasid);
	return rte_tel_data_add_dict_container(bonds, text, bond, 0);
}

/* A page of bonds, from the first PASID on. @return PASID of the next page, 0: none. */
static uint32_t
page_fill(struct rte_tel_data *bonds, struct svm_dev *dev, const uint64_t *ids, uint32_t nb,
		uint32_t first)
{
	struct rte_svm_bond_info info;
	uint32_t i, n = 0;

	for (i = 0; i != nb; i++) {
		/* It may have ended since it was listed. */
		if (rte_svm_bond_info_get(dev->id, ids[i], &info) != 0 || info.pasid < first)
			continue;
		if (n == PAGE_BONDS || bond_add(bonds, dev, &info) != 0)
			return info.pasid;
		n++;
	}
	return 0;
}

static int
page_answer(struct svm_dev *dev, uint32_t first, struct rte_tel_data *d)
{
	const uint32_t max = dev->conf.max_bonds;
	uint64_t *ids = calloc(max, sizeof(*ids));
	struct rte_tel_data *bonds = rte_tel_data_alloc();
	uint32_t next;
	int nb;

	if (ids == NULL || bonds == NULL) {
		free(ids);
		rte_tel_data_free(bonds);
		return answer_error(d, "no memory");
	}
	nb = rte_svm_bond_list(dev->id, ids, max);
	rte_tel_data_start_dict(bonds);
	next = page_fill(bonds, dev, ids, RTE_MIN((uint32_t)RTE_MAX(nb, 0), max), first);
	free(ids);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "device", dev->conf.name);
	rte_tel_data_add_dict_int(d, "total", RTE_MAX(nb, 0));
	rte_tel_data_add_dict_u64(d, "next", next);
	return rte_tel_data_add_dict_container(d, "bonds", bonds, 0);
}

static int
bonds_answer(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct svm_dev *dev;
	uint32_t id, first = 0;
	const char *rest;
	int ret;

	if (device_take(cmd, params, true, &id, &rest, d) != 0)
		return 0;
	if (*rest == ',' && number_take(rest + 1, '\0', SVM_BONDS_MAX, &first) == NULL)
		return answer_error(d, "give a PASID, %s,ID,PASID, or none", cmd);
	if (svm_registry_get(id, &dev) != 0)
		return answer_no_device(d, id);
	ret = page_answer(dev, first, d);
	svm_registry_put(id);
	return ret;
}

static void
commands_register(void)
{
	if (rte_telemetry_register_cmd("/svm/list", list_answer,
				"Ids of the svm devices. No parameters") != 0 ||
			rte_telemetry_register_cmd("/svm/info", info_answer,
				"Settings and state of a device. Parameters: int ID") != 0 ||
			rte_telemetry_register_cmd("/svm/stats", stats_answer,
				"Counters of a device. Parameters: int ID") != 0 ||
			rte_telemetry_register_cmd("/svm/bonds", bonds_answer,
				"Bonds of a device, a page. Parameters: int ID, int PASID to begin with (optional)") != 0)
		SVM_LOG(WARNING, "telemetry commands could not be registered, they will be missing");
}

void
svm_telemetry_register(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, commands_register);
}
