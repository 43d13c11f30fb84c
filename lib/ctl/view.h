/* What control publishes to the workers as one. */
#ifndef CTL_VIEW_H
#define CTL_VIEW_H

#include "ctl/gw.h"

/* A part of the gateway: see gw.c. */
int view_init(struct gw *gw, struct err *err);
void view_fini(struct gw *gw);

/* Publishes a view of gw->conf as it is now; the old one is freed after a grace period. -ENOMEM:
 * the old one stays. */
int view_renew(struct gw *gw, struct err *err);

/* From now on UDP to this port of ours may be ESP: a daemon's inbound SA says so. Stays until the
 * gateway ends. -ENOSPC: there is room for VIEW_UDP_PORTS_MAX; -ENOMEM.
 */
int view_udp_port(struct gw *gw, uint16_t port, struct err *err);

#endif
