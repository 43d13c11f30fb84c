#include "replay/stock.h"

#include <errno.h>

#include <rte_malloc.h>

#define RING_SIZE   256
#define OCTETS_GOAL (256 * 1024) /* of a worker's windows of one size, */
#define LEAST	    16		 /* but no fewer than these */

struct stocks {
	uint16_t n_workers;
	int socket;
	struct stock_source source;
	uint32_t users[STOCK_SIZES]; /* SAs that may ask for such windows */
	struct window_stock of[];
};

/* The largest W of that size. */
static uint32_t
window_of(unsigned int size)
{
	return size == 0 ? 0 : UINT32_C(64) << (size - 1);
}

static unsigned int
goal_of(unsigned int size)
{
	unsigned int n = (unsigned int)(OCTETS_GOAL / replay_size(window_of(size)));

	n = RTE_MIN(n, (unsigned int)RING_SIZE);
	return RTE_MAX(n, (unsigned int)LEAST);
}

int
stocks_create(uint16_t n_workers, int socket, const struct stock_source *source,
	      struct stocks **stocks, struct err *err)
{
	struct stocks *s =
		rte_zmalloc_socket("window stocks", sizeof(*s) + n_workers * sizeof(s->of[0]),
				   RTE_CACHE_LINE_SIZE, socket);

	if (s == NULL)
		return err_set(err, -ENOMEM, "no memory for stocks of windows on socket %d",
			       socket);
	s->n_workers = n_workers;
	s->socket = socket;
	s->source = *source;
	*stocks = s;
	return 0;
}

static void
ring_empty(const struct stocks *s, struct rte_ring *ring)
{
	void *r;

	while (ring != NULL && rte_ring_sc_dequeue(ring, &r) == 0)
		s->source.free(s->source.ctx, r);
}

void
stocks_free(struct stocks *s)
{
	for (uint16_t i = 0; s != NULL && i < s->n_workers; i++) {
		for (unsigned int size = 0; size < STOCK_SIZES; size++) {
			ring_empty(s, s->of[i].rings[size]);
			rte_free(s->of[i].rings[size]);
		}
	}
	rte_free(s);
}

struct window_stock *
stocks_of(struct stocks *s, uint16_t worker)
{
	return &s->of[worker];
}

static int
ring_make(struct stocks *s, struct window_stock *of, unsigned int size)
{
	ssize_t octets = rte_ring_get_memsize(rte_align32pow2(RING_SIZE + 1));
	struct rte_ring *ring;

	if (of->rings[size] != NULL)
		return 0;
	ring = rte_zmalloc_socket("window stock", (size_t)octets, RTE_CACHE_LINE_SIZE, s->socket);
	if (ring == NULL)
		return -ENOMEM;
	rte_ring_init(ring, "windows", RING_SIZE, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	__atomic_store_n(&of->rings[size], ring, __ATOMIC_RELEASE);
	return 0;
}

/* Up to the goal, as far as there is memory. */
static int
ring_fill(const struct stocks *s, struct rte_ring *ring, unsigned int size)
{
	for (unsigned int n = rte_ring_count(ring); n < goal_of(size); n++) {
		struct replay *r = s->source.make(s->source.ctx, window_of(size));

		if (r == NULL)
			return -ENOMEM;
		rte_ring_sp_enqueue(ring, r);
	}
	return 0;
}

int
stocks_want(struct stocks *s, uint32_t window, struct err *err)
{
	unsigned int size = stock_size_of(window);
	int rc = 0;

	s->users[size]++;
	for (uint16_t i = 0; i < s->n_workers && rc == 0; i++) {
		rc = ring_make(s, &s->of[i], size);
		if (rc == 0)
			rc = ring_fill(s, s->of[i].rings[size], size);
	}
	if (rc < 0) {
		stocks_unwant(s, window);
		return err_set(err, rc, "no memory for a stock of windows of %u", window);
	}
	return 0;
}

void
stocks_unwant(struct stocks *s, uint32_t window)
{
	unsigned int size = stock_size_of(window);

	if (--s->users[size] > 0)
		return;
	/* Nobody asks any more: control may take from the rings itself. */
	for (uint16_t i = 0; i < s->n_workers; i++)
		ring_empty(s, s->of[i].rings[size]);
}

void
stocks_fill(struct stocks *s)
{
	for (unsigned int size = 0; size < STOCK_SIZES; size++) {
		for (uint16_t i = 0; s->users[size] > 0 && i < s->n_workers; i++) {
			struct rte_ring *ring = s->of[i].rings[size];

			/* What is lacking is made up for at the next look, or the packet's. */
			if (rte_ring_count(ring) < goal_of(size) / 2)
				(void)ring_fill(s, ring, size);
		}
	}
}

uint64_t
stocks_bytes(const struct stocks *s)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < s->n_workers; i++)
		for (unsigned int size = 0; size < STOCK_SIZES; size++)
			if (s->of[i].rings[size] != NULL)
				bytes += rte_ring_count(s->of[i].rings[size]) *
					 replay_size(window_of(size));
	return bytes;
}
