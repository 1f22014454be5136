/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-test-svm [EAL arguments] -- list | unit [SUITE...] |
 *	perf NAME [--csv FILE] [--bonds N]
 *
 * The plugin is taken from beside the program, unless -d names one.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

#include "perf/perf.h"
#include "runner.h"

#define PLUGIN	"../drivers/librte_dma_svm.so"
#define USAGE	2

static const char usage_text[] =
	"dpdk-test-svm [EAL arguments] -- COMMAND\n"
	"  list                    suites with their tests, and benchmarks\n"
	"  unit [SUITE...]         run tests; exit 0 passed, 1 failed, 77 nothing ran\n"
	"  perf NAME [--csv FILE]  run a benchmark; FILE - is standard output\n"
	"       [--bonds N]        those that count bonds go up to N\n";

static int
usage_error(const char *what)
{
	fprintf(stderr, "dpdk-test-svm: %s\n%s", what, usage_text);
	return USAGE;
}

static int
unknown(const char *what, const char *name, const char *allowed)
{
	fprintf(stderr, "dpdk-test-svm: no such %s: %s (%s)\n", what, name, allowed);
	return USAGE;
}

/* Our own part of the command line: after "--", or all of it without one. */
static int
split_at(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return i;
	return argc > 1 && argv[1][0] != '-' ? 0 : argc;
}

static const char *
plugin_path(void)
{
	static char path[4096];
	char *real;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(PLUGIN));

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, PLUGIN);
	/* EAL looks at every folder of the path; it should not see "..". */
	real = realpath(path, NULL);
	if (real == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s", real);
	free(real);
	return path;
}

static bool
has_option(int argc, char **argv, const char *option, bool glued)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], option) == 0 ||
				(glued && strncmp(argv[i], option, strlen(option)) == 0))
			return true;
	return false;
}

/* argv[0..argc) is the program's name and what is meant for EAL. */
static int
eal_init(int argc, char **argv)
{
	/* EAL keeps pointers into it: never freed, and not a leak. */
	static char **args;
	const char *plugin = plugin_path();
	int n, ret;

	args = calloc(argc + 4, sizeof(*args));
	if (args == NULL)
		return -1;
	memcpy(args, argv, argc * sizeof(*args));
	n = argc;
	if (!has_option(argc, argv, "-d", true) && plugin != NULL) {
		args[n++] = (char *)(uintptr_t)"-d";
		args[n++] = (char *)(uintptr_t)plugin;
	}
	if (!has_option(argc, argv, "--no-pci", false) &&
			!has_option(argc, argv, "-a", true) &&
			!has_option(argc, argv, "-b", true))
		args[n++] = (char *)(uintptr_t)"--no-pci";
	ret = rte_eal_init(n, args);
	if (ret < 0)
		fprintf(stderr, "dpdk-test-svm: EAL does not start with these arguments\n");
	return ret;
}

static int
do_list(int argc)
{
	if (argc > 1)
		return usage_error("list takes no argument");
	if (runner_list() != 0)
		return 1;
	printf("perf\n");
	perf_list();
	return 0;
}

static int
do_unit(int argc, char **argv, int eal_argc, char **eal_argv)
{
	int i, ret;

	for (i = 1; i < argc; i++)
		if (!runner_has(argv[i]))
			return unknown("suite", argv[i], "the command list shows them");
	if (eal_init(eal_argc, eal_argv) < 0)
		return 1;
	ret = runner_run(argv + 1, argc - 1);
	rte_eal_cleanup();
	return ret;
}

static int
do_perf(int argc, char **argv, int eal_argc, char **eal_argv)
{
	static const struct option options[] = {
		{ "csv", required_argument, NULL, 'c' },
		{ "bonds", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	const char *csv = "-";
	unsigned long bonds = 0;
	int c, ret;

	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return unknown("option of perf, or its value is missing",
				argv[optind - 1], "--csv FILE, --bonds N");
		if (c == 'c') {
			csv = optarg;
			continue;
		}
		bonds = strtoul(optarg, NULL, 10);
		if (bonds == 0 || bonds > 65535)
			return unknown("number of bonds", optarg, "1 to 65535");
	}
	if (optind + 1 != argc)
		return usage_error("perf takes one NAME");
	if (!perf_has(argv[optind]))
		return unknown("benchmark", argv[optind], "the command list shows them");
	if (eal_init(eal_argc, eal_argv) < 0)
		return 1;
	ret = perf_run(argv[optind], csv, bonds);
	rte_eal_cleanup();
	return ret;
}

int
main(int argc, char **argv)
{
	const int at = split_at(argc, argv);
	const int eal_argc = at > 0 ? at : 1;
	char **ours = argv + at + 1;
	const int nb = argc - at - 1;

	if (nb < 1)
		return usage_error("a COMMAND is missing");
	if (strcmp(ours[0], "list") == 0)
		return do_list(nb);
	if (strcmp(ours[0], "unit") == 0)
		return do_unit(nb, ours, eal_argc, argv);
	if (strcmp(ours[0], "perf") == 0)
		return do_perf(nb, ours, eal_argc, argv);
	return unknown("command", ours[0], "list, unit, perf");
}
