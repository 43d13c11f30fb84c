#include "aggfrag/wheel.h"

#include <string.h>

void
wheel_init(struct wheel *w)
{
	memset(w, 0, sizeof(*w));
	w->next = UINT64_MAX;
	for (unsigned int level = 0; level < WHEEL_LEVELS; level++)
		for (unsigned int i = 0; i < WHEEL_SLOTS; i++) {
			struct wheel_link *slot = &w->slots[level][i];

			slot->next = slot->prev = slot;
		}
}

/* A slot's last timer is gone when the links at both sides of it are the slot's own. */
static void
slot_note_empty(struct wheel *w, const struct wheel_link *slot)
{
	size_t i = (size_t)(slot - &w->slots[0][0]);
	unsigned int level = (unsigned int)(i / WHEEL_SLOTS);

	w->used[level] &= ~(UINT64_C(1) << i % WHEEL_SLOTS);
	if (w->used[level] == 0)
		w->levels &= ~(1u << level);
}

static void
unlink_timer(struct wheel *w, struct wheel_timer *t)
{
	struct wheel_link *next = t->link.next, *prev = t->link.prev;

	prev->next = next;
	next->prev = prev;
	t->link.next = NULL;
	if (next == prev)
		slot_note_empty(w, next);
}

/* Into the level of the highest digit, of six bits, in which its time differs from the base: all
 * that is in a level comes before all that is in the levels above.
 */
static void
place(struct wheel *w, struct wheel_timer *t)
{
	uint64_t tick = t->at / WHEEL_SLOT_NS, differs;
	struct wheel_link *slot, *behind;
	unsigned int level, i;

	tick = tick > WHEEL_LAST ? WHEEL_LAST : tick;
	tick = tick < w->base ? w->base : tick;
	differs = tick ^ w->base;
	level = differs == 0 ? 0 : (63 - (unsigned int)__builtin_clzll(differs)) / WHEEL_BITS;
	i = tick >> level * WHEEL_BITS & (WHEEL_SLOTS - 1);
	slot = &w->slots[level][i];
	behind = slot->prev;
	/* Within one µs they are in order; coarser slots are put in order when their time comes. */
	while (level == 0 && behind != slot && ((struct wheel_timer *)behind)->at > t->at)
		behind = behind->prev;
	t->link.prev = behind;
	t->link.next = behind->next;
	behind->next->prev = &t->link;
	behind->next = &t->link;
	w->used[level] |= UINT64_C(1) << i;
	w->levels |= 1u << level;
}

void
wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t at)
{
	if (wheel_is_set(t))
		unlink_timer(w, t);
	t->at = at;
	place(w, t);
	if (at < w->next)
		w->next = at;
}

void
wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
	if (!wheel_is_set(t))
		return;
	unlink_timer(w, t);
	if (w->levels == 0)
		w->next = UINT64_MAX;
}

/* The time of a coarse slot has come: its timers go to finer ones. */
static void
spread(struct wheel *w, struct wheel_link *slot, uint64_t start)
{
	struct wheel_link *first = slot->next;

	w->base = start;
	slot->prev->next = NULL;
	slot->next = slot->prev = slot;
	slot_note_empty(w, slot);
	while (first != NULL) {
		struct wheel_timer *t = (struct wheel_timer *)first;

		first = first->next;
		place(w, t);
	}
}

struct wheel_timer *
wheel_take(struct wheel *w, uint64_t now)
{
	while (w->levels != 0) {
		unsigned int level = (unsigned int)__builtin_ctz(w->levels),
			     i = (unsigned int)__builtin_ctzll(w->used[level]),
			     shift = level * WHEEL_BITS;
		struct wheel_link *slot = &w->slots[level][i];
		struct wheel_timer *t = (struct wheel_timer *)slot->next;
		/* The base's digits above the level's, the slot's own, and zeros. */
		uint64_t start = ((w->base >> shift >> WHEEL_BITS) << WHEEL_BITS | i) << shift;

		if (level > 0 && start <= now / WHEEL_SLOT_NS) {
			spread(w, slot, start);
			continue;
		}
		w->next = level > 0 ? start * WHEEL_SLOT_NS : t->at;
		if (w->next > now)
			return NULL;
		unlink_timer(w, t);
		if (w->levels == 0)
			w->next = UINT64_MAX;
		return t;
	}
	w->next = UINT64_MAX;
	/* Nothing is in the slots: what is set next finds the finest one. */
	w->base = now / WHEEL_SLOT_NS;
	return NULL;
}
