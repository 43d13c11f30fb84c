/* IP addresses and prefixes of either family, for control. The datapath takes them from packets. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ADDR_TEXT_SIZE 64 /* enough for a prefix too */

/* family is 4, 6, or 0 for none. In network order; an IPv4 address is the first 4 octets, the rest
 * 0. */
struct addr {
	uint8_t family;
	uint8_t octets[16];
};

struct prefix {
	struct addr addr;
	uint8_t len;
};

static inline uint8_t
addr_bits(const struct addr *a)
{
	return a->family == 4 ? 32 : 128;
}

static inline bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The prefix of that length around an address: the bits behind it are 0. */
struct prefix prefix_of(const struct addr *a, uint8_t len);

bool prefix_covers(const struct prefix *p, const struct addr *a);

/* "192.0.2.1", "2001:db8::1"; returns text. */
const char *addr_text(const struct addr *a, char text[ADDR_TEXT_SIZE]);
const char *prefix_text(const struct prefix *p, char text[ADDR_TEXT_SIZE]);

/* "192.0.2.1" or "2001:db8::1" into *a; false if it is neither. */
bool addr_parse(const char *text, struct addr *a);

#endif
