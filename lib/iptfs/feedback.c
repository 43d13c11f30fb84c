/* What payloads tell of the path beside what they carry: for the stream that goes back, where there
 * is a link to it.
 */
#include <netinet/ip.h>

#include "aggfrag/cc_header.h"
#include "aggfrag/link.h"
#include "iptfs/in.h"

/* False: it is no payload of sub-type 1. */
static bool
header_read(const struct rte_mbuf *m, struct aggfrag_cc_header *h)
{
	uint8_t copy[WIRE_AGGFRAG_CC_HEADER];

	return pkt_of(m)->next_header == WIRE_AGGFRAG_NEXT_HEADER && m->pkt_len >= sizeof(copy) &&
	       aggfrag_cc_header_read(rte_pktmbuf_read(m, 0, sizeof(copy), copy), sizeof(copy), h);
}

void
feedback_heard(const struct worker *w, struct aggfrag_link *link, const struct rte_mbuf *m)
{
	struct aggfrag_cc_header h;

	if (header_read(m, &h))
		aggfrag_link_heard(link, &h, pkt_of(m)->seq, w->now);
}

void
feedback_took(const struct worker *w, struct aggfrag_link *link, const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct aggfrag_cc_header h;
	uint8_t flags = 0;

	if ((p->outer_tos & IPTOS_ECN_MASK) == IPTOS_ECN_CE)
		flags |= AGGFRAG_LOSS_CE;
	if (header_read(m, &h) && h.probing)
		flags |= AGGFRAG_LOSS_PROBING;
	aggfrag_link_took(link, p->seq, flags, w->now);
}
