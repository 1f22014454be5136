/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which worker a packet belongs to: a hash over its 5-tuple, the same for both
 * directions of a connection, chooses one of 256 buckets, and each bucket
 * belongs to a worker. When a worker dies only its buckets change hands.
 */
#include <netinet/in.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_jhash.h>

#include "pipeline.h"

#define NB_BUCKETS	RTE_DIM(((struct pipeline *)0)->buckets)

static uint32_t
endpoints_hash(uint32_t addr_a, uint16_t port_a, uint32_t addr_b, uint16_t port_b, uint8_t proto)
{
	uint64_t a = (uint64_t)addr_a << 16 | port_a;
	uint64_t b = (uint64_t)addr_b << 16 | port_b;
	uint64_t low = RTE_MIN(a, b), high = RTE_MAX(a, b);
	uint32_t key[4] = { low >> 32, low, high >> 32, high };

	return rte_jhash_32b(key, RTE_DIM(key), proto);
}

/* Fragments have ports in the first one only, so none of them counts the ports. */
static uint32_t
ipv4_hash(const uint8_t *l3, uint32_t len)
{
	struct rte_ipv4_hdr ip;
	uint16_t ports[2] = { 0, 0 };
	bool fragment;
	uint32_t ihl;

	if (len < sizeof(ip))
		return 0;
	memcpy(&ip, l3, sizeof(ip));
	ihl = rte_ipv4_hdr_len(&ip);
	fragment = (ip.fragment_offset &
		rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0;
	if ((ip.next_proto_id == IPPROTO_TCP || ip.next_proto_id == IPPROTO_UDP) && !fragment &&
			ihl >= sizeof(ip) && len >= ihl + sizeof(ports))
		memcpy(ports, l3 + ihl, sizeof(ports));
	return endpoints_hash(ip.src_addr, ports[0], ip.dst_addr, ports[1], ip.next_proto_id);
}

/* Hash of a packet in one segment; what is not IPv4 goes by its type. */
uint32_t
flow_hash(const struct rte_mbuf *mbuf)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	struct rte_ether_hdr eth;

	if (rte_pktmbuf_data_len(mbuf) < sizeof(eth))
		return 0;
	memcpy(&eth, data, sizeof(eth));
	if (eth.ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		return ipv4_hash(data + sizeof(eth), rte_pktmbuf_data_len(mbuf) - sizeof(eth));
	return rte_jhash_1word(eth.ether_type, 0);
}

/* Give each bucket without a living worker to the next living one in turn. */
void
flow_spread(struct pipeline *p)
{
	uint32_t living[WORKERS_MAX], nb = 0, next = 0, i;

	for (i = 0; i < p->opt.nb_workers; i++)
		if (p->workers[i].alive)
			living[nb++] = i;
	for (i = 0; i < NB_BUCKETS; i++) {
		if (p->buckets[i] != NO_WORKER && p->workers[p->buckets[i]].alive)
			continue;
		p->buckets[i] = nb == 0 ? NO_WORKER : living[next++ % nb];
	}
}

/* NO_WORKER when nobody is left. */
uint32_t
flow_worker(const struct pipeline *p, uint32_t hash)
{
	return p->buckets[hash % NB_BUCKETS];
}
