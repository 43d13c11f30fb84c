#include <stdlib.h>

#include <errno.h>

#include "cli/form.h"
#include "cli/table.h"
#include "ctl/counts.h"
#include "ctl/gw.h"

/* Of every worker, and of control behind them, at one time; the caller's to free. NULL: no memory.
 */
static struct worker_counts *
counts_read(const struct gw *gw, struct err *err)
{
	struct worker_counts *c = calloc(gw->n_workers + 1, sizeof(*c));

	if (c == NULL)
		err_set(err, -ENOMEM, "no memory for the counters of %u workers", gw->n_workers);
	for (uint16_t i = 0; c != NULL && i <= gw->n_workers; i++)
		worker_counts_read(gw, i, &c[i]);
	return c;
}

static void
worker_print(FILE *out, const struct worker *w, const struct worker_counts *c)
{
	fprintf(out,
		"worker %u: lcore %u, loops %" PRIu64 ", busy %" PRIu64 " (%.1f%%), rx %" PRIu64
		", tx %" PRIu64 ", handoff given %" PRIu64 ", taken %" PRIu64 "\n"
		"  flows known %" PRIu64 ", new %" PRIu64 "; to the cipher by a copy %" PRIu64
		"\n  sources:",
		w->index, w->lcore, c->loops, c->busy_loops,
		c->loops > 0 ? 100.0 * c->busy_loops / c->loops : 0.0, c->rx, c->tx, c->given,
		c->taken, c->flow_hits, c->flow_misses, c->bounced);
	for (uint16_t i = 0; i < w->n_sources; i++)
		fprintf(out, " %s", w->sources[i].name);
	fputc('\n', out);
	for (uint16_t i = 0; i < w->n_workers; i++)
		if (c->given_to[i] != 0 || c->taken_from[i] != 0)
			fprintf(out, "  worker %u: given %" PRIu64 ", taken %" PRIu64 "\n", i,
				c->given_to[i], c->taken_from[i]);
}

static void
worker_json(struct json *j, const struct worker *w, const struct worker_counts *c)
{
	json_object(j, NULL);
	json_u64(j, "worker", w->index);
	json_u64(j, "lcore", w->lcore);
	json_u64(j, "loops", c->loops);
	json_u64(j, "busy_loops", c->busy_loops);
	json_u64(j, "rx", c->rx);
	json_u64(j, "tx", c->tx);
	json_u64(j, "handoff_given", c->given);
	json_u64(j, "handoff_taken", c->taken);
	json_array(j, "handoff");
	for (uint16_t i = 0; i < w->n_workers; i++) {
		if (c->given_to[i] == 0 && c->taken_from[i] == 0)
			continue;
		json_object(j, NULL);
		json_u64(j, "worker", i);
		json_u64(j, "given", c->given_to[i]);
		json_u64(j, "taken", c->taken_from[i]);
		json_end(j);
	}
	json_end(j);
	json_u64(j, "flow_hits", c->flow_hits);
	json_u64(j, "flow_misses", c->flow_misses);
	json_u64(j, "bounced", c->bounced);
	json_array(j, "sources");
	for (uint16_t i = 0; i < w->n_sources; i++)
		json_string(j, NULL, w->sources[i].name);
	json_end(j);
	json_end(j);
}

/* The line that a stage stands in. */
static const char *
line_of(unsigned int stage)
{
	return stage < STAGE_CLASSIFY_BLACK ? "out" : stage < STAGE_CLEAR_CHECK ? "in" : "beside";
}

static void
stage_show(FILE *out, struct json *j, const struct pipe *p, unsigned int s, uint64_t bursts,
	   uint64_t packets)
{
	bool present = p->run[s] != NULL;
	double average = bursts > 0 ? (double)packets / bursts : 0;

	if (j == NULL && present)
		fprintf(out, "%-7s %-16s %14" PRIu64 " %16" PRIu64 " %8.1f\n", line_of(s),
			p->name[s], bursts, packets, average);
	else if (j == NULL)
		fprintf(out, "%-7s %-16s %14s\n", line_of(s), p->name[s], "absent");
	if (j == NULL)
		return;
	json_object(j, NULL);
	json_string(j, "line", line_of(s));
	json_string(j, "stage", p->name[s]);
	json_bool(j, "present", present);
	json_u64(j, "bursts", bursts);
	json_u64(j, "packets", packets);
	json_end(j);
}

static void
stages_show(const struct gw *gw, FILE *out, struct json *j, const struct worker_counts *c)
{
	for (unsigned int s = 0; s < STAGE_MAX; s++) {
		uint64_t bursts = 0, packets = 0;

		for (uint16_t i = 0; i < gw->n_workers; i++) {
			bursts += c[i].stage_bursts[s];
			packets += c[i].stage_packets[s];
		}
		if (gw->pipe.name[s] != NULL)
			stage_show(out, j, &gw->pipe, s, bursts, packets);
	}
}

int
show_pipeline(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	const struct gw *gw = cli->gw;
	struct worker_counts *c = counts_read(gw, err);
	struct json j;

	if (c == NULL)
		return -ENOMEM;
	if (json) {
		json_init(&j, out);
		json_object(&j, NULL);
		json_bool(&j, "reading", !gw->paused);
		json_array(&j, "stages");
		stages_show(gw, out, &j, c);
		json_end(&j);
		json_array(&j, "workers");
		for (uint16_t i = 0; i < gw->n_workers; i++)
			worker_json(&j, gw->workers[i], &c[i]);
		json_end(&j);
		json_end(&j);
		fputc('\n', out);
	} else {
		fprintf(out, "%-7s %-16s %14s %16s %8s\n", "line", "stage", "bursts", "packets",
			"average");
		stages_show(gw, out, NULL, c);
		for (uint16_t i = 0; i < gw->n_workers; i++)
			worker_print(out, gw->workers[i], &c[i]);
		fputs(gw->paused ? "stopped: the ports are not read\n" : "", out);
	}
	free(c);
	return 0;
}

/* Where packets end or begin here: cells by cause and worker. */
struct causes {
	const char *what;
	const struct stat_name *names;
	unsigned int first, n;
	size_t at; /* in struct worker_counts */
};

static const struct causes causes[] = {
	{ "drops", drop_names, DROP_NONE + 1, DROP_MAX, offsetof(struct worker_counts, drops) },
	{ "consumed", consumed_names, 0, CONSUMED_MAX, offsetof(struct worker_counts, consumed) },
	{ "generated", generated_names, 0, GENERATED_MAX,
	  offsetof(struct worker_counts, generated) },
};

static uint64_t
cell_of(const struct causes *k, const struct worker_counts *c, unsigned int i)
{
	return ((const uint64_t *)((const char *)c + k->at))[i];
}

static uint64_t
row_total(const struct gw *gw, const struct causes *k, const struct worker_counts *c,
	  unsigned int i)
{
	uint64_t all = 0;

	for (uint16_t w = 0; w <= gw->n_workers; w++)
		all += cell_of(k, &c[w], i);
	return all;
}

static void
causes_print(const struct gw *gw, FILE *out, const struct causes *k, const struct worker_counts *c)
{
	for (unsigned int i = k->first; i < k->n; i++) {
		uint64_t all = row_total(gw, k, c, i);

		if (all == 0)
			continue;
		fprintf(out, "%-9s %-18s %14" PRIu64, k->what, k->names[i].name, all);
		for (uint16_t w = 0; w < gw->n_workers; w++)
			fprintf(out, " %12" PRIu64, cell_of(k, &c[w], i));
		if (gw->mirrors != NULL)
			fprintf(out, " %12" PRIu64, cell_of(k, &c[gw->n_workers], i));
		fprintf(out, "  %s\n", k->names[i].help);
	}
}

static void
causes_json(const struct gw *gw, struct json *j, const struct causes *k,
	    const struct worker_counts *c)
{
	json_object(j, k->what);
	for (unsigned int i = k->first; i < k->n; i++) {
		uint64_t all = row_total(gw, k, c, i);

		if (all == 0)
			continue;
		json_object(j, k->names[i].name);
		json_u64(j, "total", all);
		json_array(j, "workers");
		for (uint16_t w = 0; w < gw->n_workers; w++)
			json_u64(j, NULL, cell_of(k, &c[w], i));
		json_end(j);
		if (gw->mirrors != NULL)
			json_u64(j, "control", cell_of(k, &c[gw->n_workers], i));
		json_end(j);
	}
	json_end(j);
}

int
show_drops(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	const struct gw *gw = cli->gw;
	struct worker_counts *c = counts_read(gw, err);
	struct json j;

	if (c == NULL)
		return -ENOMEM;
	if (json) {
		json_init(&j, out);
		json_object(&j, NULL);
		for (size_t i = 0; i < RTE_DIM(causes); i++)
			causes_json(gw, &j, &causes[i], c);
		json_end(&j);
		fputc('\n', out);
	} else {
		fprintf(out, "%-9s %-18s %14s", "", "reason", "total");
		for (uint16_t w = 0; w < gw->n_workers; w++)
			fprintf(out, "    worker %2u", w);
		fputs(gw->mirrors != NULL ? "      control\n" : "\n", out);
		for (size_t i = 0; i < RTE_DIM(causes); i++)
			causes_print(gw, out, &causes[i], c);
	}
	free(c);
	return 0;
}
