/* Between control and a worker, two single-producer rings: down, things to do between two bursts;
 * up, events.
 *
 * A worker never waits and never signals: it looks once per loop, control once per tick.
 */
#ifndef WORKER_MAILBOX_H
#define WORKER_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stats/drops.h"
#include "worker/stage.h"

struct rte_mbuf;
struct worker;

/* Runs in the worker, between bursts, with nothing of any view in hand. */
struct mail {
	void (*run)(struct worker *w, void *arg);
	void *arg;
};

/* What an element of the ring up says. */
enum worker_event_kind {
	EVENT_AUDIT,
	EVENT_ACQUIRE,
	EVENT_MAPPING,
	EVENT_UNRESOLVED,
	EVENT_LANE_LOW,
	EVENT_STRAY,
};

/* An audited event (RFC 4303 sections 3.4.2 to 3.4.4, RFC 4301 section 5.2): addresses as they
 * stand in the packet where it was dropped.
 */
struct audit_event {
	uint8_t kind;
	uint8_t reason; /* enum drop_reason */
	uint8_t family; /* 4 or 6; 0: src and dst are not known */
	uint8_t worker;
	uint32_t spi_be;
	uint64_t now; /* ns */
	uint64_t seq;
	uint32_t sa, generation; /* SA_NONE: no SA is known */
	uint8_t src[16], dst[16];
};

/* A packet matched an outbound protect policy that has no SA, or none of the worker's own. */
struct acquire_event {
	uint8_t kind;
	uint8_t family; /* 4 or 6, of src and dst */
	uint8_t proto;	/* of the upper layer */
	bool held;	/* the packet waits for the SA */
	uint8_t worker;
	bool own;		     /* there is an SA for any worker, but none for this one */
	uint16_t src_port, dst_port; /* host order; ICMP: type and code; 0 where there are none */
	uint32_t policy; /* index in the SPD; it may be deleted since: compare the name */
	uint32_t name;	 /* policy.name */
	uint8_t src[16], dst[16];
};

/* An authentic packet of a UDP-encapsulated inbound SA came from elsewhere than its peer is said to
 * be: ICV and replay held.
 */
struct mapping_event {
	uint8_t kind;
	uint8_t family; /* 4 or 6 */
	uint16_t port;	/* host order */
	uint32_t sa, generation;
	uint8_t address[16];
};

/* A packet found no link-layer address. */
struct unresolved_event {
	uint8_t kind;
	uint8_t family; /* 4 or 6 */
	uint8_t port;	/* index of lib/port */
	uint8_t address[16];
};

/* What is durably reserved for a lane (out) or a window (in) nears its end. */
struct lane_event {
	uint8_t kind;
	uint16_t lane; /* 0 without subspaces */
	uint32_t sa, generation;
	uint64_t number; /* in: of an authentic packet, which may be above; out: 0 */
};

/* A packet of an inbound SA arrived at another worker than its owner, one of maybe many: of a
 * worker at most one in a millisecond. */
struct stray_event {
	uint8_t kind;
	uint8_t worker; /* that it arrived at */
	uint32_t sa, generation;
};

struct worker_event {
	union {
		uint8_t kind; /* enum worker_event_kind; the first octet of each */
		struct audit_event audit;
		struct acquire_event acquire;
		struct mapping_event mapping;
		struct unresolved_event unresolved;
		struct lane_event lane;
		struct stray_event stray;
	};
};
_Static_assert(sizeof(struct worker_event) == 64, "an element of the ring up");

/* The rings of one worker, in w->mailbox, and which reasons it audits. */
int mailbox_init(struct worker *w, struct err *err);
void mailbox_fini(struct worker *w);

/* Control. -ENOBUFS: the worker has not read for long. */
int mailbox_post(struct worker *w, struct mail mail);
/* How many were posted so far, and how many of them the worker has run. */
uint64_t mailbox_posted(const struct worker *w);
uint64_t mailbox_run_count(const struct worker *w);
/* Control: the next event, false if there is none. lost: events that found the ring full, so far.
 */
bool mailbox_event(struct worker *w, struct worker_event *event);
uint64_t mailbox_lost(const struct worker *w);

/* The worker: tells control. False: the ring is full, or there is none. */
bool mailbox_raise(struct worker *w, const struct worker_event *event);
/* The same of a next hop whose link-layer address nobody knows; of one address at most every
 * 100 ms.
 */
void mailbox_unresolved(struct worker *w, uint8_t port, uint8_t family, const uint8_t *address);

/* The worker's source: runs what came, gives no packets. */
source_fn mailbox_poll;

#endif
