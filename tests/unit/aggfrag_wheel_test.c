#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "aggfrag/wheel.h"

#define N_TIMERS 300

static struct wheel wheel;
static struct wheel_timer timers[N_TIMERS];

/* What the wheel has to be like: a list that is searched through. */
static struct {
	bool set[N_TIMERS];
	uint64_t at[N_TIMERS], turn[N_TIMERS]; /* when, and as which of all it was set */
	uint64_t turns;
} list;

static void
begin(void)
{
	wheel_init(&wheel);
	memset(timers, 0, sizeof(timers));
	memset(&list, 0, sizeof(list));
}

static void
set(unsigned int i, uint64_t at)
{
	wheel_set(&wheel, &timers[i], at);
	list.set[i] = true;
	list.at[i] = at;
	list.turn[i] = list.turns++;
}

static int
list_take(uint64_t now)
{
	int first = -1;

	for (int i = 0; i < N_TIMERS; i++)
		if (list.set[i] && list.at[i] <= now &&
		    (first < 0 || list.at[i] < list.at[first] ||
		     (list.at[i] == list.at[first] && list.turn[i] < list.turn[first])))
			first = i;
	if (first >= 0)
		list.set[first] = false;
	return first;
}

/* All that both find due. */
static unsigned int
compare(uint64_t now)
{
	for (unsigned int n = 0;; n++) {
		bool may = wheel_may_be_due(&wheel, now);
		struct wheel_timer *t = wheel_take(&wheel, now);
		int want = list_take(now);

		if (want < 0) {
			assert_null(t);
			assert_false(wheel_may_be_due(&wheel, now));
			return n;
		}
		assert_true(may);
		assert_ptr_equal(t, &timers[want]);
		assert_false(wheel_is_set(t));
	}
}

/* Now and then far, as clocks and delays may be. */
static uint64_t
some_ns(void)
{
	unsigned int bits = (unsigned int)rand() % 44;

	return ((uint64_t)rand() << 20 ^ (uint64_t)rand()) & ((UINT64_C(1) << bits) - 1);
}

static void
test_model(void **state)
{
	unsigned int fired = 0;

	for (unsigned int seed = 1; seed <= 40; seed++) {
		uint64_t now = 0;

		srand(seed);
		begin();
		for (unsigned int step = 0; step < 3000; step++) {
			unsigned int i = (unsigned int)rand() % N_TIMERS;

			switch (rand() % 8) {
			case 0:
				wheel_cancel(&wheel, &timers[i]);
				list.set[i] = false;
				break;
			case 1:
				now += some_ns() >> (rand() % 3 * 12);
				fired += compare(now);
				break;
			case 2: /* of the past */
				set(i, now - RTE_MIN(now, some_ns()));
				break;
			case 3: /* several at once */
				set(i, now + 1000);
				break;
			default:
				set(i, now + some_ns());
			}
			assert_int_equal(wheel_is_set(&timers[i]), list.set[i]);
		}
		fired += compare(UINT64_MAX - 1);
	}
	assert_true(fired > 10000);
}

static void
test_empty(void **state)
{
	begin();
	assert_false(wheel_may_be_due(&wheel, UINT64_MAX - 1));
	assert_null(wheel_take(&wheel, UINT64_MAX - 1));
	wheel_cancel(&wheel, &timers[0]);
	assert_false(wheel_is_set(&timers[0]));
	set(0, 5);
	wheel_cancel(&wheel, &timers[0]);
	list.set[0] = false;
	assert_false(wheel_may_be_due(&wheel, UINT64_MAX - 1));
	assert_int_equal(compare(UINT64_MAX - 1), 0);
}

/* One that is due at 1.5 µs is not due at 1.4, though their slot is the same. */
static void
test_within_a_slot(void **state)
{
	begin();
	set(0, 1500);
	set(1, 1200);
	assert_int_equal(compare(1100), 0);
	assert_int_equal(compare(1400), 1);
	assert_int_equal(compare(1499), 0);
	assert_int_equal(compare(1500), 1);
}

/* The clock of a capture jumps by years: what was set far apart comes in order, at once. */
static void
test_jump(void **state)
{
	const uint64_t year = UINT64_C(365) * 24 * 3600 * 1000000000;

	begin();
	for (unsigned int i = 0; i < N_TIMERS; i++)
		set(i, i % 2 == 0 ? i * year / 100 : i);
	assert_int_equal(compare(100 * year), N_TIMERS);
	set(0, 101 * year);
	assert_int_equal(compare(101 * year - 1), 0);
	assert_int_equal(compare(101 * year), 1);
}

/* What is never due stays until it is cancelled, or all ends. */
static void
test_never(void **state)
{
	begin();
	set(0, UINT64_MAX);
	set(1, UINT64_MAX - 1);
	set(2, 5);
	set(3, UINT64_C(1000) << 54);
	assert_int_equal(compare(10), 1);
	assert_int_equal(compare(UINT64_C(1000) << 53), 0);
	wheel_cancel(&wheel, &timers[1]);
	list.set[1] = false;
	assert_int_equal(compare(UINT64_MAX - 1), 1);
	assert_true(wheel_is_set(&timers[0]));
	assert_ptr_equal(wheel_take(&wheel, UINT64_MAX), &timers[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),	      cmocka_unit_test(test_empty),
		cmocka_unit_test(test_within_a_slot), cmocka_unit_test(test_jump),
		cmocka_unit_test(test_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
