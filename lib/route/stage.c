#include "route/route_stage.h"

#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "route/fib.h"
#include "worker/link.h"
#include "worker/mailbox.h"
#include "worker/ttl.h"
#include "worker/worker.h"

/* The destinations of one family in a burst, and which packets they are of. */
struct dsts {
	uint16_t n;
	uint8_t of[BURST_MAX];
	const uint8_t *addrs[BURST_MAX];
	uint32_t values[BURST_MAX];
};

static inline void
dsts_add(struct dsts *d, struct rte_mbuf *m, size_t offset, uint16_t i)
{
	d->of[d->n] = (uint8_t)i;
	d->addrs[d->n++] = rte_pktmbuf_mtod_offset(m, const uint8_t *, offset);
}

void
route_lookup(const struct route *r, struct rte_mbuf **pkts, uint16_t n, uint16_t *next_hops)
{
	struct dsts v4, v6;

	v4.n = v6.n = 0;
	for (uint16_t i = 0; i < n; i++) {
		if ((pkt_of(pkts[i])->flags & PKT_V6) == 0)
			dsts_add(&v4, pkts[i], offsetof(struct rte_ipv4_hdr, dst_addr), i);
		else
			dsts_add(&v6, pkts[i], offsetof(struct rte_ipv6_hdr, dst_addr), i);
	}
	trie_lookup_bulk(&r->v4, v4.addrs, v4.n, v4.values);
	trie_lookup_bulk(&r->v6, v6.addrs, v6.n, v6.values);
	for (uint16_t i = 0; i < v4.n; i++)
		next_hops[v4.of[i]] = (uint16_t)v4.values[i];
	for (uint16_t i = 0; i < v6.n; i++)
		next_hops[v6.of[i]] = (uint16_t)v6.values[i];
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
	uint16_t ids[BURST_MAX], kept = 0;

	route_lookup(r, pkts, n, ids);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct next_hop *h = route_hop(r, ids[i]);

		if (unlikely(!ttl_count(w, m, pkt_of(m))))
			continue;
		pkt_of(m)->next_hop = ids[i];
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
