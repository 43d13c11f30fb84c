/* The search for a path MTU, on a path that is played: no packet, and a clock of the test's. */
#include "unit.h"

#include <stdio.h>

#include "pmtu/prober.h"
#include <rte_common.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define AGE    (600 * SECOND)

/* What happens to probes. */
struct road {
	uint16_t carries; /* the largest that comes through; larger ones vanish */
	uint64_t rtt;
	uint32_t lose_every; /* every n-th is lost whatever its size; 0: none */
	bool silent;	     /* nobody answers */
};

struct run {
	struct prober prober;
	struct road road;
	uint64_t now;
	uint32_t sent;
	uint64_t lowered_at; /* when the size in use last fell */
	bool answered_last;
	uint16_t raised_after; /* the size in use rose: how often in a row that size had passed */
	uint16_t in_row, last_size;
};

/* Sends what is due, if it is due before `until`. */
static bool
step(struct run *r, uint64_t until)
{
	struct prober *p = &r->prober;
	uint16_t was = p->mtu, size = p->size;
	bool passes, changed;

	if (p->state == PROBER_OFF || p->due > until)
		return false;
	if (p->due > r->now)
		r->now = p->due;
	r->sent++;
	passes = !r->road.silent && size <= r->road.carries &&
		 (r->road.lose_every == 0 || r->sent % r->road.lose_every != 0);
	r->in_row = passes && size == r->last_size ? r->in_row + 1 : passes;
	r->last_size = size;
	if (passes) {
		r->now += r->road.rtt;
		changed = prober_answered(p, r->road.rtt, r->now);
	} else {
		r->now += prober_timeout(p);
		changed = prober_lost(p, r->now);
	}
	assert_int_equal(changed, p->mtu != was);
	assert_true(p->mtu >= p->floor && p->mtu <= p->ceiling);
	if (p->mtu < was)
		r->lowered_at = r->now;
	if (p->mtu > was)
		r->raised_after = r->in_row;
	return true;
}

static void
play(struct run *r, uint64_t time)
{
	uint64_t until = r->now + time;

	while (step(r, until) && r->now < until)
		;
	if (r->now < until)
		r->now = until;
}

static const struct {
	const char *what;
	bool v6;
	uint16_t floor, ceiling, carries;
	uint64_t rtt;
	enum prober_state state; /* in the end */
	uint16_t at_least;	 /* what is found; at most: carries */
} roads[] = {
	{ "a path that carries all", false, 1280, 1500, 1500, MS, PROBER_COMPLETE, 1500 },
	{ "PPPoE", false, 1280, 1500, 1492, 5 * MS, PROBER_COMPLETE, 1476 },
	{ "a tunnel on the way", false, 1280, 1500, 1400, 20 * MS, PROBER_COMPLETE, 1384 },
	{ "one octet more than the base", false, 1280, 1500, 1281, MS, PROBER_COMPLETE, 1280 },
	{ "exactly the base", false, 1280, 1500, 1280, MS, PROBER_COMPLETE, 1280 },
	{ "IPv6's least", true, 1280, 1500, 1280, 40 * MS, PROBER_COMPLETE, 1280 },
	{ "jumbo frames", false, 1280, 9000, 9000, MS, PROBER_COMPLETE, 9000 },
	{ "jumbo frames, but not all the way", false, 1280, 9000, 1500, MS, PROBER_COMPLETE, 1484 },
	{ "a slow path", false, 1280, 1500, 1400, 200 * MS, PROBER_COMPLETE, 1384 },
	{ "less than the base, more than the floor", false, 576, 1500, 1000, MS, PROBER_COMPLETE,
	  984 },
	{ "less than the floor: never below it", false, 1280, 1500, 1000, MS, PROBER_BASE, 1280 },
	{ "a ceiling below the base", false, 576, 1000, 1000, MS, PROBER_COMPLETE, 1000 },
};

static void
black_holes_are_found_within_ten_seconds(void **state)
{
	for (size_t i = 0; i < RTE_DIM(roads); i++) {
		struct run r = { .road = { roads[i].carries, roads[i].rtt, 0, false } };
		const struct prober *p = &r.prober;
		uint16_t at_most =
			roads[i].carries > roads[i].floor ? roads[i].carries : roads[i].floor;

		prober_begin(&r.prober, roads[i].v6, roads[i].floor, roads[i].ceiling,
			     roads[i].ceiling, AGE, 0);
		play(&r, 10 * SECOND);
		if (p->state != roads[i].state || p->mtu < roads[i].at_least || p->mtu > at_most)
			fail_msg("%s: %u in state %u", roads[i].what, p->mtu, p->state);
		if (r.sent > 60)
			fail_msg("%s: %u probes", roads[i].what, r.sent);
	}
}

static void
a_black_hole_that_comes_later_is_found_too(void **state)
{
	struct run r = { .road = { 1500, 10 * MS, 0, false } };
	uint64_t came;

	prober_begin(&r.prober, false, 1280, 1500, 1500, AGE, 0);
	play(&r, 30 * SECOND);
	assert_int_equal(r.prober.state, PROBER_COMPLETE);
	assert_int_equal(r.prober.mtu, 1500);
	r.road.carries = 1400;
	came = r.now;
	play(&r, 10 * SECOND);
	assert_in_range(r.prober.mtu, 1384, 1400);
	/* What certainly passes is used before the search is over. */
	assert_true(r.lowered_at - came < 5 * SECOND);
}

static void
larger_sizes_come_back_after_the_age_and_two_answers(void **state)
{
	struct run r = { .road = { 1400, 10 * MS, 0, false } };

	prober_begin(&r.prober, false, 1280, 1500, 1500, AGE, 0);
	play(&r, 20 * SECOND);
	assert_in_range(r.prober.mtu, 1384, 1400);
	r.road.carries = 1500;
	play(&r, AGE / SECOND / 2 * SECOND);
	assert_in_range(r.prober.mtu, 1384, 1400);
	play(&r, AGE);
	assert_int_equal(r.prober.mtu, 1500);
	assert_int_equal(r.raised_after, PROBER_CONFIRMS);
}

static void
a_silent_peer_changes_nothing_and_costs_little(void **state)
{
	struct run r = { .road = { 1500, MS, 0, true } };

	prober_begin(&r.prober, false, 1280, 1500, 1500, AGE, 0);
	play(&r, 600 * SECOND);
	assert_int_equal(r.prober.mtu, 1500);
	assert_true(r.sent <= 66);
}

static void
a_peer_that_goes_away_changes_nothing(void **state)
{
	struct run r = { .road = { 1400, MS, 0, false } };
	uint16_t found;

	prober_begin(&r.prober, false, 1280, 1500, 1500, AGE, 0);
	play(&r, 20 * SECOND);
	found = r.prober.mtu;
	r.road.silent = true;
	play(&r, 100 * SECOND);
	assert_int_equal(r.prober.mtu, found);
	r.road.silent = false;
	play(&r, 20 * SECOND);
	assert_int_equal(r.prober.mtu, found);
	assert_int_equal(r.prober.state, PROBER_COMPLETE);
}

/* One of three tries is enough. */
static void
a_lossy_path_is_no_black_hole(void **state)
{
	for (uint32_t every = 2; every < 12; every++) {
		struct run r = { .road = { 1500, 10 * MS, every, false } };

		prober_begin(&r.prober, false, 1280, 1500, 1500, AGE, 0);
		play(&r, 120 * SECOND);
		assert_int_equal(r.prober.mtu, 1500);
	}
}

static void
a_hint_is_tried_and_a_lie_found_out(void **state)
{
	struct run r = { .road = { 1500, 10 * MS, 0, false } };

	prober_begin(&r.prober, false, 1280, 1500, 1500, AGE, 0);
	play(&r, 10 * SECOND);
	/* Somebody who cannot prove it. */
	prober_hint(&r.prober, 1300, r.now);
	play(&r, 10 * SECOND);
	assert_int_equal(r.prober.mtu, 1500);
	/* Now it is true: exactly that size is found, which no halving hits. */
	r.road.carries = 1337;
	prober_hint(&r.prober, 1337, r.now);
	play(&r, 10 * SECOND);
	assert_int_equal(r.prober.mtu, 1337);
	/* Nonsense is no size. */
	prober_hint(&r.prober, 0, r.now);
	prober_hint(&r.prober, 68, r.now);
	prober_hint(&r.prober, UINT16_MAX, r.now);
	play(&r, 10 * SECOND);
	assert_int_equal(r.prober.mtu, 1337);
}

static void
what_was_obeyed_and_is_a_lie_is_mended(void **state)
{
	struct run r = { .road = { 1500, 10 * MS, 0, false } };

	prober_begin(&r.prober, false, 1280, 1500, 1500, AGE, 0);
	play(&r, 10 * SECOND);
	prober_moved(&r.prober, 1300, r.now);
	assert_int_equal(r.prober.mtu, 1300);
	play(&r, 5 * SECOND);
	assert_int_equal(r.prober.mtu, 1500);
	assert_int_equal(r.raised_after, PROBER_CONFIRMS);
	/* And what is none stays. */
	r.road.carries = 1300;
	prober_moved(&r.prober, 1300, r.now);
	play(&r, 10 * SECOND);
	assert_int_equal(r.prober.mtu, 1300);
}

static void
a_link_that_grows_narrow_binds_at_once(void **state)
{
	struct run r = { .road = { 1500, 10 * MS, 0, false } };

	prober_begin(&r.prober, false, 1280, 1500, 1500, AGE, 0);
	play(&r, 10 * SECOND);
	prober_ceiling(&r.prober, 1400, r.now);
	assert_int_equal(r.prober.mtu, 1400);
	play(&r, 10 * SECOND);
	assert_int_equal(r.prober.mtu, 1400);
	prober_ceiling(&r.prober, 1500, r.now);
	play(&r, 10 * SECOND);
	assert_int_equal(r.prober.mtu, 1500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(black_holes_are_found_within_ten_seconds),
		cmocka_unit_test(a_black_hole_that_comes_later_is_found_too),
		cmocka_unit_test(larger_sizes_come_back_after_the_age_and_two_answers),
		cmocka_unit_test(a_silent_peer_changes_nothing_and_costs_little),
		cmocka_unit_test(a_peer_that_goes_away_changes_nothing),
		cmocka_unit_test(a_lossy_path_is_no_black_hole),
		cmocka_unit_test(a_hint_is_tried_and_a_lie_found_out),
		cmocka_unit_test(what_was_obeyed_and_is_a_lie_is_mended),
		cmocka_unit_test(a_link_that_grows_narrow_binds_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
