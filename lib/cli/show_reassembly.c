/* `show reassembly`: fragments, as each worker has them. */
#include <inttypes.h>

#include "base/json.h"
#include "cli/table.h"
#include "ctl/frags.h"
#include "ctl/gw.h"
#include "frag/reasm.h"

/* One table for both forms: a counter, its name, and what it says. Drops are in `show drops`. */
#define COUNTS(X)                                                                           \
	X(pieces, "fragments for ourselves")                                                \
	X(whole, "datagrams put together")                                                  \
	X(timed_out, "whose other fragments did not come in time")                          \
	X(evicted, "that made room for others")                                             \
	X(killed, "that overlap, contradict, are too long or in too many")                  \
	X(datagrams, "that wait")                                                           \
	X(others, "of these, from sources that are no peer of an SA")                       \
	X(held, "their fragments")                                                          \
	X(segments, "their packet buffers")                                                 \
	X(matched, "later fragments that got what their first one got, where ports decide") \
	X(match_datagrams, "datagrams of such that are remembered")                         \
	X(match_held, "fragments that wait for their first one")                            \
	X(match_timed_out, "datagrams whose first one did not come in time")                \
	X(match_evicted, "that made room for others")                                       \
	X(match_killed, "with two first ones that got two things")

static void
counts_print(FILE *out, const struct frag_counts *c)
{
#define X(field, help) \
	fprintf(out, "  %-16s %14" PRIu64 "  %s\n", #field, (uint64_t)c->field, help);
	COUNTS(X)
#undef X
}

static void
counts_json(struct json *j, const struct frag_counts *c)
{
#define X(field, help) json_u64(j, #field, c->field);
	COUNTS(X)
#undef X
}

static void
reassembly_print(FILE *out, const struct gw *gw)
{
	const struct conf_gateway *g = &gw->conf->gateway;

	fprintf(out,
		"each worker: %u datagrams, %u fragments each, %u packet buffers, %g s; of SAs up "
		"to "
		"%u octets\n",
		g->reassembly.max_datagrams, g->reassembly.max_pieces, frags_segments(gw, 0),
		g->reassembly.timeout_us / 1e6, g->reassembly.emtu_r);
	for (uint16_t i = 0; i < gw->n_workers; i++) {
		struct frag_counts c = frag_counts_read(gw->workers[i]);

		fprintf(out, "worker %u\n", i);
		counts_print(out, &c);
	}
}

static void
reassembly_json(FILE *out, const struct gw *gw)
{
	const struct conf_gateway *g = &gw->conf->gateway;
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_u64(&j, "max_datagrams", g->reassembly.max_datagrams);
	json_u64(&j, "max_pieces", g->reassembly.max_pieces);
	json_u64(&j, "emtu_r", g->reassembly.emtu_r);
	json_u64(&j, "max_segments", frags_segments(gw, 0));
	json_u64(&j, "timeout_us", g->reassembly.timeout_us);
	json_array(&j, "workers");
	for (uint16_t i = 0; i < gw->n_workers; i++) {
		struct frag_counts c = frag_counts_read(gw->workers[i]);

		json_object(&j, NULL);
		json_u64(&j, "worker", i);
		counts_json(&j, &c);
		json_end(&j);
	}
	json_end(&j);
	json_end(&j);
	fputc('\n', out);
}

int
show_reassembly(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	if (json)
		reassembly_json(out, cli->gw);
	else
		reassembly_print(out, cli->gw);
	return 0;
}
