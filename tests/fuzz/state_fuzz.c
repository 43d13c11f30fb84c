/* Any octets as a state file, and as its witness: it is refused with a sentence, or what it is read
 * as is there again the next time, whole.
 *
 * The first octet says how: MEND, checksums are made right first, so that what lies behind them is
 * reached; OWN, the input begins with a witness's slot. Else the witness is one that fits the
 * header.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/state_disk.h"
#include "state/format.h"
#include "state/state.h"

#define MEND 1
#define OWN  2

#define FILE_MAX	65536
#define GENERATION_MASK ((UINT64_C(1) << 48) - 1)

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static uint8_t file[FILE_MAX], witness[STATE_SLOT_SIZE];

static void
must(bool held)
{
	if (!held)
		abort();
}

static uint64_t
wall_s(void)
{
	return 1000000;
}

/* As it would be if a gateway had written these values. */
static void
mend(size_t len)
{
	struct state_header h = { .version = STATE_VERSION };

	if (len < STATE_HEADER_SIZE)
		return;
	memcpy(h.id, file + 16, sizeof(h.id));
	memcpy(h.secret, file + 32, sizeof(h.secret));
	memcpy(&h.generation, file + 64, sizeof(h.generation));
	/* More rewritings than any gateway makes: the last of all cannot be followed by another. */
	h.generation &= GENERATION_MASK;
	memcpy(file + 64, &h.generation, sizeof(h.generation));
	state_header_put(&h, file);
	for (size_t at = STATE_HEADER_SIZE; at + STATE_RECORD_SIZE <= len;
	     at += STATE_RECORD_SIZE) {
		struct state_record r = { .number = 0 };

		/* One record in eight stays as it is. */
		if (file[at] % 8 == 7)
			continue;
		memcpy(r.key.hash, file + at, sizeof(r.key.hash));
		memcpy(&r.number, file + at + 16, sizeof(r.number));
		memcpy(&r.durable, file + at + 24, sizeof(r.durable));
		memcpy(&r.expiry, file + at + 32, sizeof(r.expiry));
		memcpy(&r.key.lane, file + at + 40, sizeof(r.key.lane));
		r.key.inbound = file[at + 42] & 1;
		r.forever = file[at + 42] & 2;
		state_record_put(&r, h.seed, file + at);
	}
}

static void
witness_fit(void)
{
	struct state_slot slot = { .count = 1 };

	memcpy(slot.id, file + 16, sizeof(slot.id));
	memcpy(&slot.generation, file + 64, sizeof(slot.generation));
	if (slot.generation == 0)
		slot.generation = 1;
	state_slot_put(&slot, witness);
}

static uint64_t
records_of(const struct state_options *o)
{
	struct state_file *f = NULL;
	struct state_counts c;
	struct err err = { "" };
	int rc = state_file_open(o, &f, &err);

	must(rc <= 0 && (rc == 0) == (f != NULL));
	if (rc < 0) {
		must(strncmp(err.text, "state_file state", 16) == 0);
		return UINT64_MAX;
	}
	state_file_counts(f, &c);
	state_file_abandon(f);
	return c.records;
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct disk disk;
	struct state_options o = { .path = "state", .by_hand = true, .wall_s = wall_s };
	uint8_t how = size > 0 ? octets[0] : 0;
	uint64_t n;

	if (size < 1 || size - 1 > FILE_MAX)
		return 0;
	octets++;
	size--;
	memset(file, 0, STATE_HEADER_SIZE);
	memset(witness, 0, sizeof(witness));
	if ((how & OWN) != 0 && size >= sizeof(witness)) {
		memcpy(witness, octets, sizeof(witness));
		octets += sizeof(witness);
		size -= sizeof(witness);
	}
	memcpy(file, octets, size);
	if ((how & MEND) != 0)
		mend(size);
	if ((how & OWN) == 0)
		witness_fit();
	disk_init(&disk, 1);
	o.io = &disk.io;
	disk_put(&disk, "state", file, size);
	disk_put(&disk, "state.witness", witness, sizeof(witness));
	n = records_of(&o);
	disk_crash(&disk);
	if (n != UINT64_MAX)
		must(records_of(&o) == n);
	disk_fini(&disk);
	return 0;
}
