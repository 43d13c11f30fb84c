#include "aggfrag/fill.h"

#include <rte_prefetch.h>

#include "worker/worker.h"

/* Of a full queue: above, senders are told to slow down. */
static uint64_t
nearly(uint64_t octets)
{
	return octets - octets / 20;
}

bool
aggfrag_is_full(const struct aggfrag_out *s, uint32_t octets)
{
	return s->octets + octets > s->params->max_queue;
}

bool
aggfrag_is_nearly_full(const struct aggfrag_out *s, uint64_t octets)
{
	return s->octets + octets > nearly(s->params->max_queue);
}

bool
aggfrag_is_too_late(const struct aggfrag_out *s, const struct aggfrag_room *room)
{
	return s->params->max_wait != 0 && aggfrag_is_paced(s) &&
	       s->octets / RTE_MAX(room->size, 1) * s->interval > s->params->max_wait;
}

void
aggfrag_push(struct aggfrag_out *s, struct rte_mbuf *m, uint64_t now)
{
	struct pkt *p = pkt_of(m);

	p->seq = now;
	p->behind = NULL;
	if (s->first == NULL)
		s->first = m;
	else
		pkt_of(s->last)->behind = m;
	s->last = m;
	cell_add(&s->packets, 1);
	cell_add(&s->octets, m->pkt_len);
}

void
aggfrag_push_all(struct aggfrag_out *s, struct rte_mbuf *const *pkts, uint16_t n, uint64_t octets,
		 uint64_t now)
{
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		p->seq = now;
		p->behind = i + 1 < n ? pkts[i + 1] : NULL;
		/* Behind its header nobody has looked yet. */
		rte_prefetch0(rte_pktmbuf_mtod_offset(pkts[i], void *, RTE_CACHE_LINE_SIZE - 1));
	}
	if (s->first == NULL)
		s->first = pkts[0];
	else
		pkt_of(s->last)->behind = pkts[0];
	s->last = pkts[n - 1];
	cell_add(&s->packets, n);
	cell_add(&s->octets, octets);
}

struct rte_mbuf *
aggfrag_pop(struct aggfrag_out *s)
{
	struct rte_mbuf *m = s->first;

	if (m == NULL)
		return NULL;
	s->first = pkt_of(m)->behind;
	cell_add(&s->packets, -UINT64_C(1));
	cell_add(&s->octets, -(uint64_t)m->pkt_len);
	s->begun = false;
	return m;
}

void
aggfrag_drop_all(struct aggfrag_out *s, struct worker *w, enum drop_reason why)
{
	struct rte_mbuf *m;

	while ((m = aggfrag_pop(s)) != NULL)
		drop(w, m, why);
}

uint64_t
aggfrag_due(const struct aggfrag_out *s, const struct aggfrag_room *room)
{
	const struct aggfrag_params *p = s->params;
	uint64_t delay = p->init_delay;

	if (s->octets + aggfrag_header_size(p) >= room->size)
		return 0;
	/* It shall not end for having waited for others. */
	if (p->max_wait != 0)
		delay = RTE_MIN(delay, p->max_wait);
	return pkt_of(s->first)->seq + delay;
}
