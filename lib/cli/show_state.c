/* `show state`: the state file. */
#include <inttypes.h>

#include "base/json.h"
#include "cli/table.h"
#include "ctl/gw.h"
#include "ctl/reserve.h"
#include "state/state.h"

static void
print_text(FILE *out, const char *path, const struct state_counts *c)
{
	fprintf(out,
		"%s: %s\n"
		"  lanes of keys   %" PRIu64 "\n"
		"  octets          %" PRIu64 ", written anew %" PRIu64 " times; %" PRIu64
		" in memory\n"
		"  commits         %" PRIu64 " of %" PRIu64 " numbers, %" PRIu64 " fsyncs\n"
		"  last commit     %" PRIu64 " us; the longest %" PRIu64 " us\n"
		"  waiting         %" PRIu64 "\n"
		"  failures        %" PRIu64 "\n",
		path, c->trouble[0] == 0 ? "well" : "nothing is reserved", c->records,
		c->file_bytes, c->rewrites, c->memory, c->commits, c->written, c->fsyncs,
		c->last_us, c->max_us, c->waiting, c->failures);
	if (c->trouble[0] != 0)
		fprintf(out, "  trouble         %s\n", c->trouble);
}

static void
print_json(FILE *out, const char *path, const struct state_counts *c)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_object(&j, "state");
	json_string(&j, "file", path);
	json_bool(&j, "well", c->trouble[0] == 0);
	json_string(&j, "trouble", c->trouble);
	json_u64(&j, "records", c->records);
	json_u64(&j, "file_bytes", c->file_bytes);
	json_u64(&j, "memory_bytes", c->memory);
	json_u64(&j, "rewrites", c->rewrites);
	json_u64(&j, "commits", c->commits);
	json_u64(&j, "numbers_written", c->written);
	json_u64(&j, "fsyncs", c->fsyncs);
	json_u64(&j, "last_commit_us", c->last_us);
	json_u64(&j, "longest_commit_us", c->max_us);
	json_u64(&j, "waiting", c->waiting);
	json_u64(&j, "failures", c->failures);
	json_end(&j);
	json_end(&j);
	fputc('\n', out);
}

int
show_state(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	const char *path = cli->gw->conf->gateway.state_file;
	struct state_counts c;

	if (!reserve_counts(cli->gw, &c)) {
		fputs(json ? "{\"state\":null}\n" :
			     "no gateway.state_file: numbers start again with each run\n",
		      out);
		return 0;
	}
	if (json)
		print_json(out, path, &c);
	else
		print_text(out, path, &c);
	return 0;
}
