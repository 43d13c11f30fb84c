/* A worker's bounded cache of expanded keys: 4-way, least recently used goes first.
 *
 * A key takes the place of another only when it is missed twice in a row in its set. Else it is
 * expanded beside the cache, into one of a few entries that are always near: with more keys in use
 * than there is room for, most would go before they were asked for again, and writing an entry that
 * is far costs several times what expanding does.
 *
 * A round is a burst: an entry found or made in it is not overwritten before the next round.
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
	uint64_t missed;	       /* the last tag that was not there */
	uint64_t spare;
};
_Static_assert(sizeof(struct key_set) == RTE_CACHE_LINE_SIZE, "one line a set");

struct key_cache {
	struct key_set *sets;
	uint8_t *entries; /* KEY_CACHE_WAYS of KEY_CACHE_ENTRY octets for each set */
	uint32_t n_sets;  /* a power of two */
	uint32_t shift;
	uint32_t round;
	uint32_t n_beside;
	uint8_t *beside; /* entries by themselves: as many as a burst may want */
	uint64_t beside_tag[CRYPTO_BURST_MAX];
};

/* The cache takes at most size octets, but has one set at least. 0 or -ENOMEM. */
int key_cache_init(struct key_cache *c, size_t size, int socket);
void key_cache_fini(struct key_cache *c);
void key_cache_forget(struct key_cache *c, uint32_t id);

/* Makes room, all zeros, for a tag that is not there: in the cache or beside it. */
void *key_cache_place(struct key_cache *c, uint32_t set, uint64_t tag);

static inline void
key_cache_round(struct key_cache *c)
{
	c->round++;
	c->n_beside = 0;
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

static inline void
key_cache_prefetch(const struct key_cache *c, uint32_t id)
{
	rte_prefetch0(&c->sets[key_cache_set(c, id)]);
}

enum key_state {
	KEY_HOT,   /* used in this round or the last one: in the L1 most likely */
	KEY_COLD,  /* there, but worth a prefetch */
	KEY_FRESH, /* the caller fills the entry */
};

/* The entry of a session. At most CRYPTO_BURST_MAX in a round. */
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
