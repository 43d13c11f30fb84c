#include "frag/piece.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_ip.h>

#include "wire/ip.h"
#include "worker/pkt_fill.h"

#define DATAGRAM_MAX 65535u /* octets that IPv4's and IPv6's length fields can say */
#define ALIGN	     8u

/* The least that a first fragment has to hold behind its extension headers, RFC 7112: the whole
 * upper-layer header, as far as it is of a fixed size.
 */
static uint32_t
upper_header_min(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return 12;
	default:
		return 8;
	}
}

/* Where the fragment header is. classify has walked the chain, and found one. */
static uint16_t
fragment_header_find(const uint8_t *ip, uint16_t end)
{
	uint8_t nh = ip[offsetof(struct rte_ipv6_hdr, proto)];
	uint16_t off = WIRE_IP6_HEADER;

	while (nh != IPPROTO_FRAGMENT && off < end) {
		nh = ip[off];
		off += (ip[off + 1] + 1) * 8;
	}
	return off;
}

static enum drop_reason
piece_read6(const struct rte_mbuf *m, const struct pkt *pkt, struct piece *p)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t at = fragment_header_find(ip, pkt->l4_off);
	uint16_t field = wire_be16(ip + at + 2);

	p->header = at + 8;
	p->id = wire_load32(ip + at + 4);
	p->from = field & ~7u;
	p->last = (field & 1) == 0;
	p->len = m->pkt_len - p->header;
	if (p->from == 0 && m->pkt_len < pkt->l4_off + upper_header_min(pkt->proto))
		return DROP_FRAG_MALFORMED;
	/* All but the fragment header and the fixed one counts in the whole one's length. */
	return at - WIRE_IP6_HEADER + p->from + p->len > DATAGRAM_MAX ? DROP_FRAG_TOOLONG :
									DROP_NONE;
}

static enum drop_reason
piece_read4(const struct rte_mbuf *m, const struct pkt *pkt, struct piece *p)
{
	const struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	uint16_t field = wire_be16(&h->fragment_offset);

	p->header = pkt->l4_off;
	p->id = h->packet_id;
	p->from = (field & RTE_IPV4_HDR_OFFSET_MASK) * RTE_IPV4_HDR_OFFSET_UNITS;
	p->last = (field & RTE_IPV4_HDR_MF_FLAG) == 0;
	p->len = m->pkt_len - p->header;
	return p->header + p->from + p->len > DATAGRAM_MAX ? DROP_FRAG_TOOLONG : DROP_NONE;
}

enum drop_reason
piece_read(const struct rte_mbuf *m, struct piece *p)
{
	const struct pkt *pkt = pkt_of(m);
	bool v6 = (pkt->flags & PKT_V6) != 0;
	enum drop_reason why;

	*p = (struct piece) {
		.port = pkt->port,
		.ecn = pkt->tos & 3,
		.v6 = v6,
		.size = (uint16_t)RTE_MIN(m->pkt_len, (uint32_t)UINT16_MAX),
	};
	why = v6 ? piece_read6(m, pkt, p) : piece_read4(m, pkt, p);
	if (why == DROP_NONE && (p->len == 0 || (!p->last && p->len % ALIGN != 0)))
		why = DROP_FRAG_MALFORMED;
	return why;
}

/* n octets from off on, of either packet, in segments of any length. */
static bool
same_octets(const struct rte_mbuf *a, uint32_t a_off, const struct rte_mbuf *b, uint32_t b_off,
	    uint32_t n)
{
	while (n > 0) {
		uint32_t step;

		for (; a_off >= a->data_len; a = a->next)
			a_off -= a->data_len;
		for (; b_off >= b->data_len; b = b->next)
			b_off -= b->data_len;
		step = RTE_MIN(a->data_len - a_off, b->data_len - b_off);
		step = RTE_MIN(step, n);
		if (memcmp(rte_pktmbuf_mtod_offset(a, const uint8_t *, a_off),
			   rte_pktmbuf_mtod_offset(b, const uint8_t *, b_off), step) != 0)
			return false;
		a_off += step;
		b_off += step;
		n -= step;
	}
	return true;
}

enum drop_reason
tree_ask(const struct rte_mbuf *root, const struct rte_mbuf *m)
{
	const struct piece *p = piece_of(m);

	while (root != NULL) {
		const struct piece *at = piece_of(root);

		if (p->from + p->len <= at->from) {
			root = at->left;
		} else if (p->from >= at->from + at->len) {
			root = at->right;
		} else {
			/* Of the same datagram by all that it says, or of another that has its
			 * name: that one's octets differ.
			 */
			bool same = p->from == at->from && p->len == at->len &&
				    p->last == at->last &&
				    same_octets(root, at->header, m, p->header, p->len);

			return same ? DROP_FRAG_DUPLICATE : DROP_FRAG_OVERLAP;
		}
	}
	return DROP_NONE;
}

/* Cuts a tree in two: what lies before an octet, and what lies behind. */
static void
tree_split(struct rte_mbuf *root, uint32_t from, struct rte_mbuf **before, struct rte_mbuf **behind)
{
	while (root != NULL) {
		struct piece *at = piece_of(root);

		if (at->from < from) {
			*before = root;
			before = &at->right;
			root = at->right;
		} else {
			*behind = root;
			behind = &at->left;
			root = at->left;
		}
	}
	*before = NULL;
	*behind = NULL;
}

void
tree_add(struct rte_mbuf **root, struct rte_mbuf *m)
{
	struct piece *p = piece_of(m);

	while (*root != NULL && piece_of(*root)->rank >= p->rank)
		root = p->from < piece_of(*root)->from ? &piece_of(*root)->left :
							 &piece_of(*root)->right;
	tree_split(*root, p->from, &p->left, &p->right);
	*root = m;
}

struct rte_mbuf *
tree_flatten(struct rte_mbuf *root)
{
	struct rte_mbuf **at = &root;

	/* Turns each left child up until there is none: every turn brings one piece onto the right
	 * spine for good.
	 */
	while (*at != NULL) {
		struct piece *p = piece_of(*at);

		if (p->left == NULL) {
			at = &p->right;
		} else {
			struct rte_mbuf *up = p->left;

			p->left = piece_of(up)->right;
			piece_of(up)->right = *at;
			*at = up;
		}
	}
	return root;
}

struct rte_mbuf *
piece_release(struct rte_mbuf *m)
{
	const struct piece *p = piece_of(m);
	struct rte_mbuf *next = p->right;
	uint8_t port = p->port;
	bool v6 = p->v6;

	pkt_reset(pkt_of(m), port);
	if (v6)
		pkt_of(m)->flags |= PKT_V6;
	return next;
}
