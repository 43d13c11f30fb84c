/* Crypto engines of a running gateway: which there are, and which of them does an SA.
 *
 * `gateway.crypto` names them in order of preference. Those that need a device are passed over
 * where there is none. For an SA the first that can serve it is chosen, and with it the first
 * synchronous one, which does what that one cannot take at the moment; AH is synchronous always.
 * Why those before the chosen one are not it, is worked out again for who asks.
 *
 * Control only, but for what says otherwise.
 */
#ifndef CTL_ENGINES_H
#define CTL_ENGINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/gw.h"

struct json;

/* Parts of the gateway: see gw.c. The devices, before anything else: -EINVAL: what the file names
 * is none. Then, when the ports are known, what each worker has of the engines. */
int engines_begin(struct gw *gw, struct err *err);
void engines_end(struct gw *gw);
int engines_workers_begin(struct gw *gw, struct err *err);
void engines_workers_end(struct gw *gw);
/* The workers have ended and what is in devices will not come: stops them. Again is fine. */
void engines_close(struct gw *gw);

/* At every tick: devices that answer no more are stopped and restarted, and it is logged. */
void engines_tick(struct gw *gw);

/* An SA that was made and that nobody sees yet, outbound with its next hop: chooses its engine, and
 * opens it there. -ENOTSUP: none serves it, and why. */
int engines_sa_begins(struct gw *gw, uint32_t index, struct err *err);
/* No worker finds it any more. */
void engines_sa_ends(struct gw *gw, uint32_t index);
/* The device of an SA that nobody sees yet does not take it, after all: the next engine of the list
 * that does. why: what the device said. */
void engines_sa_passes(struct gw *gw, uint32_t index, const struct err *why);
/* The device of a port may do it from now on, whatever was chosen before; false: it may not, by the
 * order of the list, or since a crypto device has it. */
bool engines_may_offload(const struct gw *gw, uint32_t index);
void engines_sa_offload(struct gw *gw, uint32_t index);

/* Whether one of that kind is among gw->engines. */
bool engines_any(const struct gw *gw, enum engine_kind kind);
/* Why an engine of gw->engines, by its index, does not do an SA; 0: it can. */
int engines_why_not(const struct gw *gw, uint32_t index, uint16_t engine, struct err *why);
/* The device that has an SA's session, or NULL. */
const char *engines_device_of(const struct gw *gw, uint32_t index);

/* What the file names, and what became of it. */
struct engine_note {
	const char *name;
	const struct engine *engine; /* NULL: passed over */
	uint32_t sas;
	const char *why; /* passed over: why */
};
/* The next one of them from *at on, which begins with 0. */
bool engines_next(const struct gw *gw, uint8_t *at, struct engine_note *note);
/* `show crypto`. */
void engines_print(const struct gw *gw, FILE *f);
void engines_json(const struct gw *gw, struct json *j);

#endif
