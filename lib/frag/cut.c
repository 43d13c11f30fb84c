#include "frag/cut.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "wire/ip.h"
#include "worker/pkt.h"

#define HEADER4_MIN	sizeof(struct rte_ipv4_hdr)
#define HEADER4_MAX	60
#define FRAGMENT_HEADER sizeof(struct rte_ipv6_fragment_ext)
#define OPTION_COPIED	0x80

/* What all pieces have in common. */
struct plan {
	uint16_t head;	/* octets in front of what is cut: IPv4 header, or what of IPv6 goes in
			   front of a fragment header */
	uint16_t data;	/* where that begins: behind these, and a fragment header that is there */
	uint16_t name;	/* IPv6: offset of the octet that names what follows them */
	uint16_t later; /* v4: octets of the header of later pieces */
	uint16_t chunk; /* octets of each piece but the last */
	uint16_t field; /* v4: offset, MF, DF of the whole; IPv6: offset and M of such a fragment
			   header; host order */
	uint32_t id;	/* IPv6 */
	uint8_t later4[HEADER4_MAX];
};

/* Where the copying has come to, in a chain. */
struct cursor {
	const struct rte_mbuf *seg;
	uint32_t off;
};

uint16_t
cut_later_header4(uint8_t *to, const uint8_t *from, uint16_t len)
{
	uint16_t at = HEADER4_MIN, n = HEADER4_MIN;

	memcpy(to, from, HEADER4_MIN);
	while (at < len && from[at] != RTE_IPV4_HDR_OPT_EOL) {
		uint16_t size = 1;

		if (from[at] != RTE_IPV4_HDR_OPT_NOP) {
			size = at + 1 < len ? from[at + 1] : 0;
			/* What no option can be ends the list. */
			if (size < 2 || size > len - at)
				break;
		}
		if ((from[at] & OPTION_COPIED) != 0) {
			memcpy(to + n, from + at, size);
			n += size;
		}
		at += size;
	}
	while (n % 4 != 0)
		to[n++] = RTE_IPV4_HDR_OPT_EOL;
	to[0] = (uint8_t)(IPVERSION << 4 | n / 4);
	return n;
}

/* RFC 8200 section 4.5: up to the routing header, else the hop-by-hop options. The chain is one
 * that wire_ip_parse() has seen; l4_off ends it. A fragment header that stands there already is not
 * followed by another, but takes its part in all pieces.
 */
static void
unfragmentable(const uint8_t *ip, uint16_t l4_off, const struct cut *c, struct plan *plan)
{
	uint16_t off = WIRE_IP6_HEADER, name = offsetof(struct rte_ipv6_hdr, proto);

	plan->head = off;
	plan->name = name;
	plan->id = c->id;
	while (off + 2 <= l4_off) {
		uint8_t here = ip[name];

		if (here == IPPROTO_FRAGMENT) {
			plan->head = off;
			plan->name = name;
			plan->field = wire_be16(ip + off + 2) & (0xfff8 | 1);
			plan->id = wire_be32(ip + off + 4);
			plan->data = off + FRAGMENT_HEADER;
			return;
		}
		if (here != IPPROTO_HOPOPTS && here != IPPROTO_ROUTING && here != IPPROTO_DSTOPTS)
			break;
		name = off;
		off += (ip[off + 1] + 1) * 8;
		if (here != IPPROTO_DSTOPTS) {
			plan->head = off;
			plan->name = name;
		}
	}
	plan->data = plan->head;
}

/* Returns the octets in front of each piece's data. */
static uint16_t
plan_headers(const struct rte_mbuf *m, const struct cut *c, struct plan *plan)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	if (c->v6) {
		/* In front of ESP stands what transport mode leaves there, or nothing. */
		unfragmentable(ip, pkt_of(m)->l4_off, c, plan);
		return plan->head + FRAGMENT_HEADER;
	}
	plan->head = rte_ipv4_hdr_len((const struct rte_ipv4_hdr *)ip);
	plan->data = plan->head;
	plan->field = wire_be16(&((const struct rte_ipv4_hdr *)ip)->fragment_offset);
	plan->later = cut_later_header4(plan->later4, ip, plan->head);
	return plan->head;
}

/* What a fragment says of its place, in octets. */
static uint32_t
offset_of(const struct plan *plan, bool v6)
{
	return v6 ? plan->field & 0xfff8u : (plan->field & RTE_IPV4_HDR_OFFSET_MASK) * 8u;
}

/* How many pieces; 0: it cannot be cut so. */
static uint32_t
plan_make(const struct rte_mbuf *m, const struct cut *c, uint16_t room, struct plan *plan)
{
	uint16_t head = plan_headers(m, c, plan), mtu = RTE_MIN(c->mtu, room);
	uint32_t n;

	if (mtu < head + 8 || plan->data > m->data_len)
		return 0;
	plan->chunk = (mtu - head) & ~7;
	n = (m->pkt_len - plan->data + plan->chunk - 1) / plan->chunk;
	/* The first piece of a datagram has all of its extension headers (RFC 7112). */
	if (c->v6 && offset_of(plan, true) == 0 && plan->data + plan->chunk < pkt_of(m)->l4_off)
		return 0;
	/* A fragment that ends behind what a datagram can have. */
	if (offset_of(plan, c->v6) + m->pkt_len - (c->v6 ? plan->data : 0) > UINT16_MAX)
		return 0;
	return n <= c->max ? n : 0;
}

static void
copy(struct cursor *from, uint8_t *to, uint32_t n)
{
	while (n > 0) {
		uint32_t left = from->seg->data_len - from->off, take = RTE_MIN(left, n);

		memcpy(to, rte_pktmbuf_mtod_offset(from->seg, const uint8_t *, from->off), take);
		to += take;
		n -= take;
		from->off += take;
		if (n > 0) {
			from->seg = from->seg->next;
			from->off = 0;
		}
	}
}

static uint16_t
header4_write(uint8_t *at, const uint8_t *ip, const struct plan *plan, uint32_t i, bool last,
	      uint16_t size)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)at;
	uint16_t len = i == 0 ? plan->head : plan->later;
	uint16_t field = (uint16_t)(plan->field + i * (plan->chunk / 8));

	memcpy(at, i == 0 ? ip : plan->later4, len);
	if (!last)
		field |= RTE_IPV4_HDR_MF_FLAG;
	h->fragment_offset = rte_cpu_to_be_16(field);
	h->total_length = rte_cpu_to_be_16(len + size);
	h->hdr_checksum = wire_ip4_checksum(h, len);
	return len;
}

static uint16_t
header6_write(uint8_t *at, const uint8_t *ip, const struct plan *plan, uint32_t i, bool last,
	      uint16_t size)
{
	struct rte_ipv6_fragment_ext *f = (struct rte_ipv6_fragment_ext *)(at + plan->head);
	uint16_t len = plan->head + FRAGMENT_HEADER;
	uint16_t field = (uint16_t)(plan->field + i * plan->chunk);

	memcpy(at, ip, plan->head);
	((struct rte_ipv6_hdr *)at)->payload_len =
		rte_cpu_to_be_16(len + size - sizeof(struct rte_ipv6_hdr));
	f->next_header = ip[plan->data > plan->head ? plan->head : plan->name];
	at[plan->name] = IPPROTO_FRAGMENT;
	f->reserved = 0;
	f->frag_data = rte_cpu_to_be_16(last ? field : field | 1);
	f->id = rte_cpu_to_be_32(plan->id);
	return len;
}

static void
describe(struct rte_mbuf *piece, const struct rte_mbuf *m, const struct cut *c,
	 const struct plan *plan, uint16_t head, uint32_t i, bool last)
{
	struct pkt *p = pkt_of(piece);

	*p = *pkt_of(m);
	if (i > 0)
		p->flags = (uint8_t)((p->flags & ~PKT_FRAG_FIRST) | PKT_FRAG_LATER);
	else if (!last && (p->flags & PKT_FRAG_LATER) == 0)
		p->flags |= PKT_FRAG_FIRST;
	if (!c->v6) {
		p->l4_off = head;
	} else {
		p->l4_off =
			(uint16_t)(i == 0 ? p->l4_off + plan->head + FRAGMENT_HEADER - plan->data :
					    head);
		p->last_nh_off = plan->head;
	}
	piece->port = m->port;
	piece->hash = m->hash;
	piece->ol_flags |= m->ol_flags & RTE_MBUF_F_RX_RSS_HASH;
}

/* The datagram's own id, if it has one: who sent it with DF clear has kept it from others'. */
static void
own_id_set(struct plan *plan, uint8_t *ip, const struct cut *c)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

	if ((plan->field & RTE_IPV4_HDR_DF_FLAG) == 0)
		return;
	plan->field &= (uint16_t)~RTE_IPV4_HDR_DF_FLAG;
	*c->ipv4_id += 1;
	h->packet_id = rte_cpu_to_be_16(*c->ipv4_id);
	((struct rte_ipv4_hdr *)plan->later4)->packet_id = h->packet_id;
}

enum drop_reason
cut_up(const struct rte_mbuf *m, const struct cut *c, struct rte_mempool *pool,
       struct rte_mbuf *pieces[CUT_PIECES_MAX], uint16_t *n)
{
	uint16_t room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	struct cursor from = { .seg = m };
	uint8_t first4[HEADER4_MAX];
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	struct plan plan = { 0 };
	uint32_t count = plan_make(m, c, room, &plan), left = m->pkt_len - plan.data;

	if (count == 0)
		return DROP_TOO_BIG;
	if (rte_pktmbuf_alloc_bulk(pool, pieces, count) != 0)
		return DROP_NO_MBUF;
	if (!c->v6) {
		ip = memcpy(first4, ip, plan.head);
		own_id_set(&plan, first4, c);
	}
	from.off = plan.data;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *at = rte_pktmbuf_mtod(pieces[i], uint8_t *);
		uint16_t size = (uint16_t)RTE_MIN(left, (uint32_t)plan.chunk), head;
		bool last = i + 1 == count;

		head = c->v6 ? header6_write(at, ip, &plan, i, last, size) :
			       header4_write(at, ip, &plan, i, last, size);
		copy(&from, at + head, size);
		pieces[i]->data_len = head + size;
		pieces[i]->pkt_len = head + size;
		describe(pieces[i], m, c, &plan, head, i, last);
		left -= size;
	}
	*n = (uint16_t)count;
	return DROP_NONE;
}
