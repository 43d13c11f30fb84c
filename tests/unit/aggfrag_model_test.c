/* Both ends of an IP-TFS stream over a bad path, against a naive model of the whole: which payloads
 * carry octets of which packet, as an observer of the wire finds them. A packet comes out whole if
 * all payloads from its first octet to its last came in time, else not at all; those that come out
 * do so in order, and each once.
 */
#include "unit.h"

#include "aggfrag/fill.h"
#include "aggfrag_in_rig.h"
#include "aggfrag_payload.h"
#include "eal.h"

#define MBUFS	  4000
#define PACKETS	  120
#define PAYLOADS  20000
#define DROP_TIME UINT64_C(1000000)

static struct rte_mempool *pool;
static struct in_rig rig;
static uint64_t random_state;

static uint32_t
below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % n;
}

/* ---- The sender, and who sees what it sends. ---- */

static struct {
	struct worker *w;
	struct aggfrag_out *out;
	struct aggfrag_room room;
	uint64_t number; /* of the last payload */
} sender;

static struct {
	uint16_t len[PACKETS];
	uint64_t first[PACKETS], last[PACKETS]; /* payloads that carry it */
	uint32_t pushed, at, left;		/* packets; the one that goes on, and its octets */
	bool taken[PAYLOADS];			/* payloads that came in time */
} seen;

static void
observe(const struct rte_mbuf *m, uint64_t number)
{
	static uint8_t copy[16384];
	const uint8_t *octets = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
	uint32_t at = WIRE_AGGFRAG_HEADER, n;

	assert_true(m->pkt_len >= at && m->pkt_len <= sender.room.size);
	for (; at < m->pkt_len; at += n) {
		uint32_t k = seen.at;

		if (seen.left == 0 && octets[at] >> 4 == 0)
			return;
		assert_true(k < seen.pushed);
		if (seen.left == 0) {
			seen.left = seen.len[k];
			seen.first[k] = number;
		}
		n = RTE_MIN(seen.left, m->pkt_len - at);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(octets[at + i],
					 octet(k, seen.len[k], seen.len[k] - seen.left + i));
		seen.last[k] = number;
		seen.left -= n;
		seen.at += seen.left == 0;
	}
}

static void
push(uint16_t len, uint32_t segment)
{
	uint32_t k = seen.pushed++;

	seen.len[k] = len;
	made.n = 0;
	put(k, len, 0, len);
	aggfrag_push(sender.out, payload(pool, segment), 0);
}

/* ---- The path. ---- */

struct path {
	uint8_t loss, twice; /* percent */
	uint32_t reach;	     /* a payload comes up to so many later */
};

static struct {
	struct rte_mbuf *m;
	uint64_t number;
	uint32_t at; /* place, its delay included */
} on_way[2 * PAYLOADS];
static uint32_t n_on_way;

static void
enter(const struct path *p, struct rte_mbuf *m, uint64_t number)
{
	if (below(100) < p->loss) {
		rte_pktmbuf_free(m);
		return;
	}
	for (int copies = 1 + (below(100) < p->twice); copies > 0; copies--) {
		on_way[n_on_way].m = copies == 1 ? m : rte_pktmbuf_copy(m, pool, 0, UINT32_MAX);
		assert_non_null(on_way[n_on_way].m);
		on_way[n_on_way].number = number;
		on_way[n_on_way].at = (uint32_t)number + below(p->reach + 1);
		n_on_way++;
	}
}

/* What has no way to go any more; all: everything. */
static void
leave(uint64_t until)
{
	for (;;) {
		uint32_t next = UINT32_MAX;

		for (uint32_t i = 0; i < n_on_way; i++)
			if (on_way[i].at <= until &&
			    (next == UINT32_MAX || on_way[i].at < on_way[next].at))
				next = i;
		if (next == UINT32_MAX)
			return;
		if (in_rig_give(&rig, on_way[next].number, on_way[next].m)) {
			assert_false(seen.taken[on_way[next].number]);
			seen.taken[on_way[next].number] = true;
		}
		if (below(3) > 0)
			in_rig_run(&rig);
		on_way[next] = on_way[--n_on_way];
	}
}

/* ---- Both together. ---- */

static void
streams_begin(const struct aggfrag_params *params, uint16_t size)
{
	struct err err = { "" };

	in_rig_up(&rig, pool, params, 1);
	memset(&seen, 0, sizeof(seen));
	memset(&sender, 0, sizeof(sender));
	sender.w = rte_zmalloc("worker", sizeof(*sender.w), RTE_CACHE_LINE_SIZE);
	assert_non_null(sender.w);
	sender.w->pool = pool;
	sender.w->n_workers = 1;
	sender.room = (struct aggfrag_room) { .size = size, .head = 90, .tail = 34 };
	assert_int_equal(aggfrag_out_create(params, 1, 0, &sender.out, &err), 0);
	n_on_way = 0;
}

static bool
is_expected(uint32_t k)
{
	for (uint64_t i = seen.first[k]; i <= seen.last[k]; i++)
		if (!seen.taken[i])
			return false;
	return true;
}

/* Early ones may come before others. */
static bool
is_out(uint32_t k)
{
	for (uint32_t i = 0; i < rig.n; i++)
		if (is_packet(rig.out[i], k, seen.len[k]))
			return true;
	return false;
}

static void
streams_end(const struct aggfrag_params *params, bool lossless)
{
	uint32_t n = 0;

	aggfrag_in_flush(rig.r, &rig.in[0]);
	in_rig_run(&rig);
	assert_int_equal(seen.at, seen.pushed);
	for (uint32_t k = 0; k < seen.pushed; k++) {
		if (!is_expected(k)) {
			assert_false(lossless);
			continue;
		}
		if (params->send_immediately)
			assert_true(is_out(k));
		else
			assert_true(n < rig.n && is_packet(rig.out[n], k, seen.len[k]));
		n++;
	}
	assert_int_equal(rig.n, n);
	if (lossless)
		assert_int_equal(in_rig_dropped(&rig) - rig.w->drops[DROP_AGGFRAG_LATE], 0);
	aggfrag_out_free(sender.out);
	rte_free(sender.w);
	in_rig_down(&rig);
}

static uint16_t
some_length(void)
{
	static const uint16_t lens[] = {
		40, 41, 60, 64, 127, 256, 576, 1300, 1400, 1500, 4000, 9000
	};

	/* Told apart by their length, where nothing else is there. */
	return below(3) == 0 ? 40 + (uint16_t)below(3000) : lens[below(RTE_DIM(lens))];
}

static void
send_some(const struct path *path, uint32_t burst, bool pad)
{
	struct rte_mbuf *m;

	for (uint32_t i = below(burst + 1); i > 0 && seen.pushed < PACKETS; i--)
		push(some_length(), 40 + below(1900));
	for (uint32_t i = below(8) + (seen.pushed == PACKETS); i > 0; i--) {
		m = aggfrag_payload(sender.out, sender.w, &sender.room, pad, 0);
		if (m == NULL)
			break;
		observe(m, ++sender.number);
		assert_true(sender.number < PAYLOADS);
		enter(path, m, sender.number);
		leave(sender.number);
	}
}

static void
run(uint32_t round, const struct path *path, bool lossless)
{
	static const uint16_t sizes[] = { 1446, 1446, 560, 120, 64, 2500 };
	static const uint16_t windows[] = { 3, 0, 1, 16, 100 };
	struct aggfrag_params params = {
		.on = true,
		.max_queue = UINT64_MAX,
		.reorder_window = windows[round % RTE_DIM(windows)],
		.drop_time = DROP_TIME,
		.send_immediately = round % 7 == 6,
	};
	struct path p = *path;
	bool pad = round % 3 == 0;

	random_state = round * UINT64_C(0x9e3779b97f4a7c15) | 1;
	if (lossless)
		p.reach = RTE_MIN(p.reach, params.reorder_window);
	streams_begin(&params, sizes[round / 2 % RTE_DIM(sizes)]);
	/* The stream begins where its first payload says. */
	while (sender.number == 0)
		send_some(&(struct path) { .loss = 0 }, 4, true);
	while (seen.at < PACKETS)
		send_some(&p, 6, pad);
	leave(UINT64_MAX);
	streams_end(&params, lossless);
}

static void
nothing_is_lost(void **state)
{
	for (uint32_t round = 0; round < 120; round++)
		run(round, &(struct path) { .loss = 0 }, true);
}

static void
swapped_within_the_window(void **state)
{
	for (uint32_t round = 0; round < 120; round++)
		run(round, &(struct path) { .reach = 16, .twice = 5 }, true);
}

static void
some_are_lost(void **state)
{
	for (uint32_t round = 0; round < 120; round++)
		run(round, &(struct path) { .loss = 4 }, false);
}

static void
all_of_it(void **state)
{
	for (uint32_t round = 0; round < 240; round++)
		run(round,
		    &(struct path) {
			    .loss = (uint8_t)(round % 30), .twice = 10, .reach = round % 12 },
		    false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost),
		cmocka_unit_test(swapped_within_the_window),
		cmocka_unit_test(some_are_lost),
		cmocka_unit_test(all_of_it),
	};

	if (test_eal_init() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests_name("aggfrag_model", tests, NULL, NULL);
}
