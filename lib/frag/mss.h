/* The MSS option of TCP (RFC 9293 section 3.7.1), lowered on the way through (`mss_clamp`). */
#ifndef FRAG_MSS_H
#define FRAG_MSS_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;

/* A clear packet, described by its struct pkt, whose ends may send each other packets of mtu octets
 * with their IP header. If it is the SYN of a TCP connection, what it says of the largest segment
 * becomes mtu less the headers without options (RFC 6691), never more than it was; the checksum
 * follows. What is no TCP header, or has options of lengths that cannot be, stays as it is. Returns
 * whether anything changed.
 */
bool mss_clamp(struct rte_mbuf *m, uint16_t mtu);

#endif
