#include "unit.h"

#include <math.h>
#include <stdbool.h>

#include <rte_common.h>

#include "aggfrag/loss.h"
#include "aggfrag/tfrc.h"

#define MS UINT64_C(1000000)

static struct aggfrag_loss
history(uint64_t rtt_ms)
{
	return (struct aggfrag_loss) { .rtt = rtt_ms * MS };
}

/* One packet a millisecond, but for the numbers of `lost`; number n leaves at n ms. */
static void
receive(struct aggfrag_loss *l, uint64_t from, uint64_t to, const uint64_t *lost, size_t n_lost)
{
	for (uint64_t seq = from; seq <= to; seq++) {
		bool gone = false;

		for (size_t i = 0; i < n_lost; i++)
			gone |= lost[i] == seq;
		if (!gone)
			aggfrag_loss_take(l, seq, 0, seq * MS);
	}
}

static void
nothing_lost_is_no_rate(void **state)
{
	struct aggfrag_loss l = history(10);

	assert_int_equal(aggfrag_loss_rate(&l), 0);
	/* The first number is no loss of those before it. */
	receive(&l, 5000, 6000, NULL, 0);
	assert_int_equal(aggfrag_loss_rate(&l), 0);
	assert_false(aggfrag_loss_marked(&l));
	assert_int_equal(l.received, 1001);
	assert_int_equal(l.missed, 0);
}

/* Which losses are one event; a packet a millisecond, RTT 10 ms. */
static void
losses_within_an_rtt_are_one_event(void **state)
{
	static const struct {
		const char *what;
		uint64_t lost[4];
		size_t n;
		uint8_t events;
	} cases[] = {
		{ "one loss", { 100 }, 1, 1 },
		{ "two in a row", { 100, 101 }, 2, 1 },
		{ "two within an RTT", { 100, 109 }, 2, 1 },
		{ "the last that belongs to the first", { 100, 110 }, 2, 1 },
		{ "one later begins another", { 100, 111 }, 2, 2 },
		{ "an RTT counts from the first loss, not from the last", { 100, 108, 116 }, 3, 2 },
		{ "far apart", { 100, 200, 300, 400 }, 4, 4 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct aggfrag_loss l = history(10);

		receive(&l, 1, 500, cases[i].lost, cases[i].n);
		if (l.n_closed != cases[i].events)
			fail_msg("%s: %u events", cases[i].what, l.n_closed);
		assert_int_equal(l.missed, cases[i].n);
		assert_int_equal(l.received, 500 - cases[i].n);
	}
}

/* Without the sender's RTT each loss is an event of its own. */
static void
without_an_rtt_each_loss_counts(void **state)
{
	static const uint64_t lost[] = { 100, 101, 105 };
	struct aggfrag_loss l = history(0);

	receive(&l, 1, 200, lost, RTE_DIM(lost));
	assert_int_equal(l.n_closed, 3);
	assert_int_equal(l.closed[0], 4);
	assert_int_equal(l.closed[1], 1);
}

static void
closed_set(struct aggfrag_loss *l, const uint32_t closed[AGGFRAG_LOSS_INTERVALS], uint8_t n)
{
	memcpy(l->closed, closed, sizeof(l->closed));
	for (uint8_t i = 0; i < AGGFRAG_LOSS_INTERVALS; i++)
		l->discount[i] = 1;
	l->n_closed = n;
}

/* Section 5.4 by hand: weights 1 1 1 1 .8 .6 .4 .2, with and without the interval that goes on. */
static void
the_mean_is_weighed(void **state)
{
	static const uint32_t closed[AGGFRAG_LOSS_INTERVALS] = { 10, 20, 30, 40, 50, 60, 70, 80 };
	/* Without: 10+20+30+40+40+36+28+16 = 220; of 6 in all: 36.67 */
	struct aggfrag_loss l = { .top = 1004, .event_seq = 1000 };

	closed_set(&l, closed, 8);
	assert_int_equal(aggfrag_loss_rate(&l), 37);
	/* With 73: 73+10+20+30+32+30+24+14 = 233: 38.8. No more than twice the mean. */
	l.top = 1072;
	assert_int_equal(aggfrag_loss_rate(&l), 39);
	/* Two only: max(10+20, 5+10) of 2. */
	l.top = 1004;
	l.n_closed = 2;
	assert_int_equal(aggfrag_loss_rate(&l), 15);
	/* Never 0, which would say that there is none; never beyond the field. */
	l.n_closed = 1;
	l.closed[0] = 0;
	l.event_seq = 1004;
	assert_int_equal(aggfrag_loss_rate(&l), 1);
	l.event_seq = 1;
	l.top = UINT64_MAX - 1;
	assert_int_equal(aggfrag_loss_rate(&l), UINT32_MAX);
}

/* Section 5.5 by hand. The weights of I_1 ... I_7 are 5 in all beside 1 of I_0. */
static void
history_is_discounted(void **state)
{
	static const uint32_t tens[AGGFRAG_LOSS_INTERVALS] = { 10, 10, 10, 10, 10, 10, 10, 10 };
	static const struct {
		const char *what;
		uint64_t open;
		uint32_t rate;
	} cases[] = {
		{ "as long as the mean", 10, 10 },
		{ "twice the mean: not yet", 20, 12 },		 /* (20 + 50) / 6 */
		{ "four times: half", 40, 19 },			 /* (40 + 25) / 3.5 */
		{ "eight times: a quarter", 80, 41 },		 /* (80 + 12.5) / 2.25 */
		{ "longer: no less than a quarter", 1000, 450 }, /* (1000 + 12.5) / 2.25 */
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct aggfrag_loss l = { .top = 999 + cases[i].open, .event_seq = 1000 };

		closed_set(&l, tens, 8);
		if (aggfrag_loss_rate(&l) != cases[i].rate)
			fail_msg("%s: %u", cases[i].what, aggfrag_loss_rate(&l));
	}
}

/* A loss behind a long interval: what was discounted then stays so, and may be again. */
static void
discounts_stay_and_add_up(void **state)
{
	static const uint32_t tens[AGGFRAG_LOSS_INTERVALS] = { 10, 10, 10, 10, 10, 10, 10, 10 };
	struct aggfrag_loss l = { .top = 1039, .event_seq = 1000 };
	uint64_t length;

	closed_set(&l, tens, 8);
	/* 40 came, 1040 is lost: 10s weigh half, the 40 all. */
	aggfrag_loss_take(&l, 1041, 0, 1041 * MS);
	assert_int_equal(l.closed[0], 40);
	assert_true(l.discount[0] == 1);
	for (int i = 1; i < AGGFRAG_LOSS_INTERVALS; i++)
		assert_true(l.discount[i] == 0.5f);
	/* (40 + 10 * 5 / 2) / 3.5 */
	assert_int_equal(aggfrag_loss_rate(&l), 19);
	/* The mean is 65 / 3.5 = 18.57; 1040 ... 1139 are 100 packets: 37.14 in 100. */
	for (uint64_t seq = 1042; seq < 1140; seq++)
		aggfrag_loss_take(&l, seq, 0, seq * MS);
	aggfrag_loss_take(&l, 1141, 0, 1141 * MS);
	assert_int_equal(l.closed[0], 100);
	assert_true(l.discount[0] == 1);
	assert_true(fabsf(l.discount[1] - 0.3714f) < 0.001f);
	for (int i = 2; i < AGGFRAG_LOSS_INTERVALS; i++)
		assert_true(fabsf(l.discount[i] - 0.1857f) < 0.001f);
	/* A short one discounts nothing more. */
	length = l.event_seq + 15;
	for (uint64_t seq = 1142; seq < length; seq++)
		aggfrag_loss_take(&l, seq, 0, seq * MS);
	aggfrag_loss_take(&l, length + 1, 0, (length + 1) * MS);
	assert_int_equal(l.closed[0], 15);
	assert_true(l.discount[1] == 1);
	assert_true(fabsf(l.discount[2] - 0.3714f) < 0.001f);
}

/* Sections 5.4 and 5.5 to the letter, in the RFC's own arrays: I_0 ... I_n and DF_0 ... DF_n, and
 * DF that each arrival updates. */
struct model {
	double length[AGGFRAG_LOSS_INTERVALS + 1], df[AGGFRAG_LOSS_INTERVALS + 1], general;
	int n;
};

static double
model_weight(int i)
{
	return i < AGGFRAG_LOSS_INTERVALS / 2 ?
		       1 :
		       2.0 * (AGGFRAG_LOSS_INTERVALS - i) / (AGGFRAG_LOSS_INTERVALS + 2);
}

static void
model_arrival(struct model *m)
{
	double total = 0, weight = 0;

	m->length[0]++;
	for (int i = 1; i <= m->n; i++) {
		weight += model_weight(i - 1) * m->df[i];
		total += m->length[i] * model_weight(i - 1) * m->df[i];
	}
	m->general = 1;
	if (m->length[0] > 2 * total / weight)
		m->general = fmax(2 * total / weight / m->length[0], 0.25);
}

static void
model_event(struct model *m)
{
	for (int i = 1; i <= m->n; i++)
		m->df[i] *= m->general;
	m->n = RTE_MIN(m->n + 1, AGGFRAG_LOSS_INTERVALS);
	for (int i = m->n - 1; i >= 0; i--) {
		m->df[i + 1] = m->df[i];
		m->length[i + 1] = m->length[i];
	}
	m->df[0] = m->general = 1;
	m->length[0] = 0;
}

static double
model_rate(const struct model *m)
{
	double total0 = m->length[0], weight0 = 1, total1 = 0, weight1 = 0;

	for (int i = 1; i < m->n; i++) {
		total0 += m->length[i] * model_weight(i) * m->df[i] * m->general;
		weight0 += model_weight(i) * m->df[i] * m->general;
	}
	for (int i = 1; i <= m->n; i++) {
		total1 += m->length[i] * model_weight(i - 1) * m->df[i];
		weight1 += model_weight(i - 1) * m->df[i];
	}
	return 1 / fmin(weight0 / total0, weight1 / total1);
}

static void
model_runs(uint64_t random)
{
	struct model m = { .df[0] = 1, .general = 1 };
	struct aggfrag_loss l = history(0);
	uint64_t seq = 1;

	for (int event = 0; event < 60; event++) {
		/* From 2 to 2,001, mostly short. */
		uint64_t length;

		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		length = 2 + (random >> 40) % (UINT64_C(2) << (random >> 33) % 11);
		for (uint64_t i = 0; i < length; i++, seq++) {
			aggfrag_loss_take(&l, seq, 0, seq * MS);
			if (m.n == 0)
				continue;
			model_arrival(&m);
			if (fabs(aggfrag_loss_rate(&l) - model_rate(&m)) > 0.51)
				fail_msg("event %d: %u, and %f by the RFC", event,
					 aggfrag_loss_rate(&l), model_rate(&m));
		}
		/* The number at hand is lost, and belongs to the interval that it begins. */
		aggfrag_loss_take(&l, seq + 1, 0, (seq + 1) * MS);
		if (m.n == 0)
			m.length[0] = l.closed[0];
		model_event(&m);
		m.length[0] = 1;
		model_arrival(&m);
		seq += 2;
	}
}

static void
the_rfc_says_the_same(void **state)
{
	for (uint64_t seed = 1; seed <= 50; seed++)
		model_runs(seed);
}

/* The ninth pushes out the first. */
static void
eight_intervals_are_kept(void **state)
{
	struct aggfrag_loss l = history(1);
	uint64_t seq = 0;

	for (uint64_t length = 10; length < 24; length++) {
		for (uint64_t i = 1; i < length; i++)
			aggfrag_loss_take(&l, seq + i, 0, (seq + i) * MS);
		seq += length;
	}
	aggfrag_loss_take(&l, seq + 1, 0, (seq + 1) * MS);
	assert_int_equal(l.n_closed, AGGFRAG_LOSS_INTERVALS);
	for (uint32_t i = 0; i < AGGFRAG_LOSS_INTERVALS; i++)
		assert_int_equal(l.closed[i], 23 - i);
}

/* The first interval goes with the rate at which packets came, not with their number. */
static void
the_first_interval_is_of_the_rate(void **state)
{
	static const uint64_t lost[] = { 5000 };
	struct aggfrag_loss l = history(50);
	double pps;

	receive(&l, 1, 5100, lost, 1);
	pps = aggfrag_tfrc_equation(1.0 / aggfrag_loss_rate(&l), 0.05);
	if (fabs(pps - 1000) > 50)
		fail_msg("1,000 packets a second came, and %f may", pps);
}

/* Though the sender's RTT was known late, when its rate had long risen. */
static void
a_round_ends_when_the_rtt_is_known(void **state)
{
	struct aggfrag_loss l = { .rtt = 0 };
	uint64_t seq = 0;

	for (; seq < 400; seq++) {
		if (seq == 200)
			aggfrag_loss_rtt(&l, 20 * MS, seq * MS);
		aggfrag_loss_take(&l, seq + 1, 0, seq * MS);
	}
	assert_true(fabs(l.round_pps - 1000) < 60);
	aggfrag_loss_rtt(&l, 0, seq * MS);
	assert_int_equal(l.rtt, 0);
}

static void
a_mark_is_a_loss_and_says_so(void **state)
{
	static const uint64_t lost[] = { 100 };
	struct aggfrag_loss l = history(10);

	receive(&l, 1, 50, NULL, 0);
	assert_true(aggfrag_loss_take(&l, 51, AGGFRAG_LOSS_CE, 51 * MS));
	assert_true(aggfrag_loss_rate(&l) > 0);
	assert_true(aggfrag_loss_marked(&l));
	/* Within the event's RTT it is the same event. */
	assert_false(aggfrag_loss_take(&l, 52, AGGFRAG_LOSS_CE, 52 * MS));
	assert_int_equal(l.missed, 0);
	/* As long as one of the events in the mean began so. */
	receive(&l, 53, 150, lost, 1);
	assert_true(aggfrag_loss_marked(&l));
	for (uint64_t i = 0; i < AGGFRAG_LOSS_INTERVALS - 1; i++) {
		const uint64_t more[] = { 200 + i * 100 };

		assert_true(aggfrag_loss_marked(&l));
		receive(&l, 151 + i * 100, 250 + i * 100, more, 1);
	}
	assert_int_equal(l.n_closed, AGGFRAG_LOSS_INTERVALS);
	assert_true(aggfrag_loss_marked(&l));
	receive(&l, 851, 899, NULL, 0);
	receive(&l, 901, 999, NULL, 0);
	assert_false(aggfrag_loss_marked(&l));
}

static void
a_probe_is_no_loss(void **state)
{
	static const struct {
		const char *what;
		uint8_t before, after;
		uint64_t missed;
	} cases[] = {
		{ "no probe", 0, 0, 1 },
		{ "P on both sides", AGGFRAG_LOSS_PROBING, AGGFRAG_LOSS_PROBING, 0 },
		{ "P before: the probe was the last", AGGFRAG_LOSS_PROBING, 0, 0 },
		{ "P behind: the probe was the first", 0, AGGFRAG_LOSS_PROBING, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct aggfrag_loss l = history(10);

		receive(&l, 1, 50, NULL, 0);
		aggfrag_loss_take(&l, 51, cases[i].before, 51 * MS);
		aggfrag_loss_take(&l, 53, cases[i].after, 53 * MS);
		if (l.missed != cases[i].missed || l.n_closed != cases[i].missed)
			fail_msg("%s: %lu missed", cases[i].what, l.missed);
		/* Once it is over, what is missing is lost. */
		aggfrag_loss_take(&l, 54, 0, 54 * MS);
		aggfrag_loss_take(&l, 66, 0, 66 * MS);
		assert_int_equal(l.missed, cases[i].missed + 11);
	}
}

/* An event an RTT, as far as the sender has not halved its rate for it. */
static void
a_long_gap_is_few_events(void **state)
{
	struct aggfrag_loss l = history(10), slow = history(10);

	receive(&l, 1, 1000, NULL, 0);
	aggfrag_loss_take(&l, 2001, 0, 2001 * MS);
	assert_int_equal(l.missed, 1000);
	assert_int_equal(l.n_closed, 4);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(l.closed[i], 11);
	assert_int_equal(l.event_seq, 1001 + 3 * 11);
	assert_int_equal(l.event_at, l.event_seq * MS);
	/* All at one time: one event. */
	receive(&slow, 1, 1000, NULL, 0);
	aggfrag_loss_take(&slow, 2001, 0, 1000 * MS);
	assert_int_equal(slow.n_closed, 1);
}

/* As when the sender begins again above what it had reserved. */
static void
a_jump_of_the_counter_is_one_loss(void **state)
{
	static const uint64_t lost[] = { 500 };
	struct aggfrag_loss l = history(10);
	uint32_t rate;

	receive(&l, 1, 1000, lost, 1);
	rate = aggfrag_loss_rate(&l);
	aggfrag_loss_take(&l, (UINT64_C(1) << 31) + 1000, 0, 1001 * MS);
	assert_int_equal(l.missed, 2);
	assert_int_equal(l.closed[0], 501);
	assert_true(aggfrag_loss_rate(&l) <= rate + 501);
	aggfrag_loss_take(&l, (UINT64_C(1) << 31) + 1001, 0, 1002 * MS);
	assert_int_equal(l.missed, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_lost_is_no_rate),
		cmocka_unit_test(losses_within_an_rtt_are_one_event),
		cmocka_unit_test(without_an_rtt_each_loss_counts),
		cmocka_unit_test(the_mean_is_weighed),
		cmocka_unit_test(history_is_discounted),
		cmocka_unit_test(discounts_stay_and_add_up),
		cmocka_unit_test(the_rfc_says_the_same),
		cmocka_unit_test(eight_intervals_are_kept),
		cmocka_unit_test(the_first_interval_is_of_the_rate),
		cmocka_unit_test(a_round_ends_when_the_rtt_is_known),
		cmocka_unit_test(a_mark_is_a_loss_and_says_so),
		cmocka_unit_test(a_probe_is_no_loss),
		cmocka_unit_test(a_long_gap_is_few_events),
		cmocka_unit_test(a_jump_of_the_counter_is_one_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
