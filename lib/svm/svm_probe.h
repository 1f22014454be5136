/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A probe: one real access to a process, to learn whether the kernel allows
 * it, and, when a worker asks for itself, whether it is the one who asks.
 *
 * Permission is process_vm_readv() with the worker's rights, in a lane. The
 * kernel checks before it looks at the address, so that without a nonce address
 * 0 will do, and EFAULT means yes.
 *
 * The proof: a random nonce was told to the asker after the process had been
 * opened, and the asker wrote it into its own memory. It is read twice, by the
 * pid and through the mem descriptor: only whoever can write to the mm that
 * was opened can have put it there, and the pid still has that mm.
 *
 * A probe is driven by svm_probe_step(), which never waits, or by
 * svm_probe_run(), which does. Without lanes (cma=inline) an errand does it.
 */
#ifndef SVM_PROBE_H
#define SVM_PROBE_H

#include <stdint.h>

#include "svm_ident.h"
#include "svm_lane.h"
#include "svm_proto.h"

struct svm_probe;

/**
 * Make a probe. The ident's descriptors stay open until it is destroyed.
 *
 * @param lanes    Where it runs; NULL: in an errand, with the caller's rights.
 * @param us       Bound of the access, 1 or more; on a machine with more to run
 *   than cores, up to 16 times that.
 * @param eventfd  Of an errand, see svm_errand.h; lanes have the pool's.
 * @param nonce    What has to be there; NULL: only permission is asked.
 * @param addr     Where: an address in the process.
 * @return 0, -ENOMEM.
 */
int
svm_probe_create(struct svm_lane_pool *lanes, const struct svm_ident *ident, uint32_t us,
		int eventfd, const struct svm_nonce *nonce, uint64_t addr,
		struct svm_probe **probe);

/**
 * Go on, without waiting.
 *
 * @return -EINPROGRESS: call again when an eventfd is written, and after some ms
 *   in any case. Otherwise it has ended: 0; -EPERM the kernel refuses; -ESRCH the
 *   process or its mm is gone; -EFAULT nothing can be read at addr;
 *   -EKEYREJECTED something else than the nonce is there; -ETIMEDOUT; -ENOMEM,
 *   -EAGAIN, -EMFILE no lane.
 */
int
svm_probe_step(struct svm_probe *probe);

/** Take it to its end, waiting. As svm_probe_step(). */
int
svm_probe_run(struct svm_probe *probe);

/**
 * Give up what has not ended: no waiting; svm_probe_step() goes on until it
 * says that it has ended, and only then the probe can be destroyed.
 */
void
svm_probe_cancel(struct svm_probe *probe);

/** Free a probe that has ended, or that was never stepped. */
void
svm_probe_destroy(struct svm_probe *probe);

#endif /* SVM_PROBE_H */
