/* Payloads of IP-TFS taken apart: pieces, offsets, what is malformed, where octets stay. */
#include "unit.h"

#include "aggfrag_in_rig.h"
#include "aggfrag_payload.h"
#include "eal.h"

#define MBUFS	  900
#define MS	  UINT64_C(1000000)
#define DROP_TIME (10 * MS)

static struct rte_mempool *pool;
static struct in_rig rig;
static struct aggfrag_params params;
static uint64_t number;

static int
up(void **state)
{
	params =
		(struct aggfrag_params) { .on = true, .reorder_window = 3, .drop_time = DROP_TIME };
	in_rig_up(&rig, pool, &params, 1);
	rig.w->now = 1000 * MS;
	number = 7;
	return 0;
}

static int
down(void **state)
{
	in_rig_down(&rig);
	return 0;
}

static void
again(void)
{
	down(NULL);
	up(NULL);
}

static void
send(void)
{
	assert_true(in_rig_give(&rig, number++, payload(pool, 1900)));
	in_rig_run(&rig);
}

static void
expect(uint32_t at, unsigned int k, uint32_t len)
{
	assert_true(at < rig.n);
	assert_true(is_packet(rig.out[at], k, len));
}

static void
expect_drops(enum drop_reason why, uint64_t n, uint64_t all)
{
	assert_int_equal(rig.w->drops[why], n);
	assert_int_equal(in_rig_dropped(&rig), all);
	assert_int_equal(sparse_get(rig.w->sparse, IN_RIG_SA, 0, why), n);
}

static uint64_t
count(enum aggfrag_in_count what)
{
	return rig.in[0].counts[what];
}

/* ---- Pieces. ---- */

/* These packets one behind the other, in payloads of `room` octets of blocks each, in segments. */
static void
stream(const uint16_t *lens, unsigned int n, uint32_t room, uint32_t segment)
{
	uint32_t left = 0, at = 0;
	unsigned int k = 0;

	while (k < n) {
		begin((uint16_t)RTE_MIN(left, 65535u));
		for (uint32_t take, rest = room; rest > 0 && k < n; rest -= take) {
			take = RTE_MIN(lens[k] - at, rest);
			put(k, lens[k], at, take);
			at += take;
			if (at == lens[k]) {
				k++;
				at = 0;
			}
		}
		left = at > 0 ? lens[k] - at : 0;
		assert_true(in_rig_give(&rig, number++, payload(pool, segment)));
		in_rig_run(&rig);
	}
}

static void
cut_anywhere(void **state)
{
	static const uint16_t lens[] = { 45, 60, 21, 41, 20, 40, 130 };
	static const uint32_t segments[] = { 1900, 1, 2, 3, 5, 17 };

	/* A beginning of one to five octets, whose length is not to be seen, is among them. */
	for (uint32_t room = 1; room < 380; room++)
		for (unsigned int s = 0; s < RTE_DIM(segments); s++) {
			stream(lens, RTE_DIM(lens), room, segments[s]);
			assert_int_equal(rig.n, RTE_DIM(lens));
			for (unsigned int k = 0; k < RTE_DIM(lens); k++)
				expect(k, k, lens[k]);
			assert_int_equal(in_rig_dropped(&rig), 0);
			assert_int_equal(count(AGGFRAG_RX_INCOMPLETE_PKTS), 0);
			again();
		}
}

static void
large_ones(void **state)
{
	static const uint16_t lens[] = {
		1500, 1500, 9000, 65535, 1500, 700, 65535, 1400, 200, 3000
	};
	static const uint32_t rooms[] = { 1442, 300, 700, 1000, 1399, 1881, 65 };

	for (unsigned int i = 0; i < RTE_DIM(rooms); i++) {
		stream(lens, RTE_DIM(lens), rooms[i], 1900);
		assert_int_equal(rig.n, RTE_DIM(lens));
		for (unsigned int k = 0; k < RTE_DIM(lens); k++) {
			expect(k, k, lens[k]);
			/* What fits a buffer is in one, and no buffer is kept for little. */
			if (lens[k] <= 2000)
				assert_int_equal(rig.out[k]->nb_segs, 1);
			assert_true(rig.out[k]->nb_segs <= 1 + lens[k] / (AGGFRAG_KEEP_MIN / 2));
		}
		assert_int_equal(in_rig_dropped(&rig), 0);
		again();
	}
}

/* ---- Where octets stay. ---- */

static void
largest_stays(void **state)
{
	struct rte_mbuf *m;

	begin(0);
	put(0, 100, 0, 100);
	put(2, 900, 0, 900);
	put(4, 300, 0, 300);
	fill(0, 20);
	m = payload(pool, 1900);
	in_rig_give(&rig, number++, m);
	in_rig_run(&rig);
	assert_int_equal(rig.n, 3);
	assert_ptr_equal(rig.out[1], m);
	expect(0, 0, 100);
	expect(1, 2, 900);
	expect(2, 4, 300);
}

static void
tail_stays_and_grows(void **state)
{
	struct rte_mbuf *m;

	begin(0);
	put(0, 100, 0, 100);
	put(1, 1500, 0, 1300);
	m = payload(pool, 1900);
	in_rig_give(&rig, number++, m);
	in_rig_run(&rig);
	begin(200);
	put(1, 1500, 1300, 200);
	put(2, 600, 0, 600);
	send();
	assert_int_equal(rig.n, 3);
	assert_ptr_equal(rig.out[1], m);
	expect(1, 1, 1500);
	expect(2, 2, 600);
}

/* Another packet keeps the buffer: the beginning of the last one gets one of its own. */
static void
tail_is_copied_beside_a_kept_packet(void **state)
{
	for (uint16_t n = 6; n < 700; n += 31) {
		unsigned int taken = rte_mempool_in_use_count(pool);

		begin(0);
		put(0, 200, 0, 200);
		put(1, 1000, 0, 1000);
		put(1, 2000, 0, n);
		send();
		begin(2000 - n);
		put(1, 2000, n, 2000 - n);
		send();
		expect(2, 1, 2000);
		assert_int_equal(rig.out[2]->nb_segs, 1);
		assert_int_equal(rte_mempool_in_use_count(pool), taken + 3);
		again();
	}
}

/* Where there is no room behind it, it moves. */
static void
moved_tail_is_the_payloads_buffer(void **state)
{
	struct rte_mbuf *m;

	begin(0);
	put(0, 100, 0, 100);
	put(1, 1900, 0, 200);
	m = payload(pool, 1900);
	in_rig_give(&rig, number++, m);
	in_rig_run(&rig);
	begin(1700);
	put(1, 1900, 200, 1700);
	send();
	assert_ptr_equal(rig.out[1], m);
	expect(1, 1, 1900);
}

static void
rest_stays_behind_a_short_beginning(void **state)
{
	struct rte_mbuf *m;

	begin(0);
	put(0, 1000, 0, 1000);
	put(2, 1400, 0, 60);
	send();
	begin(1340);
	put(2, 1400, 60, 1340);
	m = payload(pool, 1900);
	in_rig_give(&rig, number++, m);
	in_rig_run(&rig);
	assert_int_equal(rig.n, 2);
	assert_ptr_equal(rig.out[1], m);
	assert_int_equal(rig.out[1]->nb_segs, 1);
	expect(1, 2, 1400);
}

static void
shared_buffers_are_copied(void **state)
{
	struct rte_mbuf *m;

	begin(0);
	put(0, 900, 0, 900);
	m = payload(pool, 1900);
	rte_mbuf_refcnt_set(m, 2);
	in_rig_give(&rig, number++, m);
	in_rig_run(&rig);
	assert_int_equal(rig.n, 1);
	assert_ptr_not_equal(rig.out[0], m);
	expect(0, 0, 900);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	rte_pktmbuf_free(m);
}

static void
more_packets_than_fit_a_turn(void **state)
{
	enum {
		N = 3 * AGGFRAG_BLOCKS_MAX + 5
	};

	begin(200);
	put(2, 700, 500, 200);
	for (unsigned int i = 0; i < N; i++)
		put(2 * (i % 50), 21, 0, 21);
	put(1, 500, 0, 300);
	/* Its beginning, and a number that is not lost between. */
	{
		static uint8_t copy[sizeof(made.octets)];
		uint32_t n = made.n;

		memcpy(copy, made.octets, n);
		begin(0);
		put(2, 700, 0, 500);
		send();
		memcpy(made.octets, copy, n);
		made.n = n;
		send();
	}
	begin(200);
	put(1, 500, 300, 200);
	send();
	assert_int_equal(rig.n, N + 2);
	expect(0, 2, 700);
	for (unsigned int i = 0; i < N; i++)
		expect(1 + i, 2 * (i % 50), 21);
	expect(N + 1, 1, 500);
	assert_int_equal(in_rig_dropped(&rig), 0);
}

/* ---- What is wrong. ---- */

/* A packet of 1000 octets begins, 600 of them. */
static void
half(void)
{
	begin(0);
	put(0, 1000, 0, 600);
	send();
}

/* A packet of 80 octets, alone. */
static void
good(unsigned int k)
{
	begin(0);
	put(k, 80, 0, 80);
	send();
}

static void
all_pads_are_stepped_over(void **state)
{
	half();
	for (uint32_t n = 0; n < 3; n++) {
		begin(0);
		fill(0, n * 50);
		send();
	}
	begin(400);
	put(0, 1000, 600, 400);
	fill(0, 30);
	send();
	assert_int_equal(rig.n, 1);
	expect(0, 0, 1000);
	assert_int_equal(rig.w->consumed[CONSUMED_ALL_PAD], 3);
	assert_int_equal(count(AGGFRAG_RX_ALL_PAD_PKTS), 3);
	assert_int_equal(count(AGGFRAG_RX_ALL_PAD_OCTETS), 150);
	assert_int_equal(count(AGGFRAG_RX_EXTRA_PAD_PKTS), 1);
	assert_int_equal(count(AGGFRAG_RX_EXTRA_PAD_OCTETS), 30);
	assert_int_equal(in_rig_dropped(&rig), 0);
}

static void
offsets_that_disagree(void **state)
{
	static const uint16_t offsets[] = { 0, 1, 399, 401, 4000, 65535 };

	for (unsigned int i = 0; i < RTE_DIM(offsets); i++) {
		uint32_t skipped = RTE_MIN(offsets[i], 700);

		half();
		begin(offsets[i]);
		fill(0x45, skipped);
		put(3, 90, 0, offsets[i] > 700 ? 0 : 90);
		send();
		good(4);
		assert_int_equal(rig.n, offsets[i] > 700 ? 1 : 2);
		expect(rig.n - 1, 4, 80);
		expect_drops(DROP_AGGFRAG_OFFSET, 1, 1);
		assert_int_equal(count(AGGFRAG_RX_INCOMPLETE_PKTS), 1);
		assert_int_equal(count(AGGFRAG_RX_ERRORED_PKTS), 1);
		again();
	}
}

static void
orphans_are_skipped(void **state)
{
	for (int i = 0; i < 3; i++) {
		begin((uint16_t)(1000 - 300 * i));
		fill(0x45, 300);
		send();
	}
	begin(100);
	fill(0x45, 100);
	put(1, 70, 0, 70);
	send();
	assert_int_equal(rig.n, 1);
	expect(0, 1, 70);
	expect_drops(DROP_AGGFRAG_ORPHAN, 4, 4);
	/* It was one packet. */
	assert_int_equal(count(AGGFRAG_RX_INCOMPLETE_PKTS), 1);
}

static void
a_gap_joins_nothing(void **state)
{
	half();
	number++;
	/* It fits by its length. */
	begin(400);
	put(2, 1000, 600, 400);
	put(4, 60, 0, 60);
	for (int i = 0; i < 5; i++) {
		send();
		begin(0);
		put(4, 60, 0, 60);
	}
	assert_int_equal(rig.n, 5);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_GAP], 1);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_ORPHAN], 1);
	assert_int_equal(in_rig_dropped(&rig), 2);
	assert_int_equal(count(AGGFRAG_RX_INCOMPLETE_PKTS), 1);
	assert_int_equal(count(AGGFRAG_RX_MISSED_PKTS), 1);
}

static const struct {
	const char *what;
	uint8_t octets[8];
	uint8_t n;
	enum drop_reason why;
	bool is_block; /* stands behind a good one; else it is the payload */
} malformed[] = {
	{ "nothing at all", { 0 }, 0, DROP_AGGFRAG_SHORT, false },
	{ "one octet", { 0 }, 1, DROP_AGGFRAG_SHORT, false },
	{ "three octets", { 0 }, 3, DROP_AGGFRAG_SHORT, false },
	{ "sub-type 1 in 8", { 1 }, 8, DROP_AGGFRAG_SHORT, false },
	{ "sub-type 4", { 4 }, 8, DROP_AGGFRAG_SUBTYPE, false },
	{ "sub-type 255 in one octet", { 255 }, 1, DROP_AGGFRAG_SUBTYPE, false },
	{ "a block of type 1", { 0x15 }, 8, DROP_AGGFRAG_TYPE, true },
	{ "a block of type 5", { 0x55 }, 8, DROP_AGGFRAG_TYPE, true },
	{ "a block of type 15", { 0xff }, 8, DROP_AGGFRAG_TYPE, true },
	{ "a length of 0", { 0x45 }, 8, DROP_AGGFRAG_INNER, true },
	{ "a length of 19", { 0x45, 0, 0, 19 }, 8, DROP_AGGFRAG_INNER, true },
	{ "a header of 4 words", { 0x44, 0, 0, 60 }, 8, DROP_AGGFRAG_INNER, true },
	{ "a length below its header's", { 0x4f, 0, 0, 59 }, 8, DROP_AGGFRAG_INNER, true },
	{ "IPv6 beyond 65535", { 0x60, 0, 0, 0, 0xff, 0xd8 }, 8, DROP_AGGFRAG_INNER, true },
};

static void
malformed_payloads(void **state)
{
	for (unsigned int i = 0; i < RTE_DIM(malformed); i++) {
		if (malformed[i].is_block) {
			begin(0);
			put(0, 300, 0, 300);
		} else {
			made.n = 0;
		}
		memcpy(made.octets + made.n, malformed[i].octets, malformed[i].n);
		made.n += malformed[i].n;
		send();
		good(1);
		if (rig.n != 1u + malformed[i].is_block)
			fail_msg("%s", malformed[i].what);
		expect(rig.n - 1, 1, 80);
		expect_drops(malformed[i].why, 1, 1);
		assert_int_equal(count(AGGFRAG_RX_ERRORED_PKTS), 1);
		again();
	}
}

static void
what_cannot_be_read_is_lost(void **state)
{
	half();
	made.n = 2;
	send();
	begin(400);
	put(0, 1000, 600, 400);
	send();
	assert_int_equal(rig.n, 0);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_GAP], 1);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_ORPHAN], 1);
}

/* What a beginning says of its length when that is seen at last. */
static void
lengths_that_turn_out_wrong(void **state)
{
	static const struct {
		uint8_t octets[6]; /* of a packet; the first 2 come first */
		uint16_t offset;
		enum drop_reason why;
	} cases[] = {
		{ { 0x45, 0, 0, 60 }, 57, DROP_AGGFRAG_OFFSET },
		{ { 0x45, 0, 0, 60 }, 59, DROP_AGGFRAG_OFFSET },
		{ { 0x45, 0, 0, 0 }, 58, DROP_AGGFRAG_INNER },
		{ { 0x4f, 0, 0, 50 }, 48, DROP_AGGFRAG_INNER },
		{ { 0x60, 0, 0, 0, 0, 20 }, 57, DROP_AGGFRAG_OFFSET },
		{ { 0x60, 0, 0, 0, 0xff, 0xff }, 65535, DROP_AGGFRAG_INNER },
	};

	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		begin(0);
		memcpy(made.octets + made.n, cases[i].octets, 2);
		made.n += 2;
		send();
		begin(cases[i].offset);
		memcpy(made.octets + made.n, cases[i].octets + 2, 4);
		made.n += 4;
		fill(9, RTE_MIN(cases[i].offset, 1000) - 4u);
		send();
		good(2);
		assert_int_equal(rig.n, 1);
		expect_drops(cases[i].why, 1, 1);
		again();
	}
}

static void
pieces_that_are_not_taken(void **state)
{
	params.dont_frag = true;
	aggfrag_in_retune(&rig.in[0], &params, IN_RIG_SA, 0);
	half();
	begin(400);
	put(0, 1000, 600, 400);
	put(2, 60, 0, 60);
	put(4, 60, 0, 3);
	send();
	assert_int_equal(rig.n, 1);
	expect(0, 2, 60);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_NOFRAG], 2);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_ORPHAN], 1);
}

static void
rest_that_never_comes(void **state)
{
	half();
	in_rig_wait(&rig, DROP_TIME - 1);
	assert_int_equal(in_rig_dropped(&rig), 0);
	in_rig_wait(&rig, 1);
	expect_drops(DROP_AGGFRAG_TIMEOUT, 1, 1);
	assert_int_equal(rig.r->segments, 0);
	assert_int_equal(count(AGGFRAG_RX_INCOMPLETE_PKTS), 1);
	/* Each piece begins the time anew. */
	half();
	in_rig_wait(&rig, DROP_TIME - 1);
	begin(400);
	put(0, 1000, 600, 100);
	send();
	in_rig_wait(&rig, DROP_TIME - 1);
	begin(300);
	put(0, 1000, 700, 300);
	send();
	assert_int_equal(rig.n, 1);
	expect(0, 0, 1000);
	in_rig_wait(&rig, 3 * DROP_TIME);
	assert_int_equal(in_rig_dropped(&rig), 1);
}

static void
no_buffers(void **state)
{
	struct rte_mbuf *all[MBUFS], *m;
	unsigned int n = 0;

	begin(0);
	put(0, 100, 0, 100);
	put(2, 800, 0, 800);
	put(4, 200, 0, 200);
	put(6, 500, 0, 100);
	m = payload(pool, 1900);
	while (n < MBUFS && (all[n] = rte_pktmbuf_alloc(pool)) != NULL)
		n++;
	in_rig_give(&rig, number++, m);
	in_rig_run(&rig);
	rte_pktmbuf_free_bulk(all, n);
	/* What stays in its buffer needs none. */
	assert_int_equal(rig.n, 1);
	expect(0, 2, 800);
	expect_drops(DROP_NO_MBUF, 3, 3);
	begin(400);
	put(6, 500, 100, 400);
	send();
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_ORPHAN], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cut_anywhere, up, down),
		cmocka_unit_test_setup_teardown(large_ones, up, down),
		cmocka_unit_test_setup_teardown(largest_stays, up, down),
		cmocka_unit_test_setup_teardown(tail_stays_and_grows, up, down),
		cmocka_unit_test_setup_teardown(tail_is_copied_beside_a_kept_packet, up, down),
		cmocka_unit_test_setup_teardown(moved_tail_is_the_payloads_buffer, up, down),
		cmocka_unit_test_setup_teardown(rest_stays_behind_a_short_beginning, up, down),
		cmocka_unit_test_setup_teardown(shared_buffers_are_copied, up, down),
		cmocka_unit_test_setup_teardown(more_packets_than_fit_a_turn, up, down),
		cmocka_unit_test_setup_teardown(all_pads_are_stepped_over, up, down),
		cmocka_unit_test_setup_teardown(offsets_that_disagree, up, down),
		cmocka_unit_test_setup_teardown(orphans_are_skipped, up, down),
		cmocka_unit_test_setup_teardown(a_gap_joins_nothing, up, down),
		cmocka_unit_test_setup_teardown(malformed_payloads, up, down),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_lost, up, down),
		cmocka_unit_test_setup_teardown(lengths_that_turn_out_wrong, up, down),
		cmocka_unit_test_setup_teardown(pieces_that_are_not_taken, up, down),
		cmocka_unit_test_setup_teardown(rest_that_never_comes, up, down),
		cmocka_unit_test_setup_teardown(no_buffers, up, down),
	};

	if (test_eal_init() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests_name("aggfrag_split", tests, NULL, NULL);
}
