#include "tunnel/tunnel.h"
#include "tunnel/tunnel_stage.h"
#include "worker/worker.h"

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

/* In most bursts there is nothing to do. */
static inline bool
all_agree(struct rte_mbuf **pkts, uint16_t n)
{
	uint8_t differ = 0;

	for (uint16_t i = 0; i < n; i++)
		differ |= pkt_of(pkts[i])->tos ^ pkt_of(pkts[i])->outer_tos;
	return (differ & 3) == 0;
}

uint16_t
ecn_decap(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	if (likely(all_agree(pkts, n)))
		return n;
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		if (unlikely(((p->tos ^ p->outer_tos) & 3) != 0) && !ecn_apply(w, pkts[i], p))
			continue;
		pkts[kept++] = pkts[i];
	}
	return kept;
}
