#include "unit.h"

#include <stdbool.h>

#include <rte_common.h>

#include "aggfrag/breaker.h"

#define S UINT64_C(1000000000)

struct phase {
	uint64_t seconds, received, missed; /* in each second */
	uint32_t loss_rate;		    /* as the peer's headers say */
};

/* Looks 50 times a second. Returns the second in which it opened, counted from 1; 0: it did not. */
static uint64_t
run(struct aggfrag_breaker *b, struct aggfrag_breaker_loss *sum, uint64_t *now,
    const struct phase *phases, size_t n)
{
	uint64_t second = 0, opened = 0;

	for (size_t i = 0; i < n; i++) {
		sum->loss_rate = phases[i].loss_rate;
		for (uint64_t k = 0; k < phases[i].seconds; k++, second++)
			for (int t = 0; t < 50; t++) {
				/* Not evenly: a second's come in its first half. */
				if (t < 25) {
					sum->received += phases[i].received / 25;
					sum->missed += phases[i].missed / 25;
				}
				*now += S / 50;
				aggfrag_breaker_look(b, 5, 10 * S, sum, *now);
				if (opened == 0 && aggfrag_breaker_is_open(b))
					opened = second + 1;
			}
	}
	return opened;
}

/* 5 % for 10 s. */
static void
it_opens_where_loss_lasts(void **state)
{
	static const struct {
		const char *what;
		struct phase phases[4];
		uint64_t first, last; /* second in which it opens; 0: never */
	} cases[] = {
		{ "no loss", { { 60, 1000, 0, 0 } }, 0, 0 },
		{ "below the threshold", { { 60, 975, 25, 0 } }, 0, 0 },
		{ "at the threshold", { { 60, 950, 50, 0 } }, 10, 12 },
		{ "far above it", { { 60, 250, 750, 0 } }, 10, 12 },
		{ "nearly long enough", { { 8, 900, 100, 0 }, { 60, 1000, 0, 0 } }, 0, 0 },
		{ "with a pause between",
		  { { 8, 900, 100, 0 }, { 3, 1000, 0, 0 }, { 8, 900, 100, 0 }, { 9, 1000, 0, 0 } },
		  0,
		  0 },
		{ "later", { { 30, 1000, 0, 0 }, { 60, 900, 100, 0 } }, 40, 43 },
		{ "silence says nothing", { { 2, 1000, 0, 0 }, { 600, 0, 0, 0 } }, 0, 0 },
		{ "the peer says that it loses an event in 20", { { 60, 1000, 0, 20 } }, 10, 12 },
		{ "and one in 21 is less", { { 60, 1000, 0, 21 } }, 0, 0 },
		{ "all is lost in bursts", { { 60, 25, 25, 0 } }, 10, 12 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct aggfrag_breaker_loss sum = { .received = 12345 };
		struct aggfrag_breaker b = { .slice_at = 0 };
		uint64_t now = S, opened;

		opened = run(&b, &sum, &now, cases[i].phases, RTE_DIM(cases[i].phases));
		if (opened < cases[i].first || opened > cases[i].last)
			fail_msg("%s: second %lu", cases[i].what, opened);
		assert_int_equal(b.trips, cases[i].last != 0);
	}
}

static void
it_stays_open_until_control_closes_it(void **state)
{
	static const struct phase bad = { 15, 500, 500, 0 }, good = { 100, 1000, 0, 0 };
	struct aggfrag_breaker_loss sum = { .received = 0 };
	struct aggfrag_breaker b = { .slice_at = 0 };
	uint64_t now = S;

	assert_int_not_equal(run(&b, &sum, &now, &bad, 1), 0);
	run(&b, &sum, &now, &good, 1);
	assert_true(aggfrag_breaker_is_open(&b));
	aggfrag_breaker_close(&b);
	assert_true(aggfrag_breaker_is_open(&b));
	assert_int_equal(run(&b, &sum, &now, &good, 1), 0);
	assert_false(aggfrag_breaker_is_open(&b));
	/* And it has to last as long again. */
	assert_in_range(run(&b, &sum, &now, &bad, 1), 10, 12);
	assert_int_equal(b.trips, 2);
}

/* A count that goes back is that of another stream. */
static void
another_stream_begins_anew(void **state)
{
	struct aggfrag_breaker_loss sum = { .received = 100000, .missed = 5000 };
	struct aggfrag_breaker b = { .slice_at = 0 };

	aggfrag_breaker_look(&b, 5, 10 * S, &sum, S);
	sum = (struct aggfrag_breaker_loss) { .received = 10, .missed = 0 };
	aggfrag_breaker_look(&b, 5, 10 * S, &sum, 20 * S);
	assert_int_equal(b.over_at, 0);
	assert_int_equal(b.slice_at, 20 * S);
	assert_int_equal(b.received, 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_where_loss_lasts),
		cmocka_unit_test(it_stays_open_until_control_closes_it),
		cmocka_unit_test(another_stream_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
