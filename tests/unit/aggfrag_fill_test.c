/* Payloads of IP-TFS: what an observer that knows RFC 9347 finds in them is what was given. */
#include "unit.h"

#include <rte_ip.h>

#include "aggfrag/fill.h"
#include "base/clock.h"
#include "eal.h"
#include "port/port.h"
#include "worker.h"

#define MBUFS 600
#define SIZE  1446 /* of a payload: GCM-16 over IPv4, 1500 octets */
#define DATA  (SIZE - WIRE_AGGFRAG_HEADER)
#define MS    UINT64_C(1000000)

static struct rte_mempool *pool;
static struct worker *w;
static struct aggfrag_out *s;
static const struct aggfrag_room usual = { .size = SIZE, .head = 90, .tail = 34 };

/* The observer. */
static struct {
	uint16_t next, pushed; /* inner packets, by their IPv4 id: in order, without a gap */
	uint32_t at, len;      /* of the one that is being put together */
	uint32_t payloads;
	uint16_t gone; /* one that is not sent; 0: none */
} seen;

static void
begin(const struct aggfrag_params *params)
{
	struct err err;

	w = test_worker_new(0, 1);
	w->pool = pool;
	w->sparse = rte_zmalloc("drops", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE);
	assert_int_equal(aggfrag_out_create(params, 1, 0, &s, &err), 0);
	memset(&seen, 0, sizeof(seen));
}

static void
end(void)
{
	assert_int_equal(s->packets, 0);
	assert_int_equal(s->octets, 0);
	assert_null(s->first);
	aggfrag_out_free(s);
	rte_free(w->sparse);
	rte_free(w);
	assert_int_equal(rte_mempool_avail_count(pool), MBUFS);
}

/* What octet i of packet `id` is. */
static uint8_t
octet(uint16_t id, uint32_t len, uint32_t i)
{
	const uint8_t head[] = {
		0x45, 0, (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)(id >> 8), (uint8_t)id
	};

	return i < sizeof(head) ? head[i] : (uint8_t)(id * 7 + i);
}

/* In segments of at most `most` octets. */
static struct rte_mbuf *
inner(uint16_t len, uint16_t most)
{
	struct rte_mbuf *m = NULL, *last = NULL;
	uint16_t id = seen.pushed++;

	for (uint32_t at = 0; at < len;) {
		uint16_t n = RTE_MIN(most, len - at);
		struct rte_mbuf *seg = test_mbuf_new(pool, n);

		for (uint16_t i = 0; i < n; i++, at++)
			rte_pktmbuf_mtod(seg, uint8_t *)[i] = octet(id, len, at);
		if (m == NULL) {
			m = seg;
		} else {
			last->next = seg;
			m->nb_segs++;
			m->pkt_len += n;
		}
		last = seg;
	}
	return m;
}

static void
push(uint16_t len, uint64_t now)
{
	aggfrag_push(s, inner(len, 2000), now);
}

/* One block, or as much of it as there is; returns its octets here. */
static uint32_t
block(const uint8_t *at, uint32_t have)
{
	enum wire_aggfrag_block kind = wire_aggfrag_block(at, have, &seen.len);
	uint32_t n;

	if (kind == WIRE_AGGFRAG_PAD) {
		for (uint32_t i = 0; i < have; i++)
			assert_int_equal(at[i], 0);
		return have;
	}
	assert_int_equal(kind, WIRE_AGGFRAG_PACKET);
	n = RTE_MIN(have, seen.len);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(at[i], octet(seen.next, seen.len, i));
	seen.at = n;
	return n;
}

static void
piece_end(void)
{
	if (seen.at < seen.len)
		return;
	seen.next++;
	seen.next += seen.gone != 0 && seen.next == seen.gone;
	seen.at = seen.len = 0;
}

/* Takes the payload apart; returns its size. */
static uint32_t
observe(struct rte_mbuf *m)
{
	uint8_t octets[9500];
	const struct wire_aggfrag *head = (const struct wire_aggfrag *)octets;
	uint32_t size = m->pkt_len, at = WIRE_AGGFRAG_HEADER;
	uint16_t segs = 0, offset;
	uint32_t len = 0;

	for (const struct rte_mbuf *seg = m; seg != NULL; seg = seg->next, segs++)
		len += seg->data_len;
	assert_int_equal(len, size);
	assert_int_equal(segs, m->nb_segs);
	assert_true(rte_pktmbuf_headroom(m) >= usual.head);
	assert_true(rte_pktmbuf_tailroom(rte_pktmbuf_lastseg(m)) >= usual.tail);
	memcpy(octets, rte_pktmbuf_read(m, 0, size, octets), size);
	rte_pktmbuf_free(m);
	assert_int_equal(head->sub_type, WIRE_AGGFRAG_PLAIN);
	assert_int_equal(head->flags, 0);
	offset = rte_be_to_cpu_16(head->block_offset);
	assert_int_equal(offset, seen.len - seen.at);
	for (uint32_t n = RTE_MIN(offset, size - at); n > 0; n--, at++, seen.at++)
		assert_int_equal(octets[at], octet(seen.next, seen.len, seen.at));
	if (offset > 0)
		piece_end();
	while (at < size) {
		at += block(octets + at, size - at);
		if (seen.len > 0)
			piece_end();
	}
	seen.payloads++;
	return size;
}

static uint32_t
next(bool pad, uint64_t now)
{
	struct rte_mbuf *m = aggfrag_payload(s, w, &usual, pad, now);

	return m == NULL ? 0 : observe(m);
}

/* Random sizes, packets in one segment or several, with and without padding. */
static void
what_is_given_comes_out_in_order(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 1 << 20 };

	for (unsigned int seed = 1; seed < 60; seed++) {
		bool pad = seed % 2 != 0;

		srand(seed);
		begin(&params);
		for (unsigned int step = 0; step < 200; step++) {
			uint16_t len = (uint16_t)(20 + rand() % (rand() % 8 == 0 ? 9000 : 1500));

			if (s->packets < 30 && rand() % 2 != 0) {
				aggfrag_push(s, inner(len, rand() % 4 == 0 ? 700 : 2000), 0);
			} else {
				uint32_t size = next(pad, 0);

				if (pad)
					assert_int_equal(size, SIZE);
				else if (s->packets > 0)
					assert_in_range(size, SIZE - WIRE_AGGFRAG_RUNT + 1, SIZE);
			}
		}
		while (s->packets > 0)
			next(pad, 0);
		assert_int_equal(seen.next, seen.pushed);
		assert_int_equal(s->counts[AGGFRAG_TX_INNER_PKTS], seen.pushed);
		assert_int_equal(w->merged, seen.pushed);
		assert_int_equal(w->split + w->generated[GENERATED_ALL_PAD], seen.payloads);
		assert_int_equal(s->counts[AGGFRAG_TX_PKTS], seen.payloads);
		end();
	}
}

/* Four of 500 octets: the third is cut, its rest and the fourth are in the second payload. */
static void
offset_says_what_is_missing(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 1 << 20 };
	const struct wire_aggfrag *head;
	struct rte_mbuf *m;

	begin(&params);
	for (int i = 0; i < 4; i++)
		push(500, 0);
	assert_int_equal(next(false, 0), SIZE);
	m = aggfrag_payload(s, w, &usual, false, 0);
	head = rte_pktmbuf_mtod(m, const struct wire_aggfrag *);
	assert_int_equal(rte_be_to_cpu_16(head->block_offset), 1500 - DATA);
	assert_int_equal(observe(m), WIRE_AGGFRAG_HEADER + 2000 - DATA);
	assert_int_equal(s->counts[AGGFRAG_TX_FRAG_PKTS], 1);
	assert_int_equal(next(false, 0), 0);
	end();
}

/* An IPv6 receiver needs six octets to know a length. */
static void
no_packet_begins_in_the_last_octets(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 1 << 20 };

	for (uint16_t left = 0; left < 8; left++)
		for (int pad = 0; pad < 2; pad++) {
			begin(&params);
			push(DATA - left, 0);
			push(100, 0);
			assert_int_equal(next(pad, 0), left < 6 && !pad ? SIZE - left : SIZE);
			assert_int_equal(s->begun, left >= 6);
			assert_int_equal(s->counts[AGGFRAG_TX_EXTRA_PAD_OCTETS],
					 left < 6 && pad ? left : 0);
			next(pad, 0);
			assert_int_equal(seen.next, 2);
			end();
		}
}

static void
dont_frag_sends_whole_packets(void **state)
{
	const struct aggfrag_params params = { .on = true,
					       .dont_frag = true,
					       .max_queue = 1 << 20 };

	begin(&params);
	push(800, 0);
	push(800, 0);
	push(600, 0);
	assert_int_equal(next(false, 0), WIRE_AGGFRAG_HEADER + 800);
	assert_int_equal(next(true, 0), SIZE);
	assert_int_equal(s->packets, 0);
	/* The path got smaller when it waited already. */
	push(DATA + 1, 0);
	seen.next++;
	push(DATA, 0);
	assert_int_equal(next(false, 0), SIZE);
	assert_int_equal(w->drops[DROP_TOO_BIG], 1);
	assert_int_equal(s->counts[AGGFRAG_TX_FRAG_PKTS], 0);
	end();
}

static void
what_waited_too_long_is_dropped(void **state)
{
	const struct aggfrag_params params = {
		.on = true, .max_wait = 2 * MS, .init_delay = 5 * MS, .max_queue = 1 << 20
	};

	begin(&params);
	push(3000, 10 * MS);
	push(100, 10 * MS);
	push(100, 11 * MS);
	seen.gone = 1;
	assert_int_equal(aggfrag_due(s, &usual), 0);
	assert_int_equal(next(false, 12 * MS), SIZE);
	/* What was begun is finished, whenever; the second is too late, the third is not. */
	assert_int_equal(next(false, 13 * MS), SIZE);
	assert_int_equal(s->packets, 3);
	assert_int_equal(aggfrag_due(s, &usual), 12 * MS);
	assert_int_equal(next(false, 13 * MS), WIRE_AGGFRAG_HEADER + 3000 - 2 * DATA + 100);
	assert_int_equal(w->drops[DROP_AGGFRAG_AGED], 1);
	assert_int_equal(s->counts[AGGFRAG_TX_AGED_DROPS], 1);
	end();
}

static void
queue_has_an_end(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 2000 };
	struct aggfrag_room room = usual;

	begin(&params);
	push(1900, 7);
	assert_false(aggfrag_is_nearly_full(s, 0));
	assert_true(aggfrag_is_full(s, 101));
	assert_false(aggfrag_is_full(s, 100));
	push(20, 8);
	assert_true(aggfrag_is_nearly_full(s, 0));
	assert_false(aggfrag_is_too_late(s, &room));
	next(false, 9);
	next(false, 9);
	end();
}

/* Larger than a buffer, and out of packets that are, too. */
static void
jumbo_payloads_are_chains(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 1 << 20 };
	const struct aggfrag_room jumbo = { .size = 8900, .head = 90, .tail = 34 };

	begin(&params);
	for (int i = 0; i < 30; i++)
		aggfrag_push(s, inner((uint16_t)(200 + i * 99), 1000), 0);
	while (s->packets > 0) {
		uint64_t waits = s->octets;
		struct rte_mbuf *m = aggfrag_payload(s, w, &jumbo, false, 0);

		if (waits > 8896)
			assert_true(m->pkt_len > 8890 && m->nb_segs > 3);
		observe(m);
		m = aggfrag_payload(s, w, &jumbo, true, 0);
		assert_int_equal(m->pkt_len, 8900);
		observe(m);
	}
	assert_int_equal(seen.next, 30);
	end();
}

/* Without a buffer nothing is begun, nothing lost, and a small packet's own has to do. */
static void
no_buffer_loses_nothing(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 1 << 20 };
	struct rte_mbuf *all[MBUFS];
	unsigned int n;

	begin(&params);
	push(3000, 0);
	push(40, 0);
	n = rte_mempool_avail_count(pool);
	assert_int_equal(rte_pktmbuf_alloc_bulk(pool, all, n), 0);
	assert_int_equal(next(true, 0), 0);
	assert_int_equal(s->octets, 3040);
	rte_pktmbuf_free(all[--n]);
	assert_int_equal(next(false, 0), SIZE);
	while (s->packets > 0)
		assert_true(next(false, 0) > 0);
	assert_int_equal(next(true, 0), SIZE);
	assert_int_equal(seen.next, 2);
	push(40, 0);
	rte_pktmbuf_free_bulk(all, n);
	n = rte_mempool_avail_count(pool);
	assert_int_equal(rte_pktmbuf_alloc_bulk(pool, all, n), 0);
	assert_int_equal(next(false, 0), WIRE_AGGFRAG_HEADER + 40);
	rte_pktmbuf_free_bulk(all, n);
	end();
}

/* Large packets stay where they are. */
static void
large_packets_are_not_copied(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 1 << 20 };
	const uint8_t *was;
	struct rte_mbuf *m;

	begin(&params);
	push(1000, 0);
	push(1000, 0);
	was = rte_pktmbuf_mtod(s->first, const uint8_t *);
	m = aggfrag_payload(s, w, &usual, false, 0);
	assert_ptr_equal(rte_pktmbuf_mtod_offset(m, const uint8_t *, WIRE_AGGFRAG_HEADER), was);
	observe(m);
	was = rte_pktmbuf_mtod(s->first, const uint8_t *);
	m = aggfrag_payload(s, w, &usual, true, 0);
	assert_ptr_equal(rte_pktmbuf_mtod_offset(m, const uint8_t *, WIRE_AGGFRAG_HEADER), was);
	observe(m);
	/* Of one that is too large by little, the rest moves. */
	push(1500, 0);
	was = rte_pktmbuf_mtod(s->first, const uint8_t *);
	m = aggfrag_payload(s, w, &usual, true, 0);
	assert_ptr_equal(rte_pktmbuf_mtod_offset(m, const uint8_t *, WIRE_AGGFRAG_HEADER), was);
	observe(m);
	next(true, 0);
	end();
}

/* Each payload of a flow of large packets is in the buffer of the packet that it begins with, in
 * which that moves when there is no room behind it. No other buffer is taken.
 */
static void
large_packets_move_in_their_buffers(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 1 << 20 };
	unsigned int stayed = 0, moved = 0;

	begin(&params);
	for (unsigned int i = 0; i < 40; i++)
		push(1400, 0);
	while (s->octets >= DATA) {
		const struct rte_mbuf *first = s->first;
		const uint8_t *was = rte_pktmbuf_mtod(first, const uint8_t *);
		unsigned int in_use = rte_mempool_in_use_count(pool);
		struct rte_mbuf *m = aggfrag_payload(s, w, &usual, false, 0);

		assert_ptr_equal(m, first);
		assert_true(rte_mempool_in_use_count(pool) <= in_use);
		assert_true(rte_pktmbuf_tailroom(m) >= usual.tail);
		if (rte_pktmbuf_mtod_offset(m, const uint8_t *, WIRE_AGGFRAG_HEADER) == was)
			stayed++;
		else
			moved++;
		observe(m);
	}
	next(false, 0);
	assert_true(stayed > 5 && moved > 5);
	end();
}

/* A burst at once is queued as its packets one by one. */
static void
burst_is_its_packets(void **state)
{
	const struct aggfrag_params params = { .on = true, .max_queue = 1 << 20 };
	struct rte_mbuf *pkts[32];

	begin(&params);
	for (unsigned int round = 0; round < 3; round++) {
		uint64_t octets = 0;

		for (unsigned int i = 0; i < RTE_DIM(pkts); i++) {
			pkts[i] = inner((uint16_t)(20 + i * 61 % 300), 2000);
			octets += pkts[i]->pkt_len;
		}
		aggfrag_push_all(s, pkts, RTE_DIM(pkts), octets, round);
		assert_int_equal(pkt_of(s->last)->seq, round);
		push(64, round);
		if (round == 0)
			next(false, 0);
	}
	assert_true(s->packets > 66);
	while (s->first != NULL)
		next(false, 3);
	end();
}

/* 1 Gbit/s of 1500 octets is one in 12 µs; 7 Mbit/s is a fraction, which does not add up. */
static void
rate_is_exact(void **state)
{
	static const struct {
		uint64_t rate;
		uint32_t octets;
	} cases[] = { { 1000000000, 1500 },
		      { 7000000, 1500 },
		      { 999999937, 1499 },
		      { 100000000000, 1500 },
		      { 64000, 256 } };

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		const struct aggfrag_params params = { .on = true, .rate_bps = cases[i].rate };

		begin(&params);
		s->start = 5;
		aggfrag_interval_set(s, cases[i].octets, cases[i].rate);
		assert_true(aggfrag_tick(s, 5, 8));
		for (uint64_t n = 1; n < 100000; n++) {
			unsigned __int128 bits = (unsigned __int128)n * cases[i].octets * 8;
			uint64_t want = 5 + (uint64_t)(bits * NS_PER_SECOND / cases[i].rate);

			assert_in_range(s->next, want - 1, want);
			assert_false(aggfrag_tick(s, s->next - 1, 8));
			assert_true(aggfrag_tick(s, s->next, 8));
		}
		assert_int_equal(s->counts[AGGFRAG_TX_LATE_TICKS], 0);
		end();
	}
}

/* Lanes take turns that are as far apart as those of one stream with all of the rate. */
static void
lanes_are_staggered(void **state)
{
	const struct aggfrag_params params = { .on = true, .rate_bps = 1000000000 };
	struct aggfrag_out *lanes;
	struct err err;

	assert_int_equal(aggfrag_out_create(&params, 4, 1000, &lanes, &err), 0);
	for (uint16_t i = 0; i < 4; i++) {
		aggfrag_interval_set(&lanes[i], 1500, 1000000000);
		assert_int_equal(lanes[i].interval, 48000);
		assert_int_equal(aggfrag_tick(&lanes[i], 1000, 8), i == 0);
		assert_int_equal(lanes[i].next, 1000 + 12000 * i + (i == 0 ? 48000 : 0));
	}
	/* Another size: each finds its turn by itself. */
	for (uint16_t i = 0; i < 4; i++) {
		aggfrag_interval_set(&lanes[i], 1000, 1000000000);
		assert_false(aggfrag_tick(&lanes[i], 1001 + 8000 * i, 8));
		assert_int_equal(lanes[i].next, 1000 + 8000 * i + 32000);
	}
	aggfrag_out_free(lanes);
}

/* It counts from the last one. */
static void
another_rate_is_kept_at_once(void **state)
{
	const struct aggfrag_params params = { .on = true, .rate_bps = 12000 };

	begin(&params);
	aggfrag_interval_set(s, 1500, 12000);
	assert_true(aggfrag_tick(s, 0, 8));
	assert_int_equal(s->next, 1000 * MS);
	aggfrag_interval_set(s, 1500, 12000000);
	assert_int_equal(s->next, MS);
	assert_false(aggfrag_tick(s, MS - 1, 8));
	assert_true(aggfrag_tick(s, MS, 8));
	aggfrag_interval_set(s, 3000, 12000000);
	assert_int_equal(s->next, 3 * MS);
	end();
}

static void
what_is_missed_for_long_is_left_out(void **state)
{
	const struct aggfrag_params params = { .on = true, .rate_bps = 1000000000 };
	unsigned int n = 0;

	begin(&params);
	aggfrag_interval_set(s, 1500, 1000000000);
	assert_true(aggfrag_tick(s, 0, 8));
	while (aggfrag_tick(s, 8 * 12000, 8))
		n++;
	assert_int_equal(n, 8);
	assert_int_equal(s->counts[AGGFRAG_TX_LATE_TICKS], 0);
	for (n = 0; aggfrag_tick(s, 1000 * MS + 5, 8);)
		n++;
	assert_int_equal(n, 1);
	assert_int_equal(s->counts[AGGFRAG_TX_LATE_TICKS], 1);
	/* In step as before. */
	assert_int_equal(s->next % 12000, 0);
	assert_in_range(s->next, 1000 * MS + 6, 1000 * MS + 12005);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_given_comes_out_in_order),
		cmocka_unit_test(offset_says_what_is_missing),
		cmocka_unit_test(no_packet_begins_in_the_last_octets),
		cmocka_unit_test(dont_frag_sends_whole_packets),
		cmocka_unit_test(what_waited_too_long_is_dropped),
		cmocka_unit_test(queue_has_an_end),
		cmocka_unit_test(jumbo_payloads_are_chains),
		cmocka_unit_test(no_buffer_loses_nothing),
		cmocka_unit_test(large_packets_are_not_copied),
		cmocka_unit_test(large_packets_move_in_their_buffers),
		cmocka_unit_test(burst_is_its_packets),
		cmocka_unit_test(rate_is_exact),
		cmocka_unit_test(lanes_are_staggered),
		cmocka_unit_test(another_rate_is_kept_at_once),
		cmocka_unit_test(what_is_missed_for_long_is_left_out),
	};
	struct err err;

	if (test_eal_init() < 0 ||
	    port_pool_create("packets", MBUFS, 1500, SOCKET_ID_ANY, &pool, &err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
