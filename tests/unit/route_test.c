#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include <rte_ip.h>

#include "base/json.h"
#include "eal.h"
#include "route/route.h"
#include "route/route_stage.h"
#include "worker.h"

enum {
	LAN,
	WAN,
	LAN2
}; /* ports of the bed */

static struct rte_mempool *pool;

static struct addr
ip(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		fail_msg("%s does not parse", text);
	return a;
}

static struct prefix
net(const char *text)
{
	char copy[64];
	char *slash;
	struct addr a;

	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	assert_non_null(slash);
	*slash = '\0';
	a = ip(copy);
	return prefix_of(&a, (uint8_t)atoi(slash + 1));
}

static struct port
port_made(uint8_t index, enum port_side side, uint16_t mtu)
{
	struct port p = { .index = index, .side = side, .mtu = mtu };

	p.mac.addr_bytes[0] = 2;
	p.mac.addr_bytes[5] = index;
	snprintf(p.name, sizeof(p.name), "port%u", index);
	return p;
}

static void
port_address(struct port *p, const char *text)
{
	struct prefix parsed = net(text);
	struct port_address *a = &p->addresses[p->n_addresses++];
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", text);
	*strchr(copy, '/') = '\0';
	a->addr = ip(copy);
	a->len = parsed.len;
}

/* What is deferred waits until the test says so. */
struct waiting {
	uint32_t n;
	struct {
		void (*fn)(void *);
		void *obj;
	} list[256];
};

static void
defer(void *ctx, void (*fn)(void *), void *obj)
{
	struct waiting *q = ctx;

	assert_true(q->n < RTE_DIM(q->list));
	q->list[q->n].fn = fn;
	q->list[q->n++].obj = obj;
}

static void
grace(struct waiting *q)
{
	for (uint32_t i = 0; i < q->n; i++)
		q->list[i].fn(q->list[i].obj);
	q->n = 0;
}

struct bed {
	struct route *r;
	struct worker *w;
	struct view view;
	struct waiting waiting;
	struct port ports[3];
};

static int
bed_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct route_params params = { .socket = SOCKET_ID_ANY,
				       .defer = defer,
				       .defer_ctx = &b->waiting };
	struct err err;

	params.max_v4 = 16;
	assert_int_equal(route_create(&params, &b->r, &err), 0);
	b->ports[LAN] = port_made(LAN, PORT_RED, 1500);
	port_address(&b->ports[LAN], "10.1.0.1/16");
	port_address(&b->ports[LAN], "fd01::1/64");
	b->ports[WAN] = port_made(WAN, PORT_BLACK, 1400);
	port_address(&b->ports[WAN], "192.0.2.1/24");
	port_address(&b->ports[WAN], "2001:db8::1/64");
	b->ports[LAN2] = port_made(LAN2, PORT_RED, 1300);
	port_address(&b->ports[LAN2], "10.3.0.1/16");
	for (int i = 0; i < 3; i++)
		if (route_port_set(b->r, &b->ports[i], &err) < 0)
			fail_msg("%s", err.text);
	b->w = test_worker_new(0, 1);
	b->view.route = b->r;
	b->w->view = &b->view;
	*state = b;
	return 0;
}

static int
bed_down(void **state)
{
	struct bed *b = *state;

	for (int s = 0; s < STAGE_MAX; s++)
		for (int i = 0; i < b->w->pending[s].n; i++)
			rte_pktmbuf_free(b->w->pending[s].pkts[i]);
	grace(&b->waiting);
	route_free(b->r);
	rte_free(b->w);
	free(b);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	return 0;
}

static void
add(struct bed *b, const char *to, const char *via, uint8_t port)
{
	struct prefix p = net(to);
	struct addr a = via != NULL ? ip(via) : (struct addr) { 0 };
	struct err err;

	if (route_add(b->r, &p, via != NULL ? &a : NULL, port, &err) < 0)
		fail_msg("%s", err.text);
}

static void
neigh(struct bed *b, const char *text, uint8_t last, uint8_t port)
{
	struct rte_ether_addr mac = { { 2, 0, 0, 0, 1, last } };
	struct addr a = ip(text);
	struct err err;

	if (route_neigh_set(b->r, &a, &mac, port, &err) < 0)
		fail_msg("%s", err.text);
}

static const struct next_hop *
hop_of(struct bed *b, const char *text)
{
	struct addr a = ip(text);

	return route_hop(b->r, route_of(b->r, &a));
}

static void
ports_bring_routes(void **state)
{
	static const struct {
		const char *what, *to;
		uint8_t flags, port;
		bool local;
	} cases[] = {
		{ "our address", "10.1.0.1", HOP_IS_LOCAL, 0, true },
		{ "our IPv6 address", "2001:db8::1", HOP_IS_LOCAL, 0, true },
		{ "on the link", "10.1.255.255", HOP_ON_LINK, LAN, false },
		{ "on another link", "192.0.2.7", HOP_ON_LINK, WAN, false },
		{ "on the link, IPv6", "fd01::7", HOP_ON_LINK, LAN, false },
		{ "anywhere else", "198.51.100.1", HOP_NOWHERE, 0, false },
		{ "anywhere else, IPv6", "fd02::1", HOP_NOWHERE, 0, false },
	};
	struct bed *b = *state;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		const struct next_hop *h = hop_of(b, cases[i].to);
		struct addr a = ip(cases[i].to);
		uint32_t v4;
		bool local;

		memcpy(&v4, a.octets, 4);
		local = a.family == 4 ? route_is_local_v4(b->r, v4) :
					route_is_local_v6(b->r, a.octets);
		if (h->flags != cases[i].flags || h->port != cases[i].port ||
		    local != cases[i].local)
			fail_msg("%s", cases[i].what);
	}
}

static void
neighbours_have_their_own_routes(void **state)
{
	static const uint8_t want[HOP_L2_SIZE] = { 2, 0, 0, 0, 1, 9, 2, 0, 0, 0, 0, LAN, 8, 0 };
	struct bed *b = *state;
	struct addr a = ip("10.1.2.3"), far = ip("10.9.9.9");
	struct err err;

	neigh(b, "10.1.2.3", 9, LAN);
	assert_int_equal(hop_of(b, "10.1.2.3")->flags, HOP_HAS_MAC);
	assert_memory_equal(hop_of(b, "10.1.2.3")->l2, want, HOP_L2_SIZE);
	assert_int_equal(hop_of(b, "10.1.2.3")->mtu, 1500);
	assert_int_equal(hop_of(b, "10.1.2.4")->flags, HOP_ON_LINK);
	neigh(b, "fd01::5", 4, LAN);
	assert_memory_equal(hop_of(b, "fd01::5")->l2 + 12, "\x86\xdd", 2);
	/* It moves: the same next hop, another MAC. */
	neigh(b, "10.1.2.3", 8, LAN);
	assert_int_equal(hop_of(b, "10.1.2.3")->l2[5], 8);
	/* What is on no link of its port has no route, but can be a gateway. */
	neigh(b, "10.9.9.9", 7, LAN);
	assert_int_equal(hop_of(b, "10.9.9.9")->flags, HOP_NOWHERE);
	neigh(b, "192.0.2.9", 6, LAN);
	assert_int_equal(hop_of(b, "192.0.2.9")->flags, HOP_ON_LINK);
	assert_int_equal(route_neigh_del(b->r, &a, LAN, &err), 0);
	assert_int_equal(hop_of(b, "10.1.2.3")->flags, HOP_ON_LINK);
	assert_int_equal(route_neigh_del(b->r, &a, LAN, &err), -ENOENT);
	assert_string_equal(err.text, "10.1.2.3 is no neighbour");
	assert_int_equal(route_neigh_del(b->r, &far, WAN, &err), -ENOENT);
}

static void
a_new_prefix_on_the_link_takes_its_neighbours_in(void **state)
{
	struct bed *b = *state;
	struct prefix p = net("10.9.0.0/16");
	struct err err;

	neigh(b, "10.9.9.9", 7, LAN);
	add(b, "10.9.0.0/16", NULL, LAN);
	assert_int_equal(hop_of(b, "10.9.9.9")->flags, HOP_HAS_MAC);
	assert_int_equal(hop_of(b, "10.9.9.8")->flags, HOP_ON_LINK);
	assert_int_equal(route_del(b->r, &p, &err), 0);
	assert_int_equal(hop_of(b, "10.9.9.9")->flags, HOP_NOWHERE);
}

static void
static_routes_lead_to_gateways(void **state)
{
	struct bed *b = *state;
	const struct next_hop *gw;
	struct prefix p = net("10.2.0.0/16");
	struct err err;

	add(b, "0.0.0.0/0", "192.0.2.254", WAN);
	add(b, "10.2.0.0/16", "10.1.0.254", LAN);
	assert_int_equal(hop_of(b, "10.2.3.4")->flags, 0);
	neigh(b, "10.1.0.254", 1, LAN);
	gw = hop_of(b, "10.2.3.4");
	assert_int_equal(gw->flags, HOP_HAS_MAC);
	assert_ptr_equal(gw, hop_of(b, "10.1.0.254"));
	assert_int_equal(hop_of(b, "8.8.8.8")->port, WAN);
	/* Said again with another gateway: replaced. */
	add(b, "10.2.0.0/16", "10.1.0.253", LAN);
	assert_ptr_not_equal(gw, hop_of(b, "10.2.3.4"));
	/* A host bit in the prefix is cut, so this is the same route. */
	assert_int_equal(route_del(b->r, &(struct prefix) { ip("10.2.7.7"), 16 }, &err), 0);
	assert_int_equal(hop_of(b, "10.2.3.4")->port, WAN);
	assert_int_equal(route_del(b->r, &p, &err), -ENOENT);
	assert_string_equal(err.text, "10.2.0.0/16: there is no such static route");
}

static void
local_wins_over_connected_over_static_over_neighbour(void **state)
{
	struct bed *b = *state;
	struct prefix host = net("10.1.2.3/32"), lan = net("10.1.0.0/16");
	struct addr a = ip("10.1.2.3");
	struct err err;

	neigh(b, "10.1.2.3", 1, LAN);
	neigh(b, "10.1.0.254", 2, LAN);
	add(b, "10.1.2.3/32", "10.1.0.254", LAN);
	assert_int_equal(hop_of(b, "10.1.2.3")->l2[5], 2);
	assert_int_equal(route_own_add(b->r, &a, &err), 0);
	assert_int_equal(route_own_add(b->r, &a, &err), 0);
	assert_int_equal(hop_of(b, "10.1.2.3")->flags, HOP_IS_LOCAL);
	route_own_del(b->r, &a);
	assert_int_equal(hop_of(b, "10.1.2.3")->flags, HOP_IS_LOCAL);
	route_own_del(b->r, &a);
	assert_int_equal(hop_of(b, "10.1.2.3")->l2[5], 2);
	assert_int_equal(route_del(b->r, &host, &err), 0);
	assert_int_equal(hop_of(b, "10.1.2.3")->l2[5], 1);
	/* A static route over a connected prefix waits behind it. */
	add(b, "10.1.0.0/16", "192.0.2.254", WAN);
	assert_int_equal(hop_of(b, "10.1.7.7")->port, LAN);
	assert_int_equal(route_del(b->r, &lan, &err), 0);
	assert_int_equal(hop_of(b, "10.1.7.7")->port, LAN);
}

static void
what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *what, *to, *via;
		uint8_t port;
		int rc;
		const char *says;
	} cases[] = {
		{ "a port that is not", "10.5.0.0/16", NULL, 7, -EINVAL,
		  "10.5.0.0/16: there is no port 7" },
		{ "families mixed", "10.5.0.0/16", "fd01::2", LAN, -EINVAL,
		  "10.5.0.0/16: the next hop is of the other family" },
	};
	struct bed *b = *state;
	struct addr bad = ip("224.0.0.1");
	struct prefix p;
	struct err err;
	int rc = 0;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct addr via = cases[i].via != NULL ? ip(cases[i].via) : bad;

		p = net(cases[i].to);
		rc = route_add(b->r, &p, cases[i].via != NULL ? &via : NULL, cases[i].port, &err);
		if (rc != cases[i].rc || strcmp(err.text, cases[i].says) != 0)
			fail_msg("%s: %d %s", cases[i].what, rc, err.text);
	}
	assert_int_equal(route_own_add(b->r, &bad, &err), -EINVAL);
	assert_string_equal(err.text, "224.0.0.1 cannot be an address of ours");
	/* 16 IPv4 routes at most: 3 are the ports'. */
	p = net("10.100.0.0/16");
	for (int i = 0; i < 14; i++, p.addr.octets[1]++)
		rc = route_add(b->r, &p, NULL, LAN, &err);
	assert_int_equal(rc, -ENOSPC);
	assert_string_equal(err.text,
			    "10.113.0.0/16: there are 16 routes already; raise gateway.max_routes");
}

static void
a_hold_outlives_routes_and_ids_come_back_after_grace(void **state)
{
	struct bed *b = *state;
	struct prefix p = net("198.51.100.0/24");
	struct addr peer = ip("198.51.100.1"), link = ip("192.0.2.77"), nowhere = ip("203.0.113.1");
	uint32_t generation;
	uint16_t held, onlink, gone;
	struct err err;

	add(b, "198.51.100.0/24", "192.0.2.254", WAN);
	neigh(b, "192.0.2.254", 1, WAN);
	held = route_hold(b->r, &peer);
	generation = route_generation(b->r);
	assert_int_equal(route_of(b->r, &peer), held);
	add(b, "198.51.100.0/24", "192.0.2.253", WAN);
	assert_int_not_equal(route_generation(b->r), generation);
	assert_int_not_equal(route_of(b->r, &peer), held);
	assert_int_equal(route_hop(b->r, held)->l2[5], 1);
	/* A neighbour's new MAC reaches who holds it, and is no new generation. */
	generation = route_generation(b->r);
	neigh(b, "192.0.2.254", 5, WAN);
	assert_int_equal(route_hop(b->r, held)->l2[5], 5);
	assert_int_equal(route_generation(b->r), generation);
	/* On the link, before the neighbour is known: completed in place. */
	onlink = route_hold(b->r, &link);
	assert_int_equal(route_hop(b->r, onlink)->flags, 0);
	neigh(b, "192.0.2.77", 6, WAN);
	assert_int_equal(route_hop(b->r, onlink)->l2[5], 6);
	route_release(b->r, onlink);
	/* Nothing refers to its next hop any more: the id comes back after grace, not before. */
	grace(&b->waiting);
	gone = route_of(b->r, &peer);
	assert_int_equal(route_del(b->r, &p, &err), 0);
	assert_int_equal(route_of(b->r, &peer), NEXT_HOP_NONE);
	neigh(b, "192.0.2.10", 1, WAN);
	assert_ptr_not_equal(hop_of(b, "192.0.2.10"), route_hop(b->r, gone));
	grace(&b->waiting);
	neigh(b, "192.0.2.11", 1, WAN);
	assert_ptr_equal(hop_of(b, "192.0.2.11"), route_hop(b->r, gone));
	route_release(b->r, route_hold(b->r, &nowhere));
	route_release(b->r, held);
}

static void
ports_change_live(void **state)
{
	struct bed *b = *state;
	struct port p = b->ports[LAN];
	struct addr a = ip("10.1.0.1");
	struct err err;
	uint32_t v4;

	neigh(b, "10.1.2.3", 9, LAN);
	neigh(b, "10.4.2.3", 8, LAN);
	p.n_addresses = 0;
	p.mtu = 9000;
	p.mac.addr_bytes[5] = 0x55;
	port_address(&p, "10.4.0.1/16");
	port_address(&p, "10.4.0.2/16");
	port_address(&p, "fd01::1/64");
	if (route_port_set(b->r, &p, &err) < 0)
		fail_msg("%s", err.text);
	memcpy(&v4, a.octets, 4);
	assert_false(route_is_local_v4(b->r, v4));
	assert_int_equal(hop_of(b, "10.1.2.3")->flags, HOP_NOWHERE);
	assert_int_equal(hop_of(b, "10.4.0.2")->flags, HOP_IS_LOCAL);
	assert_int_equal(hop_of(b, "10.4.2.3")->mtu, 9000);
	assert_int_equal(hop_of(b, "10.4.2.3")->l2[11], 0x55);
	assert_int_equal(hop_of(b, "fd01::9")->flags, HOP_ON_LINK);
	/* Two addresses in one prefix: it stays until the second goes. */
	p.addresses[0] = p.addresses[1];
	p.n_addresses = 1;
	assert_int_equal(route_port_set(b->r, &p, &err), 0);
	assert_int_equal(hop_of(b, "10.4.0.1")->flags, HOP_ON_LINK);
	assert_int_equal(hop_of(b, "fd01::9")->flags, HOP_NOWHERE);
	p.n_addresses = 0;
	assert_int_equal(route_port_set(b->r, &p, &err), 0);
	assert_int_equal(hop_of(b, "10.4.0.1")->flags, HOP_NOWHERE);
	port_address(&p, "192.0.2.99/24");
	assert_int_equal(route_port_set(b->r, &p, &err), -EEXIST);
	assert_string_equal(err.text, "192.0.2.0/24 is on the link of another port already");
}

/* A packet for an address, of n octets in all, as it stands after decapsulation. */
static struct rte_mbuf *
packet(const char *dst, uint16_t n, bool df)
{
	struct rte_mbuf *m = test_mbuf_new(pool, n);
	struct addr a = ip(dst);

	if (a.family == 4) {
		struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

		memcpy(&h->dst_addr, a.octets, 4);
		h->fragment_offset = df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0;
	} else {
		memcpy(rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->dst_addr, a.octets, 16);
		pkt_of(m)->flags = PKT_V6;
	}
	return m;
}

static void
packets_go_where_they_belong(void **state)
{
	enum {
		KEPT = STAGE_MAX,
		DROPPED
	};
	static const struct {
		const char *what, *dst;
		uint16_t n;
		bool df, own;
		int route, bypass; /* a stage, KEPT, or DROPPED + reason */
	} cases[] = {
		/* clang-format off */
		{ "to a neighbour", "10.1.2.3", 1500, true, false, KEPT, KEPT },
		{ "to an IPv6 neighbour", "fd01::5", 1500, false, false, KEPT, KEPT },
		{ "to the link, neighbour unknown: neigh_write's", "10.1.2.4", 100, false, false, KEPT, KEPT },
		{ "to us", "10.1.0.1", 100, false, false, STAGE_PUNT, STAGE_PUNT },
		{ "to us, IPv6, however large", "2001:db8::1", 1800, false, false, STAGE_PUNT, STAGE_PUNT },
		{ "to black", "192.0.2.9", 100, false, false, STAGE_SPD_MATCH, KEPT },
		{ "to black, IPv6", "2001:db8::9", 100, false, false, STAGE_SPD_MATCH, KEPT },
		{ "to black, too large: the tunnel knows better", "192.0.2.9", 1450, true, false,
		  STAGE_SPD_MATCH, STAGE_ICMP_REPLY },
		{ "nowhere", "203.0.113.1", 100, false, false, DROPPED + DROP_NO_ROUTE, DROPPED + DROP_NO_ROUTE },
		{ "nowhere, IPv6", "fd99::1", 100, false, false, DROPPED + DROP_NO_ROUTE, DROPPED + DROP_NO_ROUTE },
		{ "too large with DF", "10.1.2.3", 1501, true, false, STAGE_ICMP_REPLY, STAGE_ICMP_REPLY },
		{ "too large without", "10.1.2.3", 1501, false, false, DROPPED + DROP_TOO_BIG, DROPPED + DROP_TOO_BIG },
		{ "too large, IPv6", "fd01::5", 1501, false, false, STAGE_ICMP_REPLY, STAGE_ICMP_REPLY },
		{ "too large and our own", "fd01::5", 1501, false, true,
		  DROPPED + DROP_TOO_BIG, DROPPED + DROP_TOO_BIG },
		/* clang-format on */
	};
	struct bed *b = *state;

	neigh(b, "10.1.2.3", 9, LAN);
	neigh(b, "fd01::5", 9, LAN);
	for (size_t i = 0; i < 2 * RTE_DIM(cases); i++) {
		size_t k = i / 2;
		struct rte_mbuf *m = packet(cases[k].dst, cases[k].n, cases[k].df);
		int want = i % 2 ? cases[k].bypass : cases[k].route, got = KEPT;
		struct worker *w = b->w;

		if (cases[k].own)
			pkt_of(m)->flags |= PKT_OWN;
		w->pushed = 0;
		memset(w->drops, 0, sizeof(w->drops));
		if ((i % 2 ? route_bypass : route)(w, &m, 1) == 0)
			got = w->pushed != 0 ? __builtin_ctzll(w->pushed) : DROPPED;
		for (int d = 0; got == DROPPED && d < DROP_MAX; d++)
			if (w->drops[d] != 0)
				got = DROPPED + d;
		if (got != want)
			fail_msg("%s: %d instead of %d", cases[k].what, got, want);
		if (got == STAGE_ICMP_REPLY) {
			assert_int_equal(pkt_of(m)->reply, ICMP_REPLY_TOO_BIG);
			assert_int_equal(pkt_of(m)->mtu, cases[k].dst[1] == '9' ? 1400 : 1500);
		}
		if (got == KEPT)
			rte_pktmbuf_free(m);
	}
}

static void
a_burst_keeps_its_order(void **state)
{
	static const char *const dsts[] = { "10.1.2.3", "203.0.113.1", "fd01::5", "10.1.0.1",
					    "fd99::1",	"10.1.2.3",    "10.1.2.3" };
	struct bed *b = *state;
	struct rte_mbuf *pkts[RTE_DIM(dsts)], *all[RTE_DIM(dsts)];
	uint16_t hops[RTE_DIM(dsts)];

	neigh(b, "10.1.2.3", 9, LAN);
	neigh(b, "fd01::5", 9, LAN);
	for (size_t i = 0; i < RTE_DIM(dsts); i++)
		all[i] = pkts[i] = packet(dsts[i], 100, false);
	route_lookup(b->r, pkts, RTE_DIM(dsts), hops);
	for (size_t i = 0; i < RTE_DIM(dsts); i++) {
		struct addr a = ip(dsts[i]);

		assert_int_equal(hops[i], route_of(b->r, &a));
		assert_int_equal(pkt_of(pkts[i])->next_hop, NEXT_HOP_NONE);
	}
	assert_int_equal(route(b->w, pkts, RTE_DIM(dsts)), 4);
	assert_ptr_equal(pkts[0], all[0]);
	assert_ptr_equal(pkts[1], all[2]);
	assert_ptr_equal(pkts[2], all[5]);
	assert_ptr_equal(pkts[3], all[6]);
	assert_int_equal(b->w->pending[STAGE_PUNT].n, 1);
	assert_int_equal(b->w->drops[DROP_NO_ROUTE], 2);
	assert_int_equal(neigh_write(b->w, pkts, 4), 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pkts[i]->port, LAN);
		assert_int_equal(pkts[i]->pkt_len, 114);
		assert_memory_equal(rte_pktmbuf_mtod(pkts[i], void *),
				    hop_of(b, i == 1 ? "fd01::5" : "10.1.2.3")->l2, HOP_L2_SIZE);
		rte_pktmbuf_free(pkts[i]);
	}
}

static void
no_header_no_frame(void **state)
{
	struct bed *b = *state;
	struct addr on_link = ip("10.1.2.4"), known = ip("10.1.2.3");
	struct rte_mbuf *pkts[4];

	neigh(b, "10.1.2.3", 9, LAN);
	for (int i = 0; i < 4; i++)
		pkts[i] = packet("10.1.2.3", 100, false);
	pkt_of(pkts[0])->next_hop = route_of(b->r, &on_link);
	pkt_of(pkts[1])->next_hop = NEXT_HOP_NONE;
	pkt_of(pkts[2])->next_hop = route_of(b->r, &known);
	assert_non_null(rte_pktmbuf_prepend(pkts[2], rte_pktmbuf_headroom(pkts[2]) - 13));
	pkt_of(pkts[3])->next_hop = HOP_LOCAL;
	assert_int_equal(neigh_write(b->w, pkts, 4), 0);
	assert_int_equal(b->w->drops[DROP_NO_NEIGHBOUR], 1);
	assert_int_equal(b->w->drops[DROP_NO_ROUTE], 2);
	assert_int_equal(b->w->drops[DROP_BUFFER], 1);
}

static void
routes_are_printed(void **state)
{
	struct bed *b = *state;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	struct json j;

	neigh(b, "10.1.2.3", 9, LAN);
	add(b, "10.2.0.0/16", "10.1.2.3", LAN);
	route_print(b->r, NULL, f);
	json_init(&j, f);
	json_object(&j, NULL);
	route_json(b->r, NULL, &j);
	json_end(&j);
	fclose(f);
	assert_non_null(strstr(
		text,
		"* 10.2.0.0/16                                 static    via 10.1.2.3 on ?\n"));
	assert_non_null(strstr(text, "neighbour 10.1.2.3 02:00:00:00:01:09 on ?\n"));
	assert_non_null(strstr(text, "{\"to\":\"10.2.0.0/16\",\"origin\":\"static\",\"used\":true,"
				     "\"port\":\"?\",\"via\":\"10.1.2.3\"}"));
	free(text);
}

int
main(void)
{
#define BED(test) cmocka_unit_test_setup_teardown(test, bed_up, bed_down)
	const struct CMUnitTest tests[] = {
		BED(ports_bring_routes),
		BED(neighbours_have_their_own_routes),
		BED(a_new_prefix_on_the_link_takes_its_neighbours_in),
		BED(static_routes_lead_to_gateways),
		BED(local_wins_over_connected_over_static_over_neighbour),
		BED(what_is_wrong_is_said),
		BED(a_hold_outlives_routes_and_ids_come_back_after_grace),
		BED(ports_change_live),
		BED(packets_go_where_they_belong),
		BED(a_burst_keeps_its_order),
		BED(no_header_no_frame),
		BED(routes_are_printed),
	};
	struct err err;

	if (test_eal_init() < 0)
		return 1;
	if (port_pool_create("test", 1023, 1500, SOCKET_ID_ANY, &pool, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
