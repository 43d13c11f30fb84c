/* The end of streams that send. */
#include "aggfrag/cc.h"
#include "iptfs/out.h"

void
out_pace(struct worker *w, struct aggfrag_out *s, bool on)
{
	struct iptfs_worker *iw = w->iptfs;

	if (likely(s->pacing == on))
		return;
	s->pacing = on;
	iw->n_paced += on ? 1 : -1;
	w->pace_burst = iw->n_paced > 0 ? OUT_BURST_PACED : 0;
}

/* By spd_match, since policies may have changed: ahead of all that comes from now on. */
void
out_give_back(struct worker *w, struct aggfrag_out *s, uint16_t max)
{
	uint16_t room = PENDING_MAX - w->pending[STAGE_SPD_MATCH].n, n = RTE_MIN(max, room);
	struct rte_mbuf *m;

	while (n-- > 0 && (m = aggfrag_pop(s)) != NULL) {
		struct pkt *p = pkt_of(m);

		p->sa = SA_NONE;
		p->seq = 0;
		p->hot = NULL;
		pipe_push(w, STAGE_SPD_MATCH, m);
	}
}

/* Calls fn for the streams of an outbound SA that are this worker's. */
static void
for_own(struct worker *w, const struct sa *sa, void (*fn)(struct worker *w, struct aggfrag_out *s))
{
	/* A worker of tests has none. */
	if (w->iptfs == NULL)
		return;
	for (uint16_t lane = 0; lane < sa->lanes; lane++)
		if (sa_lane_owner(sa, lane, w->n_workers) == w->index &&
		    out_stream(sa, lane)->sa == sa_session(sa)->id)
			fn(w, out_stream(sa, lane));
}

static void
begin(struct worker *w, struct aggfrag_out *s)
{
	if (aggfrag_is_paced(s) && !s->closing && !wheel_is_set(&s->timer))
		out_wake(w, s, 0);
}

void
iptfs_out_begin(struct worker *w, void *arg)
{
	for_own(w, arg, begin);
}

void
iptfs_out_retune(struct worker *w, struct aggfrag_out *s, const struct aggfrag_params *p,
		 uint32_t sa, uint32_t generation)
{
	s->params = p;
	s->sa = sa;
	s->generation = generation;
	if (s->cc != NULL)
		aggfrag_cc_retune(s->cc, p);
	if (!aggfrag_is_paced(s))
		out_pace(w, s, false);
	/* The next turn finds out when the one behind it is. */
	if (aggfrag_is_paced(s) || s->first != NULL)
		out_wake(w, s, 0);
	else
		wheel_cancel(&w->iptfs->out, &s->timer);
}

static void
close_stream(struct worker *w, struct aggfrag_out *s)
{
	s->closing = true;
	out_pace(w, s, false);
	if (s->first != NULL)
		out_wake(w, s, 0);
	else
		wheel_cancel(&w->iptfs->out, &s->timer);
}

void
iptfs_out_close(struct worker *w, void *arg)
{
	for_own(w, arg, close_stream);
}

static void
end_stream(struct worker *w, struct aggfrag_out *s, enum drop_reason why)
{
	uint64_t before = s->packets;

	out_pace(w, s, false);
	wheel_cancel(&w->iptfs->out, &s->timer);
	aggfrag_drop_all(s, w, why);
	out_note_held(w, s, before);
}

static void
forget_stream(struct worker *w, struct aggfrag_out *s)
{
	end_stream(w, s, DROP_NO_OUTBOUND_SA);
}

void
iptfs_out_forget(struct worker *w, void *arg)
{
	for_own(w, arg, forget_stream);
}

void
iptfs_ending(struct worker *w)
{
	w->iptfs->ending = true;
}

/* Each stream with packets is in the wheel. */
void
iptfs_out_drop(struct worker *w, enum drop_reason why)
{
	struct wheel_timer *timer;

	while ((timer = wheel_take(&w->iptfs->out, UINT64_MAX)) != NULL)
		end_stream(w, (struct aggfrag_out *)timer, why);
}
