/* What comes out of an inbound SA, described anew. */
#ifndef ESP_INNER_H
#define ESP_INNER_H

#include "stats/drops.h"

struct pkt;
struct rte_mbuf;

/* Describes the packet that the data now begin with, and cuts off what is behind its own length:
 * inner_malformed, inner_checksum, buffer.
 */
enum drop_reason inner_describe(struct rte_mbuf *m, struct pkt *p);

/* RFC 3948 section 3.1.2: the addresses changed on the way, and the ICV vouches for the payload:
 * the checksum is made anew (TCP), or left out where it may be (UDP over IPv4).
 */
void inner_checksum_mend(struct rte_mbuf *m, const struct pkt *p);

#endif
