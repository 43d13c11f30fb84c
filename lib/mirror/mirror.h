/* Mirrors: where a port's packets for ourselves go, and our own host's come from.
 *
 * A mirror is a tap interface of the kernel with the port's MAC address and MTU, whose carrier is
 * the port's link; or any DPDK device, of which control has the only queues. Control drains the
 * workers' rings (punt/punt.h), key exchange first, and writes each frame to the mirror of its
 * port; what it reads from a mirror goes to a worker by the flow it is of, so that a flow's order
 * is kept, with the fragments of a datagram.
 *
 * So that nothing comes back to where it is from: forwarding is off on a tap, IPv4's by interface;
 * IPv6 is forwarded by the host as a whole or not at all. What it might forward all the same has a
 * source that is not ours, and drops mirror_source. Duplicate address detection goes out and its
 * answers come in like all neighbour discovery; a tap never hears its own frames.
 *
 * All calls are control's.
 */
#ifndef MIRROR_MIRROR_H
#define MIRROR_MIRROR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "punt/punt.h"
#include "stats/drops.h"

struct json;
struct mirrors;
struct poller;
struct port;
struct rte_mbuf;
struct rte_mempool;
struct worker;

struct mirrors_params {
	struct worker *const *workers; /* their w->punt is read */
	uint16_t n_workers;
	struct rte_mempool *const *pools; /* by worker */
	struct poller *poller;		  /* wakes for taps; NULL: they are read by mirrors_tick */
	void *ctx;
	/* A sentence for the log. */
	void (*warn)(void *ctx, const char *sentence);
};

struct mirror_counters {
	uint64_t frames_in, octets_in;	 /* given to the host */
	uint64_t frames_out, octets_out; /* taken from it */
	uint64_t drops[DROP_MAX];	 /* of both: mirror_full, no_mbuf, stopped */
};

/* No mirror yet. The parameters' arrays are borrowed until mirrors_free. */
int mirrors_create(const struct mirrors_params *params, struct mirrors **out, struct err *err);
/* The workers have ended. NULL is fine, here and where nothing is changed. */
void mirrors_free(struct mirrors *m);

/* Makes the mirror of a port that is open: a tap of that name, or, with tap NULL, a DPDK device.
 * -EBUSY: there is an interface of this name.
 */
int mirror_open(struct mirrors *m, const struct port *port, const char *tap, const char *device,
		struct err *err);

/* The workers run, or not any more: only meanwhile is anything read from the host. */
void mirrors_run(struct mirrors *m, bool run);

/* As often as control looks: moves what there is, with bounds. */
void mirrors_tick(struct mirrors *m);
/* Nobody gives anything any more: gives the host all that waits. */
void mirrors_drain(struct mirrors *m);
/* Whether a frame was moved lately, so that it is worth looking again soon. */
bool mirrors_are_busy(const struct mirrors *m);

/* Gives frames of PUNT_ERRORS, taken by control, to the mirrors of their ports; takes them over. */
void mirrors_give(struct mirrors *m, struct rte_mbuf **frames, uint16_t n);

/* The port's link and MTU, as they are now. Nothing happens for a port without a mirror. */
void mirror_link_set(struct mirrors *m, const struct port *port, bool up);

/* Mask of the ports with a mirror. */
uint32_t mirrors_mask(const struct mirrors *m);
/* Of a tap; 0: the port has none. */
uint32_t mirror_ifindex(const struct mirrors *m, uint8_t port);

/* Adds what control itself counted; the rest is in the workers' cells. */
void mirrors_counts_add(const struct mirrors *m, uint64_t drops[DROP_MAX],
			uint64_t consumed[CONSUMED_MAX], uint64_t generated[GENERATED_MAX]);
/* Frames in the rings both ways. */
uint32_t mirrors_held(const struct mirrors *m);
struct mirror_counters mirror_counters(const struct mirrors *m, uint8_t port);
/* What the workers counted, all of them together. */
struct punt_counters mirrors_punted(const struct mirrors *m);

/* "show mirror": a table for people, or members of an open JSON object. */
void mirrors_print(const struct mirrors *m, FILE *f);
void mirrors_json(const struct mirrors *m, struct json *j);

#endif
