/* What stands in the state file and in its witness, octet by octet. Private to lib/state, but for
 * its tests.
 *
 * Little endian throughout. The state file is a header of STATE_HEADER_SIZE octets, then records of
 * STATE_RECORD_SIZE octets, only ever appended. A file that is written anew has the next
 *generation.
 *
 *	header: "espgwnum" | version 4 | size of the header 4 | id 16 | secret 32 | generation 8 |
 *		when it was written 8 (s since 1970) | 0 ... | CRC-32C 4
 *	record: hash 16 | number 8 | durable 8 | expiry 8 (s since 1970; 0: none) | lane 2 | flags 2
 *| CRC-32C 4
 *
 * A record's CRC goes on from the header's, so that one of another file, or of another generation,
 *is no good record here. `durable` is the offset up to which everything was on the disk before the
 * record was written.
 *
 * The secret is no key: nothing is encrypted with it. It is what the hashes of keys are made under,
 * so that they are the same in every run and tell nothing to who has not read the file.
 *
 * The witness has two slots of STATE_SLOT_SIZE octets, STATE_SLOT_STRIDE apart, of which the newest
 * good one counts:
 *
 *	slot: "espgwwit" | version 4 | 0 4 | id 16 | generation 8 | durable 8 | count 8 | 0 4 |
 *CRC-32C 4
 */
#ifndef STATE_FORMAT_H
#define STATE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/state.h"

#define STATE_VERSION	  1
#define STATE_HEADER_SIZE 128
#define STATE_RECORD_SIZE STATE_RECORD_COST
#define STATE_SLOT_SIZE	  64
#define STATE_SLOT_STRIDE 4096
#define STATE_ID_SIZE	  16

struct state_header {
	uint32_t version;
	uint8_t id[STATE_ID_SIZE]; /* drawn when the file was made; the witness has the same */
	uint8_t secret[STATE_SECRET_SIZE];
	uint64_t generation; /* 1 … */
	uint64_t written;
	uint32_t seed; /* its CRC, from which those of records go on */
};

struct state_record {
	struct state_key key;
	uint64_t number, durable, expiry;
	bool forever;
};

struct state_slot {
	uint8_t id[STATE_ID_SIZE];
	uint64_t generation; /* 0: the state file is about to be made for the first time */
	uint64_t durable;    /* its octets that are on the disk for certain */
	uint64_t count;	     /* the greater is the newer */
};

enum state_header_is {
	STATE_HEADER_GOOD,
	STATE_HEADER_SHORT,   /* not that many octets */
	STATE_HEADER_FOREIGN, /* no state file */
	STATE_HEADER_VERSION, /* of another version, which is in header.version */
	STATE_HEADER_BAD,     /* of ours, damaged */
};

/* Sets h->seed. */
void state_header_put(struct state_header *h, uint8_t octets[STATE_HEADER_SIZE]);
enum state_header_is state_header_get(const uint8_t *octets, size_t len, struct state_header *h);

void state_record_put(const struct state_record *r, uint32_t seed,
		      uint8_t octets[STATE_RECORD_SIZE]);
/* False: no good record. */
bool state_record_get(const uint8_t octets[STATE_RECORD_SIZE], uint32_t seed,
		      struct state_record *r);

void state_slot_put(const struct state_slot *s, uint8_t octets[STATE_SLOT_SIZE]);
bool state_slot_get(const uint8_t octets[STATE_SLOT_SIZE], struct state_slot *s);

#endif
