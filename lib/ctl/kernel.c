#include "ctl/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "ctl/log.h"
#include "ctl/sas.h"
#include "ctl/view.h"
#include "mirror/follow.h"
#include "mirror/mirror.h"
#include "port/port.h"
#include "route/route.h"

#define SAS_A_TICK 8192 /* a millisecond or two */

/* The addresses of a port that only the kernel has. */
struct kernel_port {
	uint8_t n;
	struct link_address list[LINK_ADDRESSES_MAX];
};

struct kernel {
	struct gw *gw;
	struct follow *follow;
	struct kernel_port ports[PORTS_MAX];
	bool renew; /* the view */
	/* SAs are pointed at their next hops again, so many a tick. */
	uint32_t generation; /* of routes, that was seen */
	uint32_t sa_from;
	bool round, again;
};

static void
warn(void *ctx, const char *sentence)
{
	GW_LOG(WARNING, "%s\n", sentence);
}

static void
kernel_part_add(const struct kernel *k, struct link *link)
{
	const struct kernel_port *p = &k->ports[link->index];

	for (uint8_t i = 0; i < p->n && link->n_addresses < LINK_ADDRESSES_MAX; i++)
		link->addresses[link->n_addresses++] = p->list[i];
}

static void
addresses_changed(void *ctx, uint8_t port, const struct link_address *list, uint8_t n)
{
	struct kernel *k = ctx;
	struct link *link = &k->gw->ports->list[port]->link;
	uint8_t of_file = 0;
	struct err err;

	k->ports[port].n = n;
	memcpy(k->ports[port].list, list, n * sizeof(*list));
	for (uint8_t i = 0; i < link->n_addresses; i++)
		if (!link->addresses[i].kernel)
			link->addresses[of_file++] = link->addresses[i];
	link->n_addresses = of_file;
	kernel_part_add(k, link);
	if (route_link_set(k->gw->route, link, &err) < 0)
		GW_LOG(WARNING, "port %s: an address of the kernel's: %s\n", link->name, err.text);
	k->renew = true;
}

static void
unresolved(void *ctx, const struct unresolved_event *event)
{
	struct kernel *k = ctx;

	follow_unresolved(k->follow, event, clock_now(&k->gw->clock));
}

static int
port_begin(struct kernel *k, const struct port *port, struct err *err)
{
	uint32_t ifindex = mirror_ifindex(k->gw->mirrors, port->link.index);

	if (ifindex == 0)
		return 0;
	follow_port_set(k->follow, port->link.index, ifindex);
	return follow_addresses_set(k->follow, port->link.index, port->link.addresses,
				    port->link.n_addresses, err);
}

/* Behind a device there is some host, but none that tells us of its tables. */
static bool
has_tap(const struct gw *gw)
{
	for (uint8_t i = 0; i < gw->ports->n; i++)
		if (mirror_ifindex(gw->mirrors, i) != 0)
			return true;
	return false;
}

int
kernel_init(struct gw *gw, struct err *err)
{
	struct follow_params params = {
		.route = gw->route,
		.poller = gw->options.poller,
		.addresses = addresses_changed,
		.warn = warn,
	};
	int rc;

	if (!has_tap(gw))
		return 0;
	gw->kernel = calloc(1, sizeof(*gw->kernel));
	if (gw->kernel == NULL)
		return err_set(err, -ENOMEM, "no memory to follow the kernel");
	gw->kernel->gw = gw;
	params.ctx = gw->kernel;
	rc = follow_create(&params, &gw->kernel->follow, err);
	for (uint8_t i = 0; i < gw->ports->n && rc == 0; i++)
		rc = port_begin(gw->kernel, gw->ports->list[i], err);
	if (rc == 0)
		gw->resolver = (struct gw_resolver) { gw->kernel, unresolved };
	return rc;
}

void
kernel_fini(struct gw *gw)
{
	if (gw->kernel == NULL)
		return;
	gw->resolver = (struct gw_resolver) { 0 };
	follow_free(gw->kernel->follow);
	free(gw->kernel);
	gw->kernel = NULL;
}

/* Once round after changes of routes, and once more if there were others meanwhile. An SA holds the
 * next hop it has, so what is not reached yet goes the old way, and no wrong one.
 */
static void
sas_point(struct kernel *k)
{
	uint32_t generation = route_generation(k->gw->route);

	if (generation != k->generation) {
		k->generation = generation;
		k->again = true;
	}
	if (!k->round && !k->again)
		return;
	if (!k->round) {
		k->round = true;
		k->again = false;
	}
	k->round = sas_route_some(k->gw, &k->sa_from, SAS_A_TICK);
}

void
kernel_tick(struct gw *gw, uint64_t now)
{
	struct kernel *k = gw->kernel;
	struct err err;

	if (k == NULL)
		return;
	follow_tick(k->follow, now);
	sas_point(k);
	if (!k->renew)
		return;
	if (view_renew(gw, &err) < 0)
		GW_LOG(WARNING, "addresses of the kernel: %s\n", err.text);
	else
		k->renew = false;
}

int
kernel_addresses(struct gw *gw, struct link *link, struct err *err)
{
	struct kernel *k = gw->kernel;
	int rc;

	if (k == NULL || mirror_ifindex(gw->mirrors, link->index) == 0)
		return 0;
	rc = follow_addresses_set(k->follow, link->index, link->addresses, link->n_addresses, err);
	kernel_part_add(k, link);
	return rc;
}

void
kernel_print(const struct gw *gw, FILE *f)
{
	struct follow_counters c;

	if (gw->kernel == NULL)
		return;
	c = follow_counters(gw->kernel->follow);
	fprintf(f,
		"kernel: %u routes (%u without room), %u neighbours, %u addresses; "
		"%" PRIu64 " messages, %" PRIu64 " resyncs, %" PRIu64 " overruns; "
		"asked for %" PRIu64 " neighbours, %" PRIu64 " refused, %" PRIu64
		" not asked for\n",
		c.routes, c.routes_refused, c.neighbours, c.addresses, c.messages, c.resyncs,
		c.overruns, c.asked, c.ask_failed, c.ask_bounded);
}

void
kernel_json(const struct gw *gw, struct json *j)
{
	struct follow_counters c;

	if (gw->kernel == NULL)
		return;
	c = follow_counters(gw->kernel->follow);
	json_object(j, "kernel");
	json_u64(j, "routes", c.routes);
	json_u64(j, "routes_refused", c.routes_refused);
	json_u64(j, "neighbours", c.neighbours);
	json_u64(j, "addresses", c.addresses);
	json_u64(j, "messages", c.messages);
	json_u64(j, "resyncs", c.resyncs);
	json_u64(j, "overruns", c.overruns);
	json_u64(j, "asked", c.asked);
	json_u64(j, "ask_failed", c.ask_failed);
	json_u64(j, "ask_bounded", c.ask_bounded);
	json_end(j);
}
