#include <errno.h>
#include <stdlib.h>

#include <linux/rtnetlink.h>

#include "mirror/follow_state.h"
#include "route/route.h"

#define RETRY_NS UINT64_C(1000000000)

static struct kroute **
bucket_of(struct follow *f, const struct prefix *p)
{
	uint64_t h = p->len;

	for (int i = 0; i < 16; i++)
		h = (h ^ p->addr.octets[i]) * UINT64_C(0x100000001b3);
	return &f->routes[(h ^ h >> 32) % ROUTE_BUCKETS];
}

static struct kroute **
route_at(struct follow *f, const struct prefix *p)
{
	struct kroute **at = bucket_of(f, p);

	while (*at != NULL && ((*at)->to.len != p->len || !addr_equal(&(*at)->to.addr, &p->addr)))
		at = &(*at)->next;
	return at;
}

static void
untell(struct follow *f, struct kroute *r)
{
	if (!r->told)
		return;
	route_kernel_del(f->params.route, &r->to, NULL);
	r->told = false;
	f->count.routes--;
	f->room = true;
}

static void
tell(struct follow *f, struct kroute *r)
{
	const struct path *best = r->paths;
	struct err err;

	if (r->told && r->port == best->port && addr_equal(&r->via, &best->via))
		return;
	if (route_kernel_set(f->params.route, &r->to, best->via.family != 0 ? &best->via : NULL,
			     best->port, &err) < 0) {
		untell(f, r);
		follow_warn(f, "kernel route %s", err.text);
		return;
	}
	f->count.routes += !r->told;
	r->told = true;
	r->port = best->port;
	r->via = best->via;
	f->walk_soon = true;
}

/* After its paths changed: lib/route has the best one, or nothing, and the route goes with its last
 * path. */
static void
apply(struct follow *f, struct kroute **at)
{
	struct kroute *r = *at;
	bool was_untold = !r->told;

	if (r->paths != NULL) {
		tell(f, r);
		f->n_untold += !r->told && !was_untold;
		f->n_untold -= r->told && was_untold;
		return;
	}
	untell(f, r);
	f->n_untold -= was_untold;
	*at = r->next;
	free(r);
}

static bool
is_refusal(const struct kernel_route *k)
{
	return k->type == RTN_BLACKHOLE || k->type == RTN_UNREACHABLE || k->type == RTN_PROHIBIT;
}

/* The first next hop that a mirror has; false: none. */
static bool
path_make(const struct follow *f, const struct kernel_route *k, struct path *out)
{
	*out = (struct path) { .metric = k->metric, .mark = f->mark, .multipath = k->multipath };
	if (is_refusal(k)) {
		out->port = ROUTE_REFUSED;
		return true;
	}
	for (uint8_t i = 0; i < k->n_hops && k->type == RTN_UNICAST; i++) {
		out->port = follow_port_of(f, k->hops[i].ifindex);
		out->via = k->hops[i].via;
		if (out->port < PORTS_MAX && !k->hops[i].dead)
			return true;
	}
	return false;
}

/* Takes out the paths that fit, tells how many. */
static uint32_t
paths_drop(struct kroute *r, bool (*fits)(const struct path *p, const void *arg), const void *arg)
{
	struct path **at = &r->paths;
	uint32_t n = 0;

	while (*at != NULL) {
		struct path *p = *at;

		if (!fits(p, arg)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		free(p);
		n++;
	}
	return n;
}

static bool
is_metric(const struct path *p, const void *arg)
{
	return p->metric == *(const uint32_t *)arg;
}

static void
path_add(struct follow *f, struct kroute *r, const struct path *path, bool first)
{
	struct path **at = &r->paths, **place, *p;

	while (*at != NULL && (*at)->metric < path->metric)
		at = &(*at)->next;
	place = at;
	for (; *at != NULL && (*at)->metric == path->metric; at = &p->next) {
		p = *at;
		if (p->port == path->port && addr_equal(&p->via, &path->via)) {
			p->mark = f->mark;
			p->multipath = path->multipath;
			return;
		}
	}
	if (first)
		at = place;
	p = malloc(sizeof(*p));
	if (p == NULL) {
		follow_warn(f, "no memory for the kernel's routes");
		return;
	}
	*p = *path;
	p->next = *at;
	*at = p;
}

/* lib/route hears of the outcome alone, so that lookups find no gap where one path takes the place
 * of others. */
static void
route_made(struct follow *f, const struct kernel_route *k)
{
	struct kroute **at = route_at(f, &k->to), *r = *at;
	bool instead = k->replaces || (k->multipath && k->to.addr.family == 6);
	struct path path;
	bool usable = path_make(f, k, &path);

	if (r == NULL && !usable)
		return;
	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL) {
			follow_warn(f, "no memory for the kernel's routes");
			return;
		}
		r->to = k->to;
		*at = r;
		f->n_untold++;
	}
	/* Which of several the kernel replaced, it does not say. */
	if (instead && paths_drop(r, is_metric, &k->metric) > 1)
		follow_resync(f, RESYNC_ROUTES);
	if (usable)
		path_add(f, r, &path, k->first);
	apply(f, at);
}

static bool
is_said(const struct path *p, const struct kernel_route *k, const struct follow *f)
{
	if (p->metric != k->metric)
		return false;
	if (is_refusal(k))
		return p->port == ROUTE_REFUSED;
	for (uint8_t i = 0; i < k->n_hops; i++)
		if (p->port == follow_port_of(f, k->hops[i].ifindex) &&
		    addr_equal(&p->via, &k->hops[i].via))
			return true;
	return false;
}

static void
route_gone(struct follow *f, const struct kernel_route *k)
{
	struct kroute **at = route_at(f, &k->to);
	struct path **link;

	if (*at == NULL)
		return;
	link = &(*at)->paths;
	while (*link != NULL) {
		struct path *p = *link;

		if (!is_said(p, k, f)) {
			link = &p->next;
			continue;
		}
		/* One next hop of several: which are left, only a dump tells; until then it
		 * stays. */
		if (p->multipath && !k->multipath) {
			follow_resync(f, RESYNC_ROUTES);
			return;
		}
		*link = p->next;
		free(p);
		break;
	}
	apply(f, at);
}

static bool
is_link_local(const struct prefix *p)
{
	const uint8_t *o = p->addr.octets;

	return p->addr.family == 6 && p->len >= 10 && o[0] == 0xfe && (o[1] & 0xc0) == 0x80;
}

static bool
is_multicast(const struct prefix *p)
{
	const uint8_t *o = p->addr.octets;

	return p->addr.family == 6 ? p->len >= 8 && o[0] == 0xff : p->len >= 4 && o[0] >= 224;
}

void
routes_take(struct follow *f, const struct kernel_message *m)
{
	const struct kernel_route *k = &m->route;

	if (k->table != RT_TABLE_MAIN || k->special || is_link_local(&k->to) ||
	    is_multicast(&k->to))
		return;
	if (m->gone)
		route_gone(f, k);
	else
		route_made(f, k);
}

static bool
is_unmarked(const struct path *p, const void *arg)
{
	return p->mark != *(const uint32_t *)arg;
}

static bool
is_of_port(const struct path *p, const void *arg)
{
	uint8_t port = *(const uint8_t *)arg;

	return port == PORTS_MAX || p->port == port;
}

static void
routes_drop(struct follow *f, uint8_t family, bool (*fits)(const struct path *p, const void *arg),
	    const void *arg)
{
	for (uint32_t i = 0; i < ROUTE_BUCKETS; i++) {
		struct kroute **at = &f->routes[i];

		while (*at != NULL) {
			struct kroute *r = *at;

			if ((family == 0 || r->to.addr.family == family) &&
			    paths_drop(r, fits, arg) > 0)
				apply(f, at);
			if (*at == r)
				at = &r->next;
		}
	}
}

void
routes_sweep(struct follow *f, uint8_t family)
{
	routes_drop(f, family, is_unmarked, &f->mark);
}

void
routes_forget(struct follow *f, uint8_t port)
{
	routes_drop(f, 0, is_of_port, &port);
}

/* Where there was no room there may be some now. */
void
routes_tick(struct follow *f)
{
	f->count.routes_refused = f->n_untold;
	if (f->n_untold == 0 || !f->room || f->now < f->retry_at)
		return;
	f->retry_at = f->now + RETRY_NS;
	f->room = false;
	for (uint32_t i = 0; i < ROUTE_BUCKETS && f->n_untold > 0; i++)
		for (struct kroute **at = &f->routes[i]; *at != NULL; at = &(*at)->next)
			if (!(*at)->told)
				apply(f, at);
}
