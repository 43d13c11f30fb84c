/* A key's policy, for lookups that the flow cache could not answer. */
#include <rte_prefetch.h>

#include "spd/tables.h"

/* The keys that a pair may still better, with their hashes under it. */
struct probe {
	uint64_t src[2], dst[2];
	uint32_t hash;
	uint32_t key;
};

static inline void
chain_walk(const struct spd_tables *t, uint32_t index, uint32_t generation,
	   const struct spd_key *key, struct finding *f)
{
	while (index != RULE_NONE) {
		const struct rule *r = rule_at(t, index);
		enum match match = MATCH_YES;

		if (r->precedence >= f->precedence)
			return;
		if (likely(rule_seen(r, generation))) {
			if (r->extra != EXTRA_NONE)
				match = extra_match(extra_at(t, r->extra), key);
			if (match != MATCH_NO) {
				found_take(f, r, match);
				return;
			}
		}
		index = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE);
	}
}

static inline void
probe_finish(const struct spd_tables *t, const struct probe *p, uint32_t shape, uint32_t generation,
	     const struct spd_key *key, struct finding *f)
{
	for (uint32_t i = 0; i <= t->bucket_mask; i++) {
		const struct bucket *b = &t->buckets[(p->hash + i) & t->bucket_mask];

		for (uint32_t m = bucket_hits(b, p->hash); m != 0; m &= m - 1) {
			uint32_t head =
				__atomic_load_n(&b->head[__builtin_ctz(m)], __ATOMIC_ACQUIRE);

			if (rule_under(rule_at(t, head), shape, p->src, p->dst)) {
				chain_walk(t, head, generation, key, f);
				return;
			}
		}
		if (likely(__atomic_load_n(&b->over, __ATOMIC_RELAXED) == 0))
			return;
	}
}

/* Which keys the pair could still better; their buckets on the way to the cache. */
static inline uint16_t
probes_start(const struct spd_tables *t, const struct pair *pair, uint32_t shape,
	     const struct spd_key *keys, const struct finding *found, uint16_t n,
	     struct probe *probes)
{
	uint16_t n_probes = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct probe *p = &probes[n_probes];

		if (found[i].precedence <= pair->best)
			continue;
		p->src[0] = wire_load64(keys[i].src) & pair->src_mask[0];
		p->src[1] = wire_load64(keys[i].src + 8) & pair->src_mask[1];
		p->dst[0] = wire_load64(keys[i].dst) & pair->dst_mask[0];
		p->dst[1] = wire_load64(keys[i].dst + 8) & pair->dst_mask[1];
		p->hash = prefixes_hash(shape, p->src, p->dst);
		p->key = i;
		rte_prefetch0(&t->buckets[p->hash & t->bucket_mask]);
		n_probes++;
	}
	return n_probes;
}

static inline void
rules_prefetch(const struct spd_tables *t, const struct probe *probes, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct bucket *b = &t->buckets[probes[i].hash & t->bucket_mask];
		uint32_t hits = bucket_hits(b, probes[i].hash);

		if (hits != 0)
			rte_prefetch0(rule_at(t, __atomic_load_n(&b->head[__builtin_ctz(hits)],
								 __ATOMIC_RELAXED)));
	}
}

static void
pairs_find(const struct spd_tables *t, uint8_t side, uint32_t generation,
	   const struct spd_key *keys, uint16_t n, struct finding *found)
{
	const struct pair_list *list = __atomic_load_n(&t->pairs[side], __ATOMIC_ACQUIRE);
	struct probe probes[LOOKUP_MAX];

	if (list == NULL)
		return;
	for (uint32_t i = 0; i < list->n; i++) {
		const struct pair *pair = &list->pairs[i];
		uint32_t shape = shape_of(pair->src_length, pair->dst_length, side);
		uint16_t n_probes = probes_start(t, pair, shape, keys, found, n, probes);

		/* Those behind it are no better. */
		if (n_probes == 0)
			return;
		rules_prefetch(t, probes, n_probes);
		for (uint16_t j = 0; j < n_probes; j++)
			probe_finish(t, &probes[j], shape, generation, &keys[probes[j].key],
				     &found[probes[j].key]);
	}
}

void
classify(const struct spd *spd, uint8_t side, uint32_t generation, const struct spd_key *keys,
	 uint16_t n, uint32_t *policies)
{
	struct finding found[LOOKUP_MAX];

	for (uint16_t i = 0; i < n; i++)
		found[i] = (struct finding) { .precedence = UINT64_MAX, .policy = SPD_NO_MATCH };
	pairs_find(spd->tables, side, generation, keys, n, found);
	many_find(spd->tables, side, generation, keys, n, found);
	for (uint16_t i = 0; i < n; i++)
		policies[i] = found[i].policy;
}

uint32_t
spd_find(const struct spd *spd, enum spd_direction direction, const struct spd_key *key)
{
	uint32_t generation = __atomic_load_n(&spd->generation, __ATOMIC_ACQUIRE);
	uint32_t policy;

	classify(spd, SIDE(direction, key->v6), generation, key, 1, &policy);
	return policy;
}
