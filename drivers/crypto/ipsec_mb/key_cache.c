#include "key_cache.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

int
key_cache_init(struct key_cache *c, size_t size, int socket)
{
	size_t per_set = sizeof(struct key_set) + KEY_CACHE_WAYS * KEY_CACHE_ENTRY;
	uint32_t bits = 0;

	while (bits < 24 && per_set << (bits + 1) <= size)
		bits++;
	c->n_sets = UINT32_C(1) << bits;
	c->shift = 32 - bits;
	c->round = 0;
	c->sets = rte_zmalloc_socket("key_cache_sets", c->n_sets * sizeof(struct key_set),
				     RTE_CACHE_LINE_SIZE, socket);
	c->entries = rte_zmalloc_socket("key_cache",
					(size_t)c->n_sets * KEY_CACHE_WAYS * KEY_CACHE_ENTRY,
					RTE_CACHE_LINE_SIZE, socket);
	c->beside = rte_zmalloc_socket("key_cache_beside", CRYPTO_BURST_MAX * KEY_CACHE_ENTRY,
				       RTE_CACHE_LINE_SIZE, socket);
	c->n_beside = 0;
	if (c->sets == NULL || c->entries == NULL || c->beside == NULL) {
		key_cache_fini(c);
		return -ENOMEM;
	}
	memset(c->beside_tag, 0xff, sizeof(c->beside_tag));
	for (uint32_t i = 0; i < c->n_sets; i++) {
		c->sets[i].missed = KEY_CACHE_ABSENT;
		for (uint32_t way = 0; way < KEY_CACHE_WAYS; way++)
			c->sets[i].tag[way] = KEY_CACHE_ABSENT;
	}
	return 0;
}

void
key_cache_fini(struct key_cache *c)
{
	if (c->entries != NULL)
		explicit_bzero(c->entries, (size_t)c->n_sets * KEY_CACHE_WAYS * KEY_CACHE_ENTRY);
	if (c->beside != NULL)
		explicit_bzero(c->beside, CRYPTO_BURST_MAX * KEY_CACHE_ENTRY);
	rte_free(c->beside);
	rte_free(c->entries);
	rte_free(c->sets);
	c->beside = NULL;
	c->entries = NULL;
	c->sets = NULL;
}

static uint8_t *
beside_entry(struct key_cache *c, uint32_t at)
{
	return c->beside + (size_t)at * KEY_CACHE_ENTRY;
}

void
key_cache_forget(struct key_cache *c, uint32_t id)
{
	uint32_t set = key_cache_set(c, id);
	struct key_set *at = &c->sets[set];

	for (uint32_t way = 0; way < KEY_CACHE_WAYS; way++) {
		if (at->tag[way] == KEY_CACHE_ABSENT || (uint32_t)at->tag[way] != id)
			continue;
		at->tag[way] = KEY_CACHE_ABSENT;
		explicit_bzero(key_cache_entry(c, set, way), KEY_CACHE_ENTRY);
	}
	for (uint32_t i = 0; i < CRYPTO_BURST_MAX; i++) {
		if (c->beside_tag[i] == KEY_CACHE_ABSENT || (uint32_t)c->beside_tag[i] != id)
			continue;
		c->beside_tag[i] = KEY_CACHE_ABSENT;
		explicit_bzero(beside_entry(c, i), KEY_CACHE_ENTRY);
	}
}

/* The way to give up, KEY_CACHE_WAYS: none. The age is a difference modulo 2^32: a way untouched
 * for exactly that many rounds looks used just now, which at worst ends a round early.
 */
static uint32_t
way_pick(const struct key_cache *c, const struct key_set *at, uint64_t tag)
{
	uint32_t oldest = KEY_CACHE_WAYS, age = 0;

	for (uint32_t way = 0; way < KEY_CACHE_WAYS; way++) {
		if (at->tag[way] == KEY_CACHE_ABSENT)
			return way;
		if (c->round - at->used[way] > age) {
			oldest = way;
			age = c->round - at->used[way];
		}
	}
	return at->missed == tag ? oldest : KEY_CACHE_WAYS;
}

/* A shorter key would leave the end of the old one behind, where no forget finds it. */
static void *
beside_place(struct key_cache *c, uint64_t tag)
{
	uint8_t *entry = beside_entry(c, c->n_beside);

	assert(c->n_beside < CRYPTO_BURST_MAX);
	memset(entry, 0, KEY_CACHE_ENTRY);
	c->beside_tag[c->n_beside++] = tag;
	return entry;
}

void *
key_cache_place(struct key_cache *c, uint32_t set, uint64_t tag)
{
	struct key_set *at = &c->sets[set];
	uint32_t way = way_pick(c, at, tag);
	void *entry;

	if (way == KEY_CACHE_WAYS) {
		at->missed = tag;
		return beside_place(c, tag);
	}
	entry = key_cache_entry(c, set, way);
	if (at->tag[way] != KEY_CACHE_ABSENT)
		memset(entry, 0, KEY_CACHE_ENTRY);
	at->tag[way] = tag;
	at->used[way] = c->round;
	at->missed = KEY_CACHE_ABSENT;
	return entry;
}
