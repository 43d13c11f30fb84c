#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "ctl/gw.h"
#include "ctl/pin.h"
#include "ctl/report.h"

uint32_t
sa_by_name(const struct gw *gw, const char *wanted)
{
	char name[SA_NAME_MAX];
	uint32_t index;

	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		index = gw->sa_books[i].index;
		if (index != SA_NONE &&
		    strcmp(sa_name(sa_cold(&gw->sas, index), name), wanted) == 0)
			return index;
	}
	for (index = sa_next_of_daemons(gw, 0); index != SA_NONE;
	     index = sa_next_of_daemons(gw, index + 1))
		if (strcmp(sa_name(sa_cold(&gw->sas, index), name), wanted) == 0)
			return index;
	return SA_NONE;
}

static int
worker_parse(const char *text, uint16_t *worker, struct err *err)
{
	if (text[0] == 0 || strspn(text, "0123456789") != strlen(text) || strlen(text) > 4)
		return err_set(err, -EINVAL, "\"%.40s\" is neither a worker's number nor auto",
			       text);
	*worker = (uint16_t)strtoul(text, NULL, 10);
	return 0;
}

int
set_sa(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	struct gw *gw = cli->gw;
	uint16_t worker = 0;
	uint32_t index;
	int rc;

	if (strcmp(args->words[1], "worker") != 0)
		return err_set(err, -EINVAL, "it is: set sa NAME worker N|auto");
	index = sa_by_name(gw, args->words[0]);
	if (index == SA_NONE)
		return err_set(err, -ENOENT, "there is no SA %.60s: see show sa", args->words[0]);
	if (strcmp(args->words[2], "auto") == 0) {
		pin_free(gw, index);
		return 0;
	}
	rc = worker_parse(args->words[2], &worker, err);
	return rc < 0 ? rc : pin_set(gw, index, worker, err);
}
