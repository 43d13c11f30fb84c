/* The two sides of lanes_bench: a worker each, its traffic from memory, and what is done with it.
 */
#ifndef TESTS_PERF_LANES_SIDE_H
#define TESTS_PERF_LANES_SIDE_H

#include <rte_ring.h>
#include <rte_spinlock.h>

#include "pair.h"
#include "traffic.h"

#define SIDES	2
#define BUFFERS 256 /* of a side: those of both lie in the second cache of a core */

enum traffic {
	OF_ONE_SA,  /* SA 0, which is worker 0's */
	OF_TWO_SAS, /* side 1 by SA 1, which is worker 1's */
	OF_LANES,   /* by SA 2, which has subspaces: each side of its own worker's lane */
	OF_STRAYS,  /* in: each side of the other worker's lane */
	TRAFFIC_MAX,
};

enum way {
	WAY_ONE,
	WAY_OTHER,
	WAY_APART,
	WAY_HANDOFF,
	WAY_FEED,
	WAY_ATOMIC,
	WAY_ATOMIC_BURST,
	WAY_LOCKED,
	WAY_LANE,
	WAY_LANES,
	WAY_STRAYS,
	WAY_MAX,
};

struct row {
	const char *name;
	uint8_t traffic;
	uint8_t sides; /* mask */
	bool out, in, handoff;
	bool fed;	  /* side 0 has no traffic of its own */
	stage_fn *number; /* in the place of life_count */
	stage_fn *check, *accept, *count;
};
extern const struct row rows[WAY_MAX];

enum phase {
	PHASE_WARM,
	PHASE_COUNT,
	PHASE_DRAIN,
};

/* What a side did in a window. */
struct tally {
	struct stretch time;
	uint64_t came, sent; /* packets from memory; to memory, of either side */
	uint64_t busy;	     /* cycles of loops that had anything to do */
};

struct side {
	struct worker *w;
	struct rte_mempool *pool;
	struct rte_ring *home; /* buffers that the other side sent */
	struct rte_mbuf *queue[BUFFERS];
	uint32_t take, give; /* of queue; free running */
	struct frame *frames[TRAFFIC_MAX];
	uint32_t at; /* in frames */
	enum phase phase;
	uint64_t begin, end; /* of the counted part, TSC */
	uint64_t last, seen, busy;
	uint32_t loops;
	uint64_t octets; /* of packets that a counter of both numbered */
	struct stretch began;
	struct tally tally, before;
	bool drained;
	struct stage_perf *stages; /* NULL: not asked for */
} __rte_cache_aligned;

struct bench {
	struct path_rig rig;
	struct side sides[SIDES];
	struct pipe pipes[WAY_MAX];
	enum way way;
	bool decap;
	uint16_t size;
	uint64_t start; /* TSC, of the window at hand */
	rte_spinlock_t lock __rte_cache_aligned;
	uint64_t next __rte_cache_aligned; /* the counter of both: number, and how many packets */
};

extern struct bench bench; /* what stages and sources, which have only a worker, belong to */

source_fn memory_rx; /* its argument is the side */
stage_fn memory_tx;

/* One window of one way; the tallies are then those of its sides. */
void way_run(enum way way);

static inline bool
way_has(enum way way, unsigned int side)
{
	return (rows[way].sides >> side & 1) != 0;
}

#endif
