/* What came by an SA with IP-TFS on its way into its stream, and the end of such an SA. */
#include "iptfs/iptfs.h"
#include "iptfs/iptfs_stage.h"

#include "aggfrag/link.h"
#include "aggfrag/split.h"
#include "iptfs/in.h"
#include "sa/sa.h"
#include "worker/worker.h"

static void
take(struct worker *w, struct rte_mbuf *m, const struct sa *sa)
{
	struct pkt *p = pkt_of(m);
	struct aggfrag_link *link;
	struct aggfrag_in *in;

	if ((sa->flags & SA_SUBSPACES) == 0)
		p->lane = 0;
	p->l4_off = 0;
	in = &sa_more(sa)->split[p->lane];
	aggfrag_in_count(in, AGGFRAG_RX_PKTS, 1);
	aggfrag_in_count(in, AGGFRAG_RX_OCTETS, m->pkt_len);
	if (unlikely((p->outer_tos & RTE_IPV4_HDR_ECN_MASK) == RTE_IPV4_HDR_ECN_CE))
		aggfrag_in_count(in, AGGFRAG_RX_CE_PKTS, 1);
	link = aggfrag_link_get(&in->link);
	if (unlikely(link != NULL))
		feedback_heard(w, link, m);
	if (unlikely(!aggfrag_in_put(w->iptfs->in, in, m))) {
		aggfrag_in_count(in, AGGFRAG_RX_LATE_PKTS, 1);
		drop(w, m, DROP_AGGFRAG_LATE);
	}
}

uint16_t
iptfs_split(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		const struct sa *sa = pkt_of(pkts[i])->hot;

		if ((sa->flags & SA_IPTFS) == 0)
			pkts[kept++] = pkts[i];
		else
			take(w, pkts[i], sa);
	}
	if (kept < n)
		held_in_note(w);
	return kept;
}

/* Those that this worker owns. */
static void
streams_each(struct worker *w, const struct sa *sa,
	     void (*each)(struct aggfrag_receiver *r, struct aggfrag_in *in))
{
	/* A worker of tests has none. */
	if (w->iptfs == NULL)
		return;
	for (uint16_t lane = 0; lane < sa->lanes; lane++)
		if (sa_lane_owner(sa, lane, w->n_workers) == w->index)
			each(w->iptfs->in, &sa_more(sa)->split[lane]);
	held_in_note(w);
}

static void
in_close(struct aggfrag_receiver *r, struct aggfrag_in *in)
{
	in->ended = true;
	aggfrag_in_flush(r, in);
}

void
iptfs_in_close(struct worker *w, void *arg)
{
	streams_each(w, arg, in_close);
}

static void
in_forget(struct aggfrag_receiver *r, struct aggfrag_in *in)
{
	if (r->open.m != NULL && r->open.in == in) {
		drop(r->w, r->open.m, DROP_AGGFRAG_ENDED);
		r->open.m = NULL;
	}
	aggfrag_in_drop(r, in, DROP_AGGFRAG_ENDED);
}

void
iptfs_in_forget(struct worker *w, void *arg)
{
	streams_each(w, arg, in_forget);
}

void
iptfs_in_drop(struct worker *w, enum drop_reason why)
{
	struct aggfrag_receiver *r = w->iptfs->in;
	struct aggfrag_in *in;
	struct rte_mbuf *m;

	while (r->from < r->to)
		drop(w, r->given[r->from++], why);
	if (r->open.m != NULL)
		drop(w, r->open.m, why);
	r->open.m = NULL;
	while ((m = aggfrag_ready_take(r)) != NULL)
		drop(w, m, why);
	while ((in = TAILQ_FIRST(&r->by_age)) != NULL)
		aggfrag_in_drop(r, in, why);
	held_in_note(w);
}
