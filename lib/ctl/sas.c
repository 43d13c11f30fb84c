#include "ctl/sas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "ctl/comp.h"
#include "ctl/engines.h"
#include "ctl/frags.h"
#include "ctl/log.h"
#include "ctl/offloads.h"
#include "ctl/paths.h"
#include "ctl/pin.h"
#include "ctl/sa_numbers.h"
#include "ctl/streams.h"
#include "iptfs/iptfs.h"
#include "numbers/numbers.h"
#include "replay/stock.h"
#include "route/route.h"
#include "sad/sad.h"
#include "worker/mailbox.h"

#define DRAIN_NS      (50 * UINT64_C(1000000)) /* what waits in rings for an SA is through by then */
#define LANES_IN_AUTO 64

_Static_assert((int)CONF_FRAG_ALWAYS == (int)TUNNEL_FRAG_ALWAYS, "the same words in one order");

static void
outer_fill(struct tunnel_params *o, const struct conf_sa *c)
{
	bool identity = true, fixed = true;

	for (int i = 0; i < TUNNEL_DSCP_MAP_SIZE; i++) {
		identity &= c->outer_dscp.map[i] == i;
		fixed &= c->outer_dscp.map[i] == c->outer_dscp.map[0];
	}
	*o = (struct tunnel_params) {
		.udp = c->encap.on,
		.udp_src = c->encap.ports[0],
		.udp_dst = c->encap.ports[1],
		.proto = c->proto == CONF_AH ? IPPROTO_AH : IPPROTO_ESP,
		.ttl = c->ttl,
		.ecn = c->ecn,
		.dscp = identity ? TUNNEL_DSCP_COPY :
			fixed	 ? TUNNEL_DSCP_FIXED :
				   TUNNEL_DSCP_MAP,
		.dscp_value = c->outer_dscp.map[0],
		.dscp_map = c->outer_dscp.map,
		.df = c->df == CONF_DF_SET   ? TUNNEL_DF_SET :
		      c->df == CONF_DF_CLEAR ? TUNNEL_DF_CLEAR :
					       TUNNEL_DF_COPY,
		.frag = (enum tunnel_frag)c->frag,
		.mss_clamp = c->mss_clamp,
		.label = c->flow_label == CONF_FLOW_LABEL_HASH ? TUNNEL_LABEL_HASH :
			 c->flow_label == CONF_FLOW_LABEL_COPY ? TUNNEL_LABEL_COPY :
								 TUNNEL_LABEL_FIXED,
		.label_value = c->flow_label & 0xfffff,
	};
	o->src = c->src;
	o->dst = c->dst;
}

/* More is as long as none lasts. */
static uint32_t
seconds_of(uint64_t limit)
{
	return (uint32_t)RTE_MIN(limit, (uint64_t)UINT32_MAX);
}

static void
params_fill(struct sa_params *p, const struct conf_sa *c)
{
	const uint8_t *key = conf_sa_key(c)->octets;

	*p = (struct sa_params) {
		.name = c->name[0] != 0 ? c->name : NULL,
		.inbound = c->direction == CONF_IN,
		.transport = c->mode == CONF_TRANSPORT,
		.beet = c->mode == CONF_BEET,
		.ah = c->proto == CONF_AH,
		.ah_align8 = c->ah_align8,
		.ecn = c->ecn,
		.spi = c->spi,
		.suite = c->suite,
		.key = key,
		.salt = key + algs[c->suite.cipher].key_len,
		.auth_key = c->auth_key.octets,
		.udp = c->encap.on,
		.udp_src = c->encap.ports[0],
		.udp_dst = c->encap.ports[1],
		.keepalive_ms = c->direction == CONF_OUT && c->encap.on ?
					(uint32_t)(c->encap.keepalive_us / 1000) :
					0,
		.lifetime = {
			.soft_packets = c->lifetime.soft_packets,
			.hard_packets = c->lifetime.hard_packets,
			.soft_bytes = c->lifetime.soft_bytes,
			.hard_bytes = c->lifetime.hard_bytes,
			.soft_seconds = seconds_of(c->lifetime.soft_seconds),
			.hard_seconds = seconds_of(c->lifetime.hard_seconds),
			.soft_use_seconds = seconds_of(c->lifetime.soft_use_seconds),
			.hard_use_seconds = seconds_of(c->lifetime.hard_use_seconds),
		},
		.path_mtu = c->path_mtu,
		.pad_to = c->tfc.pad_to,
		.dummy_rate = c->tfc.dummy_rate,
		.lane_by_class = c->lane_by == CONF_LANE_BY_CLASS,
		.echo = c->esp_ping,
	};
	p->src = c->src;
	p->dst = c->dst;
	p->inner_src = c->inner.src;
	p->inner_dst = c->inner.dst;
	p->beet_reassemble = c->beet_reassemble;
	outer_fill(&p->outer, c);
}

/* Out: as many as there are workers; in: what a peer may well ask for. */
static uint16_t
lanes_of(const struct gw *gw, const struct conf_sa *c)
{
	if (c->lanes != CONF_AUTO)
		return (uint16_t)c->lanes;
	return c->direction == CONF_IN ? LANES_IN_AUTO : gw->n_workers;
}

static void
ask_fill(struct numbers_ask *ask, const struct gw *gw, const struct conf_sa *c,
	 const struct sa_params *p)
{
	const struct alg *cipher = &algs[c->suite.cipher];

	*ask = (struct numbers_ask) {
		.name = p->name,
		.id = { .spi = c->spi, .family = c->dst.family },
		.key = {
			.key = p->key,
			.salt = p->salt,
			.auth = p->auth_key,
			.key_len = cipher->key_len,
			.salt_len = cipher->salt_len,
			.auth_len = algs[c->suite.auth].key_len,
			.counter_mode = cipher->counter_mode,
		},
		.inbound = p->inbound,
		.forever = p->origin.from == SA_FROM_FILE,
		.esn = c->suite.esn || c->subspaces,
		.subspaces = c->subspaces,
		.lanes = lanes_of(gw, c),
		.window = c->replay_window == 0 ? 0 :
						  RTE_MAX(c->replay_window, gw->conf->gateway.replay_window_min),
		.start = p->inbound ? c->replay_top : c->oseq,
		.packets = c->lifetime.used_packets,
		.bytes = c->lifetime.used_bytes,
		.hard_packets = c->lifetime.hard_packets,
		.hard_bytes = c->lifetime.hard_bytes,
		.own_packets = c->suite.aead ? SA_AEAD_HARD_PACKETS : 0,
	};
	memcpy(ask->id.src, c->src.octets, 16);
	memcpy(ask->id.dst, c->dst.octets, 16);
}

static void
later(struct gw *gw, uint64_t not_before, void (*step)(void *ctx, void *obj), void *obj)
{
	if (defer_give(&gw->defer, not_before, step, gw, obj) < 0)
		GW_LOG(ERR, "no memory to free an SA: it stays until the end\n");
}

/* An outbound SA's next hop, and with it the largest packet it takes: what the path carries, and
 * the link. */
static void
hop_set(struct gw *gw, uint32_t index, uint16_t next_hop)
{
	struct sa *sa = sa_at(&gw->sas, index);
	uint16_t outer = paths_outer(gw, index, next_hop);

	sa_set_mtu(sa, outer);
	__atomic_store_n(&sa->next_hop, next_hop, __ATOMIC_RELAXED);
}

/* What others keep for an SA: the routes, outbound its next hop, inbound our address that its
 * tunnel ends at (transport mode may end at a host behind us); reassembly, that its peer is one.
 */
static int
ends_take(struct gw *gw, uint32_t index, const struct conf_sa *c, struct err *err)
{
	struct sa *sa = sa_at(&gw->sas, index);
	const struct addr *dst = &sa_cold(&gw->sas, index)->dst;
	int rc = 0;

	if ((sa->flags & SA_INBOUND) == 0) {
		sa->next_hop = route_hold(gw->route, dst);
		paths_sa_add(gw, index, c);
		hop_set(gw, index, sa->next_hop);
	} else if ((sa->flags & SA_TRANSPORT) == 0)
		rc = route_own_add(gw->route, dst, err);
	if (rc == 0)
		frags_sa_begins(gw, index);
	return rc;
}

static void
ends_give(struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	paths_sa_del(gw, index);
	if ((sa->flags & SA_INBOUND) == 0)
		route_release(gw->route, sa->next_hop);
	else if ((sa->flags & SA_TRANSPORT) == 0)
		route_own_del(gw->route, &sa_cold(&gw->sas, index)->dst);
	frags_sa_ends(gw, index);
}

/* The port of its next hop may be what does it. */
static int
ends_and_engine(struct gw *gw, uint32_t index, const struct conf_sa *c, struct err *err)
{
	int rc = ends_take(gw, index, c, err);

	if (rc < 0)
		return rc;
	rc = engines_sa_begins(gw, index, err);
	if (rc < 0)
		ends_give(gw, index);
	return rc;
}

/* An inbound SA with subspaces may ask for windows. */
static int
stock_take_in(struct gw *gw, uint32_t index, struct err *err)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	uint32_t window;
	int rc;

	if ((sa->flags & (SA_INBOUND | SA_SUBSPACES)) != (SA_INBOUND | SA_SUBSPACES))
		return 0;
	window = replay_set_of(sa->windows)->window;
	rc = stocks_want(gw->stocks, window, err);
	if (rc == 0)
		sa_cold(&gw->sas, index)->stocked = window + 1;
	return rc;
}

/* The record and the hold on the numbers of an SA that is retired. */
static void
give_back(struct gw *gw, uint32_t index)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);

	if (cold->stocked != 0)
		stocks_unwant(gw->stocks, cold->stocked - 1);
	sa_numbers_give(gw, cold->numbers, cold->origin.from == SA_FROM_FILE);
	sa_destroy(&gw->sas, index);
}

/* The file's SAs take each other's places in a reload, but none of a daemon's. */
static int
place_check(const struct gw *gw, const struct conf_sa *c, struct err *err)
{
	uint32_t peer = gw->sad != NULL && c->direction == CONF_IN ?
				sad_find(gw->sad, c->spi, c->proto == CONF_AH, &c->dst) :
				SA_NONE;
	char name[SA_NAME_MAX];

	if (peer == SA_NONE || sa_cold(&gw->sas, peer)->origin.from == SA_FROM_FILE)
		return 0;
	return err_set(err, -EEXIST, "sa %s: a daemon's SA %s has its SPI and address", c->name,
		       sa_name(sa_cold(&gw->sas, peer), name));
}

int
sa_make(struct gw *gw, const struct conf_sa *c, const struct sa_origin *origin, uint32_t replaces,
	uint32_t *index, struct err *err)
{
	struct numbers_ask ask;
	struct sa_params p;
	bool pinned;
	int rc;

	*index = SA_NONE;
	if (origin->from == SA_FROM_FILE) {
		rc = place_check(gw, c, err);
		if (rc < 0)
			return rc;
	}
	params_fill(&p, c);
	streams_params(gw, &p, c);
	p.origin = *origin;
	ask_fill(&ask, gw, c, &p);
	/* A bundle's member is its worker's, in both directions: no packet of it changes hands. */
	pinned = c->bundle.on && c->bundle.worker < gw->n_workers;
	ask.worker = pinned	? (uint16_t)c->bundle.worker :
		     p.iptfs.on ? streams_worker(gw, c) :
				  gw->next_owner;
	if (replaces != SA_NONE)
		ask.replaces = sa_cold(&gw->sas, replaces)->numbers;
	rc = sa_numbers_take(gw, &ask, &p.numbers, err);
	if (rc < 0)
		return rc;
	if (!pinned && !p.iptfs.on)
		gw->next_owner = (gw->next_owner + 1) % gw->n_workers;
	p.owner = p.numbers->worker;
	/* A stream of IP-TFS waits where it is. */
	p.fixed = pinned || p.iptfs.on;
	p.subspaces = p.numbers->subspaces;
	p.lanes = p.numbers->n;
	p.lane = p.numbers->lane; /* or window, or windows */
	streams_inherit(gw, &p, replaces);
	if (!p.inbound && p.udp && p.src.family == 6)
		gw_need_stage(gw, STAGE_UDP_ENCAP);
	rc = comp_params(gw, &p, c, err);
	if (rc == 0)
		rc = sa_create(&gw->sas, &p, clock_now(&gw->clock), index, err);
	if (rc < 0) {
		sa_numbers_give(gw, p.numbers, ask.forever);
		return rc;
	}
	streams_sa_add(gw, *index);
	rc = stock_take_in(gw, *index, err);
	if (rc == 0)
		rc = ends_and_engine(gw, *index, c, err);
	if (rc < 0) {
		sa_retire(&gw->sas, *index);
		streams_sa_del(gw, *index);
		give_back(gw, *index);
		*index = SA_NONE;
	}
	return rc;
}

static void
destroy(void *ctx, void *obj)
{
	struct gw *gw = ctx;
	uint32_t index = (uint32_t)(uintptr_t)obj;

	engines_sa_ends(gw, index);
	ends_give(gw, index);
	streams_sa_del(gw, index);
	give_back(gw, index);
}

/* False: a mailbox is full. */
static bool
streams_mail(struct gw *gw, uint32_t index, bool inbound, void (*run)(struct worker *w, void *sa))
{
	struct sa *sa = sa_at(&gw->sas, index);

	if (!streams_own(gw, index) || ((sa->flags & SA_INBOUND) != 0) != inbound)
		return true;
	return gw_mail_all(gw, run, sa);
}

/* A full mailbox means that what waits ends with the SA. */
static void
streams_leave(struct gw *gw, uint32_t index)
{
	if (!streams_mail(gw, index, false, iptfs_out_close))
		GW_LOG(WARNING, "SPI 0x%x: a worker does not read its mail\n",
		       sa_cold(&gw->sas, index)->spi);
}

int
sa_publish(struct gw *gw, uint32_t index, uint32_t replaces, struct err *err)
{
	streams_begin(gw, index);
	offloads_sa_publishes(gw, index);
	if ((sa_at(&gw->sas, index)->flags & SA_INBOUND) == 0)
		return 0;
	return sad_add(gw->sad, index, replaces, err);
}

void
sa_unpublish(struct gw *gw, uint32_t index)
{
	if ((sa_at(&gw->sas, index)->flags & SA_INBOUND) != 0)
		sad_del(gw->sad, index);
}

static void
forget(struct worker *w, void *arg)
{
	crypto_forget(w->crypto, (uint32_t)(uintptr_t)arg);
}

/* Nobody finds it any more: now no cache may hold its keys. A full mailbox means another try. */
static void
wipe(void *ctx, void *obj)
{
	struct gw *gw = ctx;
	uint32_t index = (uint32_t)(uintptr_t)obj;
	bool told = gw_mail_all(gw, forget, obj) &&
		    streams_mail(gw, index, true, iptfs_in_forget) &&
		    streams_mail(gw, index, false, iptfs_out_forget);

	later(gw, 0, told ? destroy : wipe, obj);
}

/* Nobody uses it; but workers may have begun to send at its rate. */
void
sa_unmake(struct gw *gw, uint32_t index)
{
	pin_sa_ends(gw, index);
	sa_retire(&gw->sas, index);
	if (gw->running && (sa_at(&gw->sas, index)->flags & SA_IPTFS) != 0)
		wipe(gw, (void *)(uintptr_t)index);
	else
		destroy(gw, (void *)(uintptr_t)index);
}

static void
retire(void *ctx, void *obj)
{
	struct gw *gw = ctx;

	if (pin_moves(gw, (uint32_t)(uintptr_t)obj) ||
	    streams_are_passing(gw, (uint32_t)(uintptr_t)obj)) {
		later(gw, 0, retire, obj);
		return;
	}
	sa_retire(&gw->sas, (uint32_t)(uintptr_t)obj);
	later(gw, 0, wipe, obj);
}

/* What waits in the streams of an inbound SA is let through while the SA can still be found. A full
 * mailbox means another try.
 */
static void
streams_close(void *ctx, void *obj)
{
	struct gw *gw = ctx;
	bool told = streams_mail(gw, (uint32_t)(uintptr_t)obj, true, iptfs_in_close);

	later(gw, 0, told ? retire : streams_close, obj);
}

void
sa_end(struct gw *gw, uint32_t index)
{
	sa_cold(&gw->sas, index)->ended = true;
	pin_sa_ends(gw, index);
	streams_leave(gw, index);
	/* What waits in rings for the SA is let through first. */
	later(gw, clock_now(&gw->clock) + (gw->running ? DRAIN_NS : 0),
	      (sa_at(&gw->sas, index)->flags & SA_IPTFS) != 0 ? streams_close : retire,
	      (void *)(uintptr_t)index);
}

bool
sa_is_live(const struct gw *gw, uint32_t index)
{
	return sa_at(&gw->sas, index)->state == SA_LIVE && !sa_cold(&gw->sas, index)->ended;
}

void
sa_remeasure(struct gw *gw, uint32_t index)
{
	hop_set(gw, index, sa_at(&gw->sas, index)->next_hop);
	offloads_sa_routed(gw, index);
}

static void
sa_route(struct gw *gw, uint32_t index)
{
	uint16_t was = sa_at(&gw->sas, index)->next_hop;

	if ((sa_at(&gw->sas, index)->flags & SA_INBOUND) != 0)
		return;
	hop_set(gw, index, route_hold(gw->route, &sa_cold(&gw->sas, index)->dst));
	route_release(gw->route, was);
	offloads_sa_routed(gw, index);
}

bool
sas_route_some(struct gw *gw, uint32_t *from, uint32_t n)
{
	uint32_t index = slab_next(&gw->sas.records, *from);

	for (; index != SA_NONE && n > 0; n--) {
		sa_route(gw, index);
		index = slab_next(&gw->sas.records, index + 1);
	}
	*from = index == SA_NONE ? 0 : index;
	return index != SA_NONE;
}

void
sas_route(struct gw *gw)
{
	uint32_t from = 0;

	sas_route_some(gw, &from, UINT32_MAX);
}
