/* IP headers and their bounds. The structs are DPDK's (rte_ip.h, rte_udp.h, rte_esp.h); this is
 * what has to hold before anybody reads through them.
 */
#ifndef WIRE_IP_H
#define WIRE_IP_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_ip.h>

#include "wire/sum.h"

/* Bounds of an IPv6 extension header chain: beyond them a packet is malformed. */
#define WIRE_EXT_HEADERS_MAX 8
#define WIRE_EXT_OCTETS_MAX  256

#define WIRE_IP6_HEADER 40

/* In fragment_offset as it lies in the packet: what a whole datagram has not. */
#define WIRE_IP4_FRAGMENT RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)

enum wire_verdict {
	WIRE_OK,
	WIRE_MALFORMED, /* lengths that do not fit the frame, no version of IP, a chain out of
			   bounds */
	WIRE_CHECKSUM,	/* IPv4 header */
	WIRE_SPLIT, /* well so far, but the headers go on behind len: make more contiguous and ask
		       again */
};

enum ip_info_flag {
	IP_INFO_V6 = 1 << 0,
	IP_INFO_FRAG_FIRST = 1 << 1, /* offset 0, more to come */
	IP_INFO_FRAG_LATER = 1 << 2,
	IP_INFO_DF = 1 << 3,
};

struct ip_info {
	uint32_t total; /* octets with the IP header; up to 65575 (IPv6). The frame may hold padding
			   behind */
	uint16_t l4_off;      /* behind IPv4 options and IPv6 extension headers; AH and ESP count as
				 upper layer */
	uint16_t last_nh_off; /* of the octet that names what stands at l4_off */
	uint8_t proto; /* what stands at l4_off; in a later IPv6 fragment, what its fragment header
			  names */
	uint8_t flags; /* enum ip_info_flag; an atomic IPv6 fragment (RFC 6946) is none */
	uint8_t tos;
	uint8_t ttl;
};

/* The way for options, extension headers and all that is wrong: wire_ip_parse_sum() calls it. */
enum wire_verdict wire_ip_parse_slow(const uint8_t *ip, uint32_t len, uint32_t frame, bool sum_good,
				     struct ip_info *out);

static inline bool
wire_is_ext_header(uint8_t nh)
{
	const uint64_t ext = UINT64_C(1) << IPPROTO_HOPOPTS | UINT64_C(1) << IPPROTO_ROUTING |
			     UINT64_C(1) << IPPROTO_FRAGMENT | UINT64_C(1) << IPPROTO_DSTOPTS;

	return nh < 64 && (ext >> nh & 1) != 0;
}

/* Checks an IP header and says what is where.
 *
 * len: contiguous octets at ip; frame: octets of the frame from ip on, over all segments. Nothing
 * behind len is read. sum_good: the port has found the IPv4 checksum good. *out is complete on
 * WIRE_OK and undefined otherwise. What is behind l4_off may be of any length, also none.
 */
static __rte_always_inline enum wire_verdict
wire_ip_parse_sum(const uint8_t *ip, uint32_t len, uint32_t frame, bool sum_good,
		  struct ip_info *out)
{
	enum wire_verdict verdict;
	struct ip_info slow;

	if (likely(len >= sizeof(struct rte_ipv4_hdr) && ip[0] == RTE_IPV4_VHL_DEF)) {
		const struct rte_ipv4_hdr *h = (const struct rte_ipv4_hdr *)ip;

		out->total = wire_be16(&h->total_length);
		out->l4_off = sizeof(*h);
		out->last_nh_off = offsetof(struct rte_ipv4_hdr, next_proto_id);
		out->proto = h->next_proto_id;
		out->flags =
			(h->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) != 0 ? IP_INFO_DF : 0;
		out->tos = h->type_of_service;
		out->ttl = h->time_to_live;
		if (unlikely((h->fragment_offset & WIRE_IP4_FRAGMENT) != 0))
			out->flags |=
				(h->fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK)) != 0 ?
					IP_INFO_FRAG_LATER :
					IP_INFO_FRAG_FIRST;
		if (unlikely(out->total < sizeof(*h) || out->total > frame))
			return WIRE_MALFORMED;
		return likely(sum_good || wire_sum20_holds(ip)) ? WIRE_OK : WIRE_CHECKSUM;
	}
	if (likely(len >= WIRE_IP6_HEADER && ip[0] >> 4 == 6 && !wire_is_ext_header(ip[6]))) {
		const struct rte_ipv6_hdr *h = (const struct rte_ipv6_hdr *)ip;

		out->total = WIRE_IP6_HEADER + wire_be16(&h->payload_len);
		out->l4_off = WIRE_IP6_HEADER;
		out->last_nh_off = offsetof(struct rte_ipv6_hdr, proto);
		out->proto = h->proto;
		out->flags = IP_INFO_V6;
		out->tos = (uint8_t)(wire_be16(ip) >> 4);
		out->ttl = h->hop_limits;
		return likely(out->total <= frame) ? WIRE_OK : WIRE_MALFORMED;
	}
	/* By way of a copy: *out itself can then stay in registers on the ways above. */
	verdict = wire_ip_parse_slow(ip, len, frame, sum_good, &slow);
	*out = slow;
	return verdict;
}

/* Whether a header that begins with 0x45, so has no options, is as nearly all are: whole in len
 * octets, no fragment, with a right checksum (sum_good: found by the port). Of all others
 * wire_ip_parse_sum() says what they are.
 */
static __rte_always_inline bool
wire_ip4_is_usual(const uint8_t *ip, uint32_t len, bool sum_good)
{
	const uint32_t header = sizeof(struct rte_ipv4_hdr);
	uint32_t total = wire_be16(ip + offsetof(struct rte_ipv4_hdr, total_length));
	uint16_t fragment = wire_load16(ip + offsetof(struct rte_ipv4_hdr, fragment_offset));

	return len >= header && total - header <= len - header &&
	       (fragment & WIRE_IP4_FRAGMENT) == 0 && (sum_good || likely(wire_sum20_holds(ip)));
}

/* The same where nobody has looked at the checksum yet. */
static inline enum wire_verdict
wire_ip_parse(const uint8_t *ip, uint32_t len, uint32_t frame, struct ip_info *out)
{
	return wire_ip_parse_sum(ip, len, frame, false, out);
}

/* The addresses where they lie in a header; 4 or 16 octets. */
static inline const uint8_t *
wire_ip_src(const uint8_t *ip, bool v6)
{
	return ip + (v6 ? offsetof(struct rte_ipv6_hdr, src_addr) :
			  offsetof(struct rte_ipv4_hdr, src_addr));
}

static inline const uint8_t *
wire_ip_dst(const uint8_t *ip, bool v6)
{
	return ip + (v6 ? offsetof(struct rte_ipv6_hdr, dst_addr) :
			  offsetof(struct rte_ipv4_hdr, dst_addr));
}

/* 127.0.0.0/8, ::1 */
static inline bool
wire_is_loopback(const uint8_t *addr, bool v6)
{
	if (!v6)
		return addr[0] == 127;
	return wire_load64(addr) == 0 && wire_load64(addr + 8) == rte_cpu_to_be_64(1);
}

/* 224.0.0.0/4, ff00::/8 */
static inline bool
wire_is_multicast(const uint8_t *addr, bool v6)
{
	return v6 ? addr[0] == 0xff : addr[0] >> 4 == 14;
}

/* An address that can be answered to: one station's, and not its own loopback. */
static inline bool
wire_is_unicast(const uint8_t *addr, bool v6)
{
	if (wire_is_loopback(addr, v6) || wire_is_multicast(addr, v6))
		return false;
	if (v6)
		return wire_load64(addr) != 0 || wire_load64(addr + 8) != 0;
	/* 0.0.0.0/8 is "this network" (RFC 1122 section 3.2.1.3); 240.0.0.0/4 is reserved, and
	 * broadcast. */
	return addr[0] != 0 && addr[0] < 240;
}

#endif
