#include "aggfrag/fill.h"

#include "base/clock.h"
#include "stats/cell.h"

/* ns with 32 bits behind the point. */
typedef unsigned __int128 fine_ns;

static fine_ns
fine(uint64_t ns, uint32_t part)
{
	return (fine_ns)ns << 32 | part;
}

static void
next_add(struct aggfrag_out *s, fine_ns more)
{
	fine_ns next = fine(s->next, s->next_part) + more;

	s->next = (uint64_t)(next >> 32);
	s->next_part = (uint32_t)next;
}

/* Another interval since the last payload. That is less than the old one ago where congestion
 * control had the next one sent at once, and so may seem to lie before all time.
 */
static void
next_move(struct aggfrag_out *s, fine_ns was, fine_ns now)
{
	fine_ns next = fine(s->next, s->next_part), last = next > was ? next - was : 0;

	s->next = s->next_part = 0;
	next_add(s, last + now);
}

/* Lanes take turns: theirs are as far apart as one lane's would be with all of the rate. */
static void
phase_set(struct aggfrag_out *s)
{
	s->next = s->start;
	s->next_part = 0;
	next_add(s, fine(s->interval, s->interval_part) * s->lane / s->lanes);
}

/* By whole intervals to the last time that is not after now, or to the one behind it. */
static void
skip(struct aggfrag_out *s, uint64_t now, bool beyond)
{
	fine_ns interval = fine(s->interval, s->interval_part),
		behind = fine(now, 0) - fine(s->next, s->next_part);

	next_add(s, (behind / interval + beyond) * interval);
}

static void
configured_set(struct aggfrag_out *s, uint32_t wire_octets, uint64_t rate_bps)
{
	uint64_t bits = (uint64_t)wire_octets * 8 * s->lanes;
	fine_ns interval;

	s->interval_octets = wire_octets;
	s->interval_rate = rate_bps;
	interval = fine(bits * NS_PER_SECOND, 0) / rate_bps;
	s->configured = (uint64_t)(interval >> 32);
	s->configured_part = (uint32_t)interval;
}

void
aggfrag_interval_set(struct aggfrag_out *s, uint32_t wire_octets, uint64_t rate_bps)
{
	fine_ns was = fine(s->interval, s->interval_part), now;

	if (unlikely(wire_octets != s->interval_octets || rate_bps != s->interval_rate))
		configured_set(s, wire_octets, rate_bps);
	now = fine(s->configured, s->configured_part);
	if (likely(now == was) || (s->params->congestion_control && s->cc != NULL))
		return;
	s->interval = s->configured;
	s->interval_part = s->configured_part;
	/* Counted from the last one; lanes come to their new turns each on its own. */
	if (s->lanes > 1)
		s->next = 0;
	else if (s->next != 0)
		next_move(s, was, now);
}

void
aggfrag_interval_change(struct aggfrag_out *s, uint64_t interval, uint64_t now)
{
	uint64_t last = s->next > s->interval ? s->next - s->interval : 0;

	s->next = s->next == 0 ? now : RTE_MAX(last + interval, now);
	s->next_part = 0;
	s->interval = interval;
	s->interval_part = 0;
}

bool
aggfrag_tick(struct aggfrag_out *s, uint64_t now, uint32_t catchup)
{
	fine_ns interval = fine(s->interval, s->interval_part);

	if (s->next == 0) {
		phase_set(s);
		if (s->next < now)
			skip(s, now, true);
	}
	if (now < s->next)
		return false;
	if (unlikely(fine(now - s->next, 0) > interval * catchup)) {
		skip(s, now, false);
		cell_add(&s->counts[AGGFRAG_TX_LATE_TICKS], 1);
	}
	next_add(s, interval);
	return true;
}
