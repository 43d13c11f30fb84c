/* Filling struct pkt from what the IP header says: once by classify, again wherever a packet
 * changes its headers. */
#ifndef WORKER_PKT_FILL_H
#define WORKER_PKT_FILL_H

#include "wire/ip.h"
#include "worker/pkt.h"

_Static_assert((int)PKT_V6 == (int)IP_INFO_V6 && (int)PKT_FRAG_FIRST == (int)IP_INFO_FRAG_FIRST &&
		       (int)PKT_FRAG_LATER == (int)IP_INFO_FRAG_LATER,
	       "flags are copied as they are");

#define PKT_IP_FLAGS (PKT_V6 | PKT_FRAG_FIRST | PKT_FRAG_LATER)

/* A packet that nothing is known of yet but the gateway port it came in by. */
static inline void
pkt_reset(struct pkt *p, uint8_t port)
{
	*p = (struct pkt) {
		.sa = SA_NONE,
		.policy = POLICY_NONE,
		.next_hop = NEXT_HOP_NONE,
		.port = port,
	};
}

/* Describes the IP packet that the data begin with: offsets, protocol, TOS, the flags of
 * PKT_IP_FLAGS. All else stays, also outer_tos.
 */
static __rte_always_inline void
pkt_fill(struct pkt *p, const struct ip_info *ip)
{
	p->l4_off = ip->l4_off;
	p->last_nh_off = ip->last_nh_off;
	p->proto = ip->proto;
	p->flags = (uint8_t)((p->flags & ~PKT_IP_FLAGS) | (ip->flags & PKT_IP_FLAGS));
	p->tos = ip->tos;
}

/* The same of a header that wire_ip4_is_usual(), with all of the packet's flags. */
static __rte_always_inline void
pkt_fill_usual4(struct pkt *p, const uint8_t *ip, uint8_t flags)
{
	p->l4_off = sizeof(struct rte_ipv4_hdr);
	p->last_nh_off = offsetof(struct rte_ipv4_hdr, next_proto_id);
	p->proto = ip[offsetof(struct rte_ipv4_hdr, next_proto_id)];
	p->flags = flags;
	p->tos = ip[offsetof(struct rte_ipv4_hdr, type_of_service)];
}

#endif
