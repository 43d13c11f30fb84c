/* Packets whose policy has no SA yet: control is told, so that a key daemon makes one, and a few of
 * them wait for it (RFC 4301 section 5.1).
 *
 * A worker holds at most HOLD_PER_POLICY packets of a policy and a set number in all, each for
 * HOLD_NS; then they end no_outbound_sa. Once policies changed, or one of them was pointed at an
 * SA, those that may go on enter spd_match again: ahead of all that came later, so a flow keeps its
 * order. A held packet has the index of its policy and no pointer; the index holds good as long as
 * the SPD's generation is the same.
 *
 * All of it is the worker's, but for hold_held().
 */
#ifndef HOLD_HOLD_H
#define HOLD_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pace.h"
#include "worker/worker.h"

#define HOLD_MAX	128
#define HOLD_PER_POLICY 4
#define HOLD_NS		UINT64_C(1000000000)
#define ACQUIRED_SLOTS	1024

/* When control was last told of a policy, or of a choice, of those that share a slot. */
struct acquired {
	uint32_t what; /* the policy; a choice with CHOICE_MARK */
	uint32_t name;
	uint64_t at; /* ns; 0 = never */
};

struct hold {
	uint32_t n; /* read by control */
	uint32_t max;
	uint32_t rate;		      /* events per second */
	uint32_t generation, pointed; /* the SPD's, when last looked at */
	uint64_t ends;		      /* ns: no packet ends its wait before */
	struct pace pace;
	/* In the order of their coming. */
	uint32_t policies[HOLD_MAX];
	struct rte_mbuf *pkts[HOLD_MAX];
	struct acquired acquired[ACQUIRED_SLOTS];
};

/* For w->hold. Nothing is held before hold_set(). */
int hold_init(struct worker *w, struct err *err);
void hold_fini(struct worker *w); /* NULL in w->hold is fine */

/* The worker's, by mail, or control's while it does not run: how many packets may wait in all, and
 * how many events it may raise in a second. 0 packets: those that wait end, and there is no source
 * more.
 */
void hold_set(struct worker *w, uint32_t max, uint32_t rate);

/* The worker's source, in front of all that give packets. */
source_fn hold_poll;

/* A packet in sa_pick whose policy has no SA: held, or dropped no_outbound_sa. */
void hold_take(struct worker *w, struct rte_mbuf *m);

/* Ends all that wait. */
void hold_drop(struct worker *w, enum drop_reason why);

/* How many wait; any thread. */
uint32_t hold_held(const struct worker *w);

/* Tells control of the packet's policy, as often as may be. */
void acquire_raise(struct worker *w, const struct rte_mbuf *m, bool held);

/* The same where the packet goes on by an SA that all workers may use, and this one has none of its
 * own: of a choice at most once a second.
 */
void acquire_raise_own(struct worker *w, const struct rte_mbuf *m, uint32_t choice);

bool hold_release_before(struct worker *w, struct rte_mbuf **pkts, uint16_t n);

/* sa_pick asks before it looks at a burst. True: packets that waited may go on; they and, behind
 * them, the burst were pushed to spd_match.
 */
static inline bool
hold_before(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return unlikely(w->hold != NULL && w->hold->n > 0) && hold_release_before(w, pkts, n);
}

#endif
