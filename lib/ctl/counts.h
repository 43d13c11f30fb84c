/* What each worker counted since the last `clear`. */
#ifndef CTL_COUNTS_H
#define CTL_COUNTS_H

#include "ctl/gw.h"

struct worker_counts {
	uint64_t loops, busy_loops, rx, tx;
	uint64_t given, taken;					 /* by handoff */
	uint64_t given_to[WORKERS_MAX], taken_from[WORKERS_MAX]; /* the same, by the other worker */
	uint64_t flow_hits, flow_misses, bounced;
	uint64_t drops[DROP_MAX], consumed[CONSUMED_MAX], generated[GENERATED_MAX];
	uint64_t stage_bursts[STAGE_MAX], stage_packets[STAGE_MAX];
};

/* worker n_workers is control: what it counted for mirrors. */
void worker_counts_read(const struct gw *gw, uint16_t worker, struct worker_counts *c);

/* From now on counters are shown from here: of workers, ports and the totals. Those of SAs are
 * what lifetimes go by, and stay. No cell is written. -ENOMEM: nothing is cleared.
 */
int gw_clear(struct gw *gw, struct err *err);

#endif
