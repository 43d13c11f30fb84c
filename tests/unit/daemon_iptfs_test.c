/* SAs of daemons with IP-TFS: Linux's attributes and defaults, our rate, and streams that stay with
 * their key. */
#include "unit.h"

#include "aggfrag/fill.h"
#include "aggfrag/split.h"
#include "ctl/report.h"
#include "ctl/streams.h"
#include "daemon_state_rig.h"

static struct xfrm_sa
iptfs_sa(bool inbound, uint32_t spi, uint8_t key)
{
	struct xfrm_sa x = rig_sa(inbound, spi, key);

	x.mode = XFRM_IPTFS;
	x.dir = inbound ? XFRM_SA_DIR_IN : XFRM_SA_DIR_OUT;
	x.has |= XFRM_HAS_DIR;
	/* As charon has it. */
	if (!inbound)
		x.replay.window = x.replay.words = 0;
	return x;
}

static const struct aggfrag_params *
params_of(const struct xfrm_sa *x)
{
	const struct sa *sa = rig_sa_of(&x->id);

	assert_true(sa->flags & SA_IPTFS);
	assert_int_equal(sa->flags & SA_TRANSPORT, 0);
	return &sa_more(sa)->iptfs;
}

static void
linux_defaults_hold(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa in = iptfs_sa(true, 0xc100, 5), out = iptfs_sa(false, 0xc200, 6), x;
	const struct aggfrag_params *p;
	const struct sa *sa;

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	p = params_of(&in);
	assert_int_equal(p->drop_time, NS_PER_SECOND);
	assert_int_equal(p->reorder_window, 3);
	assert_false(p->dont_frag || p->congestion_control || p->send_immediately);
	p = params_of(&out);
	assert_int_equal(p->rate_bps, 0);
	assert_int_equal(p->init_delay, 0);
	assert_int_equal(p->max_queue, 10485760);
	assert_int_equal(p->packet_size, 0);
	assert_int_equal(p->max_wait, 0);
	/* Linux: no inner packet's DSCP, and always DF. */
	sa = rig_sa_of(&out.id);
	assert_int_equal(sa->out.tos_mask & 0xfc, 0);
	assert_int_equal(sa->out.tos & 0xfc, 0);
	assert_int_equal(sa->out.df_set, 0x40);
	assert_int_equal(sa_owner(sa), sa_owner(rig_sa_of(&in.id)));
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &in.id, &x), 1);
	assert_int_equal(x.mode, XFRM_IPTFS);
	assert_int_equal(x.has & XFRM_HAS_IPTFS,
			 XFRM_HAS_IPTFS_DROP_TIME | XFRM_HAS_IPTFS_REORDER_WINDOW);
	assert_int_equal(x.iptfs.drop_time_us, 1000000);
	assert_int_equal(x.iptfs.reorder_window, 3);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	assert_int_equal(x.has & XFRM_HAS_IPTFS, XFRM_HAS_IPTFS_INIT_DELAY |
							 XFRM_HAS_IPTFS_MAX_QSIZE |
							 XFRM_HAS_IPTFS_PKT_SIZE);
	assert_int_equal(x.has & XFRM_HAS_IPTFS_RATE, 0);
	assert_int_equal(x.iptfs.max_queue, 10485760);
	daemon_client_gone(rig.d, &c);
}

static void
all_of_it_is_taken_and_given_back(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa in = iptfs_sa(true, 0xc100, 5), out = iptfs_sa(false, 0xc200, 6), x;
	const struct aggfrag_params *p;

	in.has |= XFRM_HAS_IPTFS_DROP_TIME | XFRM_HAS_IPTFS_REORDER_WINDOW;
	in.iptfs.drop_time_us = 20000;
	in.iptfs.reorder_window = 9;
	out.has |= XFRM_HAS_IPTFS_DONT_FRAG | XFRM_HAS_IPTFS_INIT_DELAY | XFRM_HAS_IPTFS_MAX_QSIZE |
		   XFRM_HAS_IPTFS_PKT_SIZE | XFRM_HAS_IPTFS_RATE;
	out.iptfs.dont_frag = true;
	out.iptfs.init_delay_us = 700;
	out.iptfs.max_queue = 50000;
	out.iptfs.packet_size = 1000;
	out.iptfs_rate.bits_per_second = 40000000;
	out.iptfs_rate.layer = 2;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	p = params_of(&in);
	assert_int_equal(p->drop_time, 20 * NS_PER_SECOND / 1000);
	assert_int_equal(p->reorder_window, 9);
	p = params_of(&out);
	assert_true(p->dont_frag && p->rate_l2);
	assert_int_equal(p->init_delay, 700000);
	assert_int_equal(p->max_queue, 50000);
	assert_int_equal(p->rate_bps, 40000000);
	assert_int_equal(rig_sa_of(&out.id)->out.path_mtu, 1000);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &in.id, &x), 1);
	assert_memory_equal(&x.iptfs, &in.iptfs, sizeof(x.iptfs));
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	assert_memory_equal(&x.iptfs, &out.iptfs, sizeof(x.iptfs));
	assert_int_equal(x.has & XFRM_HAS_IPTFS_DONT_FRAG, XFRM_HAS_IPTFS_DONT_FRAG);
	assert_int_equal(x.iptfs_rate.bits_per_second, 40000000);
	assert_int_equal(x.iptfs_rate.layer, 2);
	daemon_client_gone(rig.d, &c);
}

/* One key is one train of numbers at the peer, whatever changes around it. */
static void
an_update_goes_on_with_the_streams(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa out = iptfs_sa(false, 0xc200, 6), in = iptfs_sa(true, 0xc100, 5), x;
	const struct aggfrag_out *fill;
	const struct aggfrag_in *split;
	struct streams_totals totals;
	const struct sa *old, *now;

	out.has |= XFRM_HAS_IPTFS_PKT_SIZE;
	out.iptfs.packet_size = 900;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	old = rig_sa_of(&out.id);
	fill = sa_more(old)->fill;
	split = sa_more(rig_sa_of(&in.id))->split;
	/* A rate; what is not said stays. */
	x = out;
	x.has &= ~XFRM_HAS_IPTFS_PKT_SIZE;
	x.has |= XFRM_HAS_IPTFS_RATE;
	x.iptfs.packet_size = 0;
	x.iptfs_rate.bits_per_second = 1000000;
	x.iptfs_rate.layer = 3;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &x), 0);
	now = rig_sa_of(&out.id);
	assert_ptr_not_equal(now, old);
	assert_ptr_equal(sa_more(now)->fill, fill);
	assert_false(sa_more(now)->borrowed);
	assert_true(sa_more(old)->borrowed);
	assert_ptr_equal(sa_at(&rig.gw.sas, fill->sa), now);
	assert_int_equal(fill->generation, now->generation);
	assert_ptr_equal(fill->params, &sa_more(now)->iptfs);
	assert_int_equal(fill->params->rate_bps, 1000000);
	assert_int_equal(fill->params->packet_size, 900);
	/* Inbound likewise; the old ones end without them. */
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &in), 0);
	assert_ptr_equal(sa_more(rig_sa_of(&in.id))->split, split);
	rig_wait(2);
	assert_int_equal(rig.gw.sas.records.n_taken, 3);
	assert_ptr_equal(sa_at(&rig.gw.sas, fill->sa), rig_sa_of(&out.id));
	/* Counters are the stream's, and are told when it is gone, too. */
	streams_totals_read(&rig.gw, &totals);
	assert_int_equal(totals.sas, 2);
	((struct aggfrag_out *)(uintptr_t)fill)->counts[AGGFRAG_TX_PKTS] = 7;
	/* And with the last one they go. */
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &out.id, NULL), 0);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &in.id, NULL), 0);
	rig_wait(2);
	assert_int_equal(rig.gw.sas.records.n_taken, 1);
	streams_totals_read(&rig.gw, &totals);
	assert_int_equal(totals.sas, 0);
	assert_int_equal(totals.out[AGGFRAG_TX_PKTS], 7);
	daemon_client_gone(rig.d, &c);
}

/* At the prompt: `set sa NAME rate N`. */
static void
a_rate_changes_alone(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa out = iptfs_sa(false, 0xc200, 6), plain = iptfs_sa(false, 0xc300, 7);
	uint32_t index = SA_NONE;
	struct err err = { "" };

	out.has |= XFRM_HAS_IPTFS_RATE;
	out.iptfs_rate.bits_per_second = 1000000;
	out.iptfs_rate.layer = 3;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	index = sa_next_of_daemons(&rig.gw, 0);
	assert_int_equal(streams_rate_set(&rig.gw, index, 2000000, &err), 0);
	assert_int_equal(sa_more(rig_sa_of(&out.id))->fill->params->rate_bps, 2000000);
	assert_int_equal(streams_rate_set(&rig.gw, index, 0, &err), -EINVAL);
	assert_int_equal(streams_rate_set(&rig.gw, index, 1, &err), -EINVAL);
	assert_int_equal(streams_breaker_close(&rig.gw, index, &err), -EINVAL);
	/* No reload puts its worker to sleep. */
	assert_int_equal(streams_idle_check(&rig.gw, rig.gw.conf, &err), 0);
	rig.gw.conf->gateway.idle = CONF_IDLE_SLEEP;
	assert_int_equal(streams_idle_check(&rig.gw, rig.gw.conf, &err), -EINVAL);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &out.id, NULL), 0);
	assert_int_equal(streams_idle_check(&rig.gw, rig.gw.conf, &err), 0);
	/* And none that sleeps is given a rate. */
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), -EINVAL);
	rig.gw.conf->gateway.idle = CONF_IDLE_POLL;
	rig_wait(2);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &plain), 0);
	index = sa_next_of_daemons(&rig.gw, 0);
	assert_int_equal(streams_rate_set(&rig.gw, index, 2000000, &err), -EINVAL);
	daemon_client_gone(rig.d, &c);
}

static void
what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *what;
		bool inbound;
		uint32_t has;
		uint32_t packet_size;
		uint64_t rate;
		uint8_t layer;
		bool congestion_control;
		uint8_t frag;
	} cases[] = {
		{ "a size without room", false, XFRM_HAS_IPTFS_PKT_SIZE, 58, 0, 0, false, 0 },
		{ "a size beyond IP's", false, XFRM_HAS_IPTFS_PKT_SIZE, 65536, 0, 0, false, 0 },
		{ "a rate of layer 4", false, XFRM_HAS_IPTFS_RATE, 0, 1000000, 4, false, 0 },
		{ "control of no rate", false, XFRM_HAS_IPTFS_RATE, 0, 0, 3, true, 0 },
		{ "outer packets cut", false, XFRM_HAS_OUTER, 0, 0, 0, false, 1 },
		{ "a size in", true, XFRM_HAS_IPTFS_PKT_SIZE, 1000, 0, 0, false, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct daemon_client c = rig_client(1, 0, true);
		struct xfrm_sa x = iptfs_sa(cases[i].inbound, 0xc100 + i, 5 + i);

		x.has |= cases[i].has;
		x.iptfs.packet_size = cases[i].packet_size;
		x.iptfs_rate.bits_per_second = cases[i].rate;
		x.iptfs_rate.layer = cases[i].layer;
		x.iptfs_rate.congestion_control = cases[i].congestion_control;
		x.outer.frag = cases[i].frag;
		if (rig_put(&c, XFRM_NEWSA, &x) != -EINVAL)
			fail_msg("%s was not refused", cases[i].what);
		daemon_client_gone(rig.d, &c);
	}
}

static void
a_direction_is_demanded(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa x = iptfs_sa(false, 0xc100, 5);

	x.has &= ~XFRM_HAS_DIR;
	x.dir = XFRM_SA_DIR_NONE;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &x), -EINVAL);
	daemon_client_gone(rig.d, &c);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(linux_defaults_hold),
		RIG(all_of_it_is_taken_and_given_back),
		RIG(an_update_goes_on_with_the_streams),
		RIG(a_rate_changes_alone),
		RIG(what_cannot_be_is_refused),
		RIG(a_direction_is_demanded),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
