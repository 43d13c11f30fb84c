#include "unit.h"

#include <errno.h>

#include "base/json.h"
#include "eal.h"
#include "route_bed.h"

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
	struct link p = b->ports[LAN];
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
	if (route_link_set(b->r, &p, &err) < 0)
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
	assert_int_equal(route_link_set(b->r, &p, &err), 0);
	assert_int_equal(hop_of(b, "10.4.0.1")->flags, HOP_ON_LINK);
	assert_int_equal(hop_of(b, "fd01::9")->flags, HOP_NOWHERE);
	p.n_addresses = 0;
	assert_int_equal(route_link_set(b->r, &p, &err), 0);
	assert_int_equal(hop_of(b, "10.4.0.1")->flags, HOP_NOWHERE);
	port_address(&p, "192.0.2.99/24");
	assert_int_equal(route_link_set(b->r, &p, &err), -EEXIST);
	assert_string_equal(err.text, "192.0.2.0/24 is on the link of another port already");
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
	route_print(b->r, f);
	json_init(&j, f);
	json_object(&j, NULL);
	route_json(b->r, &j);
	json_end(&j);
	fclose(f);
	assert_non_null(strstr(
		text,
		"* 10.2.0.0/16                                 static    via 10.1.2.3 on port0\n"));
	assert_non_null(strstr(text, "neighbour 10.1.2.3 02:00:00:00:01:09 on port0, static\n"));
	assert_non_null(strstr(text, "{\"to\":\"10.2.0.0/16\",\"origin\":\"static\",\"used\":true,"
				     "\"port\":\"port0\",\"via\":\"10.1.2.3\"}"));
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
		BED(routes_are_printed),
	};

	return test_eal_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
