/* SAs of the file: made, put in the place of others, ended. */
#ifndef CTL_SAS_H
#define CTL_SAS_H

#include "ctl/gw.h"

/* Makes the SA of conf->sas[i]: attached to its key's numbers, seen by nobody yet. replaces: index
 * of the SA whose name or place it takes, or SA_NONE. group and owner go on from there.
 */
int sa_make(struct gw *gw, const struct conf *conf, uint32_t i, uint32_t replaces,
	    struct sa_book *book, struct err *err);
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

/* Points every outbound SA at its next hop, after routes or neighbours changed. */
void sas_route(struct gw *gw);

#endif
