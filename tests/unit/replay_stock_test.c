#include "unit.h"

#include <rte_malloc.h>

#include "eal.h"
#include "replay/stock.h"

#define SOCKET -1

static int64_t n_made; /* and not freed */

static struct replay *
make(void *ctx, uint32_t window)
{
	n_made++;
	return rte_malloc(NULL, replay_size(window), RTE_CACHE_LINE_SIZE);
}

static void
give_back(void *ctx, struct replay *window)
{
	n_made--;
	rte_free(window);
}

static struct stocks *
stocks_new(uint16_t n_workers)
{
	const struct stock_source source = { make, give_back, NULL };
	struct stocks *s;
	struct err err;

	n_made = 0;
	assert_int_equal(stocks_create(n_workers, SOCKET, &source, &s, &err), 0);
	return s;
}

static void
nothing_is_there_before_somebody_wants_it(void **state)
{
	struct stocks *s = stocks_new(2);

	for (uint32_t window = 0; window <= 65536; window += 32)
		assert_null(stock_take(stocks_of(s, 1), window));
	stocks_fill(s);
	assert_int_equal(stocks_bytes(s), 0);
	stocks_free(s);
	assert_int_equal(n_made, 0);
	stocks_free(NULL);
}

static void
each_worker_has_its_own_of_the_size_that_is_wanted(void **state)
{
	static const uint32_t windows[] = { 0, 32, 64, 65, 128, 777, 1024, 65536 };
	struct err err;

	for (size_t i = 0; i < RTE_DIM(windows); i++) {
		struct stocks *s = stocks_new(3);
		uint32_t size = windows[i];
		struct replay *r[3];

		assert_int_equal(stocks_want(s, size, &err), 0);
		for (uint16_t w = 0; w < 3; w++) {
			r[w] = stock_take(stocks_of(s, w), size);
			assert_non_null(r[w]);
			assert_int_equal((uintptr_t)r[w] % RTE_CACHE_LINE_SIZE, 0);
			/* All of it is there: a sanitizer would say if not. */
			replay_init(r[w], size, true, UINT64_C(7) << 48);
			assert_int_equal(replay_accept(r[w], UINT64_C(7) << 48 | 3), DROP_NONE);
		}
		assert_ptr_not_equal(r[0], r[1]);
		assert_ptr_not_equal(r[1], r[2]);
		assert_null(stock_take(stocks_of(s, 0), size == 65536 ? 32 : 65536));
		for (uint16_t w = 0; w < 3; w++)
			give_back(NULL, r[w]);
		stocks_free(s);
		assert_int_equal(n_made, 0);
	}
}

/* Takes all there are. Returns how many. */
static unsigned int
drain(struct stocks *s, uint16_t worker, uint32_t window)
{
	struct replay *r;
	unsigned int n = 0;

	while ((r = stock_take(stocks_of(s, worker), window)) != NULL) {
		give_back(NULL, r);
		n++;
	}
	return n;
}

static void
what_was_taken_is_made_up_for(void **state)
{
	struct stocks *s = stocks_new(2);
	uint64_t full;
	struct err err;

	assert_int_equal(stocks_want(s, 1024, &err), 0);
	full = stocks_bytes(s);
	assert_true(full > 0);
	assert_int_equal(drain(s, 0, 1024), 256);
	assert_int_equal(stocks_bytes(s), full / 2);
	assert_null(stock_take(stocks_of(s, 0), 1024));
	stocks_fill(s);
	assert_int_equal(stocks_bytes(s), full);
	assert_int_equal(drain(s, 0, 1024) + drain(s, 1, 1000), 512);
	stocks_free(s);
	assert_int_equal(n_made, 0);
}

static void
large_windows_are_few(void **state)
{
	struct stocks *s = stocks_new(1);
	struct err err;

	assert_int_equal(stocks_want(s, 65536, &err), 0);
	assert_true(stocks_bytes(s) <= 256 * 1024 + 16 * 64);
	assert_in_range(drain(s, 0, 65536), 16, 64);
	stocks_free(s);
	assert_int_equal(n_made, 0);
}

static void
the_last_one_to_want_it_takes_it_away(void **state)
{
	struct stocks *s = stocks_new(2);
	struct err err;
	uint64_t one;

	assert_int_equal(stocks_want(s, 64, &err), 0);
	one = stocks_bytes(s);
	assert_int_equal(stocks_want(s, 33, &err), 0); /* of one size with 64 */
	assert_int_equal(stocks_bytes(s), one);
	assert_int_equal(stocks_want(s, 4096, &err), 0);
	stocks_unwant(s, 64);
	assert_true(stocks_bytes(s) > one);
	stocks_unwant(s, 4096);
	assert_int_equal(stocks_bytes(s), one);
	stocks_unwant(s, 33);
	assert_int_equal(stocks_bytes(s), 0);
	stocks_fill(s);
	assert_int_equal(stocks_bytes(s), 0);
	assert_null(stock_take(stocks_of(s, 0), 64));
	assert_int_equal(stocks_want(s, 64, &err), 0);
	assert_int_equal(stocks_bytes(s), one);
	stocks_free(s);
	assert_int_equal(n_made, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_there_before_somebody_wants_it),
		cmocka_unit_test(each_worker_has_its_own_of_the_size_that_is_wanted),
		cmocka_unit_test(what_was_taken_is_made_up_for),
		cmocka_unit_test(large_windows_are_few),
		cmocka_unit_test(the_last_one_to_want_it_takes_it_away),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
