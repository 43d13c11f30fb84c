/* The receiver of IP-TFS in a worker that is kept from running. */
#include "iptfs_in_rig.h"

/* For so long the worker does not run; in the middle of a round, or between two. */
static void
away(uint64_t ns, bool between)
{
	clock_ns += ns;
	clock_set(&rig.clock, clock_ns);
	if (between)
		worker_look(rig.w);
}

static int
up_patient(void **state)
{
	up_with(&(struct aggfrag_params) { .on = true,
					   .reorder_window = 3,
					   .drop_time = 5 * WORKER_ROUND_NS },
		0, false);
	return 0;
}

/* What came while the worker did not run is read before what it completes is given up. */
static void
the_worker_was_away(void **state)
{
	for (int between = 0; between < 2; between++) {
		half_a_packet();
		away(300 * MS, between == 1);
		deliver();
		worker_look(rig.w);
		begin(400);
		made.n += 400;
		arrive();
		assert_int_equal(n_left, 3 * between + 1);
		behind_a_hole();
		away(300 * MS, between == 1);
		deliver();
		worker_look(rig.w);
		give(WIRE_AGGFRAG_NEXT_HEADER, made.octets, made.n, 0, number - 1);
		deliver();
		assert_int_equal(n_left, 3 * between + 3);
	}
	expect_drops(DROP_NONE, 0);
}

/* However it is kept from running: as long as it does run, the time comes. */
static void
the_worker_is_slow(void **state)
{
	half_a_packet();
	for (int i = 0; i < 5; i++) {
		expect_drops(DROP_NONE, 0);
		away(20 * MS, true);
		deliver();
	}
	expect_drops(DROP_AGGFRAG_TIMEOUT, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_worker_was_away, up_patient, down),
		cmocka_unit_test_setup_teardown(the_worker_is_slow, up_patient, down),
	};

	if (test_eal_init() < 0 || !pool_make())
		return 1;
	return cmocka_run_group_tests_name("iptfs_away", tests, NULL, NULL);
}
