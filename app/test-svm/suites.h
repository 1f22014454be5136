/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What dpdk-test-svm can run: one CUnit suite for each object of the library.
 *
 * A suite's function adds its suite to CUnit's registry and returns 0, or -1
 * when CUnit has no memory. Its tests build their own fixtures.
 */
#ifndef SUITES_H
#define SUITES_H

#include <stdbool.h>

int test_ring_suite(void);
int test_copy_suite(void);
int test_atc_suite(void);
int test_ident_suite(void);
int test_pasid_suite(void);
int test_xfer_suite(void);
int test_lane_suite(void);
int test_server_suite(void);
int test_mem_suite(void);
int test_bus_suite(void);
int test_busdev_suite(void);
int test_devargs_suite(void);
int test_dmadev_suite(void);
int test_dmadev_bonds_suite(void);
int test_dmadev_life_suite(void);
int test_dmadev_many_suite(void);
int test_bond_suite(void);
int test_alias_suite(void);
int test_alias_life_suite(void);
int test_identity_suite(void);
int test_rights_suite(void);
int test_life_suite(void);
int test_wakeup_suite(void);
int test_engine_suite(void);
int test_engines_suite(void);
int test_numa_suite(void);
int test_idle_suite(void);
int test_queue_suite(void);
int test_fault_suite(void);
int test_window_suite(void);
int test_window_range_suite(void);
int test_window_life_suite(void);
int test_window_list_suite(void);
int test_heap_suite(void);
int test_share_suite(void);
int test_hostile_suite(void);
int test_log_suite(void);
int test_telemetry_suite(void);
int test_threads_suite(void);
int test_trace_suite(void);
int test_crowd_suite(void);
int test_sweep_suite(void);
int test_scale_suite(void);

struct test_suite {
	const char *name;
	int (*add)(void);
	bool asked;	/* needs what few machines have: runs when it is named, and then fails without */
};

/* From the ring up to what crosses processes: the first failure says most. */
static const struct test_suite test_suites[] = {
	{ "ring", test_ring_suite },
	{ "threads", test_threads_suite },
	{ "copy", test_copy_suite },
	{ "atc", test_atc_suite },
	{ "ident", test_ident_suite },
	{ "pasid", test_pasid_suite },
	{ "xfer", test_xfer_suite },
	{ "lane", test_lane_suite },
	{ "server", test_server_suite },
	{ "mem", test_mem_suite },
	{ "bus", test_bus_suite },
	{ "devargs", test_devargs_suite },
	{ "dmadev", test_dmadev_suite },
	{ "dmadev_bonds", test_dmadev_bonds_suite },
	{ "dmadev_life", test_dmadev_life_suite },
	{ "dmadev_many", test_dmadev_many_suite },
	{ "bond", test_bond_suite },
	{ "identity", test_identity_suite },
	{ "rights", test_rights_suite },
	{ "life", test_life_suite },
	{ "wakeup", test_wakeup_suite },
	{ "engine", test_engine_suite },
	{ "engines", test_engines_suite },
	{ "numa", test_numa_suite },
	{ "idle", test_idle_suite },
	{ "queue", test_queue_suite },
	{ "fault", test_fault_suite },
	{ "alias", test_alias_suite },
	{ "alias_life", test_alias_life_suite },
	{ "window", test_window_suite },
	{ "window_range", test_window_range_suite },
	{ "window_life", test_window_life_suite },
	{ "window_list", test_window_list_suite },
	{ "heap", test_heap_suite },
	{ "share", test_share_suite },
	{ "hostile", test_hostile_suite },
	{ "log", test_log_suite },
	{ "telemetry", test_telemetry_suite },
	{ "trace", test_trace_suite },
	{ "crowd", test_crowd_suite },
	{ "sweep", test_sweep_suite },
	{ "scale", test_scale_suite },
	{ "bus_device", test_busdev_suite, .asked = true },
};

#define TEST_SUITES	(sizeof(test_suites) / sizeof(test_suites[0]))

#endif /* SUITES_H */
