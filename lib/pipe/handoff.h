/* From worker to worker: an SA is numbered, checked and counted by one worker, its owner.
 *
 * One single-producer single-consumer ring per ordered pair of workers. The consumer has an octet
 * per producer that says "something came": only those rings are looked at. What waits in a ring
 * names its SA by index and generation, and is looked up again behind it.
 */
#ifndef PIPE_HANDOFF_H
#define PIPE_HANDOFF_H

#include <stdint.h>

#include "base/err.h"
#include "worker/stage.h"
#include "worker/worker.h"

#define HANDOFF_RING_SIZE 512

struct handoff {
	struct rte_ring *to[WORKERS_MAX]; /* this worker's packets for others */
	struct handoff *peer[WORKERS_MAX];
	uint64_t given, taken;
	/* Written by the others, cleared by the owner. */
	uint8_t pending[WORKERS_MAX] __rte_cache_aligned;
};

/* Makes the rings between n workers, who have nothing yet. -ENOMEM. */
int handoff_init(struct worker *const *workers, uint16_t n, struct err *err);
void handoff_fini(struct worker *const *workers, uint16_t n);

/* Packets that wait in the rings to and from nobody but these workers; any thread. */
uint32_t handoff_held(struct worker *const *workers, uint16_t n);

stage_fn handoff_out; /* before life_count */
stage_fn handoff_in;  /* before replay_check */
source_fn handoff_rx;

#endif
