#include "cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <rte_common.h>
/* Wants what is above it. */
#include <cmdline_rdline.h>

#include "base/poller.h"

#define PROMPT	  "espgw> "
#define LAST_MS	  1000 /* for a reader to take the last words */
#define READ_SIZE 4096

struct prompt {
	struct cli *cli;
	struct poller *poller;
	int in, out;
	bool own_out; /* out is a file description of ours */
	bool ended;
	bool busy; /* a command takes time: job */
	struct cli_job job;
	int watched;	     /* in, or out while it takes no more; -1: neither */
	struct rdline *line; /* a terminal's; NULL: there is none */
	struct termios before;
	/* Read, and not looked at yet. */
	size_t at, n;
	char read[READ_SIZE];
	/* The line so far, where there is no editor to keep it. */
	size_t len;
	bool too_long;
	char text[CLI_LINE_MAX + 2];
	/* To be written. */
	FILE *say;
	char *said;
	size_t said_size, said_at;
	struct cli_choices choices;
};

static poller_fn ready;

/* While what was said is not taken nothing more is read. */
static void
watch(struct prompt *p, int fd)
{
	if (fd == p->watched)
		return;
	if (p->watched >= 0)
		poller_del(p->poller, p->watched);
	p->watched = -1;
	if (fd >= 0 && poller_add(p->poller, fd, fd == p->in ? EPOLLIN : EPOLLOUT, ready, p) == 0)
		p->watched = fd;
}

/* Writes what can be written now. True: nothing waits any more. */
static bool
say_flush(struct prompt *p)
{
	fflush(p->say);
	while (p->said_at < p->said_size) {
		ssize_t n = write(p->out, p->said + p->said_at, p->said_size - p->said_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		/* Nobody will read it any more: it is lost, and the gateway goes on. */
		p->said_at = n < 0 ? p->said_size : p->said_at + (size_t)n;
	}
	if (p->said_size > 0) {
		rewind(p->say);
		fflush(p->say);
		p->said_at = 0;
		p->said_size = 0;
	}
	return true;
}

static int
char_write(struct rdline *line, char c)
{
	struct prompt *p = rdline_get_opaque(line);

	return fputc(c, p->say) == EOF ? -1 : 0;
}

/* The line is run when rdline_char_in() has returned. */
static void
line_valid(struct rdline *line, const char *buf, unsigned int size)
{
}

/* rdline's contract: 2, buf is to be appended; 1, buf is one of several, ask again; 0, no more.
 * *state is 0 for the tabulator, -1 for the question mark, then ours.
 */
static int
line_complete(struct rdline *line, const char *typed, char *buf, unsigned int size, int *state)
{
	struct prompt *p = rdline_get_opaque(line);
	struct cli_choices *c = &p->choices;
	unsigned int i = *state > 0 ? *state - 1 : 0;

	if (*state <= 0)
		cli_complete(p->cli, typed, c);
	if (*state == 0 && c->n > 0 && strlen(c->common) > c->typed) {
		snprintf(buf, size, "%s", c->common + c->typed);
		return 2;
	}
	if (i < c->n)
		snprintf(buf, size, "%-16s %s", c->text[i], c->help[i] != NULL ? c->help[i] : "");
	else if (i == c->n && c->more > 0)
		snprintf(buf, size, "… and %u more", c->more);
	else
		return 0;
	*state = i + 2;
	return 1;
}

/* Page after page, as long as there is something to say. */
static void
job_go_on(struct prompt *p)
{
	struct err err = { "" };
	int rc;

	do
		rc = cli_job_run(p->cli, &p->job, p->say, &err);
	while (rc > 0 && !cli_job_waits(&p->job));
	p->busy = rc > 0;
	if (rc < 0)
		cli_complain(p->say, p->job.json, &err);
	if (!p->busy)
		cli_job_end(&p->job);
}

static void
run(struct prompt *p, char *text, bool too_long)
{
	struct err err = { "" };

	text[strcspn(text, "\r\n")] = 0;
	if (too_long)
		fprintf(p->say, "error: a line of more than %d octets\n", CLI_LINE_MAX);
	else if (cli_job_begin(&p->job, text, false, &err) < 0)
		cli_complain(p->say, p->job.json, &err);
	else
		job_go_on(p);
}

static void
terminal_char(struct prompt *p, char c)
{
	char text[CLI_LINE_MAX + 4];
	int rc;

	/* What the editor has no room for it leaves out without a word. */
	if (c == '\r' || c == '\n')
		snprintf(text, sizeof(text), "%s", rdline_get_buffer(p->line));
	else if (strlen(rdline_get_buffer(p->line)) > CLI_LINE_MAX && c >= ' ' && c <= '~')
		p->too_long = true;
	rc = rdline_char_in(p->line, c);
	if (rc == RDLINE_RES_EOF) {
		fputs("\r\nThe prompt has ended; the gateway goes on.\r\n", p->say);
		p->ended = true;
	}
	if (rc != RDLINE_RES_VALIDATED)
		return;
	if (text[0] != '\n' && !p->too_long)
		rdline_add_history(p->line, text);
	run(p, text, p->too_long);
	p->too_long = false;
	if (!p->cli->quit && !p->busy)
		rdline_newline(p->line, PROMPT);
}

static void
plain_char(struct prompt *p, char c)
{
	if (c != '\n') {
		/* A line must not end before its end. */
		if (p->len < CLI_LINE_MAX)
			p->text[p->len++] = c != 0 ? c : 1;
		else
			p->too_long = c != '\r' || p->too_long;
		return;
	}
	p->text[p->len] = 0;
	run(p, p->text, p->too_long);
	p->len = 0;
	p->too_long = false;
}

/* Reads once, and no more than is there. */
static void
more(struct prompt *p)
{
	struct pollfd input = { .fd = p->in, .events = POLLIN };
	ssize_t n;

	p->at = p->n = 0;
	if (poll(&input, 1, 0) <= 0)
		return;
	n = read(p->in, p->read, sizeof(p->read));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		p->n = n;
		return;
	}
	p->ended = true;
	/* The last line of a file may lack its end. */
	if (p->line == NULL && (p->len > 0 || p->too_long))
		plain_char(p, '\n');
}

/* While a command takes time a terminal may end it; lines of a file wait. */
static bool
listens(const struct prompt *p)
{
	return !p->busy || p->line != NULL;
}

static void
ready(void *ctx, uint32_t events)
{
	struct prompt *p = ctx;
	bool taken = say_flush(p);

	if (taken && p->at == p->n && !p->ended)
		more(p);
	while (taken && p->at < p->n && !p->ended && !p->cli->quit && listens(p)) {
		char c = p->read[p->at++];

		if (p->busy) {
			/* Any key; it means no more than that. */
			p->job.stop = true;
			break;
		}
		(p->line != NULL ? terminal_char : plain_char)(p, c);
		/* One command, then see whether somebody reads. */
		if (c == '\n' || c == '\r')
			taken = say_flush(p);
	}
	taken = say_flush(p);
	if (p->ended || p->cli->quit || (taken && !listens(p)))
		watch(p, -1);
	else
		watch(p, taken ? p->in : p->out);
}

void
prompt_tick(struct prompt *p)
{
	if (p == NULL || !p->busy || cli_job_waits(&p->job))
		return;
	job_go_on(p);
	if (!p->busy && p->line != NULL)
		rdline_newline(p->line, PROMPT);
	ready(p, 0);
}

bool
prompt_ended(const struct prompt *p)
{
	return p->ended && !p->busy;
}

/* A file description of our own that never blocks: the one we were given is others' too. */
static void
out_own(struct prompt *p)
{
	char path[32];
	struct stat st;
	int fd;

	if (fstat(p->out, &st) < 0 || (!S_ISFIFO(st.st_mode) && !isatty(p->out)))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->out);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	p->out = fd;
	p->own_out = true;
}

static int
terminal_begin(struct prompt *p, struct err *err)
{
	struct termios raw;

	p->line = rdline_new(char_write, line_valid, line_complete, p);
	if (p->line == NULL || tcgetattr(p->in, &p->before) < 0)
		return err_set(err, -ENOMEM, "the terminal cannot be used for a prompt");
	raw = p->before;
	/* Signals stay: an interrupt ends the gateway as it does without a prompt. */
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(p->in, TCSANOW, &raw);
	rdline_newline(p->line, PROMPT);
	return 0;
}

int
prompt_create(struct cli *cli, struct poller *poller, int in, int out, struct prompt **prompt,
	      struct err *err)
{
	struct prompt *p = calloc(1, sizeof(*p));
	int rc = 0;

	if (p == NULL)
		return err_set(err, -ENOMEM, "no memory for the prompt");
	p->cli = cli;
	p->poller = poller;
	p->watched = -1;
	p->in = in;
	p->out = out;
	p->say = open_memstream(&p->said, &p->said_size);
	if (p->say == NULL)
		rc = err_set(err, -ENOMEM, "no memory for the prompt");
	out_own(p);
	if (rc == 0 && isatty(in))
		rc = terminal_begin(p, err);
	if (rc < 0) {
		prompt_free(p);
		return rc;
	}
	*prompt = p;
	ready(p, 0);
	return 0;
}

void
prompt_free(struct prompt *p)
{
	struct pollfd room = { .events = POLLOUT };

	if (p == NULL)
		return;
	cli_job_end(&p->job);
	watch(p, -1);
	room.fd = p->out;
	for (int i = 0; p->say != NULL && !say_flush(p) && i < LAST_MS / 100; i++)
		poll(&room, 1, 100);
	if (p->line != NULL)
		tcsetattr(p->in, TCSANOW, &p->before);
	rdline_free(p->line);
	if (p->say != NULL)
		fclose(p->say);
	free(p->said);
	if (p->own_out)
		close(p->out);
	free(p);
}
