/* From worker to worker: an SA is numbered, checked and counted by one worker, its owner; and a
 * datagram in fragments is put together by one.
 *
 * Three single-producer single-consumer rings per ordered pair of workers, one for each way. The
 * consumer has an octet per producer and way that says "something came": only those rings are
 * looked at. What waits in a ring names its SA by index and generation, and is looked up again
 * behind it.
 *
 * Nothing is lost for want of room that a port could have kept. A worker that finds the ring to a
 * peer nearly full reads no port until there is room again (w->paused), and takes from the inbound
 * rings no more, since what it decrypts may have to go out by another's SA; the outbound rings it
 * empties always. So nobody waits in a circle: what comes out of an outbound ring goes to a port,
 * without another ring of these; so outbound rings run empty as long as their consumers run; so the
 * inbound ones do; so those of fragments do, which become packets of either way and are taken only
 * while both have room; so ports are read again. Port rings, to the worker that has a TX queue,
 * stand before all of them: their consumer sends or drops, and waits for nobody.
 *
 * A crypto device is waited for like a ring (PAUSED_ENGINE, pipe/engines.h): it empties by itself.
 *
 * Who waits longer than WORKER_PATIENCE_NS reads on, and what finds no room is dropped: one worker
 * that stands still shall not stop the others. Where time is that of captures, nobody's patience
 * ends.
 */
#ifndef PIPE_HANDOFF_H
#define PIPE_HANDOFF_H

#include <stdint.h>

#include "base/err.h"
#include "worker/stage.h"
#include "worker/worker.h"

#define HANDOFF_RING_SIZE 512
#define PARK_MAX	  512

struct move;
struct rte_ring;

enum handoff_way {
	HANDOFF_WAY_OUT,  /* goes on at life_count */
	HANDOFF_WAY_IN,	  /* goes on at replay_check */
	HANDOFF_WAY_FRAG, /* goes on where pkt.resume says */
	HANDOFF_WAYS,
};

/* One way of a worker's: its packets for the others, and what the others have for it. */
struct handoff_line {
	uint64_t full; /* mask of the workers whose ring has little room */
	struct rte_ring *to[WORKERS_MAX], *from[WORKERS_MAX]; /* NULL: itself */
	/* By worker. */
	uint64_t given[WORKERS_MAX], taken[WORKERS_MAX];
	/* Written by the others, cleared by the owner; eight are looked at as one. */
	union {
		uint8_t pending[WORKERS_MAX];
		uint64_t pending8[WORKERS_MAX / 8];
	} __rte_cache_aligned;
} __rte_cache_aligned;

struct handoff {
	struct handoff *peer[WORKERS_MAX];
	uint64_t given, taken; /* sums */
	uint64_t stray_at;     /* ns: control hears of no packet in a wrong place before */
	/* The SA that changes its owner, where this worker is the old or the new one: move.h. */
	struct move *move;
	uint64_t steps;	   /* of moves, made here */
	uint64_t rounds;   /* looks at the rings: one a loop */
	uint32_t n_parked; /* read by control */
	struct rte_mbuf *parked[PARK_MAX];
	struct handoff_line way[HANDOFF_WAYS];
};

/* Makes the rings between n workers, who have nothing yet. -ENOMEM. */
int handoff_init(struct worker *const *workers, uint16_t n, struct err *err);
void handoff_fini(struct worker *const *workers, uint16_t n);

/* Packets that wait in the rings between these workers, or for an SA to come; any thread. */
uint32_t handoff_held(struct worker *const *workers, uint16_t n);

/* The worker has ended: what waits here for an SA is dropped as `stopped`. */
void handoff_drop_parked(struct worker *w);

/* For move.c. Whether a burst may be taken out of a ring: there is room for all that it may turn
 * into. */
bool handoff_may_take(const struct worker *w, enum handoff_way way);
/* Goes on with packets that waited. moved: what waited for its SA to come here. */
void handoff_resume(struct worker *w, enum handoff_way way, struct rte_mbuf **pkts, uint16_t n,
		    bool moved);

stage_fn handoff_out;  /* before life_count */
stage_fn handoff_in;   /* before replay_check */
stage_fn handoff_frag; /* fragments, of whatever way: to pkt.resume, by the worker they are of */
source_fn handoff_rx;

#endif
