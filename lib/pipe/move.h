/* An SA that changes its owner while packets of it are everywhere: nothing is lost, numbers and
 * window have one writer at each moment, and a flow keeps its order.
 *
 * Control begins, and looks now and then how far it is (ctl/move.h); one move at a time:
 *
 *	1. move_join, by mail of the old and the new owner: both know of it.
 *	2. sa->owner = the new one | SA_MOVING. From here on whoever reads it hands packets to the
 *	   new owner, who parks them.
 *	3. move_tell, by mail of every worker: how many it gave the old owner till now. That mail
 *	   runs between two bursts, behind the store of 2: it gives none more.
 *	4. The old owner goes on with what is in its rings; once it has taken all that was told,
 *	   ended the loop in which it took the last, got back what crypto devices had then, and all
 *	   that it sent through another worker's queue is sent, it says so (`left`): no more writes.
 *	5. The new owner sees that, takes what it parked, in order, then says so (`taken`).
 *	6. sa->owner = the new one. move_part, by mail of both.
 *
 * The new owner's parking place is as a ring to it: when it is nearly full, it reads no ports, and
 * takes no more packets of that way. 4 waits for none of that: the old owner empties its outbound
 * rings whatever happens, being no new owner of anything; and its inbound ones as long as outbound
 * rings have room, of which the new owner stops none while it is an inbound SA that moves. So a
 * move ends as long as all workers run, with every ring full.
 *
 * What the old owner sent lies in the device by then, or in its buffers where a device is full:
 *there a few packets of a flow may change places.
 */
#ifndef PIPE_MOVE_H
#define PIPE_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "pipe/handoff.h"
#include "sa/sa.h"
#include "worker/worker.h"

_Static_assert(WORKERS_MAX <= SA_MOVING, "sa->owner is a worker and that bit");

struct move {
	/* Control's, before the others know of it. */
	uint32_t sa, generation;
	uint8_t from, to;
	enum handoff_way way;
	/* Each by its worker. */
	struct {
		uint64_t given;
		bool told;
	} workers[WORKERS_MAX];
	/* The old owner's: what it waits for, and where. */
	enum {
		MOVE_COMES,   /* what the others gave it */
		MOVE_EMPTIES, /* what crypto devices have of it */
		MOVE_SENDS,   /* that others take what it sends through them */
		MOVE_SENT,    /* and send it: each begins another loop, and one more */
	} waits;
	uint32_t sent[PORTS_MAX];
	uint64_t rounds[WORKERS_MAX];
	bool left;  /* by the old owner */
	bool taken; /* by the new one */
};

/* Mails; arg: struct move *, which stays until both have run move_part. */
void move_join(struct worker *w, void *arg);
void move_tell(struct worker *w, void *arg);
void move_part(struct worker *w, void *arg);

/* Any thread. */
bool move_is_taken(const struct move *move);

/* For handoff.c alone. A packet of an SA that is on its way to this worker: true when it may go on,
 * else it was parked, or found no room (handoff_full).
 */
bool move_keeps(struct worker *w, struct rte_mbuf *m);
/* A packet of an SA that is on its way from one to another came out of a ring: whether it goes on
 * here, with the old owner. */
bool move_finishes(const struct worker *w, const struct rte_mbuf *m);
/* Once a loop: step 4 or 5. */
void move_step(struct worker *w, struct rte_mbuf **pkts, uint16_t max);

/* Whether the new owner has room for a burst. */
static inline bool
move_has_room(const struct handoff *h)
{
	return PARK_MAX - h->n_parked >= BURST_MAX;
}

/* Whether it may take a burst of that way. */
static inline bool
move_lets_take(const struct handoff *h, enum handoff_way way)
{
	return likely(h->move == NULL) || h->move->way != way || move_has_room(h);
}

#endif
