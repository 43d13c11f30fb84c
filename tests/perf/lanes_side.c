#include "lanes_side.h"

#include "esp/esp_stage.h"
#include "pipe/handoff.h"
#include "pipe/loop.h"

#define WINDOW_US     400
#define DRAIN_SECONDS 5
#define WARM_US	      60
#define RESET_LOOPS   4 /* between the times a window forgets: less than BUFFERS packets */

struct bench bench;

/* The counter of the outbound SA, one for all workers; the octets are counted by each alone. */
static uint16_t
number_shared(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct side *own = &bench.sides[w->index];

	for (uint16_t i = 0; i < n; i++) {
		pkt_of(pkts[i])->seq = __atomic_fetch_add(&bench.next, 1, __ATOMIC_RELAXED);
		cell_add(&own->octets, pkts[i]->pkt_len);
	}
	return n;
}

static uint16_t
number_shared_burst(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct side *own = &bench.sides[w->index];
	uint64_t first = __atomic_fetch_add(&bench.next, n, __ATOMIC_RELAXED);

	for (uint16_t i = 0; i < n; i++) {
		pkt_of(pkts[i])->seq = first + i;
		cell_add(&own->octets, pkts[i]->pkt_len);
	}
	return n;
}

static uint16_t
locked(stage_fn *stage, struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	rte_spinlock_lock(&bench.lock);
	n = stage(w, pkts, n);
	rte_spinlock_unlock(&bench.lock);
	return n;
}

static uint16_t
check_locked(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return locked(replay_check_stage, w, pkts, n);
}

static uint16_t
accept_locked(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return locked(replay_accept_stage, w, pkts, n);
}

static uint16_t
count_locked(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return locked(life_count_in, w, pkts, n);
}

const struct row rows[WAY_MAX] = {
	[WAY_ONE] = { "one", OF_ONE_SA, PAIR_FIRST, true, true, .handoff = false },
	[WAY_OTHER] = { "other", OF_TWO_SAS, PAIR_SECOND, true, true, .handoff = false },
	[WAY_APART] = { "apart", OF_TWO_SAS, PAIR_BOTH, true, true, .handoff = false },
	[WAY_HANDOFF] = { "handoff", OF_ONE_SA, PAIR_BOTH, true, true, .handoff = true },
	[WAY_FEED] = { "feed", OF_ONE_SA, PAIR_BOTH, true, true, .handoff = true, .fed = true },
	[WAY_ATOMIC] = { "atomic", OF_ONE_SA, PAIR_BOTH, true, .number = number_shared },
	[WAY_ATOMIC_BURST] = { "atomic-burst", OF_ONE_SA, PAIR_BOTH, true,
			       .number = number_shared_burst },
	[WAY_LOCKED] = { "locked", OF_ONE_SA, PAIR_BOTH, .in = true, .check = check_locked,
			 .accept = accept_locked, .count = count_locked },
	[WAY_LANE] = { "lane", OF_LANES, PAIR_FIRST, true, true, .handoff = true },
	[WAY_LANES] = { "lanes", OF_LANES, PAIR_BOTH, true, true, .handoff = true },
	[WAY_STRAYS] = { "strays", OF_STRAYS, PAIR_BOTH, .in = true, .handoff = true },
};

/* The window that a side writes in this way; NULL: none. */
static struct replay *
window_of(const struct row *row, unsigned int side)
{
	const struct rig_sa *sa = bench.rig.sa;

	if (row->traffic == OF_TWO_SAS)
		return sa[side].window;
	if (row->traffic == OF_LANES || row->traffic == OF_STRAYS)
		return sa[2].set->windows[side];
	return side == 0 || row->check != NULL ? sa[0].window : NULL;
}

/* The same packets again: all their numbers are new once more. By whoever may write the window. */
static void
windows_forget(const struct side *s, unsigned int side)
{
	const struct row *row = &rows[bench.way];
	struct replay *r = window_of(row, side);

	if (r == NULL)
		return;
	if (row->check != NULL)
		rte_spinlock_lock(&bench.lock);
	replay_init(r, r->window, r->esn, r->top >> LANE_ID_SHIFT << LANE_ID_SHIFT);
	if (row->check != NULL)
		rte_spinlock_unlock(&bench.lock);
}

static void
tally_take(const struct side *s, struct tally *t)
{
	t->came = s->w->rx_packets;
	t->sent = s->w->tx_packets;
	t->busy = s->busy;
}

/* Loops are busy or not as a whole: what changed since this source was last asked, did so in one.
 */
static uint64_t
loop_account(struct side *s)
{
	uint64_t now = rte_rdtsc();
	uint64_t seen = s->w->rx_packets + s->w->tx_packets + s->w->handoff->taken;

	if (seen != s->seen)
		s->busy += now - s->last;
	s->seen = seen;
	s->last = now;
	return now;
}

static void
phase_next(struct side *s, uint64_t now)
{
	if (s->phase == PHASE_WARM && now >= s->begin) {
		s->phase = PHASE_COUNT;
		tally_take(s, &s->before);
		if (s->stages != NULL)
			stage_perf_skip(s->stages, s->w);
		s->began = stretch_now();
	} else if (s->phase == PHASE_COUNT && now >= s->end) {
		s->phase = PHASE_DRAIN;
		tally_take(s, &s->tally);
		if (s->stages != NULL)
			stage_perf_take(s->stages, s->w);
		s->tally.time = stretch_since(s->began);
		s->tally.came -= s->before.came;
		s->tally.sent -= s->before.sent;
		s->tally.busy -= s->before.busy;
	}
}

/* All buffers are home again: what this side sent is through. */
static void
drain(struct side *s)
{
	bool all = true;

	if (unlikely(s->last > s->end + rte_get_tsc_hz() * DRAIN_SECONDS)) {
		for (unsigned int i = 0; i < SIDES; i++)
			drops_judge(bench.sides[i].w);
		rig_must(false, rows[bench.way].name);
	}
	if (s->give - s->take == BUFFERS)
		__atomic_store_n(&s->drained, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < SIDES; i++)
		all &= !way_has(bench.way, i) ||
		       __atomic_load_n(&bench.sides[i].drained, __ATOMIC_ACQUIRE);
	if (all)
		__atomic_store_n(&s->w->stop, true, __ATOMIC_RELAXED);
}

static void
buffers_fetch(struct side *s)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint32_t n = rte_ring_sc_dequeue_burst(s->home, (void **)pkts, BURST_MAX, NULL);

	for (uint32_t i = 0; i < n; i++)
		s->queue[s->give++ % BUFFERS] = pkts[i];
}

/* The source of both lines: frames as they came from the wire, as long as there are buffers. */
uint16_t
memory_rx(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct side *s = arg;
	const struct row *row = &rows[bench.way];
	uint8_t port = bench.decap ? RIG_BLACK : RIG_RED;

	phase_next(s, loop_account(s));
	buffers_fetch(s);
	if (bench.decap && s->loops++ % RESET_LOOPS == 0)
		windows_forget(s, w->index);
	if (unlikely(s->phase == PHASE_DRAIN)) {
		drain(s);
		return 0;
	}
	if (worker_holds_back(w) || (row->fed && w->index == 0) || s->give - s->take < max)
		return 0;
	for (uint16_t i = 0; i < max; i++) {
		pkts[i] = s->queue[s->take++ % BUFFERS];
		frame_arrive(pkts[i], &s->frames[row->traffic][s->at++ % BUFFERS], port);
	}
	cell_add(&w->rx_packets, max);
	return max;
}

/* Each buffer goes home; those of the other side by ring, at once. */
uint16_t
memory_tx(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct side *s = &bench.sides[w->index], *other = &bench.sides[1 - w->index];
	uint16_t foreign = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (likely(pkts[i]->pool == s->pool))
			s->queue[s->give++ % BUFFERS] = pkts[i];
		else
			pkts[foreign++] = pkts[i];
	}
	if (foreign > 0 && rte_ring_sp_enqueue_bulk(other->home, (void **)pkts, foreign, NULL) == 0)
		rig_must(false, "more buffers come home than left");
	cell_add(&w->tx_packets, n);
	return 0;
}

static void
side_run(unsigned int side, void *arg)
{
	struct side *s = &bench.sides[side];
	uint64_t us = rte_get_tsc_hz() / 1000000;

	s->phase = PHASE_WARM;
	s->loops = 0;
	if (bench.decap)
		windows_forget(s, side);
	s->drained = s->w->stop = false;
	pair_meet(rows[bench.way].sides);
	if (side == 0 || !way_has(bench.way, 0))
		bench.start = rte_rdtsc();
	pair_meet(rows[bench.way].sides);
	s->begin = bench.start + WARM_US * us;
	s->end = s->begin + WINDOW_US * us;
	s->last = rte_rdtsc();
	worker_main(s->w);
}

void
way_run(enum way way)
{
	bench.way = way;
	for (unsigned int i = 0; i < SIDES; i++)
		bench.sides[i].w->pipe = &bench.pipes[way];
	pair_run(side_run, NULL, rows[way].sides);
}
