/* What of a packet's headers AH's ICV is made over (RFC 4302 section 3.3.3.1, appendix A). */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "ah/ah.h"

#define HEADERS_MAX 128

/* Octets as digits; spaces are for the eye. Returns how many. */
static uint16_t
octets_of(const char *digits, uint8_t *out)
{
	uint16_t n = 0;
	int used;

	for (unsigned int octet; sscanf(digits, " %2x%n", &octet, &used) == 1; digits += used)
		out[n++] = (uint8_t)octet;
	return n;
}

#define V4(ihl)	  ihl "b9 0064 1234 6005 40 33 abcd c0000201 c6336401 "
#define ZERO(ihl) ihl "00 0064 1234 0000 00 33 0000 c0000201 c6336401 "
#define TO(ihl)	  ihl "00 0064 1234 0000 00 33 0000 c0000201 "
#define S	  "20010db8 00000000 00000000 00000001 "
#define D	  "20010db8 00000000 00000000 000000ff "
#define A	  "20010db8 00000000 00000000 0000000a "
#define B	  "20010db8 00000000 00000000 0000000b "
#define V6(nh)	  "6b912345 0064 " nh " 40 " S D
#define SAME6(nh) "60000000 0064 " nh " 00 " S D

static const struct {
	const char *what, *before, *after; /* NULL: it cannot be */
} cases[] = {
	{ "IPv4: TOS, flags, offset, TTL and checksum are zeros", V4("45"), ZERO("45") },
	{ "security, router alert and multi-destination options stay",
	  V4("4a") "8204abcd 85030186 04010294 04000095 0401ff00",
	  ZERO("4a") "8204abcd 85030186 04010294 04000095 0401ff00" },
	{ "what stands behind the end of the list stays", V4("47") "01000707 09090909",
	  ZERO("47") "01000707 09090909" },
	{ "the record of a route is zeros", V4("47") "0707040a 00000101",
	  ZERO("47") "00000000 00000001" },
	{ "a timestamp and a traceroute are zeros", V4("48") "44040500 5206abcd ef010101",
	  ZERO("48") "00000000 00000000 00000101" },
	{ "an option of the future is zeros", V4("46") "de04ffff", ZERO("46") "00000000" },
	{ "a loose source route ends at its last address", V4("48") "830b040a 0000010a 00000201",
	  TO("48") "0a000002 00000000 00000000 00000001" },
	{ "a strict one that is used up ends where it is", V4("47") "8907080a 00000101",
	  ZERO("47") "00000000 00000001" },
	{ "an option of no length", V4("46") "07000000", NULL },
	{ "one that ends beyond the header", V4("46") "07050000", NULL },
	{ "one without its length", V4("46") "01010107", NULL },
	{ "a source route with half an address", V4("47") "8305040a 00000000", NULL },
	{ "a source route that points before its addresses", V4("47") "8307030a 00000100", NULL },
	{ "a source route without a pointer", V4("46") "83020101", NULL },
	{ "IPv6: class, flow label and hop limit are zeros", V6("33"), SAME6("33") },
	{ "hop-by-hop options: those that may change, without type and length",
	  V6("00") "3301 05020000 3e03aabb cc000000 0000",
	  SAME6("00") "3301 05020000 3e030000 00000000 0000" },
	{ "destination options alike", V6("3c") "3300 3e04aabb ccdd",
	  SAME6("3c") "3300 3e040000 0000" },
	{ "a routing header with nothing left stays", V6("2b") "3304 0000 00000000" A B,
	  SAME6("2b") "3304 0000 00000000" A B },
	{ "type 0 with one left of two: the last host is its end",
	  V6("2b") "3304 0001 00000000" A B, "60000000 0064 2b 00 " S B "3304 0000 00000000" A D },
	{ "type 0 with both left", V6("2b") "3304 0002 00000000" A B,
	  "60000000 0064 2b 00 " S B "3304 0000 00000000" D A },
	{ "type 2, of mobile hosts", V6("2b") "3302 0201 00000000" A,
	  "60000000 0064 2b 00 " S A "3302 0200 00000000" D },
	{ "a fragment header stays", V6("2c") "33000000 0000abcd",
	  SAME6("2c") "33000000 0000abcd" },
	{ "headers one after the other", V6("00") "3c00 3e04aabb ccdd 3300 1e04aabb ccdd",
	  SAME6("00") "3c00 3e040000 0000 3300 1e04aabb ccdd" },
	{ "an option that ends beyond its header", V6("00") "3300 3e05aabb ccdd", NULL },
	{ "an option without its length", V6("00") "3300 01020000 3e", NULL },
	{ "more left than there are", V6("2b") "3302 0002 00000000" A, NULL },
	{ "an unknown type with some left", V6("2b") "3302 0401 00000000" A, NULL },
	{ "half an address", V6("2b") "3301 0001 00000000 20010db8 00000000", NULL },
	{ "a header longer than there is", V6("00") "3301 01040000 0000", NULL },
};

static void
headers_are_muted(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t before[HEADERS_MAX], after[HEADERS_MAX], *exact;
		uint16_t n = octets_of(cases[i].before, before), m;
		bool v6 = before[0] >> 4 == 6, ok;

		exact = malloc(n);
		memcpy(exact, before, n);
		ok = ah_mute(exact, v6, n);
		if (ok != (cases[i].after != NULL))
			fail_msg("%s: %s", cases[i].what, ok ? "taken" : "refused");
		if (ok) {
			m = octets_of(cases[i].after, after);
			if (m != n || memcmp(exact, after, n) != 0)
				fail_msg("%s: not the octets that are wanted", cases[i].what);
		}
		free(exact);
	}
}

/* What is muted stays as it is: the receiver's is the sender's. */
static void
muting_twice_is_muting_once(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t once[HEADERS_MAX], twice[HEADERS_MAX];
		uint16_t n = octets_of(cases[i].before, once);

		if (cases[i].after == NULL || !ah_mute(once, once[0] >> 4 == 6, n))
			continue;
		memcpy(twice, once, n);
		/* Zeros where options stood end the list. */
		assert_true(ah_mute(twice, twice[0] >> 4 == 6, n));
		assert_memory_equal(once, twice, n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_muted),
		cmocka_unit_test(muting_twice_is_muting_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
