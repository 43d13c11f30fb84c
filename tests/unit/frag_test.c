/* Who has a reserve, and what control hears of packets that came in fragments. */
#include "unit.h"

#include <stdlib.h>

#include "eal.h"
#include "frag/peers.h"
#include "frag/seen.h"
#include "frag_rig.h"

#define PEERS 2000

static struct rte_mempool *pool;
static struct frag_shared *shared;

static void
free_now(void *ctx, void (*fn)(void *obj), void *obj)
{
	fn(obj);
}

static struct addr
peer(uint32_t i)
{
	struct addr a = { .family = i % 2 != 0 ? 6 : 4 };

	memcpy(a.octets, &i, sizeof(i));
	return a;
}

static bool
has(uint32_t i)
{
	struct addr a = peer(i);
	uint64_t src[2] = { 0, 0 };

	memcpy(src, a.octets, a.family == 6 ? 16 : 4);
	return frag_peers_has(shared, source_hash(src, a.family == 6, shared->secret));
}

static void
peers_are_counted(void **state)
{
	static uint32_t counts[PEERS];

	srandom(3);
	for (uint32_t step = 0; step < 100000; step++) {
		/* More come than go at first, then the other way round. */
		bool more = (uint32_t)random() % 100 < (step < 50000 ? 60 : 40);
		uint32_t i = (uint32_t)random() % PEERS;
		struct addr a = peer(i);

		if (more) {
			frag_peer_add(shared, &a, free_now, NULL);
			counts[i]++;
		} else if (counts[i] > 0) {
			frag_peer_del(shared, &a, free_now, NULL);
			counts[i]--;
		}
		i = (uint32_t)random() % PEERS;
		assert_int_equal(has(i), counts[i] != 0);
	}
	for (uint32_t i = 0; i < PEERS; i++) {
		struct addr a = peer(i);

		assert_int_equal(has(i), counts[i] != 0);
		for (; counts[i] > 0; counts[i]--)
			frag_peer_del(shared, &a, free_now, NULL);
		assert_false(has(i));
	}
	assert_false(has(PEERS));
}

/* ---- what authentic packets said ---- */

static struct worker *workers[2];

/* Returns whether the packet is left. */
static bool
note(struct worker *w, uint32_t sa, uint32_t size, uint16_t largest)
{
	struct rte_mbuf *m = test_mbuf_new(pool, (uint16_t)size);
	bool left;

	pkt_of(m)->sa = sa;
	pkt_of(m)->generation = 5;
	pkt_of(m)->marks = largest != 0 ? PKT_REASM : 0;
	pkt_of(m)->mtu = largest;
	left = frag_seen_note(w, &m, 1) == 1;
	if (left)
		rte_pktmbuf_free(m);
	return left;
}

static void
sizes_are_told(void **state)
{
	struct frag_seen seen[4];

	note(workers[0], 9, 1500, 0); /* nothing of it came in fragments: not asked for */
	note(workers[0], 7, 1800, 1400);
	note(workers[0], 7, 1300, 0);
	note(workers[0], 7, 1000, 0);
	note(workers[1], 7, 1900, 1420);
	note(workers[1], 8, 1600, 900);
	assert_int_equal(frag_seen_take(workers, 2, seen, 4), 2);
	assert_int_equal(seen[0].sa, 7);
	assert_int_equal(seen[0].generation, 5);
	assert_int_equal(seen[0].frag_seen, 2);
	assert_int_equal(seen[0].frag_max, 1420);
	assert_int_equal(seen[0].whole_max, 1300);
	assert_int_equal(seen[0].reassembled_max, 1900);
	assert_int_equal(seen[1].sa, 8);
	assert_int_equal(seen[1].frag_seen, 1);
	/* Once each. */
	assert_int_equal(frag_seen_take(workers, 2, seen, 4), 0);
	note(workers[0], 7, 1700, 1000);
	assert_int_equal(frag_seen_take(workers, 2, seen, 4), 1);
	assert_int_equal(seen[0].frag_max, 1000);
	assert_int_equal(seen[0].whole_max, 0);
}

/* Packets around a limit: what ends, and what is told of it. */
static void
too_big_ends(void **state)
{
	struct worker *w = workers[0];
	uint64_t drops = cell_get(&w->drops[DROP_OUTER_TOOBIG]);
	struct frag_seen seen[4];

	frag_limits_set(w, w->frag->timeout, 16, 1600);
	assert_true(frag_seen_wanted(w));
	assert_true(note(w, 3, 1600, 0));
	assert_false(note(w, 3, 1601, 0));
	assert_true(note(w, 4, 1600, 1400));
	assert_false(note(w, 4, 1900, 1400));
	assert_false(note(w, 4, 1700, 1420));
	assert_int_equal(cell_get(&w->drops[DROP_OUTER_TOOBIG]) - drops, 3);
	assert_int_equal(frag_seen_take(workers, 2, seen, 4), 2);
	assert_int_equal(seen[0].sa, 3);
	assert_int_equal(seen[0].frag_seen, 0);
	assert_int_equal(seen[0].toobig, 1);
	assert_int_equal(seen[0].toobig_max, 1601);
	assert_int_equal(seen[1].frag_seen, 3);
	assert_int_equal(seen[1].frag_max, 1420);
	assert_int_equal(seen[1].toobig, 2);
	assert_int_equal(seen[1].toobig_max, 1900);
	frag_limits_set(w, w->frag->timeout, 16, 0);
	assert_false(frag_seen_wanted(w));
	assert_true(note(w, 3, 1900, 0));
	assert_int_equal(frag_seen_take(workers, 2, seen, 4), 0);
}

static void
cells_are_shared(void **state)
{
	struct frag_seen seen[4];

	note(workers[0], 1, 1800, 1400);
	note(workers[0], 1 + FRAG_SEEN_CELLS, 1800, 1400);
	assert_int_equal(frag_seen_take(workers, 2, seen, 4), 1);
	assert_int_equal(seen[0].sa, 1 + FRAG_SEEN_CELLS);
}

/* A datagram that got whole makes everybody look for ten seconds. */
static void
looked_for_while_it_matters(void **state)
{
	static uint8_t zeros[2000];
	struct rig_piece p = { .from_host = 1,
			       .to_host = 2,
			       .proto = 50,
			       .len = 1400,
			       .more = true,
			       .octets = zeros };
	struct worker *w = workers[0];
	struct rte_mbuf *m;

	assert_false(frag_seen_wanted(w) || frag_seen_wanted(workers[1]));
	assert_null(frag_take(w, rig_fragment(pool, &p)));
	p.at = 1400;
	p.len = 60;
	p.more = false;
	m = frag_take(w, rig_fragment(pool, &p));
	assert_non_null(m);
	assert_int_equal(pkt_of(m)->mtu, 1420);
	rte_pktmbuf_free(m);
	assert_true(frag_seen_wanted(w) && frag_seen_wanted(workers[1]));
	w->now += 10 * SECOND;
	assert_false(frag_seen_wanted(w));
}

static void
one_owner_a_datagram(void **state)
{
	uint32_t of[2] = { 0, 0 };

	for (uint32_t id = 0; id < 1000; id++) {
		struct rig_piece p = { .v6 = id % 2 != 0,
				       .from_host = 1,
				       .to_host = 2,
				       .proto = 50,
				       .id = id,
				       .len = 64,
				       .more = true };
		struct rte_mbuf *first = rig_fragment(pool, &p), *later;
		uint16_t owner = frag_owner_of(workers[0], first);

		p.at = 64;
		later = rig_fragment(pool, &p);
		assert_int_equal(frag_owner_of(workers[1], later), owner);
		of[owner]++;
		rte_pktmbuf_free(first);
		rte_pktmbuf_free(later);
	}
	assert_true(of[0] > 400 && of[1] > 400);
}

static int
up(void **state)
{
	const struct frag_limits limits = { 2 * SECOND, 16, 16, 64, 0 };
	struct err err;

	assert_int_equal(frag_shared_create(&shared, &err), 0);
	for (uint16_t i = 0; i < 2; i++) {
		workers[i] = test_worker_new(i, 2);
		workers[i]->now = SECOND;
		workers[i]->sparse =
			rte_zmalloc("drops", sizeof(*workers[i]->sparse), RTE_CACHE_LINE_SIZE);
		assert_non_null(workers[i]->sparse);
		assert_int_equal(frag_worker_init(workers[i], shared, &limits, &err), 0);
	}
	return 0;
}

static int
down(void **state)
{
	for (uint16_t i = 0; i < 2; i++) {
		frag_worker_fini(workers[i]);
		rte_free(workers[i]->sparse);
		rte_free(workers[i]);
	}
	frag_shared_free(shared);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	return 0;
}

static int
pool_up(void **state)
{
	pool = rig_pool(1000);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "peers of SAs are known as long as one is left", peers_are_counted, up, down,
		  NULL },
		{ "of an SA: how many came in fragments, and sizes, from all workers, once",
		  sizes_are_told, up, down, NULL },
		{ "an authentic packet that is larger than is taken ends, and is told of",
		  too_big_ends, up, down, NULL },
		{ "two SAs of one cell: the later one has it", cells_are_shared, up, down, NULL },
		{ "whole packets are looked at for ten seconds behind one that was not",
		  looked_for_while_it_matters, up, down, NULL },
		{ "all fragments of a datagram are of one worker", one_owner_a_datagram, up, down,
		  NULL },
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("frag", tests, pool_up, NULL);
}
