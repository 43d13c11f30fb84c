/* SAs that a port's own device does: their sessions there, from the SA's beginning to its end, over
 * routes that change and ports that are reset. See port/offload.h for what a device is.
 *
 * An SA may be a device's as soon as it can be, and stops being it at any time: workers ask the
 * table for each packet, and software does what the table does not have. But where the device
 * counts what it sends, or keeps the window, it does so from the SA's first packet or never: nobody
 * knows its numbers, so once such an SA was the device's no more, outbound ones stay software's,
 * and inbound ones end (`expired`), which a daemon hears of as of a soft limit.
 *
 * Control only.
 */
#ifndef CTL_OFFLOADS_H
#define CTL_OFFLOADS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/gw.h"
#include "port/offload.h"

struct json;

/* A part: see gw.c. Behind the ports, before the workers' engines. */
int offloads_init(struct gw *gw, struct err *err);
void offloads_fini(struct gw *gw);

/* Whether a port has a device of the kind. */
bool offloads_any(const struct gw *gw);

/* Whether a device could do an SA; err: why not. */
int offloads_serves(const struct gw *gw, uint32_t index, struct err *err);
/* An SA that nobody sees yet is to be a device's: at once, or when it is published, or when its
 * port starts. */
int offloads_sa_begins(struct gw *gw, uint32_t index, struct err *err);
/* It is about to be published. Inbound, the session of the SA that has its place ends first. */
void offloads_sa_publishes(struct gw *gw, uint32_t index);
void offloads_sa_ends(struct gw *gw, uint32_t index);
/* Outbound: its next hop or the size of its packets has changed. */
void offloads_sa_routed(struct gw *gw, uint32_t index);
/* The look at an SA that is used. */
void offloads_sa_look(struct gw *gw, uint32_t index);

/* Devices may have room, or be wanted, that were not: offloads_tick() offers them the SAs that
 * software does, some at a time. */
void offloads_room(struct gw *gw);
void offloads_tick(struct gw *gw);
/* An SA that software does, once more; inbound ones are published. 0, also where it is not for a
 * device at all; negative: the device refused it. */
int offloads_sa_late(struct gw *gw, uint32_t index);

/* A port is about to stop: its SAs are software's from now on. When that is so for every worker and
 * the device has stopped, it is without sessions; renewed: it was set up anew. When it has started,
 * they are opened again. */
void offloads_port_stops(struct gw *gw, uint8_t port);
void offloads_port_stopped(struct gw *gw, uint8_t port, bool renewed);
void offloads_port_started(struct gw *gw, uint8_t port);

/* Of an SA whose engine is inline: why software does it at the moment; 0: the device does. */
int offloads_why_not(const struct gw *gw, uint32_t index, struct err *why);

struct offload_state {
	enum offload_kind kind;
	const char *port; /* its name */
	bool active;	  /* the device has it; else software, for the moment */
	bool counted;
	struct offload_counts counts;
};
/* False: no device's. */
bool offloads_state(const struct gw *gw, uint32_t index, struct offload_state *state);

/* "crypto", "protocol". */
const char *offload_kind_name(enum offload_kind kind);

struct offload_port_counts {
	uint32_t sas, active;	   /* whose engine it is; those that it does now */
	uint64_t refused;	   /* sessions */
	struct offload_counts all; /* of sessions that have ended, too */
};
/* Of a port that offloads_caps() is true of. */
void offloads_port_counts(const struct gw *gw, uint8_t port, struct offload_port_counts *c);

/* What a port's device offers. False: nothing, and why. */
bool offloads_caps(const struct gw *gw, uint8_t port, struct offload_caps *caps, struct err *why);

/* `show nic`: one port, or with PORT_NONE all of them. */
void offloads_print(const struct gw *gw, uint8_t port, FILE *f);
void offloads_json(const struct gw *gw, uint8_t port, struct json *j);

#endif
