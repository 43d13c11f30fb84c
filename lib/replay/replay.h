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

#include "stats/drops.h"

#define REPLAY_WINDOW_MIN 32
#define REPLAY_WINDOW_MAX 65536

/* Written by the owner worker alone; control may read top with replay_top(). In an allocation
 * aligned to a cache line, windows up to 256 lie in one line.
 */
struct replay {
	uint64_t top; /* the highest number accepted */
	/* Set once another window goes on in this one's place: who still holds this one is led
	 * there. window is 0 then, so that nobody else pays for the question.
	 */
	struct replay *moved;
	uint32_t window;    /* W; 0 = off */
	uint16_t word_mask; /* words of the ring - 1 */
	bool esn;
	uint32_t cookie; /* whoever allocated it may keep something here */
	uint64_t words[];
};
_Static_assert(offsetof(struct replay, words) + 256 / 8 <= 64, "small windows in one line");

/* 0, or 32 … 65536. */
static inline bool
replay_window_valid(uint64_t window)
{
	return window == 0 || (window >= REPLAY_WINDOW_MIN && window <= REPLAY_WINDOW_MAX);
}

/* Octets of a window of W = window, which must be valid. */
size_t replay_size(uint32_t window);

/* A window that has accepted every number up to top: 0 for a new SA. Without ESN, top is below
 * 2^32. */
void replay_init(struct replay *r, uint32_t window, bool esn, uint64_t top);

/* Makes fresh, initialised with any window and ESN setting, go on exactly where old is, and old
 * lead to it: from now on a check or an accept of either is one of fresh. Numbers that only fresh
 * could tell apart count as seen. By the owner, between two bursts; at most 1,025 words of work.
 */
void replay_resize(struct replay *old, struct replay *fresh);

/* From now on every number up to top counts as seen. Never lowers. By the owner. */
void replay_raise(struct replay *r, uint64_t top);

/* Parts of the functions below that are seldom needed: a window that is off or has moved; a gap. */
enum drop_reason replay_check_off(const struct replay *r, uint32_t seq_low, uint64_t *seq);
enum drop_reason replay_accept_off(struct replay *r, uint64_t seq);
void replay_jump(struct replay *r, uint64_t seq);

/* Any thread. */
static inline uint64_t
replay_top(const struct replay *r)
{
	return __atomic_load_n(&r->top, __ATOMIC_RELAXED);
}

static inline bool
replay_seen(const struct replay *r, uint64_t seq)
{
	return r->words[seq >> 6 & r->word_mask] >> (seq & 63) & 1;
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
 * as above and nothing changed.
 */
static inline enum drop_reason
replay_accept(struct replay *r, uint64_t seq)
{
	uint64_t *word = &r->words[seq >> 6 & r->word_mask];
	uint64_t bit = UINT64_C(1) << (seq & 63);

	if (unlikely(r->window == 0))
		return replay_accept_off(r, seq);
	if (likely(seq > r->top)) {
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

#endif
