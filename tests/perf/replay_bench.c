/* What the anti-replay window costs: cycles per packet of replay_check() and of replay_accept(), in
 * bursts of 32 as the stages call them, by window and by the order in which numbers arrive.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf.h"
#include "replay/replay.h"

#define BURST	32
#define BURSTS	4096
#define NUMBERS (BURST * BURSTS)
#define PASSES	5

enum order {
	IN_ORDER,
	LOSSY,	  /* every 32nd is missing */
	SHUFFLED, /* within 16 */
	RANDOM,	  /* anywhere in the window, so that half are replays */
	ORDERS,
};

static const char *const order_names[ORDERS] = { "in order", "1 of 32 lost", "shuffled in 16",
						 "random" };

static uint64_t numbers[NUMBERS];

static uint32_t
random32(void)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 33;
}

static void
arrange(enum order order, uint32_t window)
{
	uint64_t next = 1;

	for (uint32_t i = 0; i < NUMBERS; i++) {
		next += order == LOSSY && i % 31 == 0 ? 2 : 1;
		numbers[i] = next;
	}
	if (order == RANDOM) {
		for (uint32_t i = 0; i < NUMBERS; i++)
			numbers[i] = window + i / 2 - random32() % (window * 3 / 4) + 1;
	}
	if (order != SHUFFLED)
		return;
	for (uint32_t i = 0; i < NUMBERS; i++) {
		uint32_t k = i / 16 * 16 + random32() % 16;
		uint64_t t = numbers[i];

		numbers[i] = numbers[k];
		numbers[k] = t;
	}
}

struct cost {
	struct perf check, accept;
	uint64_t passed;
};

static void
pass(struct cost *c, struct replay **windows, uint32_t n_windows)
{
	uint64_t seq[BURST];
	uint8_t why[BURST];

	for (uint32_t b = 0; b < BURSTS; b++) {
		struct replay *r = windows[b % n_windows];
		const uint64_t *burst = &numbers[b / n_windows * BURST];
		uint64_t start = rte_rdtsc_precise(), middle;

		for (uint32_t i = 0; i < BURST; i++)
			why[i] = replay_check(r, (uint32_t)burst[i], &seq[i]);
		middle = rte_rdtsc_precise();
		for (uint32_t i = 0; i < BURST; i++) {
			if (why[i] == DROP_NONE)
				c->passed += replay_accept(r, seq[i]) == DROP_NONE;
		}
		perf_add(&c->accept, rte_rdtsc_precise() - middle, BURST);
		perf_add(&c->check, middle - start, BURST);
	}
}

/* Two readings of the clock with nothing between, per packet of a burst. */
static double
clock_cost(void)
{
	static struct perf p;

	for (int i = 0; i < 1000; i++) {
		uint64_t start = rte_rdtsc_precise();

		perf_add(&p, rte_rdtsc_precise() - start, BURST);
	}
	return perf_median(&p);
}

static void
measure(uint32_t window, bool esn, enum order order, uint32_t n_windows)
{
	static struct cost c;
	struct replay **windows = calloc(n_windows, sizeof(*windows));
	size_t size = RTE_ALIGN_CEIL(replay_size(window), RTE_CACHE_LINE_SIZE);
	double none = clock_cost();

	c.passed = 0;
	arrange(order, window);
	for (uint32_t i = 0; windows != NULL && i < n_windows; i++) {
		windows[i] = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
		if (windows[i] == NULL)
			exit(1);
	}
	for (int p = 0; p < PASSES && windows != NULL; p++) {
		c.check.n = c.accept.n = 0;
		for (uint32_t i = 0; i < n_windows; i++)
			replay_init(windows[i], window, esn, 0);
		pass(&c, windows, n_windows);
	}
	printf("%8u %5s %8u  %-16s %8.2f %8.2f %9.1f %%\n", window, esn ? "on" : "off", n_windows,
	       order_names[order], perf_median(&c.check) - none, perf_median(&c.accept) - none,
	       100.0 * c.passed / ((double)PASSES * NUMBERS));
	for (uint32_t i = 0; windows != NULL && i < n_windows; i++)
		free(windows[i]);
	free(windows);
}

int
main(void)
{
	static const uint32_t sizes[] = { 64, 256, 1024, 65536 };

	printf("anti-replay, bursts of %d, cycles per packet\n", BURST);
	printf("%8s %5s %8s  %-16s %8s %8s %11s\n", "window", "esn", "windows", "arrival", "check",
	       "accept", "passed");
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		for (int order = 0; order < ORDERS; order++)
			measure(sizes[i], true, order, 1);
	}
	measure(1024, false, IN_ORDER, 1);
	measure(1024, true, IN_ORDER, 512);
	return 0;
}
