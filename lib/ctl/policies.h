/* Policies of the file into the SPD. Staged; spd_commit() or spd_abort() is the caller's. */
#ifndef CTL_POLICIES_H
#define CTL_POLICIES_H

#include "ctl/gw.h"

/* Stages all policies of a configuration that is the first, or that nothing is kept of. */
int policies_add_all(struct gw *gw, const struct conf *conf, const struct sa_book *sas,
		     struct policy_book *books, struct err *err);

/* Stages the difference: books are those of the new configuration, filled here. */
int policies_change(struct gw *gw, const struct conf *conf, const struct conf_diff *diff,
		    const struct sa_book *sas, struct policy_book *books, struct err *err);

/* After the commit: points every outbound policy at its SA of now. */
void policies_point(struct gw *gw, const struct conf *conf, const struct sa_book *sas,
		    const struct policy_book *books);

#endif
