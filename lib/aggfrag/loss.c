#include "aggfrag/loss.h"

#include <math.h>

#include <rte_common.h>

#include "aggfrag/tfrc.h"
#include "base/clock.h"

#define ROUND_UNKNOWN NS_PER_SECOND /* without an RTT */
/* A gap of more than four times what came lately, and some, was not sent. */
#define JUMP_MIN   1024
#define JUMP_TIMES 4
/* As many RTTs of silence end in the sender's halving its rate, again and again: what is lost later
 * belongs to the last event. A path that was dead for a minute is not one that loses all. */
#define GAP_EVENTS 4
/* History is discounted from so many times its mean on, and by no more than this (section 5.5). */
#define DISCOUNT_FROM  2
#define DISCOUNT_LEAST 0.25

static const double weights[AGGFRAG_LOSS_INTERVALS] = { 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2 };

/* The interval that goes on, I_0: of what follows another history, or a gap of several events, no
 * packet may have come yet. */
static double
interval_open(const struct aggfrag_loss *l)
{
	return l->top < l->event_seq ? 0 : (double)(l->top - l->event_seq) + 1;
}

/* The mean of those that are closed, I_mean. */
static double
mean_closed(const struct aggfrag_loss *l)
{
	double total = 0, weight = 0;

	for (uint8_t i = 0; i < l->n_closed; i++) {
		total += weights[i] * l->discount[i] * l->closed[i];
		weight += weights[i] * l->discount[i];
	}
	return total / weight;
}

/* What they weigh beside the one that goes on, DF. */
static double
discount(const struct aggfrag_loss *l)
{
	double newest = interval_open(l), most = DISCOUNT_FROM * mean_closed(l);

	return newest > most ? fmax(most / newest, DISCOUNT_LEAST) : 1;
}

/* What the interval before the very first loss is said to be: not the packets that came, of which
 * slow start has sent most in its last round, but what goes with the rate of now (section 6.3.1).
 */
static uint32_t
first_interval(const struct aggfrag_loss *l)
{
	double n = (double)l->received + 1;

	if (l->rtt > 0 && l->round_pps > 0)
		n = 1 / aggfrag_tfrc_loss_for(l->round_pps, (double)l->rtt / NS_PER_SECOND);
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static void
event_begin(struct aggfrag_loss *l, uint64_t seq, uint64_t at, bool marked)
{
	double factor = l->n_closed == 0 ? 1 : discount(l);
	uint32_t length;

	if (l->event_seq == 0)
		length = first_interval(l);
	else
		length = (uint32_t)RTE_MIN(seq - l->event_seq, (uint64_t)UINT32_MAX);
	for (int i = AGGFRAG_LOSS_INTERVALS - 1; i > 0; i--) {
		l->closed[i] = l->closed[i - 1];
		l->discount[i] = (float)(l->discount[i - 1] * factor);
	}
	l->closed[0] = RTE_MAX(length, UINT32_C(1));
	l->discount[0] = 1;
	if (l->n_closed < AGGFRAG_LOSS_INTERVALS)
		l->n_closed++;
	l->marks = (uint16_t)(l->marks << 1 | marked);
	l->event_seq = seq;
	l->event_at = at;
}

/* The least k of 1 … n for which the k-th lost one, step ns apart from `from` on, is of another
 * event; n + 1: all are of the event of now. */
static uint64_t
first_beyond(const struct aggfrag_loss *l, uint64_t from, uint64_t step, uint64_t n)
{
	uint64_t end = l->event_at + l->rtt;

	if (l->event_seq == 0 || from > end)
		return 1;
	if (step == 0)
		return n + 1;
	return RTE_MIN((end - from) / step + 1, n + 1);
}

/* The n numbers behind the top are lost. When each was is taken from those that came before and
 * after (section 5.2). */
static bool
gap_lost(struct aggfrag_loss *l, uint64_t n, uint64_t now)
{
	uint64_t step = (now - l->top_at) / (n + 1);
	uint64_t stride = step == 0 ? n : l->rtt / step + 1;
	uint64_t k = first_beyond(l, l->top_at, step, n);
	bool began = k <= n;

	for (int i = 0; i < GAP_EVENTS && k <= n; i++, k += stride)
		event_begin(l, l->top + k, l->top_at + k * step, false);
	return began;
}

/* The counter's jump is none of the path's doing: as if it had not been. */
static uint64_t
gap_check(struct aggfrag_loss *l, uint64_t gap, uint64_t now)
{
	double sent = JUMP_TIMES * l->round_pps * (double)(now - l->top_at) / NS_PER_SECOND;

	if ((double)gap <= sent + JUMP_MIN)
		return gap;
	l->top += gap - 1;
	if (l->event_seq != 0)
		l->event_seq += gap - 1;
	return 1;
}

void
aggfrag_loss_begin(struct aggfrag_loss *l, uint32_t rate)
{
	*l = (struct aggfrag_loss) { .top = 0 };
	if (rate == 0)
		return;
	l->n_closed = AGGFRAG_LOSS_INTERVALS;
	for (int i = 0; i < AGGFRAG_LOSS_INTERVALS; i++) {
		l->closed[i] = rate;
		l->discount[i] = 1;
	}
	l->event_seq = 1;
}

bool
aggfrag_loss_event(struct aggfrag_loss *l, uint64_t seq, uint8_t flags, uint64_t now)
{
	bool probing = (flags & AGGFRAG_LOSS_PROBING) != 0, began = false;

	if (seq <= l->top)
		return false;
	/* The first number of all is no loss of those before it. */
	if (l->top == 0 && l->event_seq != 0) {
		l->event_seq = seq;
	} else if (l->top != 0 && seq - l->top > 1) {
		uint64_t gap = gap_check(l, seq - l->top - 1, now);

		/* What is missing beside a probe may be the probe. */
		if (!probing && !l->probing) {
			l->missed += gap;
			began = gap_lost(l, gap, now);
		}
	}
	l->probing = probing;
	if ((flags & AGGFRAG_LOSS_CE) != 0 && (l->event_seq == 0 || now > l->event_at + l->rtt)) {
		event_begin(l, seq, now, true);
		began = true;
	}
	l->top = seq;
	return began;
}

void
aggfrag_loss_round(struct aggfrag_loss *l, uint64_t now)
{
	uint64_t n = l->received - l->round_received;

	if (l->round_at != 0 && now > l->round_began)
		l->round_pps = (double)n * NS_PER_SECOND / (double)(now - l->round_began);
	l->round_began = now;
	l->round_received = l->received;
	l->round_at = now + (l->rtt != 0 ? l->rtt : ROUND_UNKNOWN);
}

uint32_t
aggfrag_loss_rate(const struct aggfrag_loss *l)
{
	double with, weight = weights[0], factor, mean;

	if (l->n_closed == 0)
		return 0;
	factor = discount(l);
	with = weights[0] * interval_open(l);
	for (uint8_t i = 1; i < l->n_closed; i++) {
		double w = weights[i] * l->discount[i - 1] * factor;

		with += w * l->closed[i - 1];
		weight += w;
	}
	mean = round(fmax(with / weight, mean_closed(l)));
	return mean >= UINT32_MAX ? UINT32_MAX : RTE_MAX((uint32_t)mean, UINT32_C(1));
}

bool
aggfrag_loss_marked(const struct aggfrag_loss *l)
{
	return (l->marks & ((2u << l->n_closed) - 1)) != 0;
}
