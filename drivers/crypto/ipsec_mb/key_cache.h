/* A worker's bounded cache of expanded keys: 4-way, least recently used goes first.
 *
 * A round is the part of a burst whose keys are all in the cache at the same time: an entry found
 * or made in a round is never overwritten in it, so its address is good until the next round.
 */
#ifndef IPSEC_MB_KEY_CACHE_H
#define IPSEC_MB_KEY_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "crypto/engine.h"

#define KEY_CACHE_WAYS	 4
#define KEY_CACHE_ENTRY	 1024 /* AES-GCM's, the largest, has 1,008 */
#define KEY_CACHE_ABSENT UINT64_MAX

struct key_set {
	uint64_t tag[KEY_CACHE_WAYS];
	uint32_t used[KEY_CACHE_WAYS]; /* round of the last use */
	uint64_t spare[2];
};
_Static_assert(sizeof(struct key_set) == RTE_CACHE_LINE_SIZE, "one line a set");

struct key_cache {
	struct key_set *sets;
	uint8_t *entries; /* KEY_CACHE_WAYS of KEY_CACHE_ENTRY octets for each set */
	uint32_t n_sets;  /* a power of two */
	uint32_t shift;
	uint32_t round;
};

/* The cache takes at most size octets, but has one set at least. 0 or -ENOMEM. */
int key_cache_init(struct key_cache *c, size_t size, int socket);
void key_cache_fini(struct key_cache *c);
void key_cache_forget(struct key_cache *c, uint32_t id);

/* Makes room, all zeros, for a tag that is not there; NULL when all ways hold keys of this round.
 */
void *key_cache_place(struct key_cache *c, uint32_t set, uint64_t tag);

static inline void
key_cache_round(struct key_cache *c)
{
	c->round++;
}

/* Ids are indices of a slab: consecutive ones must not meet in a set, nor ones a power of two
 * apart. */
static inline uint32_t
key_cache_set(const struct key_cache *c, uint32_t id)
{
	return (uint32_t)((uint64_t)(id * UINT32_C(0x9e3779b1)) >> c->shift);
}

static inline void *
key_cache_entry(const struct key_cache *c, uint32_t set, uint32_t way)
{
	return c->entries + ((size_t)set * KEY_CACHE_WAYS + way) * KEY_CACHE_ENTRY;
}

enum key_state {
	KEY_HOT,   /* used in this round or the last one: in the L1 most likely */
	KEY_COLD,  /* there, but worth a prefetch */
	KEY_FRESH, /* the caller fills the entry */
};

/* The entry of a session; NULL: no room in this round. */
static inline void *
key_cache_get(struct key_cache *c, const struct session *s, enum key_state *state)
{
	uint64_t tag = (uint64_t)s->generation << 32 | s->id;
	uint32_t set = key_cache_set(c, s->id);
	struct key_set *at = &c->sets[set];

	for (uint32_t way = 0; way < KEY_CACHE_WAYS; way++) {
		if (likely(at->tag[way] == tag)) {
			*state = c->round - at->used[way] <= 1 ? KEY_HOT : KEY_COLD;
			at->used[way] = c->round;
			return key_cache_entry(c, set, way);
		}
	}
	*state = KEY_FRESH;
	return key_cache_place(c, set, tag);
}

#endif
