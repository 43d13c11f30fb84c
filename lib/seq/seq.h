/* Outbound sequence numbers: one lane, one writer.
 *
 * The first number is 1, 0 is never sent. Without ESN 2^32-1 is the last one sent, with ESN 2^64-1;
 * the counter never wraps (RFC 4303 section 3.3.3): after the last, nothing more is ever taken from
 * the lane.
 */
#ifndef SEQ_SEQ_H
#define SEQ_SEQ_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "stats/cell.h"

/* Written by the owner worker alone; control may read each field with cell_get(). */
struct lane {
	uint64_t next;	  /* the next number to use; 0 = the last of all, 2^64-1, is used */
	uint64_t packets; /* taken numbers that life_count let pass */
	uint64_t bytes;	  /* their octets */
	uint64_t room[5];
} __rte_aligned(64);
_Static_assert(sizeof(struct lane) == 64, "one line a lane");

/* The last number that may ever be sent. */
static inline uint64_t
seq_last(bool esn)
{
	return esn ? UINT64_MAX : UINT32_MAX;
}

/* A lane that goes on above used, the last number already used (0: a new one). */
static inline void
lane_init(struct lane *l, uint64_t used)
{
	*l = (struct lane) { .next = used + 1 };
}

/* The last number used, 0 = none. Any thread. */
static inline uint64_t
lane_used(const struct lane *l)
{
	return cell_get(&l->next) - 1;
}

/* Takes the next number, host order, if it is not above end: at most seq_last(), or less where a
 * limit comes first. Owner only. False: nothing is taken, the packet must not be sent.
 */
static inline bool
lane_take(struct lane *l, uint64_t end, uint64_t *seq)
{
	uint64_t next = l->next;

	/* Compared one lower: a next of 0, behind 2^64-1, is then above every end. */
	if (unlikely(next - 1 >= end))
		return false;
	*seq = next;
	__atomic_store_n(&l->next, next + 1, __ATOMIC_RELAXED);
	return true;
}

/* No number up to used is taken from now on. Never lowers. Owner only. */
static inline void
lane_raise(struct lane *l, uint64_t used)
{
	if (lane_used(l) < used)
		__atomic_store_n(&l->next, used + 1, __ATOMIC_RELAXED);
}

#endif
