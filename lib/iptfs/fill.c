#include "iptfs/iptfs_stage.h"

#include "aggfrag/cc.h"
#include "iptfs/out.h"

/* RFC 6040: of those that can be told. */
static void
ce_mark(struct aggfrag_out *s, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint8_t ecn = p->tos & RTE_IPV4_HDR_ECN_MASK;

	if (ecn == 0 || ecn == RTE_IPV4_HDR_ECN_CE)
		return;
	p->tos |= RTE_IPV4_HDR_ECN_CE;
	tunnel_tos_set(rte_pktmbuf_mtod(m, uint8_t *), (p->flags & PKT_V6) != 0, p->tos);
	cell_add(&s->counts[AGGFRAG_TX_CE_MARKS], 1);
}

/* Small packets may be many before they are many octets: others need buffers, too. */
static bool
pool_is_short(const struct worker *w)
{
	return w->iptfs->held_out * 4 * w->n_workers >= w->pool->size;
}

static enum drop_reason
refuse(const struct worker *w, struct aggfrag_out *s, const struct sa *sa, const struct rte_mbuf *m)
{
	if (unlikely(s->params->breaker_percent != 0 && s->cc != NULL &&
		     aggfrag_breaker_is_open(&s->cc->breaker)))
		return DROP_AGGFRAG_BREAKER;
	if (unlikely(aggfrag_is_full(s, m->pkt_len) || pool_is_short(w))) {
		cell_add(&s->counts[AGGFRAG_TX_QUEUE_DROPS], 1);
		return DROP_AGGFRAG_QUEUE;
	}
	if (unlikely(s->params->max_wait != 0)) {
		const struct aggfrag_room room = out_room(sa);

		if (!aggfrag_is_too_late(s, &room))
			return DROP_NONE;
		cell_add(&s->counts[AGGFRAG_TX_AGED_DROPS], 1);
		return DROP_AGGFRAG_AGED;
	}
	return DROP_NONE;
}

static void
wake(struct worker *w, struct aggfrag_out *s, const struct sa *sa)
{
	const struct aggfrag_room room = out_room(sa);
	uint64_t due = w->now;

	if (likely(!s->closing)) {
		if (aggfrag_is_paced(s) && wheel_is_set(&s->timer))
			return;
		if (!aggfrag_is_paced(s))
			due = RTE_MAX(due, aggfrag_due(s, &room));
	}
	if (!wheel_is_set(&s->timer) || due < s->timer.at)
		out_wake(w, s, due);
}

static uint64_t
octets_of(struct rte_mbuf *const *pkts, uint16_t n)
{
	uint64_t octets = 0;

	for (uint16_t i = 0; i < n; i++)
		octets += pkts[i]->pkt_len;
	return octets;
}

static __rte_noinline void
take_each(struct worker *w, const struct sa *sa, struct aggfrag_out *s, struct rte_mbuf **pkts,
	  uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		enum drop_reason why = refuse(w, s, sa, pkts[i]);

		if (unlikely(why != DROP_NONE)) {
			drop(w, pkts[i], why);
			continue;
		}
		aggfrag_push(s, pkts[i], w->now);
		if (unlikely(aggfrag_is_nearly_full(s, 0)))
			ce_mark(s, pkts[i]);
	}
}

/* Packets of one stream. */
static void
take(struct worker *w, const struct sa *sa, struct aggfrag_out *s, struct rte_mbuf **pkts,
     uint16_t n)
{
	uint64_t before = s->packets, octets = octets_of(pkts, n);

	/* Where none has to be looked at by itself. */
	if (likely(s->params->max_wait == 0 && s->params->breaker_percent == 0 &&
		   !aggfrag_is_nearly_full(s, octets) && !pool_is_short(w)))
		aggfrag_push_all(s, pkts, n, octets, w->now);
	else
		take_each(w, sa, s, pkts, n);
	if (s->packets == before)
		return;
	out_note_held(w, s, before);
	wake(w, s, sa);
}

/* How many packets from the first on are of its lane. */
static uint16_t
run_of(struct rte_mbuf **pkts, uint16_t n)
{
	const struct pkt *first = pkt_of(pkts[0]);
	uint16_t run = 1;

	while (run < n && pkt_of(pkts[run])->hot == first->hot &&
	       pkt_of(pkts[run])->lane == first->lane)
		run++;
	return run;
}

uint16_t
iptfs_fill(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0, run;

	for (uint16_t i = 0; i < n; i += run) {
		const struct pkt *p = pkt_of(pkts[i]);

		run = 1;
		if ((p->hot->flags & SA_IPTFS) == 0) {
			pkts[kept++] = pkts[i];
			continue;
		}
		run = run_of(&pkts[i], n - i);
		take(w, p->hot, out_stream(p->hot, p->lane), &pkts[i], run);
	}
	return kept;
}
