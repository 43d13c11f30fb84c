/* The packet inside an authentic one, once pkt.next_header says what it is: general ways, for ESP
 * and AH alike.
 */
#ifndef ESP_INNER_H
#define ESP_INNER_H

#include <stdint.h>

#include "stats/drops.h"

struct pkt;
struct rte_mbuf;

/* Describes the packet that the data now begin with, and cuts off what is behind its own length.
 * Drops inner_malformed, inner_checksum, buffer.
 */
enum drop_reason inner_describe(struct rte_mbuf *m, struct pkt *p);

/* Tunnel mode: the data begin with the outer header, the inner one is at head, with pkt.text_len
 * octets; the data begin with it on return, and pkt.outer_tos is the outer header's. Drops
 * next_header, inner_malformed, inner_checksum, buffer. An SA with IPComp: a compressed packet
 * is marked with PKT_COMP and not described.
 */
enum drop_reason inner_take(struct rte_mbuf *m, struct pkt *p, uint16_t head);

/* Transport mode: the packet's own headers, pkt.l4_off octets, move up to what they carry, which is
 * at head in the same segment. Drops inner_malformed, buffer.
 */
enum drop_reason inner_close(struct rte_mbuf *m, struct pkt *p, uint16_t head);

/* RFC 3948 section 3.1.2: the addresses changed on the way, and the ICV vouches for the payload:
 * the checksum is made anew (TCP), or left out where it may be (UDP over IPv4).
 */
void inner_checksum_mend(struct rte_mbuf *m, const struct pkt *p);

#endif
