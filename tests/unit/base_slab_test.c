#include "unit.h"

#include <errno.h>

#include <rte_malloc.h>

#include "base/slab.h"
#include "eal.h"

#define SOCKET -1

static void
an_item_has_one_index_and_is_zero(void **state)
{
	struct slab s;
	uint32_t index, generation;
	static const uint8_t zero[64];

	assert_int_equal(slab_init(&s, "test", 64, 10000, SOCKET, NULL), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		assert_int_equal(slab_take(&s, &index, &generation, NULL), 0);
		assert_true(index < 10000);
		assert_int_equal(generation, 1);
		assert_int_equal((uintptr_t)slab_at(&s, index) % 64, 0);
		/* Taken twice, it would not be zero the second time. */
		assert_memory_equal(slab_at(&s, index), zero, sizeof(zero));
		memset(slab_at(&s, index), 0xa5, sizeof(zero));
	}
	slab_fini(&s);
}

static void
a_full_slab_says_so(void **state)
{
	struct slab s;
	struct err err;
	uint32_t index, generation;

	assert_int_equal(slab_init(&s, "inbound SAs", 8, 3, SOCKET, NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(slab_take(&s, &index, &generation, &err), 0);
	assert_int_equal(slab_take(&s, &index, &generation, &err), -ENOSPC);
	assert_string_equal(err.text, "inbound SAs: all 3 are in use");
	slab_give(&s, 1);
	assert_int_equal(slab_take(&s, &index, &generation, &err), 0);
	assert_int_equal(index, 1);
	assert_int_equal(generation, 2);
	slab_fini(&s);
	assert_int_equal(slab_init(&s, "x", 0, 3, SOCKET, &err), -EINVAL);
	assert_int_equal(slab_init(&s, "x", 8, 0, SOCKET, &err), -EINVAL);
}

static void
an_index_rests_before_it_comes_back(void **state)
{
	struct slab s;
	uint32_t first, index, generation, takes = 0;

	assert_int_equal(slab_init(&s, "test", 64, 1 << 20, SOCKET, NULL), 0);
	assert_int_equal(slab_take(&s, &first, &generation, NULL), 0);
	slab_give(&s, first);
	do {
		assert_int_equal(slab_take(&s, &index, &generation, NULL), 0);
		slab_give(&s, index);
		takes++;
	} while (index != first);
	assert_true(takes >= 256);
	assert_int_equal(generation, 2);
	slab_fini(&s);
}

static void
what_is_gone_is_not_found(void **state)
{
	struct slab s;
	uint32_t index, generation, again, generation2;

	assert_int_equal(slab_init(&s, "test", 128, 1, SOCKET, NULL), 0);
	assert_int_equal(slab_take(&s, &index, &generation, NULL), 0);
	assert_ptr_equal(slab_find(&s, index, generation), slab_at(&s, index));
	assert_null(slab_find(&s, index, generation + 1));
	assert_null(slab_find(&s, 1, generation));
	assert_null(slab_find(&s, UINT32_MAX, generation));
	slab_retire(&s, index);
	assert_null(slab_find(&s, index, generation));
	slab_give(&s, index);
	assert_null(slab_find(&s, index, generation));
	assert_int_equal(slab_take(&s, &again, &generation2, NULL), 0);
	assert_int_equal(again, index);
	assert_true(generation2 > generation);
	assert_null(slab_find(&s, index, generation));
	assert_non_null(slab_find(&s, index, generation2));
	slab_fini(&s);
}

static void
no_generation_is_zero_or_has_the_top_bit(void **state)
{
	struct slab s;
	uint32_t index, generation;

	assert_int_equal(slab_init(&s, "test", 8, 1, SOCKET, NULL), 0);
	assert_int_equal(slab_take(&s, &index, &generation, NULL), 0);
	s.books[0]->generation[0] = INT32_MAX;
	slab_give(&s, index);
	assert_int_equal(slab_take(&s, &index, &generation, NULL), 0);
	assert_int_equal(generation, 1);
	slab_fini(&s);
}

static void
an_item_given_back_is_wiped(void **state)
{
	struct slab s;
	uint32_t kept, index, generation;
	const uint8_t *item;

	assert_int_equal(slab_init(&s, "test", 64, 100, SOCKET, NULL), 0);
	assert_int_equal(slab_take(&s, &kept, &generation, NULL), 0);
	assert_int_equal(slab_take(&s, &index, &generation, NULL), 0);
	item = slab_at(&s, index);
	memset(slab_at(&s, index), 0x5a, 64);
	slab_give(&s, index);
	for (int i = 0; i < 64; i++)
		assert_int_equal(item[i], 0);
	slab_fini(&s);
}

/* 20,000 items in five chunks: memory comes back as they go, no generation does. */
static void
empty_chunks_are_given_back(void **state)
{
	enum {
		N = 20000,
		SIZE = 64
	};
	static uint32_t taken[N];
	struct slab s;
	uint32_t generation;
	uint64_t with_none, with_all;

	assert_int_equal(slab_init(&s, "test", SIZE, N, SOCKET, NULL), 0);
	with_none = s.bytes;
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(slab_take(&s, &taken[i], &generation, NULL), 0);
	with_all = s.bytes;
	assert_int_equal(with_all, with_none + 5 * sizeof(struct slab_book) + (uint64_t)N * SIZE);
	assert_int_equal(s.n_taken, N);
	for (uint32_t i = N; i-- > SLAB_CHUNK_ITEMS / 2;)
		slab_give(&s, taken[i]);
	/* The one in use and one spare. */
	assert_int_equal(s.bytes, with_none + 2 * (sizeof(struct slab_book) +
						   SLAB_CHUNK_ITEMS * (uint64_t)SIZE));
	for (uint32_t i = SLAB_CHUNK_ITEMS / 2; i-- > 1;)
		slab_give(&s, taken[i]);
	assert_int_equal(s.bytes,
			 with_none + sizeof(struct slab_book) + SLAB_CHUNK_ITEMS * (uint64_t)SIZE);
	slab_give(&s, taken[0]);
	assert_int_equal(s.bytes, with_none + sizeof(struct slab_book));
	assert_null(slab_find(&s, taken[N - 1], 1));
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(slab_take(&s, &taken[i], &generation, NULL), 0);
		assert_int_equal(generation, 2);
	}
	assert_int_equal(s.bytes, with_all);
	slab_fini(&s);
}

static void *freed_later[8];
static uint32_t n_freed_later;

static void
keep_for_later(void *ctx, void (*fn)(void *), void *obj)
{
	assert_ptr_equal(fn, rte_free);
	freed_later[n_freed_later++] = obj;
}

/* A worker may be reading in it. */
static void
what_a_worker_asks_is_freed_later(void **state)
{
	enum {
		N = 2 * SLAB_CHUNK_ITEMS + 1
	};
	static uint32_t taken[N], generations[N];
	const struct slab_book *book;
	struct slab s;

	assert_int_equal(slab_init(&s, "test", 8, N, SOCKET, NULL), 0);
	slab_asked(&s, keep_for_later, NULL);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(slab_take(&s, &taken[i], &generations[i], NULL), 0);
	book = s.books[2];
	slab_give(&s, taken[N - 1]);
	for (uint32_t i = 0; i < N; i++)
		if (taken[i] >> SLAB_CHUNK_SHIFT == 1)
			slab_give(&s, taken[i]);
	assert_int_equal(n_freed_later, 1);
	assert_ptr_equal(freed_later[0], book);
	assert_null(s.books[2]);
	assert_null(slab_find(&s, taken[N - 1], generations[N - 1]));
	/* And again: the old holder does not find the new one's. */
	for (uint32_t i = SLAB_CHUNK_ITEMS; i < N; i++)
		assert_int_equal(slab_take(&s, &taken[i], &generations[i], NULL), 0);
	assert_int_equal(generations[N - 1], 2);
	assert_null(slab_find(&s, taken[N - 1], 1));
	slab_fini(&s);
	rte_free(freed_later[0]);
}

/* Random takes and gives against a list of who holds what. */
static void
holders_keep_their_items(void **state)
{
	enum {
		MAX = 9000,
		STEPS = 400000
	};
	static uint32_t held[MAX], generations[MAX];
	struct slab s;
	uint32_t n = 0, seed = 7;

	assert_int_equal(slab_init(&s, "test", 8, MAX, SOCKET, NULL), 0);
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t r = (seed = seed * 1664525 + 1013904223) >> 8;
		/* Long tides, so that chunks fill and empty. */
		bool take = (r & 7) < ((step / 40000) % 2 == 0 ? 6u : 2u);

		if (take && n < MAX) {
			assert_int_equal(slab_take(&s, &held[n], &generations[n], NULL), 0);
			*(uint64_t *)slab_at(&s, held[n]) = held[n] + 1;
			n++;
		} else if (!take && n > 0) {
			uint32_t i = r % n;

			assert_int_equal(*(uint64_t *)slab_find(&s, held[i], generations[i]),
					 held[i] + 1);
			slab_give(&s, held[i]);
			assert_null(slab_find(&s, held[i], generations[i]));
			n--;
			held[i] = held[n];
			generations[i] = generations[n];
		}
		assert_int_equal(s.n_taken, n);
	}
	slab_fini(&s);
	assert_int_equal(s.bytes, 0);
}

/* A walk over many chunks meets what is taken, in order, and nothing else. */
static void
what_is_taken_can_be_walked(void **state)
{
	enum {
		MAX = 3 * SLAB_CHUNK_ITEMS
	};
	uint32_t index, generation, n = 0;
	struct slab s;

	assert_int_equal(slab_init(&s, "test", 8, MAX, SOCKET, NULL), 0);
	assert_int_equal(slab_next(&s, 0), UINT32_MAX);
	assert_int_equal(slab_end(&s), 0);
	for (uint32_t i = 0; i < MAX; i++)
		assert_int_equal(slab_take(&s, &index, &generation, NULL), 0);
	assert_int_equal(slab_end(&s), MAX);
	for (uint32_t i = 0; i < MAX; i++)
		if (i % 1000 != 7)
			slab_give(&s, i);
	for (uint32_t i = slab_next(&s, 0); i != UINT32_MAX; i = slab_next(&s, i + 1))
		assert_int_equal(i, 7 + 1000 * n++);
	assert_int_equal(n, (MAX - 7 + 999) / 1000);
	for (uint32_t i = SLAB_CHUNK_ITEMS; i < MAX; i++)
		if (i % 1000 == 7)
			slab_give(&s, i);
	assert_int_equal(slab_end(&s), SLAB_CHUNK_ITEMS);
	slab_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_item_has_one_index_and_is_zero),
		cmocka_unit_test(a_full_slab_says_so),
		cmocka_unit_test(an_index_rests_before_it_comes_back),
		cmocka_unit_test(what_is_gone_is_not_found),
		cmocka_unit_test(no_generation_is_zero_or_has_the_top_bit),
		cmocka_unit_test(an_item_given_back_is_wiped),
		cmocka_unit_test(empty_chunks_are_given_back),
		cmocka_unit_test(what_a_worker_asks_is_freed_later),
		cmocka_unit_test(holders_keep_their_items),
		cmocka_unit_test(what_is_taken_can_be_walked),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
