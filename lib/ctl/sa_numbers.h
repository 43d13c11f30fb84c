/* The numbers of an SA's key (lib/numbers) with what a gateway has to do for them: mail to the
 * owners of a key in use, and the state file.
 */
#ifndef CTL_SA_NUMBERS_H
#define CTL_SA_NUMBERS_H

#include "ctl/gw.h"

struct numbers;
struct numbers_ask;

/* A hold on the numbers of the ask's key, above what the state file knows of them; what their owner
 * has to do first is done on return, and the first that are to be reserved are asked for.
 *
 * What numbers_attach() and reserve_first() say; -ENOBUFS, -ETIMEDOUT: a worker does not read its
 * mail, or stands still; -EBUSY: one has yet to do what was asked of it before.
 */
int sa_numbers_take(struct gw *gw, struct numbers_ask *ask, struct numbers **out, struct err *err);

/* The end of a hold: its numbers come to rest if it was the last. NULL is fine. */
void sa_numbers_give(struct gw *gw, struct numbers *n, bool forever);

/* At every tick: hard lifetimes of keys with several lanes. */
void sa_numbers_tick(struct gw *gw);

#endif
