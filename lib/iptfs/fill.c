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
refuse(struct worker *w, struct aggfrag_out *s, const struct sa *sa, const struct rte_mbuf *m)
{
	const struct aggfrag_room room = out_room(sa);

	if (unlikely(s->params->breaker_percent != 0 && s->cc != NULL &&
		     aggfrag_breaker_is_open(&s->cc->breaker)))
		return DROP_AGGFRAG_BREAKER;
	if (unlikely(aggfrag_is_full(s, m->pkt_len) || pool_is_short(w))) {
		cell_add(&s->counts[AGGFRAG_TX_QUEUE_DROPS], 1);
		return DROP_AGGFRAG_QUEUE;
	}
	if (unlikely(aggfrag_is_too_late(s, &room))) {
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

static void
take(struct worker *w, const struct sa *sa, struct rte_mbuf *m)
{
	struct aggfrag_out *s = out_stream(sa, pkt_of(m)->lane);
	enum drop_reason why = refuse(w, s, sa, m);

	if (unlikely(why != DROP_NONE)) {
		drop(w, m, why);
		return;
	}
	aggfrag_push(s, m, w->now);
	cell_add(&w->iptfs->held_out, 1);
	if (unlikely(aggfrag_is_nearly_full(s)))
		ce_mark(s, m);
	wake(w, s, sa);
}

uint16_t
iptfs_fill(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		const struct sa *sa = pkt_of(pkts[i])->hot;

		if ((sa->flags & SA_IPTFS) != 0)
			take(w, sa, pkts[i]);
		else
			pkts[kept++] = pkts[i];
	}
	return kept;
}
