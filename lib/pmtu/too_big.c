#include "pmtu/too_big.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_common.h>

#include "wire/bytes.h"
#include "wire/ip.h"

#define ICMP_HEADER	 8
#define ICMP_UNREACHABLE 3
#define ICMP_NEEDS_DF	 4
#define UDP_HEADER	 8
#define AH_BEFORE_SPI	 4

/* ICMP itself, whole, at icmp. *mtu: what it says. */
static bool
message_check(const uint8_t *ip, const struct ip_info *info, const uint8_t *icmp, size_t len,
	      uint32_t *mtu)
{
	bool v6 = (info->flags & IP_INFO_V6) != 0;
	uint64_t sum = 0;

	if (len < ICMP_HEADER || (info->flags & (IP_INFO_FRAG_FIRST | IP_INFO_FRAG_LATER)) != 0)
		return false;
	if (v6) {
		sum = wire_swap16((uint16_t)len) + (uint64_t)wire_swap16(IPPROTO_ICMPV6);
		sum = wire_sum(sum, wire_ip_src(ip, true), 32);
		*mtu = wire_be32(icmp + 4);
	} else {
		*mtu = wire_be16(icmp + 6);
	}
	if (wire_sum_fold(wire_sum(sum, icmp, (uint32_t)len)) != 0xffff)
		return false;
	if (v6)
		return info->proto == IPPROTO_ICMPV6 && icmp[0] == ICMP6_PACKET_TOO_BIG;
	return info->proto == IPPROTO_ICMP && icmp[0] == ICMP_UNREACHABLE &&
	       icmp[1] == ICMP_NEEDS_DF;
}

static void
proof_take(struct too_big *t, const uint8_t *at, size_t n)
{
	t->n_proof = (uint8_t)RTE_MIN(n, (size_t)TOO_BIG_PROOF);
	memcpy(t->proof, at, t->n_proof);
}

/* What the quoted datagram carries, n octets of it. */
static bool
carried_take(struct too_big *t, uint8_t proto, const uint8_t *at, size_t n)
{
	if (n < TOO_BIG_LEAST)
		return false;
	t->proto = proto;
	switch (proto) {
	case IPPROTO_ESP:
		proof_take(t, at, n);
		return true;
	case IPPROTO_AH:
		proof_take(t, at + AH_BEFORE_SPI, n - AH_BEFORE_SPI);
		return true;
	case IPPROTO_UDP:
		t->proto = IPPROTO_ESP;
		t->udp = true;
		t->udp_src = wire_be16(at);
		t->udp_dst = wire_be16(at + 2);
		proof_take(t, at + UDP_HEADER, n - UDP_HEADER);
		return true;
	default:
		return false;
	}
}

/* The length that a quoted header names is that of the packet as it was sent, and behind it is what
 * the router had room for. Its checksum is of no use: some are quoted as they were changed on the
 * way.
 */
static bool
quote_take(struct too_big *t, const uint8_t *ip, size_t len)
{
	size_t address = t->v6 ? 16 : 4;
	struct ip_info info;

	if (wire_ip_parse_sum(ip, (uint32_t)len, UINT32_MAX, true, &info) != WIRE_OK)
		return false;
	if (((info.flags & IP_INFO_V6) != 0) != t->v6 || (info.flags & IP_INFO_FRAG_LATER) != 0 ||
	    info.l4_off > len)
		return false;
	memcpy(t->src, wire_ip_src(ip, t->v6), address);
	memcpy(t->dst, wire_ip_dst(ip, t->v6), address);
	t->quoted = info.total;
	return carried_take(t, info.proto, ip + info.l4_off,
			    RTE_MIN(len, (size_t)info.total) - info.l4_off);
}

bool
too_big_parse(const uint8_t *message, size_t len, struct too_big *t)
{
	struct ip_info info;
	size_t quote;

	*t = (struct too_big) { .mtu = 0 };
	if (len > TOO_BIG_MESSAGE ||
	    wire_ip_parse_sum(message, (uint32_t)len, (uint32_t)len, true, &info) != WIRE_OK)
		return false;
	quote = info.l4_off + ICMP_HEADER;
	t->v6 = (info.flags & IP_INFO_V6) != 0;
	if (info.total < quote || !message_check(message, &info, message + info.l4_off,
						 info.total - info.l4_off, &t->mtu))
		return false;
	return quote_take(t, message + quote, info.total - quote) &&
	       memcmp(t->src, wire_ip_dst(message, t->v6), t->v6 ? 16 : 4) == 0;
}
