#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "ctl/gw.h"
#include "ctl/paths.h"
#include "ctl/pin.h"
#include "ctl/report.h"
#include "ctl/streams.h"

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
number_parse(const char *text, const char *what, uint16_t *n, struct err *err)
{
	unsigned long value = UINT16_MAX + 1ul;

	if (text[0] != 0 && strspn(text, "0123456789") == strlen(text) && strlen(text) < 6)
		value = strtoul(text, NULL, 10);
	if (value > UINT16_MAX)
		return err_set(err, -EINVAL, "\"%.40s\" is neither %s nor auto", text, what);
	*n = (uint16_t)value;
	return 0;
}

static int
worker_set(struct gw *gw, uint32_t index, const char *text, struct err *err)
{
	uint16_t worker = 0;
	int rc;

	if (strcmp(text, "auto") == 0) {
		pin_free(gw, index);
		return 0;
	}
	rc = number_parse(text, "a worker's number", &worker, err);
	return rc < 0 ? rc : pin_set(gw, index, worker, err);
}

static int
path_set(struct gw *gw, uint32_t index, const char *text, struct err *err)
{
	uint16_t mtu = 0;
	int rc = 0;

	if (strcmp(text, "auto") != 0)
		rc = number_parse(text, "a number of octets", &mtu, err);
	return rc < 0 ? rc : paths_set(gw, index, mtu, PMTU_OPERATOR, err);
}

static int
rate_set(struct gw *gw, uint32_t index, const char *text, struct err *err)
{
	uint64_t rate;

	if (!conf_number(text, &rate))
		return err_set(err, -EINVAL, "\"%.40s\" is no rate in bit/s, such as 100M", text);
	return streams_rate_set(gw, index, rate, err);
}

static int
breaker_set(struct gw *gw, uint32_t index, const char *text, struct err *err)
{
	if (strcmp(text, "closed") != 0)
		return err_set(err, -EINVAL, "it is: set sa NAME breaker closed");
	return streams_breaker_close(gw, index, err);
}

int
set_sa(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	static const struct {
		const char *what;
		int (*set)(struct gw *gw, uint32_t index, const char *text, struct err *err);
	} rows[] = {
		{ "worker", worker_set },
		{ "path-mtu", path_set },
		{ "rate", rate_set },
		{ "breaker", breaker_set },
	};
	size_t what = 0;
	uint32_t index;

	while (what < RTE_DIM(rows) && strcmp(args->words[1], rows[what].what) != 0)
		what++;
	if (what == RTE_DIM(rows))
		return err_set(err, -EINVAL,
			       "it is: set sa NAME worker N|auto, path-mtu N|auto, rate N, or "
			       "breaker closed");
	index = sa_by_name(cli->gw, args->words[0]);
	if (index == SA_NONE)
		return err_set(err, -ENOENT, "there is no SA %.60s: see show sa", args->words[0]);
	return rows[what].set(cli->gw, index, args->words[2], err);
}
