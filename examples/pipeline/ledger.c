/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger: one entry for each packet between the port and its final state.
 *
 *   receive -> HELD -> moved -> MOVED -> end
 *               ^--- retry -------'          (the worker died)
 *
 * The owner keeps the mbuf until the end, so a packet can be sent again. A
 * change of state that is not in this picture is counted in `broken`.
 */
#include <errno.h>
#include <stdlib.h>

#include "pipeline.h"

int
ledger_create(struct ledger *l, uint32_t capacity)
{
	uint32_t i;

	l->pkts = calloc(capacity, sizeof(*l->pkts));
	l->free = calloc(capacity, sizeof(*l->free));
	if (l->pkts == NULL || l->free == NULL) {
		ledger_destroy(l);
		return -ENOMEM;
	}
	for (i = 0; i < capacity; i++)
		l->free[i] = i;
	l->nb_free = capacity;
	l->capacity = capacity;
	return 0;
}

void
ledger_destroy(struct ledger *l)
{
	free(l->pkts);
	free(l->free);
	l->pkts = NULL;
	l->free = NULL;
}

/* The caller leaves room: it receives no more packets than nb_free. */
uint32_t
ledger_receive(struct ledger *l, struct rte_mbuf *mbuf, uint32_t hash, uint64_t sum)
{
	uint32_t idx = l->free[--l->nb_free];
	struct pkt *pkt = &l->pkts[idx];

	l->received++;
	l->received_bytes += mbuf->pkt_len;
	*pkt = (struct pkt) {
		.mbuf = mbuf, .id = l->received, .sum = sum, .len = mbuf->pkt_len,
		.hash = hash, .next = NO_PKT, .state = PKT_HELD,
	};
	return idx;
}

void
ledger_moved(struct ledger *l, uint32_t idx)
{
	l->broken += l->pkts[idx].state != PKT_HELD;
	l->pkts[idx].state = PKT_MOVED;
}

void
ledger_retry(struct ledger *l, uint32_t idx)
{
	l->broken += l->pkts[idx].state != PKT_MOVED;
	l->pkts[idx].state = PKT_HELD;
	l->retried++;
}

void
ledger_end(struct ledger *l, uint32_t idx, enum pkt_end end)
{
	struct pkt *pkt = &l->pkts[idx];

	if (pkt->state == PKT_FREE) {
		l->broken++;
		return;
	}
	l->ends[end]++;
	rte_pktmbuf_free(pkt->mbuf);
	pkt->mbuf = NULL;
	pkt->state = PKT_FREE;
	l->free[l->nb_free++] = idx;
}

/* The run is over, nothing is in flight: what is left over will stay so. */
void
ledger_close(struct ledger *l)
{
	uint32_t i;

	for (i = 0; i < l->capacity; i++)
		if (l->pkts[i].state != PKT_FREE)
			ledger_end(l, i, PKT_ABANDONED);
}

/* Packets without a final state, or with more than one. */
uint64_t
ledger_unaccounted(const struct ledger *l)
{
	uint64_t ended = 0;
	unsigned int i;

	for (i = 0; i < PKT_NB_ENDS; i++)
		ended += l->ends[i];
	return (l->received > ended ? l->received - ended : ended - l->received) + l->broken;
}
