/* The anti-replay window: 64-bit numbers, exact to the packet, one writer (RFC 4303 section 3.4.3,
 * App. A).
 *
 * Asked twice per packet: replay_check() before the crypto, to spend none on a replay, and
 * replay_accept() after the ICV held, with the same 64-bit number that was authenticated. The
 * second answer decides: a burst can carry one number twice, or move the top by more than the
 * window between the two.
 *
 * A ring of bits, one per number, word number >> 6 modulo the words. The ring is W rounded up to 64
 * and to a power of two; there is no spare word, a move clears just the bits between the old top
 * and the new one. Bits of numbers that are left of the window but still in the ring are stale and
 * not read.
 *
 * Window 0 is "off": every number passes, the top still follows the highest one. With ESN the high
 * half is then the one that puts the number nearest to the top: less than 2^31 behind it, at most
 * 2^31 ahead.
 */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "stats/cell.h"
#include "stats/drops.h"

#define REPLAY_ID_SHIFT	  48 /* of a subspace id in a whole number */
#define REPLAY_WINDOW_MIN 32
#define REPLAY_WINDOW_MAX 65536

/* A window's part of the hard lifetime of its key. */
struct replay_limits {
	/* Written by control. */
	uint64_t packets_end, bytes_end; /* counts of the window that are not passed */
	uint8_t packets_why, bytes_why;	 /* enum drop_reason of what comes beyond */

	uint16_t refused[2]; /* by the owner: had to wait for packets, for octets */
	uint16_t seen[2];    /* control's own: as many were known last time */
};

/* The head, one line, which stays where it is for the life of the key. Its bits lie behind it until
 * the window gets another size.
 */
struct replay {
	/* Written by the owner worker alone; control may read each with cell_get(). */
	uint64_t top;	  /* the highest number accepted */
	uint64_t packets; /* accepted and whole, */
	uint64_t bytes;	  /* and their octets; both may begin above 0 */
	uint64_t mark;	  /* above which number to look at ceiling again */

	/* Written by control. */
	uint64_t ceiling;	      /* nothing above is accepted yet */
	struct replay_limits *limits; /* NULL: no limit is near */

	/* Changed by the owner at control's wish, see replay_resize(). */
	uint64_t *bits;
	uint32_t window;    /* W; 0 = off */
	uint16_t word_mask; /* words of the ring - 1 */
	bool esn;
	uint8_t ask_shift; /* control is told 1 << ask_shift numbers before the ceiling */
} __rte_aligned(64);
_Static_assert(sizeof(struct replay) == 64, "one line a head");

/* The windows of an SA with subspaces, one for each id; NULL until a first packet is authentic. An
 * SA has the address of windows[0].
 */
struct replay_set {
	/* Of windows to come, one for each id, or NULL: their parts of the hard lifetime; their
	 * ceilings; the highest numbers accepted already, whole ones, 0 = none.
	 */
	struct replay_limits *limits;
	uint64_t *ceilings;
	uint64_t *starts;
	uint32_t window; /* W of each */
	uint32_t n;
	struct replay *windows[];
};

static inline struct replay_set *
replay_set_of(struct replay **windows)
{
	return (struct replay_set *)((uint8_t *)windows - offsetof(struct replay_set, windows));
}

/* 0, or 32 … 65536. */
static inline bool
replay_window_valid(uint64_t window)
{
	return window == 0 || (window >= REPLAY_WINDOW_MIN && window <= REPLAY_WINDOW_MAX);
}

/* Octets of the bits of a window of W = window, which must be valid. */
size_t replay_bits_size(uint32_t window);

/* Octets of a window with its bits behind the head. */
static inline size_t
replay_size(uint32_t window)
{
	return sizeof(struct replay) + replay_bits_size(window);
}

/* A window that has accepted every number up to top: 0 (or id << 48) for a new one. Its bits lie
 * behind the head. Without ESN, top is below 2^32. No ceiling, no limits.
 */
void replay_init(struct replay *r, uint32_t window, bool esn, uint64_t top);

/* Goes on with another size or ESN setting. *bits: storage of replay_bits_size(window), which is
 * the window's from now on; on return what it had before, or NULL where that lies behind the head.
 * What only the new size could tell apart counts as seen. By the owner, between two bursts; at most
 * 1,025 words of work.
 */
void replay_resize(struct replay *r, uint32_t window, bool esn, uint64_t **bits);

/* windows[id] is fresh from now on: a window of replay_init() with the set's size, ESN and top 0.
 * For its first packet, once its ICV held; replay_accept() is what judges that next. By the owner
 * of id.
 */
void replay_publish(struct replay **windows, uint16_t id, struct replay *fresh);

/* From now on every number up to top counts as seen. Never lowers. By the owner. */
void replay_raise(struct replay *r, uint64_t top);

/* After replay_accept() said DROP_SEQ_WAIT: true, accept again, since control has allowed more.
 * *ask, once per ceiling: control is to be told that it is near; replay_ask_again() where that
 * fails. Owner only.
 */
bool replay_stopped(struct replay *r, uint64_t seq, bool *ask);
void replay_ask_again(struct replay *r);

/* Whether control was told that the ceiling of now is near. Any thread. */
static inline bool
replay_has_asked(const struct replay *r)
{
	return cell_get(&r->mark) == cell_get(&r->ceiling);
}

/* Parts of the functions below that are seldom needed: limits; a window that is off; a gap. */
enum drop_reason replay_refused(const struct replay *r, struct replay_limits *l, uint32_t bytes);
enum drop_reason replay_check_off(const struct replay *r, uint32_t seq_low, uint64_t *seq);
enum drop_reason replay_accept_off(struct replay *r, uint64_t seq);
void replay_jump(struct replay *r, uint64_t seq);

/* For a packet of so many octets: whether the key's hard lifetime lets it pass; DROP_NONE, and it
 * is counted, or why not. Owner only.
 */
static inline enum drop_reason
replay_count(struct replay *r, uint32_t bytes)
{
	struct replay_limits *l = __atomic_load_n(&r->limits, __ATOMIC_RELAXED);

	if (unlikely(l != NULL)) {
		enum drop_reason why = replay_refused(r, l, bytes);

		if (why != DROP_NONE)
			return why;
	}
	cell_add(&r->packets, 1);
	cell_add(&r->bytes, bytes);
	return DROP_NONE;
}

/* The same for n packets of so many octets together. False: a limit is near, and nothing is
 * counted: each is to be asked for by itself. Owner only.
 */
static inline bool
replay_count_run(struct replay *r, uint32_t n, uint64_t bytes)
{
	if (unlikely(__atomic_load_n(&r->limits, __ATOMIC_RELAXED) != NULL))
		return false;
	cell_add(&r->packets, n);
	cell_add(&r->bytes, bytes);
	return true;
}

/* Any thread. */
static inline uint64_t
replay_top(const struct replay *r)
{
	return __atomic_load_n(&r->top, __ATOMIC_RELAXED);
}

/* What replay_accept() will touch of the bits. */
static inline void
replay_prefetch(const struct replay *r, uint64_t seq)
{
	rte_prefetch0(&r->bits[seq >> 6 & r->word_mask]);
}

static inline bool
replay_seen(const struct replay *r, uint64_t seq)
{
	return r->bits[seq >> 6 & r->word_mask] >> (seq & 63) & 1;
}

/* Before the crypto, where the packet carries the whole number: DROP_NONE, DROP_REPLAY_ZERO for a
 * subspace's number 0, DROP_REPLAY_OLD or DROP_REPLAY_DUP. Changes nothing.
 */
static inline enum drop_reason
replay_check_whole(const struct replay *r, uint64_t seq)
{
	uint64_t top = r->top;

	if (unlikely(r->window == 0))
		return DROP_NONE;
	if (likely(seq > top))
		return DROP_NONE;
	if (unlikely(seq << (64 - REPLAY_ID_SHIFT) == 0))
		return DROP_REPLAY_ZERO;
	if (unlikely(top - seq >= r->window))
		return DROP_REPLAY_OLD;
	return replay_seen(r, seq) ? DROP_REPLAY_DUP : DROP_NONE;
}

/* Before the crypto: the number of which seq_low, host order, is the low half, in *seq, and whether
 * a packet of that number may still pass: DROP_NONE, DROP_REPLAY_ZERO, DROP_REPLAY_OLD or
 * DROP_REPLAY_DUP. Changes nothing.
 */
static inline enum drop_reason
replay_check(const struct replay *r, uint32_t seq_low, uint64_t *seq)
{
	uint64_t top = r->top, left = 0, number;

	if (unlikely(r->window == 0))
		return replay_check_off(r, seq_low, seq);
	/* App. A2.2: the one number of that low half in the 2^32 that begin at the window's left
	 * edge. */
	if (r->esn)
		left = top - (r->window - 1);
	number = left + (uint32_t)(seq_low - (uint32_t)left);
	*seq = number;
	if (likely((int64_t)(number - top) > 0 && number > top))
		return DROP_NONE;
	if (unlikely(number == 0))
		return DROP_REPLAY_ZERO;
	/* Also what is above the top by one comparison only: a high half of -1, or one behind the
	 * last. */
	if (unlikely(number > top || top - number >= r->window))
		return DROP_REPLAY_OLD;
	return replay_seen(r, number) ? DROP_REPLAY_DUP : DROP_NONE;
}

/* After the ICV held for seq, as replay_check() gave it: DROP_NONE and seq is seen from now on, or
 * as above, or DROP_SEQ_WAIT above the ceiling, and nothing changed.
 */
static inline enum drop_reason
replay_accept(struct replay *r, uint64_t seq)
{
	uint64_t *word = &r->bits[seq >> 6 & r->word_mask];
	uint64_t bit = UINT64_C(1) << (seq & 63);

	if (unlikely(r->window == 0))
		return replay_accept_off(r, seq);
	if (likely(seq > r->top)) {
		if (unlikely(seq > r->mark))
			return DROP_SEQ_WAIT;
		if (unlikely(seq - r->top != 1)) {
			replay_jump(r, seq);
			return DROP_NONE;
		}
		*word |= bit;
		__atomic_store_n(&r->top, seq, __ATOMIC_RELAXED);
		return DROP_NONE;
	}
	if (unlikely(seq == 0))
		return DROP_REPLAY_ZERO;
	if (unlikely(r->top - seq >= r->window))
		return DROP_REPLAY_OLD;
	if (unlikely((*word & bit) != 0))
		return DROP_REPLAY_DUP;
	*word |= bit;
	return DROP_NONE;
}

/* The same for n numbers in a row from seq on, where these are the next ones, as most are: all are
 * seen from now on. False: nothing changed, and each is to be asked for by itself.
 */
static inline bool
replay_accept_run(struct replay *r, uint64_t seq, uint32_t n)
{
	uint64_t last = seq + n - 1;

	if (unlikely(r->window == 0 || seq - r->top != 1 || last < seq || last > r->mark))
		return false;
	for (uint64_t at = seq; at - seq < n; at = (at | 63) + 1) {
		uint64_t end = RTE_MIN(last, at | 63);

		r->bits[at >> 6 & r->word_mask] |=
			UINT64_MAX << (at & 63) & UINT64_MAX >> (63 - (end & 63));
	}
	__atomic_store_n(&r->top, last, __ATOMIC_RELAXED);
	return true;
}

#endif
