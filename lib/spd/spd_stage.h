/* The datapath's face of the SPD: a burst's policies, by way of the worker's flow cache. */
#ifndef SPD_SPD_STAGE_H
#define SPD_SPD_STAGE_H

#include <stdint.h>

#include "spd/spd.h"

struct rte_mbuf;
struct worker;

/* The policy of each of n packets (n <= BURST_MAX), by index, or SPD_NO_MATCH, or SPD_FRAG_PORTS;
 * and what is asked of it most, so that it need not be touched: a group that is not 0 is that of a
 * policy that protects. Of a first fragment whose later ones get SPD_FRAG_PORTS it is
 * SPD_GROUP_FIRST, whatever its policy: what it matched has to be remembered for them.
 *
 * Data begins at the IP header; of struct pkt the flags V6, FRAG_FIRST and FRAG_LATER, l4_off,
 * proto and tos are read. A packet whose upper-layer header is shorter than 4 octets, or is not in
 * the first segment, has ports 0. An ICMP error that no policy matches, or only one that matches
 * everything, is judged by the packet it quotes, turned round, if that one's policy wants it (RFC
 * 4301 section 6); redirect and source quench are not errors here.
 */
void spd_lookup(struct worker *w, const struct spd *spd, enum spd_direction direction,
		struct rte_mbuf **pkts, uint16_t n, uint32_t *policy, uint32_t *group);

#endif
