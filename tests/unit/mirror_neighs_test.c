/* Neighbours as the follower takes them over, and what it asks the kernel for. */
#include "unit.h"

#include "eal.h"
#include "netlink_rig.h"
#include "worker/mailbox.h"

static void
neighbours_are_followed_by_state(void **state)
{
	static const struct {
		uint16_t state;
		bool usable;
	} cases[] = {
		{ NUD_INCOMPLETE, false }, { NUD_REACHABLE, true }, { NUD_STALE, true },
		{ NUD_DELAY, true },	   { NUD_PROBE, true },	    { NUD_FAILED, false },
		{ NUD_PERMANENT, true },   { NUD_NOARP, true },	    { NUD_NONE, false },
	};
	struct far *far = *state;
	struct made m;
	uint8_t group[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		neigh_said(far, "10.1.0.5", LAN_INDEX, cases[i].state, 5);
		if ((hop_of(far->b, "10.1.0.5")->flags == HOP_HAS_MAC) != cases[i].usable)
			fail_msg("state 0x%x", cases[i].state);
	}
	neigh_said(far, "10.1.0.5", LAN_INDEX, NUD_REACHABLE, 5);
	neigh_said(far, "10.1.0.5", LAN_INDEX, NUD_REACHABLE, 6);
	assert_int_equal(hop_of(far->b, "10.1.0.5")->l2[5], 6);
	neigh_said(far, "10.1.0.5", HOST_INDEX, NUD_FAILED, 0);
	assert_int_equal(hop_of(far->b, "10.1.0.5")->l2[5], 6);
	made_neigh(&m, RTM_DELNEIGH, "10.1.0.5", LAN_INDEX, NUD_REACHABLE, 6);
	feed(far, &m);
	assert_int_equal(hop_of(far->b, "10.1.0.5")->flags, HOP_ON_LINK);
	/* No hosts: groups, and what all of them hear. */
	neigh_said(far, "224.0.0.5", LAN_INDEX, NUD_NOARP, 5);
	made_neigh(&m, RTM_NEWNEIGH, "10.1.255.255", LAN_INDEX, NUD_NOARP, 0);
	made_attr(&m, NDA_LLADDR, group, sizeof(group));
	feed(far, &m);
	assert_int_equal(hop_of(far->b, "10.1.255.255")->flags, HOP_ON_LINK);
	assert_int_equal(follow_counters(far->f).neighbours, 0);
}

/* Questions within so many ms. */
static uint32_t
asked_within(struct far *far, uint32_t ms)
{
	uint32_t before = far->asked;

	for (uint32_t i = 0; i < ms; i++)
		tick(far, MS);
	return far->asked - before;
}

static void
next_hops_in_use_are_asked_for(void **state)
{
	struct far *far = *state;
	struct addr gateway = ip("192.0.2.9");
	struct made m;
	uint32_t n;

	asked_within(far, 200);
	route_said(far, RTM_NEWROUTE, 0, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 0);
	assert_int_equal(asked_within(far, 20), 1);
	assert_true(addr_equal(&far->asked_for, &gateway));
	/* Ever more slowly, but at least once a second. */
	n = asked_within(far, 10000);
	if (n < 9 || n > 14)
		fail_msg("asked %u times in 10 s", n);
	neigh_said(far, "192.0.2.9", WAN_INDEX, NUD_REACHABLE, 9);
	assert_int_equal(asked_within(far, 5000), 0);
	/* The kernel is not sure any more: told that it is in use, it looks. */
	neigh_said(far, "192.0.2.9", WAN_INDEX, NUD_STALE, 9);
	assert_in_range(asked_within(far, 1000), 1, 1);
	neigh_said(far, "192.0.2.9", WAN_INDEX, NUD_DELAY, 9);
	assert_int_equal(asked_within(far, 5000), 0);
	/* Flushed: asked for at once, and without the backoff of before. */
	made_neigh(&m, RTM_DELNEIGH, "192.0.2.9", WAN_INDEX, NUD_REACHABLE, 9);
	feed(far, &m);
	assert_int_equal(asked_within(far, 20), 1);
	assert_int_equal(asked_within(far, 300), 1);
	/* Nothing leads there any more. */
	route_said(far, RTM_DELROUTE, 0, "10.9.0.0/16", "192.0.2.9", WAN_INDEX, 0);
	assert_int_equal(asked_within(far, 5000), 0);
}

static void
next_hops_of_sas_are_asked_for(void **state)
{
	struct far *far = *state;
	struct addr peer = ip("192.0.2.77"), other = ip("10.3.0.7");
	uint16_t held = route_hold(far->b->r, &peer), unmirrored = route_hold(far->b->r, &other);

	assert_int_equal(asked_within(far, 150), 1);
	assert_true(addr_equal(&far->asked_for, &peer));
	route_release(far->b->r, held);
	route_release(far->b->r, unmirrored);
	assert_int_equal(asked_within(far, 3000), 0);
}

static void
hosts_that_are_only_known_are_looked_at_slowly(void **state)
{
	struct far *far = *state;
	char text[32];
	uint32_t n;

	for (int i = 1; i <= 100; i++) {
		snprintf(text, sizeof(text), "10.1.9.%d", i);
		neigh_said(far, text, LAN_INDEX, NUD_STALE, (uint8_t)i);
	}
	n = asked_within(far, 2000);
	if (n < 10 || n > 41)
		fail_msg("%u in two seconds", n);
}

static void
unresolved(struct far *far, const char *text, uint8_t port)
{
	struct addr a = ip(text);
	struct unresolved_event e = { .kind = EVENT_UNRESOLVED, .family = a.family, .port = port };

	memcpy(e.address, a.octets, 16);
	follow_unresolved(far->f, &e, far->now);
}

static void
a_scan_of_a_prefix_is_bounded(void **state)
{
	struct far *far = *state;
	char text[32];

	for (int i = 1; i <= 10000; i++) {
		snprintf(text, sizeof(text), "fd01::%x", i + 1);
		unresolved(far, text, LAN);
	}
	assert_int_equal(far->asked, 64);
	assert_int_equal(follow_counters(far->f).ask_bounded, 10000 - 64);
	/* Another port's hosts have places of their own. */
	unresolved(far, "192.0.2.5", WAN);
	assert_int_equal(far->asked, 65);
	unresolved(far, "192.0.2.5", WAN);
	assert_int_equal(far->asked, 65);
	/* One that answered makes room. */
	neigh_said(far, "fd01::2", LAN_INDEX, NUD_REACHABLE, 1);
	unresolved(far, "fd01::a:4444", LAN);
	assert_int_equal(far->asked, 66);
	/* So do those that the kernel has given up. */
	far->now += 3100 * MS;
	unresolved(far, "fd01::a:5555", LAN);
	assert_int_equal(far->asked, 67);
	/* What is on no link of that port, and what no mirror has, is nobody's to ask for. */
	unresolved(far, "203.0.113.9", WAN);
	unresolved(far, "10.1.0.9", WAN);
	unresolved(far, "10.3.0.9", LAN2);
	assert_int_equal(far->asked, 67);
}

int
main(void)
{
#define FAR(test) cmocka_unit_test_setup_teardown(test, far_up, far_down)
	const struct CMUnitTest tests[] = {
		FAR(neighbours_are_followed_by_state),
		FAR(next_hops_in_use_are_asked_for),
		FAR(next_hops_of_sas_are_asked_for),
		FAR(hosts_that_are_only_known_are_looked_at_slowly),
		FAR(a_scan_of_a_prefix_is_bounded),
	};

	return test_eal_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
