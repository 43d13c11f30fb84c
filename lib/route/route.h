/* Routes, neighbours and own addresses, as control sees them.
 *
 * One struct route for the gateway's life, updated in place under the workers' lookups. All calls
 * are control's, from one thread; none waits. What workers may still see is given back through
 * `defer`.
 *
 * Of one prefix at most one of each kind exists, and the first of these wins:
 *
 *	local		an own address: a port's, or the local end of an SA (route_own_add)
 *	connected	the prefix on the link with a port's address
 *	static		route_add
 *	kernel		route_kernel_set: what the follower of the kernel's table tells
 *	neighbour	one address inside a prefix on its port's link
 *
 * Only that a host's own prefix is on the link takes its neighbour in instead of standing before
 * it. A destination on the link that is no neighbour ends in `no_neighbour`. Of a neighbour two
 * may know the MAC: static (route_neigh_set) goes before kernel (route_kernel_neigh_set).
 *
 * A next hop is a (port, address) that a route, a neighbour or a hold speaks of; its id stays the
 * same as long as any of these does. An SA holds the next hop of its outer destination
 * (route_hold). Which next hop an address has changes with routes: then route_generation does too,
 * and who holds one resolves again.
 *
 * Errors: negative errno and a sentence; nothing has changed then.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/err.h"
#include "route/fib.h"
#include "worker/link.h"

struct json;

struct route_params {
	/* Connected, static and kernel routes of each family; 0 = 64Ki and 16Ki. */
	uint32_t max_v4, max_v6;
	int socket;
	/* Runs fn(obj) when no worker can still see what was taken out before; NULL while there are
	 * no workers. */
	trie_defer *defer;
	void *defer_ctx;
};

int route_create(const struct route_params *params, struct route **out, struct err *err);
/* No worker reads it any more, and all that was deferred has run. NULL is fine. */
void route_free(struct route *r);

/* Tells of a port's link, or of its new addresses, MTU or MAC: adds and removes connected and own
 * addresses, and rewrites its next hops. An address that the kernel gave, or an IPv6 link-local
 * one, is our own and connects no prefix. The link is borrowed for the call. If it fails, the
 * addresses before the one named in *err are in place.
 */
int route_link_set(struct route *r, const struct link *link, struct err *err);

/* An own address beside the ports': an SA's local end. Counted: as many dels as adds. -ENOSPC:
 * OWN_MAX. */
int route_own_add(struct route *r, const struct addr *a, struct err *err);
void route_own_del(struct route *r, const struct addr *a);

/* A static route, or its new next hop; via NULL: the prefix is on the port's link. -EINVAL:
 * families differ, or the port is unknown. -ENOSPC: as many routes as max.
 */
int route_add(struct route *r, const struct prefix *p, const struct addr *via, uint8_t port,
	      struct err *err);
/* -ENOENT: there is none. */
int route_del(struct route *r, const struct prefix *p, struct err *err);

int route_neigh_set(struct route *r, const struct addr *a, const struct rte_ether_addr *mac,
		    uint8_t port, struct err *err);
/* -ENOENT: there is none. */
int route_neigh_del(struct route *r, const struct addr *a, uint8_t port, struct err *err);

/* Routes and neighbours of the kernel: like the static ones, and behind them. Set again: replaced
 * in place, no lookup finds a gap. port ROUTE_REFUSED (via NULL): the prefix leads nowhere,
 * whatever lies around it; packets end in `no_route`. The gateway need not be on the port's link.
 */
#define ROUTE_REFUSED UINT8_MAX
int route_kernel_set(struct route *r, const struct prefix *p, const struct addr *via, uint8_t port,
		     struct err *err);
int route_kernel_del(struct route *r, const struct prefix *p, struct err *err);
int route_kernel_neigh_set(struct route *r, const struct addr *a, const struct rte_ether_addr *mac,
			   uint8_t port, struct err *err);
int route_kernel_neigh_del(struct route *r, const struct addr *a, uint8_t port, struct err *err);

/* A next hop that somebody speaks of. needed: a route leads there, or an SA holds it; else it is a
 * neighbour and no more.
 */
struct route_hop_use {
	struct addr addr;
	uint8_t port;
	bool has_mac, needed;
};
/* Calls fn for each; fn changes no routes. O(next hops there ever were at once). */
void route_hops_walk(const struct route *r, void (*fn)(void *ctx, const struct route_hop_use *use),
		     void *ctx);

/* The next hop of an address now, kept for the caller until route_release. NEXT_HOP_NONE: no route;
 * it may be released too.
 */
uint16_t route_hold(struct route *r, const struct addr *a);
void route_release(struct route *r, uint16_t id);

/* Changes whenever an address may have got another next hop. */
uint32_t route_generation(const struct route *r);

/* The next hop of an address now, not kept. */
uint16_t route_of(const struct route *r, const struct addr *a);

/* "show route": routes and neighbours as a table for people, or as members of an open JSON object.
 */
void route_print(const struct route *r, FILE *f);
void route_json(const struct route *r, struct json *j);

#endif
