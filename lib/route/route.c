#include "route/route.h"

#include <errno.h>

#include <rte_malloc.h>

#include "route/control.h"

#define MAX_V4_DEFAULT 65536
#define MAX_V6_DEFAULT 16384

void
control_defer(struct control *c, void (*fn)(void *), void *obj)
{
	if (c->params.defer != NULL)
		c->params.defer(c->params.defer_ctx, fn, obj);
	else
		fn(obj);
}

static int
tables_init(struct route *r, struct err *err)
{
	struct control *c = r->control;
	const struct route_params *p = &c->params;
	int rc;

	rc = hops_init(c, err);
	if (rc < 0)
		return rc;
	rc = trie_init(&r->v4, NEXT_HOP_NONE, p->socket, p->defer, p->defer_ctx, err);
	if (rc < 0)
		return rc;
	rc = trie_init(&r->v6, NEXT_HOP_NONE, p->socket, p->defer, p->defer_ctx, err);
	if (rc < 0)
		return rc;
	r->own = own_next(NULL, NULL, NULL, p->socket);
	if (r->own == NULL)
		return err_set(err, -ENOMEM, "no memory for the table of own addresses");
	return 0;
}

int
route_create(const struct route_params *params, struct route **out, struct err *err)
{
	struct route *r =
		rte_zmalloc_socket("route", sizeof(*r), RTE_CACHE_LINE_SIZE, params->socket);
	int rc;

	if (r == NULL)
		return err_set(err, -ENOMEM, "no memory for routes");
	r->control = calloc(1, sizeof(*r->control));
	if (r->control == NULL) {
		rte_free(r);
		return err_set(err, -ENOMEM, "no memory for routes");
	}
	r->control->route = r;
	r->control->params = *params;
	if (params->max_v4 == 0)
		r->control->params.max_v4 = MAX_V4_DEFAULT;
	if (params->max_v6 == 0)
		r->control->params.max_v6 = MAX_V6_DEFAULT;
	rc = tables_init(r, err);
	if (rc < 0) {
		route_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void
route_free(struct route *r)
{
	if (r == NULL)
		return;
	prefixes_fini(r->control);
	hops_fini(r->control);
	trie_fini(&r->v4);
	trie_fini(&r->v6);
	rte_free((void *)(uintptr_t)r->own);
	free(r->control);
	rte_free(r);
}

uint32_t
route_generation(const struct route *r)
{
	return r->control->generation;
}

uint16_t
route_of(const struct route *r, const struct addr *a)
{
	return trie_lookup(a->family == 4 ? &r->v4 : &r->v6, a->octets);
}

/* Own addresses. */

static int
own_publish(struct route *r, const struct addr *more, const struct addr *less, struct err *err)
{
	const struct own *old = r->own;
	struct own *o = own_next(old, more, less, r->control->params.socket);

	if (o == NULL)
		return err_set(err, -ENOMEM, "no memory for the table of own addresses");
	__atomic_store_n(&r->own, o, __ATOMIC_RELEASE);
	control_defer(r->control, rte_free, (void *)(uintptr_t)old);
	return 0;
}

/* One host's address: not unspecified, not multicast. */
static bool
addr_is_usable(const struct addr *a)
{
	static const uint8_t zero[16];

	if (memcmp(a->octets, zero, sizeof(zero)) == 0)
		return false;
	return a->family == 4 ? a->octets[0] < 224 : a->octets[0] != 0xff;
}

int
route_own_add(struct route *r, const struct addr *a, struct err *err)
{
	struct prefix p = prefix_of(a, addr_bits(a));
	struct entry *e = prefix_find(r->control, &p);
	char text[ADDR_TEXT_SIZE];
	int rc;

	if (!addr_is_usable(a))
		return err_set(err, -EINVAL, "%s cannot be an address of ours", addr_text(a, text));
	if (e != NULL && e->n_local > 0) {
		e->n_local++;
		return 0;
	}
	if (own_full(r->own, a->family))
		return err_set(err, -ENOSPC, "%s would be own address %u, one too many",
			       addr_text(a, text), OWN_MAX + 1);
	rc = prefix_set(r->control, &p, ORIGIN_LOCAL, HOP_LOCAL, err);
	if (rc < 0)
		return rc;
	rc = own_publish(r, a, NULL, err);
	if (rc < 0) {
		prefix_unset(r->control, &p, ORIGIN_LOCAL);
		return rc;
	}
	prefix_find(r->control, &p)->n_local = 1;
	return 0;
}

void
route_own_del(struct route *r, const struct addr *a)
{
	struct prefix p = prefix_of(a, addr_bits(a));
	struct entry *e = prefix_find(r->control, &p);

	if (e == NULL || e->n_local == 0 || --e->n_local > 0)
		return;
	prefix_unset(r->control, &p, ORIGIN_LOCAL);
	/* Without memory for the next table the old one stays: one address too many is taken for
	 * ours. */
	own_publish(r, NULL, a, NULL);
}

/* Neighbours. */

static bool
leads_to_link(const struct control *c, uint16_t id, uint8_t port)
{
	return (c->hops[id].flags & HOP_ON_LINK) != 0 && c->hops[id].port == port;
}

/* Whether an address is on a port's link: its own prefix, or the one around it, leads there without
 * a gateway. */
static bool
is_on_link(const struct control *c, const struct addr *a, uint8_t port)
{
	struct prefix p = prefix_of(a, addr_bits(a));
	const struct entry *e = prefix_find(c, &p);
	uint8_t len;

	for (int i = ORIGIN_CONNECTED; e != NULL && i < ORIGIN_NEIGHBOUR; i++)
		if (leads_to_link(c, e->hop[i], port))
			return true;
	return leads_to_link(c, prefix_around(c, &p, &len), port);
}

/* A neighbour has its own route as long as it is on the link. */
static int
neighbour_review(struct control *c, uint16_t id, struct err *err)
{
	const struct next_hop *h = &c->hops[id];
	struct addr a = hop_addr(h);
	struct prefix p = prefix_of(&a, addr_bits(&a));
	struct entry *e = prefix_find(c, &p);
	bool has = e != NULL && e->hop[ORIGIN_NEIGHBOUR] == id;
	bool wants = c->book[id].known != 0 && is_on_link(c, &a, h->port);
	int rc;

	if (has && !wants)
		prefix_unset(c, &p, ORIGIN_NEIGHBOUR);
	if (has || !wants)
		return 0;
	hop_keep(c, id);
	rc = prefix_set(c, &p, ORIGIN_NEIGHBOUR, id, err);
	if (rc < 0)
		hop_give(c, id);
	return rc;
}

/* After a prefix came or went: the neighbours inside, or all. */
static int
neighbours_review(struct control *c, const struct prefix *p, struct err *err)
{
	int rc = 0;

	for (uint16_t id = c->neighbours; id != NEXT_HOP_NONE; id = c->book[id].later) {
		struct addr a = hop_addr(&c->hops[id]);
		int one = 0;

		if (p == NULL || prefix_covers(p, &a))
			one = neighbour_review(c, id, err);
		if (one < 0)
			rc = one;
	}
	return rc;
}

static int
port_check(const struct control *c, uint8_t port, const char *what, struct err *err)
{
	if (port < PORTS_MAX && c->known[port])
		return 0;
	return err_set(err, -EINVAL, "%s: there is no port %u", what, port);
}

static int
neigh_set(struct control *c, const struct addr *a, const struct rte_ether_addr *mac, uint8_t port,
	  enum neigh_origin origin, struct err *err)
{
	char text[ADDR_TEXT_SIZE];
	uint16_t id;
	bool was;
	int rc;

	rc = port_check(c, port, addr_text(a, text), err);
	if (rc < 0)
		return rc;
	if (!addr_is_usable(a))
		return err_set(err, -EINVAL, "%s cannot be a neighbour", text);
	rc = hop_take(c, port, a->family, a, &id, err);
	if (rc < 0)
		return rc;
	/* One reference for being a neighbour, however often it is said. */
	was = (c->book[id].known & 1 << origin) != 0;
	if (was)
		hop_give(c, id);
	hop_set_mac(c, id, origin, mac);
	rc = neighbour_review(c, id, err);
	if (rc < 0 && !was) {
		hop_set_mac(c, id, origin, NULL);
		hop_give(c, id);
	}
	return rc;
}

static int
neigh_del(struct control *c, const struct addr *a, uint8_t port, enum neigh_origin origin,
	  struct err *err)
{
	uint16_t id = hop_find(c, port, a->family, a);
	char text[ADDR_TEXT_SIZE];

	if (id == NEXT_HOP_NONE || (c->book[id].known & 1 << origin) == 0)
		return err_set(err, -ENOENT, "%s is no neighbour", addr_text(a, text));
	hop_set_mac(c, id, origin, NULL);
	neighbour_review(c, id, err);
	hop_give(c, id);
	return 0;
}

int
route_neigh_set(struct route *r, const struct addr *a, const struct rte_ether_addr *mac,
		uint8_t port, struct err *err)
{
	return neigh_set(r->control, a, mac, port, NEIGH_STATIC, err);
}

int
route_neigh_del(struct route *r, const struct addr *a, uint8_t port, struct err *err)
{
	return neigh_del(r->control, a, port, NEIGH_STATIC, err);
}

int
route_kernel_neigh_set(struct route *r, const struct addr *a, const struct rte_ether_addr *mac,
		       uint8_t port, struct err *err)
{
	return neigh_set(r->control, a, mac, port, NEIGH_KERNEL, err);
}

int
route_kernel_neigh_del(struct route *r, const struct addr *a, uint8_t port, struct err *err)
{
	return neigh_del(r->control, a, port, NEIGH_KERNEL, err);
}

/* Connected, static and kernel routes. */

static int
room_check(const struct control *c, const struct prefix *p, enum origin origin, struct err *err)
{
	const struct entry *e = prefix_find(c, p);
	bool v6 = p->addr.family == 6;
	uint32_t max = v6 ? c->params.max_v6 : c->params.max_v4;
	char text[ADDR_TEXT_SIZE];

	if ((e != NULL && e->hop[origin] != NEXT_HOP_NONE) || c->n_routes[v6] < max)
		return 0;
	return err_set(err, -ENOSPC, "%s: there are %u routes already; raise gateway.max_routes",
		       prefix_text(p, text), max);
}

static int
prefix_route(struct control *c, const struct prefix *p, enum origin origin, const struct addr *via,
	     uint8_t port, struct err *err)
{
	const struct entry *e = prefix_find(c, p);
	bool is_new = e == NULL || e->hop[origin] == NEXT_HOP_NONE;
	uint16_t id = HOP_REFUSED;
	int rc;

	rc = room_check(c, p, origin, err);
	if (rc < 0)
		return rc;
	if (port != ROUTE_REFUSED)
		rc = hop_take(c, port, p->addr.family, via, &id, err);
	if (rc < 0)
		return rc;
	rc = prefix_set(c, p, origin, id, err);
	if (rc < 0) {
		hop_give(c, id);
		return rc;
	}
	c->n_routes[p->addr.family == 6] += is_new;
	return 0;
}

static void
prefix_unroute(struct control *c, const struct prefix *p, enum origin origin)
{
	prefix_unset(c, p, origin);
	c->n_routes[p->addr.family == 6]--;
}

static int
route_put(struct control *c, const struct prefix *p, enum origin origin, const struct addr *via,
	  uint8_t port, struct err *err)
{
	struct prefix masked = prefix_of(&p->addr, p->len);
	char text[ADDR_TEXT_SIZE];
	int rc = 0;

	prefix_text(&masked, text);
	if (origin != ORIGIN_KERNEL || port != ROUTE_REFUSED)
		rc = port_check(c, port, text, err);
	if (rc < 0)
		return rc;
	if (via != NULL && via->family != p->addr.family)
		return err_set(err, -EINVAL, "%s: the next hop is of the other family", text);
	if (p->len > addr_bits(&p->addr))
		return err_set(err, -EINVAL, "%s: longer than an address", text);
	rc = prefix_route(c, &masked, origin, via, port, err);
	return rc < 0 ? rc : neighbours_review(c, &masked, err);
}

static int
route_take(struct control *c, const struct prefix *p, enum origin origin, struct err *err)
{
	struct prefix masked = prefix_of(&p->addr, p->len);
	const struct entry *e = prefix_find(c, &masked);
	char text[ADDR_TEXT_SIZE];

	if (e == NULL || e->hop[origin] == NEXT_HOP_NONE)
		return err_set(err, -ENOENT, "%s: there is no such %s route",
			       prefix_text(&masked, text), origin_name(origin));
	prefix_unroute(c, &masked, origin);
	return neighbours_review(c, &masked, err);
}

int
route_add(struct route *r, const struct prefix *p, const struct addr *via, uint8_t port,
	  struct err *err)
{
	return route_put(r->control, p, ORIGIN_STATIC, via, port, err);
}

int
route_del(struct route *r, const struct prefix *p, struct err *err)
{
	return route_take(r->control, p, ORIGIN_STATIC, err);
}

int
route_kernel_set(struct route *r, const struct prefix *p, const struct addr *via, uint8_t port,
		 struct err *err)
{
	return route_put(r->control, p, ORIGIN_KERNEL, via, port, err);
}

int
route_kernel_del(struct route *r, const struct prefix *p, struct err *err)
{
	return route_take(r->control, p, ORIGIN_KERNEL, err);
}

/* Ports. */

static bool
list_has(const struct link_address *list, uint8_t n, const struct link_address *a)
{
	for (uint8_t i = 0; i < n; i++)
		if (list[i].len == a->len && list[i].kernel == a->kernel &&
		    addr_equal(&list[i].addr, &a->addr))
			return true;
	return false;
}

/* Whether an address brings the prefix on the link with it. That of an IPv6 link-local one is on
 * every link, so no route can tell which one is meant.
 */
static bool
connects(const struct link_address *a)
{
	bool link_local = a->addr.family == 6 && a->addr.octets[0] == 0xfe &&
			  (a->addr.octets[1] & 0xc0) == 0x80;

	return !a->kernel && !link_local;
}

/* Several addresses of one port may share a prefix; it is connected once. */
static bool
link_shares(const struct link *link, const struct prefix *p)
{
	for (uint8_t i = 0; i < link->n_addresses; i++)
		if (connects(&link->addresses[i]) && link->addresses[i].len == p->len &&
		    prefix_covers(p, &link->addresses[i].addr))
			return true;
	return false;
}

static int
address_add(struct route *r, uint8_t port, const struct link_address *a, struct err *err)
{
	struct link *link = &r->control->links[port];
	struct prefix p = prefix_of(&a->addr, a->len);
	const struct entry *e = prefix_find(r->control, &p);
	bool shared = !connects(a) || link_shares(link, &p);
	char text[ADDR_TEXT_SIZE];
	int rc = 0;

	if (!shared && e != NULL && e->hop[ORIGIN_CONNECTED] != NEXT_HOP_NONE)
		return err_set(err, -EEXIST, "%s is on the link of another port already",
			       prefix_text(&p, text));
	if (!shared)
		rc = prefix_route(r->control, &p, ORIGIN_CONNECTED, NULL, port, err);
	if (rc < 0)
		return rc;
	rc = route_own_add(r, &a->addr, err);
	if (rc < 0 && !shared)
		prefix_unroute(r->control, &p, ORIGIN_CONNECTED);
	if (rc == 0)
		link->addresses[link->n_addresses++] = *a;
	return rc;
}

static void
address_del(struct route *r, uint8_t port, uint8_t i)
{
	struct link *link = &r->control->links[port];
	struct link_address a = link->addresses[i];
	struct prefix p = prefix_of(&a.addr, a.len);

	link->addresses[i] = link->addresses[--link->n_addresses];
	if (connects(&a) && !link_shares(link, &p))
		prefix_unroute(r->control, &p, ORIGIN_CONNECTED);
	route_own_del(r, &a.addr);
}

int
route_link_set(struct route *r, const struct link *link, struct err *err)
{
	struct link *known = &r->control->links[link->index], before = *known;

	/* All but the addresses, which follow one by one. */
	*known = *link;
	known->n_addresses = before.n_addresses;
	memcpy(known->addresses, before.addresses, sizeof(before.addresses));
	r->control->known[link->index] = true;
	hops_of_port_write(r->control, link->index);
	for (uint8_t i = known->n_addresses; i > 0; i--)
		if (!list_has(link->addresses, link->n_addresses, &known->addresses[i - 1]))
			address_del(r, link->index, i - 1);
	for (uint8_t i = 0; i < link->n_addresses; i++) {
		const struct link_address *a = &link->addresses[i];
		int rc = 0;

		if (!list_has(known->addresses, known->n_addresses, a))
			rc = address_add(r, link->index, a, err);
		if (rc < 0)
			return rc;
	}
	return neighbours_review(r->control, NULL, err);
}

/* Next hops for SAs, and for who finds out their neighbours. */

uint16_t
route_hold(struct route *r, const struct addr *a)
{
	struct control *c = r->control;
	uint16_t id = route_of(r, a), own;

	/* On the link, and not known yet: its own next hop, which the neighbour will complete. */
	if ((c->hops[id].flags & HOP_ON_LINK) != 0 &&
	    hop_take(c, c->hops[id].port, a->family, a, &own, NULL) == 0)
		return own;
	hop_keep(c, id);
	return id;
}

void
route_release(struct route *r, uint16_t id)
{
	hop_give(r->control, id);
}

static bool
has_own_route(const struct control *c, uint16_t id)
{
	struct addr a = hop_addr(&c->hops[id]);
	struct prefix p = prefix_of(&a, addr_bits(&a));
	const struct entry *e = prefix_find(c, &p);

	return e != NULL && e->hop[ORIGIN_NEIGHBOUR] == id;
}

void
route_hops_walk(const struct route *r, void (*fn)(void *ctx, const struct route_hop_use *use),
		void *ctx)
{
	const struct control *c = r->control;

	for (uint32_t id = HOP_FIRST; id < c->hops_end; id++) {
		const struct hop_book *book = &c->book[id];
		struct route_hop_use use = { .port = c->hops[id].port };
		uint32_t as_neighbour = (uint32_t)__builtin_popcount(book->known);

		if (book->refs == 0 || (c->hops[id].flags & HOP_ON_LINK) != 0)
			continue;
		if (as_neighbour > 0)
			as_neighbour += has_own_route(c, (uint16_t)id);
		use.addr = hop_addr(&c->hops[id]);
		use.has_mac = book->known != 0;
		use.needed = book->refs > as_neighbour;
		fn(ctx, &use);
	}
}
