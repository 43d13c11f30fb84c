/* What workers read of routes, neighbours and own addresses. For stages, and for what they call;
 * control has route.h. Nothing here changes anything.
 */
#ifndef ROUTE_FIB_H
#define ROUTE_FIB_H

#include <stdbool.h>
#include <stdint.h>

#include "route/hop.h"
#include "route/own.h"
#include "route/trie.h"
#include "worker/pkt.h"

struct control;
struct rte_mbuf;

struct route {
	const struct next_hop *hops; /* HOPS_SIZE */
	const struct own *own;
	struct trie v4, v6;
	struct control *control;
};

static inline const struct next_hop *
route_hop(const struct route *r, uint16_t id)
{
	return &r->hops[id];
}

/* Next hop ids by the packets' destinations, data at the IP header; NEXT_HOP_NONE where there is no
 * route. Touches nothing of the packets.
 */
void route_lookup(const struct route *r, struct rte_mbuf **pkts, uint16_t n, uint16_t *next_hops);

/* All our own addresses, as they are now. */
static inline const struct own *
route_own(const struct route *r)
{
	return __atomic_load_n(&r->own, __ATOMIC_RELAXED);
}

/* Whether this is one of our addresses: of a port, or the local end of an SA. */
static inline bool
route_is_local_v4(const struct route *r, uint32_t addr_be)
{
	return own_has_v4(route_own(r), addr_be);
}

static inline bool
route_is_local_v6(const struct route *r, const uint8_t addr[16])
{
	return own_has_v6(route_own(r), addr);
}

#endif
