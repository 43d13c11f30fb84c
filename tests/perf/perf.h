/* Timing for the benches: medians over many short windows of TSC cycles. */
#ifndef TESTS_PERF_H
#define TESTS_PERF_H

#include <stdint.h>
#include <stdlib.h>

#include <rte_cycles.h>

#define PERF_WINDOWS_MAX 4096

struct perf {
	uint32_t n;
	double window[PERF_WINDOWS_MAX]; /* cycles per packet */
};

static inline void
perf_take(struct perf *p, double cycles_per_packet)
{
	if (p->n < PERF_WINDOWS_MAX)
		p->window[p->n++] = cycles_per_packet;
}

static inline void
perf_add(struct perf *p, uint64_t cycles, uint64_t packets)
{
	perf_take(p, (double)cycles / packets);
}

static inline int
perf_compare(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static inline double
perf_median(struct perf *p)
{
	if (p->n == 0)
		return 0;
	qsort(p->window, p->n, sizeof(p->window[0]), perf_compare);
	return p->window[p->n / 2];
}

#endif
