/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where memory and threads are: the node of a device. Everything here is a
 * preference, and does nothing where the kernel knows no nodes.
 */
#ifndef SVM_NUMA_H
#define SVM_NUMA_H

#include <sched.h>
#include <stddef.h>

/** Prefer a node for pages that are not there yet. node -1: any. */
void
svm_numa_prefer(void *mem, size_t len, int node);

/** Zeroed pages, preferred on a node; NULL. */
void *
svm_numa_alloc(size_t len, int node);

/** NULL is allowed; len as it was asked for. */
void
svm_numa_free(void *mem, size_t len);

/** Leave in the set the node's CPUs; untouched when none of them is in it. */
void
svm_numa_narrow(cpu_set_t *set, int node);

#endif /* SVM_NUMA_H */
