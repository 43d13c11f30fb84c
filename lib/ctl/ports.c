#include "ctl/ports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include "ctl/engines.h"
#include "ctl/frags.h"
#include "ctl/kernel.h"
#include "ctl/log.h"
#include "ctl/mirrors.h"
#include "ctl/offloads.h"
#include "ctl/pin.h"
#include "mirror/mirror.h"
#include "port/port.h"
#include "route/route.h"

#define AGAIN_NS UINT64_C(1000000000) /* until a reset that failed is tried again */

static uint8_t
addresses_fill(struct link_address to[PORT_ADDRESSES_MAX], const struct conf_port *c)
{
	uint8_t n = (uint8_t)RTE_MIN(c->addresses.n, (uint32_t)PORT_ADDRESSES_MAX);

	for (uint8_t i = 0; i < n; i++)
		to[i] = (struct link_address) {
			.addr = c->addresses.list[i].addr,
			.len = c->addresses.list[i].prefix_len,
		};
	return n;
}

static void
params_fill(struct port_params *p, const struct gw *gw, const struct conf_port *c)
{
	const struct gw_options *o = &gw->options;

	*p = (struct port_params) {
		.name = c->name,
		.device = c->device,
		.side = c->side == CONF_RED ? PORT_RED : PORT_BLACK,
		.mtu = c->mtu,
		.rx_desc = o->rx_desc != 0 ? o->rx_desc : c->rx_desc,
		.tx_desc = o->tx_desc != 0 ? o->tx_desc : c->tx_desc,
		.rx_queues = o->rx_queues != 0 ? o->rx_queues : c->rx_queues,
		.workers = c->workers == CONF_ALL ? 0 : c->workers,
		.promiscuous = c->promiscuous,
		.offloads = c->offloads,
		.ipsec = c->side == CONF_BLACK && strcmp(c->ipsec, "off") != 0 &&
			 engines_any(gw, ENGINE_INLINE),
	};
	p->n_addresses = addresses_fill(p->addresses, c);
}

/* One pool per NUMA socket that has workers, large enough for the largest MTU. */
static int
pools_init(struct gw *gw, struct err *err)
{
	const struct conf *c = gw->conf;
	struct port_params params[PORTS_MAX];
	uint16_t mtu = RTE_ETHER_MTU;
	uint32_t n;

	if (c->n_ports > PORTS_MAX)
		return err_set(err, -EINVAL, "%u ports: at most %d", c->n_ports, PORTS_MAX);
	for (uint32_t i = 0; i < c->n_ports; i++) {
		params_fill(&params[i], gw, &c->ports[i]);
		mtu = RTE_MAX(mtu, params[i].mtu);
	}
	n = port_pool_auto(params, c->n_ports, gw->n_workers);
	n += mirrors_mbufs(c, gw->n_workers);
	n += frags_mbufs(n, gw->n_workers);
	if (c->gateway.mbufs != CONF_AUTO)
		n = c->gateway.mbufs;
	for (uint16_t i = 0; i < gw->n_workers; i++) {
		char name[RTE_MEMPOOL_NAMESIZE];
		int rc = 0;

		for (uint16_t k = 0; k < i; k++)
			if (gw->workers[k]->socket == gw->workers[i]->socket)
				gw->pools[i] = gw->pools[k];
		snprintf(name, sizeof(name), "packets_%d", gw->workers[i]->socket);
		if (gw->pools[i] == NULL)
			rc = port_pool_create(name, n, mtu, gw->workers[i]->socket, &gw->pools[i],
					      err);
		if (rc < 0)
			return rc;
		gw->workers[i]->pool = gw->pools[i];
	}
	return 0;
}

/* With captures alone time is the packets' own: a run gives the same result at any speed. */
static enum clock_kind
clock_kind_of(const struct conf *c)
{
	for (uint32_t i = 0; i < c->n_ports; i++)
		if (!port_device_replays(c->ports[i].device) ||
		    (c->ports[i].mirror.on && !port_device_replays(c->ports[i].mirror.device)))
			return CLOCK_REAL;
	return CLOCK_STAMPS;
}

int
ports_init(struct gw *gw, struct err *err)
{
	const struct conf *c = gw->conf;
	int rc;

	clock_init(&gw->clock, clock_kind_of(c));
	rc = pools_init(gw, err);
	if (rc == 0)
		rc = ports_create(gw->n_workers, &gw->clock, &gw->ports, err);
	for (uint32_t i = 0; i < c->n_ports && rc == 0; i++) {
		struct port_params p;
		struct port *port;

		params_fill(&p, gw, &c->ports[i]);
		rc = port_open(gw->ports, &p, gw->pools, &port, err);
	}
	return rc;
}

void
ports_fini(struct gw *gw)
{
	ports_free(gw->ports);
	gw->ports = NULL;
	for (uint16_t i = 0; i < gw->n_workers; i++) {
		bool shared = false;

		for (uint16_t k = 0; k < i; k++)
			shared |= gw->pools[k] == gw->pools[i];
		if (!shared)
			rte_mempool_free(gw->pools[i]);
	}
	memset(gw->pools, 0, sizeof(gw->pools));
}

static void
shut_run(struct worker *w, void *arg)
{
	port_shut(w, (uint8_t)(uintptr_t)arg, true);
}

static void
open_run(struct worker *w, void *arg)
{
	port_shut(w, (uint8_t)(uintptr_t)arg, false);
}

/* A port whose peer is not there yet is shut, and calls again later. */
static int
first_start(struct gw *gw, struct port *port, struct err *err)
{
	int rc = port_start(port, err);

	if (rc == 0 || !port->calls)
		return rc;
	GW_LOG(NOTICE, "port %s: nobody there yet: it goes on calling\n", port->link.name);
	port->shut = true;
	gw_mail_all(gw, shut_run, (void *)(uintptr_t)port->link.index);
	return 0;
}

int
ports_start(struct gw *gw, struct err *err)
{
	int rc = 0;

	for (uint8_t i = 0; i < gw->ports->n && rc == 0; i++)
		rc = first_start(gw, gw->ports->list[i], err);
	/* What ports' devices do of the file's SAs they do from the first packet. */
	for (uint8_t i = 0; i < gw->ports->n && rc == 0; i++)
		if (gw->ports->list[i]->started)
			offloads_port_started(gw, i);
	return rc;
}

/* It has started. */
static bool
open_again(struct gw *gw, struct port *port)
{
	if (!gw_mail_all(gw, open_run, (void *)(uintptr_t)port->link.index))
		return false;
	port->shut = false;
	offloads_port_started(gw, port->link.index);
	return true;
}

/* The workers keep away from the port: opens it to them once it has started. */
static void
call_again(void *ctx, void *obj)
{
	struct port *port = obj;
	struct gw *gw = ctx;
	struct err err;

	if (!gw->running || !port->shut)
		return;
	pin_port_stops(gw, port->link.index);
	port_stop(port, NULL);
	offloads_port_stopped(gw, port->link.index, false);
	if (port_call_again(port, &err) < 0)
		GW_LOG(DEBUG, "%s\n", err.text);
	else
		open_again(gw, port);
}

/* It goes on later by itself, whoever wanted it first; people are told once. */
static void
reset_failed(struct gw *gw, struct port *port, enum port_due due, const char *why)
{
	port->due = (uint8_t)due;
	port->due_at = clock_now(&gw->clock) + (due == PORT_DUE_RESET ? AGAIN_NS : 0);
	if (port->complained)
		GW_LOG(DEBUG, "%s\n", why);
	else
		GW_LOG(ERR, "%s; %s\n", why,
		       port->shut ? "the port is shut until that succeeds" :
				    "its reset is tried again");
	port->complained = true;
}

/* No worker may be inside the driver when the device stops: what is done to it waits until all
 * have read their mail, and none gives it anything for its IPsec. A port that is shut is shut
 * again: of those that were to open it some may have been told, and others not.
 */
static int
stop_prepare(struct gw *gw, struct port *port, void (*then)(void *ctx, void *obj), struct err *err)
{
	void *index = (void *)(uintptr_t)port->link.index;
	const char *name = port->link.name;

	if (!gw_mail_all(gw, shut_run, index)) {
		err_set(err, -ENOBUFS, "port %s: a worker does not read its mail", name);
		/* As it was, with those that were told; or through with it, where they do not hear
		 * of that. */
		if (!port->shut && !gw_mail_all(gw, open_run, index))
			reset_failed(gw, port, PORT_DUE_RESET, err->text);
		return -ENOBUFS;
	}
	offloads_port_stops(gw, port->link.index);
	port->shut = true;
	if (defer_give(&gw->defer, 0, then, gw, port) < 0)
		return err_set(err, -ENOMEM, "port %s: no memory to stop it", name);
	return 0;
}

static void
call_prepare(struct gw *gw, struct port *port)
{
	struct err err;

	if (stop_prepare(gw, port, call_again, &err) < 0)
		GW_LOG(WARNING, "%s\n", err.text);
}

static void
reset_end(struct gw *gw, struct port *port)
{
	if (!open_again(gw, port)) {
		struct err err;

		err_set(&err, 0, "port %s: a worker does not read its mail", port->link.name);
		reset_failed(gw, port, PORT_DUE_OPEN, err.text);
		return;
	}
	GW_LOG(NOTICE, "port %s was reset%s\n", port->link.name,
	       port->asked ? ", as its device asked" : "");
	port->resets++;
	port->due = PORT_DUE_NOTHING;
	port->asked = port->complained = false;
}

/* A VF that was renewed may have another MAC address: that can be why it asked. */
static int
renew(struct gw *gw, struct port *port, bool *renewed, struct err *err)
{
	struct rte_ether_addr before = port->link.mac;
	int rc = port_renew(port, gw->pools, renewed, err);

	if (rc < 0 || rte_is_same_ether_addr(&before, &port->link.mac))
		return rc;
	return route_link_set(gw->route, &port->link, err);
}

static void
reset_go(void *ctx, void *obj)
{
	struct port *port = obj;
	struct gw *gw = ctx;
	struct err err = { "" };
	bool renewed = false;
	int rc;

	port->resetting = false;
	if (!gw->running)
		return;
	pin_port_stops(gw, port->link.index);
	rc = port_stop(port, &err);
	if (rc == 0 && port->asked)
		rc = renew(gw, port, &renewed, &err);
	if (rc == 0 || renewed)
		offloads_port_stopped(gw, port->link.index, renewed);
	if (rc == 0)
		rc = port_start(port, &err);
	if (rc < 0)
		reset_failed(gw, port, PORT_DUE_RESET, err.text);
	else
		reset_end(gw, port);
}

static int
reset_begin(struct gw *gw, struct port *port, struct err *err)
{
	int rc = stop_prepare(gw, port, reset_go, err);

	port->resetting = rc == 0;
	if (rc == 0)
		port->due = PORT_DUE_NOTHING;
	return rc;
}

int
ports_reset(struct gw *gw, const char *name, struct err *err)
{
	struct port *port = port_by_name(gw->ports, name);
	int rc;

	if (port == NULL)
		return err_set(err, -ENOENT, "there is no port %.60s: see show port", name);
	if (!gw->running)
		return err_set(err, -EAGAIN, "no worker runs");
	if (port->resetting)
		return err_set(err, -EBUSY, "port %s is being reset already", name);
	if (port->replays)
		return err_set(err, -ENOTSUP, "port %s replays a capture: it would begin again",
			       name);
	rc = reset_begin(gw, port, err);
	/* Its sessions are withdrawn: it must come to an end. */
	if (rc < 0 && port->shut && port->due == PORT_DUE_NOTHING && !port->calls)
		reset_failed(gw, port, PORT_DUE_RESET, err->text);
	return rc;
}

static void
asks_look(struct gw *gw, struct port *port, uint64_t now)
{
	if (!port_asks(port) || port->replays)
		return;
	GW_LOG(NOTICE, "port %s: its device asks for a reset\n", port->link.name);
	port->asked = true;
	port->due = PORT_DUE_RESET;
	port->due_at = now;
}

void
ports_tick(struct gw *gw, uint64_t now)
{
	struct err err;

	for (uint8_t i = 0; gw->running && i < gw->ports->n; i++) {
		struct port *port = gw->ports->list[i];

		asks_look(gw, port, now);
		if (port->resetting || port->due == PORT_DUE_NOTHING || now < port->due_at)
			continue;
		if (port->due == PORT_DUE_OPEN)
			reset_end(gw, port);
		else if (reset_begin(gw, port, &err) < 0)
			reset_failed(gw, port, PORT_DUE_RESET, err.text);
	}
}

void
ports_watch(struct gw *gw)
{
	for (uint8_t i = 0; i < gw->ports->n; i++) {
		struct port *port = gw->ports->list[i];
		char status[RTE_ETH_LINK_MAX_STR_LEN];
		struct rte_eth_link link;

		if (port_link_changed(port, &link)) {
			rte_eth_link_to_str(status, sizeof(status), &link);
			GW_LOG(NOTICE, "port %s: %s\n", port->link.name, status);
		}
		mirror_link_set(gw->mirrors, port, port->up);
		if (port->calls && (!port->up || port->shut))
			call_prepare(gw, port);
	}
}

/* By name: a reload may list the ports in another order than the one they were opened in. */
static uint8_t
index_of(const struct gw *gw, const char *port)
{
	return port_by_name(gw->ports, port)->link.index;
}

static int
route_set(struct gw *gw, const struct conf_route *c, struct err *err)
{
	struct prefix to = { .len = c->to.prefix_len };
	struct addr via;

	to.addr.family = c->to.family;
	memcpy(to.addr.octets, c->to.first, 16);
	via = c->via;
	return route_add(gw->route, &to, via.family != 0 ? &via : NULL, index_of(gw, c->port_name),
			 err);
}

static int
route_unset(struct gw *gw, const struct conf_route *c, struct err *err)
{
	struct prefix to = { .len = c->to.prefix_len };

	to.addr.family = c->to.family;
	memcpy(to.addr.octets, c->to.first, 16);
	return route_del(gw->route, &to, err);
}

static int
neighbour_set(struct gw *gw, const struct conf_neighbour *c, struct err *err)
{
	struct rte_ether_addr mac;
	struct addr ip;

	ip = c->ip;
	memcpy(mac.addr_bytes, c->mac, sizeof(mac.addr_bytes));
	return route_neigh_set(gw->route, &ip, &mac, index_of(gw, c->port_name), err);
}

static int
neighbour_unset(struct gw *gw, const struct conf_neighbour *c, struct err *err)
{
	struct addr ip;

	ip = c->ip;
	return route_neigh_del(gw->route, &ip, index_of(gw, c->port_name), err);
}

int
routes_init(struct gw *gw, struct err *err)
{
	const struct conf *c = gw->conf;
	struct route_params p = {
		.max_v4 = c->gateway.max_routes.v4,
		.max_v6 = c->gateway.max_routes.v6,
		.socket = rte_socket_id(),
		.defer = gw_defer_free,
		.defer_ctx = gw,
	};
	int rc = route_create(&p, &gw->route, err);

	for (uint8_t i = 0; i < gw->ports->n && rc == 0; i++)
		rc = route_link_set(gw->route, &gw->ports->list[i]->link, err);
	for (uint32_t i = 0; i < c->n_neighbours && rc == 0; i++)
		rc = neighbour_set(gw, &c->neighbours[i], err);
	for (uint32_t i = 0; i < c->n_routes && rc == 0; i++)
		rc = route_set(gw, &c->routes[i], err);
	return rc;
}

void
routes_fini(struct gw *gw)
{
	defer_poll(&gw->defer, 0, true);
	route_free(gw->route);
	gw->route = NULL;
}

/* Of a port that runs only its addresses change. */
static int
addresses_set(struct gw *gw, const struct conf_port *c, struct err *err)
{
	struct link *link = &port_by_name(gw->ports, c->name)->link;

	int rc;

	link->n_addresses = addresses_fill(link->addresses, c);
	rc = kernel_addresses(gw, link, err);
	return rc < 0 ? rc : route_link_set(gw->route, link, err);
}

int
routes_change(struct gw *gw, const struct conf *next, const struct conf_diff *diff, struct err *err)
{
	const struct conf *old = gw->conf;
	int rc = 0;

	for (uint32_t i = 0; i < diff->n && rc == 0; i++) {
		const struct conf_change *c = &diff->changes[i];

		if (c->kind == CONF_PORT)
			rc = addresses_set(gw, &next->ports[c->now], err);
		else if (c->kind == CONF_ROUTE && c->verb == CONF_REMOVED)
			rc = route_unset(gw, &old->routes[c->was], err);
		else if (c->kind == CONF_NEIGHBOUR && c->verb == CONF_REMOVED)
			rc = neighbour_unset(gw, &old->neighbours[c->was], err);
		else if (c->kind == CONF_NEIGHBOUR)
			rc = neighbour_set(gw, &next->neighbours[c->now], err);
		else if (c->kind == CONF_ROUTE)
			rc = route_set(gw, &next->routes[c->now], err);
	}
	return rc;
}
