/* Streams of IP-TFS (lib/aggfrag) as control sees them.
 *
 * An SA that takes another's place under the same key goes on with its streams: the peer sees one
 * SA, whose numbers have no gap, and what waits or has begun knows nothing of the change. A rate
 * changes so while it is paced.
 */
#ifndef CTL_STREAMS_H
#define CTL_STREAMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "aggfrag/aggfrag.h"
#include "base/err.h"

struct conf;
struct conf_sa;
struct gw;
struct sa;
struct sa_more;
struct sa_params;

/* All SAs of IP-TFS, and what those that are gone have counted. A member of struct gw, zero at the
 * start.
 */
struct streams {
	LIST_HEAD(, sa_more) sas;
	uint32_t n; /* of these */
	uint64_t gone_out[AGGFRAG_TX_MAX], gone_in[AGGFRAG_RX_MAX];
};

struct streams_totals {
	uint32_t sas;
	uint64_t out[AGGFRAG_TX_MAX], in[AGGFRAG_RX_MAX];
	uint32_t breakers_open;
};

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

/* An outbound SA is about to be published: a rate of its own streams begins. */
void streams_begin(struct gw *gw, uint32_t sa);

/* An SA that borrowed another's streams has its place now, and takes them over: before the other's
 * end. Nothing where it did not.
 */
void streams_pass(struct gw *gw, uint32_t from, uint32_t to);

/* Whether an owner of one of its streams does not know yet whose that is now: it is not to be
 * retired before. */
bool streams_are_passing(const struct gw *gw, uint32_t sa);

/* Whether an SA has streams that end with it. */
bool streams_own(const struct gw *gw, uint32_t sa);

/* An SA was made, is about to be destroyed: nothing for one of another mode. */
void streams_sa_add(struct gw *gw, uint32_t sa);
void streams_sa_del(struct gw *gw, uint32_t sa);

/* Whether workers may do as a configuration says (idle) beside the daemons' SAs that run; the
 * file's own were judged with it. -EINVAL. */
int streams_idle_check(const struct gw *gw, const struct conf *conf, struct err *err);

/* Another rate for an outbound SA that has one, until it is made anew. -EINVAL. */
int streams_rate_set(struct gw *gw, uint32_t sa, uint64_t rate_bps, struct err *err);
/* A breaker that tripped is closed at its owner's next look. -EINVAL: the SA has none. */
int streams_breaker_close(struct gw *gw, uint32_t sa, struct err *err);

/* Of all its lanes together. */
void streams_counts_out(const struct sa *sa, uint64_t counts[AGGFRAG_TX_MAX]);
void streams_counts_in(const struct sa *sa, uint64_t counts[AGGFRAG_RX_MAX]);
/* Of all SAs, those that are gone too. */
void streams_totals_read(const struct gw *gw, struct streams_totals *totals);

#endif
