#include "ctl/rates.h"

#include <inttypes.h>

#include "aggfrag/cc.h"
#include "aggfrag/fill.h"
#include "ctl/log.h"
#include "ctl/sas.h"
#include "ctl/streams.h"

#define ETHERNET_OCTETS 38 /* of a frame and the gap behind it, besides its packet */
#define MEASURE_NS	NS_PER_SECOND
#define MADE_PERCENT	95 /* of what was asked for is near enough: clocks and sizes are rounded */

static void
tell(struct gw *gw, uint32_t index, enum rates_what what)
{
	const struct sa_more *more = sa_more(sa_at(&gw->sas, index));
	struct rates_event event = {
		.sa = index,
		.what = what,
		.bits_per_second = aggfrag_rate(&more->iptfs),
	};
	struct aggfrag_cc_state state;

	if (gw->hooks.iptfs == NULL)
		return;
	aggfrag_cc_state(more->fill->cc, &more->iptfs, &state);
	event.packets_per_second = (uint32_t)RTE_MIN(state.x_pps, (double)UINT32_MAX);
	gw->hooks.iptfs(gw->hooks.ctx, &event);
}

/* An SA that has none any more has none that is open. */
static void
breaker_look(struct gw *gw, uint32_t index)
{
	const struct sa_more *more = sa_more(sa_at(&gw->sas, index));
	struct aggfrag_breaker *b = &more->fill->cc->breaker;
	uint64_t trips = cell_get(&b->trips);
	bool open = aggfrag_breaker_is_open(b);
	char name[SA_NAME_MAX];

	if (likely(trips == b->told && b->told_open == open))
		return;
	sa_name(sa_cold(&gw->sas, index), name);
	/* It may have been closed and have opened again since the last look. */
	if (b->told_open && (!open || trips != b->told)) {
		GW_LOG(NOTICE, "SA %s: the circuit breaker was closed: it sends again\n", name);
		b->told_open = false;
		tell(gw, index, RATES_GOES_ON);
	}
	if (trips == b->told)
		return;
	b->told = trips;
	b->told_open = true;
	GW_LOG(WARNING,
	       "SA %s: the circuit breaker stopped it: the path lost %u %% or more for %" PRIu64
	       " ms\n",
	       name, more->iptfs.breaker_percent, more->iptfs.breaker_time / 1000000);
	tell(gw, index, RATES_STOPPED);
}

static void
control_look(struct gw *gw, uint32_t index, uint64_t now)
{
	const struct sa_more *more = sa_more(sa_at(&gw->sas, index));
	struct aggfrag_cc *cc = more->fill->cc;
	struct aggfrag_cc_state state;

	aggfrag_cc_state(cc, &more->iptfs, &state);
	/* Before an RTT is known nothing is said of the path. */
	if (state.rtt_us == 0 || now - cc->told_at < RATES_PAUSE_S * NS_PER_SECOND ||
	    (state.x_pps < 2 * cc->told_pps && state.x_pps > cc->told_pps / 2))
		return;
	cc->told_at = now;
	cc->told_pps = state.x_pps;
	tell(gw, index, RATES_CHANGED);
}

/* What its worker makes of a rate, when that was late. */
static void
pace_look(struct gw *gw, uint32_t index, uint64_t now)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	struct sa_pace *pace = &sa_more(sa)->pace, was = *pace;
	uint64_t counts[AGGFRAG_TX_MAX] = { 0 }, rate = aggfrag_rate(&sa_more(sa)->iptfs), made;
	uint64_t octets = __atomic_load_n(&sa->out.path_mtu, __ATOMIC_RELAXED) +
			  (sa_more(sa)->iptfs.rate_l2 ? ETHERNET_OCTETS : 0);
	char name[SA_NAME_MAX];

	if (pace->told_rate == rate || (pace->rate == rate && now - pace->at < MEASURE_NS))
		return;
	streams_counts_out(sa, counts);
	pace->rate = rate;
	pace->at = now;
	pace->packets = counts[AGGFRAG_TX_PKTS];
	pace->late = counts[AGGFRAG_TX_LATE_TICKS];
	if (was.rate != rate || pace->late == was.late)
		return;
	made = (uint64_t)((double)((pace->packets - was.packets) * octets * 8) * NS_PER_SECOND /
			  (double)(now - was.at));
	if (made >= rate / 100 * MADE_PERCENT)
		return;
	pace->told_rate = rate;
	GW_LOG(WARNING,
	       "SA %s: a rate of %" PRIu64 " bit/s was asked for, and its worker makes %" PRIu64
	       ": less, or fewer such SAs on a worker\n",
	       sa_name(sa_cold(&gw->sas, index), name), rate, made);
}

void
rates_look(struct gw *gw, uint32_t index, uint64_t now)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	const struct aggfrag_params *p;

	if (likely((sa->flags & (SA_IPTFS | SA_INBOUND)) != SA_IPTFS) || sa_more(sa)->borrowed ||
	    aggfrag_rate(&sa_more(sa)->iptfs) == 0 || !sa_is_live(gw, index))
		return;
	p = &sa_more(sa)->iptfs;
	/* One of several lanes has none. */
	if (sa_more(sa)->fill->cc != NULL)
		breaker_look(gw, index);
	if (sa_more(sa)->fill->cc != NULL && p->congestion_control)
		control_look(gw, index, now);
	else if (gw->clock.kind != CLOCK_STAMPS)
		pace_look(gw, index, now);
}
