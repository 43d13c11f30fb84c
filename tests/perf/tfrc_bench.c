/* Congestion control over emulated paths, on a virtual clock: what a machine does beside it makes
 * no difference.
 *
 *   tfrc_bench [--csv FILE]
 *
 * Prints a line for each case: packets a second that were sent, what the throughput equation gives
 * where that can be said, what the path took at once, and what our own calls cost. FILE gets the
 * rates over time, which scripts/plot-tfrc draws.
 */
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_cycles.h>

#include "aggfrag_path.h"

#define SECONDS 60
#define STEP	(100 * MS)

struct bench_case {
	const char *name;
	double loss, pps, queue, mark;
	uint32_t pairs;
	uint64_t apart;		   /* ns between the beginnings of two */
	uint64_t cut_from, cut_to; /* ns: nothing gets through */
	double want;		   /* loss of the equation; 0: none is compared */
};

static const struct bench_case cases[] = {
	{ .name = "loss_1", .loss = 0.01, .pairs = 1, .want = 0.01 },
	{ .name = "loss_0.1", .loss = 0.001, .pairs = 1, .want = 0.001 },
	{ .name = "loss_5", .loss = 0.05, .pairs = 1, .want = 0.05 },
	{ .name = "bottleneck", .pps = 2000, .queue = 100, .pairs = 1 },
	{ .name = "two_flows", .pps = 2000, .queue = 100, .pairs = 2, .apart = 10 * NS_PER_SECOND },
	{ .name = "marks",
	  .pps = 2000,
	  .queue = 200,
	  .mark = 20,
	  .pairs = 2,
	  .apart = 10 * NS_PER_SECOND },
	{ .name = "outage",
	  .loss = 0.01,
	  .pairs = 1,
	  .cut_from = 20 * NS_PER_SECOND,
	  .cut_to = 25 * NS_PER_SECOND,
	  .want = 0 },
};

static struct path_bed bed;

static void
write_rows(FILE *csv, const struct bench_case *c, double seconds, uint64_t sent[PAIRS_MAX])
{
	for (uint32_t i = 0; i < bed.n_pairs; i++) {
		const struct path_end *e = &bed.ends[i][0];
		struct aggfrag_cc_state s;

		aggfrag_cc_state(&e->cc, &e->params, &s);
		fprintf(csv, "%s,%.1f,%u,%.1f,%.1f,%.1f,%lu,%lu\n", c->name, seconds, i, s.x_pps,
			(double)(e->seq - sent[i]) * NS_PER_SECOND / STEP,
			c->want == 0 ? 0 : aggfrag_tfrc_equation(c->want, 0.05), s.rtt_us, s.p_inv);
		sent[i] = e->seq;
	}
}

static void
run(const struct bench_case *c, FILE *csv)
{
	uint64_t sent[PAIRS_MAX] = { 0 }, begin, packets = 0, cycles;
	double want = c->want == 0 ? 0 : aggfrag_tfrc_equation(c->want, 0.05);

	path_init(&bed, 25 * MS, c->loss, 1);
	bed.there.pps = c->pps;
	bed.there.queue = c->queue;
	bed.there.mark = c->mark;
	begin = bed.now;
	for (uint32_t i = 0; i < c->pairs; i++)
		path_pair_add(&bed, 20000, begin + i * c->apart);
	cycles = rte_rdtsc();
	for (uint64_t t = 0; t < SECONDS * NS_PER_SECOND; t += STEP) {
		bed.there.cut = t >= c->cut_from && t < c->cut_to;
		path_run(&bed, STEP);
		if (csv != NULL)
			write_rows(csv, c, (double)(t + STEP) / NS_PER_SECOND, sent);
	}
	cycles = rte_rdtsc() - cycles;
	for (uint32_t i = 0; i < c->pairs; i++) {
		const struct path_end *e = &bed.ends[i][0];

		packets += e->seq + bed.ends[i][1].seq;
		printf("%-12s %u %10.1f", c->name, i, (double)e->arrived / SECONDS);
		if (want > 0)
			printf(" %10.1f %6.2f", want, (double)e->seq / SECONDS / want);
		else
			printf(" %10s %6s", "-", "-");
		printf(" %8.3f %%", 100.0 * (double)e->lost / (double)e->seq);
		printf("\n");
	}
	printf("%-12s   %lu packets, %.0f cycles each with all of the emulation\n", "", packets,
	       (double)cycles / (double)packets);
}

int
main(int argc, char **argv)
{
	FILE *csv = NULL;

	if (argc == 3 && strcmp(argv[1], "--csv") == 0) {
		csv = fopen(argv[2], "w");
		if (csv == NULL) {
			perror(argv[2]);
			return 1;
		}
		fprintf(csv, "case,seconds,flow,allowed_pps,sent_pps,equation_pps,rtt_us,p_inv\n");
	} else if (argc != 1) {
		fprintf(stderr, "tfrc_bench [--csv FILE]\n");
		return 2;
	}
	printf("RTT 50 ms, %u virtual seconds from the start; packets a second\n", SECONDS);
	printf("%-12s %s %10s %10s %6s %10s\n", "case", "f", "arrived", "equation", "ratio",
	       "lost");
	for (size_t i = 0; i < RTE_DIM(cases); i++)
		run(&cases[i], csv);
	if (csv != NULL && fclose(csv) != 0) {
		perror(argv[2]);
		return 1;
	}
	return 0;
}
