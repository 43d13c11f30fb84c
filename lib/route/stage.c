#include "route/route_stage.h"

#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "port/port.h"
#include "route/fib.h"
#include "worker/worker.h"

static inline uint16_t
next_hop_of(const struct route *r, struct rte_mbuf *m, const struct pkt *p)
{
	if (likely((p->flags & PKT_V6) == 0))
		return trie_lookup(&r->v4, rte_pktmbuf_mtod_offset(m, uint8_t *,
								   offsetof(struct rte_ipv4_hdr,
									    dst_addr)));
	return trie_lookup(&r->v6,
			   rte_pktmbuf_mtod_offset(m, uint8_t *,
						   offsetof(struct rte_ipv6_hdr, dst_addr)));
}

void
route_lookup(const struct route *r, struct rte_mbuf **pkts, uint16_t n, uint16_t *next_hops)
{
	for (uint16_t i = 0; i < n; i++)
		next_hops[i] = next_hop_of(r, pkts[i], pkt_of(pkts[i]));
}

/* The sender is told, unless the packet may be cut on the way, which nobody here does, or is our
 * own. */
static void
too_big(struct worker *w, struct rte_mbuf *m, struct pkt *p, uint16_t mtu)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	bool may_fragment = (p->flags & PKT_V6) == 0 &&
			    (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) == 0;

	if (may_fragment || (p->flags & PKT_OWN) != 0) {
		drop(w, m, DROP_TOO_BIG);
		return;
	}
	p->reply = ICMP_REPLY_TOO_BIG;
	p->mtu = mtu;
	pipe_push(w, STAGE_ICMP_REPLY, m);
}

/* Where a packet goes that does not simply go on. Returns false if it does go on after all. */
static bool
divert(struct worker *w, struct rte_mbuf *m, const struct next_hop *h, bool clear_to_black)
{
	if ((h->flags & HOP_NOWHERE) != 0)
		drop(w, m, DROP_NO_ROUTE);
	else if ((h->flags & HOP_IS_LOCAL) != 0)
		pipe_push(w, STAGE_PUNT, m);
	else if (h->side == PORT_BLACK && !clear_to_black)
		pipe_push(w, STAGE_SPD_MATCH,
			  m); /* hub and spoke: black is left through an SA or a policy */
	else if (m->pkt_len > h->mtu)
		too_big(w, m, pkt_of(m), h->mtu);
	else
		return false;
	return true;
}

static inline uint16_t
route_burst(struct worker *w, struct rte_mbuf **pkts, uint16_t n, bool clear_to_black)
{
	const struct route *r = w->view->route;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		const struct next_hop *h;

		p->next_hop = next_hop_of(r, m, p);
		h = route_hop(r, p->next_hop);
		if (unlikely((h->flags & (HOP_NOWHERE | HOP_IS_LOCAL)) != 0 ||
			     h->side != PORT_RED || m->pkt_len > h->mtu) &&
		    divert(w, m, h, clear_to_black))
			continue;
		pkts[kept++] = m;
	}
	return kept;
}

uint16_t
route(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return route_burst(w, pkts, n, false);
}

uint16_t
route_bypass(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return route_burst(w, pkts, n, true);
}

/* A neighbour that is not known and a route that is gone since the packet was given it are not the
 * same mistake. */
static enum drop_reason
unsendable(const struct next_hop *h)
{
	return (h->flags & (HOP_NOWHERE | HOP_IS_LOCAL)) != 0 ? DROP_NO_ROUTE : DROP_NO_NEIGHBOUR;
}

uint16_t
neigh_write(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct route *r = w->view->route;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct next_hop *h = route_hop(r, pkt_of(m)->next_hop);
		char *l2;

		if (unlikely((h->flags & HOP_HAS_MAC) == 0)) {
			drop(w, m, unsendable(h));
			continue;
		}
		l2 = rte_pktmbuf_prepend(m, HOP_L2_SIZE);
		if (unlikely(l2 == NULL)) {
			drop(w, m, DROP_BUFFER);
			continue;
		}
		/* Two stores that overlap: 8 + 8 of 14. */
		memcpy(l2, h->l2, 8);
		memcpy(l2 + 6, h->l2 + 6, 8);
		m->port = h->port;
		pkts[kept++] = m;
	}
	return kept;
}
