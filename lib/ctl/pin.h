/* Which worker an SA with one lane belongs to, and how its packets get there (RFC 9611 has more on
 * why). Inbound ones, best first:
 *
 *	rule	the device puts its SPI into a queue of the owner: for the busiest, as many as
 *		the devices' tables hold (port/steer.h)
 *	rss	its packets arrive at the owner by themselves: workers tell of those that do not
 *		(EVENT_STRAY), and an SA all of whose packets arrive at one worker is moved there
 *	ring	they are handed over
 *	fixed	its worker was chosen by the file, a daemon or `set sa`, and stays
 *
 * An SA is moved after STRAYS_TO_MOVE strays in a row at one worker; if that was no use, the next
 * move comes a second later, then two, up to a minute: packets of one SA that arrive in turns do
 * not drag it about. A rule stays until its SA ends or one a quarter busier wants its place.
 *
 * Control only.
 */
#ifndef CTL_PIN_H
#define CTL_PIN_H

#include "ctl/gw.h"

#define PIN_WHY_SIZE 128

struct numbers;
struct stray_event;

int pin_init(struct gw *gw, struct err *err);
void pin_fini(struct gw *gw);

void pin_tick(struct gw *gw, uint64_t now);

/* A packet arrived where its SA is not. */
void pin_stray(struct gw *gw, const struct stray_event *event, uint64_t now);

/* So many packets of an SA were new at the sweep's look. */
void pin_note(struct gw *gw, uint32_t sa, uint64_t packets);

/* The SA ends: its rules go first. */
void pin_sa_ends(struct gw *gw, uint32_t sa);

/* The port is about to be stopped: no device keeps a rule. */
void pin_port_stops(struct gw *gw, uint8_t port);

/* By hand: to that worker, where it stays until it is said to be on its own again. Waits for it.
 * -EINVAL, -EBUSY, -ETIMEDOUT: as mover_begin() and mover_settle().
 */
int pin_set(struct gw *gw, uint32_t sa, uint16_t worker, struct err *err);
void pin_free(struct gw *gw, uint32_t sa);

/* Before its owner's mail changes anything of a key's numbers: see mover_settle(). */
int pin_settle(struct gw *gw, const struct numbers *numbers, struct err *err);

/* Whether any SA has no owner at the moment whose mail may change its numbers. */
bool pin_is_moving(const struct gw *gw);

/* Whether it is on its way to another worker: it is not to be retired before it is there, since two
 * of them may have its numbers in hand. */
bool pin_moves(const struct gw *gw, uint32_t sa);

/* rule, rss, ring, fixed; NULL: of all workers. why: what a device says against a rule, else empty.
 */
const char *pin_how(const struct gw *gw, uint32_t sa, char why[PIN_WHY_SIZE]);

#endif
