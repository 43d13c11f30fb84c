/* An SA as a port's device has to know it, and which port that is. Inside lib/ctl only. */
#ifndef CTL_OFFLOAD_ASK_H
#define CTL_OFFLOAD_ASK_H

#include "ctl/gw.h"
#include "port/offload.h"

/* The port by which an SA's ESP passes: out that of its next hop, in that of our address, or the
 * only black one. PORT_NONE: there is none, and why. */
uint8_t offload_port_of(const struct gw *gw, uint32_t index, struct err *why);

void offload_ask_fill(const struct gw *gw, uint32_t index, struct offload_ask *ask);

#endif
