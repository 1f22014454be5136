/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The port: any ethdev, net_af_packet on a veth or net_pcap for instance.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "pipeline.h"

#define NB_RX_DESC	1024
#define NB_TX_DESC	64	/* nothing is sent, but drivers want a queue */

static int
port_configure(uint16_t port, struct rte_mempool *pool)
{
	static const struct rte_eth_conf conf;
	uint16_t nb_rx = NB_RX_DESC, nb_tx = NB_TX_DESC;
	int ret;

	ret = rte_eth_dev_configure(port, 1, 1, &conf);
	if (ret != 0)
		return ret;
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(port, &nb_rx, &nb_tx);
	if (ret != 0)
		return ret;
	ret = rte_eth_rx_queue_setup(port, 0, nb_rx, rte_eth_dev_socket_id(port), NULL, pool);
	if (ret != 0)
		return ret;
	return rte_eth_tx_queue_setup(port, 0, nb_tx, rte_eth_dev_socket_id(port), NULL);
}

int
rx_open(struct pipeline *p, uint32_t nb_mbufs)
{
	char name[RTE_ETH_NAME_MAX_LEN] = "?";
	int ret;

	if (rte_eth_dev_count_avail() == 0) {
		fprintf(stderr, "svm_pipeline: no port: give --vdev net_af_packet0,iface=NAME"
			" or --vdev net_pcap0,rx_pcap=FILE\n");
		return -ENODEV;
	}
	p->port = rte_eth_find_next(0);
	p->pool = rte_pktmbuf_pool_create("pipeline", nb_mbufs, 128, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
			SOCKET_ID_ANY);
	if (p->pool == NULL) {
		fprintf(stderr, "svm_pipeline: no memory for %u packets\n", nb_mbufs);
		return -ENOMEM;
	}
	ret = port_configure(p->port, p->pool);
	if (ret == 0)
		ret = rte_eth_dev_start(p->port);
	if (ret != 0) {
		fprintf(stderr, "svm_pipeline: port %u does not start: %s\n", p->port,
			strerror(-ret));
		rte_mempool_free(p->pool);
		p->pool = NULL;
		return ret;
	}
	rte_eth_dev_get_name_by_port(p->port, name);
	printf("svm_pipeline: receiving on %s\n", name);
	return 0;
}

/* Receive a burst into the ledger, and on to the workers' lists. */
uint32_t
rx_poll(struct pipeline *p)
{
	struct rte_mbuf *mbufs[RX_BURST];
	uint64_t left = p->opt.max_packets - p->ledger.received;
	uint32_t room = RTE_MIN(p->ledger.nb_free, RX_BURST), i, idx;
	struct rte_mbuf *m;
	uint16_t n;

	if (p->opt.max_packets != 0 && left < room)
		room = left;
	if (room == 0)
		return 0;
	n = rte_eth_rx_burst(p->port, 0, mbufs, room);
	if (n == 0)
		return 0;
	p->last_tsc = rte_rdtsc();
	if (p->ledger.received == 0)
		p->first_tsc = p->last_tsc;
	for (i = 0; i < n; i++) {
		m = mbufs[i];
		if (m->nb_segs != 1 || m->pkt_len > PIPE_SLOT_LEN) {
			idx = ledger_receive(&p->ledger, m, 0, 0);
			ledger_end(&p->ledger, idx, PKT_REFUSED);
			continue;
		}
		idx = ledger_receive(&p->ledger, m, flow_hash(m),
				pipe_sum(rte_pktmbuf_mtod(m, const void *), m->pkt_len));
		dispatch_queue(p, idx);
	}
	return n;
}

/*
 * What the kernel counted at the driver's packet socket. The driver does not
 * show it, but a socket is known by its family, whoever opened it.
 */
static bool
socket_counters(int fd, uint64_t *seen, uint64_t *dropped)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(int);
	int family = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) != 0 || family != AF_PACKET)
		return false;
	len = sizeof(stats);
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) != 0)
		return false;
	*seen += stats.tp_packets;
	*dropped += stats.tp_drops;
	return true;
}

/* Once, at the end of reception: reading sets the kernel's counters to 0. */
void
rx_count_drops(struct pipeline *p)
{
	struct rte_eth_stats stats;
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	dir = opendir("/proc/self/fd");
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			found |= socket_counters(atoi(entry->d_name), &p->kernel_seen,
					&p->kernel_dropped);
	if (dir != NULL)
		closedir(dir);
	if (found)
		return;
	p->kernel_seen = p->ledger.received;
	if (rte_eth_stats_get(p->port, &stats) == 0) {
		p->kernel_dropped = stats.imissed;
		p->kernel_seen += stats.imissed;
	}
}

/* After the ledger is closed: every mbuf must have come back. */
void
rx_close(struct pipeline *p)
{
	int ret;

	if (p->pool == NULL)
		return;
	ret = rte_eth_dev_stop(p->port);
	if (ret == 0)
		ret = rte_eth_dev_close(p->port);
	if (ret != 0)
		fprintf(stderr, "svm_pipeline: port %u does not stop: %s\n", p->port,
			strerror(-ret));
	p->leaked_mbufs = rte_mempool_in_use_count(p->pool);
	rte_mempool_free(p->pool);
	p->pool = NULL;
}
