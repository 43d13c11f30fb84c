/* What is due when: of one worker, in slots of 1 µs, so that pacing costs what is due and no more.
 *
 * A timer is in its owner's structure and in one wheel at most. All calls are the worker's.
 */
#ifndef AGGFRAG_WHEEL_H
#define AGGFRAG_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed memory is a timer that is not set. */
struct wheel_timer {
	struct wheel_timer *next, **link; /* link NULL: not set */
	uint64_t at;			  /* ns */
	uint8_t kind;			  /* the user's: what it is in */
};

#endif
