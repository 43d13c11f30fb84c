#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include <rte_common.h>

#include "cli/cli.h"

/* Which command a line comes to, and with what left over. */
static const struct {
	const char *what;
	const char *line;
	const char *words; /* of the command; NULL: none */
	unsigned int n;	   /* arguments */
	int rc;
	const char *says; /* in the error */
} matches[] = {
	{ "words in full", "show port", "show port", 0, 0, NULL },
	{ "words cut short", "sh por", "show port", 0, 0, NULL },
	{ "blanks and tabs between and around", " \tshow \t port  ", "show port", 0, 0, NULL },
	{ "a command of one word", "quit", "quit", 0, 0, NULL },
	{ "an argument", "show sa site-b.out", "show sa", 1, 0, NULL },
	{ "an argument that looks like a command", "show sa show", "show sa", 1, 0, NULL },
	{ "a word in full that others begin with", "set log debug", "set log", 1, 0, NULL },
	{ "two words begin so", "sta", "start", 0, 0, NULL },
	{ "several begin so", "st", NULL, 0, -EINVAL, "start, stop" },
	{ "several second words begin so", "show p", NULL, 0, -EINVAL, "port, policy, pipeline" },
	{ "a word is missing", "show", NULL, 0, -EINVAL, "missing" },
	{ "no such first word", "frobnicate", NULL, 0, -ENOENT, "frobnicate" },
	{ "no such second word", "show frobnicate", NULL, 0, -ENOENT, "frobnicate" },
	{ "longer than the word", "quits", NULL, 0, -ENOENT, "quits" },
	{ "other letters are others", "QUIT", NULL, 0, -ENOENT, "QUIT" },
};

static void
lines_match(void **state)
{
	for (size_t i = 0; i < RTE_DIM(matches); i++) {
		const struct command *c;
		char buf[CLI_LINE_MAX + 1];
		struct err err = { "" };
		struct args args;
		int rc = cli_split(matches[i].line, buf, &args, &err);

		if (rc == 0)
			rc = cli_match(&args, &c, &err);
		if (rc != matches[i].rc || (rc == 0 && (strcmp(c->words, matches[i].words) != 0 ||
							args.n != matches[i].n)))
			fail_msg("%s: %d, %s", matches[i].what, rc, rc == 0 ? c->words : err.text);
		if (matches[i].says != NULL && strstr(err.text, matches[i].says) == NULL)
			fail_msg("%s: says \"%s\"", matches[i].what, err.text);
	}
}

static void
no_row_begins_another(void **state)
{
	assert_in_range(n_commands, 1, 63);
	for (unsigned int i = 0; i < n_commands; i++)
		for (unsigned int k = 0; k < n_commands; k++) {
			size_t n = strlen(commands[i].words);

			if (i != k && strncmp(commands[i].words, commands[k].words, n) == 0 &&
			    (commands[k].words[n] == ' ' || commands[k].words[n] == 0))
				fail_msg("%s, %s", commands[i].words, commands[k].words);
		}
}

/* Each row is found by its own words, and its help is there. */
static void
each_row_is_found(void **state)
{
	for (unsigned int i = 0; i < n_commands; i++) {
		const struct command *c = NULL;
		char buf[CLI_LINE_MAX + 1];
		struct args args;
		struct err err;

		assert_int_equal(cli_split(commands[i].words, buf, &args, &err), 0);
		assert_int_equal(cli_match(&args, &c, &err), 0);
		assert_ptr_equal(c, &commands[i]);
		assert_true(strlen(c->help) > 0);
		assert_int_equal(c->args != NULL, c->max > 0);
	}
}

static const struct {
	const char *what, *line, *says;
} bad[] = {
	{ "an escape", "show \033[31mport", "0x1b" },
	{ "an octet with the high bit", "show \xc3\xa9", "0xc3" },
	{ "a carriage return inside", "show\rport", "0x0d" },
	{ "delete", "\177", "0x7f" },
	{ "too many words", "a b c d e f g h i j k l m n o p q", "16" },
};

static void
bad_lines_are_named(void **state)
{
	char long_line[CLI_LINE_MAX + 2];
	char buf[CLI_LINE_MAX + 1];
	struct args args;
	struct err err;

	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		if (cli_split(bad[i].line, buf, &args, &err) != -EINVAL ||
		    strstr(err.text, bad[i].says) == NULL)
			fail_msg("%s: \"%s\"", bad[i].what, err.text);
	}
	memset(long_line, 'a', sizeof(long_line));
	long_line[CLI_LINE_MAX] = 0;
	assert_int_equal(cli_split(long_line, buf, &args, &err), 0);
	assert_int_equal(strlen(args.words[0]), CLI_LINE_MAX);
	long_line[CLI_LINE_MAX] = 'a';
	long_line[CLI_LINE_MAX + 1] = 0;
	assert_int_equal(cli_split(long_line, buf, &args, &err), -EINVAL);
}

/* What a line says, the gateway not being asked. */
static const struct {
	const char *what, *line;
	int rc;
	const char *says;
} runs[] = {
	{ "nothing", "", 0, NULL },
	{ "blanks", "  \t ", 0, NULL },
	{ "a comment", "# show port", 0, NULL },
	{ "help for one", "help show port", 0, "show port [json]" },
	{ "help for some", "help set", 0, "set stats-period SECONDS" },
	{ "help for none", "help nothing", -ENOENT, "error: " },
	{ "an argument where there is none", "quit now", -EINVAL, "error: it is: quit" },
	{ "no argument where there is one", "set log", -EINVAL, "error: it is: set log LEVEL" },
	{ "JSON where there is none", "quit json", -EINVAL, "error: it is: quit" },
	{ "an error as JSON", "show port and more json", -EINVAL,
	  "{\"error\":\"it is: show port [json]\"}" },
	{ "a level that is none", "set log loud", -EINVAL, "loud" },
	{ "a period that is no number", "set stats-period 1s", -EINVAL, "1s" },
	{ "a negative period", "set stats-period -1", -EINVAL, "-1" },
	{ "a period beyond a day", "set stats-period 86401", -EINVAL, "86401" },
	{ "an option that reload has not", "reload --wet-run", -EINVAL, "--dry-run" },
};

static int
say(struct cli *cli, const char *line, char **text)
{
	size_t size = 0;
	FILE *f = open_memstream(text, &size);
	int rc = cli_run(cli, line, f);

	fclose(f);
	return rc;
}

static void
lines_say(void **state)
{
	for (size_t i = 0; i < RTE_DIM(runs); i++) {
		struct cli cli = { .gw = NULL };
		char *text = NULL;
		int rc = say(&cli, runs[i].line, &text);

		if (rc != runs[i].rc || cli.quit ||
		    (runs[i].says == NULL ? text[0] != 0 : strstr(text, runs[i].says) == NULL))
			fail_msg("%s: %d, \"%s\"", runs[i].what, rc, text);
		free(text);
	}
}

static void
settings_are_kept(void **state)
{
	struct cli cli = { .gw = NULL };
	char *text = NULL;

	assert_int_equal(say(&cli, "set stats-period 86400", &text), 0);
	assert_int_equal(cli.stats_period, 86400);
	free(text);
	assert_int_equal(say(&cli, "quit", &text), 0);
	assert_true(cli.quit);
	free(text);
}

static const struct {
	const char *what, *line;
	unsigned int n;
	const char *common;
} completions[] = {
	{ "one word goes on so: a blank comes behind", "q", 1, "quit " },
	{ "several do: what they share", "st", 2, "st" },
	{ "a shared part is filled in", "show p", 4, "p" },
	{ "part of a second word", "show pi", 1, "pipeline " },
	{ "behind a word cut short", "sh pi", 1, "pipeline " },
	{ "all first words", "", 10, "" },
	{ "all second words", "show ", 16, "" },
	{ "a finished word", "quit", 1, "quit " },
	{ "behind a finished command", "quit ", 0, "" },
	{ "json", "show port j", 1, "json " },
	{ "a level", "set log d", 1, "debug " },
	{ "an option", "reload ", 1, "--dry-run " },
	{ "a command behind help", "help show ro", 1, "route " },
	{ "no arguments behind help", "help set log ", 0, "" },
	{ "nothing goes on so", "x", 0, "" },
	{ "behind a word that is none", "x s", 0, "" },
	{ "two are one word here", "se", 1, "set " },
};

static void
lines_complete(void **state)
{
	const struct cli cli = { .gw = NULL };
	struct cli_choices c;

	for (size_t i = 0; i < RTE_DIM(completions); i++) {
		cli_complete(&cli, completions[i].line, &c);
		if (c.n != completions[i].n || strcmp(c.common, completions[i].common) != 0)
			fail_msg("%s: %u choices, \"%s\"", completions[i].what, c.n, c.common);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_match),	     cmocka_unit_test(no_row_begins_another),
		cmocka_unit_test(each_row_is_found), cmocka_unit_test(bad_lines_are_named),
		cmocka_unit_test(lines_say),	     cmocka_unit_test(settings_are_kept),
		cmocka_unit_test(lines_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
