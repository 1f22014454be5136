/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the pipeline's owner and its workers agree on.
 *
 * All of it lies in the worker's private memory: the owner writes packets and
 * descriptors there by DMA, and reads verdicts there by DMA.
 *
 *   owner                            worker's memory
 *   packets    --- one move each --> slot[i], a malloc of its own
 *   descriptor --- after a fence --> desc[i]     worker: check, parse, judge
 *   verdicts   <-- in batches ------ verdict[i]  worker: its answer
 *
 * Ring position i is (seq - 1) modulo nb_slots, the same for all three. The
 * owner sends seq + nb_slots only after it has the verdict of seq, so that
 * nobody overwrites what the other has still to read.
 *
 * A DMA is not atomic: either side may see a record of which only a part has
 * arrived. So a record carries a check over its words, its sequence number
 * among them, and counts only when that is right.
 */
#ifndef PIPE_WIRE_H
#define PIPE_WIRE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PIPE_MAGIC	UINT64_C(0x53564d5049504531)
/** Bytes of a slot: an Ethernet frame of a 1,500-byte MTU, and room. */
#define PIPE_SLOT_LEN	2048u
#define PIPE_SLOTS_MIN	64u
#define PIPE_SLOTS_MAX	4096u

/** The owner says: packet `seq` is in its slot. */
struct pipe_desc {
	uint64_t seq;		/**< from 1 */
	uint64_t id;		/**< the owner's number of the packet */
	uint64_t len;		/**< bytes in the slot */
	uint64_t check;		/**< pipe_record_check() */
};

enum pipe_judgement {
	PIPE_GOOD,		/**< every checksum that it has is right */
	PIPE_BAD_SUM,		/**< an IPv4, TCP, UDP or ICMP checksum is wrong */
	PIPE_OTHER,		/**< not IPv4, a fragment, or another protocol */
	PIPE_NB_JUDGEMENTS,
};

/** The worker says what packet `seq` is. */
struct pipe_verdict {
	uint64_t seq;
	uint64_t id;		/**< of the descriptor */
	uint64_t sum;		/**< pipe_sum() over what it found in the slot */
	uint32_t len;
	uint8_t judgement;	/**< enum pipe_judgement */
	uint8_t new_flow;	/**< 1: the first packet of a flow at this worker */
	uint16_t reserved;	/**< 0 */
	uint64_t check;
};

/** What the worker counted itself. */
struct pipe_totals {
	uint64_t packets;
	uint64_t bytes;
	uint64_t flows;
};

/** The worker gives its address at bind: all that the owner needs to know. */
struct pipe_control {
	uint64_t magic;
	uint32_t nb_slots;	/**< a power of two */
	uint32_t slot_len;
	uint64_t slots;		/**< address of uint64_t[nb_slots]: addresses of the slots */
	uint64_t descs;		/**< address of struct pipe_desc[nb_slots] */
	uint64_t verdicts;	/**< address of struct pipe_verdict[nb_slots] */
	struct pipe_totals totals;
	uint64_t stop;		/**< the owner writes 1: leave */
};

#define PIPE_DESC_WORDS		(sizeof(struct pipe_desc) / sizeof(uint64_t))
#define PIPE_VERDICT_WORDS	(sizeof(struct pipe_verdict) / sizeof(uint64_t))

static_assert(sizeof(struct pipe_desc) == 32, "all words, no holes");
static_assert(sizeof(struct pipe_verdict) == 40, "all words, no holes");

static inline uint64_t
pipe_mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ (h >> 29);
}

/** Check of a record of `nb_words`, its last word left out. */
static inline uint64_t
pipe_record_check(const void *record, unsigned int nb_words)
{
	uint64_t h = PIPE_MAGIC, word;
	unsigned int i;

	for (i = 0; i + 1 < nb_words; i++) {
		memcpy(&word, (const char *)record + i * sizeof(word), sizeof(word));
		h = pipe_mix(h, word);
	}
	return h;
}

/** Whether a private copy of a record is whole, and number `seq`. */
static inline bool
pipe_record_valid(const void *record, unsigned int nb_words, uint64_t seq)
{
	uint64_t found, check;

	memcpy(&found, record, sizeof(found));
	memcpy(&check, (const char *)record + (nb_words - 1) * sizeof(check), sizeof(check));
	return found == seq && check == pipe_record_check(record, nb_words);
}

/** A sum over a packet's bytes: the owner and the worker each take their own. */
static inline uint64_t
pipe_sum(const void *data, uint32_t len)
{
	const char *p = data;
	uint64_t h = len, word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = pipe_mix(h, word);
	}
	word = 0;
	memcpy(&word, p, len);
	return pipe_mix(h, word);
}

#endif /* PIPE_WIRE_H */
