#include "base/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

void
clock_init(struct clock *c, enum clock_kind kind)
{
	memset(c, 0, sizeof(*c));
	c->kind = kind;
	if (kind != CLOCK_REAL)
		return;
	c->factor = (uint64_t)(((unsigned __int128)NS_PER_SECOND << 32) / rte_get_tsc_hz());
	c->start = rte_rdtsc();
}

/* The first stamp of all, whoever saw it, is time 0. */
static uint64_t
stamp_origin(struct clock *c, uint64_t stamp_ns)
{
	uint64_t first = __atomic_load_n(&c->first, __ATOMIC_RELAXED);

	if (first == 0 && __atomic_compare_exchange_n(&c->first, &first, stamp_ns + 1, false,
						      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return stamp_ns;
	return first - 1;
}

/* Replaying captures is laboratory work: several ports may share the clock by an atomic maximum. */
void
clock_advance(struct clock *c, uint64_t stamp_ns)
{
	uint64_t origin, now, old;

	assert(c->kind == CLOCK_STAMPS);
	origin = stamp_origin(c, stamp_ns);
	if (stamp_ns <= origin)
		return;
	now = stamp_ns - origin;
	old = __atomic_load_n(&c->now, __ATOMIC_RELAXED);
	while (old < now && !__atomic_compare_exchange_n(&c->now, &old, now, false,
							 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void
clock_set(struct clock *c, uint64_t ns)
{
	assert(c->kind == CLOCK_MANUAL);
	__atomic_store_n(&c->now, ns, __ATOMIC_RELAXED);
}
