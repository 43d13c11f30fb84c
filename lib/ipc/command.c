/* Commands of espctl, and what they say: text in pieces, as fast as it is read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "ipc/client.h"
#include "ipc/message.h"

#define PIECE_SIZE (16u << 10)
#define PAGE_ROWS  256

struct answer {
	struct nlmsghdr request;
	struct cli_job job;
	struct err err;
	bool ended; /* all is said, but for the rest of the text */
	int status;
	char *text;
	size_t size, at;
};

void
answer_free(struct answer *a)
{
	if (a == NULL)
		return;
	cli_job_end(&a->job);
	free(a->text);
	free(a);
}

bool
command_waits(const struct client *c)
{
	const struct answer *a = c->answer;

	return a != NULL && a->at == a->size && !a->ended && cli_job_waits(&a->job);
}

void
command_stop(struct client *c)
{
	if (c->answer == NULL)
		return;
	c->answer->job.stop = true;
	ipc_line_up(c->ipc, c);
}

void
command_begin(struct client *c, const struct nlmsghdr *request, uint32_t flags, const char *line)
{
	struct answer *a;

	if (c->ipc->options.cli == NULL || c->answer != NULL) {
		client_error(c, request, c->answer != NULL ? -EBUSY : -EOPNOTSUPP,
			     c->answer != NULL ? "the command before has not ended yet" :
						 "this gateway takes no commands");
		return;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		client_error(c, request, -ENOMEM, "no memory for a command");
		return;
	}
	a->request = *request;
	a->status = cli_job_begin(&a->job, line, (flags & IPC_JSON) != 0, &a->err);
	if (a->status == 0 && a->job.changes && !c->d.may_change)
		a->status = err_set(&a->err, -EPERM,
				    "only root and members of the group " ACCESS_ADMIN_GROUP
				    " may change anything");
	a->ended = a->status < 0;
	a->job.rows = PAGE_ROWS;
	c->answer = a;
	command_more(c);
}

/* The next page. */
static void
page_run(struct client *c, struct answer *a)
{
	FILE *out;
	int rc;

	free(a->text);
	a->text = NULL;
	a->size = a->at = 0;
	out = open_memstream(&a->text, &a->size);
	if (out == NULL) {
		a->status = err_set(&a->err, -ENOMEM, "no memory for what the command says");
		a->ended = true;
		return;
	}
	rc = cli_job_run(c->ipc->options.cli, &a->job, out, &a->err);
	if (fclose(out) != 0 && rc >= 0)
		rc = err_set(&a->err, -ENOMEM, "no memory for what the command says");
	a->status = rc < 0 ? rc : 0;
	a->ended = rc <= 0;
}

static void
piece_send(struct client *c, struct answer *a)
{
	uint8_t buf[NLMSG_HDRLEN + PIECE_SIZE];
	size_t n = a->size - a->at < PIECE_SIZE ? a->size - a->at : PIECE_SIZE;
	struct nlmsghdr header = message_header(IPC_TEXT, NLM_F_MULTI, n, &a->request, c->d.nl_pid);

	/* Its length says how much of it is text: it is not rounded up. */
	header.nlmsg_len = NLMSG_HDRLEN + n;
	memcpy(buf, &header, sizeof(header));
	memcpy(buf + NLMSG_HDRLEN, a->text + a->at, n);
	client_reply(c, buf, header.nlmsg_len);
	a->at += n;
}

static void
end_send(struct client *c, struct answer *a)
{
	struct {
		struct nlmsghdr header;
		struct ipc_end end;
		char sentence[ERR_TEXT_SIZE];
	} m;
	size_t n = 0;

	memset(&m, 0, sizeof(m));
	if (a->status < 0)
		n = snprintf(m.sentence, sizeof(m.sentence), "%s", a->err.text) + 1;
	m.header = message_header(IPC_END, 0, sizeof(m.end) + n, &a->request, c->d.nl_pid);
	m.end.status = a->status;
	client_reply(c, &m, m.header.nlmsg_len);
}

void
command_more(struct client *c)
{
	struct answer *a = c->answer;

	for (int i = 0; i < CLIENT_TURN && client_has_room(c) && !c->dead; i++) {
		if (a->at < a->size) {
			piece_send(c, a);
		} else if (command_waits(c)) {
			c->ipc->waiting = true;
			return;
		} else if (!a->ended) {
			page_run(c, a);
		} else {
			end_send(c, a);
			c->answer = NULL;
			answer_free(a);
			return;
		}
	}
}
