#include "ctl/gw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/links.h"
#include "ctl/log.h"
#include "ctl/mss.h"
#include "ctl/policies.h"
#include "ctl/offloads.h"
#include "ctl/ports.h"
#include "ctl/report.h"
#include "ctl/reserve.h"
#include "ctl/sas.h"
#include "ctl/sets.h"
#include "ctl/streams.h"
#include "ctl/timers.h"
#include "ctl/view.h"
#include "numbers/numbers.h"
#include "spd/spd.h"

/* As long as it may wait for a worker. */
#define RESERVE_WAIT_MS 1000

/* What a reload prepares, beside what runs: published in one go, or thrown away. */
struct next {
	struct conf *conf;
	struct conf_diff diff;
	struct sa_book *sas;
	struct policy_book *policies;
	uint32_t *choices;
	bool *made; /* by SA: a new one, not what runs already */
};

/* The SA that a new one takes the place of: it had the name; SA_NONE if there is none. */
static uint32_t
replaced_by(const struct gw *gw, const struct next *n, uint32_t i)
{
	uint32_t was = n->diff.from[CONF_SA][i];

	return was == CONF_NONE ? SA_NONE : gw->sa_books[was].index;
}

static int
next_alloc(struct next *n, struct err *err)
{
	n->sas = calloc(n->conf->n_sas + 1, sizeof(n->sas[0]));
	n->policies = calloc(n->conf->n_policies + 1, sizeof(n->policies[0]));
	n->made = calloc(n->conf->n_sas + 1, sizeof(n->made[0]));
	if (n->sas == NULL || n->policies == NULL || n->made == NULL)
		return err_set(err, -ENOMEM, "no memory for the next configuration");
	return 0;
}

/* Says of every SA that goes away whether it does: its key may then be another's, under another
 * name. */
static void
leaving_set(struct gw *gw, const struct next *n, bool leaving)
{
	for (uint32_t i = 0; i < n->diff.n; i++) {
		const struct conf_change *c = &n->diff.changes[i];

		if (c->kind == CONF_SA && c->was != CONF_NONE)
			numbers_leaving(sa_cold(&gw->sas, gw->sa_books[c->was].index)->numbers,
					leaving);
	}
}

static int
sas_make(struct gw *gw, struct next *n, struct err *err)
{
	int rc;

	for (uint32_t i = 0; i < n->conf->n_sas; i++) {
		uint32_t was = n->diff.from[CONF_SA][i];

		n->sas[i] = (struct sa_book) { .index = SA_NONE };
		if (was != CONF_NONE)
			n->sas[i] = gw->sa_books[was];
	}
	rc = sets_group(gw, n->conf, &n->diff, n->sas, err);
	/* None is there before it is made: what is thrown away must not be who runs. */
	for (uint32_t i = 0; i < n->diff.n; i++) {
		const struct conf_change *c = &n->diff.changes[i];

		if (c->kind == CONF_SA && c->now != CONF_NONE) {
			n->made[c->now] = true;
			n->sas[c->now].index = SA_NONE;
		}
	}
	for (uint32_t i = 0; i < n->conf->n_sas && rc == 0; i++) {
		if (!n->made[i])
			continue;
		rc = sa_make(gw, &n->conf->sas[i],
			     &(struct sa_origin) { SA_FROM_FILE, i, n->sas[i].group },
			     replaced_by(gw, n, i), &n->sas[i].index, err);
	}
	return rc;
}

static void
next_throw_away(struct gw *gw, struct next *n)
{
	spd_abort(gw->spd);
	sets_end(gw, n->choices, n->conf->n_sets);
	n->choices = NULL;
	for (uint32_t i = 0; n->made != NULL && i < n->conf->n_sas; i++)
		if (n->made[i] && n->sas[i].index != SA_NONE)
			sa_unmake(gw, n->sas[i].index);
	leaving_set(gw, n, false);
}

/* Who of the SAs that run is at the place (SPI and address) of a new one: by name first, else one
 * that goes. */
static uint32_t
place_of(const struct gw *gw, const struct next *n, uint32_t i)
{
	const struct conf_sa *c = &n->conf->sas[i];
	uint32_t by_name = replaced_by(gw, n, i);

	for (uint32_t k = 0; k < n->diff.n; k++) {
		const struct conf_change *change = &n->diff.changes[k];
		const struct conf_sa *old;

		if (change->kind != CONF_SA || change->was == CONF_NONE)
			continue;
		old = &gw->conf->sas[change->was];
		if (old->direction == CONF_IN && old->spi == c->spi &&
		    memcmp(&old->dst, &c->dst, sizeof(c->dst)) == 0)
			return gw->sa_books[change->was].index;
	}
	return by_name;
}

/* From here on nothing can fail but for want of memory, and what fails is said and left out. */
static void
complain(const char *what, int rc, const struct err *err)
{
	if (rc < 0)
		GW_LOG(ERR, "reload: %s: %s\n", what, err->text);
}

/* Inbound first, then the policies with what they send by, then what is gone. */
static void
publish(struct gw *gw, struct next *n)
{
	struct err err = { "" };

	for (uint32_t i = 0; i < n->conf->n_sas; i++)
		if (n->made[i])
			complain(n->conf->sas[i].name,
				 sa_publish(gw, n->sas[i].index, place_of(gw, n, i), &err), &err);
	spd_commit(gw->spd);
	sets_regroup(gw, n->conf, n->sas, n->made);
	policies_point(gw, n->conf, n->sas, n->choices, n->policies);
	sets_end(gw, gw->choices, gw->conf->n_sets);
	gw->choices = n->choices;
	complain("routes", routes_change(gw, n->conf, &n->diff, &err), &err);
	for (uint32_t i = 0; i < n->diff.n; i++) {
		const struct conf_change *c = &n->diff.changes[i];
		struct sa_book *book;

		if (c->kind != CONF_SA || c->was == CONF_NONE)
			continue;
		book = &gw->sa_books[c->was];
		sa_unpublish(gw, book->index);
		if (c->now != CONF_NONE) {
			sa_drops_add(gw, book->index, sa_at(&gw->sas, book->index)->generation,
				     n->sas[c->now].drops);
			links_pass(gw, book->index, n->sas[c->now].index);
			streams_pass(gw, book->index, n->sas[c->now].index);
		}
		sa_end(gw, book->index);
	}
}

static void
swap(struct gw *gw, struct next *n)
{
	struct err err = { "" };

	conf_free(gw->conf);
	free(gw->sa_books);
	free(gw->policy_books);
	gw->conf = n->conf;
	gw->n_confs++;
	gw->sa_books = n->sas;
	gw->policy_books = n->policies;
	n->conf = NULL;
	n->sas = NULL;
	n->policies = NULL;
	for (uint32_t i = 0; i < gw->conf->n_sas; i++)
		sa_cold(&gw->sas, gw->sa_books[i].index)->origin.record = i;
	gw_pace(gw);
	offloads_room(gw);
	sas_route(gw);
	links_all(gw);
	complain("timers", timers_renew(gw, &err), &err);
	complain("mss_clamp", mss_renew(gw, &err), &err);
	complain("view", view_renew(gw, &err), &err);
}

static int
apply(struct gw *gw, struct next *n, struct err *err)
{
	int rc;

	if (gw->defer.backlog >= DEFER_BACKLOG_MAX)
		return err_set(err, -ENOBUFS,
			       "a worker stands still, and %u things wait for it to be freed",
			       gw->defer.backlog);
	rc = sets_check(gw, n->conf, err);
	if (rc == 0)
		rc = streams_idle_check(gw, n->conf, err);
	if (rc == 0)
		rc = next_alloc(n, err);
	if (rc < 0)
		return rc;
	leaving_set(gw, n, true);
	rc = sas_make(gw, n, err);
	if (rc == 0)
		rc = reserve_wait(gw, RESERVE_WAIT_MS, err);
	if (rc == 0)
		rc = sets_make(gw, n->conf, n->sas, &n->choices, err);
	if (rc == 0)
		rc = policies_change(gw, n->conf, &n->diff, n->sas, n->choices, n->policies, err);
	if (rc < 0) {
		next_throw_away(gw, n);
		return rc;
	}
	publish(gw, n);
	swap(gw, n);
	return 0;
}

int
gw_reload(struct gw *gw, bool dry_run, FILE *out, struct conf_errors *e)
{
	struct next n = { 0 };
	struct err err = { "" };
	int rc = conf_load(gw->options.config, &n.conf, e);

	if (rc < 0)
		return rc;
	rc = conf_diff(gw->conf, n.conf, &n.diff, e);
	if (rc == 0 || dry_run)
		conf_diff_print(out, &n.diff);
	if (rc == 0 && !dry_run) {
		rc = apply(gw, &n, &err);
		if (rc < 0)
			conf_complain_at(e, false, 0, 0, "", "nothing was changed", "%s", err.text);
	}
	conf_diff_free(&n.diff);
	conf_free(n.conf);
	free(n.sas);
	free(n.policies);
	free(n.made);
	return rc;
}
