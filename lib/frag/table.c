#include "frag/table.h"

#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "frag/datagram.h"
#include "frag/piece.h"
#include "worker/worker.h"

static uint32_t
others_of(uint32_t all)
{
	return RTE_MAX(all / FRAG_OTHERS_PART, 1u);
}

static void
limits_split(struct frag_table *t)
{
	struct share all = { t->limits.max_datagrams, t->limits.max_segments };

	t->limit[false] = (struct share) { others_of(all.datagrams), others_of(all.segments) };
	t->limit[true] = (struct share) {
		RTE_MAX(all.datagrams - t->limit[false].datagrams, 1u),
		RTE_MAX(all.segments - t->limit[false].segments, 1u),
	};
	t->of_source = (struct share) {
		RTE_MAX(t->limit[true].datagrams / FRAG_SOURCE_PART, 1u),
		RTE_MAX(t->limit[true].segments / FRAG_SOURCE_PART, 1u),
	};
}

static void
empty(struct frag_table *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		t->datagrams[i].next = i + 1 < n ? i + 1 : NONE;
	/* The first source is all that have no reserve. */
	for (uint32_t i = 0; i <= n; i++)
		t->sources[i].next = i < n ? i + 1 : NONE;
	t->free_datagram = 0;
	t->free_source = 1;
	t->sources[OTHERS].list = (struct list) { NONE, NONE };
	t->by_age[false] = t->by_age[true] = (struct list) { NONE, NONE };
	memset(t->buckets, 0xff, (t->mask + 1) * sizeof(t->buckets[0]));
	memset(t->source_buckets, 0xff, (t->mask + 1) * sizeof(t->source_buckets[0]));
}

int
frag_table_create(const struct frag_limits *limits, const uint64_t secret[5], int socket,
		  struct frag_table **out, struct err *err)
{
	struct frag_table *t = rte_zmalloc_socket("frag", sizeof(*t), RTE_CACHE_LINE_SIZE, socket);
	uint32_t n, slots;

	if (t == NULL)
		return err_set(err, -ENOMEM, "no memory for reassembly");
	t->limits = *limits;
	memcpy(t->secret, secret, sizeof(t->secret));
	t->random = secret[0] ^ secret[4];
	limits_split(t);
	n = t->limit[false].datagrams + t->limit[true].datagrams;
	slots = rte_align32pow2(2 * n);
	t->mask = slots - 1;
	t->buckets = rte_malloc_socket("frag", slots * sizeof(uint32_t), 0, socket);
	t->source_buckets = rte_malloc_socket("frag", slots * sizeof(uint32_t), 0, socket);
	t->datagrams =
		rte_malloc_socket("frag", n * sizeof(struct datagram), RTE_CACHE_LINE_SIZE, socket);
	t->sources = rte_zmalloc_socket("frag", (n + 1) * sizeof(struct frag_source),
					RTE_CACHE_LINE_SIZE, socket);
	if (t->buckets == NULL || t->source_buckets == NULL || t->datagrams == NULL ||
	    t->sources == NULL) {
		rte_free(t->buckets);
		rte_free(t->source_buckets);
		rte_free(t->datagrams);
		rte_free(t->sources);
		rte_free(t);
		return err_set(err, -ENOMEM,
			       "no memory to reassemble %u datagrams: give the EAL more, or set "
			       "gateway.reassembly.max_datagrams lower",
			       limits->max_datagrams);
	}
	empty(t, n);
	*out = t;
	return 0;
}

void
frag_table_limits_set(struct frag_table *t, uint64_t timeout, uint32_t max_pieces)
{
	t->limits.timeout = timeout;
	t->limits.max_pieces = max_pieces;
}

static uint32_t
rank_make(struct frag_table *t)
{
	t->random = mix(t->random + UINT64_C(0x9e3779b97f4a7c15), t->secret[1] | 1);
	return (uint32_t)(t->random >> 16);
}

/* Whether the end of the datagram, where it is known, and the piece contradict each other. */
static bool
contradicts(const struct datagram *d, const struct piece *p)
{
	uint32_t end = p->from + p->len;

	if (p->last)
		return d->end == END_OPEN ? end < d->highest : end != d->end;
	return end > d->end;
}

/* Whether the piece may go to the others; else what is done with it. */
static enum drop_reason
piece_ask(const struct frag_table *t, const struct datagram *d, const struct rte_mbuf *m)
{
	if (contradicts(d, piece_of(m)))
		return DROP_FRAG_OVERLAP;
	if (d->root != NULL) {
		enum drop_reason why = tree_ask(d->root, m);

		if (why != DROP_NONE)
			return why;
	}
	/* A reload may have set it below what is here. */
	return d->n_pieces >= t->limits.max_pieces ? DROP_FRAG_LIMIT : DROP_NONE;
}

static void
piece_add(struct frag_table *t, struct datagram *d, struct rte_mbuf *m)
{
	struct piece *p = piece_of(m);

	p->rank = rank_make(t);
	tree_add(&d->root, m);
	d->have += p->len;
	d->highest = RTE_MAX(d->highest, p->from + p->len);
	d->largest = RTE_MAX(d->largest, p->size);
	d->ecn |= (uint8_t)(1 << p->ecn);
	if (p->last)
		d->end = p->from + p->len;
	d->n_pieces++;
	d->n_segments += m->nb_segs;
	datagram_held_add(t, d, 1, m->nb_segs);
}

static struct rte_mbuf *
datagram_join(struct frag_table *t, struct worker *w, uint32_t i)
{
	struct datagram *d = &t->datagrams[i];
	enum drop_reason why;
	struct rte_mbuf *m;

	d->root = tree_flatten(d->root);
	m = pieces_join(d->root, d->ecn, &why);
	if (m == NULL) {
		datagram_kill(t, w, d, why);
		return NULL;
	}
	piece_release(m);
	pkt_of(m)->marks = PKT_REASM;
	pkt_of(m)->mtu = d->largest;
	datagram_held_add(t, d, -(int32_t)d->n_pieces, -(int32_t)d->n_segments);
	cell_add(&w->merged, d->n_pieces - 1);
	cell_add(&t->counts.whole, 1);
	d->n_pieces = 0;
	datagram_free(t, i);
	return m;
}

/* A piece whose datagram is known, or made for it. */
static struct rte_mbuf *
datagram_take(struct frag_table *t, struct worker *w, uint32_t i, struct rte_mbuf *m)
{
	struct datagram *d = &t->datagrams[i];
	enum drop_reason why = piece_ask(t, d, m);

	if (why == DROP_NONE && !datagram_room_make(t, w, i, m->nb_segs))
		why = DROP_FRAG_LIMIT;
	if (why != DROP_NONE) {
		if (why != DROP_FRAG_DUPLICATE)
			datagram_kill(t, w, d, why);
		piece_release(m);
		drop(w, m, why);
		return NULL;
	}
	piece_add(t, d, m);
	return d->have == d->end ? datagram_join(t, w, i) : NULL;
}

/* A piece that is none: it goes, and with frag_toolong all of its datagram, which is no IP. */
static void
refuse(struct frag_table *t, struct worker *w, struct rte_mbuf *m, uint32_t id,
       enum drop_reason why)
{
	struct datagram_key key;
	uint32_t hash = (uint32_t)datagram_key_of(m, id, t->secret, &key);
	uint32_t i = why == DROP_FRAG_TOOLONG ? datagram_find(t, &key, hash) : NONE;

	if (i != NONE && t->datagrams[i].dead == DROP_NONE)
		datagram_kill(t, w, &t->datagrams[i], why);
	drop(w, m, why);
}

struct rte_mbuf *
frag_table_put(struct frag_table *t, struct worker *w, struct rte_mbuf *m, bool reserved)
{
	struct datagram_key key;
	enum drop_reason why;
	struct piece p;
	uint32_t i, hash;

	cell_add(&t->counts.pieces, 1);
	why = piece_read(m, &p);
	if (why != DROP_NONE) {
		refuse(t, w, m, p.id, why);
		return NULL;
	}
	hash = (uint32_t)datagram_key_of(m, p.id, t->secret, &key);
	i = datagram_find(t, &key, hash);
	if (i != NONE && t->datagrams[i].expires <= w->now) {
		datagram_end(t, w, i, DROP_FRAG_TIMEOUT, &t->counts.timed_out);
		i = NONE;
	}
	if (i == NONE)
		i = datagram_make(t, w, &key, hash, reserved, m->nb_segs);
	why = i == NONE ? DROP_FRAG_LIMIT : (enum drop_reason)t->datagrams[i].dead;
	if (why != DROP_NONE) {
		drop(w, m, why);
		return NULL;
	}
	*piece_of(m) = p;
	return datagram_take(t, w, i, m);
}

void
frag_table_expire(struct frag_table *t, struct worker *w, uint32_t max)
{
	for (int reserved = 0; reserved < 2; reserved++) {
		for (uint32_t n = 0; n < max; n++) {
			uint32_t oldest = t->by_age[reserved].first;

			if (oldest == NONE || t->datagrams[oldest].expires > w->now)
				break;
			datagram_end(t, w, oldest, DROP_FRAG_TIMEOUT, &t->counts.timed_out);
		}
	}
}

void
frag_table_drop(struct frag_table *t, struct worker *w, enum drop_reason why)
{
	uint64_t *count = why == DROP_FRAG_TIMEOUT ? &t->counts.timed_out : &t->counts.evicted;

	for (int reserved = 0; reserved < 2; reserved++)
		while (t->by_age[reserved].first != NONE)
			datagram_end(t, w, t->by_age[reserved].first, why, count);
}

void
frag_table_free(struct frag_table *t)
{
	if (t == NULL)
		return;
	for (int reserved = 0; reserved < 2; reserved++) {
		for (uint32_t i = t->by_age[reserved].first; i != NONE;
		     i = t->datagrams[i].links[BY_AGE].behind) {
			struct rte_mbuf *m = tree_flatten(t->datagrams[i].root);

			while (m != NULL) {
				struct rte_mbuf *next = piece_release(m);

				rte_pktmbuf_free(m);
				m = next;
			}
		}
	}
	rte_free(t->buckets);
	rte_free(t->source_buckets);
	rte_free(t->datagrams);
	rte_free(t->sources);
	rte_free(t);
}

uint32_t
frag_table_held(const struct frag_table *t)
{
	return __atomic_load_n(&t->held, __ATOMIC_RELAXED);
}

static uint32_t
read32(const uint32_t *cell)
{
	return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

void
frag_table_count(const struct frag_table *t, struct frag_counts *c)
{
	c->pieces = cell_get(&t->counts.pieces);
	c->whole = cell_get(&t->counts.whole);
	c->timed_out = cell_get(&t->counts.timed_out);
	c->evicted = cell_get(&t->counts.evicted);
	c->killed = cell_get(&t->counts.killed);
	c->others = read32(&t->used[false].datagrams);
	c->datagrams = c->others + read32(&t->used[true].datagrams);
	c->segments = read32(&t->used[false].segments) + read32(&t->used[true].segments);
	c->held = read32(&t->held);
}
