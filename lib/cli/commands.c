#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_log.h>

#include "base/json.h"
#include "cli/table.h"
#include "ctl/counts.h"
#include "ctl/gw.h"
#include "ctl/kernel.h"
#include "ctl/log.h"
#include "mirror/mirror.h"
#include "port/port.h"
#include "route/route.h"

#define STATS_PERIOD_MAX 86400

const struct log_level log_levels[] = {
	{ "error", RTE_LOG_ERR }, { "warning", RTE_LOG_WARNING }, { "notice", RTE_LOG_NOTICE },
	{ "info", RTE_LOG_INFO }, { "debug", RTE_LOG_DEBUG },
};
const unsigned int n_log_levels = RTE_DIM(log_levels);

static int
show_port(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	struct json j;

	if (!json) {
		port_print(cli->gw->ports, out);
		return 0;
	}
	json_init(&j, out);
	json_object(&j, NULL);
	json_object(&j, "ports");
	port_json(cli->gw->ports, &j);
	json_end(&j);
	json_end(&j);
	fputc('\n', out);
	return 0;
}

static int
show_mirror(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	struct json j;

	if (!json) {
		mirrors_print(cli->gw->mirrors, out);
		return 0;
	}
	json_init(&j, out);
	json_object(&j, NULL);
	mirrors_json(cli->gw->mirrors, &j);
	json_end(&j);
	fputc('\n', out);
	return 0;
}

static int
show_route(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	struct json j;

	if (!json) {
		route_print(cli->gw->route, out);
		kernel_print(cli->gw, out);
		return 0;
	}
	json_init(&j, out);
	json_object(&j, NULL);
	route_json(cli->gw->route, &j);
	kernel_json(cli->gw, &j);
	json_end(&j);
	fputc('\n', out);
	return 0;
}

static int
show_config(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	char *text = NULL;
	size_t size = 0;
	struct json j;
	FILE *f;

	if (!json) {
		conf_print(out, cli->gw->conf);
		return 0;
	}
	f = open_memstream(&text, &size);
	if (f == NULL)
		return err_set(err, -ENOMEM, "no memory for the configuration");
	conf_print(f, cli->gw->conf);
	if (fclose(f) != 0) {
		free(text);
		return err_set(err, -ENOMEM, "no memory for the configuration");
	}
	json_init(&j, out);
	json_object(&j, NULL);
	json_string(&j, "yaml", text);
	json_end(&j);
	fputc('\n', out);
	free(text);
	return 0;
}

static int
show_clients(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	if (cli->clients_show == NULL)
		return err_set(err, -ENOENT, "there is no control socket: see --control-socket");
	cli->clients_show(cli->clients, out, json);
	return 0;
}

static int
start(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	gw_pause(cli->gw, false);
	return 0;
}

static int
stop(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	gw_pause(cli->gw, true);
	return 0;
}

static int
clear(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	return gw_clear(cli->gw, err);
}

static int
set_log(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	for (unsigned int i = 0; i < n_log_levels; i++) {
		if (strcmp(log_levels[i].name, args->words[0]) != 0)
			continue;
		rte_log_set_level(gw_logtype, log_levels[i].level);
		return 0;
	}
	return err_set(err, -EINVAL, "\"%.40s\" is none of error, warning, notice, info, debug",
		       args->words[0]);
}

static int
set_stats_period(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	const char *text = args->words[0];
	unsigned long n = 0;

	if (strspn(text, "0123456789") == strlen(text) && strlen(text) < 9)
		n = strtoul(text, NULL, 10);
	else
		n = STATS_PERIOD_MAX + 1;
	if (n > STATS_PERIOD_MAX)
		return err_set(err, -EINVAL,
			       "\"%.40s\" is no number of seconds from 0 (never) to %d", text,
			       STATS_PERIOD_MAX);
	cli->stats_period = n;
	return 0;
}

static int
reload(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	bool dry_run = args->n == 1;
	struct conf_errors errors;
	int rc;

	if (dry_run && strcmp(args->words[0], "--dry-run") != 0)
		return err_set(err, -EINVAL, "it is: reload [--dry-run]");
	conf_errors_init(&errors, cli->gw->options.config);
	rc = gw_reload(cli->gw, dry_run, out, &errors);
	conf_errors_print(out, &errors);
	conf_errors_free(&errors);
	return rc < 0 ? err_set(err, rc, "reload refused, nothing changed") : 0;
}

static int
help(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	uint64_t rows = table_all();

	for (unsigned int i = 0; i < args->n && rows != 0; i++)
		rows = table_narrow(rows, i, args->words[i]);
	if (rows == 0)
		return err_set(err, -ENOENT, "there is no such command: see help");
	for (unsigned int i = 0; i < n_commands; i++) {
		const struct command *c = &commands[i];
		char left[128];

		if ((rows >> i & 1) == 0)
			continue;
		snprintf(left, sizeof(left), "%s%s%s%s", c->words, c->args != NULL ? " " : "",
			 c->args != NULL ? c->args : "", c->json ? " [json]" : "");
		fprintf(out, "%-27s  %s\n", left, c->help);
	}
	return 0;
}

static int
quit(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	cli->quit = true;
	return 0;
}

#define JSON	true
#define CHANGES true

/* Words, arguments (how they are called, how many, what they are), whether it takes `json`, whether
 * it changes anything, function, help. Rows with equal first words stand together. */
/* clang-format off */
const struct command commands[] = {
	{ "show port",     NULL,     0, 0, CLI_TEXT,  JSON, 0, show_port,
	  "ports: link, addresses, counters, which worker reads and sends by which queue" },
	{ "show sa",       "[NAME]", 0, 1, CLI_SA,    JSON, 0, show_sa,
	  "security associations, or all there is to say about one" },
	{ "show iptfs",    "[SA]",   0, 1, CLI_SA,    JSON, 0, show_iptfs,
	  "IP-TFS: sizes, rate, queue, congestion control and all counters by lane" },
	{ "show crypto",   NULL,     0, 0, CLI_TEXT,  JSON, 0, show_crypto,
	  "crypto engines and devices: which are used, what they did, and why others are passed over" },
	{ "show nic",      "[PORT]", 0, 1, CLI_PORT,  JSON, 0, show_nic,
	  "what the ports' own devices do of IPsec, what they could, and why not the rest" },
	{ "show policy",   NULL,     0, 0, CLI_TEXT,  JSON, 0, show_policy,
	  "policies in their order, and how the database holds them" },
	{ "show route",    NULL,     0, 0, CLI_TEXT,  JSON, 0, show_route,
	  "routes and neighbours; * marks what is used" },
	{ "show mirror",   NULL,     0, 0, CLI_TEXT,  JSON, 0, show_mirror,
	  "what our own host was given and sent, by port and class" },
	{ "show drops",    NULL,     0, 0, CLI_TEXT,  JSON, 0, show_drops,
	  "packets dropped, consumed and made here, by reason and worker" },
	{ "show pipeline", NULL,     0, 0, CLI_TEXT,  JSON, 0, show_pipeline,
	  "stages with their bursts and packets; workers with their loops, handoff and sources" },
	{ "show pmtu",     NULL,     0, 0, CLI_TEXT,  JSON, 0, show_pmtu,
	  "path MTUs that were learnt, and what became of ICMP too-big and probes" },
	{ "show reassembly", NULL,   0, 0, CLI_TEXT,  JSON, 0, show_reassembly,
	  "fragments that were put together or wait for others, by worker" },
	{ "show echo",     NULL,     0, 0, CLI_TEXT,  JSON, 0, show_echo,
	  "ESP echoes: ours and what became of them, and those of peers" },
	{ "show state",    NULL,     0, 0, CLI_TEXT,  JSON, 0, show_state,
	  "the state file: its size, commits and what waits for it" },
	{ "show config",   NULL,     0, 0, CLI_TEXT,  JSON, 0, show_config,
	  "the configuration with all defaults, keys left out" },
	{ "show clients",  NULL,     0, 0, CLI_TEXT,  JSON, 0, show_clients,
	  "who is connected to the control socket" },
	{ "ping",          "SA|plain ADDRESS [count N] [interval T] [size N] [mtu] [timeout T]", 1, 12, CLI_SA, JSON, CHANGES, ping,
	  "ask the peer of an SA, or with plain any station, for an ESP echo; a key, or ^C of espctl, ends it" },
	{ "start",         NULL,     0, 0, CLI_TEXT,  0, CHANGES, start,
	  "read from the ports again after stop" },
	{ "stop",          NULL,     0, 0, CLI_TEXT,  0, CHANGES, stop,
	  "stop reading from the ports; what is inside is sent" },
	{ "clear",         NULL,     0, 0, CLI_TEXT,  0, CHANGES, clear,
	  "show counters from here on; those of SAs and of the exit report go on" },
	{ "set log",       "LEVEL",  1, 1, CLI_LEVEL, 0, CHANGES, set_log,
	  "what is logged: error, warning, notice, info, debug" },
	{ "set sa",        "NAME worker|path-mtu|rate|breaker N|auto|closed", 3, 3, CLI_SA, 0, CHANGES, set_sa,
	  "worker N: give an SA to a worker, where it stays; auto: wherever its packets arrive again. path-mtu N: what the path carries, until its age is over; auto: as if nothing were known. rate N: of IP-TFS, in bit/s. breaker closed: send again" },
	{ "set stats-period", "SECONDS", 1, 1, CLI_TEXT, 0, CHANGES, set_stats_period,
	  "how often a line of counters is printed; 0 is never" },
	{ "port",          "NAME reset", 2, 2, CLI_PORT, 0, CHANGES, port_command,
	  "stop a port's device and start it again; what it did of IPsec, software does meanwhile" },
	{ "reload",        "[--dry-run]", 0, 1, CLI_DRY_RUN, 0, CHANGES, reload,
	  "apply what changed in the file, or nothing if it has an error; or only say what would change" },
	{ "help",          "[COMMAND]", 0, CLI_WORDS_MAX, CLI_COMMAND, 0, 0, help,
	  "commands" },
	{ "quit",          NULL,     0, 0, CLI_TEXT,  0, CHANGES, quit,
	  "end the gateway" },
};
/* clang-format on */
const unsigned int n_commands = RTE_DIM(commands);
