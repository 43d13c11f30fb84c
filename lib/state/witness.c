/* The witness: how far the state file got, told after each commit.
 *
 * Of its two slots one is on the disk for certain at any time: what is not synced goes to the
 * other.
 */
#include <errno.h>

#include "state/inner.h"

int
witness_load(struct state_file *f)
{
	int good = 0;

	/* What a killed process left may be in memory alone: on the disk it must be before the
	 * other slot is written. */
	int rc = sync_count(f, f->witness_fd);

	if (rc < 0)
		return rc;
	f->slot = (struct state_slot) { .generation = 0 };
	for (uint8_t i = 0; i < 2; i++) {
		uint8_t octets[STATE_SLOT_SIZE];
		struct state_slot slot;
		ssize_t n = state_io_read(f->io, f->witness_fd, octets, sizeof(octets),
					  i * (uint64_t)STATE_SLOT_STRIDE);

		if (n < 0)
			return (int)n;
		if (n < STATE_SLOT_SIZE || !state_slot_get(octets, &slot))
			continue;
		if (good++ == 0 || slot.count > f->slot.count) {
			f->slot = slot;
			f->slot_at = i;
		}
	}
	f->synced_at = f->slot_at;
	return good;
}

static int
slot_write(struct state_file *f, uint64_t generation, uint64_t durable)
{
	uint8_t octets[STATE_SLOT_SIZE], at = f->synced_at ^ 1;
	struct state_slot slot = f->slot;
	int rc;

	slot.generation = generation;
	slot.durable = durable;
	slot.count++;
	state_slot_put(&slot, octets);
	rc = state_io_write(f->io, f->witness_fd, octets, sizeof(octets),
			    at * (uint64_t)STATE_SLOT_STRIDE);
	if (rc < 0)
		return rc;
	f->slot = slot;
	f->slot_at = at;
	return 0;
}

int
witness_sync(struct state_file *f, uint64_t generation, uint64_t durable)
{
	int rc = slot_write(f, generation, durable);

	if (rc == 0)
		rc = sync_count(f, f->witness_fd);
	if (rc == 0)
		f->synced_at = f->slot_at;
	return rc;
}

int
witness_note(struct state_file *f)
{
	return slot_write(f, f->header.generation, f->end);
}
