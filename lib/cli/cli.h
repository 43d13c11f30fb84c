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
	/* Prints who is connected to the control socket; NULL: there is none. */
	void (*clients_show)(void *ctx, FILE *out, bool json);
	void *clients;
	struct cli_page *page; /* of the command that runs; NULL: all is wanted at once */
	struct cli_job *job;   /* that it is of; NULL: it may not take time */
};

/* A long answer in pieces: a command that can prints `rows` of it from `at` on, then sets `at` to
 * where the next call is to go on, and `more`. One that cannot prints all.
 */
struct cli_page {
	uint64_t at; /* 0 is the beginning; what else it means is the command's own */
	uint32_t rows;
	bool more;
};

/* What a command that takes time keeps between its pages. */
struct cli_session {
	/* Whether it has something to say, or to do. */
	bool (*is_ready)(const struct cli_session *session);
	void (*end)(struct cli_session *session); /* frees it */
};

struct args {
	unsigned int n;
	const char *words[CLI_WORDS_MAX];
};

/* What may stand in the place of an argument, for completion. */
enum cli_kind {
	CLI_TEXT,
	CLI_SA,
	CLI_PORT,
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

/* A line whose answer is wanted in pages. It lies where it lies until it has ended. */
struct cli_job {
	char buf[CLI_LINE_MAX + 1];
	struct args args;
	const struct command *command; /* NULL: the line says nothing */
	bool json, changes;
	uint32_t rows; /* of a page; 0: all of them, in one */
	struct cli_page page;
	struct cli_session *session; /* NULL for most */
	bool stop;		     /* set by who asked: it is to say what it has, and end */
};

/* Reads a line; json: as if `json` stood behind it where a command takes that. Runs nothing. */
int cli_job_begin(struct cli_job *job, const char *line, bool json, struct err *err);
/* Prints the next page. Returns 1: there is more; 0: it was the last; or a negative errno, and the
 * sentence is not in out.
 */
int cli_job_run(struct cli *cli, struct cli_job *job, FILE *out, struct err *err);
/* Whether the next page is to be asked for later: now there is nothing to say. */
bool cli_job_waits(const struct cli_job *job);
/* After the last page, or instead of it. Again is fine. */
void cli_job_end(struct cli_job *job);

/* What was wrong, as cli_run() says it. */
void cli_complain(FILE *out, bool json, const struct err *err);

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
