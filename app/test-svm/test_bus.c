/* SPDX-License-Identifier: BSD-3-Clause */
/* The scan of the bus, on made-up kernels: what it finds, and why it skips. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner.h"
#include "suites.h"
#include "test_bus.h"

#define NODES_MAX	512
#define NOBODY		65534

static struct {
	unsigned int found, skipped, stop_at;
	struct vfio_svm_node node[NODES_MAX];
	char name[64][64];
	char reason[64][256];
} seen;

static int
on_found(void *arg, const struct vfio_svm_node *node)
{
	(void)arg;
	if (seen.found == NODES_MAX)
		return -ENOSPC;
	seen.node[seen.found++] = *node;
	return seen.found == seen.stop_at ? -ENOMEM : 0;
}

static void
on_skipped(void *arg, const char *name, const char *reason)
{
	(void)arg;
	if (seen.skipped == 64)
		return;
	snprintf(seen.name[seen.skipped], sizeof(seen.name[0]), "%s", name);
	snprintf(seen.reason[seen.skipped++], sizeof(seen.reason[0]), "%s", reason);
}

static int
scan(void)
{
	static const struct vfio_svm_scan_ops ops = { on_found, on_skipped };

	seen.found = seen.skipped = 0;
	return vfio_svm_scan(tree_roots(), &ops, NULL);
}

/* All is in order, but that so many were skipped. */
static void
scan_gives(unsigned int found, unsigned int skipped)
{
	TEST_EQUAL(scan(), 0);
	if (!TEST_EQUAL(seen.found, found) || !TEST_EQUAL(seen.skipped, skipped))
		test_fail("the first that was skipped: %s: %s", seen.name[0], seen.reason[0]);
}

/* vfio_svm_sw.0 is good, and the other one is skipped for a reason with this word. */
static void
scan_skips(const char *name, const char *word)
{
	scan_gives(1, 1);
	CU_ASSERT_STRING_EQUAL(seen.node[0].name, "vfio_svm_sw.0");
	CU_ASSERT_STRING_EQUAL(seen.name[0], name);
	if (strstr(seen.reason[0], word) == NULL)
		test_fail("%s was skipped, but not for '%s': %s", name, word, seen.reason[0]);
}

static void
begin_with_one(void)
{
	tree_begin();
	tree_device("vfio_svm_sw.0", 10);
}

static void
test_bus_scan_without_driver_folder_finds_none(void)
{
	tree_begin();
	scan_gives(0, 0);
}

static void
test_bus_scan_of_device_tells_all_of_it(void)
{
	begin_with_one();
	tree_file(TREE_DEVICES "/vfio_svm_sw.0/numa_node", "1\n");
	scan_gives(1, 0);
	CU_ASSERT_STRING_EQUAL(seen.node[0].name, "vfio_svm_sw.0");
	TEST_EQUAL(seen.node[0].group, 10);
	TEST_EQUAL(seen.node[0].cdev, -1);
	TEST_EQUAL(seen.node[0].numa_node, 1);
}

static void
test_bus_scan_without_numa_node_says_none(void)
{
	static const char *const texts[] = { "-1\n", "", "one\n", "99999999999999\n" };
	size_t i;

	begin_with_one();
	scan_gives(1, 0);
	TEST_EQUAL(seen.node[0].numa_node, -1);
	for (i = 0; i != RTE_DIM(texts); i++) {
		tree_file(TREE_DEVICES "/vfio_svm_sw.0/numa_node", texts[i]);
		scan_gives(1, 0);
		TEST_EQUAL(seen.node[0].numa_node, -1);
	}
	tree_remove(TREE_DEVICES "/vfio_svm_sw.0/numa_node");
	tree_dir(TREE_DEVICES "/vfio_svm_sw.0/numa_node");
	scan_gives(1, 0);
	TEST_EQUAL(seen.node[0].numa_node, -1);
}

static void
test_bus_scan_of_module_and_attributes_is_silent(void)
{
	begin_with_one();
	tree_link("../../../../module/vfio_svm_sw", TREE_DRIVER "/module");
	tree_file(TREE_DRIVER "/bind", "");
	tree_file(TREE_DRIVER "/unbind", "");
	tree_file(TREE_DRIVER "/uevent", "");
	tree_dir(TREE_DRIVER "/power");
	scan_gives(1, 0);
}

static void
test_bus_scan_of_bad_name_is_skipped(void)
{
	static const char *const names[] = { "vfio_svm_sw", "vfio_svm_sw.", "vfio_svm_sw.x",
		"vfio_svm_sw.01", "vfio_svm_sw.-1", "vfio_svm_sw.1 ", "vfio_svm_sw.65536",
		"vfio_svm_sw.18446744073709551616", "other.1", "vfio_svm_sw.1,a=b" };
	size_t i;

	begin_with_one();
	for (i = 0; i != RTE_DIM(names); i++) {
		char path[256];

		snprintf(path, sizeof(path), TREE_DRIVER "/%s", names[i]);
		tree_link("../../../../devices/platform/vfio_svm_sw.0", path);
		scan_skips(names[i], "vfio_svm_sw.NUMBER");
		tree_remove(path);
	}
}

static void
test_bus_scan_of_link_loop_is_skipped(void)
{
	begin_with_one();
	tree_link("vfio_svm_sw.2", TREE_DRIVER "/vfio_svm_sw.1");
	tree_link("vfio_svm_sw.1", TREE_DRIVER "/vfio_svm_sw.2");
	scan_gives(1, 2);
	CU_ASSERT_STRING_EQUAL(seen.name[0], "vfio_svm_sw.1");
	CU_ASSERT_STRING_EQUAL(seen.name[1], "vfio_svm_sw.2");
	CU_ASSERT(strstr(seen.reason[0], strerror(ELOOP)) != NULL);
	CU_ASSERT(strstr(seen.reason[1], strerror(ELOOP)) != NULL);
}

static void
test_bus_scan_of_dangling_link_is_skipped(void)
{
	begin_with_one();
	tree_link("../../../../devices/platform/gone", TREE_DRIVER "/vfio_svm_sw.1");
	scan_skips("vfio_svm_sw.1", strerror(ENOENT));
}

static void
test_bus_scan_of_foreign_driver_is_skipped(void)
{
	begin_with_one();
	tree_device("vfio_svm_sw.1", 11);
	tree_remove(TREE_DEVICES "/vfio_svm_sw.1/driver");
	tree_link("../../../bus/platform/drivers/vfio-platform",
		TREE_DEVICES "/vfio_svm_sw.1/driver");
	scan_skips("vfio_svm_sw.1", "bound to vfio-platform, not to vfio_svm_sw");
}

static void
test_bus_scan_does_not_look_at_other_drivers(void)
{
	begin_with_one();
	tree_dir("sys/bus/platform/drivers/vfio-platform");
	tree_link("../../../../devices/platform/vfio_svm_sw.0",
		"sys/bus/platform/drivers/vfio-platform/vfio_svm_sw.7");
	scan_gives(1, 0);
}

static void
test_bus_scan_without_driver_link_is_skipped(void)
{
	begin_with_one();
	tree_device("vfio_svm_sw.1", 11);
	tree_remove(TREE_DEVICES "/vfio_svm_sw.1/driver");
	scan_skips("vfio_svm_sw.1", "bound to no driver");
	tree_file(TREE_DEVICES "/vfio_svm_sw.1/driver", "vfio_svm_sw");
	scan_skips("vfio_svm_sw.1", "bound to no driver");
}

static void
test_bus_scan_without_group_is_skipped(void)
{
	begin_with_one();
	tree_device("vfio_svm_sw.1", 11);
	tree_remove(TREE_DEVICES "/vfio_svm_sw.1/iommu_group");
	scan_skips("vfio_svm_sw.1", "no VFIO group");
	tree_link("../../../kernel/iommu_groups/eleven",
		TREE_DEVICES "/vfio_svm_sw.1/iommu_group");
	scan_skips("vfio_svm_sw.1", "eleven");
}

static void
test_bus_scan_of_group_without_device_node_is_skipped(void)
{
	begin_with_one();
	tree_device("vfio_svm_sw.1", 11);
	tree_remove("dev/vfio/11");
	scan_skips("vfio_svm_sw.1", "/dev/vfio/11");
}

static void
test_bus_scan_finds_own_node_where_all_is_offered(void)
{
	begin_with_one();
	tree_dir(TREE_DEVICES "/vfio_svm_sw.0/vfio-dev/vfio7");
	tree_file("dev/vfio/devices/vfio7", "");
	tree_file("dev/iommu", "");
	scan_gives(1, 0);
	TEST_EQUAL(seen.node[0].cdev, 7);
	/* It does without its group's. */
	tree_remove("dev/vfio/10");
	scan_gives(1, 0);
	TEST_EQUAL(seen.node[0].cdev, 7);
}

static void
test_bus_scan_leaves_own_node_where_something_lacks(void)
{
	static const char *const lacking[] = { "dev/iommu", "dev/vfio/devices/vfio7",
		TREE_DEVICES "/vfio_svm_sw.0/vfio-dev/vfio7" };
	size_t i;

	for (i = 0; i != RTE_DIM(lacking); i++) {
		begin_with_one();
		tree_dir(TREE_DEVICES "/vfio_svm_sw.0/vfio-dev/vfio7");
		tree_file("dev/vfio/devices/vfio7", "");
		tree_file("dev/iommu", "");
		tree_remove(lacking[i]);
		scan_gives(1, 0);
		TEST_EQUAL(seen.node[0].cdev, -1);
		tree_end();
	}
}

/* Root reads everything, but for what it does with another's file system ids. */
static void
scan_as_nobody(unsigned int found, unsigned int skipped)
{
	const int old = setfsuid(NOBODY);

	TEST_EQUAL(scan(), 0);
	setfsuid(old);
	TEST_EQUAL(seen.found, found);
	TEST_EQUAL(seen.skipped, skipped);
}

static void
test_bus_scan_of_unreadable_device_is_skipped(void)
{
	char path[256];

	begin_with_one();
	tree_device("vfio_svm_sw.1", 11);
	snprintf(path, sizeof(path), "%s/devices/platform/vfio_svm_sw.1", tree_roots()->sys);
	CU_ASSERT_FATAL(chmod(path, 0) == 0);
	scan_as_nobody(1, 1);
	CU_ASSERT_STRING_EQUAL(seen.name[0], "vfio_svm_sw.1");
	CU_ASSERT(strstr(seen.reason[0], strerror(EACCES)) != NULL);
	CU_ASSERT(chmod(path, 0755) == 0);
}

static void
test_bus_scan_of_unreadable_driver_folder_is_named(void)
{
	char path[256];

	begin_with_one();
	snprintf(path, sizeof(path), "%s/bus/platform/drivers/vfio_svm_sw", tree_roots()->sys);
	CU_ASSERT_FATAL(chmod(path, 0) == 0);
	scan_as_nobody(0, 1);
	CU_ASSERT(strstr(seen.reason[0], path) != NULL);
	CU_ASSERT(strstr(seen.reason[0], strerror(EACCES)) != NULL);
	CU_ASSERT(chmod(path, 0755) == 0);
}

static void
test_bus_scan_of_hundreds_finds_all_in_order(void)
{
	char name[64], path[256];
	unsigned int i;

	tree_begin();
	for (i = 0; i != 300; i++) {
		snprintf(name, sizeof(name), "vfio_svm_sw.%u", i);
		tree_device(name, 1000 + i);
		if (i % 10 != 3)
			continue;
		snprintf(path, sizeof(path), "dev/vfio/%u", 1000 + i);
		tree_remove(path);
	}
	scan_gives(270, 30);
	for (i = 0; i != 270; i++) {
		const unsigned int number = i / 9 * 10 + i % 9 + (i % 9 >= 3);

		snprintf(name, sizeof(name), "vfio_svm_sw.%u", number);
		CU_ASSERT_STRING_EQUAL_FATAL(seen.node[i].name, name);
		TEST_EQUAL(seen.node[i].group, 1000 + number);
	}
}

static void
test_bus_scan_ends_with_its_callers_error(void)
{
	begin_with_one();
	tree_device("vfio_svm_sw.1", 11);
	seen.stop_at = 1;
	TEST_EQUAL(scan(), -ENOMEM);
	TEST_EQUAL(seen.found, 1);
	seen.stop_at = 0;
	scan_gives(2, 0);
}

int
test_bus_suite(void)
{
	CU_pSuite s = CU_add_suite_with_setup_and_teardown("bus", NULL, NULL, NULL, tree_end);

	if (s == NULL ||
	    !CU_ADD_TEST(s, test_bus_scan_without_driver_folder_finds_none) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_device_tells_all_of_it) ||
	    !CU_ADD_TEST(s, test_bus_scan_without_numa_node_says_none) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_module_and_attributes_is_silent) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_bad_name_is_skipped) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_link_loop_is_skipped) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_dangling_link_is_skipped) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_foreign_driver_is_skipped) ||
	    !CU_ADD_TEST(s, test_bus_scan_does_not_look_at_other_drivers) ||
	    !CU_ADD_TEST(s, test_bus_scan_without_driver_link_is_skipped) ||
	    !CU_ADD_TEST(s, test_bus_scan_without_group_is_skipped) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_group_without_device_node_is_skipped) ||
	    !CU_ADD_TEST(s, test_bus_scan_finds_own_node_where_all_is_offered) ||
	    !CU_ADD_TEST(s, test_bus_scan_leaves_own_node_where_something_lacks) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_unreadable_device_is_skipped) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_unreadable_driver_folder_is_named) ||
	    !CU_ADD_TEST(s, test_bus_scan_of_hundreds_finds_all_in_order) ||
	    !CU_ADD_TEST(s, test_bus_scan_ends_with_its_callers_error))
		return -1;
	return test_bus_eal_add();
}
