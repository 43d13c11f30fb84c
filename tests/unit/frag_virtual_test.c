/* What first fragments got, for those without ports: who waits, for how long, and who goes. */
#include "unit.h"

#include "eal.h"
#include "frag/virtual.h"
#include "frag_rig.h"

#define DATAGRAMS 16
#define WAITING	  20
#define STAGE	  STAGE_FRAG_MATCH

static struct rte_mempool *pool;
static struct frag_shared *shared;
static struct worker *w;

enum got {
	GOES,
	WAITS,
	DROPPED
};

/* A fragment of datagram id, of that SA or none; policy: of a first one. */
static enum got
give(uint32_t id, bool first, uint32_t policy, enum frag_way way, uint32_t sa, uint32_t generation)
{
	struct rig_piece p = { .from_host = 1,
			       .to_host = 2,
			       .proto = 17,
			       .id = id,
			       .at = first ? 0 : 64,
			       .len = 64,
			       .more = true };
	struct rte_mbuf *m = rig_fragment(pool, &p);
	uint64_t dropped = test_worker_dropped(w);
	uint32_t held = frag_held(w);

	pkt_of(m)->policy = first ? policy : POLICY_NONE;
	pkt_of(m)->sa = sa;
	pkt_of(m)->generation = 9;
	if (frag_virtual_match(w, m, way, generation, STAGE)) {
		assert_int_equal(pkt_of(m)->policy, policy);
		rte_pktmbuf_free(m);
		return GOES;
	}
	if (frag_held(w) == held + 1)
		return WAITS;
	assert_true(test_worker_dropped(w) > dropped);
	return DROPPED;
}

static enum got
first(uint32_t id, uint32_t policy)
{
	return give(id, true, policy, FRAG_OUT, SA_NONE, 1);
}

static enum got
later(uint32_t id, uint32_t policy)
{
	return give(id, false, policy, FRAG_OUT, SA_NONE, 1);
}

/* Those that a first fragment let go; each gets what it got. */
static uint32_t
released(uint32_t policy)
{
	struct pending *q = &w->pending[STAGE];
	uint32_t n = q->n;

	for (uint32_t i = 0; i < n; i++) {
		assert_true(frag_virtual_match(w, q->pkts[i], FRAG_OUT, 1, STAGE));
		assert_int_equal(pkt_of(q->pkts[i])->policy, policy);
		rte_pktmbuf_free(q->pkts[i]);
	}
	q->n = 0;
	w->pushed = 0;
	return n;
}

static void
later_ones_get_what_the_first_got(void **state)
{
	assert_int_equal(first(1, 7), GOES);
	assert_int_equal(later(1, 7), GOES);
	assert_int_equal(first(2, POLICY_NONE), GOES);
	assert_int_equal(later(2, POLICY_NONE), GOES);
	assert_int_equal(later(1, 7), GOES);
	w->now += SECOND;
	assert_int_equal(later(1, 7), GOES);
	w->now += SECOND;
	assert_int_equal(later(1, 7), WAITS);
}

static void
four_wait_for_the_first(void **state)
{
	for (int i = 0; i < FRAG_WAITING_MAX; i++)
		assert_int_equal(later(1, 0), WAITS);
	assert_int_equal(later(1, 0), DROPPED);
	assert_int_equal(w->drops[DROP_FRAG_LIMIT], 1);
	assert_int_equal(first(1, 3), GOES);
	assert_int_equal(released(3), FRAG_WAITING_MAX);
	assert_int_equal(frag_held(w), 0);
}

static void
they_wait_for_a_time(void **state)
{
	assert_int_equal(later(1, 0), WAITS);
	w->now += SECOND;
	assert_int_equal(later(1, 0), WAITS);
	assert_int_equal(later(2, 0), WAITS);
	w->now += SECOND - 1;
	frag_expire(w, NULL, NULL, 0);
	assert_int_equal(frag_held(w), 3);
	w->now++;
	frag_expire(w, NULL, NULL, 0);
	assert_int_equal(w->drops[DROP_FRAG_PORTS], 2);
	assert_int_equal(frag_held(w), 1);
}

static void
ways_and_sas_are_apart(void **state)
{
	assert_int_equal(give(1, true, 4, FRAG_IN, 5, 1), GOES);
	assert_int_equal(give(1, false, 4, FRAG_IN, 6, 1), WAITS);
	assert_int_equal(give(1, false, 4, FRAG_IN, SA_NONE, 1), WAITS);
	assert_int_equal(later(1, 4), WAITS);
	assert_int_equal(give(1, false, 4, FRAG_IN, 5, 1), GOES);
}

static void
two_verdicts_end_it(void **state)
{
	assert_int_equal(first(1, 4), GOES);
	assert_int_equal(first(1, 4), GOES);
	assert_int_equal(first(1, 5), DROPPED);
	assert_int_equal(later(1, 4), DROPPED);
	assert_int_equal(first(1, 4), DROPPED);
	assert_int_equal(w->drops[DROP_FRAG_OVERLAP], 3);
}

/* An index of policies that are gone means nothing. */
static void
policies_change(void **state)
{
	assert_int_equal(first(1, 4), GOES);
	assert_int_equal(give(1, false, 4, FRAG_OUT, SA_NONE, 2), DROPPED);
	assert_int_equal(w->drops[DROP_FRAG_PORTS], 1);
	assert_int_equal(give(1, true, 5, FRAG_OUT, SA_NONE, 2), GOES);
	assert_int_equal(give(1, false, 5, FRAG_OUT, SA_NONE, 2), GOES);
}

static void
memory_is_bounded(void **state)
{
	struct frag_counts c;

	for (uint32_t id = 0; id < 1000; id++) {
		later(id, 0);
		later(id, 0);
		c = frag_counts_read(w);
		assert_true(c.match_datagrams <= DATAGRAMS && c.match_segments <= WAITING);
		assert_int_equal(c.match_segments, rte_mempool_in_use_count(pool));
	}
	assert_int_equal(first(999, 2), GOES);
	assert_int_equal(released(2), 2);
	assert_int_equal(first(1, 2), GOES);
	assert_int_equal(released(2), 0);
}

static int
up(void **state)
{
	const struct frag_limits limits = { 2 * SECOND, DATAGRAMS, 16, 4 * WAITING, 0 };
	struct err err;

	assert_int_equal(frag_shared_create(&shared, &err), 0);
	w = test_worker_new(0, 1);
	w->now = SECOND;
	w->sparse = rte_zmalloc("drops", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE);
	assert_non_null(w->sparse);
	assert_int_equal(frag_worker_init(w, shared, &limits, &err), 0);
	return 0;
}

static int
down(void **state)
{
	frag_drop(w, DROP_STOPPED);
	assert_int_equal(frag_held(w), 0);
	frag_worker_fini(w);
	rte_free(w->sparse);
	rte_free(w);
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
		{ "later fragments get what their first one got, for two seconds",
		  later_ones_get_what_the_first_got, up, down, NULL },
		{ "four of a datagram wait for the first one", four_wait_for_the_first, up, down,
		  NULL },
		{ "they wait for a time", they_wait_for_a_time, up, down, NULL },
		{ "ways and SAs have datagrams of their own", ways_and_sas_are_apart, up, down,
		  NULL },
		{ "two first fragments that get two things end their datagram", two_verdicts_end_it,
		  up, down, NULL },
		{ "what was got under policies that are gone counts no more", policies_change, up,
		  down, NULL },
		{ "memory is bounded, and the oldest goes", memory_is_bounded, up, down, NULL },
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("frag_virtual", tests, pool_up, NULL);
}
