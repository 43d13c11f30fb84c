#include "wire/ip.h"

static enum wire_verdict
ip4_parse_options(const uint8_t *ip, uint32_t len, uint32_t frame, bool sum_good,
		  struct ip_info *out)
{
	uint8_t plain[sizeof(struct rte_ipv4_hdr)];
	uint32_t header = (ip[0] & RTE_IPV4_HDR_IHL_MASK) * RTE_IPV4_IHL_MULTIPLIER;
	enum wire_verdict verdict;

	if (header < sizeof(plain) || header > frame)
		return WIRE_MALFORMED;
	if (header > len)
		return WIRE_SPLIT;
	/* The fields are those of a header without options; only its checksum is not. */
	memcpy(plain, ip, sizeof(plain));
	plain[0] = RTE_IPV4_VHL_DEF;
	verdict = wire_ip_parse_sum(plain, sizeof(plain), frame, true, out);
	if (verdict != WIRE_OK || out->total < header)
		return WIRE_MALFORMED;
	out->l4_off = (uint16_t)header;
	if (!sum_good && wire_sum_fold(wire_sum(0, ip, header)) != 0xffff)
		return WIRE_CHECKSUM;
	return WIRE_OK;
}

/* Takes the fragment header at ip + off into *out. Returns whether the chain goes on behind it. */
static bool
ip6_fragment(const uint8_t *ip, uint32_t off, struct ip_info *out)
{
	uint16_t field = wire_be16(ip + off + 2);

	if (field >> 3 != 0)
		out->flags |= IP_INFO_FRAG_LATER;
	else if ((field & 1) != 0)
		out->flags |= IP_INFO_FRAG_FIRST;
	return field >> 3 == 0;
}

/* Walks the extension headers (RFC 8200 section 4). A first fragment has to hold all of them (RFC
 * 7112). */
static enum wire_verdict
ip6_walk(const uint8_t *ip, uint32_t len, struct ip_info *out)
{
	uint32_t off = WIRE_IP6_HEADER, nh_off = offsetof(struct rte_ipv6_hdr, proto);
	bool fragment = false;

	for (int n = 0; wire_is_ext_header(ip[nh_off]); n++) {
		uint8_t nh = ip[nh_off];
		uint32_t size;

		if (n == WIRE_EXT_HEADERS_MAX || off + 8 > out->total)
			return WIRE_MALFORMED;
		/* Hop-by-hop options stand first or not at all; one datagram is not cut twice. */
		if ((nh == IPPROTO_HOPOPTS && n > 0) || (nh == IPPROTO_FRAGMENT && fragment))
			return WIRE_MALFORMED;
		if (off + 8 > len)
			return WIRE_SPLIT;
		size = nh == IPPROTO_FRAGMENT ? 8 : (ip[off + 1] + 1) * 8;
		if (off + size > out->total || off + size > WIRE_IP6_HEADER + WIRE_EXT_OCTETS_MAX)
			return WIRE_MALFORMED;
		if (off + size > len)
			return WIRE_SPLIT;
		nh_off = off;
		off += size;
		if (nh == IPPROTO_FRAGMENT) {
			fragment = true;
			if (!ip6_fragment(ip, nh_off, out))
				break;
		}
	}
	out->l4_off = (uint16_t)off;
	out->last_nh_off = (uint16_t)nh_off;
	out->proto = ip[nh_off];
	return WIRE_OK;
}

enum wire_verdict
wire_ip_parse_slow(const uint8_t *ip, uint32_t len, uint32_t frame, bool sum_good,
		   struct ip_info *out)
{
	uint32_t header;

	if (len == 0)
		return frame == 0 ? WIRE_MALFORMED : WIRE_SPLIT;
	if (ip[0] >> 4 != 4 && ip[0] >> 4 != 6)
		return WIRE_MALFORMED;
	header = ip[0] >> 4 == 4 ? sizeof(struct rte_ipv4_hdr) : WIRE_IP6_HEADER;
	if (header > frame)
		return WIRE_MALFORMED;
	if (header > len)
		return WIRE_SPLIT;
	if (ip[0] >> 4 == 4)
		return ip4_parse_options(ip, len, frame, sum_good, out);
	out->flags = IP_INFO_V6;
	out->tos = (uint8_t)(wire_be16(ip) >> 4);
	out->ttl = ip[offsetof(struct rte_ipv6_hdr, hop_limits)];
	out->total = WIRE_IP6_HEADER + wire_be16(ip + 4);
	if (out->total > frame)
		return WIRE_MALFORMED;
	return ip6_walk(ip, len, out);
}
