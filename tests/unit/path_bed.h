/* Tests of the whole way of a packet: the laboratory of path_rig.h, what leaves it, and frames for
 * its red side.
 */
#ifndef TESTS_PATH_BED_H
#define TESTS_PATH_BED_H

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "path_rig.h"
#include "wire/sum.h"

#define SENT_MAX 1024

static struct path_rig rig;
static struct rte_mbuf *sent[SENT_MAX]; /* in their order; the test's to free */
static uint16_t n_sent;

static inline uint16_t
sent_keep(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	assert_true(n_sent + n <= SENT_MAX);
	for (uint16_t i = 0; i < n; i++)
		sent[n_sent++] = pkts[i];
	cell_add(&w->tx_packets, n);
	return 0;
}

static inline void
drop_sent(void)
{
	rte_pktmbuf_free_bulk(sent, n_sent);
	n_sent = 0;
}

/* Without SAs. A program has one pool: the number of its packets is the first caller's. */
static inline void
bed_make(const struct engine *const *engines, uint16_t n_engines, uint32_t packets)
{
	static struct rte_mempool *pool;
	struct err err = { "" };

	if (pool == NULL &&
	    port_pool_create("packets", packets, 1500, SOCKET_ID_ANY, &pool, &err) < 0)
		fail_msg("%s", err.text);
	path_rig_make(&rig, &(struct rig_params) { .engines = engines,
						   .n_engines = n_engines,
						   .pool = pool,
						   .sink = sent_keep });
	n_sent = 0;
}

static inline void
bed_sas(const struct rig_suite *suites, size_t n)
{
	for (size_t i = 0; i < n; i++)
		path_rig_sa(&rig, &suites[i]);
}

/* No packet has vanished, and none is left. */
static inline void
bed_check(void)
{
	assert_true(path_rig_conserves(&rig));
	assert_true(rte_mempool_full(rig.pool));
}

struct red_datagram {
	uint8_t from, to; /* host 5 of this net here, and of this one there */
	uint8_t tos, text;
	uint16_t flow;	 /* its source port */
	uint16_t octets; /* of IP */
};

static inline struct rte_mbuf *
red_datagram(const struct red_datagram *d)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);
	uint8_t *frame = (uint8_t *)rte_pktmbuf_append(m, RTE_ETHER_HDR_LEN + d->octets);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + RTE_ETHER_HDR_LEN);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memset(frame, d->text, RTE_ETHER_HDR_LEN + d->octets);
	memcpy(frame, &rig.links[RIG_RED].mac, RTE_ETHER_ADDR_LEN);
	((struct rte_ether_hdr *)frame)->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = d->tos,
		.total_length = rte_cpu_to_be_16(d->octets),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, d->from, 5)),
		.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 2, d->to, 5)),
	};
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
	*udp = (struct rte_udp_hdr) {
		.src_port = rte_cpu_to_be_16(d->flow),
		.dst_port = RTE_BE16(80),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(d->octets - sizeof(*ip))),
	};
	return m;
}

#endif
