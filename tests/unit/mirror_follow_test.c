/* The follower of the kernel's tables, the kernel's part played by hand. */
#include "unit.h"

#include "eal.h"
#include "netlink_rig.h"

/* The last octet of the gateway that an address has. */
static uint8_t
gateway_of(struct far *far, const char *text)
{
	const struct next_hop *h = hop_of(far->b, text);

	if ((h->flags & HOP_NOWHERE) != 0)
		return 0;
	return h->address[h->family == 4 ? 3 : 15];
}

static void
of_one_prefix_the_lowest_metric_counts(void **state)
{
	struct far *far = *state;

	route_said(far, RTM_NEWROUTE, NLM_F_EXCL, "10.9.0.0/16", "192.0.2.20", WAN_INDEX, 200);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 20);
	route_said(far, RTM_NEWROUTE, NLM_F_EXCL, "10.9.0.0/16", "192.0.2.10", WAN_INDEX, 100);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 10);
	route_said(far, RTM_NEWROUTE, NLM_F_EXCL, "10.9.0.0/16", "192.0.2.30", WAN_INDEX, 300);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 10);
	/* Another interface's is none of ours, however good. */
	route_said(far, RTM_NEWROUTE, NLM_F_EXCL, "10.9.0.0/16", "172.16.0.1", HOST_INDEX, 1);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 10);
	route_said(far, RTM_DELROUTE, 0, "10.9.0.0/16", "192.0.2.10", WAN_INDEX, 100);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 20);
	route_said(far, RTM_DELROUTE, 0, "10.9.0.0/16", "172.16.0.1", HOST_INDEX, 1);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 20);
	route_said(far, RTM_DELROUTE, 0, "10.9.0.0/16", "192.0.2.20", WAN_INDEX, 200);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 30);
	assert_int_equal(follow_counters(far->f).routes, 1);
	route_said(far, RTM_DELROUTE, 0, "10.9.0.0/16", "192.0.2.30", WAN_INDEX, 300);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 0);
	assert_int_equal(follow_counters(far->f).routes, 0);
}

static void
of_one_metric_the_first_counts(void **state)
{
	struct far *far = *state;

	route_said(far, RTM_NEWROUTE, NLM_F_CREATE, "10.9.0.0/16", "192.0.2.20", WAN_INDEX, 7);
	route_said(far, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, "10.9.0.0/16", "192.0.2.21",
		   WAN_INDEX, 7);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 20);
	/* `ip route prepend` */
	route_said(far, RTM_NEWROUTE, NLM_F_CREATE, "10.9.0.0/16", "192.0.2.19", WAN_INDEX, 7);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 19);
	route_said(far, RTM_DELROUTE, 0, "10.9.0.0/16", "192.0.2.19", WAN_INDEX, 7);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 20);
	/* Which of several the kernel replaces only a dump tells. */
	route_said(far, RTM_NEWROUTE, NLM_F_REPLACE, "10.9.0.0/16", "192.0.2.25", WAN_INDEX, 7);
	tick(far, 1000 * MS);
	assert_int_equal(far->dump, RTM_GETROUTE);
	route_said(far, RTM_NEWROUTE, NLM_F_MULTI, "10.9.0.0/16", "192.0.2.25", WAN_INDEX, 7);
	route_said(far, RTM_NEWROUTE, NLM_F_MULTI, "10.9.0.0/16", "192.0.2.21", WAN_INDEX, 7);
	settle(far);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 25);
	route_said(far, RTM_DELROUTE, 0, "10.9.0.0/16", "192.0.2.25", WAN_INDEX, 7);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 21);
}

static void
a_route_is_replaced_in_place(void **state)
{
	struct far *far = *state;
	uint32_t before;

	route_said(far, RTM_NEWROUTE, NLM_F_EXCL, "10.9.0.0/16", "192.0.2.20", WAN_INDEX, 0);
	before = route_generation(far->b->r);
	route_said(far, RTM_NEWROUTE, NLM_F_REPLACE, "10.9.0.0/16", "192.0.2.21", WAN_INDEX, 0);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 21);
	/* One change: a removal and an addition would have been two. */
	assert_int_equal(route_generation(far->b->r), before + 1);
	/* Away from the mirrors, and back. */
	route_said(far, RTM_NEWROUTE, NLM_F_REPLACE, "10.9.0.0/16", "172.16.0.1", HOST_INDEX, 0);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 0);
	route_said(far, RTM_NEWROUTE, NLM_F_REPLACE, "10.9.0.0/16", "192.0.2.22", WAN_INDEX, 0);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 22);
	/* The same again is no change. */
	before = route_generation(far->b->r);
	route_said(far, RTM_NEWROUTE, NLM_F_REPLACE, "10.9.0.0/16", "192.0.2.22", WAN_INDEX, 0);
	assert_int_equal(route_generation(far->b->r), before);
}

static void
both_families_and_defaults_are_followed(void **state)
{
	static const struct {
		const char *to, *via, *asked;
		uint8_t gateway;
	} cases[] = {
		{ "0.0.0.0/0", "192.0.2.254", "8.8.8.8", 254 },
		{ "::/0", "fe80::9", "2001:4860::1", 9 },
		{ "fd05::/48", "2001:db8::7", "fd05::1", 7 },
		{ "203.0.113.5/32", "198.51.100.6", "203.0.113.5", 6 }, /* onlink */
	};
	struct far *far = *state;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		route_said(far, RTM_NEWROUTE, NLM_F_EXCL, cases[i].to, cases[i].via, WAN_INDEX,
			   1024);
		if (gateway_of(far, cases[i].asked) != cases[i].gateway ||
		    hop_of(far->b, cases[i].asked)->port != WAN)
			fail_msg("%s via %s", cases[i].to, cases[i].via);
	}
	/* The MAC of a link-local gateway is that port's. */
	neigh_said(far, "fe80::9", LAN_INDEX, NUD_REACHABLE, 1);
	neigh_said(far, "fe80::9", WAN_INDEX, NUD_REACHABLE, 2);
	assert_int_equal(hop_of(far->b, "2001:4860::1")->l2[5], 2);
}

static void
what_is_no_way_of_ours_is_left_alone(void **state)
{
	static const struct {
		const char *what, *to;
		uint8_t table, type, tos, src_len;
		uint32_t flags;
	} cases[] = {
		{ "another table", "10.9.0.0/16", 100, RTN_UNICAST, 0, 0, 0 },
		{ "one of our addresses", "10.9.0.0/16", RT_TABLE_LOCAL, RTN_LOCAL, 0, 0, 0 },
		{ "a broadcast", "10.9.0.0/16", RT_TABLE_MAIN, RTN_BROADCAST, 0, 0, 0 },
		{ "by TOS", "10.9.0.0/16", RT_TABLE_MAIN, RTN_UNICAST, 16, 0, 0 },
		{ "by source", "10.9.0.0/16", RT_TABLE_MAIN, RTN_UNICAST, 0, 16, 0 },
		{ "a cached one", "10.9.0.0/16", RT_TABLE_MAIN, RTN_UNICAST, 0, 0, RTM_F_CLONED },
		{ "link-local", "fe80::/64", RT_TABLE_MAIN, RTN_UNICAST, 0, 0, 0 },
		{ "multicast", "ff00::/8", RT_TABLE_MAIN, RTN_UNICAST, 0, 0, 0 },
		{ "multicast", "224.0.0.0/4", RT_TABLE_MAIN, RTN_UNICAST, 0, 0, 0 },
		{ "look further", "10.9.0.0/16", RT_TABLE_MAIN, RTN_THROW, 0, 0, 0 },
	};
	struct far *far = *state;
	uint32_t before = route_generation(far->b->r);

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct made m;

		made_route(&m, RTM_NEWROUTE, NLM_F_EXCL, cases[i].to, NULL, WAN_INDEX, 0);
		made_rtmsg(&m)->rtm_table = cases[i].table;
		made_rtmsg(&m)->rtm_type = cases[i].type;
		made_rtmsg(&m)->rtm_tos = cases[i].tos;
		made_rtmsg(&m)->rtm_src_len = cases[i].src_len;
		made_rtmsg(&m)->rtm_flags = cases[i].flags;
		feed(far, &m);
		if (route_generation(far->b->r) != before)
			fail_msg("%s is followed", cases[i].what);
	}
	/* A table above 255 is in an attribute. */
	for (uint32_t table = 254; table <= 1000; table += 746) {
		struct made m;

		made_route(&m, RTM_NEWROUTE, NLM_F_EXCL, "10.9.0.0/16", NULL, WAN_INDEX, 0);
		made_rtmsg(&m)->rtm_table = RT_TABLE_UNSPEC;
		made_attr(&m, RTA_TABLE, &table, sizeof(table));
		feed(far, &m);
		assert_int_equal(route_generation(far->b->r) - before, 1);
	}
}

static void
refusals_are_followed_wherever_they_are(void **state)
{
	static const uint8_t types[] = { RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT };
	struct far *far = *state;
	struct made m;

	route_said(far, RTM_NEWROUTE, NLM_F_EXCL, "0.0.0.0/0", "192.0.2.254", WAN_INDEX, 0);
	for (size_t i = 0; i < RTE_DIM(types); i++) {
		made_route(&m, RTM_NEWROUTE, NLM_F_EXCL, "10.9.0.0/16", NULL, 0, 0);
		made_rtmsg(&m)->rtm_type = types[i];
		feed(far, &m);
		assert_int_equal(hop_of(far->b, "10.9.1.1")->flags, HOP_NOWHERE);
		assert_int_equal(hop_of(far->b, "10.8.1.1")->port, WAN);
		made_header(&m)->nlmsg_type = RTM_DELROUTE;
		feed(far, &m);
		assert_int_equal(hop_of(far->b, "10.9.1.1")->port, WAN);
	}
}

static void
multipath_uses_the_first_next_hop_on_a_mirror(void **state)
{
	struct far *far = *state;
	struct paths p = { .size = 0 };
	struct made m;

	paths_add(&p, "172.16.0.1", HOST_INDEX);
	paths_add(&p, "192.0.2.31", WAN_INDEX);
	paths_add(&p, "10.1.0.32", LAN_INDEX);
	made_route(&m, RTM_NEWROUTE, NLM_F_EXCL, "10.9.0.0/16", NULL, 0, 0);
	made_attr(&m, RTA_MULTIPATH, p.room, p.size);
	feed(far, &m);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 31);
	made_header(&m)->nlmsg_type = RTM_DELROUTE;
	feed(far, &m);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 0);
	/* IPv6: a next hop more is said with all that are there. */
	route_said(far, RTM_NEWROUTE, NLM_F_EXCL, "fd05::/48", "2001:db8::7", WAN_INDEX, 1024);
	p.size = 0;
	paths_add(&p, "2001:db8::7", WAN_INDEX);
	paths_add(&p, "2001:db8::8", WAN_INDEX);
	made_route(&m, RTM_NEWROUTE, NLM_F_APPEND, "fd05::/48", NULL, 0, 1024);
	made_attr(&m, RTA_MULTIPATH, p.room, p.size);
	feed(far, &m);
	assert_int_equal(gateway_of(far, "fd05::1"), 7);
	/* One of several goes: the kernel says which, not what is left. */
	route_said(far, RTM_DELROUTE, 0, "fd05::/48", "2001:db8::7", WAN_INDEX, 1024);
	assert_int_equal(gateway_of(far, "fd05::1"), 7);
	tick(far, 500 * MS);
	assert_int_equal(far->dump, RTM_GETROUTE);
	dump_done(far, 0);
	assert_int_equal(far->dump_family, AF_INET6);
	route_said(far, RTM_NEWROUTE, NLM_F_MULTI, "fd05::/48", "2001:db8::8", WAN_INDEX, 1024);
	dump_done(far, 0);
	assert_int_equal(gateway_of(far, "fd05::1"), 8);
	assert_int_equal(far->mark, 0);
}

static void
a_resync_leaves_no_gap_for_what_stays(void **state)
{
	struct far *far = *state;
	struct made m;
	uint32_t before;

	route_said(far, RTM_NEWROUTE, 0, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 0);
	route_said(far, RTM_NEWROUTE, 0, "10.8.0.0/16", "192.0.2.8", WAN_INDEX, 0);
	neigh_said(far, "10.1.0.8", LAN_INDEX, NUD_REACHABLE, 8);
	neigh_said(far, "10.1.0.9", LAN_INDEX, NUD_REACHABLE, 9);
	before = route_generation(far->b->r);
	/* The kernel had no room for changes. */
	made_begin(&m, NLMSG_OVERRUN, 0, 0);
	feed(far, &m);
	tick(far, 1000 * MS);
	assert_int_equal(far->dump, RTM_GETLINK);
	dump_done(far, 0);
	assert_int_equal(far->dump, RTM_GETADDR);
	dump_done(far, 0);
	assert_int_equal(far->dump, RTM_GETROUTE);
	route_said(far, RTM_NEWROUTE, NLM_F_MULTI, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 0);
	assert_int_equal(route_generation(far->b->r), before);
	/* What comes by a change meanwhile stays too. */
	route_said(far, RTM_NEWROUTE, 0, "10.7.0.0/16", "192.0.2.7", WAN_INDEX, 0);
	dump_done(far, 0);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 9);
	assert_int_equal(gateway_of(far, "10.8.1.1"), 0);
	assert_int_equal(gateway_of(far, "10.7.1.1"), 7);
	dump_done(far, 0);
	assert_int_equal(far->dump, RTM_GETNEIGH);
	neigh_said(far, "10.1.0.9", LAN_INDEX, NUD_STALE, 9);
	dump_done(far, 0);
	assert_int_equal(hop_of(far->b, "10.1.0.8")->flags, HOP_ON_LINK);
	assert_int_equal(hop_of(far->b, "10.1.0.9")->l2[5], 9);
	assert_int_equal(route_generation(far->b->r), before + 3);
	assert_int_equal(follow_counters(far->f).overruns, 1);
}

static void
an_interrupted_dump_sweeps_nothing_and_runs_again(void **state)
{
	struct far *far = *state;
	struct made m;

	route_said(far, RTM_NEWROUTE, 0, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 0);
	made_begin(&m, NLMSG_OVERRUN, 0, 0);
	feed(far, &m);
	tick(far, 1000 * MS);
	dump_done(far, 0);
	dump_done(far, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(far->dump_family, AF_INET);
		dump_done(far, NLM_F_DUMP_INTR);
		assert_int_equal(gateway_of(far, "10.9.1.1"), 9);
	}
	assert_int_equal(far->dump_family, AF_INET);
	dump_done(far, 0);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 0);
	/* The kernel gives no answer at all: begun again. */
	made_begin(&m, NLMSG_OVERRUN, 0, 0);
	settle(far);
	feed(far, &m);
	tick(far, 1000 * MS);
	assert_int_equal(far->dump, RTM_GETLINK);
	far->mark = 0;
	tick(far, 11000 * MS);
	assert_int_not_equal(far->mark, 0);
}

static void
the_kernels_addresses_are_told(void **state)
{
	struct far *far = *state;
	struct link_address ours = { .addr = ip("10.1.0.1"), .len = 16 };
	struct addr slaac = ip("fd01::1234");
	struct made m;
	struct err err;

	assert_int_equal(follow_addresses_set(far->f, LAN, &ours, 1, &err), 0);
	assert_int_equal(far->puts, 1);
	made_address(&m, RTM_NEWADDR, "10.1.0.1", 16, LAN_INDEX, IFA_F_PERMANENT);
	feed(far, &m);
	tick(far, MS);
	assert_int_equal(far->n_addresses, 0);
	/* Nobody objected yet; then nobody did. */
	made_address(&m, RTM_NEWADDR, "fd01::1234", 64, LAN_INDEX, IFA_F_TENTATIVE);
	feed(far, &m);
	tick(far, MS);
	assert_int_equal(far->n_addresses, 0);
	made_address(&m, RTM_NEWADDR, "fd01::1234", 64, LAN_INDEX, 0);
	feed(far, &m);
	tick(far, MS);
	assert_int_equal(far->n_addresses, 1);
	assert_int_equal(far->port, LAN);
	assert_true(addr_equal(&far->addresses[0].addr, &slaac) && far->addresses[0].kernel);
	/* Told only when it changes. */
	far->told = 0;
	feed(far, &m);
	tick(far, MS);
	assert_int_equal(far->told, 0);
	made_address(&m, RTM_DELADDR, "fd01::1234", 64, LAN_INDEX, 0);
	feed(far, &m);
	tick(far, MS);
	assert_int_equal(far->told, 1);
	assert_int_equal(far->n_addresses, 0);
	/* The file gives another one: the kernel is told to drop the first. */
	ours.addr = ip("10.1.0.2");
	assert_int_equal(follow_addresses_set(far->f, LAN, &ours, 1, &err), 0);
	assert_int_equal(far->puts, 3);
	tick(far, MS);
	assert_int_equal(far->n_addresses, 0);
	made_address(&m, RTM_NEWADDR, "10.9.0.1", 24, HOST_INDEX, 0);
	feed(far, &m);
	tick(far, MS);
	assert_int_equal(far->n_addresses, 0);
}

static void
routes_wait_for_room(void **state)
{
	struct far *far = *state;
	char text[32];

	/* Room for 16 routes, of which the bed's ports have 3. */
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "11.%d.0.0/16", i);
		route_said(far, RTM_NEWROUTE, 0, text, "192.0.2.9", WAN_INDEX, 0);
	}
	tick(far, 100 * MS);
	assert_int_equal(follow_counters(far->f).routes, 13);
	assert_int_equal(follow_counters(far->f).routes_refused, 7);
	assert_string_equal(far->warned, "kernel route 11.13.0.0/16: there are 16 routes already; "
					 "raise gateway.max_routes");
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "11.%d.0.0/16", i);
		route_said(far, RTM_DELROUTE, 0, text, "192.0.2.9", WAN_INDEX, 0);
	}
	tick(far, 1100 * MS);
	tick(far, 1100 * MS);
	assert_int_equal(follow_counters(far->f).routes, 13);
	assert_int_equal(follow_counters(far->f).routes_refused, 3);
}

static void
a_mirror_that_goes_takes_all_with_it(void **state)
{
	struct far *far = *state;

	route_said(far, RTM_NEWROUTE, 0, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 0);
	route_said(far, RTM_NEWROUTE, 0, "10.8.0.0/16", "10.1.0.9", LAN_INDEX, 0);
	neigh_said(far, "192.0.2.9", WAN_INDEX, NUD_REACHABLE, 9);
	follow_port_set(far->f, WAN, 0);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 0);
	assert_int_equal(gateway_of(far, "10.8.1.1"), 9);
	assert_int_equal(hop_of(far->b, "192.0.2.9")->flags, HOP_ON_LINK);
	settle(far);
}

/* Links that go down lose IPv4 routes without a word: a dump tells. */
static void
a_link_that_goes_down_is_looked_at(void **state)
{
	struct far *far = *state;
	struct ifinfomsg *fixed;
	struct made m;

	route_said(far, RTM_NEWROUTE, 0, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 0);
	fixed = made_begin(&m, RTM_NEWLINK, 0, sizeof(*fixed));
	fixed->ifi_index = WAN_INDEX;
	fixed->ifi_flags = IFF_UP | IFF_RUNNING;
	feed(far, &m);
	settle(far);
	route_said(far, RTM_NEWROUTE, 0, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 0);
	feed(far, &m);
	tick(far, 1000 * MS);
	assert_int_equal(far->mark, 0);
	fixed->ifi_flags = 0;
	feed(far, &m);
	tick(far, 1000 * MS);
	assert_int_not_equal(far->mark, 0);
	dump_done(far, 0);
	dump_done(far, 0);
	assert_int_equal(far->mark, 0);
	assert_int_equal(gateway_of(far, "10.9.1.1"), 0);
}

static void
malformed_messages_change_nothing(void **state)
{
	struct far *far = *state;
	uint32_t before;
	struct made good, m;
	struct rtattr *attr;
	uint32_t len;

	made_route(&good, RTM_NEWROUTE, 0, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 7);
	len = made_header(&good)->nlmsg_len;
	before = route_generation(far->b->r);
	/* Cut anywhere: either the datagram is too short for the message, or the message for its
	 * attributes. */
	for (uint32_t cut = 0; cut < len; cut++) {
		m = good;
		follow_feed(far->f, m.room, cut);
		made_header(&m)->nlmsg_len = cut;
		follow_feed(far->f, m.room, len);
		if (route_generation(far->b->r) != before)
			fail_msg("a datagram of %u of %u octets", cut, len);
	}
	/* Attributes of the wrong size, or longer than the message. */
	for (uint16_t size = 0; size < 64; size++) {
		m = good;
		attr = (struct rtattr *)(m.room + NLMSG_HDRLEN + sizeof(struct rtmsg));
		assert_int_equal(attr->rta_type, RTA_DST);
		if (size == attr->rta_len)
			continue;
		attr->rta_len = size;
		feed(far, &m);
		if (route_generation(far->b->r) != before)
			fail_msg("RTA_DST of %u octets", size);
	}
	m = good;
	made_rtmsg(&m)->rtm_dst_len = 33;
	feed(far, &m);
	m = good;
	made_header(&m)->nlmsg_len = 3;
	follow_feed(far->f, m.room, len);
	made_header(&m)->nlmsg_len = UINT32_MAX;
	follow_feed(far->f, m.room, len);
	assert_int_equal(route_generation(far->b->r), before);
	feed(far, &good);
	assert_int_not_equal(route_generation(far->b->r), before);
}

int
main(void)
{
#define FAR(test) cmocka_unit_test_setup_teardown(test, far_up, far_down)
	const struct CMUnitTest tests[] = {
		FAR(of_one_prefix_the_lowest_metric_counts),
		FAR(of_one_metric_the_first_counts),
		FAR(a_route_is_replaced_in_place),
		FAR(both_families_and_defaults_are_followed),
		FAR(what_is_no_way_of_ours_is_left_alone),
		FAR(refusals_are_followed_wherever_they_are),
		FAR(multipath_uses_the_first_next_hop_on_a_mirror),
		FAR(a_resync_leaves_no_gap_for_what_stays),
		FAR(an_interrupted_dump_sweeps_nothing_and_runs_again),
		FAR(the_kernels_addresses_are_told),
		FAR(routes_wait_for_room),
		FAR(a_mirror_that_goes_takes_all_with_it),
		FAR(a_link_that_goes_down_is_looked_at),
		FAR(malformed_messages_change_nothing),
	};

	return test_eal_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
