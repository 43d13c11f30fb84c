#include "esp/transport.h"

#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#include "wire/ip.h"

/* True if a routing header follows the destination options at `off`. */
static bool
routing_follows(const uint8_t *ip, uint16_t off, uint16_t l4_off)
{
	uint8_t next = IPPROTO_DSTOPTS;

	while (off < l4_off && next == IPPROTO_DSTOPTS) {
		next = ip[off];
		off += (ip[off + 1] + 1) * 8;
	}
	return off < l4_off && next == IPPROTO_ROUTING;
}

uint16_t
transport_split(const uint8_t *ip, bool v6, uint16_t l4_off, uint16_t *name_off)
{
	uint16_t off = WIRE_IP6_HEADER;

	if (!v6) {
		*name_off = offsetof(struct rte_ipv4_hdr, next_proto_id);
		return l4_off;
	}
	*name_off = offsetof(struct rte_ipv6_hdr, proto);
	while (off < l4_off) {
		uint8_t here = ip[*name_off];

		if (here != IPPROTO_HOPOPTS && here != IPPROTO_ROUTING &&
		    here != IPPROTO_FRAGMENT &&
		    !(here == IPPROTO_DSTOPTS && routing_follows(ip, off, l4_off)))
			break;
		*name_off = off;
		off += here == IPPROTO_FRAGMENT ? 8 : (ip[off + 1] + 1) * 8;
	}
	return off;
}

void
transport_rewrite(uint8_t *ip, bool v6, uint16_t total, uint16_t name_off, uint8_t proto)
{
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)ip;

	ip[name_off] = proto;
	if (v6) {
		((struct rte_ipv6_hdr *)ip)->payload_len =
			rte_cpu_to_be_16(total - sizeof(struct rte_ipv6_hdr));
		return;
	}
	v4->total_length = rte_cpu_to_be_16(total);
	v4->hdr_checksum = wire_ip4_checksum(ip, rte_ipv4_hdr_len(v4));
}
