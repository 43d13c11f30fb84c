/* The addresses of path_rig.h's laboratory. */
#ifndef TESTS_PATH_ADDR_H
#define TESTS_PATH_ADDR_H

#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"

static inline void
rig_must(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "path rig: %s\n", what);
	abort();
}

static inline struct addr
rig_addr(const char *text)
{
	struct addr a;

	rig_must(addr_parse(text, &a), text);
	return a;
}

static inline struct prefix
rig_prefix(const char *text, uint8_t len)
{
	struct addr a = rig_addr(text);

	return prefix_of(&a, len);
}

static inline struct addr
rig_end(bool v6, bool peer, uint32_t n)
{
	struct addr a = rig_addr(v6 ? (peer ? "2001:db8:ffff::" : "2001:db8::1") :
				      (peer ? "198.51.100.0" : "192.0.2.1"));

	if (peer)
		a.octets[v6 ? 15 : 3] = (uint8_t)n;
	return a;
}

/* The host that ends BEET on our side, or the peer's. */
static inline struct addr
rig_host(uint8_t family, bool peer, uint32_t n)
{
	struct addr a = rig_addr(family == 6 ? (peer ? "fd02::5" : "fd01::5") :
					       (peer ? "10.2.0.5" : "10.1.0.5"));

	a.octets[family == 6 ? 7 : 2] = (uint8_t)n;
	return a;
}

#endif
