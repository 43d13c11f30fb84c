/* What is due when: of one worker, in slots of 1 µs, so that pacing costs what is due and no more.
 *
 * A hierarchy of 64 slots each: the first level's are 1 µs, each next one's 64 times as long, and
 * nine of them hold any time there is, and what is never due. A timer moves to a finer level when
 * the time of its slot has come, eight times at most, however far the clock jumps; empty slots cost
 * nothing.
 *
 * A timer is in its owner's structure and in one wheel at most. All calls are the worker's.
 */
#ifndef AGGFRAG_WHEEL_H
#define AGGFRAG_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_SLOT_NS 1000
#define WHEEL_BITS    6
#define WHEEL_SLOTS   (1 << WHEEL_BITS)
#define WHEEL_LEVELS  9 /* of 54 bits of µs, 570 years */
/* What is later waits there. */
#define WHEEL_LAST ((UINT64_C(1) << WHEEL_LEVELS * WHEEL_BITS) - 1)

struct wheel_link {
	struct wheel_link *next, *prev;
};

/* Zeroed memory is a timer that is not set. */
struct wheel_timer {
	struct wheel_link link; /* the first member; next NULL: not set */
	uint64_t at;		/* ns */
};

struct wheel {
	uint64_t next;		     /* ns: nothing is due before; UINT64_MAX: nothing is set */
	uint64_t base;		     /* µs: what was due before is out of the slots */
	uint32_t levels;	     /* mask of those with a slot in use */
	uint64_t used[WHEEL_LEVELS]; /* of each level: mask of the slots in use */
	struct wheel_link slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w);

/* Sets a timer, also one that was set, to ns; one of the past is due at once. */
void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t at);
/* One that is not set stays so. */
void wheel_cancel(struct wheel *w, struct wheel_timer *t);

/* Takes out the first timer, by its time and then as they were set, that is due at `now`, or
 * returns NULL.
 */
struct wheel_timer *wheel_take(struct wheel *w, uint64_t now);

/* To be asked each loop: false for sure when nothing is due. */
static inline bool
wheel_may_be_due(const struct wheel *w, uint64_t now)
{
	return now >= w->next;
}

/* Nothing is set, for sure: then the clock need not be asked. */
static inline bool
wheel_is_idle(const struct wheel *w)
{
	return w->next == UINT64_MAX;
}

static inline bool
wheel_is_set(const struct wheel_timer *t)
{
	return t->link.next != NULL;
}

#endif
