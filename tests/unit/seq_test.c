#include "unit.h"

#include <stdbool.h>
#include <stdio.h>

#include "seq/seq.h"

static const struct {
	const char *what;
	uint64_t used, end;
	bool want;
	uint64_t seq;
} cases[] = {
	{ "the first number of a lane is 1", 0, UINT64_MAX, true, 1 },
	{ "nothing is taken where the limit is 0", 0, 0, false, 0 },
	{ "the limit itself is still sent", 41, 42, true, 42 },
	{ "nothing is taken above the limit", 42, 42, false, 0 },
	{ "nor where the limit came to lie below", 42, 7, false, 0 },
	{ "without ESN 2^32-1 is sent", UINT32_MAX - 1, UINT32_MAX, true, UINT32_MAX },
	{ "and nothing behind it", UINT32_MAX, UINT32_MAX, false, 0 },
	{ "with ESN the low half wraps", UINT32_MAX, UINT64_MAX, true, UINT64_C(1) << 32 },
	{ "with ESN 2^64-1 is sent", UINT64_MAX - 1, UINT64_MAX, true, UINT64_MAX },
	{ "and nothing behind it: 0 is never sent", UINT64_MAX, UINT64_MAX, false, 0 },
};

/* The next number for a packet of 100 octets, 0 where there is none; *why then says so. */
static uint64_t
take(struct lane *l, enum drop_reason *why, bool *ask)
{
	uint64_t seq = 0;

	*ask = false;
	*why = DROP_NONE;
	if (lane_take(l, 100, &seq))
		return seq;
	*why = lane_stopped(l, 100, ask);
	if (*why == DROP_NONE)
		assert_true(lane_take(l, 100, &seq));
	return seq;
}

static void
a_lane_gives_numbers_up_to_its_limit(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		enum drop_reason why;
		struct lane l;
		uint64_t seq;
		bool ask;

		lane_init(&l, cases[i].used, cases[i].end);
		assert_int_equal(lane_used(&l), cases[i].used);
		seq = take(&l, &why, &ask);
		if ((seq != 0) != cases[i].want || seq != cases[i].seq || ask ||
		    lane_used(&l) != cases[i].used + cases[i].want)
			fail_msg("%s", cases[i].what);
		assert_int_equal(why, cases[i].want ? DROP_NONE : DROP_SEQ_EXHAUSTED);
		assert_int_equal(l.packets, cases[i].want);
		assert_int_equal(l.bytes, cases[i].want ? 100 : 0);
	}
}

static void
the_last_number_ends_the_lane(void **state)
{
	const uint64_t lasts[] = { seq_last(false), seq_last(true), lane_last(0), lane_last(1),
				   lane_last(UINT16_MAX) };

	for (size_t k = 0; k < RTE_DIM(lasts); k++) {
		uint64_t last = lasts[k];
		enum drop_reason why;
		struct lane l;
		bool ask;

		lane_init(&l, last - 3, last);
		for (int i = 2; i >= 0; i--)
			assert_true(take(&l, &why, &ask) == last - i);
		for (int i = 0; i < 1000; i++)
			assert_int_equal(take(&l, &why, &ask), 0);
		assert_int_equal(why, DROP_SEQ_EXHAUSTED);
		assert_true(lane_used(&l) == last);
		lane_raise(&l, 0);
		assert_int_equal(take(&l, &why, &ask), 0);
	}
}

static void
a_lane_is_never_lowered(void **state)
{
	enum drop_reason why;
	struct lane l;
	bool ask;

	lane_init(&l, 10, UINT64_MAX);
	lane_raise(&l, 9);
	assert_int_equal(take(&l, &why, &ask), 11);
	lane_raise(&l, 100);
	assert_int_equal(take(&l, &why, &ask), 101);
	lane_raise(&l, UINT64_MAX);
	assert_int_equal(take(&l, &why, &ask), 0);
}

/* What control may say, and what the owner makes of it. */
static void
the_reason_is_that_of_the_end(void **state)
{
	static const struct {
		const char *what;
		uint8_t why;
		enum drop_reason want;
	} ends[] = {
		{ "no number is left", LANE_END_SPACE, DROP_SEQ_EXHAUSTED },
		{ "the key's lifetime is over", LANE_END_LIMIT, DROP_EXPIRED },
		{ "more credit may come", LANE_END_CREDIT, DROP_SEQ_WAIT },
		{ "more may be reserved", LANE_END_RESERVE, DROP_SEQ_WAIT },
	};

	for (size_t i = 0; i < RTE_DIM(ends); i++) {
		enum drop_reason why;
		struct lane l;
		bool ask;

		lane_init(&l, 7, UINT64_MAX);
		l.end = 7;
		l.why = ends[i].why;
		lane_recheck(&l);
		assert_int_equal(take(&l, &why, &ask), 0);
		if (why != ends[i].want)
			fail_msg("%s: %s", ends[i].what, drop_names[why].name);
		/* What is raised counts at once. */
		l.end = 8;
		assert_int_equal(take(&l, &why, &ask), 8);
		assert_int_equal(take(&l, &why, &ask), 0);
		assert_int_equal(why, ends[i].want);
	}
}

static void
octets_end_a_lane_too(void **state)
{
	enum drop_reason why;
	struct lane l;
	bool ask;

	lane_init(&l, 0, UINT64_MAX);
	l.bytes_end = 250;
	l.bytes_why = LANE_END_LIMIT;
	assert_int_equal(take(&l, &why, &ask), 1);
	assert_int_equal(take(&l, &why, &ask), 2);
	assert_int_equal(take(&l, &why, &ask), 0);
	assert_int_equal(why, DROP_EXPIRED);
	assert_int_equal(l.bytes, 200);
	l.bytes_why = LANE_END_CREDIT;
	assert_int_equal(take(&l, &why, &ask), 0);
	assert_int_equal(why, DROP_SEQ_WAIT);
	l.bytes_end = 300;
	assert_int_equal(take(&l, &why, &ask), 3);
}

static void
a_run_is_taken_whole_or_not(void **state)
{
	static const struct {
		const char *what;
		uint64_t used, end, bytes_end;
		uint32_t n;
		bool want;
	} runs[] = {
		{ "far from any end", 41, UINT64_MAX, UINT64_MAX, 32, true },
		{ "up to the limit itself", 41, 73, UINT64_MAX, 32, true },
		{ "not one beyond it", 41, 72, UINT64_MAX, 32, false },
		{ "nor where the limit came to lie below", 41, 7, UINT64_MAX, 2, false },
		{ "nor where 64 bits end", UINT64_MAX - 1, UINT64_MAX, UINT64_MAX, 2, false },
		{ "nor behind the last of all", UINT64_MAX, UINT64_MAX, UINT64_MAX, 1, false },
		{ "as many octets as are left", 41, UINT64_MAX, 3200, 32, true },
		{ "not one more", 41, UINT64_MAX, 3199, 32, false },
	};

	for (size_t i = 0; i < RTE_DIM(runs); i++) {
		uint64_t seq = 0;
		struct lane l;

		lane_init(&l, runs[i].used, runs[i].end);
		l.bytes_end = runs[i].bytes_end;
		if (lane_take_run(&l, runs[i].n, runs[i].n * 100, &seq) != runs[i].want ||
		    seq != (runs[i].want ? runs[i].used + 1 : 0) ||
		    lane_used(&l) != runs[i].used + (runs[i].want ? runs[i].n : 0) ||
		    l.packets != (runs[i].want ? runs[i].n : 0) || l.bytes != l.packets * 100)
			fail_msg("%s", runs[i].what);
	}
}

/* A reservation of 100 that is raised in time, then not; and a ring to control that is full. */
static void
more_is_asked_for_once_a_reservation(void **state)
{
	enum drop_reason why;
	uint32_t asked = 0;
	struct lane l;
	bool ask;

	lane_init(&l, 1000, UINT64_MAX);
	l.why = LANE_END_RESERVE;
	l.end = 1100;
	l.ask_shift = 5;
	lane_recheck(&l);
	for (uint64_t seq = 1001; seq <= 1100; seq++) {
		assert_true(take(&l, &why, &ask) == seq);
		if (ask)
			assert_int_equal(seq, 1100 - 32 + 1);
		asked += ask;
	}
	assert_int_equal(asked, 1);
	assert_int_equal(take(&l, &why, &ask), 0);
	assert_false(ask);
	assert_int_equal(why, DROP_SEQ_WAIT);
	l.end = 1200;
	for (uint64_t seq = 1101; seq <= 1199; seq++) {
		assert_true(take(&l, &why, &ask) == seq);
		if (ask) {
			lane_ask_again(&l);
			asked++;
		}
	}
	assert_int_equal(asked, 2);
	assert_int_equal(take(&l, &why, &ask), 1200);
	/* Where only one is left it is asked for at once. */
	l.end = 1201;
	l.ask_shift = 0;
	assert_int_equal(take(&l, &why, &ask), 1201);
	assert_true(ask);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lane_gives_numbers_up_to_its_limit),
		cmocka_unit_test(the_last_number_ends_the_lane),
		cmocka_unit_test(a_lane_is_never_lowered),
		cmocka_unit_test(the_reason_is_that_of_the_end),
		cmocka_unit_test(octets_end_a_lane_too),
		cmocka_unit_test(a_run_is_taken_whole_or_not),
		cmocka_unit_test(more_is_asked_for_once_a_reservation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
