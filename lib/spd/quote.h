#ifndef SPD_QUOTE_H
#define SPD_QUOTE_H

#include <stdbool.h>

#include <rte_mbuf.h>

#include "spd/spd.h"
#include "worker/pkt.h"

/* If the packet is an ICMP error, the key of the way back of what it quotes: addresses and ports
 * turned round. False: it is none, or what it quotes is no header. A header without its ports makes
 * a key like that of a later fragment.
 */
bool quote_key(const struct rte_mbuf *m, const struct pkt *p, struct spd_key *key);

#endif
