/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include <numa.h>
#include <numaif.h>

#include "svm_numa.h"

/* Nodes that the kernel can have, and those in a word of its masks. */
#define NODES_MAX	1024
#define NODES_WORD	((int)(8 * sizeof(unsigned long)))

void
svm_numa_prefer(void *mem, size_t len, int node)
{
	unsigned long mask[NODES_MAX / NODES_WORD] = { 0 };

	if (node < 0 || node >= NODES_MAX || numa_available() < 0)
		return;
	/* Not numa_tonode_memory(): that would rather have no page than one elsewhere. */
	mask[node / NODES_WORD] = 1ul << node % NODES_WORD;
	mbind(mem, len, MPOL_PREFERRED, mask, NODES_MAX, 0);
}

void *
svm_numa_alloc(size_t len, int node)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	svm_numa_prefer(p, len, node);
	return p;
}

void
svm_numa_free(void *mem, size_t len)
{
	if (mem != NULL)
		munmap(mem, len);
}

void
svm_numa_narrow(cpu_set_t *set, int node)
{
	cpu_set_t both;
	struct bitmask *cpus;
	unsigned int i;

	if (node < 0 || numa_available() < 0)
		return;
	cpus = numa_allocate_cpumask();
	CPU_ZERO(&both);
	if (cpus != NULL && numa_node_to_cpus(node, cpus) == 0)
		for (i = 0; i != CPU_SETSIZE && i < cpus->size; i++)
			if (numa_bitmask_isbitset(cpus, i) && CPU_ISSET(i, set))
				CPU_SET(i, &both);
	if (cpus != NULL)
		numa_free_cpumask(cpus);
	if (CPU_COUNT(&both) != 0)
		*set = both;
}
