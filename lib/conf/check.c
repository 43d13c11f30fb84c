#include "conf/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/index.h"
#include "conf/net.h"
#include "spd/spd.h"

#define TAP_NAME_MAX 15 /* IFNAMSIZ less its end */

static void
complain(struct load *l, bool warning, const struct conf_mark *mark, const struct origin *o,
	 const char *key, const char *right, const char *text)
{
	const struct node *n = origin_get(o, key);
	char path[128];

	if (n == NULL) {
		conf_complain(l->e, warning, mark, key, right, "%s", text);
		return;
	}
	conf_mark_path(mark, path, sizeof(path));
	/* A key that the tunnel gives for both is the tunnel's own. */
	if (node_get(o->map, key) == NULL && o->also != NULL)
		snprintf(path, sizeof(path), "tunnels[%u]", mark->index);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), ".%s", key);
	if (!n->bad)
		conf_complain_at(l->e, warning, n->line, n->col, path, right, "%s", text);
}

bool
item_error(struct load *l, const struct conf_mark *mark, const struct origin *o, const char *key,
	   const char *right, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	complain(l, false, mark, o, key, right, text);
	return false;
}

/* At the key, if the file gives it. below: of a key in the map that it is. */
static void __rte_format_printf(5, 6)
	gateway_error(struct load *l, const char *key, const char *below, const char *right,
		      const char *format, ...)
{
	struct conf_place at = conf_gateway_place(l->conf, key);
	char path[64], text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "gateway.%s%s", key, below);
	conf_complain_at(l->e, false, at.line, at.col, path, right, "%s", text);
}

void
item_warning(struct load *l, const struct conf_mark *mark, const struct origin *o, const char *key,
	     const char *right, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	complain(l, true, mark, o, key, right, text);
}

/* A name said twice in a tunnel would be complained of for each of its SAs and policies. */
static void
name_twice(struct load *l, const char *name, const struct conf_mark *mark, const struct origin *o)
{
	struct node *n = (struct node *)(uintptr_t)origin_get(o, "name");

	item_error(l, mark, o, "name", "a name of its own", "%s is the name of another", name);
	if (n != NULL)
		n->bad = true;
}

/* The index of the names of a list, which must differ; empty ones were complained of. A name is the
 * first field of its item.
 */
static void
index_names(struct load *l, struct index *ix, const void *items, uint32_t n, size_t size,
	    size_t mark_at, const struct origin *origins)
{
	const char *item = items;

	if (index_init(ix, n) < 0) {
		l->no_memory = true;
		return;
	}
	for (uint32_t i = 0; i < n; i++, item += size)
		if (item[0] != 0 && index_put(ix, item, strlen(item), i) != INDEX_NONE)
			name_twice(l, item, (const struct conf_mark *)(item + mark_at),
				   &origins[i]);
}

#define NAMES(ix, l, items)                                                                   \
	index_names(l, ix, (l)->conf->items, (l)->conf->n_##items, sizeof(*(l)->conf->items), \
		    offsetof(__typeof__(*(l)->conf->items), mark), (l)->items)

static void
check_mirror(struct load *l, uint32_t i, struct index *devices, struct index *taps)
{
	const struct conf_port *p = &l->conf->ports[i];
	const char *tap = p->mirror.tap, *device = p->mirror.device;
	size_t len = strcspn(device, ",");
	uint32_t other;

	if ((tap[0] == 0) == (device[0] == 0)) {
		item_error(l, &p->mark, &l->ports[i], "mirror", "tap or device", "neither or both");
		return;
	}
	other = tap[0] != 0 ? index_put(taps, tap, strlen(tap), i) :
			      index_put(devices, device, len, i);
	if (other != INDEX_NONE)
		item_error(l, &p->mark, &l->ports[i], "mirror", "one of its own",
			   "%.*s is that of %s", tap[0] != 0 ? TAP_NAME_MAX : (int)len,
			   tap[0] != 0 ? tap : device, l->conf->ports[other].name);
	if (strlen(tap) > TAP_NAME_MAX)
		item_error(l, &p->mark, &l->ports[i], "mirror", "a shorter name",
			   "tap %s: the kernel takes at most %d characters", tap, TAP_NAME_MAX);
}

static void
check_mirrors(struct load *l, struct index *devices)
{
	struct index taps = { 0 };

	if (index_init(&taps, l->conf->n_ports) < 0) {
		l->no_memory = true;
		return;
	}
	for (uint32_t i = 0; i < l->conf->n_ports; i++)
		if (l->conf->ports[i].mirror.on)
			check_mirror(l, i, devices, &taps);
	index_fini(&taps);
}

/* What the words behind `emulated` mean the driver knows; app asks it. */
static void
check_inline(struct load *l, uint32_t i)
{
	const struct conf_port *p = &l->conf->ports[i];
	size_t len = strcspn(p->ipsec, ",");
	bool emulated = len == strlen("emulated") && strncmp(p->ipsec, "emulated", len) == 0;

	if (strcmp(p->ipsec, "auto") == 0 || strcmp(p->ipsec, "off") == 0)
		return;
	if (!emulated)
		item_error(l, &p->mark, &l->ports[i], "inline",
			   "auto, off, or emulated[,option=value...]", "'%.60s' is not known",
			   p->ipsec);
	else if (p->side != CONF_BLACK)
		item_error(l, &p->mark, &l->ports[i], "inline", "off", "ESP comes by black ports");
}

/* "net_pcap0,rx_pcap=…" is the device net_pcap0. */
static void
check_ports(struct load *l)
{
	struct conf *c = l->conf;
	struct index devices = { 0 };

	if (c->n_ports == 0)
		conf_complain_at(l->e, false, 1, 1, "ports", "at least one port", "missing");
	if (c->n_ports > schema_find(BLOCK_ROOT, "ports")->max)
		conf_complain(l->e, false, &c->ports[c->n_ports - 1].mark, "", "fewer ports",
			      "more than %u ports",
			      (unsigned)schema_find(BLOCK_ROOT, "ports")->max);
	if (index_init(&devices, 2 * c->n_ports) < 0) {
		l->no_memory = true;
		return;
	}
	for (uint32_t i = 0; i < c->n_ports; i++) {
		struct conf_port *p = &c->ports[i];
		size_t len = strcspn(p->device, ",");
		uint32_t other = len == 0 ? INDEX_NONE : index_put(&devices, p->device, len, i);

		if (p->esp_echo && p->side != CONF_BLACK)
			item_error(l, &p->mark, &l->ports[i], "esp_echo", "false",
				   "ESP comes by black ports");
		check_inline(l, i);
		if (other != INDEX_NONE)
			item_error(l, &p->mark, &l->ports[i], "device", "a device of its own",
				   "%.*s is the device of %s", (int)len, p->device,
				   c->ports[other].name);
	}
	check_mirrors(l, &devices);
	index_fini(&devices);
}

/* Which port has an address. There is room for those of the SAs. */
static void
index_addresses(struct load *l, struct index *ix)
{
	struct conf *c = l->conf;
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_ports; i++)
		n += c->ports[i].addresses.n;
	if (index_init(ix, n + 2 * c->n_sas) < 0) {
		l->no_memory = true;
		return;
	}
	for (uint32_t i = 0; i < c->n_ports; i++)
		for (uint32_t k = 0; k < c->ports[i].addresses.n; k++) {
			const struct addr *a = &c->ports[i].addresses.list[k].addr;

			if (a->family != 0 && index_put(ix, a, sizeof(*a), i) != INDEX_NONE)
				item_error(l, &c->ports[i].mark, &l->ports[i], "addresses",
					   "each address once", "address %u is given twice", k);
		}
}

/* A laboratory may leave its ports without addresses; a tunnel that ends at none of those given is
 * a slip. */
static void
check_addresses(struct load *l)
{
	struct conf *c = l->conf;
	struct index ix = { 0 };
	bool any = false;
	char text[ADDR_TEXT_SIZE];

	index_addresses(l, &ix);
	for (uint32_t i = 0; i < c->n_ports; i++)
		any |= c->ports[i].addresses.n != 0;
	for (uint32_t i = 0; i < c->n_sas && any && !l->no_memory; i++) {
		const struct conf_sa *sa = &c->sas[i];
		const struct addr *ours = sa->direction == CONF_IN ? &sa->dst : &sa->src;

		if (l->sas[i].bad || index_put(&ix, ours, sizeof(*ours), 0) != INDEX_NONE)
			continue;
		addr_text(ours, text);
		item_warning(l, &sa->mark, &l->sas[i],
			     l->sas[i].also != NULL   ? "local" :
			     sa->direction == CONF_IN ? "dst" :
							"src",
			     "one of ports[].addresses", "no port has the address %s", text);
	}
	index_fini(&ix);
}

static void
check_routes(struct load *l, const struct index *ports)
{
	struct conf *c = l->conf;
	struct index ix = { 0 };
	uint32_t n4 = 0, n6 = 0;

	if (index_init(&ix, c->n_routes) < 0)
		l->no_memory = true;
	for (uint32_t i = 0; i < c->n_routes && !l->no_memory; i++) {
		struct conf_route *r = &c->routes[i];
		char text[NET_TEXT_SIZE];

		r->port = index_get(ports, r->port_name, strlen(r->port_name));
		if (r->port_name[0] != 0 && r->port == INDEX_NONE)
			item_error(l, &r->mark, &l->routes[i], "port", "a name of ports[]",
				   "there is no port %s", r->port_name);
		if (r->via.family != 0 && r->to.family != 0 && r->via.family != r->to.family)
			item_error(l, &r->mark, &l->routes[i], "via", "the family of to",
				   "another family than to");
		net_text(&r->to, text, sizeof(text));
		if (r->to.family != 0 && index_put(&ix, &r->to, sizeof(r->to), i) != INDEX_NONE)
			item_error(l, &r->mark, &l->routes[i], "to", "one route for a prefix",
				   "%s has a route already", text);
		n4 += r->to.family == 4;
		n6 += r->to.family == 6;
	}
	index_fini(&ix);
	if (n4 > c->gateway.max_routes.v4)
		gateway_error(l, "max_routes", ".v4", "at least as many", "there are %u routes",
			      n4);
	if (n6 > c->gateway.max_routes.v6)
		gateway_error(l, "max_routes", ".v6", "at least as many", "there are %u routes",
			      n6);
}

/* Whom no mirror's kernel looks for has to be in the file. */
static void
check_vias(struct load *l, const struct index *neighbours)
{
	const struct conf *c = l->conf;

	for (uint32_t i = 0; i < c->n_routes; i++) {
		const struct conf_route *r = &c->routes[i];
		struct conf_neighbour wanted = { .ip = r->via };

		if (r->via.family == 0 || r->port == INDEX_NONE || c->ports[r->port].mirror.on)
			continue;
		memcpy(wanted.port_name, r->port_name, sizeof(wanted.port_name));
		if (index_get(neighbours, &wanted.ip,
			      sizeof(wanted.ip) + sizeof(wanted.port_name)) == INDEX_NONE)
			item_warning(l, &r->mark, &l->routes[i], "via",
				     "its MAC address in neighbours, or a mirror at the port",
				     "port %s has no such neighbour: what goes by this route is "
				     "dropped",
				     r->port_name);
	}
}

static void
check_neighbours(struct load *l, const struct index *ports)
{
	struct conf *c = l->conf;
	struct index ix = { 0 };

	if (index_init(&ix, c->n_neighbours) < 0)
		l->no_memory = true;
	for (uint32_t i = 0; i < c->n_neighbours && !l->no_memory; i++) {
		struct conf_neighbour *n = &c->neighbours[i];

		n->port = index_get(ports, n->port_name, strlen(n->port_name));
		if (n->port_name[0] != 0 && n->port == INDEX_NONE)
			item_error(l, &n->mark, &l->neighbours[i], "port", "a name of ports[]",
				   "there is no port %s", n->port_name);
		/* A link-local address may be on several links. */
		if (n->ip.family != 0 &&
		    index_put(&ix, &n->ip, sizeof(n->ip) + sizeof(n->port_name), i) != INDEX_NONE)
			item_error(l, &n->mark, &l->neighbours[i], "ip", "each neighbour once",
				   "given twice");
	}
	if (!l->no_memory)
		check_vias(l, &ix);
	index_fini(&ix);
}

static bool
has_ports(uint32_t protocol)
{
	return protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 ||
	       protocol == 136;
}

static void
check_policy(struct load *l, const struct conf_policy *p, const struct origin *o)
{
	const struct conf_port_range any = { 0, 65535 };
	const struct conf_net *src, *dst;
	uint64_t at = 0;

	if (p->src.n != 0 && p->dst.n != 0 && !conf_policy_pair(p, &at, &src, &dst))
		item_error(l, &p->mark, o,
			   p->mark.list == CONF_LIST_POLICIES ? "dst" : "remote_nets",
			   "one family on both sides",
			   "IPv4 on one side, IPv6 on the other: nothing can match");
	if ((uint64_t)p->src.n * p->dst.n > SPD_RULES_MAX)
		item_error(l, &p->mark, o,
			   p->mark.list == CONF_LIST_POLICIES ? "src" : "local_nets",
			   "several policies", "more than %u pairs of src and dst", SPD_RULES_MAX);
	if (!has_ports(p->protocol) && memcmp(&p->src_port, &any, sizeof(any)) != 0)
		item_error(l, &p->mark, o, "src_port", "protocol: tcp or udp",
			   "this protocol has no ports");
	if (!has_ports(p->protocol) && memcmp(&p->dst_port, &any, sizeof(any)) != 0)
		item_error(l, &p->mark, o, "dst_port", "protocol: tcp or udp",
			   "this protocol has no ports");
	if (p->action != CONF_PROTECT && conf_names_n(&p->sa_names) != 0)
		item_error(l, &p->mark, o, "sa", "action: protect", "an SA with another action");
	if (p->action == CONF_PROTECT && conf_names_n(&p->sa_names) == 0)
		item_error(l, &p->mark, o, "sa", "the name of an SA",
			   "missing with action: protect");
}

static void
check_policies(struct load *l)
{
	for (uint32_t i = 0; i < l->conf->n_policies; i++)
		if (!l->policies[i].bad)
			check_policy(l, &l->conf->policies[i], &l->policies[i]);
}

static void
check_limits(struct load *l)
{
	const struct conf *c = l->conf;

	if (c->n_sas > c->gateway.max_sas)
		gateway_error(l, "max_sas", "", "at least as many", "there are %u SAs", c->n_sas);
}

static bool
has_engine(const struct conf_engines *e, uint8_t engine)
{
	for (uint8_t i = 0; i < e->n; i++)
		if (e->list[i] == engine)
			return true;
	return false;
}

static void
check_devices(struct load *l)
{
	const struct conf_gateway *g = &l->conf->gateway;

	if (g->crypto_devices.n != 0 && !has_engine(&g->crypto, CONF_ENGINE_CRYPTODEV))
		gateway_error(l, "crypto_devices", "", "cryptodev in it, or no crypto_devices",
			      "crypto does not name the engine that would use them");
}

static bool
is_pci(const char *device)
{
	unsigned int domain, bus, dev, fn;

	return sscanf(device, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) == 4 ||
	       sscanf(device, "%x:%x.%x", &bus, &dev, &fn) == 3;
}

/* A laboratory has no network cards: with one, numbers of a counter mode that start again with each
 * run are the end of its keys.
 */
static void
check_state(struct load *l)
{
	const struct conf *c = l->conf;
	bool pci = false;

	for (uint32_t i = 0; i < c->n_ports; i++)
		pci |= is_pci(c->ports[i].device);
	for (uint32_t i = 0; pci && c->gateway.state_file[0] == 0 && i < c->n_sas; i++) {
		if (c->sas[i].direction != CONF_OUT || !algs[c->sas[i].suite.cipher].counter_mode)
			continue;
		conf_complain(l->e, false, &c->sas[i].mark, "",
			      "gateway: {state_file: /var/lib/espgw/state}",
			      "a static key of a counter mode, a PCI port, and no "
			      "gateway.state_file: numbers would begin again with each start");
		return;
	}
}

void
check_all(struct load *l)
{
	struct index ports = { 0 }, sas = { 0 }, policies = { 0 };

	NAMES(&ports, l, ports);
	NAMES(&sas, l, sas);
	NAMES(&policies, l, policies);
	if (!l->no_memory) {
		check_sas(l);
		check_ports(l);
		check_addresses(l);
		check_routes(l, &ports);
		check_neighbours(l, &ports);
		check_policies(l);
		check_sets(l, &sas);
		check_limits(l);
		check_devices(l);
		check_state(l);
	}
	index_fini(&ports);
	index_fini(&sas);
	index_fini(&policies);
}
