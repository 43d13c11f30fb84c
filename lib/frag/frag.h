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

struct rte_mbuf;
struct sa;
struct worker;

/* Pieces of one packet before ESP: of each, the SA numbers, enciphers and counts. */
#define FRAG_INNER_MAX 64

/* The one decision about a clear packet, with pkt.hot, that is larger than its outbound SA takes
 * (sa->mtu). Who judges sizes calls it: sa_pick, and for an SA with IPComp what compresses, with
 * the packet as it was before. True: the packet goes on as it is, marked with PKT_CUT if frag_outer
 * is to cut it behind ESP. False: it has been pushed to where it is cut or answered.
 *
 * A packet with PKT_CUT has no next hop until it has been cut: what would send it finds none, and
 * pushes it to STAGE_FRAG_OUTER (route/stage.c). So packets that fit pay for no question.
 */
bool too_large(struct worker *w, struct rte_mbuf *m);

#endif
