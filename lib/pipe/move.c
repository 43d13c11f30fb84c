#include "pipe/move.h"

#include <string.h>

#include "pipe/engines.h"
#include "port/port_stage.h"

void
move_join(struct worker *w, void *arg)
{
	w->handoff->move = arg;
}

void
move_tell(struct worker *w, void *arg)
{
	struct move *move = arg;

	move->workers[w->index].given = w->handoff->way[move->way].given[move->from];
	__atomic_store_n(&move->workers[w->index].told, true, __ATOMIC_RELEASE);
}

void
move_part(struct worker *w, void *arg)
{
	w->handoff->move = NULL;
}

bool
move_is_taken(const struct move *move)
{
	return __atomic_load_n(&move->taken, __ATOMIC_ACQUIRE);
}

/* Control reads it for the level of what is held. */
static void
parked_set(struct handoff *h, uint32_t n)
{
	__atomic_store_n(&h->n_parked, n, __ATOMIC_RELAXED);
}

bool
move_keeps(struct worker *w, struct rte_mbuf *m)
{
	struct handoff *h = w->handoff;

	if (h->move != NULL && h->move->taken)
		return true;
	if (unlikely(h->n_parked == PARK_MAX)) {
		drop(w, m, DROP_HANDOFF_FULL);
		return false;
	}
	pkt_of(m)->hot = NULL;
	h->parked[h->n_parked] = m;
	parked_set(h, h->n_parked + 1);
	if (!move_has_room(h))
		worker_hold_back(w, PAUSED_HANDOFF);
	return false;
}

bool
move_finishes(const struct worker *w, const struct rte_mbuf *m)
{
	const struct move *move = w->handoff->move;

	return move != NULL && move->from == w->index && !move->left && move->sa == pkt_of(m)->sa;
}

static bool
all_came(const struct worker *w, const struct move *move)
{
	const struct handoff_line *line = &w->handoff->way[move->way];

	for (uint16_t i = 0; i < w->n_workers; i++) {
		if (!__atomic_load_n(&move->workers[i].told, __ATOMIC_ACQUIRE))
			return false;
		if (i != w->index && line->taken[i] < move->workers[i].given)
			return false;
	}
	return true;
}

static void
parked_take(struct worker *w, const struct move *move, struct rte_mbuf **pkts, uint16_t max)
{
	struct handoff *h = w->handoff;

	while (h->n_parked > 0 && handoff_may_take(w, move->way)) {
		uint16_t n = (uint16_t)RTE_MIN(h->n_parked, (uint32_t)max);

		memcpy(pkts, h->parked, n * sizeof(pkts[0]));
		memmove(h->parked, h->parked + n, (h->n_parked - n) * sizeof(h->parked[0]));
		parked_set(h, h->n_parked - n);
		handoff_resume(w, move->way, pkts, n, true);
	}
}

static void
rounds_mark(const struct worker *w, struct move *move)
{
	for (uint16_t i = 0; i < w->n_workers; i++)
		move->rounds[i] = cell_get(&w->handoff->peer[i]->rounds);
}

static bool
rounds_passed(const struct worker *w, const struct move *move)
{
	for (uint16_t i = 0; i < w->n_workers; i++)
		if (i != w->index && cell_get(&w->handoff->peer[i]->rounds) < move->rounds[i] + 2)
			return false;
	return true;
}

/* The old owner, at the beginning of a loop: what the one before took is through, its buffers given
 * to the devices, or to who sends for it. A step at most.
 */
static void
leave(struct worker *w, struct move *move)
{
	if (move->waits == MOVE_COMES && all_came(w, move)) {
		engines_turn(w);
		move->waits = MOVE_EMPTIES;
	}
	if (move->waits == MOVE_EMPTIES && engines_turned(w) && port_sent_mark(w, move->sent))
		move->waits = MOVE_SENDS;
	else if (move->waits == MOVE_SENDS && port_sent_passed(w, move->sent)) {
		rounds_mark(w, move);
		move->waits = MOVE_SENT;
	} else if (move->waits == MOVE_SENT && rounds_passed(w, move)) {
		__atomic_store_n(&move->left, true, __ATOMIC_RELEASE);
	} else {
		return;
	}
	cell_add(&w->handoff->steps, 1);
}

void
move_step(struct worker *w, struct rte_mbuf **pkts, uint16_t max)
{
	struct handoff *h = w->handoff;
	struct move *move = h->move;

	if (move->from == w->index && !move->left)
		leave(w, move);
	if (move->to != w->index || move->taken || !__atomic_load_n(&move->left, __ATOMIC_ACQUIRE))
		return;
	parked_take(w, move, pkts, max);
	if (h->n_parked > 0)
		return;
	__atomic_store_n(&move->taken, true, __ATOMIC_RELEASE);
	cell_add(&h->steps, 1);
}
