#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "ipc/proto.h"
#include "worker/stage.h"

enum kind {
	FLAG,
	TEXT,
	NUMBER_16,
	NUMBER_32,
};

/* One row an option: parser and help come out of it. */
static const struct option_row {
	const char *name;
	const char *argument; /* NULL: none */
	enum kind kind;
	size_t at; /* in struct options */
	uint32_t min, max;
	char letter;
	const char *help;
} rows[] = {
#define AT(field) offsetof(struct options, field)
	{ "config", "FILE", TEXT, AT(config), 0, 0, 'c', "the configuration: see espgw.yaml(5)" },
	{ "check", NULL, FLAG, AT(check), 0, 0, 0,
	  "judge the file and this host, say what is wrong, change nothing" },
	{ "interactive", NULL, FLAG, AT(interactive), 0, 0, 'i',
	  "a prompt: commands from standard input" },
	{ "stats-period", "SECONDS", NUMBER_32, AT(stats_period), 1, 86400, 0,
	  "print a line of counters every so often" },
	{ "burst", "N", NUMBER_16, AT(burst), 1, BURST_MAX, 0, "packets per burst, 1 to 64" },
	{ "rxq", "N", NUMBER_16, AT(rx_queues), 1, 64, 0, "receive queues of each port" },
	{ "rxd", "N", NUMBER_16, AT(rx_desc), 32, 32768, 0, "descriptors of a receive queue" },
	{ "txd", "N", NUMBER_16, AT(tx_desc), 32, 32768, 0, "descriptors of a transmit queue" },
	{ "control-socket", "PATH", TEXT, AT(control_socket), 0, 0, 0,
	  "default " IPC_PATH "; none: no socket" },
	{ "exit-when-idle", "MS", NUMBER_32, AT(exit_when_idle_ms), 1, 3600000, 0,
	  "end when no packet came for so long and none is inside" },
	{ "json", NULL, FLAG, AT(json), 0, 0, 0,
	  "exit report, or what --check found, as JSON on stdout" },
	{ "help", NULL, FLAG, AT(help), 0, 0, 'h', "this" },
	{ "version", NULL, FLAG, AT(version), 0, 0, 0, "the version" },
#undef AT
};

void
options_help(FILE *f)
{
	fputs("usage: espgw [DPDK's options] -- --config FILE [options]\n\n", f);
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		char left[48];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", rows[i].letter != 0 ? "-" : "",
			 rows[i].letter != 0 ? rows[i].letter : ' ',
			 rows[i].letter != 0 ? ", " : "   ", rows[i].name,
			 rows[i].argument != NULL ? " " : "",
			 rows[i].argument != NULL ? rows[i].argument : "");
		fprintf(f, "  %-28s %s\n", left, rows[i].help);
	}
	fputs("\nDPDK's options name the CPUs and the memory: -l 0-4, --no-huge -m 512, --no-pci. "
	      "The main lcore is\n"
	      "control's, each other one a worker.\n",
	      f);
}

static bool
number_read(const struct option_row *row, const char *text, uint32_t *value)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != 0 || text[0] == '-' || n < row->min ||
	    n > row->max) {
		fprintf(stderr, "espgw: --%s: \"%.40s\" is not a number from %u to %u\n", row->name,
			text, row->min, row->max);
		return false;
	}
	*value = n;
	return true;
}

static bool
row_take(const struct option_row *row, struct options *o, const char *text)
{
	void *at = (char *)o + row->at;
	uint32_t n = 0;

	if (row->kind >= NUMBER_16 && !number_read(row, text, &n))
		return false;
	switch (row->kind) {
	case FLAG:
		*(bool *)at = true;
		break;
	case TEXT:
		*(const char **)at = text;
		break;
	case NUMBER_16:
		*(uint16_t *)at = n;
		break;
	case NUMBER_32:
		*(uint32_t *)at = n;
		break;
	}
	return true;
}

static bool
own_parse(int argc, char **argv, struct options *o)
{
	struct option longs[RTE_DIM(rows) + 1] = { 0 };
	int row, letter;

	for (size_t i = 0; i < RTE_DIM(rows); i++)
		longs[i] = (struct option) {
			.name = rows[i].name,
			.has_arg = rows[i].argument != NULL ? required_argument : no_argument,
		};
	optind = 1;
	opterr = 0;
	while (row = -1, (letter = getopt_long(argc, argv, ":c:ih", longs, &row)) != -1) {
		for (size_t i = 0; i < RTE_DIM(rows) && letter != 0; i++)
			if (rows[i].letter == letter)
				row = i;
		if (letter == ':') {
			fprintf(stderr, "espgw: %s wants an argument\n", argv[optind - 1]);
			return false;
		}
		if (letter == '?' || row < 0) {
			fprintf(stderr, "espgw: %s is no option: see espgw --help\n",
				argv[optind - 1]);
			return false;
		}
		if (!row_take(&rows[row], o, optarg))
			return false;
	}
	if (optind < argc) {
		fprintf(stderr, "espgw: what is \"%.60s\"? see espgw --help\n", argv[optind]);
		return false;
	}
	return true;
}

bool
options_parse(int argc, char **argv, struct options *o, int *eal_argc)
{
	int split = 1;

	*o = (struct options) { 0 };
	while (split < argc && strcmp(argv[split], "--") != 0) {
		o->help |= strcmp(argv[split], "--help") == 0 || strcmp(argv[split], "-h") == 0;
		o->version |= strcmp(argv[split], "--version") == 0;
		split++;
	}
	*eal_argc = split;
	if (o->help || o->version)
		return true;
	/* getopt wants a program's name in front: the `--` itself stands there. */
	if (split < argc && !own_parse(argc - split, argv + split, o))
		return false;
	if (o->config == NULL && !o->help && !o->version) {
		fputs("espgw: --config FILE is missing (behind \"--\"): see espgw --help\n",
		      stderr);
		return false;
	}
	return true;
}
