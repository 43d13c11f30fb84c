/* The stages on IP headers at the borders of a tunnel. */
#ifndef TUNNEL_TUNNEL_STAGE_H
#define TUNNEL_TUNNEL_STAGE_H

#include "worker/stage.h"

/* Counts TTL or hop limit down, once per packet (PKT_TTL_DONE) and never for our own (PKT_OWN). One
 * that has no hop left goes to STAGE_ICMP_REPLY as ICMP_REPLY_TIME_EXCEEDED.
 */
stage_fn ttl_check;

/* Brings the outer header's ECN to the packet that came out (RFC 6040 section 4.2): pkt.outer_tos
 * against pkt.tos. Where they agree there is nothing to do, which is how esp_strip says that an SA
 * ignores the outer header, or has none of its own: it sets outer_tos to tos. Drops ecn.
 */
stage_fn ecn_decap;

#endif
