#include "unit.h"

#include <rte_ip.h>

#include "eal.h"
#include "port/port.h"
#include "route/route_stage.h"
#include "route_bed.h"
#include "worker/mailbox.h"

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
		h->time_to_live = 64;
	} else {
		struct rte_ipv6_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);

		memcpy(h->dst_addr, a.octets, 16);
		h->hop_limits = 64;
		pkt_of(m)->flags = PKT_V6;
	}
	return m;
}

static void
packets_go_where_they_belong(void **state)
{
	enum {
		KEPT = STAGE_MAX,
		DROPPED,
		NO_POLICY = 2
	};
	static const struct {
		const char *what, *dst;
		uint16_t n;
		bool df;
		uint8_t own;	   /* or NO_POLICY */
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
		{ "to black by no policy, too large: the stage drops it, tells nobody and sends no piece",
		  "192.0.2.9", 1450, true, NO_POLICY, STAGE_SPD_MATCH, KEPT },
		{ "likewise without DF", "192.0.2.9", 1450, false, NO_POLICY, STAGE_SPD_MATCH, KEPT },
		{ "to black by a policy, too large without DF", "192.0.2.9", 1450, false, false,
		  STAGE_SPD_MATCH, STAGE_FRAG_OUTER },
		{ "nowhere", "203.0.113.1", 100, false, false, DROPPED + DROP_NO_ROUTE, DROPPED + DROP_NO_ROUTE },
		{ "nowhere, IPv6", "fd99::1", 100, false, false, DROPPED + DROP_NO_ROUTE, DROPPED + DROP_NO_ROUTE },
		{ "too large with DF", "10.1.2.3", 1501, true, false, STAGE_ICMP_REPLY, STAGE_ICMP_REPLY },
		{ "too large without", "10.1.2.3", 1501, false, false, STAGE_FRAG_OUTER, STAGE_FRAG_OUTER },
		{ "too large without, and our own", "10.1.2.3", 1501, false, true, STAGE_FRAG_OUTER, STAGE_FRAG_OUTER },
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

		if (cases[k].own == true)
			pkt_of(m)->flags |= PKT_OWN;
		pkt_of(m)->policy = cases[k].own == NO_POLICY ? POLICY_NONE : 0;
		w->pushed = 0;
		memset(w->drops, 0, sizeof(w->drops));
		if ((i % 2 ? route_bypass : route)(w, &m, 1) == 0)
			got = w->pushed != 0 ? __builtin_ctzll(w->pushed) : DROPPED;
		for (int d = 0; got == DROPPED && d < DROP_MAX; d++)
			if (w->drops[d] != 0)
				got = DROPPED + d;
		if (got != want)
			fail_msg("%s: %d instead of %d", cases[k].what, got, want);
		if (got == STAGE_ICMP_REPLY)
			assert_int_equal(pkt_of(m)->reply, ICMP_REPLY_TOO_BIG);
		if (got == STAGE_ICMP_REPLY || got == STAGE_FRAG_OUTER)
			assert_int_equal(pkt_of(m)->mtu, cases[k].dst[1] == '9' ? 1400 : 1500);
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

/* Feeds neigh_write a packet for an address whose neighbour is not known. */
static void
unknown_meets(struct bed *b, const char *dst, uint16_t hop)
{
	struct rte_mbuf *m = packet(dst, 100, false);
	struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	if ((pkt_of(m)->flags & PKT_V6) == 0)
		h->version_ihl = RTE_IPV4_VHL_DEF;
	else
		rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->vtc_flow = RTE_BE32(6u << 28);
	pkt_of(m)->next_hop = hop;
	assert_int_equal(neigh_write(b->w, &m, 1), 0);
}

static void
control_hears_of_unknown_neighbours(void **state)
{
	enum {
		MS = 1000000
	};
	static const struct {
		const char *what, *dst;
		uint32_t at; /* ms */
		const char *via;
		bool told;
	} cases[] = {
		{ "on the link: the destination itself", "10.1.2.4", 0, NULL, true },
		{ "another one at the same time", "10.1.2.5", 0, NULL, true },
		{ "an IPv6 one", "fd01::6", 0, NULL, true },
		{ "the same again, too soon", "10.1.2.4", 99, NULL, false },
		{ "the same again, later", "10.1.2.4", 100, NULL, true },
		{ "behind a gateway: the gateway", "203.0.113.7", 100, "10.1.2.77", true },
		{ "another address behind it", "203.0.113.8", 100, "10.1.2.77", false },
	};
	const struct prefix behind = net("203.0.113.0/24");
	struct addr gateway = ip("10.1.2.77");
	struct bed *b = *state;
	struct worker_event e;
	struct err err;

	assert_int_equal(mailbox_init(b->w, &err), 0);
	assert_int_equal(route_add(b->r, &behind, &gateway, LAN, &err), 0);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct addr dst = ip(cases[i].dst), want = dst;

		b->w->now = MS * (uint64_t)(1000 + cases[i].at);
		if (cases[i].via != NULL)
			want = ip(cases[i].via);
		unknown_meets(b, cases[i].dst, route_of(b->r, &dst));
		if (mailbox_event(b->w, &e) != cases[i].told)
			fail_msg("%s: told %d", cases[i].what, !cases[i].told);
		if (!cases[i].told)
			continue;
		assert_int_equal(e.kind, EVENT_UNRESOLVED);
		assert_int_equal(e.unresolved.family, want.family);
		assert_memory_equal(e.unresolved.address, want.octets, 16);
		assert_int_equal(e.unresolved.port, LAN);
	}
	mailbox_fini(b->w);
}

int
main(void)
{
#define BED(test) cmocka_unit_test_setup_teardown(test, bed_up, bed_down)
	const struct CMUnitTest tests[] = {
		BED(packets_go_where_they_belong),
		BED(a_burst_keeps_its_order),
		BED(no_header_no_frame),
		BED(control_hears_of_unknown_neighbours),
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
