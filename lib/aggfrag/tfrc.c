#include "aggfrag/tfrc.h"

#include <math.h>

#include "base/clock.h"

#define RTT_KEEP     0.9 /* of the filter, section 4.3 */
#define RTT_ANSWERS  4	 /* nothing is answered for so many RTTs: halve */
#define FIRST_EXPIRY 2	 /* s: while no RTT is known, section 4.2 */
/* The first window of section 4.2, octets, and its bounds in packets. */
#define FIRST_OCTETS 4380.0
#define FIRST_MIN    2.0
#define FIRST_MAX    4.0

double
aggfrag_tfrc_equation(double loss, double rtt)
{
	return 1 / (rtt *
		    (sqrt(2 * loss / 3) + 12 * sqrt(3 * loss / 8) * loss * (1 + 32 * loss * loss)));
}

double
aggfrag_tfrc_loss_for(double pps, double rtt)
{
	double low = 1e-10, high = 1;

	/* It falls all the way; halved in ratios, since it spans ten decades. */
	for (int i = 0; i < 40; i++) {
		double middle = sqrt(low * high);

		if (aggfrag_tfrc_equation(middle, rtt) > pps)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static void
rate_set(struct aggfrag_tfrc *t, double pps)
{
	t->pps = fmin(fmax(pps, 1.0 / AGGFRAG_TFRC_FLOOR_S), t->pps_max);
	t->interval = (uint64_t)((double)NS_PER_SECOND / t->pps);
}

static void
expiry_set(struct aggfrag_tfrc *t, uint64_t now)
{
	double wait = t->rtt == 0 ? FIRST_EXPIRY : RTT_ANSWERS * t->rtt;

	t->expires = now + (uint64_t)(fmax(wait, 2 / t->pps) * NS_PER_SECOND);
}

void
aggfrag_tfrc_limit(struct aggfrag_tfrc *t, uint64_t min_interval, uint32_t size)
{
	t->pps_max = (double)NS_PER_SECOND / fmax((double)min_interval, 1);
	t->first_window = fmin(fmax(FIRST_OCTETS / size, FIRST_MIN), FIRST_MAX);
	if (t->pps > t->pps_max)
		rate_set(t, t->pps);
}

void
aggfrag_tfrc_begin(struct aggfrag_tfrc *t, uint64_t now)
{
	double pps_max = t->pps_max, first_window = t->first_window;

	*t = (struct aggfrag_tfrc) { .pps_max = pps_max, .first_window = first_window };
	rate_set(t, 1);
	expiry_set(t, now);
}

void
aggfrag_tfrc_resume(struct aggfrag_tfrc *t, double pps, double rtt, uint64_t now)
{
	aggfrag_tfrc_begin(t, now);
	t->path_rtt = t->rtt = rtt;
	t->doubled_at = now;
	rate_set(t, pps);
	expiry_set(t, now);
}

/* The path's RTT is filtered; what the two sides wait between packets is known, and follows the
 * rate at once. */
static void
rtt_take(struct aggfrag_tfrc *t, const struct aggfrag_tfrc_feedback *f)
{
	double sample = f->path_rtt_us / 1e6;
	double gaps = f->peer_gap_us / 1e6 + 1 / t->pps;

	if (sample > 0 && t->path_rtt == 0)
		t->path_rtt = sample;
	else if (sample > 0)
		t->path_rtt = RTT_KEEP * t->path_rtt + (1 - RTT_KEEP) * sample;
	if (t->path_rtt > 0)
		t->rtt = fmax(t->path_rtt, gaps);
}

/* Twice what was sent in the last two rounds, one packet of which may just not have been due; but
 * what one may begin with is always allowed, so that a path that was dead for long is not used by
 * the minute once it answers again.
 */
static double
sent_limit(struct aggfrag_tfrc *t, uint64_t sent, uint64_t now)
{
	double seconds = (double)(now - t->round_at) / NS_PER_SECOND, most;

	if (t->round_at == 0) {
		t->round_at = now;
		t->round_sent = sent;
	} else if (seconds >= t->rtt) {
		t->sent_pps[1] = t->sent_pps[0];
		t->sent_pps[0] = (double)(sent - t->round_sent + 1) / seconds;
		t->round_at = now;
		t->round_sent = sent;
	}
	most = fmax(t->sent_pps[0], t->sent_pps[1]);
	return most == 0 ? INFINITY : fmax(2 * most, t->first_window / t->path_rtt);
}

void
aggfrag_tfrc_feedback(struct aggfrag_tfrc *t, const struct aggfrag_tfrc_feedback *f, uint64_t now)
{
	bool first = t->rtt == 0;
	double limit, begin;

	rtt_take(t, f);
	if (t->rtt == 0)
		return;
	limit = sent_limit(t, f->sent, now);
	begin = t->first_window / t->path_rtt;
	t->loss = f->loss_rate == 0 ? 0 : 1.0 / f->loss_rate;
	if (t->loss > 0) {
		rate_set(t, fmin(aggfrag_tfrc_equation(t->loss, t->path_rtt), limit));
	} else if (first) {
		rate_set(t, fmax(t->pps, begin));
		t->doubled_at = now;
	} else if ((double)(now - t->doubled_at) >= t->rtt * NS_PER_SECOND) {
		rate_set(t, fmax(fmin(2 * t->pps, limit), begin));
		t->doubled_at = now;
	}
	expiry_set(t, now);
}

void
aggfrag_tfrc_expire(struct aggfrag_tfrc *t, uint64_t now)
{
	rate_set(t, t->pps / 2);
	/* What was sent before is no measure any more: it grows from here (section 4.4). */
	t->sent_pps[0] = t->sent_pps[1] = t->pps / 2;
	t->round_at = 0;
	expiry_set(t, now);
}
