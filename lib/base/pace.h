/* At most so many events in a second, and no more than a second's worth of them at once. All zero
 * to begin with; one thread's.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_SECOND_NS UINT64_C(1000000000)

struct pace {
	uint64_t paid; /* ns: until when the events so far use the rate up */
};

/* Takes one event at a time of now (ns) if the rate, of 1 to 10^9 per second, has room for it. */
static inline bool
pace_take(struct pace *p, uint64_t now, uint32_t rate)
{
	uint64_t from = p->paid > now ? p->paid : now;

	if (from - now >= PACE_SECOND_NS)
		return false;
	p->paid = from + PACE_SECOND_NS / rate;
	return true;
}

#endif
