#include "route/route_stage.h"

#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "route/fib.h"
#include "wire/ip.h"
#include "worker/link.h"
#include "worker/mailbox.h"
#include "worker/ttl.h"
#include "worker/worker.h"

/* The values of both families' tries for the packets' destinations. */
static inline void
lookup(const struct route *r, struct rte_mbuf **pkts, uint16_t n, uint32_t *values)
{
	const struct trie *tries[BURST_MAX];
	const uint8_t *addrs[BURST_MAX];

	for (uint16_t i = 0; i < n; i++) {
		bool v6 = (pkt_of(pkts[i])->flags & PKT_V6) != 0;

		tries[i] = v6 ? &r->v6 : &r->v4;
		addrs[i] = wire_ip_dst(rte_pktmbuf_mtod(pkts[i], const uint8_t *), v6);
	}
	trie_lookup_bulk(tries, addrs, n, values);
}

void
route_lookup(const struct route *r, struct rte_mbuf **pkts, uint16_t n, uint16_t *next_hops)
{
	uint32_t values[BURST_MAX];

	lookup(r, pkts, n, values);
	for (uint16_t i = 0; i < n; i++)
		next_hops[i] = (uint16_t)values[i];
}

/* Cut where it may be (RFC 1812 section 4.2.2.7); else the sender is told, unless that is us. */
static void
too_big(struct worker *w, struct rte_mbuf *m, struct pkt *p, uint16_t mtu)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	bool may_fragment = (p->flags & PKT_V6) == 0 &&
			    (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) == 0;

	p->mtu = mtu;
	if (may_fragment) {
		pipe_push(w, STAGE_FRAG_OUTER, m);
		return;
	}
	if ((p->flags & PKT_OWN) != 0) {
		drop(w, m, DROP_TOO_BIG);
		return;
	}
	p->reply = ICMP_REPLY_TOO_BIG;
	pipe_push(w, STAGE_ICMP_REPLY, m);
}

/* Hub and spoke: black is left through an SA or a policy. The number it came by is history. */
static void
turn_out(struct worker *w, struct rte_mbuf *m)
{
	pkt_of(m)->seq = 0;
	pipe_push(w, STAGE_SPD_MATCH, m);
}

/* Whoever asked is about to drop it (pipe/policy.c), whatever its size. */
static bool
is_unprotected(const struct rte_mbuf *m, const struct next_hop *h)
{
	return h->side == PORT_BLACK && pkt_of(m)->policy == POLICY_NONE;
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
		turn_out(w, m);
	else if (clear_to_black && is_unprotected(m, h))
		return false;
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
	uint32_t values[BURST_MAX];
	uint16_t kept = 0;

	lookup(r, pkts, n, values);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint16_t id = (uint16_t)values[i];
		const struct next_hop *h = route_hop(r, id);

		if (unlikely(!ttl_count(w, m, pkt_of(m))))
			continue;
		pkt_of(m)->next_hop = id;
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
static __rte_noinline void
unsendable(struct worker *w, struct rte_mbuf *m, const struct next_hop *h)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint8_t family = ip[0] >> 4;

	if ((pkt_of(m)->marks & PKT_CUT) != 0) {
		pipe_push(w, STAGE_FRAG_OUTER, m);
		return;
	}
	if ((h->flags & (HOP_NOWHERE | HOP_IS_LOCAL)) != 0) {
		drop(w, m, DROP_NO_ROUTE);
		return;
	}
	if ((h->flags & HOP_ON_LINK) == 0)
		mailbox_unresolved(w, h->port, h->family, h->address);
	else
		mailbox_unresolved(w, h->port, family, ip + (family == 6 ? 24 : 16));
	drop(w, m, DROP_NO_NEIGHBOUR);
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
			unsendable(w, m, h);
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
