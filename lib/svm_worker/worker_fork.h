/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether something was made by this process or by one that it was forked from,
 * without a system call: a number in a page that the kernel wipes in a child,
 * however it was forked.
 */
#ifndef WORKER_FORK_H
#define WORKER_FORK_H

#include <stdbool.h>
#include <stdint.h>

/** This process's number, other than 0. Any thread. @return 0, -errno. */
int
svm_wfork_number(uint32_t *number);

/** Whether a number that svm_wfork_number() gave is this process's. */
bool
svm_wfork_is_own(uint32_t number);

#endif /* WORKER_FORK_H */
