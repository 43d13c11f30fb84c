/* The look at all SAs: limits that only control can see, keepalives, when they were last used. */
#ifndef CTL_SWEEP_H
#define CTL_SWEEP_H

#include "ctl/gw.h"

/* At every tick: as many SAs as the clock says, so that each is looked at ten times a second, or
 * once where there are many.
 */
void sweep_tick(struct gw *gw, uint64_t now);

#endif
