/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner of the pipeline.
 *
 *   main.c      EAL, the order of things, the loop
 *   options.c   arguments
 *   rx.c        the port: where packets come from, what the kernel dropped
 *   flow.c      5-tuple -> bucket -> worker
 *   ledger.c    every received packet, until it has its one final state
 *   workers.c   start, find, lose and end the worker processes
 *   dma.c       the dmadev: vchans, and operations that are waited for
 *   dispatch.c  packets into workers, verdicts out of them
 *   bench.c     the same moves again: the device against process_vm_writev
 *   report.c    the table
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <rte_dmadev.h>
#include <rte_mbuf.h>

#include "pipe_wire.h"

#define WORKERS_MAX	16u
#define RX_BURST	32u
#define VERDICT_BATCH	64u	/* verdicts in one read */
#define NO_WORKER	UINT32_MAX
#define NO_PKT		UINT32_MAX

struct options {
	char dev_name[64];
	uint32_t nb_workers;
	uint32_t nb_slots;
	uint64_t max_packets;	/* 0: no bound */
	uint32_t max_seconds;
	uint32_t idle_ms;	/* traffic that rests for so long has ended */
	uint32_t wait_s;	/* for the first packet */
	uint64_t kill_after;	/* packets; 0: nobody is killed */
	const char *csv_path;	/* NULL: none */
	const char *ready_path;	/* made when the port receives; NULL: none */
};

void options_usage(void);
int options_parse(struct options *o, int argc, char **argv);

/* ---- ledger ---- */

enum pkt_state {
	PKT_FREE,
	PKT_HELD,		/* received; waits for a place in a worker */
	PKT_MOVED,		/* in a worker, no verdict yet */
};

/* Final states. A received packet ends in exactly one of them. */
enum pkt_end {
	PKT_ANSWERED,		/* verdict in, and about this very content */
	PKT_MISMATCHED,		/* verdict in, content differs */
	PKT_REFUSED,		/* does not fit into a slot */
	PKT_ABANDONED,		/* no worker was left, or the run was cut short */
	PKT_NB_ENDS,
};

struct pkt {
	struct rte_mbuf *mbuf;
	uint64_t id;
	uint64_t sum;
	uint32_t len;
	uint32_t hash;
	uint32_t next;		/* in a worker's list of waiting packets */
	enum pkt_state state;
};

struct ledger {
	struct pkt *pkts;
	uint32_t *free;
	uint32_t nb_free;
	uint32_t capacity;
	uint64_t received;
	uint64_t received_bytes;
	uint64_t retried;	/* moves that a worker's death undid */
	uint64_t ends[PKT_NB_ENDS];
	uint64_t broken;	/* state changes that must not be; 0 */
};

int ledger_create(struct ledger *l, uint32_t capacity);
void ledger_destroy(struct ledger *l);
uint32_t ledger_receive(struct ledger *l, struct rte_mbuf *mbuf, uint32_t hash, uint64_t sum);
void ledger_moved(struct ledger *l, uint32_t idx);
void ledger_retry(struct ledger *l, uint32_t idx);
void ledger_end(struct ledger *l, uint32_t idx, enum pkt_end end);
void ledger_close(struct ledger *l);
uint64_t ledger_unaccounted(const struct ledger *l);

/* ---- workers and the device ---- */

/* What an operation was for: the engine's moves are told apart by it. */
enum op_kind {
	OP_PAYLOAD,
	OP_DESC,
	OP_VERDICT,
	OP_CONTROL,
	OP_BENCH,
	OP_NB_KINDS,
};

/* One vchan, and what is in flight on it, oldest first. */
struct chan {
	uint16_t vchan;
	uint16_t size;		/* of kinds, a power of two */
	uint8_t *kinds;
	uint32_t enqueued;	/* free-running */
	uint32_t completed;
	uint64_t ok[OP_NB_KINDS];
	uint64_t failed[OP_NB_KINDS];
};

struct pkt_list {
	uint32_t first, last, nb;
};

struct worker {
	pid_t pid;
	bool alive;
	bool broken;		/* an operation on it failed: it is lost, or soon will be */
	enum rte_dma_status_code status;	/* of that operation */
	uint64_t bond;
	uint32_t pasid;
	uint64_t control;	/* addresses in the worker */
	uint64_t descs;
	uint64_t verdicts;
	uint64_t *slots;
	struct chan in, out;
	uint64_t sent;		/* last sequence number sent */
	uint64_t answered;	/* last one whose verdict is in */
	struct pipe_desc *desc_img;	/* the source of descriptor moves, same positions */
	struct pipe_verdict *verdict_img;	/* where verdict reads go */
	uint32_t read_nb;	/* verdicts that the read in flight covers, 0: none */
	uint64_t read_after;	/* do not read again before this TSC */
	uint32_t read_pause;	/* in TSC ticks; grows while there is nothing */
	uint32_t *slot_pkts;	/* position -> ledger */
	struct pkt_list waiting;
	const char *fate;	/* for the table */
	uint64_t packets, bytes, flows, judged[PIPE_NB_JUDGEMENTS];
	uint64_t retried;	/* packets that had to be sent elsewhere */
	struct pipe_totals own;	/* what it counted itself */
	bool own_known;
};

struct sample {
	uint32_t len;
	uint32_t worker;
};

#define SAMPLES_MAX	32768u

struct bench {
	struct sample *samples;
	uint32_t nb;
	uint64_t dma_ns;	/* median of the rounds */
	uint64_t writev_ns;
	uint32_t rounds;
};

struct pipeline {
	struct options opt;
	uint16_t svm_dev;	/* of rte_svm_* */
	int16_t dma_dev;	/* of rte_dma_* */
	uint16_t port;
	struct rte_mempool *pool;
	struct ledger ledger;
	struct worker workers[WORKERS_MAX];
	uint32_t buckets[256];
	bool killed;
	bool dma_started;
	uint64_t moves;		/* by the engine, for the pipeline; the next two belong to it */
	uint64_t ops_ok[OP_NB_KINDS];
	uint64_t payloads_failed;
	uint64_t first_tsc, last_tsc;
	uint64_t kernel_seen;	/* packets that reached the kernel's ring, or would have */
	uint64_t kernel_dropped;
	uint64_t leaked_mbufs;
	uint32_t disagree;	/* workers whose own counts differ from their verdicts */
	struct bench bench;
};

int rx_open(struct pipeline *p, uint32_t nb_mbufs);
uint32_t rx_poll(struct pipeline *p);
void rx_count_drops(struct pipeline *p);
void rx_close(struct pipeline *p);

uint32_t flow_hash(const struct rte_mbuf *mbuf);
void flow_spread(struct pipeline *p);
uint32_t flow_worker(const struct pipeline *p, uint32_t hash);

int workers_start(struct pipeline *p);
int workers_meet(struct pipeline *p);
void workers_watch(struct pipeline *p);
int worker_lose(struct pipeline *p, uint32_t idx);
void workers_compare(struct pipeline *p);
void workers_end(struct pipeline *p);
void workers_destroy(struct pipeline *p);

int dma_open(struct pipeline *p);
void dma_close(struct pipeline *p);
int dma_count(struct pipeline *p);
int dma_enqueue(struct pipeline *p, struct chan *c, uint64_t src, uint64_t dst, uint32_t len,
		uint64_t flags, enum op_kind kind);
uint32_t dma_gather(struct pipeline *p, struct worker *w, struct chan *c);
int dma_drain(struct pipeline *p, struct worker *w, struct chan *c);
int dma_read(struct pipeline *p, struct worker *w, uint64_t remote, void *local, uint32_t len);
int dma_write(struct pipeline *p, struct worker *w, const void *local, uint64_t remote,
		uint32_t len);

void dispatch_queue(struct pipeline *p, uint32_t idx);
uint32_t dispatch_poll(struct pipeline *p);
uint32_t dispatch_take_verdicts(struct pipeline *p, struct worker *w);
bool dispatch_idle(const struct pipeline *p);

int bench_run(struct pipeline *p);

void report_progress(const struct pipeline *p, bool last);
bool report_table(const struct pipeline *p);
int report_csv(const struct pipeline *p);

#endif /* PIPELINE_H */
