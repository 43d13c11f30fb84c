/* Streams of IP-TFS (lib/aggfrag) as control sees them: what an SA asks of its own. */
#ifndef CTL_STREAMS_H
#define CTL_STREAMS_H

#include "ctl/gw.h"

/* What an SA of IP-TFS asks for; the stages that it needs come with it. */
void streams_params(struct gw *gw, struct sa_params *p, const struct conf_sa *c);

/* The worker of an SA of IP-TFS: the same for both directions of a tunnel and across rekeys, so
 * that what one half tells the other stays in one cache.
 */
uint16_t streams_worker(const struct gw *gw, const struct conf_sa *c);

#endif
