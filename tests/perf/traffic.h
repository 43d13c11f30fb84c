/* Traffic from memory for the benches of the packet path: frames as a device would have left them,
 * the laboratory of tests/unit/path_rig.h around them, and what a bench says of its stages.
 */
#ifndef TESTS_PERF_TRAFFIC_H
#define TESTS_PERF_TRAFFIC_H

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_memcpy.h>
#include <rte_udp.h>

#include "../unit/path_rig.h"
#include "perf.h"

#define FRAME_MAX 1600

struct frame {
	uint16_t len, head; /* octets of the frame; of its start that a source writes each time */
	uint8_t octets[FRAME_MAX];
};

static inline uint16_t
udp_write(struct rte_udp_hdr *udp, uint16_t len, uint32_t flow)
{
	*udp = (struct rte_udp_hdr) {
		.src_port = rte_cpu_to_be_16(1024 + (flow & 0x3fff)),
		.dst_port = RTE_BE16(2000),
		.dgram_len = rte_cpu_to_be_16(len),
	};
	return sizeof(*udp);
}

/* An Ethernet frame as the red host sends it: UDP of size octets (IP total length) by SA number n;
 * flow chooses the source port. Writes only the headers. Returns their length.
 */
static inline uint16_t
frame_write(const struct path_rig *r, uint8_t *at, uint32_t n, bool v6, uint16_t size,
	    uint32_t flow)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)at;
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)(eth + 1);

	eth->dst_addr = r->port->stations[RIG_RED].mac;
	eth->src_addr = (struct rte_ether_addr) { { 2, 0, 0, 0, 1, RIG_RED } };
	eth->ether_type = v6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4);
	if (v6) {
		struct addr src = rig_addr("fd01::5"), dst = rig_addr("fd02::5");

		src.octets[7] = dst.octets[7] = (uint8_t)n;
		memset(ip6, 0, sizeof(*ip6));
		ip6->vtc_flow = RTE_BE32(6u << 28);
		ip6->payload_len = rte_cpu_to_be_16(size - sizeof(*ip6));
		ip6->proto = IPPROTO_UDP;
		ip6->hop_limits = 64;
		memcpy(ip6->src_addr, src.octets, 16);
		memcpy(ip6->dst_addr, dst.octets, 16);
		return sizeof(*eth) + sizeof(*ip6) +
		       udp_write((struct rte_udp_hdr *)(ip6 + 1), size - sizeof(*ip6), flow);
	}
	*v4 = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(size),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, n, 5)),
		.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 2, n, 5)),
	};
	v4->hdr_checksum = rte_ipv4_cksum(v4);
	return sizeof(*eth) + sizeof(*v4) +
	       udp_write((struct rte_udp_hdr *)(v4 + 1), size - sizeof(*v4), flow);
}

/* What the pipeline made of an outbound packet, as a frame for the way in. */
static inline void
frame_keep(const struct path_rig *r, struct frame *f, const struct rte_mbuf *m)
{
	f->len = f->head = m->data_len;
	memcpy(f->octets, rte_pktmbuf_mtod(m, uint8_t *), f->len);
	memcpy(f->octets, &r->port->stations[RIG_BLACK].mac, RTE_ETHER_ADDR_LEN);
}

/* A frame as a device hands it over: mbuf fields and the frame's head are written anew. */
static inline uint8_t *
frame_arrive(struct rte_mbuf *m, const struct frame *f, uint8_t port)
{
	uint8_t *data;

	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->data_len = f->len;
	m->pkt_len = f->len;
	m->ol_flags = 0;
	data = rte_pktmbuf_mtod(m, uint8_t *);
	rte_memcpy(data, f->octets, f->head);
	pkt_of(m)->port = port;
	return data;
}

/* A figure of a gateway that drops is none. */
static inline void
drops_judge(const struct worker *w)
{
	for (int i = 0; i < DROP_MAX; i++) {
		if (w->drops[i] == 0)
			continue;
		fprintf(stderr, "%" PRIu64 " packets dropped: %s\n", w->drops[i],
			drop_names[i].name);
		exit(1);
	}
}

/* Cycles per packet by stage, a figure for each window: means over a whole run would be those of
 * whatever interrupted it. The pipeline must be timed.
 */
struct stage_perf {
	uint64_t cycles[STAGE_MAX], packets[STAGE_MAX]; /* where the cells stood */
	struct perf perf[STAGE_MAX];
};

static inline void
stage_perf_skip(struct stage_perf *s, const struct worker *w)
{
	memcpy(s->cycles, w->stage_cycles, sizeof(s->cycles));
	memcpy(s->packets, w->stage_packets, sizeof(s->packets));
}

static inline void
stage_perf_start(struct stage_perf *s, const struct worker *w)
{
	for (int i = 0; i < STAGE_MAX; i++)
		s->perf[i].n = 0;
	stage_perf_skip(s, w);
}

/* Ends a window and begins the next. */
static inline void
stage_perf_take(struct stage_perf *s, const struct worker *w)
{
	for (int i = 0; i < STAGE_MAX; i++)
		if (w->stage_packets[i] != s->packets[i])
			perf_add(&s->perf[i], w->stage_cycles[i] - s->cycles[i],
				 w->stage_packets[i] - s->packets[i]);
	stage_perf_skip(s, w);
}

static inline void
stage_perf_print(struct stage_perf *s, const struct pipe *pipe)
{
	for (int i = 0; i < STAGE_MAX; i++)
		if (s->perf[i].n != 0)
			printf("    %-16s %6.1f\n", pipe->name[i], perf_median(&s->perf[i]));
}

/* Starts DPDK on those cores, without ports. cores is a list as EAL's -l takes it. */
static inline void
bench_eal_start(const char *name, const char *cores, bool no_huge)
{
	const char *huge[] = { name,	       "-l",	   cores,
			       "--in-memory",  "--no-pci", "--no-telemetry",
			       "--log-level=4" };
	const char *small[] = {
		name,  "-l",	      cores,	  "--no-huge",	    "-m",
		"512", "--no-shconf", "--no-pci", "--no-telemetry", "--log-level=4"
	};
	int n = no_huge ? RTE_DIM(small) : RTE_DIM(huge);
	char *argv[RTE_DIM(small) + 1] = { NULL };

	/* EAL wants them writable. */
	for (int i = 0; i < n; i++)
		argv[i] = strdup(no_huge ? small[i] : huge[i]);
	if (no_huge)
		puts("without hugepages: these figures compare with nothing");
	if (rte_eal_init(n, argv) >= 0)
		return;
	fputs("no hugepages: reserve some (sysctl vm.nr_hugepages=512), or --no-huge\n", stderr);
	exit(1);
}

#endif
