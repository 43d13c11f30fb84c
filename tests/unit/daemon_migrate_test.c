/* SAs and policies of daemons that go to other addresses by MIGRATE; pairs with IPComp; peers
 * behind a NAT that moved.
 */
#include "unit.h"

#include "daemon_state_rig.h"
#include "sad/sad.h"
#include "spd/spd.h"
#include "worker/mailbox.h"

/* ---- MIGRATE. ---- */

static const char us[] = "192.0.2.1", peer[] = "198.51.100.7", moved[] = "203.0.113.9";

/* 10.1.0.0/16 here, 10.2.0.0/16 there, by such an SA. */
static struct xfrm_policy
policy_of(uint8_t dir, bool pair, uint32_t reqid_of_comp)
{
	const struct prefix here = { rig_addr("10.1.0.0"), 16 },
			    there = { rig_addr("10.2.0.0"), 16 };
	bool out = dir == XFRM_DIR_OUT;
	struct xfrm_policy p = { .dir = dir, .n_tmpls = pair ? 2 : 1, .sel.family = 4 };

	p.sel.src = out ? here : there;
	p.sel.dst = out ? there : here;
	p.life = (struct xfrm_life) {
		XFRM_NO_LIMIT, XFRM_NO_LIMIT, XFRM_NO_LIMIT, XFRM_NO_LIMIT, 0, 0, 0, 0
	};
	p.tmpls[0] = (struct xfrm_tmpl) {
		.id = { rig_addr(out ? peer : us), 0, pair ? XFRM_PROTO_COMP : XFRM_PROTO_ESP },
		.family = 4,
		.src = rig_addr(out ? us : peer),
		.reqid = pair ? reqid_of_comp : 7,
		.mode = XFRM_TUNNEL,
		.optional = pair && !out,
	};
	p.tmpls[1] = (struct xfrm_tmpl) {
		.id = { .dst.family = 4, .proto = XFRM_PROTO_ESP },
		.family = 4,
		.src.family = 4,
		.reqid = 7,
		.mode = XFRM_TRANSPORT,
	};
	return p;
}

static int
policy_put(struct daemon_client *c, const struct xfrm_policy *p)
{
	const struct xfrm_head head = { XFRM_UPDPOLICY, XFRM_F_REQUEST | XFRM_F_ACK, 7, NL_PID };
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };

	assert_int_equal(xfrm_put_policy(&out, &head, p), 0);
	return rig_send(c, message, &out, NULL);
}

static void
policies_put(struct daemon_client *c, bool pair, uint32_t reqid_of_comp)
{
	static const uint8_t dirs[] = { XFRM_DIR_IN, XFRM_DIR_FWD, XFRM_DIR_OUT };

	for (size_t i = 0; i < RTE_DIM(dirs); i++) {
		const struct xfrm_policy p = policy_of(dirs[i], pair, reqid_of_comp);

		assert_int_equal(policy_put(c, &p), 0);
	}
}

/* What the SPD says of a packet of the tunnel. */
static uint32_t
policy_asked(bool out)
{
	const uint8_t here[4] = { 10, 1, 2, 3 }, there[4] = { 10, 2, 3, 4 };
	struct spd_key key = { .protocol = 17, .src_port = 1000, .dst_port = 2000 };

	memcpy(key.src, out ? here : there, 4);
	memcpy(key.dst, out ? there : here, 4);
	return spd_find(rig.gw.spd, out ? SPD_OUT : SPD_IN, &key);
}

/* Traffic of both directions passes: out by that SA, and what comes by the other one may. */
static void
both_ways_pass(const struct xfrm_ident *out, const struct xfrm_ident *in)
{
	uint32_t way_out = policy_asked(true), way_in = policy_asked(false);
	uint32_t sa;

	assert_int_not_equal(way_out, SPD_NO_MATCH);
	assert_int_not_equal(way_in, SPD_NO_MATCH);
	sa = spd_sa_index(spd_out_sa(rig.gw.spd, way_out));
	assert_int_not_equal(sa, SA_NONE);
	assert_ptr_equal(sa_at(&rig.gw.sas, sa), rig_sa_of(out));
	assert_int_equal(sa_at(&rig.gw.sas, sa)->flags & (SA_TRANSPORT | SA_INBOUND), 0);
	sa = sad_find(rig.gw.sad, in->spi, false, &in->dst);
	assert_int_not_equal(sa, SA_NONE);
	assert_int_equal(sa_at(&rig.gw.sas, sa)->flags & (SA_TRANSPORT | SA_INBOUND), SA_INBOUND);
	assert_int_equal(spd_policy(rig.gw.spd, way_in)->group,
			 sa_cold(&rig.gw.sas, sa)->origin.group);
}

static int
migrate(struct daemon_client *c, const struct xfrm_policy *p, uint16_t port)
{
	const struct xfrm_head head = { XFRM_MIGRATE, XFRM_F_REQUEST | XFRM_F_ACK, 7, NL_PID };
	struct xfrm_migrate m = { .policy = { .sel = p->sel, .dir = p->dir } };
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };
	bool is_out = p->dir == XFRM_DIR_OUT;

	m.n_moves = p->n_tmpls;
	for (uint8_t i = 0; i < p->n_tmpls; i++)
		m.moves[i] = (struct xfrm_move) {
			.old_src = rig_addr(is_out ? us : peer),
			.old_dst = rig_addr(is_out ? peer : us),
			.new_src = rig_addr(is_out ? us : moved),
			.new_dst = rig_addr(is_out ? moved : us),
			.proto = p->tmpls[i].id.proto,
			.mode = p->tmpls[i].mode,
			.reqid = p->tmpls[i].reqid,
		};
	if (port != 0) {
		m.has |= XFRM_HAS_ENCAP;
		m.encap = (struct xfrm_encap) { .type = 2, .sport = 4500, .dport = 4500 };
		*(is_out ? &m.encap.dport : &m.encap.sport) = port;
	}
	assert_int_equal(xfrm_put_migrate(&out, &head, &m), 0);
	return rig_send(c, message, &out, NULL);
}

static void
migrate_all(struct daemon_client *c, bool pair, uint32_t reqid_of_comp, uint16_t port)
{
	static const uint8_t dirs[] = { XFRM_DIR_OUT, XFRM_DIR_IN, XFRM_DIR_FWD };

	for (size_t i = 0; i < RTE_DIM(dirs); i++) {
		const struct xfrm_policy p = policy_of(dirs[i], pair, reqid_of_comp);

		if (migrate(c, &p, port) != 0)
			fail_msg("direction %u: %.200s", dirs[i], rig.reply.octets + 40);
		assert_int_equal(rig_event_type(1), XFRM_MIGRATE);
		assert_int_equal(rig_event(1)->group, XFRM_GROUP_MIGRATE);
	}
}

static void
sas_and_policies_move_as_pluto_moves_them(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa in = rig_sa(true, 0xc1000001, 1), out = rig_sa(false, 0xc2000001, 2), x;
	struct xfrm_ident new_out = { rig_addr(moved), 0xc2000001, XFRM_PROTO_ESP };
	struct xfrm_policy p = policy_of(XFRM_DIR_OUT, false, 0);

	assert_int_equal(migrate(&c, &p, 0), -ENOENT);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	/* Nothing moves where there is no policy to go with it. */
	assert_int_equal(migrate(&c, &p, 0), -ENOENT);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	policies_put(&c, false, 0);
	both_ways_pass(&out.id, &in.id);
	lane_raise(rig_sa_of(&out.id)->lane, 1000);
	migrate_all(&c, false, 0, 34567);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, NULL), -ESRCH);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &new_out, &x), 1);
	assert_int_equal(x.replay.oseq, 1000);
	assert_int_equal(x.encap.dport, 34567);
	assert_memory_equal(x.key.octets, out.key.octets, out.key.len);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &in.id, &x), 1);
	in.src = rig_addr(moved);
	assert_true(addr_equal(&x.src, &in.src));
	assert_int_equal(x.encap.sport, 34567);
	both_ways_pass(&new_out, &in.id);
	/* It is there no more. */
	assert_int_equal(migrate(&c, &p, 0), -ENOENT);
	both_ways_pass(&new_out, &in.id);
	daemon_client_gone(rig.d, &c);
}

static void
what_is_anothers_does_not_move(void **state)
{
	struct daemon_client c = rig_client(1, 0, true), other = rig_client(2, 0, true);
	struct xfrm_sa out = rig_sa(false, 0xc2000001, 2), there = rig_sa(false, 0xc2000001, 3), x;
	struct xfrm_policy p = policy_of(XFRM_DIR_OUT, false, 0);

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	policies_put(&c, false, 0);
	assert_int_equal(migrate(&other, &p, 0), -EPERM);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	/* Where it is to go another one is. */
	there.id.dst = rig_addr(moved);
	assert_int_equal(rig_put(&other, XFRM_NEWSA, &there), 0);
	assert_int_equal(migrate(&c, &p, 0), -EINVAL);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	daemon_client_gone(rig.d, &c);
	daemon_client_gone(rig.d, &other);
}

/* ---- Pairs with IPComp. ---- */

/* IPComp's SA in tunnel mode, then ESP's in transport mode. */
static void
pair_put(struct daemon_client *c, bool inbound, uint32_t reqid_of_comp, uint16_t cpi, uint32_t spi)
{
	struct xfrm_sa comp = rig_sa(inbound, cpi, 1), esp = rig_sa(inbound, spi, (uint8_t)spi);

	comp.id.proto = XFRM_PROTO_COMP;
	comp.has = XFRM_HAS_COMP;
	comp.flags = XFRM_SA_AF_UNSPEC;
	comp.key.len = 0;
	comp.reqid = reqid_of_comp;
	esp.mode = XFRM_TRANSPORT;
	esp.flags = XFRM_SA_ESN;
	if (rig_put(c, XFRM_NEWSA, &comp) != 0)
		fail_msg("%.200s", rig.reply.octets + 40);
	assert_int_equal(rig_put(c, XFRM_NEWSA, &esp), 0);
}

static void
all_flush(struct daemon_client *c)
{
	const struct xfrm_head sas = { XFRM_FLUSHSA, XFRM_F_REQUEST | XFRM_F_ACK, 8, NL_PID };
	const struct xfrm_head policies = { XFRM_FLUSHPOLICY, XFRM_F_REQUEST | XFRM_F_ACK, 8,
					    NL_PID };
	uint8_t message[64];
	struct xfrm_out out = { message, message + sizeof(message) };

	assert_int_equal(xfrm_put_flush_sa(&out, &sas, 0), 0);
	assert_int_equal(rig_send(c, message, &out, NULL), 0);
	out.at = message;
	assert_int_equal(xfrm_put_flush_policy(&out, &policies), 0);
	assert_int_equal(rig_send(c, message, &out, NULL), 0);
}

/* The gateway's one SA with that SPI. */
static const struct sa *
sa_of(uint32_t spi)
{
	const struct sa_table *t = &rig.gw.sas;

	for (uint32_t i = slab_next(&t->records, 0); i != SA_NONE;
	     i = slab_next(&t->records, i + 1))
		if (sa_cold(t, i)->spi == spi && !sa_cold(t, i)->ended)
			return sa_at(t, i);
	fail_msg("no SA with SPI 0x%x", spi);
	return NULL;
}

/* One SA here of the two: with the other one's CPI, as long as that is there. */
static void
comp_check(uint32_t spi, uint16_t cpi, bool on)
{
	const struct sa *sa = sa_of(spi);

	assert_true((sa->flags & SA_IPCOMP) != 0 && (sa->flags & SA_TRANSPORT) == 0);
	assert_int_equal(sa_more(sa)->comp->params.cpi, cpi);
	assert_int_equal(ipcomp_sa_is_off(sa_more(sa)->comp), !on);
}

static void
pairs_with_ipcomp_are_tunnels(void **state)
{
	const struct xfrm_ident out = { rig_addr(peer), 0xc211, XFRM_PROTO_ESP };
	const struct xfrm_ident in = { rig_addr(us), 0xc122, XFRM_PROTO_ESP };
	const struct xfrm_ident new_out = { rig_addr(moved), 0xc211, XFRM_PROTO_ESP };
	const struct xfrm_ident new_comp = { rig_addr(moved), 0x1002, XFRM_PROTO_COMP };
	static const struct {
		const char *who;
		uint32_t reqid_of_comp;
	} cases[] = { { "charon", 7 }, { "pluto", 8 } };
	struct xfrm_sa x;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct daemon_client c = rig_client(1, 0, true);

		pair_put(&c, false, cases[i].reqid_of_comp, 0x1002, out.spi);
		pair_put(&c, true, cases[i].reqid_of_comp, 0x1001, in.spi);
		policies_put(&c, true, cases[i].reqid_of_comp);
		both_ways_pass(&out, &in);
		comp_check(out.spi, 0x1002, true);
		comp_check(in.spi, 0x1001, true);
		assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out, &x), 1);
		assert_int_equal(x.mode, XFRM_TRANSPORT);
		migrate_all(&c, true, cases[i].reqid_of_comp, 0);
		both_ways_pass(&new_out, &in);
		assert_int_equal(rig_by_id(&c, XFRM_GETSA, &new_comp, &x), 1);
		comp_check(new_out.spi, 0x1002, true);
		/* What is left of a pair stays a tunnel. */
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &new_comp, NULL), 0);
		comp_check(new_out.spi, 0x1002, false);
		comp_check(in.spi, 0x1001, true);
		assert_int_equal(rig_by_id(&c, XFRM_GETSA, &new_out, &x), 1);
		assert_int_equal(rig_put(&c, XFRM_UPDSA, &x), 0);
		both_ways_pass(&new_out, &in);
		all_flush(&c);
		daemon_client_gone(rig.d, &c);
	}
}

static void
what_is_no_pair_is_no_tunnel(void **state)
{
	static const struct {
		const char *what;
		uint32_t reqid_of_comp;
		bool has_selector, of_another, of_another_peer;
	} cases[] = {
		{ "a tunnel with IPComp between the same hosts", 8, true, false, false },
		{ "another daemon's", 8, false, true, false },
		{ "another peer's", 7, false, false, true },
		{ "another request's", 9, false, false, false },
	};
	struct daemon_client c = rig_client(1, 0, true), other = rig_client(2, 0, true);

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xfrm_sa comp = rig_sa(false, 0x1000, 1), esp = rig_sa(false, 0xc211, 2);
		struct daemon_client *by = cases[i].of_another ? &other : &c;

		comp.id.proto = XFRM_PROTO_COMP;
		comp.has = XFRM_HAS_COMP;
		comp.flags = XFRM_SA_AF_UNSPEC;
		comp.reqid = cases[i].reqid_of_comp;
		if (cases[i].of_another_peer)
			comp.id.dst = rig_addr(moved);
		esp.mode = XFRM_TRANSPORT;
		esp.flags = XFRM_SA_ESN;
		if (cases[i].has_selector) {
			esp.sel.src = (struct prefix) { rig_addr(us), 32 };
			esp.sel.dst = (struct prefix) { rig_addr(peer), 32 };
		}
		assert_int_equal(rig_put(by, XFRM_NEWSA, &comp), 0);
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &esp), 0);
		if ((rig_sa_of(&esp.id)->flags & SA_TRANSPORT) == 0)
			fail_msg("%s makes a tunnel", cases[i].what);
		assert_int_equal(rig_by_id(by, XFRM_DELSA, &comp.id, NULL), 0);
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &esp.id, NULL), 0);
	}
	daemon_client_gone(rig.d, &c);
	daemon_client_gone(rig.d, &other);
}

/* ---- MAPPING. ---- */

static void
peers_behind_a_nat_are_told_of(void **state)
{
	static const struct {
		const char *what;
		uint16_t sport, old_sport;
		bool encap, told;
		uint32_t again_s; /* told again so long after */
	} cases[] = {
		{ "not in UDP", 0, 0, false, false, 0 },
		{ "from a port", 4500, 4500, true, true, 1 },
		{ "from any port", 0, 34567, true, true, 1 },
	};
	struct daemon_client c = rig_client(1, 0, true);

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xfrm_sa in = rig_sa(true, 0xc100 + i, (uint8_t)(i + 1));
		struct mapping_event e = { .family = 4,
					   .port = 34567,
					   .address = { 203, 0, 113, 9 } };
		struct xw_mapping m;
		uint32_t n;

		if (cases[i].encap) {
			in.has |= XFRM_HAS_ENCAP;
			in.encap = (struct xfrm_encap) { 2, cases[i].sport, 4500, { 0 } };
		}
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
		e.sa = sad_find(rig.gw.sad, in.id.spi, false, &in.id.dst);
		e.generation = sa_at(&rig.gw.sas, e.sa)->generation;
		n = rig.n_events;
		rig.gw.hooks.mapping(rig.gw.hooks.ctx, &e);
		assert_int_equal(rig.n_events, n + cases[i].told);
		if (!cases[i].told)
			continue;
		assert_int_equal(rig_event(1)->group, XFRM_GROUP_MAPPING);
		assert_int_equal(rig_event_type(1), XFRM_MAPPING);
		memcpy(&m, rig_event(1)->octets + sizeof(struct xw_head), sizeof(m));
		assert_int_equal(rte_be_to_cpu_32(m.id.spi_be), in.id.spi);
		assert_int_equal(m.reqid, 7);
		assert_memory_equal(m.old_saddr, in.src.octets, 4);
		assert_memory_equal(m.new_saddr, e.address, 4);
		assert_int_equal(rte_be_to_cpu_16(m.old_sport_be), cases[i].old_sport);
		assert_int_equal(rte_be_to_cpu_16(m.new_sport_be), 34567);
		/* Another change, too early. */
		e.port++;
		rig.gw.hooks.mapping(rig.gw.hooks.ctx, &e);
		assert_int_equal(rig.n_events, n + 1);
		rig_wait(cases[i].again_s);
		n = rig.n_events;
		rig.gw.hooks.mapping(rig.gw.hooks.ctx, &e);
		assert_int_equal(rig.n_events, n + 1);
		/* Of an SA that has gone meanwhile. */
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &in.id, NULL), 0);
		rig_wait(2);
		n = rig.n_events;
		rig.gw.hooks.mapping(rig.gw.hooks.ctx, &e);
		assert_int_equal(rig.n_events, n);
	}
	daemon_client_gone(rig.d, &c);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(sas_and_policies_move_as_pluto_moves_them),
		RIG(what_is_anothers_does_not_move),
		RIG(pairs_with_ipcomp_are_tunnels),
		RIG(what_is_no_pair_is_no_tunnel),
		RIG(peers_behind_a_nat_are_told_of),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
