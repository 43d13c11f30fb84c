/* Headers with options and extension headers of any kind, as AH mutes them for its ICV: none but
 * them is touched, their length and what names the next header stay, and what is muted stays so.
 *
 * An input is a packet's headers; what IP's own parser does not take is no input.
 */
#include <stdlib.h>
#include <string.h>

#include "ah/ah.h"
#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void
must(bool held)
{
	if (!held)
		abort();
}

/* Fields that every receiver reads as they are. */
static void
kept_check(const uint8_t *was, const uint8_t *is, bool v6, uint16_t len)
{
	struct ip_info before, after;
	uint8_t a[AH_BEFORE], b[AH_BEFORE];

	must(was[0] >> 4 == is[0] >> 4);
	must(memcmp(wire_ip_src(was, v6), wire_ip_src(is, v6), v6 ? 16 : 4) == 0);
	if (!v6) {
		must(is[0] == was[0] && memcmp(was + 2, is + 2, 4) == 0 && was[9] == is[9]);
		return;
	}
	memcpy(a, was, len);
	memcpy(b, is, len);
	must(wire_ip_parse(a, len, UINT32_MAX, &before) == WIRE_OK);
	must(wire_ip_parse(b, len, UINT32_MAX, &after) == WIRE_OK);
	must(before.l4_off == after.l4_off && before.proto == after.proto);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	uint8_t once[AH_BEFORE], *exact;
	struct ip_info info;
	uint16_t len;
	bool v6, again;

	if (size > AH_BEFORE ||
	    wire_ip_parse_sum(octets, (uint32_t)size, UINT32_MAX, true, &info) != WIRE_OK)
		return 0;
	len = info.l4_off;
	v6 = (info.flags & IP_INFO_V6) != 0;
	exact = malloc(len);
	must(exact != NULL);
	memcpy(exact, octets, len);
	if (ah_mute(exact, v6, len)) {
		kept_check(octets, exact, v6, len);
		memcpy(once, exact, len);
		again = ah_mute(exact, v6, len);
		must(again && memcmp(once, exact, len) == 0);
	}
	free(exact);
	return 0;
}
