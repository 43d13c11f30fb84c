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
	fprintf(out, "%s: %s\n", path,
		c->trouble[0] == 0 ? "well" : "nothing is reserved until the disk is well again");
	if (c->trouble[0] != 0)
		fprintf(out, "  why             %s\n", c->trouble);
	fprintf(out,
		"  lanes           %" PRIu64 ", of keys in use or remembered\n"
		"  file            %" PRIu64 " octets, written anew so often: %" PRIu64 "\n"
		"  memory          %" PRIu64 " octets\n"
		"  commits         %" PRIu64 ", with %" PRIu64 " numbers; %" PRIu64
		" fsyncs in all\n"
		"  a commit took   %" PRIu64 " us the last time, %" PRIu64 " us at most\n"
		"  waiting         %" PRIu64 " numbers for the disk\n"
		"  failures        %" PRIu64 " commits or writings anew\n",
		c->records, c->file_bytes, c->rewrites, c->memory, c->commits, c->written,
		c->fsyncs, c->last_us, c->max_us, c->waiting, c->failures);
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
