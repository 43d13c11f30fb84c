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

static void
a_lane_gives_numbers_up_to_its_limit(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct lane l;
		uint64_t seq = 0;
		bool taken;

		lane_init(&l, cases[i].used);
		assert_int_equal(lane_used(&l), cases[i].used);
		taken = lane_take(&l, cases[i].end, &seq);
		if (taken != cases[i].want || seq != cases[i].seq ||
		    lane_used(&l) != cases[i].used + cases[i].want)
			fail_msg("%s", cases[i].what);
	}
}

static void
the_last_number_ends_the_lane(void **state)
{
	for (int esn = 0; esn < 2; esn++) {
		uint64_t seq, last = seq_last(esn);
		struct lane l;

		lane_init(&l, last - 3);
		for (int i = 2; i >= 0; i--) {
			assert_true(lane_take(&l, last, &seq));
			assert_true(seq == last - i);
		}
		for (int i = 0; i < 1000; i++)
			assert_false(lane_take(&l, last, &seq));
		assert_true(lane_used(&l) == last);
		lane_raise(&l, 0);
		assert_false(lane_take(&l, last, &seq));
	}
}

static void
a_lane_is_never_lowered(void **state)
{
	struct lane l;
	uint64_t seq;

	lane_init(&l, 10);
	lane_raise(&l, 9);
	assert_true(lane_take(&l, UINT64_MAX, &seq));
	assert_int_equal(seq, 11);
	lane_raise(&l, 100);
	assert_true(lane_take(&l, UINT64_MAX, &seq));
	assert_int_equal(seq, 101);
	lane_raise(&l, UINT64_MAX);
	assert_false(lane_take(&l, UINT64_MAX, &seq));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lane_gives_numbers_up_to_its_limit),
		cmocka_unit_test(the_last_number_ends_the_lane),
		cmocka_unit_test(a_lane_is_never_lowered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
