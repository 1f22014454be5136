/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus as EAL uses it: names, -a and -b, the list of devices, on made-up kernels. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_devargs.h>

#include "runner.h"
#include "test_bus.h"
#include "test_own.h"

static unsigned int probes;

/* Takes nothing; on made-up kernels no device can be opened, so it is never asked. */
static int
idle_probe(struct rte_vfio_svm_driver *driver, struct rte_vfio_svm_device *dev)
{
	(void)driver;
	(void)dev;
	probes++;
	return 1;
}

static int
idle_remove(struct rte_vfio_svm_device *dev)
{
	(void)dev;
	return 0;
}

static struct {
	struct rte_vfio_svm_driver driver;
	bool registered;
} idle = { .driver = {
	.driver.name = "test_idle",
	.probe = idle_probe,
	.remove = idle_remove,
} };

static void
begin(bool with_driver)
{
	probes = 0;
	tree_begin();
	vfio_svm_bus_roots_set(tree_roots());
	tree_device("vfio_svm_sw.0", 10);
	tree_device("vfio_svm_sw.1", 11);
	if (with_driver) {
		rte_vfio_svm_register(&idle.driver);
		idle.registered = true;
	}
}

/* The bus is as the test found it: no device, no driver, no policy. */
static void
end(void)
{
	struct rte_devargs *args;

	said_end();
	tree_end();
	if (idle.registered)
		rte_vfio_svm_unregister(&idle.driver);
	idle.registered = false;
	bus_get()->scan();
	vfio_svm_bus_roots_set(NULL);
	bus_get()->conf.scan_mode = RTE_BUS_SCAN_UNDEFINED;
	while ((args = rte_devargs_next(VFIO_SVM_BUS, NULL)) != NULL)
		rte_devargs_remove(args);
}

static int
named(const struct rte_device *dev, const void *name)
{
	return strcmp(rte_dev_name(dev), name);
}

static struct rte_device *
listed(const char *name)
{
	return bus_get()->find_device(NULL, named, name);
}

static void
test_bus_name_is_parsed_with_and_without_prefix(void)
{
	static const char *const texts[] = { "vfio_svm:vfio_svm_sw.0,a=b", "vfio_svm_sw.0,a=b" };
	size_t i;

	for (i = 0; i != RTE_DIM(texts); i++) {
		struct rte_devargs args;

		TEST_EQUAL(rte_devargs_parse(&args, texts[i]), 0);
		CU_ASSERT_PTR_EQUAL(args.bus, bus_get());
		CU_ASSERT_STRING_EQUAL(args.name, "vfio_svm_sw.0");
		CU_ASSERT_STRING_EQUAL(args.args, "a=b");
		rte_devargs_reset(&args);
	}
}

static void
test_bus_name_that_cannot_be_is_refused_and_named(void)
{
	static const char *const texts[] = { "vfio_svm:nope", "vfio_svm:", "vfio_svm:vfio_svm_sw",
		"vfio_svm:vfio_svm_sw.", "vfio_svm:vfio_svm_sw.1x", "vfio_svm:0000:00:01.0x" };
	size_t i;

	for (i = 0; i != RTE_DIM(texts); i++) {
		struct rte_devargs args;

		said_begin();
		CU_ASSERT(rte_devargs_parse(&args, texts[i]) != 0);
		if (said_lines("VFIO_SVM: ", texts[i]) != 1)
			test_fail("'%s' is not named in one line", texts[i]);
		said_end();
	}
}

static void
test_bus_leaves_names_of_other_buses_alone(void)
{
	said_begin();
	CU_ASSERT(bus_get()->parse("0000:00:01.0", NULL) != 0);
	CU_ASSERT(bus_get()->parse("svm0", NULL) != 0);
	CU_ASSERT(bus_get()->parse("net_null0", NULL) != 0);
	TEST_EQUAL(said_lines("VFIO_SVM", NULL), 0);
}

static void
test_bus_eal_option_that_names_no_device_ends_the_start(void)
{
	static struct test_output out;

	test_own_suite("", "-a vfio_svm:nope", "ring", &out);
	CU_ASSERT(out.status != 0);
	TEST_EQUAL(test_lines_with(out.text, "VFIO_SVM: ", "vfio_svm:nope"), 1);
}

static void
test_bus_eal_option_that_names_missing_device_is_told(void)
{
	static struct test_output out;

	test_own_suite("", "-a vfio_svm:vfio_svm_sw.65535", "pasid", &out);
	TEST_EQUAL(out.status, 0);
	TEST_EQUAL(test_lines_with(out.text, "VFIO_SVM: ", "vfio_svm_sw.65535: there is no such"), 1);
}

static void
test_bus_lists_what_the_scan_finds(void)
{
	begin(false);
	tree_file(TREE_DEVICES "/vfio_svm_sw.1/numa_node", "1");
	TEST_EQUAL(bus_get()->scan(), 0);
	CU_ASSERT_FATAL(listed("vfio_svm_sw.0") != NULL && listed("vfio_svm_sw.1") != NULL);
	CU_ASSERT_PTR_NULL(listed("vfio_svm_sw.2"));
	TEST_EQUAL(rte_dev_numa_node(listed("vfio_svm_sw.0")), -1);
	TEST_EQUAL(rte_dev_numa_node(listed("vfio_svm_sw.1")), 1);
	CU_ASSERT_PTR_EQUAL(rte_dev_bus(listed("vfio_svm_sw.0")), bus_get());
	CU_ASSERT(!rte_dev_is_probed(listed("vfio_svm_sw.0")));
}

static void
test_bus_scanned_again_follows_the_kernel(void)
{
	const struct rte_device *first;

	begin(false);
	TEST_EQUAL(bus_get()->scan(), 0);
	first = listed("vfio_svm_sw.0");
	tree_remove(TREE_DRIVER "/vfio_svm_sw.1");
	tree_device("vfio_svm_sw.2", 12);
	TEST_EQUAL(bus_get()->scan(), 0);
	CU_ASSERT_PTR_EQUAL(listed("vfio_svm_sw.0"), first);
	CU_ASSERT_PTR_NULL(listed("vfio_svm_sw.1"));
	CU_ASSERT_PTR_NOT_NULL(listed("vfio_svm_sw.2"));
}

static void
test_bus_skips_with_one_line_and_goes_on(void)
{
	begin(false);
	tree_remove("dev/vfio/10");
	said_begin();
	TEST_EQUAL(bus_get()->scan(), 0);
	TEST_EQUAL(said_lines("vfio_svm_sw.0: skipped: ", "/dev/vfio/10"), 1);
	TEST_EQUAL(said_lines("VFIO_SVM", NULL), 1);
	CU_ASSERT_PTR_NOT_NULL(listed("vfio_svm_sw.1"));
}

static void
test_bus_with_device_wants_virtual_addresses(void)
{
	begin(false);
	TEST_EQUAL(bus_get()->get_iommu_class(), RTE_IOVA_DC);
	TEST_EQUAL(bus_get()->scan(), 0);
	TEST_EQUAL(bus_get()->get_iommu_class(), RTE_IOVA_VA);
}

static void
test_bus_with_blocked_devices_wants_nothing(void)
{
	begin(false);
	TEST_EQUAL(rte_devargs_add(RTE_DEVTYPE_BLOCKED, "vfio_svm:vfio_svm_sw.0"), 0);
	TEST_EQUAL(rte_devargs_add(RTE_DEVTYPE_BLOCKED, "vfio_svm:vfio_svm_sw.1"), 0);
	TEST_EQUAL(bus_get()->scan(), 0);
	TEST_EQUAL(bus_get()->get_iommu_class(), RTE_IOVA_DC);
}

static void
test_bus_blocked_device_is_not_opened(void)
{
	begin(true);
	TEST_EQUAL(rte_devargs_add(RTE_DEVTYPE_BLOCKED, "vfio_svm:vfio_svm_sw.0"), 0);
	TEST_EQUAL(bus_get()->scan(), 0);
	said_begin();
	bus_get()->probe();
	TEST_EQUAL(said_lines("vfio_svm_sw.0", NULL), 0);
	TEST_EQUAL(said_lines("vfio_svm_sw.1", NULL), 1);
}

static void
test_bus_allowed_device_alone_is_opened(void)
{
	begin(true);
	TEST_EQUAL(rte_devargs_add(RTE_DEVTYPE_ALLOWED, "vfio_svm:vfio_svm_sw.0"), 0);
	TEST_EQUAL(bus_get()->scan(), 0);
	said_begin();
	bus_get()->probe();
	TEST_EQUAL(said_lines("vfio_svm_sw.0", NULL), 1);
	TEST_EQUAL(said_lines("vfio_svm_sw.1", NULL), 0);
}

static void
test_bus_device_that_is_none_of_vfio_is_refused(void)
{
	begin(true);
	TEST_EQUAL(bus_get()->scan(), 0);
	said_begin();
	CU_ASSERT(bus_get()->probe() != 0);
	/* Each by the step that failed; no driver was asked. */
	TEST_EQUAL(said_lines("vfio_svm_sw.0", "VFIO_GROUP_GET_STATUS"), 1);
	TEST_EQUAL(said_lines("vfio_svm_sw.1", "VFIO_GROUP_GET_STATUS"), 1);
	TEST_EQUAL(probes, 0);
	CU_ASSERT(!rte_dev_is_probed(listed("vfio_svm_sw.0")));
}

static void
test_bus_own_node_that_is_none_of_vfio_is_refused(void)
{
	begin(true);
	tree_dir(TREE_DEVICES "/vfio_svm_sw.0/vfio-dev/vfio7");
	tree_file("dev/vfio/devices/vfio7", "");
	tree_file("dev/iommu", "");
	said_begin();
	TEST_EQUAL(rte_dev_probe("vfio_svm:vfio_svm_sw.0"), -ENOTTY);
	TEST_EQUAL(said_lines("vfio_svm_sw.0", "VFIO_DEVICE_BIND_IOMMUFD"), 1);
}

static void
test_bus_probe_of_missing_device_is_refused(void)
{
	begin(true);
	TEST_EQUAL(rte_dev_probe("vfio_svm:vfio_svm_sw.9"), -ENODEV);
}

static void
test_bus_probe_without_driver_is_refused(void)
{
	begin(false);
	TEST_EQUAL(rte_dev_probe("vfio_svm:vfio_svm_sw.0"), -ENOTSUP);
}

static void
test_bus_removal_of_what_nobody_has_is_refused(void)
{
	begin(false);
	TEST_EQUAL(bus_get()->scan(), 0);
	CU_ASSERT(rte_dev_remove(listed("vfio_svm_sw.0")) != 0);
	CU_ASSERT_PTR_NOT_NULL(listed("vfio_svm_sw.0"));
}

int
test_bus_eal_add(void)
{
	CU_pSuite s = CU_add_suite_with_setup_and_teardown("bus_eal", NULL, NULL, NULL, end);

	if (s == NULL ||
	    !CU_ADD_TEST(s, test_bus_name_is_parsed_with_and_without_prefix) ||
	    !CU_ADD_TEST(s, test_bus_name_that_cannot_be_is_refused_and_named) ||
	    !CU_ADD_TEST(s, test_bus_leaves_names_of_other_buses_alone) ||
	    !CU_ADD_TEST(s, test_bus_eal_option_that_names_no_device_ends_the_start) ||
	    !CU_ADD_TEST(s, test_bus_eal_option_that_names_missing_device_is_told) ||
	    !CU_ADD_TEST(s, test_bus_lists_what_the_scan_finds) ||
	    !CU_ADD_TEST(s, test_bus_scanned_again_follows_the_kernel) ||
	    !CU_ADD_TEST(s, test_bus_skips_with_one_line_and_goes_on) ||
	    !CU_ADD_TEST(s, test_bus_with_device_wants_virtual_addresses) ||
	    !CU_ADD_TEST(s, test_bus_with_blocked_devices_wants_nothing) ||
	    !CU_ADD_TEST(s, test_bus_blocked_device_is_not_opened) ||
	    !CU_ADD_TEST(s, test_bus_allowed_device_alone_is_opened) ||
	    !CU_ADD_TEST(s, test_bus_device_that_is_none_of_vfio_is_refused) ||
	    !CU_ADD_TEST(s, test_bus_own_node_that_is_none_of_vfio_is_refused) ||
	    !CU_ADD_TEST(s, test_bus_probe_of_missing_device_is_refused) ||
	    !CU_ADD_TEST(s, test_bus_probe_without_driver_is_refused) ||
	    !CU_ADD_TEST(s, test_bus_removal_of_what_nobody_has_is_refused))
		return -1;
	return 0;
}
