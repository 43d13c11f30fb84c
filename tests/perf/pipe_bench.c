/* What an empty stage costs: bursts from memory through 0, 8 and 16 rows that do nothing, to
 * nowhere. */
#include <stdio.h>
#include <stdlib.h>

#include "perf.h"
#include "pipe/pipe.h"
#include "worker/worker.h"

#define ROUNDS	256
#define WINDOWS 501

static uint16_t
nothing(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return n;
}

static uint16_t
nowhere(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	cell_add(&w->tx_packets, n);
	return 0;
}

static struct rte_mbuf *memory[BURST_MAX];

static uint16_t
from_memory(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	for (uint16_t i = 0; i < max; i++)
		pkts[i] = memory[i];
	cell_add(&w->rx_packets, max);
	return max;
}

static double
cycles_per_packet(struct worker *w, unsigned int n_stages, uint16_t burst)
{
	static struct stage_row rows[STAGE_MAX];
	static struct perf perf;
	struct pipe pipe;

	for (unsigned int s = 0; s <= n_stages; s++)
		rows[s] = (struct stage_row) { "row", s < n_stages ? nothing : nowhere,
					       s < n_stages ? s + 1 : STAGE_MAX };
	pipe_build(&pipe, rows, 0);
	w->pipe = &pipe;
	w->burst = burst;
	perf.n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		uint64_t start = rte_rdtsc();

		for (int r = 0; r < ROUNDS; r++)
			pipe_poll(w);
		perf_add(&perf, rte_rdtsc() - start, (uint64_t)ROUNDS * burst);
	}
	return perf_median(&perf);
}

int
main(void)
{
	static const uint16_t bursts[] = { 32, 8, 1 };
	struct worker *w = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*w));

	if (w == NULL)
		return 1;
	*w = (struct worker) { .n_sources = 1,
			       .sources = { { .name = "memory", .poll = from_memory } } };
	printf("null to null, cycles per packet\n");
	printf("%6s %10s %10s %10s %12s\n", "burst", "0 stages", "8", "16", "per stage");
	for (size_t i = 0; i < RTE_DIM(bursts); i++) {
		double none = cycles_per_packet(w, 0, bursts[i]);
		double eight = cycles_per_packet(w, 8, bursts[i]);
		double sixteen = cycles_per_packet(w, 16, bursts[i]);

		printf("%6u %10.2f %10.2f %10.2f %12.2f\n", bursts[i], none, eight, sixteen,
		       (sixteen - none) / 16);
	}
	free(w);
	return 0;
}
