#include "ctl/offload_ask.h"

#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#include "ctl/paths.h"
#include "numbers/numbers.h"
#include "port/port.h"
#include "replay/replay.h"
#include "route/fib.h"

static bool
has_address(const struct link *l, const struct addr *a)
{
	for (uint8_t i = 0; i < l->n_addresses; i++)
		if (addr_equal(&l->addresses[i].addr, a))
			return true;
	return false;
}

/* A laboratory may give its ports no addresses: with one black port there is no question. */
static uint8_t
port_in(const struct gw *gw, const struct addr *local, struct err *why)
{
	uint8_t only = PORT_NONE;
	unsigned int n = 0;
	char text[ADDR_TEXT_SIZE];

	for (uint8_t i = 0; i < gw->ports->n; i++) {
		const struct link *l = &gw->ports->list[i]->link;

		if (l->side != PORT_BLACK)
			continue;
		if (has_address(l, local))
			return i;
		only = i;
		n++;
	}
	if (n == 1)
		return only;
	err_set(why, -ENOENT, "no black port has the address %s", addr_text(local, text));
	return PORT_NONE;
}

static uint8_t
port_out(const struct gw *gw, const struct sa *sa, const struct addr *peer, struct err *why)
{
	const struct next_hop *hop = route_hop(gw->route, sa->next_hop);
	char text[ADDR_TEXT_SIZE];

	if (sa->next_hop < HOP_FIRST || sa->next_hop == NEXT_HOP_NONE ||
	    (hop->flags & (HOP_NOWHERE | HOP_IS_LOCAL)) != 0) {
		err_set(why, -ENOENT, "there is no route to %s", addr_text(peer, text));
		return PORT_NONE;
	}
	return hop->port;
}

uint8_t
offload_port_of(const struct gw *gw, uint32_t index, struct err *why)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);
	const struct sa *sa = sa_at(&gw->sas, index);

	return (sa->flags & SA_INBOUND) != 0 ? port_in(gw, &cold->dst, why) :
					       port_out(gw, sa, &cold->dst, why);
}

/* What of the outer header does not fit these words makes it not plain. */
static void
outer_fill(struct offload_ask *ask, const struct sa *sa)
{
	const struct tunnel_out *t = &sa->out;
	bool v6 = (sa->flags & SA_V6) != 0;
	rte_be32_t word;

	memcpy(&word, t->header6, sizeof(word));
	ask->outer.copy_dscp = (t->tos_mask & RTE_IPV4_HDR_DSCP_MASK) != 0;
	ask->outer.ecn = (t->tos_mask & RTE_IPV4_HDR_ECN_MASK) != 0;
	ask->outer.dscp = t->tos >> 2;
	ask->outer.copy_df = !v6 && t->df_copy != 0;
	ask->outer.set_df = !v6 && t->df_set != 0;
	ask->outer.ttl = v6 ? t->header6[7] : t->header4[0];
	ask->outer.flow_label = v6 ? rte_be_to_cpu_32(word) & RTE_IPV6_HDR_FL_MASK : 0;
	ask->outer.plain =
		(t->flags & TUNNEL_OUT_DSCP_MAP) == 0 &&
		(!v6 || (t->flags & (TUNNEL_OUT_LABEL_HASH | TUNNEL_OUT_LABEL_COPY)) == 0);
}

static uint32_t
window_of(const struct sa *sa)
{
	return (sa->flags & SA_SUBSPACES) != 0 ? replay_set_of(sa->windows)->window :
						 sa->window->window;
}

void
offload_ask_fill(const struct gw *gw, uint32_t index, struct offload_ask *ask)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);
	const struct sa *sa = sa_at(&gw->sas, index);

	*ask = (struct offload_ask) {
		.index = index,
		.generation = sa->generation,
		.session = sa_session(sa),
		.salt = sa->salt,
		.inbound = (sa->flags & SA_INBOUND) != 0,
		.transport = (sa->flags & SA_TRANSPORT) != 0,
		.udp = (sa->flags & SA_UDP) != 0,
		.ah = (sa->flags & SA_AH) != 0,
		.other = (sa->flags & (SA_BEET | SA_IPTFS | SA_IPCOMP | SA_TFC)) != 0,
		.subspaces = (sa->flags & SA_SUBSPACES) != 0,
		.alone = sa->lanes == 1,
		.spi = cold->spi,
		.src = cold->src,
		.dst = cold->dst,
		.number = numbers_used(cold->numbers, 0),
	};
	if (ask->udp)
		sa_udp_ports(sa, &ask->udp_src, &ask->udp_dst);
	if (ask->inbound) {
		ask->replay_window = window_of(sa);
		ask->outer.ecn = (sa->flags & SA_ECN) != 0 && !ask->transport;
		return;
	}
	outer_fill(ask, sa);
	ask->mtu = paths_outer(gw, index, sa->next_hop);
}
