/* Reassembly against a model that is naive on purpose, and its limits. */
#include "unit.h"

#include <stdlib.h>

#include "eal.h"
#include "frag_rig.h"

#define POOL	   10000
#define TIMEOUT	   (2 * SECOND)
#define NAMES	   6	/* datagrams at once */
#define OCTETS_MAX 4000 /* of a datagram of the model */

static struct rte_mempool *pool;
static struct frag_table *table;
static struct worker *w;

static void
table_make(uint32_t datagrams, uint32_t pieces, uint32_t segments)
{
	const struct frag_limits limits = { TIMEOUT, datagrams, pieces, segments, 0 };
	struct err err;

	w = test_worker_new(0, 1);
	w->sparse = rte_zmalloc("drops", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE);
	w->now = SECOND;
	assert_int_equal(frag_table_create(&limits, rig_secret, SOCKET_ID_ANY, &table, &err), 0);
}

/* All that was held is free again. */
static int
table_end(void **state)
{
	frag_table_free(table);
	rte_free(w->sparse);
	rte_free(w);
	table = NULL;
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	return 0;
}

static struct rte_mbuf *
put(const struct rig_piece *p, bool reserved)
{
	return frag_table_put(table, w, rig_fragment(pool, p), reserved);
}

/* ---- the model ---- */

struct model {
	bool used;
	enum drop_reason dead;
	uint64_t began;
	uint32_t n;
	struct rig_piece pieces[600];
	uint8_t octets[600][OCTETS_MAX];
};
static struct model models[NAMES];

static bool
overlaps(const struct rig_piece *a, const struct rig_piece *b)
{
	if (a->at < b->at + b->len && b->at < a->at + a->len)
		return true;
	/* Behind what the other says is the end, or another end. */
	if (!a->more && (b->at + b->len > a->at + a->len || !b->more))
		return true;
	return !b->more && a->at + a->len > b->at + b->len;
}

static bool
same(const struct rig_piece *a, const uint8_t *octets, const struct rig_piece *b)
{
	return a->at == b->at && a->len == b->len && a->more == b->more &&
	       memcmp(octets, b->octets + b->at, b->len) == 0;
}

/* What is to become of a piece: DROP_NONE, kept or made whole. */
static enum drop_reason
model_put(struct model *d, const struct rig_piece *p)
{
	bool duplicate = false, overlap = false;

	if (p->len == 0 || (p->more && p->len % 8 != 0))
		return DROP_FRAG_MALFORMED;
	if (!d->used || w->now >= d->began + TIMEOUT) {
		d->used = true;
		d->dead = DROP_NONE;
		d->n = 0;
		d->began = w->now;
	}
	if (d->dead != DROP_NONE)
		return d->dead;
	for (uint32_t i = 0; i < d->n; i++) {
		if (same(&d->pieces[i], d->octets[i], p))
			duplicate = true;
		else if (overlaps(&d->pieces[i], p))
			overlap = true;
	}
	if (overlap)
		d->dead = DROP_FRAG_OVERLAP;
	if (overlap || duplicate)
		return overlap ? DROP_FRAG_OVERLAP : DROP_FRAG_DUPLICATE;
	memcpy(d->octets[d->n], p->octets + p->at, p->len);
	d->pieces[d->n++] = *p;
	return DROP_NONE;
}

/* Its octets in their order, if they are all there: how many; else 0. */
static uint32_t
model_whole(const struct model *d, uint8_t *out)
{
	uint32_t at = 0;

	for (uint32_t tries = 0; tries <= d->n; tries++) {
		for (uint32_t i = 0; i < d->n; i++) {
			if (d->pieces[i].at != at)
				continue;
			memcpy(out + at, d->octets[i], d->pieces[i].len);
			at += d->pieces[i].len;
			if (!d->pieces[i].more)
				return at;
		}
	}
	return 0;
}

/* ---- against it ---- */

static uint32_t
below(uint32_t n)
{
	return (uint32_t)random() % n;
}

static void
whole_check(struct rte_mbuf *m, const struct rig_piece *p, const uint8_t *want, uint32_t n)
{
	static uint8_t copy[OCTETS_MAX];
	uint32_t header = p->v6 ? 40 : 20;
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	struct ip_info info;
	uint32_t total = 0, segments = 0;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, segments++)
		total += s->data_len;
	assert_int_equal(total, m->pkt_len);
	assert_int_equal(segments, m->nb_segs);
	assert_int_equal(m->pkt_len, header + n);
	assert_int_equal(wire_ip_parse(ip, m->data_len, m->pkt_len, &info), WIRE_OK);
	assert_int_equal(info.total, m->pkt_len);
	assert_int_equal(info.flags & (IP_INFO_FRAG_FIRST | IP_INFO_FRAG_LATER), 0);
	assert_int_equal(info.proto, p->proto);
	assert_int_equal(pkt_of(m)->port, 3);
	assert_int_equal(pkt_of(m)->marks, PKT_REASM);
	assert_int_equal(ip[-1], 0xee);
	assert_int_equal(ip[-RTE_ETHER_HDR_LEN], 0xee);
	assert_true(m->data_len >= RTE_MIN(m->pkt_len, 80u));
	assert_memory_equal(rte_pktmbuf_read(m, header, n, copy), want, n);
	rte_pktmbuf_free(m);
}

/* One piece, to both. Returns whether a datagram got whole. */
static bool
step(uint32_t name, const struct rig_piece *p)
{
	static uint8_t want[OCTETS_MAX];
	struct model *d = &models[name];
	uint64_t before[DROP_MAX];
	enum drop_reason why;
	struct rte_mbuf *m;
	uint32_t n = 0;

	frag_table_expire(table, w, UINT32_MAX);
	memcpy(before, w->drops, sizeof(before));
	why = model_put(d, p);
	m = put(p, name % 2 != 0);
	if (why != DROP_NONE) {
		assert_null(m);
		assert_true(w->drops[why] > before[why]);
		return false;
	}
	n = model_whole(d, want);
	if (n == 0) {
		assert_null(m);
		return false;
	}
	assert_non_null(m);
	whole_check(m, p, want, n);
	d->used = false;
	return true;
}

/* Pieces of one datagram: all of it, cut anywhere, shuffled; then spoilt now and then. */
static uint32_t
cut_up(const uint8_t *octets, uint32_t length, struct rig_piece *pieces, struct rig_piece like)
{
	uint32_t n = 0, most = 8 * (1 + below(1 + below(100)));

	for (uint32_t at = 0; at < length; n++) {
		uint32_t len = 8 * (1 + below(most / 8));

		pieces[n] = like;
		pieces[n].at = at;
		pieces[n].len = RTE_MIN(len, length - at);
		pieces[n].more = at + len < length;
		pieces[n].octets = octets;
		pieces[n].segment = below(4) == 0 ? (uint16_t)(1 + below(300)) : 0;
		at += len;
	}
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = below(i);
		struct rig_piece other = pieces[k];

		pieces[k] = pieces[i - 1];
		pieces[i - 1] = other;
	}
	return n;
}

static struct rig_piece
spoil(struct rig_piece p, const uint8_t *others)
{
	switch (below(6)) {
	case 0: /* again */
		break;
	case 1: /* the same place, other octets */
		p.octets = others;
		break;
	case 2:
		p.at += 8;
		break;
	case 3:
		p.len = RTE_MAX(p.len / 2 / 8 * 8, 8u);
		break;
	case 4:
		p.more = !p.more;
		break;
	case 5:
		p.len = below(2) == 0 ? 0 : p.len + 1;
		break;
	}
	p.at = RTE_MIN(p.at, (uint32_t)OCTETS_MAX / 2);
	p.len = RTE_MIN(p.len, (uint32_t)OCTETS_MAX / 2);
	return p;
}

static void
random_sequences(void **state)
{
	static uint8_t octets[NAMES][OCTETS_MAX], others[OCTETS_MAX];
	static struct rig_piece pieces[NAMES][OCTETS_MAX / 8 + 1];
	uint32_t n[NAMES] = { 0 }, whole = 0, clean[NAMES] = { 0 }, due = 0, serial[NAMES] = { 0 };

	table_make(64, 8192, 20 * POOL);
	memset(models, 0, sizeof(models));
	srandom(7);
	for (uint32_t i = 0; i < OCTETS_MAX; i++)
		others[i] = (uint8_t)random();
	for (uint32_t round = 0; round < 100000; round++) {
		uint32_t name = below(NAMES);
		/* Two of each differ in one field of their name alone. */
		struct rig_piece like = {
			.v6 = name >= 4,
			.from_host = (uint8_t)(1 + (name == 1)),
			.to_host = 9,
			.proto = name == 2 ? 17 : 50,
			.id = (name == 3 || name == 5 ? 8 : 7) + 16 * serial[name],
		};

		if (n[name] == 0) {
			uint32_t length = 8 + below(1900);

			/* Under the same name now and then, where something may be left of the one
			 * before.
			 */
			if (below(4) != 0) {
				like.id += 16;
				serial[name]++;
				models[name].used = false;
			}
			for (uint32_t i = 0; i < length; i++)
				octets[name][i] = (uint8_t)random();
			n[name] = cut_up(octets[name], length, pieces[name], like);
			/* Half of them nobody spoils: these must get whole, unless an earlier one
			 * left a name behind.
			 */
			clean[name] = below(2);
		}
		if (!clean[name] && below(8) == 0)
			whole += step(name, &(struct rig_piece[]) {
						    spoil(pieces[name][n[name] - 1], others) }[0]);
		whole += step(name, &pieces[name][--n[name]]);
		if (below(50) == 0) {
			w->now += SECOND / 16;
			due++;
		}
	}
	assert_true(whole > 500);
	assert_true(due > 500);
	/* Each reason was met. */
	assert_true(w->drops[DROP_FRAG_OVERLAP] > 100 && w->drops[DROP_FRAG_DUPLICATE] > 100 &&
		    w->drops[DROP_FRAG_MALFORMED] > 100 && w->drops[DROP_FRAG_TIMEOUT] > 100);
	assert_int_equal(w->drops[DROP_FRAG_LIMIT], 0);
	frag_table_drop(table, w, DROP_STOPPED);
	assert_int_equal(frag_table_held(table), 0);
}

/* ---- orders ---- */

enum order {
	FORWARDS,
	BACKWARDS,
	INSIDE_OUT,
	SHUFFLED,
	ORDERS_N
};

static uint32_t
nth(enum order order, uint32_t i, uint32_t n)
{
	switch (order) {
	case FORWARDS:
		return i;
	case BACKWARDS:
		return n - 1 - i;
	case INSIDE_OUT:
		return i % 2 == 0 ? n / 2 + i / 2 : n / 2 - 1 - i / 2;
	default: /* 4,001 and 8,000 have no common factor */
		return i * 4001 % n;
	}
}

static void
eight_thousand_pieces(void **state)
{
	const uint32_t n = 8000;

	for (int order = 0; order < ORDERS_N; order++) {
		struct rte_mbuf *m = NULL;

		table_make(8, 8192, 20 * POOL);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t k = nth(order, i, n);

			assert_null(m);
			m = put(&(struct rig_piece) { .from_host = 1,
						      .to_host = 2,
						      .proto = 50,
						      .id = 1,
						      .at = 8 * k,
						      .len = 8,
						      .more = k + 1 < n },
				true);
		}
		assert_non_null(m);
		assert_int_equal(m->pkt_len, 20 + 8 * n);
		/* Copied together, into far fewer segments than pieces. */
		assert_true(m->nb_segs < 64);
		assert_int_equal(w->merged, n - 1);
		assert_int_equal(frag_table_held(table), 0);
		rte_pktmbuf_free(m);
		table_end(state);
	}
	table_make(8, 8192, 20 * POOL);
}

/* ---- limits ---- */

static struct rig_piece
first_of(uint8_t host, uint32_t id)
{
	return (struct rig_piece) {
		.from_host = host, .to_host = 2, .proto = 50, .id = id, .len = 64, .more = true
	};
}

static bool
ends_whole(uint8_t host, uint32_t id, bool reserved)
{
	struct rig_piece p = first_of(host, id);
	struct rte_mbuf *m;

	p.at = 64;
	p.more = false;
	m = put(&p, reserved);
	rte_pktmbuf_free(m);
	return m != NULL;
}

static uint32_t
begin(uint8_t host, uint32_t first_id, uint32_t n, bool reserved)
{
	for (uint32_t i = 0; i < n; i++) {
		struct rig_piece p = first_of(host, first_id + i);

		assert_null(put(&p, reserved));
	}
	return n;
}

static void
strangers_share_a_quarter(void **state)
{
	struct frag_counts c;

	table_make(64, 64, 1000);
	begin(1, 0, 4, true);
	for (uint8_t host = 10; host < 250; host++)
		begin(host, 5, 2, false);
	frag_table_count(table, &c);
	assert_int_equal(c.others, 16);
	assert_int_equal(c.datagrams, 16 + 4);
	assert_int_equal(c.evicted, 480 - 16);
	assert_int_equal(w->drops[DROP_FRAG_LIMIT], 480 - 16);
	/* The oldest went: the last ones are there, and the peer's all. */
	assert_true(ends_whole(249, 6, false));
	assert_false(ends_whole(10, 5, false));
	for (uint32_t id = 0; id < 4; id++)
		assert_true(ends_whole(1, id, true));
}

static void
a_peer_has_a_cap(void **state)
{
	struct frag_counts c;

	table_make(64, 64, 1000);
	begin(2, 0, 4, true);
	begin(1, 100, 500, true);
	frag_table_count(table, &c);
	assert_int_equal(c.datagrams, 12 + 4); /* a quarter of the peers' 48, and the other's */
	assert_true(ends_whole(1, 599, true));
	assert_false(ends_whole(1, 100, true));
	for (uint32_t id = 0; id < 4; id++)
		assert_true(ends_whole(2, id, true));
}

static void
buffers_are_bounded(void **state)
{
	struct frag_counts c;

	table_make(1000, 64, 400);
	for (uint32_t id = 0; id < 100; id++) {
		for (uint32_t k = 0; k < 5; k++) {
			struct rig_piece p = first_of(1, id);

			p.at = 64 * k;
			p.segment = 32; /* with the headers: three segments */
			assert_null(put(&p, id % 2 != 0));
		}
		frag_table_count(table, &c);
		assert_true(c.segments <= 100 + 75); /* strangers; one peer */
		assert_int_equal(c.segments, rte_mempool_in_use_count(pool));
	}
	assert_true(w->drops[DROP_FRAG_LIMIT] > 0);
}

/* Set lower than what one has already, it holds for that one, too. */
static void
fewer_pieces_by_a_reload(void **state)
{
	struct rig_piece p = first_of(1, 1);

	table_make(8, 64, 4096);
	for (uint32_t k = 0; k < 20; k++, p.at += p.len)
		assert_null(put(&p, true));
	frag_table_limits_set(table, TIMEOUT, 16);
	assert_null(put(&p, true));
	assert_int_equal(w->drops[DROP_FRAG_LIMIT], 21);
	assert_int_equal(frag_table_held(table), 0);
}

/* Alone larger than all that there may be. */
static void
one_too_large(void **state)
{
	table_make(8, 64, 64); /* 16 segments for strangers */
	for (uint32_t k = 0; k < 20; k++) {
		struct rig_piece p = first_of(1, 1);

		p.at = 64 * k;
		assert_null(put(&p, false));
	}
	assert_int_equal(w->drops[DROP_FRAG_LIMIT], 20);
	assert_int_equal(frag_table_held(table), 0);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static void
time_ends_what_is_due(void **state)
{
	struct frag_counts c;

	table_make(256, 64, 1000);
	begin(1, 0, 10, true);
	w->now += SECOND;
	begin(1, 50, 10, true);
	w->now += SECOND;
	frag_table_expire(table, w, 4);
	assert_int_equal(w->drops[DROP_FRAG_TIMEOUT], 4);
	frag_table_expire(table, w, 100);
	assert_int_equal(w->drops[DROP_FRAG_TIMEOUT], 10);
	w->now += SECOND - 1;
	frag_table_expire(table, w, 100);
	assert_int_equal(w->drops[DROP_FRAG_TIMEOUT], 10);
	w->now++;
	/* What is due and was not ended yet is no part of anything any more. */
	assert_false(ends_whole(1, 50, true));
	frag_table_expire(table, w, 100);
	assert_int_equal(w->drops[DROP_FRAG_TIMEOUT], 20);
	frag_table_count(table, &c);
	assert_int_equal(c.timed_out, 20);
	assert_int_equal(c.datagrams, 1);
}

/* A name that ended keeps no memory but its place, and that not for longer. */
static void
dead_names_go(void **state)
{
	struct frag_counts c;
	struct rig_piece p = first_of(1, 1);

	table_make(64, 64, 1000);
	begin(1, 1, 1, true);
	p.at = 8;
	assert_null(put(&p, true));
	assert_int_equal(w->drops[DROP_FRAG_OVERLAP], 2);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	assert_false(ends_whole(1, 1, true));
	assert_int_equal(w->drops[DROP_FRAG_OVERLAP], 3);
	w->now += TIMEOUT;
	frag_table_expire(table, w, 100);
	frag_table_count(table, &c);
	assert_int_equal(c.datagrams, 0);
	begin(1, 1, 1, true);
	assert_true(ends_whole(1, 1, true));
}

static int
up(void **state)
{
	pool = rig_pool(POOL);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "100,000 random pieces of six datagrams end as the naive model says",
		  random_sequences, NULL, table_end, NULL },
		{ "8,000 pieces in any order become one packet", eight_thousand_pieces, NULL,
		  table_end, NULL },
		{ "all sources without a reserve share a quarter, and the oldest goes",
		  strangers_share_a_quarter, NULL, table_end, NULL },
		{ "one peer takes a quarter of the reserve at most", a_peer_has_a_cap, NULL,
		  table_end, NULL },
		{ "packet buffers are bounded as datagrams are", buffers_are_bounded, NULL,
		  table_end, NULL },
		{ "fewer pieces by a reload count for what is here, too", fewer_pieces_by_a_reload,
		  NULL, table_end, NULL },
		{ "a datagram that alone is too much ends by itself", one_too_large, NULL,
		  table_end, NULL },
		{ "what is due ends, in order, and nothing else", time_ends_what_is_due, NULL,
		  table_end, NULL },
		{ "a datagram that was ended leaves a name, until its time is over", dead_names_go,
		  NULL, table_end, NULL },
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("frag_table", tests, up, NULL);
}
