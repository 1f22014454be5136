/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may be a worker: lists of users and groups, checked when somebody
 * connects and again, against the rights of the process, when it is bound; and
 * a function of the application, asked last.
 */
#ifndef SVM_POLICY_H
#define SVM_POLICY_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "rte_svm_pmd.h"
#include "svm_ident.h"

/** Whether there are rules. Without them the socket's mode is the rule. */
static inline bool
svm_rules_exist(const struct svm_rules *rules)
{
	return rules->nb_uids != 0 || rules->nb_gids != 0;
}

/** Whether workers of several users may come, who are to leave each other room. */
static inline bool
svm_rules_many_users(const struct svm_rules *rules)
{
	return rules->nb_gids != 0 || rules->nb_uids > 1;
}

/** Mode of the socket: with rules everybody may knock, and the rules answer. */
static inline mode_t
svm_rules_mode(const struct svm_rules *rules)
{
	return svm_rules_exist(rules) ? 0666 : 0600;
}

/**
 * Whether rules allow a user. One that is listed is enough, of its effective
 * user, its effective group and its other groups.
 */
bool
svm_rules_allow(const struct svm_rules *rules, uid_t uid, gid_t gid, const gid_t *groups,
		uint32_t nb_groups);

/** The application's function. */
struct svm_policy {
	pthread_mutex_t lock;	/* held while it runs: it is not taken away meanwhile */
	rte_svm_policy_t fn;	/* under lock; NULL: none */
	void *arg;		/* under lock */
};

void
svm_policy_set(struct svm_policy *policy, rte_svm_policy_t fn, void *arg);

/** Ask it. 0, or what it answers, -EACCES if that is no -errno. */
int
svm_policy_ask(struct svm_policy *policy, uint16_t dev_id, const struct svm_ident *ident);

#endif /* SVM_POLICY_H */
