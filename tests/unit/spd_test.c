#include "spd_rig.h"

#include <errno.h>
#include <stdio.h>

#include "eal.h"

static const struct policy_text book[] = {
	{ 10, "10.1.0.0/16", "10.2.0.0/16", .protocol = TCP, .dst_port = { 80, 80 }, .name = 1 },
	{ 20, "10.1.0.0/16", "10.2.0.0/16", .protocol = TCP, .dst_port = { 1000, 2000 },
	  .name = 2 },
	{ 30, "10.1.2.0/24", "10.2.3.4", .name = 3 },
	{ 40, "10.1.0.0/16", "10.2.0.0/16", .dscp = 1ull << 46 | 1ull << 34, .name = 4 },
	{ 50, "10.1.0.0/16", "10.2.0.0/16", .name = 5 },
	{ 60, "10.1.2.3", "10.2.3.4", .name = 6 },
	{ 70, "10.3.0.5-10.3.1.7", "10.4.0.0/16 10.5.0.9-10.5.0.11", .name = 7 },
	{ 80, "2001:db8:1::/48", "2001:db8:2::/48", .protocol = UDP, .name = 8 },
	{ 90, "2001:db8:1::/48", "2001:db8:2::5-2001:db8:2::1:0", .name = 9 },
	{ 95, "10.9.0.0/16", "any", .protocol = ICMP, .src_port = { 8, 8 },
	  .dst_port = { 0, 65535 }, .name = 10 },
	{ 96, "10.8.0.0/16", "any", .src_port = { 1, 65535 }, .name = 11 },
	{ 97, "10.7.0.0/16", "10.7.0.0/16", .in = true, .name = 12 },
	{ 99, "2001:db8:9::/48 10.6.0.0/16", "2001:db8:9::/48 10.6.0.0/16", .name = 13 },
};

static const struct {
	const char *what;
	const char *src, *dst;
	uint8_t protocol;
	uint16_t src_port, dst_port;
	uint8_t dscp;
	uint32_t want;
} cases[] = {
	{ "one port", "10.1.9.9", "10.2.9.9", TCP, 5, 80, 0, 1 },
	{ "the same port of another protocol", "10.1.9.9", "10.2.9.9", UDP, 5, 80, 0, 5 },
	{ "a port as source is no destination", "10.1.9.9", "10.2.9.9", TCP, 80, 5, 0, 5 },
	{ "the first port of a range", "10.1.9.9", "10.2.9.9", TCP, 5, 1000, 0, 2 },
	{ "the last port of a range", "10.1.9.9", "10.2.9.9", TCP, 5, 2000, 0, 2 },
	{ "one port past a range", "10.1.9.9", "10.2.9.9", TCP, 5, 2001, 0, 5 },
	{ "the earlier of two that overlap, though longer", "10.1.2.3", "10.2.3.4", UDP, 1, 1, 0,
	  3 },
	{ "the earlier of two that overlap, though shorter", "10.1.2.3", "10.2.3.4", TCP, 1, 80, 0,
	  1 },
	{ "a class of the set", "10.1.9.9", "10.2.9.9", UDP, 1, 1, 46, 4 },
	{ "a class beside the set", "10.1.9.9", "10.2.9.9", UDP, 1, 1, 45, 5 },
	{ "no policy for the way back", "10.2.9.9", "10.1.9.9", UDP, 1, 1, 0, NO_MATCH },
	{ "the first address of a range", "10.3.0.5", "10.4.1.1", UDP, 1, 1, 0, 7 },
	{ "the last address of a range", "10.3.1.7", "10.4.1.1", UDP, 1, 1, 0, 7 },
	{ "one before a range", "10.3.0.4", "10.4.1.1", UDP, 1, 1, 0, NO_MATCH },
	{ "one past a range", "10.3.1.8", "10.4.1.1", UDP, 1, 1, 0, NO_MATCH },
	{ "the second entry of a list", "10.3.1.0", "10.5.0.10", UDP, 1, 1, 0, 7 },
	{ "beside the second entry", "10.3.1.0", "10.5.0.12", UDP, 1, 1, 0, NO_MATCH },
	{ "IPv6", "2001:db8:1::1", "2001:db8:2::1", UDP, 1, 1, 0, 8 },
	{ "an IPv6 range", "2001:db8:1::1", "2001:db8:2::5", TCP, 1, 1, 0, 9 },
	{ "the end of an IPv6 range", "2001:db8:1::1", "2001:db8:2::1:0", TCP, 1, 1, 0, 9 },
	{ "past an IPv6 range", "2001:db8:1::1", "2001:db8:2::1:1", TCP, 1, 1, 0, NO_MATCH },
	{ "an ICMP type", "10.9.0.1", "1.1.1.1", ICMP, 8, 0, 0, 10 },
	{ "another ICMP type", "10.9.0.1", "1.1.1.1", ICMP, 0, 0, 0, NO_MATCH },
	{ "ports without a protocol want one that has ports", "10.8.0.1", "1.1.1.1", UDP, 7, 0, 0,
	  11 },
	{ "ICMP has no ports", "10.8.0.1", "1.1.1.1", ICMP, 8, 0, 0, NO_MATCH },
	{ "GRE has no ports", "10.8.0.1", "1.1.1.1", 47, 7, 7, 0, NO_MATCH },
	{ "a policy of the other direction", "10.7.0.1", "10.7.0.2", UDP, 1, 1, 0, NO_MATCH },
	{ "one policy for two families: IPv4", "10.6.0.1", "10.6.0.2", UDP, 1, 1, 0, 13 },
	{ "one policy for two families: IPv6", "2001:db8:9::1", "2001:db8:9::2", UDP, 1, 1, 0, 13 },
};

static void
first_match_by_order_decides(void **state)
{
	struct spd *spd = spd_make(64, 0);

	/* Added from the last to the first: order decides, not age. */
	for (size_t i = RTE_DIM(book); i-- > 0;)
		policy_add(spd, &book[i]);
	spd_commit(spd);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct spd_key key = key_of(cases[i].src, cases[i].dst, cases[i].protocol,
					    cases[i].src_port, cases[i].dst_port);
		uint32_t got;

		key.dscp = cases[i].dscp;
		got = ask_key(spd, SPD_OUT, &key);
		if (got != cases[i].want)
			fail_msg("%s: %u, not %u", cases[i].what, got, cases[i].want);
	}
	spd_free(spd);
}

static const struct {
	const char *what;
	struct policy_text policy;
	int rc;
} refused[] = {
	{ "an order past the last", { .order = SPD_ORDER_MAX + 1 }, -EINVAL },
	{ "a range that ends before it begins", { .src = "10.0.0.2-10.0.0.1" }, -EINVAL },
	{ "families that do not meet", { .src = "10.0.0.0/8", .dst = "2001:db8::/32" }, -EINVAL },
	{ "no address at all", { .src = "", .dst = "any" }, -EINVAL },
	{ "a protocol past 255", { .protocol = 256 }, -EINVAL },
	{ "ports of a protocol without", { .protocol = 47, .dst_port = { 1, 2 } }, -EINVAL },
	{ "ports that end before they begin", { .protocol = TCP, .dst_port = { 9, 2 } }, -EINVAL },
	{ "the last order there is", { .order = SPD_ORDER_MAX }, 0 },
	{ "ICMP type and code",
	  { .protocol = ICMP, .src_port = { 3, 3 }, .dst_port = { 4, 4 } },
	  0 },
	{ "ports without a protocol", { .dst_port = { 1, 2 } }, 0 },
};

static void
what_cannot_match_is_refused(void **state)
{
	struct spd *spd = spd_make(16, 0);
	struct spd_stats stats;
	uint32_t index, n = 0;

	for (size_t i = 0; i < RTE_DIM(refused); i++) {
		struct err err = { "" };
		int rc = policy_try(spd, &refused[i].policy, &index, &err);

		if (rc != refused[i].rc || (rc < 0 && err.text[0] == 0))
			fail_msg("%s: %d %s", refused[i].what, rc, err.text);
		n += rc == 0;
	}
	spd_stats(spd, &stats);
	assert_int_equal(stats.policies, n);
	spd_free(spd);
}

static void
an_empty_class_set_is_refused(void **state)
{
	struct spd *spd = spd_make(16, 0);
	struct policy_params p = { .src = { .any = true },
				   .dst = { .any = true },
				   .protocol = SPD_ANY_PROTOCOL,
				   .src_port = { 0, 65535 },
				   .dst_port = { 0, 65535 } };
	struct err err = { "" };
	uint32_t index;

	assert_int_equal(spd_add(spd, &p, &index, &err), -EINVAL);
	p.dscp = 1;
	assert_int_equal(spd_add(spd, &p, &index, &err), 0);
	spd_free(spd);
}

static void
a_flow_cache_has_a_power_of_two(void **state)
{
	static const struct {
		uint32_t v4, v6;
		int rc;
	} sizes[] = { { 0, 0, 0 },
		      { 64, 64, 0 },
		      { 63, 64, -EINVAL },
		      { 64, 96, -EINVAL },
		      { 32, 64, -EINVAL } };

	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		struct spd_worker *sw = NULL;
		struct err err;

		assert_int_equal(spd_worker_init(sizes[i].v4, sizes[i].v6, SOCKET_ID_ANY, &sw,
						 &err),
				 sizes[i].rc);
		spd_worker_fini(sw);
	}
}

static void
limits_are_kept(void **state)
{
	struct policy_text one = { .src = "10.0.0.0/8", .dst = "10.0.0.0/8" };
	struct policy_text many = { .src = "10.0.0.0/9 10.128.0.0/9 11.0.0.0/8",
				    .dst = "10.0.0.0/9 10.128.0.0/9 11.0.0.0/8" };
	struct spd *spd = spd_make(2, 10);
	struct spd_stats stats;
	uint32_t first, index;
	struct err err;

	first = policy_add(spd, &one);
	policy_add(spd, &many);
	assert_int_equal(policy_try(spd, &one, &index, &err), -ENOSPC);
	policy_end(spd, first);
	assert_int_equal(spd_del(spd, first, &err), -ENOENT);
	assert_int_equal(spd_del(spd, 7, &err), -ENOENT);
	assert_int_equal(spd_del(spd, UINT32_MAX, &err), -ENOENT);
	spd_commit(spd);
	/* A policy is there, nine rules are left, and it needs ten. */
	many.dst = "any";
	assert_int_equal(policy_try(spd, &many, &index, &err), -ENOSPC);
	spd_stats(spd, &stats);
	assert_int_equal(stats.policies, 1);
	assert_int_equal(stats.rules, 9);
	assert_int_equal(spd_del(spd, first, &err), -ENOENT);
	spd_free(spd);
}

static void
check_changes(const char *net, const struct spd_key *key)
{
	struct policy_text text = { 10, net, net, .name = 1 };
	struct spd *spd = spd_make(64, 0);
	uint32_t first, second, generation;

	first = policy_add(spd, &text);
	assert_int_equal(ask_key(spd, SPD_OUT, key), NO_MATCH);
	spd_commit(spd);
	assert_int_equal(ask_key(spd, SPD_OUT, key), 1);
	text.name = 2;
	second = policy_add(spd, &text);
	spd_commit(spd);
	/* Of one order the older. */
	assert_int_equal(ask_key(spd, SPD_OUT, key), 1);
	policy_end(spd, first);
	assert_int_equal(ask_key(spd, SPD_OUT, key), 1);
	spd_commit(spd);
	assert_int_equal(ask_key(spd, SPD_OUT, key), 2);
	generation = spd->generation;
	spd_commit(spd);
	assert_int_equal(spd->generation, generation);
	policy_end(spd, second);
	text.order = 1;
	text.name = 3;
	policy_add(spd, &text);
	spd_abort(spd);
	assert_int_equal(ask_key(spd, SPD_OUT, key), 2);
	policy_end(spd, policy_add(spd, &text));
	spd_commit(spd);
	assert_int_equal(ask_key(spd, SPD_OUT, key), 2);
	spd_free(spd);
}

static void
changes_show_at_the_commit(void **state)
{
	struct spd_key v4 = key_of("10.0.0.1", "10.0.0.2", UDP, 1, 1);
	struct spd_key v6 = key_of("2001:db8::1", "2001:db8::2", UDP, 1, 1);

	check_changes("10.0.0.0/8", &v4);
	check_changes("2001:db8::/32", &v6);
}

static void
an_sa_is_changed_in_place(void **state)
{
	struct policy_text text = { 10, "10.0.0.0/8", "10.0.0.0/8", .action = POLICY_PROTECT,
				    .group = 77 };
	struct spd *spd = spd_make(64, 0);
	uint32_t index = policy_add(spd, &text), generation;

	spd_commit(spd);
	generation = spd->generation;
	assert_int_equal(spd_sa_index(spd_out_sa(spd, index)), SA_NONE);
	spd_sa_set(spd, index, 123456, 0x7edcba98);
	assert_int_equal(spd_sa_index(spd_out_sa(spd, index)), 123456);
	assert_int_equal(spd_sa_generation(spd_out_sa(spd, index)), 0x7edcba98);
	assert_int_equal(spd->generation, generation);
	assert_int_equal(spd_policy(spd, index)->group, 77);
	assert_int_equal(spd_policy(spd, index)->action, POLICY_PROTECT);
	spd_free(spd);
}

static void
a_worker_may_turn_to_another_spd(void **state)
{
	struct policy_text text = { 10, "10.0.0.0/8", "10.0.0.0/8", .name = 1 };
	struct spd_key key = key_of("10.0.0.1", "10.0.0.2", UDP, 1, 1);
	struct spd *a = spd_make(4, 0), *b = spd_make(4, 0);

	policy_add(a, &text);
	spd_commit(a);
	text.name = 2;
	policy_add(b, &text);
	spd_commit(b);
	assert_int_equal(a->generation, b->generation);
	assert_int_equal(ask_key(a, SPD_OUT, &key), 1);
	assert_int_equal(ask_key(b, SPD_OUT, &key), 2);
	assert_int_equal(ask_key(a, SPD_OUT, &key), 1);
	spd_free(a);
	spd_free(b);
}

/* 40 policies from two networks to one, enough for rte_acl: one for each port from 100 on. */
static void
crowd_add(struct spd *spd)
{
	for (uint16_t i = 0; i < 40; i++) {
		struct policy_text text = {
			10 + i,		 "10.0.0.0/8 172.16.0.0/12",	   "10.0.0.0/8",
			.protocol = TCP, .dst_port = { 100 + i, 100 + i }, .name = 100 + i
		};

		policy_add(spd, &text);
	}
	spd_commit(spd);
}

static void
policies_outlive_the_wrap_of_generations(void **state)
{
	struct policy_text text = { 5, "10.1.0.0/16", "10.0.0.0/8", .name = 1 };
	struct spd_key key = key_of("10.1.0.1", "10.0.0.2", UDP, 1, 1);
	struct spd_key crowd = key_of("10.2.0.1", "10.0.0.2", TCP, 1, 139);
	struct spd *spd = spd_make(64, 0);
	struct err err;
	uint32_t other;

	policy_add(spd, &text);
	crowd_add(spd);
	assert_int_equal(spd_maintain(spd, true, &err), 1);
	text.order = 1;
	text.name = 2;
	for (uint64_t g = 1; g < 40; g++) {
		/* 2^28 commits pass; the first one of them sees to the ages. */
		spd->generation = (uint32_t)(g << 28) - 1;
		other = policy_add(spd, &text);
		assert_int_equal(ask_key(spd, SPD_OUT, &key), 1);
		spd_commit(spd);
		assert_int_equal(ask_key(spd, SPD_OUT, &key), 2);
		policy_end(spd, other);
		spd_commit(spd);
		assert_int_equal(ask_key(spd, SPD_OUT, &key), 1);
		assert_int_equal(ask_key(spd, SPD_OUT, &crowd), 139);
	}
	spd_free(spd);
}

static void
a_crowd_is_built_and_thinned_out(void **state)
{
	struct spd_key here = key_of("10.2.0.1", "10.0.0.2", TCP, 1, 139);
	struct spd_key there = key_of("172.16.0.1", "10.0.0.2", TCP, 1, 139);
	struct spd *spd = spd_make(64, 0);
	struct spd_stats stats;
	struct err err;
	uint32_t index;

	crowd_add(spd);
	spd_stats(spd, &stats);
	assert_int_equal(stats.built, 0);
	assert_int_equal(stats.waiting, 72);
	index = spd_find(spd, SPD_OUT, &here);
	assert_int_equal(spd_maintain(spd, false, &err), 1);
	spd_stats(spd, &stats);
	assert_int_equal(stats.built, 72);
	assert_int_equal(stats.waiting, 0);
	assert_int_equal(spd_find(spd, SPD_OUT, &here), index);
	assert_int_equal(spd_find(spd, SPD_OUT, &there), index);
	assert_int_equal(spd_maintain(spd, true, &err), 0);
	policy_end(spd, index);
	spd_commit(spd);
	assert_int_equal(ask_key(spd, SPD_OUT, &here), NO_MATCH);
	assert_int_equal(ask_key(spd, SPD_OUT, &there), NO_MATCH);
	assert_int_equal(spd_maintain(spd, true, &err), 1);
	spd_stats(spd, &stats);
	assert_int_equal(stats.built, 70);
	assert_int_equal(ask_key(spd, SPD_OUT, &here), NO_MATCH);
	here.dst_port = there.dst_port = 138;
	assert_int_equal(ask_key(spd, SPD_OUT, &here), 138);
	assert_int_equal(ask_key(spd, SPD_OUT, &there), 138);
	spd_free(spd);
}

/* 24 lengths of a source, 24 of a destination. */
static void
one_policy_may_have_many_pairs_of_lengths(void **state)
{
	struct spd_key key = key_of("10.255.255.254", "10.255.255.254", UDP, 1, 1);
	struct policy_text text = { .name = 1 };
	struct spd *spd = spd_make(4, 0);
	struct spd_stats stats;
	char list[512] = "";

	for (int length = 8; length < 32; length++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "10.255.255.254/%d ",
			 length);
	text.src = text.dst = list;
	policy_add(spd, &text);
	spd_commit(spd);
	spd_stats(spd, &stats);
	assert_int_equal(stats.rules, 24 * 24);
	assert_int_equal(stats.pairs[SPD_OUT][0], 24 * 24);
	assert_int_equal(stats.pairs[SPD_OUT][1] + stats.pairs[SPD_IN][0], 0);
	assert_int_equal(ask_key(spd, SPD_OUT, &key), 1);
	key.dst[1] = 0;
	assert_int_equal(ask_key(spd, SPD_OUT, &key), 1);
	key.dst[0] = 11;
	assert_int_equal(ask_key(spd, SPD_OUT, &key), NO_MATCH);
	spd_free(spd);
}

/* Ranges so far from prefixes that rte_acl would need 64,516 entries. */
static void
what_rte_acl_cannot_take_is_found(void **state)
{
	struct policy_text wide = { .src = "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
				    .dst = "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
				    .protocol = TCP };
	struct spd_key key = key_of("2001:db8::1", "2001:db8::2", TCP, 1, 0);
	struct spd *spd = spd_make(64, 0);
	struct spd_stats stats;
	uint32_t last = 0;
	struct err err;

	for (uint16_t i = 1; i <= 40; i++) {
		wide.dst_port = (struct spd_ports) { i, i };
		wide.order = wide.name = i;
		if (i > 20)
			wide.src = wide.dst = "::/0";
		last = policy_add(spd, &wide);
	}
	spd_commit(spd);
	assert_int_equal(spd_maintain(spd, true, &err), 1);
	spd_stats(spd, &stats);
	assert_int_equal(stats.waiting, 16);
	assert_int_equal(stats.built, 20);
	for (uint16_t i = 1; i <= 40; i++) {
		key.dst_port = i;
		assert_int_equal(ask_key(spd, SPD_OUT, &key), i);
	}
	policy_end(spd, last);
	for (uint32_t i = 4; i < 20; i++) {
		key.dst_port = i + 1;
		policy_end(spd, spd_find(spd, SPD_OUT, &key));
	}
	spd_commit(spd);
	spd_stats(spd, &stats);
	assert_int_equal(stats.waiting, 0);
	assert_int_equal(stats.built, 19);
	spd_free(spd);
}

#define HOSTS 50000

/* Scattered, no two the same. */
static void
host_address(uint32_t i, uint8_t *a)
{
	uint32_t v = rte_cpu_to_be_32(i * 2654435761u);

	memcpy(a, &v, sizeof(v));
}

static struct spd_range
host(uint32_t i)
{
	struct spd_range r;
	uint8_t a[16] = { 0 };

	host_address(i, a);
	spd_prefix(&r, a, 32, false);
	return r;
}

static uint32_t
host_add(struct spd *spd, uint32_t i)
{
	struct spd_range src = host(i), dst = host(i + HOSTS);
	struct policy_params p = { .direction = SPD_OUT,
				   .action = POLICY_PROTECT,
				   .order = i,
				   .src = { .n_v4 = 1, .v4 = &src },
				   .dst = { .n_v4 = 1, .v4 = &dst },
				   .protocol = SPD_ANY_PROTOCOL,
				   .src_port = { 0, 65535 },
				   .dst_port = { 0, 65535 },
				   .dscp = SPD_ANY_DSCP,
				   .name = i };
	struct err err = { "" };
	uint32_t index;

	if (spd_add(spd, &p, &index, &err) < 0)
		fail_msg("%s", err.text);
	return index;
}

static void
many_policies_are_small_and_all_found(void **state)
{
	struct spd_params p = { .max_policies = HOSTS, .max_rules = HOSTS };
	struct spd *spd = spd_make(HOSTS, HOSTS);
	struct spd_stats stats;

	for (uint32_t i = 0; i < HOSTS; i++)
		host_add(spd, i);
	spd_commit(spd);
	spd_stats(spd, &stats);
	assert_int_equal(stats.pairs[SPD_OUT][0], 1);
	assert_true(stats.bytes <= (size_t)HOSTS * 128 + (128 << 10));
	assert_true(stats.bytes <= spd_memory(&p) + (512 << 10) &&
		    stats.bytes >= spd_memory(&p) / 2);
	for (uint32_t i = 0; i < HOSTS; i++) {
		struct spd_key key = { .v6 = false };
		uint32_t found;

		host_address(i, key.src);
		host_address(i + HOSTS, key.dst);
		found = spd_find(spd, SPD_OUT, &key);

		if (found >= SPD_FRAG_PORTS || spd_policy(spd, found)->name != i)
			fail_msg("host %u got %u", i, found);
		host_address(i + 2 * HOSTS, key.dst);
		assert_int_equal(spd_find(spd, SPD_OUT, &key), NO_MATCH);
	}
	spd_free(spd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_match_by_order_decides),
		cmocka_unit_test(what_cannot_match_is_refused),
		cmocka_unit_test(an_empty_class_set_is_refused),
		cmocka_unit_test(a_flow_cache_has_a_power_of_two),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(changes_show_at_the_commit),
		cmocka_unit_test(an_sa_is_changed_in_place),
		cmocka_unit_test(a_worker_may_turn_to_another_spd),
		cmocka_unit_test(policies_outlive_the_wrap_of_generations),
		cmocka_unit_test(a_crowd_is_built_and_thinned_out),
		cmocka_unit_test(one_policy_may_have_many_pairs_of_lengths),
		cmocka_unit_test(what_rte_acl_cannot_take_is_found),
		cmocka_unit_test(many_policies_are_small_and_all_found),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
