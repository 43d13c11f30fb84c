/* Path MTUs of a running gateway: lib/pmtu, what it is told by, and what it changes. */
#ifndef CTL_PATHS_H
#define CTL_PATHS_H

#include "ctl/gw.h"
#include "pmtu/pmtu.h"

/* A part: see gw.c. Behind the tables, before the SAs. */
int paths_init(struct gw *gw, struct err *err);
void paths_fini(struct gw *gw);

/* An outbound SA that has its next hop; c says what it believes. An inbound one is fine. */
void paths_sa_add(struct gw *gw, uint32_t sa, const struct conf_sa *c);
void paths_sa_del(struct gw *gw, uint32_t sa);
/* The largest outer packet that an outbound SA may send by that next hop: the least of what its
 * file or daemon says, the link, and what is known of the path. */
uint16_t paths_outer(const struct gw *gw, uint32_t sa, uint16_t next_hop);

/* The one way by which the MTU of an SA's path changes at run time: pmtu_set(). -EINVAL: the SA is
 * inbound. */
int paths_set(struct gw *gw, uint32_t sa, uint16_t outer_mtu, enum pmtu_source source,
	      struct err *err);

/* Who sends probes from now on. Until then nothing is probed. */
void paths_sender_set(struct gw *gw, const struct pmtu_sender *sender);
void paths_probe_done(struct gw *gw, uint64_t token, enum pmtu_probe_end end, uint64_t rtt);

/* At every tick: reads the ICMP errors that came, and what is due. */
void paths_tick(struct gw *gw, uint64_t now);
/* The workers have ended: reads all that waits. */
void paths_drain(struct gw *gw);

/* Adds what control took from the workers here. */
void paths_counts_add(const struct gw *gw, uint64_t consumed[CONSUMED_MAX]);
/* NULL: there is no gateway yet. */
const struct pmtu *paths_of(const struct gw *gw);

#endif
