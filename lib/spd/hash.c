/* The hash of prefix pairs, and which pairs of prefix lengths are in use. Control's side. */
#include <errno.h>
#include <stdlib.h>

#include <rte_malloc.h>

#include "spd/tables.h"

static uint32_t
pair_id(uint8_t src_length, uint8_t dst_length, uint8_t side)
{
	uint32_t direction = SIDE_DIRECTION(side);

	if (!SIDE_V6(side))
		return (direction * 33 + src_length) * 33 + dst_length;
	return SPD_DIRECTIONS * PAIRS_V4 + (direction * 129 + src_length) * 129 + dst_length;
}

static uint32_t
pair_of(const struct rule *r)
{
	return pair_id(r->src_length, r->dst_length, r->side);
}

uint32_t
buckets_for(uint32_t max_rules)
{
	/* Three quarters of the slots used, at most. */
	return rte_align32pow2(max_rules * UINT64_C(4) / (3 * BUCKET_SLOTS) + 1);
}

int
pairs_init(struct spd_tables *t, struct err *err)
{
	uint32_t n = buckets_for(t->params.max_rules);

	t->bucket_mask = n - 1;
	t->buckets = rte_zmalloc_socket("spd_buckets", n * sizeof(*t->buckets), RTE_CACHE_LINE_SIZE,
					t->params.socket);
	t->pair_count = calloc(PAIRS_MAX, sizeof(*t->pair_count));
	t->pair_best = calloc(PAIRS_MAX, sizeof(*t->pair_best));
	t->pair_listed = calloc(PAIRS_MAX, sizeof(*t->pair_listed));
	if (t->buckets == NULL || t->pair_count == NULL || t->pair_best == NULL ||
	    t->pair_listed == NULL)
		return err_set(err, -ENOMEM, "spd: no memory for %u policies",
			       t->params.max_policies);
	return 0;
}

void
pairs_fini(struct spd_tables *t)
{
	for (int side = 0; side < SIDES; side++) {
		rte_free(t->pairs[side]);
		rte_free(t->next_pairs[side]);
	}
	free(t->pair_listed);
	free(t->pair_best);
	free(t->pair_count);
	rte_free(t->buckets);
}

/* A next list with room for what is published, what is new, and so many more. */
static bool
next_pairs_reserve(struct spd_tables *t, uint8_t side, uint32_t more)
{
	struct pair_list *old = t->next_pairs[side], *list;
	uint32_t need = (t->pairs[side] != NULL ? t->pairs[side]->n : 0) + more;
	uint32_t room;

	need += old != NULL ? old->n : 0;
	if (old != NULL && old->room >= need)
		return true;
	room = need + need / 2 + 8;
	list = rte_zmalloc_socket("spd_pairs", sizeof(*list) + room * sizeof(list->pairs[0]),
				  RTE_CACHE_LINE_SIZE, t->params.socket);
	if (list == NULL)
		return false;
	list->room = room;
	if (old != NULL) {
		list->n = old->n;
		memcpy(list->pairs, old->pairs, old->n * sizeof(old->pairs[0]));
		rte_free(old);
	}
	t->next_pairs[side] = list;
	return true;
}

int
pairs_reserve(struct spd_tables *t, uint8_t side, uint32_t more, struct err *err)
{
	uint32_t most = SIDE_V6(side) ? PAIRS_V6 : PAIRS_V4;

	if (!next_pairs_reserve(t, side, RTE_MIN(more, most)))
		return err_set(err, -ENOMEM, "spd: no memory for a list of prefix lengths");
	return 0;
}

static void
pair_enter(struct spd_tables *t, const struct rule *r)
{
	uint32_t id = pair_of(r);
	struct pair_list *next = t->next_pairs[r->side];

	if (!t->pair_listed[id]) {
		struct pair *p = &next->pairs[next->n++];

		prefix_mask(r->src_length, p->src_mask);
		prefix_mask(r->dst_length, p->dst_mask);
		p->src_length = r->src_length;
		p->dst_length = r->dst_length;
		p->side = r->side;
		t->pair_listed[id] = true;
	}
	if (t->pair_count[id]++ == 0 || r->precedence < t->pair_best[id]) {
		t->pair_best[id] = r->precedence;
		t->pairs_changed[r->side] = true;
	}
}

static void
pair_leave(struct spd_tables *t, const struct rule *r)
{
	uint32_t id = pair_of(r);

	if (--t->pair_count[id] == 0)
		t->pairs_changed[r->side] = true;
	else if (r->precedence == t->pair_best[id])
		t->best_stale = true;
}

static int
pair_compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->best < y->best ? -1 : x->best > y->best;
}

/* Adds the published pairs to the new ones, leaves out those without a rule, and sorts. */
static void
pairs_merge(struct spd_tables *t, struct pair_list *next, const struct pair_list *old)
{
	uint32_t n = 0;

	if (old != NULL)
		memcpy(&next->pairs[next->n], old->pairs, old->n * sizeof(old->pairs[0]));
	next->n += old != NULL ? old->n : 0;
	for (uint32_t i = 0; i < next->n; i++) {
		struct pair p = next->pairs[i];
		uint32_t id = pair_id(p.src_length, p.dst_length, p.side);

		t->pair_listed[id] = t->pair_count[id] > 0;
		p.best = t->pair_best[id];
		if (t->pair_listed[id])
			next->pairs[n++] = p;
	}
	next->n = n;
	qsort(next->pairs, n, sizeof(next->pairs[0]), pair_compare);
}

void
pairs_publish(struct spd_tables *t)
{
	for (uint8_t side = 0; side < SIDES; side++) {
		struct pair_list *old = t->pairs[side];

		/* Only where rules left may memory be wanting; the list is then longer than it need
		 * be. */
		if (!t->pairs_changed[side] || !next_pairs_reserve(t, side, 0))
			continue;
		pairs_merge(t, t->next_pairs[side], old);
		__atomic_store_n(&t->pairs[side], t->next_pairs[side], __ATOMIC_RELEASE);
		t->next_pairs[side] = NULL;
		t->pairs_changed[side] = false;
		if (old != NULL)
			spd_later(t, rte_free, old);
	}
}

static void
refresh_chunk(struct spd_tables *t, const uint8_t *items, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct rule *r = (const struct rule *)(items + (size_t)i * t->rules.size);
		uint32_t id = pair_of(r);

		if (r->span != 0 && r->place == PLACE_CHAIN && r->precedence < t->pair_best[id])
			t->pair_best[id] = r->precedence;
	}
}

void
pairs_refresh(struct spd_tables *t)
{
	if (!t->best_stale)
		return;
	memset(t->pair_best, 0xff, PAIRS_MAX * sizeof(*t->pair_best));
	for (uint32_t c = 0; c < t->rules.n_chunks; c++) {
		uint32_t n = RTE_MIN(SLAB_CHUNK_ITEMS, t->rules.max - c * SLAB_CHUNK_ITEMS);

		if (t->rules.chunks[c] != NULL)
			refresh_chunk(t, t->rules.chunks[c], n);
	}
	for (uint8_t side = 0; side < SIDES; side++)
		t->pairs_changed[side] = t->pairs[side] != NULL;
	t->best_stale = false;
	pairs_publish(t);
}

/* The head of the chain of rules under the same prefixes, NULL = there is none; the home of its
 * hash. */
static uint32_t *
chain_find(struct spd_tables *t, const struct rule *r, uint32_t hash, uint32_t *at)
{
	uint32_t shape = shape_of(r->src_length, r->dst_length, r->side);

	for (uint32_t i = 0; i <= t->bucket_mask; i++) {
		struct bucket *b = &t->buckets[(hash + i) & t->bucket_mask];

		for (uint32_t m = bucket_hits(b, hash); m != 0; m &= m - 1) {
			uint32_t slot = __builtin_ctz(m);

			if (rule_under(rule_at(t, b->head[slot]), shape, r->src, r->dst)) {
				*at = i;
				return &b->head[slot];
			}
		}
		if (b->over == 0)
			return NULL;
	}
	return NULL;
}

static uint32_t
rule_hash(const struct rule *r)
{
	return prefixes_hash(shape_of(r->src_length, r->dst_length, r->side), r->src, r->dst);
}

static bool
chain_insert(struct spd_tables *t, uint32_t *link, uint32_t index)
{
	struct rule *r = rule_at(t, index);
	uint32_t *place = NULL;
	uint32_t n = 0;

	for (; *link != RULE_NONE; link = &rule_at(t, *link)->next) {
		if (place == NULL && rule_at(t, *link)->precedence > r->precedence)
			place = link;
		n++;
	}
	if (n >= CHAIN_MAX)
		return false;
	if (place == NULL)
		place = link;
	r->next = *place;
	__atomic_store_n(place, index, __ATOMIC_RELEASE);
	return true;
}

static void
chain_begin(struct spd_tables *t, uint32_t hash, uint32_t index)
{
	struct bucket *b = &t->buckets[hash & t->bucket_mask];
	uint32_t i = 0, free_slots;

	/* There are more slots than rules. */
	while ((free_slots = bucket_hits(b, 0)) == 0) {
		__atomic_store_n(&b->over, b->over + 1, __ATOMIC_RELAXED);
		b = &t->buckets[(hash + ++i) & t->bucket_mask];
	}
	rule_at(t, index)->next = RULE_NONE;
	__atomic_store_n(&b->head[__builtin_ctz(free_slots)], index, __ATOMIC_RELEASE);
	__atomic_store_n(&b->hash[__builtin_ctz(free_slots)], hash, __ATOMIC_RELEASE);
}

bool
hash_insert(struct spd_tables *t, uint32_t index)
{
	struct rule *r = rule_at(t, index);
	uint32_t hash = rule_hash(r), at;
	uint32_t *head = chain_find(t, r, hash, &at);

	/* Before a lookup can find it. */
	r->place = PLACE_CHAIN;
	if (head == NULL)
		chain_begin(t, hash, index);
	else if (!chain_insert(t, head, index))
		return false;
	pair_enter(t, r);
	return true;
}

static void
chain_end(struct spd_tables *t, uint32_t *head, uint32_t hash, uint32_t at)
{
	struct bucket *b = &t->buckets[(hash + at) & t->bucket_mask];

	__atomic_store_n(&b->hash[head - b->head], 0, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < at; i++) {
		b = &t->buckets[(hash + i) & t->bucket_mask];
		__atomic_store_n(&b->over, b->over - 1, __ATOMIC_RELAXED);
	}
}

void
hash_remove(struct spd_tables *t, uint32_t index)
{
	struct rule *r = rule_at(t, index);
	uint32_t hash = rule_hash(r), at;
	uint32_t *head = chain_find(t, r, hash, &at), *link = head;

	while (*link != index)
		link = &rule_at(t, *link)->next;
	/* The rule keeps its next: a lookup may stand on it. */
	if (link == head && r->next == RULE_NONE)
		chain_end(t, head, hash, at);
	else
		__atomic_store_n(link, r->next, __ATOMIC_RELEASE);
	pair_leave(t, r);
}
