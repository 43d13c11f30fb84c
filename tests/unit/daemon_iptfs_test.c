/* SAs of daemons with IP-TFS: Linux's attributes and defaults, our rate, and streams that stay with
 * their key. */
#include "unit.h"

#include "aggfrag/fill.h"
#include "aggfrag/split.h"
#include "ctl/report.h"
#include "ctl/streams.h"
#include "daemon_state_rig.h"
#include "aggfrag/cc.h"

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

/* What Linux has no attribute for. */
static void
the_rest_is_taken_and_given_back(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa in = iptfs_sa(true, 0xc100, 5), out = iptfs_sa(false, 0xc200, 6), x;
	const struct aggfrag_params *p;

	in.iptfs_options.on = in.iptfs_options.refuse_frags = true;
	in.iptfs_options.send_immediately = true;
	out.has |= XFRM_HAS_IPTFS_RATE;
	out.iptfs_rate.bits_per_second = 1000000;
	out.iptfs_rate.layer = 3;
	out.iptfs_options.on = true;
	out.iptfs_options.max_aggregation_us = 30000;
	out.iptfs_options.breaker_loss = 7;
	out.iptfs_options.breaker_time_us = 4000000;
	out.iptfs_options.dscp = 46;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	p = params_of(&in);
	assert_true(p->dont_frag && p->send_immediately);
	p = params_of(&out);
	assert_int_equal(p->max_wait, 30000000);
	assert_int_equal(p->breaker_percent, 7);
	assert_int_equal(p->breaker_time, 4 * NS_PER_SECOND);
	assert_int_equal(rig_sa_of(&out.id)->out.tos & 0xfc, 46 << 2);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &in.id, &x), 1);
	assert_memory_equal(&x.iptfs_options, &in.iptfs_options, sizeof(x.iptfs_options));
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	assert_memory_equal(&x.iptfs_options, &out.iptfs_options, sizeof(x.iptfs_options));
	/* An update that does not speak of them leaves them; one that does says all of them. */
	x = out;
	memset(&x.iptfs_options, 0, sizeof(x.iptfs_options));
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &x), 0);
	assert_int_equal(params_of(&out)->breaker_percent, 7);
	assert_int_equal(params_of(&out)->max_wait, 30000000);
	x.iptfs_options.on = true;
	x.iptfs_options.dscp = 8;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &x), 0);
	assert_int_equal(params_of(&out)->breaker_percent, 0);
	assert_int_equal(params_of(&out)->max_wait, 0);
	assert_int_equal(rig_sa_of(&out.id)->out.tos & 0xfc, 8 << 2);
	daemon_client_gone(rig.d, &c);
}

static void
congestion_control_has_its_pair(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa in = iptfs_sa(true, 0xc100, 5), out = iptfs_sa(false, 0xc200, 6), x;
	const struct aggfrag_out *fill;

	out.has |= XFRM_HAS_IPTFS_RATE;
	out.iptfs_rate.bits_per_second = 1000000;
	out.iptfs_rate.layer = 3;
	out.iptfs_rate.congestion_control = true;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	fill = sa_more(rig_sa_of(&out.id))->fill;
	rig_wait(1);
	assert_true(params_of(&out)->congestion_control);
	assert_non_null(fill->link);
	assert_ptr_equal(fill->link, sa_more(rig_sa_of(&in.id))->split->link);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	assert_true(x.iptfs_rate.congestion_control);
	daemon_client_gone(rig.d, &c);
}

static const struct xw_iptfs_state *
told(uint32_t n)
{
	static struct xw_iptfs_state state;
	const struct message *m = &rig.events[n];
	size_t at = m->len - sizeof(state);

	assert_int_equal(m->group, XFRM_GROUP_AEVENTS);
	assert_int_equal(m->octets[4], XFRM_NEWAE);
	assert_int_equal(m->octets[at - 2] | m->octets[at - 1] << 8, XFRM_A_IPTFS_STATE);
	memcpy(&state, m->octets + at, sizeof(state));
	return &state;
}

/* Group AEVENTS hears of what was only logged. */
static void
a_breaker_is_an_event(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa out = iptfs_sa(false, 0xc200, 6), in = iptfs_sa(true, 0xc100, 5), x;
	struct aggfrag_breaker *b;

	out.has |= XFRM_HAS_IPTFS_RATE;
	out.iptfs_rate.bits_per_second = 1000000;
	out.iptfs_rate.layer = 3;
	out.iptfs_options.on = true;
	out.iptfs_options.breaker_loss = 5;
	out.iptfs_options.breaker_time_us = 1000000;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	b = &sa_more(rig_sa_of(&out.id))->fill->cc->breaker;
	rig.n_events = 0;
	rig_wait(1);
	assert_int_equal(rig.n_events, 0);
	b->opened = rig.now;
	b->trips = 1;
	rig_wait(2);
	assert_int_equal(rig.n_events, 1);
	assert_int_equal(told(0)->kind, XW_IPTFS_STOPPED);
	assert_int_equal(told(0)->bits_per_second, 1000000);
	assert_int_equal(told(0)->packets_per_second, 0);
	/* Closed, and open again before anybody looked: both are told. */
	b->trips = 2;
	rig_wait(1);
	assert_int_equal(rig.n_events, 3);
	assert_int_equal(told(1)->kind, XW_IPTFS_GOES_ON);
	assert_int_equal(told(2)->kind, XW_IPTFS_STOPPED);
	/* An update that has none closes it, for good. */
	x = out;
	x.iptfs_options.breaker_loss = x.iptfs_options.breaker_time_us = 0;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &x), 0);
	assert_false(aggfrag_breaker_is_open(b));
	rig.n_events = 0;
	rig_wait(1);
	assert_int_equal(rig.n_events, 1);
	assert_int_equal(told(0)->kind, XW_IPTFS_GOES_ON);
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &out), 0);
	rig.n_events = 0;
	rig_wait(1);
	assert_int_equal(rig.n_events, 0);
	daemon_client_gone(rig.d, &c);
}

/* Half or twice of what was told last, and not too often. */
static void
a_changed_rate_is_an_event(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa out = iptfs_sa(false, 0xc200, 6), in = iptfs_sa(true, 0xc100, 5);
	struct aggfrag_cc *cc;

	out.has |= XFRM_HAS_IPTFS_RATE;
	out.iptfs_rate.bits_per_second = 10000000;
	out.iptfs_rate.layer = 3;
	out.iptfs_rate.congestion_control = true;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	cc = sa_more(rig_sa_of(&out.id))->fill->cc;
	rig.n_events = 0;
	cc->interval = NS_PER_SECOND / 400;
	rig_wait(2);
	assert_int_equal(rig.n_events, 0); /* no RTT: it has not begun */
	cc->rtt_us = 50000;
	rig_wait(1);
	assert_int_equal(rig.n_events, 1);
	assert_int_equal(told(0)->kind, XW_IPTFS_RATE);
	assert_int_equal(told(0)->packets_per_second, 400);
	assert_int_equal(told(0)->bits_per_second, 10000000);
	cc->interval = NS_PER_SECOND / 250;
	rig_wait(10);
	assert_int_equal(rig.n_events, 1);
	cc->interval = NS_PER_SECOND / 200;
	rig_wait(1);
	assert_int_equal(rig.n_events, 2);
	cc->interval = NS_PER_SECOND / 800;
	rig_wait(3);
	assert_int_equal(rig.n_events, 2);
	rig_wait(3);
	assert_int_equal(rig.n_events, 3);
	assert_int_equal(told(2)->packets_per_second, 800);
	daemon_client_gone(rig.d, &c);
}

/* Late, and less than was asked for: told once, and again of another rate. */
static void
a_rate_that_is_not_made_is_told(void **state)
{
	static const struct {
		const char *what;
		uint64_t packets, late; /* a second; 1,000 of 1,000 octets were asked for */
		bool told;
	} cases[] = {
		{ "as asked for", 1000, 0, false },
		{ "late, and made up for", 1000, 3, false },
		{ "nearly as asked for", 960, 3, false },
		{ "less", 900, 3, true },
		{ "less, but not late", 900, 0, false },
		{ "nothing at all", 0, 1, true },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct daemon_client c = rig_client(1, 0, true);
		struct xfrm_sa out = iptfs_sa(false, 0xc200 + i, 6 + i);
		struct aggfrag_out *fill;
		struct sa_more *more;

		out.has |= XFRM_HAS_IPTFS_RATE | XFRM_HAS_IPTFS_PKT_SIZE;
		out.iptfs.packet_size = 1000;
		out.iptfs_rate.bits_per_second = 8000000;
		out.iptfs_rate.layer = 3;
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
		more = sa_more(rig_sa_of(&out.id));
		fill = more->fill;
		for (int half = 0; half < 8; half++) {
			fill->counts[AGGFRAG_TX_PKTS] += cases[i].packets / 2;
			fill->counts[AGGFRAG_TX_LATE_TICKS] += cases[i].late;
			rig.now += NS_PER_SECOND / 2;
			clock_set(&rig.gw.clock, rig.now);
			gw_tick(&rig.gw);
		}
		if ((more->pace.told_rate == 8000000) != cases[i].told)
			fail_msg("%s: told of %lu", cases[i].what, more->pace.told_rate);
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &out.id, NULL), 0);
		daemon_client_gone(rig.d, &c);
	}
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
		{ "a rate of a packet an hour", false, XFRM_HAS_IPTFS_RATE, 0, 3, 3, false, 0 },
		{ "a rate of 1 Tbit/s of small packets", false,
		  XFRM_HAS_IPTFS_RATE | XFRM_HAS_IPTFS_PKT_SIZE, 100, 1000000000000, 3, false, 0 },
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
a_breaker_needs_a_rate_alone(void **state)
{
	static const struct {
		const char *what;
		uint64_t rate;
		bool congestion_control, subspaces;
		int rc;
	} cases[] = {
		{ "of a rate", 1000000, false, false, 0 },
		{ "of none", 0, false, false, -EINVAL },
		{ "beside congestion control", 1000000, true, false, -EINVAL },
		{ "with subspaces", 1000000, false, true, -EINVAL },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct daemon_client c = rig_client(1, 0, true);
		struct xfrm_sa x = iptfs_sa(false, 0xc100 + i, 5 + i);

		x.has |= XFRM_HAS_IPTFS_RATE | (cases[i].subspaces ? XFRM_HAS_SUBSPACES : 0);
		x.subspaces.bits = 16;
		x.flags |= XFRM_SA_ESN;
		x.iptfs_rate.bits_per_second = cases[i].rate;
		x.iptfs_rate.layer = 3;
		x.iptfs_rate.congestion_control = cases[i].congestion_control;
		x.iptfs_options.on = true;
		x.iptfs_options.breaker_loss = 5;
		x.iptfs_options.breaker_time_us = 1000;
		if (rig_put(&c, XFRM_NEWSA, &x) != cases[i].rc)
			fail_msg("a breaker %s", cases[i].what);
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
		RIG(the_rest_is_taken_and_given_back),
		RIG(congestion_control_has_its_pair),
		RIG(a_breaker_is_an_event),
		RIG(a_changed_rate_is_an_event),
		RIG(a_rate_that_is_not_made_is_told),
		RIG(an_update_goes_on_with_the_streams),
		RIG(a_rate_changes_alone),
		RIG(what_cannot_be_is_refused),
		RIG(a_breaker_needs_a_rate_alone),
		RIG(a_direction_is_demanded),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
