/* Streams of IP-TFS (lib/aggfrag) as control sees them.
 *
 * An SA that takes another's place under the same key goes on with its streams: the peer sees one
 * SA, whose numbers have no gap, and what waits or has begun knows nothing of the change. A rate
 * changes so while it is paced.
 */
#ifndef CTL_STREAMS_H
#define CTL_STREAMS_H

#include "ctl/gw.h"

/* What an SA of IP-TFS asks for; the stages that it needs come with it. */
void streams_params(struct gw *gw, struct sa_params *p, const struct conf_sa *c);

/* The worker of an SA of IP-TFS: the same for both directions of a tunnel and across rekeys, so
 * that what one half tells the other stays in one cache.
 */
uint16_t streams_worker(const struct gw *gw, const struct conf_sa *c);

/* Whether p, which has its numbers by now, goes on with the streams of an SA (or SA_NONE): then it
 * will borrow them.
 */
void streams_inherit(const struct gw *gw, struct sa_params *p, uint32_t replaces);

/* An SA that borrowed another's streams has its place now, and takes them over: before the other's
 * end. Nothing where it did not.
 */
void streams_pass(struct gw *gw, uint32_t from, uint32_t to);

/* Whether an owner of one of its streams does not know yet whose that is now: it is not to be
 * retired before. */
bool streams_are_passing(const struct gw *gw, uint32_t sa);

/* Whether an SA has streams that end with it. */
bool streams_own(const struct gw *gw, uint32_t sa);

#endif
