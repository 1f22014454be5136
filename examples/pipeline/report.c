/* SPDX-License-Identifier: BSD-3-Clause */
/* What came of it: a progress line, the table, one CSV line. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "pipeline.h"

#define PROGRESS_HZ	4

struct totals {
	uint64_t payload_moves;	/* by the engine's count, the others taken off */
	uint64_t undone;	/* of these, into a worker that died before it answered */
	double seconds;
	double rate;		/* packets a second while they came */
	double moves_per_packet;
};

static void
totals_take(const struct pipeline *p, struct totals *t)
{
	const uint64_t *ok = p->ops_ok;
	uint64_t other, arrived;

	/* Of what was retried, the failed ones never arrived where they were sent first. */
	arrived = p->ledger.ends[PKT_ANSWERED] + p->ledger.ends[PKT_MISMATCHED] +
		p->ledger.retried - p->payloads_failed;
	*t = (struct totals) { 0 };
	other = ok[OP_DESC] + ok[OP_VERDICT] + ok[OP_CONTROL];
	t->payload_moves = p->moves - RTE_MIN(other, p->moves);
	t->seconds = (double)(p->last_tsc - p->first_tsc) / rte_get_tsc_hz();
	t->rate = t->seconds > 0 ? p->ledger.received / t->seconds : 0;
	t->moves_per_packet = arrived != 0 ? (double)t->payload_moves / arrived : 0;
	t->undone = t->payload_moves - RTE_MIN(t->payload_moves,
		p->ledger.ends[PKT_ANSWERED] + p->ledger.ends[PKT_MISMATCHED]);
}

/* One line that is written over again and again, for somebody who watches. */
void
report_progress(const struct pipeline *p, bool last)
{
	static uint64_t next;
	uint64_t now = rte_get_timer_cycles();

	if (!isatty(STDERR_FILENO) || (now < next && !last))
		return;
	next = now + rte_get_timer_hz() / PROGRESS_HZ;
	fprintf(stderr, "\r%" PRIu64 " packets received, %" PRIu64 " answered, %u in flight%s%s",
		p->ledger.received, p->ledger.ends[PKT_ANSWERED],
		p->ledger.capacity - p->ledger.nb_free,
		p->killed ? ", one worker killed" : "", last ? "\033[K\n" : "\033[K");
}

static void
print_workers(const struct pipeline *p)
{
	const struct worker *w;
	uint32_t i;

	printf("%-8s %8s %10s %13s %6s %10s %8s %8s %8s  %s\n", "worker", "pid", "packets",
		"bytes", "flows", "good", "bad sum", "other", "retried", "end");
	for (i = 0; i < p->opt.nb_workers; i++) {
		w = &p->workers[i];
		printf("%-8u %8d %10" PRIu64 " %13" PRIu64 " %6" PRIu64 " %10" PRIu64 " %8" PRIu64
			" %8" PRIu64 " %8" PRIu64 "  %s\n", i, w->pid, w->packets, w->bytes,
			w->flows, w->judged[PIPE_GOOD], w->judged[PIPE_BAD_SUM],
			w->judged[PIPE_OTHER], w->retried, w->fate);
	}
}

static void
print_count(const char *what, uint64_t count, const char *note)
{
	printf("%-40s %12" PRIu64 "  %s\n", what, count, note);
}

static void
print_moves(const struct pipeline *p, const struct totals *t)
{
	print_count("moves, counted by the engine", p->moves, "of these:");
	printf("%-40s %12" PRIu64 "  %" PRIu64 " of them into a worker that died\n",
		"  packets into workers", t->payload_moves, t->undone);
	print_count("  blocks of descriptors", p->ops_ok[OP_DESC], "each behind a burst");
	print_count("  reads of verdicts", p->ops_ok[OP_VERDICT], "batches, empty ones too");
	print_count("  set-up and end", p->ops_ok[OP_CONTROL], "");
	printf("%-40s %12.4f  into the worker that it was for\n", "moves of each packet",
		t->moves_per_packet);
}

static void
print_bench(const struct bench *b)
{
	double dma, writev;

	if (b->dma_ns == 0 || b->writev_ns == 0)
		return;
	dma = (double)b->nb * 1e9 / b->dma_ns;
	writev = (double)b->nb * 1e9 / b->writev_ns;
	printf("the moves alone, %u packets of these sizes again, median of %u rounds:\n", b->nb,
		b->rounds);
	print_count("  through the device, packets/s", dma, "");
	printf("%-40s %12.0f  the device is %.2f times as fast\n",
		"  one process_vm_writev each, packets/s", writev, dma / writev);
}

/* Whether all is well. */
static bool
verdict(const struct pipeline *p)
{
	return p->ledger.received != 0 && p->ledger.ends[PKT_MISMATCHED] == 0 &&
		p->ledger.ends[PKT_ABANDONED] == 0 && ledger_unaccounted(&p->ledger) == 0 &&
		p->leaked_mbufs == 0 && p->disagree == 0;
}

/* The table; says whether every packet is accounted for. */
bool
report_table(const struct pipeline *p)
{
	const struct ledger *l = &p->ledger;
	uint64_t untaken;
	struct totals t;

	totals_take(p, &t);
	untaken = p->kernel_seen - RTE_MIN(p->kernel_seen, p->kernel_dropped + l->received);
	printf("\n");
	print_workers(p);
	printf("\n");
	printf("%-40s %12" PRIu64 "  %" PRIu64 " bytes in %.2f s, %.0f packets/s\n",
		"received by the owner", l->received, l->received_bytes, t.seconds, t.rate);
	print_count("dropped by the kernel before DPDK", p->kernel_dropped, "");
	print_count("left in the kernel's ring at the end", untaken, "");
	print_count("answered", l->ends[PKT_ANSWERED], "");
	print_count("refused, too long for a slot", l->ends[PKT_REFUSED], "");
	print_count("abandoned, no worker left to answer", l->ends[PKT_ABANDONED], "");
	print_count("retried after the kill", l->retried, "");
	print_count("mismatched", l->ends[PKT_MISMATCHED], "worker's content against owner's");
	print_count("unaccounted", ledger_unaccounted(l), "packets without exactly one final state");
	if (p->opt.kill_after != 0 && !p->killed)
		printf("nobody was killed: fewer than %" PRIu64 " packets came\n", p->opt.kill_after);
	if (p->leaked_mbufs != 0)
		print_count("mbufs that did not come back", p->leaked_mbufs, "");
	if (p->disagree != 0)
		print_count("workers that counted otherwise", p->disagree, "");
	print_moves(p, &t);
	print_bench(&p->bench);
	return verdict(p);
}

/* The same for a program: one header line, one line of values. */
int
report_csv(const struct pipeline *p)
{
	const struct ledger *l = &p->ledger;
	const struct bench *b = &p->bench;
	struct totals t;
	FILE *f;
	int ret = 0;

	totals_take(p, &t);
	f = fopen(p->opt.csv_path, "w");
	if (f == NULL)
		return -errno;
	fprintf(f, "workers,received,bytes,seconds,kernel_dropped,answered,refused,abandoned,"
		"retried,mismatched,unaccounted,engine_moves,payload_moves,payload_copies,desc_moves,"
		"verdict_moves,control_moves,replayed,device_ns,writev_ns\n");
	fprintf(f, "%u,%" PRIu64 ",%" PRIu64 ",%.3f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
		",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
		",%" PRIu64 ",%" PRIu64 ",%u,%" PRIu64 ",%" PRIu64 "\n",
		p->opt.nb_workers, l->received, l->received_bytes, t.seconds, p->kernel_dropped,
		l->ends[PKT_ANSWERED], l->ends[PKT_REFUSED], l->ends[PKT_ABANDONED], l->retried,
		l->ends[PKT_MISMATCHED], ledger_unaccounted(l), p->moves, t.payload_moves,
		p->ops_ok[OP_PAYLOAD], p->ops_ok[OP_DESC], p->ops_ok[OP_VERDICT], p->ops_ok[OP_CONTROL], b->nb, b->dma_ns, b->writev_ns);
	if (ferror(f))
		ret = -EIO;
	if (fclose(f) != 0 && ret == 0)
		ret = -errno;
	return ret;
}
