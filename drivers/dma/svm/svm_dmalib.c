/* SPDX-License-Identifier: BSD-3-Clause */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <rte_version.h>

#include "svm_dmalib.h"

/* Major of the ABI: releases of a November open the next year's. */
#define ABI_MAJOR	(RTE_VER_YEAR + (RTE_VER_MONTH == 11))

/* One symbol; ISO C knows no conversion between data and function pointers. */
static int
symbol_find(void *handle, const char *name, void *where)
{
	void **p = where;

	*p = dlsym(handle, name);
	return *p == NULL ? -ENOENT : 0;
}

static int
dmadev_find(void *handle, struct svm_dmalib *lib)
{
	if (symbol_find(handle, "rte_dma_pmd_allocate", &lib->pmd_allocate) != 0 ||
			symbol_find(handle, "rte_dma_pmd_release", &lib->pmd_release) != 0 ||
			symbol_find(handle, "rte_dma_get_dev_id_by_name",
				&lib->get_dev_id_by_name) != 0 ||
			symbol_find(handle, "rte_dma_stop", &lib->stop) != 0 ||
			symbol_find(handle, "rte_dma_fp_objs", &lib->fp_objs) != 0)
		return -ENOENT;
	return 0;
}

static int
vdev_find(void *handle, struct svm_dmalib *lib)
{
	return symbol_find(handle, "rte_vdev_register", &lib->vdev_register);
}

/* Beside a static EAL a shared library would bring a second one. */
static bool
eal_is_shared(void)
{
	char name[64];
	void *eal;

	snprintf(name, sizeof(name), "librte_eal.so.%d", ABI_MAJOR);
	eal = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
	if (eal == NULL)
		return false;
	dlclose(eal);
	return true;
}

static int
library_find(const char *library, int (*find)(void *handle, struct svm_dmalib *lib),
		struct svm_dmalib *lib)
{
	char name[64];
	void *handle;

	if (find(RTLD_DEFAULT, lib) == 0)
		return 0;
	if (!eal_is_shared())
		return -ENOENT;
	snprintf(name, sizeof(name), "librte_%s.so.%d", library, ABI_MAJOR);
	handle = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
	if (handle == NULL)
		return -ENOENT;
	if (find(handle, lib) == 0)
		return 0;	/* the handle stays open for as long as the driver is there */
	dlclose(handle);
	return -ENOENT;
}

int
svm_dmalib_find(struct svm_dmalib *lib)
{
	if (library_find("dmadev", dmadev_find, lib) != 0 ||
			library_find("bus_vdev", vdev_find, lib) != 0)
		return -ENOENT;
	return 0;
}
