/* What becomes of what was learnt of a path. */
#include "pmtu_rig.h"

#include <errno.h>

#include "eal.h"

static void
a_path_is_all_its_sas_and_those_that_come(void **state)
{
	const struct message m = { V4, .number = USED, .mtu = 1400 };
	struct bed *b = *state;
	uint32_t one = sa_add(b, V4, 9, 0x1009), two = sa_add(b, V4, 9, 0x2009);
	uint32_t deaf = sa_add(b, OFF, 9, 0x3009), other = sa_add(b, V4, 8, 0x1009);
	uint32_t rekeyed;

	assert_int_equal(take(b, &m), PMTU_COUNT_ICMP_OBEYED);
	assert_int_equal(b->applied, 3);
	assert_int_equal(pmtu_outer(b->pmtu, one, 1500), 1400);
	assert_int_equal(pmtu_outer(b->pmtu, two, 1500), 1400);
	assert_int_equal(pmtu_outer(b->pmtu, deaf, 1500), 1500);
	assert_int_equal(pmtu_outer(b->pmtu, other, 1500), 1500);
	/* What the link or the file says binds, too. */
	assert_int_equal(pmtu_outer(b->pmtu, one, 1300), 1300);
	sa_end(b, one);
	sa_end(b, two);
	rekeyed = sa_add(b, V4, 9, 0x4009);
	assert_int_equal(pmtu_outer(b->pmtu, rekeyed, 1500), 1400);
}

static void
what_is_learnt_is_forgotten_when_it_is_old(void **state)
{
	const struct message m = { V4, .number = USED, .mtu = 1400 };
	struct bed *b = *state;
	uint32_t sa = sa_add(b, V4, 9, 0x1009);
	struct pmtu_view view;

	assert_int_equal(take(b, &m), PMTU_COUNT_ICMP_OBEYED);
	assert_true(pmtu_of_sa(b->pmtu, sa, &view));
	assert_int_equal(view.source, PMTU_ICMP);
	assert_int_equal(view.until, b->now + AGE_S * NS_PER_SECOND);
	b->now += (AGE_S - 1) * NS_PER_SECOND;
	pmtu_tick(b->pmtu, b->now);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1400);
	b->now += 2 * NS_PER_SECOND;
	pmtu_tick(b->pmtu, b->now);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1500);
	assert_int_equal(pmtu_counted(b->pmtu, PMTU_COUNT_AGED), 1);
	assert_int_equal(b->change.source, PMTU_CONFIGURED);
	assert_int_equal(b->change.sa, sa);
	assert_int_equal(b->applied, 2);
	/* Nothing stays of it. */
	assert_int_equal(pmtu_paths(b->pmtu), 0);
}

static void
one_in_two_seconds_counts(void **state)
{
	struct bed *b = *state;
	uint32_t sa = sa_add(b, V4, 9, 0x1009);

	assert_int_equal(take(b, &(struct message) { V4, .number = USED, .mtu = 1450 }),
			 PMTU_COUNT_ICMP_OBEYED);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(take(b, &(struct message) { V4, .number = USED, .mtu = 1400 }),
				 PMTU_COUNT_ICMP_IGNORED_RATE);
	b->now += PMTU_PAUSE_NS;
	assert_int_equal(take(b, &(struct message) { V4, .number = USED, .mtu = 1400 }),
			 PMTU_COUNT_ICMP_OBEYED);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1400);
}

static void
a_daemon_sets_and_takes_back(void **state)
{
	struct bed *b = *state;
	uint32_t sa = sa_add(b, OFF, 9, 0x1009);
	struct err err;

	assert_int_equal(pmtu_set(b->pmtu, sa, 1279, PMTU_DAEMON, b->now, &err), -ERANGE);
	assert_int_equal(pmtu_set(b->pmtu, sa, 1501, PMTU_DAEMON, b->now, &err), -ERANGE);
	assert_int_equal(pmtu_paths(b->pmtu), 0);
	assert_int_equal(pmtu_set(b->pmtu, sa, 1400, PMTU_DAEMON, b->now, &err), 0);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1400);
	/* A word that can be trusted may also make it larger. */
	assert_int_equal(pmtu_set(b->pmtu, sa, 1450, PMTU_DAEMON, b->now, &err), 0);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1450);
	assert_int_equal(pmtu_set(b->pmtu, sa, 0, PMTU_DAEMON, b->now, &err), 0);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1500);
	assert_int_equal(pmtu_paths(b->pmtu), 0);
}

/* Answers probes as a path does that carries so much, for so long. */
static void
carry(struct bed *b, uint16_t carries, uint64_t time)
{
	uint64_t until = b->now + time;

	for (; b->now < until; b->now += 10 * MS) {
		pmtu_tick(b->pmtu, b->now);
		if (b->probed == 0)
			continue;
		if (b->probed > carries)
			b->now += 100 * MS;
		pmtu_probe_done(b->pmtu, b->token,
				b->probed > carries ? PMTU_PROBE_LOST : PMTU_PROBE_ANSWERED, 2 * MS,
				b->now);
		b->probed = 0;
	}
}

static void
a_probed_path_is_measured(void **state)
{
	struct bed *b = *state;
	uint32_t sa = sa_add(b, PROBED, 9, 0x1009);
	struct pmtu_view view;

	carry(b, 1400, 10 * NS_PER_SECOND);
	assert_in_range(pmtu_outer(b->pmtu, sa, 1500), 1384, 1400);
	assert_true(pmtu_of_sa(b->pmtu, sa, &view));
	assert_int_equal(view.source, PMTU_PROBE);
	assert_int_equal(view.probing, PROBER_COMPLETE);
	/* An SA that takes its place begins with that, and no search. */
	sa_end(b, sa);
	sa = sa_add(b, PROBED, 9, 0x2009);
	assert_in_range(pmtu_outer(b->pmtu, sa, 1500), 1384, 1400);
	/* With the last one the search ends; what was found is good for its age. */
	sa_end(b, sa);
	b->now += NS_PER_SECOND;
	pmtu_tick(b->pmtu, b->now);
	assert_int_equal(pmtu_paths(b->pmtu), 1);
	b->now += AGE_S * NS_PER_SECOND;
	pmtu_tick(b->pmtu, b->now);
	assert_int_equal(pmtu_paths(b->pmtu), 0);
}

static void
what_is_no_proof_is_tried_where_probes_are_sent(void **state)
{
	const struct message ports = { PROBED, .number = USED, .mtu = 1333, .octets = 8 };
	struct bed *b = *state;
	uint32_t sa = sa_add(b, PROBED, 9, 0x1009);

	carry(b, 1500, 5 * NS_PER_SECOND);
	assert_int_equal(take(b, &ports), PMTU_COUNT_ICMP_PROBED);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1500);
	assert_int_equal(take(b, &ports), PMTU_COUNT_ICMP_IGNORED_RATE);
	carry(b, 1500, 5 * NS_PER_SECOND);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1500);
	/* This time it is true. */
	assert_int_equal(take(b, &ports), PMTU_COUNT_ICMP_PROBED);
	carry(b, 1333, 5 * NS_PER_SECOND);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1333);
	/* So are a number of long ago, and what is below the floor. */
	assert_int_equal(take(b, &(struct message) { PROBED, .number = 1, .mtu = 1300 }),
			 PMTU_COUNT_ICMP_PROBED);
	b->now += PMTU_PAUSE_NS;
	assert_int_equal(take(b, &(struct message) { PROBED, .number = USED, .mtu = 600 }),
			 PMTU_COUNT_ICMP_PROBED);
	carry(b, 1333, 5 * NS_PER_SECOND);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1333);
}

static void
few_probes_are_on_their_way(void **state)
{
	struct bed *b = *state;

	for (uint32_t n = 0; n < 200; n++)
		sa_add(b, PROBED, (uint8_t)n, 0x5000 + n);
	for (int i = 0; i < 1000; i++, b->now += MS)
		pmtu_tick(b->pmtu, b->now);
	assert_int_equal(pmtu_counted(b->pmtu, PMTU_COUNT_PROBES_SENT), PMTU_PROBES_MAX);
	/* Without a way to send one nothing is lost but time. */
	b->cannot_send = true;
	pmtu_probe_done(b->pmtu, b->token, PMTU_PROBE_LOST, 0, b->now);
	for (int i = 0; i < 1000; i++, b->now += MS)
		pmtu_tick(b->pmtu, b->now);
	assert_int_equal(pmtu_counted(b->pmtu, PMTU_COUNT_PROBES_SENT), PMTU_PROBES_MAX);
	b->cannot_send = false;
	for (int i = 0; i < 2000; i++, b->now += MS)
		pmtu_tick(b->pmtu, b->now);
	assert_int_equal(pmtu_counted(b->pmtu, PMTU_COUNT_PROBES_SENT), PMTU_PROBES_MAX + 1);
}

/* Far more than are told at once, and some go while it lasts. */
static void
a_path_of_very_many_sas_is_told_in_slices(void **state)
{
	const struct message m = { V4, .number = USED, .mtu = 1400 };
	struct bed *b = *state;
	static uint32_t sas[3000];

	for (uint32_t n = 0; n < RTE_DIM(sas); n++)
		sas[n] = sa_add(b, V4, 9, 0x10000 + n);
	sa_add(b, V4, 9, 0x1009);
	assert_int_equal(take(b, &m), PMTU_COUNT_ICMP_OBEYED);
	assert_in_range(b->applied, 1, 2000);
	for (uint32_t n = 0; n < RTE_DIM(sas); n++)
		if (n % 2 == 0)
			sa_end(b, sas[n]);
	for (int i = 0; i < 10; i++)
		pmtu_tick(b->pmtu, b->now);
	assert_in_range(b->applied, 1501, 3001);
	for (uint32_t n = 1; n < RTE_DIM(sas); n += 2)
		assert_int_equal(pmtu_outer(b->pmtu, sas[n], 1500), 1400);
	/* All hear of it, too, when it is forgotten, and then nothing is left of it. */
	b->applied = 0;
	b->now += (AGE_S + 1) * 1000 * MS;
	for (int i = 0; i < 20; i++, b->now += 100 * MS)
		pmtu_tick(b->pmtu, b->now);
	assert_int_equal(b->applied, RTE_DIM(sas) / 2 + 1);
	assert_int_equal(pmtu_paths(b->pmtu), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_path_is_all_its_sas_and_those_that_come, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_learnt_is_forgotten_when_it_is_old, setup,
						teardown),
		cmocka_unit_test_setup_teardown(one_in_two_seconds_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_daemon_sets_and_takes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_probed_path_is_measured, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_proof_is_tried_where_probes_are_sent,
						setup, teardown),
		cmocka_unit_test_setup_teardown(few_probes_are_on_their_way, setup, teardown),
		cmocka_unit_test_setup_teardown(a_path_of_very_many_sas_is_told_in_slices, setup,
						teardown),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
