/* All of ESP, put around a packet and taken off again: what inline protocol asks of a device. What
 * the headers say is RFC 4301 section 5.1.2 and RFC 6040 for a tunnel, RFC 4303 section 3.1.1 in
 * transport mode.
 */
#include "emulated.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_esp.h>
#include <rte_ether.h>
#include <rte_udp.h>

#include "wire/ip.h"

#define TRAILER 2 /* pad length, next header */

/* A packet on its way into ESP. */
struct inner {
	uint16_t l2;	/* octets before it */
	uint16_t split; /* of its own headers: what stays in clear; a tunnel: 0 */
	uint16_t name;	/* in these: the octet that names what follows */
	uint8_t next_header;
	bool v6;
};

static bool
is_dstopts_before_routing(const uint8_t *ip, uint16_t off, uint16_t end)
{
	uint8_t next;

	do {
		next = ip[off];
		off += 8 * (ip[off + 1] + 1);
	} while (next == IPPROTO_DSTOPTS && off < end);
	return next == IPPROTO_ROUTING;
}

/* What stands in front of ESP in transport mode. False: a fragment, or none that can be told. */
static bool
split_find(const uint8_t *ip, uint32_t len, uint32_t total, struct inner *in)
{
	struct ip_info info;
	uint16_t off = WIRE_IP6_HEADER;
	uint8_t here;

	if (wire_ip_parse_sum(ip, len, total, true, &info) != WIRE_OK || info.total != total ||
	    (info.flags & (IP_INFO_FRAG_FIRST | IP_INFO_FRAG_LATER)) != 0)
		return false;
	in->v6 = (info.flags & IP_INFO_V6) != 0;
	in->name = in->v6 ? offsetof(struct rte_ipv6_hdr, proto) : info.last_nh_off;
	while (in->v6 && off < info.l4_off) {
		here = ip[in->name];
		if (here == IPPROTO_DSTOPTS && !is_dstopts_before_routing(ip, off, info.l4_off))
			break;
		in->name = off;
		/* One that is a fragment's has been refused: this is a whole packet's (RFC 6946).
		 */
		off += here == IPPROTO_FRAGMENT ? 8 : 8 * (ip[off + 1] + 1);
	}
	in->split = in->v6 ? off : info.l4_off;
	in->next_header = ip[in->name];
	return in->split <= len;
}

static bool
inner_find(const struct nic_session *s, const struct rte_mbuf *m, struct inner *in)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len;

	in->l2 = nic_link_header(frame, m->data_len);
	if (in->l2 == 0 || m->pkt_len > UINT16_MAX)
		return false;
	len = m->data_len - in->l2;
	if (!s->tunnel)
		return split_find(frame + in->l2, len, m->pkt_len - in->l2, in);
	in->split = 0;
	in->v6 = len > 0 && frame[in->l2] >> 4 == 6;
	in->next_header = in->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	return len >= (in->v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr)) &&
	       frame[in->l2] >> 4 == (in->v6 ? 6 : 4);
}

static uint8_t
outer_tos(const struct nic_session *s, uint8_t fixed, uint8_t inner_tos)
{
	uint8_t copied = (s->copy_dscp ? 0xfc : 0) | (s->ecn ? 3 : 0);

	return (uint8_t)((fixed & ~copied) | (inner_tos & copied));
}

static void
outer4_write(struct nic_queue *q, const struct nic_session *s, uint8_t *at, const uint8_t *inner,
	     bool inner_v6, uint8_t inner_tos, uint16_t total)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;
	const struct rte_ipv4_hdr *in = (const struct rte_ipv4_hdr *)inner;
	rte_be16_t df = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	rte_be16_t inner_df = inner_v6 ? df : in->fragment_offset & df;

	memcpy(ip, s->outer, sizeof(*ip));
	ip->type_of_service = outer_tos(s, ip->type_of_service, inner_tos);
	if (s->copy_df)
		ip->fragment_offset = inner_df;
	/* An atomic datagram needs no id (RFC 6864). Any order of octets is one. */
	if (ip->fragment_offset == 0)
		ip->packet_id = ++q->ipv4_id;
	ip->total_length = rte_cpu_to_be_16(total);
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
}

static void
outer6_write(const struct nic_session *s, uint8_t *at, const uint8_t *inner, bool inner_v6,
	     uint8_t inner_tos, uint16_t total)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;
	uint32_t first, label;

	memcpy(ip, s->outer, sizeof(*ip));
	first = rte_be_to_cpu_32(ip->vtc_flow);
	label = first & RTE_IPV6_HDR_FL_MASK;
	if (s->copy_label)
		label = inner_v6 ? wire_be32(inner) & RTE_IPV6_HDR_FL_MASK : 0;
	ip->vtc_flow = rte_cpu_to_be_32(
		UINT32_C(6) << 28 |
		(uint32_t)outer_tos(s, (uint8_t)(first >> 20), inner_tos) << 20 | label);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(total - sizeof(*ip)));
}

/* Transport mode: the packet's own headers, moved to the front, say ESP or UDP now. */
static void
own_rewrite(const struct nic_session *s, uint8_t *ip, const struct inner *in, uint16_t total)
{
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)ip;

	ip[in->name] = s->udp ? IPPROTO_UDP : IPPROTO_ESP;
	if (in->v6) {
		((struct rte_ipv6_hdr *)ip)->payload_len =
			rte_cpu_to_be_16((uint16_t)(total - sizeof(struct rte_ipv6_hdr)));
		return;
	}
	v4->total_length = rte_cpu_to_be_16(total);
	v4->hdr_checksum = wire_ip4_checksum(ip, rte_ipv4_hdr_len(v4));
}

static void
type_write(uint8_t *ip, bool v6)
{
	rte_be16_t type = v6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4);

	memcpy(ip - sizeof(type), &type, sizeof(type));
}

/* UDP if there is any, ESP's header, and the number as IV; a block cipher's IV comes with the
 * cipher. */
static void
esp_write(const struct nic_session *s, uint8_t *at, uint16_t room, uint64_t number)
{
	uint64_t number_be = rte_cpu_to_be_64(number);
	uint32_t low_be = rte_cpu_to_be_32((uint32_t)number);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)at;

	if (s->udp) {
		udp->src_port = s->udp_src_be;
		udp->dst_port = s->udp_dst_be;
		udp->dgram_len = rte_cpu_to_be_16(room);
		udp->dgram_cksum = 0;
		at += sizeof(*udp);
	}
	memcpy(at, &s->spi_be, 4);
	memcpy(at + 4, &low_be, 4);
	if (s->crypto.suite.iv_len == sizeof(number_be))
		memcpy(at + 8, &number_be, sizeof(number_be));
}

static void
trailer_write(uint8_t *at, uint32_t pad, uint8_t next_header)
{
	for (uint32_t i = 0; i < pad; i++)
		at[i] = (uint8_t)(i + 1);
	at[pad] = (uint8_t)pad;
	at[pad + 1] = next_header;
}

static void
frame_fill(const struct nic_session *s, struct nic_frame *at, const uint8_t *frame,
	   const struct inner *in, uint16_t ip_len, uint32_t total)
{
	*at = (struct nic_frame) {
		.ip = frame + in->l2,
		.l2 = in->l2,
		.l4 = in->l2 + ip_len,
		.esp = in->l2 + ip_len + (s->udp ? sizeof(struct rte_udp_hdr) : 0),
		.total = total,
		.v6 = s->tunnel ? s->outer_v6 : in->v6,
		.udp = s->udp,
	};
}

bool
nic_wrap(struct nic_queue *q, struct nic_session *s, struct rte_mbuf *m, struct nic_frame *at,
	 uint64_t number)
{
	uint32_t carried, text, pad, total;
	uint16_t ip_len, head;
	uint8_t *frame, *ip, *end, tos;
	const uint8_t *clear;
	struct inner in = { 0 };

	if (!inner_find(s, m, &in))
		return false;
	ip_len = s->tunnel ? s->ip_len : in.split;
	head = (s->tunnel ? s->ip_len : 0) + (s->udp ? sizeof(struct rte_udp_hdr) : 0) + s->head;
	carried = m->pkt_len - in.l2 - in.split;
	text = RTE_ALIGN_CEIL(carried + TRAILER, (uint32_t)s->crypto.suite.align);
	pad = text - carried - TRAILER;
	total = in.split + head + text + s->crypto.suite.icv_len;
	frame = (uint8_t *)rte_pktmbuf_prepend(m, head);
	if (frame == NULL || total > UINT16_MAX)
		return false;
	end = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(pad + TRAILER + s->crypto.suite.icv_len));
	if (end == NULL)
		return false;
	trailer_write(end, pad, in.next_header);
	memmove(frame, frame + head, in.l2 + in.split);
	ip = frame + in.l2;
	clear = ip + head;
	tos = in.v6 ? (uint8_t)(wire_be16(clear) >> 4) : clear[1];
	if (!s->tunnel)
		own_rewrite(s, ip, &in, (uint16_t)total);
	else if (s->outer_v6)
		outer6_write(s, ip, clear, in.v6, tos, (uint16_t)total);
	else
		outer4_write(q, s, ip, clear, in.v6, tos, (uint16_t)total);
	esp_write(s, ip + ip_len, (uint16_t)(total - ip_len), number);
	frame_fill(s, at, frame, &in, ip_len, total);
	type_write(ip, at->v6);
	return true;
}

/* RFC 4303 section 2.4: the padding is 1, 2, 3 … Stores how much there is, with the trailer. */
static bool
padding_check(const struct rte_mbuf *m, uint32_t end, uint16_t text_len, uint32_t *cut,
	      uint8_t *next_header)
{
	uint8_t copy[UINT8_MAX + TRAILER];
	const uint8_t *trailer = rte_pktmbuf_read(m, end - TRAILER, TRAILER, copy);
	uint8_t pad = trailer[0];

	*next_header = trailer[1];
	*cut = pad + TRAILER;
	if (*cut > text_len)
		return false;
	trailer = rte_pktmbuf_read(m, end - *cut, *cut, copy);
	for (uint8_t i = 0; i < pad; i++)
		if (trailer[i] != i + 1)
			return false;
	return true;
}

static enum nic_unwrapped
tunnel_open(struct rte_mbuf *m, uint32_t head, uint16_t l2, uint8_t next_header)
{
	uint8_t copy, *frame;
	const uint8_t *first;
	bool v6 = next_header == IPPROTO_IPV6;

	if (!v6 && next_header != IPPROTO_IPIP)
		return NIC_NO_PACKET;
	if (m->pkt_len <= head)
		return NIC_MALFORMED;
	first = rte_pktmbuf_read(m, head, 1, &copy);
	if (*first >> 4 != (v6 ? 6 : 4))
		return NIC_MALFORMED;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	memmove(frame + head - l2, frame, l2);
	rte_pktmbuf_adj(m, (uint16_t)(head - l2));
	type_write(rte_pktmbuf_mtod_offset(m, uint8_t *, l2), v6);
	return NIC_INNER;
}

static void
transport_open(struct rte_mbuf *m, uint32_t head, const struct nic_frame *at, uint8_t next_header)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t cut = head - at->l4;
	struct rte_ipv4_hdr *v4;
	uint16_t total;

	frame[at->name] = next_header;
	memmove(frame + cut, frame, at->l4);
	rte_pktmbuf_adj(m, (uint16_t)cut);
	frame = rte_pktmbuf_mtod_offset(m, uint8_t *, at->l2);
	total = (uint16_t)(m->pkt_len - at->l2);
	if (at->v6) {
		((struct rte_ipv6_hdr *)frame)->payload_len =
			rte_cpu_to_be_16((uint16_t)(total - sizeof(struct rte_ipv6_hdr)));
		return;
	}
	v4 = (struct rte_ipv4_hdr *)frame;
	v4->total_length = rte_cpu_to_be_16(total);
	v4->hdr_checksum = wire_ip4_checksum(v4, rte_ipv4_hdr_len(v4));
}

enum nic_unwrapped
nic_unwrap(const struct nic_session *s, struct rte_mbuf *m, const struct nic_frame *at,
	   uint16_t text_len)
{
	uint32_t head = at->esp + s->head, cut;
	uint8_t next_header;

	if (!padding_check(m, head + text_len, text_len, &cut, &next_header))
		return NIC_MALFORMED;
	if (next_header == IPPROTO_NONE)
		return NIC_NO_PACKET;
	nic_cut_to(m, head + text_len - cut);
	if (s->tunnel)
		return tunnel_open(m, head, at->l2, next_header);
	transport_open(m, head, at, next_header);
	return NIC_INNER;
}
