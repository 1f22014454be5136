/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the bus share: made-up kernels, a driver, what was logged. */
#ifndef TEST_BUS_H
#define TEST_BUS_H

#include <stdbool.h>
#include <stddef.h>

#include "bus_vfio_svm_driver.h"
#include "vfio_svm_bus.h"

/* ---- a folder that looks like /sys and /dev to the scan ---- */

/** Make one without any driver. It ends with tree_end(), the teardown of a suite. */
void
tree_begin(void);

void
tree_end(void);

const struct vfio_svm_roots *
tree_roots(void);

/** Folders, and a file with this text, below the tree. */
void
tree_file(const char *path, const char *text);

void
tree_dir(const char *path);

/** A link, with the folders that lead to it. */
void
tree_link(const char *to, const char *path);

void
tree_remove(const char *path);

/** A device bound to vfio_svm_sw, with its group's node. */
void
tree_device(const char *name, int group);

/* Paths below the tree. */
#define TREE_DRIVER	"sys/bus/platform/drivers/vfio_svm_sw"
#define TREE_DEVICES	"sys/devices/platform"

/* ---- the log ---- */

/** Keep what is logged from here on. */
void
said_begin(void);

/** Lines with all the words; a NULL word is none. */
unsigned int
said_lines(const char *word, const char *other);

/** End it, if it was begun. */
void
said_end(void);

/** The bus itself. */
struct rte_bus *
bus_get(void);

/** Add the tests of the bus as EAL sees it to the suite "bus". @return 0, -1. */
int
test_bus_eal_add(void);

#endif /* TEST_BUS_H */
