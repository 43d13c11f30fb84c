/* Commands: one table, which the prompt, its completion and its help come out of, and which any
 * other way in is to use.
 *
 * A line is words of printable ASCII between blanks; a word of a command may be cut short while it
 * stays the only one; `json` behind a show command asks for JSON. Lines that begin with # and empty
 * ones do nothing. Control's thread only. Nothing that is printed holds a key.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define CLI_LINE_MAX  510 /* octets: what the line editor takes */
#define CLI_WORDS_MAX 16

struct gw;

/* What commands act on. */
struct cli {
	struct gw *gw;
	uint32_t stats_period; /* seconds; 0 = never. The caller prints the lines. */
	bool quit;	       /* set by `quit`: the gateway is to end */
};

struct args {
	unsigned int n;
	const char *words[CLI_WORDS_MAX];
};

/* What may stand in the place of an argument, for completion. */
enum cli_kind {
	CLI_TEXT,
	CLI_SA,
	CLI_LEVEL,
	CLI_COMMAND,
	CLI_DRY_RUN,
};

struct command {
	const char *words;
	const char *args; /* for help; NULL: there are none */
	uint8_t min, max; /* of them */
	uint8_t kind;	  /* enum cli_kind */
	bool json;	  /* takes `json` */
	bool changes;	  /* more than what it prints */
	int (*run)(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err);
	const char *help;
};

extern const struct command commands[];
extern const unsigned int n_commands;

/* Cuts a line into words, which lie in buf. -EINVAL: too long, too many words, or octets that are
 * no printable ASCII.
 */
int cli_split(const char *line, char buf[CLI_LINE_MAX + 1], struct args *words, struct err *err);

/* The command that the first words name; the others are left in *words. -ENOENT: there is none;
 * -EINVAL: several begin so.
 */
int cli_match(struct args *words, const struct command **command, struct err *err);

/* Runs a line. What it says goes to out; also what was wrong, as a line "error: …", or {"error": …}
 * where JSON was asked for. Returns 0 or a negative errno.
 */
int cli_run(struct cli *cli, const char *line, FILE *out);

#define CLI_CHOICES_MAX 64
#define CLI_CHOICE_SIZE 64

/* What can stand where a line ends. */
struct cli_choices {
	unsigned int n;	   /* listed */
	unsigned int more; /* not listed */
	unsigned int typed;
	char text[CLI_CHOICES_MAX][CLI_CHOICE_SIZE];
	const char *help[CLI_CHOICES_MAX]; /* or NULL */
	/* What all of them begin with, the `typed` octets included; with a blank if there is one
	 * alone. */
	char common[CLI_CHOICE_SIZE + 1];
};

void cli_complete(const struct cli *cli, const char *line, struct cli_choices *choices);

#endif
