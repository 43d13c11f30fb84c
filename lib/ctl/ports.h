/* Ports, routes and neighbours of the file. */
#ifndef CTL_PORTS_H
#define CTL_PORTS_H

#include "ctl/gw.h"

/* Parts of the gateway: see gw.c. */
int ports_init(struct gw *gw, struct err *err);
void ports_fini(struct gw *gw);
int routes_init(struct gw *gw, struct err *err);
void routes_fini(struct gw *gw);
/* Last before the workers run: from then on devices fill their queues. */
int ports_start(struct gw *gw, struct err *err);

/* About once a second while workers run: says what changed about the links, and lets ports call
 * again whose peer was not there. */
void ports_watch(struct gw *gw);

/* Stops a port's device and starts it again, while the workers keep away from it: what they have
 * for it waits. It has happened some loops later, and is logged. -ENOENT, -EBUSY: it is under way;
 * -ENOTSUP: of a port that replays a capture; -EAGAIN, -ENOBUFS, -ENOMEM.
 */
int ports_reset(struct gw *gw, const char *name, struct err *err);
/* Every tick: resets ports whose devices ask for it, as ports_reset() does, by rte_eth_dev_reset()
 * where they have that; and goes on with resets that did not succeed, a second later each time, and
 * with openings that not all workers have heard of. */
void ports_tick(struct gw *gw, uint64_t now);

/* Brings routes, neighbours and the ports' addresses from the running configuration to the next
 * one. */
int routes_change(struct gw *gw, const struct conf *next, const struct conf_diff *diff,
		  struct err *err);

#endif
