#include <string.h>

#include <rte_common.h>

#include "cli/table.h"
#include "conf/conf.h"
#include "ctl/gw.h"
#include "ctl/report.h"

/* Takes a candidate in, if it goes on as typed. */
static void
offer(struct cli_choices *c, const char *typed, const char *word, size_t len, const char *help)
{
	char text[CLI_CHOICE_SIZE];
	size_t same = 0;

	if (len >= sizeof(text) || len < c->typed || memcmp(word, typed, c->typed) != 0)
		return;
	memcpy(text, word, len);
	text[len] = 0;
	if (c->n > 0 && strcmp(c->text[c->n - 1], text) == 0)
		return;
	if (c->n == 0)
		memcpy(c->common, text, len + 1);
	while (c->common[same] != 0 && c->common[same] == text[same])
		same++;
	c->common[same] = 0;
	if (c->n == CLI_CHOICES_MAX) {
		c->more++;
		return;
	}
	memcpy(c->text[c->n], text, len + 1);
	c->help[c->n++] = help;
}

static void
offer_words(struct cli_choices *c, uint64_t rows, unsigned int i, const char *typed)
{
	for (unsigned int r = 0; r < n_commands; r++) {
		size_t len, next;
		const char *word = table_word(&commands[r], i, &len);

		if ((rows >> r & 1) == 0 || len == 0)
			continue;
		table_word(&commands[r], i + 1, &next);
		offer(c, typed, word, len, next == 0 ? commands[r].help : NULL);
	}
}

static void
offer_sas(struct cli_choices *c, const struct gw *gw, const char *typed)
{
	const struct conf *conf = gw->conf;
	char name[SA_NAME_MAX];

	for (uint32_t i = 0; i < conf->n_sas; i++)
		offer(c, typed, conf->sas[i].name, strlen(conf->sas[i].name), NULL);
	if (gw->sas.cold_of == NULL)
		return;
	for (uint32_t i = sa_next_of_daemons(gw, 0); i != SA_NONE;
	     i = sa_next_of_daemons(gw, i + 1)) {
		sa_name(sa_cold(&gw->sas, i), name);
		offer(c, typed, name, strlen(name), NULL);
	}
}

static void
offer_arguments(struct cli_choices *c, const struct cli *cli, const struct command *command,
		unsigned int given, const char *typed)
{
	const struct conf *conf = cli->gw != NULL ? cli->gw->conf : NULL;
	bool room = given < command->max;

	if (room && command->kind == CLI_SA && conf != NULL)
		offer_sas(c, cli->gw, typed);
	for (uint32_t i = 0;
	     given == 0 && command->kind == CLI_PORT && conf != NULL && i < conf->n_ports; i++)
		offer(c, typed, conf->ports[i].name, strlen(conf->ports[i].name), NULL);
	if (room && command->kind == CLI_LEVEL)
		for (unsigned int i = 0; i < n_log_levels; i++)
			offer(c, typed, log_levels[i].name, strlen(log_levels[i].name), NULL);
	if (room && command->kind == CLI_DRY_RUN)
		offer(c, typed, "--dry-run", strlen("--dry-run"), "only say what would change");
	if (given <= command->max && command->json)
		offer(c, typed, "json", strlen("json"), "the same as JSON");
}

static void
complete(const struct cli *cli, struct args *words, const char *typed, bool arguments,
	 struct cli_choices *c)
{
	const struct command *command = NULL;
	uint64_t rows = table_all();
	unsigned int i = 0;

	for (; i < words->n && command == NULL; i++) {
		rows = table_narrow(rows, i, words->words[i]);
		if (rows == 0)
			return;
		command = table_row(rows, i + 1);
	}
	if (command == NULL) {
		offer_words(c, rows, i, typed);
		return;
	}
	args_shift(words, i);
	/* What help is asked for is a command again, without arguments. */
	if (command->kind == CLI_COMMAND)
		complete(cli, words, typed, false, c);
	else if (arguments)
		offer_arguments(c, cli, command, words->n, typed);
}

void
cli_complete(const struct cli *cli, const char *line, struct cli_choices *c)
{
	char buf[CLI_LINE_MAX + 1];
	const char *typed = "";
	size_t len = strlen(line);
	struct args words;

	*c = (struct cli_choices) { .n = 0 };
	if (cli_split(line, buf, &words, NULL) < 0)
		return;
	if (len > 0 && line[len - 1] != ' ' && line[len - 1] != '\t')
		typed = words.words[--words.n];
	c->typed = strlen(typed);
	complete(cli, &words, typed, true, c);
	if (c->n == 1)
		strcat(c->common, " ");
}
