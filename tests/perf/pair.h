/* Two threads, each on a core of its own, in step; and what passes between two cores costs. */
#ifndef TESTS_PERF_PAIR_H
#define TESTS_PERF_PAIR_H

#include <stdint.h>
#include <time.h>

#include <rte_cycles.h>

/* A stretch of one thread's time, by two clocks: the TSC runs on while the thread waits for its
 * core, the thread's own time does not.
 */
struct stretch {
	uint64_t tsc;	 /* cycles */
	uint64_t cpu_ns; /* of the thread */
};

static inline struct stretch
stretch_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (struct stretch) { .tsc = rte_rdtsc(),
				  .cpu_ns = (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec };
}

static inline struct stretch
stretch_since(struct stretch begin)
{
	struct stretch s = stretch_now();

	s.tsc -= begin.tsc;
	s.cpu_ns -= begin.cpu_ns;
	return s;
}

#define PAIR_FIRST  1
#define PAIR_SECOND 2
#define PAIR_BOTH   3

/* Runs fn(side, arg) at once for each side in the mask: side 0 on the main lcore, side 1 on the
 * next. Returns when all have returned.
 */
typedef void pair_fn(unsigned int side, void *arg);
void pair_run(pair_fn *fn, void *arg, unsigned int mask);

/* Waits until all sides of the mask are here; gives way to others when that takes long. */
void pair_meet(unsigned int mask);

/* TSC cycles, medians. */
struct pair_costs {
	double atomic_alone;  /* a fetch_add on a line of one's own, one behind the other */
	double atomic_shared; /* from one such to the next of the same line, two cores at it */
	double line;	      /* a line that another core wrote last comes here */
};
void pair_costs_measure(struct pair_costs *c);

#endif
