/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The plugin's own link to librte_dmadev.
 *
 * A plugin takes DPDK's symbols from the application, and EAL loads it with RTLD_NOW: one symbol that
 * the application does not have, and nothing starts. dpdk-testpmd, for one, is linked with everything
 * that the plugin needs except librte_dmadev. Yet the library is there by the time a device is
 * probed, because EAL's own drivers bring it, only not in the global scope. So these functions, which
 * no object but the plugin sees, look the real ones up. A driver that calls another function of
 * librte_dmadev needs one more here; scripts/test.sh says which.
 *
 * For probe and remove, not for the data path: each call is a look-up.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_dmadev.h>
#include <rte_dmadev_pmd.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "svm_dmadev_link.h"

static void *
dmadev_symbol(const char *name)
{
	void *symbol, *library;

	symbol = dlsym(RTLD_DEFAULT, name);
	if (symbol != NULL)
		return symbol;

	/* NOLOAD: the copy that EAL uses, or none. A second one would keep devices of its own. */
	library = dlopen(SVM_DMADEV_SONAME, RTLD_NOW | RTLD_NOLOAD);
	if (library != NULL) {
		symbol = dlsym(library, name);
		dlclose(library);
	}
	if (symbol == NULL) {
		rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL,
			"svm: this application has no librte_dmadev (%s not found)\n", name);
		rte_errno = ENOTSUP;
	}
	return symbol;
}

struct rte_dma_dev *
rte_dma_pmd_allocate(const char *name, int numa_node, size_t private_data_size)
{
	typeof(rte_dma_pmd_allocate) *real = dmadev_symbol(__func__);

	return real == NULL ? NULL : real(name, numa_node, private_data_size);
}

int
rte_dma_pmd_release(const char *name)
{
	typeof(rte_dma_pmd_release) *real = dmadev_symbol(__func__);

	return real == NULL ? -ENOTSUP : real(name);
}

int
rte_dma_get_dev_id_by_name(const char *name)
{
	typeof(rte_dma_get_dev_id_by_name) *real = dmadev_symbol(__func__);

	return real == NULL ? -ENOTSUP : real(name);
}

int
rte_dma_stop(int16_t dev_id)
{
	typeof(rte_dma_stop) *real = dmadev_symbol(__func__);

	return real == NULL ? -ENOTSUP : real(dev_id);
}

struct rte_dma_fp_object *
svm_dmadev_fp_object(int16_t dev_id)
{
	struct rte_dma_fp_object **objects = dmadev_symbol("rte_dma_fp_objs");

	return objects == NULL ? NULL : &(*objects)[dev_id];
}
