#include "cli/cli.h"

#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "base/json.h"
#include "cli/table.h"

int
cli_split(const char *line, char buf[CLI_LINE_MAX + 1], struct args *words, struct err *err)
{
	size_t len = strnlen(line, CLI_LINE_MAX + 1);
	bool blank = true;

	words->n = 0;
	if (len > CLI_LINE_MAX)
		return err_set(err, -EINVAL, "a line of more than %d octets", CLI_LINE_MAX);
	memcpy(buf, line, len + 1);
	for (char *s = buf; *s != 0; s++) {
		bool was_blank = blank;

		blank = *s == ' ' || *s == '\t';
		if (blank)
			*s = 0;
		else if (*s < ' ' || *s > '~')
			return err_set(err, -EINVAL, "octet 0x%02x in the line: it is no text",
				       (unsigned char)*s);
		else if (was_blank && words->n == CLI_WORDS_MAX)
			return err_set(err, -EINVAL, "more than %d words", CLI_WORDS_MAX);
		else if (was_blank)
			words->words[words->n++] = s;
	}
	return 0;
}

const char *
table_word(const struct command *row, unsigned int i, size_t *len)
{
	const char *at = row->words;

	while (*len = strcspn(at, " "), i > 0) {
		at += *len + (at[*len] == ' ');
		i--;
	}
	return at;
}

static bool
begins(const char *word, size_t len, const char *typed)
{
	size_t n = strlen(typed);

	return n <= len && memcmp(word, typed, n) == 0;
}

uint64_t
table_narrow(uint64_t rows, unsigned int i, const char *typed)
{
	uint64_t cut = 0, whole = 0;

	for (unsigned int r = 0; r < n_commands; r++) {
		size_t len;
		const char *word = table_word(&commands[r], i, &len);

		if ((rows >> r & 1) == 0 || len == 0 || !begins(word, len, typed))
			continue;
		cut |= UINT64_C(1) << r;
		if (len == strlen(typed))
			whole |= UINT64_C(1) << r;
	}
	return whole != 0 ? whole : cut;
}

/* The words that the rows have at i, as "port, sa, policy"; returns how many differ. */
static unsigned int
words_list(uint64_t rows, unsigned int i, char *buf, size_t size)
{
	const char *last = "";
	size_t last_len = 0, at = 0;
	unsigned int n = 0;

	buf[0] = 0;
	for (unsigned int r = 0; r < n_commands; r++) {
		size_t len;
		const char *word = table_word(&commands[r], i, &len);

		if ((rows >> r & 1) == 0 || len == 0 ||
		    (len == last_len && memcmp(word, last, len) == 0))
			continue;
		at += snprintf(buf + at, size - at, "%s%.*s", n > 0 ? ", " : "", (int)len, word);
		at = RTE_MIN(at, size - 1);
		last = word;
		last_len = len;
		n++;
	}
	return n;
}

void
args_shift(struct args *a, unsigned int n)
{
	a->n -= n;
	memmove(a->words, a->words + n, a->n * sizeof(a->words[0]));
}

int
cli_match(struct args *words, const struct command **command, struct err *err)
{
	uint64_t rows = table_all();
	char list[256];

	*command = NULL;
	for (unsigned int i = 0; *command == NULL; i++) {
		if (i == words->n) {
			words_list(rows, i, list, sizeof(list));
			return err_set(err, -EINVAL, "a word is missing: %s", list);
		}
		rows = table_narrow(rows, i, words->words[i]);
		if (rows == 0)
			return err_set(err, -ENOENT, "there is no command \"%.40s\": see help",
				       words->words[i]);
		if (words_list(rows, i, list, sizeof(list)) > 1)
			return err_set(err, -EINVAL, "\"%.40s\" may be %s", words->words[i], list);
		*command = table_row(rows, i + 1);
		if (*command != NULL)
			args_shift(words, i + 1);
	}
	return 0;
}

void
cli_complain(FILE *out, bool json, const struct err *err)
{
	struct json j;

	if (!json) {
		fprintf(out, "error: %s\n", err->text);
		return;
	}
	json_init(&j, out);
	json_object(&j, NULL);
	json_string(&j, "error", err->text);
	json_end(&j);
	fputc('\n', out);
}

static int
arguments_check(struct cli_job *job, struct err *err)
{
	const struct command *c = job->command;
	struct args *args = &job->args;
	bool asked = c->json && args->n > 0 && strcmp(args->words[args->n - 1], "json") == 0;

	args->n -= asked;
	job->json = asked || (job->json && c->json);
	if (args->n < c->min || args->n > c->max)
		return err_set(err, -EINVAL, "it is: %s%s%s%s", c->words,
			       c->args != NULL ? " " : "", c->args != NULL ? c->args : "",
			       c->json ? " [json]" : "");
	return 0;
}

int
cli_job_begin(struct cli_job *job, const char *line, bool json, struct err *err)
{
	int rc;

	*job = (struct cli_job) { .json = json };
	rc = cli_split(line, job->buf, &job->args, err);
	if (rc < 0 || job->args.n == 0 || job->args.words[0][0] == '#')
		return rc;
	rc = cli_match(&job->args, &job->command, err);
	if (rc < 0)
		return rc;
	job->changes = job->command->changes;
	return arguments_check(job, err);
}

int
cli_job_run(struct cli *cli, struct cli_job *job, FILE *out, struct err *err)
{
	int rc;

	if (job->command == NULL)
		return 0;
	job->page.rows = job->rows;
	job->page.more = false;
	cli->page = job->rows != 0 ? &job->page : NULL;
	cli->job = job;
	rc = job->command->run(cli, out, job->json, &job->args, err);
	cli->page = NULL;
	cli->job = NULL;
	return rc < 0 ? rc : job->page.more;
}

bool
cli_job_waits(const struct cli_job *job)
{
	return job->session != NULL && !job->stop && !job->session->is_ready(job->session);
}

void
cli_job_end(struct cli_job *job)
{
	if (job->session != NULL)
		job->session->end(job->session);
	job->session = NULL;
}

int
cli_run(struct cli *cli, const char *line, FILE *out)
{
	struct err err = { "" };
	struct cli_job job;
	int rc;

	rc = cli_job_begin(&job, line, false, &err);
	if (rc == 0)
		rc = cli_job_run(cli, &job, out, &err);
	/* Who cannot come again gets what there is at once. */
	cli_job_end(&job);
	if (rc < 0)
		cli_complain(out, job.json, &err);
	return rc > 0 ? 0 : rc;
}
