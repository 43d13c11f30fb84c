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

/* Of a full set. */
static bool
is_beside(const void *entry)
{
	const uint8_t *at = entry;

	return at >= cache.beside && at < cache.beside + CRYPTO_BURST_MAX * KEY_CACHE_ENTRY;
}

static void
the_least_recently_used_goes_first(void **state)
{
	enum key_state is;
	void *second;

	for (unsigned int k = 0; k < KEY_CACHE_WAYS; k++) {
		key_cache_round(&cache);
		get(id_of(k), 1, &is);
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
	get(id_of(4), 1, &is);
	assert_ptr_equal(get(id_of(4), 1, &is), second);
	assert_int_equal(is, KEY_FRESH);
}

static void
a_key_that_is_missed_once_takes_nobodys_place(void **state)
{
	enum key_state is;
	void *held[KEY_CACHE_WAYS];

	key_cache_round(&cache);
	for (unsigned int k = 0; k < KEY_CACHE_WAYS; k++) {
		get(id_of(40 + k), 1, &is);
		held[k] = get(id_of(40 + k), 1, &is);
		assert_false(is_beside(held[k]));
	}
	/* More keys than places, by turns: none is missed twice in a row. */
	for (unsigned int turn = 0; turn < 3; turn++) {
		key_cache_round(&cache);
		for (unsigned int k = 50; k < 60; k++) {
			assert_true(is_beside(get(id_of(k), 1, &is)));
			assert_int_equal(is, KEY_FRESH);
		}
	}
	for (unsigned int k = 0; k < KEY_CACHE_WAYS; k++)
		assert_ptr_equal(get(id_of(40 + k), 1, &is), held[k]);
	key_cache_round(&cache);
	get(id_of(50), 1, &is);
	assert_false(is_beside(get(id_of(50), 1, &is)));
}

static void
a_round_never_loses_a_key_of_its_own(void **state)
{
	void *entries[CRYPTO_BURST_MAX];
	enum key_state is;

	key_cache_round(&cache);
	for (unsigned int k = 0; k < CRYPTO_BURST_MAX; k++) {
		entries[k] = get(id_of(100 + k / 2), 1, &is);
		memset(entries[k], (int)(k / 2), KEY_CACHE_ENTRY);
	}
	for (unsigned int k = 0; k < CRYPTO_BURST_MAX; k++)
		assert_int_equal(*(const uint8_t *)entries[k], k / 2);
}

static void
a_key_that_had_to_go_leaves_nothing(void **state)
{
	static const uint8_t zeros[KEY_CACHE_ENTRY];
	enum key_state is;

	for (unsigned int k = 30; k < 30 + 2 * KEY_CACHE_WAYS; k++) {
		uint8_t *entry;

		key_cache_round(&cache);
		for (int time = 0; time < 2; time++) {
			entry = get(id_of(k), 1, &is);
			if (is == KEY_FRESH)
				assert_memory_equal(entry, zeros, sizeof(zeros));
			memset(entry, 0x5a, KEY_CACHE_ENTRY);
		}
	}
}

static void
a_forgotten_key_leaves_nothing(void **state)
{
	static const uint8_t zeros[KEY_CACHE_ENTRY];
	enum key_state is;
	uint8_t *entries[2];

	key_cache_round(&cache);
	for (int i = 0; i < 2; i++) {
		entries[i] = get(id_of(200), 9, &is);
		assert_int_equal(is, KEY_FRESH);
		memset(entries[i], 0xa5, KEY_CACHE_ENTRY);
	}
	/* Once beside the cache, then in it. */
	assert_true(is_beside(entries[0]) && !is_beside(entries[1]));
	key_cache_forget(&cache, id_of(201));
	assert_int_equal(entries[1][0], 0xa5);
	key_cache_forget(&cache, id_of(200));
	assert_memory_equal(entries[0], zeros, sizeof(zeros));
	assert_memory_equal(entries[1], zeros, sizeof(zeros));
	get(id_of(200), 9, &is);
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
		cmocka_unit_test(a_key_that_is_missed_once_takes_nobodys_place),
		cmocka_unit_test(a_round_never_loses_a_key_of_its_own),
		cmocka_unit_test(a_key_that_had_to_go_leaves_nothing),
		cmocka_unit_test(a_forgotten_key_leaves_nothing),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, cache_open, cache_close);
}
