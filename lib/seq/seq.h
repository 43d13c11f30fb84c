/* Outbound sequence numbers: a lane, which has one writer.
 *
 * A number is 64 bits, host order, as nonce and AAD are made of it. The first one is 1, 0 is never
 * sent. Without ESN 2^32-1 is the last one sent, with ESN 2^64-1; the counter never wraps (RFC 4303
 * section 3.3.3): after the last, nothing more is ever taken from the lane.
 *
 * An SA with subspaces has a lane for each subspace id, side by side in one array. The id stands in
 * the top 16 bits of its numbers: they go from id << 48 | 1 to id << 48 | 2^48-1. Lane 0 is the
 * lane of an SA without subspaces.
 *
 * Control says how far the owner may go: `end` is the least of what the number space, the hard
 * lifetime in packets and the durable reservation allow, and `why` says which it is. On its fast
 * way the owner compares with `mark` alone, its own copy; only there does it look at `end` again.
 * So `end` may be raised at any time, and what lowers it is the owner's to do, by mail.
 */
#ifndef SEQ_SEQ_H
#define SEQ_SEQ_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "stats/cell.h"
#include "stats/drops.h"

#define LANE_ID_BITS  16
#define LANE_ID_SHIFT 48
#define LANE_SN_MAX   ((UINT64_C(1) << LANE_ID_SHIFT) - 1)
#define LANES_OUT_MAX 1024 /* of one SA */

/* What a lane's end comes from. */
enum lane_end {
	LANE_END_SPACE,	  /* no number is left */
	LANE_END_LIMIT,	  /* the key's hard lifetime */
	LANE_END_CREDIT,  /* this lane's part of it: there may be more */
	LANE_END_RESERVE, /* no number beyond is durably reserved yet */
};

struct lane {
	/* Written by the owner worker alone; control may read each with cell_get(). */
	uint64_t next;	  /* the next number to use; 0 = the last of all, 2^64-1, is used */
	uint64_t packets; /* numbers taken, */
	uint64_t bytes;	  /* and the octets of their packets; both may begin above 0 */
	uint64_t mark;	  /* at which number to look at end again */
	uint64_t asked;	  /* the end of which control was told that it is near */

	/* Written by control; in numbers_job_run() by the owner, while control waits for it. */
	uint64_t end;	    /* the last number that may be sent */
	uint64_t bytes_end; /* the most octets */
	uint8_t why;	    /* enum lane_end */
	uint8_t bytes_why;  /* likewise: LANE_END_LIMIT or LANE_END_CREDIT */
	uint8_t ask_shift;  /* LANE_END_RESERVE: it is near 1 << ask_shift numbers before */
	uint8_t spare;
	uint16_t refused[2]; /* owner: for want of credit in packets, in octets */
} __rte_aligned(64);
_Static_assert(sizeof(struct lane) == 64, "one line a lane");

/* The last number that may ever be sent without subspaces; in the lane of a subspace id. */
static inline uint64_t
seq_last(bool esn)
{
	return esn ? UINT64_MAX : UINT32_MAX;
}

static inline uint64_t
lane_last(uint16_t id)
{
	return (uint64_t)id << LANE_ID_SHIFT | LANE_SN_MAX;
}

/* A lane that goes on above used, the last number already used (0 or id << 48: a new one), up to
 * last, with no other limit.
 */
static inline void
lane_init(struct lane *l, uint64_t used, uint64_t last)
{
	*l = (struct lane) {
		.next = used + 1,
		.mark = last,
		.asked = UINT64_MAX,
		.end = last,
		.bytes_end = UINT64_MAX,
	};
}

/* The last number used, 0 (or id << 48) = none. Any thread. */
static inline uint64_t
lane_used(const struct lane *l)
{
	return cell_get(&l->next) - 1;
}

/* Takes the next n numbers, host order, from *seq on, for so many packets of so many octets
 * together, and counts them. Owner only. False: nothing is taken; for one packet lane_stopped()
 * says what now.
 */
static inline bool
lane_take_run(struct lane *l, uint32_t n, uint64_t bytes, uint64_t *seq)
{
	uint64_t next = l->next, sum = l->bytes + bytes;

	/* Compared one lower: a next of 0, behind 2^64-1, is then above every mark. */
	if (unlikely(next - 1 >= l->mark || l->mark - (next - 1) < n ||
		     sum > cell_get(&l->bytes_end)))
		return false;
	*seq = next;
	__atomic_store_n(&l->next, next + n, __ATOMIC_RELAXED);
	__atomic_store_n(&l->bytes, sum, __ATOMIC_RELAXED);
	cell_add(&l->packets, n);
	return true;
}

static inline bool
lane_take(struct lane *l, uint32_t bytes, uint64_t *seq)
{
	return lane_take_run(l, 1, bytes, seq);
}

/* Whether lane_take() will take one for so many octets, behind n others of `sum` octets. */
static inline bool
lane_has(const struct lane *l, uint32_t n, uint64_t sum, uint32_t bytes)
{
	return l->mark > n && l->next - 1 < l->mark - n &&
	       l->bytes + sum + bytes <= cell_get(&l->bytes_end);
}

/* A packet's octets count as they came: those that it is not sent with, since it was compressed,
 * are counted before lane_take() counts the rest. False: a lifetime does not leave so many, and
 * nothing is counted: it is to be sent as it came. Owner only.
 */
static inline bool
lane_count_saved(struct lane *l, uint32_t came, uint32_t saved)
{
	if (l->bytes + came > cell_get(&l->bytes_end))
		return false;
	cell_add(&l->bytes, saved);
	return true;
}

/* After lane_take() said no: DROP_NONE, take again, since control has allowed more; or why the
 * packet is not sent: DROP_SEQ_EXHAUSTED, DROP_EXPIRED, DROP_SEQ_WAIT. *ask, once per reservation:
 * control is to be told that this one nears its end. Owner only.
 */
enum drop_reason lane_stopped(struct lane *l, uint32_t bytes, bool *ask);

/* Control could not be told: lane_stopped() will ask again soon. Owner only. */
void lane_ask_again(struct lane *l);

/* No number up to used is taken from now on. Never lowers. Owner only. */
void lane_raise(struct lane *l, uint64_t used);

/* From now on the owner looks at what control says before it takes a number. Owner only. */
static inline void
lane_recheck(struct lane *l)
{
	l->mark = 0;
}

#endif
