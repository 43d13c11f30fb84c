/* The datapath's side of lib/punt. */
#ifndef PUNT_PUNT_STAGE_H
#define PUNT_PUNT_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/stage.h"

/* Gives the packet to control, for the mirror of the port it came by; a decrypted one for that of
 * the port that has its address. Drops punt_limit, punt_full; no_listener where there is no mirror,
 * but for what punt_is_too_big() and did not come out of an SA.
 */
stage_fn punt;

/* Whether a packet in clear for ourselves is none of the policies' business: key exchange and
 * neighbour discovery, without which no policy ever has an SA (RFC 4301 sections 4.4.1 and 5.2).
 */
bool punt_is_exempt(const struct rte_mbuf *m);
/* Whether it is an ICMP too-big, whole: what our own ESP may be told by, whatever the policies say
 * of it (RFC 4301 section 8.2). To be given to `punt` with pkt.policy set where one forbids it.
 */
bool punt_is_too_big(const struct rte_mbuf *m);
/* The same of what our own host sends. Of a datagram in fragments the first one decides: it is
 * remembered for those that follow.
 */
bool punt_own_is_exempt(struct worker *w, const struct rte_mbuf *m);

/* Sends a packet of our own host as the frame that it came as, by the port of its mirror. */
void punt_send_as_is(struct worker *w, struct rte_mbuf *m);

#endif
