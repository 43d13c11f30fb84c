/* What the file holds, in memory: a hash table of lanes of keys. Private to lib/state; callers
 * lock. */
#ifndef STATE_TABLE_H
#define STATE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "state/state.h"

#define TABLE_NONE  UINT32_MAX
#define TABLE_CHUNK 4096

struct state_entry {
	uint8_t hash[STATE_HASH_SIZE];
	uint64_t number; /* 0: not on the disk yet */
	uint64_t asked;
	union {
		uint32_t asked_ms; /* live */
		uint32_t expiry_s; /* at rest: since 1970 */
	};
	uint32_t block;
	uint32_t next; /* in its bucket, or among the free ones */
	uint16_t lane;
	bool taken : 1, inbound : 1, forever : 1, live : 1;
	bool held : 1; /* see state_file_hold() */
};
_Static_assert(sizeof(struct state_entry) == 48, "the memory of a lane");

struct state_table {
	struct state_entry **chunks;
	uint32_t *buckets;
	uint32_t n_chunks, n_buckets; /* n_buckets: a power of two */
	uint32_t n, n_taken;	      /* n: entries there ever were */
	uint32_t free;
};

int table_init(struct state_table *t);
void table_fini(struct state_table *t);

static inline struct state_entry *
table_at(const struct state_table *t, uint32_t index)
{
	return &t->chunks[index / TABLE_CHUNK][index % TABLE_CHUNK];
}

/* NULL: there is none. */
struct state_entry *table_find(const struct state_table *t, const struct state_key *key);
/* Finds or makes; NULL: no memory. An index stays an entry's until it is removed. */
struct state_entry *table_get(struct state_table *t, const struct state_key *key);
void table_remove(struct state_table *t, struct state_entry *e);
uint64_t table_bytes(const struct state_table *t);

#endif
