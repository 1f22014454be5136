/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devargs and probe of the vdev driver, through rte_vdev_init(): what is
 * wrong is refused in one line that names it, and leaves no trace.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_common.h>
#include <rte_dmadev.h>
#include <rte_log.h>

#include "fixture.h"
#include "suites.h"
#include "../../drivers/common/svm_version.h"

#define NAME	"svm_args"

/* What rte_vdev_init() logged. */
struct said {
	char *text;
	size_t len;
};

/* Devices that a test made end with it, also when it fails. */
static void
suite_teardown(void)
{
	rte_openlog_stream(NULL);
	rte_vdev_uninit(NAME);
	rte_vdev_uninit("svm");
}

static int
probe(const char *name, const char *args, struct said *said)
{
	FILE *log = open_memstream(&said->text, &said->len);
	int ret;

	if (log == NULL)
		test_fail("open_memstream");
	rte_openlog_stream(log);
	ret = rte_vdev_init(name, args);
	rte_openlog_stream(NULL);
	fclose(log);
	return ret;
}

static unsigned int
lines_with(const struct said *said, const char *word)
{
	const char *at = said->text;
	unsigned int n = 0;

	for (; (at = strstr(at, word)) != NULL; n++) {
		at = strchr(at, '\n');
		if (at == NULL)
			return n + 1;
	}
	return n;
}

/* Refused, in one line that has all of `words`; the name is free afterwards. */
static void
refused(const char *args, const char *const words[], size_t nb)
{
	struct said said;
	const int ret = probe(NAME, args, &said);
	size_t i;

	if (ret != -EINVAL || lines_with(&said, "SVM") != 1)
		test_fail("%s: %d, said '%s'", args, ret, said.text);
	for (i = 0; i != nb; i++) {
		if (strstr(said.text, words[i]) == NULL)
			test_fail("%s: '%s' is not in '%s'", args, words[i], said.text);
	}
	free(said.text);
	TEST_EQUAL(rte_dma_get_dev_id_by_name(NAME), -EINVAL);
	TEST_EQUAL(rte_svm_get_dev_id(NAME), -ENODEV);
	TEST_EQUAL(rte_vdev_init(NAME, "socket=none"), 0);
	TEST_EQUAL(rte_vdev_uninit(NAME), 0);
}

static void
accepted(const char *args, struct rte_svm_info *info)
{
	const int ret = rte_vdev_init(NAME, args);

	if (ret != 0)
		test_fail("%s: %d", args, ret);
	TEST_EQUAL(rte_svm_info_get((uint16_t)rte_svm_get_dev_id(NAME), info), 0);
	TEST_EQUAL(info->dma_dev_id, rte_dma_get_dev_id_by_name(NAME));
	TEST_EQUAL(rte_vdev_uninit(NAME), 0);
}

static void
test_devargs_wrong_value_refused_naming_key_and_allowed(void)
{
	static const struct {
		const char *args, *key, *allowed;
	} rows[] = {
		{ "engine=fast", "engine=fast", "thread, inline or service" },
		{ "engine=", "engine=", "thread, inline or service" },
		{ "engine", "engine=", "thread, inline or service" },
		{ "core=-1", "core=-1", "CPU" },
		{ "core=1023", "core=1023", "CPU" },
		{ "core=99999", "core=99999", "CPU" },
		{ "core=one", "core=one", "CPU" },
		{ "core=0+", "core=0+", "CPU" },
		{ "core=0+1023", "core=0+1023", "CPU" },
		{ "engines=0", "engines=0", "1 to 16" },
		{ "engines=17", "engines=17", "1 to 16" },
		{ "numa=-1", "numa=-1", "NUMA node" },
		{ "numa=1023", "numa=1023", "NUMA node" },
		{ "queues=0", "queues=0", "1 to 65535" },
		{ "queues=65536", "queues=65536", "1 to 65535" },
		{ "depth=16", "depth=16", "power of two, 32 to 32768" },
		{ "depth=100", "depth=100", "power of two, 32 to 32768" },
		{ "depth=65536", "depth=65536", "power of two, 32 to 32768" },
		{ "tier=direct", "tier=direct", "auto or cma" },
		{ "cma=off", "cma=off", "lane, inline or privileged" },
		{ "timeout_us=999", "timeout_us=999", "1000 to 60000000" },
		{ "timeout_us=60000001", "timeout_us=60000001", "1000 to 60000000" },
		{ "timeout_us=1000 ", "timeout_us=1000 ", "1000 to 60000000" },
		{ "idle_us=-1", "idle_us=-1", "0 to 1000000" },
		{ "idle_us=1000001", "idle_us=1000001", "0 to 1000000" },
		{ "idle_us=18446744073709551616", "idle_us=", "0 to 1000000" },
		{ "socket=", "socket=", "none" },
		{ "max_bonds=0", "max_bonds=0", "1 to 65535" },
		{ "max_bonds=0x10", "max_bonds=0x10", "1 to 65535" },
		{ "max_bonds=65536", "max_bonds=65536", "1 to 65535" },
		{ "uids=", "uids=", "joined by ':'" },
		{ "uids=root", "uids=root", "joined by ':'" },
		{ "uids=1:", "uids=1:", "joined by ':'" },
		{ "uids=1:2:1", "uids=1:2:1", "different" },
		{ "uids=4294967295", "uids=4294967295", "user ids" },
		{ "gids=1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17", "gids=", "up to 16" },
		{ "max_per_uid=0", "max_per_uid=0", "1 to 65535" },
		{ "max_per_pid=65536", "max_per_pid=65536", "1 to 65535" },
		{ "max_queues=65", "max_queues=65", "1 to 64" },
		{ "max_rate=9", "max_rate=9", "10 to 1000000" },
		{ "max_mem=16777216", "max_mem=16777216", "0 to 16777215" },
		{ "max_mem_per_uid=0", "max_mem_per_uid=0", "1 to 16777215" },
		{ "max_ranges=129", "max_ranges=129", "1 to 128" },
		{ "max_ranges_per_uid=0", "max_ranges_per_uid=0", "1 to 16384" },
	};
	size_t i;

	for (i = 0; i != RTE_DIM(rows); i++)
		refused(rows[i].args, (const char *const[]){ rows[i].key, rows[i].allowed }, 2);
}

static void
test_devargs_socket_path_too_long_refused(void)
{
	char args[160] = "socket=/";

	memset(args + strlen(args), 'x', 107);
	refused(args, (const char *const[]){ "socket=/xxx", "107" }, 2);
}

static void
test_devargs_longest_socket_path_accepted(void)
{
	char dir[] = "/tmp/svm-args-XXXXXX", args[160];
	struct rte_svm_info info;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(args, sizeof(args), "socket=%s/%0*d", dir, 107 - (int)strlen(dir) - 1, 0);
	accepted(args, &info);
	TEST_EQUAL(strlen(info.socket), 107);
	/* Nothing is left in it. */
	TEST_EQUAL(rmdir(dir), 0);
}

/* Of a device that was made elsewhere nothing stays behind, either. */
static void
test_devargs_relative_socket_is_made_absolute(void)
{
	char dir[] = "/tmp/svm-args-XXXXXX", path[64], before[PATH_MAX];
	struct rte_svm_info info;
	int dev;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(before, sizeof(before)));
	TEST_EQUAL(chdir(dir), 0);
	TEST_EQUAL(rte_vdev_init(NAME, "socket=here.sock"), 0);
	TEST_EQUAL(chdir(before), 0);
	dev = rte_svm_get_dev_id(NAME);
	TEST_EQUAL(rte_svm_info_get((uint16_t)dev, &info), 0);
	snprintf(path, sizeof(path), "%s/here.sock", dir);
	CU_ASSERT_STRING_EQUAL(info.socket, path);
	TEST_EQUAL(access(path, F_OK), 0);
	TEST_EQUAL(rte_vdev_uninit(NAME), 0);
	TEST_EQUAL(rmdir(dir), 0);
}

static void
test_devargs_unknown_key_refused_naming_all_keys(void)
{
	static const char *const words[] = { "'cores'", "engine", "engines", "core", "numa", "queues", "depth", "tier",
		"cma", "timeout_us", "idle_us", "socket", "max_bonds", "uids", "gids",
		"max_per_uid", "max_per_pid", "max_queues", "max_rate", "max_mem",
		"max_mem_per_uid", "max_ranges", "max_ranges_per_uid" };

	refused("engine=inline,cores=1,socket=none", words, RTE_DIM(words));
}

static void
test_devargs_key_given_twice_refused(void)
{
	refused("queues=3,engine=inline,queues=3", (const char *const[]){ "'queues'", "twice" }, 2);
}

static void
test_devargs_more_pairs_than_keys_refused(void)
{
	char args[256] = "";
	unsigned int i;

	for (i = 0; i != 40; i++)
		strcat(args, "a=b,");
	refused(args, (const char *const[]){ "a=b" }, 1);
}

static void
test_devargs_right_values_reach_the_device(void)
{
	struct rte_svm_info info;

	accepted("engine=inline,queues=3,depth=32,tier=cma,cma=inline,timeout_us=1000,idle_us=7,"
		"socket=none,max_bonds=5,uids=0:1:4294967294,gids=7,max_per_uid=1,max_per_pid=65535,"
		"max_queues=64,max_rate=1000000,max_mem=16777215,max_mem_per_uid=16777215,"
		"max_ranges=128,max_ranges_per_uid=16384", &info);
	TEST_EQUAL(info.engine, RTE_SVM_ENGINE_INLINE);
	TEST_EQUAL(info.cma, RTE_SVM_CMA_INLINE);
	TEST_EQUAL(info.depth, 32);
	TEST_EQUAL(info.timeout_us, 1000);
	TEST_EQUAL(info.idle_us, 7);
	TEST_EQUAL(info.max_bonds, 5);
	TEST_EQUAL(info.engines, 1);
	TEST_EQUAL(info.socket[0], '\0');
	accepted("engine=service,tier=auto,cma=privileged,socket=none,depth=32768", &info);
	TEST_EQUAL(info.engine, RTE_SVM_ENGINE_SERVICE);
	TEST_EQUAL(info.cma, RTE_SVM_CMA_PRIVILEGED);
	TEST_EQUAL(info.depth, 32768);
}

static void
test_devargs_defaults_are_as_documented(void)
{
	struct rte_svm_info info;

	accepted("", &info);
	TEST_EQUAL(info.engine, RTE_SVM_ENGINE_THREAD);
	TEST_EQUAL(info.cma, RTE_SVM_CMA_LANE);
	TEST_EQUAL(info.depth, 1024);
	TEST_EQUAL(info.timeout_us, 1000000);
	TEST_EQUAL(info.idle_us, 0);
	TEST_EQUAL(info.max_bonds, 4096);
	TEST_EQUAL(info.started, 0);
}

static void
test_devargs_core_that_exists_accepted(void)
{
	struct rte_svm_info info;
	char args[64];

	snprintf(args, sizeof(args), "core=%d,socket=none", sched_getcpu());
	accepted(args, &info);
}

static void
test_devargs_cma_that_gives_up_safety_says_so_once(void)
{
	static const struct {
		const char *args;
		unsigned int lines;
	} rows[] = {
		{ "cma=lane,socket=none", 0 },
		{ "cma=inline,socket=none", 1 },
		{ "cma=privileged,socket=none", 1 },
	};
	struct said said;
	size_t i;

	for (i = 0; i != RTE_DIM(rows); i++) {
		TEST_EQUAL(probe(NAME, rows[i].args, &said), 0);
		TEST_EQUAL(lines_with(&said, "owner's rights"), rows[i].lines);
		TEST_EQUAL(rte_vdev_uninit(NAME), 0);
		free(said.text);
	}
}

static void
test_devargs_bare_driver_name_probes(void)
{
	TEST_EQUAL(rte_vdev_init("svm", "socket=none"), 0);
	CU_ASSERT(rte_svm_get_dev_id("svm") >= 0);
	CU_ASSERT(rte_dma_get_dev_id_by_name("svm") >= 0);
	TEST_EQUAL(rte_vdev_uninit("svm"), 0);
	TEST_EQUAL(rte_svm_get_dev_id("svm"), -ENODEV);
}

static void
test_devargs_refused_probe_leaves_no_descriptor(void)
{
	const char *const twice = "socket=none,socket=none";
	unsigned int before;

	/* What DPDK keeps for good is opened by the first. */
	refused(twice, NULL, 0);
	before = fx_count_fds();
	refused(twice, NULL, 0);
	TEST_EQUAL(fx_count_fds(), before);
}

static void
test_devargs_socket_that_cannot_be_made_refused(void)
{
	struct said said;
	const int ret = probe(NAME, "socket=/nonexistent/svm.sock", &said);

	CU_ASSERT(ret < 0);
	CU_ASSERT(lines_with(&said, "SVM") >= 1);
	free(said.text);
	TEST_EQUAL(rte_dma_get_dev_id_by_name(NAME), -EINVAL);
	TEST_EQUAL(rte_svm_get_dev_id(NAME), -ENODEV);
	TEST_EQUAL(rte_vdev_init(NAME, "socket=none"), 0);
	TEST_EQUAL(rte_vdev_uninit(NAME), 0);
}

static void
test_devargs_closed_dmadev_ends_the_device(void)
{
	TEST_EQUAL(rte_vdev_init(NAME, "socket=none"), 0);
	TEST_EQUAL(rte_dma_close((int16_t)rte_dma_get_dev_id_by_name(NAME)), 0);
	TEST_EQUAL(rte_svm_get_dev_id(NAME), -ENODEV);
	TEST_EQUAL(rte_vdev_uninit(NAME), 0);
	TEST_EQUAL(rte_vdev_init(NAME, "socket=none"), 0);
	TEST_EQUAL(rte_vdev_uninit(NAME), 0);
}

static void
test_devargs_other_release_of_dpdk_does_not_fit(void)
{
	CU_ASSERT(svm_version_fits(22, 11, 22, 11));
	CU_ASSERT(!svm_version_fits(22, 11, 23, 3));
	CU_ASSERT(!svm_version_fits(22, 11, 23, 11));
	CU_ASSERT(!svm_version_fits(22, 11, 22, 7));
	CU_ASSERT(!svm_version_fits(25, 11, 22, 11));
}

int
test_devargs_suite(void)
{
#define T(name) { #name, name }
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		T(test_devargs_wrong_value_refused_naming_key_and_allowed),
		T(test_devargs_socket_path_too_long_refused),
		T(test_devargs_longest_socket_path_accepted),
		T(test_devargs_relative_socket_is_made_absolute),
		T(test_devargs_unknown_key_refused_naming_all_keys),
		T(test_devargs_key_given_twice_refused),
		T(test_devargs_more_pairs_than_keys_refused),
		T(test_devargs_right_values_reach_the_device),
		T(test_devargs_defaults_are_as_documented),
		T(test_devargs_core_that_exists_accepted),
		T(test_devargs_cma_that_gives_up_safety_says_so_once),
		T(test_devargs_bare_driver_name_probes),
		T(test_devargs_refused_probe_leaves_no_descriptor),
		T(test_devargs_socket_that_cannot_be_made_refused),
		T(test_devargs_closed_dmadev_ends_the_device),
		T(test_devargs_other_release_of_dpdk_does_not_fit),
	};
#undef T
	CU_pSuite s = CU_add_suite_with_setup_and_teardown("devargs", NULL, NULL, NULL,
		suite_teardown);
	size_t i;

	if (s == NULL)
		return -1;
	for (i = 0; i != RTE_DIM(tests); i++) {
		if (CU_add_test(s, tests[i].name, tests[i].run) == NULL)
			return -1;
	}
	return 0;
}
