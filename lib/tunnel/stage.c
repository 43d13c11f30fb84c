#include <rte_ip.h>

#include "tunnel/tunnel.h"
#include "tunnel/tunnel_stage.h"
#include "worker/worker.h"

/* One 32-bit word holds TTL, protocol and checksum: counted down as one (RFC 1624 section 4). */
static inline bool
ttl4_count(uint8_t *ip)
{
	uint8_t *at = ip + offsetof(struct rte_ipv4_hdr, time_to_live);
	uint32_t word = wire_load32(at), checksum;

	if (unlikely((word & 0xff) <= 1))
		return false;
	/* One less in the first octet of a word is 1 more, big-endian 0x0100, in the sum's
	 * complement. */
	checksum = (word >> 16) + RTE_BE16(0x0100);
	checksum += checksum >= 0xffff;
	word = ((word - 1) & 0xffff) | checksum << 16;
	memcpy(at, &word, sizeof(word));
	return true;
}

static inline bool
ttl6_count(uint8_t *ip)
{
	uint8_t *hops = ip + offsetof(struct rte_ipv6_hdr, hop_limits);

	if (unlikely(*hops <= 1))
		return false;
	*hops -= 1;
	return true;
}

uint16_t
ttl_check(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

		pkts[kept] = m;
		if (likely((p->flags & (PKT_OWN | PKT_TTL_DONE)) == 0)) {
			if (unlikely(!((p->flags & PKT_V6) != 0 ? ttl6_count(ip) :
								  ttl4_count(ip)))) {
				p->reply = ICMP_REPLY_TIME_EXCEEDED;
				pipe_push(w, STAGE_ICMP_REPLY, m);
				continue;
			}
			p->flags |= PKT_TTL_DONE;
		}
		kept++;
	}
	return kept;
}

/* Returns whether the packet goes on. */
static bool
ecn_apply(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	uint8_t rule = tunnel_ecn_decap[(p->tos & 3) | (p->outer_tos & 3) << 2];
	uint8_t tos = (uint8_t)((p->tos & ~3) | (rule & TUNNEL_ECN_MASK));

	if ((rule & TUNNEL_ECN_ODD) != 0)
		cell_add(&w->ecn_odd, 1);
	if ((rule & TUNNEL_ECN_DROP) != 0) {
		drop(w, m, DROP_ECN);
		return false;
	}
	if (tos != p->tos) {
		tunnel_tos_set(rte_pktmbuf_mtod(m, uint8_t *), (p->flags & PKT_V6) != 0, tos);
		p->tos = tos;
	}
	return true;
}

uint16_t
ecn_decap(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		if (unlikely(((p->tos ^ p->outer_tos) & 3) != 0) && !ecn_apply(w, pkts[i], p))
			continue;
		pkts[kept++] = pkts[i];
	}
	return kept;
}
