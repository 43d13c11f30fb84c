#include "ctl/view.h"

#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "icmp/icmp.h"
#include "mirror/mirror.h"
#include "port/port.h"

static void
udp_port_add(struct view *v, uint16_t port_be)
{
	if (!view_takes_udp(v, port_be) && v->n_udp_ports < VIEW_UDP_PORTS_MAX)
		v->udp_ports_be[v->n_udp_ports++] = port_be;
}

static void
udp_ports_fill(const struct gw *gw, struct view *v)
{
	const struct conf *conf = gw->conf;

	/* RFC 3948: keepalives and IKE are told apart from ESP there even without an SA that uses
	 * it. */
	udp_port_add(v, RTE_BE16(4500));
	for (uint16_t i = 0; i < gw->n_udp_ports; i++)
		udp_port_add(v, gw->udp_ports_be[i]);
	for (uint32_t i = 0; i < conf->n_sas; i++) {
		const struct conf_sa *sa = &conf->sas[i];

		if (sa->direction == CONF_IN && sa->encap.on)
			udp_port_add(v, rte_cpu_to_be_16(sa->encap.ports[1]));
	}
}

static int
sources_make(const struct gw *gw, struct icmp_sources **out, struct err *err)
{
	struct icmp_source list[PORTS_MAX * PORT_ADDRESSES_MAX];
	uint32_t n = 0;

	for (uint8_t i = 0; i < gw->ports->n; i++) {
		const struct port *port = gw->ports->list[i];

		for (uint8_t k = 0; k < port->link.n_addresses; k++)
			list[n++] = (struct icmp_source) {
				.addr = port->link.addresses[k].addr,
				.len = port->link.addresses[k].len,
				.port = i,
				.red = port->link.side == PORT_RED,
			};
	}
	return icmp_sources_create(list, n, out, err);
}

static void
view_free(void *obj)
{
	struct view *v = obj;

	if (v == NULL)
		return;
	icmp_sources_free((struct icmp_sources *)(uintptr_t)v->icmp);
	rte_free(v);
}

static bool
answers_echoes(const struct conf *c, const char *port)
{
	for (uint32_t i = 0; i < c->n_ports; i++)
		if (strcmp(c->ports[i].name, port) == 0)
			return c->ports[i].esp_echo;
	return false;
}

static uint32_t
echoing(const struct gw *gw)
{
	uint32_t mask = 0;

	for (uint8_t i = 0; i < gw->ports->n; i++)
		if (answers_echoes(gw->conf, gw->ports->list[i]->link.name))
			mask |= UINT32_C(1) << i;
	return mask;
}

int
view_renew(struct gw *gw, struct err *err)
{
	struct view *v = rte_zmalloc("view", sizeof(*v), RTE_CACHE_LINE_SIZE);
	struct icmp_sources *sources = NULL;
	int rc;

	if (v == NULL)
		return err_set(err, -ENOMEM, "no memory for the view");
	rc = sources_make(gw, &sources, err);
	if (rc < 0) {
		rte_free(v);
		return rc;
	}
	*v = (struct view) {
		.generation = gw->view == NULL ? 1 : gw->view->generation + 1,
		.sad = gw->sad,
		.spd = gw->spd,
		.route = gw->route,
		.sas = &gw->sas,
		.icmp = sources,
		.mirrored = mirrors_mask(gw->mirrors),
		.echoing = echoing(gw),
		.awaits_echo = gw->awaits_echo,
	};
	udp_ports_fill(gw, v);
	for (uint16_t i = 0; i < gw->n_workers; i++)
		__atomic_store_n(&gw->workers[i]->next_view, v, __ATOMIC_RELEASE);
	if (gw->view != NULL)
		gw_defer_free(gw, view_free, gw->view);
	gw->view = v;
	return 0;
}

int
view_udp_port(struct gw *gw, uint16_t port, struct err *err)
{
	uint16_t port_be = rte_cpu_to_be_16(port);
	int rc;

	if (view_takes_udp(gw->view, port_be))
		return 0;
	if (gw->view->n_udp_ports == VIEW_UDP_PORTS_MAX)
		return err_set(err, -ENOSPC, "UDP port %u: ESP is taken from %d ports already",
			       port, VIEW_UDP_PORTS_MAX);
	gw->udp_ports_be[gw->n_udp_ports++] = port_be;
	rc = view_renew(gw, err);
	if (rc < 0)
		gw->n_udp_ports--;
	return rc;
}

int
view_init(struct gw *gw, struct err *err)
{
	return view_renew(gw, err);
}

void
view_fini(struct gw *gw)
{
	view_free(gw->view);
	gw->view = NULL;
}
