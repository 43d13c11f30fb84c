#include "pair.h"

#include <sched.h>
#include <stdbool.h>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "perf.h"

#define ROUNDS	   400 /* of a measurement */
#define WINDOWS	   101
#define SPINS_PEER 2000 /* before the other thread is believed to have no core */

static struct {
	pair_fn *fn;
	void *arg;
	uint32_t here __rte_cache_aligned; /* how many ever came to a meeting */
} pair;

static int
other_side(void *arg)
{
	pair.fn(1, pair.arg);
	return 0;
}

void
pair_run(pair_fn *fn, void *arg, unsigned int mask)
{
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);

	pair.fn = fn;
	pair.arg = arg;
	if ((mask & PAIR_SECOND) != 0)
		rte_eal_remote_launch(other_side, NULL, lcore);
	if ((mask & PAIR_FIRST) != 0)
		fn(0, arg);
	if ((mask & PAIR_SECOND) != 0)
		rte_eal_wait_lcore(lcore);
}

static inline void
spin(uint32_t *spins)
{
	if (++*spins < SPINS_PEER) {
		rte_pause();
		return;
	}
	*spins = 0;
	sched_yield();
}

void
pair_meet(unsigned int mask)
{
	uint32_t ticket, spins = 0;

	if (mask != PAIR_BOTH)
		return;
	ticket = __atomic_fetch_add(&pair.here, 1, __ATOMIC_ACQ_REL);
	/* Tickets are even and odd in turn: both wait for the end of their pair. */
	while ((int32_t)(__atomic_load_n(&pair.here, __ATOMIC_ACQUIRE) - (ticket | 1)) <= 0)
		spin(&spins);
}

static struct {
	uint64_t counter __rte_cache_aligned;
	uint64_t ball __rte_cache_aligned; /* whose turn: its lowest bit */
	unsigned int mask;
	double cycles __rte_cache_aligned; /* of side 0 */
} court;

/* Both sides start together; what side 0 needed counts only if the other was at it all the while,
 * which a median over many windows sees to.
 */
static void
count_up(unsigned int side, void *arg)
{
	uint64_t start;

	pair_meet(court.mask);
	start = rte_rdtsc();
	for (int i = 0; i < ROUNDS; i++)
		__atomic_fetch_add(&court.counter, 1, __ATOMIC_RELAXED);
	if (side == 0)
		court.cycles =
			(double)(rte_rdtsc() - start) / ROUNDS / (court.mask == PAIR_BOTH ? 2 : 1);
}

static void
play(unsigned int side, void *arg)
{
	uint64_t start;
	uint32_t spins = 0;

	pair_meet(PAIR_BOTH);
	start = rte_rdtsc();
	for (uint64_t i = 0; i < ROUNDS; i++) {
		while ((__atomic_load_n(&court.ball, __ATOMIC_ACQUIRE) & 1) != side)
			spin(&spins);
		__atomic_store_n(&court.ball, 1 - side, __ATOMIC_RELEASE);
	}
	if (side == 0)
		court.cycles = (double)(rte_rdtsc() - start) / ROUNDS / 2;
}

static double
median_of(pair_fn *fn, unsigned int mask)
{
	static struct perf perf;

	perf.n = 0;
	court.mask = mask;
	for (int i = 0; i < WINDOWS; i++) {
		court.ball = 0;
		pair_run(fn, NULL, mask);
		perf_take(&perf, court.cycles);
	}
	return perf_median(&perf);
}

void
pair_costs_measure(struct pair_costs *c)
{
	c->atomic_alone = median_of(count_up, PAIR_FIRST);
	c->atomic_shared = median_of(count_up, PAIR_BOTH);
	c->line = median_of(play, PAIR_BOTH);
}
