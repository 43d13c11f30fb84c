#include "ctl/sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spd/choice.h"

static int
worker_check(const struct gw *gw, const struct conf_sa *sa, struct err *err)
{
	if (!sa->bundle.on || sa->bundle.worker == CONF_WORKER_FALLBACK ||
	    sa->bundle.worker < gw->n_workers)
		return 0;
	return err_set(err, -EINVAL,
		       "sa %s: bundle.worker %u: the gateway has %u workers, from 0 on: "
		       "more CPUs by -l, or one of these",
		       sa->name, sa->bundle.worker, gw->n_workers);
}

/* Is it of the bundle that the set's SA i is of? */
static bool
is_beside(const struct conf_sa *a, const struct conf_sa *b)
{
	return b->bundle.on && strcmp(a->bundle.name, b->bundle.name) == 0 &&
	       a->dscp_set == b->dscp_set;
}

static int
size_check(const struct gw *gw, const struct conf *conf, const struct conf_set *set,
	   struct err *err)
{
	/* No more than that can be too many of. */
	for (uint32_t i = 0; i < set->n && set->n > bundle_max(gw); i++) {
		const struct conf_sa *sa = &conf->sas[set->sas[i]];
		uint32_t n = 0;

		for (uint32_t k = 0; k < set->n && sa->bundle.on; k++)
			n += is_beside(sa, &conf->sas[set->sas[k]]);
		if (n > bundle_max(gw))
			return err_set(err, -ENOSPC,
				       "bundle %s has %u members of one direction: with %u workers "
				       "at most %u",
				       sa->bundle.name, n, gw->n_workers, bundle_max(gw));
	}
	return 0;
}

int
sets_check(const struct gw *gw, const struct conf *conf, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < conf->n_sas && rc == 0; i++)
		rc = worker_check(gw, &conf->sas[i], err);
	for (uint32_t i = 0; i < conf->n_sets && rc == 0; i++)
		rc = size_check(gw, conf, &conf->sets[i], err);
	return rc;
}

/* The group that an SA had; of a set that is no more, one of those that it fell into goes on. 0:
 * none.
 */
static uint32_t
heritage(const struct gw *gw, const struct conf_diff *diff, uint32_t i, bool *claimed)
{
	uint32_t was = diff != NULL ? diff->from[CONF_SA][i] : CONF_NONE, set;

	if (was == CONF_NONE)
		return 0;
	set = gw->conf->sas[was].set;
	if (set != CONF_NONE && claimed[set])
		return 0;
	if (set != CONF_NONE)
		claimed[set] = true;
	return gw->sa_books[was].group;
}

int
sets_group(struct gw *gw, const struct conf *conf, const struct conf_diff *diff,
	   struct sa_book *sas, struct err *err)
{
	uint32_t *groups = calloc(conf->n_sets + 1, sizeof(*groups));
	bool *claimed = calloc((diff != NULL ? gw->conf->n_sets : 0) + 1, sizeof(*claimed));

	if (groups == NULL || claimed == NULL) {
		free(groups);
		free(claimed);
		return err_set(err, -ENOMEM, "no memory for groups of SAs");
	}
	/* Sets first, of what is there already: then adding a member changes no other. */
	for (uint32_t i = 0; i < conf->n_sas; i++) {
		uint32_t set = conf->sas[i].set;

		if (set != CONF_NONE && groups[set] == 0)
			groups[set] = heritage(gw, diff, i, claimed);
	}
	for (uint32_t i = 0; i < conf->n_sas; i++) {
		uint32_t set = conf->sas[i].set, own = 0;
		uint32_t *group = set != CONF_NONE ? &groups[set] : &own;

		if (set == CONF_NONE)
			own = heritage(gw, diff, i, claimed);
		if (*group == 0)
			*group = ++gw->next_group;
		sas[i].group = *group;
	}
	free(groups);
	free(claimed);
	return 0;
}

void
sets_regroup(struct gw *gw, const struct conf *conf, const struct sa_book *sas, const bool *made)
{
	for (uint32_t i = 0; i < conf->n_sas; i++) {
		struct sa *sa = sa_at(&gw->sas, sas[i].index);

		if (made[i] || (sa->flags & SA_INBOUND) == 0 || sa->in.group == sas[i].group)
			continue;
		__atomic_store_n(&sa->in.group, sas[i].group, __ATOMIC_RELAXED);
		sa_cold(&gw->sas, sas[i].index)->origin.group = sas[i].group;
	}
}

static int
choice_make(struct gw *gw, const struct conf *conf, const struct conf_set *set,
	    const struct sa_book *sas, uint32_t *choice, struct err *err)
{
	struct choice_member *members = calloc(set->n, sizeof(*members));
	const struct choice_params p = {
		.members = members,
		.n = set->n,
		.n_workers = gw->n_workers,
	};
	int rc;

	if (members == NULL)
		return err_set(err, -ENOMEM, "no memory for a choice of %u SAs", set->n);
	conf_set_members(conf, set, members);
	for (uint32_t i = 0; i < set->n; i++) {
		uint32_t index = sas[set->sas[i]].index;

		members[i].sa = spd_sa_word(index, sa_at(&gw->sas, index)->generation);
	}
	rc = choice_add(gw->spd, &p, choice, err);
	free(members);
	return rc;
}

int
sets_make(struct gw *gw, const struct conf *conf, const struct sa_book *sas, uint32_t **choices,
	  struct err *err)
{
	uint32_t *list = malloc((conf->n_sets + 1) * sizeof(*list));
	int rc = 0;

	*choices = NULL;
	if (list == NULL)
		return err_set(err, -ENOMEM, "no memory for %u choices", conf->n_sets);
	for (uint32_t i = 0; i < conf->n_sets; i++)
		list[i] = SA_NONE;
	for (uint32_t i = 0; i < conf->n_sets && rc == 0; i++)
		if (conf->sets[i].direction == CONF_OUT)
			rc = choice_make(gw, conf, &conf->sets[i], sas, &list[i], err);
	if (rc < 0)
		sets_end(gw, list, conf->n_sets);
	else
		*choices = list;
	return rc;
}

void
sets_end(struct gw *gw, uint32_t *choices, uint32_t n)
{
	for (uint32_t i = 0; choices != NULL && i < n; i++)
		if (choices[i] != SA_NONE)
			choice_del(gw->spd, choices[i]);
	free(choices);
}
