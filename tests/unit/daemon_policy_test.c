#include "unit.h"

#include "ctl/policies.h"
#include "daemon_rig.h"
#include "daemon/policy_store.h"
#include "eal.h"

static const struct dpolicies_cause by_charon = { &charon, 77, 4711 };
static const struct dpolicies_cause by_pluto = { &pluto, 78, 4712 };

static int
put(const struct xfrm_policy *p, bool update)
{
	struct err err = { "" };
	int rc = dpolicies_put(rig.dp, p, update, &by_charon, &err);

	/* Each refusal has its sentence. */
	assert_int_equal(rc < 0, err.text[0] != 0);
	return rc;
}

static void
put_all(bool update, uint32_t priority)
{
	for (uint8_t dir = 0; dir < XFRM_DIR_END; dir++) {
		struct xfrm_policy p = rig_policy(dir);

		p.priority = priority;
		assert_int_equal(put(&p, update), 0);
	}
}

static struct xfrm_policy_id
id_of(const struct xfrm_policy *p)
{
	return (struct xfrm_policy_id) {
		.sel = p->sel, .dir = p->dir, .if_id = p->if_id, .mark = p->mark
	};
}

static uint32_t
in_spd(void)
{
	struct spd_stats stats;

	spd_stats(rig.gw.spd, &stats);
	return stats.policies;
}

static void
a_policy_is_there_once(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT), other = p;
	struct xfrm_policy_id id = id_of(&p);
	struct err err;

	assert_int_equal(put(&p, false), 0);
	assert_int_equal(put(&p, false), -EEXIST);
	other.mark = (struct xfrm_mark) { 1, 0xff };
	assert_int_equal(put(&other, false), 0);
	other.if_id = 5;
	assert_int_equal(put(&other, false), 0);
	assert_int_equal(charon.count, 3);
	assert_int_equal(dpolicies_del(rig.dp, &id, &by_charon, &err), 0);
	assert_int_equal(dpolicies_del(rig.dp, &id, &by_charon, &err), -ENOENT);
	assert_int_equal(put(&p, true), 0);
	assert_int_equal(put(&p, true), 0);
	assert_int_equal(charon.count, 3);
}

static void
in_and_fwd_are_one_in_the_spd(void **state)
{
	struct xfrm_policy in = rig_policy(XFRM_DIR_IN), fwd = rig_policy(XFRM_DIR_FWD);
	struct xfrm_policy_id id;
	struct err err;

	put_all(false, 1000);
	assert_int_equal(in_spd(), 2);
	/* One after the other to another priority: never none. */
	put_all(true, 999);
	assert_int_equal(in_spd(), 2);
	fwd.priority = 5;
	assert_int_equal(put(&fwd, true), 0);
	assert_int_equal(in_spd(), 3);
	id = id_of(&in);
	assert_int_equal(dpolicies_del(rig.dp, &id, &by_charon, &err), 0);
	assert_int_equal(in_spd(), 2);
	assert_int_not_equal(rig_asked(false), SPD_NO_MATCH);
	in.priority = 5;
	assert_int_equal(put(&in, false), 0);
	assert_int_equal(in_spd(), 2);
	id = id_of(&fwd);
	assert_int_equal(dpolicies_del(rig.dp, &id, &by_charon, &err), 0);
	assert_int_equal(in_spd(), 2);
	assert_int_not_equal(rig_asked(false), SPD_NO_MATCH);
}

static void
inbound_policies_want_the_group_of_their_sas(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_IN), got;
	const struct xfrm_policy_id id = id_of(&p);
	struct tie_sa sa;
	struct err err;

	put_all(false, 1000);
	rig_sa_add(&sa, true, 5, 0x100);
	assert_int_equal(spd_policy(rig.gw.spd, rig_asked(false))->group, sa.tie->group);
	assert_int_equal(spd_policy(rig.gw.spd, rig_asked(false))->action, POLICY_PROTECT);
	assert_int_equal(dpolicies_get(rig.dp, &id, &got, &err), 0);
	assert_int_equal(got.used.use_time, 1005);
	rig_sa_del(&sa);
}

static void
a_lower_priority_wins_and_a_replaced_policy_leaves_no_gap(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT), drop = p;
	uint32_t before;

	assert_int_equal(put(&p, false), 0);
	before = rig_asked(true);
	drop.sel.dst.len = 8;
	drop.action = XFRM_BLOCK;
	drop.n_tmpls = 0;
	drop.priority = p.priority + 1;
	assert_int_equal(put(&drop, false), 0);
	assert_int_equal(rig_asked(true), before);
	drop.priority = p.priority - 1;
	assert_int_equal(put(&drop, true), 0);
	assert_int_equal(spd_policy(rig.gw.spd, rig_asked(true))->action, POLICY_DISCARD);
	assert_int_equal(in_spd(), 2);
	p.priority = 0;
	assert_int_equal(put(&p, true), 0);
	assert_int_equal(spd_policy(rig.gw.spd, rig_asked(true))->action, POLICY_PROTECT);
	p.action = XFRM_BLOCK;
	assert_int_equal(put(&p, true), 0);
	assert_int_equal(spd_policy(rig.gw.spd, rig_asked(true))->action, POLICY_DISCARD);
}

/* As the file's policies are staged. */
static void
the_file_comes_first(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	const struct policy_params mine = { .direction = SPD_OUT,
					    .action = POLICY_BYPASS,
					    .order = POLICY_DAEMON_ORDER - 1,
					    .src = { .any = true },
					    .dst = { .any = true },
					    .protocol = SPD_ANY_PROTOCOL,
					    .src_port = { 0, 65535 },
					    .dst_port = { 0, 65535 },
					    .dscp = SPD_ANY_DSCP,
					    .sa = SA_NONE };
	uint32_t index;
	struct err err;

	assert_int_equal(spd_add(rig.gw.spd, &mine, &index, &err), 0);
	p.priority = 0;
	assert_int_equal(put(&p, false), 0);
	assert_int_equal(rig_asked(true), index);
	assert_int_equal(spd_del(rig.gw.spd, index, &err), 0);
	spd_commit(rig.gw.spd);
	assert_int_not_equal(rig_asked(true), SPD_NO_MATCH);
}

enum {
	NOTHING = -1,
};

static void
a_policy_says_of_packets_what_it_says(void **state)
{
	static const struct {
		const char *what;
		uint8_t dir, proto;
		bool any; /* from any to any */
		uint16_t sport, sport_mask, dport, dport_mask;
		uint8_t n_tmpls;
		int32_t ifindex;
		int rc;
		int want; /* what the SPD does with the packet, NOTHING: no policy matches */
	} cases[] = {
		/* clang-format off */
		{ "protect", XFRM_DIR_OUT, 0, false, 0, 0, 0, 0, 1, 0, 0, POLICY_PROTECT },
		{ "let pass, out", XFRM_DIR_OUT, 0, false, 0, 0, 0, 0, 0, 0, 0, POLICY_BYPASS },
		{ "let pass, forwarded", XFRM_DIR_FWD, 0, false, 0, 0, 0, 0, 0, 0, 0, POLICY_BYPASS },
		{ "let in to the daemon's host: not asked", XFRM_DIR_IN, 0, false, 0, 0, 0, 0, 0, 0, 0, NOTHING },
		{ "its port", XFRM_DIR_OUT, 17, false, 0, 0, 2000, 0xffff, 1, 0, 0, POLICY_PROTECT },
		{ "another port", XFRM_DIR_OUT, 17, false, 0, 0, 2001, 0xffff, 1, 0, 0, NOTHING },
		{ "a range with it: 1984 to 2047", XFRM_DIR_OUT, 17, false, 0, 0, 1984, 0xffc0, 1, 0, 0, POLICY_PROTECT },
		{ "a range without it", XFRM_DIR_OUT, 17, false, 0, 0, 2048, 0xffc0, 1, 0, 0, NOTHING },
		{ "a mask that is no range", XFRM_DIR_OUT, 17, false, 0, 0, 2000, 0xff0f, 1, 0, -EINVAL, NOTHING },
		{ "another mask that is none", XFRM_DIR_OUT, 17, false, 5, 0x00ff, 0, 0, 1, 0, -EINVAL, NOTHING },
		{ "another protocol", XFRM_DIR_OUT, 6, false, 0, 0, 0, 0, 1, 0, 0, NOTHING },
		{ "an interface of the kernel", XFRM_DIR_OUT, 0, false, 0, 0, 0, 0, 1, 3, -EINVAL, NOTHING },
		{ "IKE of all to all: not asked", XFRM_DIR_OUT, 17, true, 500, 0xffff, 0, 0, 0, 0, 0, NOTHING },
		{ "IKE in UDP: not asked", XFRM_DIR_FWD, 17, true, 0, 0, 4500, 0xffff, 0, 0, 0, NOTHING },
		{ "another service of all to all", XFRM_DIR_OUT, 17, true, 1000, 0xffff, 0, 0, 0, 0, 0, POLICY_BYPASS },
		{ "IKE between these two nets", XFRM_DIR_OUT, 17, false, 1000, 0xffff, 0, 0, 0, 0, 0, POLICY_BYPASS },
		/* clang-format on */
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		bool out = cases[i].dir == XFRM_DIR_OUT;
		struct xfrm_policy p = rig_policy(cases[i].dir);
		struct xfrm_policy_id id;
		struct err err = { "" };
		uint32_t found;
		int got, rc;

		p.sel.proto = cases[i].proto;
		p.sel.sport = cases[i].sport;
		p.sel.sport_mask = cases[i].sport_mask;
		p.sel.dport = cases[i].dport;
		p.sel.dport_mask = cases[i].dport_mask;
		p.sel.ifindex = cases[i].ifindex;
		if (cases[i].any)
			p.sel.src.len = p.sel.dst.len = 0;
		p.n_tmpls = cases[i].n_tmpls;
		rc = put(&p, false);
		if (rc != cases[i].rc)
			fail_msg("%s: %d", cases[i].what, rc);
		found = rig_asked(out);
		got = found == SPD_NO_MATCH ? NOTHING : spd_policy(rig.gw.spd, found)->action;
		if (got != cases[i].want)
			fail_msg("%s: %d", cases[i].what, got);
		id = id_of(&p);
		rc = dpolicies_del(rig.dp, &id, &by_charon, &err);
		if (rc != (cases[i].rc < 0 ? -ENOENT : 0))
			fail_msg("%s: %s", cases[i].what, err.text);
	}
}

static void
neighbour_discovery_of_all_is_not_asked(void **state)
{
	struct spd_key key = { .v6 = true, .protocol = 58, .src_port = 135 };
	struct xfrm_policy p = { .sel = { .family = 6, .proto = 58 }, .dir = XFRM_DIR_OUT };

	p.sel.src.addr.family = p.sel.dst.addr.family = 6;
	p.sel.sport = 135;
	p.sel.sport_mask = 0xffff;
	assert_int_equal(put(&p, false), 0);
	assert_int_equal(spd_find(rig.gw.spd, SPD_OUT, &key), SPD_NO_MATCH);
	p.sel.sport = key.src_port = 128;
	assert_int_equal(put(&p, false), 0);
	assert_int_not_equal(spd_find(rig.gw.spd, SPD_OUT, &key), SPD_NO_MATCH);
}

/* What is asked for is what was put, but for what the gateway knows better. */
static void
get_says_what_was_put(void **state)
{
	struct xfrm_policy cases[6], got;
	struct err err;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		cases[i] = rig_policy(i % 3);
		cases[i].if_id = (uint32_t)i;
		cases[i].has = XFRM_HAS_IF_ID;
	}
	cases[0].flags = XFRM_POLICY_F_LOCALOK;
	cases[1].tmpls[0].id.spi = 0xc0000001;
	cases[2].life.hard_add_s = 3600;
	cases[3].tmpls[0].optional = true;
	cases[3].tmpls[0].ealgos = 12;
	cases[4].action = XFRM_BLOCK;
	cases[4].has |= XFRM_HAS_MARK;
	cases[4].mark = (struct xfrm_mark) { 3, 0xf };
	cases[5].n_tmpls = 2;
	cases[5].tmpls[1] = cases[5].tmpls[0];
	cases[5].tmpls[0].id.proto = XFRM_PROTO_COMP;
	cases[5].tmpls[1].mode = XFRM_TRANSPORT;
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xfrm_policy_id id = id_of(&cases[i]);

		assert_int_equal(put(&cases[i], false), 0);
		assert_int_equal(dpolicies_get(rig.dp, &id, &got, &err), 0);
		assert_int_equal(got.index & 7, cases[i].dir);
		assert_true(got.used.add_time > 1000000);
		cases[i].index = got.index;
		got.used.add_time = 0;
		if (memcmp(&got, &cases[i], sizeof(got)) != 0)
			fail_msg("policy %zu comes back changed", i);
		id = (struct xfrm_policy_id) { .index = got.index, .dir = got.dir };
		assert_int_equal(dpolicies_get(rig.dp, &id, &got, &err), 0);
		id.dir = (id.dir + 1) % 3;
		assert_int_equal(dpolicies_get(rig.dp, &id, &got, &err), -ENOENT);
	}
}

static void
an_index_may_be_wished(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT), got;
	struct xfrm_policy_id id = { .index = 4097, .dir = XFRM_DIR_OUT };
	struct err err;

	p.index = 4097;
	assert_int_equal(put(&p, false), 0);
	assert_int_equal(dpolicies_get(rig.dp, &id, &got, &err), 0);
	p.if_id = 1;
	assert_int_equal(put(&p, false), 0);
	assert_int_equal(dpolicies_del(rig.dp, &id, &by_charon, &err), 0);
	assert_int_equal(dpolicies_del(rig.dp, &id, &by_charon, &err), -ENOENT);
}

static void
a_full_table_is_no_buffer_space(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	struct dpolicies *four;
	struct err err = { "" };

	assert_int_equal(dpolicies_create(&rig.dp->env, 4, &four, &err), 0);
	for (p.if_id = 1; p.if_id <= 4; p.if_id++)
		assert_int_equal(dpolicies_put(four, &p, false, &by_charon, &err), 0);
	assert_int_equal(dpolicies_put(four, &p, false, &by_charon, &err), -ENOBUFS);
	assert_non_null(strstr(err.text, "all 4 are in use"));
	dpolicies_free(four);
}

static void
others_policies_stay(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT), own = p;
	struct xfrm_policy_id id = id_of(&p);
	struct err err;

	assert_int_equal(put(&p, false), 0);
	own.sel.dst.len = 24;
	assert_int_equal(dpolicies_put(rig.dp, &own, true, &by_pluto, &err), 0);
	assert_int_equal(dpolicies_put(rig.dp, &p, true, &by_pluto, &err), -EPERM);
	assert_int_equal(dpolicies_del(rig.dp, &id, &by_pluto, &err), -EPERM);
	dpolicies_flush(rig.dp, &by_pluto);
	assert_int_equal(in_spd(), 1);
	/* An orphan is taken over. */
	charon.gone = true;
	assert_int_equal(dpolicies_put(rig.dp, &p, true, &by_pluto, &err), 0);
	assert_int_equal(charon.count, 0);
	assert_int_equal(pluto.count, 1);
	dpolicies_flush(rig.dp, &by_pluto);
	assert_int_equal(in_spd(), 0);
	dpolicies_flush(rig.dp, &by_pluto);
}

static void
events_check(const uint16_t *types, uint32_t n)
{
	assert_int_equal(rig.n_events, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(rig.events[i].group, XFRM_GROUP_POLICY);
		assert_int_equal(rig.events[i].type, types[i]);
		assert_true(rig.events[i].seq >= 77);
		assert_true(rig.events[i].pid >= 4711);
	}
	rig.n_events = 0;
}

static void
every_change_is_told(void **state)
{
	static const uint16_t first[] = { XFRM_NEWPOLICY, XFRM_UPDPOLICY, XFRM_DELPOLICY };
	static const uint16_t flush_of_some[] = { XFRM_NEWPOLICY, XFRM_NEWPOLICY, XFRM_DELPOLICY };
	static const uint16_t flush_of_all[] = { XFRM_FLUSHPOLICY };
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	struct xfrm_policy_id id = id_of(&p);
	struct err err;

	assert_int_equal(put(&p, false), 0);
	assert_int_equal(put(&p, false), -EEXIST);
	assert_int_equal(put(&p, true), 0);
	assert_int_equal(dpolicies_del(rig.dp, &id, &by_charon, &err), 0);
	events_check(first, RTE_DIM(first));
	assert_int_equal(put(&p, false), 0);
	p.if_id = 1;
	assert_int_equal(dpolicies_put(rig.dp, &p, false, &by_pluto, &err), 0);
	dpolicies_flush(rig.dp, &by_charon);
	events_check(flush_of_some, RTE_DIM(flush_of_some));
	dpolicies_flush(rig.dp, &by_pluto);
	events_check(flush_of_all, RTE_DIM(flush_of_all));
	dpolicies_flush(rig.dp, &by_pluto);
	events_check(NULL, 0);
}

static void
a_dump_lists_all(void **state)
{
	uint32_t cursor = 0, n = 0;
	uint64_t at = 0;
	struct policy_view view;
	struct xfrm_spd_info info;
	struct xfrm_policy p;
	struct err err;

	for (uint32_t i = 0; i < 1000; i++) {
		p = rig_policy(i % 3);
		p.if_id = i;
		rig.n_events = 0;
		assert_int_equal(put(&p, false), 0);
	}
	while (dpolicies_next(rig.dp, &cursor, &p))
		n++;
	assert_int_equal(n, 1000);
	for (n = 0; dpolicies_view(rig.dp, &at, &view); n++) {
		assert_string_equal(view.owner, "charon");
		assert_int_equal(view.reqid, 7);
		assert_int_equal(view.spec.priority, 383615);
		assert_false(view.apart);
	}
	assert_int_equal(n, 1000);
	dpolicies_info(rig.dp, &info);
	assert_int_equal(info.counts.in, 334);
	assert_int_equal(info.counts.out, 333);
	assert_int_equal(info.counts.fwd, 333);
	assert_int_equal(info.v4.local, 32);
	info.v4.local = 24;
	assert_int_equal(dpolicies_info_set(rig.dp, &info, &err), 0);
	dpolicies_info(rig.dp, &info);
	assert_int_equal(info.v4.local, 24);
	info.v4.local = 33;
	assert_int_equal(dpolicies_info_set(rig.dp, &info, &err), -EINVAL);
}

static void
templates_move_with_their_sas(void **state)
{
	struct xfrm_policy out = rig_policy(XFRM_DIR_OUT), in = rig_policy(XFRM_DIR_IN), got;
	struct xfrm_migrate m = { .n_moves = 1 };
	struct addr new = rig_addr("203.0.113.9");
	struct tie_sa sa, moved;
	struct tie_key key;
	struct tie *tie;
	struct xfrm_sa x = rig_sa(true);
	uint32_t group;
	struct err err;

	put_all(false, 1000);
	rig_sa_add(&sa, true, 1, 0x100);
	group = spd_policy(rig.gw.spd, rig_asked(false))->group;
	m.moves[0] = (struct xfrm_move) { .old_src = in.tmpls[0].src,
					  .old_dst = in.tmpls[0].id.dst,
					  .new_src = new,
					  .new_dst = in.tmpls[0].id.dst,
					  .proto = XFRM_PROTO_ESP,
					  .mode = XFRM_TUNNEL,
					  .reqid = 7 };
	/* The SA goes first. */
	x.src = new;
	tie_key_of_sa(&x, true, &key);
	assert_int_equal(tie_get_heir(rig.ties, &key, sa.tie, &tie, &err), 0);
	moved = (struct tie_sa) { .index = 2, .spi = 0x100 };
	tie_sa_add(rig.ties, tie, &moved);
	m.policy = id_of(&in);
	assert_int_equal(dpolicies_migrate(rig.dp, &m, &by_charon, &err), 0);
	assert_int_equal(dpolicies_get(rig.dp, &m.policy, &got, &err), 0);
	assert_true(addr_equal(&got.tmpls[0].src, &new));
	assert_int_equal(spd_policy(rig.gw.spd, rig_asked(false))->group, group);
	assert_int_equal(dpolicies_migrate(rig.dp, &m, &by_charon, &err), -ENOENT);
	assert_int_equal(dpolicies_migrate(rig.dp, &m, &by_pluto, &err), -EPERM);
	m.policy = id_of(&out);
	assert_int_equal(dpolicies_migrate(rig.dp, &m, &by_charon, &err), -ENOENT);
	rig_sa_del(&sa);
	rig_sa_del(&moved);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(a_policy_is_there_once),
		RIG(in_and_fwd_are_one_in_the_spd),
		RIG(inbound_policies_want_the_group_of_their_sas),
		RIG(a_lower_priority_wins_and_a_replaced_policy_leaves_no_gap),
		RIG(the_file_comes_first),
		RIG(a_policy_says_of_packets_what_it_says),
		RIG(neighbour_discovery_of_all_is_not_asked),
		RIG(get_says_what_was_put),
		RIG(an_index_may_be_wished),
		RIG(a_full_table_is_no_buffer_space),
		RIG(others_policies_stay),
		RIG(every_change_is_told),
		RIG(a_dump_lists_all),
		RIG(templates_move_with_their_sas),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
