/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm_pipeline: packets from a port into the private memory of worker
 * processes, one move each, verdicts back.
 *
 *   svm_pipeline [EAL arguments] -- [options]
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include "rte_svm.h"

#include "pipeline.h"

#define IDLE_YIELDS	64	/* rounds without work before the CPU is given away */
#define FINISH_S	30	/* for the verdicts, after the last packet */
#define WATCH_HZ	1000

static volatile sig_atomic_t stop_asked;

static void
stop_handler(int sig)
{
	(void)sig;
	stop_asked = 1;
}

static int
devices_find(struct pipeline *p)
{
	int ret;

	ret = rte_svm_get_dev_id(p->opt.dev_name);
	if (ret < 0) {
		fprintf(stderr, "svm_pipeline: no device '%s': give -d build/drivers/librte_dma_svm.so"
			" --vdev %s\n", p->opt.dev_name, p->opt.dev_name);
		return ret;
	}
	p->svm_dev = ret;
	p->dma_dev = rte_dma_get_dev_id_by_name(p->opt.dev_name);
	return p->dma_dev < 0 ? p->dma_dev : 0;
}

/* Lose the workers that died or failed. */
static int
losses_handle(struct pipeline *p)
{
	static uint64_t next;
	uint64_t now = rte_get_timer_cycles();
	uint32_t i;
	int ret;

	if (now >= next) {
		next = now + rte_get_timer_hz() / WATCH_HZ;
		workers_watch(p);
	}
	for (i = 0; i < p->opt.nb_workers; i++) {
		if (!p->workers[i].broken)
			continue;
		ret = worker_lose(p, i);
		if (ret != 0)
			return ret;
	}
	return 0;
}

/* `polled` is from before the last poll: what came while we had no CPU is not missed. */
static bool
reception_over(const struct pipeline *p, uint64_t start, uint64_t polled)
{
	uint64_t hz = rte_get_tsc_hz(), now = rte_rdtsc();

	if (stop_asked || now - start > p->opt.max_seconds * hz)
		return true;
	if (flow_worker(p, 0) == NO_WORKER)
		return true;
	if (p->ledger.received == 0)
		return now - start > p->opt.wait_s * hz;
	if (p->opt.max_packets != 0 && p->ledger.received >= p->opt.max_packets)
		return true;
	return polled > p->last_tsc && polled - p->last_tsc > p->opt.idle_ms * (hz / MS_PER_S);
}

static int
run(struct pipeline *p)
{
	uint64_t start = rte_rdtsc(), finish = 0, polled = start;
	bool receiving = true;
	uint32_t idle = 0, work;
	int ret;

	while (receiving || !dispatch_idle(p)) {
		if (p->ledger.nb_free != 0)	/* without room nothing is polled */
			polled = rte_rdtsc();
		work = receiving ? rx_poll(p) : 0;
		work += dispatch_poll(p);
		ret = losses_handle(p);
		if (ret != 0)
			return ret;
		report_progress(p, false);
		if (receiving && reception_over(p, start, polled)) {
			receiving = false;
			rx_count_drops(p);
			finish = rte_rdtsc() + FINISH_S * rte_get_tsc_hz();
		}
		if (!receiving && rte_rdtsc() > finish)
			break;
		idle = work == 0 ? idle + 1 : 0;
		if (idle > IDLE_YIELDS)
			sched_yield();
	}
	report_progress(p, true);
	return 0;
}

static int
ready_tell(const struct options *o)
{
	FILE *f;

	fflush(stdout);
	if (o->ready_path == NULL)
		return 0;
	f = fopen(o->ready_path, "w");
	if (f == NULL || fclose(f) != 0) {
		fprintf(stderr, "svm_pipeline: cannot make '%s': %s\n", o->ready_path,
			strerror(errno));
		return -EIO;
	}
	return 0;
}

/* What is left to do when the last verdict is in. */
static int
finish(struct pipeline *p)
{
	int ret;

	workers_compare(p);
	ret = dma_count(p);
	if (ret != 0)
		return ret;
	ret = bench_run(p);
	workers_end(p);
	return ret;
}

static int
pipeline_run(struct pipeline *p)
{
	uint32_t in_flight = p->opt.nb_workers * p->opt.nb_slots;
	int ret;

	/* As many again may wait for a place, and the port holds some. */
	ret = ledger_create(&p->ledger, 2 * in_flight + RX_BURST);
	p->bench.samples = calloc(SAMPLES_MAX, sizeof(*p->bench.samples));
	if (ret != 0 || p->bench.samples == NULL)
		return -ENOMEM;
	ret = devices_find(p);
	if (ret == 0)
		ret = workers_start(p);
	if (ret == 0)
		ret = workers_meet(p);
	if (ret == 0)
		ret = rx_open(p, 2 * p->ledger.capacity);
	if (ret == 0)
		ret = ready_tell(&p->opt);
	if (ret == 0)
		ret = run(p);
	if (ret == 0)
		ret = finish(p);
	/* The device first: nothing may be in flight when the memory goes. */
	dma_close(p);
	ledger_close(&p->ledger);
	rx_close(p);
	workers_destroy(p);
	return ret;
}

int
main(int argc, char **argv)
{
	static struct pipeline p;
	const struct sigaction action = { .sa_handler = stop_handler };
	bool good = false;
	int ret;

	ret = rte_eal_init(argc, argv);
	if (ret < 0)
		return EXIT_FAILURE;	/* EAL has said why */
	ret = options_parse(&p.opt, argc - ret, argv + ret);
	if (ret != 0) {
		options_usage();
	} else if (sigaction(SIGINT, &action, NULL) != 0 ||
			sigaction(SIGTERM, &action, NULL) != 0) {
		perror("svm_pipeline: sigaction");
		ret = -errno;
	} else {
		ret = pipeline_run(&p);
	}
	if (ret == 0) {
		good = report_table(&p);
		if (p.opt.csv_path != NULL)
			ret = report_csv(&p);
		if (ret != 0)
			fprintf(stderr, "svm_pipeline: '%s': %s\n", p.opt.csv_path, strerror(-ret));
	}
	ledger_destroy(&p.ledger);
	free(p.bench.samples);
	rte_eal_cleanup();
	return ret == 0 && good ? EXIT_SUCCESS : EXIT_FAILURE;
}
