/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline.h"

void
options_usage(void)
{
	fprintf(stderr,
		"usage: svm_pipeline [EAL arguments] -- [options]\n"
		"  --dev NAME        the svm device (svm0)\n"
		"  --workers N       worker processes, 1 to %u (4)\n"
		"  --slots N         packets in flight to one worker, a power of two, %u to %u (512)\n"
		"  --packets N       end after N packets; 0: no bound (0)\n"
		"  --seconds N       end after N seconds (60)\n"
		"  --idle-ms N       end when no packet came for so long (2000)\n"
		"  --wait N          seconds to wait for the first packet (20)\n"
		"  --kill-after N    kill a worker after N packets; 0: none (0)\n"
		"  --ready FILE      make FILE when packets are received\n"
		"  --csv FILE        write the result to FILE, too\n",
		WORKERS_MAX, PIPE_SLOTS_MIN, PIPE_SLOTS_MAX);
}

static int
parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || *value < min ||
			*value > max)
		return -EINVAL;
	return 0;
}

enum { OPT_DEV = 1, OPT_WORKERS, OPT_SLOTS, OPT_PACKETS, OPT_SECONDS, OPT_IDLE, OPT_WAIT, OPT_KILL,
	OPT_READY, OPT_CSV };

static const struct option options[] = {
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "slots", required_argument, NULL, OPT_SLOTS },
	{ "packets", required_argument, NULL, OPT_PACKETS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "idle-ms", required_argument, NULL, OPT_IDLE },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "kill-after", required_argument, NULL, OPT_KILL },
	{ "ready", required_argument, NULL, OPT_READY },
	{ "csv", required_argument, NULL, OPT_CSV },
	{ NULL, 0, NULL, 0 },
};

static int
option_apply(struct options *o, int opt, const char *arg)
{
	uint64_t n = 0;
	int ret = 0;

	switch (opt) {
	case OPT_DEV:
		if (snprintf(o->dev_name, sizeof(o->dev_name), "%s", arg) >=
				(int)sizeof(o->dev_name))
			ret = -ENAMETOOLONG;
		break;
	case OPT_WORKERS:
		ret = parse_number(arg, 1, WORKERS_MAX, &n);
		o->nb_workers = n;
		break;
	case OPT_SLOTS:
		ret = parse_number(arg, PIPE_SLOTS_MIN, PIPE_SLOTS_MAX, &n);
		if (ret == 0 && (n & (n - 1)) != 0)
			ret = -EINVAL;
		o->nb_slots = n;
		break;
	case OPT_PACKETS:
		ret = parse_number(arg, 0, UINT64_MAX, &o->max_packets);
		break;
	case OPT_SECONDS:
		ret = parse_number(arg, 1, 86400, &n);
		o->max_seconds = n;
		break;
	case OPT_IDLE:
		ret = parse_number(arg, 1, 3600000, &n);
		o->idle_ms = n;
		break;
	case OPT_WAIT:
		ret = parse_number(arg, 1, 3600, &n);
		o->wait_s = n;
		break;
	case OPT_KILL:
		ret = parse_number(arg, 0, UINT64_MAX, &o->kill_after);
		break;
	case OPT_READY:
		o->ready_path = arg;
		break;
	case OPT_CSV:
		o->csv_path = arg;
		break;
	default:
		return -EINVAL;	/* getopt has said what is wrong */
	}
	if (ret != 0)
		fprintf(stderr, "svm_pipeline: '%s' is out of range\n", arg);
	return ret;
}

int
options_parse(struct options *o, int argc, char **argv)
{
	int opt, ret;

	*o = (struct options) {
		.dev_name = "svm0", .nb_workers = 4, .nb_slots = 512, .max_seconds = 60,
		.idle_ms = 2000, .wait_s = 20,
	};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		ret = option_apply(o, opt, optarg);
		if (ret != 0)
			return ret;
	}
	if (optind != argc)
		return -EINVAL;
	if (o->kill_after != 0 && o->nb_workers < 2) {
		fprintf(stderr, "svm_pipeline: --kill-after needs two workers or more\n");
		return -EINVAL;
	}
	return 0;
}
