/* Who is connected. */
#include <inttypes.h>

#include "base/json.h"
#include "ipc/client.h"

static const struct {
	const char *name;
	uint32_t group;
} groups[] = {
	{ "acquire", 1 }, { "expire", 2 }, { "sa", 3 },	     { "policy", 4 },
	{ "aevent", 5 },  { "report", 6 }, { "migrate", 7 }, { "mapping", 8 },
};

static const char *
role_of(const struct client *c)
{
	return c->role == IPC_DAEMON ? "daemon" : "script";
}

static void
row_print(FILE *out, const struct client *c)
{
	unsigned int n = 0;

	fprintf(out, "%8d %8u %-16s %-7s %-6s %10" PRIu64 " %8zu %8" PRIu64 "  ", c->d.pid,
		c->d.uid, c->d.program[0] != 0 ? c->d.program : "-", role_of(c),
		c->d.may_change ? "change" : "read", c->requests, c->queued, c->events_lost);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if ((c->d.groups >> (groups[i].group - 1) & 1) != 0)
			fprintf(out, "%s%s", n++ > 0 ? "," : "", groups[i].name);
	fputs(n > 0 ? "\n" : "-\n", out);
}

static void
row_json(struct json *j, const struct client *c)
{
	json_object(j, NULL);
	json_u64(j, "pid", c->d.pid);
	json_u64(j, "uid", c->d.uid);
	json_string(j, "program", c->d.program);
	json_string(j, "role", role_of(c));
	json_bool(j, "may_change", c->d.may_change);
	json_u64(j, "requests", c->requests);
	json_u64(j, "queued_bytes", c->queued);
	json_u64(j, "events_lost", c->events_lost);
	json_array(j, "groups");
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if ((c->d.groups >> (groups[i].group - 1) & 1) != 0)
			json_string(j, NULL, groups[i].name);
	json_end(j);
	json_end(j);
}

void
clients_show(void *ctx, FILE *out, bool json)
{
	const struct ipc *ipc = ctx;
	struct json j;

	json_init(&j, out);
	if (json) {
		json_object(&j, NULL);
		json_array(&j, "clients");
	} else {
		fprintf(out, "%8s %8s %-16s %-7s %-6s %10s %8s %8s  %s\n", "pid", "uid", "program",
			"role", "may", "requests", "queued", "lost", "groups");
	}
	for (uint32_t i = 0; i < IPC_CLIENTS_MAX; i++) {
		if (ipc->clients[i] == NULL)
			continue;
		if (json)
			row_json(&j, ipc->clients[i]);
		else
			row_print(out, ipc->clients[i]);
	}
	if (!json)
		return;
	json_end(&j);
	json_end(&j);
	fputc('\n', out);
}
