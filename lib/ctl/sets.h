/* Policies of the file that name several SAs: bundles (RFC 9611), and SAs by class.
 *
 * Outbound each set has a choice (spd/choice.h), which every reload makes anew and its policies are
 * pointed at; inbound its SAs have one group, which stays theirs as long as the set does.
 */
#ifndef CTL_SETS_H
#define CTL_SETS_H

#include "ctl/gw.h"

/* So many SAs of one list of classes has a bundle in each direction: every worker's and the one for
 * all may stand beside its successor (RFC 9611 section 6 wants twice the workers at least).
 */
static inline uint32_t
bundle_max(const struct gw *gw)
{
	return 2 * (gw->n_workers + 1u);
}

/* -EINVAL: a bundle names a worker that the gateway has not; -ENOSPC: it has too many members. */
int sets_check(const struct gw *gw, const struct conf *conf, struct err *err);

/* The groups of all SAs of a configuration, into their books; diff: to the one that runs, NULL
 * where there is none. -ENOMEM.
 */
int sets_group(struct gw *gw, const struct conf *conf, const struct conf_diff *diff,
	       struct sa_book *sas, struct err *err);
/* SAs that run on under another group: from now on it is theirs. made: those that are new. */
void sets_regroup(struct gw *gw, const struct conf *conf, const struct sa_book *sas,
		  const bool *made);

/* A choice for each outbound set, SA_NONE for the others; *choices is the caller's to end. Of a
 * failure nothing stays. -ENOSPC, -ENOMEM.
 */
int sets_make(struct gw *gw, const struct conf *conf, const struct sa_book *sas, uint32_t **choices,
	      struct err *err);
/* No policy points at them any more. Frees the list. NULL is fine. */
void sets_end(struct gw *gw, uint32_t *choices, uint32_t n);

#endif
