/* Rules of the ports' devices for the busiest inbound SAs: of lib/ctl/pin alone. */
#ifndef CTL_STEERING_H
#define CTL_STEERING_H

#include "ctl/gw.h"

#define STEERING_MAX 1024

struct steering;

int steering_create(struct gw *gw, struct steering **out, struct err *err);
/* Takes all out of the devices. NULL is fine. */
void steering_free(struct steering *r);

/* Once a second: those that are busy, where their owners are. */
void steering_tick(struct steering *r, uint64_t now);
void steering_note(struct steering *r, uint32_t sa, uint64_t packets);
void steering_sa_ends(struct steering *r, uint32_t sa);
void steering_port_stops(struct steering *r, uint8_t port);

bool steering_has(const struct steering *r, uint32_t sa);
/* Why it has none: what a device said. Empty: nobody said anything. */
void steering_why(const struct steering *r, uint32_t sa, char *why, size_t size);

#endif
