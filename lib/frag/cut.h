/* Cutting an IP packet into fragments (RFC 791 section 3.2, RFC 8200 section 4.5).
 *
 * The pieces are copies in buffers of their own: what later writes into one (headers before it, a
 * cipher over it, a trailer behind it) writes into no other.
 */
#ifndef FRAG_CUT_H
#define FRAG_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "stats/drops.h"

struct rte_mbuf;
struct rte_mempool;

/* 64 KiB for links of 576 octets are 119. */
#define CUT_PIECES_MAX 128

struct cut {
	uint16_t mtu;	   /* octets of a piece, at most */
	uint16_t max;	   /* pieces, at most CUT_PIECES_MAX */
	bool v6;	   /* what the packet is */
	uint32_t id;	   /* v6: of the fragment header; host order */
	uint16_t *ipv4_id; /* v4: a packet whose DF is set has no id of its own: it gets the next
			      of these, and its pieces a clear DF. NULL: DF is clear */
};

/* Cuts m, whose data begin with its IP header and end with its last octet, and which stays as it
 * is. Its headers lie in its first segment. A fragment may be cut again.
 *
 * Each piece is in one segment, has struct pkt as m has, with l4_off and the flags that tell
 * fragments set anew, and m's port and hash. All but the last hold the same number of octets.
 *
 * DROP_NONE, and *n pieces in the packet's order. DROP_TOO_BIG: c->mtu leaves no room for 8 octets
 * behind the headers, or for those of IPv6 in the first piece; or c->max pieces do not do.
 * DROP_NO_MBUF. On failure there are none.
 */
enum drop_reason cut_up(const struct rte_mbuf *m, const struct cut *c, struct rte_mempool *pool,
			struct rte_mbuf *pieces[CUT_PIECES_MAX], uint16_t *n);

/* Between the files of this module: a later piece's IPv4 header, at most as long as the first's,
 * of those options alone that are copied. Returns its length. to has room for 60 octets.
 */
uint16_t cut_later_header4(uint8_t *to, const uint8_t *from, uint16_t len);

#endif
