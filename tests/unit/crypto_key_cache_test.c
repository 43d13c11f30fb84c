/* The cache of expanded keys: who is kept, who goes, and that nothing of a forgotten key is left.
 */
#include "unit.h"

#include "crypto/ipsec_mb/key_cache.h"
#include "eal.h"

#define SETS 4

static struct key_cache cache;

static int
cache_open(void **state)
{
	size_t size = SETS * (sizeof(struct key_set) + KEY_CACHE_WAYS * KEY_CACHE_ENTRY);

	return key_cache_init(&cache, size, SOCKET_ID_ANY);
}

static int
cache_close(void **state)
{
	key_cache_fini(&cache);
	return 0;
}

/* The k-th id of those that share the set of id 0. */
static uint32_t
id_of(unsigned int k)
{
	uint32_t id = 0;

	for (unsigned int found = 0;; id++)
		if (key_cache_set(&cache, id) == key_cache_set(&cache, 0) && found++ == k)
			return id;
}

static void *
get(uint32_t id, uint32_t generation, enum key_state *state)
{
	struct session s = { .id = id, .generation = generation };

	return key_cache_get(&cache, &s, state);
}

static void
it_takes_no_more_than_it_was_given(void **state)
{
	assert_int_equal(cache.n_sets, SETS);
}

static void
consecutive_ids_spread_over_all_sets(void **state)
{
	unsigned int n[SETS] = { 0 };

	for (uint32_t id = 0; id < SETS * KEY_CACHE_WAYS; id++)
		n[key_cache_set(&cache, id)]++;
	for (int i = 0; i < SETS; i++)
		assert_in_range(n[i], 1, KEY_CACHE_WAYS + 2);
}

static void
a_key_is_fresh_once_then_hot_then_cold(void **state)
{
	enum key_state is;
	void *first, *again;

	key_cache_round(&cache);
	first = get(id_of(0), 7, &is);
	assert_int_equal(is, KEY_FRESH);
	key_cache_round(&cache);
	again = get(id_of(0), 7, &is);
	assert_int_equal(is, KEY_HOT);
	assert_ptr_equal(first, again);
	key_cache_round(&cache);
	key_cache_round(&cache);
	get(id_of(0), 7, &is);
	assert_int_equal(is, KEY_COLD);
}

static void
another_generation_is_another_key(void **state)
{
	enum key_state is;
	void *old = get(id_of(0), 7, &is);

	assert_ptr_not_equal(get(id_of(0), 8, &is), old);
	assert_int_equal(is, KEY_FRESH);
	key_cache_forget(&cache, id_of(0));
}

static void
the_least_recently_used_goes_first(void **state)
{
	enum key_state is;
	void *second;

	for (unsigned int k = 0; k < KEY_CACHE_WAYS; k++) {
		key_cache_round(&cache);
		get(id_of(k), 1, &is);
	}
	key_cache_round(&cache);
	get(id_of(0), 1, &is);
	second = get(id_of(1), 1, &is);
	get(id_of(0), 1, &is);
	key_cache_round(&cache);
	get(id_of(0), 1, &is);
	get(id_of(2), 1, &is);
	get(id_of(3), 1, &is);
	assert_ptr_equal(get(id_of(4), 1, &is), second);
	assert_int_equal(is, KEY_FRESH);
}

static void
a_round_never_loses_a_key_of_its_own(void **state)
{
	enum key_state is;

	key_cache_round(&cache);
	for (unsigned int k = 0; k < KEY_CACHE_WAYS; k++)
		assert_non_null(get(id_of(10 + k), 1, &is));
	assert_null(get(id_of(20), 1, &is));
	key_cache_round(&cache);
	assert_non_null(get(id_of(20), 1, &is));
}

static void
a_key_that_had_to_go_leaves_nothing(void **state)
{
	static const uint8_t zeros[KEY_CACHE_ENTRY];
	enum key_state is;

	for (unsigned int k = 30; k < 30 + 2 * KEY_CACHE_WAYS; k++) {
		uint8_t *entry;

		key_cache_round(&cache);
		entry = get(id_of(k), 1, &is);
		assert_memory_equal(entry, zeros, sizeof(zeros));
		memset(entry, 0x5a, KEY_CACHE_ENTRY);
	}
}

static void
a_forgotten_key_leaves_nothing(void **state)
{
	static const uint8_t zeros[KEY_CACHE_ENTRY];
	enum key_state is;
	uint8_t *entry;

	key_cache_round(&cache);
	entry = get(id_of(1), 9, &is);
	memset(entry, 0xa5, KEY_CACHE_ENTRY);
	key_cache_forget(&cache, id_of(2));
	assert_int_equal(entry[0], 0xa5);
	key_cache_forget(&cache, id_of(1));
	assert_memory_equal(entry, zeros, sizeof(zeros));
	get(id_of(1), 9, &is);
	assert_int_equal(is, KEY_FRESH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_takes_no_more_than_it_was_given),
		cmocka_unit_test(consecutive_ids_spread_over_all_sets),
		cmocka_unit_test(a_key_is_fresh_once_then_hot_then_cold),
		cmocka_unit_test(another_generation_is_another_key),
		cmocka_unit_test(the_least_recently_used_goes_first),
		cmocka_unit_test(a_round_never_loses_a_key_of_its_own),
		cmocka_unit_test(a_key_that_had_to_go_leaves_nothing),
		cmocka_unit_test(a_forgotten_key_leaves_nothing),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, cache_open, cache_close);
}
