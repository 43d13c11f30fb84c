/* The whole way of a packet without devices: a worker made by hand, its pipeline ending in a sink,
 * with SAs, policies, routes and addresses of a small laboratory. For the fuzzer, tests and
 * benches; what fails here is a mistake of the rig, and ends the program.
 *
 * The laboratory: port 0 is black (192.0.2.1, 2001:db8::1), port 1 red (10.254.0.1, fd00::1). SA
 * number n carries 10.1.n.0/24 and fd01:0:0:n::/64 here to 10.2.n.0/24 and fd02:0:0:n::/64 there,
 * its peer is 198.51.100.n or 2001:db8:ffff::n. A pair that is a loop is both ends at once: what
 * goes out by it can come in by it again, and comes to the red side.
 */
#ifndef TESTS_PATH_RIG_H
#define TESTS_PATH_RIG_H

#include <stdio.h>
#include <stdlib.h>

#include <rte_malloc.h>
#include <rte_mempool.h>

#include "ah/ah.h"
#include "base/clock.h"
#include "crypto/crypto.h"
#include "esp/esp.h"
#include "icmp/icmp.h"
#include "iptfs/iptfs.h"
#include "path_addr.h"
#include "pipe/engines.h"
#include "pipe/stages.h"
#include "port/port_stage.h"
#include "replay/stock.h"
#include "route/route.h"
#include "sa/sa.h"
#include "sad/sad.h"
#include "seq/seq.h"
#include "spd/spd_stage.h"
#include "worker/mailbox.h"
#include "worker/worker.h"

#define RIG_SAS_MAX  32
#define RIG_BLACK    0
#define RIG_RED	     1
#define RIG_SPI	     0x1000 /* of SA 0 */
#define RIG_PATH_MTU 1500

/* One end of a tunnel: an inbound and an outbound SA of the same number. */
struct rig_sa {
	uint32_t in, out; /* index in the table */
	uint32_t spi;	  /* of both; host order */
	struct lane lane;
	struct replay *window;
	struct lane *lanes; /* with subspaces, instead of these two */
	struct replay_set *set;
};

struct path_rig {
	struct worker *w;
	struct rte_mempool *pool;
	struct stage_row rows[STAGE_MAX];
	struct pipe pipe;
	struct clock clock;
	struct view view;
	struct sa_table sas;
	struct sad *sad;
	struct spd *spd;
	struct route *route;
	struct icmp_sources *sources;
	struct port_worker *port;
	struct link links[2];
	struct stocks *stocks; /* of windows, for subspaces */
	bool udp6;	       /* an SA that STAGE_UDP_ENCAP is there for */
	uint32_t n_sas;
	struct rig_sa sa[RIG_SAS_MAX] __rte_cache_aligned;
	uint64_t order; /* of the last policy */
};

/* What is 0 or NULL is a small laboratory's. */
struct rig_params {
	uint16_t worker; /* index of the worker */
	const struct engine *const *engines;
	uint16_t n_engines;
	uint16_t burst;
	uint32_t flows; /* of each family, in the flow cache */
	size_t key_cache;
	uint32_t max_sas, max_policies;
	struct rte_mempool *pool;
	stage_fn *sink; /* in the place of both rows that would send */
};

/* What an SA of the rig is made of. */
struct rig_suite {
	uint8_t cipher, auth; /* enum alg_id */
	uint8_t icv_len;      /* 0 = the algorithm's */
	bool implicit_iv, esn, transport, v6, udp;
	bool loop;
	uint32_t window;
	uint16_t lanes; /* subspaces; 0: none */
	bool ah;	/* with auth, or AES-GMAC as cipher */
	uint8_t beet;	/* family of its inner pair, hosts 5 here and there; 0: no BEET */
	bool lane_by_class;
	uint16_t pad_to;
	bool dummies;			    /* out: may be sent */
	bool echo;			    /* in: echoes are answered */
	const struct aggfrag_params *iptfs; /* both ways; the rows are the caller's: pipe_add() */
	bool ipcomp; /* worker and rows are the caller's: w->ipcomp, pipe_add() */
	uint8_t owner;
};

static inline struct replay *
rig_window_make(void *ctx, uint32_t window)
{
	return rte_malloc("window", replay_size(window), RTE_CACHE_LINE_SIZE);
}

static inline void
rig_window_free(void *ctx, struct replay *window)
{
	rte_free(window);
}

static inline void
rig_worker_make(struct path_rig *r, const struct rig_params *p)
{
	uint32_t flows = p->flows != 0 ? p->flows : 1024;
	size_t key_cache = p->key_cache != 0 ? p->key_cache : 1u << 20;
	struct worker *w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);
	struct err err = { "" };

	rig_must(w != NULL, "no memory");
	r->w = w;
	w->index = p->worker;
	w->n_workers = p->worker + 1;
	w->burst = p->burst != 0 ? p->burst : 32;
	w->socket = SOCKET_ID_ANY;
	w->pool = r->pool;
	w->pipe = &r->pipe;
	w->clock = &r->clock;
	w->sparse = rte_zmalloc("drops", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE);
	r->port = rte_zmalloc("port", sizeof(*r->port), RTE_CACHE_LINE_SIZE);
	w->port = r->port;
	rig_must(w->sparse != NULL && w->port != NULL, "no memory");
	rig_must(mailbox_init(w, &err) == 0, err.text);
	rig_must(crypto_worker_init(p->engines, p->n_engines, key_cache, w->index, w->socket,
				    &w->crypto, &err) == 0,
		 err.text);
	rig_must(esp_worker_init(w->socket, &w->esp, &err) == 0, err.text);
	rig_must(ah_worker_init(w->socket, &w->ah, &err) == 0, err.text);
	rig_must(stocks_create(1, w->socket,
			       &(struct stock_source) { rig_window_make, rig_window_free, NULL },
			       &r->stocks, &err) == 0,
		 err.text);
	w->stock = stocks_of(r->stocks, 0);
	rig_must(spd_worker_init(flows, flows, w->socket, &w->spd, &err) == 0, err.text);
	rig_must(icmp_worker_init(NULL, w->socket, &w->icmp, &err) == 0, err.text);
	rig_must(iptfs_worker_init(w, &err) == 0, err.text);
}

static inline void
rig_port_make(struct path_rig *r, uint8_t index, const char *v4, uint8_t len4, const char *v6)
{
	struct link *link = &r->links[index];
	struct err err = { "" };

	*link = (struct link) {
		.index = index,
		.side = index == RIG_BLACK ? PORT_BLACK : PORT_RED,
		.mtu = RIG_PATH_MTU,
		.mac = { { 2, 0, 0, 0, 0, index } },
		.n_addresses = 2,
	};
	link->addresses[0] = (struct link_address) { .addr = rig_addr(v4), .len = len4 };
	link->addresses[1] = (struct link_address) { .addr = rig_addr(v6), .len = 64 };
	snprintf(link->name, sizeof(link->name), "%s", index == RIG_BLACK ? "wan" : "lan");
	r->port->stations[index].mac = link->mac;
	rig_must(route_link_set(r->route, link, &err) == 0, err.text);
}

static inline void
rig_gateway(struct path_rig *r, uint8_t port, const char *via, const char *to, uint8_t len)
{
	struct rte_ether_addr mac = { { 2, 0, 0, 0, 1, port } };
	struct prefix prefix = rig_prefix(to, len);
	struct addr hop = rig_addr(via);
	struct err err = { "" };

	rig_must(route_neigh_set(r->route, &hop, &mac, port, &err) == 0, err.text);
	rig_must(route_add(r->route, &prefix, &hop, port, &err) == 0, err.text);
}

static inline void
rig_routes_make(struct path_rig *r)
{
	const struct route_params params = { .max_v4 = 64, .max_v6 = 64, .socket = SOCKET_ID_ANY };
	struct err err = { "" };

	rig_must(route_create(&params, &r->route, &err) == 0, err.text);
	rig_port_make(r, RIG_BLACK, "192.0.2.1", 24, "2001:db8::1");
	rig_port_make(r, RIG_RED, "10.254.0.1", 24, "fd00::1");
	rig_gateway(r, RIG_BLACK, "192.0.2.254", "0.0.0.0", 0);
	rig_gateway(r, RIG_BLACK, "2001:db8::fe", "::", 0);
	rig_gateway(r, RIG_RED, "10.254.0.2", "10.1.0.0", 16);
	rig_gateway(r, RIG_RED, "fd00::2", "fd01::", 16);
}

static inline void
rig_view_make(struct path_rig *r)
{
	struct icmp_source list[4];
	struct err err = { "" };

	for (int i = 0; i < 4; i++)
		list[i] = (struct icmp_source) {
			.addr = r->links[i / 2].addresses[i % 2].addr,
			.len = r->links[i / 2].addresses[i % 2].len,
			.port = (uint8_t)(i / 2),
			.red = i / 2 == RIG_RED,
		};
	rig_must(icmp_sources_create(list, 4, &r->sources, &err) == 0, err.text);
	r->view = (struct view) {
		.generation = 1,
		.sad = r->sad,
		.spd = r->spd,
		.route = r->route,
		.sas = &r->sas,
		.icmp = r->sources,
		.n_udp_ports = 1,
		.udp_ports_be = { RTE_BE16(4500) },
	};
	r->w->view = &r->view;
	r->w->next_view = &r->view;
}

/* Both rows that send end in sink, which counts in w->tx_packets and may free. */
static inline void
path_rig_sink(struct path_rig *r, stage_fn *sink)
{
	memcpy(r->rows, stage_rows, sizeof(r->rows));
	r->rows[STAGE_PORT_TX].run = sink;
	r->rows[STAGE_PORT_TX_OUT].run = sink;
	pipe_build(&r->pipe, r->rows,
		   UINT64_C(1) << STAGE_HANDOFF_OUT | UINT64_C(1) << STAGE_HANDOFF_IN |
			   UINT64_C(1) << STAGE_LOCAL_DELIVER | UINT64_C(1) << STAGE_IPCOMP_ENCAP |
			   UINT64_C(1) << STAGE_IPCOMP_DECAP | UINT64_C(1) << STAGE_IPTFS_FILL |
			   UINT64_C(1) << STAGE_IPTFS_SPLIT |
			   (r->udp6 ? 0 : UINT64_C(1) << STAGE_UDP_ENCAP));
}

static inline void
path_rig_make(struct path_rig *r, const struct rig_params *p)
{
	const struct spd_params spd = { .max_policies =
						p->max_policies != 0 ? p->max_policies : 256,
					.socket = SOCKET_ID_ANY };
	uint32_t max_sas = p->max_sas != 0 ? p->max_sas : 2 * RIG_SAS_MAX;
	struct err err = { "" };

	*r = (struct path_rig) { .pool = p->pool };
	clock_init(&r->clock, CLOCK_MANUAL);
	rig_worker_make(r, p);
	rig_routes_make(r);
	rig_must(sa_table_init(&r->sas, max_sas, SOCKET_ID_ANY, &err) == 0, err.text);
	rig_must(sad_create(&r->sas, max_sas, SOCKET_ID_ANY, NULL, &r->sad, &err) == 0, err.text);
	rig_must(spd_create(&spd, &r->spd, &err) == 0, err.text);
	rig_view_make(r);
	path_rig_sink(r, p->sink);
}

/* Lanes and windows of an SA with subspaces, or a lane and a window. */
static inline void
rig_numbers_make(struct path_rig *r, struct rig_sa *sa, const struct rig_suite *s)
{
	struct err err = { "" };

	lane_init(&sa->lane, 0, seq_last(s->esn));
	sa->window = rte_zmalloc("window", replay_size(s->window), RTE_CACHE_LINE_SIZE);
	rig_must(sa->window != NULL, "no memory");
	replay_init(sa->window, s->window, s->esn, 0);
	if (s->lanes == 0)
		return;
	sa->lanes = rte_zmalloc("lanes", s->lanes * sizeof(sa->lanes[0]), RTE_CACHE_LINE_SIZE);
	sa->set = rte_zmalloc("set", sizeof(*sa->set) + s->lanes * sizeof(sa->set->windows[0]), 0);
	rig_must(sa->lanes != NULL && sa->set != NULL, "no memory");
	sa->set->window = s->window;
	sa->set->n = s->lanes;
	for (uint16_t id = 0; id < s->lanes; id++)
		lane_init(&sa->lanes[id], (uint64_t)id << LANE_ID_SHIFT, lane_last(id));
	rig_must(stocks_want(r->stocks, s->window, &err) == 0, err.text);
}

static inline void
rig_numbers_free(struct rig_sa *sa)
{
	for (uint32_t id = 0; sa->set != NULL && id < sa->set->n; id++)
		rte_free(sa->set->windows[id]);
	rte_free(sa->set);
	rte_free(sa->lanes);
	rte_free(sa->window);
}

/* The pool stays the caller's. */
static inline void
path_rig_free(struct path_rig *r)
{
	struct worker *w = r->w;

	iptfs_worker_fini(w);
	icmp_worker_fini(w->icmp);
	spd_worker_fini(w->spd);
	ah_worker_fini(w->ah);
	esp_worker_fini(w->esp);
	crypto_worker_fini(w->crypto);
	mailbox_fini(w);
	rte_free(w->sparse);
	rte_free(w);
	icmp_sources_free(r->sources);
	spd_free(r->spd);
	sad_free(r->sad);
	sa_table_fini(&r->sas);
	route_free(r->route);
	rte_free(r->port);
	for (uint32_t n = 0; n < r->n_sas; n++)
		rig_numbers_free(&r->sa[n]);
	stocks_free(r->stocks);
}

/* As the first SA that sends UDP over IPv6 does. */
static inline void
rig_udp6(struct path_rig *r, const struct rig_suite *s)
{
	if (s->udp && s->v6 && !r->udp6)
		pipe_add(&r->pipe, r->rows, STAGE_UDP_ENCAP);
	r->udp6 |= s->udp && s->v6;
}

static inline uint32_t
rig_sa_make(struct path_rig *r, const struct rig_suite *s, uint32_t n, bool inbound)
{
	static const uint8_t key[ALG_KEY_MAX + ALG_AUTH_KEY_MAX] = "a key that nobody else has";
	struct rig_sa *sa = &r->sa[n];
	struct addr here = rig_end(s->v6, false, n), peer = rig_end(s->v6, true, n);
	bool from_peer = inbound && !s->loop;
	struct sa_params p = {
		.name = "rig",
		.inbound = inbound,
		.transport = s->transport,
		.ecn = true,
		.spi = sa->spi,
		.src = from_peer ? peer : here,
		.dst = from_peer ? here : peer,
		.key = key,
		.salt = key + 1,
		.auth_key = key + 2,
		.udp = s->udp,
		.udp_src = 4500,
		.udp_dst = 4500,
		.origin = { .group = n + 1 },
		.path_mtu = RIG_PATH_MTU,
		.pad_to = inbound ? 0 : s->pad_to,
		.dummy_rate = !inbound && s->dummies,
		.owner = s->owner,
		.echo = s->echo,
		.ipcomp = { .on = s->ipcomp,
			    .cpi = 2,
			    .threshold = 128,
			    .max_output = 65535,
			    .n_cells = 1 },
	};
	struct err err = { "" };
	uint32_t index;

	if (s->iptfs != NULL)
		p.iptfs = *s->iptfs;
	p.ah = s->ah;
	p.beet = s->beet != 0;
	p.inner_src = rig_host(s->beet, from_peer, n);
	p.inner_dst = rig_host(s->beet, !from_peer, n);
	p.subspaces = s->lanes != 0;
	p.lanes = s->lanes;
	p.lane_by_class = s->lane_by_class;
	if (inbound && s->lanes != 0)
		p.windows = sa->set->windows;
	else if (inbound)
		p.window = sa->window;
	else
		p.lane = s->lanes != 0 ? sa->lanes : &sa->lane;
	p.outer = (struct tunnel_params) {
		.src = p.src,
		.dst = p.dst,
		.udp = s->udp,
		.udp_src = 4500,
		.udp_dst = 4500,
		.proto = s->ah ? IPPROTO_AH : IPPROTO_ESP,
		.ttl = 64,
		.ecn = true,
		.label = TUNNEL_LABEL_HASH,
	};
	if (s->ah)
		rig_must(suite_init_ah(&p.suite, &algs[s->auth != ALG_NONE ? s->auth : s->cipher],
				       s->esn, &err) == 0,
			 err.text);
	else
		rig_must(suite_init(&p.suite, &algs[s->cipher],
				    s->auth != ALG_NONE ? &algs[s->auth] : NULL, s->icv_len,
				    s->implicit_iv, s->esn, &err) == 0,
			 err.text);
	rig_must(crypto_engine_pick(r->w->crypto->engines, r->w->crypto->n_engines, &p.suite,
				    &p.engine, &err) == 0,
		 err.text);
	rig_must(sa_create(&r->sas, &p, 0, &index, &err) == 0, err.text);
	rig_udp6(r, s);
	if (inbound)
		rig_must(sad_add(r->sad, index, SA_NONE, &err) == 0, err.text);
	else
		sa_at(&r->sas, index)->next_hop = route_hold(r->route, &p.dst);
	return index;
}

/* What a policy is between: the protected nets of SA n, or the ends of the SA itself (transport
 * mode). Stores a range of each family.
 */
static inline void
rig_side(struct spd_range range[2], bool ends, bool peer, uint32_t n)
{
	struct addr v4 = rig_addr("10.0.0.0"), v6 = rig_addr("fd00::");

	if (ends) {
		v4 = rig_end(false, peer, n);
		v6 = rig_end(true, peer, n);
	} else {
		v4.octets[1] = v6.octets[1] = peer ? 2 : 1;
		v4.octets[2] = v6.octets[7] = (uint8_t)n;
	}
	spd_prefix(&range[0], v4.octets, ends ? 32 : 24, false);
	spd_prefix(&range[1], v6.octets, ends ? 128 : 64, true);
}

/* Stages a policy between the nets or the ends of SA n; like says what else it is. Its source is
 * here, unless that is said to be there.
 */
static inline void
rig_policy_from(struct path_rig *r, uint32_t n, bool ends, enum spd_direction direction,
		bool from_there, const struct policy_params *like)
{
	struct spd_range here[2], there[2];
	const struct spd_addrs near = { .n_v4 = 1, .n_v6 = 1, .v4 = &here[0], .v6 = &here[1] };
	const struct spd_addrs far = { .n_v4 = 1, .n_v6 = 1, .v4 = &there[0], .v6 = &there[1] };
	struct policy_params p = *like;
	struct err err = { "" };
	uint32_t index;

	rig_side(here, ends, false, n);
	rig_side(there, ends, true, n);
	p.direction = direction;
	p.order = ++r->order;
	p.src = from_there ? far : near;
	p.dst = from_there ? near : far;
	p.dscp = SPD_ANY_DSCP;
	if (p.src_port.hi == 0)
		p.src_port.hi = UINT16_MAX;
	if (p.dst_port.hi == 0)
		p.dst_port.hi = UINT16_MAX;
	rig_must(spd_add(r->spd, &p, &index, &err) == 0, err.text);
}

static inline void
rig_policy_add(struct path_rig *r, uint32_t n, bool ends, enum spd_direction direction,
	       const struct policy_params *like)
{
	rig_policy_from(r, n, ends, direction, direction == SPD_IN, like);
}

/* What a loop needs beside its SAs: the peer's address is ours, and its nets are behind red. */
static inline void
rig_loop_close(struct path_rig *r, const struct rig_suite *s, uint32_t n)
{
	struct addr peer = rig_end(s->v6, true, n);
	struct err err = { "" };

	rig_must(route_own_add(r->route, &peer, &err) == 0, err.text);
	rig_gateway(r, RIG_RED, "10.254.0.2", "10.2.0.0", 16);
	rig_gateway(r, RIG_RED, "fd00::2", "fd02::", 16);
}

/* An SA each way and the policies of its nets. Returns its number. */
static inline uint32_t
path_rig_sa(struct path_rig *r, const struct rig_suite *s)
{
	uint32_t n = r->n_sas++;
	struct rig_sa *sa = &r->sa[n];
	struct policy_params p = { .action = POLICY_PROTECT,
				   .protocol = SPD_ANY_PROTOCOL,
				   .icmp = true,
				   .group = n + 1,
				   .sa = SA_NONE };

	rig_must(n < RIG_SAS_MAX, "too many SAs");
	sa->spi = RIG_SPI + n;
	rig_numbers_make(r, sa, s);
	sa->in = rig_sa_make(r, s, n, true);
	sa->out = rig_sa_make(r, s, n, false);
	rig_policy_from(r, n, s->transport, SPD_IN, !s->loop, &p);
	if (s->loop)
		rig_loop_close(r, s, n);
	p.sa = sa->out;
	p.sa_generation = sa_at(&r->sas, sa->out)->generation;
	rig_policy_add(r, n, false, SPD_OUT, &p);
	spd_commit(r->spd);
	return n;
}

/* As if no packet had gone through any SA. */
static inline void
path_rig_forget(struct path_rig *r)
{
	for (uint32_t n = 0; n < r->n_sas; n++) {
		struct rig_sa *sa = &r->sa[n];

		lane_init(&sa->lane, 0, sa->lane.end);
		replay_init(sa->window, sa->window->window, sa->window->esn, 0);
		for (uint32_t id = 0; sa->set != NULL && id < sa->set->n; id++) {
			uint64_t none = (uint64_t)id << LANE_ID_SHIFT;

			lane_init(&sa->lanes[id], none, lane_last((uint16_t)id));
			if (sa->set->windows[id] != NULL)
				replay_init(sa->set->windows[id], sa->set->window, true, none);
		}
	}
}

static inline uint64_t
rig_sum(const uint64_t *cells, unsigned int n)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += cells[i];
	return sum;
}

/* rx + generated + split == tx + consumed + dropped + merged + held; only IP-TFS and engines hold
 * packets here. */
static inline bool
path_rig_conserves(const struct path_rig *r)
{
	const struct worker *w = r->w;

	return w->rx_packets + rig_sum(w->generated, GENERATED_MAX) + w->split ==
	       w->tx_packets + rig_sum(w->consumed, CONSUMED_MAX) + rig_sum(w->drops, DROP_MAX) +
		       w->merged + iptfs_held(w) + engines_held(w);
}

/* Feeds frames, at most BURST_MAX, that came by a port. */
static inline void
path_rig_feed(struct path_rig *r, uint8_t port, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		pkts[i]->port = port;
		pkt_of(pkts[i])->port = port;
	}
	cell_add(&r->w->rx_packets, n);
	pipe_run(r->w, port == RIG_RED ? STAGE_CLASSIFY_RED : STAGE_CLASSIFY_BLACK, pkts, n);
}

#endif
