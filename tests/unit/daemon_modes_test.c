/* SAs of daemons that are no tunnels of ESP: AH, BEET; and what is done with packets that are too
 * large. */
#include "unit.h"

#include "daemon_state_rig.h"
#include "ctl/report.h"
#include "sad/sad.h"

static uint32_t
sa_of(const struct xfrm_sa *x)
{
	return sad_find(rig.gw.sad, x->id.spi, x->id.proto == XFRM_PROTO_AH, &x->id.dst);
}

static void
an_sa_of_ah(void **state)
{
	static const char key[] = "thirty-two octets that are a key";
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa esp = rig_sa(true, 0xc100, 9), in = rig_sa(true, 0xc100, 9), x;
	struct err err;
	uint32_t index;

	in.id.proto = XFRM_PROTO_AH;
	in.flags |= XFRM_SA_ALIGN4;
	assert_int_equal(suite_init_ah(&in.suite, &algs[ALG_HMAC_SHA256_128], true, &err), 0);
	in.key.len = 0;
	in.auth_key.len = 32;
	memcpy(in.auth_key.octets, key, 32);
	/* Its SPIs are its own. */
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &esp), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), -EEXIST);
	index = sa_of(&in);
	assert_int_not_equal(index, SA_NONE);
	assert_int_not_equal(index, sa_of(&esp));
	assert_true(sa_at(&rig.gw.sas, index)->flags & SA_AH);
	assert_int_equal(sa_at(&rig.gw.sas, index)->esp_size, 28);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &in.id, &x), 1);
	assert_int_equal(x.id.proto, XFRM_PROTO_AH);
	assert_memory_equal(&x.suite, &in.suite, sizeof(x.suite));
	assert_int_equal(x.auth_key.len, 32);
	assert_memory_equal(x.auth_key.octets, key, 32);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &in.id, NULL), 0);
	assert_int_equal(sa_of(&in), SA_NONE);
	assert_int_not_equal(sa_of(&esp), SA_NONE);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &esp.id, NULL), 0);
	/* Linux's padding, unless told. */
	in.flags &= ~XFRM_SA_ALIGN4;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	assert_int_equal(sa_at(&rig.gw.sas, sa_of(&in))->esp_size, 32);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &in.id, NULL), 0);
	daemon_client_gone(rig.d, &c);
}

/* Its inner pair is its selector, and stays. */
static void
an_sa_of_beet(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa out = rig_sa(false, 0xc200, 5), x;
	const struct sa *sa;
	uint32_t index = SA_NONE;

	out.mode = XFRM_BEET;
	out.sel.family = 6;
	out.sel.src = (struct prefix) { rig_addr("fd01::1"), 128 };
	out.sel.dst = (struct prefix) { rig_addr("fd02::1"), 127 };
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), -EINVAL);
	out.sel.dst = (struct prefix) { rig_addr("fd02::1"), 128 };
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	index = sa_next_of_daemons(&rig.gw, 0);
	assert_int_not_equal(index, SA_NONE);
	sa = sa_at(&rig.gw.sas, index);
	assert_true(sa->flags & SA_BEET);
	assert_true(sa_more(sa)->inner.v6);
	assert_memory_equal(sa_more(sa)->inner.src, out.sel.src.addr.octets, 16);
	assert_memory_equal(sa_more(sa)->inner.dst, out.sel.dst.addr.octets, 16);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	assert_int_equal(x.mode, XFRM_BEET);
	assert_memory_equal(&x.sel, &out.sel, sizeof(x.sel));
	x = out;
	x.sel.dst.addr = rig_addr("fd02::2");
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &x), -EINVAL);
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &out), 0);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &out.id, NULL), 0);
	assert_int_equal(sa_next_of_daemons(&rig.gw, 0), SA_NONE);
	daemon_client_gone(rig.d, &c);
}

/* Without path MTU discovery through it an SA has its outer packets cut; else the inner ones. */
static void
sizes_are_as_the_flags_say(void **state)
{
	static const struct {
		uint8_t flags;
		uint32_t has;
		uint8_t df, frag, want, df_set, df_copy;
	} cases[] = {
		{ 0, 0, 0, 0, 0, 0, 0x40 },
		{ XFRM_SA_NOPMTUDISC, 0, 0, 0, TUNNEL_OUT_FRAG_ALWAYS, 0, 0 },
		{ XFRM_SA_NOPMTUDISC, XFRM_HAS_OUTER, 1, 1, TUNNEL_OUT_FRAG_POST, 0x40, 0 },
		{ 0, XFRM_HAS_OUTER, 2, 2, TUNNEL_OUT_FRAG_NONE, 0, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct daemon_client c = rig_client(1, 0, true);
		struct xfrm_sa a = rig_sa(false, 0xc100 + i, 5 + i);
		const struct sa *sa;

		a.flags |= cases[i].flags;
		a.has |= cases[i].has;
		a.outer.df = cases[i].df;
		a.outer.frag = cases[i].frag;
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
		sa = rig_sa_of(&a.id);
		assert_int_equal(sa->out.flags & TUNNEL_OUT_FRAG_ALWAYS, cases[i].want);
		assert_int_equal(sa->out.df_set, cases[i].df_set);
		assert_int_equal(sa->out.df_copy, cases[i].df_copy);
		daemon_client_gone(rig.d, &c);
	}
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(an_sa_of_ah),
		RIG(an_sa_of_beet),
		RIG(sizes_are_as_the_flags_say),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
