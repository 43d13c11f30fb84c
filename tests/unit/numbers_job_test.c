#include "numbers_rig.h"

static uint64_t seed = 20260101;

static uint32_t
random32(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 33;
}

/* Resizes of a live key at random, both generations receiving, against one bit per number. */
static void
a_live_window_changes_its_size(void **state)
{
	enum {
		NUMBERS = 400000
	};
	static const uint32_t sizes[] = { 32, 33, 64, 100, 256, 300, 512, 1000, 1024, 4096, 65536 };
	static bool seen[NUMBERS];
	struct numbers_ask ask = gcm("i", true, 1);
	struct numbers *old, *n = attach(&ask);
	uint64_t top = 0, accepted = 0;

	while (top < NUMBERS - 70000) {
		uint32_t window = sizes[random32() % RTE_DIM(sizes)];

		old = n;
		ask.replaces = old;
		if (window == ask.window) {
			n = attach(&ask);
			assert_ptr_equal(n->window, old->window);
		} else {
			ask.window = window;
			n = attach_run(&ask);
			assert_ptr_equal(n->window, old->window);
			assert_int_equal(n->window->window, window);
		}
		for (int k = 0; k < 500; k++) {
			uint64_t number = top + 1 + random32() % 40;
			enum drop_reason why;

			if (random32() % 2 == 0)
				number = top -
					 RTE_MIN(top - (top != 0), (uint64_t)(random32() % window));
			if (number == 0)
				continue;
			why = arrive(random32() % 2 == 0 ? old : n, number);
			if (seen[number])
				assert_int_equal(why, DROP_REPLAY_DUP);
			/* A window that was once narrower still refuses what it had left behind. */
			if (number > top)
				assert_int_equal(why, DROP_NONE);
			if (why == DROP_NONE) {
				seen[number] = true;
				top = RTE_MAX(top, number);
				accepted++;
			}
		}
		assert_true(numbers_used(n, 0) == top);
		numbers_release(reg, old, 0);
	}
	assert_true(accepted > 10000);
	numbers_release(reg, n, 0);
}

/* Jobs made faster than the owner runs them, and windows that three generations hold. */
static void
jobs_are_run_in_their_order(void **state)
{
	struct numbers_ask ask = gcm("i", true, 1);
	struct numbers *n[4];
	struct numbers_job *jobs[3];
	struct numbers_totals before, after;
	uint64_t seq;

	n[0] = attach(&ask);
	assert_int_equal(arrive(n[0], 40), DROP_NONE);
	numbers_totals(reg, &before);
	ask.window = 1024;
	ask.replaces = n[0];
	assert_int_equal(numbers_attach(reg, &ask, &n[1], &jobs[0], &err), 0);
	ask.window = 65536;
	ask.replaces = n[1];
	numbers_leaving(n[0], true);
	assert_int_equal(numbers_attach(reg, &ask, &n[2], &jobs[1], &err), 0);
	assert_int_equal(arrive(n[0], 41), DROP_NONE);
	assert_int_equal(numbers_used(n[2], 0), 41);
	ask.start = 60;
	ask.window = 128;
	ask.replaces = n[2];
	numbers_leaving(n[1], true);
	assert_int_equal(numbers_attach(reg, &ask, &n[3], &jobs[2], &err), 0);
	assert_int_equal(numbers_used(n[3], 0), 60);
	for (int k = 0; k < 3; k++)
		job_run(jobs[k]);
	for (int k = 0; k < 3; k++)
		numbers_job_done(reg, jobs[k], 0);
	for (int k = 0; k < 4; k++)
		assert_int_equal(arrive(n[k], 60), DROP_REPLAY_DUP);
	/* The middle ones go first. */
	numbers_release(reg, n[2], 0);
	numbers_release(reg, n[1], 0);
	assert_int_equal(arrive(n[0], 61), DROP_NONE);
	assert_int_equal(replay_check(n[3]->window, 61, &seq), DROP_REPLAY_DUP);
	numbers_release(reg, n[0], 0);
	assert_int_equal(arrive(n[3], 61), DROP_REPLAY_DUP);
	assert_int_equal(arrive(n[3], 62), DROP_NONE);
	numbers_release(reg, n[3], 0);
	numbers_totals(reg, &after);
	assert_int_equal(after.in_use, 0);
	assert_true(after.bytes < before.bytes);
}

static void
a_job_outlives_its_sa(void **state)
{
	struct numbers_ask ask = gcm("i", true, 1);
	struct numbers *first = attach(&ask), *second;
	struct numbers_job *job;

	assert_int_equal(arrive(first, 40), DROP_NONE);
	ask.window = 128;
	ask.start = 90;
	ask.replaces = first;
	assert_int_equal(numbers_attach(reg, &ask, &second, &job, &err), 0);
	numbers_release(reg, first, 0);
	numbers_release(reg, second, 0);
	job_run(job);
	numbers_job_done(reg, job, 0);
	ask.start = 0;
	ask.replaces = NULL;
	first = attach(&ask);
	assert_int_equal(numbers_used(first, 0), 90);
	numbers_release(reg, first, 0);
}

static void
a_cancelled_job_changes_nothing(void **state)
{
	struct numbers_ask ask = gcm("i", true, 1);
	struct numbers *first = attach(&ask), *second;
	struct replay *window = first->window;
	struct numbers_job *job;

	assert_int_equal(arrive(first, 40), DROP_NONE);
	ask.window = 128;
	ask.start = 90;
	ask.replaces = first;
	assert_int_equal(numbers_attach(reg, &ask, &second, &job, &err), 0);
	numbers_job_cancel(reg, job);
	numbers_release(reg, second, 0);
	assert_ptr_equal(first->window, window);
	assert_int_equal(window->window, 64);
	assert_int_equal(arrive(first, 41), DROP_NONE);
	assert_int_equal(numbers_used(first, 0), 41);
	numbers_release(reg, first, 0);
}

static void
esn_may_be_switched_on_a_live_key(void **state)
{
	struct numbers_ask ask = gcm("i", true, 1);
	struct numbers *first, *second;

	ask.esn = NO_ESN;
	first = attach(&ask);
	assert_int_equal(arrive(first, UINT32_MAX), DROP_NONE);
	assert_int_equal(arrive(first, 5), DROP_REPLAY_OLD);
	ask.esn = true;
	ask.replaces = first;
	second = attach_run(&ask);
	assert_int_equal(arrive(second, UINT32_MAX), DROP_REPLAY_DUP);
	assert_int_equal(arrive(second, (UINT64_C(1) << 32) + 5), DROP_NONE);
	assert_true(numbers_used(second, 0) == (UINT64_C(1) << 32) + 5);
	numbers_release(reg, first, 0);
	numbers_release(reg, second, 0);
}

static void
due_run(void)
{
	struct numbers_job *job = numbers_due(reg);

	assert_non_null(job);
	job_run(job);
	numbers_job_done(reg, job, 0);
	assert_false(numbers_is_due(reg));
}

/* The SA before takes nothing for new, on the strength of a setting that another was to have. */
static void
a_window_that_was_not_to_be_leaves_the_one_before(void **state)
{
	struct numbers_ask ask = gcm("i", true, 1);
	struct numbers *first, *second;

	ask.esn = NO_ESN;
	first = attach(&ask);
	assert_int_equal(arrive(first, 5), DROP_NONE);
	assert_int_equal(arrive(first, 5000), DROP_NONE);
	ask.esn = true;
	ask.window = 128;
	ask.replaces = first;
	second = attach_run(&ask);
	numbers_release(reg, second, 0);
	due_run();
	assert_int_equal(first->window->window, 64);
	assert_false(first->window->esn);
	assert_int_equal(arrive(first, 5), DROP_REPLAY_OLD);
	assert_int_equal(arrive(first, 5000), DROP_REPLAY_DUP);
	assert_int_equal(arrive(first, 5001), DROP_NONE);
	/* The same again, with the change asked for anew before the first was taken back. */
	second = attach_run(&ask);
	numbers_release(reg, second, 0);
	assert_true(numbers_is_due(reg));
	second = attach_run(&ask);
	due_run();
	assert_int_equal(second->window->window, 128);
	assert_true(second->window->esn);
	assert_int_equal(arrive(second, 5001), DROP_REPLAY_DUP);
	numbers_release(reg, first, 0);
	numbers_release(reg, second, 0);
}

static void
esn_that_was_not_to_be_leaves_the_end_before(void **state)
{
	struct numbers_ask ask = gcm("o", false, 1);
	struct numbers *first, *second;

	ask.esn = NO_ESN;
	first = attach(&ask);
	lane_raise(first->lane, UINT32_MAX - 2);
	ask.esn = true;
	ask.replaces = first;
	second = attach(&ask);
	/* An owner that has just looked at the end. */
	assert_true(take(first->lane, 1) == UINT32_MAX - 1);
	numbers_release(reg, second, 0);
	due_run();
	assert_true(take(first->lane, 1) == UINT32_MAX);
	assert_int_equal(take(first->lane, 1), 0);
	assert_true(numbers_spent(first));
	numbers_release(reg, first, 0);
}

/* One that had lanes once: its SA of now has the first alone, and 32 bits for numbers. */
static void
a_key_that_had_lanes_is_one_of_its_sa(void **state)
{
	struct numbers_ask plain = gcm("o", false, 1), ask = plain;
	const uint64_t second = UINT64_C(1) << LANE_ID_SHIFT;
	struct numbers *n;

	ask.subspaces = true;
	ask.lanes = 2;
	n = attach(&ask);
	lane_raise(&n->lane[1], second + 5);
	numbers_release(reg, n, 0);
	plain.esn = false;
	n = attach(&plain);
	numbers_owner_set(n, 2);
	assert_int_equal(n->worker, 2);
	assert_false(numbers_low(n));
	lane_raise(n->lane, UINT32_MAX - 100);
	assert_true(numbers_low(n));
	assert_false(numbers_spent(n));
	lane_raise(n->lane, UINT32_MAX);
	assert_true(numbers_spent(n));
	assert_int_equal(take(n->lane, 1), 0);
	numbers_release(reg, n, 0);
	n = attach(&ask);
	assert_true(take(&n->lane[1], 1) == second + 6);
	numbers_release(reg, n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NUMBERS_TEST(a_key_that_had_lanes_is_one_of_its_sa),
		NUMBERS_TEST(a_live_window_changes_its_size),
		NUMBERS_TEST(jobs_are_run_in_their_order),
		NUMBERS_TEST(a_job_outlives_its_sa),
		NUMBERS_TEST(a_cancelled_job_changes_nothing),
		NUMBERS_TEST(esn_may_be_switched_on_a_live_key),
		NUMBERS_TEST(a_window_that_was_not_to_be_leaves_the_one_before),
		NUMBERS_TEST(esn_that_was_not_to_be_leaves_the_end_before),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
