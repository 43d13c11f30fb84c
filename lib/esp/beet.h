/* BEET: a tunnel between two hosts whose inner header is not sent, since the SA knows its addresses
 * (RFC 7402 appendix B). What else it said travels in the outer header; IPv4 options in a pseudo
 * header of ESP's payload.
 */
#ifndef ESP_BEET_H
#define ESP_BEET_H

#include <stdbool.h>
#include <stdint.h>

#include "stats/drops.h"

struct pkt;
struct rte_mbuf;
struct sa;

#define BEET_PROTO_OPTIONS 94 /* the pseudo header, as ESP's next header */
/* The inner header, and the ports behind it: what the outer header is made by. */
#define BEET_INNER_MAX 64

/* Out, before a number is taken: drops beet_addr, beet_frag, beet_exthdr; beet_header for a packet
 * that would be taken for one with a pseudo header.
 */
enum drop_reason beet_check(const struct sa *sa, const struct rte_mbuf *m, const struct pkt *p);

/* Out, after beet_check: takes the inner header off, and keeps a copy of it with what follows in
 * inner; writes the pseudo header where there are options. What the data begin with on return is
 * ESP's payload; its next header is returned.
 */
uint8_t beet_cut(struct rte_mbuf *m, const struct pkt *p, uint8_t inner[BEET_INNER_MAX]);

/* Out: what of the inner header the outer one takes over, TTL, IPv4 id and flow label; outer is
 * complete otherwise.
 */
void beet_outer_fit(uint8_t *outer, bool outer_v6, const uint8_t *inner, bool inner_v6);

/* In: the data begin with the outer header, ESP's payload at head, its trailer is cut off. Makes
 * the inner header and lets the data begin with it. Drops beet_header, inner_malformed, buffer.
 */
enum drop_reason beet_restore(struct rte_mbuf *m, const struct pkt *p, const struct sa *sa,
			      uint16_t head);

/* In, once the packet is described: what no sender's beet_check would let through. */
enum drop_reason beet_restored_check(const struct rte_mbuf *m, const struct pkt *p);

#endif
