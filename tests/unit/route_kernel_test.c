/* What the kernel tells of routes and neighbours, beside what the file says; and all origins at
 * random against a model that has no tables.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "eal.h"
#include "route_bed.h"

static void
kernel_set(struct bed *b, const char *to, const char *via, uint8_t port)
{
	struct prefix p = net(to);
	struct addr a = via != NULL ? ip(via) : (struct addr) { 0 };
	struct err err;

	if (route_kernel_set(b->r, &p, via != NULL ? &a : NULL, port, &err) < 0)
		fail_msg("%s", err.text);
}

static void
kernel_del(struct bed *b, const char *to)
{
	struct prefix p = net(to);
	struct err err;

	if (route_kernel_del(b->r, &p, &err) < 0)
		fail_msg("%s", err.text);
}

static void
kernel_neigh(struct bed *b, const char *text, uint8_t last, uint8_t port)
{
	struct rte_ether_addr mac = { { 2, 0, 0, 0, 2, last } };
	struct addr a = ip(text);
	struct err err;

	if (route_kernel_neigh_set(b->r, &a, &mac, port, &err) < 0)
		fail_msg("%s", err.text);
}

static void
the_kernel_speaks_after_the_file(void **state)
{
	struct bed *b = *state;
	struct prefix p = net("10.2.0.0/16");
	struct err err;

	kernel_set(b, "10.2.0.0/16", "10.1.0.254", LAN);
	assert_int_equal(hop_of(b, "10.2.0.1")->port, LAN);
	add(b, "10.2.0.0/16", "192.0.2.254", WAN);
	assert_int_equal(hop_of(b, "10.2.0.1")->port, WAN);
	/* Behind the static one it changes unseen. */
	kernel_set(b, "10.2.0.0/16", "10.3.0.254", LAN2);
	assert_int_equal(hop_of(b, "10.2.0.1")->port, WAN);
	assert_int_equal(route_del(b->r, &p, &err), 0);
	assert_int_equal(hop_of(b, "10.2.0.1")->port, LAN2);
	kernel_del(b, "10.2.0.0/16");
	assert_int_equal(hop_of(b, "10.2.0.1")->flags, HOP_NOWHERE);
	assert_int_equal(route_kernel_del(b->r, &p, &err), -ENOENT);
	assert_string_equal(err.text, "10.2.0.0/16: there is no such kernel route");
	/* A gateway that is on no link of its port, and one that is link-local. */
	kernel_set(b, "10.2.0.0/16", "203.0.113.1", WAN);
	kernel_neigh(b, "203.0.113.1", 7, WAN);
	assert_int_equal(hop_of(b, "10.2.0.1")->l2[5], 7);
	kernel_set(b, "fd02::/64", "fe80::1", WAN);
	kernel_neigh(b, "fe80::1", 8, WAN);
	kernel_neigh(b, "fe80::1", 9, LAN);
	assert_int_equal(hop_of(b, "fd02::5")->l2[5], 8);
	assert_int_equal(hop_of(b, "fe80::1")->flags, HOP_NOWHERE);
}

static void
refused_prefixes_lead_nowhere_inside_others(void **state)
{
	struct bed *b = *state;
	struct prefix p = net("10.2.3.0/24");
	struct err err;

	kernel_set(b, "0.0.0.0/0", "192.0.2.254", WAN);
	kernel_set(b, "10.2.3.0/24", NULL, ROUTE_REFUSED);
	kernel_set(b, "fd03::/32", NULL, ROUTE_REFUSED);
	assert_int_equal(hop_of(b, "10.2.2.1")->port, WAN);
	assert_int_equal(hop_of(b, "10.2.3.1")->flags, HOP_NOWHERE);
	assert_int_equal(hop_of(b, "fd03::1")->flags, HOP_NOWHERE);
	/* One of them becomes a way, and is refused again. */
	kernel_set(b, "10.2.3.0/24", "10.1.0.254", LAN);
	assert_int_equal(hop_of(b, "10.2.3.1")->port, LAN);
	kernel_set(b, "10.2.3.0/24", NULL, ROUTE_REFUSED);
	assert_int_equal(hop_of(b, "10.2.3.1")->flags, HOP_NOWHERE);
	kernel_del(b, "10.2.3.0/24");
	assert_int_equal(hop_of(b, "10.2.3.1")->port, WAN);
	assert_int_equal(route_add(b->r, &p, NULL, ROUTE_REFUSED, &err), -EINVAL);
}

static void
the_files_neighbour_goes_before_the_kernels(void **state)
{
	struct bed *b = *state;
	struct addr a = ip("10.1.2.3");
	struct err err;

	kernel_neigh(b, "10.1.2.3", 1, LAN);
	assert_int_equal(hop_of(b, "10.1.2.3")->l2[5], 1);
	neigh(b, "10.1.2.3", 2, LAN);
	assert_memory_equal(hop_of(b, "10.1.2.3")->l2, "\2\0\0\0\1\2", 6);
	kernel_neigh(b, "10.1.2.3", 3, LAN);
	assert_memory_equal(hop_of(b, "10.1.2.3")->l2, "\2\0\0\0\1\2", 6);
	assert_int_equal(route_neigh_del(b->r, &a, LAN, &err), 0);
	assert_memory_equal(hop_of(b, "10.1.2.3")->l2, "\2\0\0\0\2\3", 6);
	assert_int_equal(route_neigh_del(b->r, &a, LAN, &err), -ENOENT);
	assert_int_equal(route_kernel_neigh_del(b->r, &a, LAN, &err), 0);
	assert_int_equal(hop_of(b, "10.1.2.3")->flags, HOP_ON_LINK);
	assert_int_equal(route_kernel_neigh_del(b->r, &a, LAN, &err), -ENOENT);
}

static void
a_host_that_is_on_the_link_by_its_own_prefix_is_its_neighbour(void **state)
{
	struct bed *b = *state;

	/* The far end of a point-to-point address, and a neighbour that is known before. */
	kernel_set(b, "203.0.113.7/32", NULL, WAN);
	assert_int_equal(hop_of(b, "203.0.113.7")->flags, HOP_ON_LINK);
	kernel_neigh(b, "203.0.113.7", 4, WAN);
	assert_int_equal(hop_of(b, "203.0.113.7")->l2[5], 4);
	kernel_neigh(b, "203.0.113.8", 5, WAN);
	kernel_set(b, "203.0.113.8/32", NULL, WAN);
	assert_int_equal(hop_of(b, "203.0.113.8")->l2[5], 5);
	kernel_set(b, "203.0.113.8/32", "192.0.2.254", WAN);
	assert_int_equal(hop_of(b, "203.0.113.8")->flags, 0);
	kernel_del(b, "203.0.113.8/32");
	assert_int_equal(hop_of(b, "203.0.113.8")->flags, HOP_NOWHERE);
	/* Of another port it is another host. */
	kernel_neigh(b, "203.0.113.9", 5, LAN);
	kernel_set(b, "203.0.113.9/32", NULL, WAN);
	assert_int_equal(hop_of(b, "203.0.113.9")->flags, HOP_ON_LINK);
}

static void
the_kernels_addresses_connect_no_prefix(void **state)
{
	struct bed *b = *state;
	struct link p = b->ports[LAN];
	struct err err;

	port_address(&p, "192.0.2.77/24");
	p.addresses[p.n_addresses - 1].kernel = true;
	port_address(&p, "fe80::77/64");
	if (route_link_set(b->r, &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(hop_of(b, "192.0.2.77")->flags, HOP_IS_LOCAL);
	assert_int_equal(hop_of(b, "192.0.2.78")->port, WAN);
	assert_int_equal(hop_of(b, "fe80::77")->flags, HOP_IS_LOCAL);
	assert_int_equal(hop_of(b, "fe80::78")->flags, HOP_NOWHERE);
	if (route_link_set(b->r, &b->ports[LAN], &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(hop_of(b, "192.0.2.77")->flags, HOP_ON_LINK);
	assert_int_equal(hop_of(b, "fe80::77")->flags, HOP_NOWHERE);
}

struct seen {
	char text[512];
};

static void
use_note(void *ctx, const struct route_hop_use *use)
{
	struct seen *s = ctx;
	size_t at = strlen(s->text);
	char text[ADDR_TEXT_SIZE];

	snprintf(s->text + at, sizeof(s->text) - at, "%s%%%u%s%s ", addr_text(&use->addr, text),
		 use->port, use->has_mac ? " mac" : "", use->needed ? " needed" : "");
}

static void
next_hops_in_use_are_told(void **state)
{
	struct bed *b = *state;
	struct addr peer = ip("192.0.2.9");
	struct seen s = { "" };
	uint16_t held;

	kernel_set(b, "10.2.0.0/16", "10.1.0.254", LAN);
	kernel_neigh(b, "10.1.0.254", 1, LAN);
	kernel_neigh(b, "10.1.0.7", 1, LAN);
	held = route_hold(b->r, &peer);
	route_hops_walk(b->r, use_note, &s);
	assert_string_equal(s.text, "10.1.0.254%0 mac needed 10.1.0.7%0 mac 192.0.2.9%1 needed ");
	s.text[0] = '\0';
	route_release(b->r, held);
	kernel_del(b, "10.2.0.0/16");
	route_hops_walk(b->r, use_note, &s);
	assert_string_equal(s.text, "10.1.0.254%0 mac 10.1.0.7%0 mac ");
}

static void
origins_are_shown(void **state)
{
	struct bed *b = *state;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	struct json j;

	kernel_neigh(b, "10.1.2.3", 9, LAN);
	kernel_set(b, "10.2.0.0/16", "10.1.2.3", LAN);
	kernel_set(b, "10.4.0.0/16", NULL, ROUTE_REFUSED);
	route_print(b->r, f);
	json_init(&j, f);
	json_object(&j, NULL);
	route_json(b->r, &j);
	json_end(&j);
	fclose(f);
	assert_non_null(strstr(text, "* 10.2.0.0/16                                 kernel    via "
				     "10.1.2.3 on port0\n"));
	assert_non_null(strstr(text, "kernel    nowhere"));
	assert_non_null(strstr(text, "neighbour 10.1.2.3 02:00:00:00:02:09 on port0, kernel\n"));
	assert_non_null(strstr(text, "{\"to\":\"10.4.0.0/16\",\"origin\":\"kernel\",\"used\":true,"
				     "\"nowhere\":true}"));
	assert_non_null(strstr(text, "\"port\":\"port0\",\"origin\":\"kernel\"}"));
	free(text);
}

/* The model: what each origin says of each of a few nested prefixes, asked by going through all of
 * them. Ports stand for what they lead to: 'a' LAN's gateway, 'b' WAN's, 'l' on the link of LAN,
 * 'n' nowhere, 0 nothing said.
 */
enum {
	M_STATIC,
	M_KERNEL,
	M_ORIGINS
};

static const char *const nest[] = { "0.0.0.0/0",     "11.1.0.0/16",   "11.1.1.0/24",
				    "11.1.1.128/30", "11.1.1.129/32", "11.1.1.130/32" };
static const char *const probes[] = { "11.1.1.129", "11.1.1.130", "11.1.1.131",
				      "11.1.1.1",   "11.1.2.1",	  "11.2.3.4",
				      "11.3.3.4",   "11.9.9.9",	  "12.0.0.1" };

struct model {
	char says[RTE_DIM(nest)][M_ORIGINS];
	bool neighbour[RTE_DIM(probes)];
};

static char
model_lookup(const struct model *m, size_t probe)
{
	struct addr a = ip(probes[probe]);
	char found = 'n';
	int best = -1;

	for (size_t i = 0; i < RTE_DIM(nest); i++) {
		struct prefix p = net(nest[i]);
		char says = m->says[i][M_STATIC] != 0 ? m->says[i][M_STATIC] : m->says[i][M_KERNEL];

		if (says != 0 && prefix_covers(&p, &a) && p.len > best) {
			best = p.len;
			found = says;
		}
	}
	return found == 'l' && m->neighbour[probe] ? 'h' : found;
}

static char
bed_lookup(struct bed *b, size_t probe)
{
	const struct next_hop *h = hop_of(b, probes[probe]);

	if ((h->flags & HOP_NOWHERE) != 0)
		return 'n';
	if ((h->flags & HOP_ON_LINK) != 0)
		return 'l';
	if ((h->flags & HOP_HAS_MAC) != 0)
		return 'h';
	return h->port == LAN ? 'a' : 'b';
}

static void
model_route(struct bed *b, struct model *m)
{
	size_t i = (size_t)rand() % RTE_DIM(nest);
	int origin = rand() % M_ORIGINS;
	char what = "abln\0\0"[rand() % 6];
	struct prefix p = net(nest[i]);
	struct addr via = ip(what == 'a' ? "10.1.0.254" : "192.0.2.254");
	const struct addr *gateway = what == 'a' || what == 'b' ? &via : NULL;
	uint8_t port = what == 'b' ? WAN : what == 'n' ? ROUTE_REFUSED : LAN;
	struct err err;

	if (origin == M_STATIC && what == 'n')
		return;
	if (what == 0 && m->says[i][origin] == 0)
		return;
	if (what != 0)
		assert_int_equal((origin == M_STATIC ? route_add : route_kernel_set)(b->r, &p,
										     gateway, port,
										     &err),
				 0);
	else
		assert_int_equal((origin == M_STATIC ? route_del : route_kernel_del)(b->r, &p,
										     &err),
				 0);
	m->says[i][origin] = what;
}

static void
model_neighbour(struct bed *b, struct model *m)
{
	size_t i = (size_t)rand() % RTE_DIM(probes);
	struct addr a = ip(probes[i]);
	struct err err;

	m->neighbour[i] = !m->neighbour[i];
	if (m->neighbour[i])
		kernel_neigh(b, probes[i], (uint8_t)i, LAN);
	else
		assert_int_equal(route_kernel_neigh_del(b->r, &a, LAN, &err), 0);
}

static void
any_order_of_changes_gives_what_the_model_says(void **state)
{
	struct bed *b = *state;
	struct model m = { 0 };

	srand(4303);
	for (int step = 0; step < 20000; step++) {
		if (rand() % 4 == 0)
			model_neighbour(b, &m);
		else
			model_route(b, &m);
		for (size_t i = 0; i < RTE_DIM(probes); i++)
			if (model_lookup(&m, i) != bed_lookup(b, i))
				fail_msg("step %d: %s is '%c', should be '%c'", step, probes[i],
					 bed_lookup(b, i), model_lookup(&m, i));
		grace(&b->waiting);
	}
}

int
main(void)
{
#define BED(test) cmocka_unit_test_setup_teardown(test, bed_up, bed_down)
	const struct CMUnitTest tests[] = {
		BED(the_kernel_speaks_after_the_file),
		BED(refused_prefixes_lead_nowhere_inside_others),
		BED(the_files_neighbour_goes_before_the_kernels),
		BED(a_host_that_is_on_the_link_by_its_own_prefix_is_its_neighbour),
		BED(the_kernels_addresses_connect_no_prefix),
		BED(next_hops_in_use_are_told),
		BED(origins_are_shown),
		BED(any_order_of_changes_gives_what_the_model_says),
	};

	return test_eal_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
