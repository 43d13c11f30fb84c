/* IPComp of the gateway's SAs. */
#ifndef CTL_COMP_H
#define CTL_COMP_H

#include "ctl/gw.h"

/* Fills p->ipcomp from what the file or a daemon says, and adds the pipeline's row. -ENOTSUP: no
 * codec runs here. p->inbound and p->subspaces are known.
 */
int comp_params(struct gw *gw, struct sa_params *p, const struct conf_sa *c, struct err *err);

/* Of an SA that has it, until it ends: out, packets go as they are; in, its CPI is nobody's. */
void comp_off(struct gw *gw, uint32_t sa);

#define COMP_THRESHOLD 128 /* where nobody says one: as the file's default */

#endif
