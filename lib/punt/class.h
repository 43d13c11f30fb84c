/* Which class a packet for ourselves is of, and whose. Inside lib/punt only. */
#ifndef PUNT_CLASS_H
#define PUNT_CLASS_H

#include "punt/punt.h"

struct rte_mbuf;

/* m: an IP packet that struct pkt describes, or, with pkt.l4_off 0, a frame that is no IP. */
enum punt_class punt_class_of(const struct rte_mbuf *m);
/* What the rate of its class counts it against. */
uint64_t punt_source_of(const struct rte_mbuf *m, enum punt_class class);

#endif
