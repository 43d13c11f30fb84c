/* Each codec against each other one: what one compresses, all inflate; what one inflates, all do,
 * and what one refuses, all refuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_common.h>

#include "drivers.h"
#include "eal.h"
#include "ipcomp/ipcomp.h"

#define OCTETS_MAX 65535
#define ROUNDS	   3000
#define DISTANCE   (1 << IPCOMP_HIST_BITS)

static const struct codec *const codecs[] = {
#ifdef HAVE_ISAL
	&codec_isal,
#endif
	&codec_zlib,
};
#define ZLIB (RTE_DIM(codecs) - 1)
static struct codec_worker *workers[RTE_DIM(codecs)];
static uint8_t clear[OCTETS_MAX], packed[2 * OCTETS_MAX], again[RTE_DIM(codecs)][OCTETS_MAX + 1];

static uint64_t
random_next(void)
{
	static uint64_t seed = 0x243f6a8885a308d3;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* From all zeros to noise, with far copies between. */
static void
clear_fill(uint32_t len)
{
	uint32_t letters = 1 + (uint32_t)(random_next() % 256);

	for (uint32_t i = 0; i < len; i++)
		clear[i] = (uint8_t)(random_next() % letters);
	for (int i = 0; i < 20 && len > 64; i++) {
		uint32_t from = (uint32_t)(random_next() % (len - 32)),
			 to = (uint32_t)(random_next() % (len - 32));

		memmove(clear + to, clear + from, 32);
	}
}

static uint32_t
some_len(void)
{
	uint64_t kind = random_next() % 8;

	return (uint32_t)(random_next() % (kind == 0 ? 65536 : kind < 3 ? 40 : 2000));
}

static enum codec_verdict
inflate_by(size_t c, const uint8_t *in, uint32_t len, uint32_t room, uint32_t *n)
{
	/* Of just its size: a sanitizer sees who reads or writes beyond. */
	uint8_t *exact_in = malloc(len + (len == 0)), *exact_out = malloc(room + (room == 0));
	enum codec_verdict v;

	assert_non_null(exact_in);
	assert_non_null(exact_out);
	memcpy(exact_in, in, len);
	v = codecs[c]->inflate(workers[c], exact_in, len, exact_out, room, n);
	assert_true(*n <= room);
	memcpy(again[c], exact_out, RTE_MIN(*n, (uint32_t)sizeof(again[c])));
	free(exact_in);
	free(exact_out);
	return v;
}

static void
what_one_compresses_all_inflate(void **state)
{
	for (int round = 0; round < ROUNDS; round++) {
		size_t by = random_next() % RTE_DIM(codecs);
		uint32_t len = some_len(), size, n;

		clear_fill(len);
		size = codecs[by]->deflate(workers[by], clear, len, packed, sizeof(packed));
		assert_true(size > 0);
		for (size_t c = 0; c < RTE_DIM(codecs); c++) {
			if (inflate_by(c, packed, size, len, &n) != CODEC_OK || n != len ||
			    memcmp(again[c], clear, len) != 0)
				fail_msg("%s does not read %u octets of %s", codecs[c]->name, len,
					 codecs[by]->name);
			if (len > 0)
				assert_int_equal(inflate_by(c, packed, size, len - 1, &n),
						 CODEC_FULL);
			packed[size] = (uint8_t)random_next();
			assert_int_equal(inflate_by(c, packed, size + 1, len, &n), CODEC_TRAILING);
		}
	}
}

static void
room_is_exact(void **state)
{
	for (int round = 0; round < ROUNDS; round++) {
		size_t by = random_next() % RTE_DIM(codecs);
		uint32_t len = some_len(), size, less;

		clear_fill(len);
		size = codecs[by]->deflate(workers[by], clear, len, packed, sizeof(packed));
		memset(packed, 0xa5, size + 1);
		/* With less room another kind of block may do, or none. */
		less = codecs[by]->deflate(workers[by], clear, len, packed, size);
		assert_true(less == 0 || less <= size);
		assert_int_equal(packed[size], 0xa5);
		memset(packed, 0xa5, size);
		less = codecs[by]->deflate(workers[by], clear, len, packed, size - 1);
		assert_true(less < size);
		assert_int_equal(packed[size - 1], 0xa5);
	}
}

/* Bit flips, cuts and noise. zlib is the stricter one: it asks for codes that are complete. What it
 * takes all take, with the same octets; of what it refuses nobody writes beyond the room.
 */
static void
bad_streams_are_bad_to_all(void **state)
{
	uint32_t n[RTE_DIM(codecs)];
	enum codec_verdict v[RTE_DIM(codecs)];

	for (int round = 0; round < 5 * ROUNDS; round++) {
		size_t by = random_next() % RTE_DIM(codecs);
		uint32_t len = some_len() % 3000, size;

		clear_fill(len);
		size = codecs[by]->deflate(workers[by], clear, len, packed, sizeof(packed));
		if (round % 4 == 0)
			size -= RTE_MIN(size, 1 + (uint32_t)(random_next() % 9));
		for (int i = 0; round % 4 != 0 && i < round % 4; i++)
			packed[random_next() % size] ^= (uint8_t)(1 << random_next() % 8);
		for (size_t c = 0; c < RTE_DIM(codecs); c++)
			v[c] = inflate_by(c, packed, size, 8192, &n[c]);
		if (v[ZLIB] != CODEC_OK && v[ZLIB] != CODEC_TRAILING)
			continue;
		for (size_t c = 0; c < RTE_DIM(codecs); c++)
			if (v[c] != v[ZLIB] || n[c] != n[ZLIB] ||
			    memcmp(again[c], again[ZLIB], n[c]) != 0)
				fail_msg("round %d: %s says %d, %u octets; zlib %d, %u", round,
					 codecs[c]->name, v[c], n[c], v[ZLIB], n[ZLIB]);
	}
}

/* 512 octets that stood there before: so far away that Linux has no window for it, and nearer. */
static void
no_distance_is_beyond_the_window(void **state)
{
	static const struct {
		uint32_t distance;
		bool shrinks;
	} cases[] = { { DISTANCE - 400, true }, { DISTANCE + 600, false } };
	uint32_t len = 5000, with, without;

	for (size_t c = 0; c < RTE_DIM(codecs); c++)
		for (size_t i = 0; i < RTE_DIM(cases); i++) {
			for (uint32_t k = 0; k < len; k++)
				clear[k] = (uint8_t) "etaoinshrdlucmfw"[random_next() % 16];
			without =
				codecs[c]->deflate(workers[c], clear, len, packed, sizeof(packed));
			memcpy(clear + len - 512, clear + len - 512 - cases[i].distance, 512);
			with = codecs[c]->deflate(workers[c], clear, len, packed, sizeof(packed));
			assert_true(with > 0 && without > 0);
			if ((with + 250 < without) != cases[i].shrinks)
				fail_msg("%s, distance %u: %u octets, %u without", codecs[c]->name,
					 cases[i].distance, with, without);
		}
}

/* 1032:1 is the most that DEFLATE does. */
static void
a_bomb_ends_where_there_is_no_room(void **state)
{
	static uint8_t zeros[OCTETS_MAX];
	uint32_t size = codec_zlib.deflate(workers[ZLIB], zeros, sizeof(zeros), packed,
					   sizeof(packed)),
		 n;

	assert_true(size < 400);
	for (size_t c = 0; c < RTE_DIM(codecs); c++) {
		assert_int_equal(inflate_by(c, packed, size, 1500, &n), CODEC_FULL);
		assert_int_equal(inflate_by(c, packed, size, sizeof(zeros), &n), CODEC_OK);
	}
}

static int
open_all(void **state)
{
	struct err err;

	for (size_t c = 0; c < RTE_DIM(codecs); c++) {
		assert_int_equal(codecs[c]->serves(&err), 0);
		assert_int_equal(codecs[c]->worker_init(IPCOMP_HIST_BITS, SOCKET_ID_ANY,
							&workers[c], &err),
				 0);
	}
	return 0;
}

static int
close_all(void **state)
{
	for (size_t c = 0; c < RTE_DIM(codecs); c++) {
		codecs[c]->worker_fini(workers[c]);
		codecs[c]->worker_fini(NULL);
	}
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_one_compresses_all_inflate),
		cmocka_unit_test(room_is_exact),
		cmocka_unit_test(bad_streams_are_bad_to_all),
		cmocka_unit_test(no_distance_is_beyond_the_window),
		cmocka_unit_test(a_bomb_ends_where_there_is_no_room),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, open_all, close_all);
}
