#include "esp/beet.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "sa/sa.h"
#include "wire/ip.h"
#include "worker/mbufs.h"

/* The pseudo header: next header, length in 8 octets beyond the first 8, length of the padding, 0;
 * then the padding, NOPs, and the options.
 */
#define PSEUDO	    4
#define OPTIONS_MAX 40
#define NOP	    1
#define FLOW_LABEL  RTE_BE32(RTE_IPV6_HDR_FL_MASK)

/* So that all of it is a multiple of 8. */
static inline uint16_t
padding_of(uint16_t options)
{
	return (options & 4) != 0 ? 0 : 4;
}

/* RFC 8200 section 4.1: what stands for the way, or cuts the packet up, was left to the inner
 * header.
 */
static enum drop_reason
headers_check(const uint8_t *ip, uint16_t l4_off)
{
	uint8_t here = ip[offsetof(struct rte_ipv6_hdr, proto)];
	uint16_t off = WIRE_IP6_HEADER;

	while (off < l4_off) {
		if (here == IPPROTO_HOPOPTS || here == IPPROTO_ROUTING)
			return DROP_BEET_EXTHDR;
		if (here == IPPROTO_FRAGMENT)
			return DROP_BEET_FRAG;
		here = ip[off];
		off += (ip[off + 1] + 1) * 8;
	}
	return DROP_NONE;
}

enum drop_reason
beet_restored_check(const struct rte_mbuf *m, const struct pkt *p)
{
	if ((p->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) != 0)
		return DROP_BEET_FRAG;
	if ((p->flags & PKT_V6) == 0)
		return DROP_NONE;
	return headers_check(rte_pktmbuf_mtod(m, const uint8_t *), p->l4_off);
}

/* Without options their protocol's number would say that there are some. */
static enum drop_reason
options_check(const struct pkt *p)
{
	return p->l4_off == sizeof(struct rte_ipv4_hdr) && p->proto == BEET_PROTO_OPTIONS ?
		       DROP_BEET_HEADER :
		       DROP_NONE;
}

enum drop_reason
beet_check(const struct sa *sa, const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct sa_more *more = sa_more(sa);
	bool v6 = more->inner.v6;
	size_t size = v6 ? 16 : 4;

	if (((p->flags & PKT_V6) != 0) != v6 ||
	    memcmp(wire_ip_src(ip, v6), more->inner.src, size) != 0 ||
	    memcmp(wire_ip_dst(ip, v6), more->inner.dst, size) != 0)
		return DROP_BEET_ADDR;
	if ((p->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) != 0)
		return DROP_BEET_FRAG;
	return v6 ? headers_check(ip, p->l4_off) : options_check(p);
}

static void
pseudo_write(uint8_t *at, uint8_t next_header, uint16_t options)
{
	uint16_t padding = padding_of(options);

	at[0] = next_header;
	at[1] = (uint8_t)(options / 8);
	at[2] = (uint8_t)padding;
	at[3] = 0;
	memset(at + PSEUDO, NOP, padding);
}

uint8_t
beet_cut(struct rte_mbuf *m, const struct pkt *p, uint8_t inner[BEET_INNER_MAX])
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *), next_header;
	bool v6 = (p->flags & PKT_V6) != 0;
	uint16_t cut = v6 ? WIRE_IP6_HEADER : p->l4_off;
	uint16_t options = v6 ? 0 : p->l4_off - sizeof(struct rte_ipv4_hdr);
	uint16_t copied = RTE_MIN(m->data_len, (uint16_t)BEET_INNER_MAX);

	memcpy(inner, ip, copied);
	memset(inner + copied, 0, BEET_INNER_MAX - copied);
	next_header = ip[v6 ? offsetof(struct rte_ipv6_hdr, proto) :
			      offsetof(struct rte_ipv4_hdr, next_proto_id)];
	if (options != 0) {
		cut -= PSEUDO + padding_of(options) + options;
		pseudo_write(ip + cut, next_header, options);
		next_header = BEET_PROTO_OPTIONS;
	}
	m->data_off += cut;
	m->data_len -= cut;
	m->pkt_len -= cut;
	return next_header;
}

void
beet_outer_fit(uint8_t *outer, bool outer_v6, const uint8_t *inner, bool inner_v6)
{
	uint8_t ttl = inner[inner_v6 ? offsetof(struct rte_ipv6_hdr, hop_limits) :
				       offsetof(struct rte_ipv4_hdr, time_to_live)];
	struct rte_ipv6_hdr *v6 = (struct rte_ipv6_hdr *)outer;
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)outer;

	if (outer_v6) {
		v6->hop_limits = ttl;
		if (inner_v6)
			v6->vtc_flow =
				(v6->vtc_flow & ~FLOW_LABEL) | (wire_load32(inner) & FLOW_LABEL);
		return;
	}
	v4->time_to_live = ttl;
	if (!inner_v6)
		v4->packet_id = wire_load16(inner + offsetof(struct rte_ipv4_hdr, packet_id));
	v4->hdr_checksum = wire_ip4_checksum(v4, sizeof(*v4));
}

/* What the outer header says of the inner one. */
struct said {
	uint8_t tos, ttl;
	rte_be16_t id, df; /* as they lie in an IPv4 header */
	rte_be32_t label;  /* and in an IPv6 header */
};

static struct said
outer_read(const uint8_t *outer, const struct pkt *p)
{
	const struct rte_ipv6_hdr *v6 = (const struct rte_ipv6_hdr *)outer;
	const struct rte_ipv4_hdr *v4 = (const struct rte_ipv4_hdr *)outer;

	if ((p->flags & PKT_V6) != 0)
		return (struct said) {
			.tos = p->tos,
			.ttl = v6->hop_limits,
			.df = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
			.label = v6->vtc_flow & FLOW_LABEL,
		};
	return (struct said) {
		.tos = p->tos,
		.ttl = v4->time_to_live,
		.id = v4->packet_id,
		.df = v4->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
	};
}

/* Checks a pseudo header that a payload of len octets begins with. Returns the octets of options
 * that it carries, or 0 for one that cannot be.
 */
static uint16_t
pseudo_read(const uint8_t *at, uint16_t len)
{
	uint16_t size, options;

	if (len < 8)
		return 0;
	size = (at[1] + 1) * 8;
	if ((at[2] != 0 && at[2] != 4) || size > len)
		return 0;
	options = size - PSEUDO - at[2];
	return options <= OPTIONS_MAX ? options : 0;
}

/* Lets the data begin `back` octets before what they would begin with at offset `at`. */
static bool
data_begin(struct rte_mbuf *m, uint16_t at, uint16_t back)
{
	int move = (int)at - back;

	if (move < 0 && rte_pktmbuf_headroom(m) < -move)
		return false;
	m->data_off += move;
	m->data_len -= move;
	m->pkt_len -= move;
	return true;
}

static enum drop_reason
restore6(struct rte_mbuf *m, const struct said *said, const struct sa_more *more, uint16_t head,
	 uint8_t next_header)
{
	struct rte_ipv6_hdr *ip;

	if (next_header == BEET_PROTO_OPTIONS)
		return DROP_BEET_HEADER;
	if (!data_begin(m, head, sizeof(*ip)))
		return DROP_BUFFER;
	ip = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);
	if (m->pkt_len - sizeof(*ip) > UINT16_MAX)
		return DROP_INNER_MALFORMED;
	ip->vtc_flow =
		rte_cpu_to_be_32(UINT32_C(6) << 28 | (uint32_t)said->tos << RTE_IPV6_HDR_TC_SHIFT) |
		said->label;
	ip->payload_len = rte_cpu_to_be_16(m->pkt_len - sizeof(*ip));
	ip->proto = next_header;
	ip->hop_limits = said->ttl;
	memcpy(ip->src_addr, more->inner.src, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, more->inner.dst, sizeof(ip->dst_addr));
	return DROP_NONE;
}

/* The options lie where they have to: what stands before them is overwritten. */
static enum drop_reason
restore4(struct rte_mbuf *m, const struct said *said, const struct sa_more *more, uint16_t head,
	 uint8_t next_header)
{
	const uint8_t *payload = rte_pktmbuf_mtod_offset(m, const uint8_t *, head);
	uint16_t options = 0, size = sizeof(struct rte_ipv4_hdr);
	struct rte_ipv4_hdr *ip;

	if (next_header == BEET_PROTO_OPTIONS) {
		options = pseudo_read(payload, m->pkt_len - head);
		if (options == 0)
			return DROP_BEET_HEADER;
		next_header = payload[0];
		head += (payload[1] + 1) * 8;
		size += options;
	}
	if (!data_begin(m, head, size))
		return DROP_BUFFER;
	ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	if (m->pkt_len > UINT16_MAX)
		return DROP_INNER_MALFORMED;
	ip->version_ihl = (uint8_t)(4 << 4 | size / 4);
	ip->type_of_service = said->tos;
	ip->total_length = rte_cpu_to_be_16(m->pkt_len);
	ip->packet_id = said->id;
	ip->fragment_offset = said->df;
	ip->time_to_live = said->ttl;
	ip->next_proto_id = next_header;
	memcpy(&ip->src_addr, more->inner.src, sizeof(ip->src_addr));
	memcpy(&ip->dst_addr, more->inner.dst, sizeof(ip->dst_addr));
	ip->hdr_checksum = wire_ip4_checksum(ip, size);
	return DROP_NONE;
}

enum drop_reason
beet_restore(struct rte_mbuf *m, const struct pkt *p, const struct sa *sa, uint16_t head)
{
	const struct sa_more *more = sa_more(sa);
	struct said said;

	if (m->nb_segs > 1 && !mbuf_pull(m, head + PSEUDO + 4 + OPTIONS_MAX))
		return DROP_BUFFER;
	said = outer_read(rte_pktmbuf_mtod(m, const uint8_t *), p);
	return more->inner.v6 ? restore6(m, &said, more, head, p->next_header) :
				restore4(m, &said, more, head, p->next_header);
}
