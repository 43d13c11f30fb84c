/* What is remembered of each key: a hash table of records; the dead ones that expire, by age.
 * Private. */
#ifndef NUMBERS_RECORD_H
#define NUMBERS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slab.h"
#include "numbers/numbers.h"

#define RECORD_NONE UINT32_MAX

struct numbers_live;
struct record_mac;

/* What is left of a key that used more lanes than the first. */
struct lane_numbers {
	uint32_t n;
	uint64_t at[]; /* whole numbers, 0 = never used */
};

struct record_hash {
	uint64_t half[2];
};

struct record {
	struct record_hash hash;
	union {
		struct numbers_live *live;
		uint64_t number; /* the last one used, or the highest accepted */
		struct lane_numbers *lanes;
	};
	uint32_t tag;	       /* which SA had it, where more than one may */
	uint32_t expiry_s;     /* dead: when to forget it */
	uint32_t next;	       /* in its bucket */
	uint32_t older, newer; /* among the kept ones */
	bool in_use, inbound, forever;
	bool laned; /* dead: it is lanes, not number */
};
_Static_assert(sizeof(struct record) == 48, "the budget of a dead key");

struct records {
	struct slab items;
	uint32_t *buckets;
	uint32_t n_buckets; /* a power of two */
	uint32_t oldest, newest;
	uint32_t n_kept, max_kept, n_forever;
	uint64_t lanes_bytes;
	struct record_mac *mac; /* holding the secret */
};

/* secret: NUMBERS_SECRET_SIZE octets to hash with, borrowed; NULL: random ones. */
int records_init(struct records *rs, uint32_t max, uint32_t max_kept, int socket,
		 const uint8_t *secret, struct err *err);
void records_fini(struct records *rs);

/* -EIO where libcrypto fails. */
int record_hash(struct records *rs, const struct numbers_key *key, struct record_hash *hash);

static inline struct record *
record_at(const struct records *rs, uint32_t index)
{
	return slab_at(&rs->items, index);
}

/* The next record of that hash and direction behind `after` (RECORD_NONE: the first), or
 * RECORD_NONE. */
uint32_t record_find(const struct records *rs, const struct record_hash *hash, bool inbound,
		     uint32_t after);

/* A new record, not in use, number 0. */
int record_add(struct records *rs, const struct record_hash *hash, bool inbound, uint32_t *index,
	       struct err *err);
void record_remove(struct records *rs, uint32_t index);

/* All zero; NULL: no memory. */
struct lane_numbers *lane_numbers_new(struct records *rs, uint32_t n);
/* Leaves the first n. */
struct lane_numbers *lane_numbers_cut(struct records *rs, struct lane_numbers *l, uint32_t n);
/* NULL is fine. */
void lane_numbers_free(struct records *rs, struct lane_numbers *l);

/* A key dies or comes back: its place among those that expire, or among those that do not. */
void record_keep(struct records *rs, uint32_t index, uint32_t expiry_s);
void record_unkeep(struct records *rs, uint32_t index);
void records_expire(struct records *rs, uint32_t now_s);

#endif
