#include "pipe/handoff.h"

#include <errno.h>
#include <stdio.h>

#include <rte_malloc.h>
#include <rte_ring.h>

#include "pipe/pipe.h"
#include "sa/sa.h"

static struct rte_ring *
ring_between(const struct worker *from, const struct worker *to)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "handoff_%u_%u", from->index, to->index);
	return rte_ring_create(name, HANDOFF_RING_SIZE, to->socket,
			       RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
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
			struct handoff *h = workers[from]->handoff;

			h->peer[to] = workers[to]->handoff;
			if (from == to)
				continue;
			h->to[to] = ring_between(workers[from], workers[to]);
			if (h->to[to] == NULL)
				return err_set(err, -ENOMEM,
					       "no memory for the ring from worker %u to %u", from,
					       to);
		}
	}
	return 0;
}

static void
ring_empty(struct rte_ring *ring)
{
	void *m;

	while (rte_ring_sc_dequeue(ring, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void
handoff_fini(struct worker *const *workers, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct handoff *h = workers[i]->handoff;

		for (uint16_t to = 0; h != NULL && to < n; to++)
			if (h->to[to] != NULL)
				ring_empty(h->to[to]);
		rte_free(h);
		workers[i]->handoff = NULL;
	}
}

uint32_t
handoff_held(struct worker *const *workers, uint16_t n)
{
	uint32_t held = 0;

	for (uint16_t i = 0; i < n; i++)
		for (uint16_t to = 0; workers[i]->handoff != NULL && to < n; to++)
			if (workers[i]->handoff->to[to] != NULL)
				held += rte_ring_count(workers[i]->handoff->to[to]);
	return held;
}

static uint16_t
hand_over(struct worker *w, struct rte_mbuf **pkts, uint16_t n, enum stage_id resume)
{
	struct handoff *h = w->handoff;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		uint8_t owner = p->hot->owner;

		if (owner == w->index) {
			pkts[kept++] = m;
			continue;
		}
		p->resume = resume;
		p->hot = NULL;
		if (unlikely(rte_ring_sp_enqueue(h->to[owner], m) != 0)) {
			drop(w, m, DROP_HANDOFF_FULL);
			continue;
		}
		cell_add(&h->given, 1);
		/* After the enqueue: who sees the octet finds the packet. */
		__atomic_store_n(&h->peer[owner]->pending[w->index], 1, __ATOMIC_RELEASE);
	}
	return kept;
}

uint16_t
handoff_out(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return hand_over(w, pkts, n, STAGE_LIFE_COUNT_OUT);
}

uint16_t
handoff_in(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return hand_over(w, pkts, n, STAGE_REPLAY_CHECK);
}

/* Behind the wait: the SA again, or the end of its packet. */
static void
resume(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	p->hot = sa_again(w->view->sas, p->sa, p->generation);
	if (unlikely(p->hot == NULL)) {
		p->sa = SA_NONE;
		drop(w, m, p->resume == STAGE_REPLAY_CHECK ? DROP_NO_SA : DROP_NO_OUTBOUND_SA);
		return;
	}
	/* Routes may have changed, and the hop it was given be another's. */
	if (p->resume == STAGE_LIFE_COUNT_OUT)
		p->next_hop = __atomic_load_n(&p->hot->next_hop, __ATOMIC_RELAXED);
	/* The owner changed meanwhile: round again. */
	if (unlikely(p->hot->owner != w->index))
		p->resume = p->resume == STAGE_REPLAY_CHECK ? STAGE_HANDOFF_IN : STAGE_HANDOFF_OUT;
	pipe_push(w, p->resume, m);
}

uint16_t
handoff_rx(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct handoff *h = w->handoff;

	for (uint16_t from = 0; from < w->n_workers; from++) {
		uint16_t n;

		if (likely(__atomic_load_n(&h->pending[from], __ATOMIC_ACQUIRE) == 0))
			continue;
		/* Cleared first: what comes after the dequeue sets it again. */
		__atomic_store_n(&h->pending[from], 0, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		n = rte_ring_sc_dequeue_burst(h->peer[from]->to[w->index], (void **)pkts, max,
					      NULL);
		if (n == max)
			__atomic_store_n(&h->pending[from], 1, __ATOMIC_RELAXED);
		cell_add(&h->taken, n);
		for (uint16_t i = 0; i < n; i++)
			resume(w, pkts[i]);
		/* Now: those of all workers together are more than may wait before a stage. */
		pipe_run(w, STAGE_PORT_TX, pkts, 0);
	}
	return 0;
}
