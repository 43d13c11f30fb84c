#ifndef FRAG_FRAG_STAGE_H
#define FRAG_FRAG_STAGE_H

#include "worker/stage.h"

/* Reached by pipe_push() alone, from what judges sizes. Both return 0: the pieces go on in the
 * order of their packet, those of one packet together.
 *
 * Pieces beside the first are `split`. A packet of more pieces than may be ends too_big; where
 * there is no buffer for all of them none is sent, and it ends no_mbuf.
 */

/* IPv4 packets with DF clear that are to be of pkt.mtu octets at most before they enter their SA,
 * each as a packet of its own: FRAG_INNER_MAX pieces at most, from STAGE_HANDOFF_OUT on.
 */
stage_fn frag_inner;

/* Packets that are complete but for their link-layer header: to pieces of pkt.mtu octets, from
 * STAGE_NEIGH_WRITE_OUT on. Those with PKT_CUT get the next hop of their SA (too_large.c); IPv4's
 * DF is cleared. Others have their next hop already.
 */
stage_fn frag_outer;

#endif
