#include "punt/worker.h"

#define NS_PER_SECOND UINT64_C(1000000000)

void
punt_rate_init(struct punt_rate *r, const struct punt_limit *limit)
{
	r->interval = NS_PER_SECOND / limit->rate;
	r->slack = r->interval * (limit->burst - 1);
}

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

bool
punt_rate_take(struct punt_rate *r, uint64_t seed, uint64_t source, uint64_t now)
{
	uint64_t hash = mix(source ^ seed);
	bool room = false;

	for (int row = 0; row < 2; row++, hash >>= 32) {
		uint64_t *bucket = &r->buckets[row][hash % PUNT_BUCKETS];
		uint64_t full_at = *bucket > now ? *bucket : now;

		/* What is over stays as it is: it would never come back down. */
		if (full_at - now > r->slack)
			continue;
		*bucket = full_at + r->interval;
		room = true;
	}
	return room;
}
