/* Lifetimes that SAs share. */
#include "unit.h"

#include "sa/lifetimes.h"

#define N 1000

static void
equal_ones_are_one(void **state)
{
	struct lifetimes *all = lifetimes_create();
	struct sa_lifetime a = { .soft_packets = 5, .hard_use_seconds = 9 }, b = a;
	const struct sa_lifetime *first = lifetimes_take(all, &a);

	a.soft_packets = 6; /* a copy was made */
	assert_int_equal(first->soft_packets, 5);
	assert_int_equal(first->hard_use_seconds, 9);
	assert_ptr_equal(lifetimes_take(all, &b), first);
	assert_ptr_not_equal(lifetimes_take(all, &a), first);
	assert_int_equal(lifetimes_count(all), 2);
	lifetimes_free(all);
}

static void
one_goes_with_its_last_sa(void **state)
{
	struct lifetimes *all = lifetimes_create();
	struct sa_lifetime a = { .hard_bytes = 1 };
	const struct sa_lifetime *l = lifetimes_take(all, &a);

	lifetimes_take(all, &a);
	lifetimes_give(all, l);
	assert_int_equal(lifetimes_count(all), 1);
	assert_int_equal(l->hard_bytes, 1);
	lifetimes_give(all, l);
	assert_int_equal(lifetimes_count(all), 0);
	lifetimes_give(all, NULL);
	lifetimes_free(all);
}

static void
many_are_found_again(void **state)
{
	struct lifetimes *all = lifetimes_create();
	const struct sa_lifetime *kept[N];

	for (uint32_t i = 0; i < N; i++) {
		struct sa_lifetime l = { .soft_seconds = i };

		kept[i] = lifetimes_take(all, &l);
	}
	assert_int_equal(lifetimes_count(all), N);
	for (uint32_t i = 0; i < N; i++) {
		struct sa_lifetime l = { .soft_seconds = i };

		assert_ptr_equal(lifetimes_take(all, &l), kept[i]);
		lifetimes_give(all, kept[i]);
		lifetimes_give(all, kept[i]);
	}
	assert_int_equal(lifetimes_count(all), 0);
	lifetimes_free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_ones_are_one),
		cmocka_unit_test(one_goes_with_its_last_sa),
		cmocka_unit_test(many_are_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
