/* Any octets as an ICMP too-big, with lengths and checksums as they are, and then with those put
 * right: the parser reads none behind those it was given, and what it takes lies within.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "pmtu/too_big.h"
#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void
must(bool held)
{
	if (!held)
		abort();
}

static bool
is_within(const uint8_t *octets, size_t size, const void *part, size_t n)
{
	return n == 0 || memmem(octets, size, part, n) != NULL;
}

static void
take(const uint8_t *octets, size_t size)
{
	uint8_t *exact = malloc(size + 1);
	struct too_big t;

	if (exact == NULL)
		return;
	memcpy(exact, octets, size);
	/* Exactly so long, for the sanitizer. */
	exact = realloc(exact, size + (size == 0));
	must(exact != NULL);
	if (too_big_parse(exact, size, &t)) {
		must(t.proto == IPPROTO_ESP || t.proto == IPPROTO_AH);
		must(t.n_proof <= TOO_BIG_PROOF);
		must(is_within(exact, size, t.proof, t.n_proof));
		must(is_within(exact, size, t.src, t.v6 ? 16 : 4));
		must(is_within(exact, size, t.dst, t.v6 ? 16 : 4));
		must(t.v6 || t.mtu <= UINT16_MAX);
		must(t.udp || t.n_proof >= 4);
	}
	free(exact);
}

/* As far as they are there: total length, the checksum of ICMP. */
static void
put_right(uint8_t *octets, size_t size)
{
	bool v6 = octets[0] >> 4 == 6;
	size_t header = v6 ? 40 : (octets[0] & 15u) * 4u, n;
	uint64_t sum = 0;
	uint16_t be;

	if (size < header + 8 || size > UINT16_MAX)
		return;
	be = wire_swap16((uint16_t)(v6 ? size - 40 : size));
	memcpy(octets + (v6 ? 4 : 2), &be, 2);
	n = size - header;
	memset(octets + header + 2, 0, 2);
	if (v6)
		sum = wire_sum(wire_swap16((uint16_t)n) + (uint64_t)wire_swap16(IPPROTO_ICMPV6),
			       octets + 8, 32);
	be = (uint16_t)~wire_sum_fold(wire_sum(sum, octets + header, (uint32_t)n));
	memcpy(octets + header + 2, &be, 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	uint8_t *mended;

	take(octets, size);
	if (size == 0)
		return 0;
	mended = malloc(size);
	if (mended == NULL)
		return 0;
	memcpy(mended, octets, size);
	put_right(mended, size);
	take(mended, size);
	free(mended);
	return 0;
}
