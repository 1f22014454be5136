/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets into workers, verdicts out of them; never waits.
 *
 * A burst into one worker is one move for each packet, straight from the mbuf
 * into a slot, and one move for all their descriptors behind a fence: when a
 * worker sees a descriptor, the packet is there. Verdicts are read in batches.
 */
#include <signal.h>
#include <stdio.h>

#include <rte_cycles.h>

#include "pipeline.h"

#define SEND_BURST	64u
/* A burst's descriptors may wrap around the ring's end: two moves. */
#define DESC_MOVES	2u
/* Pause between reads that find no verdict, in microseconds: from, to. */
#define READ_PAUSE_MIN	5u
#define READ_PAUSE_MAX	200u

static void
list_push(struct pipeline *p, struct pkt_list *list, uint32_t idx)
{
	struct pkt *pkts = p->ledger.pkts;

	pkts[idx].next = NO_PKT;
	if (list->nb == 0)
		list->first = idx;
	else
		pkts[list->last].next = idx;
	list->last = idx;
	list->nb++;
}

static uint32_t
list_pop(struct pipeline *p, struct pkt_list *list)
{
	uint32_t idx = list->first;

	list->first = p->ledger.pkts[idx].next;
	list->nb--;
	return idx;
}

/* Put a packet on the list of the worker that its flow belongs to. */
void
dispatch_queue(struct pipeline *p, uint32_t idx)
{
	uint32_t worker = flow_worker(p, p->ledger.pkts[idx].hash);

	if (worker == NO_WORKER)
		ledger_end(&p->ledger, idx, PKT_ABANDONED);
	else
		list_push(p, &p->workers[worker].waiting, idx);
}

/* Descriptors of the packets from `first` to w->sent, behind their payloads. */
static int
send_descs(struct pipeline *p, struct worker *w, uint64_t first)
{
	uint32_t pos = (first - 1) & (p->opt.nb_slots - 1);
	uint32_t n = w->sent + 1 - first;
	uint32_t before_wrap = RTE_MIN(n, p->opt.nb_slots - pos);
	uint64_t flags = RTE_DMA_OP_FLAG_FENCE | RTE_DMA_OP_FLAG_SUBMIT;
	int ret;

	ret = dma_enqueue(p, &w->in, (uintptr_t)&w->desc_img[pos],
			w->descs + pos * sizeof(struct pipe_desc),
			before_wrap * sizeof(struct pipe_desc), flags, OP_DESC);
	if (ret == 0 && before_wrap < n)
		ret = dma_enqueue(p, &w->in, (uintptr_t)w->desc_img, w->descs,
				(n - before_wrap) * sizeof(struct pipe_desc), flags, OP_DESC);
	return ret;
}

static int
send_payload(struct pipeline *p, struct worker *w, uint32_t idx)
{
	const struct pkt *pkt = &p->ledger.pkts[idx];
	uint64_t seq = w->sent + 1;
	uint32_t pos = (seq - 1) & (p->opt.nb_slots - 1);
	struct pipe_desc *desc = &w->desc_img[pos];
	int ret;

	ret = dma_enqueue(p, &w->in, (uintptr_t)rte_pktmbuf_mtod(pkt->mbuf, void *),
			w->slots[pos], pkt->len, 0, OP_PAYLOAD);
	if (ret != 0)
		return ret;
	*desc = (struct pipe_desc) { .seq = seq, .id = pkt->id, .len = pkt->len };
	desc->check = pipe_record_check(desc, PIPE_DESC_WORDS);
	w->slot_pkts[pos] = idx;
	w->sent = seq;
	ledger_moved(&p->ledger, idx);
	return 0;
}

/* The demonstration's accident: it happens right after a burst was handed over. */
static void
kill_in_the_middle(struct pipeline *p, struct worker *w)
{
	if (p->killed || p->opt.kill_after == 0 || p->ledger.received < p->opt.kill_after)
		return;
	p->killed = true;
	kill(w->pid, SIGKILL);
}

static uint32_t
send_burst(struct pipeline *p, struct worker *w)
{
	uint32_t capacity, n, sent, idx;
	uint64_t first = w->sent + 1;

	n = RTE_MIN(w->waiting.nb, SEND_BURST);
	n = RTE_MIN(n, p->opt.nb_slots - (uint32_t)(w->sent - w->answered));
	if (n == 0)
		return 0;
	capacity = rte_dma_burst_capacity(p->dma_dev, w->in.vchan);
	if (capacity <= DESC_MOVES)
		return 0;
	n = RTE_MIN(n, capacity - DESC_MOVES);
	for (sent = 0; sent < n; sent++) {
		idx = w->waiting.first;
		if (send_payload(p, w, idx) != 0)
			break;
		list_pop(p, &w->waiting);
	}
	/* The capacity was there, so a refusal means that the vchan is of no more use. */
	if (sent < n || send_descs(p, w, first) != 0) {
		rte_dma_submit(p->dma_dev, w->in.vchan);
		w->broken = true;
	}
	kill_in_the_middle(p, w);
	return sent;
}

static void
take_verdict(struct pipeline *p, struct worker *w, const struct pipe_verdict *v)
{
	uint32_t pos = (v->seq - 1) & (p->opt.nb_slots - 1);
	uint32_t idx = w->slot_pkts[pos];
	const struct pkt *pkt = &p->ledger.pkts[idx];
	bool same = v->id == pkt->id && v->len == pkt->len && v->sum == pkt->sum &&
		v->judgement < PIPE_NB_JUDGEMENTS;

	w->answered = v->seq;
	w->packets++;
	w->bytes += pkt->len;
	w->flows += v->new_flow;
	if (v->judgement < PIPE_NB_JUDGEMENTS)
		w->judged[v->judgement]++;
	if (p->bench.nb < SAMPLES_MAX)
		p->bench.samples[p->bench.nb++] = (struct sample) { pkt->len, w - p->workers };
	ledger_end(&p->ledger, idx, same ? PKT_ANSWERED : PKT_MISMATCHED);
}

/* A read has ended: take the verdicts that are whole, in order. */
uint32_t
dispatch_take_verdicts(struct pipeline *p, struct worker *w)
{
	uint32_t n;

	for (n = 0; n < w->read_nb; n++) {
		if (!pipe_record_valid(&w->verdict_img[n], PIPE_VERDICT_WORDS, w->answered + 1))
			break;
		take_verdict(p, w, &w->verdict_img[n]);
	}
	w->read_nb = 0;
	return n;
}

static void
read_verdicts(struct pipeline *p, struct worker *w)
{
	uint32_t pos = w->answered & (p->opt.nb_slots - 1);
	uint32_t n = RTE_MIN(w->sent - w->answered, VERDICT_BATCH);

	if (n == 0 || rte_rdtsc() < w->read_after)
		return;
	n = RTE_MIN(n, p->opt.nb_slots - pos);
	if (dma_enqueue(p, &w->out, w->verdicts + pos * sizeof(struct pipe_verdict),
			(uintptr_t)w->verdict_img, n * sizeof(struct pipe_verdict),
			RTE_DMA_OP_FLAG_SUBMIT, OP_VERDICT) != 0) {
		w->broken = true;
		return;
	}
	w->read_nb = n;
}

/* Reads that find nothing come at growing distances. */
static void
pace_reads(struct worker *w, uint32_t found, uint32_t asked)
{
	uint32_t tick = rte_get_tsc_hz() / US_PER_S;

	if (found == asked)
		w->read_pause = 0;
	else if (found > 0 || w->read_pause == 0)
		w->read_pause = READ_PAUSE_MIN * tick;
	else
		w->read_pause = RTE_MIN(w->read_pause * 2, READ_PAUSE_MAX * tick);
	w->read_after = rte_rdtsc() + w->read_pause;
}

/* One round over the workers. Returns 0 when there was nothing to do. */
uint32_t
dispatch_poll(struct pipeline *p)
{
	uint32_t work = 0, i, asked, found;
	struct worker *w;

	for (i = 0; i < p->opt.nb_workers; i++) {
		w = &p->workers[i];
		if (!w->alive || w->broken)
			continue;
		work += dma_gather(p, w, &w->in);
		dma_gather(p, w, &w->out);
		if (w->read_nb != 0 && w->out.completed == w->out.enqueued) {
			asked = w->read_nb;
			found = dispatch_take_verdicts(p, w);
			pace_reads(w, found, asked);
			work += found;
		}
		if (w->read_nb == 0)
			read_verdicts(p, w);
		work += send_burst(p, w);
	}
	return work;
}

/* Whether every packet has its verdict and no operation is in flight. */
bool
dispatch_idle(const struct pipeline *p)
{
	const struct worker *w;
	uint32_t i;

	for (i = 0; i < p->opt.nb_workers; i++) {
		w = &p->workers[i];
		if (w->broken || (w->alive && (w->waiting.nb != 0 || w->sent != w->answered ||
				w->in.enqueued != w->in.completed ||
				w->out.enqueued != w->out.completed)))
			return false;
	}
	return true;
}
