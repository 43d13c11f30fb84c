/* The circuit breaker of a constant rate without congestion control (RFC 9347 section 2.4.2.1, RFC
 * 8084): loss of so many per cent that lasts so long stops the sender.
 *
 * Loss is that of the peer's payloads, and of ours where the peer's headers tell of it. It is
 * judged in slices of a tenth of the time, each at least so long that some twenty payloads were
 * due; a slice below the threshold begins anew. Where nothing comes nothing is known: silence stops
 * nobody.
 *
 * What tripped stays open until control closes it, or its SA is replaced: a path that was
 * overloaded by a rate that somebody set is not to be overloaded again before somebody looked.
 */
#ifndef AGGFRAG_BREAKER_H
#define AGGFRAG_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "stats/cell.h"

struct aggfrag_breaker {
	/* Written by the outbound stream's owner. */
	uint64_t slice_at, received, missed; /* ns, 0: none; what it began with */
	uint64_t over_at;		     /* ns: when the first slice over began; 0: none is */
	uint64_t done;			     /* of the wishes */
	uint64_t opened;		     /* cell: ns; 0: it is closed */
	uint64_t trips;			     /* cell */
	/* Written by control: how often it wished it closed; trips that it told of, and whether the
	 * last of these was the end of it. */
	uint64_t wishes, told;
	bool told_open;
};

/* What is known of loss. */
struct aggfrag_breaker_loss {
	uint64_t received, missed; /* of the peer's payloads, in all */
	uint32_t loss_rate;	   /* of ours, as its headers say: packets per event; 0 = none */
};

/* Looks at it, as often as the owner likes. percent and ns: what is configured, percent above 0. */
void aggfrag_breaker_look(struct aggfrag_breaker *b, uint32_t percent, uint64_t time,
			  const struct aggfrag_breaker_loss *loss, uint64_t now);

/* The owner: it begins anew, closed. */
void aggfrag_breaker_reset(struct aggfrag_breaker *b);

/* Whether the sender stands still. Any thread. */
static inline bool
aggfrag_breaker_is_open(const struct aggfrag_breaker *b)
{
	return cell_get(&b->opened) != 0;
}

/* Control: it is to be closed, and is at the owner's next look. */
static inline void
aggfrag_breaker_close(struct aggfrag_breaker *b)
{
	cell_add(&b->wishes, 1);
}

#endif
