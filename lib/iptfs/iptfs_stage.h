/* The stages and sources of IP-TFS (RFC 9347). */
#ifndef IPTFS_IPTFS_STAGE_H
#define IPTFS_IPTFS_STAGE_H

#include "worker/stage.h"

/* Packets for an SA with SA_IPTFS end the line here: they wait in their lane's stream, held. Drops
 * aggfrag_queue, aggfrag_breaker, buffer; what came for an SA that ends goes to STAGE_SA_PICK
 * again.
 */
stage_fn iptfs_fill;

/* What came authentic by an SA with SA_IPTFS ends the line here: in order it goes to the worker's
 * list of what is ready, else it waits for the missing ones, held. Drops aggfrag_late. The data
 * begin with what ESP carried.
 */
stage_fn iptfs_split;

/* Payloads of streams that are due, for STAGE_LIFE_COUNT_OUT: with PKT_AGGFRAG, without an IP
 * header, their data beginning with the AGGFRAG header. Drops aggfrag_aged, no_mbuf.
 */
source_fn iptfs_tick;

/* Inner packets out of what is ready, for STAGE_ECN_DECAP, described as esp_strip does it. Gives up
 * what was waited for too long. Drops aggfrag_*, next_header, inner_*, no_mbuf; consumes dummies
 * and all-pads; takes echoes away.
 */
source_fn iptfs_deliver;

#endif
