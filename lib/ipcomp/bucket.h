/* A rate: so many units a millisecond, and at once what is saved up in 16 of them. */
#ifndef IPCOMP_BUCKET_H
#define IPCOMP_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "ipcomp/ipcomp.h"

#define BUCKET_MS 16
#define NS_PER_MS UINT64_C(1000000)

static inline void
bucket_fill(struct ipcomp_bucket *b, uint64_t per_ms, uint64_t now)
{
	uint64_t full = per_ms * BUCKET_MS, passed = now - b->at;

	if (b->at == 0 || passed >= BUCKET_MS * NS_PER_MS) {
		b->left = full;
		b->at = now;
	} else if (passed >= NS_PER_MS) {
		b->left = RTE_MIN(full, b->left + passed / NS_PER_MS * per_ms);
		b->at += passed - passed % NS_PER_MS;
	}
}

/* Whether something is left; what is taken then may be more than that. */
static inline bool
bucket_has(struct ipcomp_bucket *b, uint64_t per_ms, uint64_t now)
{
	bucket_fill(b, per_ms, now);
	return b->left > 0;
}

static inline void
bucket_take(struct ipcomp_bucket *b, uint64_t n)
{
	b->left -= RTE_MIN(b->left, n);
}

#endif
