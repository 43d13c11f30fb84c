#include "aggfrag/cc.h"

#include <rte_common.h>

#include "aggfrag/cc_header.h"
#include "base/clock.h"

static void
cell_set(uint64_t *cell, uint64_t value)
{
	__atomic_store_n(cell, value, __ATOMIC_RELAXED);
}

static void
show(struct aggfrag_cc *cc, struct aggfrag_link *link)
{
	uint64_t rtt = (uint64_t)(cc->tfrc.rtt * NS_PER_SECOND);

	cell_set(&cc->interval, cc->tfrc.interval);
	cell_set(&cc->rtt_us, rtt / 1000);
	cell_set(&cc->loss_rate, cc->report.loss_rate);
	if (link != NULL)
		cell_set(&link->rtt, rtt);
}

void
aggfrag_cc_follow(struct aggfrag_cc *cc, const struct aggfrag_cc *before)
{
	uint64_t rtt_us = cell_get(&before->rtt_us);

	if (rtt_us == 0)
		return;
	cell_set(&cc->first_rtt_us, rtt_us);
	__atomic_store_n(&cc->first_interval, cell_get(&before->interval), __ATOMIC_RELEASE);
}

/* False: it follows none. */
static bool
resume(struct aggfrag_cc *cc, uint64_t now)
{
	uint64_t interval = __atomic_load_n(&cc->first_interval, __ATOMIC_ACQUIRE);

	if (likely(interval == 0))
		return false;
	aggfrag_tfrc_resume(&cc->tfrc, (double)NS_PER_SECOND / (double)interval,
			    (double)cell_get(&cc->first_rtt_us) / 1e6, now);
	cc->met = true;
	return true;
}

bool
aggfrag_cc_tune(struct aggfrag_cc *cc, const struct aggfrag_params *p, uint64_t min_interval,
		uint32_t size, uint64_t now)
{
	uint64_t before = cc->interval;

	if (likely(cc->begun && cc->min_interval == min_interval && cc->size == size &&
		   cc->controlled == p->congestion_control))
		return false;
	cc->min_interval = min_interval;
	cc->size = size;
	if (!p->congestion_control) {
		cell_set(&cc->interval, min_interval);
	} else {
		aggfrag_tfrc_limit(&cc->tfrc, min_interval, size);
		if (!cc->begun || !cc->controlled)
			aggfrag_tfrc_begin(&cc->tfrc, now);
		show(cc, NULL);
	}
	cc->begun = true;
	cc->controlled = p->congestion_control;
	return cc->interval != before;
}

/* The peer's first header begins it all: until then it may not have been there. */
static void
meet(struct aggfrag_cc *cc, uint64_t now)
{
	if (cc->met || cc->report.heard == 0)
		return;
	cc->met = true;
	aggfrag_tfrc_begin(&cc->tfrc, now);
}

static void
feed(struct aggfrag_cc *cc, uint64_t now)
{
	struct aggfrag_tfrc_feedback f = {
		.loss_rate = cc->report.loss_rate,
		.path_rtt_us = cc->report.path_rtt_us,
		.peer_gap_us = cc->report.peer_gap_us,
		.sent = cc->sent,
	};

	/* A header may tell of a loss before the next packet of ours is answered. */
	if (cc->report.answered == cc->answered) {
		if (f.loss_rate == 0 || (cc->fed_loss != 0 && f.loss_rate >= cc->fed_loss))
			return;
		f.path_rtt_us = 0;
	}
	cc->answered = cc->report.answered;
	cc->fed_loss = f.loss_rate;
	aggfrag_tfrc_feedback(&cc->tfrc, &f, now);
}

static void
breaker_ask(struct aggfrag_cc *cc, const struct aggfrag_params *p, uint64_t now)
{
	struct aggfrag_breaker_loss loss = {
		.received = cc->report.received,
		.missed = cc->report.missed,
		.loss_rate = cc->report.loss_rate,
	};

	aggfrag_breaker_look(&cc->breaker, p->breaker_percent, p->breaker_time, &loss, now);
}

static void
timers(struct aggfrag_cc *cc, struct aggfrag_link *link, uint64_t now)
{
	if (unlikely(cc->tfrc.rtt == 0) && resume(cc, now)) {
		show(cc, link);
	} else if (unlikely(now >= cc->tfrc.expires)) {
		aggfrag_tfrc_expire(&cc->tfrc, now);
		show(cc, link);
	}
}

bool
aggfrag_cc_look(struct aggfrag_cc *cc, const struct aggfrag_params *p, struct aggfrag_link *link,
		uint64_t now)
{
	uint64_t before = aggfrag_cc_interval(cc);

	if (link != cc->of) {
		cc->of = link;
		cc->version = 0;
	}
	if (link != NULL && aggfrag_link_read(link, &cc->version, &cc->report) &&
	    p->congestion_control) {
		meet(cc, now);
		feed(cc, now);
		show(cc, link);
	}
	if (p->congestion_control)
		timers(cc, link, now);
	if (p->breaker_percent != 0)
		breaker_ask(cc, p, now);
	return aggfrag_cc_interval(cc) != before;
}

void
aggfrag_cc_write(struct aggfrag_cc *cc, uint8_t *at, uint64_t now)
{
	const struct aggfrag_report *r = &cc->report;
	uint32_t us = (uint32_t)(now / 1000);
	struct aggfrag_cc_header h = {
		.loss_rate = r->own_loss_rate,
		.rtt_us = (uint32_t)RTE_MIN(cc->rtt_us, (uint64_t)UINT32_MAX),
		.gap_us = (uint32_t)RTE_MIN(cc->interval / 1000, (uint64_t)UINT32_MAX),
		.tval = us == 0 ? 1 : us,
		.techo = r->tval,
		.marked = r->own_marked,
	};

	if (r->tval != 0)
		h.echo_delay_us =
			(uint32_t)RTE_MIN((now - r->tval_at) / 1000, (uint64_t)UINT32_MAX);
	aggfrag_cc_header_write(&h, at);
	cc->sent++;
}

void
aggfrag_cc_state(const struct aggfrag_cc *cc, const struct aggfrag_params *p,
		 struct aggfrag_cc_state *out)
{
	uint64_t interval = cell_get(&cc->interval);

	*out = (struct aggfrag_cc_state) {
		.rtt_us = cell_get(&cc->rtt_us),
		.p_inv = cell_get(&cc->loss_rate),
		.breaker_open = aggfrag_breaker_is_open(&cc->breaker),
		.breaker_trips = cell_get(&cc->breaker.trips),
	};
	if (p->congestion_control && interval != 0)
		out->x_pps = (double)NS_PER_SECOND / (double)interval;
}
