/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is served: the rules, how many workers there may be, of one user and of
 * one process, and the descriptors that are not for workers. Asked as a
 * connection is accepted; what it counts is given back with the connection.
 */
#ifndef SVM_ADMIT_H
#define SVM_ADMIT_H

#include "svm_server.h"
#include "svm_tally.h"

/* Of RLIMIT_NOFILE so many, an eighth of it at the most, are the owner's own. */
#define SVM_FDS_RESERVED	64u

struct svm_admit {
	const struct svm_server_conf *conf;
	uint32_t nb;		/* connections counted */
	struct svm_tally tally;
	uint64_t told_ms;	/* when a refusal was logged last */
	uint32_t untold;	/* refusals since */
};

/**
 * Admit an accepted connection, which is then counted.
 *
 * @return 0; -EACCES: the rules; -EUSERS: a limit; -EMFILE: the descriptor is
 *   one of the reserve; -ENOMEM. The log says which rule and what to do, once a
 *   second.
 */
int
svm_admit_take(struct svm_admit *admit, int sock, uint64_t now_ms);

/** The connection of this process is gone. */
void
svm_admit_put(struct svm_admit *admit, pid_t pid, uid_t uid);

/** Whether a descriptor that was just opened is one of the reserve. */
bool
svm_fd_reserved(int fd);

#endif /* SVM_ADMIT_H */
