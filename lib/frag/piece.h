/* A fragment that waits: what is known of it lies in the mbuf's private area, in the place of
 * struct pkt, and in a tree of its datagram's by where its octets begin. Inside lib/frag only.
 *
 * The tree is a treap: its shape follows from random ranks, so whoever chooses order and size of
 * fragments does not choose its depth, and n fragments cost n log n steps in any order.
 */
#ifndef FRAG_PIECE_H
#define FRAG_PIECE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "stats/drops.h"
#include "worker/pkt.h"

struct piece {
	struct rte_mbuf *left, *right;
	uint32_t rank;
	uint32_t id;	 /* of the datagram, as on the wire */
	uint32_t from;	 /* of the datagram's octets behind the headers that all pieces repeat */
	uint32_t len;	 /* octets; not 0 */
	uint16_t header; /* octets of this packet that come before these */
	uint16_t size;	 /* of the packet, as IP says */
	uint8_t port;
	uint8_t ecn;
	bool v6;
	bool last;
};
_Static_assert(sizeof(struct piece) <= sizeof(struct pkt), "in the place of struct pkt");

static inline struct piece *
piece_of(const struct rte_mbuf *m)
{
	return (struct piece *)rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)m);
}

/* Reads what a fragment says of itself; struct pkt is as classify left it, and stays.
 * frag_malformed and frag_toolong leave id, so that the datagram can be found.
 */
enum drop_reason piece_read(const struct rte_mbuf *m, struct piece *p);

/* What stands at the fragment's place, or over it: DROP_NONE nothing, frag_duplicate the same
 * octets, frag_overlap anything else.
 */
enum drop_reason tree_ask(const struct rte_mbuf *root, const struct rte_mbuf *m);

/* Adds a piece whose place is free. */
void tree_add(struct rte_mbuf **root, struct rte_mbuf *m);

/* Turns the tree into a list in the datagram's order, joined by piece.right. Returns the first. */
struct rte_mbuf *tree_flatten(struct rte_mbuf *root);

/* Makes one packet of a list of all pieces: see frag_take() in reasm.h. ecn: mask of what all of
 * them carry. NULL: it cannot be, for *why, and the list is as it was.
 */
struct rte_mbuf *pieces_join(struct rte_mbuf *first, uint8_t ecn, enum drop_reason *why);

/* The list's next, and the fragment is an ordinary packet again. */
struct rte_mbuf *piece_release(struct rte_mbuf *m);

#endif
