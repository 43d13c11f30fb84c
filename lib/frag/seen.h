/* What authentic packets said about the way to us: whether their SA's outer datagrams come in
 * fragments, and how large what crosses the path in one piece is. From this control learns a path
 * MTU that the peer does not see, and may tell it. Those that are larger than the file lets them be
 * (emtu_r) end here, so that control can tell that, too.
 *
 * Counted are packets whose ICV held, and no others: nobody off the path moves these numbers. The
 * owner of an SA's packets writes, one cell for each SA that had a reassembled packet, or one too
 * large, lately; as long as none has, and any size is taken, whole packets cost two comparisons a
 * burst. Two SAs may want one cell: then the later one has it.
 */
#ifndef FRAG_SEEN_H
#define FRAG_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "frag/reasm.h"
#include "worker/worker.h"

#define FRAG_SEEN_CELLS 256

/* Of one inbound SA, since the last frag_seen_take(). Sizes are of outer packets, IP header
 * included.
 */
struct frag_seen {
	uint32_t sa; /* SA_NONE: nobody's */
	uint32_t generation;
	uint32_t frag_seen; /* datagrams that were put together */
	uint16_t frag_max;  /* the largest single fragment */
	uint16_t whole_max; /* the largest packet that came whole; 0: none while it was looked at */
	uint32_t reassembled_max; /* the largest datagram that was put together */
	uint32_t toobig;	  /* packets that were larger than emtu_r, whole or put together */
	uint32_t toobig_max;	  /* the largest of these */
	uint32_t epoch;		  /* the worker's: which frag_seen_take() it counts for */
};

/* Control: what all workers saw since the last call, an entry for each SA, at most max. Returns how
 * many; what finds no room is forgotten.
 */
uint32_t frag_seen_take(struct worker *const *workers, uint16_t n, struct frag_seen *out,
			uint32_t max);

/* The worker's, of packets that are authentic and have their outer header still. Returns how many
 * are left, in their order: outer_toobig drops.
 */
uint16_t frag_seen_note(struct worker *w, struct rte_mbuf **pkts, uint16_t n);

/* Whether that is worth a look at the moment. */
static inline bool
frag_seen_wanted(const struct worker *w)
{
	return w->frag != NULL &&
	       (w->now < __atomic_load_n(&w->frag->shared->watch_until, __ATOMIC_RELAXED) ||
		w->frag->emtu_r != 0);
}

#endif
