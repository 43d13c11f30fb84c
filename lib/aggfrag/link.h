/* Between the two directions of a peer: what the owner of the inbound stream has to tell that of
 * the outbound one, so that congestion control (RFC 9347 section 3) and the circuit breaker
 * (section 2.4.2.1) know how it goes. The two owners may be two workers.
 *
 * A link is an inbound stream's: it has that stream's account of loss and its report. Control makes
 * it where the SA that goes back has congestion control or a breaker, publishes it first in the
 * inbound stream and then in the outbound one (aggfrag_link_set), and frees it a grace period after
 * it took it out of both, or both ended. Another outbound stream may be given the same link, as
 * when one half of a pair is rekeyed. A stream whose link is NULL gets no reports, and says in its
 * headers that nothing came.
 */
#ifndef AGGFRAG_LINK_H
#define AGGFRAG_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "aggfrag/loss.h"
#include "base/err.h"

struct aggfrag_cc_header;

/* What is told, whole. */
struct aggfrag_report {
	/* Of the peer's headers, which tell of what we send. */
	uint64_t heard;	   /* headers that came; 0: none */
	uint64_t answered; /* of these with a TEcho that none before had */
	uint32_t loss_rate, path_rtt_us, peer_gap_us; /* struct aggfrag_tfrc_feedback */
	uint32_t marked;			      /* its E */
	/* Of what comes from the peer, for our headers. */
	uint32_t own_loss_rate, own_marked;
	uint64_t tval_at; /* ns: when the TVal came first */
	uint32_t tval;	  /* 0: none came */
	uint32_t spare;
	/* For the breaker. */
	uint64_t received, missed;
};
#define AGGFRAG_REPORT_WORDS (sizeof(struct aggfrag_report) / sizeof(uint64_t))
_Static_assert(sizeof(struct aggfrag_report) % sizeof(uint64_t) == 0, "copied by words");

struct aggfrag_link {
	/* Written and read by the inbound stream's owner alone. */
	struct aggfrag_loss loss;
	struct aggfrag_report report; /* as it grows; told when it is time to */
	uint64_t header_seq;	      /* of the newest header */
	uint64_t due;		      /* ns: when to tell again, if nothing happens */
	uint32_t techo;		      /* of the newest header */
	bool urgent;		      /* a loss event began, here or there */

	/* Written by the inbound stream's owner, read by the outbound one's. */
	uint64_t version __rte_cache_aligned; /* even: told is whole */
	uint64_t told[AGGFRAG_REPORT_WORDS];

	/* Written by the outbound stream's owner: its RTT, ns; 0 = not known. */
	uint64_t rtt __rte_cache_aligned;

	/* Control's own. */
	uint32_t users;
	uint32_t sa, generation; /* the inbound SA that it was found by */
} __rte_cache_aligned;

/* Nobody has it yet. -ENOMEM. */
int aggfrag_link_create(struct aggfrag_link **out, struct err *err);

/* Control, before the link is published: what comes by it follows what came by another one, as by a
 * rekey, and has its loss event rate until there are events of its own. */
void aggfrag_link_follow(struct aggfrag_link *link, const struct aggfrag_link *before);

/* Where a stream has its link. Control publishes, workers take it once for a payload; control gives
 * back what was there before once no worker can have it any more. NULL is fine.
 */
static inline void
aggfrag_link_set(struct aggfrag_link **at, struct aggfrag_link *link)
{
	link->users++;
	__atomic_store_n(at, link, __ATOMIC_RELEASE);
}
void aggfrag_link_give(struct aggfrag_link *link);

static inline struct aggfrag_link *
aggfrag_link_get(struct aggfrag_link *const *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* ---- the inbound stream's owner ---- */

/* A payload of sub-type 1 came, authentic, whatever it has to wait for: its header, number and
 * time. Older ones than the newest are not looked at.
 */
void aggfrag_link_heard(struct aggfrag_link *link, const struct aggfrag_cc_header *h, uint64_t seq,
			uint64_t now);

/* A payload's turn has come: see aggfrag_loss_take(). */
void aggfrag_link_took(struct aggfrag_link *link, uint64_t seq, uint8_t loss_flags, uint64_t now);

/* ---- the outbound stream's owner ---- */

/* True: the report has changed since *version, is in *out, and *version is that of it. False: it
 * has not, or is just being written, then ask again at the next payload.
 */
bool aggfrag_link_read(const struct aggfrag_link *link, uint64_t *version,
		       struct aggfrag_report *out);

#endif
