/* The packet that an ICMP error quotes (RFC 4301 section 6.2). */
#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#include "spd/quote.h"
#include "spd/tables.h"

#define ICMP_HEADER	  8
#define QUOTE_MAX	  256
#define EXTENSIONS_MAX	  8
#define OFFSET_MASK_V4	  0x1fff
#define OFFSET_MASK_V6	  0xfff8
#define ICMP4_UNREACHABLE 3
#define ICMP4_TIME	  11
#define ICMP4_PARAMETER	  12
#define ICMP6_UNREACHABLE 1
#define ICMP6_PARAMETER	  4

static bool
is_error(uint8_t protocol, uint8_t type)
{
	if (protocol == IPPROTO_ICMP)
		return type == ICMP4_UNREACHABLE || type == ICMP4_TIME || type == ICMP4_PARAMETER;
	return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER;
}

/* The type that answers a query; others stand for themselves. */
static uint8_t
answer_of(uint8_t type)
{
	static const uint8_t queries[][2] = { { 8, 0 }, { 13, 14 }, { 128, 129 } };

	for (size_t i = 0; i < RTE_DIM(queries); i++) {
		if (type == queries[i][0])
			return queries[i][1];
		if (type == queries[i][1])
			return queries[i][0];
	}
	return type;
}

/* The ports of the way back. A quote that ends before them is like a later fragment: nothing is
 * known. */
static void
quote_ports(const uint8_t *l4, size_t size, struct spd_key *key)
{
	if (key->later)
		return;
	if (protocol_is_icmp(key->protocol)) {
		key->later = size < 2;
		key->src_port = key->later ? 0 : answer_of(l4[0]);
		key->dst_port = key->later ? 0 : l4[1];
	} else if (protocol_has_ports(key->protocol)) {
		key->later = size < 4;
		key->src_port = key->later ? 0 : l4[2] << 8 | l4[3];
		key->dst_port = key->later ? 0 : l4[0] << 8 | l4[1];
	}
}

static bool
quote_v4(const uint8_t *q, size_t size, struct spd_key *key)
{
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)q;
	size_t length;

	if (size < sizeof(*ip) || ip->version != 4)
		return false;
	length = rte_ipv4_hdr_len(ip);
	if (length < sizeof(*ip) || length > size)
		return false;
	memcpy(key->src, &ip->dst_addr, 4);
	memcpy(key->dst, &ip->src_addr, 4);
	key->protocol = ip->next_proto_id;
	key->dscp = ip->type_of_service >> 2;
	key->later = (rte_be_to_cpu_16(ip->fragment_offset) & OFFSET_MASK_V4) != 0;
	quote_ports(q + length, size - length, key);
	return true;
}

/* Steps over one extension header; 0 = it is none, or is cut off. */
static size_t
extension(const uint8_t *q, size_t size, struct spd_key *key)
{
	size_t length;

	if (size < 8)
		return 0;
	switch (key->protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		length = 8 + 8 * (size_t)q[1];
		break;
	case IPPROTO_FRAGMENT:
		key->later = ((q[2] << 8 | q[3]) & OFFSET_MASK_V6) != 0;
		length = 8;
		break;
	default:
		return 0;
	}
	if (length > size)
		return 0;
	key->protocol = q[0];
	return length;
}

static bool
quote_v6(const uint8_t *q, size_t size, struct spd_key *key)
{
	const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)q;
	size_t at = sizeof(*ip);

	if (size < sizeof(*ip) || q[0] >> 4 != 6)
		return false;
	memcpy(key->src, ip->dst_addr, 16);
	memcpy(key->dst, ip->src_addr, 16);
	key->v6 = true;
	key->protocol = ip->proto;
	key->dscp = rte_be_to_cpu_32(ip->vtc_flow) >> 22 & 63;
	for (int i = 0; i < EXTENSIONS_MAX && !key->later; i++) {
		size_t length = extension(q + at, size - at, key);

		if (length == 0)
			break;
		at += length;
	}
	quote_ports(q + at, size - at, key);
	return true;
}

bool
quote_key(const struct rte_mbuf *m, const struct pkt *p, struct spd_key *key)
{
	uint8_t copy[QUOTE_MAX];
	const uint8_t *icmp;
	uint32_t size;
	bool v6 = (p->flags & PKT_V6) != 0;

	memset(key, 0, sizeof(*key));
	if (p->proto != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) || (p->flags & PKT_FRAG_LATER) ||
	    m->pkt_len < p->l4_off + (uint32_t)ICMP_HEADER)
		return false;
	size = RTE_MIN(m->pkt_len - p->l4_off, (uint32_t)QUOTE_MAX);
	icmp = rte_pktmbuf_read(m, p->l4_off, size, copy);
	if (icmp == NULL || !is_error(p->proto, icmp[0]))
		return false;
	if (v6)
		return quote_v6(icmp + ICMP_HEADER, size - ICMP_HEADER, key);
	return quote_v4(icmp + ICMP_HEADER, size - ICMP_HEADER, key);
}
