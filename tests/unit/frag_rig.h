/* Fragments made by hand, for tests of lib/frag. */
#ifndef TESTS_FRAG_RIG_H
#define TESTS_FRAG_RIG_H

#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mempool.h>

#include "frag/table.h"
#include "wire/ip.h"
#include "worker.h"
#include "worker/pkt_fill.h"

#define SECOND UINT64_C(1000000000)

/* A fragment of a datagram from one address to another. */
struct rig_piece {
	bool v6;
	uint8_t from_host, to_host; /* last octet of the addresses */
	uint8_t proto;
	uint8_t tos;
	uint32_t id;
	uint32_t at, len; /* octets of the datagram */
	bool more;
	const uint8_t *octets; /* of the datagram; NULL: zeros */
	uint16_t segment;      /* octets of a segment at most; 0: all in one */
};

static const uint64_t rig_secret[5] = { 0x1234567890abcdef, 0xfedcba0987654321, 3, 5, 7 };

static inline uint32_t
rig_headers(uint8_t *to, const struct rig_piece *p)
{
	memset(to, 0, 60);
	if (p->v6) {
		struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)to;
		uint16_t field = rte_cpu_to_be_16((uint16_t)(p->at | p->more));
		uint32_t id = rte_cpu_to_be_32(p->id);

		h->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)p->tos << 20);
		h->payload_len = rte_cpu_to_be_16((uint16_t)(8 + p->len));
		h->proto = IPPROTO_FRAGMENT;
		h->hop_limits = 64;
		h->src_addr[0] = h->dst_addr[0] = 0xfd;
		h->src_addr[15] = p->from_host;
		h->dst_addr[15] = p->to_host;
		to[40] = p->proto;
		memcpy(to + 42, &field, 2);
		memcpy(to + 44, &id, 4);
		return 48;
	} else {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)to;

		h->version_ihl = RTE_IPV4_VHL_DEF;
		h->type_of_service = p->tos;
		h->total_length = rte_cpu_to_be_16((uint16_t)(20 + p->len));
		h->packet_id = rte_cpu_to_be_16((uint16_t)p->id);
		h->fragment_offset = rte_cpu_to_be_16((uint16_t)(p->at / 8 | p->more << 13));
		h->time_to_live = 64;
		h->next_proto_id = p->proto;
		h->src_addr = rte_cpu_to_be_32(0xc0000200u | p->from_host);
		h->dst_addr = rte_cpu_to_be_32(0xc6336400u | p->to_host);
		h->hdr_checksum = wire_ip4_checksum(h, 20);
		return 20;
	}
}

/* As classify leaves it. Headers are in one segment. */
static inline struct rte_mbuf *
rig_fragment(struct rte_mempool *pool, const struct rig_piece *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *last = m;
	uint8_t headers[60];
	uint32_t n = rig_headers(headers, p), left = p->len;
	const uint8_t *at = p->octets != NULL ? p->octets + p->at : NULL;
	struct ip_info info;

	assert_non_null(m);
	memset(rte_pktmbuf_mtod(m, uint8_t *) - RTE_ETHER_HDR_LEN, 0xee, RTE_ETHER_HDR_LEN);
	memcpy(rte_pktmbuf_append(m, (uint16_t)n), headers, n);
	while (left > 0) {
		uint16_t room = p->segment != 0 ? p->segment : rte_pktmbuf_tailroom(last);
		uint16_t take = (uint16_t)RTE_MIN(left, (uint32_t)room);

		if (last != m || (p->segment != 0 && last->data_len != n) || take == 0) {
			last->next = rte_pktmbuf_alloc(pool);
			last = last->next;
			assert_non_null(last);
			m->nb_segs++;
			room = p->segment != 0 ? p->segment : rte_pktmbuf_tailroom(last);
			take = (uint16_t)RTE_MIN(left, (uint32_t)room);
		}
		if (at != NULL)
			memcpy(rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), at, take);
		else
			memset(rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), 0, take);
		last->data_len += take;
		m->pkt_len += last == m ? take : take;
		at = at != NULL ? at + take : NULL;
		left -= take;
	}
	pkt_reset(pkt_of(m), 3);
	assert_int_equal(wire_ip_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len,
				       m->pkt_len, &info),
			 WIRE_OK);
	pkt_fill(pkt_of(m), &info);
	return m;
}

static inline struct rte_mempool *
rig_pool(unsigned int n)
{
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("frag", n, 0, sizeof(struct pkt), 2176, SOCKET_ID_ANY);

	assert_non_null(pool);
	return pool;
}

#endif
