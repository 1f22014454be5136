/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>

#include "pipeline_judge.h"

#define FLOWS_FIRST	256u

/* The Internet checksum (RFC 1071) as a running sum of 16-bit words. */
static uint32_t
sum_words(uint32_t sum, const uint8_t *data, uint32_t len)
{
	uint16_t word;

	for (; len > 1; len -= 2, data += 2) {
		memcpy(&word, data, sizeof(word));
		sum += word;
	}
	if (len == 1) {
		word = 0;
		memcpy(&word, data, 1);
		sum += word;
	}
	return sum;
}

/* A sum over data that contain their own checksum is all ones when it is right. */
static bool
sum_right(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static uint32_t
sum_pseudo_header(const struct iphdr *ip, uint32_t l4_len)
{
	uint32_t sum;

	sum = sum_words(0, (const uint8_t *)&ip->saddr, sizeof(ip->saddr));
	sum = sum_words(sum, (const uint8_t *)&ip->daddr, sizeof(ip->daddr));
	return sum + htons(ip->protocol) + htons((uint16_t)l4_len);
}

static bool
l4_right(const struct iphdr *ip, const uint8_t *l4, uint32_t l4_len)
{
	struct udphdr udp;
	uint32_t sum = 0;

	if (ip->protocol == IPPROTO_UDP) {
		if (l4_len < sizeof(udp))
			return false;
		memcpy(&udp, l4, sizeof(udp));
		if (udp.check == 0)	/* the sender made none */
			return true;
	}
	if (ip->protocol != IPPROTO_ICMP)
		sum = sum_pseudo_header(ip, l4_len);
	return sum_right(sum_words(sum, l4, l4_len));
}

enum pipe_judgement
judge_frame(const uint8_t *frame, uint32_t len, struct flow_key *key)
{
	const uint8_t *l3 = frame + sizeof(struct ether_header);
	struct ether_header eth;
	struct iphdr ip;
	uint32_t ihl, ip_len;
	bool with_ports;

	memset(key, 0, sizeof(*key));
	if (len < sizeof(eth) + sizeof(ip))
		return PIPE_OTHER;
	memcpy(&eth, frame, sizeof(eth));
	memcpy(&ip, l3, sizeof(ip));
	if (eth.ether_type != htons(ETHERTYPE_IP) || ip.version != IPVERSION)
		return PIPE_OTHER;
	ihl = ip.ihl * 4u;
	ip_len = ntohs(ip.tot_len);	/* short frames are padded */
	if (ihl < sizeof(ip) || ip_len < ihl || sizeof(eth) + ip_len > len)
		return PIPE_OTHER;
	*key = (struct flow_key) {
		.src_addr = ip.saddr, .dst_addr = ip.daddr, .proto = ip.protocol,
	};
	if (!sum_right(sum_words(0, l3, ihl)))
		return PIPE_BAD_SUM;
	if ((ntohs(ip.frag_off) & (IP_MF | IP_OFFMASK)) != 0)
		return PIPE_OTHER;
	with_ports = ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP;
	if (with_ports && ip_len - ihl >= 2 * sizeof(key->src_port)) {
		memcpy(&key->src_port, l3 + ihl, sizeof(key->src_port));
		memcpy(&key->dst_port, l3 + ihl + sizeof(key->src_port), sizeof(key->dst_port));
	}
	if (!with_ports && ip.protocol != IPPROTO_ICMP)
		return PIPE_OTHER;
	return l4_right(&ip, l3 + ihl, ip_len - ihl) ? PIPE_GOOD : PIPE_BAD_SUM;
}

int
flow_table_create(struct flow_table *table)
{
	table->flows = calloc(FLOWS_FIRST, sizeof(*table->flows));
	table->size = FLOWS_FIRST;
	table->nb = 0;
	return table->flows == NULL ? -ENOMEM : 0;
}

void
flow_table_destroy(struct flow_table *table)
{
	free(table->flows);
	table->flows = NULL;
}

/* The entry of a flow, or the free one where it belongs; half are always free. */
static struct flow *
table_find(const struct flow_table *table, const struct flow_key *key)
{
	uint32_t i = pipe_sum(key, sizeof(*key));

	for (;; i++) {
		struct flow *flow = &table->flows[i & (table->size - 1)];

		if (flow->packets == 0 || memcmp(&flow->key, key, sizeof(*key)) == 0)
			return flow;
	}
}

static int
table_grow(struct flow_table *table)
{
	struct flow_table bigger = { .size = table->size * 2, .nb = table->nb };
	uint32_t i;

	bigger.flows = calloc(bigger.size, sizeof(*bigger.flows));
	if (bigger.flows == NULL)
		return -ENOMEM;
	for (i = 0; i < table->size; i++)
		if (table->flows[i].packets != 0)
			*table_find(&bigger, &table->flows[i].key) = table->flows[i];
	free(table->flows);
	*table = bigger;
	return 0;
}

int
flow_table_count(struct flow_table *table, const struct flow_key *key, uint32_t len)
{
	struct flow *flow = table_find(table, key);
	int is_new = flow->packets == 0;

	if (is_new && table->nb + 1 > table->size / 2) {
		int ret = table_grow(table);

		if (ret != 0)
			return ret;
		flow = table_find(table, key);
	}
	table->nb += is_new;
	flow->key = *key;
	flow->packets++;
	flow->bytes += len;
	return is_new;
}
