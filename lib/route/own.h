/* Our own addresses, asked for with every packet from the black side: one line of memory for most.
 *
 * A table is never changed once workers see it: control makes the next one and publishes that.
 */
#ifndef ROUTE_OWN_H
#define ROUTE_OWN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_common.h>

#include "base/addr.h"

#define OWN_MAX	  1024 /* of each family */
#define OWN_SLOTS 2048 /* power of two; open addressing */

struct own_v6 {
	uint64_t top, low; /* as in memory; both 0: free */
};

struct own {
	uint32_t n_v4, n_v6;
	uint32_t v4[OWN_SLOTS] __rte_cache_aligned; /* as in memory; 0: free */
	struct own_v6 v6[OWN_SLOTS];
};

static inline uint32_t
own_slot(uint64_t key)
{
	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 53) % OWN_SLOTS;
}

static inline uint64_t
own_mix(uint64_t top, uint64_t low)
{
	return top ^ low * 3;
}

static inline bool
own_has_v4(const struct own *o, uint32_t addr_be)
{
	uint32_t i = own_slot(addr_be);

	for (; o->v4[i] != 0; i = (i + 1) % OWN_SLOTS)
		if (o->v4[i] == addr_be)
			return true;
	return false;
}

static inline bool
own_has_v6(const struct own *o, const uint8_t addr[16])
{
	uint64_t top, low;
	uint32_t i;

	memcpy(&top, addr, 8);
	memcpy(&low, addr + 8, 8);
	i = own_slot(own_mix(top, low));
	while ((o->v6[i].top != top || o->v6[i].low != low) && (o->v6[i].top | o->v6[i].low) != 0)
		i = (i + 1) % OWN_SLOTS;
	return o->v6[i].top == top && o->v6[i].low == low && (top | low) != 0;
}

static inline bool
own_full(const struct own *o, uint8_t family)
{
	return (family == 4 ? o->n_v4 : o->n_v6) == OWN_MAX;
}

/* A table like old (NULL: an empty one) with one address more and one less; either may be NULL.
 * Needs room for it. The caller frees it with rte_free. NULL: no memory.
 */
struct own *own_next(const struct own *old, const struct addr *more, const struct addr *less,
		     int socket);

#endif
