/* What a record elsewhere, that outlives the process, has to know of a key. */
#include "numbers/live.h"

#include <errno.h>
#include <string.h>

/* Of one key and SPI, so that an address may change. */
static void
hash_put(struct record_hash h, bool inbound, bool shared, uint32_t spi,
	 uint8_t hash[NUMBERS_HASH_SIZE])
{
	if (shared)
		h.half[1] ^= (uint64_t)spi << 32;
	h.half[0] ^= inbound;
	memcpy(hash, &h, NUMBERS_HASH_SIZE);
}

int
ask_hash(struct numbers_reg *reg, const struct numbers_ask *ask, struct record_hash *hash)
{
	if (!ask->marked)
		return record_hash(&reg->records, &ask->key, hash);
	memcpy(hash->half, ask->mark, sizeof(hash->half));
	return 0;
}

int
numbers_mark(struct numbers_reg *reg, struct numbers_ask *ask)
{
	struct record_hash h;

	if (record_hash(&reg->records, &ask->key, &h) < 0)
		return -EIO;
	memcpy(ask->mark, h.half, sizeof(ask->mark));
	ask->marked = true;
	return 0;
}

int
numbers_hash(struct numbers_reg *reg, const struct numbers_ask *ask,
	     uint8_t hash[NUMBERS_HASH_SIZE])
{
	struct record_hash h;

	if (ask_hash(reg, ask, &h) < 0)
		return -EIO;
	hash_put(h, ask->inbound, !ask->key.counter_mode, ask->id.spi, hash);
	return 0;
}

void
numbers_hash_of(const struct numbers_reg *reg, const struct numbers *n,
		uint8_t hash[NUMBERS_HASH_SIZE])
{
	hash_put(record_at(&reg->records, n->live->record)->hash, n->inbound, n->shared, n->id.spi,
		 hash);
}

uint32_t
numbers_lanes(const struct numbers *n)
{
	return n->live->n;
}

uint32_t
numbers_record(const struct numbers *n)
{
	return n->live->record;
}

struct numbers *
numbers_of_record(const struct numbers_reg *reg, uint32_t record)
{
	const struct record *r;

	if (slab_next(&reg->records.items, record) != record)
		return NULL;
	r = record_at(&reg->records, record);
	return r->in_use ? r->live->users : NULL;
}

bool
numbers_is_last(const struct numbers *n)
{
	return n->live->users == n && n->next == NULL && n->live->jobs == NULL;
}

bool
numbers_has_sibling(const struct numbers_reg *reg, const struct numbers *n)
{
	const struct records *rs = &reg->records;
	const struct record *own = record_at(rs, n->live->record);

	if (!n->shared)
		return false;
	for (uint32_t i = record_find(rs, &own->hash, n->inbound, RECORD_NONE); i != RECORD_NONE;
	     i = record_find(rs, &own->hash, n->inbound, i)) {
		const struct record *r = record_at(rs, i);

		if (r != own && r->in_use && r->live->users != NULL &&
		    r->live->users->id.spi == n->id.spi)
			return true;
	}
	return false;
}
