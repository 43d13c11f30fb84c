#include "stats/sparse.h"

#include <stddef.h>

#include "stats/cell.h"

#define PROBE_MAX 32

static uint64_t
sparse_key(uint32_t sa, uint32_t generation, enum drop_reason why)
{
	/* The top bit keeps a key from being 0; 23 bits of generation tell an index's users apart.
	 */
	return 1ull << 63 | (uint64_t)(generation & 0x7fffff) << 40 | (uint64_t)why << 32 | sa;
}

static uint32_t
slot_of(uint64_t key, uint32_t probe)
{
	return ((key * 0x9e3779b97f4a7c15ull >> 40) + probe) & (SPARSE_SLOTS - 1);
}

void
sparse_add(struct sparse *s, uint32_t sa, uint32_t generation, enum drop_reason why)
{
	uint64_t key = sparse_key(sa, generation, why);

	for (uint32_t probe = 0; probe < PROBE_MAX; probe++) {
		struct sparse_cell *c = &s->cells[slot_of(key, probe)];

		if (c->key == 0)
			__atomic_store_n(&c->key, key, __ATOMIC_RELEASE);
		if (c->key == key) {
			cell_add(&c->count, 1);
			return;
		}
	}
	cell_add(&s->overflow, 1);
}

uint64_t
sparse_get(const struct sparse *s, uint32_t sa, uint32_t generation, enum drop_reason why)
{
	uint64_t key = sparse_key(sa, generation, why);

	for (uint32_t probe = 0; probe < PROBE_MAX; probe++) {
		const struct sparse_cell *c = &s->cells[slot_of(key, probe)];

		uint64_t held = __atomic_load_n(&c->key, __ATOMIC_ACQUIRE);

		if (held == key)
			return cell_get(&c->count);
		/* None is ever taken out: behind a free one it cannot be. */
		if (held == 0)
			break;
	}
	return 0;
}

bool
sparse_next(const struct sparse *s, uint32_t *at, uint32_t *sa)
{
	while (*at < SPARSE_SLOTS) {
		uint64_t key = __atomic_load_n(&s->cells[(*at)++].key, __ATOMIC_ACQUIRE);

		if (key != 0) {
			*sa = (uint32_t)key;
			return true;
		}
	}
	return false;
}
