/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "svm_policy.h"

static bool
listed(const uint32_t *ids, uint32_t nb, uint32_t id)
{
	uint32_t i;

	for (i = 0; i != nb; i++)
		if (ids[i] == id)
			return true;
	return false;
}

bool
svm_rules_allow(const struct svm_rules *rules, uid_t uid, gid_t gid, const gid_t *groups,
		uint32_t nb_groups)
{
	uint32_t i;

	if (!svm_rules_exist(rules) || listed(rules->uids, rules->nb_uids, uid) ||
			listed(rules->gids, rules->nb_gids, gid))
		return true;
	for (i = 0; i != nb_groups; i++)
		if (listed(rules->gids, rules->nb_gids, groups[i]))
			return true;
	return false;
}

void
svm_policy_set(struct svm_policy *policy, rte_svm_policy_t fn, void *arg)
{
	pthread_mutex_lock(&policy->lock);
	policy->fn = fn;
	policy->arg = arg;
	pthread_mutex_unlock(&policy->lock);
}

int
svm_policy_ask(struct svm_policy *policy, uint16_t dev_id, const struct svm_ident *ident)
{
	int ret = 0;

	pthread_mutex_lock(&policy->lock);
	if (policy->fn != NULL)
		ret = policy->fn(dev_id, ident->pid, ident->cred.euid, ident->cred.egid,
				policy->arg);
	pthread_mutex_unlock(&policy->lock);
	return ret <= 0 && ret >= -4095 ? ret : -EACCES;
}
