#include "replay/replay.h"

#include <string.h>

#include <rte_common.h>

#define WORD_BITS 64

static uint32_t
ring_words(uint32_t window)
{
	return rte_align32pow2((window + WORD_BITS - 1) / WORD_BITS);
}

size_t
replay_size(uint32_t window)
{
	return sizeof(struct replay) + (window == 0 ? 0 : ring_words(window) * sizeof(uint64_t));
}

/* Numbers up to the top that were never accepted one by one are refused like those that were. */
static void
all_seen(struct replay *r)
{
	if (r->window != 0)
		memset(r->words, 0xff, ((size_t)r->word_mask + 1) * sizeof(r->words[0]));
}

void
replay_init(struct replay *r, uint32_t window, bool esn, uint64_t top)
{
	r->top = top;
	r->moved = NULL;
	r->window = window;
	r->word_mask = window == 0 ? 0 : ring_words(window) - 1;
	r->esn = esn;
	r->cookie = 0;
	all_seen(r);
}

/* The bits of word number q (bit 0 is number 64q) that stand for first … last. */
static uint64_t
range_mask(uint64_t q, uint64_t first, uint64_t last)
{
	uint64_t mask = UINT64_MAX;

	if (q == first >> 6)
		mask &= UINT64_MAX << (first & 63);
	if (q == last >> 6)
		mask &= UINT64_MAX >> (63 - (last & 63));
	return mask;
}

/* The ring's first and last word can be the same one: each takes its own bits of it. */
static void
copy_bits(const struct replay *old, struct replay *fresh, uint64_t n)
{
	uint64_t top = old->top, first = top < n ? 0 : top - n + 1;

	for (uint64_t q = first >> 6; q <= top >> 6; q++) {
		uint64_t mask = range_mask(q, first, top);
		uint64_t *to = &fresh->words[q & fresh->word_mask];

		*to = (*to & ~mask) | (old->words[q & old->word_mask] & mask);
	}
}

void
replay_resize(struct replay *old, struct replay *fresh)
{
	uint32_t both = RTE_MIN(old->window, fresh->window);

	all_seen(fresh);
	if (both != 0)
		copy_bits(old, fresh, both);
	__atomic_store_n(&fresh->top, old->top, __ATOMIC_RELAXED);
	old->moved = fresh;
	old->window = 0;
}

void
replay_raise(struct replay *r, uint64_t top)
{
	if (top <= r->top)
		return;
	all_seen(r);
	__atomic_store_n(&r->top, top, __ATOMIC_RELAXED);
}

enum drop_reason
replay_check_off(const struct replay *r, uint32_t seq_low, uint64_t *seq)
{
	const uint64_t behind = (UINT64_C(1) << 31) - 1, last_left = UINT64_MAX - UINT32_MAX;
	uint64_t left = 0;

	if (r->moved != NULL)
		return replay_check(r->moved, seq_low, seq);
	/* The span of 2^32 never leaves the 64 bits: every low half has a number. */
	if (r->esn && r->top > behind)
		left = RTE_MIN(r->top - behind, last_left);
	*seq = left + (uint32_t)(seq_low - (uint32_t)left);
	return DROP_NONE;
}

enum drop_reason
replay_accept_off(struct replay *r, uint64_t seq)
{
	if (r->moved != NULL)
		return replay_accept(r->moved, seq);
	if (seq > r->top)
		__atomic_store_n(&r->top, seq, __ATOMIC_RELAXED);
	return DROP_NONE;
}

/* Accepts a seq above the top: what lies between becomes unseen, at most the whole ring. */
void
replay_jump(struct replay *r, uint64_t seq)
{
	uint64_t top = r->top, n_words = (uint64_t)r->word_mask + 1;

	__atomic_store_n(&r->top, seq, __ATOMIC_RELAXED);
	if (seq - top >= n_words * WORD_BITS) {
		memset(r->words, 0, n_words * sizeof(r->words[0]));
	} else {
		for (uint64_t q = (top + 1) >> 6; q <= seq >> 6; q++)
			r->words[q & r->word_mask] &= ~range_mask(q, top + 1, seq);
	}
	r->words[seq >> 6 & r->word_mask] |= UINT64_C(1) << (seq & 63);
}
