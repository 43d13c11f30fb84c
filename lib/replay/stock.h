/* Anti-replay windows for subspaces that begin.
 *
 * A subspace gets its window when its first packet has proved authentic: by its owner, a worker,
 * who allocates nothing. So control makes windows beforehand and lays them into rings, one for each
 * worker and size, as long as there are inbound SAs that may ask for that size. What was never
 * asked for goes back when the last of these is gone; what was taken belongs to the taker's set of
 * windows (struct replay_set), and is freed with it.
 *
 * Control's are all calls but stock_take().
 */
#ifndef REPLAY_STOCK_H
#define REPLAY_STOCK_H

#include <stdint.h>

#include <rte_ring.h>

#include "base/err.h"
#include "replay/replay.h"

struct stocks;

/* Where windows come from and go back to; control's. */
struct stock_source {
	struct replay *(*make)(void *ctx, uint32_t window); /* NULL: no memory */
	void (*free)(void *ctx, struct replay *window);
	void *ctx;
};

#define STOCK_SIZES 12 /* no bits; 1, 2, 4 … 1024 words of bits */

/* A worker's. The rings hold windows with their bits behind them, of the largest W of each size. */
struct window_stock {
	struct rte_ring *rings[STOCK_SIZES]; /* NULL: nobody asked for that size yet */
};

/* Of n workers, all empty. -ENOMEM. */
int stocks_create(uint16_t n_workers, int socket, const struct stock_source *source,
		  struct stocks **stocks, struct err *err);
/* No worker may run. NULL is fine. */
void stocks_free(struct stocks *s);
struct window_stock *stocks_of(struct stocks *s, uint16_t worker);

/* An SA that may ask for windows of that W is about to be published: there are some from now on.
 * -ENOMEM: nothing has changed.
 */
int stocks_want(struct stocks *s, uint32_t window, struct err *err);
/* It is gone, and no worker knows it any more. */
void stocks_unwant(struct stocks *s, uint32_t window);
/* Makes up for what was taken; now and then. */
void stocks_fill(struct stocks *s);
/* Octets that lie in the rings. */
uint64_t stocks_bytes(const struct stocks *s);

/* A place in 0 … STOCK_SIZES - 1 for each number of words. */
static inline unsigned int
stock_size_of(uint32_t window)
{
	return window == 0 ? 0 : 1 + rte_log2_u32(rte_align32pow2((window + 63) / 64));
}

/* The worker's: what replay_init() can make a window of W; NULL: none is left. */
static inline struct replay *
stock_take(const struct window_stock *s, uint32_t window)
{
	struct rte_ring *ring = __atomic_load_n(&s->rings[stock_size_of(window)], __ATOMIC_ACQUIRE);
	void *r;

	return ring != NULL && rte_ring_sc_dequeue(ring, &r) == 0 ? r : NULL;
}

#endif
