#include "ah/ah.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "wire/ip.h"

/* RFC 4302 appendix A1: the options of IPv4 by what they are for the ICV. Those that are in no list
 * are zeros.
 */
enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_SECURITY = 130,
	OPTION_LOOSE_ROUTE = 131,
	OPTION_EXTENDED_SECURITY = 133,
	OPTION_COMMERCIAL_SECURITY = 134,
	OPTION_STRICT_ROUTE = 137,
	OPTION_ROUTER_ALERT = 148,
	OPTION_MULTI_DESTINATION = 149,
};

#define ROUTE_FIRST 4 /* the pointer at a route's first address, counted from 1 */

/* RFC 8200 section 4.2: an option's type says whether what it holds may change on the way. */
#define OPTION6_PAD1   0
#define OPTION6_CHANGE 0x20

#define ROUTING_HEAD 8 /* octets before the addresses */
#define ROUTING_0    0
#define ROUTING_2    2 /* RFC 6275 section 6.4: the same with one address */

static bool
is_kept(uint8_t type)
{
	switch (type) {
	case OPTION_SECURITY:
	case OPTION_EXTENDED_SECURITY:
	case OPTION_COMMERCIAL_SECURITY:
	case OPTION_ROUTER_ALERT:
	case OPTION_MULTI_DESTINATION:
		return true;
	default:
		return false;
	}
}

/* A source route that has addresses left ends at the last of them. */
static bool
route_follow(struct rte_ipv4_hdr *ip, const uint8_t *option, uint8_t len)
{
	if (len < 3 || option[2] < ROUTE_FIRST || (len - 3) % 4 != 0)
		return false;
	if (option[2] <= len)
		memcpy(&ip->dst_addr, option + len - 4, sizeof(ip->dst_addr));
	return true;
}

static bool
options4_mute(struct rte_ipv4_hdr *ip, uint8_t *options, uint16_t n)
{
	uint16_t at = 0;

	while (at < n && options[at] != OPTION_END) {
		uint8_t type = options[at], len;

		if (type == OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= n)
			return false;
		len = options[at + 1];
		if (len < 2 || len > n - at)
			return false;
		if ((type == OPTION_LOOSE_ROUTE || type == OPTION_STRICT_ROUTE) &&
		    !route_follow(ip, options + at, len))
			return false;
		if (!is_kept(type))
			memset(options + at, 0, len);
		at += len;
	}
	return true;
}

static bool
mute4(uint8_t *at, uint16_t len)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

	ip->type_of_service = 0;
	ip->fragment_offset = 0;
	ip->time_to_live = 0;
	ip->hdr_checksum = 0;
	return options4_mute(ip, at + sizeof(*ip), len - sizeof(*ip));
}

static bool
options6_mute(uint8_t *options, uint16_t n)
{
	uint16_t at = 0;

	while (at < n) {
		if (options[at] == OPTION6_PAD1) {
			at++;
			continue;
		}
		if (at + 2 > n || options[at + 1] > n - at - 2)
			return false;
		if ((options[at] & OPTION6_CHANGE) != 0)
			memset(options + at + 2, 0, options[at + 1]);
		at += 2 + options[at + 1];
	}
	return true;
}

/* Each host on the way puts its own address where the next one stood: at the end the addresses that
 * were left have moved up by one, and the last of them is the destination.
 */
static bool
routing_follow(struct rte_ipv6_hdr *ip, uint8_t *routing)
{
	uint8_t type = routing[2], left = routing[3], n = routing[1] / 2;
	uint8_t last[16], *first;

	if (left == 0)
		return true;
	if ((type != ROUTING_0 && type != ROUTING_2) || routing[1] % 2 != 0 || left > n)
		return false;
	first = routing + ROUTING_HEAD + 16 * (n - left);
	memcpy(last, routing + ROUTING_HEAD + 16 * (n - 1), sizeof(last));
	memmove(first + 16, first, 16 * (left - 1));
	memcpy(first, ip->dst_addr, 16);
	memcpy(ip->dst_addr, last, sizeof(last));
	routing[3] = 0;
	return true;
}

static bool
mute6(uint8_t *at, uint16_t len)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;
	uint8_t here = ip->proto;
	uint16_t off = sizeof(*ip);

	ip->vtc_flow = RTE_BE32(UINT32_C(6) << 28);
	ip->hop_limits = 0;
	while (off + 8 <= len) {
		uint8_t *header = at + off;
		uint16_t size = here == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
		bool ok = true;

		if (size > len - off)
			return false;
		if (here == IPPROTO_HOPOPTS || here == IPPROTO_DSTOPTS)
			ok = options6_mute(header + 2, size - 2);
		else if (here == IPPROTO_ROUTING)
			ok = routing_follow(ip, header);
		if (!ok)
			return false;
		here = header[0];
		off += size;
	}
	return off == len;
}

bool
ah_mute(uint8_t *ip, bool v6, uint16_t len)
{
	return v6 ? mute6(ip, len) : mute4(ip, len);
}
