#include "frag/datagram.h"

#include "frag/piece.h"
#include "worker/worker.h"

static void
list_add(struct frag_table *t, struct list *list, enum order order, uint32_t i)
{
	t->datagrams[i].links[order] = (struct frag_link) { list->last, NONE };
	if (list->last == NONE)
		list->first = i;
	else
		t->datagrams[list->last].links[order].behind = i;
	list->last = i;
}

static void
list_remove(struct frag_table *t, struct list *list, enum order order, uint32_t i)
{
	const struct frag_link *link = &t->datagrams[i].links[order];

	if (link->before == NONE)
		list->first = link->behind;
	else
		t->datagrams[link->before].links[order].behind = link->behind;
	if (link->behind == NONE)
		list->last = link->before;
	else
		t->datagrams[link->behind].links[order].before = link->before;
}

/* That of a datagram to be; NONE: there is none yet. */
static uint32_t
source_find(const struct frag_table *t, const uint64_t addr[2], bool v6, uint32_t hash)
{
	uint32_t i = t->source_buckets[hash & t->mask];

	while (i != NONE) {
		const struct frag_source *s = &t->sources[i];

		if (s->addr[0] == addr[0] && s->addr[1] == addr[1] && s->v6 == v6)
			return i;
		i = s->next;
	}
	return NONE;
}

static uint32_t
source_get(struct frag_table *t, const uint64_t addr[2], bool v6, bool reserved)
{
	uint32_t hash = reserved ? (uint32_t)source_hash(addr, v6, t->secret) : 0;
	uint32_t i = reserved ? source_find(t, addr, v6, hash) : OTHERS;
	struct frag_source *s;

	if (i != NONE)
		return i;
	/* There are as many as datagrams. */
	i = t->free_source;
	s = &t->sources[i];
	t->free_source = s->next;
	*s = (struct frag_source) {
		.addr = { addr[0], addr[1] },
		.v6 = v6,
		.hash = hash,
		.next = t->source_buckets[hash & t->mask],
		.list = { NONE, NONE },
	};
	t->source_buckets[hash & t->mask] = i;
	return i;
}

/* Of no datagram any more. */
static void
source_put(struct frag_table *t, uint32_t i)
{
	struct frag_source *s = &t->sources[i];
	uint32_t *at = &t->source_buckets[s->hash & t->mask];

	if (i == OTHERS || s->held.datagrams != 0)
		return;
	while (*at != i)
		at = &t->sources[*at].next;
	*at = s->next;
	s->next = t->free_source;
	t->free_source = i;
}

void
datagram_held_add(struct frag_table *t, const struct datagram *d, int32_t pieces, int32_t segments)
{
	t->used[is_reserved(d)].segments += segments;
	t->sources[d->source].held.segments += segments;
	__atomic_store_n(&t->held, t->held + pieces, __ATOMIC_RELAXED);
}

/* Its pieces end, each for itself. */
static void
pieces_drop(struct frag_table *t, struct worker *w, struct datagram *d, enum drop_reason why)
{
	struct rte_mbuf *m = tree_flatten(d->root);

	datagram_held_add(t, d, -(int32_t)d->n_pieces, -(int32_t)d->n_segments);
	d->root = NULL;
	d->n_pieces = d->n_segments = 0;
	while (m != NULL) {
		struct rte_mbuf *next = piece_release(m);

		drop(w, m, why);
		m = next;
	}
}

void
datagram_free(struct frag_table *t, uint32_t i)
{
	struct datagram *d = &t->datagrams[i];
	uint32_t *at = &t->buckets[d->hash & t->mask];

	while (*at != i)
		at = &t->datagrams[*at].next;
	*at = d->next;
	list_remove(t, &t->by_age[is_reserved(d)], BY_AGE, i);
	list_remove(t, &t->sources[d->source].list, BY_SOURCE, i);
	t->used[is_reserved(d)].datagrams--;
	t->sources[d->source].held.datagrams--;
	source_put(t, d->source);
	d->next = t->free_datagram;
	t->free_datagram = i;
}

void
datagram_end(struct frag_table *t, struct worker *w, uint32_t i, enum drop_reason why,
	     uint64_t *count)
{
	if (t->datagrams[i].n_pieces != 0)
		cell_add(count, 1);
	pieces_drop(t, w, &t->datagrams[i], why);
	datagram_free(t, i);
}

void
datagram_kill(struct frag_table *t, struct worker *w, struct datagram *d, enum drop_reason why)
{
	cell_add(&t->counts.killed, 1);
	pieces_drop(t, w, d, why);
	d->dead = (uint8_t)why;
}

uint32_t
datagram_find(const struct frag_table *t, const struct datagram_key *key, uint32_t hash)
{
	uint32_t i = t->buckets[hash & t->mask];

	while (i != NONE && !datagram_key_equal(&t->datagrams[i].key, key))
		i = t->datagrams[i].next;
	return i;
}

static bool
is_over(const struct share *used, const struct share *limit, uint32_t datagrams, uint32_t segments)
{
	return used->datagrams + datagrams > limit->datagrams ||
	       used->segments + segments > limit->segments;
}

/* Ends the oldest under each limit that so much more would pass. False: that would be the datagram
 * at hand, or nothing is left to end.
 */
static bool
room_make(struct frag_table *t, struct worker *w, bool reserved, uint32_t source, uint32_t spare,
	  uint32_t datagrams, uint32_t segments)
{
	while (source != NONE && reserved &&
	       is_over(&t->sources[source].held, &t->of_source, datagrams, segments)) {
		uint32_t oldest = t->sources[source].list.first;
		bool was_last = oldest != NONE && t->sources[source].list.last == oldest;

		if (oldest == NONE || oldest == spare)
			return false;
		datagram_end(t, w, oldest, DROP_FRAG_LIMIT, &t->counts.evicted);
		/* With its last datagram it is gone. */
		if (was_last)
			break;
	}
	while (is_over(&t->used[reserved], &t->limit[reserved], datagrams, segments)) {
		uint32_t oldest = t->by_age[reserved].first;

		if (oldest == NONE || oldest == spare)
			return false;
		datagram_end(t, w, oldest, DROP_FRAG_LIMIT, &t->counts.evicted);
	}
	return true;
}

bool
datagram_room_make(struct frag_table *t, struct worker *w, uint32_t i, uint32_t segments)
{
	const struct datagram *d = &t->datagrams[i];

	return room_make(t, w, is_reserved(d), d->source, i, 0, segments);
}

uint32_t
datagram_make(struct frag_table *t, struct worker *w, const struct datagram_key *key, uint32_t hash,
	      bool reserved, uint32_t segments)
{
	bool v6 = (key->rest >> 40 & 1) != 0;
	uint32_t source = reserved ? source_find(t, key->src, v6,
						 (uint32_t)source_hash(key->src, v6, t->secret)) :
				     OTHERS;
	struct datagram *d;
	uint32_t i;

	if (segments > (reserved ? t->of_source.segments : t->limit[false].segments) ||
	    !room_make(t, w, reserved, source, NONE, 1, segments))
		return NONE;
	i = t->free_datagram;
	d = &t->datagrams[i];
	t->free_datagram = d->next;
	*d = (struct datagram) {
		.key = *key,
		.expires = w->now + t->limits.timeout,
		.next = t->buckets[hash & t->mask],
		.hash = hash,
		.source = source_get(t, key->src, v6, reserved),
		.end = END_OPEN,
	};
	t->buckets[hash & t->mask] = i;
	list_add(t, &t->by_age[is_reserved(d)], BY_AGE, i);
	list_add(t, &t->sources[d->source].list, BY_SOURCE, i);
	t->used[is_reserved(d)].datagrams++;
	t->sources[d->source].held.datagrams++;
	return i;
}
