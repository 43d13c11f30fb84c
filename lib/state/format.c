#include "state/format.h"

#include <string.h>

#include <rte_hash_crc.h>

#define CRC_SIZE 4

enum record_flag {
	RECORD_INBOUND = 1 << 0,
	RECORD_FOREVER = 1 << 1,
	RECORD_FLAGS = RECORD_INBOUND | RECORD_FOREVER,
};

static const uint8_t header_magic[8] = { 'e', 's', 'p', 'g', 'w', 'n', 'u', 'm' };
static const uint8_t slot_magic[8] = { 'e', 's', 'p', 'g', 'w', 'w', 'i', 't' };

static void
put(uint8_t *at, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t
get(const uint8_t *at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

/* Appends the CRC of all that stands before it. */
static uint32_t
seal(uint8_t *octets, size_t size, uint32_t seed)
{
	uint32_t crc = rte_hash_crc(octets, (uint32_t)(size - CRC_SIZE), seed);

	put(octets + size - CRC_SIZE, crc, CRC_SIZE);
	return crc;
}

static bool
is_sealed(const uint8_t *octets, size_t size, uint32_t seed)
{
	return get(octets + size - CRC_SIZE, CRC_SIZE) ==
	       rte_hash_crc(octets, (uint32_t)(size - CRC_SIZE), seed);
}

void
state_header_put(struct state_header *h, uint8_t octets[STATE_HEADER_SIZE])
{
	memset(octets, 0, STATE_HEADER_SIZE);
	memcpy(octets, header_magic, sizeof(header_magic));
	put(octets + 8, h->version, 4);
	put(octets + 12, STATE_HEADER_SIZE, 4);
	memcpy(octets + 16, h->id, STATE_ID_SIZE);
	memcpy(octets + 32, h->secret, STATE_SECRET_SIZE);
	put(octets + 64, h->generation, 8);
	put(octets + 72, h->written, 8);
	h->seed = seal(octets, STATE_HEADER_SIZE, UINT32_MAX);
}

enum state_header_is
state_header_get(const uint8_t *octets, size_t len, struct state_header *h)
{
	memset(h, 0, sizeof(*h));
	if (len < 12)
		return STATE_HEADER_SHORT;
	if (memcmp(octets, header_magic, sizeof(header_magic)) != 0)
		return STATE_HEADER_FOREIGN;
	h->version = (uint32_t)get(octets + 8, 4);
	if (h->version != STATE_VERSION)
		return STATE_HEADER_VERSION;
	if (len < STATE_HEADER_SIZE)
		return STATE_HEADER_SHORT;
	if (get(octets + 12, 4) != STATE_HEADER_SIZE ||
	    !is_sealed(octets, STATE_HEADER_SIZE, UINT32_MAX))
		return STATE_HEADER_BAD;
	memcpy(h->id, octets + 16, STATE_ID_SIZE);
	memcpy(h->secret, octets + 32, STATE_SECRET_SIZE);
	h->generation = get(octets + 64, 8);
	h->written = get(octets + 72, 8);
	h->seed = (uint32_t)get(octets + STATE_HEADER_SIZE - CRC_SIZE, CRC_SIZE);
	/* There is always a next one. */
	return h->generation == 0 || h->generation == UINT64_MAX ? STATE_HEADER_BAD :
								   STATE_HEADER_GOOD;
}

void
state_record_put(const struct state_record *r, uint32_t seed, uint8_t octets[STATE_RECORD_SIZE])
{
	memcpy(octets, r->key.hash, STATE_HASH_SIZE);
	put(octets + 16, r->number, 8);
	put(octets + 24, r->durable, 8);
	put(octets + 32, r->expiry, 8);
	put(octets + 40, r->key.lane, 2);
	put(octets + 42,
	    (r->key.inbound ? RECORD_INBOUND : 0u) | (r->forever ? RECORD_FOREVER : 0u), 2);
	seal(octets, STATE_RECORD_SIZE, seed);
}

bool
state_record_get(const uint8_t octets[STATE_RECORD_SIZE], uint32_t seed, struct state_record *r)
{
	uint16_t flags = (uint16_t)get(octets + 42, 2);

	if (!is_sealed(octets, STATE_RECORD_SIZE, seed) || (flags & ~RECORD_FLAGS) != 0)
		return false;
	memset(r, 0, sizeof(*r));
	memcpy(r->key.hash, octets, STATE_HASH_SIZE);
	r->number = get(octets + 16, 8);
	r->durable = get(octets + 24, 8);
	r->expiry = get(octets + 32, 8);
	r->key.lane = (uint16_t)get(octets + 40, 2);
	r->key.inbound = (flags & RECORD_INBOUND) != 0;
	r->forever = (flags & RECORD_FOREVER) != 0;
	return true;
}

void
state_slot_put(const struct state_slot *s, uint8_t octets[STATE_SLOT_SIZE])
{
	memset(octets, 0, STATE_SLOT_SIZE);
	memcpy(octets, slot_magic, sizeof(slot_magic));
	put(octets + 8, STATE_VERSION, 4);
	memcpy(octets + 16, s->id, STATE_ID_SIZE);
	put(octets + 32, s->generation, 8);
	put(octets + 40, s->durable, 8);
	put(octets + 48, s->count, 8);
	seal(octets, STATE_SLOT_SIZE, UINT32_MAX);
}

bool
state_slot_get(const uint8_t octets[STATE_SLOT_SIZE], struct state_slot *s)
{
	if (memcmp(octets, slot_magic, sizeof(slot_magic)) != 0 ||
	    get(octets + 8, 4) != STATE_VERSION || !is_sealed(octets, STATE_SLOT_SIZE, UINT32_MAX))
		return false;
	memcpy(s->id, octets + 16, STATE_ID_SIZE);
	s->generation = get(octets + 32, 8);
	s->durable = get(octets + 40, 8);
	s->count = get(octets + 48, 8);
	return true;
}
