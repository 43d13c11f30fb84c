/* The stage on IP headers at the end of a tunnel. */
#ifndef TUNNEL_TUNNEL_STAGE_H
#define TUNNEL_TUNNEL_STAGE_H

#include "worker/stage.h"

/* Brings the outer header's ECN to the packet that came out (RFC 6040 section 4.2): pkt.outer_tos
 * against pkt.tos. Where they agree there is nothing to do, which is how esp_strip says that an SA
 * ignores the outer header, or has none of its own: it sets outer_tos to tos. Drops ecn.
 */
stage_fn ecn_decap;

#endif
