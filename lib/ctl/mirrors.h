/* The ports' mirrors: parts of the gateway. */
#ifndef CTL_MIRRORS_H
#define CTL_MIRRORS_H

#include "ctl/gw.h"

/* A part: see gw.c. Behind the ports, before the pipeline. */
int mirrors_init(struct gw *gw, struct err *err);
void mirrors_fini(struct gw *gw);

/* mbufs that wait in rings to and from mirrors, at most; without any, for control. */
uint32_t mirrors_mbufs(const struct conf *c, uint16_t n_workers);

#endif
