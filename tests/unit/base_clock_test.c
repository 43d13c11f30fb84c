#include "unit.h"

#include "base/clock.h"

static void
cycles_become_nanoseconds(void **state)
{
	static const struct {
		const char *what;
		uint64_t hz, seconds;
	} cases[] = {
		{ "2.6 GHz, one second", 2600000000, 1 },
		{ "2.6 GHz, ten years", 2600000000, 315360000 },
		{ "25 MHz, a hundred years", 25000000, 3153600000 },
		{ "5 GHz, a hundred years", 5000000000, 3153600000 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint64_t factor =
			(uint64_t)(((unsigned __int128)NS_PER_SECOND << 32) / cases[i].hz);
		uint64_t want = cases[i].seconds * NS_PER_SECOND;
		uint64_t got = clock_scale(cases[i].hz * cases[i].seconds, factor);

		/* The factor is cut off, so time may lag, by less than 10 in a billion. */
		if (got > want || want - got > want / 100000000 + 1)
			fail_msg("%s: %lu ns instead of %lu", cases[i].what, got, want);
	}
}

static void
stamps_begin_at_zero_and_never_go_back(void **state)
{
	static const struct {
		const char *what;
		uint64_t stamp, now;
	} steps[] = {
		{ "the first stamp is time 0", 1700000000000000000, 0 },
		{ "a later one moves it", 1700000000000005000, 5000 },
		{ "an older one does not", 1700000000000004000, 5000 },
		{ "one before the first does not", 1600000000000000000, 5000 },
		{ "a second later", 1700000001000000000, NS_PER_SECOND },
	};
	struct clock c;

	clock_init(&c, CLOCK_STAMPS);
	assert_int_equal(clock_now(&c), 0);
	for (size_t i = 0; i < RTE_DIM(steps); i++) {
		clock_advance(&c, steps[i].stamp);
		if (clock_now(&c) != steps[i].now)
			fail_msg("%s: %lu", steps[i].what, clock_now(&c));
	}
}

static void
a_stamp_of_zero_is_a_stamp(void **state)
{
	struct clock c;

	clock_init(&c, CLOCK_STAMPS);
	clock_advance(&c, 0);
	clock_advance(&c, 70);
	assert_int_equal(clock_now(&c), 70);
}

static void
a_manual_clock_stands_until_it_is_set(void **state)
{
	struct clock c;

	clock_init(&c, CLOCK_MANUAL);
	assert_int_equal(clock_now(&c), 0);
	clock_set(&c, 12345);
	assert_int_equal(clock_now(&c), 12345);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cycles_become_nanoseconds),
		cmocka_unit_test(stamps_begin_at_zero_and_never_go_back),
		cmocka_unit_test(a_stamp_of_zero_is_a_stamp),
		cmocka_unit_test(a_manual_clock_stands_until_it_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
