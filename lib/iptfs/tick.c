#include "aggfrag/cc.h"
#include "base/clock.h"
#include "esp/lane.h"
#include "iptfs/iptfs_stage.h"
#include "iptfs/out.h"
#include "worker/pkt_fill.h"

#define ETHERNET 38	/* octets of a frame beside its packet: header, FCS, preamble, gap */
#define ECT_0	 2	/* of RFC 3168 */
#define SOON_NS	 1	/* in the next round */
#define RETRY_NS 100000 /* for numbers, or buffers, that there are none of */

/* A stream that is due. */
struct turn {
	struct worker *w;
	struct aggfrag_out *s;
	const struct sa *sa;
	struct aggfrag_room room;
	struct pkt like; /* its payloads */
	uint64_t now;
	struct rte_mbuf **pkts;
	uint16_t n, max;
};

/* Section 3.1: ECN of the outer header is the tunnel's own, for its congestion control. */
static uint8_t
outer_tos(const struct aggfrag_out *s)
{
	return s->params->congestion_control ? ECT_0 : 0;
}

/* False: its SA is gone. */
static bool
turn_begin(struct turn *t)
{
	struct sa *sa = sa_again(t->w->view->sas, t->s->sa, t->s->generation);

	if (sa == NULL)
		return false;
	t->sa = sa;
	t->room = out_room(sa);
	pkt_reset(&t->like, 0);
	t->like.flags = PKT_OWN;
	t->like.marks = PKT_AGGFRAG;
	t->like.tos = outer_tos(t->s);
	t->like.sa = t->s->sa;
	t->like.generation = t->s->generation;
	t->like.lane = t->s->lane;
	t->like.spi_be = sa->spi_be;
	t->like.next_hop = __atomic_load_n(&sa->next_hop, __ATOMIC_RELAXED);
	t->like.hot = sa;
	return true;
}

/* Whether there is a number for one more payload, behind those that this round has made and that
 * have none yet: nothing is begun that could not be sent.
 */
static enum drop_reason
is_allowed(struct turn *t)
{
	struct aggfrag_out *s = t->s;

	if (s->round != t->w->iptfs->rounds) {
		s->round = t->w->iptfs->rounds;
		s->taken = 0;
		s->taken_octets = 0;
	}
	if (unlikely(t->room.size < aggfrag_header_size(s->params) + WIRE_AGGFRAG_RUNT))
		return DROP_TOO_BIG;
	return lane_allows(t->w, &t->like, s->taken, s->taken_octets, t->room.size);
}

/* Makes a payload. False: none. */
static bool
make(struct turn *t, bool pad)
{
	struct rte_mbuf *m = aggfrag_payload(t->s, t->w, &t->room, pad, t->now);

	if (m == NULL)
		return false;
	*pkt_of(m) = t->like;
	t->s->taken++;
	t->s->taken_octets += m->pkt_len;
	t->pkts[t->n++] = m;
	return true;
}

/* As long as there may be no numbers it waits; where there will be none, all that waits ends. */
static void
refuse(struct turn *t, enum drop_reason why)
{
	if (why != DROP_SEQ_WAIT)
		aggfrag_drop_all(t->s, t->w, why);
}

static uint32_t
wire_octets(const struct turn *t)
{
	const struct sa *sa = t->sa;
	uint32_t text = RTE_ALIGN_CEIL(t->room.size + (uint32_t)sizeof(struct rte_esp_tail),
				       (uint32_t)sa->suite.align);

	return tunnel_out_size(&sa->out) + sa->esp_size + text + sa->suite.icv_len +
	       (t->s->params->rate_l2 ? ETHERNET : 0);
}

static bool
is_simulated(const struct worker *w)
{
	return w->clock->kind == CLOCK_STAMPS;
}

/* What the path allows (RFC 9347 section 2.4.2). False: the circuit breaker is open. */
static bool
control(struct turn *t, uint32_t octets)
{
	struct aggfrag_out *s = t->s;
	uint64_t interval;

	aggfrag_cc_tune(s->cc, s->params, s->configured, octets, t->now);
	aggfrag_cc_look(s->cc, s->params, aggfrag_link_get(&s->link), t->now);
	interval = aggfrag_cc_interval(s->cc);
	if (unlikely(interval == UINT64_MAX)) {
		aggfrag_drop_all(s, t->w, DROP_AGGFRAG_BREAKER);
		return false;
	}
	if (s->params->congestion_control && (interval != s->interval || s->next == 0))
		aggfrag_interval_change(s, interval, t->now);
	return true;
}

static void
turn_paced(struct turn *t)
{
	struct aggfrag_out *s = t->s;
	bool controlled = aggfrag_cc_is_on(s->params) && s->cc != NULL;
	uint32_t octets = wire_octets(t);
	uint32_t catchup = is_simulated(t->w) ? AGGFRAG_CATCHUP_STAMPS : AGGFRAG_CATCHUP;

	out_pace(t->w, s, true);
	aggfrag_interval_set(s, octets, aggfrag_rate(s->params));
	if (unlikely(controlled) && !control(t, octets)) {
		out_wake(t->w, s, t->now + AGGFRAG_CC_LOOK);
		return;
	}
	while (t->n < t->max && aggfrag_tick(s, t->now, catchup)) {
		enum drop_reason why = is_allowed(t);

		/* A packet that cannot be made is missed: the rate is not made up for. */
		if (likely(why == DROP_NONE))
			make(t, true);
		else
			refuse(t, why);
	}
	out_wake(t->w, s, controlled ? RTE_MIN(s->next, t->now + AGGFRAG_CC_LOOK) : s->next);
}

/* What sends has little room: what waits here is lost to nobody. */
static bool
must_wait(const struct worker *w)
{
	return worker_holds_back(w) && !w->iptfs->ending;
}

/* Makes one as soon as it can. False: not in this turn any more. */
static bool
make_now(struct turn *t, bool pad)
{
	enum drop_reason why;

	if (t->n == t->max || must_wait(t->w)) {
		out_wake(t->w, t->s, t->now + SOON_NS);
		return false;
	}
	why = is_allowed(t);
	if (unlikely(why != DROP_NONE))
		refuse(t, why);
	else if (make(t, pad))
		return true;
	if (unlikely(t->w->iptfs->ending))
		aggfrag_drop_all(t->s, t->w, DROP_STOPPED);
	else if (t->s->first != NULL)
		out_wake(t->w, t->s, t->now + RETRY_NS);
	return false;
}

static void
turn_unpaced(struct turn *t)
{
	struct aggfrag_out *s = t->s;

	/* It may have had a rate. */
	out_pace(t->w, s, false);
	while (s->first != NULL) {
		uint64_t due = aggfrag_due(s, &t->room);

		if (due > t->now) {
			out_wake(t->w, s, due);
			return;
		}
		if (!make_now(t, false))
			return;
	}
}

/* The rest of a stream that is closed. What was pushed is run before more is. */
static void
give_back(struct turn *t)
{
	out_give_back(t->w, t->s, t->max);
	if (t->s->first != NULL)
		out_wake(t->w, t->s, t->now);
	t->max = t->n;
}

/* Section 2.2.3: a packet does not go on by another SA. What was not begun does. */
static void
turn_closing(struct turn *t)
{
	while (t->s->begun)
		if (!make_now(t, aggfrag_is_paced(t->s)))
			return;
	give_back(t);
}

/* What its SA's end has overtaken. */
static void
turn_gone(struct turn *t)
{
	if (t->s->begun)
		drop(t->w, aggfrag_pop(t->s), DROP_AGGFRAG_ENDED);
	give_back(t);
}

/* A rate is not overdone. Where time is that of captures it has ended with them. */
static void
turn_ending(struct turn *t)
{
	bool paced = aggfrag_is_paced(t->s);

	if (paced && !is_simulated(t->w))
		aggfrag_drop_all(t->s, t->w, DROP_STOPPED);
	while (t->s->first != NULL && make_now(t, paced))
		;
}

static void
turn(struct turn *t)
{
	uint64_t before = t->s->packets;

	if (unlikely(!turn_begin(t)))
		turn_gone(t);
	else if (unlikely(t->s->closing))
		turn_closing(t);
	else if (unlikely(t->w->iptfs->ending))
		turn_ending(t);
	else if (aggfrag_is_paced(t->s))
		turn_paced(t);
	else
		turn_unpaced(t);
	out_note_held(t->w, t->s, before);
}

uint16_t
iptfs_tick(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct iptfs_worker *iw = w->iptfs;
	struct turn t = { .w = w, .pkts = pkts, .max = max };
	struct wheel_timer *timer;
	uint64_t due;

	if (likely(wheel_is_idle(&iw->out)))
		return 0;
	t.now = clock_now(w->clock);
	due = unlikely(iw->ending) ? UINT64_MAX : t.now;
	if (!wheel_may_be_due(&iw->out, due))
		return 0;
	iw->rounds++;
	while (t.n < t.max && (timer = wheel_take(&iw->out, due)) != NULL) {
		t.s = (struct aggfrag_out *)timer;
		turn(&t);
	}
	return t.n;
}
