#include "unit.h"

#include "eal.h"
#include "daemon_rig.h"

enum what {
	SAME,
	OTHER_MODE,
	OTHER_REQID,
	OTHER_SRC,
	OTHER_IF_ID,
	OTHER_WAY,
	BOTH_TRANSPORT,
	TRANSPORT_OF_HOSTS,
	TRANSPORT_IN,
	COMP_OUT,
	COMP_IN,
};

static void
hosts_set(struct xfrm_policy *p)
{
	p->sel.src = (struct prefix) { rig_addr("192.0.2.1"), 32 };
	p->sel.dst = (struct prefix) { rig_addr("198.51.100.1"), 32 };
	memset(p->tmpls[0].src.octets, 0, 16);
	memset(p->tmpls[0].id.dst.octets, 0, 16);
	p->tmpls[0].mode = XFRM_TRANSPORT;
}

/* As charon does it: IPComp is the tunnel, and ESP in transport mode protects it. */
static void
comp_set(struct xfrm_policy *p, struct xfrm_sa *sa)
{
	p->n_tmpls = 2;
	p->tmpls[1] = p->tmpls[0];
	p->tmpls[0].id.proto = XFRM_PROTO_COMP;
	p->tmpls[0].optional = p->dir != XFRM_DIR_OUT;
	p->tmpls[1].mode = XFRM_TRANSPORT;
	memset(p->tmpls[1].src.octets, 0, 16);
	memset(p->tmpls[1].id.dst.octets, 0, 16);
	sa->mode = XFRM_TRANSPORT;
}

static void
change(enum what what, struct xfrm_sa *sa, struct xfrm_policy *p)
{
	if (what == OTHER_MODE)
		sa->mode = XFRM_TRANSPORT;
	else if (what == OTHER_REQID)
		sa->reqid = 8;
	else if (what == OTHER_SRC)
		sa->src = rig_addr("192.0.2.2");
	else if (what == OTHER_IF_ID)
		sa->if_id = 3;
	else if (what == BOTH_TRANSPORT)
		sa->mode = p->tmpls[0].mode = XFRM_TRANSPORT;
	else if (what == TRANSPORT_OF_HOSTS || what == TRANSPORT_IN)
		hosts_set(p);
	else if (what == COMP_OUT || what == COMP_IN)
		comp_set(p, sa);
	if (what == TRANSPORT_OF_HOSTS || what == TRANSPORT_IN)
		sa->mode = XFRM_TRANSPORT;
}

static void
an_sa_and_a_template_have_one_key_or_not(void **state)
{
	static const struct {
		const char *what;
		enum what change;
		uint8_t dir;
		bool equal;
	} cases[] = {
		{ "a tunnel, out", SAME, XFRM_DIR_OUT, true },
		{ "a tunnel, in", SAME, XFRM_DIR_IN, true },
		{ "a tunnel, forwarded", SAME, XFRM_DIR_FWD, true },
		{ "another mode", OTHER_MODE, XFRM_DIR_OUT, false },
		{ "another reqid", OTHER_REQID, XFRM_DIR_OUT, false },
		{ "another reqid, in", OTHER_REQID, XFRM_DIR_IN, false },
		{ "another end", OTHER_SRC, XFRM_DIR_OUT, false },
		{ "another end, in", OTHER_SRC, XFRM_DIR_IN, false },
		{ "another interface id", OTHER_IF_ID, XFRM_DIR_OUT, false },
		{ "the SA of the other direction", OTHER_WAY, XFRM_DIR_OUT, false },
		{ "transport mode with addresses", BOTH_TRANSPORT, XFRM_DIR_OUT, true },
		{ "transport mode of the selector's hosts", TRANSPORT_OF_HOSTS, XFRM_DIR_OUT,
		  true },
		{ "transport mode, in", TRANSPORT_IN, XFRM_DIR_IN, true },
		{ "behind IPComp", COMP_OUT, XFRM_DIR_OUT, true },
		{ "behind IPComp, in", COMP_IN, XFRM_DIR_FWD, true },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		bool inbound = cases[i].dir != XFRM_DIR_OUT;
		struct xfrm_policy p = rig_policy(cases[i].dir);
		struct xfrm_sa sa = rig_sa(inbound);
		struct tie_key of_sa, of_policy;
		struct err err = { "" };

		change(cases[i].change, &sa, &p);
		tie_key_of_sa(&sa, inbound ^ (cases[i].change == OTHER_WAY), &of_sa);
		if (tie_key_of_policy(&p, &of_policy, &err) != 1)
			fail_msg("%s: %s", cases[i].what, err.text);
		if ((memcmp(&of_sa, &of_policy, sizeof(of_sa)) == 0) != cases[i].equal)
			fail_msg("%s: not what it should be", cases[i].what);
	}
}

static void
templates_that_nobody_serves_are_refused(void **state)
{
	static const struct {
		const char *what;
		uint8_t n, protos[3], mode;
		int rc;
	} cases[] = {
		{ "no template", 0, { 0 }, XFRM_TUNNEL, 0 },
		{ "ESP", 1, { 50 }, XFRM_TUNNEL, 1 },
		{ "AH", 1, { 51 }, XFRM_TUNNEL, 1 },
		{ "AH in BEET", 1, { 51 }, XFRM_BEET, -EOPNOTSUPP },
		{ "AH behind IPComp", 2, { 108, 51 }, XFRM_TRANSPORT, -EOPNOTSUPP },
		{ "IPComp alone", 1, { 108 }, XFRM_TUNNEL, -EOPNOTSUPP },
		{ "ESP twice", 2, { 50, 50 }, XFRM_TUNNEL, -EOPNOTSUPP },
		{ "AH over ESP", 2, { 50, 51 }, XFRM_TUNNEL, -EOPNOTSUPP },
		{ "three", 3, { 108, 50, 51 }, XFRM_TUNNEL, -EOPNOTSUPP },
		{ "BEET", 1, { 50 }, XFRM_BEET, 1 },
		{ "BEET with IPComp", 2, { 108, 50 }, XFRM_BEET, -EOPNOTSUPP },
		{ "IP-TFS", 1, { 50 }, XFRM_IPTFS, 1 },
		{ "IP-TFS of AH", 1, { 51 }, XFRM_IPTFS, -EOPNOTSUPP },
		{ "IP-TFS with IPComp", 2, { 108, 50 }, XFRM_IPTFS, -EOPNOTSUPP },
		{ "a tunnel in the tunnel", 2, { 108, 50 }, XFRM_TUNNEL, -EOPNOTSUPP },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
		struct err err = { "" };
		struct tie_key key;
		int rc;

		p.n_tmpls = cases[i].n;
		for (uint8_t k = 0; k < cases[i].n; k++) {
			p.tmpls[k] = p.tmpls[0];
			p.tmpls[k].id.proto = cases[i].protos[k];
			p.tmpls[k].mode = cases[i].mode;
		}
		rc = tie_key_of_policy(&p, &key, &err);
		if (rc != cases[i].rc || (rc < 0 && err.text[0] == 0))
			fail_msg("%s: %d, %s", cases[i].what, rc, err.text);
	}
}

/* As pluto traps what it has no SA for yet. */
static void
transport_mode_between_nets_means_no_sa(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	struct xfrm_sa sa = rig_sa(false);
	struct tie_key of_sa, of_policy;
	struct err err;

	hosts_set(&p);
	sa.mode = XFRM_TRANSPORT;
	tie_key_of_sa(&sa, false, &of_sa);
	assert_int_equal(tie_key_of_policy(&p, &of_policy, &err), 1);
	assert_memory_equal(&of_sa, &of_policy, sizeof(of_sa));
	p.sel.dst.len = 24;
	assert_int_equal(tie_key_of_policy(&p, &of_policy, &err), 1);
	assert_memory_not_equal(&of_sa, &of_policy, sizeof(of_sa));
}

static const struct dpolicies_cause by_charon = { &charon, 1, 2 };

static void
policy_put(uint32_t spi, bool update)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	struct err err = { "" };

	p.tmpls[0].id.spi = spi;
	if (dpolicies_put(rig.dp, &p, update, &by_charon, &err) != 0)
		fail_msg("%s", err.text);
}

static void
a_policy_goes_by_the_newest_sa(void **state)
{
	struct tie_sa a, b, c;

	policy_put(0, false);
	assert_int_equal(rig_goes_by(), SA_NONE);
	rig_sa_add(&a, false, 1, 0x100);
	assert_int_equal(rig_goes_by(), 1);
	rig_sa_add(&b, false, 2, 0x200);
	assert_int_equal(rig_goes_by(), 2);
	rig_sa_add(&c, false, 3, 0x300);
	rig_sa_del(&b);
	assert_int_equal(rig_goes_by(), 3);
	rig_sa_del(&c);
	assert_int_equal(rig_goes_by(), 1);
	tie_sa_point(rig.ties, &a, 9, 1);
	assert_int_equal(rig_goes_by(), 9);
	rig_sa_del(&a);
	assert_int_equal(rig_goes_by(), SA_NONE);
	tie_sa_del(rig.ties, &a);
}

static void
a_policy_with_an_spi_goes_by_that_sa(void **state)
{
	uint32_t generation;
	struct tie_sa a, b;

	rig_sa_add(&a, false, 1, 0x100);
	policy_put(0x100, false);
	rig_sa_add(&b, false, 2, 0x200);
	assert_int_equal(rig_goes_by(), 1);
	/* A rekey: nothing but the SPI is new, so flows keep what they know. */
	generation = rig.gw.spd->generation;
	policy_put(0x200, true);
	assert_int_equal(rig.gw.spd->generation, generation);
	assert_int_equal(rig_goes_by(), 2);
	rig_sa_del(&a);
	assert_int_equal(rig_goes_by(), 2);
	rig_sa_del(&b);
	assert_int_equal(rig_goes_by(), SA_NONE);
}

static void
an_heir_has_the_group(void **state)
{
	struct tie_key key = { .proto = 50, .reqid = 1 }, moved = { .proto = 50, .reqid = 2 };
	struct tie *tie, *heir, *again;
	struct err err;

	assert_int_equal(tie_get(rig.ties, &key, &tie, &err), 0);
	assert_int_equal(tie_get_heir(rig.ties, &moved, tie, &heir, &err), 0);
	assert_ptr_not_equal(tie, heir);
	assert_int_equal(tie->group, heir->group);
	tie_put(rig.ties, tie);
	assert_int_equal(tie_get(rig.ties, &moved, &again, &err), 0);
	assert_ptr_equal(heir, again);
	assert_int_equal(tie_get(rig.ties, &key, &tie, &err), 0);
	assert_int_not_equal(tie->group, heir->group);
	tie_put(rig.ties, tie);
	tie_put(rig.ties, heir);
	tie_put(rig.ties, again);
}

static void
ties_are_found_among_many(void **state)
{
	enum {
		MANY = 5000
	};
	static struct tie *ties[MANY];
	struct tie_key key = { .proto = 50 };
	struct tie *again;
	struct err err;

	for (uint32_t i = 0; i < MANY; i++) {
		key.reqid = i;
		assert_int_equal(tie_get(rig.ties, &key, &ties[i], &err), 0);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		key.reqid = i;
		assert_int_equal(tie_get(rig.ties, &key, &again, &err), 0);
		assert_ptr_equal(again, ties[i]);
		tie_put(rig.ties, again);
	}
	for (uint32_t i = 0; i < MANY; i++)
		tie_put(rig.ties, ties[i]);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(an_sa_and_a_template_have_one_key_or_not),
		RIG(templates_that_nobody_serves_are_refused),
		RIG(transport_mode_between_nets_means_no_sa),
		RIG(a_policy_goes_by_the_newest_sa),
		RIG(a_policy_with_an_spi_goes_by_that_sa),
		RIG(an_heir_has_the_group),
		RIG(ties_are_found_among_many),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
