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

/* A window that begins at its ceiling, as one does whose lane the disk knows further than the rest
 * of its key: nothing passes before control has heard of it.
 */
static void
a_window_at_its_ceiling_asks_until_it_is_heard(void **state)
{
	struct replay *r = window_new(64, true, 5000);
	bool ask;

	r->mark = 0;
	r->ceiling = 5000;
	for (int k = 0; k < 3; k++) {
		assert_int_equal(replay_accept(r, 5001 + k), DROP_SEQ_WAIT);
		assert_false(replay_stopped(r, 5001 + k, &ask));
		assert_true(ask);
		replay_ask_again(r);
	}
	assert_false(replay_stopped(r, 5004, &ask));
	assert_true(ask);
	assert_false(replay_stopped(r, 5005, &ask));
	assert_false(ask);
	free(r);
}

/* Two windows of one history: one asked number by number, one by runs where it takes them. */
static void
a_run_leaves_what_its_numbers_would(void **state)
{
	static const uint32_t windows[] = { 32, 64, 100, 1024, 4096 };

	for (size_t k = 0; k < RTE_DIM(windows); k++) {
		struct replay *one = window_new(windows[k], true, 5000),
			      *runs = window_new(windows[k], true, 5000);
		uint64_t next = 5001;

		for (uint32_t i = 0; i < 2000; i++) {
			uint32_t n = 1 + i * 7 % 64;

			if (i % 5 == 0)
				next += i % 3 * 31;
			if (!replay_accept_run(runs, next, n))
				for (uint32_t j = 0; j < n; j++)
					assert_int_equal(replay_accept(runs, next + j), DROP_NONE);
			for (uint32_t j = 0; j < n; j++)
				assert_int_equal(replay_accept(one, next + j), DROP_NONE);
			next += n;
			assert_true(one->top == runs->top);
			for (uint64_t seq = next - windows[k]; seq < next; seq++)
				assert_int_equal(replay_seen(one, seq), replay_seen(runs, seq));
		}
		free(one);
		free(runs);
	}
}

static void
only_a_run_of_the_next_numbers_is_taken(void **state)
{
	struct replay *r = window_new(64, true, 100);

	assert_false(replay_accept_run(r, 102, 2)); /* one is missing */
	assert_false(replay_accept_run(r, 100, 2)); /* one is known */
	r->mark = 110;
	assert_false(replay_accept_run(r, 101, 11)); /* one is above the ceiling */
	assert_true(r->top == 100);
	assert_true(replay_accept_run(r, 101, 10));
	assert_true(r->top == 110);
	assert_int_equal(replay_accept(r, 110), DROP_REPLAY_DUP);
	free(r);
	r = window_new(64, true, UINT64_MAX - 2);
	assert_false(replay_accept_run(r, UINT64_MAX - 1, 3)); /* there is no 2^64 */
	assert_true(replay_accept_run(r, UINT64_MAX - 1, 2));
	assert_true(r->top == UINT64_MAX);
	free(r);
	r = window_new(0, true, 100);
	assert_false(replay_accept_run(r, 101, 2)); /* it is off */
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
		cmocka_unit_test(a_window_at_its_ceiling_asks_until_it_is_heard),
		cmocka_unit_test(a_run_leaves_what_its_numbers_would),
		cmocka_unit_test(only_a_run_of_the_next_numbers_is_taken),
		cmocka_unit_test(counts_stop_at_the_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
