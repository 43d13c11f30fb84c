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
replay_bits_size(uint32_t window)
{
	return window == 0 ? 0 : ring_words(window) * sizeof(uint64_t);
}

/* Numbers up to the top that were never accepted one by one are refused like those that were. */
static void
all_seen(struct replay *r)
{
	if (r->window != 0)
		memset(r->bits, 0xff, replay_bits_size(r->window));
}

static void
size_set(struct replay *r, uint32_t window, bool esn, uint64_t *bits)
{
	r->bits = bits;
	r->window = window;
	r->word_mask = window == 0 ? 0 : ring_words(window) - 1;
	r->esn = esn;
	all_seen(r);
}

void
replay_init(struct replay *r, uint32_t window, bool esn, uint64_t top)
{
	*r = (struct replay) { .top = top, .mark = UINT64_MAX, .ceiling = UINT64_MAX };
	size_set(r, window, esn, (uint64_t *)(r + 1));
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
	uint64_t top = fresh->top, first = top < n ? 0 : top - n + 1;

	for (uint64_t q = first >> 6; q <= top >> 6; q++) {
		uint64_t mask = range_mask(q, first, top);
		uint64_t *to = &fresh->bits[q & fresh->word_mask];

		*to = (*to & ~mask) | (old->bits[q & old->word_mask] & mask);
	}
}

void
replay_resize(struct replay *r, uint32_t window, bool esn, uint64_t **bits)
{
	struct replay old = *r;

	size_set(r, window, esn, *bits);
	if (old.window != 0 && window != 0)
		copy_bits(&old, r, RTE_MIN(old.window, window));
	*bits = old.bits == (uint64_t *)(r + 1) ? NULL : old.bits;
}

/* Control reads it. */
static void
mark_set(struct replay *r, uint64_t mark)
{
	__atomic_store_n(&r->mark, mark, __ATOMIC_RELAXED);
}

bool
replay_stopped(struct replay *r, uint64_t seq, bool *ask)
{
	uint64_t ceiling = cell_get(&r->ceiling), before = UINT64_C(1) << r->ask_shift;
	uint64_t ask_at = ceiling > before ? ceiling - before : 0;

	*ask = false;
	/* The mark stands at the ceiling only once control was told of it. */
	if (r->mark != ceiling && ceiling != UINT64_MAX && seq <= ask_at) {
		mark_set(r, ask_at);
	} else {
		*ask = r->mark != ceiling && ceiling != UINT64_MAX;
		mark_set(r, ceiling);
	}
	return seq <= ceiling;
}

void
replay_ask_again(struct replay *r)
{
	/* Below the ceiling, wherever that is: at the top it may be the ceiling itself. */
	mark_set(r, 0);
}

/* When half of what is left now is used, or a little later. */
static uint8_t
half_shift(uint64_t top, uint64_t ceiling)
{
	uint64_t half = ceiling > top ? (ceiling - top) / 2 : 0;

	return half == 0 ? 0 : (uint8_t)(63 - __builtin_clzll(half));
}

static void
limits_find(struct replay *r, const struct replay_set *s, uint16_t id)
{
	struct replay_limits *limits = __atomic_load_n(&s->limits, __ATOMIC_ACQUIRE);

	if (limits != NULL)
		__atomic_store_n(&r->limits, &limits[id], __ATOMIC_RELAXED);
}

void
replay_publish(struct replay **windows, uint16_t id, struct replay *fresh)
{
	const struct replay_set *s = replay_set_of(windows);

	fresh->top = (uint64_t)id << REPLAY_ID_SHIFT;
	if (s->starts != NULL)
		fresh->top = RTE_MAX(fresh->top, s->starts[id]);
	if (s->ceilings != NULL) {
		fresh->ceiling = cell_get(&s->ceilings[id]);
		fresh->ask_shift = half_shift(fresh->top, fresh->ceiling);
		fresh->mark = 0;
	}
	limits_find(fresh, s, id);
	__atomic_store_n(&windows[id], fresh, __ATOMIC_RELEASE);
	/* Limits that came meanwhile: either control finds the window, or they are found here. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	limits_find(fresh, s, id);
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
replay_refused(const struct replay *r, struct replay_limits *l, uint32_t bytes)
{
	enum drop_reason why = DROP_NONE;
	bool bytes_too = r->packets < cell_get(&l->packets_end);

	if (!bytes_too)
		why = (enum drop_reason)__atomic_load_n(&l->packets_why, __ATOMIC_RELAXED);
	else if (r->bytes + bytes > cell_get(&l->bytes_end))
		why = (enum drop_reason)__atomic_load_n(&l->bytes_why, __ATOMIC_RELAXED);
	if (why == DROP_SEQ_WAIT)
		__atomic_store_n(&l->refused[bytes_too], (uint16_t)(l->refused[bytes_too] + 1),
				 __ATOMIC_RELAXED);
	return why;
}

enum drop_reason
replay_check_off(const struct replay *r, uint32_t seq_low, uint64_t *seq)
{
	const uint64_t behind = (UINT64_C(1) << 31) - 1, last_left = UINT64_MAX - UINT32_MAX;
	uint64_t left = 0;

	/* The span of 2^32 never leaves the 64 bits: every low half has a number. */
	if (r->esn && r->top > behind)
		left = RTE_MIN(r->top - behind, last_left);
	*seq = left + (uint32_t)(seq_low - (uint32_t)left);
	return DROP_NONE;
}

enum drop_reason
replay_accept_off(struct replay *r, uint64_t seq)
{
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
		memset(r->bits, 0, n_words * sizeof(r->bits[0]));
	} else {
		for (uint64_t q = (top + 1) >> 6; q <= seq >> 6; q++)
			r->bits[q & r->word_mask] &= ~range_mask(q, top + 1, seq);
	}
	r->bits[seq >> 6 & r->word_mask] |= UINT64_C(1) << (seq & 63);
}
