/* Many pieces become one packet. */
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "frag/piece.h"
#include "wire/ip.h"
#include "wire/sum.h"
#include "worker/mbufs.h"

/* Shorter pieces are copied behind the one before, where there is room: the cipher likes one
 * segment, and a packet of many short pieces would be a long chain.
 */
#define COPY_MAX 1024

/* What stages want in the first segment: all headers that a packet for us may have, see classify.
 */
#define CONTIGUOUS (WIRE_IP6_HEADER + WIRE_EXT_OCTETS_MAX + 8 + 8 + 16)

enum ecn {
	ECN_NOT,
	ECN_1,
	ECN_0,
	ECN_CE,
};

/* RFC 3168 section 5.3. False: what congestion said cannot be passed on. */
static bool
ecn_join(uint8_t mask, uint8_t first, uint8_t *ecn)
{
	bool not_ect = (mask & 1 << ECN_NOT) != 0, ce = (mask & 1 << ECN_CE) != 0;

	*ecn = ce ? (uint8_t)ECN_CE : not_ect ? (uint8_t)ECN_NOT : first;
	return !(ce && not_ect);
}

/* Behind the last octet of tail's chain; tail is its last segment. Returns the new last one. */
static struct rte_mbuf *
append(struct rte_mbuf *whole, struct rte_mbuf *tail, struct rte_mbuf *m)
{
	whole->pkt_len += m->pkt_len;
	if (m->nb_segs == 1 && m->data_len <= COPY_MAX &&
	    m->data_len <= rte_pktmbuf_tailroom(tail)) {
		memcpy(rte_pktmbuf_mtod_offset(tail, uint8_t *, tail->data_len),
		       rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		tail->data_len += m->data_len;
		rte_pktmbuf_free_seg(m);
		return tail;
	}
	whole->nb_segs += m->nb_segs;
	tail->next = m;
	tail = rte_pktmbuf_lastseg(m);
	m->nb_segs = 1;
	return tail;
}

/* The header of a datagram whose fragments said all the same. */
static void
header4_join(struct rte_mbuf *m, uint16_t header, uint8_t ecn)
{
	struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	h->total_length = wire_swap16((uint16_t)m->pkt_len);
	h->fragment_offset &= RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	h->type_of_service = (h->type_of_service & ~3) | ecn;
	h->hdr_checksum = wire_ip4_checksum(h, header);
}

/* RFC 8200 section 4.5: without the fragment header, whose next header is named before it. The
 * frame's header comes along, as long as it is there.
 */
static void
header6_join(struct rte_mbuf *m, uint16_t header, uint8_t ecn)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t at = header - 8, nh = offsetof(struct rte_ipv6_hdr, proto);
	uint16_t frame = RTE_MIN((uint16_t)RTE_ETHER_HDR_LEN, rte_pktmbuf_headroom(m));
	uint16_t length;

	for (uint16_t off = WIRE_IP6_HEADER; off < at; off += (ip[off + 1] + 1) * 8)
		nh = off;
	ip[nh] = ip[at];
	ip[1] = (uint8_t)((ip[1] & ~0x30) | ecn << 4);
	memmove(ip - frame + 8, ip - frame, frame + at);
	rte_pktmbuf_adj(m, 8);
	length = wire_swap16((uint16_t)(m->pkt_len - WIRE_IP6_HEADER));
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, offsetof(struct rte_ipv6_hdr, payload_len)),
	       &length, sizeof(length));
}

/* The length of the whole, or 0 where no header can say it: the first one's is longer than those
 * that were counted with.
 */
static uint32_t
whole_length(const struct piece *first, uint32_t octets)
{
	uint32_t length = first->header - (first->v6 ? 8 : 0) + octets;

	return length - (first->v6 ? WIRE_IP6_HEADER : 0) > 65535 ? 0 : length;
}

struct rte_mbuf *
pieces_join(struct rte_mbuf *first, uint8_t ecn_mask, enum drop_reason *why)
{
	const struct piece head = *piece_of(first);
	struct rte_mbuf *tail = rte_pktmbuf_lastseg(first), *next = head.right;
	uint32_t octets = 0;
	uint8_t ecn;

	for (const struct rte_mbuf *m = first; m != NULL; m = piece_of(m)->right)
		octets += piece_of(m)->len;
	*why = !ecn_join(ecn_mask, head.ecn, &ecn) ? DROP_FRAG_MALFORMED :
	       whole_length(&head, octets) == 0	   ? DROP_FRAG_TOOLONG :
						     DROP_NONE;
	if (*why != DROP_NONE)
		return NULL;
	while (next != NULL) {
		struct rte_mbuf *m = next;
		uint16_t header = piece_of(m)->header;

		next = piece_of(m)->right;
		mbuf_cut_head(m, header);
		tail = append(first, tail, m);
	}
	if (head.v6)
		header6_join(first, head.header, ecn);
	else
		header4_join(first, head.header, ecn);
	/* Without room it stays as it is, and who wants more contiguous says so. */
	if (first->nb_segs > 1)
		mbuf_pull(first, CONTIGUOUS);
	return first;
}
