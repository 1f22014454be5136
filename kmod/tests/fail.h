/* SPDX-License-Identifier: GPL-2.0 */
/* Allocations and user copies of the kernel that fail on demand: CONFIG_FAULT_INJECTION. */
#ifndef KMOD_FAIL_H
#define KMOD_FAIL_H

#include <sys/types.h>

#include "test.h"

/* More than any call meets: one that goes on for ever must end. */
#define NTH_MAX	2000

/* NULL, or what the kernel lacks. */
const char *fail_lacks(void);
/* By default most allocations are spared. */
void fail_spare_none(void);

/* The kernel thread of this name: the only one. */
pid_t thread_named(const char *name);

/* The fail-nth file of a thread, also one of the kernel's. */
int nth_open(pid_t tid);
/* Its nth allocation or user copy from now on fails. */
void nth_arm(int fd, unsigned int nth);
/* No more of it. Whether it happened. */
bool nth_disarm(int fd);

/* "1": the threads that run work shall fail when the task filter says so. "0": no more. */
void fail_kworkers(const char *yes);
/* The first allocation that the software device's module asks for in such a thread fails. */
void fail_first_of_module(void);
/* No more of it. Whether it happened. */
bool fail_no_more(void);

#endif /* KMOD_FAIL_H */
