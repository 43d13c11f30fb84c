/* The stages of lib/pipe itself, and the table of all of them. */
#ifndef PIPE_STAGES_H
#define PIPE_STAGES_H

#include "pipe/pipe.h"

extern const struct stage_row stage_rows[STAGE_MAX];

/* From frames to described IP packets: Ethernet cut off, headers checked, struct pkt filled.
 *
 * Drops not_ours, vlan, outer_malformed, outer_checksum, buffer, no_mbuf; what is for ourselves
 * goes to punt.
 */
stage_fn classify_red;
/* The same, and finds ESP: by itself, or in UDP (RFC 3948 section 4). Fragments for ourselves go to
 * reasm_outer. Drops frag_to_esp, esp_short, udp_malformed, udp_checksum; what is neither ESP nor
 * for ourselves goes to clear_check.
 */
stage_fn classify_black;

/* Fragments for ourselves: what becomes whole goes on as if it had come so, ESP in the line, other
 * packets as classify_black says. Drops frag_overlap, frag_duplicate, frag_toolong, frag_malformed,
 * frag_limit; outer_malformed, buffer and what classify_black drops.
 */
stage_fn reasm_outer;
/* Fragments that BEET is to carry whole (sa_pick): what becomes whole goes to spd_match, as its
 * pieces did. Drops as frag_take() does; outer_malformed.
 */
stage_fn reasm_inner;

/* What our own host sends through a mirror: frames that control took from one. ARP, neighbour
 * discovery and key exchange are sent as they are by the mirror's port; the rest is outbound
 * traffic, whose TTL nobody counts down. Drops mirror_source, outer_malformed, buffer, vlan,
 * not_ip.
 */
stage_fn classify_own;
/* Out of an SA for ourselves: to punt, before anybody counts its TTL down. */
stage_fn local_deliver;

/* The outbound policies: protect stays; bypass and what no policy names go to bypass. Drops
 * policy_discard, frag_ports.
 */
stage_fn spd_match;
/* Inner packet against the SA it came by (RFC 4301 section 5.2 step 4). Drops policy_selector,
 * frag_ports. */
stage_fn selector_check;
/* In clear from the black side, RFC 4301 section 5.2 steps 2 and 3b. Drops policy_cleartext,
 * policy_discard, no_policy, frag_ports; what is for ourselves and no policy names goes to punt.
 */
stage_fn clear_check;
/* What came with SPI 7 or 8 in the place of an SA's: answers plain echoes, whose answers go on, and
 * gives control those that answer ours. Ours go by it too, for their next hop. Drops ping_*,
 * no_mbuf; those of route_bypass.
 */
stage_fn plain_echo;
/* RFC 4301 section 7, "stateful fragment checking": what spd_match, selector_check and clear_check
 * do with fragments where ports decide, once the worker that owns their datagram has them. A later
 * fragment gets what its first one got, and waits for it for a while. Drops what these three drop;
 * frag_overlap, frag_limit.
 */
stage_fn frag_match; /* of spd_match */
stage_fn frag_check; /* of selector_check and clear_check */

/* Out in clear: finds the next hop; our own host found it already, and its frame is sent as it is.
 * Drops no_policy (a black one that no policy allows), no_route.
 */
stage_fn bypass;

#endif
