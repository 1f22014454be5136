/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker makes of a packet: its checksums, and the flow it belongs to. */
#ifndef PIPELINE_JUDGE_H
#define PIPELINE_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "pipe_wire.h"

struct flow_key {
	uint32_t src_addr, dst_addr;
	uint16_t src_port, dst_port;
	uint32_t proto;
};

struct flow {
	struct flow_key key;
	uint64_t packets;	/**< 0: a free entry */
	uint64_t bytes;
};

/** Flows by 5-tuple; open addressing, grows at half full. */
struct flow_table {
	struct flow *flows;
	uint32_t size;		/**< a power of two */
	uint32_t nb;
};

/**
 * Judge an Ethernet frame.
 *
 * @param key
 *   Out: its flow; all 0 when it is not IPv4.
 */
enum pipe_judgement
judge_frame(const uint8_t *frame, uint32_t len, struct flow_key *key);

/** @return 0, -ENOMEM. */
int
flow_table_create(struct flow_table *table);

void
flow_table_destroy(struct flow_table *table);

/** Count a packet. @return 1: a new flow, 0: a known one, -ENOMEM. */
int
flow_table_count(struct flow_table *table, const struct flow_key *key, uint32_t len);

#endif /* PIPELINE_JUDGE_H */
