#include "key_cache.h"

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
	if (c->sets == NULL || c->entries == NULL) {
		key_cache_fini(c);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < c->n_sets; i++)
		for (uint32_t way = 0; way < KEY_CACHE_WAYS; way++)
			c->sets[i].tag[way] = KEY_CACHE_ABSENT;
	return 0;
}

void
key_cache_fini(struct key_cache *c)
{
	if (c->entries != NULL)
		explicit_bzero(c->entries, (size_t)c->n_sets * KEY_CACHE_WAYS * KEY_CACHE_ENTRY);
	rte_free(c->entries);
	rte_free(c->sets);
	c->entries = NULL;
	c->sets = NULL;
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
}

/* The age is a difference modulo 2^32: a way untouched for exactly that many rounds looks used just
 * now, which at worst ends a round early.
 */
void *
key_cache_place(struct key_cache *c, uint32_t set, uint64_t tag)
{
	struct key_set *at = &c->sets[set];
	uint32_t oldest = 0, age = 0;
	void *entry;

	for (uint32_t way = 0; way < KEY_CACHE_WAYS; way++) {
		if (at->tag[way] == KEY_CACHE_ABSENT) {
			oldest = way;
			age = 1;
			break;
		}
		if (c->round - at->used[way] > age) {
			oldest = way;
			age = c->round - at->used[way];
		}
	}
	if (age == 0)
		return NULL;
	entry = key_cache_entry(c, set, oldest);
	/* A shorter key would leave the end of the old one behind, where no forget finds it. */
	if (at->tag[oldest] != KEY_CACHE_ABSENT)
		memset(entry, 0, KEY_CACHE_ENTRY);
	at->tag[oldest] = tag;
	at->used[oldest] = c->round;
	return entry;
}
