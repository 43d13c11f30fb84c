/* Time: nanoseconds since the clock was made.
 *
 * A worker reads its clock once per loop into w->now; nothing else in the datapath asks for the
 * time. CLOCK_REAL    the TSC, scaled by one multiplication; good for 584 years. CLOCK_STAMPS  the
 * packets' own time, when all ports replay captures: it begins with the first packet's stamp and
 * moves only with clock_advance, so a run gives the same result at any speed. CLOCK_MANUAL  moves
 * only with clock_set: tests.
 *
 * clock_now may be called by any thread, clock_advance by every worker that reads a capture.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_cycles.h>

#define NS_PER_SECOND UINT64_C(1000000000)

enum clock_kind {
	CLOCK_REAL,
	CLOCK_STAMPS,
	CLOCK_MANUAL,
};

struct clock {
	enum clock_kind kind;
	uint64_t start;	 /* CLOCK_REAL: the TSC at time 0 */
	uint64_t factor; /* nanoseconds per TSC cycle, 32 bits behind the binary point */
	/* What follows is written while others read. */
	uint64_t first __rte_cache_aligned; /* CLOCK_STAMPS: the stamp at time 0, plus one; 0 = none
					       came yet */
	uint64_t now;			    /* all but CLOCK_REAL */
};

/* CLOCK_REAL wants a running EAL, which knows the TSC's frequency. */
void clock_init(struct clock *c, enum clock_kind kind);

/* CLOCK_STAMPS: a packet was seen that is stamped so (ns, any origin). Time never goes back. */
void clock_advance(struct clock *c, uint64_t stamp_ns);

/* CLOCK_MANUAL only. */
void clock_set(struct clock *c, uint64_t ns);

static inline uint64_t
clock_scale(uint64_t cycles, uint64_t factor)
{
	return (uint64_t)(((unsigned __int128)cycles * factor) >> 32);
}

static inline uint64_t
clock_now(const struct clock *c)
{
	if (likely(c->kind == CLOCK_REAL))
		return clock_scale(rte_rdtsc() - c->start, c->factor);
	return __atomic_load_n(&c->now, __ATOMIC_RELAXED);
}

#endif
