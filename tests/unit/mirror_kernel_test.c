/* The follower and a real kernel: a network namespace of its own, the mirrors' part played by the
 * ends of a veth pair, and beyond it a neighbour in another namespace. Needs root.
 */
#include "unit.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <net/if.h>

#include "eal.h"
#include "mirror/follow.h"
#include "route/route.h"

#define MS   UINT64_C(1000000)
#define WAIT 3000 /* ms, for what takes some on a busy machine */

enum {
	NEAR_PORT, /* a veth whose other end has a neighbour behind it */
	LONE_PORT,
};

struct live {
	struct route *r;
	struct follow *f;
	pid_t neighbour; /* a process in its namespace */
	uint64_t most;	 /* messages taken in one turn */
	uint8_t told_port, n_told;
	struct link_address told[LINK_ADDRESSES_MAX];
};

static void __rte_format_printf(1, 2) shell(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (system(line) != 0)
		fail_msg("%s", line);
}

static uint64_t
clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void
turn(struct live *l)
{
	uint64_t before = follow_counters(l->f).messages, n;

	follow_tick(l->f, clock_ns());
	n = follow_counters(l->f).messages - before;
	l->most = RTE_MAX(l->most, n);
	usleep(1000);
}

static struct addr
ip(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static const struct next_hop *
hop_of(struct live *l, const char *text)
{
	struct addr a = ip(text);

	return route_hop(l->r, route_of(l->r, &a));
}

static bool
leads(struct live *l, const char *to, const char *gateway)
{
	const struct next_hop *h = hop_of(l, to);
	struct addr a;

	if (gateway == NULL || strcmp(gateway, "link") == 0)
		return (h->flags & (gateway == NULL ? HOP_NOWHERE : HOP_ON_LINK)) != 0;
	a = ip(gateway);
	return (h->flags & (HOP_NOWHERE | HOP_ON_LINK | HOP_IS_LOCAL)) == 0 &&
	       memcmp(h->address, a.octets, 16) == 0;
}

static void
soon_leads(struct live *l, const char *to, const char *gateway)
{
	for (int i = 0; i < WAIT && !leads(l, to, gateway); i++)
		turn(l);
	if (!leads(l, to, gateway))
		fail_msg("%s does not lead to %s", to, gateway != NULL ? gateway : "nowhere");
}

static bool
soon_has_mac(struct live *l, const char *to, uint8_t last)
{
	const struct next_hop *h = hop_of(l, to);

	for (int i = 0; i < WAIT; i++, h = hop_of(l, to)) {
		if ((h->flags & HOP_HAS_MAC) != 0 && h->l2[5] == last)
			return true;
		turn(l);
	}
	return false;
}

static void
told(void *ctx, uint8_t port, const struct link_address *list, uint8_t n)
{
	struct live *l = ctx;

	if (port != NEAR_PORT)
		return;
	l->n_told = n;
	memcpy(l->told, list, n * sizeof(*list));
}

static void
warn(void *ctx, const char *sentence)
{
	print_message("# %s\n", sentence);
}

/* A namespace that lives as long as a process in it. */
static pid_t
namespace_make(void)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c = unshare(CLONE_NEWNET) == 0;
		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(c, 1);
	return pid;
}

static int
live_up(void **state)
{
	struct live *l = calloc(1, sizeof(*l));
	const struct route_params params = { .socket = SOCKET_ID_ANY };
	struct follow_params follow = { .ctx = l, .addresses = told, .warn = warn };
	struct link link = { .mtu = 1500 };
	struct err err;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		free(l);
		return 0;
	}
	l->neighbour = namespace_make();
	shell("ip link set lo up");
	shell("ip link add near0 type veth peer name near1 netns %d", l->neighbour);
	shell("ip link add lone0 type veth peer name lone1");
	shell("ip link set near0 up && ip link set lone0 up && ip link set lone1 up");
	shell("nsenter -t %d -n sh -c 'ip link set near1 address 02:00:00:00:00:09 && "
	      "ip link set near1 up && ip addr add 192.0.2.9/24 dev near1 && "
	      "ip addr add 192.0.2.10/24 dev near1 && "
	      "ip -6 addr add 2001:db8::9/64 dev near1 nodad'",
	      l->neighbour);
	shell("ip addr add 192.0.2.1/24 dev near0 && "
	      "ip -6 addr add 2001:db8::1/64 dev near0 nodad && ip addr add 10.1.0.1/16 dev lone0");
	assert_int_equal(route_create(&params, &l->r, &err), 0);
	for (link.index = 0; link.index < 2; link.index++)
		assert_int_equal(route_link_set(l->r, &link, &err), 0);
	follow.route = l->r;
	if (follow_create(&follow, &l->f, &err) < 0)
		fail_msg("%s", err.text);
	*state = l;
	return 0;
}

static int
live_down(void **state)
{
	struct live *l = *state;

	if (l == NULL)
		return 0;
	follow_free(l->f);
	route_free(l->r);
	kill(l->neighbour, SIGKILL);
	waitpid(l->neighbour, NULL, 0);
	free(l);
	return 0;
}

static void
begin(struct live *l)
{
	if (l == NULL)
		skip();
	follow_port_set(l->f, NEAR_PORT, if_nametoindex("near0"));
	follow_port_set(l->f, LONE_PORT, if_nametoindex("lone0"));
	soon_leads(l, "10.1.2.3", "link");
}

static void
what_was_there_and_what_comes_is_followed(void **state)
{
	struct live *l = *state;

	if (l != NULL)
		shell("ip route add 10.9.0.0/16 via 192.0.2.9");
	begin(l);
	soon_leads(l, "10.9.1.1", "192.0.2.9");
	shell("ip route replace 10.9.0.0/16 via 192.0.2.10");
	soon_leads(l, "10.9.1.1", "192.0.2.10");
	shell("ip route add 10.9.0.0/16 via 192.0.2.11 metric 7");
	shell("ip route del 10.9.0.0/16 via 192.0.2.10");
	soon_leads(l, "10.9.1.1", "192.0.2.11");
	shell("ip route append 10.9.0.0/16 via 192.0.2.12 metric 7");
	shell("ip route prepend 10.9.0.0/16 via 192.0.2.13 metric 7");
	soon_leads(l, "10.9.1.1", "192.0.2.13");
	shell("ip route add default via 192.0.2.9");
	soon_leads(l, "8.8.8.8", "192.0.2.9");
	shell("ip route add prohibit 10.10.0.0/16");
	soon_leads(l, "10.10.1.1", NULL);
	shell("ip route add 10.11.0.0/16 nexthop via 10.77.0.1 dev lone1 onlink nexthop via "
	      "10.1.0.3");
	soon_leads(l, "10.11.0.1", "10.1.0.3");
	shell("ip route add 203.0.113.0/24 via 198.51.100.1 dev lone0 onlink");
	soon_leads(l, "203.0.113.1", "198.51.100.1");
	shell("ip -6 route add fd09::/48 via 2001:db8::9 && ip -6 route add default via fe80::1 "
	      "dev near0");
	soon_leads(l, "fd09::1", "2001:db8::9");
	soon_leads(l, "2001:4860::1", "fe80::1");
	shell("ip -6 route append fd09::/48 via 2001:db8::8 && "
	      "ip -6 route del fd09::/48 via 2001:db8::9");
	soon_leads(l, "fd09::1", "2001:db8::8");
	shell("ip route del default");
	soon_leads(l, "8.8.8.8", NULL);
}

/* The kernel says nothing of these routes when they go. */
static void
routes_that_go_without_a_word_go_too(void **state)
{
	struct live *l = *state;

	begin(l);
	shell("ip nexthop add id 5 via 192.0.2.9 dev near0 && ip route add 10.9.0.0/16 nhid 5");
	soon_leads(l, "10.9.1.1", "192.0.2.9");
	shell("ip nexthop replace id 5 via 192.0.2.10 dev near0");
	soon_leads(l, "10.9.1.1", "192.0.2.10");
	shell("ip nexthop del id 5");
	soon_leads(l, "10.9.1.1", NULL);
	shell("ip addr add 10.5.0.1/24 dev lone0 && ip route add 10.6.0.0/16 via 10.1.0.2 src "
	      "10.5.0.1");
	soon_leads(l, "10.6.1.1", "10.1.0.2");
	shell("ip addr del 10.5.0.1/24 dev lone0");
	soon_leads(l, "10.6.1.1", NULL);
	shell("ip link set lone0 down");
	soon_leads(l, "10.1.2.3", NULL);
	shell("ip link set lone0 up");
	soon_leads(l, "10.1.2.3", "link");
}

static void
neighbours_are_found_and_found_again(void **state)
{
	struct live *l = *state;
	struct addr peer = ip("192.0.2.9"), peer6 = ip("2001:db8::9");
	uint16_t held, held6;

	begin(l);
	soon_leads(l, "192.0.2.9", "link");
	soon_leads(l, "2001:db8::9", "link");
	held = route_hold(l->r, &peer);
	held6 = route_hold(l->r, &peer6);
	shell("ip route add 10.9.0.0/16 via 192.0.2.10");
	assert_true(soon_has_mac(l, "192.0.2.9", 9));
	assert_true(soon_has_mac(l, "2001:db8::9", 9));
	assert_true(soon_has_mac(l, "10.9.1.1", 9));
	shell("ip neigh flush dev near0; ip -6 neigh flush dev near0");
	for (int i = 0; i < WAIT && (hop_of(l, "192.0.2.9")->flags & HOP_HAS_MAC) != 0; i++)
		turn(l);
	assert_true(soon_has_mac(l, "192.0.2.9", 9));
	assert_true(soon_has_mac(l, "2001:db8::9", 9));
	assert_true(soon_has_mac(l, "10.9.1.1", 9));
	/* It moves, and says so. */
	shell("ip neigh replace 192.0.2.9 lladdr 02:00:00:00:00:0a dev near0 nud reachable");
	assert_true(soon_has_mac(l, "192.0.2.9", 10));
	route_release(l->r, held);
	route_release(l->r, held6);
}

static void
addresses_go_both_ways(void **state)
{
	struct live *l = *state;
	struct link_address list[2] = { { .addr = ip("10.7.0.1"), .len = 24 },
					{ .addr = ip("fd07::1"), .len = 64 } };
	struct addr more = ip("10.8.0.1");
	struct err err;
	bool found = false;

	begin(l);
	if (follow_addresses_set(l->f, NEAR_PORT, list, 2, &err) < 0)
		fail_msg("%s", err.text);
	shell("ip -o addr show dev near0 | grep -q 'inet 10.7.0.1/24 '");
	/* To be had at once: not tentative. */
	shell("ip -o -6 addr show dev near0 | grep 'inet6 fd07::1/64 ' | grep -vq tentative");
	shell("ip addr add 10.8.0.1/24 dev near0");
	soon_leads(l, "10.8.0.2", "link");
	for (uint8_t i = 0; i < l->n_told; i++) {
		found |= addr_equal(&l->told[i].addr, &more);
		assert_false(addr_equal(&l->told[i].addr, &list[0].addr));
	}
	assert_true(found);
	if (follow_addresses_set(l->f, NEAR_PORT, list + 1, 1, &err) < 0)
		fail_msg("%s", err.text);
	shell("! ip -o addr show dev near0 | grep -q 'inet 10.7.0.1/24 '");
	list[0].len = 77;
	assert_int_equal(follow_addresses_set(l->f, NEAR_PORT, list, 1, &err), -EINVAL);
	assert_string_equal(err.text, "10.7.0.1 cannot be put on its mirror: Invalid argument");
}

/* "add 192.0.2.9", "del" … of so many /24s. */
static void
batch(const char *verb, const char *via, int n)
{
	FILE *f = popen("ip -batch -", "w");

	assert_non_null(f);
	for (int i = 0; i < n; i++)
		fprintf(f, "route %s 11.%d.%d.0/24 %s\n", verb, i / 256, i % 256, via);
	assert_int_equal(pclose(f), 0);
}

static void
soon_routes(struct live *l, uint32_t n)
{
	for (int i = 0; i < 5 * WAIT && follow_counters(l->f).routes != n; i++)
		turn(l);
	assert_int_equal(follow_counters(l->f).routes, n);
}

static void
ten_thousand_routes_stall_nothing(void **state)
{
	struct live *l = *state;
	uint32_t before;

	begin(l);
	for (int i = 0; i < 300; i++)
		turn(l);
	before = follow_counters(l->f).routes;
	batch("add", "via 192.0.2.9", 10000);
	soon_routes(l, before + 10000);
	assert_true(leads(l, "11.0.0.1", "192.0.2.9"));
	assert_true(leads(l, "11.39.15.1", "192.0.2.9"));
	batch("replace", "via 192.0.2.10", 10000);
	soon_leads(l, "11.39.15.1", "192.0.2.10");
	assert_true(leads(l, "11.0.0.1", "192.0.2.10"));
	batch("del", "", 10000);
	soon_routes(l, before);
	assert_in_range(l->most, 1, 1500);
	/* More changes than the kernel keeps for us: it says so, and a resync finds the end. */
	for (int i = 0; i < 6; i++) {
		batch("add", "via 192.0.2.9", 10000);
		batch("del", "", 10000);
	}
	batch("add", "via 192.0.2.9", 5000);
	soon_routes(l, before + 5000);
	soon_leads(l, "11.19.135.1", "192.0.2.9");
	assert_true(follow_counters(l->f).overruns > 0);
	assert_in_range(l->most, 1, 1500);
}

int
main(void)
{
#define LIVE(test) cmocka_unit_test_setup_teardown(test, live_up, live_down)
	const struct CMUnitTest tests[] = {
		LIVE(what_was_there_and_what_comes_is_followed),
		LIVE(routes_that_go_without_a_word_go_too),
		LIVE(neighbours_are_found_and_found_again),
		LIVE(addresses_go_both_ways),
		LIVE(ten_thousand_routes_stall_nothing),
	};

	return test_eal_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
