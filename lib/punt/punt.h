/* What is for this gateway itself, between workers and control.
 *
 * Up: a worker hands frames for our own host to control, by a ring for each class, so that a flood
 * of one class leaves the others alive. Each class has a rate per source: two rows of token
 * buckets, by two hashes of the source under a secret; a source may send while one of its two
 * buckets has room. So memory is bounded whatever is spoofed, and a source that floods takes
 * another's share only if both hashes agree, one time in a million.
 *
 * Down: what the host sends goes by one ring to a worker, which sends it like any outbound traffic.
 *
 * A frame in a ring is `held`, and its mbuf's struct pkt names the port (pkt.port) whose mirror it
 * is of. ICMP too-big goes up without a mirror too: control reads it first (lib/pmtu), and gives it
 * to the mirror if there is one and pkt.policy is POLICY_NONE: else a policy forbids that. All
 * rings are single-producer single-consumer.
 */
#ifndef PUNT_PUNT_H
#define PUNT_PUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "worker/stage.h"

#define PUNT_RING_SIZE	 512 /* of each class, each worker, but for */
#define PUNT_ERRORS_SIZE 128 /* PUNT_ERRORS */
#define PUNT_INJECT_SIZE 256
/* mbufs that may wait in one worker's rings; without mirrors only errors do. */
#define PUNT_HELD_MAX ((PUNT_MAX - 1) * PUNT_RING_SIZE + PUNT_ERRORS_SIZE + PUNT_INJECT_SIZE)

struct punt_worker;
struct rte_mbuf;

/* In the order in which control looks at them. */
enum punt_class {
	PUNT_IKE,     /* UDP 500, and UDP 4500 that is not ESP; later UDP fragments */
	PUNT_NEIGH,   /* ARP, neighbour and router discovery */
	PUNT_ROUTING, /* OSPF, BGP, BFD, RIP, VRRP, PIM, IGMP, MLD and their like */
	PUNT_ERRORS,  /* ICMP too-big in clear, which may be about our own ESP */
	PUNT_REST,
	PUNT_MAX
};

/* Per worker and source: an IPv4 address, an IPv6 /64, or in PUNT_NEIGH a MAC address. */
struct punt_limit {
	const char *name; /* of the class, as it is shown */
	uint16_t ring;	  /* frames that may wait */
	uint32_t rate;	  /* frames a second */
	uint32_t burst;
};
extern const struct punt_limit punt_limits[PUNT_MAX];

struct punt_counters {
	uint64_t given[PUNT_MAX];   /* to control */
	uint64_t limited[PUNT_MAX]; /* punt_limit */
	uint64_t full[PUNT_MAX];    /* punt_full */
	uint64_t injected;	    /* taken from control */
};

int punt_worker_init(uint16_t index, int socket, struct punt_worker **out, struct err *err);
/* Frees what is still in the rings. NULL is fine. */
void punt_worker_fini(struct punt_worker *pw);

/* Control: the next frames of a class, at most max; whole, with their link-layer header. That of a
 * packet out of an SA has no addresses yet: both are zero.
 */
uint16_t punt_take(struct punt_worker *pw, enum punt_class class, struct rte_mbuf **frames,
		   uint16_t max);
/* Control: gives a frame to the worker. False: no room, and it stays the caller's. */
bool punt_inject(struct punt_worker *pw, struct rte_mbuf *frame);

/* The worker's source: what control injected, for STAGE_CLASSIFY_OWN. */
source_fn inject_rx;

/* Any thread. NULL: nothing. */
uint32_t punt_held(const struct punt_worker *pw);
struct punt_counters punt_counters(const struct punt_worker *pw);

#endif
