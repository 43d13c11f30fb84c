/* Sizes: what becomes of a packet that is larger than its tunnel or its link takes.
 *
 * Out, before ESP: `frag: pre` cuts an IPv4 packet whose DF is clear, each piece then being a
 * packet of its SA; else its sender is told what fits (RFC 4301 section 8.2). Behind ESP: `frag:
 * post` and what has no other way (too_large.c) is enciphered whole, and the outer packet is cut.
 * In, and out in clear: what is too large for the link of its next hop.
 */
#ifndef FRAG_FRAG_H
#define FRAG_FRAG_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "aggfrag/fill.h"
#include "sa/sa.h"
#include "worker/pkt.h"

struct rte_mbuf;
struct worker;

/* Pieces of one packet before ESP: of each, the SA numbers, enciphers and counts. */
#define FRAG_INNER_MAX 128

/* What is left of an outbound SA's mtu for a packet like this one. In transport mode its options
 * and extension headers stand before the text: where they are no multiple of its alignment, padding
 * takes more. BEET carries IPv4 options in a pseudo header of whole 8 octets, 4 of them its own.
 * IP-TFS takes all sizes that its offset can say, but for dont_frag.
 */
static inline uint16_t
frag_room(const struct sa *sa, const struct pkt *p, uint16_t mtu)
{
	bool v6 = (p->flags & PKT_V6) != 0;
	uint16_t more, lost = 0;

	if (likely((sa->flags & (SA_TRANSPORT | SA_BEET | SA_IPTFS)) == 0))
		return mtu;
	if ((sa->flags & SA_IPTFS) != 0)
		return aggfrag_takes(sa_more(sa)->fill->params, mtu);
	more = p->l4_off - (v6 ? 40 : 20);
	if ((sa->flags & SA_TRANSPORT) != 0)
		lost = RTE_ALIGN_CEIL(more, (uint16_t)sa->suite.align) - more;
	else if (!v6 && more > 0)
		lost = RTE_ALIGN_CEIL(more + 4, 8) - more;
	return mtu - RTE_MIN(mtu, lost);
}

/* What it takes now. */
static inline uint16_t
frag_limit(const struct sa *sa, const struct pkt *p)
{
	return frag_room(sa, p, __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED));
}

/* The one decision about a clear packet, with pkt.hot, that is larger than its outbound SA takes
 * (frag_limit). Who judges sizes calls it: sa_pick, and for an SA with IPComp what compresses, with
 * the packet as it was before. True: the packet goes on as it is, marked with PKT_CUT if frag_outer
 * is to cut it behind ESP. False: it has been pushed to where it is cut or answered.
 *
 * A packet with PKT_CUT has no next hop until it has been cut: what would send it finds none, and
 * pushes it to STAGE_FRAG_OUTER (route/stage.c). So packets that fit pay for no question.
 */
bool too_large(struct worker *w, struct rte_mbuf *m);

#endif
