/* Which outbound SA says how large the segments are that come out of an inbound one (`mss_clamp`).
 */
#ifndef CTL_MSS_H
#define CTL_MSS_H

#include "ctl/gw.h"

/* Notes the inbound SAs of gw->conf with mss_clamp, each with the outbound SAs between the same two
 * addresses; after every change of the file's SAs. -ENOMEM: then no inbound SA lowers anything more
 * than it did.
 */
int mss_renew(struct gw *gw, struct err *err);
void mss_free(struct gw *gw);

/* At every tick: an inbound SA's mtu is the least of these outbound SAs'; path MTUs change. */
void mss_tick(struct gw *gw, uint64_t now);

#endif
