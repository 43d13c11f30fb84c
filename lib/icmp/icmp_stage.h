#ifndef ICMP_ICMP_STAGE_H
#define ICMP_ICMP_STAGE_H

#include "worker/stage.h"

/* Ends every packet, too_big or ttl by pkt.reply. Where the rules and the rates allow it makes an
 * answer, which is `generated`, has PKT_OWN, and goes to STAGE_SPD_MATCH: somebody behind a tunnel
 * is answered through it. Our own host is told through its mirror. Returns 0.
 */
stage_fn icmp_reply;

#endif
