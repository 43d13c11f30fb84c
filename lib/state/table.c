#include "state/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 256

int
table_init(struct state_table *t)
{
	*t = (struct state_table) { .n_buckets = BUCKETS_MIN, .free = TABLE_NONE };
	t->buckets = malloc(BUCKETS_MIN * sizeof(t->buckets[0]));
	if (t->buckets == NULL)
		return -ENOMEM;
	memset(t->buckets, 0xff, BUCKETS_MIN * sizeof(t->buckets[0]));
	return 0;
}

void
table_fini(struct state_table *t)
{
	for (uint32_t i = 0; i < t->n_chunks; i++)
		free(t->chunks[i]);
	free(t->chunks);
	free(t->buckets);
	*t = (struct state_table) { .free = TABLE_NONE };
}

/* The hash is one under a secret, so any part of it spreads. */
static uint32_t
bucket_of(const struct state_table *t, const uint8_t *hash, uint16_t lane)
{
	uint32_t h;

	memcpy(&h, hash, sizeof(h));
	return (h + lane * 0x9e3779b1u) & (t->n_buckets - 1);
}

static bool
is_of(const struct state_entry *e, const struct state_key *key)
{
	return e->lane == key->lane && e->inbound == key->inbound &&
	       memcmp(e->hash, key->hash, sizeof(e->hash)) == 0;
}

struct state_entry *
table_find(const struct state_table *t, const struct state_key *key)
{
	uint32_t i = t->buckets[bucket_of(t, key->hash, key->lane)];

	while (i != TABLE_NONE && !is_of(table_at(t, i), key))
		i = table_at(t, i)->next;
	return i == TABLE_NONE ? NULL : table_at(t, i);
}

static void
link_in(struct state_table *t, uint32_t index)
{
	struct state_entry *e = table_at(t, index);
	uint32_t *at = &t->buckets[bucket_of(t, e->hash, e->lane)];

	e->next = *at;
	*at = index;
}

/* Without memory the chains get longer, which costs time alone. */
static void
buckets_grow(struct state_table *t)
{
	size_t n = 2 * (size_t)t->n_buckets;
	uint32_t *buckets = malloc(n * sizeof(buckets[0]));

	if (buckets == NULL)
		return;
	memset(buckets, 0xff, n * sizeof(buckets[0]));
	free(t->buckets);
	t->buckets = buckets;
	t->n_buckets = (uint32_t)n;
	for (uint32_t i = 0; i < t->n; i++) {
		if (table_at(t, i)->taken)
			link_in(t, i);
	}
}

static int
chunk_add(struct state_table *t)
{
	struct state_entry **chunks =
		realloc(t->chunks, (t->n_chunks + (size_t)1) * sizeof(chunks[0]));

	if (chunks == NULL)
		return -ENOMEM;
	t->chunks = chunks;
	chunks[t->n_chunks] = calloc(TABLE_CHUNK, sizeof(struct state_entry));
	if (chunks[t->n_chunks] == NULL)
		return -ENOMEM;
	t->n_chunks++;
	return 0;
}

static uint32_t
index_take(struct state_table *t)
{
	uint32_t index = t->free;

	if (index != TABLE_NONE) {
		t->free = table_at(t, index)->next;
		return index;
	}
	if (t->n == t->n_chunks * TABLE_CHUNK && chunk_add(t) < 0)
		return TABLE_NONE;
	return t->n++;
}

struct state_entry *
table_get(struct state_table *t, const struct state_key *key)
{
	struct state_entry *e = table_find(t, key);
	uint32_t index;

	if (e != NULL)
		return e;
	index = index_take(t);
	if (index == TABLE_NONE)
		return NULL;
	if (t->n_taken >= t->n_buckets && t->n_buckets < 1u << 30)
		buckets_grow(t);
	e = table_at(t, index);
	*e = (struct state_entry) { .lane = key->lane, .inbound = key->inbound, .taken = true };
	memcpy(e->hash, key->hash, sizeof(e->hash));
	link_in(t, index);
	t->n_taken++;
	return e;
}

void
table_remove(struct state_table *t, struct state_entry *e)
{
	uint32_t *at = &t->buckets[bucket_of(t, e->hash, e->lane)], index;

	while (table_at(t, *at) != e)
		at = &table_at(t, *at)->next;
	index = *at;
	*at = e->next;
	*e = (struct state_entry) { .next = t->free };
	t->free = index;
	t->n_taken--;
}

uint64_t
table_bytes(const struct state_table *t)
{
	return t->n_chunks * (uint64_t)TABLE_CHUNK * sizeof(struct state_entry) +
	       t->n_buckets * sizeof(t->buckets[0]);
}
