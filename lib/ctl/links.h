/* Which stream of IP-TFS goes back to which: outbound SAs with congestion control or a circuit
 * breaker have to know what comes back (aggfrag/link.h).
 *
 * A pair is a tunnel's two directions, or two SAs of the file with each other's addresses, or what
 * a key daemon negotiated together. An SA that takes the place of another under a new key follows
 * it: it begins at its rate, with its loss.
 */
#ifndef CTL_LINKS_H
#define CTL_LINKS_H

#include "ctl/gw.h"

/* Looks after an SA: links an outbound one to the inbound one that it is now a pair with. For
 * others it costs a test. The sweep asks for each.
 */
void links_look(struct gw *gw, uint32_t sa);

/* An SA takes the place of another, by a reload: where it has streams of its own they follow those
 * of the other. Before the other's end.
 */
void links_pass(struct gw *gw, uint32_t from, uint32_t to);

/* Looks after all, since the file has changed. */
void links_all(struct gw *gw);

#endif
