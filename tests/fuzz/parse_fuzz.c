/* Any octets as an IP packet: the parser reads none behind those it was given, and what it accepts
 * lies within. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void
must(bool held)
{
	if (!held)
		abort();
}

static void
check(const uint8_t *ip, uint32_t frame, const struct ip_info *info)
{
	bool v6 = (info->flags & IP_INFO_V6) != 0;

	must(v6 == (ip[0] >> 4 == 6));
	must(info->total <= frame);
	must(info->l4_off >= (v6 ? 40 : 20) && info->l4_off <= info->total);
	must(info->last_nh_off < info->l4_off && ip[info->last_nh_off] == info->proto);
	must((info->flags & (IP_INFO_FRAG_FIRST | IP_INFO_FRAG_LATER)) !=
	     (IP_INFO_FRAG_FIRST | IP_INFO_FRAG_LATER));
	/* Only behind a later fragment's header may an extension header be what is carried. */
	must(!v6 || !wire_is_ext_header(info->proto) || (info->flags & IP_INFO_FRAG_LATER) != 0);
	must(v6 || wire_ip4_checksum(ip, info->l4_off) == wire_load16(ip + 10) ||
	     wire_load16(ip + 10) == 0xffff);
}

/* The first octet says how many of the others lie in the first segment. */
int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct ip_info info, again;
	enum wire_verdict verdict, whole;
	uint32_t frame, len;
	uint8_t *part;

	if (size == 0)
		return 0;
	frame = (uint32_t)size - 1;
	len = RTE_MIN((uint32_t)octets[0], frame);
	part = malloc(len + (len == 0));
	if (part == NULL)
		return 0;
	memcpy(part, octets + 1, len);
	verdict = wire_ip_parse(part, len, frame, &info);
	if (verdict == WIRE_OK)
		check(part, frame, &info);
	free(part);
	/* With all octets at hand the verdict is the same, or one there was too little for. */
	whole = wire_ip_parse(octets + 1, frame, frame, &again);
	must(whole != WIRE_SPLIT && (verdict == WIRE_SPLIT || verdict == whole));
	must(verdict != WIRE_OK || (info.l4_off == again.l4_off && info.proto == again.proto));
	return 0;
}
