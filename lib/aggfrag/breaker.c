#include "aggfrag/breaker.h"

#define SLICES	  10
#define SLICE_MIN 20 /* payloads */

static void
slice_begin(struct aggfrag_breaker *b, const struct aggfrag_breaker_loss *loss, uint64_t now)
{
	b->slice_at = now;
	b->received = loss->received;
	b->missed = loss->missed;
}

static bool
is_over(uint64_t lost, uint64_t of, uint32_t percent)
{
	return of != 0 && (unsigned __int128)lost * 100 >= (unsigned __int128)of * percent;
}

void
aggfrag_breaker_reset(struct aggfrag_breaker *b)
{
	b->over_at = b->slice_at = 0;
	__atomic_store_n(&b->opened, 0, __ATOMIC_RELAXED);
}

void
aggfrag_breaker_look(struct aggfrag_breaker *b, uint32_t percent, uint64_t time,
		     const struct aggfrag_breaker_loss *loss, uint64_t now)
{
	uint64_t wishes = cell_get(&b->wishes), missed, due;

	if (wishes != b->done) {
		b->done = wishes;
		aggfrag_breaker_reset(b);
	}
	if (b->opened != 0)
		return;
	/* A count that went back is another stream's. */
	if (b->slice_at == 0 || loss->received < b->received || loss->missed < b->missed) {
		slice_begin(b, loss, now);
		return;
	}
	missed = loss->missed - b->missed;
	due = missed + loss->received - b->received;
	if (now - b->slice_at < time / SLICES || due < SLICE_MIN)
		return;
	if (!is_over(missed, due, percent) && !is_over(1, loss->loss_rate, percent)) {
		b->over_at = 0;
	} else {
		if (b->over_at == 0)
			b->over_at = b->slice_at;
		if (now - b->over_at >= time) {
			__atomic_store_n(&b->opened, now, __ATOMIC_RELAXED);
			cell_add(&b->trips, 1);
		}
	}
	slice_begin(b, loss, now);
}
