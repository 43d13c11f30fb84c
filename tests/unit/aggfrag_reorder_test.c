/* The reorder window of IP-TFS: order, holes and their time, jumps, what may be held. */
#include "unit.h"

#include "aggfrag_in_rig.h"
#include "eal.h"

#define MBUFS	  900
#define MS	  UINT64_C(1000000)
#define DROP_TIME (10 * MS)

static struct rte_mempool *pool;
static struct in_rig rig;
static struct aggfrag_params params;

static void
begin(uint16_t window, uint16_t n_streams)
{
	params = (struct aggfrag_params) { .on = true,
					   .reorder_window = window,
					   .drop_time = DROP_TIME };
	in_rig_up(&rig, pool, &params, n_streams);
	rig.w->now = 1000 * MS;
}

/* A payload with one packet, which says the payload's number; or more, and a beginning. */
static struct rte_mbuf *
payload(uint64_t seq, unsigned int packets, uint16_t beginning)
{
	static const uint8_t head[] = { 0x45, 0, 0, 32 }, large[] = { 0x45, 0, 0xff, 0xff };
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t octets[1024] = { 0 }, *at = octets + WIRE_AGGFRAG_HEADER;

	assert_non_null(m);
	for (unsigned int i = 0; i < packets; i++, at += 32) {
		memcpy(at, head, sizeof(head));
		memcpy(at + 20, &seq, sizeof(seq));
	}
	if (beginning > 0)
		memcpy(at, large, sizeof(large));
	at += beginning;
	memcpy(rte_pktmbuf_append(m, (uint16_t)(at - octets)), octets, at - octets);
	return m;
}

static bool
give(uint64_t seq)
{
	bool taken = in_rig_give(&rig, seq, payload(seq, 1, 0));

	in_rig_run(&rig);
	return taken;
}

static uint64_t
number_of(uint32_t i)
{
	uint64_t seq;

	assert_true(i < rig.n);
	memcpy(&seq, rte_pktmbuf_mtod_offset(rig.out[i], const uint8_t *, 20), sizeof(seq));
	return seq;
}

/* What has come out so far. */
static void
expect(const uint64_t *numbers, uint32_t n)
{
	assert_int_equal(rig.n, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(number_of(i), numbers[i]);
}

static uint64_t
count(enum aggfrag_in_count what)
{
	return rig.in[0].counts[what];
}

/* ---- Order. ---- */

static const struct {
	const char *what;
	uint16_t window;
	uint8_t n, n_out; /* payloads, and how many of them come out before anybody gives up */
	uint64_t in[10], out[10];
	uint8_t late, reordered;
	uint64_t missed;
} orders[] = {
	{ "as they should be", 3, 4, 4, { 5, 6, 7, 8 }, { 5, 6, 7, 8 }, 0, 0, 0 },
	{ "two change places", 3, 4, 4, { 5, 7, 6, 8 }, { 5, 6, 7, 8 }, 0, 1, 0 },
	{ "the last first", 3, 5, 5, { 5, 9, 8, 7, 6 }, { 5, 6, 7, 8, 9 }, 0, 3, 0 },
	{ "the last of a window first", 3, 4, 1, { 5, 9, 8, 7 }, { 5, 7, 8, 9 }, 0, 3, 1 },
	{ "one beyond the window", 3, 5, 5, { 5, 7, 8, 9, 10 }, { 5, 7, 8, 9, 10 }, 0, 3, 1 },
	{ "it comes late", 3, 6, 5, { 5, 7, 8, 9, 10, 6 }, { 5, 7, 8, 9, 10 }, 1, 3, 1 },
	{ "two holes", 3, 5, 2, { 5, 7, 9, 10, 11 }, { 5, 7, 9, 10, 11 }, 0, 4, 2 },
	{ "a window of 1", 1, 5, 4, { 5, 7, 8, 6, 9 }, { 5, 7, 8, 9 }, 1, 1, 1 },
	{ "no window", 0, 5, 4, { 5, 7, 6, 8, 9 }, { 5, 7, 8, 9 }, 1, 0, 1 },
	{ "before the first", 3, 3, 2, { 5, 4, 6 }, { 5, 6 }, 1, 0, 0 },
	{ "the first of all is overtaken", 3, 3, 3, { 3, 2, 1 }, { 1, 2, 3 }, 0, 2, 0 },
	{ "the first of all is lost", 3, 4, 4, { 2, 3, 4, 5 }, { 2, 3, 4, 5 }, 0, 3, 1 },
	{ "a number twice, and nobody else says so",
	  3,
	  5,
	  3,
	  { 5, 7, 7, 5, 6 },
	  { 5, 6, 7 },
	  2,
	  1,
	  0 },
	{ "far away", 3, 3, 1, { 5, 1000, 1001 }, { 5, 1000, 1001 }, 0, 2, 994 },
	{ "far away, and back by a window",
	  3,
	  5,
	  5,
	  { 5, 1000, 997, 999, 998 },
	  { 5, 997, 998, 999, 1000 },
	  0,
	  2,
	  991 },
};

static void
order_is_kept(void **state)
{
	for (unsigned int i = 0; i < RTE_DIM(orders); i++) {
		uint32_t late = 0;

		print_message("%s\n", orders[i].what);
		begin(orders[i].window, 1);
		for (uint8_t k = 0; k < orders[i].n; k++)
			late += !give(orders[i].in[k]);
		assert_int_equal(late, orders[i].late);
		expect(orders[i].out, orders[i].n_out);
		aggfrag_in_flush(rig.r, &rig.in[0]);
		in_rig_run(&rig);
		expect(orders[i].out, orders[i].n - late);
		assert_int_equal(count(AGGFRAG_RX_REORDERED_PKTS), orders[i].reordered);
		assert_int_equal(count(AGGFRAG_RX_MISSED_PKTS), orders[i].missed);
		in_rig_down(&rig);
	}
}

/* The same, one number at a time. */
static struct {
	bool waits[1000];
	uint64_t want, highest, out[100];
	uint32_t n;
} naive;

static bool
naive_give(uint64_t seq, uint16_t window)
{
	if (naive.want == 0)
		naive.want = seq;
	if (seq < naive.want)
		return false;
	naive.waits[seq] = true;
	naive.highest = RTE_MAX(naive.highest, seq);
	for (; naive.want <= naive.highest; naive.want++) {
		if (naive.waits[naive.want])
			naive.out[naive.n++] = naive.want;
		else if (naive.highest - naive.want <= window)
			break;
	}
	return true;
}

static void
any_order(void **state)
{
	static const uint16_t windows[] = { 0, 1, 2, 3, 6, 63, 64, 65, 127, 200 };

	for (uint32_t random = 1, round = 0; round < 5000; round++) {
		uint16_t window = windows[round % RTE_DIM(windows)];
		uint64_t numbers[60];

		begin(window, 1);
		memset(&naive, 0, sizeof(naive));
		for (unsigned int i = 0; i < RTE_DIM(numbers); i++) {
			unsigned int j = i - (random >> 27) * i / 64;

			random = random * 1664525 + 1013904223;
			numbers[i] = numbers[j];
			numbers[j] = 300 + i * (1 + round % 2) + (i > 30) * 150 * (round % 3);
		}
		for (unsigned int i = 0; i < RTE_DIM(numbers); i++) {
			assert_int_equal(give(numbers[i]), naive_give(numbers[i], window));
			expect(naive.out, naive.n);
		}
		assert_int_equal(count(AGGFRAG_RX_MISSED_PKTS),
				 number_of(rig.n - 1) - number_of(0) + 1 - rig.n);
		in_rig_down(&rig);
	}
}

/* ---- Holes. ---- */

static void
holes_have_their_time(void **state)
{
	static const uint64_t all[] = { 1, 3, 5, 6 };

	begin(10, 1);
	give(1);
	give(3);
	in_rig_wait(&rig, 6 * MS);
	give(5);
	give(6);
	in_rig_wait(&rig, 4 * MS - 1);
	expect(all, 1);
	in_rig_wait(&rig, 1);
	expect(all, 2);
	assert_int_equal(count(AGGFRAG_RX_REORDER_TIMEOUTS), 1);
	in_rig_wait(&rig, 6 * MS - 1);
	expect(all, 2);
	in_rig_wait(&rig, 1);
	expect(all, 4);
	assert_int_equal(count(AGGFRAG_RX_REORDER_TIMEOUTS), 2);
	assert_int_equal(count(AGGFRAG_RX_MISSED_PKTS), 2);
	assert_int_equal(rig.r->segments, 0);
	assert_false(give(2));
	in_rig_wait(&rig, 100 * MS);
	in_rig_down(&rig);
}

/* What comes into a hole does not make what is missing before it any younger. */
static void
filled_behind_a_hole(void **state)
{
	static const uint64_t all[] = { 1, 3, 4 };

	begin(10, 1);
	give(1);
	give(4);
	in_rig_wait(&rig, 9 * MS);
	give(3);
	in_rig_wait(&rig, MS);
	expect(all, 3);
	in_rig_down(&rig);
}

static void
hole_filled_in_time(void **state)
{
	static const uint64_t all[] = { 1, 2, 3, 5 };

	begin(10, 1);
	give(1);
	give(3);
	in_rig_wait(&rig, 9 * MS);
	give(2);
	give(5);
	/* The time of the first hole is not the second's. */
	in_rig_wait(&rig, 9 * MS);
	expect(all, 3);
	in_rig_wait(&rig, MS);
	expect(all, 4);
	in_rig_down(&rig);
}

static void
beginning_waits_no_longer_than_the_hole(void **state)
{
	begin(3, 1);
	in_rig_give(&rig, 1, payload(1, 1, 60));
	in_rig_run(&rig);
	in_rig_wait(&rig, 9 * MS);
	give(3);
	/* Its own time is over, but what is missing may come yet. */
	in_rig_wait(&rig, 5 * MS);
	assert_int_equal(in_rig_dropped(&rig), 0);
	in_rig_wait(&rig, 5 * MS);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_GAP], 1);
	assert_int_equal(rig.n, 2);
	in_rig_down(&rig);
}

/* ---- Jumps. ---- */

static void
jumps_cost_the_same(void **state)
{
	static const uint16_t windows[] = { 0, 3, 1024, 65535 };
	static const uint64_t by[] = { 1ull << 16, 1ull << 31, 1ull << 40, 1ull << 62 };

	for (unsigned int i = 0; i < RTE_DIM(windows); i++)
		for (unsigned int j = 0; j < RTE_DIM(by); j++) {
			begin(windows[i], 1);
			/* Step by step this would take years. */
			give(1);
			give(1 + by[j]);
			give(1 + 2 * by[j]);
			give(3);
			aggfrag_in_flush(rig.r, &rig.in[0]);
			in_rig_run(&rig);
			assert_int_equal(rig.n, 3);
			assert_int_equal(count(AGGFRAG_RX_MISSED_PKTS), 2 * by[j] - 2);
			assert_int_equal(count(AGGFRAG_RX_LATE_PKTS), 0); /* the stage's */
			assert_int_equal(rig.w->drops[DROP_AGGFRAG_LATE], 1);
			in_rig_down(&rig);
		}
}

static void
largest_window(void **state)
{
	begin(65535, 1);
	give(1);
	give(2 + 65535);
	give(3);
	assert_int_equal(rig.n, 1);
	/* Now 2 may come no more. */
	give(3 + 65535);
	assert_int_equal(rig.n, 2);
	assert_int_equal(number_of(1), 3);
	assert_false(give(2));
	assert_true(give(4));
	assert_int_equal(rig.n, 3);
	in_rig_down(&rig);
}

/* ---- Bounds. ---- */

static void
oldest_goes(void **state)
{
	enum {
		N = 400
	};
	uint32_t most = MBUFS / 4;

	begin(3, N);
	for (uint16_t i = 0; i < N; i++) {
		in_rig_give_to(&rig, i, 1, payload(i, 1, 200));
		in_rig_run(&rig);
		rig.w->now++;
		assert_true(rig.r->segments <= most);
	}
	assert_int_equal(rig.n, N);
	assert_int_equal(rig.r->segments, most);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_QUEUE], N - most);
	for (uint16_t i = 0; i < N; i++)
		assert_true((rig.in[i].partial.m != NULL) == (i >= N - most));
	in_rig_down(&rig);
}

static void
windows_give_way_too(void **state)
{
	begin(1000, 1);
	give(1);
	for (uint64_t seq = 3; seq < 503; seq++)
		give(seq);
	/* More than it may hold: what is missing was given up, nothing else is lost. */
	assert_int_equal(rig.n, 501);
	assert_int_equal(in_rig_dropped(&rig), 0);
	assert_int_equal(count(AGGFRAG_RX_MISSED_PKTS), 1);
	in_rig_down(&rig);
}

/* ---- Options. ---- */

static void
some_need_not_wait(void **state)
{
	static const uint64_t all[] = { 1, 3, 3, 3, 4, 2, 5 };

	begin(8, 1);
	params.send_immediately = true;
	aggfrag_in_retune(&rig.in[0], &params, IN_RIG_SA, 0);
	give(1);
	in_rig_give(&rig, 3, payload(3, 3, 40));
	in_rig_run(&rig);
	expect(all, 4);
	/* It is not the piece of 3 that goes on here. */
	give(4);
	expect(all, 5);
	give(2);
	expect(all, 6);
	give(5);
	expect(all, 7);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_OFFSET], 1);
	assert_int_equal(in_rig_dropped(&rig), 1);
	in_rig_down(&rig);
}

static void
retuned_while_it_waits(void **state)
{
	static const uint64_t all[] = { 1, 4, 5, 7 };
	struct aggfrag_params other = { .on = true, .reorder_window = 2, .drop_time = MS };

	begin(10, 1);
	give(1);
	give(4);
	give(5);
	aggfrag_in_retune(&rig.in[0], &other, IN_RIG_SA, 0);
	expect(all, 1);
	give(7);
	expect(all, 3);
	aggfrag_in_flush(rig.r, &rig.in[0]);
	in_rig_run(&rig);
	expect(all, 4);
	/* More than its slots: as much as they hold. */
	other.reorder_window = 65535;
	give(9);
	give(8 + 63);
	assert_int_equal(rig.n, 4);
	give(8 + 64);
	assert_int_equal(rig.n, 5);
	in_rig_down(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_kept),
		cmocka_unit_test(any_order),
		cmocka_unit_test(holes_have_their_time),
		cmocka_unit_test(filled_behind_a_hole),
		cmocka_unit_test(hole_filled_in_time),
		cmocka_unit_test(beginning_waits_no_longer_than_the_hole),
		cmocka_unit_test(jumps_cost_the_same),
		cmocka_unit_test(largest_window),
		cmocka_unit_test(oldest_goes),
		cmocka_unit_test(windows_give_way_too),
		cmocka_unit_test(some_need_not_wait),
		cmocka_unit_test(retuned_while_it_waits),
	};

	if (test_eal_init() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests_name("aggfrag_reorder", tests, NULL, NULL);
}
