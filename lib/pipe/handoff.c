#include "pipe/handoff.h"

#include <errno.h>
#include <stdio.h>

#include <rte_malloc.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include "frag/reasm.h"
#include "hold/hold.h"
#include "pipe/move.h"
#include "pipe/pipe.h"
#include "sa/sa.h"
#include "seq/seq.h"
#include "wire/subspace.h"
#include "worker/mailbox.h"

/* What may still come for one ring once a burst was begun with. Out: the burst, and all that waited
 * for its SA. */
static const uint32_t room_wanted[HANDOFF_WAYS] = {
	[HANDOFF_WAY_OUT] = BURST_MAX + HOLD_MAX,
	[HANDOFF_WAY_IN] = BURST_MAX,
	[HANDOFF_WAY_FRAG] = BURST_MAX,
};

static const char *const way_names[HANDOFF_WAYS] = { "out", "in", "frag" };

#define STRAY_NS 1000000 /* between two that control hears of */

static const enum stage_id resumes_at[HANDOFF_WAYS] = {
	[HANDOFF_WAY_OUT] = STAGE_IPCOMP_ENCAP,
	[HANDOFF_WAY_IN] = STAGE_REPLAY_CHECK,
};

static int
ring_between(const struct worker *from, const struct worker *to, enum handoff_way way,
	     struct err *err)
{
	struct rte_ring *ring;
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "handoff_%s_%u_%u", way_names[way], from->index, to->index);
	ring = rte_ring_create(name, HANDOFF_RING_SIZE, to->socket,
			       RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	if (ring == NULL)
		return err_set(err, -ENOMEM, "no memory for the ring from worker %u to %u",
			       from->index, to->index);
	from->handoff->way[way].to[to->index] = ring;
	to->handoff->way[way].from[from->index] = ring;
	return 0;
}

int
handoff_init(struct worker *const *workers, uint16_t n, struct err *err)
{
	for (uint16_t i = 0; i < n; i++) {
		workers[i]->handoff = rte_zmalloc_socket("handoff", sizeof(struct handoff),
							 RTE_CACHE_LINE_SIZE, workers[i]->socket);
		if (workers[i]->handoff == NULL)
			return err_set(err, -ENOMEM, "no memory for the handoff of worker %u", i);
	}
	for (uint16_t from = 0; from < n; from++) {
		for (uint16_t to = 0; to < n; to++) {
			int rc = 0;

			workers[from]->handoff->peer[to] = workers[to]->handoff;
			for (int way = 0; way < HANDOFF_WAYS && from != to && rc == 0; way++)
				rc = ring_between(workers[from], workers[to], way, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static void
ring_free(struct rte_ring *ring)
{
	void *m;

	while (ring != NULL && rte_ring_sc_dequeue(ring, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void
handoff_fini(struct worker *const *workers, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct handoff *h = workers[i]->handoff;

		for (uint32_t k = 0; h != NULL && k < h->n_parked; k++)
			rte_pktmbuf_free(h->parked[k]);
		for (uint16_t to = 0; h != NULL && to < n; to++)
			for (int way = 0; way < HANDOFF_WAYS; way++)
				ring_free(h->way[way].to[to]);
	}
	for (uint16_t i = 0; i < n; i++) {
		rte_free(workers[i]->handoff);
		workers[i]->handoff = NULL;
	}
}

uint32_t
handoff_held(struct worker *const *workers, uint16_t n)
{
	uint32_t held = 0;

	for (uint16_t i = 0; i < n; i++) {
		const struct handoff *h = workers[i]->handoff;

		if (h == NULL)
			continue;
		held += __atomic_load_n(&h->n_parked, __ATOMIC_RELAXED);
		for (uint16_t to = 0; to < n; to++)
			for (int way = 0; way < HANDOFF_WAYS && to != i; way++)
				held += rte_ring_count(h->way[way].to[to]);
	}
	return held;
}

void
handoff_drop_parked(struct worker *w)
{
	struct handoff *h = w->handoff;

	for (uint32_t i = 0; i < h->n_parked; i++)
		drop(w, h->parked[i], DROP_STOPPED);
	__atomic_store_n(&h->n_parked, 0, __ATOMIC_RELAXED);
}

/* With subspaces. In: the owner of the window that the packet's id names; what names none is
 * dropped where it is.
 */
static __rte_noinline uint8_t
lane_owner(const struct worker *w, const struct rte_mbuf *m, struct pkt *p, enum handoff_way way)
{
	const struct sa *sa = p->hot;
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_off);

	if (way == HANDOFF_WAY_IN) {
		if (m->pkt_len < p->esp_off + (uint32_t)WIRE_SUBSPACE_HEADER)
			return (uint8_t)w->index;
		p->lane = wire_subspace_id(rte_be_to_cpu_64(wire_subspace_be(esp)));
		if (p->lane >= sa->lanes)
			return (uint8_t)w->index;
	}
	return (uint8_t)sa_lane_owner(sa, p->lane, w->n_workers);
}

/* The worker that is to have the packet, and SA_MOVING where the SA is on its way there. */
static inline uint8_t
owner_of(const struct worker *w, const struct rte_mbuf *m, struct pkt *p, enum handoff_way way)
{
	if (likely((p->hot->flags & SA_SUBSPACES) == 0))
		return __atomic_load_n(&p->hot->owner, __ATOMIC_RELAXED);
	return lane_owner(w, m, p, way);
}

static void
press(struct worker *w, struct handoff_line *line, uint8_t to)
{
	line->full |= UINT64_C(1) << to;
	worker_hold_back(w, PAUSED_HANDOFF);
}

static void
give(struct worker *w, enum handoff_way way, uint8_t to, struct rte_mbuf **pkts, uint16_t n)
{
	struct handoff *h = w->handoff;
	struct handoff_line *line = &h->way[way];
	unsigned int room;
	uint16_t given =
		(uint16_t)rte_ring_sp_enqueue_burst(line->to[to], (void *const *)pkts, n, &room);

	cell_add(&h->given, given);
	cell_add(&line->given[to], given);
	/* After the enqueue: who sees the octet finds the packets. */
	__atomic_store_n(&h->peer[to]->way[way].pending[w->index], 1, __ATOMIC_RELEASE);
	if (unlikely(room < room_wanted[way]))
		press(w, line, to);
	for (uint16_t i = given; i < n; i++)
		drop(w, pkts[i], DROP_HANDOFF_FULL);
}

/* The packets of a burst that others own. */
struct strays {
	uint64_t owners; /* mask */
	uint16_t n;
	uint8_t owner[BURST_MAX];
	struct rte_mbuf *pkts[BURST_MAX];
};

static void
strays_give(struct worker *w, enum handoff_way way, struct strays *s)
{
	struct rte_mbuf *group[BURST_MAX + 1];

	/* All for one, mostly. */
	if (likely((s->owners & (s->owners - 1)) == 0)) {
		give(w, way, s->owner[0], s->pkts, s->n);
		return;
	}
	for (uint64_t left = s->owners; left != 0; left &= left - 1) {
		uint8_t to = (uint8_t)__builtin_ctzll(left);
		uint16_t n = 0;

		for (uint16_t i = 0; i < s->n; i++) {
			group[n] = s->pkts[i];
			n += s->owner[i] == to;
		}
		give(w, way, to, group, n);
	}
}

/* One of many, now and then: control may bring its SA to where its packets arrive. */
static void
stray_tell(struct worker *w, const struct strays *s)
{
	const struct pkt *p = pkt_of(s->pkts[w->now / STRAY_NS % s->n]);
	struct worker_event e = { .stray = {
					  .kind = EVENT_STRAY,
					  .worker = (uint8_t)w->index,
					  .sa = p->sa,
					  .generation = p->generation,
				  } };

	w->handoff->stray_at = w->now + STRAY_NS;
	mailbox_raise(w, &e);
}

static inline uint16_t
hand_over(struct worker *w, struct rte_mbuf **pkts, uint16_t n, enum handoff_way way)
{
	struct strays s;
	uint16_t kept = 0;

	s.owners = 0;
	s.n = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		uint8_t owner = owner_of(w, m, p, way);

		if (unlikely((owner & SA_MOVING) != 0)) {
			owner &= (uint8_t)~SA_MOVING;
			if (owner == w->index && !move_keeps(w, m))
				continue;
		}
		if (owner == w->index) {
			pkts[kept++] = m;
			continue;
		}
		p->hot = NULL;
		s.owners |= UINT64_C(1) << owner;
		s.owner[s.n] = owner;
		s.pkts[s.n++] = m;
	}
	if (s.n == 0)
		return kept;
	if (way == HANDOFF_WAY_IN && unlikely(w->now >= w->handoff->stray_at))
		stray_tell(w, &s);
	strays_give(w, way, &s);
	return kept;
}

uint16_t
handoff_out(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return hand_over(w, pkts, n, HANDOFF_WAY_OUT);
}

uint16_t
handoff_in(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return hand_over(w, pkts, n, HANDOFF_WAY_IN);
}

/* Only where there is more than one worker: see frag_send(). */
uint16_t
handoff_frag(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct strays s = { .n = 0 };

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);
		uint8_t owner = (uint8_t)frag_owner_of(w, pkts[i]);

		if (owner == w->index) {
			pipe_push(w, p->resume, pkts[i]);
			continue;
		}
		p->hot = NULL;
		s.owners |= UINT64_C(1) << owner;
		s.owner[s.n] = owner;
		s.pkts[s.n++] = pkts[i];
	}
	if (s.n > 0)
		strays_give(w, HANDOFF_WAY_FRAG, &s);
	return 0;
}

/* Each to its stage, in their order there. */
static void
frags_resume(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	static const enum stage_id stages[] = { STAGE_REASM_OUTER, STAGE_REASM_INNER,
						STAGE_FRAG_MATCH, STAGE_FRAG_CHECK };
	struct rte_mbuf *groups[RTE_DIM(stages)][BURST_MAX];
	uint16_t n_of[RTE_DIM(stages)] = { 0 };

	for (uint16_t i = 0; i < n; i++) {
		unsigned int k = 0;

		while (k + 1 < RTE_DIM(stages) && pkt_of(pkts[i])->resume != stages[k])
			k++;
		groups[k][n_of[k]++] = pkts[i];
	}
	for (unsigned int k = 0; k < RTE_DIM(stages); k++)
		pipe_run(w, stages[k], groups[k], n_of[k]);
}

/* Looks the SAs up again. All of this another worker wrote last, so each round asks for the lines
 * that the next one reads, of every packet at once.
 */
static inline void
sas_find(const struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		rte_prefetch0(pkts[i]);
		rte_prefetch0(pkt_of(pkts[i]));
	}
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		p->hot = sa_again(w->view->sas, p->sa, p->generation);
		rte_prefetch0(p->hot);
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void *));
	}
}

/* The owner is another, or none at the moment: true where the packet goes on here all the same. */
static __rte_noinline bool
is_mine(struct worker *w, struct rte_mbuf *m, enum handoff_way way)
{
	uint8_t owner = owner_of(w, m, pkt_of(m), way);

	if (owner == (w->index | SA_MOVING))
		return move_keeps(w, m);
	if ((owner & SA_MOVING) != 0 && move_finishes(w, m))
		return true;
	/* The owner changed meanwhile: round again. */
	pipe_push(w, way == HANDOFF_WAY_IN ? STAGE_HANDOFF_IN : STAGE_HANDOFF_OUT, m);
	return false;
}

/* Whether the packet goes on here, behind the wait: its SA may be gone, or another's. */
static inline bool
goes_on(struct worker *w, struct rte_mbuf *m, enum handoff_way way, bool moved)
{
	struct pkt *p = pkt_of(m);

	if (unlikely(p->hot == NULL)) {
		p->sa = SA_NONE;
		drop(w, m, way == HANDOFF_WAY_IN ? DROP_NO_SA : DROP_NO_OUTBOUND_SA);
		return false;
	}
	if (way == HANDOFF_WAY_IN) {
		rte_prefetch0(p->hot->window);
	} else {
		rte_prefetch0(&p->hot->lane[p->lane]);
		/* Routes may have changed, and the hop it was given be another's. What is to be cut
		 * has none yet. */
		if (likely((p->marks & PKT_CUT) == 0))
			p->next_hop = __atomic_load_n(&p->hot->next_hop, __ATOMIC_RELAXED);
	}
	return likely(owner_of(w, m, p, way) == w->index) || moved || is_mine(w, m, way);
}

void
handoff_resume(struct worker *w, enum handoff_way way, struct rte_mbuf **pkts, uint16_t n,
	       bool moved)
{
	uint16_t kept = 0;

	if (way == HANDOFF_WAY_FRAG) {
		frags_resume(w, pkts, n);
		return;
	}
	sas_find(w, pkts, n);
	for (uint16_t i = 0; i < n; i++)
		if (goes_on(w, pkts[i], way, moved))
			pkts[kept++] = pkts[i];
	/* Now: those of all workers together are more than may wait before a stage. */
	pipe_run(w, resumes_at[way], pkts, kept);
}

static void
take(struct worker *w, enum handoff_way way, uint16_t from, struct rte_mbuf **pkts, uint16_t max)
{
	struct handoff *h = w->handoff;
	struct handoff_line *line = &h->way[way];
	uint16_t n;

	/* Cleared first: what comes after the dequeue sets it again. */
	__atomic_store_n(&line->pending[from], 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	n = (uint16_t)rte_ring_sc_dequeue_burst(line->from[from], (void **)pkts, max, NULL);
	if (n == max)
		__atomic_store_n(&line->pending[from], 1, __ATOMIC_RELAXED);
	cell_add(&h->taken, n);
	cell_add(&line->taken[from], n);
	handoff_resume(w, way, pkts, n, false);
}

bool
handoff_may_take(const struct worker *w, enum handoff_way way)
{
	const struct handoff_line *ways = w->handoff->way;

	if (likely((w->paused & (PAUSED_HANDOFF | PAUSED_SENDING | PAUSED_ENGINE)) == 0) ||
	    !worker_holds_back(w))
		return true;
	if ((w->paused & (PAUSED_SENDING | PAUSED_ENGINE)) != 0)
		return false;
	/* Each way waits for those before it. */
	return (way == HANDOFF_WAY_OUT || ways[HANDOFF_WAY_OUT].full == 0) &&
	       (way != HANDOFF_WAY_FRAG || ways[HANDOFF_WAY_IN].full == 0);
}

/* A burst of each worker that gave something. */
static void
take_all(struct worker *w, enum handoff_way way, struct rte_mbuf **pkts, uint16_t max)
{
	struct handoff_line *line = &w->handoff->way[way];

	for (uint16_t first = 0; first < w->n_workers; first += 8) {
		if (likely(__atomic_load_n(&line->pending8[first / 8], __ATOMIC_ACQUIRE) == 0))
			continue;
		for (uint16_t from = first; from < RTE_MIN(first + 8, w->n_workers); from++)
			if (__atomic_load_n(&line->pending[from], __ATOMIC_ACQUIRE) != 0 &&
			    handoff_may_take(w, way) && move_lets_take(w->handoff, way))
				take(w, way, from, pkts, max);
	}
}

/* Looks again at the rings that had little room. */
static void
room_look(struct worker *w)
{
	uint64_t full = 0;

	for (int way = 0; way < HANDOFF_WAYS; way++) {
		struct handoff_line *line = &w->handoff->way[way];

		for (uint64_t left = line->full; left != 0; left &= left - 1) {
			int to = __builtin_ctzll(left);

			if (rte_ring_free_count(line->to[to]) >= room_wanted[way])
				line->full &= ~(UINT64_C(1) << to);
		}
		full |= line->full;
	}
	if (full == 0 && move_has_room(w->handoff))
		worker_go_on(w, PAUSED_HANDOFF);
}

uint16_t
handoff_rx(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	cell_add(&w->handoff->rounds, 1);
	if (unlikely((w->paused & PAUSED_HANDOFF) != 0))
		room_look(w);
	if (unlikely(w->handoff->move != NULL))
		move_step(w, pkts, max);
	take_all(w, HANDOFF_WAY_OUT, pkts, max);
	take_all(w, HANDOFF_WAY_IN, pkts, max);
	take_all(w, HANDOFF_WAY_FRAG, pkts, max);
	return 0;
}
