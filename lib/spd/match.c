#include "spd/tables.h"

#include <netinet/in.h>

#include <rte_byteorder.h>

const uint8_t protocol_kinds[256] = {
	[IPPROTO_TCP] = KIND_PORTS,
	[IPPROTO_UDP] = KIND_PORTS,
	[IPPROTO_DCCP] = KIND_PORTS,
	[IPPROTO_SCTP] = KIND_PORTS,
	[IPPROTO_UDPLITE] = KIND_PORTS,
	[IPPROTO_ICMP] = KIND_ICMP,
	[IPPROTO_ICMPV6] = KIND_ICMP,
	[IPPROTO_HOPOPTS] = KIND_EXTENSION,
	[IPPROTO_ROUTING] = KIND_EXTENSION,
	[IPPROTO_FRAGMENT] = KIND_EXTENSION,
	[IPPROTO_DSTOPTS] = KIND_EXTENSION,
	[IPPROTO_MH] = KIND_EXTENSION,
	[139] = KIND_EXTENSION, /* HIP */
	[140] = KIND_EXTENSION, /* shim6 */
};

static bool
range_holds(const struct spd_range *r, const uint8_t addr[16])
{
	return memcmp(r->lo, addr, 16) <= 0 && memcmp(addr, r->hi, 16) <= 0;
}

static bool
port_holds(struct spd_ports p, uint16_t port)
{
	return p.lo <= port && port <= p.hi;
}

static enum match
ports_match(const struct rule_extra *x, const struct spd_key *key)
{
	uint8_t kind = protocol_kinds[key->protocol];

	if (protocol_hidden(key))
		return MATCH_UNSURE;
	if (kind != KIND_PORTS && !(kind == KIND_ICMP && x->protocol == key->protocol))
		return MATCH_NO;
	if (key->later)
		return MATCH_UNSURE;
	if (port_holds(x->src_port, key->src_port) && port_holds(x->dst_port, key->dst_port))
		return MATCH_YES;
	return MATCH_NO;
}

enum match
extra_match(const struct rule_extra *x, const struct spd_key *key)
{
	bool other = x->protocol != SPD_ANY_PROTOCOL && x->protocol != key->protocol;

	if (other && !protocol_hidden(key))
		return MATCH_NO;
	if ((x->dscp >> (key->dscp & 63) & 1) == 0)
		return MATCH_NO;
	if (x->has_ranges && !(range_holds(&x->src, key->src) && range_holds(&x->dst, key->dst)))
		return MATCH_NO;
	if (other)
		return MATCH_UNSURE;
	return x->has_ports ? ports_match(x, key) : MATCH_YES;
}

void
prefix_mask(uint8_t length, uint64_t mask[2])
{
	uint64_t hi = length == 0 ? 0 : UINT64_MAX << (64 - RTE_MIN(length, 64));
	uint64_t lo = length <= 64 ? 0 : UINT64_MAX << (128 - length);

	mask[0] = rte_cpu_to_be_64(hi);
	mask[1] = rte_cpu_to_be_64(lo);
}

static bool
prefix_holds(const uint64_t prefix[2], uint8_t length, const uint8_t addr[16])
{
	uint64_t mask[2];

	prefix_mask(length, mask);
	return (wire_load64(addr) & mask[0]) == prefix[0] &&
	       (wire_load64(addr + 8) & mask[1]) == prefix[1];
}

enum match
rule_match(const struct rule *r, const struct rule_extra *x, const struct spd_key *key)
{
	if (!prefix_holds(r->src, r->src_length, key->src) ||
	    !prefix_holds(r->dst, r->dst_length, key->dst))
		return MATCH_NO;
	return x == NULL ? MATCH_YES : extra_match(x, key);
}
