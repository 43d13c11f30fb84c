/* SAs, the file's and the daemons': made, put in the place of others, ended. */
#ifndef CTL_SAS_H
#define CTL_SAS_H

#include "ctl/gw.h"

/* Makes an SA: attached to its key's numbers, seen by nobody yet. c is borrowed; an empty name says
 * that it has none (sa_name). replaces: index of the SA whose name or place it takes, or SA_NONE.
 * Stores its index, or SA_NONE.
 *
 * -ENOTSUP: no engine; -EEXIST: its key is another's, or its place; -ENOSPC: max_sas; -ENOMEM; and
 * what the owner of a key in use may cost: -ENOBUFS, -ETIMEDOUT, -EBUSY.
 */
int sa_make(struct gw *gw, const struct conf_sa *c, const struct sa_origin *origin,
	    uint32_t replaces, uint32_t *index, struct err *err);
/* Undoes sa_make, nobody having seen the SA. */
void sa_unmake(struct gw *gw, uint32_t index);

/* Inbound: from now on packets find it, and the one it replaces no more. */
int sa_publish(struct gw *gw, uint32_t index, uint32_t replaces, struct err *err);

/* Inbound: packets find it no more, if they found it still. */
void sa_unpublish(struct gw *gw, uint32_t index);

/* Ends an SA that is no longer published: lets what waits for it through, then makes it unfindable,
 * wipes its keys everywhere, and frees it.
 */
void sa_end(struct gw *gw, uint32_t index);

/* Whether it is in use: found by packets, or sent by, and not about to be retired. */
bool sa_is_live(const struct gw *gw, uint32_t index);

/* What an outbound SA's path or link carries has changed. */
void sa_remeasure(struct gw *gw, uint32_t index);

/* Points every outbound SA at its next hop, after routes or neighbours changed. */
void sas_route(struct gw *gw);
/* The same for so many of them from *from on, which is where to go on then. False, and *from 0:
 * these were the last. */
bool sas_route_some(struct gw *gw, uint32_t *from, uint32_t n);

#endif
