/* Routes as stages: for pipe alone.
 *
 * route: counts TTL down (worker/ttl.h), and says where a packet goes that came out of an SA, or in
 * clear from black. To the mirror (ours), into another SA (a black egress: spd_match), or on. What
 * is too large goes to icmp_reply, or drops too_big.
 *
 * route_bypass: the same for packets that leave in clear, whatever the side.
 *
 * neigh_write: the link-layer header of pkt.next_hop, and its port in mbuf.port for port_tx. The
 * data begins with the frame from here on.
 */
#ifndef ROUTE_ROUTE_STAGE_H
#define ROUTE_ROUTE_STAGE_H

#include "worker/stage.h"

stage_fn route;
stage_fn route_bypass;
stage_fn neigh_write;

#endif
