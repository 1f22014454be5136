/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two halves of the failure sweep share. */
#ifndef TEST_SWEEP_H
#define TEST_SWEEP_H

#include "fixture.h"

/** Bound of one run, failed calls included, in ms: no wait of the libraries is longer. */
#define SWEEP_RUN_MS	15000u

/** What a process has, to be the same before and after. */
struct sweep_has {
	unsigned int fds;
	unsigned int tasks;	/* threads, lanes and children */
	long long bytes, blocks, mapped;	/* of the hooked libraries */
};

/** Look, without a trace in what is looked at. */
struct sweep_has
sweep_look(void);

/** Put the hook into the owner's libraries. */
void
sweep_hook(void);

/**
 * Learn the calls of a device's life and run it for each of them.
 *
 * @param users  Whether a worker of another user is bound as well.
 * @param least  Calls that there are at the least.
 */
void
sweep_lives(struct fx *f, bool users, uint32_t least);

void
test_sweep_system_calls_fail_once(void);

/** Tests of test_sweep_worker.c. */
void
test_sweep_worker_calls_fail_once(void);

#endif /* TEST_SWEEP_H */
