/* The receiver's loss history (RFC 5348 section 5): how often the path loses, in events.
 *
 * It is told of each payload in the order of their numbers, when nothing before it is waited for
 * any more: what lies between two of them is lost. All losses within one RTT of an event's first
 * are that event. A CE mark counts as a loss. The interval of an event goes from its first loss to
 * that of the next one; the mean is of the last eight and the one that goes on, the newest weighing
 * most. Once the one that goes on is more than twice as long as the mean of those before it, these
 * weigh less and less, down to a quarter, and keep that for good (section 5.5): a path that loses
 * no more is soon believed. One writer, the owner of the inbound stream; times are ns.
 */
#ifndef AGGFRAG_LOSS_H
#define AGGFRAG_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

#define AGGFRAG_LOSS_INTERVALS 8

enum aggfrag_loss_flag {
	AGGFRAG_LOSS_CE = 1 << 0,      /* the payload's outer header was marked */
	AGGFRAG_LOSS_PROBING = 1 << 1, /* its header says P */
};

struct aggfrag_loss {
	uint64_t top;	 /* the last number told of; 0: none yet */
	uint64_t top_at; /* and when it came */
	uint64_t event_seq,
		event_at; /* the first loss of the event of now, and its time; 0: none */
	/* Packets between the first losses of two events, the newest interval first. */
	uint32_t closed[AGGFRAG_LOSS_INTERVALS];
	float discount[AGGFRAG_LOSS_INTERVALS]; /* DF_i of closed[i - 1], in (0, 1] */
	uint8_t n_closed;
	bool probing;	/* the last header's P */
	uint16_t marks; /* bit 0: the event of now began with a CE mark; bit i: that of closed[i -
			   1] */
	uint64_t rtt;	/* the sender's, as its headers say; 0 = not known */
	/* Rounds of an RTT: when that of now ends and began, what had come by then; and how many a
	 * second came in the last one, 0: none is over. */
	uint64_t round_at, round_began, round_received;
	double round_pps;
	uint64_t received, missed;
};

/* Zeroed memory is a history that begins. With a rate, it begins as if that had been seen for long;
 * 0: nothing was lost.
 */
void aggfrag_loss_begin(struct aggfrag_loss *l, uint32_t rate);

/* The rest of what aggfrag_loss_take() does. */
bool aggfrag_loss_event(struct aggfrag_loss *l, uint64_t seq, uint8_t flags, uint64_t now);
void aggfrag_loss_round(struct aggfrag_loss *l, uint64_t now);

/* The payload seq came, of which it is `now`; all before it came or are lost. Numbers that do not
 * rise are not looked at. Constant work however large the gap; one that the sender cannot have sent
 * in that time is a jump of its counter, and one loss. True: a loss event began.
 */
static inline bool
aggfrag_loss_take(struct aggfrag_loss *l, uint64_t seq, uint8_t flags, uint64_t now)
{
	bool began = false;

	if (unlikely(seq != l->top + 1 || flags != 0 || l->probing))
		began = aggfrag_loss_event(l, seq, flags, now);
	else
		l->top = seq;
	l->top_at = now;
	l->received++;
	if (unlikely(now >= l->round_at))
		aggfrag_loss_round(l, now);
	return began;
}

/* The sender's RTT by its headers, ns; 0 = it does not know it. */
static inline void
aggfrag_loss_rtt(struct aggfrag_loss *l, uint64_t rtt, uint64_t now)
{
	l->rtt = rtt;
	/* A round that began with a longer one shall not go on for so long. */
	if (rtt != 0 && unlikely(l->round_at > now + rtt))
		l->round_at = now + rtt;
}

/* What the LossEventRate field is to say: packets per event, at least 1; 0 = none ever was. */
uint32_t aggfrag_loss_rate(const struct aggfrag_loss *l);

/* And its E: some event of those in the mean began with a CE mark. */
bool aggfrag_loss_marked(const struct aggfrag_loss *l);

#endif
