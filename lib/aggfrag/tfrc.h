/* The sender's side of TFRC (RFC 5348 section 4) in packets of one size: how many a second may be
 * sent, from what the peer's headers say of loss and time.
 *
 * No receive rate comes back (RFC 9347 section 3), so that what was sent stands for it: never is
 * more than twice that sent next. The RTT that timers and headers go by is no less than what both
 * sides wait between two packets, since nothing is answered faster. The equation is not: there it
 * would lower the rate, which would raise the RTT, and so on down to the floor, as soon as some ten
 * per cent are lost.
 *
 * One writer, the owner of the outbound stream. Floating point is used where feedback arrives or a
 * timer ends, never for a packet. Times are ns unless they say otherwise.
 */
#ifndef AGGFRAG_TFRC_H
#define AGGFRAG_TFRC_H

#include <stdbool.h>
#include <stdint.h>

#define AGGFRAG_TFRC_FLOOR_S 64 /* there is always one packet in so many seconds */

struct aggfrag_tfrc {
	uint64_t interval;   /* between two packets; read it for each */
	uint64_t expires;    /* when what has not been answered until then halves the rate */
	double pps, pps_max; /* allowed now; configured */
	double path_rtt,
		rtt; /* s: filtered, of the path alone; as the rate is made of; 0 = not known */
	double first_window; /* packets in the first RTT that is known */
	double loss;	     /* of the last feedback: events per packet */
	uint64_t doubled_at;
	/* What was sent: in the round of an RTT that goes on, and in the two before. */
	uint64_t round_at, round_sent;
	double sent_pps[2];
};

/* What came from the peer. */
struct aggfrag_tfrc_feedback {
	uint32_t loss_rate;   /* as its header says: packets per event, 0 = none */
	uint32_t path_rtt_us; /* now - TEcho - EchoDelay; 0 = no sample */
	uint32_t peer_gap_us; /* its TransmitDelay */
	uint64_t sent;	      /* packets that we have sent in all */
};

/* Packets per second by the throughput equation (section 3.1), loss in (0, 1], rtt in s, above 0.
 */
double aggfrag_tfrc_equation(double loss, double rtt);

/* The loss event rate for which the equation gives pps. In (0, 1]. */
double aggfrag_tfrc_loss_for(double pps, double rtt);

/* Zeroed memory is a sender that has no limits yet. min_interval comes from the configured rate,
 * size is that of an outer packet. A rate above is lowered at once.
 */
void aggfrag_tfrc_limit(struct aggfrag_tfrc *t, uint64_t min_interval, uint32_t size);

/* Begins, or begins again: one packet a second, or the shortest interval if that is longer. */
void aggfrag_tfrc_begin(struct aggfrag_tfrc *t, uint64_t now);

/* Goes on at a rate that was allowed on the same path just now, by another key; rtt: s, above 0. */
void aggfrag_tfrc_resume(struct aggfrag_tfrc *t, double pps, double rtt, uint64_t now);

/* The peer has answered something new. */
void aggfrag_tfrc_feedback(struct aggfrag_tfrc *t, const struct aggfrag_tfrc_feedback *f,
			   uint64_t now);

/* Once now >= expires: nothing was answered for four RTTs, or two packets' time. Halves. */
void aggfrag_tfrc_expire(struct aggfrag_tfrc *t, uint64_t now);

#endif
