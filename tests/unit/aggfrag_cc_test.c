/* Congestion control over emulated paths, and the sender's side alone. */
#include "unit.h"

#include <math.h>

#include <rte_common.h>

#include "aggfrag_path.h"
#include "aggfrag/fill.h"

#define S NS_PER_SECOND

static struct path_bed bed;

/* Figures worked out by hand from section 3.1 with t_RTO = 4 R. */
static void
the_equation_is_that_of_the_rfc(void **state)
{
	static const struct {
		double loss, rtt, pps;
	} cases[] = {
		{ 0.01, 0.05, 224.67 },
		{ 0.01, 0.1, 112.33 },
		{ 0.0001, 0.05, 2446.7 },
		{ 1, 1, 0.00411 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		double pps = aggfrag_tfrc_equation(cases[i].loss, cases[i].rtt), loss;

		if (fabs(pps / cases[i].pps - 1) > 0.002)
			fail_msg("%f %f: %f", cases[i].loss, cases[i].rtt, pps);
		loss = aggfrag_tfrc_loss_for(pps, cases[i].rtt);
		if (fabs(loss / cases[i].loss - 1) > 0.001)
			fail_msg("back: %f for %f", loss, cases[i].loss);
	}
	/* Beyond what it can say it stays within (0, 1]. */
	assert_true(aggfrag_tfrc_loss_for(1e12, 1) > 0);
	assert_true(aggfrag_tfrc_loss_for(1e-9, 1) <= 1);
}

static void
an_rtt_is_filtered_and_no_less_than_the_gaps(void **state)
{
	struct aggfrag_tfrc_feedback f = { .path_rtt_us = 50000 };
	struct aggfrag_tfrc t;
	uint64_t now = S;

	memset(&t, 0, sizeof(t));
	aggfrag_tfrc_limit(&t, 1000, 1500);
	aggfrag_tfrc_begin(&t, now);
	assert_true(t.rtt == 0);
	/* One packet a second and the peer likewise: no answer takes less than 2 s. */
	f.peer_gap_us = 1000000;
	aggfrag_tfrc_feedback(&t, &f, now);
	assert_true(fabs(t.rtt - 2) < 1e-6);
	f.peer_gap_us = 0;
	t.pps = 1000;
	aggfrag_tfrc_feedback(&t, &f, now);
	assert_true(fabs(t.rtt - 0.05) < 1e-6);
	f.path_rtt_us = 150000;
	aggfrag_tfrc_feedback(&t, &f, now);
	assert_true(fabs(t.rtt - 0.06) < 1e-6);
	/* Without a sample it stays. */
	f.path_rtt_us = 0;
	aggfrag_tfrc_feedback(&t, &f, now);
	assert_true(fabs(t.rtt - 0.06) < 1e-6);
}

/* 60 s at 1 % loss and 50 ms, from the start on: within 25 % of the equation. */
static void
the_rate_is_that_of_the_equation(void **state)
{
	double want = aggfrag_tfrc_equation(0.01, 0.05);

	for (uint64_t seed = 1; seed <= 8; seed++) {
		double pps;

		path_init(&bed, 25 * MS, 0.01, seed);
		path_pair_add(&bed, 20000, bed.now);
		path_run(&bed, 60 * S);
		pps = (double)bed.ends[0][0].seq / 60;
		if (fabs(pps / want - 1) > 0.25)
			fail_msg("seed %lu: %f packets a second, not %f", seed, pps, want);
		/* What it believes is the truth of the path. */
		assert_in_range(bed.ends[0][0].cc.rtt_us, 49000, 55000);
	}
}

static void
slow_start_at_most_doubles_in_an_rtt(void **state)
{
	double rtt_ago[64], most = 0;
	uint32_t n = 0;

	path_init(&bed, 25 * MS, 0, 1);
	path_pair_add(&bed, 20000, bed.now);
	for (int ms = 0; ms < 30000; ms += 5) {
		struct path_end *e = &bed.ends[0][0];
		double pps, rtt;
		uint32_t back;

		path_run(&bed, 5 * MS);
		pps = path_pps(e);
		rtt = e->cc.tfrc.rtt;
		back = rtt > 0 ? (uint32_t)(rtt / 0.005) : 0;
		/* From the first window on, as far back as there is a record. */
		if (rtt > 0 && back > 1 && back - 1 < n && back < RTE_DIM(rtt_ago)) {
			double then = rtt_ago[(n - back + 1) % RTE_DIM(rtt_ago)];

			if (pps > 2.001 * then)
				fail_msg("%d ms: %f after %f, RTT %f", ms, pps, then, rtt);
			most = fmax(most, pps / then);
		}
		if (rtt > 0)
			rtt_ago[n++ % RTE_DIM(rtt_ago)] = pps;
	}
	assert_true(most > 1.9);
	/* Without loss it ends at what is configured. */
	assert_true(fabs(path_pps(&bed.ends[0][0]) / 20000 - 1) < 0.001);
}

/* Below two packets an RTT the gaps between them make the loop longer; the rate stays what the path
 * allows. */
static void
much_loss_does_not_starve_it(void **state)
{
	double want = aggfrag_tfrc_equation(0.2, 0.05), pps;

	path_init(&bed, 25 * MS, 0.2, 2);
	path_pair_add(&bed, 20000, bed.now);
	path_run(&bed, 120 * S);
	pps = (double)bed.ends[0][0].seq / 120;
	if (pps < want / 4 || pps > want * 4)
		fail_msg("%f packets a second, not %f", pps, want);
}

static void
nothing_answered_halves(void **state)
{
	struct path_end *e = &bed.ends[0][0];
	double before, floor = 1.0 / AGGFRAG_TFRC_FLOOR_S;
	uint64_t changes = 0;

	path_init(&bed, 25 * MS, 0.01, 3);
	path_pair_add(&bed, 20000, bed.now);
	path_run(&bed, 30 * S);
	bed.there.cut = true;
	/* What is under way still answers: an RTT and what the peer waits to say so. Behind that,
	 * four RTTs, and what the owner waits to look. */
	path_run(&bed, 60 * MS);
	before = path_pps(e);
	path_run(&bed, 150 * MS);
	assert_true(path_pps(e) > 0.9 * before);
	path_run(&bed, 150 * MS);
	assert_true(path_pps(e) < 0.6 * before);
	/* By half each time, to one in 64 s, though the peer goes on to say what it last knew. */
	for (before = path_pps(e); bed.now < 3000 * S && before > floor; before = path_pps(e)) {
		while (path_pps(e) >= before && bed.now < 3000 * S)
			path_run(&bed, 10 * MS);
		if (fabs(path_pps(e) - fmax(before / 2, floor)) > 0.001 * before)
			fail_msg("%f behind %f", path_pps(e), before);
		changes++;
	}
	assert_true(changes > 10);
	assert_true(fabs(path_pps(e) / floor - 1) < 0.001);
	path_run(&bed, 300 * S);
	assert_true(fabs(path_pps(e) / floor - 1) < 0.001);
	/* The way is open again: the next packet, at most 64 s later, finds out. */
	bed.there.cut = false;
	path_run(&bed, 80 * S);
	assert_true(path_pps(e) > 100);
}

/* The first to come may wait for the other for long, and then begins like it. */
static void
a_late_peer_is_met_at_once(void **state)
{
	struct path_end *e = &bed.ends[0][0];

	path_init(&bed, 25 * MS, 0, 1);
	path_pair_add(&bed, 1000, bed.now);
	bed.back.cut = bed.there.cut = true;
	path_run(&bed, 600 * S);
	assert_true(path_pps(e) < 0.016);
	bed.back.cut = bed.there.cut = false;
	memset(&bed.ends[0][1].cc, 0, sizeof(bed.ends[0][1].cc));
	aggfrag_cc_tune(&bed.ends[0][1].cc, &bed.ends[0][1].params, S / 1000, 1500, bed.now);
	bed.ends[0][1].last_tx = bed.ends[0][1].next_tx = bed.ends[0][1].look_at = bed.now;
	path_run(&bed, 20 * S);
	assert_true(path_pps(e) > 900);
}

static void
two_flows_share_a_bottleneck(void **state)
{
	static const struct {
		const char *what;
		double pps, queue, mark;
		uint64_t apart;
	} cases[] = {
		{ "dropping, begun together", 2000, 50, 0, 0 },
		{ "dropping, the second 10 s later", 2000, 50, 0, 10 * S },
		{ "dropping, a long queue", 2000, 200, 0, 10 * S },
		{ "marking", 2000, 100, 20, 10 * S },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint64_t before[2];
		double share[2];

		path_init(&bed, 25 * MS, 0, 11);
		bed.there.pps = cases[i].pps;
		bed.there.queue = cases[i].queue;
		bed.there.mark = cases[i].mark;
		path_pair_add(&bed, 5000, bed.now);
		path_pair_add(&bed, 5000, bed.now + cases[i].apart);
		path_run(&bed, 60 * S);
		for (int k = 0; k < 2; k++)
			before[k] = bed.ends[k][0].arrived;
		path_run(&bed, 60 * S);
		for (int k = 0; k < 2; k++)
			share[k] = (double)(bed.ends[k][0].arrived - before[k]) / 60;
		if (share[0] > 2 * share[1] || share[1] > 2 * share[0] ||
		    share[0] + share[1] < 0.6 * cases[i].pps)
			fail_msg("%s: %f and %f", cases[i].what, share[0], share[1]);
	}
}

/* Marks alone hold the rate down, nothing is lost, and the headers say why. */
static void
marks_slow_it_down(void **state)
{
	struct aggfrag_cc_header h = { .marked = false };
	uint8_t header[WIRE_AGGFRAG_CC_HEADER];
	uint64_t lost;

	path_init(&bed, 25 * MS, 0, 5);
	bed.there.pps = 1000;
	bed.there.queue = 400;
	bed.there.mark = 20;
	path_pair_add(&bed, 20000, bed.now);
	path_run(&bed, 20 * S);
	lost = bed.ends[0][0].lost;
	path_run(&bed, 60 * S);
	assert_int_equal(bed.ends[0][0].lost, lost);
	assert_true(path_pps(&bed.ends[0][0]) < 1500);
	aggfrag_cc_write(&bed.ends[0][1].cc, header, bed.now);
	assert_true(aggfrag_cc_header_read(header, sizeof(header), &h));
	assert_true(h.marked);
	assert_true(h.loss_rate > 0);
	/* The other direction knows of none. */
	aggfrag_cc_write(&bed.ends[0][0].cc, header, bed.now);
	assert_true(aggfrag_cc_header_read(header, sizeof(header), &h));
	assert_false(h.marked);
	assert_int_equal(h.loss_rate, 0);
}

/* While P is set loss is none. */
static void
a_probing_sender_is_not_slowed(void **state)
{
	path_init(&bed, 25 * MS, 0.05, 5);
	path_pair_add(&bed, 500, bed.now);
	bed.ends[0][0].probing = true;
	path_run(&bed, 30 * S);
	assert_true(path_pps(&bed.ends[0][0]) > 499);
	assert_int_equal(bed.ends[0][1].link.loss.missed, 0);
	bed.ends[0][0].probing = false;
	path_run(&bed, 30 * S);
	assert_true(path_pps(&bed.ends[0][0]) < 200);
}

/* What a header says: our own RTT and gap, and how long we had the peer's time. */
static void
a_header_says_how_it_goes(void **state)
{
	struct path_end *e = &bed.ends[0][0];
	uint8_t at[WIRE_AGGFRAG_CC_HEADER];
	struct aggfrag_cc_header h;

	path_init(&bed, 25 * MS, 0, 1);
	path_pair_add(&bed, 500, bed.now);
	aggfrag_cc_write(&e->cc, at, bed.now);
	assert_true(aggfrag_cc_header_read(at, sizeof(at), &h));
	assert_int_equal(h.techo, 0);
	assert_int_equal(h.rtt_us, 0);
	assert_int_equal(h.gap_us, 1000000);
	assert_int_equal(h.tval, bed.now / 1000);
	path_run(&bed, 20 * S);
	aggfrag_cc_write(&e->cc, at, bed.now);
	assert_true(aggfrag_cc_header_read(at, sizeof(at), &h));
	assert_in_range(h.rtt_us, 50000, 52000);
	assert_in_range(h.gap_us, 1990, 2010);
	/* The peer sends one in 2 ms, and is told of once an RTT. */
	assert_in_range(h.echo_delay_us, 0, 60000);
	assert_int_equal((uint32_t)(bed.now / 1000) - h.techo - 25000 - h.echo_delay_us < 100, 1);
	/* A time of 0 would be none. */
	aggfrag_cc_write(&e->cc, at, (UINT64_C(5) << 32) * 1000);
	assert_true(aggfrag_cc_header_read(at, sizeof(at), &h));
	assert_int_equal(h.tval, 1);
}

/* Without congestion control the rate stands, and only the breaker stops it. */
static void
a_breaker_stops_a_constant_rate(void **state)
{
	struct aggfrag_params p = { .on = true, .breaker_percent = 5, .breaker_time = 10 * S };
	struct aggfrag_link link = { .due = 0 };
	struct aggfrag_cc_state s;
	struct aggfrag_cc cc = { .begun = false };
	uint64_t now = S, seq = 0;
	bool changed = false;

	aggfrag_cc_tune(&cc, &p, 10 * MS, 1500, now);
	for (int i = 0; i < 3000; i++, now += 10 * MS) {
		/* One in ten is lost from the tenth second on. */
		seq += i > 1000 && i % 10 == 0 ? 2 : 1;
		aggfrag_link_took(&link, seq, 0, now);
		changed |= aggfrag_cc_look(&cc, &p, &link, now);
		if (i < 2000)
			assert_int_equal(aggfrag_cc_interval(&cc), 10 * MS);
	}
	assert_true(changed);
	assert_true(aggfrag_cc_interval(&cc) == UINT64_MAX);
	aggfrag_cc_state(&cc, &p, &s);
	assert_true(s.breaker_open);
	assert_int_equal(s.breaker_trips, 1);
	aggfrag_breaker_close(&cc.breaker);
	assert_true(aggfrag_cc_look(&cc, &p, NULL, now));
	assert_int_equal(aggfrag_cc_interval(&cc), 10 * MS);
}

/* What a reload changes while it sends. */
static void
a_new_limit_holds_at_once(void **state)
{
	struct path_end *e = &bed.ends[0][0];

	path_init(&bed, 25 * MS, 0, 1);
	path_pair_add(&bed, 1000, bed.now);
	path_run(&bed, 20 * S);
	assert_int_equal(aggfrag_cc_interval(&e->cc), MS);
	assert_false(aggfrag_cc_tune(&e->cc, &e->params, MS, 1500, bed.now));
	assert_true(aggfrag_cc_tune(&e->cc, &e->params, 4 * MS, 1500, bed.now));
	assert_int_equal(aggfrag_cc_interval(&e->cc), 4 * MS);
	/* A higher one is grown into. */
	assert_false(aggfrag_cc_tune(&e->cc, &e->params, 2 * MS, 1500, bed.now));
	path_run(&bed, 10 * MS);
	assert_int_equal(aggfrag_cc_interval(&e->cc), 4 * MS);
	path_run(&bed, 5 * S);
	assert_int_equal(aggfrag_cc_interval(&e->cc), 2 * MS);
	/* Without congestion control the rate is what is configured, and with it, it begins anew.
	 */
	e->params.congestion_control = false;
	assert_true(aggfrag_cc_tune(&e->cc, &e->params, MS, 1500, bed.now));
	assert_int_equal(aggfrag_cc_interval(&e->cc), MS);
	e->params.congestion_control = true;
	assert_true(aggfrag_cc_tune(&e->cc, &e->params, MS, 1500, bed.now));
	assert_int_equal(aggfrag_cc_interval(&e->cc), S);
}

/* In the first minute of all time the interval of congestion control may be more than the time of
 * the next packet, which was called at once. */
static void
switched_off_it_goes_on_at_its_rate(void **state)
{
	static const struct {
		const char *what;
		uint64_t interval, now;
	} cases[] = {
		{ "a packet a second, in the first second", S, 10 * MS },
		{ "a packet in 64 s, in the third second", 64 * S, 3 * S },
		{ "a packet in 64 s, as ever", 64 * S, 100 * S },
		{ "a packet in 4 ms", 4 * MS, 100 * S },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct aggfrag_params p = { .on = true, .congestion_control = true };
		struct aggfrag_cc cc = { .met = true };
		struct aggfrag_out s = { .params = &p, .cc = &cc, .lanes = 1 };
		uint64_t now = cases[i].now;

		aggfrag_interval_set(&s, 1500, 12000000);
		aggfrag_interval_change(&s, cases[i].interval, now);
		assert_true(aggfrag_tick(&s, now, 8));
		/* Something was heard: the next one is called at once. */
		aggfrag_interval_change(&s, MS, now + 2 * MS);
		aggfrag_interval_change(&s, cases[i].interval, now + 2 * MS);
		s.next = now + 2 * MS;
		p.congestion_control = false;
		aggfrag_interval_set(&s, 1500, 12000000);
		assert_int_equal(s.interval, MS);
		if (s.next > now + 3 * MS)
			fail_msg("%s: the next one is due at %lu", cases[i].what, s.next);
		now += 3 * MS;
		assert_true(aggfrag_tick(&s, now, 8));
		assert_true(s.next <= now + MS);
	}
}

/* Options that change while the stream has them, as a reload under the same key does. */
static void
what_is_switched_off_is_forgotten(void **state)
{
	struct path_end *e = &bed.ends[0][0];

	path_init(&bed, 25 * MS, 0.01, 1);
	path_pair_add(&bed, 1000, bed.now);
	e->params.congestion_control = false;
	e->params.breaker_percent = 5;
	e->params.breaker_time = S;
	aggfrag_cc_tune(&e->cc, &e->params, MS, 1500, bed.now);
	e->cc.breaker.opened = bed.now;
	assert_true(aggfrag_cc_interval(&e->cc) == UINT64_MAX);
	/* Congestion control in its place. */
	e->params.congestion_control = true;
	e->params.breaker_percent = 0;
	aggfrag_cc_retune(&e->cc, &e->params);
	e->last_tx = e->next_tx = e->look_at = bed.now;
	aggfrag_cc_tune(&e->cc, &e->params, MS, 1500, bed.now);
	assert_int_equal(aggfrag_cc_interval(&e->cc), S);
	path_run(&bed, 20 * S);
	assert_true(path_pps(e) > 100);
	/* Neither, and back: nobody looked meanwhile, and the path may be another. */
	e->params.congestion_control = false;
	aggfrag_cc_retune(&e->cc, &e->params);
	e->params.congestion_control = true;
	aggfrag_cc_retune(&e->cc, &e->params);
	assert_true(aggfrag_cc_tune(&e->cc, &e->params, MS, 1500, bed.now));
	assert_int_equal(aggfrag_cc_interval(&e->cc), S);
	/* What stays keeps what it has. */
	path_run(&bed, 20 * S);
	assert_true(path_pps(e) > 100);
	aggfrag_cc_retune(&e->cc, &e->params);
	assert_false(aggfrag_cc_tune(&e->cc, &e->params, MS, 1500, bed.now));
	assert_true(path_pps(e) > 100);
}

/* As by a rekey of both ways, in the middle. */
static void
a_rekeyed_pair_goes_on(void **state)
{
	static struct path_end old[2];
	double before;

	path_init(&bed, 25 * MS, 0.01, 4);
	path_pair_add(&bed, 5000, bed.now);
	path_run(&bed, 30 * S);
	before = path_pps(&bed.ends[0][0]);
	memcpy(old, bed.ends[0], sizeof(old));
	bed.n_pairs = 0;
	bed.there.head = bed.there.tail;
	bed.back.head = bed.back.tail;
	path_pair_new(&bed);
	for (int k = 0; k < 2; k++) {
		aggfrag_cc_follow(&bed.ends[0][k].cc, &old[k].cc);
		aggfrag_link_follow(&bed.ends[0][k].link, &old[k].link);
	}
	path_pair_begin(&bed, 5000, bed.now);
	path_run(&bed, MS);
	assert_true(fabs(path_pps(&bed.ends[0][0]) / before - 1) < 0.001);
	/* It does not fall, and does not begin to double either. */
	for (int i = 0; i < 20; i++) {
		path_run(&bed, 100 * MS);
		if (path_pps(&bed.ends[0][0]) < before / 2 ||
		    path_pps(&bed.ends[0][0]) > 2 * before)
			fail_msg("%f behind %f", path_pps(&bed.ends[0][0]), before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_equation_is_that_of_the_rfc),
		cmocka_unit_test(an_rtt_is_filtered_and_no_less_than_the_gaps),
		cmocka_unit_test(the_rate_is_that_of_the_equation),
		cmocka_unit_test(slow_start_at_most_doubles_in_an_rtt),
		cmocka_unit_test(much_loss_does_not_starve_it),
		cmocka_unit_test(nothing_answered_halves),
		cmocka_unit_test(a_late_peer_is_met_at_once),
		cmocka_unit_test(two_flows_share_a_bottleneck),
		cmocka_unit_test(marks_slow_it_down),
		cmocka_unit_test(a_probing_sender_is_not_slowed),
		cmocka_unit_test(a_header_says_how_it_goes),
		cmocka_unit_test(a_breaker_stops_a_constant_rate),
		cmocka_unit_test(a_new_limit_holds_at_once),
		cmocka_unit_test(switched_off_it_goes_on_at_its_rate),
		cmocka_unit_test(what_is_switched_off_is_forgotten),
		cmocka_unit_test(a_rekeyed_pair_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
