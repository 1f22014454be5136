/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Binding, in its two forms: by the owner, who waits (svm_bind.c), and by a
 * worker over the socket, which holds nobody up (svm_bind_req.c).
 */
#ifndef SVM_BIND_H
#define SVM_BIND_H

#include "svm_dev.h"
#include "svm_probe.h"

/* Bound of opening a process, which takes some 100 us. */
#define SVM_BIND_OPEN_US	1000000u

/** Bound of a probe of this device. */
uint32_t
svm_bind_probe_us(const struct svm_dev *dev);

/**
 * The active bond of a pid, which may be of an earlier program: a probe tells.
 * It counts as an operation, svm_bond_put() ends that. NULL: there is none.
 *
 * @param ident  Out: its; the descriptors stay open meanwhile.
 */
struct svm_bond *
svm_bind_stale_get(struct svm_dev *dev, pid_t pid, struct svm_ident *ident);

/** Give it back with what the probe said: 0 it is dead now; -EEXIST. */
int
svm_bind_stale_put(struct svm_bond *bond, int probed);

/**
 * Enter a process that may be bound, and watch its end. Takes the ident with
 * success.
 */
int
svm_bind_enter(struct svm_dev *dev, struct svm_ident *ident, uint64_t user, bool by_socket,
		uint64_t *bond);

/** Say why a bind is refused. `ident`: as far as it was opened. */
void
svm_bind_log_refusal(struct svm_dev *dev, pid_t pid, const struct svm_ident *ident, int err);

/* ---- by a worker; on the server's thread ---- */

/** svm_server_ops, see svm_server.h. `arg` is the device. */
int
svm_bind_req_begin(void *arg, const struct svm_peer *peer, uint64_t user, uint64_t word,
		void **req);

int
svm_bind_req_step(void *arg, void *req, struct svm_nonce *nonce, uint64_t *bond);

void
svm_bind_req_prove(void *arg, void *req);

int
svm_bind_req_end(void *arg, void *req);

#endif /* SVM_BIND_H */
