/* Windows of subspaces, ceilings and limits. */
#include "unit.h"

#include <malloc.h>
#include <stdalign.h>
#include <stdbool.h>

#include "replay/replay.h"
#include "seq/seq.h"

static struct replay *
window_new(uint32_t window, bool esn, uint64_t top)
{
	struct replay *r = memalign(alignof(struct replay), replay_size(window));

	assert_non_null(r);
	replay_init(r, window, esn, top);
	return r;
}

/* Whole numbers, those of subspaces, against the same window that is given low halves. */
static void
a_whole_number_needs_no_guess(void **state)
{
	for (uint64_t id = 0; id < 3; id++) {
		const uint64_t base = id << 48;
		struct replay *r = window_new(128, true, base);

		assert_int_equal(replay_check_whole(r, base), DROP_REPLAY_ZERO);
		assert_int_equal(replay_check_whole(r, base + 1), DROP_NONE);
		assert_int_equal(replay_accept(r, base + 1), DROP_NONE);
		assert_int_equal(replay_check_whole(r, base + 1), DROP_REPLAY_DUP);
		/* However far: nothing is inferred. */
		assert_int_equal(replay_check_whole(r, base + (UINT64_C(1) << 40)), DROP_NONE);
		assert_int_equal(replay_accept(r, base + (UINT64_C(1) << 40)), DROP_NONE);
		assert_int_equal(replay_check_whole(r, base + 2), DROP_REPLAY_OLD);
		assert_int_equal(replay_check_whole(r, base), DROP_REPLAY_ZERO);
		assert_int_equal(replay_check_whole(r, base + (UINT64_C(1) << 40) - 127),
				 DROP_NONE);
		assert_int_equal(replay_check_whole(r, base + (UINT64_C(1) << 40) - 128),
				 DROP_REPLAY_OLD);
		assert_int_equal(replay_accept(r, base + LANE_SN_MAX), DROP_NONE);
		assert_int_equal(replay_check_whole(r, base + LANE_SN_MAX), DROP_REPLAY_DUP);
		free(r);
	}
}

/* Nothing above the ceiling passes; control is asked once for each. */
static void
a_ceiling_holds_until_it_is_raised(void **state)
{
	struct replay *r = window_new(64, true, 1000);
	uint32_t asked = 0;
	bool ask;

	r->mark = 0;
	r->ceiling = 1100;
	r->ask_shift = 5;
	for (uint64_t seq = 1001; seq <= 1100; seq++) {
		if (replay_accept(r, seq) == DROP_NONE)
			continue;
		assert_true(replay_stopped(r, seq, &ask));
		asked += ask;
		if (ask)
			assert_int_equal(seq, 1100 - 32 + 1);
		assert_int_equal(replay_accept(r, seq), DROP_NONE);
	}
	assert_int_equal(asked, 1);
	assert_int_equal(replay_accept(r, 1101), DROP_SEQ_WAIT);
	assert_false(replay_stopped(r, 1101, &ask));
	assert_false(ask);
	assert_int_equal(replay_top(r), 1100);
	r->ceiling = 1200;
	assert_int_equal(replay_accept(r, 1150), DROP_SEQ_WAIT);
	assert_true(replay_stopped(r, 1150, &ask));
	assert_false(ask);
	assert_int_equal(replay_accept(r, 1150), DROP_NONE);
	/* A leap over the place to ask at; control cannot be told at first. */
	for (int k = 0; k < 3; k++) {
		assert_int_equal(replay_accept(r, 1190 + k), DROP_SEQ_WAIT);
		assert_true(replay_stopped(r, 1190 + k, &ask));
		assert_true(ask);
		replay_ask_again(r);
	}
	assert_false(replay_stopped(r, 1201, &ask));
	assert_true(ask);
	assert_int_equal(replay_accept(r, 1200), DROP_NONE);
	free(r);
}

static void
counts_stop_at_the_limits(void **state)
{
	struct replay_limits limits = {
		.packets_end = 3,
		.bytes_end = UINT64_MAX,
		.packets_why = DROP_EXPIRED,
		.bytes_why = DROP_SEQ_WAIT,
	};
	struct replay *r = window_new(64, true, 0);

	assert_true(replay_count_run(r, 1, 100));
	r->limits = &limits;
	assert_false(replay_count_run(r, 1, 100)); /* asks for each */
	assert_int_equal(replay_count(r, 100), DROP_NONE);
	assert_int_equal(replay_count(r, 100), DROP_NONE);
	assert_int_equal(replay_count(r, 100), DROP_EXPIRED);
	limits.packets_end = UINT64_MAX;
	limits.bytes_end = 450;
	assert_int_equal(replay_count(r, 100), DROP_NONE);
	assert_int_equal(replay_count(r, 51), DROP_SEQ_WAIT);
	assert_int_equal(replay_count(r, 50), DROP_NONE);
	assert_int_equal(r->packets, 5);
	assert_int_equal(r->bytes, 450);
	assert_int_equal(limits.refused[0], 0);
	assert_int_equal(limits.refused[1], 1);
	free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_number_needs_no_guess),
		cmocka_unit_test(a_ceiling_holds_until_it_is_raised),
		cmocka_unit_test(counts_stop_at_the_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
