/* What SAs send by the clock: dummies and NAT keepalives. Control says when, the SA's owner makes
 * and sends them.
 */
#ifndef CTL_TIMERS_H
#define CTL_TIMERS_H

#include "ctl/gw.h"

/* Notes which SAs of gw->conf send dummies; after every change of it. -ENOMEM: then none
 * does. */
int timers_renew(struct gw *gw, struct err *err);
void timers_free(struct gw *gw);

/* At every tick: the dummies that are due. What a worker does not take is due the next time. */
void timers_dummies(struct gw *gw, uint64_t now);

/* Now and then, for every live SA: a keepalive if it has sent nothing for so long. */
void timers_keepalive(struct gw *gw, uint32_t index, uint64_t now);

#endif
