/* The outbound stream's side of feedback: the rate that congestion control allows, what its headers
 * say, and the circuit breaker (RFC 9347 sections 2.4.2 and 3).
 *
 * One of these goes with each outbound stream of a single lane; it is asked where there is
 * congestion control or a breaker (aggfrag_cc_is_on). Its owner asks aggfrag_cc_look() before each
 * payload, and at least ten times a second while it waits for the next one: with a low rate the
 * next may be a minute away, and what is heard meanwhile may call it earlier. The path of a pair
 * whose peer is not heard yet has no sender's state: the peer's first header begins it.
 */
#ifndef AGGFRAG_CC_H
#define AGGFRAG_CC_H

#include <stdbool.h>
#include <stdint.h>

#include "aggfrag/aggfrag.h"
#include "aggfrag/breaker.h"
#include "aggfrag/link.h"
#include "aggfrag/tfrc.h"

#define AGGFRAG_CC_LOOK (100 * UINT64_C(1000000)) /* ns between two looks, at most */

struct aggfrag_cc {
	/* Written by the outbound stream's owner. */
	struct aggfrag_tfrc tfrc;
	struct aggfrag_report report;  /* the last one read */
	const struct aggfrag_link *of; /* the link that it is of */
	uint64_t version, sent;
	uint64_t answered; /* of the report that was fed last, */
	uint32_t fed_loss; /* and its loss_rate */
	bool met;	   /* a header of the peer came */
	/* As it was tuned. */
	bool begun, controlled;
	uint32_t size;
	uint64_t min_interval;
	struct aggfrag_breaker breaker;
	/* Cells of control's: what it is to begin with; 0: what one begins with. */
	uint64_t first_interval, first_rtt_us;
	/* Control's own: the rate that it told of last, and when. */
	double told_pps;
	uint64_t told_at;
	/* Cells, for control. */
	uint64_t interval, rtt_us, loss_rate;
};

/* For who asks how it goes. */
struct aggfrag_cc_state {
	double x_pps;	   /* packets a second that are allowed; 0 without congestion control */
	uint64_t rtt_us;   /* 0: not known */
	uint64_t p_inv;	   /* packets per loss event, as the peer says; 0: no loss */
	bool breaker_open; /* the stream stands still */
	uint64_t breaker_trips;
};

/* Control: the stream follows another one on the same path, as by a rekey. As long as it knows no
 * RTT of its own it takes that one's, and its rate.
 */
void aggfrag_cc_follow(struct aggfrag_cc *cc, const struct aggfrag_cc *before);

/* For a stream that does as p says from now on; zeroed memory is one that begins. min_interval: ns
 * between two packets at the configured rate; size: octets of an outer packet. Costs little where
 * nothing has changed. True: the interval has.
 */
bool aggfrag_cc_tune(struct aggfrag_cc *cc, const struct aggfrag_params *p, uint64_t min_interval,
		     uint32_t size, uint64_t now);

/* The stream does as p says from now on. What is switched off is forgotten: a breaker that is open,
 * and what congestion control allowed. */
static inline void
aggfrag_cc_retune(struct aggfrag_cc *cc, const struct aggfrag_params *p)
{
	cc->controlled &= p->congestion_control;
	if (p->breaker_percent == 0)
		aggfrag_breaker_reset(&cc->breaker);
}

/* Whether a stream has to ask. */
static inline bool
aggfrag_cc_is_on(const struct aggfrag_params *p)
{
	return p->congestion_control || p->breaker_percent != 0;
}

/* Reads what is new and ends timers. True: the interval has changed, or the breaker: ask
 * aggfrag_cc_interval() again and count from the last packet sent. link: the stream's, or NULL.
 */
bool aggfrag_cc_look(struct aggfrag_cc *cc, const struct aggfrag_params *p,
		     struct aggfrag_link *link, uint64_t now);

/* ns between two packets; as it was configured without congestion control. UINT64_MAX: the breaker
 * is open, and none may be sent. */
static inline uint64_t
aggfrag_cc_interval(const struct aggfrag_cc *cc)
{
	return cc->breaker.opened != 0 ? UINT64_MAX : cc->interval;
}

/* Writes the header of a payload that is sent now, but for its block offset, and counts it. */
void aggfrag_cc_write(struct aggfrag_cc *cc, uint8_t *at, uint64_t now);

/* Any thread. */
void aggfrag_cc_state(const struct aggfrag_cc *cc, const struct aggfrag_params *p,
		      struct aggfrag_cc_state *out);

#endif
